//! A lesson from failing.

use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;
use crate::id::{EpisodeId, FailureId};
use crate::model::remedy::Remedy;
use crate::model::ruling::Decision;

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
    /// What was done about it, best first: what got over it and was not in vain since (what did so last, then what does
    /// so most surely), what was in vain since, and what never helped. At most sixteen that got over it, and sixteen others.
    pub remedies: Vec<Remedy>,
    /// The subject area.
    pub domain: Option<String>,
    /// The kind of task.
    pub task_kind: String,
    /// Episodes that had it.
    pub occurrences: u32,
    /// Episodes that had it, got over it and succeeded.
    pub resolved: u32,
    /// Some of the newest episodes that had it.
    pub episodes: Vec<EpisodeId>,
    /// When it was first seen.
    pub first_at: Timestamp,
    /// When it was last seen.
    pub last_at: Timestamp,
    /// What somebody decided about it. Not stored with it: the [`crate::Ruling`] is a record of its own.
    #[serde(skip)]
    pub ruling: Option<Decision>,
}

impl Failure {
    /// Returns what got over it at least once, best first, those that somebody pinned before the others; what somebody
    /// rejected is left out.
    pub fn helped(&self) -> impl Iterator<Item = &Remedy> {
        let ruled = |pinned: bool| {
            let is_one = move |it: &&Remedy| it.helped() && it.is_pinned() == pinned;
            self.remedies.iter().filter(is_one)
        };
        ruled(true).chain(ruled(false))
    }

    /// Returns what never helped, the newest first; but what somebody rejected or pinned.
    pub fn in_vain(&self) -> impl Iterator<Item = &Remedy> {
        self.remedies.iter().filter(|it| it.worked == 0 && it.ruling.is_none())
    }
}
