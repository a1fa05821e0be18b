//! What the completed episodes of a shard come to: who used which tool, and in which order they started.

use std::collections::BTreeSet;
use std::mem::size_of;
use std::sync::Arc;

use super::entry::{Entry, State};
use crate::clock::Timestamp;
use crate::recall::Table;

/// A tool that an episode used.
#[derive(Debug, Clone)]
pub(crate) struct UsedTool {
    /// Shared by all episodes of the shard.
    pub(crate) name: Arc<str>,
    /// Whether a call ended in an error or a timeout.
    pub(crate) failed: bool,
}

/// How many episodes used a tool.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct ToolFigures {
    /// Completed ones.
    pub(crate) episodes: u32,
    /// Those of them that failed.
    pub(crate) failures: u32,
    /// Open ones included; nothing is kept of a tool without any.
    held: u32,
}

/// Counts over the episodes of a shard; exact, so that any history of changes gives the same.
#[derive(Debug, Default)]
pub(crate) struct Census {
    tools: Table<Arc<str>, ToolFigures>,
    /// By domain (empty for none): the completed episodes in order of start.
    lessons: Table<Arc<str>, BTreeSet<(Timestamp, Arc<str>)>>,
    completed: usize,
}

impl Census {
    /// Returns the shared name of a tool.
    pub(super) fn name(&self, tool: &str) -> Arc<str> {
        self.shared_name(tool).map_or_else(|| tool.into(), Arc::clone)
    }

    /// Returns the name that the entries with a tool share; `None` if none used it.
    pub(crate) fn shared_name(&self, tool: &str) -> Option<&Arc<str>> {
        self.tools.get_key_value(tool).map(|(name, _)| name)
    }

    /// Returns the domains that have completed episodes, in no order; empty for none.
    pub(super) fn domains(&self) -> impl Iterator<Item = &str> {
        self.lessons.iter().filter(|(_, lessons)| !lessons.is_empty()).map(|(domain, _)| domain.as_ref())
    }

    pub(super) fn add(&mut self, entry: &Entry) {
        for used in &entry.tools {
            let figures = self.tools.entry(used.name.clone()).or_default();
            figures.held += 1;
            figures.episodes += u32::from(entry.state.is_completed());
            figures.failures += u32::from(entry.state == State::Failure);
        }
        if entry.state.is_completed() {
            let lessons = self.lessons.entry(entry.domain.clone().unwrap_or_default()).or_default();
            lessons.insert((entry.at, entry.id.clone()));
            self.completed += 1;
        }
    }

    pub(super) fn subtract(&mut self, entry: &Entry) {
        for used in &entry.tools {
            let Some(figures) = self.tools.get_mut(&used.name) else { continue };
            figures.held -= 1;
            figures.episodes -= u32::from(entry.state.is_completed());
            figures.failures -= u32::from(entry.state == State::Failure);
            if figures.held == 0 {
                self.tools.remove(&used.name);
            }
        }
        let domain = entry.domain.as_deref().unwrap_or_default();
        if entry.state.is_completed()
            && let Some(lessons) = self.lessons.get_mut(domain)
        {
            lessons.remove(&(entry.at, entry.id.clone()));
            if lessons.is_empty() {
                self.lessons.remove(domain);
            }
            self.completed -= 1;
        }
    }

    /// Returns how many episodes are completed.
    pub(crate) fn completed(&self) -> usize {
        self.completed
    }

    /// Returns how many episodes used a tool.
    pub(crate) fn tool(&self, name: &str) -> ToolFigures {
        self.tools.get(name).copied().unwrap_or_default()
    }

    /// Returns the ids of the completed episodes of a normalised domain (empty for none), newest first.
    pub(super) fn newest(&self, domain: &str) -> impl Iterator<Item = Arc<str>> {
        let lessons = self.lessons.get(domain).into_iter().flatten();
        lessons.rev().map(|(_, id)| id.clone())
    }

    /// Returns how many completed episodes a normalised domain has (empty for none).
    pub(super) fn count(&self, domain: &str) -> usize {
        self.lessons.get(domain).map_or(0, BTreeSet::len)
    }

    #[cfg(test)]
    pub(super) fn is_blank(&self) -> bool {
        self.tools.is_empty() && self.lessons.is_empty() && self.completed == 0
    }

    pub(super) fn bytes(&self) -> usize {
        // A node of a tree is about two thirds full.
        let lesson = size_of::<(Timestamp, Arc<str>)>() * 3 / 2;
        let tool = size_of::<(Arc<str>, ToolFigures)>() + 48;
        self.completed * lesson + self.tools.capacity() * tool
    }
}
