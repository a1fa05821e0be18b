//! The persistent cache: real LRU in a bounded file that may be lost at any time.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use memory_core::{Clock, Result, SystemClock};
use redb::TableDefinition;
use tokio::sync::watch;

use crate::backend::{FileSize, Opener, file_opener};
use crate::failure::{Failure, Outcome};
use crate::open::{Handle, OpenReport, create_folder, open_database, prune_set_aside, set_aside};

mod contract;
mod evict;
mod read;
mod room;
mod snapshot;
mod state;
mod write;

use write::Writer;

/// Key bytes → cache entry.
const RECORDS: TableDefinition<&[u8], &[u8]> = TableDefinition::new("records");
/// Key bytes → last use, size in bytes, expiry (`u64::MAX` for never): the data for eviction and expiry,
/// without reading the records.
const LEDGER: TableDefinition<&[u8], (u64, u64, u64)> = TableDefinition::new("ledger");
/// Key bytes → search document.
const DOCUMENTS: TableDefinition<&[u8], &[u8]> = TableDefinition::new("documents");
/// Namespace and number → part of the snapshot of its recall index.
const SNAPSHOTS: TableDefinition<&[u8], &[u8]> = TableDefinition::new("snapshots");
/// Key bytes → mark of a document put or removed since the snapshot of its namespace was stored.
const CHANGED: TableDefinition<&[u8], &[u8]> = TableDefinition::new("changed");
/// Namespace, name and number → part of the learned state.
const STATES: TableDefinition<&[u8], &[u8]> = TableDefinition::new("states");
/// Name → the cache's data about itself.
const META: TableDefinition<&str, &[u8]> = TableDefinition::new("meta");

/// The layout of the tables; a file of another layout is rebuilt.
const LAYOUT: u32 = 1;
const META_LAYOUT: &str = "layout";
const META_FIGURES: &str = "figures";
const META_CURSOR: &str = "cursor";

/// How many set-aside copies of a damaged cache file are kept.
const KEPT_COPIES: usize = 2;

/// The least bound on the size of the file, in bytes: below it the overhead of the format leaves no room.
const LEAST_LIMIT: u64 = 4 * 1024 * 1024;

/// Settings of a cache.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct CacheOptions {
    /// The bound on the size of the file, in bytes; 1 GiB by default, at least 4 MiB.
    pub limit_bytes: u64,
    /// The memory redb may use for pages, in bytes; 32 MiB by default.
    pub page_cache_bytes: usize,
    /// The clock for the time at which a record is cached; the machine's by default.
    pub clock: Arc<dyn Clock>,
}

impl Default for CacheOptions {
    fn default() -> Self {
        Self {
            limit_bytes: 1024 * 1024 * 1024,
            page_cache_bytes: 32 * 1024 * 1024,
            clock: Arc::new(SystemClock::new()),
        }
    }
}

impl CacheOptions {
    /// Sets the bound on the size of the file, in bytes.
    #[must_use]
    pub fn limit_bytes(mut self, limit_bytes: u64) -> Self {
        self.limit_bytes = limit_bytes;
        self
    }

    /// Sets the memory redb may use for pages, in bytes.
    #[must_use]
    pub fn page_cache_bytes(mut self, page_cache_bytes: usize) -> Self {
        self.page_cache_bytes = page_cache_bytes;
        self
    }

    /// Sets the clock for the time at which a record is cached.
    #[must_use]
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }
}

/// Caches records and search documents in a redb file.
///
/// Commits alone are not durable: after a crash the file has the state of some earlier commit, records,
/// documents and cursor together. A damaged file is renamed and a new one started; a damaged entry is a miss.
///
/// The futures of its methods do their work on the calling thread, in the first poll. A read takes
/// microseconds, and waits, without blocking the thread, while the file is compacted.
/// [`memory_core::Cache::persist`] syncs the file, and [`memory_core::Cache::evict`] may compact it, so call
/// those two where blocking is allowed.
pub struct RedbCache {
    /// `None` for a backend that is no file.
    path: Option<PathBuf>,
    name: String,
    opener: Opener,
    size: Arc<FileSize>,
    options: CacheOptions,
    /// `None` between a failure and the next use, which opens the file again.
    database: RwLock<Option<Handle>>,
    /// Whether the file is being compacted, which takes seconds if it is large.
    compacting: watch::Sender<bool>,
    /// Counts openings, so that a failure is answered by one reopening however many calls saw it.
    generation: AtomicU64,
    /// The opening in which the file has lost nothing that it was given since the first one, or since it was
    /// emptied.
    whole_since: AtomicU64,
    /// Serialises writers. Lock order: writer, then database, then touched.
    writer: Mutex<Writer>,
    /// Uses that are not written to the ledger yet.
    touched: Mutex<HashMap<Vec<u8>, u64>>,
    /// The logical time of the last use.
    tick: AtomicU64,
    counts: Counts,
    report: Mutex<OpenReport>,
}

