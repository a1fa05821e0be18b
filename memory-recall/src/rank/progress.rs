//! How much of the course of a task under way an episode shares.

use std::sync::Arc;

use crate::lexical::entry::Entry;
use crate::lexical::shard::Shard;
use crate::query::RecallQuery;

/// The course of a task under way, by the names that the shard's entries share.
pub(super) struct Progress<'s> {
    /// The tools that did their work, each once; `None` for one that no episode used.
    done: Vec<Option<&'s Arc<str>>>,
    /// The tool whose call failed last.
    failed: Option<Option<&'s Arc<str>>>,
}

impl<'s> Progress<'s> {
    /// Returns `None` for a task that has not begun, and for documents that have no tools.
    pub(super) fn of(shard: &'s Shard, query: &RecallQuery) -> Option<Self> {
        if !query.is_under_way() || !shard.is_of_episodes() {
            return None;
        }
        let mut done: Vec<&String> = query.done.iter().collect();
        done.sort_unstable();
        done.dedup();
        let shared = |tool: &str| shard.census.shared_name(tool);
        Some(Self {
            done: done.into_iter().map(|tool| shared(tool)).collect(),
            failed: query.failed_tool().map(shared),
        })
    }

    /// Returns the share of the course that an episode has in common, in `0.0..=1.0`.
    pub(super) fn share(&self, entry: &Entry) -> f64 {
        let used = |tool: &Option<&Arc<str>>| {
            tool.and_then(|tool| entry.tools.iter().find(|used| Arc::ptr_eq(&used.name, tool)))
        };
        let done = self.done.iter().filter(|tool| used(tool).is_some()).count();
        let failed = self.failed.iter().filter(|tool| used(tool).is_some_and(|used| used.failed)).count();
        (done + failed) as f64 / (self.done.len() + usize::from(self.failed.is_some())) as f64
    }
}
