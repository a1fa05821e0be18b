//! What several tests need.

use std::future::Future;
use std::path::Path;
use std::pin::pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use memory_core::conformance::{episode, record};
use memory_core::{ChangesQuery, Deadlines, Kind, Namespace, Record};
use memory_storage_turso::{LocalOptions, LocalStore, RemoteOptions, RemoteStore};

/// The namespace of tests that need one only.
pub(crate) fn space() -> Namespace {
    Namespace::default()
}

/// A live episode record with revision 1.
pub(crate) fn live(id: &str) -> Record {
    record(&space(), id, 1, Some(episode(1)))
}

/// Asks for everything behind a position, with the episodes themselves.
pub(crate) fn since(after: u64) -> ChangesQuery {
    ChangesQuery { namespaces: vec![space()], after, limit: 1_000, bodies: vec![Kind::Episode], own: None }
}

pub(crate) fn open(path: &Path) -> LocalStore {
    LocalStore::open(path, LocalOptions::new()).unwrap_or_else(|error| panic!("the file opens: {error:?}"))
}

/// A connection to a file as a foreign SQL tool has it.
pub(crate) fn tool(path: &Path) -> libsql::Connection {
    ready(libsql::Builder::new_local(path).build()).unwrap().connect().unwrap()
}

/// Runs a statement as a foreign SQL tool.
pub(crate) fn sql(path: &Path, statement: &str) {
    ready(tool(path).execute_batch(statement)).unwrap_or_else(|error| panic!("{statement}: {error}"));
}

/// Runs a query as a foreign SQL tool; returns its cells as text.
pub(crate) fn rows(path: &Path, query: &str) -> Vec<Vec<String>> {
    let mut rows = ready(tool(path).query(query, ())).unwrap_or_else(|error| panic!("{query}: {error}"));
    let mut all = Vec::new();
    while let Some(row) = ready(rows.next()).unwrap() {
        let cells = (0..row.column_count()).map(|i| match row.get_value(i).unwrap() {
            libsql::Value::Null => "NULL".to_owned(),
            libsql::Value::Integer(value) => value.to_string(),
            libsql::Value::Real(value) => value.to_string(),
            libsql::Value::Text(value) => value,
            libsql::Value::Blob(value) => format!("{value:?}"),
        });
        all.push(cells.collect());
    }
    all
}

/// Finishes a future that never waits, outside any runtime.
pub(crate) fn ready<F: Future>(future: F) -> F::Output {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => output,
        Poll::Pending => panic!("the future waits for something"),
    }
}

/// Connects with short deadlines, so that faults show soon.
pub(crate) fn connect(url: &str) -> RemoteStore {
    connect_with(RemoteOptions::new(url))
}

pub(crate) fn connect_with(options: RemoteOptions) -> RemoteStore {
    let deadlines = Deadlines { read: Duration::from_secs(2), write: Duration::from_secs(2) };
    RemoteStore::connect(options.deadlines(deadlines))
        .unwrap_or_else(|error| panic!("the options are valid: {error:?}"))
}
