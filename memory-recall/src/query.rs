//! The query of a recall.

use memory_core::{RecallId, Task, Verdict};

use crate::tokenize::same_label;

/// A query for help with a task: episodes, and items learned from them.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct RecallQuery {
    /// The current task, in words.
    pub text: String,
    /// The kind of work; episodes of the same kind rank higher.
    pub kind: Option<String>,
    /// The subject area; episodes of the same domain rank higher.
    pub domain: Option<String>,
    /// Only episodes of these agents, and items learned from them; empty for any, also for none. Compared like
    /// labels.
    pub agents: Vec<String>,
    /// Excludes episodes of these agents, and items learned only from them.
    pub not_agents: Vec<String>,
    /// Labels, searched like words of the text.
    pub tags: Vec<String>,
    /// Only episodes that ended so; empty for any.
    pub outcomes: Vec<Verdict>,
    /// The most episodes to return; 5 by default, at most [`RecallQuery::MAX_LIMIT`].
    pub limit: usize,
    /// Whether episodes that are not completed are found too; false by default.
    pub include_open: bool,
    /// The tools whose calls have worked so far, in order; empty before the first step.
    pub done: Vec<String>,
    /// The call that failed last; `None` if the last step worked.
    pub failed: Option<FailedCall>,
    /// The first recall for the same episode, if this is a further one; see [`RecallQuery::following`].
    pub following: Option<RecallId>,
    /// The keyword score, in `0.0..=1.0`, below which an episode is not relevant;
    /// [`RecallQuery::MIN_RELEVANCE`] by default.
    pub min_relevance: f64,
}

/// A call that failed.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct FailedCall {
    /// The tool; `None` if it is not known.
    pub tool: Option<String>,
    /// Its error.
    pub error: String,
}

impl RecallQuery {
    /// The most episodes of one query.
    pub const MAX_LIMIT: usize = 100;
    /// The default of [`RecallQuery::min_relevance`].
    pub const MIN_RELEVANCE: f64 = 0.10;

    /// Creates a query for help with a task, with the five most relevant completed episodes.
    pub fn new(text: impl Into<String>) -> Self {
        Self {
            text: text.into(),
            kind: None,
            domain: None,
            agents: Vec::new(),
            not_agents: Vec::new(),
            tags: Vec::new(),
            outcomes: Vec::new(),
            limit: 5,
            include_open: false,
            done: Vec::new(),
            failed: None,
            following: None,
            min_relevance: Self::MIN_RELEVANCE,
        }
    }

    /// Creates a query from a task: its description, its kind and its domain.
    pub fn for_task(task: &Task) -> Self {
        Self { kind: task.kind.clone(), domain: task.domain.clone(), ..Self::new(&task.description) }
    }

    /// Creates the same query for another text.
    #[must_use]
    pub fn about(&self, text: impl Into<String>) -> Self {
        Self { text: text.into(), ..self.clone() }
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

    /// Admits episodes of an agent, and items learned from them; given several times, those of any of the
    /// agents.
    #[must_use]
    pub fn agent(mut self, agent: impl Into<String>) -> Self {
        self.agents.push(agent.into());
        self
    }

    /// Excludes episodes of an agent, and items learned only from them.
    #[must_use]
    pub fn not_agent(mut self, agent: impl Into<String>) -> Self {
        self.not_agents.push(agent.into());
        self
    }

    /// Adds one label.
    #[must_use]
    pub fn tag(mut self, tag: impl Into<String>) -> Self {
        self.tags.push(tag.into());
        self
    }

    /// Admits episodes that ended so; given several times, any of them.
    #[must_use]
    pub fn outcome(mut self, verdict: Verdict) -> Self {
        self.outcomes.push(verdict);
        self
    }

    /// Sets the most episodes to return.
    #[must_use]
    pub fn limit(mut self, limit: usize) -> Self {
        self.limit = limit;
        self
    }

    /// Sets whether episodes that are not completed are found too.
    #[must_use]
    pub fn include_open(mut self, include_open: bool) -> Self {
        self.include_open = include_open;
        self
    }

    /// Names the tools whose calls have worked so far, in order. Recall then looks for the next steps.
    #[must_use]
    pub fn done(mut self, tools: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.done = tools.into_iter().map(Into::into).collect();
        self
    }

    /// Names the call that failed last: its tool and its error. Recall then looks for fixes of similar errors.
    #[must_use]
    pub fn failed(mut self, tool: impl Into<String>, error: impl Into<String>) -> Self {
        self.failed = Some(FailedCall { tool: Some(tool.into()), error: error.into() });
        self
    }

    /// Gives the error that stopped the last step, if its tool is not known.
    #[must_use]
    pub fn error(mut self, error: impl Into<String>) -> Self {
        self.failed = Some(FailedCall { tool: None, error: error.into() });
        self
    }

    /// Names the first recall for the same episode. With a hold-out share this one is withheld if that one was:
    /// an episode runs completely with memory or completely without it.
    #[must_use]
    pub fn following(mut self, first: RecallId) -> Self {
        self.following = Some(first);
        self
    }

    /// Returns true if the query is restricted to some agents.
    pub fn is_by_agent(&self) -> bool {
        !self.agents.is_empty() || !self.not_agents.is_empty()
    }

    /// Returns true if the query includes an agent's episodes; `None` stands for records that name no agent.
    pub fn admits_agent(&self, agent: Option<&str>) -> bool {
        let names = |list: &[String]| agent.is_some_and(|agent| list.iter().any(|it| same_label(it, agent)));
        (self.agents.is_empty() || names(&self.agents)) && !names(&self.not_agents)
    }

    /// Returns true if the query names a tool that was called.
    pub fn is_under_way(&self) -> bool {
        !self.done.is_empty() || self.failed_tool().is_some()
    }

    /// Returns true for an item of another domain than the query's.
    pub fn is_elsewhere(&self, domain: Option<&str>) -> bool {
        self.domain.as_deref().zip(domain).is_some_and(|(asked, domain)| !same_label(asked, domain))
    }

    /// Returns the tool that failed last.
    pub fn failed_tool(&self) -> Option<&str> {
        self.failed.as_ref()?.tool.as_deref()
    }

    /// Returns the error of the last step.
    pub fn last_error(&self) -> Option<&str> {
        self.failed.as_ref().map(|failed| failed.error.as_str())
    }

    /// Sets the keyword score below which an episode is not relevant.
    #[must_use]
    pub fn min_relevance(mut self, min_relevance: f64) -> Self {
        self.min_relevance = min_relevance;
        self
    }
}

impl From<&str> for RecallQuery {
    fn from(text: &str) -> Self {
        Self::new(text)
    }
}

impl From<String> for RecallQuery {
    fn from(text: String) -> Self {
        Self::new(text)
    }
}
