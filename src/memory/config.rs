//! How a memory behaves.

use std::sync::Arc;

use memory_core::{EngineConfig, Error, Result};
use memory_learn::confidence::ConfidenceConfig;
use memory_learn::consolidate::ConsolidationConfig;
use memory_learn::reflect::{ContrastReflector, Reflector};
use memory_learn::reward::RewardConfig;
use memory_recall::embedder::Embedder;

use crate::limits::{Limits, Quotas};
use crate::rate::RateLimit;
use crate::redact::Redactor;

/// Settings of a memory; the default is right for one application on one machine.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct MemoryConfig {
    /// Acknowledgement, caches, sync.
    pub engine: EngineConfig,
    /// The sizes allowed.
    pub limits: Limits,
    /// The amounts allowed.
    pub quotas: Quotas,
    /// How fast episodes may be started or recorded; unlimited by default.
    pub rate_limit: Option<RateLimit>,
    /// Redacts texts before storage; common formats of secrets by default.
    pub redactor: Redactor,
    /// What is learned, and when.
    pub learning: LearningConfig,
    /// The model that turns texts into vectors; none by default.
    pub embedder: Option<Arc<dyn Embedder>>,
}

/// Settings of learning.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct LearningConfig {
    /// Whether episodes are learned from, and consolidation runs, in the background; true by default.
    /// Otherwise, [`crate::memory::Memory::learn`] and [`crate::memory::Memory::consolidate`] do it on demand.
    pub background: bool,
    /// How episodes are scored.
    pub reward: RewardConfig,
    /// How evidence adds up.
    pub confidence: ConfidenceConfig,
    /// When and how much is consolidated.
    pub consolidation: ConsolidationConfig,
    /// The reflector for episodes; [`ContrastReflector`] by default.
    pub reflector: Arc<dyn Reflector>,
    /// The share of recalls that are withheld, in `0.0..=1.0`, to measure the benefit of memory; 0 by default.
    pub hold_out: f64,
    /// The seed that decides which recalls are held back; 0 by default.
    pub hold_out_seed: u64,
}

impl Default for LearningConfig {
    fn default() -> Self {
        Self {
            background: true,
            reward: RewardConfig::default(),
            confidence: ConfidenceConfig::default(),
            consolidation: ConsolidationConfig::default(),
            reflector: Arc::new(ContrastReflector::default()),
            hold_out: 0.0,
            hold_out_seed: 0,
        }
    }
}

impl LearningConfig {
    /// Checks the settings.
    ///
    /// # Errors
    /// `InvalidInput` that names the setting out of bounds.
    pub(crate) fn validate(&self) -> Result<()> {
        let hold_out = self.hold_out;
        Error::check_setting("learning.hold_out", hold_out, (0.0..=1.0).contains(&hold_out), "0 to 1")?;
        self.reward.validate()?;
        self.confidence.validate()?;
        self.consolidation.validate()
    }
}
