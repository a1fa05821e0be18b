//! The differences between failures and successes of a group.

use std::collections::BTreeMap;
use std::sync::Arc;

use memory_core::Key;

use super::Ranked;
use crate::groups::goes_along;
use crate::lexical::entry::{Entry, State};
use crate::lexical::shard::Shard;
use crate::query::RecallQuery;

/// The most contrasts returned.
const MAX_CONTRASTS: usize = 2;
/// The least probability of failure worth a word.
const MIN_PROBABILITY: f64 = 0.6;
/// The least number of failed episodes that show it: one alone may have failed for any reason.
const MIN_FAILING: usize = 2;
/// The largest share of succeeding episodes that may use a tool of a contrast: a tool that all use does not
/// discriminate.
const COMMON: f64 = 0.9;
/// The share of the best score from which an episode is near enough to bear a contrast out…
const NEAR: f64 = 0.3;
/// … and the most of these.
const MAX_NEAR: usize = 24;
/// The weight, in episodes, of a tool's failure rate elsewhere.
const PRIOR: f64 = 2.0;
/// The weight of an error of the tool itself relative to its mere use.
const ERROR_FACTOR: f64 = 2.0;
/// The score from which an episode of another domain than the query's is compared with others.
const FOREIGN_FROM: f64 = 0.5;
/// The weight of a tool that was only used after another one had failed.
const LATE_FACTOR: f64 = 0.25;

/// A tool whose use, or whose omission, correlates with failure in a group of near-identical episodes.
#[derive(Debug, Clone, PartialEq)]
pub struct Contrast {
    /// The tool.
    pub tool: String,
    /// False if those that used it failed, true if those that did without it failed.
    pub omitted: bool,
    /// The probability of failure, in `0.0..=1.0`.
    pub probability: f64,
    /// How discriminating it is: the probability, weighted by the rarity of the tool elsewhere and by its share
    /// of the failures; at least 0, comparable within one answer.
    pub(crate) score: f64,
    /// The failed episodes that show it, the best match first.
    pub failing: Vec<Key>,
    /// The episodes that did otherwise and succeeded, the best match first.
    pub succeeding: Vec<Key>,
}

/// The members of the group that used a tool.
#[derive(Default)]
struct Users<'s> {
    failing: Vec<&'s Entry>,
    succeeding: Vec<&'s Entry>,
    /// Completed ones, partial and abstained ones included.
    completed: u32,
    /// Whether a failed episode had an error of it.
    failed_call: bool,
}

/// Completed episodes by how they ended.
struct Sides<'s> {
    failing: Vec<&'s Entry>,
    succeeding: Vec<&'s Entry>,
    tools: BTreeMap<Arc<str>, Users<'s>>,
}

/// Returns the most discriminating contrasts of a group that nearby episodes confirm, and tools of nearby
/// failures that no success used: failed episodes are often less similar than successful ones. Tools that are
/// done are left out. Episodes of another domain than the query's count only if they are very similar to the
/// task.
pub(super) fn contrasts(
    ranked: &Ranked<'_>,
    shard: &Shard,
    group: &[usize],
    query: &RecallQuery,
) -> Vec<Contrast> {
    let entry = |place: &usize| ranked.candidates[*place].entry;
    let is_foreign = |place: &usize| {
        query.is_elsewhere(entry(place).domain.as_deref()) && ranked.candidates[*place].fit < FOREIGN_FROM
    };
    let best = ranked.order.first().map_or(0.0, |first| ranked.candidates[*first].fit);
    let is_near = |place: &&usize| ranked.candidates[**place].fit >= NEAR * best;
    let near = ranked.order.iter().filter(is_near).take(MAX_NEAR).filter(|place| !group.contains(place));
    let own = |place: &&usize| !is_foreign(place);
    let (mut group, mut near): (Vec<&Entry>, Vec<&Entry>) =
        (group.iter().filter(own).map(entry).collect(), near.filter(own).map(entry).collect());
    let failing: Vec<&Entry> =
        group.iter().chain(&near).copied().filter(|entry| entry.state == State::Failure).collect();
    let is_comparable = |entry: &&Entry| {
        entry.state != State::Success || failing.iter().any(|other| goes_along(&tools(entry), &tools(other)))
    };
    group.retain(is_comparable);
    near.retain(is_comparable);
    let group = Sides::new(group.into_iter());
    let around = Sides::new(near.into_iter());
    let mut found = group.contrasts(&around, shard);
    found.retain(|contrast| contrast.probability >= MIN_PROBABILITY && !query.done.contains(&contrast.tool));
    // Stable: among equals the tool that comes first in the alphabet.
    found.sort_by(|a, b| b.score.total_cmp(&a.score));
    found.truncate(MAX_CONTRASTS);
    found
}

