//! What recurs in episodes.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;
use crate::id::{EpisodeId, PatternId};
use crate::model::evidence::{Standing, Tally};
use crate::model::remedy::{RemedyCall, in_words};
use crate::model::ruling::Decision;

/// What recurs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum PatternBody {
    /// Tools called in this order.
    ToolSequence {
        /// The tools.
        tools: Vec<String>,
    },
    /// Under a condition, one action was chosen over others.
    DecisionPoint {
        /// The condition.
        condition: String,
        /// The action chosen.
        action: String,
        /// The actions not chosen.
        alternatives: Vec<String>,
    },
    /// An error and what fixed it.
    ErrorRecovery {
        /// The normalised error text.
        error: String,
        /// The calls that got over it.
        remedy: Vec<RemedyCall>,
    },
    /// What tasks in this context have in common.
    Context {
        /// Labels and terms of the context.
        features: Vec<String>,
        /// What to do in it.
        recommendation: String,
    },
    /// What failing episodes do that succeeding ones of the same cluster do not.
    AntiPattern {
        /// What they do.
        behaviour: String,
        /// What follows.
        consequence: String,
    },
    /// A sequence of steps with placeholders for what varies.
    WorkflowTemplate {
        /// The steps; placeholders are written `{name}`.
        steps: Vec<String>,
        /// The placeholders' names.
        placeholders: Vec<String>,
    },
}

/// How a pattern was found, and so which [`PatternBody`] it has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Strategy {
    /// Tools called in this order.
    ToolSequence,
    /// One action chosen over others under a condition.
    DecisionPoint,
    /// An error and what got over it.
    ErrorRecovery,
    /// What tasks in a context have in common.
    Context,
    /// What failing episodes do.
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

    /// Returns true for a sequence of tools that were all used, in its order: it has nothing more to say.
    pub(crate) fn is_done(&self, done: &[String]) -> bool {
        let Self::ToolSequence { tools } = self else { return false };
        let mut done = done.iter();
        tools.iter().all(|tool| done.any(|used| used == tool))
    }
}

impl fmt::Display for PatternBody {
    /// Says what recurs, in words.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ToolSequence { tools } => write!(f, "used in this order: {}", tools.join(" → ")),
            Self::DecisionPoint { condition, action, alternatives } => {
                write!(f, "{condition}: {action} rather than {}", alternatives.join(" or "))
            }
            Self::ErrorRecovery { error, remedy } => write!(f, "{error}: got over by {}", in_words(remedy)),
            Self::Context { features, recommendation } => {
                write!(f, "tasks about {}: {recommendation}", features.join(", "))
            }
            Self::AntiPattern { behaviour, consequence } => write!(f, "avoid: {behaviour} ({consequence})"),
            Self::WorkflowTemplate { steps, .. } => f.write_str(&steps.join("; then ")),
        }
    }
}

/// A pattern: its content and what its evidence adds up to.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Pattern {
    /// The identifier, derived from domain, kind of task and content.
    pub id: PatternId,
    /// The strategy that found it.
    pub strategy: Strategy,
    /// The subject area it was found in.
    pub domain: Option<String>,
    /// The kind of task it was found in.
    pub task_kind: String,
    /// What recurs.
    pub body: PatternBody,
    /// The words that tasks of its episodes have in common, the most telling first.
    pub terms: Vec<String>,
    /// What its [`crate::Evidence`] adds up to.
    pub tally: Tally,
    /// The lower bound of the Beta posterior over the tally when it was last computed, in `0.0..=1.0`.
    pub confidence: f64,
    /// The uses after a recall.
    pub used: Tally,
    /// What recall does with it, by those uses.
    pub standing: Standing,
    /// What somebody decided about it. Not stored with it: the [`crate::Ruling`] is a record of its own.
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
