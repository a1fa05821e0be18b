//! The operations of a store, as values that run on any [`Session`]: the SQL is written once for files and
//! servers.

mod changes;
mod commit;
mod count;
mod get;
mod probe;
mod purge;
mod rows;
mod scan;

use std::future::Future;

use memory_core::{Error, ErrorKind};

pub(crate) use changes::ReadChanges;
pub(crate) use commit::Commit;
pub(crate) use count::Count;
pub(crate) use get::Get;
pub(crate) use probe::Probe;
pub(crate) use purge::Purge;
pub(crate) use scan::ReadPage;

use crate::classify::Failure;
use crate::session::Session;

/// The time by the database's own clock, in milliseconds.
pub(crate) const NOW_MS: &str = "CAST(1000.0 * (julianday('now') - 2440587.5) * 86400 AS INTEGER)";

/// Whether an operation changes the database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Access {
    /// It only reads.
    Read,
    /// It may write.
    Write,
}

/// One operation of a store. Running it again, after a lost answer or on another connection, is safe.
pub(crate) trait Operation: Send + Sync + 'static {
    /// The result.
    type Answer: Send + 'static;

    /// Its name in errors.
    const NAME: &'static str;

    /// Whether it writes.
    const ACCESS: Access;

    /// Runs it.
    fn run(&self, session: &Session) -> impl Future<Output = Result<Self::Answer, Failure>> + Send;
}

/// Reports an answer that ended before its last row.
///
/// The client takes a stream that ends early for the end of the rows, so every query of many rows asks for
/// something that only a complete answer has.
pub(crate) fn truncated(operation: &'static str) -> Error {
    Error::new(ErrorKind::Unavailable, operation, "the answer was cut off before its end")
}
