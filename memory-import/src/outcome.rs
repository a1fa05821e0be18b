//! How a task ended: what the source says, or what it shows.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::trajectory::{Step, StepKind, ToolResult};
use crate::transcript::{last_error, last_words};

mod next_message;
mod test_run;

use next_message::Says;

/// How a task ended, with how sure that is and why.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Outcome {
    /// `None`: nothing says.
    pub verdict: Option<Verdict>,
    /// How likely the verdict is right, in `0.0..=1.0`; 1 where the source states it, 0 without a verdict.
    pub confidence: f64,
    /// What the verdict rests on, the weightiest first.
    pub evidence: Vec<Evidence>,
    /// What the agent said last; may be empty.
    pub summary: String,
    /// The last error that the agent met.
    pub last_error: Option<String>,
}

/// How a task ended.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// It was done.
    Success,
    /// This share of it was done.
    Partial(f64),
    /// It was not done.
    Failure,
    /// It was stopped before it was done.
    Abandoned,
}

/// A fact about how a task ended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Evidence {
    /// The source's reward, in `0.0..=1.0`.
    Reward(f64),
    /// A named score, in `0.0..=1.0`.
    Score(String, f64),
    /// The status that the source's harness gave.
    ExitStatus(String),
    /// The agent's goal was checked and met or not.
    Goal(bool),
    /// The last run of tests passed or failed; the command.
    Tests(bool, String),
    /// A pull request was opened or merged; its address.
    PullRequest(String),
    /// The user interrupted the agent.
    Interrupted,
    /// The user's next message corrects the agent.
    Corrected(String),
    /// The user's next message confirms.
    Confirmed(String),
    /// The user went back to before this task and said something else.
    Rewound,
    /// The last call failed.
    ErrorAtEnd,
    /// The model's service failed.
    ServiceError(String),
}

/// How likely the verdict is right that one piece of evidence alone suggests.
///
/// Judgements, not measurements: nobody has compared them with what became of the work. They order the
/// evidence (what the source states, the user's word, tests, everything else) and keep all that is inferred
/// below what is stated.
struct Confidences {
    /// A reward or score of the source.
    stated: f64,
    /// The source's own check of the agent's goal, which a model makes.
    goal: f64,
    /// The status of a harness: it tells how a run ended, which is not always whether the work is right.
    exit_status: f64,
    /// The user's next message corrects the agent or confirms; told from its first words.
    next_message: f64,
    /// A run of tests: it may cover none of what was asked.
    tests: f64,
    /// The user stopped the agent; it may have done enough.
    interrupted: f64,
    /// The model's service failed at the end.
    service_error: f64,
    /// A pull request is there; whether it was merged is not.
    pull_request: f64,
    /// The user said something else in place of the task; that may only have been worded better.
    rewound: f64,
    /// The last call failed. Many a search that finds nothing fails too.
    error_at_end: f64,
}

const CONFIDENCES: Confidences = Confidences {
    stated: 1.0,
    goal: 0.9,
    exit_status: 0.85,
    next_message: 0.8,
    tests: 0.75,
    interrupted: 0.7,
    service_error: 0.65,
    pull_request: 0.6,
    rewound: 0.4,
    error_at_end: 0.35,
};

/// Parts of the statuses of harnesses that say the work is right.
const DONE: [&str; 5] = ["success", "passed", "resolved", "solved", "completed"];
/// Parts of the statuses of harnesses that say it is not.
const NOT_DONE: [&str; 4] = ["fail", "error", "unresolved", "unsolved"];
/// Parts of the statuses of harnesses that say the agent was stopped.
const STOPPED: [&str; 11] = [
    "exit_cost",
    "exit_context",
    "timeout",
    "timed_out",
    "cancel",
    "abort",
    "interrupt",
    "limit",
    "max_turns",
    "max_steps",
    "early_exit",
];

/// Decides from what happened. `next` is what the user said after it, where there is a next message.
///
/// The evidence with the highest confidence decides. Each piece that speaks against it takes half of its own
/// confidence away: with 0.75 for passed tests and 0.7 for an interruption, success is left with 0.75 × (1 −
/// 0.35). What the source states stays at 1. Evidence that agrees adds nothing, because it is seldom
/// independent. Without evidence there is no verdict: that nothing went visibly wrong says nothing.
pub fn infer(steps: &[Step], next: Option<&str>, stated: Vec<Evidence>) -> Outcome {
    let mut evidence = stated;
    evidence.extend(last_tests(steps));
    evidence.extend(next.and_then(said_next));
    if last_result(steps).is_some_and(|result| result.failed) {
        evidence.push(Evidence::ErrorAtEnd);
    }
    // What suggests no verdict stays, behind everything that does.
    let weight = |evidence: &Evidence| suggests(evidence).map_or(0.0, |(_, confidence)| confidence);
    evidence.sort_by(|one, other| weight(other).total_cmp(&weight(one)));
    let (verdict, confidence) = combine(&evidence);
    Outcome { verdict, confidence, evidence, summary: last_words(steps), last_error: last_error(steps) }
}

