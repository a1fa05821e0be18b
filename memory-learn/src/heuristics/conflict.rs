//! Heuristics that contradict each other, and which of them stays.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use memory_core::{Advice, EpisodeId, Heuristic, HeuristicId, Timestamp};

use crate::confidence::Confidence;
use crate::confidence::ConfidenceConfig;
use crate::heuristics::implies;

/// Episodes in which one tool was used instead of the other, from which the two exclude each other.
const EXCLUSIVE_FROM: usize = 2;
/// The better-supported of two stays alone if its lower bound is this much above the other's.
const MARGIN: f64 = 0.1;
/// The confidence from which a special rule counts as an exception from a contradicting general one.
const EXCEPTION: f64 = 0.5;

/// A conflict that evidence decides.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Demotion {
    /// The better-supported one.
    pub(crate) stays: HeuristicId,
    /// The one to demote.
    pub(crate) demoted: HeuristicId,
}

/// Resolves conflicts by evidence: the better-supported heuristic of each pair stays. If both are about equally
/// supported, both stay, and so do an exception and its rule. A ruling outranks evidence: a pinned heuristic is
/// never demoted.
pub(crate) fn resolve(heuristics: &[Heuristic], now: Timestamp, config: &ConfidenceConfig) -> Vec<Demotion> {
    let mut decisions: Vec<Demotion> = pairs(heuristics)
        .filter_map(|(a, b)| {
            if is_exception(a, b) || is_exception(b, a) || a.is_pinned() && b.is_pinned() {
                return None;
            }
            let bound = |rule: &Heuristic| rule.tally.lower_bound(now, config);
            let (stays, demoted) = if bound(a) >= bound(b) { (a, b) } else { (b, a) };
            if a.is_pinned() || b.is_pinned() {
                let (stays, demoted) = if a.is_pinned() { (a, b) } else { (b, a) };
                return Some(Demotion { stays: stays.id, demoted: demoted.id });
            }
            let decided = bound(stays) - bound(demoted) >= MARGIN;
            decided.then_some(Demotion { stays: stays.id, demoted: demoted.id })
        })
        .collect();
    decisions.sort_by_key(|decision| (decision.demoted, decision.stays));
    decisions
}

/// Returns the contradicting pairs, in order of their identifiers: conditions of one domain that are equal or
/// of which one implies the other, with opposite advice on one tool, or with different tools that exclude each
/// other. Rejected heuristics are ignored.
///
/// Tools exclude each other if several episodes that support the one contradict the other, and none supports both.
fn pairs(heuristics: &[Heuristic]) -> impl Iterator<Item = (&Heuristic, &Heuristic)> {
    let mut domains: BTreeMap<Option<&str>, Vec<&Heuristic>> = BTreeMap::new();
    for heuristic in heuristics.iter().filter(|heuristic| !heuristic.is_rejected()) {
        domains.entry(heuristic.domain.as_deref()).or_default().push(heuristic);
    }
    domains.into_values().flat_map(|mut held| {
        held.sort_by_key(|heuristic| heuristic.id);
        // A condition implies another only if it has the other's first term, or the other has none.
        let mut by_term: HashMap<Option<&str>, Vec<usize>> = HashMap::new();
        for (at, rule) in held.iter().enumerate() {
            by_term.entry(rule.condition.terms.first().map(String::as_str)).or_default().push(at);
        }
        let mut found = BTreeSet::new();
        for (special, rule) in held.iter().enumerate() {
            let terms = rule.condition.terms.iter().map(|term| Some(term.as_str()));
            let candidates = terms.chain([None]).filter_map(|term| by_term.get(&term)).flatten();
            found.extend(
                candidates
                    .filter(|general| **general != special && contradict(rule, held[**general]))
                    .map(|general| (special.min(*general), special.max(*general))),
            );
        }
        found.into_iter().map(move |(a, b)| (held[a], held[b])).collect::<Vec<_>>()
    })
}

/// Returns true if a rule contradicts one that holds wherever it does.
fn contradict(special: &Heuristic, general: &Heuristic) -> bool {
    let same_tool = special.tool == general.tool;
    let opposite = same_tool && special.advice != general.advice;
    let rivals = !same_tool && special.advice == Advice::Use && general.advice == Advice::Use;
    (opposite || rivals)
        && implies(&special.condition, &general.condition)
        && (opposite || exclude(special, general))
}

