//! The two-tier engine: a durable tier, a local cache, and in remote mode an outbox between them.
//!
//! Writes go through the committer to the outbox (remote mode) or the durable tier (local mode); reads go hot
//! layer → overlay → outbox → cache file → durable tier. The drain empties the outbox, the puller applies the change
//! feed, upkeep evicts, checkpoints and purges.

#[cfg(test)]
mod broken;
mod commit;
mod config;
mod drain;
mod fill;
mod hot;
mod image;
mod pull;
mod read;
mod scan;
mod status;
mod upkeep;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, RwLock};
use std::time::Duration;

use async_trait::async_trait;
use serde::Serialize;
use tokio::runtime::Handle;
use tokio::sync::{Notify, OnceCell, watch};
use tokio::task::JoinHandle;

use crate::clock::{Clock, Timestamp};
use crate::error::{Error, ErrorKind, Result};
use crate::id::{IdSource, lock};
use crate::model::entity::Entity;
use crate::model::kind::Kind;
use crate::recall::document::SearchDocument;
use crate::recall::lexical::LexicalIndex;
use crate::store::decorate::Layered;
use crate::store::decorate::breaker::Breaker;
use crate::store::decorate::retry::Retry;
use crate::store::decorate::timeout::Timeout;
use crate::store::query::{Page, Scan};
use crate::store::record::{Key, Namespace, Record, RevisionClock, WriterId};
use crate::store::traits::{Durable, Outbox, Seq, Store, Tiers};
use crate::store::wire::{MAX_RECORD_BYTES, Row};

use commit::{Committer, Target, Write};
use fill::{Fill, Filler};
use hot::Hot;

pub use config::{Ack, EngineConfig};
pub use hot::HotUsage;
pub use read::{Freshness, Read};
pub use status::{EngineStatus, Mode, OutboxStatus, SyncStatus};

/// The engine of one namespace. Cloning is not needed: share it by `Arc`.
///
/// Dropping it without [`Engine::close`] loses nothing that was acknowledged; what waits in the outbox is sent by the next
/// instance.
pub struct Engine {
    shared: Arc<Shared>,
    tasks: Mutex<Vec<JoinHandle<()>>>,
}

/// Warnings kept for the status.
const MAX_WARNINGS: usize = 100;

/// How long closing waits for tasks to end by themselves.
const GRACE: Duration = Duration::from_millis(500);

/// What [`Engine::close`] left behind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct Leftover {
    /// Rows that still wait in the outbox; the next instance sends them.
    pub rows: u64,
    /// Their encoded size, in bytes.
    pub bytes: u64,
    /// Rows set aside.
    pub set_aside: u64,
}

/// Everything the engine's threads and tasks share.
struct Shared {
    namespace: Namespace,
    config: EngineConfig,
    clock: Arc<dyn Clock>,
    revisions: RevisionClock,
    tiers: Tiers,
    /// The durable tier behind breaker, retry and timeout (remote mode), or bare (local mode).
    durable: Arc<dyn Durable>,
    breaker: Option<Breaker>,
    committer: Committer,
    hot: Arc<Hot>,
    filler: Arc<Filler>,
    missing: moka::sync::Cache<Key, ()>,
    flights: read::Flights,
    index: Arc<RwLock<LexicalIndex>>,
    /// Rows up to here are acknowledged by the durable tier or set aside.
    watermark: watch::Sender<Seq>,
    /// Told whenever rows were appended to the outbox.
    appended: Arc<Notify>,
    /// Told to drain now, even if the durable tier was away a moment ago.
    kicked: Notify,
    /// Counts the times that the change feed was applied; a reader that spans one does not fill the hot layer.
    feed_generation: AtomicU64,
    /// Rows of the outbox up to here were not appended by this instance (a killed one's, adopted, replayed): the cache file
    /// may hold older versions of them.
    recovered: AtomicU64,
    /// Held while the change feed is read.
    pulling: tokio::sync::Mutex<()>,
    progress: Mutex<Progress>,
    unreadable: AtomicU64,
    /// Set once what waits in the outbox is in the index and the feed was asked for the first time.
    ready: OnceCell<()>,
    shutdown: watch::Sender<bool>,
    closed: AtomicBool,
    opened_at: Timestamp,
}

/// A background task, as far as its errors are concerned; the first is the most telling.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Task {
    Drain,
    Pull,
    Adopt,
    Upkeep,
    Learn,
}

impl Progress {
    fn last_error(&self) -> Option<String> {
        let errors: Vec<&str> = self.errors.values().map(String::as_str).collect();
        let mut distinct = errors.clone();
        distinct.dedup();
        (!errors.is_empty()).then(|| distinct.join("; "))
    }
}

