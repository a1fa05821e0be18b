//! The status of the engine.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::clock::Timestamp;
use crate::engine::hot::HotUsage;
use crate::engine::{Engine, Shared};
use crate::id::lock;
use crate::model::kind::Kind;
use crate::store::decorate::breaker::{BreakerState, BreakerStatus};
use crate::store::record::Seq;
use crate::store::traits::CacheUsage;

/// How many unreadable records the status names.
const NAMED: usize = 20;

/// Where the durable tier is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// A libsql file on this machine.
    Local,
    /// A server, through an outbox.
    Remote,
}

/// The outbox.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct OutboxStatus {
    /// Unsent rows.
    pub rows: u64,
    /// Their encoded size, in bytes.
    pub bytes: u64,
    /// How long the oldest of them has waited, in milliseconds.
    pub oldest_age_ms: Option<u64>,
    /// The bound on waiting rows and dead letters together.
    pub limit_rows: u64,
    /// The bound on their bytes.
    pub limit_bytes: u64,
    /// Rows that the durable tier refused or that cannot be read; `memory sync retry` sends them again.
    pub dead_letters: u64,
    /// Their encoded size with the reasons, in bytes.
    pub dead_letter_bytes: u64,
    /// Acknowledged rows kept in case the server loses them.
    pub tail_rows: u64,
    /// Their encoded size, in bytes.
    pub tail_bytes: u64,
}

/// The state of sync.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct SyncStatus {
    /// When the durable tier last answered a pull or took a batch.
    pub last_sync: Option<Timestamp>,
    /// The last error of each part of background work that has not succeeded since; `None` when all work.
    pub last_error: Option<String>,
    /// The position in the change feed.
    pub position: Seq,
    /// The last commit of the durable tier at the latest request.
    pub head: Seq,
    /// Records that this program cannot read and passes over.
    pub unreadable: u64,
    /// The names of some of them, as `namespace/kind/id`; at most 20.
    pub unreadable_records: Vec<String>,
    /// How far this machine's clock is ahead of the server's, in milliseconds, negative if it is slow; `None`
    /// in local mode and before the server's time is known.
    pub clock_ahead_ms: Option<i64>,
}

/// The state of an engine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct EngineStatus {
    /// Local or remote.
    pub mode: Mode,
    /// The circuit breaker; `None` in local mode.
    pub breaker: Option<BreakerStatus>,
    /// The outbox; `None` in local mode.
    pub outbox: Option<OutboxStatus>,
    /// Rows that wait for the committer.
    pub queued: u64,
    /// Sync.
    pub sync: SyncStatus,
    /// How often background work panicked since opening; it begins again each time.
    pub panics: u64,
    /// The hot layer.
    pub hot: HotUsage,
    /// The cache file; `None` if it cannot be read.
    pub cache: Option<CacheUsage>,
    /// Operations on the cache file that failed.
    pub cache_failures: u64,
    /// The last of their errors.
    pub cache_error: Option<String>,
    /// Episodes in the recall index.
    pub indexed: u64,
    /// Its estimated size in memory, in bytes.
    pub index_bytes: u64,
    /// Live records of each kind in the durable tier; `None` when it is unavailable.
    pub records: Option<BTreeMap<&'static str, u64>>,
}

impl Engine {
    /// Reports the state. Asks the durable tier for its counts unless the breaker is open.
    pub async fn status(&self) -> EngineStatus {
        let shared = &self.shared;
        let breaker = shared.breaker.as_ref().map(|breaker| breaker.status());
        let away = breaker.as_ref().is_some_and(|breaker| breaker.state != BreakerState::Closed);
        let records = if away { None } else { self.count().await.ok() };
        let panics = lock(&shared.progress).panics + shared.cache_writer.panics() + shared.committer.panics();
        let (cache_failures, cache_error) = shared.cache_writer.failures();
        let indexed = shared.index.count(&shared.namespace, Kind::Episode) as u64;
        let index_bytes = shared.index.bytes() as u64;
        EngineStatus {
            mode: if shared.outbox().is_some() { Mode::Remote } else { Mode::Local },
            breaker: shared.breaker.as_ref().map(|breaker| breaker.status()),
            outbox: shared.outbox_status(),
            queued: shared.committer.waiting() as u64,
            sync: shared.sync_status(),
            panics,
            hot: shared.hot.usage(),
            cache: shared.tiers.cache.usage().await.ok(),
            cache_failures,
            cache_error,
            indexed,
            index_bytes,
            records: records
                .map(|counts| counts.into_iter().map(|(kind, count)| (kind.name(), count)).collect()),
        }
    }
}

impl Shared {
    fn outbox_status(&self) -> Option<OutboxStatus> {
        let usage = self.outbox()?.usage();
        let age = usage.oldest.map(|oldest| self.clock.now().since(oldest));
        Some(OutboxStatus {
            rows: usage.rows,
            bytes: usage.bytes,
            oldest_age_ms: age.map(|age| u64::try_from(age.as_millis()).unwrap_or(u64::MAX)),
            limit_rows: usage.limit_rows,
            limit_bytes: usage.limit_bytes,
            dead_letters: usage.dead_letters,
            dead_letter_bytes: usage.dead_letter_bytes,
            tail_rows: usage.tail_rows,
            tail_bytes: usage.tail_bytes,
        })
    }

    fn sync_status(&self) -> SyncStatus {
        let progress = lock(&self.progress);
        SyncStatus {
            last_sync: progress.last_sync,
            last_error: progress.last_error().or_else(|| self.breaker.as_ref()?.refusal()),
            position: progress.cursor.seq,
            head: progress.head,
            unreadable: self.unreadable.count(),
            unreadable_records: self.unreadable.names(NAMED),
            clock_ahead_ms: progress.clock_ahead_ms,
        }
    }
}
