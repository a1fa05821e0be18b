//! Acknowledging: marks rows that the durable tier has.

use std::collections::HashSet;
use std::ops::Bound;

use memory_core::{Result, Seq, Timestamp};
use redb::{ReadableTable, ReadableTableMetadata};

use super::append::{Change, Sync};
use super::figures::Tail;
use super::{RedbOutbox, lock};
use crate::codec::{RowHead, borrow_row};
use crate::failure::Outcome;
use crate::keys::{parse_version_key, version_key};

impl RedbOutbox {
    pub(super) fn acknowledge(&self, seqs: &[Seq], now: Timestamp) -> Result<()> {
        let mut writer = lock(&self.writer);
        self.check_writable("acknowledge", &writer)?;
        self.transact("acknowledge", &mut writer, Sync::Later, |change| {
            let mut tail = change.tail()?;
            let mut outdated = Outdated::new(seqs);
            for seq in seqs {
                let Some((size, head)) = waiting_row(change, &tail, *seq)? else { continue };
                tail.insert(seq, (now.0, size))?;
                change.figures.rows -= 1;
                change.figures.bytes -= size;
                change.figures.tail_rows += 1;
                change.figures.tail_bytes += size;
                if let Some(Indexed { key, through }) = head {
                    outdated.forget_versions(change, &key, &through)?;
                }
            }
            outdated.remember(change)?;
            change.figures.advance(&change.rows, &tail)
        })
    }

    /// Removes waiting rows, durably and without a trace: another outbox has them durably.
    pub(crate) fn hand_over(&self, seqs: &[Seq]) -> Result<()> {
        let mut writer = lock(&self.writer);
        self.check_writable("hand over", &writer)?;
        self.transact("hand over", &mut writer, Sync::Now, |change| {
            let tail = change.tail()?;
            let mut outdated = Outdated::new(seqs);
            for seq in seqs {
                let Some((size, head)) = waiting_row(change, &tail, *seq)? else { continue };
                change.rows.remove(seq)?;
                change.figures.rows -= 1;
                change.figures.bytes -= size;
                if let Some(Indexed { key, through }) = head {
                    outdated.forget_versions(change, &key, &through)?;
                }
            }
            outdated.remember(change)?;
            change.figures.advance(&change.rows, &tail)
        })
    }
}

/// Where a row is in the index of versions.
pub(super) struct Indexed {
    pub(super) key: Vec<u8>,
    /// Its version key.
    pub(super) through: Vec<u8>,
}

impl Indexed {
    pub(super) fn new(head: &RowHead<'_>, seq: Seq) -> Self {
        let key = head.key_bytes();
        Self { through: version_key(&key, head.revision, seq), key }
    }
}

/// Returns the size of a pending row, and its place in the index if it decodes.
pub(super) fn waiting_row(
    change: &Change<'_>,
    tail: &Tail<'_>,
    seq: Seq,
) -> Outcome<Option<(u64, Option<Indexed>)>> {
    if seq > change.figures.last_seq || tail.get(seq)?.is_some() {
        return Ok(None);
    }
    let Some(row) = change.rows.get(seq)? else { return Ok(None) };
    let head = borrow_row(row.value()).ok().map(|head| Indexed::new(&head, seq));
    Ok(Some((row.value().len() as u64, head)))
}

/// Rows that go on waiting although the durable tier has a newer version of their keys.
struct Outdated<'a> {
    /// The rows that are no longer pending.
    settled: HashSet<&'a Seq>,
    found: bool,
}

impl<'a> Outdated<'a> {
    fn new(settled: &'a [Seq]) -> Self {
        Self { settled: settled.iter().collect(), found: false }
    }

    /// Removes a version and all older ones of its key from the index and the recent rows: once the durable
    /// tier has the version, an older pending one must not be served in its place.
    fn forget_versions(&mut self, change: &mut Change<'_>, key: &[u8], through: &[u8]) -> Outcome<()> {
        let low = [key, &[0]].concat();
        for version in change.recent.range(&low, Bound::Included(through)) {
            let seq = parse_version_key(version).map(|(_, seq)| seq);
            self.found |= seq.is_some_and(|seq| !self.settled.contains(&seq));
            change.recent_change.remove(version);
        }
        if change.versions.is_empty()? {
            return Ok(());
        }
        let mut superseded = Vec::new();
        for version in change.versions.range(low.as_slice()..=through)? {
            superseded.push(version?.0.value().to_vec());
        }
        for version in &superseded {
            change.versions.remove(version.as_slice())?;
        }
        Ok(())
    }

    /// Moves all recent rows into the index if any are outdated: opening would otherwise treat rows newer than
    /// the index as current.
    fn remember(self, change: &mut Change<'_>) -> Outcome<()> {
        if self.found { change.index_all() } else { Ok(()) }
    }
}
