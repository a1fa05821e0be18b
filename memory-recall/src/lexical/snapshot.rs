//! The snapshot of a namespace: its index in a dense form, from which it is loaded without its documents.
//!
//! ```text
//! FORMAT, ANALYSIS, number of shards
//! shard:    kind, the fields' weights, number of documents,
//!           labels with their uses, tools with their figures, completed episodes of each domain in order of start,
//!           length of each document, state of each, which documents expire and when,
//!           of each document what its entry has and what is counted of the task; table of their ids,
//!           texts of the terms; table of them; table of their stems; which terms have a stem in common,
//!           shapes (frequency and fields),
//!           of each term how many documents have it, which, and the shape,
//!           of each document how many terms it has, which, and whether they are of the task
//! numbers:  length in bytes, four bytes each
//! of each:  where each begins and the last one ends, as numbers; length in bytes, all of them
//! table:    numbers, see [`Lookup`](super::frozen::Lookup)
//! ```
//!
//! Documents are numbered in order of their ids, terms by descending frequency; tombstones are left out. The
//! bytes depend only on the state of the index. They are read back from a file, mostly in place on first use:
//! every read is checked, and allocations are bounded by the length of the bytes.

use std::sync::Arc;

use memory_core::{Kind, Namespace};

use super::LexicalIndex;
use super::bytes::{Reader, Writer};
use super::shard::Shard;
use super::tasks::Tasks;
use crate::document::SearchDocument;

/// Counts the versions of the snapshot format, and of the rules by which an entry of the index is made from a
/// document: states, normalised labels, statistics of a task. A snapshot of another number is ignored.
const FORMAT: u64 = 3;

impl LexicalIndex {
    /// Encodes the index's content of a namespace; `None` if that is too much for a snapshot (4 GiB of one
    /// sort).
    pub(crate) fn snapshot(&self, namespace: &Namespace) -> Option<Vec<u8>> {
        let held = |kind| self.held(namespace, kind).filter(|shard| shard.len() > 0);
        let shards: Vec<(Kind, &Shard)> =
            Kind::ALL.into_iter().filter_map(|kind| Some((kind, held(kind)?))).collect();
        let mut snapshot = Writer::default();
        snapshot.number(FORMAT);
        snapshot.number(SearchDocument::ANALYSIS.into());
        snapshot.number(shards.len() as u64);
        for (kind, shard) in shards {
            snapshot.text(kind.name());
            let tasks = self.tasks.get(namespace).filter(|_| kind == Kind::Episode);
            shard.write_snapshot(tasks.map(Tasks::figures), &mut snapshot)?;
        }
        Some(snapshot.into_bytes())
    }

    /// Decodes an index of one namespace; `None` for anything but the bytes that [`LexicalIndex::snapshot`] of
    /// this program made.
    ///
    /// It answers as one does that the same documents were put into.
    pub(crate) fn of_snapshot(namespace: &Namespace, bytes: Vec<u8>) -> Option<Self> {
        let bytes = Arc::new(bytes);
        let mut snapshot = Reader::new(&bytes);
        let known = snapshot.number()? == FORMAT && snapshot.number()? == u64::from(SearchDocument::ANALYSIS);
        let shards = known.then(|| snapshot.number())??;
        let mut index = Self::new();
        for _ in 0..shards {
            let kind: Kind = snapshot.text()?.parse().ok()?;
            let (shard, tasks) = Shard::read_snapshot(namespace, kind, &bytes, &mut snapshot)?;
            if kind == Kind::Episode {
                index.tasks.insert(namespace.clone(), tasks);
            }
            if index.shards.insert((namespace.clone(), kind), shard).is_some() {
                return None;
            }
        }
        snapshot.is_empty().then_some(index)
    }
}

#[cfg(test)]
mod tests;
