//! The inputs of learning.

use memory_core::{Artifact, Episode, Step};

/// A completed episode with its steps in order and its artifacts.
#[derive(Debug, Clone, PartialEq)]
pub struct Trace {
    /// The head.
    pub episode: Episode,
    /// The steps in order.
    pub steps: Vec<Step>,
    /// The artifacts in order.
    pub artifacts: Vec<Artifact>,
}

impl Trace {
    /// Returns how far the episode is expected to have succeeded, in `0.0..=1.0`; 0 if nobody knows, though nothing is learned
    /// from such an episode.
    pub fn success(&self) -> f64 {
        self.episode.success_share().unwrap_or(0.0)
    }

    /// Returns roughly how many bytes it takes in memory.
    pub fn weight(&self) -> usize {
        let steps: usize = self.steps.iter().map(Step::weight).sum();
        self.episode.weight() + steps + self.artifacts.iter().map(Artifact::weight).sum::<usize>()
    }

    /// Returns true if it counts as a success: at least half was done.
    pub fn succeeded(&self) -> bool {
        self.success() >= 0.5
    }
}
