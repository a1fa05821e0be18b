//! Ranks episodes by groups of near-identical ones.
//!
//! The text of one episode is noisy evidence of its task, and several attempts at the same task are better
//! evidence, so an episode scores as its group does. Similar episodes are searched among the candidates of the
//! query, in the current state of the index: nothing about groups is stored, so answers do not depend on the
//! history of changes, and an episode that the query excludes is in no group.

mod contrast;
mod forecast;
mod links;

use std::collections::HashMap;
use std::sync::Arc;

use memory_core::Timestamp;

use crate::lexical::entry::State;
use crate::lexical::shard::Shard;
use crate::query::RecallQuery;
use crate::rank::{Candidate, Hit, Search};

pub use contrast::Contrast;
use links::Links;

/// Candidates examined; more if the query asks for more.
const CANDIDATES: usize = 64;
/// The weight of an episode's own score on top of the mean of its group, so that members differ.
const OWN: f64 = 0.05;
/// The power of a task's mass by which its score is divided: a long task has more chance matches than BM25's
/// own normalisation compensates.
const MASS_POWER: f64 = 0.2;
/// The factor on the score of each repeat of a kind of task relative to the one before, so that another kind
/// with a similar score is shown, too.
const REPEAT: f64 = 0.97;

/// The age at which an episode counts as half as recent, in days; by default the evidence of learned items
/// fades at the same rate.
const RECENCY_HALF_LIFE_DAYS: f64 = 90.0;

/// The result of a search among episodes.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct EpisodeHits {
    /// The best episodes, best first.
    pub hits: Vec<Hit>,
    /// The expected success, in `0.0..=1.0`, and the weight of the evidence, in episodes; `None` if no relevant
    /// episode was completed, and for a query of some outcomes only.
    pub forecast: Option<(f64, f64)>,
    /// The differences between failures and successes of the best group, the most discriminating first.
    pub contrasts: Vec<Contrast>,
}

/// Finds the best episodes of a shard. The fit of each is the mean over its group plus a small share of its
/// own. A low reward and age lower its score slightly, and after one of a group the others rank below another
/// group of about the same score. Among equals the one with more common words comes first, then the higher
/// reward, then the newer key.
pub(crate) fn search(
    shard: &Shard,
    query: &RecallQuery,
    now: Timestamp,
    semantic: &HashMap<Arc<str>, f32>,
) -> EpisodeHits {
    let limit = query.limit.min(RecallQuery::MAX_LIMIT);
    if limit == 0 {
        return EpisodeHits::default();
    }
    let search = Search::new(shard, query, now, semantic);
    let candidates = search.best(CANDIDATES.max(limit));
    if candidates.is_empty() {
        return EpisodeHits::default();
    }
    let ranked = Ranked::new(&search, candidates);
    let groups = ranked.groups();
    let every_outcome = query.outcomes.is_empty();
    EpisodeHits {
        hits: ranked.hits(&search, limit),
        forecast: if every_outcome { forecast::forecast(&ranked, &groups) } else { None },
        contrasts: groups
            .first()
            .map_or_else(Vec::new, |group| contrast::contrasts(&ranked, shard, group, query)),
    }
}

/// The candidates with the scores of their groups.
struct Ranked<'s> {
    /// With the parts and the score of the group.
    candidates: Vec<Candidate<'s>>,
    /// Places among the candidates, best first.
    order: Vec<usize>,
    links: Links,
}

impl<'s> Ranked<'s> {
    fn new(search: &Search<'s>, mut candidates: Vec<Candidate<'s>>) -> Self {
        let (links, masses) = links::find(search, &candidates);
        let mean_mass = masses.iter().sum::<f64>() / masses.len() as f64;
        let mut shares: Vec<f64> = candidates
            .iter()
            .zip(&masses)
            .map(|(candidate, mass)| {
                let long = if *mass > 0.0 { (mass / mean_mass).powf(MASS_POWER) } else { 1.0 };
                search.share_beyond(candidate.raw) / long
            })
            .collect();
        let best = shares.iter().copied().fold(1.0, f64::max);
        shares.iter_mut().for_each(|share| *share /= best);
        let cosines: Option<Vec<f64>> = candidates.iter().map(|candidate| candidate.parts.semantic).collect();
        for (place, candidate) in candidates.iter_mut().enumerate() {
            candidate.parts.support = over_group(&shares, place, links.linked(place));
            candidate.parts.semantic =
                cosines.as_deref().map(|cosines| over_group(cosines, place, links.linked(place)));
            let entry = candidate.entry;
            let reward = f64::from(entry.score.max(0.0));
            let is_open = entry.state == State::Open;
            candidate.parts.reward = Some(if is_open { 0.5 } else { reward / (1.0 + reward) });
            // In whole days: a query repeated on the same day gets the same scores.
            let days = search.now.day().saturating_sub(entry.at.day()) as f64;
            candidate.parts.recency = Some(0.5_f64.powf(days / RECENCY_HALF_LIFE_DAYS));
            candidate.fit = candidate.parts.fit();
        }
        let mut ranked = Self { order: (0..candidates.len()).collect(), candidates, links };
        let mut order = std::mem::take(&mut ranked.order);
        order.sort_by(|a, b| ranked.compare(*a, *b, |place| ranked.candidates[place].fit));
        ranked.order = order;
        ranked
    }

