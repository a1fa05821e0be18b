//! The cache writer: one thread that writes to the cache file, in order, off the callers' path.
//!
//! Until a committed record is in the cache file, the overlay holds it, so that a reader that misses the hot
//! layer never gets an older version from below. Order matters, too: the pull cursor is written after the
//! records that it covers.

use std::collections::HashMap;
use std::future::Future;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, RwLock};
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::oneshot;

use crate::clock::Timestamp;
use crate::engine::index::{DocumentChange, IndexDocument, SearchIndex};
use crate::engine::snapshot;
use crate::engine::supervise::contained;
use crate::error::{Error, ErrorKind, Result};
use crate::id::lock;
use crate::store::record::{Key, Namespace, Record, Revision};
use crate::store::traits::{Cache, Cursor, StoredDocument};

/// Work for the cache writer.
pub(crate) enum CacheWork {
    Records(Vec<Record>),
    Documents(Vec<DocumentChange>),
    /// Forgets the records that are older than these revisions.
    Outdate(Vec<(Key, Revision)>),
    Cursor(Cursor),
    Clear,
    Expire(Timestamp),
    Evict,
    Persist,
    /// Makes a snapshot of the index, if enough has changed.
    Snapshot(Arc<dyn SearchIndex>, Namespace),
    /// Answers when everything before it is done.
    Barrier(oneshot::Sender<()>),
}

/// Records that may wait for the cache file; past it the committer waits, so memory stays bounded.
const MAX_WAITING: usize = 65_536;

/// How long records and documents wait to be batched, and the size of a full batch: a transaction for each
/// commit would take the processor from writers.
const LINGER: Duration = Duration::from_millis(20);
const COMPANY: usize = 1_024;

#[derive(Default)]
struct Queue {
    work: Vec<CacheWork>,
    waiting: usize,
    /// Work is queued that must not wait for a batch.
    urgent: bool,
    closed: bool,
}

impl Queue {
    fn push(&mut self, work: CacheWork) {
        match &work {
            CacheWork::Records(records) => self.waiting += records.len(),
            CacheWork::Documents(_) | CacheWork::Cursor(_) => {}
            _ => self.urgent = true,
        }
        self.work.push(work);
    }

    fn is_due(&self) -> bool {
        self.urgent || self.closed || self.waiting >= COMPANY
    }
}

