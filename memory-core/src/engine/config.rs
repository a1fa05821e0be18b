//! How an engine behaves.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::model::kind::Kind;
use crate::store::decorate::breaker::BreakerConfig;
use crate::store::traits::Deadlines;

/// When a write returns.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ack {
    /// When this machine has it on disk, fsynced.
    #[default]
    Local,
    /// When the durable tier has it. In local mode the same as [`Ack::Local`].
    Durable,
}

/// Settings of an engine.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct EngineConfig {
    /// When a write returns; `Local` by default.
    pub ack: Ack,
    /// The weight of decoded records kept in memory, in bytes; 64 MiB by default.
    pub hot_bytes: u64,
    /// How long a cached record is served without asking the durable tier; 5 min by default.
    pub ttl: Duration,
    /// How long a key that the durable tier does not have is remembered as missing; 1 s by default.
    pub missing_ttl: Duration,
    /// How often the change feed is pulled; 100 ms by default in local mode, 1 s in remote mode.
    pub poll_interval: Option<Duration>,
    /// How long the first recall or read waits for the first pull in remote mode, from opening on, if the
    /// server answers at all; 3 s by default. Writes do not wait.
    pub first_pull: Duration,
    /// How long they wait for a server that does not answer, from opening on; 1 s by default, as RFC 6298 has
    /// it for an unknown one. A server that is known to be slower gets longer, up to `first_pull`; one that is
    /// known to be away gets no wait.
    pub first_answer: Duration,
    /// Rows that may wait for the committer; 16,384 by default. A single larger write is admitted when none
    /// waits.
    pub queue_rows: usize,
    /// Bytes that may wait for the committer; 64 MiB by default. A single larger write is admitted when none
    /// waits.
    pub queue_bytes: usize,
    /// Rows sent to the durable tier at once; 128 by default.
    pub batch_rows: usize,
    /// Bytes sent to the durable tier at once; 1 MiB by default.
    pub batch_bytes: usize,
    /// Deadlines for calls to the durable tier in remote mode.
    pub deadlines: Deadlines,
    /// Attempts of one call in remote mode; 3 by default.
    pub attempts: u32,
    /// The circuit breaker around the durable tier in remote mode.
    pub breaker: BreakerConfig,
    /// How long records of a kind are kept after their last change; overrides the default of the kind.
    pub retention: BTreeMap<Kind, Option<Duration>>,
    /// How long tombstones are kept; 7 days by default. A cache that was away longer starts over.
    pub tombstone_retention: Duration,
    /// How long acknowledged rows stay in the outbox, for a server that loses commits; 10 min by default.
    pub tail_retention: Duration,
    /// How often upkeep runs (eviction, checkpoint, trimming of acknowledged rows, orphans); 30 s by default.
    pub upkeep_interval: Duration,
    /// How often expired records are purged from the durable tier; 10 min by default.
    pub purge_interval: Duration,
}

impl Default for EngineConfig {
    fn default() -> Self {
        Self {
            ack: Ack::default(),
            hot_bytes: 64 << 20,
            ttl: Duration::from_secs(300),
            missing_ttl: Duration::from_secs(1),
            poll_interval: None,
            first_pull: Duration::from_secs(3),
            first_answer: Duration::from_secs(1),
            queue_rows: 16_384,
            queue_bytes: 64 << 20,
            batch_rows: 128,
            batch_bytes: 1 << 20,
            deadlines: Deadlines::default(),
            attempts: 3,
            breaker: BreakerConfig::default(),
            retention: BTreeMap::new(),
            tombstone_retention: Duration::from_secs(7 * 86_400),
            tail_retention: Duration::from_secs(600),
            upkeep_interval: Duration::from_secs(30),
            purge_interval: Duration::from_secs(600),
        }
    }
}

impl EngineConfig {
    /// Returns how long records of a kind are kept.
    pub fn retention_of(&self, kind: Kind) -> Option<Duration> {
        self.retention.get(&kind).copied().unwrap_or(kind.spec().retention)
    }
}