/// The state of a file that was reopened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Opened {
    AsItWas,
    Rebuilt,
}

#[derive(Debug, Default)]
struct Counts {
    hits: AtomicU64,
    misses: AtomicU64,
    evicted: AtomicU64,
    corrupt: AtomicU64,
}

fn add(counter: &AtomicU64, more: u64) {
    counter.fetch_add(more, Ordering::Relaxed);
}

/// Locks a mutex whose data stays valid even if a holder panicked.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl std::fmt::Debug for RedbCache {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RedbCache").field("file", &self.name).finish_non_exhaustive()
    }
}

impl RedbCache {
    /// Opens a cache file, or creates it and its folder.
    ///
    /// A file that is not a readable cache file of this version is renamed to
    /// `<name>.corrupt-<unix milliseconds>` and a new one started (see [`RedbCache::opened`]); the two latest
    /// such copies are kept.
    ///
    /// # Errors
    /// [`memory_core::ErrorKind::Conflict`] if another process has the file open,
    /// [`memory_core::ErrorKind::Io`] if the operating system refuses.
    pub fn open(path: impl AsRef<Path>, options: CacheOptions) -> Result<Self> {
        let path = path.as_ref();
        let name = path.display().to_string();
        create_folder(path).map_err(|failure| failure.into_error("open cache", &name))?;
        Self::build(Some(path.to_owned()), name, file_opener(path), options)
    }

    fn build(path: Option<PathBuf>, name: String, opener: Opener, options: CacheOptions) -> Result<Self> {
        let cache = Self {
            path,
            name,
            opener,
            size: FileSize::new(options.limit_bytes.max(LEAST_LIMIT)),
            options,
            database: RwLock::new(None),
            compacting: watch::Sender::new(false),
            generation: AtomicU64::new(0),
            // The first opening.
            whole_since: AtomicU64::new(1),
            writer: Mutex::default(),
            touched: Mutex::default(),
            tick: AtomicU64::new(0),
            counts: Counts::default(),
            report: Mutex::default(),
        };
        let mut writer = lock(&cache.writer);
        cache.reopen(&mut writer).map_err(|failure| cache.error("open cache", failure))?;
        drop(writer);
        Ok(cache)
    }

    #[cfg(test)]
    pub(crate) fn open_with(opener: Opener, options: CacheOptions) -> Result<Self> {
        Self::build(None, "test backend".into(), opener, options)
    }

    /// Returns the report of the latest opening or reopening of the file.
    pub fn opened(&self) -> OpenReport {
        lock(&self.report).clone()
    }

    fn error(&self, operation: &'static str, failure: Failure) -> memory_core::Error {
        failure.into_error(operation, &self.name)
    }

    /// Opens the file afresh, rebuilding it if it cannot be read.
    fn reopen(&self, writer: &mut Writer) -> Outcome<Opened> {
        let mut database = self.database.write().unwrap_or_else(PoisonError::into_inner);
        // The old handle is dropped first, because it holds the file's lock.
        *database = None;
        let ((opened, figures), how) = match self.open_once() {
            Err(Failure::Damaged(reason) | Failure::Newer(reason)) => {
                self.discard_file(reason)?;
                (self.open_once()?, Opened::Rebuilt)
            }
            other => (other?, Opened::AsItWas),
        };
        self.tick.fetch_max(figures.tick, Ordering::AcqRel);
        *writer = Writer::new(figures);
        self.generation.fetch_add(1, Ordering::AcqRel);
        *database = Some(opened);
        Ok(how)
    }

    fn open_once(&self) -> Outcome<(Handle, write::Figures)> {
        let database = open_database(&self.opener, &self.size, self.options.page_cache_bytes)?;
        let figures = write::prepare(database.get()?)?;
        Ok((database, figures))
    }

    /// Moves a file that cannot be read out of the way.
    fn discard_file(&self, reason: String) -> Outcome<()> {
        let Some(path) = &self.path else { return Err(Failure::Damaged(reason)) };
        let copy = set_aside(path)?;
        tracing::warn!(file = %self.name, %reason, copy = %copy.display(), "cache rebuilt");
        prune_set_aside(path, KEPT_COPIES)?;
        *lock(&self.report) = OpenReport { rebuilt: Some(reason), set_aside: Some(copy), recovered: 0 };
        Ok(())
    }

