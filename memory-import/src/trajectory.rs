//! The normalised form.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::outcome::Outcome;

/// One task: what was asked, what was done about it, how it ended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Trajectory {
    /// Identifies it by the source's own ids, with the format's name before them (`claude-code:SESSION:PROMPT`): reading
    /// it again, from a file that has grown since, gives the same key. At most 1,000 bytes.
    pub key: String,
    /// The key of the trajectory that started this one (the task of a sub-agent).
    pub parent: Option<String>,
    /// What was asked, in the user's words.
    pub prompt: String,
    /// What the source says about the task besides.
    pub labels: Labels,
    /// When the task was given, in milliseconds since 1970.
    pub at_ms: Option<i64>,
    /// What was done, in order.
    pub steps: Vec<Step>,
    /// How it ended, as far as the source shows.
    pub outcome: Outcome,
    /// Facts of the source that have no field, under the names of OpenTelemetry's GenAI conventions where one exists
    /// (`gen_ai.request.model`).
    pub attributes: Map<String, Value>,
}

/// What a source may say about a task.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Labels {
    /// The kind of work.
    pub kind: Option<String>,
    /// The subject area.
    pub domain: Option<String>,
    /// Which agent did it (`claude-code`, `codex`, the name in the trace).
    pub agent: Option<String>,
    /// Free labels.
    #[serde(default)]
    pub tags: Vec<String>,
    /// The source's key for the run (a session, a trace).
    pub correlation_id: Option<String>,
    /// The working directory.
    pub project: Option<String>,
}

/// One thing that was said or done.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Step {
    /// What it is.
    pub kind: StepKind,
    /// When, in milliseconds since 1970.
    pub at_ms: Option<i64>,
    /// How long it took.
    pub duration_ms: Option<u64>,
    /// Model tokens it cost.
    pub tokens: Option<u64>,
}

/// What a step is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum StepKind {
    /// Somebody said something.
    Message {
        /// Who.
        speaker: Speaker,
        /// What.
        text: String,
    },
    /// The agent called a tool.
    Call {
        /// The tool's name.
        tool: String,
        /// What was done, in words, where the source says so.
        description: String,
        /// The arguments; an object wherever the source has one, parsed where it is JSON in a string.
        arguments: Value,
        /// What came back; `None` where the source has no result.
        result: Option<ToolResult>,
    },
}

/// Who says a message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Speaker {
    /// Whom the agent works for.
    User,
    /// The agent itself.
    Agent,
    /// Somebody else, under this name.
    Other(String),
}

/// What a call of a tool gave.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ToolResult {
    /// The text of the result or of the error.
    pub text: String,
    /// Whether the call failed, by the source's own mark; by the text where a source has no mark (see
    /// [`crate::outcome::is_error_text`]).
    pub failed: bool,
}

impl Step {
    /// Creates a message without a time.
    pub fn message(speaker: Speaker, text: impl Into<String>) -> Self {
        Self::of(StepKind::Message { speaker, text: text.into() })
    }

    /// Creates a call without a result and a time.
    pub fn call(tool: impl Into<String>, arguments: Value) -> Self {
        Self::of(StepKind::Call { tool: tool.into(), description: String::new(), arguments, result: None })
    }

    fn of(kind: StepKind) -> Self {
        Self { kind, at_ms: None, duration_ms: None, tokens: None }
    }
}
