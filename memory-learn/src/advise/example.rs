//! Inputs of the model: examples and queries.

use memory_recall::text::{Feature, clauses, features, label, vocabulary};

/// A completed episode, as the model sees it.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Example {
    pub(super) id: u128,
    pub(super) text: Text,
    pub(super) used: Vec<String>,
    pub(super) against: Vec<String>,
    pub(super) silent: bool,
    pub(super) course: Vec<(String, bool)>,
}

impl Example {
    /// Makes an example of a task's text.
    pub fn new(id: u128, text: &str) -> Self {
        Self { id, text: Text::new(text), ..Self::default() }
    }

    /// Adds the task's kind, a feature of the task as a whole.
    #[must_use]
    pub fn kind(mut self, kind: Option<&str>) -> Self {
        self.text.add_kind(kind);
        self
    }

    /// Sets the tools that did what the task needed, in the order in which they first worked.
    #[must_use]
    pub fn used<S: Into<String>>(mut self, tools: impl IntoIterator<Item = S>) -> Self {
        self.used = tools.into_iter().map(Into::into).collect();
        self
    }

    /// Sets the tools that the episode is evidence against: those that failed, or did not lead to success.
    #[must_use]
    pub fn against<S: Into<String>>(mut self, tools: impl IntoIterator<Item = S>) -> Self {
        self.against = tools.into_iter().map(Into::into).collect();
        self
    }

    /// Sets the calls in their order: the tool, and whether it worked. Without it, the used tools count as all
    /// calls.
    #[must_use]
    pub fn course<S: Into<String>>(mut self, calls: impl IntoIterator<Item = (S, bool)>) -> Self {
        self.course = calls.into_iter().map(|(tool, worked)| (tool.into(), worked)).collect();
        self
    }

    /// Declares that nothing follows for tools that are in neither list: the episode failed, and one of them
    /// may have been missing.
    #[must_use]
    pub fn silent_about_others(mut self, silent: bool) -> Self {
        self.silent = silent;
        self
    }
}

/// A query to the model.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Query {
    pub(super) text: Text,
    pub(super) done: Vec<String>,
    pub(super) failed: Option<String>,
}

impl Query {
    /// Creates a query for a task.
    pub fn new(text: &str) -> Self {
        Self { text: Text::new(text), ..Self::default() }
    }

    /// Adds the task's kind.
    #[must_use]
    pub fn kind(mut self, kind: Option<&str>) -> Self {
        self.text.add_kind(kind);
        self
    }

    /// Sets the tools that are done with; they are not named.
    #[must_use]
    pub fn done<S: Into<String>>(mut self, tools: impl IntoIterator<Item = S>) -> Self {
        self.done = tools.into_iter().map(Into::into).collect();
        self
    }

    /// Sets the tool that failed last.
    #[must_use]
    pub fn failed(mut self, tool: Option<&str>) -> Self {
        self.failed = tool.map(str::to_owned);
        self
    }
}

/// The features of a task.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Text {
    pub(super) whole: Vec<Feature>,
    /// By clause; empty if the task is one clause.
    pub(super) clauses: Vec<Vec<Feature>>,
    /// Its words, sorted by bucket.
    pub(super) words: Vec<(u32, String)>,
    pub(super) kind: Option<(u32, String)>,
}

impl Text {
    fn new(text: &str) -> Self {
        let clauses = clauses(text);
        let clauses = match clauses.len() {
            0 | 1 => Vec::new(),
            _ => clauses.into_iter().map(features).collect(),
        };
        Self { whole: features(text), clauses, words: vocabulary(text), kind: None }
    }

    fn add_kind(&mut self, kind: Option<&str>) {
        let Some(name) = kind else { return };
        let kind = label(name);
        self.kind = Some((kind.bucket, name.to_owned()));
        match self.whole.binary_search_by_key(&kind.bucket, |it| it.bucket) {
            Ok(at) => self.whole[at].weight += kind.weight,
            Err(at) => self.whole.insert(at, kind),
        }
    }
}
