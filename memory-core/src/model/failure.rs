//! A lesson from failing.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;
use crate::id::{EpisodeId, FailureId};
use crate::model::remedy::Remedy;
use crate::model::ruling::Decision;

/// A class of errors, by the words of their messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ErrorCategory {
    /// It took too long.
    Timeout,
    /// A named thing does not exist.
    NotFound,
    /// It is not allowed.
    Permission,
    /// The input is wrong.
    InvalidInput,
    /// It contradicts the state that there is.
    Conflict,
    /// A service or the network is not there.
    Unavailable,
    /// It is too much, or there is not enough left.
    Limit,
    /// A test or an assertion failed.
    Test,
    /// A text does not parse.
    Syntax,
    /// None of the others.
    Other,
}

impl ErrorCategory {
    /// Returns the stable name, such as `not_found`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Timeout => "timeout",
            Self::NotFound => "not_found",
            Self::Permission => "permission",
            Self::InvalidInput => "invalid_input",
            Self::Conflict => "conflict",
            Self::Unavailable => "unavailable",
            Self::Limit => "limit",
            Self::Test => "test",
            Self::Syntax => "syntax",
            Self::Other => "other",
        }
    }
}

impl fmt::Display for ErrorCategory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A lesson about one kind of error.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Failure {
    /// The identifier, derived from domain, tool and the normalised error.
    pub id: FailureId,
    /// The class of error.
    pub category: ErrorCategory,
    /// The error text with varying parts (numbers, ids, paths, quoted text, names) replaced by placeholders.
    pub error: String,
    /// The error text as it was last seen.
    pub example: String,
    /// The tool that failed; empty if the episode failed as a whole.
    pub tool: String,
    /// Its cause, as far as contrast with episodes that did not fail shows.
    pub root_cause: Option<String>,
    /// Its remedies, best first: those that worked and have not failed since (the last to work first, then the
    /// most reliable), those that have failed since, and those that never worked. At most sixteen that worked,
    /// and sixteen others.
    pub remedies: Vec<Remedy>,
    /// The subject area.
    pub domain: Option<String>,
    /// The kind of task.
    pub task_kind: Option<String>,
    /// Episodes that had it.
    pub occurrences: u32,
    /// Episodes that had it, recovered from it and succeeded.
    pub resolved: u32,
    /// Some of the newest episodes that had it.
    pub episodes: Vec<EpisodeId>,
    /// When it was first seen.
    pub first_at: Timestamp,
    /// When it was last seen.
    pub last_at: Timestamp,
    /// The ruling on it. Not stored with it: the [`crate::Ruling`] is a separate record.
    #[serde(skip)]
    pub ruling: Option<Decision>,
}

impl Failure {
    /// Returns the remedies that worked at least once, best first, pinned ones before the others; rejected ones
    /// are left out.
    pub fn helped(&self) -> impl Iterator<Item = &Remedy> {
        let ruled = |pinned: bool| {
            let is_one = move |it: &&Remedy| it.helped() && it.is_pinned() == pinned;
            self.remedies.iter().filter(is_one)
        };
        ruled(true).chain(ruled(false))
    }

    /// Returns the remedies that never worked, the newest first, except rejected and pinned ones.
    pub fn in_vain(&self) -> impl Iterator<Item = &Remedy> {
        self.remedies.iter().filter(|it| it.worked == 0 && it.ruling.is_none())
    }
}
