//! The advisory lock by which processes take turns.

use std::fs::{File, OpenOptions, TryLockError};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use memory_core::{Error, ErrorKind, Result};

/// The longest pause between two tries.
const MAX_PAUSE: Duration = Duration::from_millis(2);

/// A lock file next to the database.
///
/// A write holds it exclusively, and so does a checkpoint: the bundled SQLite may lose a commit if one connection
/// checkpoints while another writes, and a writer that holds it never meets `SQLITE_BUSY` from one of ours.
#[derive(Debug)]
pub(crate) struct WriteLock {
    file: File,
    path: PathBuf,
}

/// The lock, held until dropped.
pub(crate) struct Held<'a>(&'a File);

impl Drop for Held<'_> {
    fn drop(&mut self) {
        // Unlocking an open file of ours cannot fail, and closing it would unlock it too.
        let _ = self.0.unlock();
    }
}

impl WriteLock {
    /// Opens the lock file of a database, creating it if there is none.
    pub(crate) fn open(database: &Path) -> Result<Self> {
        let mut path = database.as_os_str().to_owned();
        path.push(".lock");
        let path = PathBuf::from(path);
        let opened = OpenOptions::new().create(true).truncate(false).write(true).open(&path);
        let file = opened.map_err(|source| {
            Error::new(ErrorKind::Io, "open database", format!("the lock file cannot be opened: {source}"))
                .with_context("lock", path.display().to_string())
                .with_hint("make the folder writable for this user, or choose another path")
                .with_source(source)
        })?;
        Ok(Self { file, path })
    }

    /// Takes the lock.
    ///
    /// # Errors
    /// [`ErrorKind::Busy`] that names the lock file if others hold it past the timeout.
    pub(crate) fn exclusive(&self, operation: &'static str, timeout: Duration) -> Result<Held<'_>> {
        let start = Instant::now();
        let mut pause = Duration::from_micros(20);
        loop {
            match self.file.try_lock() {
                Ok(()) => return Ok(Held(&self.file)),
                Err(TryLockError::WouldBlock) if start.elapsed() >= timeout => {
                    return Err(self.busy(operation, timeout));
                }
                Err(TryLockError::WouldBlock) => std::thread::sleep(pause),
                Err(TryLockError::Error(source)) => {
                    let message = format!("the lock file cannot be locked: {source}");
                    return Err(Error::new(ErrorKind::Io, operation, message)
                        .with_context("lock", self.path.display().to_string())
                        .with_hint(
                            "keep the database on a local disk; some network file systems have no locks",
                        )
                        .with_source(source));
                }
            }
            pause = (pause * 2).min(MAX_PAUSE);
        }
    }

    fn busy(&self, operation: &'static str, timeout: Duration) -> Error {
        let message = format!("other processes kept the write lock for {} ms", timeout.as_millis());
        Error::new(ErrorKind::Busy, operation, message)
            .with_context("lock", self.path.display().to_string())
            .with_hint("a process that writes is stopped or very slow; find it with `fuser` or `lsof` on the lock file")
    }
}