/// Combines evidence that is sorted by its confidence, as [`infer`] says.
fn combine(evidence: &[Evidence]) -> (Option<Verdict>, f64) {
    let suggested: Vec<(Verdict, f64)> = evidence.iter().filter_map(suggests).collect();
    let is_rewound = evidence.contains(&Evidence::Rewound);
    let may_decide = |(verdict, confidence): &(Verdict, f64)| {
        !is_rewound || *verdict != Verdict::Success || *confidence >= CONFIDENCES.stated
    };
    let Some((verdict, mut confidence)) = suggested.iter().copied().find(may_decide) else {
        return (None, 0.0);
    };
    if confidence < CONFIDENCES.stated {
        for (other, weight) in suggested {
            if contradicts(verdict, other) {
                confidence *= 1.0 - weight / 2.0;
            }
        }
    }
    (Some(verdict), confidence)
}

/// Tells whether one verdict is that the task was done and the other that it was not.
fn contradicts(one: Verdict, other: Verdict) -> bool {
    let done = |verdict| match verdict {
        Verdict::Success => Some(true),
        Verdict::Failure | Verdict::Abandoned => Some(false),
        Verdict::Partial(_) => None,
    };
    matches!((done(one), done(other)), (Some(one), Some(other)) if one != other)
}

/// Returns the verdict that one piece of evidence suggests, and how likely that is right.
fn suggests(evidence: &Evidence) -> Option<(Verdict, f64)> {
    let by = &CONFIDENCES;
    let success_if = |done: bool| if done { Verdict::Success } else { Verdict::Failure };
    Some(match evidence {
        Evidence::Reward(share) | Evidence::Score(_, share) => (of_share(*share), by.stated),
        Evidence::Goal(met) => (success_if(*met), by.goal),
        Evidence::ExitStatus(status) => (of_status(status)?, by.exit_status),
        Evidence::Confirmed(_) => (Verdict::Success, by.next_message),
        Evidence::Corrected(_) => (Verdict::Failure, by.next_message),
        Evidence::Tests(passed, _) => (success_if(*passed), by.tests),
        Evidence::Interrupted => (Verdict::Abandoned, by.interrupted),
        Evidence::ServiceError(_) => (Verdict::Abandoned, by.service_error),
        Evidence::PullRequest(_) => (Verdict::Success, by.pull_request),
        Evidence::Rewound => (Verdict::Abandoned, by.rewound),
        Evidence::ErrorAtEnd => (Verdict::Failure, by.error_at_end),
    })
}

fn of_share(share: f64) -> Verdict {
    if share >= 1.0 {
        Verdict::Success
    } else if share > 0.0 {
        Verdict::Partial(share)
    } else {
        Verdict::Failure
    }
}

/// Returns what the status of a harness says; `None` where it only says that the agent ended (`submitted`).
fn of_status(status: &str) -> Option<Verdict> {
    let status = status.to_lowercase().replace(['-', ' '], "_");
    let says = |parts: &[&str]| parts.iter().any(|part| status.contains(part));
    if says(&STOPPED) {
        Some(Verdict::Abandoned)
    } else if says(&NOT_DONE) {
        Some(Verdict::Failure)
    } else {
        says(&DONE).then_some(Verdict::Success)
    }
}

/// Returns whether the last tests that were run passed.
fn last_tests(steps: &[Step]) -> Option<Evidence> {
    steps.iter().rev().find_map(|step| {
        let StepKind::Call { tool, arguments, result: Some(result), .. } = &step.kind else { return None };
        let command = test_run::shell_command(tool, arguments)?;
        let passed = test_run::verdict(&command, result)?;
        Some(Evidence::Tests(passed, command))
    })
}

fn said_next(message: &str) -> Option<Evidence> {
    match next_message::judge(message) {
        Says::Corrects => Some(Evidence::Corrected(message.to_owned())),
        Says::Confirms => Some(Evidence::Confirmed(message.to_owned())),
        Says::Nothing => None,
    }
}

