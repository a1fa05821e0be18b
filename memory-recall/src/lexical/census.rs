//! The collection statistics of a shard's completed episodes: which tools each used, and in which order they
//! started.

use std::mem::size_of;
use std::sync::Arc;

use super::entry::{Entry, State};
use crate::Table;

/// How many episodes used a tool.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct ToolFigures {
    /// Completed ones.
    pub(crate) episodes: u32,
    /// Those of them that failed.
    pub(crate) failures: u32,
    /// Open ones included; nothing is kept of a tool without any.
    pub(super) held: u32,
}

/// Counts over the episodes of a shard; exact, so that any history of changes gives the same.
#[derive(Debug, Default)]
pub(crate) struct Census {
    tools: Table<Arc<str>, ToolFigures>,
    /// By domain (empty for none): the slots of the completed episodes in order of start, among equals in order
    /// of id.
    lessons: Table<Arc<str>, Vec<u32>>,
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

    /// Keeps the figures of a tool.
    pub(super) fn keep_tool(&mut self, name: Arc<str>, figures: ToolFigures) {
        self.tools.insert(name, figures);
    }

    /// Keeps the completed episodes of a domain, which are in order.
    pub(super) fn keep_lessons(&mut self, domain: Arc<str>, slots: Vec<u32>) {
        self.completed += slots.len();
        self.lessons.insert(domain, slots);
    }

    /// Returns the tools with their figures, in order of the alphabet.
    pub(super) fn tools(&self) -> Vec<(&Arc<str>, ToolFigures)> {
        let mut tools: Vec<_> = self.tools.iter().map(|(name, figures)| (name, *figures)).collect();
        tools.sort_unstable_by_key(|(name, _)| *name);
        tools
    }

    /// Returns the domains with the slots of their completed episodes, in order of the alphabet.
    pub(super) fn lessons(&self) -> Vec<(&Arc<str>, &[u32])> {
        let mut lessons: Vec<_> =
            self.lessons.iter().map(|(domain, slots)| (domain, slots.as_slice())).collect();
        lessons.sort_unstable_by_key(|(domain, _)| *domain);
        lessons
    }

    /// Counts the entry of a slot, which `entry` returns by then.
    pub(super) fn add<'e>(&mut self, slot: u32, entry: impl Fn(u32) -> Option<&'e Entry>) {
        let Some(own) = entry(slot) else { return };
        for used in &own.tools {
            let figures = self.tools.entry(used.name.clone()).or_default();
            figures.held += 1;
            figures.episodes += u32::from(own.state.is_completed());
            figures.failures += u32::from(own.state == State::Failure);
        }
        if own.state.is_completed() {
            let lessons = self.lessons.entry(own.domain.clone().unwrap_or_default()).or_default();
            let place = place_of(own, lessons, entry);
            lessons.insert(place, slot);
            self.completed += 1;
        }
    }

    /// Removes the entry of a slot, which `entry` still returns, from the statistics.
    pub(super) fn subtract<'e>(&mut self, slot: u32, entry: impl Fn(u32) -> Option<&'e Entry>) {
        let Some(own) = entry(slot) else { return };
        for used in &own.tools {
            let Some(figures) = self.tools.get_mut(&used.name) else { continue };
            figures.held = figures.held.saturating_sub(1);
            figures.episodes = figures.episodes.saturating_sub(own.state.is_completed().into());
            figures.failures = figures.failures.saturating_sub((own.state == State::Failure).into());
            if figures.held == 0 {
                self.tools.remove(&used.name);
            }
        }
        let domain = own.domain.as_deref().unwrap_or_default();
        if own.state.is_completed()
            && let Some(lessons) = self.lessons.get_mut(domain)
        {
            let place = place_of(own, lessons, entry);
            let found = if lessons.get(place) == Some(&slot) { Some(place) } else { None };
            if let Some(place) = found.or_else(|| lessons.iter().position(|held| *held == slot)) {
                lessons.remove(place);
                self.completed -= 1;
            }
            if lessons.is_empty() {
                self.lessons.remove(domain);
            }
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

    /// Returns the slots of the completed episodes of a normalised domain (empty for none), newest first.
    pub(super) fn newest(&self, domain: &str) -> impl Iterator<Item = u32> {
        self.lessons.get(domain).into_iter().flatten().rev().copied()
    }

    /// Returns how many completed episodes a normalised domain has (empty for none).
    pub(super) fn count(&self, domain: &str) -> usize {
        self.lessons.get(domain).map_or(0, Vec::len)
    }

    #[cfg(test)]
    pub(super) fn is_blank(&self) -> bool {
        self.tools.is_empty() && self.lessons.is_empty() && self.completed == 0
    }

    pub(super) fn bytes(&self) -> usize {
        let lessons: usize = self.lessons.values().map(|slots| slots.capacity() * size_of::<u32>()).sum();
        let tool = size_of::<(Arc<str>, ToolFigures)>() + 48;
        lessons + self.tools.capacity() * tool
    }
}

/// Returns the place of an entry among slots in order of start and id.
fn place_of<'e>(own: &Entry, slots: &[u32], entry: impl Fn(u32) -> Option<&'e Entry>) -> usize {
    // Most are newer than all there are.
    let is_before = |slot: u32| entry(slot).is_some_and(|held| (held.at, &held.id) < (own.at, &own.id));
    match slots.last() {
        Some(last) if is_before(*last) => slots.len(),
        _ => slots.partition_point(|slot| is_before(*slot)),
    }
}
