//! The tools that a task needs, in order: the prediction of its domain's model, subject to rulings of people,
//! and after an error the remedy of similar errors.

mod after_error;
mod rulings;

use std::collections::HashSet;

use memory_core::{EpisodeId, Heuristic, ItemId};
use memory_learn::advise::{Model, Prediction, Query};
use memory_recall::content_words::term;
use memory_recall::query::RecallQuery;
use memory_recall::text::words;

use crate::memory::ToolAdvice;

pub(crate) use after_error::Remedy;
pub(crate) use rulings::PINNED;

use rulings::Rulings;

/// Words that are named as the reason for a tool.
const WORDS: usize = 4;
/// The most reasons given for one tool.
const REASONS: usize = 4;

/// A recalled episode: the tools that worked, how well its words fit and how far it succeeded.
pub(crate) type Neighbour = (Vec<String>, f64, f64);

/// Returns true if an episode succeeded with no other tools than those done.
pub(crate) fn needed_no_more((tools, _, success): &Neighbour, query: &RecallQuery) -> bool {
    *success >= 1.0 && !tools.is_empty() && tools.iter().all(|tool| query.done.contains(tool))
}

/// A tool that failed at this point of tasks like this one.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct DeadEnd {
    /// The tool.
    pub(crate) tool: String,
    /// The probability that it fails again, in `0.0..=1.0`.
    pub(crate) probability: f64,
    /// In how many episodes it failed here.
    pub(crate) failed: usize,
    /// In how many of the newest, without a break.
    pub(crate) failed_last: usize,
    /// The episodes in which it was tried here.
    pub(crate) tried: usize,
    /// The newest of those in which it failed.
    pub(crate) episodes: Vec<EpisodeId>,
}

impl DeadEnd {
    /// Renders how often it failed.
    pub(crate) fn times(&self) -> String {
        let Self { failed, failed_last, tried, .. } = self;
        match (*failed, *failed_last) {
            (1, _) if *tried == 1 => "once".to_owned(),
            (failed, _) if failed == *tried => format!("{failed} times"),
            (_, 0 | 1) => format!("{failed} of {tried} times"),
            (_, last) => format!("the last {last} of {tried} times"),
        }
    }
}

/// The advice.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct Advised {
    /// The tools, in the order of use.
    pub(crate) tools: Vec<ToolAdvice>,
    /// Calls that failed at this point of similar tasks, the most certain first.
    pub(crate) dead_ends: Vec<DeadEnd>,
    /// The tools that this task needs less than most do.
    pub(crate) for_others: HashSet<String>,
}

/// Advises on tools for a task of these clauses.
///
/// `heuristics` are those of the domain as stored: a rule for a tool that is rejected or withheld and whose
/// condition holds takes its tool out, and so does one that is pinned against it; a rule that is pinned adds
/// its tool.
pub(crate) fn advise(
    clauses: &[String],
    query: &RecallQuery,
    model: &Model,
    heuristics: &[Heuristic],
    remedy: Option<&Remedy>,
) -> Advised {
    let rulings = Rulings::new(clauses, query, heuristics);
    let asked =
        Query::new(&query.text).kind(query.kind.as_deref()).done(&query.done).failed(query.failed_tool());
    let is_known = words(&query.text).any(|word| model.knows(word))
        || query.done.iter().map(String::as_str).chain(query.failed_tool()).any(|tool| model.uses(tool));
    // If the model knows none of the text, the frequency of tools is no evidence.
    let advice = if is_known { model.predict(&asked) } else { memory_learn::advise::Advice::default() };
    let mut predictions = advice.tools;
    let irrelevant = predictions.iter().filter(|it| it.named.is_none() && it.probability < it.base_rate);
    let for_others: HashSet<String> =
        irrelevant.filter(|it| !rulings.is_pinned(&it.tool)).map(|it| it.tool.clone()).collect();
    predictions.retain(|it| it.named.is_some() && !rulings.is_out(&it.tool));
    predictions.sort_by_key(|it| it.named);
    let mut tools: Vec<ToolAdvice> =
        predictions.iter().filter_map(|it| explained(it, query, model, &rulings)).collect();
    rulings.add_pinned(&mut tools);
    let dead_ends =
        advice.dead_ends.into_iter().filter(|it| !rulings.is_spared(&it.tool)).map(|it| DeadEnd {
            tool: it.tool,
            probability: it.probability,
            failed: it.failed,
            failed_last: it.failed_last,
            tried: it.tried,
            episodes: it.episodes.into_iter().map(episode).collect(),
        });
    let mut advised = Advised { tools, dead_ends: dead_ends.collect(), for_others };
    if let Some(remedy) = remedy {
        after_error::begin_with(remedy, query, &rulings, &mut advised);
    }
    for advice in &mut advised.tools {
        let mut seen = HashSet::new();
        advice.items.retain(|item| seen.insert(*item));
        advice.reasons.truncate(REASONS);
    }
    advised
}