fn results(steps: &[Step]) -> impl DoubleEndedIterator<Item = &ToolResult> {
    steps.iter().filter_map(|step| match &step.kind {
        StepKind::Call { result, .. } => result.as_ref(),
        StepKind::Message { .. } => None,
    })
}

fn last_result(steps: &[Step]) -> Option<&ToolResult> {
    results(steps).next_back()
}

/// How the first line of a result starts that is an error, in lower case.
const ERROR_STARTS: [&str; 5] =
    ["traceback (most recent call last)", "fatal:", "panic:", "command failed", "failed "];
/// What follows "error" where something failed, in lower case.
const ERROR_WHILE: [&str; 6] = [" calling", " executing", " in ", " reading", " running", " while"];

/// Tells by its text whether a tool's result is an error, where the source has no mark: a text that starts so,
/// or an object that says so. `value` is the result as JSON where the source has it so; else an object in the
/// text counts.
pub fn is_error_text(text: &str, value: Option<&Value>) -> bool {
    let text = text.trim_start();
    if let Some(Value::Object(fields)) = value {
        return says_error(fields);
    }
    if text.starts_with('{')
        && let Ok(Value::Object(fields)) = serde_json::from_str(text)
    {
        return says_error(&fields);
    }
    let line = text.lines().next().unwrap_or("").to_lowercase();
    // "Errors found: 0" and "Error budget: 99 %" are none.
    let error = line.strip_prefix("error").is_some_and(|behind| {
        behind.is_empty()
            || behind.starts_with([':', '[', '(', '!'])
            || ERROR_WHILE.iter().any(|it| behind.starts_with(it))
    });
    error || ERROR_STARTS.iter().any(|start| line.starts_with(start)) || line.ends_with(": command not found")
}

