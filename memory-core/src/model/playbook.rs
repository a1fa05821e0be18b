//! A procedure that can be followed.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;
use crate::id::{EpisodeId, PlaybookId};
use crate::model::evidence::{Standing, Tally};
use crate::model::ruling::Decision;

/// One step of a playbook.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlaybookStep {
    /// The tool to call.
    pub tool: String,
    /// The instruction, with placeholders written `{name}`.
    pub instruction: String,
}

impl fmt::Display for PlaybookStep {
    /// Writes `tool: instruction`; only the tool if there is no instruction.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.instruction.as_str() {
            "" => write!(f, "{}", self.tool),
            instruction => write!(f, "{}: {instruction}", self.tool),
        }
    }
}

/// A procedure with placeholders, distilled from episodes that succeeded.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Playbook {
    /// The identifier, derived from domain, kind of task and steps.
    pub id: PlaybookId,
    /// Its purpose: the task of the newest source episode, with `{name}` or `…` for varying parts.
    pub title: String,
    /// The subject area.
    pub domain: Option<String>,
    /// The steps in order.
    pub steps: Vec<PlaybookStep>,
    /// The placeholders' names.
    pub placeholders: Vec<String>,
    /// The shape that earlier values of each placeholder have in common, in the placeholders' order: figures as
    /// `9`, capitals as `A`, runs of small letters as `a` (`#A9999999`), names of several words as `Aa Aa`;
    /// empty if they have none.
    #[serde(default)]
    pub shapes: Vec<String>,
    /// The kind of task it is for.
    pub task_kind: Option<String>,
    /// The words that tasks of its episodes share, the most discriminating first.
    pub terms: Vec<String>,
    /// Some of the newest episodes it comes from.
    pub sources: Vec<EpisodeId>,
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
    /// When it was created.
    pub created_at: Timestamp,
    /// When its figures were last computed.
    pub updated_at: Timestamp,
}