/// What the background tasks report.
#[derive(Debug, Default)]
struct Progress {
    last_sync: Option<Timestamp>,
    /// The last error of each task, until that task succeeds.
    errors: BTreeMap<Task, String>,
    /// The position in the change feed, and of which database.
    cursor: crate::store::traits::Cursor,
    /// The last commit of the database when it was asked.
    head: Seq,
    /// The floor of the change feed when a page was last applied.
    floor: Seq,
    /// The index lacks search documents that the cache file should have had.
    damaged: bool,
    /// The change feed was read to its end since opening, and since the caches last started over.
    caught_up: bool,
    /// Completed pulls since opening.
    pulls: u64,
    /// The durable tier was away, and has not answered a pull since.
    away: bool,
    /// What people should know of damage and repairs, each once.
    warnings: Vec<String>,
    /// Rows set aside since opening, with the reason; for callers that wait for a durable acknowledgement.
    set_aside: Vec<(Seq, String)>,
}

impl Engine {
    /// Assembles an engine and starts its threads and tasks on the current tokio runtime.
    ///
    /// With an outbox the engine is in remote mode: it opens whether or not the durable tier answers, and writes are
    /// accepted at once; see [`Engine::ready`].
    ///
    /// # Errors
    /// Whatever the cache reports on reading its cursor and documents; in local mode also what the durable tier
    /// reports on the first pull.
    ///
    /// # Panics
    /// Outside a tokio runtime.
    pub async fn open(
        namespace: Namespace,
        config: EngineConfig,
        tiers: Tiers,
        clock: Arc<dyn Clock>,
        ids: Arc<dyn IdSource>,
    ) -> Result<Self> {
        let remote = tiers.outbox.is_some();
        let opened_at = clock.now();
        let breaker = remote.then(|| Breaker::new(config.breaker, clock.clone(), ids.clone()));
        let durable: Arc<dyn Durable> = match &breaker {
            None => tiers.durable.clone(),
            Some(breaker) => {
                let timed = Arc::new(Layered::new(Timeout::new(config.deadlines), tiers.durable.clone()));
                let retry = Retry::new(config.attempts, Duration::from_millis(50), ids.clone());
                let retried = Arc::new(Layered::new(retry, timed));
                Arc::new(Layered::new(breaker.clone(), retried))
            }
        };
        let revisions = RevisionClock::new(WriterId::new(ids.random()));
        let hot = Arc::new(Hot::new(config.hot_bytes));
        let missing =
            moka::sync::Cache::builder().max_capacity(65_536).time_to_live(config.missing_ttl).build();
        let filler = Filler::start(tiers.cache.clone(), Handle::current())?;
        let index = Arc::new(RwLock::new(LexicalIndex::new()));
        let appended = Arc::new(Notify::new());
        let on_commit = on_commit(
            hot.clone(),
            filler.clone(),
            missing.clone(),
            index.clone(),
            appended.clone(),
            clock.clone(),
        );
        let target = match &tiers.outbox {
            Some((outbox, _)) => Target::Outbox(outbox.clone()),
            None => Target::Durable(tiers.durable.clone()),
        };
        let bounds = (config.queue_rows, config.queue_bytes);
        let committer = Committer::start(target, clock.clone(), bounds, on_commit)?;
        let shared = Arc::new(Shared {
            namespace,
            config,
            clock,
            revisions,
            tiers,
            durable,
            breaker,
            committer,
            hot,
            filler,
            missing,
            flights: read::Flights::default(),
            index,
            watermark: watch::Sender::new(0),
            appended,
            kicked: Notify::new(),
            feed_generation: AtomicU64::new(0),
            recovered: AtomicU64::new(0),
            pulling: tokio::sync::Mutex::default(),
            progress: Mutex::default(),
            unreadable: AtomicU64::new(0),
            ready: OnceCell::new(),
            shutdown: watch::Sender::new(false),
            closed: AtomicBool::new(false),
            opened_at,
        });
        let engine = Self { shared, tasks: Mutex::default() };
        engine.load().await?;
        engine.start(remote);
        Ok(engine)
    }

    /// Loads cursor and search documents, so that recall works before anything is pulled.
    async fn load(&self) -> Result<()> {
        let shared = &self.shared;
        shared.adopt().await?;
        shared.mark_recovered();
        let cursor = shared.tiers.cache.cursor().await?;
        shared.load_documents(&cursor).await?;
        lock(&shared.progress).cursor = cursor;
        if shared.tiers.outbox.is_none() {
            // The file is here: what it says is part of opening.
            shared.pull().await?;
        }
        Ok(())
    }

