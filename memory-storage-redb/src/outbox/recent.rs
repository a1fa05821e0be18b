//! The versions of the rows appended last, in memory until there are many.
//!
//! In the index, a row touches a page of its own, once on insertion and once on removal, and most rows are
//! removed a moment after they were inserted. So new rows stay here, and move into the index by the thousand.
//! They are not on disk here: opening finds them in the rows that are newer than
//! [`super::figures::Figures::indexed`].

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;

use memory_core::Seq;

use crate::keys::parse_version_key;

/// The most rows here, and their bytes; an append without room moves them. This bounds the reading on opening.
const LIMIT_ROWS: usize = if cfg!(test) { 8 } else { 1_024 };
const LIMIT_BYTES: u64 = 4 * 1024 * 1024;

/// [`crate::keys::version_key`] of each waiting row that is not in the index, with its size in bytes.
#[derive(Debug, Default)]
pub(super) struct Recent {
    versions: BTreeMap<Vec<u8>, u64>,
    bytes: u64,
}

impl Recent {
    pub(super) fn insert(&mut self, version: Vec<u8>, size: u64) {
        self.bytes += size;
        if let Some(replaced) = self.versions.insert(version, size) {
            self.bytes -= replaced;
        }
    }

    pub(super) fn has_room(&self, rows: usize, bytes: u64) -> bool {
        self.versions.len() + rows <= LIMIT_ROWS && self.bytes + bytes <= LIMIT_BYTES
    }

    /// Returns the versions from `low` up to the bound, in order.
    pub(super) fn range(&self, low: &[u8], high: Bound<&[u8]>) -> impl DoubleEndedIterator<Item = &[u8]> {
        let range = self.versions.range::<[u8], _>((Bound::Included(low), high));
        range.map(|(version, _)| version.as_slice())
    }

    fn remove(&mut self, version: &[u8]) {
        self.bytes -= self.versions.remove(version).unwrap_or(0);
    }

    pub(super) fn apply(&mut self, change: RecentChange) {
        if change.indexes_all {
            *self = Self::default();
        }
        for version in &change.removed {
            self.remove(version);
        }
        for (version, size) in change.added {
            self.insert(version, size);
        }
    }
}

/// The effect of a commit on [`Recent`].
#[derive(Debug, Default)]
pub(super) struct RecentChange {
    added: Vec<(Vec<u8>, u64)>,
    removed: BTreeSet<Vec<u8>>,
    /// Nothing stays in memory, and new rows go into the index.
    indexes_all: bool,
}

impl RecentChange {
    pub(super) fn indexes_all(&self) -> bool {
        self.indexes_all
    }

    pub(super) fn add(&mut self, version: Vec<u8>, size: u64) {
        self.added.push((version, size));
    }

    pub(super) fn remove(&mut self, version: &[u8]) {
        self.removed.insert(version.to_vec());
    }

    /// Removes the version of a row; it is in `recent`, if it is not in the index.
    pub(super) fn remove_row(&mut self, recent: &Recent, seq: Seq) {
        let of_row = |version: &&Vec<u8>| parse_version_key(version).is_some_and(|it| it.1 == seq);
        self.removed.extend(recent.versions.keys().find(of_row).cloned());
    }

