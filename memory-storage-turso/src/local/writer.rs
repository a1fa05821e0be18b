//! The one connection of a process that writes.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use memory_core::{Error, ErrorKind, Result};

use crate::classify::{Failure, Recovery};
use crate::local::lane::guarded;
use crate::local::lock::WriteLock;
use crate::local::{closed, file};
use crate::operation::Operation;
use crate::session::{Session, finish};

/// The writing connection, and the lock under which it is used.
pub(crate) struct Writer {
    path: PathBuf,
    lock: WriteLock,
    lock_timeout: Duration,
    state: Mutex<State>,
}

enum State {
    Open(Session),
    /// A write failed in a way that leaves the connection in doubt; the next one opens the file anew.
    Broken,
    Closed,
}

impl Writer {
    /// Opens the file and migrates its schema, under the lock.
    pub(crate) fn open(path: &Path, lock_timeout: Duration) -> Result<Self> {
        let lock = WriteLock::open(path)?;
        let session = {
            let _held = lock.exclusive("open database", lock_timeout)?;
            file::writer(path)?
        };
        Ok(Self { path: path.to_owned(), lock, lock_timeout, state: Mutex::new(State::Open(session)) })
    }

    /// Runs an operation on the calling thread.
    pub(crate) fn run<O: Operation>(&self, operation: &O) -> Result<O::Answer> {
        guarded(O::NAME, || self.with(O::NAME, |session| finish(operation.run(session))))
    }

    /// Checkpoints if the write-ahead log is larger than a threshold.
    pub(crate) fn checkpoint_above(&self, threshold_bytes: u64) -> Result<()> {
        let mut log = self.path.as_os_str().to_owned();
        log.push("-wal");
        match std::fs::metadata(&log) {
            Ok(found) if found.len() > threshold_bytes => self.with("checkpoint", file::checkpoint),
            _ => Ok(()),
        }
    }

    /// Checkpoints and drops the connection. `others` must end every other connection of this process.
    ///
    /// Without the lock the connection is dropped all the same: nothing is lost, the log stays for the next opener.
    pub(crate) fn close(&self, lock_timeout: Duration, others: impl FnOnce()) {
        let mut state = self.state();
        let held = self.lock.exclusive("close", lock_timeout);
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
        if matches!(*state, State::Broken) {
            *state = State::Open(file::writer(&self.path)?);
        }
        let State::Open(session) = &*state else { return Err(closed(operation)) };
        let outcome = work(session);
        // Whatever happened, the next write starts outside a transaction.
        let stuck = !session.connection().is_autocommit();
        match outcome {
            Ok(answer) if !stuck => Ok(answer),
            Ok(_) => {
                *state = State::Broken;
                Err(Error::new(ErrorKind::Io, operation, "the transaction did not end"))
            }
            Err(failure) => {
                if stuck || failure.recovery == Recovery::Reopen {
                    *state = State::Broken;
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
