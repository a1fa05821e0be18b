//! Emptying the outbox into a server.

use std::time::{Duration, Instant};

use memory_core::{Clock, EngineConfig, IdSource, Namespace, Row, SystemClock, SystemIds};
use memory_storage_redb::{OutboxOptions, RedbOutbox, Slots};
use memory_test_support::{Sqld, SqldOptions};
use tokio::runtime::Runtime;

use crate::Result;
use crate::baseline::LibsqlServer;
use crate::contest::Contest;
use crate::ours;
use crate::payload::Steps;

/// Rows the outbox is filled with at once.
const FILL: usize = 1_000;

/// An engine that opens with a full outbox, against multi-row upserts of as many rows a statement over one libsql
/// connection. An operation is a row. Ours includes opening the engine.
pub struct Drain {
    sqld: Sqld,
    runtime: Runtime,
    baseline: LibsqlServer,
}

impl Drain {
    /// Starts a server with an empty database of our schema.
    ///
    /// # Errors
    /// When the server cannot be reached.
    ///
    /// # Panics
    /// If the server does not start.
    pub fn new() -> Result<Self> {
        let (sqld, runtime) = (Sqld::start(SqldOptions::new()), ours::runtime()?);
        let folder = tempfile::tempdir()?;
        runtime.block_on(async {
            let (engine, _slot) =
                ours::engine(folder.path(), Some(&sqld.url()), &Namespace::default()).await?;
            // The store makes the schema on its first use.
            engine.pull().await?;
            engine.close(Duration::ZERO).await?;
            Result::Ok(())
        })?;
        let baseline = LibsqlServer::connect(&sqld.url())?;
        Ok(Self { sqld, runtime, baseline })
    }
}

/// A namespace that no other round has, so that a round does not read the feed of those before it.
fn fresh_space() -> Result<Namespace> {
    Ok(Namespace::new(&format!("round-{:x}", SystemIds::default().random()))?)
}

impl Contest for Drain {
    fn ours(&mut self, operations: u64) -> Result<Duration> {
        let (folder, space) = (tempfile::tempdir()?, fresh_space()?);
        let mut steps = Steps::new(&space);
        {
            let slot = Slots::claim(folder.path().join("instances"))?;
            let outbox = RedbOutbox::open(slot.path().join("outbox.redb"), OutboxOptions::default())?;
            let mut left = operations as usize;
            while left > 0 {
                let records = steps.records(left.min(FILL));
                left -= records.len();
                memory_core::Outbox::append(&outbox, &records, SystemClock::new().now())?;
            }
        }
        let elapsed = self.runtime.block_on(async {
            let start = Instant::now();
            let (engine, slot) = ours::engine(folder.path(), Some(&self.sqld.url()), &space).await?;
            engine.flush(Duration::from_secs(300)).await?;
            let elapsed = start.elapsed();
            engine.close(Duration::ZERO).await?;
            drop(slot);
            Result::Ok(elapsed)
        })?;
        let counted = self.sqld.scalar(&format!("SELECT count(*) FROM records WHERE namespace = '{space}'"));
        if counted != operations {
            return Err(format!("{operations} rows were sent and {counted} arrived").into());
        }
        Ok(elapsed)
    }

    fn baseline(&mut self, operations: u64) -> Result<Duration> {
        let records = Steps::new(&fresh_space()?).records(operations as usize);
        let rows = records.iter().map(Row::encode).collect::<memory_core::Result<Vec<_>>>()?;
        self.baseline.upsert(rows, EngineConfig::default().batch_rows)
    }
}