    fn start(&self, remote: bool) {
        let mut tasks = vec![
            tokio::spawn(pull::run(self.shared.clone())),
            tokio::spawn(upkeep::run(self.shared.clone())),
        ];
        if remote {
            tasks.push(tokio::spawn(drain::run(self.shared.clone())));
            let shared = self.shared.clone();
            tasks.push(tokio::spawn(async move {
                if let Err(error) = shared.ready().await {
                    tracing::warn!(%error, "what waits in the outbox could not be read; the next reader tries again");
                }
            }));
        }
        *lock(&self.tasks) = tasks;
    }

    /// Waits until recall and reads know what waits in the outbox and, if the durable tier answers within
    /// [`EngineConfig::first_pull`], what it has. Writes need not wait for that; reads do by themselves.
    ///
    /// # Errors
    /// `Io` when the outbox cannot be read.
    pub async fn ready(&self) -> Result<()> {
        self.shared.ready().await
    }

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
        let now = self.shared.clock.now();
        let kept = match &entity {
            Some(_) => self.shared.config.retention_of(key.kind),
            None => Some(self.shared.config.tombstone_retention),
        };
        Record {
            revision: self.shared.revisions.next(self.shared.clock.as_ref()),
            updated_at: now,
            expires_at: kept.map(|kept| now.plus(kept)),
            entity: entity.map(Arc::new),
            key,
        }
    }

    /// Commits records atomically, durable as [`EngineConfig::ack`] says.
    ///
    /// Cancelling the future does not cancel the write.
    ///
    /// # Errors
    /// `InvalidInput` for a record above 4 MB encoded; `QuotaExceeded` when queue or outbox are full; `Closed`; `Io`
    /// and, in local mode, `Busy` when the file cannot be written. With [`Ack::Durable`] also `Unavailable` when the
    /// durable tier has not answered within the write deadline (the records are kept and will be sent) and
    /// `Rejected` when it refused a record (which is set aside).
    pub async fn commit(&self, records: Vec<Record>) -> Result<()> {
        if records.is_empty() {
            return Ok(());
        }
        let mut bytes = 0;
        for record in &records {
            self.shared.revisions.observe(record.revision);
            bytes += encoded_size(record)?;
        }
        let documents = records.iter().filter_map(document_of).collect();
        let place = self.shared.committer.commit(Write { records, documents, bytes }).await?;
        match place {
            Some(place) if self.shared.config.ack == Ack::Durable => self.shared.wait_durable(place).await,
            _ => Ok(()),
        }
    }

    /// Asks the recall index; see [`crate::LexicalIndex`].
    pub fn with_index<T>(&self, ask: impl FnOnce(&LexicalIndex) -> T) -> T {
        ask(&self.shared.index.read().unwrap_or_else(std::sync::PoisonError::into_inner))
    }

    /// Waits until the durable tier has everything committed so far.
    ///
    /// # Errors
    /// `Unavailable` with the rows left when that takes longer than `timeout`.
    pub async fn flush(&self, timeout: Duration) -> Result<()> {
        let Some((outbox, _)) = &self.shared.tiers.outbox else { return Ok(()) };
        let target = outbox.usage().last_seq;
        self.shared.kick();
        let mut watermark = self.shared.watermark.subscribe();
        let reached = tokio::time::timeout(timeout, watermark.wait_for(|reached| *reached >= target)).await;
        if matches!(reached, Ok(Ok(_))) {
            return Ok(());
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

    /// Returns what people should know of damage and repairs since opening.
    pub fn warnings(&self) -> Vec<String> {
        let mut warnings = self.shared.tiers.warnings.clone();
        warnings.extend(lock(&self.shared.progress).warnings.iter().cloned());
        warnings
    }

    /// Notes how background learning went, for the status.
    pub(crate) fn note_learning(&self, error: Option<&Error>) {
        match error {
            Some(error) => self.shared.report(Task::Learn, error),
            None => self.shared.succeeded(Task::Learn),
        }
    }

    /// Returns true once closing has begun.
    pub(crate) fn is_closed(&self) -> bool {
        self.shared.closed.load(Ordering::Acquire)
    }

    /// Returns how current the recall index is: stale while the change feed cannot be read.
    pub fn index_freshness(&self) -> Freshness {
        let progress = lock(&self.shared.progress);
        if !progress.errors.contains_key(&Task::Pull) {
            return Freshness::Fresh;
        }
        let since = progress.last_sync.unwrap_or(self.shared.opened_at);
        Freshness::Stale { age: self.shared.clock.now().since(since) }
    }

    /// Returns true if a version of the record waits in the outbox.
    ///
    /// # Errors
    /// `Io` when the outbox cannot be read.
    pub fn is_pending(&self, key: &Key) -> Result<bool> {
        match self.shared.outbox() {
            Some(outbox) => Ok(outbox.pending(std::slice::from_ref(key))?.pop().flatten().is_some()),
            None => Ok(false),
        }
    }

    /// In local mode, sees what other processes have committed until now; elsewhere the puller does in its time.
    ///
    /// # Errors
    /// Whatever the durable tier reports.
    pub async fn refresh(&self) -> Result<()> {
        if self.shared.outbox().is_some() { self.ready().await } else { self.shared.pull().await }
    }

    /// Makes every row set aside wait again; returns how many.
    ///
    /// # Errors
    /// `Io` when the outbox cannot be written.
    pub async fn retry_set_aside(&self) -> Result<u64> {
        let Some((outbox, _)) = self.shared.tiers.outbox.clone() else { return Ok(0) };
        let now = self.shared.clock.now();
        let retried = upkeep::blocking(move || outbox.retry_set_aside(now)).await?;
        self.shared.mark_recovered();
        self.shared.kick();
        Ok(retried)
    }

    /// Lists up to `limit` rows set aside, oldest first.
    ///
    /// # Errors
    /// `Io` when the outbox cannot be read.
    pub async fn set_aside(&self, limit: usize) -> Result<Vec<crate::store::traits::SetAside>> {
        let Some((outbox, _)) = self.shared.tiers.outbox.clone() else { return Ok(Vec::new()) };
        upkeep::blocking(move || outbox.list_set_aside(limit)).await
    }

    /// Refuses further writes, drains the outbox for at most `timeout`, and ends threads and tasks. Closing twice
    /// is harmless.
    ///
    /// # Errors
    /// Whatever the durable tier reports on closing; what could not be sent is not an error but in the answer.
    pub async fn close(&self, timeout: Duration) -> Result<Leftover> {
        let shared = self.shared.clone();
        if shared.closed.swap(true, Ordering::AcqRel) {
            return Ok(shared.leftover());
        }
        shared.committer.close();
        let joined = shared.clone();
        upkeep::blocking(move || {
            joined.committer.join();
            Ok(())
        })
        .await?;
        if let Err(error) = self.flush(timeout).await {
            tracing::warn!(%error, "closing with rows in the outbox");
        }
        shared.shutdown.send_replace(true);
        let tasks = std::mem::take(&mut *lock(&self.tasks));
        let grace = tokio::time::Instant::now() + GRACE;
        for mut task in tasks {
            if tokio::time::timeout_at(grace, &mut task).await.is_err() {
                // It waits for the durable tier; all it could lose is time.
                task.abort();
                let _cancelled = task.await;
            }
        }
        shared.filler.push(Fill::Image(shared.index.clone(), shared.namespace.clone()));
        shared.filler.push(Fill::Persist);
        shared.filler.close();
        let joined = shared.clone();
        upkeep::blocking(move || {
            joined.filler.join();
            Ok(())
        })
        .await?;
        shared.durable.close().await?;
        Ok(shared.leftover())
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        self.shared.shutdown.send_replace(true);
        for task in lock(&self.tasks).drain(..) {
            task.abort();
        }
        self.shared.committer.close();
        self.shared.filler.close();
    }
}

impl Shared {
    async fn ready(&self) -> Result<()> {
        if self.ready.initialized() {
            return Ok(());
        }
        let get_ready = || async {
            self.load_pending().await?;
            self.wait_for_first_pull().await;
            Ok(())
        };
        // In a box: every read carries this future, and next to none needs it.
        Box::pin(self.ready.get_or_try_init(get_ready)).await.copied()
    }

    async fn wait_for_first_pull(&self) {
        if self.outbox().is_none() {
            return;
        }
        let deadline = tokio::time::Instant::now() + self.config.first_pull;
        while tokio::time::Instant::now() < deadline {
            let answered = {
                let progress = lock(&self.progress);
                progress.pulls > 0 || progress.errors.contains_key(&Task::Pull)
            };
            if answered {
                return;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

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

    fn leftover(&self) -> Leftover {
        let usage = self.tiers.outbox.as_ref().map(|(outbox, _)| outbox.usage()).unwrap_or_default();
        Leftover { rows: usage.rows, bytes: usage.bytes, set_aside: usage.set_aside }
    }

    /// Notes an error of a background task, for the status.
    fn report(&self, task: Task, error: &Error) {
        tracing::debug!(%error, "background work failed");
        let mut progress = lock(&self.progress);
        progress.errors.insert(task, error.to_string());
        progress.away |= error.kind() == ErrorKind::Unavailable;
    }

    /// Keeps something for people to read in the status.
    fn warn(&self, warning: String) {
        tracing::warn!(warning);
        let mut progress = lock(&self.progress);
        if progress.warnings.len() < MAX_WARNINGS && !progress.warnings.contains(&warning) {
            progress.warnings.push(warning);
        }
    }

    /// Notes that a task works again.
    fn succeeded(&self, task: Task) {
        lock(&self.progress).errors.remove(&task);
    }

    /// Notes that the durable tier has answered a task.
    fn synced(&self, task: Task) {
        let mut progress = lock(&self.progress);
        progress.last_sync = Some(self.clock.now());
        progress.errors.remove(&task);
    }

    async fn wait_durable(&self, (first, last): (Seq, Seq)) -> Result<()> {
        let mut watermark = self.watermark.subscribe();
        let reached =
            tokio::time::timeout(self.config.deadlines.write, watermark.wait_for(|reached| *reached >= last));
        if !matches!(reached.await, Ok(Ok(_))) {
            let message =
                format!("the durable tier has not acknowledged within {:?}", self.config.deadlines.write);
            return Err(Error::new(ErrorKind::Unavailable, "commit", message)
                .with_hint("the records are kept locally and will be sent; the write need not be repeated"));
        }
        let progress = lock(&self.progress);
        match progress.set_aside.iter().find(|(seq, _)| (first..=last).contains(seq)) {
            Some((_, reason)) => Err(Error::new(ErrorKind::Rejected, "commit", reason.clone())
                .with_hint("the record is set aside; `memory sync retry` sends it again")),
            None => Ok(()),
        }
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

fn document_of(record: &Record) -> Option<(Key, Option<SearchDocument>)> {
    match &record.entity {
        Some(_) => SearchDocument::of_record(record).map(|document| (record.key.clone(), Some(document))),
        None if record.key.kind.spec().searchable => Some((record.key.clone(), None)),
        None => None,
    }
}

/// Applies documents to the index; `None` removes, at the revision of the record it came from.
fn index_documents(
    index: &RwLock<LexicalIndex>,
    records: &[Record],
    documents: &[(Key, Option<SearchDocument>)],
) {
    if documents.is_empty() {
        return;
    }
    let mut index = index.write().unwrap_or_else(std::sync::PoisonError::into_inner);
    for (key, document) in documents {
        match document {
            Some(document) => {
                index.upsert(key, document);
            }
            None => {
                let removed = records.iter().filter(|record| record.key == *key && record.is_tombstone());
                for record in removed {
                    index.remove(key, record.revision);
                }
            }
        }
    }
}

/// Builds what the committer does with a commit before its callers wake: caches and recall see it at once.
fn on_commit(
    hot: Arc<Hot>,
    filler: Arc<Filler>,
    missing: moka::sync::Cache<Key, ()>,
    index: Arc<RwLock<LexicalIndex>>,
    appended: Arc<Notify>,
    clock: Arc<dyn Clock>,
) -> commit::OnCommit {
    Box::new(move |writes| {
        let now = clock.now();
        let (mut records, mut documents) = (Vec::new(), Vec::new());
        for write in writes {
            index_documents(&index, &write.records, &write.documents);
            records.extend(write.records);
            documents.extend(write.documents);
        }
        for record in &records {
            hot.fill(record, now);
            missing.invalidate(&record.key);
        }
        filler.committed(records);
        if !documents.is_empty() {
            filler.push(Fill::Documents(documents));
        }
        appended.notify_one();
    })
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

    async fn delete_expired(&self, now: Timestamp) -> Result<u64> {
        self.flush(self.shared.config.deadlines.write).await?;
        let purged = self.shared.durable.delete_expired(now).await?;
        self.shared.hot.forget_expired(now);
        self.shared.filler.push(Fill::Expire(now));
        self.shared.filler.settle().await;
        Ok(purged)
    }

    async fn health(&self) -> Result<()> {
        if self.shared.closed.load(Ordering::Acquire) {
            return Err(Error::new(ErrorKind::Closed, "health", "the memory is closed"));
        }
        self.shared.durable.health().await
    }
}

impl Engine {
    /// Counts the live records of each kind that the durable tier has.
    ///
    /// # Errors
    /// Whatever the durable tier reports.
    pub async fn count(&self) -> Result<Vec<(Kind, u64)>> {
        self.shared.durable.count(&self.shared.namespace).await
    }
}