fn episode(id: u128) -> EpisodeId {
    EpisodeId(uuid::Uuid::from_u128(id))
}

/// Explains why a tool is advised: the words for and against it, the tools of the nearest episodes, how often
/// it is used; and names the supporting rules and episodes. Returns `None` if its frequency is the only reason.
fn explained(
    it: &Prediction,
    query: &RecallQuery,
    model: &Model,
    rulings: &Rulings<'_>,
) -> Option<ToolAdvice> {
    let mut reasons = Vec::new();
    let mut words = model.words_for(&query.text, &it.tool);
    // They have weights, but are meaningless to a person.
    words.retain(|(word, _)| term(word).is_some() && !word.chars().all(|c| c.is_ascii_digit()));
    let most = words.first().map_or(0.0, |(_, share)| *share);
    if let Some(words) = telling(words.iter().map(|(word, share)| (word, *share))) {
        reasons.push(format!("words for it: {words}"));
    }
    let point = if query.is_under_way() { "went on to use it" } else { "used it" };
    if let Some(share) = it.neighbours.filter(|share| *share > 0.0) {
        reasons.push(format!("{:.0} % of the most similar episodes {point}", 100.0 * share));
    }
    let [.., behind] = it.shares;
    if let Some(last) = query.done.last().filter(|last| behind > 0.0 && model.uses(last)) {
        reasons.push(format!("often used behind {last}"));
    }
    if reasons.is_empty() {
        return None;
    }
    // Weak counter-evidence is noise.
    let against = words.iter().rev().map(|(word, share)| (word, -share));
    if let Some(words) = telling(against.filter(|(_, share)| *share > 0.5 * most)) {
        reasons.push(format!("words against it: {words}"));
    }
    reasons.push(format!("used by {:.0} % of all episodes", 100.0 * it.base_rate));
    let mut items: Vec<ItemId> = rulings.rules_for(&it.tool).map(|rule| ItemId::Heuristic(rule.id)).collect();
    items.extend(it.episodes.iter().map(|id| ItemId::Episode(episode(*id))));
    Some(ToolAdvice { tool: it.tool.clone(), confidence: it.probability, part: it.clause, reasons, items })
}

/// Returns the words, the most discriminating first, that make up half of the sum above 0; at most [`WORDS`],
/// `None` without any.
fn telling<'w>(words: impl Iterator<Item = (&'w String, f64)> + Clone) -> Option<String> {
    let total: f64 = words.clone().map(|(_, share)| share.max(0.0)).sum();
    let mut sum = 0.0;
    let telling = words.take(WORDS).take_while(|(_, share)| {
        let goes_on = *share > 0.0 && sum < 0.5 * total;
        sum += share;
        goes_on
    });
    let telling: Vec<&str> = telling.map(|(word, _)| word.as_str()).collect();
    (!telling.is_empty()).then(|| telling.join(", "))
}

/// Renders a number of tasks: `1 task`, `3 tasks`.
fn times(count: u32) -> String {
    if count == 1 { "1 task".to_owned() } else { format!("{count} tasks") }
}

#[cfg(test)]
mod tests;
