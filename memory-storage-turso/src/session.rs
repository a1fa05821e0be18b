//! One database connection with its prepared statements, the same for files and servers.

use std::collections::HashMap;
use std::future::Future;
use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Waker};

use libsql::{Connection, Statement, Value};
use memory_core::{Error, ErrorKind};

use crate::classify::{Failure, classify};

/// The most statements that stay prepared on a connection. Each keeps the values last bound to it.
const MAX_PREPARED: usize = 32;

/// The longest statement that stays prepared, in bytes: about 130 rows of an upsert.
const MAX_PREPARED_BYTES: usize = 4_096;

/// Where a session leads; the two differ in what a round trip costs and in how text comes back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    /// A file in this process.
    Local,
    /// A server.
    #[cfg(feature = "remote")]
    Remote,
}

/// A connection and its prepared statements. One call uses it at a time.
pub(crate) struct Session {
    connection: Connection,
    prepared: Mutex<HashMap<String, Arc<Statement>>>,
    place: Place,
}

impl Session {
    pub(crate) fn new(connection: Connection, place: Place) -> Self {
        Self { connection, prepared: Mutex::default(), place }
    }

    pub(crate) fn connection(&self) -> &Connection {
        &self.connection
    }

    /// Returns the SQL expression that reads a body.
    ///
    /// A file yields bytes: the client panics on text that is not UTF-8, and one damaged row must not take the
    /// others with it.
    pub(crate) fn body(&self) -> &'static str {
        match self.place {
            Place::Local => "CAST(body AS BLOB)",
            #[cfg(feature = "remote")]
            Place::Remote => "body",
        }
    }

    /// Runs a statement without rows; returns how many rows it changed.
    pub(crate) async fn execute(
        &self,
        operation: &'static str,
        sql: &str,
        values: Vec<Value>,
    ) -> Result<u64, Failure> {
        let outcome = match self.place {
            Place::Local => {
                let statement = Used(self.prepare(operation, sql).await?);
                statement.0.execute(values).await.map(|changed| changed as u64)
            }
            // One request, which also closes the server's stream; preparing would be a second one.
            #[cfg(feature = "remote")]
            Place::Remote => self.connection.execute(sql, values).await,
        };
        outcome.map_err(|error| classify(operation, error))
    }

    /// Runs a query and reads all its rows.
    pub(crate) async fn query(
        &self,
        operation: &'static str,
        sql: &str,
        values: Vec<Value>,
    ) -> Result<Vec<Cells>, Failure> {
        let statement = Used(self.prepare(operation, sql).await?);
        read(&statement.0, values).await.map_err(|error| classify(operation, error))
    }

    /// Runs several statements one after the other.
    pub(crate) async fn execute_batch(&self, operation: &'static str, sql: &str) -> Result<(), Failure> {
        let done = self.connection.execute_batch(sql).await;
        done.map(drop).map_err(|error| classify(operation, error))
    }

    /// Runs several statements as one transaction.
    pub(crate) async fn execute_script(&self, operation: &'static str, sql: &str) -> Result<(), Failure> {
        let done = self.connection.execute_transactional_batch(sql).await;
        done.map(drop).map_err(|error| classify(operation, error))
    }

    /// Prepares a statement, or finds it prepared. On a server that costs a round trip once, not each time.
    async fn prepare(&self, operation: &'static str, sql: &str) -> Result<Arc<Statement>, Failure> {
        if let Some(statement) = self.prepared().get(sql) {
            return Ok(statement.clone());
        }
        let statement =
            Arc::new(self.connection.prepare(sql).await.map_err(|error| classify(operation, error))?);
        if sql.len() <= MAX_PREPARED_BYTES {
            let mut prepared = self.prepared();
            if prepared.len() >= MAX_PREPARED {
                prepared.clear();
            }
            prepared.insert(sql.to_owned(), statement.clone());
        }
        Ok(statement)
    }

    fn prepared(&self) -> std::sync::MutexGuard<'_, HashMap<String, Arc<Statement>>> {
        self.prepared.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Resets a statement when its use ends, however it ends: a statement that is used again without a reset returns