pub(crate) struct CacheWriter {
    queue: Mutex<Queue>,
    wake: Condvar,
    space: Condvar,
    overlay: RwLock<HashMap<Key, Record>>,
    overlay_used: AtomicBool,
    failures: AtomicU64,
    panics: AtomicU64,
    last_error: Mutex<Option<String>>,
    /// Whether search documents are missing in the cache file. The cursor then stays before them until the
    /// caches start over, so that the next opening reads their records again.
    incomplete: AtomicBool,
    /// Whether the index and the documents in the cache file differ by more than the queued work.
    apart: AtomicBool,
    /// How many search documents were written since the snapshot in the cache file was made; the most without one.
    changed: AtomicU64,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl CacheWriter {
    /// Starts the thread.
    pub(crate) fn start(cache: Arc<dyn Cache>, runtime: Handle) -> Result<Arc<Self>> {
        let cache_writer = Arc::new(Self {
            queue: Mutex::default(),
            wake: Condvar::new(),
            space: Condvar::new(),
            overlay: RwLock::default(),
            overlay_used: AtomicBool::new(false),
            failures: AtomicU64::new(0),
            panics: AtomicU64::new(0),
            last_error: Mutex::default(),
            incomplete: AtomicBool::new(false),
            apart: AtomicBool::new(false),
            changed: AtomicU64::new(u64::MAX),
            thread: Mutex::default(),
        });
        let own = cache_writer.clone();
        let thread = std::thread::Builder::new()
            .name("memory-fill".into())
            .spawn(move || own.run(cache.as_ref(), &runtime))
            .map_err(|source| {
                Error::new(ErrorKind::Io, "open", "cannot start the cache writer thread").with_source(source)
            })?;
        *lock(&cache_writer.thread) = Some(thread);
        Ok(cache_writer)
    }

    /// Puts committed records into the overlay and queues them for the cache file. Blocks while too many are
    /// queued.
    pub(crate) fn committed(&self, records: Vec<Record>) {
        {
            let mut overlay = write(&self.overlay);
            for record in &records {
                let held = overlay.get(&record.key);
                if held.is_none_or(|held| record.supersedes(held)) {
                    overlay.insert(record.key.clone(), record.clone());
                }
            }
            self.overlay_used.store(true, Ordering::Release);
        }
        let mut queue = lock(&self.queue);
        while queue.waiting >= MAX_WAITING && !queue.closed {
            queue = self.space.wait(queue).unwrap_or_else(std::sync::PoisonError::into_inner);
        }
        if queue.closed {
            // No thread would remove them again.
            drop(queue);
            self.release(&records);
            return;
        }
        self.enqueue(queue, CacheWork::Records(records));
    }

    /// Queues work that no reader depends on.
    pub(crate) fn push(&self, work: CacheWork) {
        let queue = lock(&self.queue);
        if queue.closed {
            // No thread would do it; dropping the sender informs a barrier's waiter.
            return;
        }
        self.enqueue(queue, work);
    }

    /// Wakes the thread for the first work and for due work; other work waits to be batched.
    fn enqueue(&self, mut queue: MutexGuard<'_, Queue>, work: CacheWork) {
        queue.push(work);
        let wake = queue.is_due() || queue.work.len() == 1;
        drop(queue);
        if wake {
            self.wake.notify_one();
        }
    }

    /// Waits until everything queued so far is done.
    pub(crate) async fn settle(&self) {
        let (done, wait) = oneshot::channel();
        self.push(CacheWork::Barrier(done));
        // An error means that the cache writer has ended, and with it all its work.
        let _ended = wait.await;
    }

    /// Returns the version of a record that is not in the cache file yet.
    pub(crate) fn overlaid(&self, key: &Key) -> Option<Record> {
        if !self.overlay_used.load(Ordering::Acquire) {
            return None;
        }
        read(&self.overlay).get(key).cloned()
    }

    /// Returns how many cache operations failed, and the last error.
    pub(crate) fn failures(&self) -> (u64, Option<String>) {
        (self.failures.load(Ordering::Relaxed), lock(&self.last_error).clone())
    }

    /// Returns how often the cache panicked.
    pub(crate) fn panics(&self) -> u64 {
        self.panics.load(Ordering::Relaxed)
    }

    /// Notes that the cache file has a snapshot, and the number of search documents written since.
    pub(crate) fn snapshot_made(&self, changed: u64) {
        self.changed.store(changed, Ordering::Relaxed);
    }

    /// Notes that the index differs from the documents in the cache file: until both start over no snapshot is
    /// made.
    pub(crate) fn set_apart(&self) {
        self.apart.store(true, Ordering::Relaxed);
    }

    /// Ends the thread once its queue is empty.
    pub(crate) fn close(&self) {
        lock(&self.queue).closed = true;
        self.wake.notify_all();
        self.space.notify_all();
    }

    /// Waits for the thread after [`CacheWriter::close`]. Blocks.
    pub(crate) fn join(&self) {
        if let Some(thread) = lock(&self.thread).take() {
            let _panicked = thread.join();
        }
    }

    fn run(&self, cache: &dyn Cache, runtime: &Handle) {
        let _end = End(self);
        loop {
            let work = {
                let mut queue = lock(&self.queue);
                while queue.work.is_empty() {
                    if queue.closed {
                        return;
                    }
                    queue = self.wake.wait(queue).unwrap_or_else(std::sync::PoisonError::into_inner);
                }
                let linger = self.wake.wait_timeout_while(queue, LINGER, |queue| !queue.is_due());
                let (mut queue, _) = linger.unwrap_or_else(std::sync::PoisonError::into_inner);
                queue.waiting = 0;
                queue.urgent = false;
                std::mem::take(&mut queue.work)
            };
            self.space.notify_all();
            for work in merge(work) {
                self.apply(&Contained { cache_writer: self, cache, runtime }, work);
            }
        }
    }

    fn apply(&self, cache: &Contained<'_>, work: CacheWork) {
        let result = match work {
            CacheWork::Records(records) => {
                let result = cache.run(|cache| cache.commit(&records)).or_else(|error| {
                    // An older version must not outlive the one that could not be written.
                    let keys: Vec<Key> = records.iter().map(|record| record.key.clone()).collect();
                    cache.run(|cache| cache.remove(&keys)).or_else(|_| {
                        self.incomplete.store(true, Ordering::Relaxed);
                        cache.run(|cache| cache.clear())
                    })?;
                    Err(error)
                });
                self.release(&records);
                result
            }
            CacheWork::Documents(documents) => {
                let changed = self.changed.load(Ordering::Relaxed).saturating_add(documents.len() as u64);
                self.snapshot_made(changed);
                cache
                    .run(|cache| async { cache.put_documents(&stored(&documents)?).await })
                    .inspect_err(|_| self.incomplete.store(true, Ordering::Relaxed))
            }
            CacheWork::Outdate(changed) => cache.run(|cache| outdate(cache, &changed)).or_else(|error| {
                // Entries that cannot be compared are removed.
                let keys: Vec<Key> = changed.iter().map(|(key, _)| key.clone()).collect();
                cache.run(|cache| cache.remove(&keys)).or_else(|_| {
                    self.incomplete.store(true, Ordering::Relaxed);
                    cache.run(|cache| cache.clear())
                })?;
                Err(error)
            }),
            CacheWork::Cursor(_) if self.incomplete.load(Ordering::Relaxed) => Ok(()),
            CacheWork::Cursor(cursor) => cache.run(|cache| cache.set_cursor(&cursor)),
            CacheWork::Clear => cache.run(|cache| cache.clear()).inspect(|()| {
                self.incomplete.store(false, Ordering::Relaxed);
                self.apart.store(false, Ordering::Relaxed);
                self.snapshot_made(u64::MAX);
            }),
            CacheWork::Snapshot(index, namespace) => {
                cache.run(|cache| self.renew_snapshot(cache, index.as_ref(), &namespace))
            }
            CacheWork::Expire(now) => cache.run(|cache| cache.delete_expired(now)).map(drop),
            CacheWork::Evict => cache.run(|cache| cache.evict()).map(drop),
            CacheWork::Persist => cache.run(|cache| cache.persist()),
            CacheWork::Barrier(done) => {
                let _gone = done.send(());
                Ok(())
            }
        };
        if let Err(error) = result {
            // The cache is disposable: a failure only costs time, and the status reports it.
            self.failures.fetch_add(1, Ordering::Relaxed);
            *lock(&self.last_error) = Some(error.to_string());
            tracing::warn!(%error, "the cache file could not be written");
        }
    }

    async fn renew_snapshot(
        &self,
        cache: &dyn Cache,
        index: &dyn SearchIndex,
        namespace: &Namespace,
    ) -> Result<()> {
        if self.incomplete.load(Ordering::Relaxed) || self.apart.load(Ordering::Relaxed) {
            return Ok(());
        }
        let changed = self.changed.load(Ordering::Relaxed);
        if snapshot::renew(cache, index, namespace, changed).await? {
            self.snapshot_made(0);
        }
        Ok(())
    }

    fn release(&self, records: &[Record]) {
        let mut overlay = write(&self.overlay);
        for record in records {
            if overlay.get(&record.key).is_some_and(|held| !held.supersedes(record)) {
                overlay.remove(&record.key);
            }
        }
        if overlay.is_empty() {
            self.overlay_used.store(false, Ordering::Release);
        }
    }
}

/// A cache whose panics are errors.
struct Contained<'a> {
    cache_writer: &'a CacheWriter,
    cache: &'a dyn Cache,
    runtime: &'a Handle,
}

