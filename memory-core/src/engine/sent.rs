//! Rows that the durable tier has acknowledged but that were not seen in it since.

use std::collections::HashMap;

use crate::store::record::{Key, Record, Revision};
use crate::store::traits::Change;

/// How many rows are requested by key at once.
pub(super) const LOOKED_UP: usize = 64;

/// The most rows that are remembered; beyond it, a random part.
const REMEMBERED: usize = 4_096;

/// The newest version of each record that was sent and not seen since.
///
/// A server that is restored loses rows that it acknowledged after its backup. The change feed lists the rows
/// that it has; acknowledged rows that are not listed may be lost.
#[derive(Debug, Clone, Default)]
pub(super) struct Sent(HashMap<Key, Version>);

/// A version that was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Version {
    pub(super) revision: Revision,
    pub(super) is_tombstone: bool,
}

impl Sent {
    /// Adds versions that were acknowledged.
    pub(super) fn note<'a>(&mut self, records: impl Iterator<Item = &'a Record>) {
        for record in records {
            if self.0.len() >= REMEMBERED {
                // The order of a hash map is as good as random.
                let mut kept = false;
                self.0.retain(|_, _| {
                    kept = !kept;
                    kept
                });
            }
            let version = Version { revision: record.revision, is_tombstone: record.is_tombstone() };
            let held = self.0.entry(record.key.clone()).or_insert(version);
            if held.revision < version.revision {
                *held = version;
            }
        }
    }

    /// Removes rows that the change feed lists, in this version or a later one.
    pub(super) fn seen(&mut self, changes: &[Change]) {
        if self.0.is_empty() {
            return;
        }
        for change in changes {
            if self.0.get(&change.key).is_some_and(|sent| sent.revision <= change.revision) {
                self.0.remove(&change.key);
            }
        }
    }

    /// Returns the entries of `before` that are unchanged since: all of them, or a random part of
    /// [`LOOKED_UP`].
    pub(super) fn unseen_of(&self, before: &Self) -> Vec<(Key, Version)> {
        let unchanged = before.0.iter().filter(|(key, version)| self.0.get(key) == Some(version));
        unchanged.map(|(key, version)| (key.clone(), *version)).take(LOOKED_UP).collect()
    }

    /// Removes the entries of `before`.
    pub(super) fn done(&mut self, before: &Self) {
        self.0.retain(|key, version| before.0.get(key) != Some(version));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::fixtures::{episode, record};
    use crate::store::record::Namespace;

    fn version(id: &str, clock: u64) -> Record {
        record(&Namespace::default(), id, clock, Some(episode(1)))
    }

    fn listed(id: &str, clock: u64) -> Change {
        let Record { key, revision, .. } = version(id, clock);
        Change { key, revision, record: None }
    }

    #[test]
    fn what_the_feed_does_not_list_is_unseen() {
        let mut sent = Sent::default();
        sent.note(
            [version("a", 1), version("b", 1), version("c", 1), version("a", 3), version("a", 2)].iter(),
        );
        let before = sent.clone();
        sent.note([version("c", 2)].iter());
        sent.seen(&[listed("a", 2), listed("b", 2)]);
        let ids =
            |rows: Vec<(Key, Version)>| rows.iter().map(|(key, _)| key.id.to_string()).collect::<Vec<_>>();
        assert_eq!(ids(sent.unseen_of(&before)), ["a"], "b was superseded; c was sent again later");
        sent.done(&before);
        assert_eq!(ids(sent.unseen_of(&sent.clone())), ["c"]);
    }

    #[test]
    fn memory_is_bounded() {
        let mut sent = Sent::default();
        let rows: Vec<Record> = (0..3 * REMEMBERED).map(|n| version(&n.to_string(), 1)).collect();
        sent.note(rows.iter());
        assert!((REMEMBERED / 2..=REMEMBERED).contains(&sent.0.len()), "{}", sent.0.len());
        assert_eq!(sent.unseen_of(&sent.clone()).len(), LOOKED_UP);
    }
}
