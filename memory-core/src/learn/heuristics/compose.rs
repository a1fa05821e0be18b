//! What several heuristics that apply say together.

use std::collections::BTreeMap;

use crate::id::HeuristicId;
use crate::learn::demotion::score_share;
use crate::learn::heuristics::{implies, is_recalled, parts};
use crate::model::heuristic::{Advice, Heuristic};

/// However many conditions agree, they make no surer than 98 % (log odds of 4): they are less independent than adding
/// them up supposes.
const CAP: f64 = 4.0;
/// The confidence from which a special rule counts as an exception from a general one that says the opposite.
const EXCEPTION: f64 = 0.5;

/// What the heuristics that apply say about a tool.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct ToolScore {
    /// The tool.
    pub(crate) tool: String,
    /// The natural logarithm of the odds for the tool over what they would be otherwise, within ±4.
    pub(crate) log_odds: f64,
    /// The heuristics that count, the most telling first.
    pub(crate) heuristics: Vec<HeuristicId>,
}

/// Combines the heuristics that apply into one score a tool, the highest first.
///
/// Weights of evidence add up as log odds (I. J. Good, "Probability and the weighing of evidence", 1950), each scaled
/// by its confidence and signed by its advice. Of two conditions with the same advice of which one implies the other,
/// only the more telling counts; a condition that shares parts with those counted before counts for its new parts. A
/// special rule is an exception from a general one that says the opposite. What is rejected or withheld has no say.
pub(crate) fn compose(applicable: &[Heuristic]) -> Vec<ToolScore> {
    let mut tools: BTreeMap<&str, Vec<(f64, &Heuristic)>> = BTreeMap::new();
    for heuristic in applicable.iter().filter(|heuristic| is_recalled(heuristic)) {
        let says = tools.entry(&heuristic.tool).or_default();
        if !is_overruled(heuristic, applicable) {
            says.push((say(heuristic), heuristic));
        }
    }
    let mut scores: Vec<ToolScore> = tools
        .into_iter()
        .map(|(tool, mut says)| {
            says.sort_by(|(a, x), (b, y)| b.abs().total_cmp(&a.abs()).then(x.id.cmp(&y.id)));
            let mut counted: Vec<&Heuristic> = Vec::new();
            let mut log_odds = 0.0;
            for (say, heuristic) in says {
                let novelty = novelty(heuristic, &counted);
                if novelty > 0.0 {
                    log_odds += say * novelty;
                    counted.push(heuristic);
                }
            }
            let heuristics = counted.iter().map(|heuristic| heuristic.id).collect();
            ToolScore { tool: tool.to_owned(), log_odds: log_odds.clamp(-CAP, CAP), heuristics }
        })
        .filter(|score| !score.heuristics.is_empty())
        .collect();
    scores.sort_by(|a, b| b.log_odds.total_cmp(&a.log_odds).then_with(|| a.tool.cmp(&b.tool)));
    scores
}

fn say(heuristic: &Heuristic) -> f64 {
    let share = if heuristic.pinned { 1.0 } else { score_share(heuristic.standing) };
    let say = heuristic.weight * heuristic.confidence * share;
    match heuristic.advice {
        Advice::Use => say,
        Advice::Avoid => -say,
    }
}

/// Returns true if a more special rule that applies, too, says the opposite.
fn is_overruled(heuristic: &Heuristic, applicable: &[Heuristic]) -> bool {
    applicable.iter().filter(|other| is_recalled(other)).any(|other| {
        other.tool == heuristic.tool
            && other.advice != heuristic.advice
            && !heuristic.pinned
            && is_exception(other, heuristic)
    })
}

/// Returns true if a rule is a sure enough exception from another: it holds in some of its cases only.
pub(crate) fn is_exception(special: &Heuristic, general: &Heuristic) -> bool {
    special.condition != general.condition
        && implies(&special.condition, &general.condition)
        && (special.pinned || special.confidence >= EXCEPTION)
}

/// Returns how much of a condition is new beside those counted with the same advice, in `0.0..=1.0`.
fn novelty(heuristic: &Heuristic, counted: &[&Heuristic]) -> f64 {
    let condition = &heuristic.condition;
    let same =
        || counted.iter().filter(|other| other.advice == heuristic.advice).map(|other| &other.condition);
    if same().any(|other| implies(condition, other) || implies(other, condition)) {
        return 0.0;
    }
    let known = |own: &Option<String>, part: fn(&crate::Premise) -> &Option<String>| {
        own.is_some() && same().any(|other| part(other) == own)
    };
    let old = condition.terms.iter().filter(|term| same().any(|other| other.terms.contains(term))).count()
        + usize::from(known(&condition.task_kind, |other| &other.task_kind))
        + usize::from(known(&condition.after_tool, |other| &other.after_tool))
        + usize::from(known(&condition.error, |other| &other.error));
    1.0 - old as f64 / parts(condition).max(1) as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::learn::heuristics::tests::heuristic;
    use crate::model::evidence::Standing;

    /// A rule whose weight times confidence is as given.
    fn rule(terms: &[&str], advice: Advice, tool: &str, say: f64) -> Heuristic {
        Heuristic { confidence: 0.8, weight: say / 0.8, ..heuristic(terms, advice, tool, 20, 1) }
    }

    fn check(rules: &[Heuristic], expected: &[(&str, f64)]) {
        let mut reversed = rules.to_vec();
        reversed.reverse();
        let scores = compose(rules);
        assert_eq!(scores, compose(&reversed));
        let found: Vec<(&str, f64)> =
            scores.iter().map(|score| (score.tool.as_str(), (score.log_odds * 1e6).round() / 1e6)).collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn independent_conditions_add_up_within_the_cap() {
        let use_it = |terms: &[&str], say| rule(terms, Advice::Use, "t", say);
        check(&[], &[]);
        check(&[use_it(&["a"], 1.0), use_it(&["b"], 0.5)], &[("t", 1.5)]);
        check(&[use_it(&["a"], 3.0), use_it(&["b"], 3.0)], &[("t", CAP)]);
        check(&[use_it(&["a"], 1.0), rule(&["b"], Advice::Use, "s", 2.0)], &[("s", 2.0), ("t", 1.0)]);
        check(&[use_it(&["a"], 1.0), rule(&["b"], Advice::Avoid, "t", 1.5)], &[("t", -0.5)]);
    }

    #[test]
    fn correlated_conditions_count_once() {
        let use_it = |terms: &[&str], say| rule(terms, Advice::Use, "t", say);
        check(&[use_it(&["a"], 1.0), use_it(&["a", "b"], 0.5)], &[("t", 1.0)]);
        check(&[use_it(&["a"], 0.5), use_it(&["a", "b"], 1.0)], &[("t", 1.0)]);
        // Half of the second condition is new.
        check(&[use_it(&["a", "b"], 1.0), use_it(&["b", "c"], 0.5)], &[("t", 1.25)]);
    }

    #[test]
    fn exceptions_and_rulings_come_first() {
        let general = rule(&["a"], Advice::Use, "t", 2.0);
        let special = rule(&["a", "b"], Advice::Avoid, "t", 1.0);
        check(&[general.clone(), special.clone()], &[("t", -1.0)]);
        check(&[Heuristic { pinned: true, ..general.clone() }, special.clone()], &[("t", 1.0)]);
        check(&[general.clone(), Heuristic { rejected: true, ..special.clone() }], &[("t", 2.0)]);
        check(&[general.clone(), Heuristic { standing: Standing::Withheld, ..special }], &[("t", 2.0)]);
        check(&[Heuristic { standing: Standing::Demoted, ..general }], &[("t", 1.0)]);
    }
}
