//! The traits of both tiers. No method has a default body, so a wrapper cannot forget one.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use serde::Serialize;

use crate::clock::Timestamp;
use crate::error::{Error, Result};
use crate::model::kind::Kind;
use crate::store::contact::Contacts;
use crate::store::dead_letter::DeadLetter;
use crate::store::query::{Page, Scan};
use crate::store::record::{Key, Namespace, Record, Revision, Seq, WriterId};

/// The methods of both tiers. All are batch-first.
///
/// A store merges by revision: a version is applied only if it is higher than the one stored, so a batch
/// applied twice, or out of order, ends in the same state. A durable store takes no live record that belongs to a
/// forgotten episode ([`Kind::owner_of`], [`Revision::is_final`]): it passes it over.
#[async_trait]
pub trait Store: Send + Sync {
    /// Applies versions atomically: all of them or, on error, none. Several versions of one key may be in a
    /// batch; the highest wins.
    ///
    /// # Errors
    /// After an error of a durable store whose outcome is unknown (a lost answer), the batch may or may not be
    /// applied; applying it again is safe.
    async fn commit(&self, records: &[Record]) -> Result<()>;

    /// Returns the stored version of each key, in order: tombstones and expired records too, `None` where
    /// nothing is stored.
    async fn get(&self, keys: &[Key]) -> Result<Vec<Option<Record>>>;

    /// Returns one page of live records. Expired records that are not purged yet are included.
    async fn scan(&self, scan: &Scan) -> Result<Page>;

    /// Purges the records and tombstones of every namespace that have expired at `now` and by the store's own
    /// time: a caller with a wrong clock deletes nothing. A store whose own time jumps ahead does not believe
    /// it at once.
    async fn delete_expired(&self, now: Timestamp) -> Result<Purged>;

    /// Checks that the store answers.
    async fn health(&self) -> Result<()>;
}

/// The result of a purge.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Purged {
    /// The number of purged records and tombstones.
    pub records: u64,
    /// The time up to which expired records were purged: that of the caller or, if earlier, of the store.
    pub until: Timestamp,
    /// How far the store's time is ahead of the believed time, if it is not believed yet.
    pub disbelieved: Option<Duration>,
}

/// Requests the changes after a position of the change feed.
#[derive(Debug, Clone)]
pub struct ChangesQuery {
    /// Only these namespaces.
    pub namespaces: Vec<Namespace>,
    /// Only commits after this one.
    pub after: Seq,
    /// About how many changes to return; a commit is never split, so there may be more.
    pub limit: usize,
    /// The kinds whose records are returned; for others only key and revision.
    pub bodies: Vec<Kind>,
    /// Returns only key and revision of the versions that this writer made, of any kind: it has them.
    pub own: Option<WriterId>,
}

/// A record that has changed.
#[derive(Debug, Clone)]
pub struct Change {
    /// Which record.
    pub key: Key,
    /// Its revision now.
    pub revision: Revision,
    /// The record, for the requested kinds.
    pub record: Option<Record>,
}

/// An answer of the change feed.
#[derive(Debug, Clone)]
pub struct Changes {
    /// The changed records in commit order; each record at most once, in its latest version.
    pub changes: Vec<Change>,
    /// The position for the next request.
    pub next: Seq,
    /// The number of the last commit in the database. A head below a position seen before means that the
    /// server has lost acknowledged commits.
    pub head: Seq,
    /// Tombstones up to here may have been purged: a reader whose position is lower and not 0 must start over.
    pub floor: Seq,
    /// Identifies the database; another identity means another database at the same address.
    pub database: String,
    /// The token of the commit `next`: random, so that two databases that diverged differ in it. `None` if the
    /// database has none for it.
    pub token: Option<u64>,
    /// The token of the commit at the query's position. If it differs from the one returned with that position,
    /// the database is not the one that was read, but a backup or a fork of it.
    pub anchor: Option<u64>,
    /// The time of the database's own clock.
    pub now: Timestamp,
    /// A revision of the last commit: the next write must be higher. `None` if there is no commit any more.
    pub latest: Option<Revision>,
    /// Keys of the rows whose kind or body this program cannot read, as far as known; they are skipped.
    pub unreadable: Vec<String>,
}

