//! Recomputing items from their evidence, and removing those without any.

use memory_core::{Decision, Entity, Evidence, FailureId, ItemId, Kind, Remedy, Standing, Tally, Timestamp};

use super::{Changes, Consolidator, Known, reaches, tallies};
use crate::confidence::Confidence;
use crate::confidence::pattern_confidence;
use crate::demotion::standing;
use crate::heuristics::prune::{is_prunable, prune};

/// A change of confidence below this is not worth a write.
const NOTABLE: f64 = 0.005;

impl Consolidator {
    /// Recomputes an item from its evidence as of now, or removes it.
    pub(super) fn recount(
        &mut self,
        item: ItemId,
        Known { evidence, complete }: Known<'_>,
        baseline: &dyn Fn(Option<&str>) -> Tally,
    ) -> Changes {
        if let ItemId::Failure(id) = item {
            return self.recount_failure(id, Known { evidence, complete });
        }
        let (now, model) = (self.now, self.confidence.clone());
        let (observed, used) = tallies(evidence.iter().filter(|piece| piece.item == item), &model);
        let Some((known, known_used, created_at, domain)) = self.figures(item) else {
            return Changes::default();
        };
        // If the item's first observation is missing, evidence has expired under other settings.
        let complete = complete && reaches(evidence, item, created_at);
        let of = |read: Tally, known: Tally| if complete { read } else { at_least(read, known) };
        let (observed, used) = (of(observed, known), of(used, known_used));
        let last_heard = used.as_of.max(created_at);
        let standing = standing(&used, &baseline(domain.as_deref()), now, &model);
        match item {
            ItemId::Pattern(id) => {
                let Some((pattern, _)) = self.patterns.get_mut(&id) else { return Changes::default() };
                let confidence = pattern_confidence(&pattern.body, &observed, now, &model);
                let pinned = pattern.ruling == Some(Decision::Pinned);
                if !pinned && is_prunable(&observed, confidence, last_heard, now, &self.config, &model) {
                    let note =
                        format!("pruned pattern {id} ({}): {}", pattern.strategy, why(&observed, confidence));
                    self.patterns.remove(&id);
                    return removed(item, evidence, note);
                }
                let was = Figures::of(&[&pattern.tally, &pattern.used], pattern.confidence, pattern.standing);
                (pattern.tally, pattern.used, pattern.confidence) = (observed, used, confidence);
                pattern.standing = if pinned { Standing::Active } else { standing };
                pattern.updated_at = now;
                let is = Figures::of(&[&pattern.tally, &pattern.used], pattern.confidence, pattern.standing);
                changed(was, is, id.to_string(), || pattern.clone().into())
            }
            ItemId::Playbook(id) => {
                let Some(playbook) = self.playbooks.get_mut(&id) else { return Changes::default() };
                let confidence = observed.lower_bound(now, &model);
                let pinned = playbook.ruling == Some(Decision::Pinned);
                if !pinned && is_prunable(&observed, confidence, last_heard, now, &self.config, &model) {
                    let note =
                        format!("pruned playbook {:?}: {}", playbook.title, why(&observed, confidence));
                    self.playbooks.remove(&id);
                    return removed(item, evidence, note);
                }
                let was =
                    Figures::of(&[&playbook.tally, &playbook.used], playbook.confidence, playbook.standing);
                (playbook.tally, playbook.used, playbook.confidence) = (observed, used, confidence);
                playbook.standing = if pinned { Standing::Active } else { standing };
                playbook.updated_at = now;
                let is =
                    Figures::of(&[&playbook.tally, &playbook.used], playbook.confidence, playbook.standing);
                changed(was, is, id.to_string(), || playbook.clone().into())
            }
            ItemId::Heuristic(id) => {
                let Some(rule) = self.heuristics.get_mut(&id) else { return Changes::default() };
                let was = Figures::of(&[&rule.used], rule.confidence, rule.standing);
                // Its counts are those of the episodes, not of evidence records: only time changes its
                // confidence.
                rule.confidence = rule.tally.lower_bound(now, &model);
                rule.used = used;
                if !prune(std::slice::from_ref(rule), now, &self.config, &model).is_empty() {
                    let note =
                        format!("pruned heuristic {:?}: {}", rule.action, why(&rule.tally, rule.confidence));
                    self.heuristics.remove(&id);
                    return removed(item, evidence, note);
                }
                let floor = if self.losers.contains(&id) { Standing::Demoted } else { Standing::Active };
                rule.standing = if rule.is_pinned() { Standing::Active } else { standing.max(floor) };
                rule.updated_at = now;
                let is = Figures::of(&[&rule.used], rule.confidence, rule.standing);
                changed(was, is, id.to_string(), || rule.clone().into())
            }
            _ => Changes::default(),
        }
    }