    /// Returns the remaining rows of `recent`, in order; they are all in the index after the commit.
    pub(super) fn take<'a>(&mut self, recent: &'a Recent) -> Vec<&'a [u8]> {
        let change = std::mem::replace(self, Self { indexes_all: true, ..Self::default() });
        debug_assert!(
            change.added.is_empty(),
            "rows go into the index from the start of a commit or not at all"
        );
        let versions = recent.versions.keys().map(Vec::as_slice);
        versions.filter(|version| !change.removed.contains(*version)).collect()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use memory_core::conformance::{episode, record};
    use memory_core::{
        IdSource, Key, Kind, Namespace, Order, Outbox, Record, Revision, Scan, SeededIds, Timestamp,
    };

    use crate::outbox::{OutboxOptions, RedbOutbox, lock};

    const NOW: Timestamp = Timestamp(1_000);

    /// A model of the pending rows and the versions that may be served.
    #[derive(Default)]
    struct Model {
        served: BTreeMap<(String, Revision), Record>,
        aside: Vec<Record>,
    }

    impl Model {
        fn serve(&mut self, record: &Record) {
            self.served.insert((record.key.id.to_string(), record.revision), record.clone());
        }

        fn acknowledge(&mut self, record: &Record) {
            self.served.retain(|(id, revision), _| *id != *record.key.id || *revision > record.revision);
        }

        fn set_aside(&mut self, record: Record) {
            self.served.remove(&(record.key.id.to_string(), record.revision));
            self.aside.push(record);
        }

        fn newest(&self) -> Vec<Record> {
            let newest: BTreeMap<_, _> = self.served.iter().map(|((id, _), record)| (id, record)).collect();
            newest.into_values().cloned().collect()
        }
    }

    fn check(outbox: &RedbOutbox, model: &Model, keys: &[Key]) {
        let newest = model.newest();
        let expected = keys.iter().map(|key| newest.iter().find(|record| record.key == *key).cloned());
        assert_eq!(outbox.pending(keys).unwrap(), expected.collect::<Vec<_>>());
        let mut scan = Scan::new(&Namespace::default(), Kind::Episode);
        for order in [Order::Ascending, Order::Descending] {
            scan.order = order;
            let mut expected = newest.clone();
            if order == Order::Descending {
                expected.reverse();
            }
            assert_eq!(outbox.pending_scan(&scan, usize::MAX).unwrap(), expected);
            let pages: Vec<&[Record]> = expected.chunks(3).collect();
            for (number, page) in pages.iter().enumerate() {
                scan.after = number.checked_sub(1).map(|before| pages[before][2].key.id.clone());
                assert_eq!(outbox.pending_scan(&scan, 3).unwrap(), *page);
            }
            scan.after = None;
        }
    }

    fn round(seed: u64, times_indexed: &mut usize) {
        let random = SeededIds::new(seed);
        let pick = |n: u64| random.random() % n;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("outbox.redb");
        let open = || RedbOutbox::open(&path, OutboxOptions::default()).unwrap();
        let space = Namespace::default();
        let ids: Vec<String> = (0..12).map(|n| format!("k{n:02}")).collect();
        let keys: Vec<Key> = ids.iter().map(|id| Key::new(&space, Kind::Episode, id.as_str())).collect();
        let (mut outbox, mut model) = (open(), Model::default());
        for _ in 0..80 {
            let waiting = outbox.peek(0, 30, usize::MAX).unwrap();
            let some = pick(waiting.len().max(1) as u64) as usize;
            match pick(10) {
                0..=4 => {
                    // Versions arrive in any order.
                    let batch: Vec<Record> = (0..=pick(4))
                        .map(|_| {
                            record(&space, &ids[pick(12) as usize], 1 + pick(1_000_000), Some(episode(1)))
                        })
                        .collect();
                    outbox.append(&batch, NOW).unwrap();
                    batch.iter().for_each(|record| model.serve(record));
                }
                5 | 6 => {
                    let sent: Vec<_> = waiting.iter().skip(some).take(4).collect();
                    outbox.ack(&sent.iter().map(|row| row.seq).collect::<Vec<_>>(), NOW).unwrap();
                    sent.iter().for_each(|row| model.acknowledge(&row.record));
                }
                7 => {
                    if let Some(row) = waiting.into_iter().nth(some) {
                        outbox.refuse(row.seq, "refused", NOW).unwrap();
                        model.set_aside(row.record);
                    }
                }
                8 => {
                    outbox.retry_dead_letters(None, NOW).unwrap();
                    std::mem::take(&mut model.aside).iter().for_each(|record| model.serve(record));
                }
                _ => {
                    outbox.trim_tail(Timestamp(0)).unwrap();
                    drop(outbox);
                    outbox = open();
                }
            }
            let figures = lock(&outbox.writer).figures;
            *times_indexed += usize::from(figures.indexed > 0 && figures.indexed < figures.last_seq);
            check(&outbox, &model, &keys);
        }
    }

    #[test]
    fn what_waits_is_found_whether_it_is_in_the_index_or_not() {
        let mut times_indexed = 0;
        (0..40).for_each(|seed| round(seed, &mut times_indexed));
        assert!(times_indexed > 100, "both are in use at the same time: {times_indexed}");
    }
}
