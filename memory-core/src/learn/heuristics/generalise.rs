//! One general heuristic in place of several special ones.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use crate::clock::Timestamp;
use crate::id::{EpisodeId, HeuristicId};
use crate::learn::belief::BeliefConfig;
use crate::learn::heuristics::{NAMED_EPISODES, common, id_of, implies, parts, refresh};
use crate::model::evidence::{Standing, Tally};
use crate::model::heuristic::{Advice, Heuristic, Premise};

/// Special heuristics that it takes: two may share a word by chance.
const SPECIAL_FROM: usize = 3;
/// The best-supported heuristics of a tool that are compared, pair by pair.
const COMPARED: usize = 256;

/// Finds general heuristics: where at least three special ones of a domain give the same advice, share a part of their
/// conditions, and have compatible evidence (the success of all together lies within the interval of each).
///
/// The figures of the result are estimates from those of the special ones, until they are computed from the episodes:
/// the weight is the least of theirs, as dropping a condition never tells more, and episodes that several name count
/// once. What is rejected or withheld is neither generalised nor brought back in a general form that was rejected.
pub(crate) fn generalise(heuristics: &[Heuristic], now: Timestamp, config: &BeliefConfig) -> Vec<Heuristic> {
    let known: HashSet<HeuristicId> = heuristics.iter().map(|heuristic| heuristic.id).collect();
    let mut groups: BTreeMap<(Option<&str>, Advice, &str), Vec<&Heuristic>> = BTreeMap::new();
    for rule in heuristics.iter().filter(|rule| !rule.rejected && rule.standing != Standing::Withheld) {
        groups.entry((rule.domain.as_deref(), rule.advice, &rule.tool)).or_default().push(rule);
    }
    let mut general = Vec::new();
    for group in groups.into_values() {
        general.extend(generalise_group(group, &known, now, config));
    }
    general
}

fn generalise_group(
    mut group: Vec<&Heuristic>,
    known: &HashSet<HeuristicId>,
    now: Timestamp,
    config: &BeliefConfig,
) -> Vec<Heuristic> {
    group.sort_by(|a, b| b.tally.weight().total_cmp(&a.tally.weight()).then(a.id.cmp(&b.id)));
    group.truncate(COMPARED);
    let mut premises = BTreeSet::new();
    for (at, a) in group.iter().enumerate() {
        let shared = group[at + 1..].iter().map(|b| common(&a.condition, &b.condition));
        premises.extend(shared.filter(|premise| parts(premise) > 0));
    }
    let special_of = |premise: &Premise, free: &[&Heuristic]| -> usize {
        free.iter().filter(|rule| is_special(rule, premise)).count()
    };
    // The widest first; of equally wide ones the one that keeps most of the condition.
    let mut candidates: Vec<(usize, Premise)> =
        premises.into_iter().map(|premise| (special_of(&premise, &group), premise)).collect();
    candidates.sort_by(|(a_wide, a), (b_wide, b)| {
        b_wide.cmp(a_wide).then(parts(b).cmp(&parts(a))).then_with(|| a.cmp(b))
    });
    let mut general = Vec::new();
    for (_, premise) in candidates {
        let special: Vec<&Heuristic> =
            group.iter().copied().filter(|rule| is_special(rule, &premise)).collect();
        let Some(first) = special.first() else { continue };
        if special.len() < SPECIAL_FROM
            || known.contains(&id_of(first.domain.as_deref(), &premise, first.advice, &first.tool))
            || !are_compatible(&special, now, config)
        {
            continue;
        }
        general.push(replace(&special, premise, now, config));
        let used: HashSet<HeuristicId> = special.iter().map(|rule| rule.id).collect();
        group.retain(|rule| !used.contains(&rule.id));
    }
    general
}

fn is_special(rule: &Heuristic, premise: &Premise) -> bool {
    rule.condition != *premise && implies(&rule.condition, premise)
}

fn are_compatible(special: &[&Heuristic], now: Timestamp, config: &BeliefConfig) -> bool {
    let together = pooled(special, config).mean(now, config);
    special.iter().all(|rule| {
        let (low, high) = rule.tally.interval(now, config);
        (low..=high).contains(&together)
    })
}

fn pooled(special: &[&Heuristic], config: &BeliefConfig) -> Tally {
    special.iter().fold(Tally::default(), |sum, rule| sum.merge(&rule.tally, config))
}

