//! The index's data of a document besides its postings.

use std::sync::{Arc, OnceLock};

pub(crate) use crate::document::DocumentState as State;
use memory_core::{Revision, Timestamp};

use crate::document::Field;

/// A tool that an episode used.
#[derive(Debug, Clone)]
pub(crate) struct UsedTool {
    /// Shared by all episodes of the shard.
    pub(crate) name: Arc<str>,
    /// Whether a call ended in an error or a timeout.
    pub(crate) failed: bool,
}

/// A document that has a term.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Posting {
    pub(crate) slot: u32,
    /// The frequency weighed by field, in units of [`Shard::UNITS`](super::shard::Shard::UNITS) to one.
    pub(crate) frequency: u16,
    /// One bit a [`Field`](crate::document::Field).
    pub(crate) fields: u8,
}

/// A document of the index.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) id: Arc<str>,
    pub(crate) revision: Revision,
    pub(crate) expires_at: Option<Timestamp>,
    /// How an episode ended, or whether a learned item is rejected.
    pub(crate) state: State,
    /// Normalised, see [`normalize_label`]; shared by all entries of the shard that have it.
    pub(crate) kind: Arc<str>,
    /// The same.
    pub(crate) domain: Option<Arc<str>>,
    /// The agent of an episode, as recorded.
    pub(crate) agent: Option<Arc<str>>,
    /// The reward of an episode, or the confidence of a learned item; 0 if there is none.
    pub(crate) score: f32,
    /// When an episode started, or a learned item was last updated.
    pub(crate) at: Timestamp,
    /// The tools of an episode, in order of first use; empty for learned items.
    pub(crate) tools: Box<[UsedTool]>,
    /// Its terms, by ascending id; for a document of a snapshot only after first use, see
    /// [`Shard::terms`](super::shard::Shard::terms).
    pub(super) terms: OnceLock<Box<[TermRef]>>,
}

/// A term of a document: the id, and whether it is a word of the task or of the user's later messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct TermRef(u32);

impl TermRef {
    const TASK: u32 = 1;
    const KEYWORD: u32 = 2;

    /// The bits besides the id.
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

impl Entry {
    pub(crate) fn is_expired(&self, now: Timestamp) -> bool {
        self.expires_at.is_some_and(|expiry| expiry <= now)
    }
}
