//! What an episode teaches.

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

/// What worked, what failed and what to do differently.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reflection {
    /// The episode reflected on.
    pub episode: EpisodeId,
    /// When.
    pub at: Timestamp,
    /// What worked.
    pub worked: Vec<Insight>,
    /// What failed.
    pub failed: Vec<Insight>,
    /// What to do differently.
    pub improve: Vec<Insight>,
}
