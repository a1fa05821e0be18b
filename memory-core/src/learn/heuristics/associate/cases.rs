//! What was done for tasks like this one: the episodes that say the same in the words that matter.
//!
//! A word matters as far as it tells which tools a task needs (the Kullback-Leibler divergence of the tools used where the
//! word is from those used everywhere): names and greetings are in tasks of all sorts, and count for nothing.

use std::collections::HashMap;

use super::corpus::{Corpus, Entry, Feature, kind_of};
use super::explain::FAILURE_WEIGHT;
use crate::id::EpisodeId;
use crate::recall::Table;

/// Pieces of evidence that a feature tells nothing, assumed before there is any.
const PRIOR: f64 = 2.0;
/// A word of no more episodes is rare: an unknown one may tell as much as those do.
const RARE: usize = 2;
/// Episodes less like the task have no say.
const SIMILAR_FROM: f64 = 0.3;
/// What is half as similar counts an eighth…
const SHARPNESS: i32 = 3;
/// … and by as much less as there are episodes from this similarity on, which say all that matters in the same words.
const SAME_FROM: f64 = 0.9;
/// What an episode keeps of its say for each newer one that is quite like the task: what worked last works now.
const FADING: f64 = 0.8;
/// What has less of a say is not asked.
pub(super) const LEAST_SAY: f64 = 1e-3;
/// The most episodes that are asked: the most similar.
const ASKED: usize = 128;
/// The most episodes named for one tool.
pub(super) const NAMED: usize = 3;

/// The episodes of a domain, to be compared with a task.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct Cases {
    pub(super) entries: Vec<Entry>,
    /// By word: the number of the feature.
    words: Table<String, u32>,
    /// By kind of task: the number of the feature.
    kinds: Table<String, u32>,
    /// By feature: the places of the entries that have it, the oldest first.
    holds: Vec<Vec<u32>>,
    /// How many tools there are.
    tools: usize,
    /// By feature: what it tells about the tools, in nats.
    tells: Vec<f64>,
    /// What an unknown word may tell.
    unknown: f64,
    /// By entry: what its features tell together.
    told: Vec<f64>,
}

/// What similar episodes say about one tool.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct Vote {
    /// The weight of the episodes that say something about it; 1 is one that is quite like the task.
    pub(crate) weight: f64,
    /// The weight of those that it worked in.
    pub(crate) used: f64,
    /// How many say something about it.
    pub(crate) count: usize,
    /// In how many of them it worked.
    pub(crate) worked: usize,
    /// The newest of those that it worked in.
    pub(crate) episodes: Vec<EpisodeId>,
}

/// What similar episodes say about the tools.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct Votes {
    /// By tool.
    pub(crate) tools: Vec<Vote>,
    /// By two tools: the weight of the episodes that used the first before the second.
    pub(crate) before: Table<(usize, usize), f64>,
    /// The episodes that say something, the newest first: how much each would say alone, how much it says, its place.
    pub(super) similar: Vec<(f64, f64, usize)>,
    /// The weight and the count of the episodes that say something of every tool.
    of_all: (f64, usize),
}

impl Cases {
    pub(super) fn new(corpus: Corpus) -> Self {
        let all = corpus.entries.len() as f64;
        let mut usual = vec![0.0; corpus.tools.len()];
        for entry in &corpus.entries {
            entry.tools.iter().for_each(|tool| usual[*tool] += 1.0);
        }
        usual.iter_mut().for_each(|used| *used = (*used + 0.5) / (all + 1.0));
        let tells = tells(&corpus, &usual);
        let rare: Vec<f64> = corpus
            .holds
            .iter()
            .zip(&tells)
            .filter(|(holds, _)| holds.len() <= RARE)
            .map(|(_, t)| *t)
            .collect();
        let unknown = if rare.is_empty() { 0.0 } else { rare.iter().sum::<f64>() / rare.len() as f64 };
        let told = |entry: &Entry| entry.features.iter().map(|feature| tells[*feature as usize]).sum();
        let told = corpus.entries.iter().map(told).collect();
        let Corpus { entries, features, holds, tools, .. } = corpus;
        let (mut words, mut kinds) = (Table::default(), Table::default());
        for (feature, number) in features.into_iter().zip(0..) {
            match feature {
                Feature::Term(term) => words.insert(term, number),
                Feature::Kind(kind) => kinds.insert(kind, number),
            };
        }
        Self { entries, words, kinds, holds, tools: tools.len(), tells, unknown, told }
    }

