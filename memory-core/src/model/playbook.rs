//! A procedure that can be followed.

use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;
use crate::id::{EpisodeId, PlaybookId};

/// One step of a playbook.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlaybookStep {
    /// The tool to call.
    pub tool: String,
    /// What to do, with placeholders written `{name}`.
    pub instruction: String,
}

/// A procedure with placeholders, distilled from episodes that succeeded.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Playbook {
    /// The identifier.
    pub id: PlaybookId,
    /// What it is for.
    pub title: String,
    /// The subject area.
    pub domain: Option<String>,
    /// The steps in order.
    pub steps: Vec<PlaybookStep>,
    /// The placeholders' names.
    pub placeholders: Vec<String>,
    /// The episodes it comes from.
    pub sources: Vec<EpisodeId>,
    /// When it was created.
    pub created_at: Timestamp,
}
