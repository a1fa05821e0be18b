//! The one connection of a process that writes.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use memory_core::{Error, ErrorKind, Result};

use crate::classify::{Failure, Recovery};
use crate::local::lane::guarded;
use crate::local::lock::WriteLock;
use crate::local::{closed, file};
use crate::operation::Operation;
use crate::session::{Session, finish};

/// How long opening waits for the lock before it looks whether it is needed.
const PATIENCE: Duration = Duration::from_millis(250);

/// The log is checkpointed by the write that brings it to this multiple of the size at which upkeep does so …
const OVERDUE: u64 = 4;
/// … but not below this: a checkpoint costs as much as several writes.
const LEAST_OVERDUE: u64 = 1 << 20;

/// The writing connection, and the lock under which it is used.
pub(crate) struct Writer {
    path: PathBuf,
    lock: WriteLock,
    lock_timeout: Duration,
    /// The size of the log above which upkeep checkpoints.
    checkpoint_bytes: u64,
    /// The size of the log at which a write checkpoints: upkeep comes too seldom for many writes at once.
    overdue_bytes: AtomicU64,
    state: Mutex<State>,
}

enum State {
    Open(Session),
    /// There is none: others held the lock, or a write failed in a way that leaves the connection in doubt. The
    /// next write opens the file.
    Absent,
    Closed,
}

fn overdue(checkpoint_bytes: u64) -> u64 {
    OVERDUE.saturating_mul(checkpoint_bytes).max(LEAST_OVERDUE)
}

impl Writer {
    /// Opens the file and migrates its schema, under the lock. If other processes keep the lock and no
    /// migration is needed, the first write takes it: readers need not wait for them.
    pub(crate) fn open(path: &Path, lock_timeout: Duration, checkpoint_bytes: u64) -> Result<Self> {
        let lock = WriteLock::open(path)?;
        let open = |timeout| {
            let _held = lock.exclusive("open database", timeout)?;
            file::writer(path).map(State::Open)
        };
        let state = match open(lock_timeout.min(PATIENCE)) {
            Err(error) if error.kind() == ErrorKind::Busy => {
                if file::is_current(path) {
                    State::Absent
                } else {
                    open(lock_timeout)?
                }
            }
            opened => opened?,
        };
        let overdue_bytes = AtomicU64::new(overdue(checkpoint_bytes));
        let (path, state) = (path.to_owned(), Mutex::new(state));
        Ok(Self { path, lock, lock_timeout, checkpoint_bytes, overdue_bytes, state })
    }

    /// Runs an operation on the calling thread.
    pub(crate) fn run<O: Operation>(&self, operation: &O) -> Result<O::Answer> {
        let answer = guarded(O::NAME, || self.with(O::NAME, |session| finish(operation.run(session))))?;
        if self.log_bytes() > self.overdue_bytes.load(Ordering::Relaxed) {
            // The write is committed, whatever happens here. Readers may keep the log, so this is not tried at
            // every write.
            if let Err(error) = guarded("checkpoint", || self.with("checkpoint", file::checkpoint)) {
                tracing::debug!(%error, "the write-ahead log grows");
            }
            let next = self.log_bytes().saturating_add(overdue(self.checkpoint_bytes));
            self.overdue_bytes.store(next, Ordering::Relaxed);
        }
        Ok(answer)
    }

    /// Checkpoints if the write-ahead log is large.
    pub(crate) fn maintain(&self) -> Result<()> {
        if self.log_bytes() > self.checkpoint_bytes {
            self.with("checkpoint", file::checkpoint)
        } else {
            Ok(())
        }
    }

    fn log_bytes(&self) -> u64 {
        let mut log = self.path.as_os_str().to_owned();
        log.push("-wal");
        std::fs::metadata(&log).map_or(0, |found| found.len())
    }

    /// Checkpoints and drops the connection. `others` must end every other connection of this process.
    ///
    /// The connection is dropped even without the lock: nothing is lost, the log stays for the next opener.
    pub(crate) fn close(&self, lock_timeout: Duration, others: impl FnOnce()) {
        let mut state = self.state();
        let wait = if matches!(*state, State::Open(_)) { lock_timeout } else { Duration::ZERO };
        let held = self.lock.exclusive("close", wait);
        others();
        if let (State::Open(session), Ok(_)) = (&*state, &held)
            && let Err(failure) = file::checkpoint(session)
        {
            tracing::warn!(error = %failure.error, "the write-ahead log was not emptied on closing; the next opener reads it");
        }
        *state = State::Closed;
    }

    fn with<T>(
        &self,
        operation: &'static str,
        work: impl FnOnce(&Session) -> Result<T, Failure>,
    ) -> Result<T> {
        let mut state = self.state();
        if matches!(*state, State::Closed) {
            return Err(closed(operation));
        }
        let _held = self.lock.exclusive(operation, self.lock_timeout)?;
        if matches!(*state, State::Absent) {
            *state = State::Open(file::writer(&self.path)?);
        }
        let State::Open(session) = &*state else { return Err(closed(operation)) };
        let outcome = work(session);
        // Whatever happened, the next write starts outside a transaction.
        let stuck = !session.connection().is_autocommit();
        match outcome {
            Ok(answer) if !stuck => Ok(answer),
            Ok(_) => {
                *state = State::Absent;
                Err(Error::new(ErrorKind::Io, operation, "the transaction did not end"))
            }
            Err(failure) => {
                if stuck || failure.recovery == Recovery::Reopen {
                    *state = State::Absent;
                }
                Err(failure.error)
            }
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // A panic in a job leaves the state as it was; the transaction check of the next write covers the rest.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
