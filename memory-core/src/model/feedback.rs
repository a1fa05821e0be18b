//! What became known of an episode after it was completed.

use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;
use crate::model::artifact::Quality;
use crate::model::outcome::Outcome;

/// Feedback on a completed episode: the user's acceptance, a review, tests that ran later, a corrected outcome.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Feedback {
    /// Identifies it within the episode (`ci`, `review of Ada`): giving feedback with the same key again replaces it.
    pub key: String,
    /// When it was given; the engine sets it.
    pub at: Timestamp,
    /// How the episode really ended; `None` leaves the outcome as it is.
    pub outcome: Option<Outcome>,
    /// How sure that outcome is, in `0.0..=1.0`; 1 by default.
    pub confidence: f64,
    /// How good the result is, as far as the feedback says.
    pub quality: Quality,
    /// In words.
    pub comment: String,
}

impl Feedback {
    /// The most feedback that an episode takes, by key.
    pub const MAX: usize = 32;

    /// Creates feedback that says nothing yet.
    pub fn new(key: impl Into<String>) -> Self {
        Self {
            key: key.into(),
            at: Timestamp(0),
            outcome: None,
            confidence: 1.0,
            quality: Quality::default(),
            comment: String::new(),
        }
    }

    /// Corrects the outcome.
    #[must_use]
    pub fn outcome(mut self, outcome: Outcome) -> Self {
        self.outcome = Some(outcome);
        self
    }

    /// Sets how sure the corrected outcome is, in `0.0..=1.0`.
    #[must_use]
    pub fn confidence(mut self, confidence: f64) -> Self {
        self.confidence = confidence;
        self
    }

    /// Sets how good the result is.
    #[must_use]
    pub fn quality(mut self, quality: Quality) -> Self {
        self.quality = quality;
        self
    }

    /// Sets a comment.
    #[must_use]
    pub fn comment(mut self, comment: impl Into<String>) -> Self {
        self.comment = comment.into();
        self
    }

    /// Returns true for the same feedback, whenever it was given.
    pub fn says_the_same_as(&self, other: &Self) -> bool {
        let mut held = self.clone();
        held.at = other.at;
        held == *other
    }

    /// Returns every text for changing it in place (redaction).
    pub fn texts_mut(&mut self) -> impl Iterator<Item = &mut String> {
        let outcome = self.outcome.iter_mut().flat_map(Outcome::texts_mut);
        [&mut self.key, &mut self.comment].into_iter().chain(outcome)
    }
}

/// An outcome as it was before feedback corrected it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Stated {
    /// The outcome.
    pub outcome: Outcome,
    /// How sure it was, in `0.0..=1.0`.
    pub confidence: f64,
}
