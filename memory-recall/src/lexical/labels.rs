//! Kinds, domains and agents of a shard, each kept once.

use std::mem::size_of;
use std::sync::Arc;

use crate::Table;

/// Labels that entries share: two of one shard are equal if, and only if, they are at one address.
#[derive(Debug, Default)]
pub(super) struct Labels {
    /// With the number of entries' uses.
    shared: Table<Arc<str>, usize>,
}

impl Labels {
    /// Keeps a label with this number of uses.
    pub(super) fn keep(&mut self, label: Arc<str>, uses: usize) {
        self.shared.insert(label, uses);
    }

    /// Returns the labels with the number of their uses, in order of the alphabet.
    pub(super) fn all(&self) -> Vec<(&Arc<str>, usize)> {
        let mut all: Vec<_> = self.shared.iter().map(|(label, uses)| (label, *uses)).collect();
        all.sort_unstable();
        all
    }

    pub(super) fn share(&mut self, label: &str) -> Arc<str> {
        let held = self.shared.get_key_value(label).map(|(held, _)| held.clone());
        let label = held.unwrap_or_else(|| label.into());
        *self.shared.entry(label.clone()).or_default() += 1;
        label
    }

    /// Releases a label from [`Labels::share`].
    pub(super) fn release(&mut self, label: Arc<str>) {
        if let Some(uses) = self.shared.get_mut(&label) {
            *uses = uses.saturating_sub(1);
            if *uses == 0 {
                self.shared.remove(&label);
            }
        }
    }

    pub(super) fn find(&self, label: &str) -> Option<&Arc<str>> {
        self.shared.get_key_value(label).map(|(held, _)| held)
    }

    #[cfg(test)]
    pub(super) fn is_blank(&self) -> bool {
        self.shared.is_empty()
    }

    pub(super) fn bytes(&self) -> usize {
        self.shared.capacity() * (size_of::<(Arc<str>, usize)>() + 2)
            + self.shared.keys().map(|label| label.len() + 32).sum::<usize>()
    }
}
