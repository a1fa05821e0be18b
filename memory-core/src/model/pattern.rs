//! Recurring patterns of episodes.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;
use crate::id::{EpisodeId, PatternId};
use crate::model::evidence::{Standing, Tally};
use crate::model::listed::listed;
use crate::model::playbook::PlaybookStep;
use crate::model::remedy::{RemedyCall, in_words};
use crate::model::ruling::Decision;

/// A recurring pattern.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum PatternBody {
    /// Tools called in this order.
    ToolSequence {
        /// The tools.
        tools: Vec<String>,
    },
    /// At some place, one tool was chosen over others.
    DecisionPoint {
        /// Where.
        place: DecisionPlace,
        /// The tool chosen.
        tool: String,
        /// The tools not chosen.
        alternatives: Vec<String>,
    },
    /// An error and its remedy.
    ErrorRecovery {
        /// The normalised error text.
        error: String,
        /// The calls that recovered from it.
        remedy: Vec<RemedyCall>,
    },
    /// The common properties of tasks in this context.
    Context {
        /// Labels and terms of the context.
        features: Vec<String>,
        /// The tools to use in it, in the usual order.
        tools: Vec<String>,
    },
    /// A behaviour of failing episodes that succeeding ones of the same cluster lack.
    AntiPattern {
        /// Their behaviour.
        behaviour: Behaviour,
        /// Its consequence.
        consequence: Consequence,
    },
    /// A sequence of steps with placeholders for varying parts.
    WorkflowTemplate {
        /// The steps.
        steps: Vec<PlaybookStep>,
        /// The placeholders' names.
        placeholders: Vec<String>,
    },
}

/// Where a decision is made.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DecisionPlace {
    /// Before any call.
    Start,
    /// After a call.
    After {
        /// The tool that was called.
        tool: String,
        /// Whether it worked.
        worked: bool,
    },
}

impl fmt::Display for DecisionPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Start => f.write_str("at the start"),
            Self::After { tool, worked: true } => write!(f, "after {tool}"),
            Self::After { tool, worked: false } => write!(f, "after {tool} failed"),
        }
    }
}

/// An action or omission of episodes. Of two with the same episodes, the first in this order is chosen.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Behaviour {
    /// They never call a tool.
    Without {
        /// The tool.
        tool: String,
    },
    /// They call a tool.
    Calls {
        /// The tool.
        tool: String,
    },
    /// They call a tool before another one, or without it.
    Early {
        /// The tool.
        tool: String,
        /// The one that is called before it elsewhere.
        before: String,
    },
    /// They make the same call again and again.
    Repeats {
        /// The tool.
        tool: String,
        /// So often at least.
        times: u32,
    },
    /// They end with the failure of a tool.
    EndsFailing {
        /// The tool.
        tool: String,
    },
    /// They call a tool with a value.
    Value {
        /// The tool.
        tool: String,
        /// The argument.
        name: String,
        /// Its value.
        value: String,
    },
}

impl Behaviour {
    /// Returns true if it is about what is not called.
    pub fn is_omission(&self) -> bool {
        matches!(self, Self::Without { .. })
    }

    /// Returns the tools that it names.
    pub fn tools(&self) -> Vec<&str> {
        match self {
            Self::Early { tool, before } => vec![tool, before],
            Self::Without { tool }
            | Self::Calls { tool }
            | Self::Repeats { tool, .. }
            | Self::EndsFailing { tool }
            | Self::Value { tool, .. } => vec![tool],
        }
    }

    /// Returns the texts in it.
    pub fn texts(&self) -> Vec<&str> {
        match self {
            Self::Value { tool, name, value } => vec![tool, name, value],
            other => other.tools(),
        }
    }

    /// The same, to be changed.
    pub fn texts_mut(&mut self) -> Vec<&mut String> {
        match self {
            Self::Early { tool, before } => vec![tool, before],
            Self::Value { tool, name, value } => vec![tool, name, value],
            Self::Without { tool }
            | Self::Calls { tool }
            | Self::Repeats { tool, .. }
            | Self::EndsFailing { tool } => vec![tool],
        }
    }
}

impl fmt::Display for Behaviour {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Without { tool } => write!(f, "never calls {tool}"),
            Self::Calls { tool } => write!(f, "calls {tool}"),
            Self::Early { tool, before } => write!(f, "calls {tool} without calling {before} before"),
            Self::Repeats { tool, times } => write!(f, "makes the same call of {tool} {times} times or more"),
            Self::EndsFailing { tool } => write!(f, "stops after {tool} failed"),
            Self::Value { tool, name, value } => write!(f, "calls {tool} with {name} = {value}"),
        }
    }
}

/// The consequence of a behaviour.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Consequence {
    /// The task is not done.
    NotDone,
    /// A tool fails.
    Fails {
        /// The tool.
        tool: String,
        /// The normalised error text.
        error: String,
    },
}

impl fmt::Display for Consequence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotDone => f.write_str("the task is not done"),
            Self::Fails { tool, error } => write!(f, "{tool} fails: {error}"),
        }
    }
}

/// How a pattern was found, and so which [`PatternBody`] it has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Strategy {
    /// Tools called in this order.
    ToolSequence,
    /// One action chosen over others under a condition.
    DecisionPoint,
    /// An error and its remedy.
    ErrorRecovery,
    /// The common properties of tasks in a context.
    Context,
    /// A behaviour of failing episodes.
    AntiPattern,
    /// Steps with placeholders.
    WorkflowTemplate,
}

