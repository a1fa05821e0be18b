//! Tasks of an agent.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::id::EpisodeId;
use crate::model::json::Json;

/// How much work a task of this kind usually is, as the application judges it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Complexity {
    /// One obvious step or two.
    Simple,
    /// The default.
    #[default]
    Moderate,
    /// Many steps, or steps that depend on the results of earlier ones.
    Complex,
}

/// A task: its description, and the labels that distinguish similar tasks from others.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Task {
    /// The description, in the user's words.
    pub description: String,
    /// The kind of work (`debugging`, `booking`, …), as the application names it.
    pub kind: Option<String>,
    /// The subject area (`web`, `airline`, …).
    pub domain: Option<String>,
    /// The programming or natural language.
    pub language: Option<String>,
    /// The framework or product worked with.
    pub framework: Option<String>,
    /// Free labels.
    pub tags: Vec<String>,
    /// How much work it is.
    pub complexity: Complexity,
    /// Which agent does it.
    pub agent: Option<String>,
    /// The application's own key for this run (a trace id, a ticket).
    pub correlation_id: Option<String>,
    /// The episode that started this one: a sub-agent's, or a phase's.
    #[serde(default)]
    pub parent: Option<EpisodeId>,
    /// Facts that have no field: an object, or nothing (`null`). docs/attributes.md lists the conventional names.
    #[serde(default)]
    pub attributes: Json,
}

impl Task {
    /// Creates a task of moderate complexity without labels.
    pub fn new(description: impl Into<String>) -> Self {
        Self {
            description: description.into(),
            kind: None,
            domain: None,
            language: None,
            framework: None,
            tags: Vec::new(),
            complexity: Complexity::default(),
            agent: None,
            correlation_id: None,
            parent: None,
            attributes: Json::default(),
        }
    }

    /// Sets the kind of work.
    #[must_use]
    pub fn kind(mut self, kind: impl Into<String>) -> Self {
        self.kind = Some(kind.into());
        self
    }

    /// Sets the subject area.
    #[must_use]
    pub fn domain(mut self, domain: impl Into<String>) -> Self {
        self.domain = Some(domain.into());
        self
    }

    /// Sets the language.
    #[must_use]
    pub fn language(mut self, language: impl Into<String>) -> Self {
        self.language = Some(language.into());
        self
    }

    /// Sets the framework.
    #[must_use]
    pub fn framework(mut self, framework: impl Into<String>) -> Self {
        self.framework = Some(framework.into());
        self
    }

    /// Adds one label.
    #[must_use]
    pub fn tag(mut self, tag: impl Into<String>) -> Self {
        self.tags.push(tag.into());
        self
    }

    /// Sets how much work it is.
    #[must_use]
    pub fn complexity(mut self, complexity: Complexity) -> Self {
        self.complexity = complexity;
        self
    }

    /// Sets which agent does it.
    #[must_use]
    pub fn agent(mut self, agent: impl Into<String>) -> Self {
        self.agent = Some(agent.into());
        self
    }

    /// Sets the application's own key for this run.
    #[must_use]
    pub fn correlation_id(mut self, correlation_id: impl Into<String>) -> Self {
        self.correlation_id = Some(correlation_id.into());
        self
    }

    /// Sets the episode that started this one.
    #[must_use]
    pub fn parent(mut self, parent: EpisodeId) -> Self {
        self.parent = Some(parent);
        self
    }

    /// Sets the attributes: a JSON object of at most 16 KiB.
    #[must_use]
    pub fn attributes(mut self, attributes: Value) -> Self {
        self.attributes = Json(attributes);
        self
    }
}

impl From<&str> for Task {
    fn from(description: &str) -> Self {
        Self::new(description)
    }
}

impl From<String> for Task {
    fn from(description: String) -> Self {
        Self::new(description)
    }
}
