//! What sets the failures of a group apart from its successes.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::Ranked;
use crate::recall::lexical::entry::{Entry, State};
use crate::recall::lexical::shard::Shard;
use crate::store::record::Key;

/// The most contrasts returned.
const MAX_CONTRASTS: usize = 2;
/// The least probability of failure worth a word.
const MIN_PROBABILITY: f64 = 0.6;
/// The weight, in episodes, of how often a tool's users fail elsewhere.
const PRIOR: f64 = 2.0;
/// What an error of the tool itself counts against its mere use.
const ERROR_FACTOR: f64 = 2.0;

/// A tool whose use, or whose omission, goes with failure in a group of near-identical episodes.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Contrast {
    /// The tool.
    pub(crate) tool: String,
    /// False if those that used it failed, true if those that did without it failed.
    pub(crate) omitted: bool,
    /// The probability of failure, in `0.0..=1.0`.
    pub(crate) probability: f64,
    /// How telling it is: the probability weighed by how rare the tool is elsewhere and how many of the failures it
    /// covers; at least 0, comparable within one answer.
    pub(crate) score: f64,
    /// The failed episodes that show it, the best match first.
    pub(crate) failing: Vec<Key>,
    /// The episodes that did otherwise and succeeded, the best match first.
    pub(crate) succeeding: Vec<Key>,
}

/// Who of the group used a tool.
#[derive(Default)]
struct Users<'s> {
    failing: Vec<&'s Entry>,
    succeeding: Vec<&'s Entry>,
    /// Completed ones, partial and abstained ones included.
    completed: u32,
    /// Whether a failed episode had an error of it.
    failed_call: bool,
}

/// Returns the most telling contrasts of a group; none if nobody failed.
pub(super) fn contrasts(ranked: &Ranked<'_>, shard: &Shard, group: &[usize]) -> Vec<Contrast> {
    let members: Vec<&Entry> = group.iter().map(|place| ranked.candidates[*place].entry).collect();
    let of = |state: State| members.iter().copied().filter(move |entry| entry.state == state);
    let (failing, succeeding): (Vec<&Entry>, Vec<&Entry>) =
        (of(State::Failure).collect(), of(State::Success).collect());
    if failing.is_empty() {
        return Vec::new();
    }
    let mut tools: BTreeMap<Arc<str>, Users<'_>> = BTreeMap::new();
    for entry in members.iter().copied().filter(|entry| entry.state.is_completed()) {
        for used in &entry.tools {
            let users = tools.entry(used.name.clone()).or_default();
            users.completed += 1;
            match entry.state {
                State::Failure => {
                    users.failing.push(entry);
                    users.failed_call |= used.failed;
                }
                State::Success => users.succeeding.push(entry),
                _ => {}
            }
        }
    }
    let keys = |entries: &[&Entry]| entries.iter().map(|entry| shard.key(entry)).collect::<Vec<_>>();
    let others = |all: &[&Entry], users: &[&Entry]| -> Vec<Key> {
        let other = all.iter().filter(|entry| !users.iter().any(|user| user.id == entry.id));
        other.map(|entry| shard.key(entry)).collect()
    };
    let mut found = Vec::new();
    for (tool, users) in &tools {
        let figures = shard.census.tool(tool);
        let users_elsewhere = f64::from(figures.episodes - users.completed);
        let failures_elsewhere = f64::from(figures.failures) - users.failing.len() as f64;
        let rare = ((1 + shard.census.completed()) as f64 / (1.0 + users_elsewhere)).ln();
        let (all_failing, all_succeeding) = (failing.len() as f64, succeeding.len() as f64);
        let (failed, succeeded) = (users.failing.len() as f64, users.succeeding.len() as f64);
        if failed > 0.0 {
            let elsewhere = (1.0 + failures_elsewhere) / (2.0 + users_elsewhere);
            let probability = (failed + PRIOR * elsewhere) / (failed + succeeded + PRIOR);
            let factor = if users.failed_call { ERROR_FACTOR } else { 1.0 };
            found.push(Contrast {
                tool: tool.to_string(),
                omitted: false,
                probability,
                score: probability * rare * failed / all_failing * factor,
                failing: keys(&users.failing),
                succeeding: others(&succeeding, &users.succeeding),
            });
        }
        let (failed_without, succeeded_without) = (all_failing - failed, all_succeeding - succeeded);
        if succeeded > 0.0 && failed_without > 0.0 {
            let probability = (failed_without + 1.0) / (failed_without + succeeded_without + 2.0);
            found.push(Contrast {
                tool: tool.to_string(),
                omitted: true,
                probability,
                score: probability * rare * failed_without / all_failing * succeeded / all_succeeding,
                failing: others(&failing, &users.failing),
                succeeding: keys(&users.succeeding),
            });
        }
    }
    found.retain(|contrast| contrast.probability >= MIN_PROBABILITY);
    // Stable: of equals the tool that comes first in the alphabet.
    found.sort_by(|a, b| b.score.total_cmp(&a.score));
    found.truncate(MAX_CONTRASTS);
    found
}
