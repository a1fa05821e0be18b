//! The storage backend of redb: a file with an observed and bounded length.

use std::fmt::Debug;
use std::fs::OpenOptions;
use std::io;
use std::ops::Bound;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use redb::backends::FileBackend;
use redb::{BackendError, DatabaseError, StorageBackend};

/// Opens the storage under a database; called again when the database is reopened.
pub(crate) type Opener = Arc<dyn Fn() -> Result<Box<dyn StorageBackend>, DatabaseError> + Send + Sync>;

/// Returns an opener of a file, which it creates if it is missing.
pub(crate) fn file_opener(path: &Path) -> Opener {
    let path = path.to_owned();
    Arc::new(move || {
        let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&path)?;
        Ok(Box::new(FileBackend::new(file)?))
    })
}

/// The length of a database file, shared between its [`Bounded`] backend and its observer.
#[derive(Debug, Default)]
pub(crate) struct FileSize {
    bytes: AtomicU64,
    limit: AtomicU64,
}

impl FileSize {
    /// Creates the watch over a file that may grow to `limit` bytes.
    pub(crate) fn new(limit: u64) -> Arc<Self> {
        Arc::new(Self { bytes: AtomicU64::new(0), limit: AtomicU64::new(limit) })
    }

    /// Returns the length of the file, in bytes.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Acquire)
    }
}

/// A backend that knows its length and refuses to grow past a limit.
///
/// redb doubles its file when it is full; refusing makes the commit fail before the disk is used, and the
/// caller makes room.
#[derive(Debug)]
pub(crate) struct Bounded {
    inner: Box<dyn StorageBackend>,
    size: Arc<FileSize>,
}

impl Bounded {
    pub(crate) fn new(inner: Box<dyn StorageBackend>, size: Arc<FileSize>) -> io::Result<Self> {
        size.bytes.store(inner.len()?, Ordering::Release);
        Ok(Self { inner, size })
    }
}

type Lock<T> = Result<T, BackendError>;

impl StorageBackend for Bounded {
    fn len(&self) -> io::Result<u64> {
        self.inner.len()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.inner.read(offset, out)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        let grows = len > self.size.bytes.load(Ordering::Acquire);
        if grows && len > self.size.limit.load(Ordering::Acquire) {
            return Err(io::Error::new(io::ErrorKind::QuotaExceeded, "the file has reached its limit"));
        }
        self.inner.set_len(len)?;
        self.size.bytes.store(len, Ordering::Release);
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        self.inner.sync_data()
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.inner.write(offset, data)
    }

    fn close(&self) -> io::Result<()> {
        self.inner.close()
    }

    fn try_lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Lock<bool> {
        self.inner.try_lock_range(start, end)
    }

    fn try_lock_shared_range(&self, start: Bound<u64>, end: Bound<u64>) -> Lock<bool> {
        self.inner.try_lock_shared_range(start, end)
    }

    fn lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Lock<()> {
        self.inner.lock_range(start, end)
    }

    fn lock_shared_range(&self, start: Bound<u64>, end: Bound<u64>) -> Lock<()> {
        self.inner.lock_shared_range(start, end)
    }

    fn unlock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Lock<()> {
        self.inner.unlock_range(start, end)
    }

    fn query_lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Lock<bool> {
        self.inner.query_lock_range(start, end)
    }
}