/// nothing and no error, and one left open keeps its transaction open.
struct Used(Arc<Statement>);

impl Drop for Used {
    fn drop(&mut self) {
        self.0.reset();
    }
}

async fn read(statement: &Statement, values: Vec<Value>) -> Result<Vec<Cells>, libsql::Error> {
    let mut rows = statement.query(values).await?;
    let width = rows.column_count();
    let mut all = Vec::new();
    while let Some(row) = rows.next().await? {
        let cells = (0..width).map(|index| row.get_value(index)).collect::<Result<Vec<_>, _>>()?;
        all.push(Cells(cells.into_iter()));
    }
    Ok(all)
}

/// The cells of one row, taken from left to right.
#[derive(Debug)]
pub(crate) struct Cells(std::vec::IntoIter<Value>);

impl Cells {
    fn wrong(operation: &'static str, expected: &str, found: Option<Value>) -> Error {
        let found = match found {
            None => "no column",
            Some(Value::Null) => "NULL",
            Some(Value::Integer(_)) => "an integer",
            Some(Value::Real(_)) => "a float",
            Some(Value::Text(_)) => "text",
            Some(Value::Blob(_)) => "bytes",
        };
        Error::new(ErrorKind::Corrupt, operation, format!("a row has {found} where {expected} belongs"))
    }

    /// Passes over cells.
    pub(crate) fn skip(&mut self, cells: usize) {
        for _ in 0..cells {
            self.0.next();
        }
    }

    /// Returns the cell that is the nth from the end, if it is there yet and an integer of at least 0.
    pub(crate) fn last_integer(&self, nth: usize) -> Option<u64> {
        let cells = self.0.as_slice();
        match cells.get(cells.len().checked_sub(nth)?) {
            Some(Value::Integer(value)) => u64::try_from(*value).ok(),
            _ => None,
        }
    }

    /// Takes a cell that is text or NULL.
    pub(crate) fn maybe_text(&mut self, operation: &'static str) -> Result<Option<String>, Error> {
        match self.0.next() {
            Some(Value::Null) => Ok(None),
            Some(Value::Text(text)) => Ok(Some(text)),
            Some(Value::Blob(bytes)) => String::from_utf8(bytes).map(Some).map_err(|source| {
                Error::new(ErrorKind::Corrupt, operation, "stored text is not UTF-8").with_source(source)
            }),
            other => Err(Self::wrong(operation, "text", other)),
        }
    }

    /// Takes a cell that is text.
    pub(crate) fn text(&mut self, operation: &'static str) -> Result<String, Error> {
        self.maybe_text(operation)?.ok_or_else(|| Self::wrong(operation, "text", Some(Value::Null)))
    }

    /// Takes a cell that is an integer of at least 0, or NULL.
    pub(crate) fn maybe_integer(&mut self, operation: &'static str) -> Result<Option<u64>, Error> {
        match self.0.next() {
            Some(Value::Null) => Ok(None),
            Some(Value::Integer(value)) => u64::try_from(value).map(Some).map_err(|_| {
                Error::new(ErrorKind::Corrupt, operation, format!("a row has the number {value}"))
            }),
            other => Err(Self::wrong(operation, "an integer", other)),
        }
    }

    /// Takes a cell that is an integer of at least 0.
    pub(crate) fn integer(&mut self, operation: &'static str) -> Result<u64, Error> {
        self.maybe_integer(operation)?.ok_or_else(|| Self::wrong(operation, "an integer", Some(Value::Null)))
    }
}

/// Finishes a future that never waits for anything: the client builds databases and uses files that way.
pub(crate) fn finish<F: Future>(future: F) -> F::Output {
    let mut future = pin!(future);
    let mut context = Context::from_waker(Waker::noop());
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut context) {
            return output;
        }
        std::thread::yield_now();
    }
}

/// Converts a number below 2^63 for binding.
pub(crate) fn integer(value: u64) -> Value {
    Value::Integer(i64::try_from(value).unwrap_or(i64::MAX))
}

/// Converts text for binding.
pub(crate) fn text(value: impl Into<String>) -> Value {
    Value::Text(value.into())
}