    /// Returns true if at least so many episodes used a tool, and all of them only once another one had worked.
    pub(crate) fn follows_only(&self, tool: usize, other: usize, least: usize) -> bool {
        let place = |entry: &Entry, tool: usize| entry.tools.iter().position(|used| *used == tool);
        let mut follows = 0;
        for entry in &self.entries {
            let Some(used) = place(entry, tool) else { continue };
            if place(entry, other).is_none_or(|before| before > used) {
                return false;
            }
            follows += 1;
        }
        follows >= least
    }

    /// Returns the features of some words; `None` if no episode has one of them.
    pub(super) fn features(&self, terms: &[String]) -> Option<Vec<u32>> {
        terms.iter().map(|term| self.words.get(term).copied()).collect()
    }

    /// Asks the episodes that are like a task with these words and of this kind.
    pub(crate) fn ask<'a>(&self, terms: impl Iterator<Item = &'a String>, kind: Option<&str>) -> Votes {
        let mut terms: Vec<&String> = terms.collect();
        terms.sort_unstable();
        terms.dedup();
        let kind = kind.and_then(kind_of).map(|kind| self.kinds.get(&kind).copied());
        let mut tells = 0.0;
        let mut shared = vec![0.0; self.told.len()];
        for feature in terms.into_iter().map(|term| self.words.get(term).copied()).chain(kind) {
            let Some(feature) = feature.map(|feature| feature as usize) else {
                tells += self.unknown;
                continue;
            };
            tells += self.tells[feature];
            self.holds[feature].iter().for_each(|at| shared[*at as usize] += self.tells[feature]);
        }
        let mut similar: Vec<(f64, usize)> = shared
            .into_iter()
            .zip(&self.told)
            .enumerate()
            .filter_map(|(place, (shared, told))| {
                let both = (tells * told).sqrt();
                let similarity = if both > 0.0 { shared / both } else { 0.0 };
                (similarity >= SIMILAR_FROM).then_some((similarity, place))
            })
            .collect();
        if similar.len() > ASKED {
            // Of those as similar the newer ones.
            similar.select_nth_unstable_by(ASKED, |a, b| b.0.total_cmp(&a.0).then(b.1.cmp(&a.1)));
            similar.truncate(ASKED);
        }
        similar.sort_unstable_by_key(|(_, place)| std::cmp::Reverse(*place));
        let same: f64 =
            similar.iter().filter(|(similarity, _)| *similarity >= SAME_FROM).map(|(it, _)| it).sum();
        let mut votes = Votes { tools: vec![Vote::default(); self.tools], ..Votes::default() };
        let mut newer = 0.0;
        for (similarity, place) in similar {
            let kept = FADING.powf(newer);
            if kept < LEAST_SAY {
                break;
            }
            let share = if similarity >= SAME_FROM { 1.0 } else { 1.0 / (1.0 + same) };
            let own = share * similarity.powi(SHARPNESS);
            votes.take(&self.entries[place], own * kept);
            newer += own;
            votes.similar.push((own, own * kept, place));
        }
        votes.settle();
        votes
    }

    /// Returns what the votes say about a tool without the episodes that have no say on it.
    ///
    /// Of a tool that words of the task call for (`calls`), these are the episodes that did not use it and had none of the
    /// words: nobody asked them for it. Those that used one of `instead` did that in its place. Of any other tool, they are
    /// those that used it and had words that call for it (`otherwise`): they were asked, as this task is not.
    pub(crate) fn vote(
        &self,
        votes: &Votes,
        tool: usize,
        calls: &[Vec<String>],
        instead: &[usize],
        otherwise: &[&[String]],
    ) -> Vote {
        let calls: Vec<Vec<u32>> = calls.iter().filter_map(|terms| self.features(terms)).collect();
        let otherwise: Vec<Vec<u32>> = otherwise.iter().filter_map(|terms| self.features(terms)).collect();
        let mut vote = votes.tools[tool].clone();
        for (_, weight, place) in &votes.similar {
            let entry = &self.entries[*place];
            let has = |term: &u32| entry.features.binary_search(term).is_ok();
            let says = |tool: &usize| entry.tools.contains(tool) || entry.failed.contains(tool);
            if !calls.is_empty() {
                let is_asked = calls.iter().any(|terms| terms.iter().all(has));
                let is_silent = !says(&tool) && !is_asked && !instead.iter().any(says);
                if is_silent && entry.says_of_unused().is_some() {
                    vote.weight -= weight;
                    vote.count -= 1;
                }
            } else if entry.tools.contains(&tool) && otherwise.iter().any(|terms| terms.iter().all(has)) {
                vote.weight -= weight;
                vote.count -= 1;
                vote.used -= weight * entry.credit();
                vote.worked -= usize::from(entry.speaks_for_used());
                vote.episodes.retain(|episode| *episode != entry.id);
            }
        }
        vote.used = vote.used.max(0.0);
        vote.weight = vote.weight.max(vote.used);
        vote
    }
}

