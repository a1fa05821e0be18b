//! Outcomes that a source states with numbers.

use serde_json::Value;

use crate::outcome::{Evidence, Outcome, Verdict, infer};
use crate::trajectory::Step;
use crate::transcript::{last_error, last_words};

/// Returns what a reward or a score says; `None` outside 0 to 1, where nothing tells what the scale is.
pub(crate) fn verdict(value: f64) -> Option<Verdict> {
    match value {
        0.0 => Some(Verdict::Failure),
        1.0 => Some(Verdict::Success),
        share if share > 0.0 && share < 1.0 => Some(Verdict::Partial(share)),
        _ => None,
    }
}

/// Returns an outcome that the source states.
pub(crate) fn of(steps: &[Step], verdict: Verdict, evidence: Vec<Evidence>) -> Outcome {
    Outcome {
        verdict: Some(verdict),
        confidence: 1.0,
        evidence,
        summary: last_words(steps),
        last_error: last_error(steps),
    }
}

/// Returns the outcome that the rewards in the evidence state, or else its scores. Where there are none, or they
/// disagree, nothing is stated and what happened decides.
pub(crate) fn outcome(steps: &[Step], evidence: Vec<Evidence>) -> Outcome {
    let of_kind = |rewards: bool| {
        let verdicts = evidence.iter().filter_map(move |fact| match fact {
            Evidence::Reward(value) if rewards => verdict(*value),
            Evidence::Score(_, value) if !rewards => verdict(*value),
            _ => None,
        });
        verdicts.collect::<Vec<_>>()
    };
    let rewards = of_kind(true);
    let verdicts = if rewards.is_empty() { of_kind(false) } else { rewards };
    match verdicts.split_first() {
        Some((first, rest)) if rest.iter().all(|other| other == first) => of(steps, *first, evidence),
        _ => inferred(steps, evidence),
    }
}

/// Infers an outcome from what happened. Rewards and scores are kept, but decide nothing: they disagree, or nothing
/// tells what they are of.
pub(crate) fn inferred(steps: &[Step], evidence: Vec<Evidence>) -> Outcome {
    let is_number = |fact: &Evidence| matches!(fact, Evidence::Reward(_) | Evidence::Score(..));
    let (numbers, facts): (Vec<_>, Vec<_>) = evidence.into_iter().partition(is_number);
    let mut outcome = infer(steps, None, facts);
    outcome.evidence.extend(numbers);
    outcome
}

/// Returns a score's value as a number: a number, a boolean, or a number in a string.
pub(crate) fn number(value: &Value) -> Option<f64> {
    match value {
        Value::Bool(passed) => Some(f64::from(u8::from(*passed))),
        Value::Number(number) => number.as_f64(),
        Value::String(text) => text.trim().parse().ok().filter(|number: &f64| number.is_finite()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn score(value: f64) -> Evidence {
        Evidence::Score("tests".into(), value)
    }

    #[test]
    fn rewards_decide_before_scores_and_scores_that_agree() {
        let check = |evidence: &[Evidence], expected: Option<Verdict>| {
            let found = outcome(&[], evidence.to_vec());
            let stated = found.verdict.filter(|_| found.confidence == 1.0);
            assert_eq!(stated, expected, "{evidence:?}");
            assert!(evidence.iter().all(|fact| found.evidence.contains(fact)));
        };
        check(&[Evidence::Reward(1.0), score(0.0)], Some(Verdict::Success));
        check(&[score(0.0), score(0.0)], Some(Verdict::Failure));
        check(&[score(0.5)], Some(Verdict::Partial(0.5)));
        check(&[score(0.0), score(1.0)], None);
        check(&[score(7.0)], None);
        check(&[], None);
    }

    #[test]
    fn numbers_of_scores() {
        let check = |value: Value, expected| assert_eq!(number(&value), expected, "{value}");
        check(json!(true), Some(1.0));
        check(json!("0.5"), Some(0.5));
        check(json!("NaN"), None);
        check(json!("good"), None);
        check(json!(2), Some(2.0));
    }
}