    /// Recounts the episodes of a lesson, or removes it. It has no confidence: each of its remedies is judged
    /// by its own results.
    fn recount_failure(&mut self, id: FailureId, Known { evidence, complete }: Known<'_>) -> Changes {
        let item = ItemId::Failure(id);
        let (observed, used) = tallies(evidence.iter().filter(|piece| piece.item == item), &self.confidence);
        let Some(failure) = self.failures.get_mut(&id) else { return Changes::default() };
        let last_heard = used.as_of.max(observed.as_of).max(failure.last_at);
        let pinned =
            failure.ruling == Some(Decision::Pinned) || failure.remedies.iter().any(Remedy::is_pinned);
        if !pinned && self.now.since(last_heard) >= self.config.stale_after {
            let note = format!("pruned failure lesson {:?}: last on {last_heard}", failure.error);
            self.failures.remove(&id);
            return removed(item, evidence, note);
        }
        let complete = complete && reaches(evidence, item, failure.first_at);
        let known = (failure.occurrences, failure.resolved);
        if complete || observed.count() > failure.occurrences {
            (failure.occurrences, failure.resolved) = (observed.count(), observed.successes);
            failure.last_at = failure.last_at.max(observed.as_of);
        }
        if known == (failure.occurrences, failure.resolved) {
            return Changes::default();
        }
        Changes { write: vec![(id.to_string(), failure.clone().into())], ..Changes::default() }
    }

    /// Returns the known counts of an item, its creation time, and its domain.
    fn figures(&self, item: ItemId) -> Option<(Tally, Tally, Timestamp, Option<String>)> {
        match item {
            ItemId::Pattern(id) => {
                let (held, _) = self.patterns.get(&id)?;
                Some((held.tally, held.used, held.created_at, held.domain.clone()))
            }
            ItemId::Playbook(id) => {
                let held = self.playbooks.get(&id)?;
                Some((held.tally, held.used, held.created_at, held.domain.clone()))
            }
            ItemId::Heuristic(id) => {
                let held = self.heuristics.get(&id)?;
                Some((held.tally, held.used, held.created_at, held.domain.clone()))
            }
            _ => None,
        }
    }
}

/// Returns the counts of the evidence read, or the known ones if they are higher: unreachable evidence must not
/// be discarded.
fn at_least(read: Tally, known: Tally) -> Tally {
    if read.count() < known.count() { known } else { read }
}

fn why(tally: &Tally, confidence: f64) -> String {
    format!(
        "{} for, {} against, last on {}, confidence {confidence:.2}",
        tally.successes, tally.failures, tally.as_of
    )
}

/// Removes an item with the evidence on it.
fn removed(item: ItemId, evidence: &[Evidence], note: String) -> Changes {
    let mut remove = vec![(item.kind(), item.record_id())];
    let own = evidence.iter().filter(|piece| piece.item == item);
    remove.extend(own.map(|piece| (Kind::Evidence, piece.record_id())));
    Changes { remove, pruned: 1, notes: vec![note], ..Changes::default() }
}

/// The values of an item that a recount may change.
#[derive(Debug, Clone, PartialEq)]
struct Figures {
    /// Successes and failures of its counts.
    counts: Vec<(u32, u32)>,
    confidence: f64,
    standing: Standing,
}

impl Figures {
    fn of(tallies: &[&Tally], confidence: f64, standing: Standing) -> Self {
        let counts = tallies.iter().map(|tally| (tally.successes, tally.failures)).collect();
        Self { counts, confidence, standing }
    }
}

/// Writes an item whose figures have changed. Two processes that learn at once write over each other's counts,
/// which are right again only once they are written as the evidence has them, however little that does to the
/// confidence.
fn changed(was: Figures, is: Figures, id: String, entity: impl FnOnce() -> Entity) -> Changes {
    let notable = (was.confidence - is.confidence).abs() >= NOTABLE || was.standing != is.standing;
    if !notable && was.counts == is.counts {
        return Changes::default();
    }
    Changes { write: vec![(id, entity())], decayed: u32::from(notable), ..Changes::default() }
}
