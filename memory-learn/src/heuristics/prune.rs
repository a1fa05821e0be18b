//! Selects items that are not worth keeping.

use memory_core::{Heuristic, HeuristicId, Tally, Timestamp};

use crate::confidence::{Confidence, ConfidenceConfig};
use crate::consolidate::ConsolidationConfig;

/// Returns the heuristics to remove: those whose lower bound is under the floor although there is enough
/// evidence, and those without new evidence for a long time.
///
/// An item with a ruling stays, so that people can see and withdraw the ruling.
pub(crate) fn prune(
    heuristics: &[Heuristic],
    now: Timestamp,
    config: &ConsolidationConfig,
    confidence: &ConfidenceConfig,
) -> Vec<HeuristicId> {
    let mut pruned: Vec<HeuristicId> = heuristics
        .iter()
        .filter(|heuristic| heuristic.ruling.is_none())
        .filter(|heuristic| {
            let bound = heuristic.tally.lower_bound(now, confidence);
            let last_heard = heuristic.used.as_of.max(heuristic.created_at);
            is_prunable(&heuristic.tally, bound, last_heard, now, config, confidence)
        })
        .map(|heuristic| heuristic.id)
        .collect();
    pruned.sort();
    pruned
}

/// Returns true if enough evidence speaks against an item, or there was neither new evidence nor a use for long.
pub(crate) fn is_prunable(
    tally: &Tally,
    bound: f64,
    last_heard: Timestamp,
    now: Timestamp,
    config: &ConsolidationConfig,
    confidence: &ConfidenceConfig,
) -> bool {
    let is_refuted =
        tally.at(now, confidence).weight() >= config.prune_evidence && bound < config.prune_below;
    let is_stale = now.since(tally.as_of.max(last_heard)) >= config.stale_after;
    is_refuted || is_stale
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use memory_core::{Advice, Decision};

    use super::*;
    use crate::heuristics::fixtures::heuristic;

    #[test]
    fn what_is_refuted_or_stale_goes() {
        let day = Duration::from_secs(86_400);
        let check = |rule: Heuristic, days: u32, expected: bool| {
            let now = Timestamp(1_000).plus(day * days);
            let pruned = prune(
                std::slice::from_ref(&rule),
                now,
                &ConsolidationConfig::default(),
                &ConfidenceConfig::default(),
            );
            assert_eq!(!pruned.is_empty(), expected, "{:?} after {days} days", rule.tally);
        };
        let rule = |for_it, against| heuristic(&["a"], Advice::Use, "t", for_it, against);
        check(rule(8, 2), 0, false);
        check(rule(1, 9), 0, true);
        // Too little evidence to decide, at first and again once it has faded.
        check(rule(0, 2), 0, false);
        check(rule(1, 9), 180, false);
        check(rule(8, 2), 364, false);
        check(rule(8, 2), 366, true);
        let used = Tally { as_of: Timestamp(1_000).plus(day * 300), ..rule(1, 0).tally };
        check(Heuristic { used, ..rule(8, 2) }, 366, false);
        check(Heuristic { ruling: Some(Decision::Pinned), ..rule(1, 9) }, 400, false);
        check(Heuristic { ruling: Some(Decision::Rejected), ..rule(1, 9) }, 400, false);
    }
}
