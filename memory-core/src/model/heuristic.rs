//! A learned rule.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;
use crate::id::{EpisodeId, HeuristicId};
use crate::model::evidence::{Standing, Tally};
use crate::model::ruling::Decision;

/// When a heuristic applies: every part that is set must hold.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
pub struct RuleCondition {
    /// Words that the task must have, in lower case, sorted.
    pub terms: Vec<String>,
    /// The kind of task.
    pub task_kind: Option<String>,
    /// The tool used just before.
    pub after_tool: Option<String>,
}

impl fmt::Display for RuleCondition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut parts = Vec::new();
        if !self.terms.is_empty() {
            parts.push(format!("the task mentions {}", self.terms.join(" and ")));
        }
        if let Some(kind) = &self.task_kind {
            parts.push(format!("it is {kind}"));
        }
        if let Some(tool) = &self.after_tool {
            parts.push(format!("{tool} was used last"));
        }
        if parts.is_empty() { f.write_str("always") } else { f.write_str(&parts.join(", ")) }
    }
}

/// A heuristic's advice on a tool.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Advice {
    /// Use it.
    Use,
    /// Do not use it.
    Avoid,
}

/// A rule `condition → action`. Every figure derives from the episodes and the evidence stored.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Heuristic {
    /// The identifier, derived from domain, condition, advice and tool.
    pub id: HeuristicId,
    /// When it applies.
    pub condition: RuleCondition,
    /// Its advice on the tool.
    pub advice: Advice,
    /// The tool.
    pub tool: String,
    /// The advised action, in words.
    pub action: String,
    /// The subject area it was learned in.
    pub domain: Option<String>,
    /// The episodes for and against.
    pub tally: Tally,
    /// The lower bound of the Beta posterior over the counts when it was last computed, in `0.0..=1.0`.
    pub confidence: f64,
    /// The uses after a recall.
    pub used: Tally,
    /// How recall treats it, by those uses.
    pub standing: Standing,
    /// How strongly the condition predicts the action: the natural logarithm of the odds with the condition
    /// over the odds without.
    pub weight: f64,
    /// Some of the newest episodes that support it.
    pub supporting: Vec<EpisodeId>,
    /// Some of the newest episodes that contradict it.
    pub contradicting: Vec<EpisodeId>,
    /// More special heuristics that it replaces.
    pub generalises: Vec<HeuristicId>,
    /// The ruling on it. Not stored with it: the [`crate::Ruling`] is a separate record.
    #[serde(skip)]
    pub ruling: Option<Decision>,
    /// When it was created.
    pub created_at: Timestamp,
    /// When its figures were last computed.
    pub updated_at: Timestamp,
}

impl Heuristic {
    /// Returns the rule as a sentence: "if …: use …", or "always: use …".
    pub fn sentence(&self) -> String {
        let sign = if self.condition == RuleCondition::default() { "" } else { "if " };
        format!("{sign}{}: {}", self.condition, self.action)
    }

    /// Returns true if a person pinned it: it is kept whatever its evidence.
    pub fn is_pinned(&self) -> bool {
        self.ruling == Some(Decision::Pinned)
    }

    /// Returns true if a person rejected it: it is never recalled.
    pub fn is_rejected(&self) -> bool {
        self.ruling == Some(Decision::Rejected)
    }
}
