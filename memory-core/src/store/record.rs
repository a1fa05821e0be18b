//! Records: keys, revisions, tombstones, and the rule by which versions merge.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;
use crate::error::{Error, Result};
use crate::id::EpisodeId;
use crate::model::entity::Entity;
use crate::model::kind::Kind;
use crate::model::step::Step;

/// A namespace: records of one are invisible to every other.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Namespace(Arc<str>);

impl Namespace {
    /// The longest name allowed, in bytes.
    pub const MAX_BYTES: usize = 128;

    /// Creates a namespace from a name of 1 to 128 ASCII letters, digits, `-`, `_` and `.`.
    ///
    /// # Errors
    /// [`crate::ErrorKind::InvalidInput`] for any other name.
    pub fn new(name: &str) -> Result<Self> {
        if name.is_empty() || name.len() > Self::MAX_BYTES {
            let problem = format!("{} bytes, the limit is 1 to {} bytes", name.len(), Self::MAX_BYTES);
            return Err(Error::invalid("open namespace", "namespace", problem));
        }
        match name.chars().find(|c| !(c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'))) {
            Some(c) => Err(Error::invalid(
                "open namespace",
                "namespace",
                format!("{name:?} has the character {c:?}; letters, digits, '-', '_' and '.' are allowed"),
            )),
            None => Ok(Self(name.into())),
        }
    }

    /// Returns the name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Default for Namespace {
    /// The namespace `default`.
    fn default() -> Self {
        Self("default".into())
    }
}

impl fmt::Display for Namespace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Identifies a record.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key {
    /// The namespace.
    pub namespace: Namespace,
    /// The kind.
    pub kind: Kind,
    /// The identifier within namespace and kind: 1 to 200 bytes of printable ASCII.
    pub id: Arc<str>,
}

impl Key {
    /// Creates a key.
    pub fn new(namespace: &Namespace, kind: Kind, id: impl Into<Arc<str>>) -> Self {
        Self { namespace: namespace.clone(), kind, id: id.into() }
    }

    /// Returns the key of an episode.
    pub fn episode(namespace: &Namespace, id: EpisodeId) -> Self {
        Self::new(namespace, Kind::Episode, id.to_string())
    }

    /// Returns the key of a step: `episode:number:writer`, so that id order is step order.
    pub fn step(namespace: &Namespace, step: &Step) -> Self {
        let id = format!("{}:{:05}:{:016x}", step.episode, step.number, step.writer);
        Self::new(namespace, Kind::Step, id)
    }

    /// Returns the prefix that all ids of records owned by an episode (steps, artifacts) share.
    pub fn episode_prefix(id: EpisodeId) -> String {
        format!("{id}:")
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{}", self.namespace, self.kind, self.id)
    }
}

/// Identifies one running instance of the engine; 63 bits, so that SQL integers hold it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
pub struct WriterId(u64);

impl WriterId {
    /// Creates a writer id from random bits; the top bit is dropped.
    pub fn new(bits: u64) -> Self {
        Self(bits & (u64::MAX >> 1))
    }

    /// Returns the number, below 2^63.
    pub fn get(self) -> u64 {
        self.0
    }
}

/// The number of a commit in the durable tier, in commit order; 0 is before the first.
pub type Seq = u64;

/// A version of a record: a hybrid logical clock with the writer's id as tie-break. The higher one wins.
///
/// Kulkarni et al., "Logical Physical Clocks" (OPODIS 2014), packed into 61 bits: 45 bits of milliseconds (up
/// to the year 3084), 16 of counter. Two bits above them mark irreversible states and win over every version
/// without them, at any time and by any writer: a completed episode over an open one, and the tombstone of an
/// id that is never used again over both.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
pub struct Revision {
    /// Milliseconds since the epoch, shifted left by 16, plus the counter; below 2^63.
    pub clock: u64,
    /// The writer.
    pub writer: WriterId,
}

impl Revision {
    /// Set in the clock of a final tombstone.
    const FINAL: u64 = 1 << 62;
    /// Set in the clock of a completed episode.
    const COMPLETED: u64 = 1 << 61;
    /// The highest clock that can be issued.
    const LAST: u64 = Self::COMPLETED - 1;

    /// Returns the milliseconds part.
    pub fn at(self) -> Timestamp {
        Timestamp((self.clock & Self::LAST) >> 16)
    }

    /// Returns true for the revision of a tombstone whose id is never used again.
    pub fn is_final(self) -> bool {
        self.clock & Self::FINAL != 0
    }

    /// Returns the revision of a tombstone whose id is never used again.
    #[must_use]
    pub fn into_final(self) -> Self {
        Self { clock: self.clock | Self::FINAL, ..self }
    }

    /// Returns the revision of a completed episode.
    #[must_use]
    pub fn into_completed(self) -> Self {
        Self { clock: self.clock | Self::COMPLETED, ..self }
    }

    /// Returns the revision of the same content with another expiry: higher than this one, and lower than any
    /// that is issued after it. `None` if there is none between.
    pub(crate) fn renewed(self) -> Option<Self> {
        let writer = WriterId::new(self.writer.0 + 1);
        (writer > self.writer).then_some(Self { writer, ..self })
    }