impl<'a> Contained<'a> {
    fn run<T, F: Future<Output = Result<T>>>(&self, call: impl FnOnce(&'a dyn Cache) -> F) -> Result<T> {
        let ran = contained("fill the cache file", || self.runtime.block_on(call(self.cache)));
        ran.inspect_err(|_| {
            self.cache_writer.panics.fetch_add(1, Ordering::Relaxed);
        })?
    }
}

/// Releases all waiters when the thread ends.
struct End<'a>(&'a CacheWriter);

impl Drop for End<'_> {
    fn drop(&mut self) {
        let mut queue = lock(&self.0.queue);
        queue.closed = true;
        queue.work.clear();
        drop(queue);
        self.0.space.notify_all();
    }
}

/// Encodes documents.
fn stored(documents: &[DocumentChange]) -> Result<Vec<(Key, Option<StoredDocument>)>> {
    let encode = |document: &dyn IndexDocument| {
        let bytes = document
            .encode()
            .ok_or_else(|| Error::invalid("write search documents", "document", "it is too large"));
        Ok(StoredDocument { revision: document.revision(), bytes: bytes? })
    };
    let stored = documents.iter().map(|(key, document)| {
        let document = document.as_deref().map(encode).transpose()?;
        Ok((key.clone(), document))
    });
    stored.collect()
}

async fn outdate(cache: &dyn Cache, changed: &[(Key, Revision)]) -> Result<()> {
    let keys: Vec<Key> = changed.iter().map(|(key, _)| key.clone()).collect();
    let held = cache.get(&keys).await?;
    let older = changed.iter().zip(held).filter_map(|((key, revision), held)| {
        held.is_some_and(|held| held.revision < *revision).then(|| key.clone())
    });
    cache.remove(&older.collect::<Vec<_>>()).await
}

/// Joins neighbours of the same sort, so that a burst costs few transactions.
fn merge(work: Vec<CacheWork>) -> Vec<CacheWork> {
    let mut merged: Vec<CacheWork> = Vec::with_capacity(work.len());
    for fill in work {
        match (merged.last_mut(), fill) {
            (Some(CacheWork::Records(all)), CacheWork::Records(more)) if all.len() < 4_096 => {
                all.extend(more)
            }
            (Some(CacheWork::Documents(all)), CacheWork::Documents(more)) if all.len() < 4_096 => {
                all.extend(more)
            }
            (_, fill) => merged.push(fill),
        }
    }
    merged
}

fn read<T>(lock: &RwLock<T>) -> std::sync::RwLockReadGuard<'_, T> {
    lock.read().unwrap_or_else(std::sync::PoisonError::into_inner)
}

fn write<T>(lock: &RwLock<T>) -> std::sync::RwLockWriteGuard<'_, T> {
    lock.write().unwrap_or_else(std::sync::PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
