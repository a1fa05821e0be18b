//! A lesson from failing.

use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;
use crate::id::{EpisodeId, FailureId};

/// What is known of one kind of error.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Failure {
    /// The identifier, derived from domain, tool and the normalised error.
    pub id: FailureId,
    /// The class of error: `timeout`, `not_found`, `permission`, `invalid_input`, `conflict`, `unavailable`,
    /// `limit`, `test`, `syntax` or `other`.
    pub category: String,
    /// The error text with what varies (numbers, ids, paths, quoted text, names) replaced by placeholders.
    pub error: String,
    /// The error text as it was last seen.
    pub example: String,
    /// The tool that failed; empty if the episode failed as a whole.
    pub tool: String,
    /// What led to it, as far as contrast with episodes that did not fail shows.
    pub root_cause: Option<String>,
    /// What resolved it in episodes that succeeded: what did so last, then the most frequent, of equals the newer; with
    /// ` (3 times)` after what did so more than once. What differs in values and names alone is one.
    pub resolutions: Vec<String>,
    /// The subject area.
    pub domain: Option<String>,
    /// The kind of task.
    pub task_kind: String,
    /// Episodes that had it.
    pub occurrences: u32,
    /// Episodes that had it and got over it.
    pub resolved: u32,
    /// Some of the newest episodes that had it.
    pub episodes: Vec<EpisodeId>,
    /// When it was first seen.
    pub first_at: Timestamp,
    /// When it was last seen.
    pub last_at: Timestamp,
}
