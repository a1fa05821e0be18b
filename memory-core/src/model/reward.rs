//! The score of a completed episode.

use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;
use crate::id::EpisodeId;

/// A score with every factor that led to it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Reward {
    /// The episode scored.
    pub episode: EpisodeId,
    /// When it was scored.
    pub at: Timestamp,
    /// The score.
    pub total: f64,
    /// The score of the outcome alone.
    pub outcome: f64,
    /// Steps and time, compared with the usual effort of this kind of task.
    pub efficiency: f64,
    /// How hard the task is.
    pub complexity: f64,
    /// Tests, lint, review, acceptance, recovery from errors.
    pub quality: f64,
    /// The bonus for novelty.
    pub learning_bonus: f64,
    /// Whether the episode was learned from; until then it is due.
    pub learned: bool,
}
