//! The two-tier engine: a durable tier, a local cache, and in remote mode an outbox between them.
//!
//! Writes go through the committer to the outbox (remote mode) or the durable tier (local mode); reads go hot
//! layer → overlay → outbox → cache file → durable tier. The drain empties the outbox, the puller applies the
//! change feed, upkeep evicts, checkpoints and purges.

#[cfg(test)]
mod broken;
mod cache_writer;
mod close;
mod commit;
mod config;
mod documents;
mod drain;
mod hot;
pub(crate) mod index;
#[cfg(any(test, feature = "testing"))]
pub(crate) mod key_index;
mod open;
mod outbox;
mod progress;
mod pull;
mod read;
mod scan;
mod sent;
mod snapshot;
mod status;
mod supervise;
mod time;
mod unreadable;
mod upkeep;
mod verdicts;

use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::{Notify, OnceCell, watch};
use tokio::task::JoinHandle;

use crate::clock::{Clock, Timestamp};
use crate::error::{Error, ErrorKind, Result};
use crate::id::lock;
use crate::model::entity::Entity;
use crate::model::kind::Kind;
use crate::store::decorate::breaker::Breaker;
use crate::store::query::{Page, Scan};
use crate::store::record::Seq;
use crate::store::record::{Key, Namespace, Record, RevisionClock, WriterId};
use crate::store::traits::{Durable, Outbox, Purged, Store, Tiers};
use crate::store::wire::{MAX_RECORD_BYTES, Row};

use cache_writer::CacheWriter;
use commit::{Committer, Write};
use documents::documents_of;
use drain::Suspects;
use hot::Hot;
use index::SearchIndex;
use progress::{Progress, Task};
use unreadable::Unreadable;
use verdicts::{Following, Verdicts};

pub use close::PendingReport;
pub use config::{Ack, EngineConfig};
pub use hot::HotUsage;
pub use read::means_away;
pub use read::{Freshness, Read};
pub use status::{EngineStatus, Mode, OutboxStatus, SyncStatus};
pub use supervise::supervised;

/// The engine of one namespace. Cloning is not needed: share it by `Arc`.
///
/// Dropping it without [`Engine::close`] loses no acknowledged write; the next instance sends the unsent rows
/// of the outbox.
pub struct Engine {
    shared: Arc<Shared>,
    tasks: Mutex<Vec<JoinHandle<()>>>,
}

/// Everything the engine's threads and tasks share.
struct Shared {
    namespace: Namespace,
    config: EngineConfig,
    clock: Arc<dyn Clock>,
    revisions: RevisionClock,
    tiers: Tiers,
    /// The durable tier inside breaker, retry and timeout (remote mode), or bare (local mode).
    durable: Arc<dyn Durable>,
    breaker: Option<Breaker>,
    committer: Committer,
    hot: Arc<Hot>,
    cache_writer: Arc<CacheWriter>,
    missing: moka::sync::Cache<Key, ()>,
    flights: read::Flights,
    index: Arc<dyn SearchIndex>,
    /// Rows up to here are acknowledged by the durable tier or dead letters.
    watermark: watch::Sender<Seq>,
    /// Notified whenever rows are appended to the outbox.
    appended: Arc<Notify>,
    /// Notified to drain now, even if the durable tier was away a moment ago.
    kicked: Notify,
    /// Counts the times that the change feed was applied; a reader that spans one fills nothing. Held while
    /// something is filled.
    feed_generation: Mutex<u64>,
    /// Rows of the outbox up to here were not appended by this instance (a killed one's, adopted, replayed):
    /// the cache file may hold older versions of them.
    recovered: AtomicU64,
    /// How many calls are in flight that add such rows.
    recovering: AtomicU64,
    /// Held while the change feed is read.
    pulling: tokio::sync::Mutex<()>,
    /// Changes requested at once; fewer after the durable tier took too long.
    page: AtomicUsize,
    /// By how much batches are smaller than configured, after the durable tier took too long or refused one.
    shrunk: AtomicU32,
    /// Rows that did not get through, though others may.
    suspects: Mutex<Suspects>,
    verdicts: Verdicts,
    /// Versions that the durable tier has acknowledged and that were not seen there since.
    sent: Mutex<sent::Sent>,
    /// Rows up to here were renumbered because the outbox was rebuilt since opening.
    renumbered: Arc<AtomicU64>,
    /// The server's time when the monotonic clock began; 0 while it is not known.
    server_epoch: AtomicU64,
    /// Reads use the server's time, too: records written earlier by this machine's clock have been renewed.
    reads_by_server: AtomicBool,
    progress: Mutex<Progress>,
    unreadable: Arc<Unreadable>,
    /// Set once the pending rows of the outbox are in the index and the feed was queried for the first time.
    ready: OnceCell<()>,
    shutdown: watch::Sender<bool>,
    closed: AtomicBool,
    opened_at: Timestamp,
}