fn tools(entry: &Entry) -> Vec<&str> {
    entry.tools.iter().map(|used| used.name.as_ref()).collect()
}

impl<'s> Sides<'s> {
    fn new(members: impl Iterator<Item = &'s Entry>) -> Self {
        let mut sides = Self { failing: Vec::new(), succeeding: Vec::new(), tools: BTreeMap::new() };
        for entry in members.filter(|entry| entry.state.is_completed()) {
            match entry.state {
                State::Failure => sides.failing.push(entry),
                State::Success => sides.succeeding.push(entry),
                _ => {}
            }
            for used in &entry.tools {
                let users = sides.tools.entry(used.name.clone()).or_default();
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
        sides
    }

    /// Returns the contrasts of a group, given the episodes around it.
    fn contrasts(&self, around: &Sides<'_>, shard: &Shard) -> Vec<Contrast> {
        let none = Users::default();
        let mut found = Vec::new();
        for (tool, users) in &self.tools {
            let others = around.tools.get(tool).unwrap_or(&none);
            found.extend(self.used(around, shard, tool, users, others));
            found.extend(self.omitted(around, shard, tool, users, others));
        }
        for (tool, others) in around.tools.iter().filter(|(tool, _)| !self.tools.contains_key(*tool)) {
            found.extend(self.used(around, shard, tool, &none, others));
        }
        found
    }

    fn used(
        &self,
        around: &Sides<'_>,
        shard: &Shard,
        tool: &str,
        users: &Users<'_>,
        others: &Users<'_>,
    ) -> Option<Contrast> {
        let figures = shard.census.tool(tool);
        // Around the group it must be a tool of failures alone.
        let of_failures = figures.failures == figures.episodes;
        let failing = [&users.failing[..], &others.failing[..]].concat();
        let succeeding = [&self.succeeding[..], &around.succeeding[..]].concat();
        let succeeded = users.succeeding.len() + others.succeeding.len();
        if failing.len() < MIN_FAILING || users.failing.is_empty() && !of_failures {
            return None;
        }
        let all_failing = (self.failing.len() + around.failing.len()) as f64;
        let share = |count: usize, all: f64| count as f64 / all.max(1.0);
        let told_apart = if succeeding.is_empty() {
            of_failures && 2 * figures.episodes as usize <= shard.census.completed()
        } else {
            let all = succeeding.len() as f64;
            share(succeeded, all) <= COMMON * share(failing.len(), all_failing)
        };
        if !told_apart {
            return None;
        }
        let (failed, succeeded) = (users.failing.len() as f64, users.succeeding.len() as f64);
        let users_elsewhere = f64::from(figures.episodes - users.completed);
        let failures_elsewhere = f64::from(figures.failures) - failed;
        let elsewhere = (1.0 + failures_elsewhere) / (2.0 + users_elsewhere);
        let probability = (failed + PRIOR * elsewhere) / (failed + succeeded + PRIOR);
        let factor = match () {
            () if failing.iter().all(|entry| came_late(entry, tool, &succeeding)) => LATE_FACTOR,
            () if users.failed_call || others.failed_call => ERROR_FACTOR,
            () => 1.0,
        };
        let covered = if users.failing.is_empty() {
            share(failing.len(), all_failing)
        } else {
            share(users.failing.len(), self.failing.len() as f64)
        };
        Some(Contrast {
            tool: tool.to_owned(),
            omitted: false,
            probability,
            score: probability * rarity(shard, tool, users) * covered * factor,
            failing: keys(shard, &failing),
            succeeding: keys(
                shard,
                &without(&succeeding, &[&users.succeeding[..], &others.succeeding[..]].concat()),
            ),
        })
    }

    /// Episodes that stopped at an error before they could reach the tool did not fail for lack of it; nor is a
    /// tool needed that half of the successes do not use.
    fn omitted(
        &self,
        around: &Sides<'_>,
        shard: &Shard,
        tool: &str,
        users: &Users<'_>,
        others: &Users<'_>,
    ) -> Option<Contrast> {
        let mut failing = without(&self.failing, &users.failing);
        failing.retain(|entry| !stopped_before(entry, tool, &users.succeeding));
        let with = users.succeeding.len() + others.succeeding.len();
        let all = self.succeeding.len() + around.succeeding.len();
        if failing.len() < MIN_FAILING || users.succeeding.is_empty() || 2 * with <= all {
            return None;
        }
        let (failed, succeeded) = (failing.len() as f64, users.succeeding.len() as f64);
        let all_succeeding = self.succeeding.len() as f64;
        let probability = (failed + 1.0) / (failed + all_succeeding - succeeded + 2.0);
        let covered = failed / self.failing.len() as f64 * succeeded / all_succeeding;
        Some(Contrast {
            tool: tool.to_owned(),
            omitted: true,
            probability,
            score: probability * rarity(shard, tool, users) * covered,
            failing: keys(shard, &failing),
            succeeding: keys(shard, &users.succeeding),
        })
    }
}

/// Returns how rare a tool is elsewhere; at least 0.
fn rarity(shard: &Shard, tool: &str, users: &Users<'_>) -> f64 {
    let elsewhere = f64::from(shard.census.tool(tool).episodes - users.completed);
    ((1 + shard.census.completed()) as f64 / (1.0 + elsewhere)).ln()
}

fn keys(shard: &Shard, entries: &[&Entry]) -> Vec<Key> {
    entries.iter().map(|entry| shard.key(entry)).collect()
}

fn without<'s>(all: &[&'s Entry], users: &[&Entry]) -> Vec<&'s Entry> {
    all.iter().copied().filter(|entry| !users.iter().any(|user| user.id == entry.id)).collect()
}