impl Cases {
    /// Returns true if at least this share of the successes that voted and used one tool (`beside`) did without another one, or
    /// only used it once that one had failed.
    pub(crate) fn does_without(&self, votes: &Votes, tool: usize, beside: usize, share: f64) -> bool {
        let (mut all, mut without) = (0.0, 0.0);
        for (_, weight, place) in &votes.similar {
            let entry = &self.entries[*place];
            if entry.success >= 0.5 && entry.tools.contains(&beside) {
                all += weight;
                let is_remedy = || entry.course.iter().any(|stretch| stretch.goes_on(beside, tool));
                without += if !entry.tools.contains(&tool) || is_remedy() { *weight } else { 0.0 };
            }
        }
        all > 0.0 && without >= share * all
    }

    /// Returns true if one of some episodes succeeded with one tool (`beside`) without another one.
    pub(crate) fn any_without(&self, episodes: &[EpisodeId], tool: usize, beside: usize) -> bool {
        let mut known = self.entries.iter().filter(|entry| episodes.contains(&entry.id));
        known.any(|entry| {
            entry.success >= 0.5 && entry.tools.contains(&beside) && !entry.tools.contains(&tool)
        })
    }
}

impl Votes {
    /// Counts an episode. What it says of the tools that it did not use is the same of them all; see
    /// [`Votes::settle`].
    fn take(&mut self, entry: &Entry, weight: f64) {
        let tells_of_all = entry.says_of_unused().is_some();
        let (known, counted) = if tells_of_all { (weight, 1) } else { (0.0, 0) };
        self.of_all = (self.of_all.0 + known, self.of_all.1 + counted);
        for tool in &entry.tools {
            let vote = &mut self.tools[*tool];
            vote.weight += weight - known;
            vote.count += 1 - counted;
            vote.used += weight * entry.credit();
            vote.worked += usize::from(entry.speaks_for_used());
            if entry.speaks_for_used() && vote.episodes.len() < NAMED {
                vote.episodes.push(entry.id);
            }
        }
        for tool in &entry.failed {
            let vote = &mut self.tools[*tool];
            vote.weight += weight * FAILURE_WEIGHT - known;
            vote.count += 1 - counted;
        }
        for (place, first) in entry.tools.iter().enumerate() {
            for second in &entry.tools[place + 1..] {
                *self.before.entry((*first, *second)).or_default() += weight;
            }
        }
    }

    /// Adds to each tool what the episodes say that say something of all of them.
    fn settle(&mut self) {
        for vote in &mut self.tools {
            vote.weight += self.of_all.0;
            vote.count += self.of_all.1;
        }
    }
}

/// Returns what each feature tells about the tools, in nats; `usual` has how often each tool is used.
fn tells(corpus: &Corpus, usual: &[f64]) -> Vec<f64> {
    let told = |used: f64, n: f64, usual: f64| divergence((used + PRIOR * usual) / (n + PRIOR), usual);
    // By the count of entries: what each tool tells that none of them used, and all of these together.
    let mut unused: HashMap<usize, (Vec<f64>, f64)> = HashMap::new();
    let mut used = vec![0.0; usual.len()];
    let mut tells = Vec::with_capacity(corpus.holds.len());
    for holds in &corpus.holds {
        used.fill(0.0);
        for at in holds {
            corpus.entries[*at as usize].tools.iter().for_each(|tool| used[*tool] += 1.0);
        }
        let n = holds.len() as f64;
        let (unused, all) = unused.entry(holds.len()).or_insert_with(|| {
            let unused: Vec<f64> = usual.iter().map(|usual| told(0.0, n, *usual)).collect();
            let all = unused.iter().sum();
            (unused, all)
        });
        let is_used = |(_, used): &(usize, &f64)| **used > 0.0;
        let more = used.iter().enumerate().filter(is_used);
        tells.push(more.map(|(tool, used)| told(*used, n, usual[tool]) - unused[tool]).sum::<f64>() + *all);
    }
    tells
}