    /// Better first.
    fn compare(&self, a: usize, b: usize, score: impl Fn(usize) -> f64) -> std::cmp::Ordering {
        let by_score = score(b).total_cmp(&score(a));
        let (a, b) = (&self.candidates[a], &self.candidates[b]);
        let by_words = by_score.then(b.raw.total_cmp(&a.raw));
        by_words.then(b.entry.score.total_cmp(&a.entry.score)).then_with(|| b.entry.id.cmp(&a.entry.id))
    }

    /// Returns the candidates in groups, the best first; each is in one group, with all that is linked with the
    /// group's first.
    fn groups(&self) -> Vec<Vec<usize>> {
        let mut grouped = 0_u128;
        let mut groups = Vec::new();
        for &first in &self.order {
            if grouped & (1 << first) != 0 {
                continue;
            }
            let members = (self.links.alike(first) | 1 << first) & !grouped;
            grouped |= members;
            let others =
                self.order.iter().copied().filter(|place| *place != first && members & (1 << place) != 0);
            groups.push(std::iter::once(first).chain(others).collect());
        }
        groups
    }

    fn hits(&self, search: &Search<'_>, limit: usize) -> Vec<Hit> {
        let mut weights = vec![1.0; self.candidates.len()];
        let mut left = self.order.clone();
        let mut hits = Vec::with_capacity(limit.min(left.len()));
        while hits.len() < limit {
            let score = |place: usize| self.candidates[place].parts.score() * weights[place];
            let best = left.iter().copied().enumerate().min_by(|a, b| self.compare(a.1, b.1, score));
            let Some((at, place)) = best else { break };
            left.remove(at);
            hits.push(self.hit(search, place, score(place)));
            for &other in &left {
                if self.links.alike(place) & (1 << other) != 0 {
                    weights[other] *= REPEAT;
                }
            }
        }
        hits
    }

    fn hit(&self, search: &Search<'_>, place: usize, score: f64) -> Hit {
        let Candidate { slot, entry, parts, .. } = &self.candidates[place];
        let mut reasons = search.reasons(*slot, parts);
        let alike = self.links.alike(place);
        let tried = (0..self.candidates.len())
            .filter(|other| alike & (1 << other) != 0)
            .filter_map(|other| self.candidates[other].entry.state.success());
        let (count, successes) = tried
            .fold((0, 0), |(count, successes), success| (count + 1, successes + u32::from(success == 1.0)));
        if count > 0 {
            // For a failure the successes are the comparison.
            let failed = entry.state.success() == Some(0.0);
            reasons.push(match successes {
                0 => format!("{count} near-duplicates: none succeeded"),
                _ if failed => format!("{successes} of {count} alike succeeded where this failed: compare"),
                _ => format!("{count} near-duplicates: {successes} succeeded"),
            });
        }
        Hit { key: search.shard.key(entry), score, parts: *parts, reasons }
    }
}

/// Returns the mean of a value over a candidate and its links, with a higher weight for its own.
fn over_group(values: &[f64], own: usize, linked: &[u8]) -> f64 {
    let sum: f64 = values[own] + linked.iter().map(|other| values[usize::from(*other)]).sum::<f64>();
    (sum / (1 + linked.len()) as f64 + OWN * values[own]) / (1.0 + OWN)
}

/// Returns true unless two episodes with these tools do different things: more than half of the tools of the
/// one that uses fewer are used by the other, too. Texts with the same names may ask for anything.
pub fn goes_along(one: &[&str], other: &[&str]) -> bool {
    let shared = one.iter().filter(|tool| other.contains(tool)).count();
    let fewer = one.len().min(other.len());
    fewer == 0 || 2 * shared > fewer
}

#[cfg(test)]
mod tests;
