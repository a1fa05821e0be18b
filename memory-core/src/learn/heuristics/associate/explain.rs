//! Which of the features of a task called for a tool: expectation maximisation over noisy-or.

use super::change::last_change;
use super::corpus::{Corpus, Entry, Feature, Says};
use super::parallel;

/// Passes of "explaining away"; further ones change little.
const PASSES: usize = 8;
/// A smaller share of a use is nobody's.
const LEAST_SHARE: f64 = 0.01;
/// Pieces of evidence against a feature that are assumed before there is any.
const PRIOR: f64 = 2.0;
/// What a word is worth that is in the tool's own name, in pieces of evidence; shared among the tools that have it.
const NAME_BONUS: f64 = 4.0;
/// What is taken off a word that is not.
const UNNAMED: f64 = 0.9;
/// An explicit failure of a tool weighs as much as so many episodes that did without.
pub(super) const FAILURE_WEIGHT: f64 = 2.0;
/// Least evidence for that a change of it is looked for.
const CHANGE_FROM: usize = 6;

/// A feature and a tool.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Pair {
    pub(super) feature: u32,
    pub(super) tool: usize,
    /// The place of the entry from which on evidence counts.
    pub(super) from: u32,
    /// The weight of the evidence.
    n: f64,
    /// How much the word is worth for being in the tool's name.
    bonus: f64,
    /// The probability that the feature by itself calls for the tool.
    pub(super) strength: f64,
}

impl Pair {
    fn update(&mut self, credit: f64) {
        let half = self.bonus / 2.0;
        let named = if self.bonus > 0.0 { 1.0 } else { UNNAMED };
        self.strength = (credit + half) / (self.n + PRIOR + half) * named;
    }
}

/// What the passes find.
#[derive(Debug)]
pub(super) struct Pairs {
    /// In order of their features, and of their tools.
    pub(super) pairs: Vec<Pair>,
    /// By feature: where its pairs begin; with the end of all behind.
    starts: Vec<usize>,
}

impl Pairs {
    fn new(pairs: Vec<Pair>, features: usize) -> Self {
        let starts = (0..=features).map(|feature| pairs.partition_point(|p| (p.feature as usize) < feature));
        Self { starts: starts.collect(), pairs }
    }

    fn place(&self, feature: u32, tool: usize) -> Option<usize> {
        let (from, to) = (self.starts[feature as usize], self.starts[feature as usize + 1]);
        self.pairs[from..to].binary_search_by_key(&tool, |pair| pair.tool).ok().map(|place| from + place)
    }

    /// Returns how strongly a feature calls for a tool.
    pub(super) fn strength(&self, feature: u32, tool: usize) -> f64 {
        self.place(feature, tool).map_or(0.0, |place| self.pairs[place].strength)
    }
}

/// Finds which features call for which tools.
pub(super) fn explain(corpus: &Corpus) -> Pairs {
    let mut found = Pairs::new(seen_together(corpus), corpus.features.len());
    // For each use of a tool that worked: its weight, and where the pairs end that may explain it.
    let mut uses: Vec<(f64, usize)> = Vec::new();
    let mut explaining: Vec<u32> = Vec::new();
    for (at, entry) in (0_u32..).zip(&corpus.entries) {
        for tool in &entry.tools {
            let known = entry.features.iter().filter_map(|feature| found.place(*feature, *tool));
            explaining.extend(known.filter(|place| found.pairs[*place].from <= at).map(|place| place as u32));
            uses.push((entry.credit(), explaining.len()));
        }
    }
    let pairs = &mut found.pairs;
    let mut credits = vec![0.0; pairs.len()];
    // How surely each pair explains a use, as of the pass before; apart from the pairs, to lie close together.
    let mut sure = vec![0.0; pairs.len()];
    for pass in 0..=PASSES {
        credits.fill(0.0);
        let mut from = 0;
        for (success, to) in &uses {
            let explaining = &explaining[std::mem::replace(&mut from, *to)..*to];
            if pass == 0 {
                // Nobody is doubted at first.
                explaining.iter().for_each(|place| credits[*place as usize] += success);
                continue;
            }
            let total: f64 = explaining.iter().map(|place| sure[*place as usize]).sum();
            if total <= 0.0 {
                continue;
            }
            for place in explaining {
                let share = sure[*place as usize] / total;
                if share > LEAST_SHARE {
                    credits[*place as usize] += share * success;
                }
            }
        }
        for ((pair, credit), sure) in pairs.iter_mut().zip(&credits).zip(&mut sure) {
            pair.update(*credit);
            *sure = pair.strength.powi(2);
        }
    }
    found
}

/// Returns the pairs of a feature and a tool that were seen together, with the evidence since it last changed.
fn seen_together(corpus: &Corpus) -> Vec<Pair> {
    let tools: Vec<usize> = (0..corpus.tools.len()).collect();
    let mut pairs: Vec<Pair> = parallel::map(&tools, |tool| seen_with(corpus, *tool)).concat();
    pairs.sort_unstable_by_key(|pair| (pair.feature, pair.tool));
    pairs
}

/// Returns the pairs of a tool.
fn seen_with(corpus: &Corpus, tool: usize) -> Vec<Pair> {
    let said: Vec<Option<(f64, f64)>> = corpus.entries.iter().map(|entry| weighed(entry, tool)).collect();
    let using = corpus.entries.iter().filter(|entry| entry.tools.contains(&tool));
    let mut features: Vec<u32> = using.flat_map(|entry| entry.features.iter().copied()).collect();
    features.sort_unstable();
    features.dedup();
    let mut evidence: Vec<(u32, f64, f64)> = Vec::new();
    let mut plain: Vec<(f64, f64)> = Vec::new();
    let pair = |feature: u32| {
        evidence.clear();
        evidence.extend(corpus.holds[feature as usize].iter().filter_map(|at| {
            let (weight, support) = said[*at as usize]?;
            Some((*at, weight, support))
        }));
        let mut start = 0;
        if evidence.len() >= CHANGE_FROM {
            plain.clear();
            plain.extend(evidence.iter().map(|(_, weight, support)| (*weight, *support)));
            start = last_change(&plain);
        }
        let bonus = match &corpus.features[feature as usize] {
            Feature::Term(term) if corpus.words[tool].contains(term) => {
                corpus.named_by.get(term).map_or(0.0, |tools| NAME_BONUS / *tools as f64)
            }
            _ => 0.0,
        };
        Pair {
            feature,
            tool,
            from: if start == 0 { 0 } else { evidence[start].0 },
            n: evidence[start..].iter().map(|(_, weight, _)| weight).sum(),
            bonus,
            strength: 0.0,
        }
    };
    features.into_iter().map(pair).collect()
}

/// Returns the weight of what an episode says about a tool, and how far it speaks for it.
fn weighed(entry: &Entry, tool: usize) -> Option<(f64, f64)> {
    Some(match entry.says(tool)? {
        Says::Used(success) => (1.0, success),
        Says::Unused => (1.0, 0.0),
        Says::Failed => (FAILURE_WEIGHT, 0.0),
    })
}