    /// Returns true if no higher revision can be issued.
    pub fn is_last(self) -> bool {
        self.clock & Self::LAST == Self::LAST
    }
}

/// Issues revisions that are higher than all issued and observed before.
#[derive(Debug)]
pub struct RevisionClock {
    writer: WriterId,
    last: AtomicU64,
}

impl RevisionClock {
    /// Creates a clock for one writer.
    pub fn new(writer: WriterId) -> Self {
        Self { writer, last: AtomicU64::new(0) }
    }

    /// Returns the writer.
    pub fn writer(&self) -> WriterId {
        self.writer
    }

    /// Issues a revision. Once none is left (in the year 3084), it is the same again: see [`Revision::is_last`].
    pub fn next(&self, now: Timestamp) -> Revision {
        let wall = now.0.saturating_mul(1 << 16).min(Revision::LAST);
        let advance = |last: u64| wall.max(last.saturating_add(1)).min(Revision::LAST);
        let last = self.last.fetch_update(Ordering::AcqRel, Ordering::Acquire, |last| Some(advance(last)));
        Revision { clock: advance(last.unwrap_or_else(|last| last)), writer: self.writer }
    }

    /// Takes note of a revision seen elsewhere, so that the next one issued is higher (than all but final ones).
    pub fn observe(&self, seen: Revision) {
        self.last.fetch_max(seen.clock & Revision::LAST, Ordering::AcqRel);
    }
}

/// One version of a record: its content, or a tombstone.
///
/// A write hands the store a record; there is no separate mutation type.
#[derive(Debug, Clone, PartialEq)]
pub struct Record {
    /// The key of the record.
    pub key: Key,
    /// Which version.
    pub revision: Revision,
    /// When this version was made.
    pub updated_at: Timestamp,
    /// When stores may purge it; `None` for never, as with a final tombstone.
    pub expires_at: Option<Timestamp>,
    /// The content; `None` for a tombstone.
    pub entity: Option<Arc<Entity>>,
}

impl Record {
    /// Returns true for a tombstone.
    pub fn is_tombstone(&self) -> bool {
        self.entity.is_none()
    }

    /// Returns true once `now` has reached `expires_at`.
    pub fn is_expired(&self, now: Timestamp) -> bool {
        self.expires_at.is_some_and(|expiry| expiry <= now)
    }

    /// Returns true if this version replaces `other`, a version of the same record.
    pub fn supersedes(&self, other: &Record) -> bool {
        self.revision > other.revision
    }

    /// Returns roughly how many bytes the record takes in memory, for weighing caches.
    pub fn weight(&self) -> usize {
        let content = self.entity.as_ref().map_or(0, |entity| entity.weight());
        160 + self.key.id.len() + content
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::{Clock, ManualClock};

    #[test]
    fn revisions_rise_when_the_clock_stands_still_or_lags() {
        let clock = ManualClock::new(Timestamp(1_000));
        let revisions = RevisionClock::new(WriterId::new(u64::MAX));
        let first = revisions.next(clock.now());
        let second = revisions.next(clock.now());
        assert!(second > first);
        assert_eq!(second.at(), Timestamp(1_000));
        let ahead = Revision { clock: 5_000 << 16, writer: WriterId::new(1) };
        revisions.observe(ahead);
        assert!(revisions.next(clock.now()) > ahead);
        assert!(revisions.next(clock.now()).writer.get() <= i64::MAX as u64);
    }

    #[test]
    fn a_final_revision_wins_over_all_others_and_moves_no_clock() {
        let clock = ManualClock::new(Timestamp(1_000));
        let revisions = RevisionClock::new(WriterId::new(1));
        let last = revisions.next(clock.now()).into_final();
        assert!(last.is_final() && last.clock <= i64::MAX as u64);
        assert_eq!(last.at(), Timestamp(1_000));
        let far = RevisionClock::new(WriterId::new(2)).next(Timestamp(u64::MAX));
        assert!(far < last && !far.is_final());
        revisions.observe(last);
        let next = revisions.next(clock.now());
        assert!(!next.is_final() && next.at() == Timestamp(1_000), "{next:?}");
    }

    #[test]
    fn revisions_end_without_overflow() {
        let clock = ManualClock::new(Timestamp(1_000));
        let revisions = RevisionClock::new(WriterId::new(1));
        revisions.observe(Revision { clock: u64::MAX, writer: WriterId::new(2) });
        let last = revisions.next(clock.now());
        assert!(last.is_last() && !last.is_final());
        assert_eq!(revisions.next(clock.now()), last);
    }

    #[test]
    fn namespace_names_are_checked() {
        let check = |name: &str, valid: bool| assert_eq!(Namespace::new(name).is_ok(), valid, "{name:?}");
        check("team-a.prod_1", true);
        check("", false);
        check("a b", false);
        check("ä", false);
        check(&"x".repeat(129), false);
    }
}