impl Strategy {
    /// Returns the stable name, such as `tool_sequence`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ToolSequence => "tool_sequence",
            Self::DecisionPoint => "decision_point",
            Self::ErrorRecovery => "error_recovery",
            Self::Context => "context",
            Self::AntiPattern => "anti_pattern",
            Self::WorkflowTemplate => "workflow_template",
        }
    }
}

impl fmt::Display for Strategy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl PatternBody {
    /// Returns the texts in it, to be changed.
    pub fn texts_mut(&mut self) -> Vec<&mut String> {
        match self {
            Self::ToolSequence { tools } => tools.iter_mut().collect(),
            Self::DecisionPoint { place, tool, alternatives } => {
                let after = match place {
                    DecisionPlace::Start => None,
                    DecisionPlace::After { tool, .. } => Some(tool),
                };
                alternatives.iter_mut().chain([tool]).chain(after).collect()
            }
            Self::ErrorRecovery { error, remedy } => {
                remedy.iter_mut().flat_map(RemedyCall::texts_mut).chain([error]).collect()
            }
            Self::Context { features, tools } => features.iter_mut().chain(tools).collect(),
            Self::AntiPattern { behaviour, consequence } => {
                let follows = match consequence {
                    Consequence::NotDone => Vec::new(),
                    Consequence::Fails { tool, error } => vec![tool, error],
                };
                behaviour.texts_mut().into_iter().chain(follows).collect()
            }
            Self::WorkflowTemplate { steps, placeholders } => {
                let steps = steps.iter_mut().flat_map(|step| [&mut step.tool, &mut step.instruction]);
                steps.chain(placeholders).collect()
            }
        }
    }

    /// Returns the strategy that finds such patterns.
    pub fn strategy(&self) -> Strategy {
        match self {
            Self::ToolSequence { .. } => Strategy::ToolSequence,
            Self::DecisionPoint { .. } => Strategy::DecisionPoint,
            Self::ErrorRecovery { .. } => Strategy::ErrorRecovery,
            Self::Context { .. } => Strategy::Context,
            Self::AntiPattern { .. } => Strategy::AntiPattern,
            Self::WorkflowTemplate { .. } => Strategy::WorkflowTemplate,
        }
    }

    /// Returns the tools that it recommends.
    pub fn tools(&self) -> Vec<&str> {
        match self {
            Self::ToolSequence { tools } | Self::Context { tools, .. } => {
                tools.iter().map(String::as_str).collect()
            }
            Self::DecisionPoint { tool, .. } => vec![tool],
            Self::ErrorRecovery { remedy, .. } => remedy.iter().map(|call| call.tool.as_str()).collect(),
            Self::AntiPattern { .. } => Vec::new(),
            Self::WorkflowTemplate { steps, .. } => steps.iter().map(|step| step.tool.as_str()).collect(),
        }
    }

    /// Returns true for a sequence of tools that were all used, in its order: nothing is left of it.
    pub fn is_done(&self, done: &[String]) -> bool {
        let Self::ToolSequence { tools } = self else { return false };
        let mut done = done.iter();
        tools.iter().all(|tool| done.any(|used| used == tool))
    }
}

impl fmt::Display for PatternBody {
    /// Renders the pattern in words.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ToolSequence { tools } => write!(f, "used in this order: {}", tools.join(" → ")),
            Self::DecisionPoint { place, tool, alternatives } => {
                write!(f, "{place}: {tool} rather than {}", alternatives.join(" or "))
            }
            Self::ErrorRecovery { error, remedy } => write!(f, "{error}: fixed by {}", in_words(remedy)),
            Self::Context { features, tools } => {
                write!(f, "tasks about {}: use {}", features.join(", "), listed(tools))
            }
            Self::AntiPattern { behaviour, consequence } => write!(f, "avoid: {behaviour} ({consequence})"),
            Self::WorkflowTemplate { steps, .. } => {
                let steps: Vec<String> = steps.iter().map(PlaybookStep::to_string).collect();
                f.write_str(&steps.join("; then "))
            }
        }
    }
}

/// A pattern: its content and the sum of its evidence.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Pattern {
    /// The identifier, derived from domain, kind of task and content.
    pub id: PatternId,
    /// The strategy that found it.
    pub strategy: Strategy,
    /// The subject area it was found in.
    pub domain: Option<String>,
    /// The kind of task it was found in.
    pub task_kind: Option<String>,
    /// The recurring pattern.
    pub body: PatternBody,
    /// The words that tasks of its episodes share, the most discriminating first.
    pub terms: Vec<String>,
    /// The sum of its [`crate::Evidence`].
    pub tally: Tally,
    /// The lower bound of the Beta posterior over the counts when it was last computed, in `0.0..=1.0`.
    pub confidence: f64,
    /// The uses after a recall.
    pub used: Tally,
    /// How recall treats it, by those uses.
    pub standing: Standing,
    /// The ruling on it. Not stored with it: the [`crate::Ruling`] is a separate record.
    #[serde(skip)]
    pub ruling: Option<Decision>,
    /// Some of the newest episodes that show it.
    pub episodes: Vec<EpisodeId>,
    /// When it was found.
    pub created_at: Timestamp,
    /// When its figures were last computed.
    pub updated_at: Timestamp,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sequence_is_done_when_all_of_it_is() {
        let check = |done: &str, expected: bool| {
            let words = |text: &str| text.split(' ').map(str::to_owned).collect::<Vec<_>>();
            let body = PatternBody::ToolSequence { tools: words("read edit read") };
            assert_eq!(body.is_done(&words(done)), expected, "{done}");
        };
        check("", false);
        check("read edit", false);
        check("read read edit", false);
        check("read edit read", true);
        check("list read test edit test read", true);
    }
}
