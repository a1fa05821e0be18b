//! How a memory behaves.

use crate::engine::EngineConfig;
use crate::limits::{Limits, Quotas};
use crate::rate::RateLimit;
use crate::redact::Redactor;

/// Settings of a memory; the default is right for one application on one machine.
#[derive(Debug, Clone, Default)]
pub struct MemoryConfig {
    /// Acknowledgement, caches, sync.
    pub engine: EngineConfig,
    /// The sizes allowed.
    pub limits: Limits,
    /// The amounts allowed.
    pub quotas: Quotas,
    /// How fast episodes may be started or recorded; unlimited by default.
    pub rate_limit: Option<RateLimit>,
    /// What is redacted before storage; common secret shapes by default.
    pub redactor: Redactor,
}