/// The methods of the durable tier: the change feed, for caches and other processes.
#[async_trait]
pub trait Durable: Store {
    /// Returns the changes, oldest first.
    async fn changes(&self, query: &ChangesQuery) -> Result<Changes>;

    /// Counts the live records of each kind in a namespace. Kinds without any are left out.
    async fn count(&self, namespace: &Namespace) -> Result<Vec<(Kind, u64)>>;

    /// Does the store's own upkeep (checkpoints the write-ahead log, drops idle connections).
    async fn maintain(&self) -> Result<()>;

    /// Ends the store's use of its files and connections; later calls fail with `Closed`.
    async fn close(&self) -> Result<()>;
}

/// Usage and statistics of a cache.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct CacheUsage {
    /// Cached records.
    pub records: u64,
    /// The size on disk, in bytes.
    pub bytes: u64,
    /// The configured bound on that size, in bytes.
    pub limit_bytes: u64,
    /// Reads that found a record.
    pub hits: u64,
    /// Reads that did not.
    pub misses: u64,
    /// Records evicted to stay under the bound.
    pub evicted: u64,
    /// Entries that did not decode and were treated as misses.
    pub corrupt: u64,
}

/// The position of a cache in the change feed, and of which database.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Cursor {
    /// The database the position belongs to; empty before the first pull.
    pub database: String,
    /// The last commit applied to the cache and its search documents.
    pub seq: Seq,
    /// Its token; `None` if it had none.
    pub token: Option<u64>,
}

/// The methods of the cache tier: eviction, usage, the pull cursor and the search documents.
///
/// A cache may lose anything at any time; the rest is a consistent prefix of the writes to it.
#[async_trait]
pub trait Cache: Store {
    /// Returns the record of each key with the time it was filled; expired by TTL or not. Reading counts as
    /// use for LRU.
    async fn lookup(&self, keys: &[Key]) -> Result<Vec<Option<CachedRecord>>>;

    /// Forgets keys.
    async fn remove(&self, keys: &[Key]) -> Result<()>;

    /// Returns the pull cursor; the default before the first.
    async fn cursor(&self) -> Result<Cursor>;

    /// Sets the pull cursor. Earlier commits are never lost without the cursor going back, too: once a cache
    /// has lost something it keeps its older cursor, or none, until it is cleared.
    async fn set_cursor(&self, cursor: &Cursor) -> Result<()>;

    /// Evicts least recently used records until the file is under its limit; returns how many.
    async fn evict(&self) -> Result<u64>;

    /// Returns figures for the status.
    async fn usage(&self) -> Result<CacheUsage>;

    /// Stores search documents by key, or removes those that are `None`. They are outside LRU. One that is
    /// older than the cache's version of its key, document or record, is skipped.
    async fn put_documents(&self, documents: &[(Key, Option<StoredDocument>)]) -> Result<()>;

    /// Returns up to `limit` search documents of a namespace after `after`, in key order; at the end, none.
    async fn documents(&self, namespace: &Namespace, after: Option<&Key>, limit: usize) -> Result<Documents>;

    /// Returns the search documents of keys; keys without one are left out.
    async fn documents_of(&self, keys: &[Key]) -> Result<Documents>;

    /// Stores the snapshot of a namespace's recall index in place of an earlier one: all documents are part of
    /// it until they are put or removed again. A cache without room for it keeps none.
    async fn put_snapshot(&self, namespace: &Namespace, snapshot: &[u8]) -> Result<()>;

    /// Returns the snapshot of a namespace with the changes since; `None` without a readable one.
    async fn snapshot(&self, namespace: &Namespace) -> Result<Option<IndexSnapshot>>;

