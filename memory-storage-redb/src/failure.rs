//! Errors of redb, classified in one place.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};

use memory_core::{Error, ErrorKind};
use redb::{DatabaseError, StorageError};

/// Why an operation on a database file failed.
#[derive(Debug)]
pub(crate) enum Failure {
    /// Another process, or another handle of this one, has the file open.
    Held,
    /// The operating system refused.
    Io(io::Error),
    /// The bytes are damaged, or not those of a database of this sort.
    Damaged(String),
    /// The file was written by a newer program.
    Newer(String),
    /// A rule of the caller's was broken; the database is as it was.
    Refused(Error),
}

/// A result of an operation on a database file.
pub(crate) type Outcome<T> = Result<T, Failure>;

impl Failure {
    /// Returns the error to hand out, for an operation on the named file.
    pub(crate) fn into_error(self, operation: &'static str, file: &str) -> Error {
        let error = match self {
            Self::Held => Error::new(ErrorKind::Conflict, operation, "the file is open in another process")
                .with_hint("close the other process, or give this one a folder of its own"),
            Self::Io(source) => {
                let hint = match source.kind() {
                    io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
                        "make the file and its folder writable for this user"
                    }
                    io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
                        "free space on the disk, or move the folder to a larger one"
                    }
                    _ => "check the disk and the folder",
                };
                Error::new(ErrorKind::Io, operation, source.to_string()).with_hint(hint).with_source(source)
            }
            Self::Damaged(reason) => Error::new(ErrorKind::Corrupt, operation, reason),
            Self::Newer(reason) => Error::new(ErrorKind::Unsupported, operation, reason)
                .with_hint("open it with the newer program that wrote it"),
            Self::Refused(error) => return error,
        };
        error.with_context("file", file)
    }

    /// Returns a copy, with the source as text.
    pub(crate) fn duplicate(&self) -> Self {
        match self {
            Self::Held => Self::Held,
            Self::Io(source) => Self::Io(io::Error::new(source.kind(), source.to_string())),
            Self::Damaged(reason) => Self::Damaged(reason.clone()),
            Self::Newer(reason) => Self::Newer(reason.clone()),
            Self::Refused(error) => Self::Refused(error.duplicate()),
        }
    }
}

impl From<io::Error> for Failure {
    fn from(source: io::Error) -> Self {
        match source.kind() {
            // redb and the file system report invalid content by these.
            io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof | io::ErrorKind::IsADirectory => {
                Self::Damaged(source.to_string())
            }
            _ => Self::Io(source),
        }
    }
}

impl From<redb::Error> for Failure {
    fn from(source: redb::Error) -> Self {
        match source {
            redb::Error::DatabaseAlreadyOpen => Self::Held,
            redb::Error::Io(source) => source.into(),
            redb::Error::PreviousIo | redb::Error::DatabaseClosed => {
                Self::Io(io::Error::other(source.to_string()))
            }
            // Every other error means that the content, or redb's state in memory, is invalid.
            other => Self::Damaged(other.to_string()),
        }
    }
}

macro_rules! from_redb {
    ($($error:ident),+) => {$(
        impl From<redb::$error> for Failure {
            fn from(source: redb::$error) -> Self {
                redb::Error::from(source).into()
            }
        }
    )+};
}

from_redb!(TransactionError, TableError, CommitError, CompactionError, SetDurabilityError);

impl From<StorageError> for Failure {
    fn from(source: StorageError) -> Self {
        redb::Error::from(source).into()
    }
}

impl From<DatabaseError> for Failure {
    fn from(source: DatabaseError) -> Self {
        redb::Error::from(source).into()
    }
}

impl From<Error> for Failure {
    fn from(source: Error) -> Self {
        Self::Refused(source)
    }
}

/// Runs an operation on a database; a panic in it means damage, as redb panics on pages that contradict it.
pub(crate) fn guarded<T>(operation: impl FnOnce() -> Outcome<T>) -> Outcome<T> {
    catch_unwind(AssertUnwindSafe(operation)).unwrap_or_else(|panic| {
        let said = panic.downcast_ref::<String>().map(String::as_str);
        let said = said.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("no message");
        Err(Failure::Damaged(format!("redb gave up on the file: {said}")))
    })
}
