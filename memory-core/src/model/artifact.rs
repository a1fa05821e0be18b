//! Something an episode produced.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::clock::Timestamp;
use crate::id::{ArtifactId, EpisodeId};
use crate::model::json::Json;

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
    /// Other measures by name (`coverage`, `cyclomatic_complexity`, `security_findings`), each a finite number; at most 50.
    #[serde(default)]
    pub measures: BTreeMap<String, f64>,
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

    /// Sets a measure by its name.
    #[must_use]
    pub fn measure(mut self, name: impl Into<String>, value: f64) -> Self {
        self.measures.insert(name.into(), value);
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
    /// The programming or natural language.
    #[serde(default)]
    pub language: Option<String>,
    /// Lines that it adds to what was there.
    #[serde(default)]
    pub lines_added: Option<u32>,
    /// Lines that it removes from what was there.
    #[serde(default)]
    pub lines_removed: Option<u32>,
    /// Facts that have no field: an object, or nothing (`null`). docs/attributes.md lists the conventional names.
    #[serde(default)]
    pub attributes: Json,
}

impl NewArtifact {
    /// Creates a `text/plain` product without measures.
    pub fn new(name: impl Into<String>, content: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            media_type: "text/plain".into(),
            content: content.into(),
            quality: Quality::default(),
            language: None,
            lines_added: None,
            lines_removed: None,
            attributes: Json::default(),
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

    /// Sets the language.
    #[must_use]
    pub fn language(mut self, language: impl Into<String>) -> Self {
        self.language = Some(language.into());
        self
    }

    /// Sets how many lines it adds and removes.
    #[must_use]
    pub fn lines(mut self, added: u32, removed: u32) -> Self {
        self.lines_added = Some(added);
        self.lines_removed = Some(removed);
        self
    }

    /// Sets the attributes: a JSON object of at most 16 KiB.
    #[must_use]
    pub fn attributes(mut self, attributes: Value) -> Self {
        self.attributes = Json(attributes);
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
        self.name.len() + self.media_type.len() + self.content.len() + self.attributes.weight()
    }
}
