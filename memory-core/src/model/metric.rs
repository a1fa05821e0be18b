//! The progress of learning, over time.

use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;

/// One figure about one day, for one agent, kind of task and domain, or over all of them (`None`).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Metric {
    /// Its name: `success_rate`, `reward`, `reuse_rate`, `patterns` or `time_saved_ms`.
    pub name: String,
    /// The figure.
    pub value: f64,
    /// How many episodes it is over.
    pub samples: u32,
    /// The agent.
    pub agent: Option<String>,
    /// The kind of task.
    pub task_kind: Option<String>,
    /// The domain.
    pub domain: Option<String>,
    /// The start of the day, UTC.
    pub day: Timestamp,
}
