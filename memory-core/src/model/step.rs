//! One action of an agent.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::clock::Timestamp;
use crate::id::EpisodeId;
use crate::model::json::Json;

/// How a step ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StepResult {
    /// It worked.
    #[default]
    Success,
    /// It failed; the observation has the error.
    Error,
    /// It was given up on.
    Timeout,
}

impl StepResult {
    /// Returns the stable name: `success`, `error` or `timeout`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Success => "success",
            Self::Error => "error",
            Self::Timeout => "timeout",
        }
    }
}

/// The author of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// The person whom the agent works for: learning reads their messages after the task.
    User,
    /// The agent itself.
    Assistant,
    /// Any other author.
    Other,
}

impl Role {
    /// Returns the stable name: `user`, `assistant` or `other`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Assistant => "assistant",
            Self::Other => "other",
        }
    }
}

/// An application's description of one action; the engine adds number and time to make it a [`Step`].
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Action {
    /// The tool called (`bash`, `search_flights`); empty for an action without a tool.
    pub tool: String,
    /// The action, in words.
    pub description: String,
    /// The arguments of the call.
    pub arguments: Json,
    /// The result.
    pub observation: String,
    /// The author, if it is a message; the observation is its text.
    pub role: Option<Role>,
    /// How it ended.
    pub result: StepResult,
    /// How long it took, in milliseconds; at most 30 days.
    pub duration_ms: Option<u64>,
    /// Model tokens it cost; at most a thousand million.
    pub tokens: Option<u64>,
    /// Facts that have no field: an object, or nothing (`null`). docs/attributes.md lists the conventional names.
    #[serde(default)]
    pub attributes: Json,
}

impl Action {
    /// Creates a successful call of `tool` without arguments.
    pub fn tool(tool: impl Into<String>) -> Self {
        Self { tool: tool.into(), ..Self::default() }
    }

    /// Creates a message of a conversation.
    pub fn message(role: Role, text: impl Into<String>) -> Self {
        Self { role: Some(role), observation: text.into(), ..Self::default() }
    }

    /// Creates an action without a tool, such as a thought. For messages use [`Action::message`].
    pub fn note(description: impl Into<String>) -> Self {
        Self { description: description.into(), ..Self::default() }
    }

    /// Sets the description of the action.
    #[must_use]
    pub fn description(mut self, description: impl Into<String>) -> Self {
        self.description = description.into();
        self
    }

    /// Sets the arguments of the call.
    #[must_use]
    pub fn arguments(mut self, arguments: Value) -> Self {
        self.arguments = Json(arguments);
        self
    }

    /// Sets the result.
    #[must_use]
    pub fn observation(mut self, observation: impl Into<String>) -> Self {
        self.observation = observation.into();
        self
    }

    /// Marks the action as failed with this error text.
    #[must_use]
    pub fn error(mut self, error: impl Into<String>) -> Self {
        self.observation = error.into();
        self.result = StepResult::Error;
        self
    }

    /// Marks the action as given up on.
    #[must_use]
    pub fn timeout(mut self) -> Self {
        self.result = StepResult::Timeout;
        self
    }

    /// Sets how long it took, in milliseconds.
    #[must_use]
    pub fn duration_ms(mut self, duration_ms: u64) -> Self {
        self.duration_ms = Some(duration_ms);
        self
    }

    /// Sets the model tokens it cost.
    #[must_use]
    pub fn tokens(mut self, tokens: u64) -> Self {
        self.tokens = Some(tokens);
        self
    }

    /// Sets the attributes: a JSON object of at most 16 KiB.
    #[must_use]
    pub fn attributes(mut self, attributes: Value) -> Self {
        self.attributes = Json(attributes);
        self
    }
}

/// A recorded action.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Step {
    /// The episode it belongs to.
    pub episode: EpisodeId,
    /// Its place in the episode, from 1, given by the engine.
    pub number: u32,
    /// Which handle logged it: two that log into one episode at the same time may give the same number, and both
    /// steps are kept.
    pub writer: u64,
    /// When it was logged.
    pub at: Timestamp,
    /// The action.
    pub action: Action,
}

impl Step {
    /// Creates a step.
    pub fn new(episode: EpisodeId, number: u32, writer: u64, at: Timestamp, action: Action) -> Self {
        Self { episode, number, writer, at, action }
    }

    /// Returns roughly how many bytes it takes in memory.
    pub fn weight(&self) -> usize {
        std::mem::size_of::<Self>() + self.action.weight()
    }
}

impl Action {
    /// Returns roughly how many bytes the texts and arguments take in memory.
    pub fn weight(&self) -> usize {
        let json = self.arguments.weight() + self.attributes.weight();
        self.tool.len() + self.description.len() + self.observation.len() + json
    }
}