/// Returns true if a failed episode used a tool only after the failure of another one that most successes with
/// that tool never had: the actual error came earlier.
fn came_late(entry: &Entry, tool: &str, succeeding: &[&Entry]) -> bool {
    let used = entry.tools.iter().take_while(|used| &*used.name != tool);
    used.filter(|used| used.failed).any(|failed| {
        let same = |other: &&&Entry| other.tools.iter().any(|used| used.name == failed.name);
        let saw = |other: &&&Entry| other.tools.iter().any(|used| used.name == failed.name && used.failed);
        let with = succeeding.iter().filter(same).count();
        2 * succeeding.iter().filter(saw).count() < with
    })
}

/// Returns true if an episode stopped at the failure of a tool after which others, that succeeded, used this
/// one: none of the tools that it used later is one that they use later.
fn stopped_before(entry: &Entry, tool: &str, succeeding: &[&Entry]) -> bool {
    let place = |other: &Entry, name: &str| other.tools.iter().position(|used| &*used.name == name);
    let later = |name: &str, than: &str| {
        let after = |other: &&&Entry| place(other, than).is_some_and(|at| place(other, name) > Some(at));
        succeeding.iter().filter(after).count()
    };
    entry.tools.iter().enumerate().any(|(at, failed)| {
        let both = succeeding.iter().filter(|other| place(other, &failed.name).is_some()).count();
        failed.failed
            && both > 0
            && 2 * later(tool, &failed.name) >= both
            && entry.tools[at + 1..].iter().all(|used| later(&used.name, &failed.name) == 0)
    })
}
