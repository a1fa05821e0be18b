//! What speaks for one tool.

use crate::id::{EpisodeId, HeuristicId};

/// What speaks for one tool.
#[derive(Debug, Clone)]
pub(super) struct Case {
    /// How likely the tool is needed; decides whether it is advised.
    pub(super) score: f64,
    /// What is taken off the score for the confidence, where few episodes say so.
    pub(super) doubt: f64,
    /// What counts of the call: less if it is only supposed, or names only what the tool is used on. Episodes with the same
    /// words are found by them, and count as much.
    pub(super) meant: f64,
    /// The first part that calls for the tool.
    pub(super) part: Option<usize>,
    /// The rules, each with its strength.
    pub(super) rules: Vec<(f64, HeuristicId)>,
    /// The words of each rule that clearly calls for it.
    pub(super) words: Vec<Vec<String>>,
    /// Episodes like the task that it worked in.
    pub(super) episodes: Vec<EpisodeId>,
    pub(super) reasons: Vec<String>,
    pub(super) comes_next: f64,
}

impl Default for Case {
    fn default() -> Self {
        Self {
            score: 0.0,
            doubt: 0.0,
            meant: 1.0,
            part: None,
            rules: Vec::new(),
            words: Vec::new(),
            episodes: Vec::new(),
            reasons: Vec::new(),
            comes_next: 0.0,
        }
    }
}

impl Case {
    /// Adds an independent cause.
    pub(super) fn add(&mut self, strength: f64) {
        self.score = 1.0 - (1.0 - self.score) * (1.0 - strength);
    }

    pub(super) fn confidence(&self) -> f64 {
        (self.score * (1.0 - self.doubt)).clamp(0.0, 1.0)
    }
}
