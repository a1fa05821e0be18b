//! Kinds, domains and agents of a shard, each kept once.

use std::mem::size_of;
use std::sync::Arc;

use crate::recall::Table;

/// Labels that entries share: two of one shard are equal if, and only if, they are at one address.
#[derive(Debug, Default)]
pub(super) struct Labels {
    /// With the number of entries' uses.
    shared: Table<Arc<str>, usize>,
}

impl Labels {
    pub(super) fn share(&mut self, label: &str) -> Arc<str> {
        let held = self.shared.get_key_value(label).map(|(held, _)| held.clone());
        let label = held.unwrap_or_else(|| label.into());
        *self.shared.entry(label.clone()).or_default() += 1;
        label
    }

    /// Gives back what [`Labels::share`] gave.
    pub(super) fn release(&mut self, label: Arc<str>) {
        if let Some(uses) = self.shared.get_mut(&label) {
            *uses -= 1;
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
