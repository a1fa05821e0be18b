//! One general heuristic in place of special ones.

use std::collections::BTreeMap;

use memory_core::{Advice, Heuristic, HeuristicId, Standing};

use crate::heuristics::implies;

/// A general heuristic, and the special ones that it stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Generalised {
    /// The general one.
    pub(crate) general: HeuristicId,
    /// The special ones, in order of ids.
    pub(crate) special: Vec<HeuristicId>,
}

/// Finds special heuristics that a general one of the same domain, advice and tool covers: their conditions
/// imply its condition, and they are not more certain. Both were measured over the same episodes, so that no
/// rule becomes general without evidence.
///
/// Rejected and withheld heuristics neither generalise nor are generalised; a pinned one stays next to the
/// general one. Of several general ones the most certain replaces a special one. The order of `heuristics` does
/// not matter.
pub(crate) fn generalise(heuristics: &[Heuristic]) -> Vec<Generalised> {
    let mut groups: BTreeMap<(Option<&str>, Advice, &str), Vec<&Heuristic>> = BTreeMap::new();
    for rule in heuristics.iter().filter(|rule| !rule.is_rejected() && rule.standing != Standing::Withheld) {
        groups.entry((rule.domain.as_deref(), rule.advice, &rule.tool)).or_default().push(rule);
    }
    let mut found: BTreeMap<HeuristicId, Vec<HeuristicId>> = BTreeMap::new();
    for group in groups.values() {
        for special in group.iter().filter(|rule| !rule.is_pinned()) {
            let general = group.iter().filter(|general| covers(general, special));
            let surest =
                general.max_by(|a, b| a.confidence.total_cmp(&b.confidence).then_with(|| b.id.cmp(&a.id)));
            if let Some(general) = surest {
                found.entry(general.id).or_default().push(special.id);
            }
        }
    }
    let in_order = |(general, mut special): (_, Vec<HeuristicId>)| {
        special.sort_unstable();
        Generalised { general, special }
    };
    found.into_iter().map(in_order).collect()
}

/// Returns true if one heuristic covers another completely, as the more general one.
pub fn covers(general: &Heuristic, special: &Heuristic) -> bool {
    general.condition != special.condition
        && implies(&special.condition, &general.condition)
        && general.confidence >= special.confidence
}

#[cfg(test)]
mod tests {
    use memory_core::Decision;

    use super::*;
    use crate::heuristics::fixtures::heuristic;

    fn rule(terms: &[&str], for_it: u32, against: u32) -> Heuristic {
        heuristic(terms, Advice::Use, "t", for_it, against)
    }

    fn check(rules: &[Heuristic], expected: &[(&str, &[&str])]) {
        let found = generalise(rules);
        let mut reversed = rules.to_vec();
        reversed.reverse();
        assert_eq!(found, generalise(&reversed));
        let terms = |id: HeuristicId| {
            let rule = rules.iter().find(|rule| rule.id == id);
            rule.map(|rule| rule.condition.terms.join(" ")).unwrap_or_default()
        };
        let mut found: Vec<(String, Vec<String>)> = found
            .iter()
            .map(|it| (terms(it.general), it.special.iter().map(|id| terms(*id)).collect()))
            .collect();
        found.iter_mut().for_each(|(_, special)| special.sort());
        found.sort();
        let owned = |terms: &[&str]| terms.iter().map(|term| (*term).to_owned()).collect::<Vec<_>>();
        let expected: Vec<_> = expected.iter().map(|(g, s)| ((*g).to_owned(), owned(s))).collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn a_special_rule_that_is_no_surer_goes_with_the_general_one() {
        let (general, surer, less_sure) =
            (rule(&["a"], 20, 4), rule(&["a", "b"], 40, 0), rule(&["a", "c"], 6, 1));
        check(&[general.clone(), surer.clone(), less_sure.clone()], &[("a", &["a c"])]);
        // Nothing is made up: without the measured general rule the special ones stay.
        check(&[rule(&["a", "b"], 8, 2), rule(&["a", "c"], 9, 1), rule(&["a", "d"], 7, 2)], &[]);
        // A general rule that holds a third of the time stands for none that nearly always do.
        check(&[rule(&["a"], 30, 60), rule(&["a", "b"], 10, 0), rule(&["a", "c"], 10, 0)], &[]);
        check(&[general.clone(), heuristic(&["a", "c"], Advice::Avoid, "t", 6, 1)], &[]);
        check(&[general.clone(), heuristic(&["a", "c"], Advice::Use, "s", 6, 1)], &[]);
        check(&[Heuristic { ruling: Some(Decision::Rejected), ..general.clone() }, less_sure.clone()], &[]);
        check(&[general.clone(), Heuristic { ruling: Some(Decision::Rejected), ..less_sure.clone() }], &[]);
        check(&[general, Heuristic { ruling: Some(Decision::Pinned), ..less_sure }], &[]);
    }

    #[test]
    fn the_surest_of_several_general_rules_stands_for_a_special_one() {
        let rules = [rule(&["a"], 20, 4), rule(&["b"], 40, 1), rule(&["a", "b"], 6, 1)];
        check(&rules, &[("b", &["a b"])]);
    }
}
