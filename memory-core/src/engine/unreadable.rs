//! Records that were passed over because this program cannot read them.

use std::collections::BTreeSet;
use std::fmt::Display;
use std::sync::Mutex;

use crate::id::lock;

/// How many are stored by name; beyond it they are only counted.
const NAMED: usize = 1_000;

/// Which records were passed over, each once.
#[derive(Debug, Default)]
pub(super) struct Unreadable {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    named: BTreeSet<String>,
    unnamed: u64,
}

impl Unreadable {
    /// Notes a record.
    pub(super) fn note(&self, name: impl Into<String>, why: &dyn Display) {
        let name = name.into();
        let mut state = lock(&self.state);
        if state.named.len() >= NAMED && !state.named.contains(&name) {
            state.unnamed += 1;
        } else if state.named.insert(name.clone()) {
            tracing::warn!(record = name, %why, "a record cannot be read and is passed over");
        }
    }

    /// Returns how many records were passed over.
    pub(super) fn count(&self) -> u64 {
        let state = lock(&self.state);
        state.named.len() as u64 + state.unnamed
    }

    /// Returns the first names in order, at most `limit`.
    pub(super) fn names(&self, limit: usize) -> Vec<String> {
        lock(&self.state).named.iter().take(limit).cloned().collect()
    }

    /// Forgets all: everything is read again.
    pub(super) fn clear(&self) {
        *lock(&self.state) = State::default();
    }
}
