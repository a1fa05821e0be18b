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
pub(crate) fn infer(_steps: &[Step], _next: Option<&str>, _stated: Vec<Evidence>) -> Outcome {
    unimplemented!("helper A")
}

/// Tells by its text whether a tool's result is an error, where the source has no mark.
pub fn is_error_text(_text: &str, _value: Option<&Value>) -> bool {
    unimplemented!("helper B: from memory-cli/src/import/chat.rs")
}