/// Marks the rows of the outbox as recovered when it is dropped.
struct Recovering<'a>(&'a Shared);

impl Drop for Recovering<'_> {
    fn drop(&mut self) {
        self.0.mark_recovered();
        self.0.recovering.fetch_sub(1, Ordering::AcqRel);
    }
}

impl Engine {
    /// Returns the namespace.
    pub fn namespace(&self) -> &Namespace {
        &self.shared.namespace
    }

    /// Returns the clock.
    pub fn clock(&self) -> &Arc<dyn Clock> {
        &self.shared.clock
    }

    /// Returns the writer id of this instance.
    pub fn writer(&self) -> WriterId {
        self.shared.revisions.writer()
    }

    /// Makes the next version of a record, with the retention of its kind.
    pub fn version(&self, key: Key, entity: Option<Entity>) -> Record {
        self.shared.version(key, entity.map(Arc::new))
    }

    /// Makes the tombstone of a record whose id is never used again: it wins over every other version, and is
    /// kept for ever.
    pub fn final_version(&self, key: Key) -> Record {
        let now = self.shared.now();
        let revision = self.shared.revisions.next(now).into_final();
        Record { revision, updated_at: now, expires_at: None, entity: None, key }
    }

    /// Returns how long records of a kind are kept after their last change; `None` if they do not expire.
    pub fn retention_of(&self, kind: Kind) -> Option<Duration> {
        self.shared.config.retention_of(kind)
    }

    /// Commits records atomically, as durable as [`EngineConfig::ack`] requires.
    ///
    /// Cancelling the future does not cancel the write.
    ///
    /// # Errors
    /// `InvalidInput` for a record above 4 MB encoded; `QuotaExceeded` when queue or outbox are full; `Closed`;
    /// `Io` and, in local mode, `Busy` when the file cannot be written. With [`Ack::Durable`] also
    /// `Unavailable` when the durable tier has not answered within the write deadline (the records are kept and
    /// will be sent) and `Rejected` when it refused a record (which becomes a dead letter).
    pub async fn commit(&self, mut records: Vec<Record>) -> Result<()> {
        if records.is_empty() {
            return Ok(());
        }
        let mut bytes = 0;
        for record in &mut records {
            self.shared.stamp(record);
            self.shared.check_revision("commit", &record.key, record.revision, record.is_tombstone())?;
            self.shared.revisions.observe(record.revision);
            bytes += encoded_size(record)?;
        }
        let documents = documents_of(self.shared.index.as_ref(), &records, &self.shared.unreadable);
        let write = Write { records, documents, bytes };
        if self.shared.config.ack == Ack::Local || self.shared.outbox().is_none() {
            return self.shared.committer.commit(write).await.map(drop);
        }
        // Started before the rows are appended: the drain may have handled them before this continues.
        let verdicts = self.shared.verdicts.follow();
        let renumbered = self.shared.renumbered.load(Ordering::Acquire);
        match self.shared.committer.commit(write).await? {
            Some(place) => self.shared.wait_durable(place, renumbered, &verdicts).await,
            None => Ok(()),
        }
    }

    /// Returns the bytes stored in the cache under a name; `None` if there are no readable ones.
    pub async fn state(&self, name: &str) -> Option<Vec<u8>> {
        let state = self.shared.tiers.cache.state(&self.shared.namespace, name).await;
        state.unwrap_or_else(|error| {
            tracing::debug!(%error, name, "what was learned is made again");
            None
        })
    }

    /// Stores bytes in the cache under a name, or removes those stored; returns false if the cache failed.
    pub async fn put_state(&self, name: &str, bytes: Option<&[u8]>) -> bool {
        let put = self.shared.tiers.cache.put_state(&self.shared.namespace, name, bytes).await;
        put.inspect_err(|error| tracing::debug!(%error, name, "what was learned is not stored")).is_ok()
    }

