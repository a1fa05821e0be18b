//! Questions to a memory, and its answers.

use std::ops::Deref;

use memory_core::{EngineStatus, Episode, Freshness, Kind, Namespace, Order, Scan, Verdict};
use serde::Serialize;

/// An episode as it was found; dereferences to [`Episode`].
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Found {
    /// The episode.
    pub episode: Episode,
    /// How current it is.
    pub freshness: Freshness,
}

impl Deref for Found {
    type Target = Episode;

    fn deref(&self) -> &Episode {
        &self.episode
    }
}

/// The records that an episode owns, or that were learned, in order, with the freshness of the list;
/// dereferences to a slice.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Listed<T> {
    /// The items.
    pub items: Vec<T>,
    /// How current the list is; if stale, items that other machines wrote may be missing.
    pub freshness: Freshness,
}

impl<T> Deref for Listed<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        &self.items
    }
}

/// A filter for episodes; the default matches all, newest first, 50 a page.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct EpisodeQuery {
    /// Only open (`true`) or completed ones (`false`).
    pub open: Option<bool>,
    /// Only with this outcome.
    pub outcome: Option<Verdict>,
    /// Only of this kind of task.
    pub kind: Option<String>,
    /// Only of this domain.
    pub domain: Option<String>,
    /// Only by this agent.
    pub agent: Option<String>,
    /// Only with this correlation id.
    pub correlation_id: Option<String>,
    /// Oldest first instead of newest first.
    pub oldest_first: bool,
    /// Episodes a page, at least 1; 50 by default.
    pub limit: usize,
    /// Where to continue: [`EpisodePage::next`].
    pub after: Option<String>,
}

impl Default for EpisodeQuery {
    fn default() -> Self {
        Self {
            open: None,
            outcome: None,
            kind: None,
            domain: None,
            agent: None,
            correlation_id: None,
            oldest_first: false,
            limit: 50,
            after: None,
        }
    }
}

impl EpisodeQuery {
    /// Matches open episodes only.
    pub fn open() -> Self {
        Self { open: Some(true), ..Self::default() }
    }

    /// Restricts to an outcome.
    #[must_use]
    pub fn outcome(mut self, outcome: Verdict) -> Self {
        self.outcome = Some(outcome);
        self
    }

    /// Restricts to a domain.
    #[must_use]
    pub fn domain(mut self, domain: impl Into<String>) -> Self {
        self.domain = Some(domain.into());
        self
    }

    /// Restricts to a correlation id.
    #[must_use]
    pub fn correlation_id(mut self, correlation_id: impl Into<String>) -> Self {
        self.correlation_id = Some(correlation_id.into());
        self
    }

    /// Sets the page size.
    #[must_use]
    pub fn limit(mut self, limit: usize) -> Self {
        self.limit = limit;
        self
    }

    /// Continues after a page.
    #[must_use]
    pub fn after(mut self, after: Option<String>) -> Self {
        self.after = after;
        self
    }

    pub(crate) fn scan(&self, namespace: &Namespace) -> Scan {
        let order = if self.oldest_first { Order::Ascending } else { Order::Descending };
        let status = self.open.map(|open| if open { "open" } else { "completed" });
        let conditions = [
            ("status", status),
            ("outcome", self.outcome.map(Verdict::as_str)),
            ("task_kind", self.kind.as_deref()),
            ("domain", self.domain.as_deref()),
            ("agent", self.agent.as_deref()),
            ("correlation_id", self.correlation_id.as_deref()),
        ];
        let scan = Scan::new(namespace, Kind::Episode)
            .order(order)
            .limit(self.limit)
            .after(self.after.as_deref().map(Into::into));
        conditions
            .into_iter()
            .filter_map(|(column, value)| Some((column, value?)))
            .fold(scan, |scan, (column, value)| scan.equals(column, value))
    }
}

/// One page of episodes.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct EpisodePage {
    /// The episodes.
    pub episodes: Vec<Episode>,
    /// Where the next page starts; `None` after the last.
    pub next: Option<String>,
    /// How current the page is.
    pub freshness: Freshness,
}

/// How a memory is.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Status {
    /// The namespace.
    pub namespace: String,
    /// The engine.
    #[serde(flatten)]
    pub engine: EngineStatus,
    /// Notices about damage and repairs since opening.
    pub warnings: Vec<String>,
    /// Secrets redacted since opening.
    pub redactions: u64,
}
