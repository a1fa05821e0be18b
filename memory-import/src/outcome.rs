//! How a task ended: what the source says, or what it shows.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::trajectory::Step;

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

/// Decides from what happened. `next` is what the user said after it, where there is a next message.
pub(crate) fn infer(steps: &[Step], _next: Option<&str>, stated: Vec<Evidence>) -> Outcome {
    Outcome {
        verdict: None,
        confidence: 0.0,
        evidence: stated,
        summary: crate::transcript::last_words(steps),
        last_error: crate::transcript::last_error(steps),
    }
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
mod error_text_tests {
    use serde_json::json;

    use super::*;

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
}
