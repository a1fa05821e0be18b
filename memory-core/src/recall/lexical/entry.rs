//! What the index keeps of a document besides its postings.

use std::sync::{Arc, OnceLock};

use super::census::UsedTool;
use crate::clock::Timestamp;
use crate::recall::document::Field;
use crate::store::record::Revision;

/// A document of the index.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) id: Arc<str>,
    pub(crate) revision: Revision,
    pub(crate) expires_at: Option<Timestamp>,
    /// How an episode ended, or whether what was learned is rejected.
    pub(crate) state: State,
    /// Normalised, see [`normalize_label`]; shared by all entries of the shard that have it.
    pub(crate) kind: Arc<str>,
    /// The same.
    pub(crate) domain: Option<Arc<str>>,
    /// Who did it, as recorded; of an episode.
    pub(crate) agent: Option<Arc<str>>,
    /// The reward of an episode, the confidence of what was learned; 0 if there is none.
    pub(crate) score: f32,
    /// When an episode started; when what was learned was last updated.
    pub(crate) at: Timestamp,
    /// The tools of an episode, in order of first use; empty of what was learned.
    pub(crate) tools: Box<[UsedTool]>,
    /// Its terms, by ascending id; of a document of an image once somebody asked for them, see
    /// [`Shard::terms`](super::shard::Shard::terms).
    pub(super) terms: OnceLock<Box<[TermRef]>>,
}

/// A term of a document: the id, and whether it is a word of the task or of what the user said later.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct TermRef(u32);

impl TermRef {
    const TASK: u32 = 1;
    const KEYWORD: u32 = 2;

    /// What it has besides the id.
    pub(super) const FLAGS: u32 = Self::TASK | Self::KEYWORD;
    pub(super) const FLAG_BITS: u32 = 2;
    /// One more than the highest id.
    pub(super) const END: usize = 1 << (u32::BITS - Self::FLAG_BITS);

    pub(super) fn new(id: u32, fields: u8) -> Self {
        let bit = |field: Field, bit: u32| if fields & (1 << field as u8) == 0 { 0 } else { bit };
        Self::of_parts(id, bit(Field::Task, Self::TASK) | bit(Field::Keywords, Self::KEYWORD))
    }

    pub(super) fn of_parts(id: u32, flags: u32) -> Self {
        Self(id << Self::FLAG_BITS | flags)
    }

    pub(super) fn flags(self) -> u32 {
        self.0 & Self::FLAGS
    }

    pub(crate) fn id(self) -> u32 {
        self.0 >> Self::FLAG_BITS
    }

    /// Returns true for a term of [`Field::Task`].
    pub(crate) fn is_of_task(self) -> bool {
        self.0 & Self::TASK != 0
    }

    /// Returns true for a term of [`Field::Task`] or [`Field::Keywords`].
    pub(crate) fn is_told(self) -> bool {
        self.0 & Self::FLAGS != 0
    }
}

/// Whether and how an episode ended; whether what was learned may be shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum State {
    Open,
    Success,
    Partial,
    Failure,
    Abstained,
    /// Of what was learned.
    Active,
    /// Of what was learned: never shown.
    Rejected,
    /// Of a ruling.
    Pinned,
    /// A state of a newer program.
    Other,
}

impl State {
    /// Every state; images number them by their places.
    pub(super) const ALL: [Self; 9] = [
        Self::Open,
        Self::Success,
        Self::Partial,
        Self::Failure,
        Self::Abstained,
        Self::Active,
        Self::Rejected,
        Self::Pinned,
        Self::Other,
    ];

    pub(super) fn parse(name: &str) -> Self {
        match name {
            "open" => Self::Open,
            "success" => Self::Success,
            "partial" => Self::Partial,
            "failure" => Self::Failure,
            "abstained" => Self::Abstained,
            "active" => Self::Active,
            "rejected" => Self::Rejected,
            "pinned" => Self::Pinned,
            _ => Self::Other,
        }
    }

    /// Returns true for an episode that has its outcome.
    pub(crate) fn is_completed(self) -> bool {
        matches!(self, Self::Success | Self::Partial | Self::Failure | Self::Abstained)
    }

    /// Returns how much of the task was done, in `0.0..=1.0`; `None` if nobody tried to the end.
    pub(crate) fn success(self) -> Option<f64> {
        match self {
            Self::Success => Some(1.0),
            Self::Partial => Some(0.5),
            Self::Failure => Some(0.0),
            _ => None,
        }
    }
}

impl Entry {
    pub(crate) fn is_expired(&self, now: Timestamp) -> bool {
        self.expires_at.is_some_and(|expiry| expiry <= now)
    }
}
