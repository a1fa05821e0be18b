//! What words say that call for no tool by themselves: weak evidence by the words of the tools' names.

use std::collections::{BTreeMap, HashMap};

use super::corpus::{Corpus, Feature};
use super::explain::Pairs;
use super::{COMPANION_FROM, ToolFacts};

/// Parts that a word must be in before it says anything.
const HEARD_FROM: f64 = 3.0;
/// Pieces of evidence that a word says nothing, assumed before there is any.
const PRIOR: f64 = 20.0;
/// A partner of a tool is in so many of the parts that asked for it.
const PARTNER_FROM: f64 = 0.9;
/// A partner of a tool is so much more frequent where the tool was asked for.
const PARTNER_LIFT: f64 = 2.0;
/// What calls for a tool by itself is no partner.
const PARTNER_BELOW: f64 = 0.3;

/// What words say about the words of tools' names.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct Hints {
    /// By word of a task: by word of a name, the logarithm of how much likelier it makes a tool of that name.
    lifts: HashMap<String, Vec<(usize, f64)>>,
    /// By tool: the words of its name, each with its part in the name.
    names: Vec<Vec<(usize, f64)>>,
    /// By word of a name: what the word itself says when the task has it.
    own: HashMap<String, (usize, f64)>,
    words: usize,
}

impl Hints {
    /// Returns the evidence for each tool in these words, as a logarithm; `None` if none of them is known.
    pub(crate) fn evidence<'a>(&self, terms: impl Iterator<Item = &'a str>) -> Option<Vec<f64>> {
        let mut by_word = vec![0.0; self.words];
        let mut known = false;
        for term in terms {
            if let Some(lifts) = self.lifts.get(term) {
                known = true;
                lifts.iter().for_each(|(word, lift)| by_word[*word] += lift);
            }
            if let Some((word, lift)) = self.own.get(term) {
                known = true;
                by_word[*word] += lift;
            }
        }
        let mean = |name: &Vec<(usize, f64)>| name.iter().map(|(word, part)| by_word[*word] * part).sum();
        known.then(|| self.names.iter().map(mean).collect())
    }
}

/// For each use of a tool: the entry, the tool, and the part of the task that asked for it most likely.
pub(super) type Links = Vec<(usize, usize, usize)>;

/// Finds the part of its task that asked for each use of a tool.
pub(super) fn link(corpus: &Corpus, pairs: &Pairs) -> Links {
    let mut links = Vec::new();
    for (at, entry) in corpus.entries.iter().enumerate() {
        for tool in &entry.tools {
            let asks = |part: &Vec<u32>| -> f64 {
                1.0 - part.iter().map(|term| 1.0 - pairs.strength(*term, *tool)).product::<f64>()
            };
            let mut best: Option<(f64, usize)> = None;
            for (place, part) in corpus.parts[at].iter().enumerate() {
                let asks = asks(part);
                if best.is_none_or(|(most, _)| asks > most) {
                    best = Some((asks, place));
                }
            }
            links.extend(best.map(|(_, place)| (at, *tool, place)));
        }
    }
    links
}

/// Counts what the words of linked parts say.
pub(super) fn hints(corpus: &Corpus, links: &Links) -> Hints {
    let mut words: Vec<&String> = corpus.named_by.keys().collect();
    words.sort();
    let place = |word: &String| words.binary_search(&word).unwrap_or_default();
    let tools = corpus.tools.len() as f64;
    let names_in = |word: &String| corpus.named_by.get(word).copied().unwrap_or(1) as f64;
    let names: Vec<Vec<(usize, f64)>> = corpus
        .words
        .iter()
        .map(|name| {
            let weight = |word: &String| (1.0 + tools / names_in(word)).ln();
            let total: f64 = name.iter().map(weight).sum();
            name.iter().map(|word| (place(word), weight(word) / total)).collect()
        })
        .collect();
    let mut usual = vec![0.0; words.len()];
    let mut heard: BTreeMap<u32, (f64, Vec<f64>)> = BTreeMap::new();
    for (at, tool, part) in links {
        let name: Vec<usize> = names[*tool].iter().map(|(word, _)| *word).collect();
        name.iter().for_each(|word| usual[*word] += 1.0);
        for term in &corpus.parts[*at][*part] {
            let (n, hits) = heard.entry(*term).or_insert_with(|| (0.0, vec![0.0; words.len()]));
            *n += 1.0;
            name.iter().for_each(|word| hits[*word] += 1.0);
        }
    }
    let all = links.len().max(1) as f64;
    let mut lifts = HashMap::new();
    for (term, (n, hits)) in heard.into_iter().filter(|(_, (n, _))| *n >= HEARD_FROM) {
        let Feature::Term(term) = &corpus.features[term as usize] else { continue };
        let lift = |(word, hits): (usize, f64)| {
            let rate = usual[word] / all;
            let own = (hits + PRIOR * rate) / (n + PRIOR);
            (word, (own.clamp(0.01, 0.99) / rate.clamp(0.01, 0.99)).ln())
        };
        let told: Vec<(usize, f64)> =
            hits.into_iter().enumerate().map(lift).filter(|(_, l)| l.abs() > 1e-3).collect();
        lifts.insert(term.clone(), told);
    }
    let own = words
        .iter()
        .filter(|word| names_in(word) < tools)
        .map(|word| ((*word).clone(), (place(word), (tools / names_in(word)).ln())))
        .collect();
    Hints { lifts, names, own, words: words.len() }
}

/// Returns what is known of each tool.
pub(super) fn facts(corpus: &Corpus, pairs: &Pairs, links: &Links) -> Vec<ToolFacts> {
    let count = corpus.tools.len();
    let mut uses = vec![0.0; count];
    let mut both: HashMap<(usize, usize), f64> = HashMap::new();
    for entry in &corpus.entries {
        for a in &entry.tools {
            uses[*a] += 1.0;
            for b in entry.tools.iter().filter(|b| *b != a) {
                *both.entry((*a, *b)).or_insert(0.0) += 1.0;
            }
        }
    }
    let mut asked: Vec<(f64, BTreeMap<u32, f64>)> = vec![(0.0, BTreeMap::new()); count];
    for (at, tool, part) in links {
        let (n, terms) = &mut asked[*tool];
        *n += 1.0;
        for term in &corpus.parts[*at][*part] {
            *terms.entry(*term).or_insert(0.0) += 1.0;
        }
    }
    let all: f64 = uses.iter().sum::<f64>().max(1.0);
    let episodes = corpus.entries.len() as f64;
    (0..count)
        .map(|tool| {
            let (n, terms) = &asked[tool];
            let is_partner = |term: u32, hits: f64| {
                hits >= PARTNER_FROM * n
                    && hits / corpus.holds[term as usize].len() as f64 >= PARTNER_LIFT * n / episodes
                    && pairs.strength(term, tool) < PARTNER_BELOW
            };
            let partners = terms
                .iter()
                .filter(|(term, hits)| is_partner(**term, **hits))
                .filter_map(|(term, _)| match &corpus.features[*term as usize] {
                    Feature::Term(term) => Some(term.clone()),
                    Feature::Kind(_) => None,
                })
                .collect();
            let goes_with = |other: &usize| {
                let together = both.get(&(tool, *other)).copied().unwrap_or(0.0);
                together / (uses[tool] + 2.0) >= COMPANION_FROM
            };
            ToolFacts {
                name: corpus.tools[tool].clone(),
                words: corpus.words[tool].clone(),
                partners,
                share: uses[tool] / all,
                companions: (0..count).filter(|other| *other != tool).filter(goes_with).collect(),
            }
        })
        .collect()
}