    /// Waits until the durable tier has everything committed so far.
    ///
    /// # Errors
    /// `Unavailable` with the rows left when that takes longer than `timeout`.
    pub async fn flush(&self, timeout: Duration) -> Result<()> {
        self.shared.kick();
        self.flush_as_it_is(timeout).await
    }

    /// As [`Engine::flush`], without asking a durable tier that is away before its time.
    async fn flush_as_it_is(&self, timeout: Duration) -> Result<()> {
        let Some((outbox, _)) = &self.shared.tiers.outbox else { return Ok(()) };
        self.shared.kicked.notify_one();
        let deadline = tokio::time::Instant::now() + timeout;
        let mut watermark = self.shared.watermark.subscribe();
        // Includes rows that are renumbered meanwhile because the outbox was rebuilt.
        let mut target = outbox.usage().last_seq;
        while let Ok(Ok(_)) =
            tokio::time::timeout_at(deadline, watermark.wait_for(|reached| *reached >= target)).await
        {
            match self.shared.renumbered.load(Ordering::Acquire) {
                renumbered if renumbered > target => target = renumbered,
                _ => return Ok(()),
            }
        }
        let usage = outbox.usage();
        let message = format!(
            "{} rows ({} bytes) still wait in the outbox after {} ms",
            usage.rows,
            usage.bytes,
            timeout.as_millis()
        );
        let error = Error::new(ErrorKind::Unavailable, "flush", message).with_hint(
            "nothing is lost: they are sent when the server is back; see the status for the reason",
        );
        Err(match lock(&self.shared.progress).last_error() {
            Some(last) => error.with_context("last error", last),
            None => error,
        })
    }

    /// Pulls the change feed now and waits for it.
    ///
    /// # Errors
    /// Whatever the durable tier reports.
    pub async fn pull(&self) -> Result<()> {
        if let Some(breaker) = &self.shared.breaker {
            breaker.probe_now();
        }
        self.shared.pull().await
    }

    /// Purges records that have expired at `now` and by the durable tier's own time; returns the time up to
    /// which it did. Deletion by age follows that time, because the clock of this machine may be wrong.
    ///
    /// # Errors
    /// Whatever the durable tier reports.
    pub async fn purge(&self, now: Timestamp) -> Result<Purged> {
        self.shared.purge(now).await
    }

    /// Returns true once closing has begun.
    pub fn is_closed(&self) -> bool {
        self.shared.closed.load(Ordering::Acquire)
    }

    /// Returns true if a version of the record is pending in the outbox.
    ///
    /// # Errors
    /// `Io` when the outbox cannot be read.
    pub fn is_pending(&self, key: &Key) -> Result<bool> {
        match self.shared.outbox() {
            Some(outbox) => Ok(outbox.pending(std::slice::from_ref(key))?.pop().flatten().is_some()),
            None => Ok(false),
        }
    }

    /// In local mode, reads the commits of other processes until now; otherwise the puller does so at its
    /// interval.
    ///
    /// # Errors
    /// Whatever the durable tier reports.
    pub async fn refresh(&self) -> Result<()> {
        if self.shared.outbox().is_some() { self.ready().await } else { self.shared.pull().await }
    }

    /// Counts the live records of each kind that the durable tier has.
    ///
    /// # Errors
    /// Whatever the durable tier reports.
    pub async fn count(&self) -> Result<Vec<(Kind, u64)>> {
        self.shared.durable.count(&self.shared.namespace).await
    }

    /// Makes dead letters pending again, those with these numbers or all; returns how many.
    ///
    /// # Errors
    /// `Io` when the outbox cannot be written.
    pub async fn retry_dead_letters(&self, seqs: Option<Vec<Seq>>) -> Result<u64> {
        let now = self.shared.clock.now();
        let recovering = self.shared.recovering();
        let retry = move |outbox: &dyn Outbox| outbox.retry_dead_letters(seqs.as_deref(), now);
        let retried = self.shared.ask_outbox(retry).await?.unwrap_or(0);
        drop(recovering);
        self.shared.kick();
        Ok(retried)
    }

    /// Returns one page of dead letters after `after`, oldest first; at the end, none.
    ///
    /// # Errors
    /// `Io` when the outbox cannot be read.
    pub async fn dead_letters(
        &self,
        after: Seq,
        limit: usize,
    ) -> Result<Vec<crate::store::dead_letter::DeadLetter>> {
        let listed = self.shared.ask_outbox(move |outbox| outbox.dead_letters(after, limit)).await?;
        Ok(listed.unwrap_or_default())
    }

