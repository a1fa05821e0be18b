//! Something an episode produced.

use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;
use crate::id::{ArtifactId, EpisodeId};

/// Quality measures of an artifact; each is `None` if it was not measured.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Quality {
    /// Tests that passed.
    pub tests_passed: Option<u32>,
    /// Tests that failed.
    pub tests_failed: Option<u32>,
    /// Findings of linters and compilers.
    pub lint_findings: Option<u32>,
    /// A reviewer's score in `0.0..=1.0`.
    pub review_score: Option<f64>,
    /// Whether the user accepted it.
    pub accepted: Option<bool>,
}

impl Quality {
    /// Sets how many tests passed and failed.
    #[must_use]
    pub fn tests(mut self, passed: u32, failed: u32) -> Self {
        self.tests_passed = Some(passed);
        self.tests_failed = Some(failed);
        self
    }

    /// Sets the number of lint findings.
    #[must_use]
    pub fn lint_findings(mut self, findings: u32) -> Self {
        self.lint_findings = Some(findings);
        self
    }

    /// Sets the reviewer's score in `0.0..=1.0`.
    #[must_use]
    pub fn review_score(mut self, score: f64) -> Self {
        self.review_score = Some(score);
        self
    }

    /// Sets whether the user accepted it.
    #[must_use]
    pub fn accepted(mut self, accepted: bool) -> Self {
        self.accepted = Some(accepted);
        self
    }
}

/// An application's description of an artifact; the engine adds ids and time to make it an [`Artifact`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct NewArtifact {
    /// Its name (a path, a title).
    pub name: String,
    /// Its media type (`text/x-diff`).
    pub media_type: String,
    /// Its text.
    pub content: String,
    /// How good it is.
    pub quality: Quality,
}

impl NewArtifact {
    /// Creates a `text/plain` product without measures.
    pub fn new(name: impl Into<String>, content: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            media_type: "text/plain".into(),
            content: content.into(),
            quality: Quality::default(),
        }
    }

    /// Sets the media type.
    #[must_use]
    pub fn media_type(mut self, media_type: impl Into<String>) -> Self {
        self.media_type = media_type.into();
        self
    }

    /// Sets the measures.
    #[must_use]
    pub fn quality(mut self, quality: Quality) -> Self {
        self.quality = quality;
        self
    }
}

/// A recorded product of an episode.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Artifact {
    /// The identifier.
    pub id: ArtifactId,
    /// The episode it belongs to.
    pub episode: EpisodeId,
    /// When it was recorded.
    pub at: Timestamp,
    /// The artifact.
    pub product: NewArtifact,
}

impl Artifact {
    /// Creates an artifact.
    pub fn new(id: ArtifactId, episode: EpisodeId, at: Timestamp, product: NewArtifact) -> Self {
        Self { id, episode, at, product }
    }

    /// Returns roughly how many bytes it takes in memory.
    pub fn weight(&self) -> usize {
        std::mem::size_of::<Self>() + self.product.weight()
    }
}

impl NewArtifact {
    /// Returns how many bytes the texts take in memory.
    pub fn weight(&self) -> usize {
        self.name.len() + self.media_type.len() + self.content.len()
    }
}