/// Tells whether an object says that something failed.
fn says_error(fields: &serde_json::Map<String, Value>) -> bool {
    let is_there = |name: &str| match fields.get(name) {
        None | Some(Value::Null | Value::Bool(false)) => false,
        Some(Value::String(text)) => !text.is_empty(),
        Some(Value::Number(number)) => number.as_f64() != Some(0.0),
        Some(Value::Array(items)) => !items.is_empty(),
        Some(Value::Object(fields)) => !fields.is_empty(),
        Some(Value::Bool(true)) => true,
    };
    let status = fields.get("status").and_then(Value::as_str).map(str::to_lowercase);
    ["error", "errors", "isError", "is_error"].into_iter().any(is_there)
        || matches!(status.as_deref(), Some("error" | "failed" | "failure"))
        || ["success", "ok"].iter().any(|name| fields.get(*name) == Some(&Value::Bool(false)))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::trajectory::Speaker;

    #[test]
    fn results_that_are_errors() {
        let check = |text: &str, expected: bool| assert_eq!(is_error_text(text, None), expected, "{text:?}");
        for error in [
            "Error: no seats",
            "ERROR",
            "error[E0425]: cannot find value `x`\n --> src/lib.rs",
            "Error executing tool: x",
            "fatal: not a git repository",
            "Command failed: exit status 1",
            "FAILED tests/test_a.py::test_x",
            "bash: jq: command not found",
            "{\"error\": \"no\"}",
            "{\"errors\": [\"no\"]}",
            "{\"status\": \"error\", \"message\": \"no such order\"}",
            "{\"success\": false}",
        ] {
            check(error, true);
        }
        for fine in [
            "",
            "Errors found: 0",
            "Error budget: 99 %",
            "{\"error\": 0, \"rows\": 3}",
            "{\"error\": [], \"errors\": {}}",
            "{\"status\": \"ok\", \"success\": true}",
            "[\"error\"]",
        ] {
            check(fine, false);
        }
        assert!(is_error_text("", Some(&json!({"error": "no"}))));
        assert!(!is_error_text("Error: old", Some(&json!({"error": null}))));
    }

    fn ran(command: &str, failed: bool, text: &str) -> Step {
        let mut step = Step::call("Bash", json!({"command": command}));
        if let StepKind::Call { result, .. } = &mut step.kind {
            *result = Some(ToolResult { text: text.into(), failed });
        }
        step
    }

    fn said(text: &str) -> Step {
        Step::message(Speaker::Agent, text)
    }

    fn verdict(steps: &[Step], next: Option<&str>, stated: Vec<Evidence>) -> (Option<Verdict>, f64) {
        let outcome = infer(steps, next, stated);
        (outcome.verdict, outcome.confidence)
    }

    #[test]
    fn without_evidence_there_is_no_verdict() {
        assert_eq!(verdict(&[], None, vec![]), (None, 0.0));
        let steps = [ran("ls", false, "a"), said("All done!")];
        assert_eq!(verdict(&steps, Some("Now add a test"), vec![]), (None, 0.0));
        let submitted = vec![Evidence::ExitStatus("submitted".into())];
        assert_eq!(verdict(&steps, None, submitted), (None, 0.0));
    }

    #[test]
    fn what_the_source_states_comes_first_and_is_certain() {
        let steps = [ran("cargo test", true, "test result: FAILED")];
        let check = |share: f64, expected: Verdict| {
            let found = verdict(&steps, Some("no, wrong"), vec![Evidence::Reward(share)]);
            assert_eq!(found, (Some(expected), 1.0));
        };
        check(1.0, Verdict::Success);
        check(0.5, Verdict::Partial(0.5));
        check(0.0, Verdict::Failure);
    }

    #[test]
    fn each_kind_of_evidence_suggests_its_verdict() {
        let check = |evidence: Evidence, expected: Verdict, confidence: f64| {
            let found = verdict(&[], None, vec![evidence.clone()]);
            assert_eq!(found, (Some(expected), confidence), "{evidence:?}");
        };
        check(Evidence::Goal(true), Verdict::Success, CONFIDENCES.goal);
        check(Evidence::Goal(false), Verdict::Failure, CONFIDENCES.goal);
        check(Evidence::ExitStatus("exit_cost".into()), Verdict::Abandoned, CONFIDENCES.exit_status);
        check(Evidence::ExitStatus("unresolved".into()), Verdict::Failure, CONFIDENCES.exit_status);
        check(Evidence::ExitStatus("Success".into()), Verdict::Success, CONFIDENCES.exit_status);
        check(Evidence::Interrupted, Verdict::Abandoned, CONFIDENCES.interrupted);
        check(Evidence::Rewound, Verdict::Abandoned, CONFIDENCES.rewound);
        check(Evidence::ServiceError("529".into()), Verdict::Abandoned, CONFIDENCES.service_error);
        check(Evidence::PullRequest("u".into()), Verdict::Success, CONFIDENCES.pull_request);
    }

    #[test]
    fn the_last_tests_count_and_an_error_at_the_end_less() {
        let steps = [ran("cargo test", true, ""), ran("cargo test", false, ""), said("Fixed.")];
        assert_eq!(verdict(&steps, None, vec![]), (Some(Verdict::Success), CONFIDENCES.tests));
        let steps = [ran("cargo test", false, ""), ran("rg todo", true, "")];
        let expected = CONFIDENCES.tests * (1.0 - CONFIDENCES.error_at_end / 2.0);
        assert_eq!(verdict(&steps, None, vec![]), (Some(Verdict::Success), expected));
        let steps = [ran("rg todo", true, "nothing")];
        assert_eq!(verdict(&steps, None, vec![]), (Some(Verdict::Failure), CONFIDENCES.error_at_end));
    }

    #[test]
    fn the_users_word_outweighs_tests_and_is_weakened_by_them() {
        let steps = [ran("cargo test", false, "")];
        let outcome = infer(&steps, Some("No, that's the wrong file"), vec![]);
        assert_eq!(outcome.verdict, Some(Verdict::Failure));
        assert_eq!(outcome.confidence, CONFIDENCES.next_message * (1.0 - CONFIDENCES.tests / 2.0));
        let [Evidence::Corrected(_), Evidence::Tests(true, _)] = outcome.evidence.as_slice() else {
            panic!("{:?}", outcome.evidence)
        };
        let confirmed = verdict(&steps, Some("thanks!"), vec![]);
        assert_eq!(confirmed, (Some(Verdict::Success), CONFIDENCES.next_message));
    }

    #[test]
    fn a_task_that_was_rewound_did_not_succeed_whatever_its_tests_say() {
        let steps = [ran("cargo test", false, "")];
        let expected = CONFIDENCES.rewound * (1.0 - CONFIDENCES.tests / 2.0);
        assert_eq!(verdict(&steps, None, vec![Evidence::Rewound]), (Some(Verdict::Abandoned), expected));
        let stated = vec![Evidence::Rewound, Evidence::Reward(1.0)];
        assert_eq!(verdict(&steps, None, stated), (Some(Verdict::Success), 1.0));
    }

    #[test]
    fn summary_and_last_error_are_the_last_ones() {
        let steps =
            [said("a"), ran("x", true, "e1"), ran("y", true, "e2"), ran("z", false, "fine"), said("b")];
        let outcome = infer(&steps, None, vec![]);
        assert_eq!((outcome.summary.as_str(), outcome.last_error.as_deref()), ("b", Some("Bash: e2")));
    }
}