    /// Stores bytes derived from a namespace's episodes under a name, replacing the earlier ones; `None`
    /// removes them. The cache does not interpret them. A cache without room for them keeps none.
    async fn put_state(&self, namespace: &Namespace, name: &str, bytes: Option<&[u8]>) -> Result<()>;

    /// Returns the bytes stored under a name; `None` without readable ones.
    async fn state(&self, namespace: &Namespace, name: &str) -> Result<Option<Vec<u8>>>;

    /// Forgets everything: records, documents, snapshots, states and cursor.
    async fn clear(&self) -> Result<()>;

    /// Makes the writes so far durable, as far as a cache is.
    async fn persist(&self) -> Result<()>;
}

/// A search document as a cache stores it, which does not understand it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredDocument {
    /// The revision of the record that it was made of.
    pub revision: Revision,
    /// The document as the search index encodes it.
    pub bytes: Vec<u8>,
}

/// Search documents as a cache returns them.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Documents {
    /// The documents.
    pub found: Vec<(Key, StoredDocument)>,
    /// How many between them could not be read.
    pub unreadable: u64,
}

/// The snapshot of a namespace's recall index as a cache returns it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct IndexSnapshot {
    /// The snapshot as it was stored.
    pub bytes: Vec<u8>,
    /// The keys whose documents were put or removed since; in no order.
    pub changed: Vec<Key>,
}

/// A record as a cache returns it.
#[derive(Debug, Clone)]
pub struct CachedRecord {
    /// The record.
    pub record: Record,
    /// When it was filled.
    pub filled_at: Timestamp,
}

/// A row of the outbox.
#[derive(Debug, Clone)]
pub struct OutboxRow {
    /// Its place in the outbox.
    pub seq: Seq,
    /// When it was appended.
    pub appended_at: Timestamp,
    /// The record to send.
    pub record: Record,
}

/// The usage of an outbox.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct OutboxUsage {
    /// Unsent rows.
    pub rows: u64,
    /// Their encoded size, in bytes.
    pub bytes: u64,
    /// When the oldest of them was appended.
    pub oldest: Option<Timestamp>,
    /// The sequence number of the last row ever appended.
    pub last_seq: Seq,
    /// Dead letters: rows that were refused or cannot be read. They count against both bounds.
    pub dead_letters: u64,
    /// Their encoded size with the reasons, in bytes.
    pub dead_letter_bytes: u64,
    /// Acknowledged rows that are kept.
    pub tail_rows: u64,
    /// Their encoded size, in bytes.
    pub tail_bytes: u64,
    /// The bound on waiting rows and dead letters together.
    pub limit_rows: u64,
    /// The bound on their bytes.
    pub limit_bytes: u64,
}

/// The write-ahead outbox of remote mode. Its methods block: call them on a thread that may.
pub trait Outbox: Send + Sync {
    /// Appends records in order, atomically and durably: on return they survive power loss. Returns the
    /// sequence number of the last.
    ///
    /// # Errors
    /// [`crate::ErrorKind::QuotaExceeded`] with the figures when the rows would not fit in addition to pending
    /// rows and dead letters; nothing is appended. Any other error leaves the outbox closed for writing until
    /// [`Outbox::reopen`].
    fn append(&self, records: &[Record], now: Timestamp) -> Result<Seq>;

    /// Reopens the file after a failed commit, recovering to the last durable one. Sequence numbers continue
    /// above all that were assigned before, also when the file had to be rebuilt.
    fn reopen(&self) -> Result<()>;

    /// Returns pending rows after `after` in order, up to both limits but at least one if there is any. A row
    /// that does not decode becomes a dead letter and is skipped.
    fn peek(&self, after: Seq, limit_rows: usize, limit_bytes: usize) -> Result<Vec<OutboxRow>>;

    /// Marks pending rows with these numbers as acknowledged: the durable tier has them. Not durable until the
    /// next commit; after a crash they may be pending again.
    fn ack(&self, seqs: &[Seq], now: Timestamp) -> Result<()>;

