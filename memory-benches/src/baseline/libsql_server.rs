//! Bare libsql over one connection to a server.

use std::time::{Duration, Instant};

use hyper::client::HttpConnector;
use libsql::{Builder, Connection, Value};
use memory_core::Row;
use tokio::runtime::Runtime;

use super::upsert;
use crate::Result;

/// One connection to a server whose database has the schema already.
pub(crate) struct LibsqlServer {
    runtime: Runtime,
    connection: Connection,
}

impl LibsqlServer {
    pub(crate) fn connect(url: &str) -> Result<Self> {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
        let connection = runtime.block_on(async {
            let mut connector = HttpConnector::new();
            connector.set_nodelay(true);
            let builder = Builder::new_remote(url.to_owned(), String::new()).connector(connector);
            builder.build().await?.connect()
        })?;
        Ok(Self { runtime, connection })
    }

    /// Sends the rows in multi-row upserts of `batch` rows; the values are made before the clock starts.
    pub(crate) fn upsert(&mut self, rows: Vec<Row>, batch: usize) -> Result<Duration> {
        let mut batches: Vec<(usize, Vec<Value>)> = Vec::new();
        for row in rows {
            match batches.last_mut() {
                Some((count, values)) if *count < batch => {
                    *count += 1;
                    values.extend(upsert::values(row));
                }
                _ => batches.push((1, upsert::values(row).into())),
            }
        }
        let statement = upsert::many(batch);
        self.runtime.block_on(async {
            let start = Instant::now();
            for (count, values) in batches {
                let sent = match count == batch {
                    true => self.connection.execute(&statement, values).await,
                    false => self.connection.execute(&upsert::many(count), values).await,
                };
                sent?;
            }
            Ok(start.elapsed())
        })
    }
}