fn replace(special: &[&Heuristic], condition: Premise, now: Timestamp, config: &BeliefConfig) -> Heuristic {
    let first = special[0];
    let supporting = newest(special.iter().flat_map(|rule| &rule.supporting));
    let contradicting = newest(special.iter().flat_map(|rule| &rule.contradicting));
    let named: usize = special.iter().map(|rule| rule.supporting.len() + rule.contradicting.len()).sum();
    let distinct = supporting.len() + contradicting.len();
    let once = if named == 0 { 1.0 } else { distinct as f64 / named as f64 };
    let mut tally = pooled(special, config);
    tally.success_weight *= once;
    tally.failure_weight *= once;
    let counted = |count: u32| (f64::from(count) * once).round() as u32;
    (tally.successes, tally.failures) = (counted(tally.successes), counted(tally.failures));

    let mut general = Heuristic {
        id: id_of(first.domain.as_deref(), &condition, first.advice, &first.tool),
        condition,
        used: special.iter().fold(Tally::default(), |sum, rule| sum.merge(&rule.used, config)),
        standing: special.iter().map(|rule| rule.standing).max().unwrap_or_default(),
        weight: special.iter().map(|rule| rule.weight).fold(f64::INFINITY, f64::min),
        supporting: supporting.into_iter().take(NAMED_EPISODES).collect(),
        contradicting: contradicting.into_iter().take(NAMED_EPISODES).collect(),
        generalises: special.iter().map(|rule| rule.id).collect(),
        pinned: false,
        created_at: now,
        updated_at: now,
        ..first.clone()
    };
    general.generalises.sort();
    refresh(&mut general, tally, now, config);
    general
}

/// Returns each episode once, the newest first: identifiers are in order of time.
fn newest<'a>(episodes: impl Iterator<Item = &'a EpisodeId>) -> Vec<EpisodeId> {
    let distinct: BTreeSet<EpisodeId> = episodes.copied().collect();
    distinct.into_iter().rev().collect()
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::learn::heuristics::tests::heuristic;

    const NOW: Timestamp = Timestamp(1_000);

    fn check(rules: &[Heuristic], expected: &[(&str, usize)]) -> Vec<Heuristic> {
        let config = BeliefConfig::default();
        let general = generalise(rules, NOW, &config);
        let mut reversed = rules.to_vec();
        reversed.reverse();
        assert_eq!(general, generalise(&reversed, NOW, &config));
        let found: Vec<(String, usize)> =
            general.iter().map(|rule| (rule.condition.terms.join(" "), rule.generalises.len())).collect();
        let expected: Vec<(String, usize)> = expected.iter().map(|(t, n)| ((*t).to_owned(), *n)).collect();
        assert_eq!(found, expected);
        general
    }

    fn rule(terms: &[&str], for_it: u32, against: u32) -> Heuristic {
        heuristic(terms, Advice::Use, "t", for_it, against)
    }

    #[test]
    fn three_compatible_special_rules_make_a_general_one() {
        let special = [rule(&["a", "b"], 8, 2), rule(&["a", "c"], 9, 1), rule(&["a", "d"], 7, 2)];
        let general = check(&special, &[("a", 3)]);
        assert!(general[0].confidence > special[0].confidence);
        assert_eq!(general[0].tally.count(), 29);

        check(&special[..2], &[]);
        let [one, two, _] = special.clone();
        check(&[one.clone(), two.clone(), rule(&["a", "d"], 1, 12)], &[]);
        check(&[one.clone(), two.clone(), heuristic(&["a", "d"], Advice::Avoid, "t", 7, 2)], &[]);
        check(&[one.clone(), two.clone(), heuristic(&["a", "d"], Advice::Use, "s", 7, 2)], &[]);
        check(&[one, two, Heuristic { rejected: true, ..rule(&["a", "d"], 7, 2) }], &[]);
        // It is there, and may be so because somebody rejected it.
        check(&[&special[..], &[Heuristic { rejected: true, ..rule(&["a"], 1, 1) }]].concat(), &[]);
    }

    #[test]
    fn as_much_of_the_condition_is_kept_as_all_share() {
        let special =
            [rule(&["a", "b", "c"], 8, 2), rule(&["a", "b", "d"], 9, 1), rule(&["a", "b", "e"], 7, 2)];
        check(&special, &[("a b", 3)]);
    }

    #[test]
    fn shared_episodes_count_once() {
        let episodes: Vec<EpisodeId> = (0..10).map(|n| EpisodeId(Uuid::from_u128(n))).collect();
        let special = ["b", "c", "d"]
            .map(|term| Heuristic { supporting: episodes.clone(), ..rule(&["a", term], 10, 0) });
        let general = check(&special, &[("a", 3)]);
        assert_eq!((general[0].tally.successes, general[0].supporting.len()), (10, 10));
        assert!(general[0].confidence < special[0].confidence + 0.02);
    }
}
