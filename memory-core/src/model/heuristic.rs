//! A learned rule.

use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;
use crate::id::{EpisodeId, HeuristicId};

/// A rule `condition → action`. Its confidence derives from the evidence named here.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Heuristic {
    /// The identifier.
    pub id: HeuristicId,
    /// When it applies.
    pub condition: String,
    /// What to do then.
    pub action: String,
    /// The subject area it was learned in.
    pub domain: Option<String>,
    /// The lower bound of the Beta posterior over its evidence when it was last computed, in `0.0..=1.0`.
    pub confidence: f64,
    /// Episodes that support it.
    pub supporting: Vec<EpisodeId>,
    /// Episodes that contradict it.
    pub contradicting: Vec<EpisodeId>,
    /// When it was created.
    pub created_at: Timestamp,
}
