//! The answer, in the form that each agent takes.

use serde_json::{Value, json};

use super::event::{Event, What};
use crate::cli::AgentArg;

/// How an agent takes context at an event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Shape {
    /// `hookSpecificOutput`, with the event's name. Nothing else is in it: one agent refuses an answer with a key that it
    /// does not know.
    HookSpecific(String),
    /// `additional_context`.
    AdditionalContext,
}

impl Shape {
    /// Returns the form for an event; `None` where the agent takes no context then.
    pub(crate) fn of(event: &Event) -> Option<Self> {
        match (event.agent, &event.what) {
            (AgentArg::CopilotCli, _) => None,
            (AgentArg::Cursor, What::SessionStart | What::AfterTool { .. }) => Some(Self::AdditionalContext),
            (AgentArg::Cursor, _) => None,
            (
                _,
                What::Prompt { .. } | What::BeforeTool { .. } | What::AfterTool { .. } | What::SessionStart,
            ) => Some(Self::HookSpecific(event.name.clone())),
            _ => None,
        }
    }

    pub(crate) fn render(&self, text: &str) -> Value {
        match self {
            Self::HookSpecific(name) => {
                json!({"hookSpecificOutput": {"hookEventName": name, "additionalContext": text}})
            }
            Self::AdditionalContext => json!({"additional_context": text}),
        }
    }
}