    /// Moves a waiting row to the dead letters.
    fn refuse(&self, seq: Seq, reason: &str, now: Timestamp) -> Result<()>;

    /// Returns one page of dead letters after `after`, oldest first: at most `limit`, and fewer if they are
    /// large. At the end, none.
    fn dead_letters(&self, after: Seq, limit: usize) -> Result<Vec<DeadLetter>>;

    /// Makes dead letters that decode pending again, durably, with new numbers: those with these numbers, or
    /// all. Returns how many.
    fn retry_dead_letters(&self, seqs: Option<&[Seq]>, now: Timestamp) -> Result<u64>;

    /// Adds dead letters of another outbox, durably, with new numbers and their reasons and times.
    ///
    /// # Errors
    /// As [`Outbox::append`].
    fn add_dead_letters(&self, letters: &[DeadLetter]) -> Result<()>;

    /// Deletes the dead letters with these numbers, durably and for good; returns how many there were.
    fn drop_dead_letters(&self, seqs: &[Seq]) -> Result<u64>;

    /// Makes rows acknowledged at `since` or later pending again, durably; returns how many. Older ones stay
    /// until they are trimmed. For a server that lost commits.
    fn replay_tail(&self, since: Timestamp, now: Timestamp) -> Result<u64>;

    /// Returns up to `limit` acknowledged rows, from the first to the last, preferring those with ids that no
    /// other writer makes ([`Kind::has_unique_ids`]): another writer's version may hide a lost one.
    fn sample_tail(&self, limit: usize) -> Result<Vec<Record>>;

    /// Drops rows acknowledged before `before`, and the oldest acknowledged ones beyond their bound in bytes.
    fn trim_tail(&self, before: Timestamp) -> Result<()>;

    /// Returns the latest waiting version of each key.
    fn pending(&self, keys: &[Key]) -> Result<Vec<Option<Record>>>;

    /// Returns the latest pending version of each record, tombstones too, whose id a scan of this namespace,
    /// kind, prefix and cursor would visit, in scan order and at most `limit`. The scan's conditions are
    /// ignored: a version that does not meet them still hides an older one that does.
    fn pending_scan(&self, scan: &Scan, limit: usize) -> Result<Vec<Record>>;

    /// Returns figures for status and backpressure. Never touches the disk.
    fn usage(&self) -> OutboxUsage;
}

/// The result of adopting orphaned outboxes.
#[derive(Debug, Default)]
pub struct Adopted {
    /// Rows that are pending in the new outbox now.
    pub rows: u64,
    /// Dead letters that are in the new outbox now.
    pub dead_letters: u64,
    /// Damaged or unreadable files, as text for people.
    pub warnings: Vec<String>,
    /// The first error, if a folder could not be adopted; the others were.
    pub error: Option<Error>,
}

/// Adopts the outboxes of dead instances.
pub trait Orphans: Send + Sync {
    /// Moves the pending rows and the dead letters of every outbox that no process holds into `into`.
    fn adopt(&self, into: &dyn Outbox, now: Timestamp) -> Adopted;
}

/// The stores an engine is assembled from.
#[derive(Clone)]
pub struct Tiers {
    /// The durable tier.
    pub durable: Arc<dyn Durable>,
    /// The local cache.
    pub cache: Arc<dyn Cache>,
    /// The outbox and its orphans; present in remote mode.
    pub outbox: Option<(Arc<dyn Outbox>, Arc<dyn Orphans>)>,
    /// The information about the durable tier that processes of this machine share; `None` if they share none.
    pub contacts: Option<Arc<dyn Contacts>>,
    /// Repairs and renamed files on opening them, as text for people.
    pub warnings: Vec<String>,
}

/// Deadlines for calls to a store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Deadlines {
    /// For one read; 5 s by default.
    pub read: Duration,
    /// For one write; 10 s by default.
    pub write: Duration,
}

impl Default for Deadlines {
    fn default() -> Self {
        Self { read: Duration::from_secs(5), write: Duration::from_secs(10) }
    }
}
