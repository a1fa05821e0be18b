//! The usual effort of tasks; the part in a snapshot is only counted on first use.

use std::sync::{Arc, OnceLock};

use super::entry::State;
use super::frozen::Frozen;
use crate::document::SearchDocument;
use crate::tasks::{Counting, TaskFigures, TaskGroup};

/// The figures of one namespace.
#[derive(Debug, Default)]
pub(super) struct Tasks {
    /// The episodes of a snapshot that are not counted yet.
    frozen: Option<Arc<Frozen>>,
    /// Later changes, in order: `None` for an episode that is no longer counted.
    changes: Vec<(Arc<str>, Option<Counting>)>,
    figures: OnceLock<TaskFigures>,
}

impl Tasks {
    pub(super) fn of_snapshot(frozen: Arc<Frozen>) -> Self {
        Self { frozen: Some(frozen), ..Self::default() }
    }

    /// Counts a completed episode, replacing its previous values.
    pub(super) fn upsert(&mut self, id: &Arc<str>, document: &SearchDocument) {
        self.change(id, Counting::of(document));
    }

    /// Stops counting an episode.
    pub(super) fn remove(&mut self, id: &Arc<str>) {
        self.change(id, None);
    }

    fn change(&mut self, id: &Arc<str>, counting: Option<Counting>) {
        if self.frozen.is_none() && self.figures.get().is_none() {
            self.figures = OnceLock::from(TaskFigures::default());
        }
        match self.figures.get_mut() {
            Some(figures) => figures.replace(id, counting.as_ref()),
            None => self.changes.push((id.clone(), counting)),
        }
        if self.figures.get().is_some() {
            self.frozen = None;
            self.changes = Vec::new();
        }
    }

    /// Returns the figures.
    pub(super) fn figures(&self) -> &TaskFigures {
        self.figures.get_or_init(|| {
            let mut figures = self.frozen.as_deref().map_or_else(TaskFigures::default, count);
            self.changes.iter().for_each(|(id, counting)| figures.replace(id, counting.as_ref()));
            figures
        })
    }
}

fn count(frozen: &Frozen) -> TaskFigures {
    let mut figures = TaskFigures::default();
    for slot in 0..frozen.documents() {
        let Some((entry, Some((fingerprint, steps, duration_ms)))) = frozen.record(slot) else { continue };
        let group = TaskGroup::of_one(entry.state == State::Success, steps, duration_ms);
        let domain = entry.domain.as_deref().unwrap_or_default();
        figures.remove(&entry.id);
        figures.count(&entry.id, fingerprint, &entry.kind, domain, group);
    }
    figures
}