    /// Recovers the cache after a failed operation: closes the file and reopens it, or starts a new one. If
    /// even that fails, the next use tries again. `generation` is the opening that failed.
    fn recover(&self, writer: &mut Writer, generation: u64, failure: &Failure) {
        if self.generation.load(Ordering::Acquire) != generation {
            return;
        }
        let outcome = match failure {
            Failure::Refused(_) | Failure::Held => return,
            Failure::Damaged(reason) => {
                *self.database.write().unwrap_or_else(PoisonError::into_inner) = None;
                self.discard_file(reason.clone()).and_then(|()| self.reopen(writer)).map(drop)
            }
            Failure::Io(_) | Failure::Newer(_) => {
                let loses_nothing = self.is_whole() && writer.churn == 0;
                self.reopen(writer).map(|opened| {
                    if loses_nothing && opened == Opened::AsItWas {
                        self.whole_since.store(self.generation.load(Ordering::Acquire), Ordering::Release);
                    }
                })
            }
        };
        if let Err(second) = outcome {
            let second = self.error("reopen cache", second);
            tracing::warn!(file = %self.name, error = %second, "cache is out of use until it opens again");
        }
    }

    /// Returns false if data written since the first opening, or since the cache was emptied, may be lost.
    fn is_whole(&self) -> bool {
        self.generation.load(Ordering::Acquire) == self.whole_since.load(Ordering::Acquire)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use memory_core::{Cache, Cursor, Key, Kind, Namespace};

    use super::*;

    /// A runtime with one thread, on which everything else would stop.
    #[test]
    fn a_read_during_compaction_blocks_nobody() {
        let folder = tempfile::tempdir().unwrap();
        let cache = RedbCache::open(folder.path().join("cache.redb"), CacheOptions::default()).unwrap();
        let cache = Arc::new(cache);
        let (compacting, begun) = mpsc::channel();
        let (finish, finished) = mpsc::channel::<()>();
        let own = cache.clone();
        let compaction = std::thread::spawn(move || {
            own.while_readers_wait(|_| {
                compacting.send(()).unwrap();
                finished.recv().unwrap();
            });
        });
        begun.recv().unwrap();
        let (tell, told) = mpsc::channel();
        let runtime = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
            runtime.block_on(async move {
                let key = Key::new(&Namespace::default(), Kind::Episode, "a");
                let read = async {
                    let found = cache.lookup(std::slice::from_ref(&key)).await.unwrap();
                    tell.send("read").unwrap();
                    found
                };
                let (found, ()) = tokio::join!(read, async { tell.send("went on").unwrap() });
                assert!(found[0].is_none());
            });
        });
        let first = told.recv_timeout(std::time::Duration::from_secs(10));
        finish.send(()).unwrap();
        assert_eq!((first, told.recv()), (Ok("went on"), Ok("read")));
        runtime.join().unwrap();
        compaction.join().unwrap();
    }

    #[tokio::test]
    async fn the_cursor_stays_behind_what_a_damaged_file_has_lost() {
        let folder = tempfile::tempdir().unwrap();
        let cache = RedbCache::open(folder.path().join("cache.redb"), CacheOptions::default()).unwrap();
        let at = |seq| Cursor { database: "db".into(), seq, token: None };
        cache.set_cursor(&at(1)).await.unwrap();
        assert_eq!(cache.cursor().await.unwrap(), at(1));
        let fail = |failure: &Failure| {
            let generation = cache.generation.load(Ordering::Acquire);
            cache.recover(&mut lock(&cache.writer), generation, failure);
        };
        let full = Failure::Io(std::io::ErrorKind::Other.into());
        let removal = (Key::new(&Namespace::default(), Kind::Episode, "a"), None);
        for (failure, durable) in [
            (Failure::Damaged("a page".into()), true),
            (Failure::Io(std::io::ErrorKind::Other.into()), false),
        ] {
            cache.persist().await.unwrap();
            fail(&full);
            cache.set_cursor(&at(4)).await.unwrap();
            assert_eq!(cache.cursor().await.unwrap(), at(4), "nothing was lost");
            if !durable {
                cache.put_documents(std::slice::from_ref(&removal)).await.unwrap();
            }
            fail(&failure);
            let after = cache.cursor().await.unwrap();
            cache.set_cursor(&at(5)).await.unwrap();
            assert_eq!(cache.cursor().await.unwrap(), after);
            cache.clear().await.unwrap();
            cache.set_cursor(&at(3)).await.unwrap();
            assert_eq!(cache.cursor().await.unwrap(), at(3), "an empty file lacks nothing");
        }
    }
}