    /// Deletes dead letters for good; returns how many there were.
    ///
    /// # Errors
    /// `Io` when the outbox cannot be written.
    pub async fn drop_dead_letters(&self, seqs: Vec<Seq>) -> Result<u64> {
        let dropped = self.shared.ask_outbox(move |outbox| outbox.drop_dead_letters(&seqs)).await?;
        Ok(dropped.unwrap_or(0))
    }
}

impl Shared {
    /// Wakes the drain, and lets it try even while the breaker is open.
    fn kick(&self) {
        if let Some(breaker) = &self.breaker {
            breaker.probe_now();
        }
        self.kicked.notify_one();
    }

    /// Notes that the rows now in the outbox may be news to the cache file.
    fn mark_recovered(&self) {
        if let Some(outbox) = self.outbox() {
            self.recovered.fetch_max(outbox.usage().last_seq, Ordering::AcqRel);
        }
    }

    /// Must be held while rows that this instance did not append enter the outbox: the drain may see them
    /// before they are marked. Until it is dropped, all rows count as such.
    fn recovering(&self) -> Recovering<'_> {
        self.recovering.fetch_add(1, Ordering::AcqRel);
        Recovering(self)
    }

    /// Waits until the durable tier has rows that were appended while rows up to `renumbered` were being
    /// renumbered.
    async fn wait_durable(
        &self,
        (first, last): (Seq, Seq),
        renumbered: Seq,
        verdicts: &Following<'_>,
    ) -> Result<()> {
        let mut watermark = self.watermark.subscribe();
        let reached =
            tokio::time::timeout(self.config.deadlines.write, watermark.wait_for(|reached| *reached >= last));
        let reached = matches!(reached.await, Ok(Ok(_)));
        if let Some(reason) = verdicts.refusal(first..=last) {
            return Err(Error::new(ErrorKind::Rejected, "commit", reason)
                .with_hint("the record is a dead letter; `memory sync retry` sends it again"));
        }
        if reached && renumbered == self.renumbered.load(Ordering::Acquire) {
            return Ok(());
        }
        let message = if reached {
            "the outbox was damaged and rebuilt meanwhile".to_owned()
        } else {
            format!("the durable tier has not acknowledged within {:?}", self.config.deadlines.write)
        };
        Err(Error::new(ErrorKind::Unavailable, "commit", message)
            .with_hint("the records are kept locally and will be sent; the write need not be repeated"))
    }

    /// Returns how often the change feed is pulled.
    fn poll_interval(&self) -> Duration {
        let default = if self.outbox().is_some() { 1_000 } else { 100 };
        self.config.poll_interval.unwrap_or(Duration::from_millis(default))
    }

    fn outbox(&self) -> Option<&Arc<dyn Outbox>> {
        self.tiers.outbox.as_ref().map(|(outbox, _)| outbox)
    }
}

/// Returns the encoded size of a record, exactly where the limit is near and about elsewhere.
fn encoded_size(record: &Record) -> Result<usize> {
    // JSON escapes a byte with six at the most.
    let weight = record.weight();
    if weight.saturating_mul(6) < MAX_RECORD_BYTES { Ok(weight) } else { Ok(Row::encode(record)?.size()) }
}

#[async_trait]
impl Store for Engine {
    async fn commit(&self, records: &[Record]) -> Result<()> {
        Engine::commit(self, records.to_vec()).await
    }

    async fn get(&self, keys: &[Key]) -> Result<Vec<Option<Record>>> {
        let mut found = Vec::with_capacity(keys.len());
        for key in keys {
            found.push(self.read(key).await?.record);
        }
        Ok(found)
    }

    async fn scan(&self, scan: &Scan) -> Result<Page> {
        self.scan_fresh(scan).await.map(|(page, _)| page)
    }

    async fn delete_expired(&self, now: Timestamp) -> Result<Purged> {
        self.flush(self.shared.config.deadlines.write).await?;
        let purged = self.shared.purge(now).await?;
        self.shared.cache_writer.settle().await;
        Ok(purged)
    }

    async fn health(&self) -> Result<()> {
        if self.shared.closed.load(Ordering::Acquire) {
            return Err(Error::new(ErrorKind::Closed, "health", "the memory is closed"));
        }
        self.shared.durable.health().await
    }
}
