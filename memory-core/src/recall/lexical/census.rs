//! What the completed episodes of a shard come to: who used which tool, and in which order they started.

use std::collections::{BTreeMap, HashMap};
use std::mem::size_of;
use std::sync::Arc;

use super::entry::{Entry, State};
use crate::clock::Timestamp;

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
    tools: HashMap<Arc<str>, ToolFigures>,
    /// By domain (empty for none): the slots of the completed episodes in order of start.
    lessons: HashMap<Box<str>, BTreeMap<(Timestamp, Arc<str>), u32>>,
    completed: usize,
}

impl Census {
    /// Returns the shared name of a tool.
    pub(super) fn name(&self, tool: &str) -> Arc<str> {
        self.tools.get_key_value(tool).map_or_else(|| tool.into(), |(name, _)| name.clone())
    }

    pub(super) fn add(&mut self, slot: u32, entry: &Entry) {
        for used in &entry.tools {
            let figures = self.tools.entry(used.name.clone()).or_default();
            figures.held += 1;
            figures.episodes += u32::from(entry.state.is_completed());
            figures.failures += u32::from(entry.state == State::Failure);
        }
        if entry.state.is_completed() {
            let lessons = self.lessons.entry(entry.domain.clone().unwrap_or_default()).or_default();
            lessons.insert((entry.at, entry.id.clone()), slot);
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

    /// Returns the slots of completed episodes, newest first; of all domains without one.
    pub(super) fn newest(&self, domain: Option<&str>, limit: usize) -> Vec<u32> {
        let newest = |lessons: &'_ BTreeMap<(Timestamp, Arc<str>), u32>| {
            lessons.iter().rev().take(limit).map(|(key, slot)| (key.clone(), *slot)).collect::<Vec<_>>()
        };
        let mut found: Vec<_> = match domain {
            Some(domain) => self.lessons.get(domain).map(newest).unwrap_or_default(),
            None => self.lessons.values().flat_map(newest).collect(),
        };
        found.sort_unstable_by(|a, b| b.cmp(a));
        found.truncate(limit);
        found.into_iter().map(|(_, slot)| slot).collect()
    }

    #[cfg(test)]
    pub(super) fn is_blank(&self) -> bool {
        self.tools.is_empty() && self.lessons.is_empty() && self.completed == 0
    }

    pub(super) fn bytes(&self) -> usize {
        // A node of a tree is about two thirds full.
        let lesson = (size_of::<(Timestamp, Arc<str>)>() + size_of::<u32>()) * 3 / 2;
        let tool = size_of::<(Arc<str>, ToolFigures)>() + 48;
        self.completed * lesson + self.tools.capacity() * tool
    }
}
