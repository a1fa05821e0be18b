//! Bare libsql on a local file.

use std::path::Path;
use std::time::{Duration, Instant};

use libsql::{Builder, Connection, Statement, Value};
use memory_core::{Durable, Row};
use memory_storage_turso::{LocalOptions, LocalStore};
use tokio::runtime::Runtime;

use super::upsert;
use crate::Result;

/// One connection with `synchronous = FULL` to a file with the schema of the memory's own store.
pub(crate) struct LibsqlFile {
    runtime: Runtime,
    connection: Connection,
    statement: Statement,
}

impl LibsqlFile {
    pub(crate) fn create(path: &Path) -> Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread().build()?;
        let (connection, statement) = runtime.block_on(async {
            let store = LocalStore::open(path, LocalOptions::new())?;
            store.close().await?;
            let connection = Builder::new_local(path).build().await?.connect()?;
            connection.execute_batch("PRAGMA synchronous = FULL; PRAGMA wal_autocheckpoint = 0;").await?;
            let statement = connection.prepare(&upsert::one()).await?;
            crate::Result::Ok((connection, statement))
        })?;
        Ok(Self { runtime, connection, statement })
    }

    /// Commits each row by itself; the values are made before the clock starts.
    pub(crate) fn commit_each(&mut self, rows: Vec<Row>) -> Result<Duration> {
        let rows: Vec<Vec<Value>> = rows.into_iter().map(|row| upsert::values(row).into()).collect();
        self.runtime.block_on(async {
            let start = Instant::now();
            for values in rows {
                self.statement.execute(values).await?;
                self.statement.reset();
            }
            Ok(start.elapsed())
        })
    }

    /// Empties the write-ahead log, so that it does not grow over the rounds.
    pub(crate) fn checkpoint(&mut self) -> Result<()> {
        self.runtime.block_on(async {
            self.connection.query("PRAGMA wal_checkpoint(TRUNCATE)", ()).await?.next().await?;
            Ok(())
        })
    }
}
