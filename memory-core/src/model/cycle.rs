//! A consolidation cycle.

use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;

/// The trigger of a consolidation cycle.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Trigger {
    /// An explicit call.
    Demand,
    /// There was no work for a while.
    Idle,
    /// It was time.
    Interval,
}

/// The results of a consolidation cycle ("dream cycle").
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cycle {
    /// Its trigger.
    pub trigger: Trigger,
    /// When it started.
    pub started_at: Timestamp,
    /// How long it took, in milliseconds.
    pub duration_ms: u64,
    /// Patterns merged into near-duplicates.
    pub merged: u32,
    /// Items whose confidence was recomputed with older evidence weighing less.
    pub decayed: u32,
    /// Items removed for lack of evidence.
    pub pruned: u32,
    /// Heuristics replaced by more general ones.
    pub generalised: u32,
    /// Records whose retention was over.
    pub expired: u32,
    /// Whether it stopped before its end, because work arrived or its time was over.
    pub interrupted: bool,
    /// Descriptions of its most important changes.
    pub notes: Vec<String>,
}
