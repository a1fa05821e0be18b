//! The documents of a shard by slot; those of a snapshot are decoded on first use.

use std::mem::size_of;
use std::sync::{Arc, OnceLock};

use super::entry::{Entry, State};
use super::frozen::Frozen;

/// A slot: unset while the snapshot alone has it, `None` if it is free.
type Cell = OnceLock<Option<Box<Entry>>>;

/// The documents by slot.
#[derive(Debug, Default)]
pub(super) struct Entries {
    frozen: Option<Arc<Frozen>>,
    cells: Vec<Cell>,
    /// The states alone, `None` for a free slot: a search reads no more of most documents.
    states: Vec<Option<State>>,
}

impl Entries {
    /// Creates the documents of a snapshot, which are in these states.
    pub(super) fn of_snapshot(frozen: Arc<Frozen>, states: Vec<Option<State>>) -> Self {
        let cells = std::iter::repeat_with(Cell::new).take(frozen.documents() as usize).collect();
        Self { frozen: Some(frozen), cells, states }
    }

    /// Returns how many slots there are.
    pub(super) fn slots(&self) -> u32 {
        self.cells.len() as u32
    }

    /// Returns the document of a slot.
    pub(super) fn get(&self, slot: u32) -> Option<&Entry> {
        let cell = self.cells.get(slot as usize)?;
        let decode = || self.frozen.as_ref()?.entry(slot).map(Box::new);
        cell.get_or_init(decode).as_deref()
    }

    /// Returns the state of the document of a slot; `None` for a free one.
    #[inline]
    pub(super) fn state(&self, slot: u32) -> Option<State> {
        self.states.get(slot as usize).copied().flatten()
    }

    /// Removes and returns the document of a slot.
    pub(super) fn take(&mut self, slot: u32) -> Option<Box<Entry>> {
        self.get(slot)?;
        self.states[slot as usize] = None;
        std::mem::replace(&mut self.cells[slot as usize], Cell::from(None)).into_inner().flatten()
    }

    /// Puts a document into a free slot.
    pub(super) fn put(&mut self, slot: u32, entry: Entry) {
        self.states[slot as usize] = Some(entry.state);
        self.cells[slot as usize] = Cell::from(Some(Box::new(entry)));
    }

    /// Adds a free slot.
    pub(super) fn add(&mut self) -> u32 {
        self.cells.push(Cell::from(None));
        self.states.push(None);
        (self.cells.len() - 1) as u32
    }

    /// Returns the documents with their slots.
    pub(super) fn iter(&self) -> impl Iterator<Item = (u32, &Entry)> {
        (0..self.slots()).filter_map(|slot| Some((slot, self.get(slot)?)))
    }

    /// Returns the documents that are decoded.
    pub(super) fn decoded(&self) -> impl Iterator<Item = &Entry> {
        self.cells.iter().filter_map(|cell| cell.get()?.as_deref())
    }

    /// Returns roughly how many bytes of memory the slots take.
    pub(super) fn bytes(&self) -> usize {
        self.cells.capacity() * (size_of::<Cell>() + 1) + self.decoded().count() * (size_of::<Entry>() + 16)
    }
}
