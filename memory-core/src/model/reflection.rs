//! The reflection on an episode.

use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;
use crate::id::EpisodeId;

/// One statement and the steps that show it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Insight {
    /// The statement.
    pub text: String,
    /// Numbers of the steps that show it.
    pub steps: Vec<u32>,
}

/// Insights from an episode: successes, failures and improvements.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reflection {
    /// The episode reflected on.
    pub episode: EpisodeId,
    /// When.
    pub at: Timestamp,
    /// Successful actions.
    pub worked: Vec<Insight>,
    /// Failures.
    pub failed: Vec<Insight>,
    /// Suggested improvements.
    pub improve: Vec<Insight>,
}
