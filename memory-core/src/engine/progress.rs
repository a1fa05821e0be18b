//! Reports of the engine's background tasks.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::time::Instant;

use crate::clock::Timestamp;
use crate::engine::{Engine, Freshness, Shared};
use crate::error::{Error, ErrorKind};
use crate::id::lock;
use crate::store::record::Seq;
use crate::store::traits::Cursor;

/// Warnings kept for the status.
const MAX_WARNINGS: usize = 100;

/// A puller that has not reached the end of the feed for this many intervals, and for this long, has stopped.
const PULLS_MISSED: u32 = 10;
const LONGEST_PULL: Duration = Duration::from_secs(30);

/// A background task, for its errors; the first is the most informative.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Task {
    Drain,
    Pull,
    Adopt,
    Upkeep,
    Learn,
}

impl Task {
    /// Returns its name in errors.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Drain => "send the outbox",
            Self::Pull => "pull the change feed",
            Self::Adopt => "adopt outboxes",
            Self::Upkeep => "upkeep",
            Self::Learn => "learn",
        }
    }
}

/// The reports of the background tasks.
#[derive(Debug, Default)]
pub(super) struct Progress {
    pub(super) last_sync: Option<Timestamp>,
    /// The last error of each task, until that task succeeds.
    pub(super) errors: BTreeMap<Task, String>,
    /// The position in the change feed, and of which database.
    pub(super) cursor: Cursor,
    /// The last commit of the database at the latest request.
    pub(super) head: Seq,
    /// The floor of the change feed when a page was last applied.
    pub(super) floor: Seq,
    /// The index lacks search documents that the cache file should have had.
    pub(super) damaged: bool,
    /// The change feed was read to its end since opening, and since the caches last started over.
    pub(super) caught_up: bool,
    /// Completed pulls since opening.
    pub(super) pulls: u64,
    /// When the last of them ended.
    pub(super) pulled_at: Option<Instant>,
    /// When the durable tier was last seen to have the rows that it had acknowledged by then.
    pub(super) looked_at: Option<Timestamp>,
    /// The durable tier was away, and has not answered a pull since.
    pub(super) away: bool,
    /// Notices about damage and repairs, each once.
    pub(super) warnings: Vec<String>,
    /// How far this machine's clock is ahead of the server's, in milliseconds.
    pub(super) clock_ahead_ms: Option<i64>,
    /// How often background work panicked.
    pub(super) panics: u64,
}

impl Progress {
    pub(super) fn last_error(&self) -> Option<String> {
        let errors: Vec<&str> = self.errors.values().map(String::as_str).collect();
        let mut distinct = errors.clone();
        distinct.dedup();
        (!errors.is_empty()).then(|| distinct.join("; "))
    }
}

impl Engine {
    /// Returns notices about damage and repairs since opening.
    pub fn warnings(&self) -> Vec<String> {
        let mut warnings = self.shared.tiers.warnings.clone();
        warnings.extend(lock(&self.shared.progress).warnings.iter().cloned());
        warnings
    }

    /// Notes the result of background learning, for the status.
    pub fn note_learning(&self, error: Option<&Error>) {
        match error {
            Some(error) => self.shared.report(Task::Learn, error),
            None => self.shared.succeeded(Task::Learn),
        }
    }

    /// Returns the freshness of the recall index: stale while the change feed cannot be read, or no task reads
    /// it.
    pub fn index_freshness(&self) -> Freshness {
        let progress = lock(&self.shared.progress);
        let reads = match progress.pulled_at {
            Some(at) => {
                at.elapsed() < self.shared.poll_interval().saturating_mul(PULLS_MISSED).max(LONGEST_PULL)
            }
            None => self.shared.outbox().is_none(),
        };
        if reads && !progress.errors.contains_key(&Task::Pull) {
            return Freshness::Fresh;
        }
        let since = progress.last_sync.unwrap_or(self.shared.opened_at);
        Freshness::Stale { age: self.shared.clock.now().since(since) }
    }
}

impl Shared {
    /// Notes an error of a background task, for the status.
    pub(super) fn report(&self, task: Task, error: &Error) {
        tracing::debug!(%error, "background work failed");
        let mut progress = lock(&self.progress);
        progress.errors.insert(task, error.to_string());
        // A refusal by the breaker is no news.
        progress.away |= error.kind() == ErrorKind::Unavailable && error.retry_after().is_none();
    }

    /// Notes that a background task panicked.
    pub(super) fn report_panic(&self, task: Task, error: &Error) {
        tracing::error!(%error, "background work panicked");
        let mut progress = lock(&self.progress);
        progress.panics += 1;
        progress.errors.insert(task, error.to_string());
    }

    /// Keeps something for people to read in the status.
    pub(super) fn warn(&self, warning: String) {
        let mut progress = lock(&self.progress);
        if progress.warnings.len() < MAX_WARNINGS && !progress.warnings.contains(&warning) {
            tracing::warn!(warning);
            progress.warnings.push(warning);
        }
    }

    /// Notes that a task works again.
    pub(super) fn succeeded(&self, task: Task) {
        lock(&self.progress).errors.remove(&task);
    }

    /// Notes that the durable tier has answered a task.
    pub(super) fn synced(&self, task: Task) {
        let mut progress = lock(&self.progress);
        progress.last_sync = Some(self.clock.now());
        progress.errors.remove(&task);
    }
}
