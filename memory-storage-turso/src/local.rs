//! The durable tier as a file on this machine.

mod file;
mod lane;
mod lock;
mod writer;

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use memory_core::{
    Changes, ChangesQuery, Durable, Error, ErrorKind, Key, Kind, Namespace, Page, Purged, Record, Result,
    Row, Scan, Store, Timestamp,
};
use tokio::runtime::Handle;

use crate::local::lane::Lane;
use crate::local::writer::Writer;
use crate::operation::{Access, Commit, Count, Get, Operation, Probe, Purge, ReadChanges, ReadPage};
use crate::session::{Session, finish};

/// How to open a [`LocalStore`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LocalOptions {
    readers: usize,
    lock_timeout: Duration,
    checkpoint_bytes: u64,
}

impl LocalOptions {
    /// Creates options with the defaults that each setter names.
    pub fn new() -> Self {
        Self { readers: 2, lock_timeout: Duration::from_secs(10), checkpoint_bytes: 4 * 1024 * 1024 }
    }

    /// Sets how many threads read, each with a connection of its own; 2 by default, at least 1.
    #[must_use]
    pub fn readers(mut self, readers: usize) -> Self {
        self.readers = readers.max(1);
        self
    }

    /// Sets how long a write waits for its turn among the processes that share the file; 10 s by default.
    #[must_use]
    pub fn lock_timeout(mut self, timeout: Duration) -> Self {
        self.lock_timeout = timeout;
        self
    }

    /// Sets from which size in bytes [`Durable::maintain`] empties the write-ahead log; 4 MiB by default.
    #[must_use]
    pub fn checkpoint_bytes(mut self, bytes: u64) -> Self {
        self.checkpoint_bytes = bytes;
        self
    }
}

impl Default for LocalOptions {
    fn default() -> Self {
        Self::new()
    }
}

/// Keeps records in a libsql file in WAL mode with `synchronous = FULL`: a commit is fsynced when it returns.
///
/// Any number of processes may open the same file; writes take turns by an advisory lock on `<file>.lock`.
///
/// Calls never block an async runtime: reads and writes run on threads of their own. Only a
/// [`commit`](Store::commit) polled outside any tokio runtime runs on the calling thread, which saves the hop.
/// A call whose future is dropped may still take effect.
pub struct LocalStore {
    inner: Arc<Inner>,
}

struct Inner {
    path: PathBuf,
    options: LocalOptions,
    writer: Arc<Writer>,
    lanes: Mutex<Option<Lanes>>,
}

struct Lanes {
    read: Lane<Session>,
    write: Lane<Arc<Writer>>,
}

impl LocalStore {
    /// Opens the database at `path`; folders and file are created where missing, an older schema is migrated.
    /// Blocks while another process migrates.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`] for a path that cannot be a database of this store (a folder, another
    /// program's database), [`ErrorKind::Corrupt`] for a file that is no database or a damaged one,
    /// [`ErrorKind::Unsupported`] for a newer schema, [`ErrorKind::Io`] where the system refuses,
    /// [`ErrorKind::Busy`] if another process holds the lock for too long. Each has a hint.
    pub fn open(path: &Path, options: LocalOptions) -> Result<Self> {
        let inner = Inner::open(path, options).map_err(|error| named(error, path))?;
        Ok(Self { inner: Arc::new(inner) })
    }

    /// Returns the path of the database.
    pub fn path(&self) -> &Path {
        &self.inner.path
    }

    async fn run<O: Operation>(&self, operation: O) -> Result<O::Answer> {
        let inner = &self.inner;
        let answer = match O::ACCESS {
            Access::Read => {
                let job = move |session: &Session| finish(operation.run(session)).map_err(Error::from);
                inner.lane(O::NAME, |lanes| lanes.read.submit(O::NAME, job))?.await
            }
            Access::Write if Handle::try_current().is_err() => inner.writer.run(&operation),
            Access::Write => {
                let job = move |writer: &Arc<Writer>| writer.run(&operation);
                inner.lane(O::NAME, |lanes| lanes.write.submit(O::NAME, job))?.await
            }
        };
        answer.map_err(|error| named(error, &inner.path))
    }
}

impl Inner {
    fn open(path: &Path, options: LocalOptions) -> Result<Self> {
        file::prepare(path)?;
        let writer = Arc::new(Writer::open(path, options.lock_timeout, options.checkpoint_bytes)?);
        let readers = (0..options.readers).map(|_| file::reader(path)).collect::<Result<Vec<_>>>()?;
        let lanes = Lanes {
            read: Lane::start("memory-read", readers)?,
            write: Lane::start("memory-write", vec![writer.clone()])?,
        };
        Ok(Self { path: path.to_owned(), options, writer, lanes: Mutex::new(Some(lanes)) })
    }

    fn lane<T>(&self, operation: &'static str, submit: impl FnOnce(&Lanes) -> T) -> Result<T> {
        let lanes = self.lanes.lock().unwrap_or_else(PoisonError::into_inner);
        lanes.as_ref().map(submit).ok_or_else(|| closed(operation))
    }

    /// Ends the threads and drops every connection, the last one under the lock. Blocks.
    fn shut_down(&self, lock_timeout: Duration) {
        let lanes = self.lanes.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(Lanes { read, write }) = lanes else { return };
        write.join();
        self.writer.close(lock_timeout, || read.join());
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.shut_down(Duration::from_secs(1));
    }
}

fn named(error: Error, path: &Path) -> Error {
    error.with_context("file", path.display().to_string())
}

fn closed(operation: &'static str) -> Error {
    Error::new(ErrorKind::Closed, operation, "the store is closed")
}

impl fmt::Debug for LocalStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LocalStore").field("path", &self.inner.path).finish_non_exhaustive()
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl Store for LocalStore {
    async fn commit(&self, records: &[Record]) -> Result<()> {
        let rows = records.iter().map(Row::encode).collect::<Result<Vec<_>>>()?;
        self.run(Commit { rows }).await
    }

    async fn get(&self, keys: &[Key]) -> Result<Vec<Option<Record>>> {
        self.run(Get { keys: keys.to_vec() }).await
    }

    async fn scan(&self, scan: &Scan) -> Result<Page> {
        scan.validate()?;
        self.run(ReadPage { scan: scan.clone() }).await
    }

    async fn delete_expired(&self, now: Timestamp) -> Result<Purged> {
        let mut total = 0;
        loop {
            let (more, purged) = self.run(Purge { now }).await?;
            total += purged.records;
            if !more {
                return Ok(Purged { records: total, ..purged });
            }
        }
    }

    async fn health(&self) -> Result<()> {
        self.run(Probe).await
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl Durable for LocalStore {
    async fn changes(&self, query: &ChangesQuery) -> Result<Changes> {
        self.run(ReadChanges { query: query.clone() }).await
    }

    async fn count(&self, namespace: &Namespace) -> Result<Vec<(Kind, u64)>> {
        self.run(Count { namespace: namespace.clone() }).await
    }

    async fn maintain(&self) -> Result<()> {
        const NAME: &str = "maintain";
        let job = |writer: &Arc<Writer>| writer.maintain();
        let done = self.inner.lane(NAME, |lanes| lanes.write.submit(NAME, job))?.await;
        done.map_err(|error| named(error, &self.inner.path))
    }

    async fn close(&self) -> Result<()> {
        let inner = self.inner.clone();
        let ended = lane::detached("memory-close", move || inner.shut_down(inner.options.lock_timeout))?;
        ended.await
    }
}