/// Returns how much one rate differs from another, in nats.
fn divergence(rate: f64, usual: f64) -> f64 {
    let part = |a: f64, b: f64| if a > 0.0 { a * (a / b).ln() } else { 0.0 };
    part(rate, usual) + part(1.0 - rate, 1.0 - usual)
}

#[cfg(test)]
mod tests {
    use super::super::tests::{failure, learn, lesson};
    use super::super::{Associations, Lesson};
    use super::*;

    /// Returns the tools that the similar episodes speak for, the surest first, each with its share of the weight.
    fn voted(known: &Associations, text: &str) -> Vec<(String, f64)> {
        let terms: Vec<String> =
            crate::recall::parts::parts(text).into_iter().flat_map(|part| part.terms).collect();
        let votes = known.cases.ask(terms.iter(), None);
        let mut voted: Vec<(String, f64)> = votes
            .tools
            .iter()
            .zip(&known.tools)
            .filter(|(vote, _)| vote.used > 0.0)
            .map(|(vote, tool)| (tool.name.clone(), vote.used / vote.weight))
            .collect();
        voted.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
        voted
    }

    /// Two sorts of tasks of three words, each with greetings and names that say nothing.
    fn office(count: u64) -> Vec<Lesson> {
        let names = ["Mia", "Omar", "Sofia", "Noah", "Yuki"];
        (0..count)
            .map(|n| {
                let name = names[(n % 5) as usize];
                let (ask, tools): (&str, &[&str]) = match n % 2 {
                    0 => ("redirect the moved parcel", &["lookup", "reroute"]),
                    _ => ("trace the missing letter", &["search", "report"]),
                };
                lesson(n, &format!("Good morning, {name} here, greetings from Oslo: {ask}"), tools)
            })
            .collect()
    }

    #[test]
    fn only_words_that_tell_tasks_apart_make_episodes_similar() {
        let known = learn(&office(40));
        let check = |text: &str, expected: &[&str]| {
            let found = voted(&known, text);
            let found: Vec<&str> = found.iter().map(|(tool, _)| tool.as_str()).collect();
            assert_eq!(found, expected, "{text}");
        };
        check("Please redirect it, I moved", &["lookup", "reroute"]);
        check("Trace the letter", &["report", "search"]);
        check("Good morning, Mia here, greetings from Oslo", &[]);
        check("Good morning, Mia here, greetings from Oslo: paint zebras with glitter", &[]);
        check("", &[]);
    }

    #[test]
    fn what_worked_last_counts_most() {
        let mut lessons = office(40);
        for n in 40..44 {
            let text = "Noah here: redirect the moved parcel";
            lessons.push(Lesson {
                failed_tools: failure(n, text, &["reroute"]).failed_tools,
                ..lesson(n, text, &["lookup", "courier"])
            });
        }
        let voted = voted(&learn(&lessons), "Redirect the moved parcel");
        let share = |tool: &str| voted.iter().find(|(name, _)| name == tool).map_or(0.0, |(_, share)| *share);
        assert!(share("lookup") > 0.99, "{voted:?}");
        assert!(share("courier") > 0.55 && share("reroute") < 0.3, "{voted:?}");
    }

    #[test]
    fn votes_name_the_newest_episodes_and_the_order() {
        let known = learn(&office(40));
        let terms = ["redirect".to_owned(), "parcel".to_owned()];
        let votes = known.cases.ask(terms.iter(), None);
        let tool = |name| known.tool(name).unwrap();
        let (lookup, reroute) = (tool("lookup"), tool("reroute"));
        let vote = &votes.tools[lookup];
        assert_eq!((vote.count, vote.worked), (20, 20));
        let newest: Vec<u128> = vote.episodes.iter().map(|id| id.0.as_u128()).collect();
        assert_eq!(newest, [38, 36, 34]);
        assert!(votes.before[&(lookup, reroute)] > 3.0, "{votes:?}");
        assert!(!votes.before.contains_key(&(reroute, lookup)));
    }

    #[test]
    fn an_empty_memory_says_nothing() {
        assert_eq!(Cases::default().ask(["word".to_owned()].iter(), Some("kind")), Votes::default());
    }
}