/// Returns true if a rule is a sure enough exception from another: it holds in some of its cases only.
fn is_exception(special: &Heuristic, general: &Heuristic) -> bool {
    special.condition != general.condition
        && implies(&special.condition, &general.condition)
        && (special.is_pinned() || special.confidence >= EXCEPTION)
}

fn exclude(a: &Heuristic, b: &Heuristic) -> bool {
    let shared = |left: &[EpisodeId], right: &[EpisodeId]| {
        let left: HashSet<_> = left.iter().collect();
        right.iter().filter(|episode| left.contains(episode)).count()
    };
    shared(&a.supporting, &b.supporting) == 0
        && shared(&a.supporting, &b.contradicting) + shared(&b.supporting, &a.contradicting) >= EXCLUSIVE_FROM
}

#[cfg(test)]
mod tests {
    use memory_core::Decision;
    use uuid::Uuid;

    use super::*;
    use crate::heuristics::fixtures::heuristic;

    const NOW: Timestamp = Timestamp(1_000);

    fn check(rules: [Heuristic; 2], conflict: bool, demoted: Option<usize>) {
        let names = format!("{} / {}", rules[0].condition, rules[1].condition);
        assert_eq!(pairs(&rules).count(), usize::from(conflict), "{names}");
        let reversed = [rules[1].clone(), rules[0].clone()];
        let decisions = resolve(&rules, NOW, &ConfidenceConfig::default());
        assert_eq!(decisions, resolve(&reversed, NOW, &ConfidenceConfig::default()));
        let expected = demoted.map(|at| Demotion { stays: rules[1 - at].id, demoted: rules[at].id });
        assert_eq!(decisions, expected.into_iter().collect::<Vec<_>>(), "{names}");
    }

    #[test]
    fn evidence_decides_between_opposites() {
        let rule = heuristic;
        let (yes, no) = (Advice::Use, Advice::Avoid);
        check([rule(&["a"], yes, "t", 20, 1), rule(&["a"], no, "t", 3, 3)], true, Some(1));
        check([rule(&["a"], yes, "t", 5, 2), rule(&["a"], no, "t", 5, 2)], true, None);
        check([rule(&["a"], yes, "t", 20, 1), rule(&["b"], no, "t", 3, 3)], false, None);
        check([rule(&["a"], yes, "t", 20, 1), rule(&["a"], yes, "t", 3, 3)], false, None);
        // A certain exception stays next to its rule; an uncertain one does not.
        check([rule(&["a"], yes, "t", 30, 1), rule(&["a", "b"], no, "t", 6, 0)], true, None);
        check([rule(&["a"], yes, "t", 30, 1), rule(&["a", "b"], no, "t", 2, 2)], true, Some(1));
    }

    #[test]
    fn rulings_outrank_evidence() {
        let strong = heuristic(&["a"], Advice::Use, "t", 30, 0);
        let weak = heuristic(&["a"], Advice::Avoid, "t", 1, 5);
        let pinned = |rule: &Heuristic| Heuristic { ruling: Some(Decision::Pinned), ..rule.clone() };
        check([strong.clone(), pinned(&weak)], true, Some(0));
        check([pinned(&strong), pinned(&weak)], true, None);
        check([Heuristic { ruling: Some(Decision::Rejected), ..strong }, weak], false, None);
    }

    #[test]
    fn tools_used_instead_of_each_other_are_rivals() {
        let episodes = |numbers: std::ops::Range<u128>| -> Vec<EpisodeId> {
            numbers.map(|n| EpisodeId(Uuid::from_u128(n))).collect()
        };
        let mut a = heuristic(&["a"], Advice::Use, "t", 12, 2);
        let mut b = heuristic(&["a"], Advice::Use, "s", 2, 12);
        (a.supporting, a.contradicting) = (episodes(0..12), episodes(12..14));
        (b.supporting, b.contradicting) = (episodes(12..14), episodes(0..12));
        check([a.clone(), b.clone()], true, Some(1));
        // Used together once, they do not exclude each other.
        b.supporting.push(EpisodeId(Uuid::from_u128(3)));
        check([a, b], false, None);
    }
}
