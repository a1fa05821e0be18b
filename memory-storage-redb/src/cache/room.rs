//! How much of the file entries take, and when room must be made.
//!
//! redb cannot count its used pages without walking them, doubles the file when they run out, and frees the
//! pages of a non-durable commit only at the next durable one. So the cache keeps its own upper estimate and
//! makes room before redb would grow the file past the limit.

/// redb's page size, in bytes.
const PAGE: u64 = 4096;

/// redb's overhead for an entry, in bytes.
const ENTRY_OVERHEAD: u64 = 24;

/// Bytes of the file that no entry accounts for: header, allocator state, roots and branches of the tables.
const FIXED: u64 = 512 * 1024;

/// The size of a ledger row without its key.
const LEDGER_ROW: u64 = 24;

/// Estimates the bytes of leaf pages an entry takes, from above.
fn leaf_bytes(pair: u64) -> u64 {
    let pair = pair + ENTRY_OVERHEAD;
    match PAGE / pair {
        // It has a leaf of its own, a power of two of pages.
        0 | 1 => pair.div_ceil(PAGE).next_power_of_two() * PAGE,
        // Keys that come and go at random leave leaves a little more than half full.
        fit => PAGE * 100 / (fit * 55),
    }
}

/// Estimates the space of a record with its ledger row.
pub(super) fn record_charge(key: usize, value: u64) -> u64 {
    leaf_bytes(key as u64 + value) + leaf_bytes(key as u64 + LEDGER_ROW)
}

/// Estimates the space of a search document.
pub(super) fn document_charge(key: usize, value: u64) -> u64 {
    leaf_bytes(key as u64 + value)
}

/// Estimates the pages that changing one entry copies in addition to those of the entry itself: a leaf of
/// records, a leaf of the ledger, a branch.
pub(super) const CHURN_PER_CHANGE: u64 = 3 * PAGE;

/// The action required before a write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Need {
    /// Nothing: it fits, or the file may still grow.
    Nothing,
    /// A durable commit, to free the pages of earlier changes.
    Sync,
    /// Eviction down to this charge.
    Evict(u64),
}

/// The state that decides about room, in bytes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Room {
    /// The charge of everything stored.
    pub(super) live: u64,
    /// The charge of changes since the last durable commit.
    pub(super) churn: u64,
    /// The size of the file.
    pub(super) file: u64,
    /// The bound on it.
    pub(super) limit: u64,
}

impl Room {
    /// How many bytes of entries the file has room for; `None` while it may still double.
    fn capacity(self) -> Option<u64> {
        // redb rounds its layout up by less than 1 %.
        if self.file * 2 + self.file / 64 <= self.limit {
            return None;
        }
        Some(self.file.min(self.limit).saturating_sub(FIXED))
    }

    /// Decides the action required before a write of `incoming` bytes.
    pub(super) fn before_write(self, incoming: u64) -> Need {
        let Some(capacity) = self.capacity() else { return Need::Nothing };
        let churn = self.churn.min(self.live);
        if self.live + incoming > percent(capacity, 80) {
            Need::Evict(percent(capacity, 70).saturating_sub(incoming))
        } else if self.live + churn + incoming > percent(capacity, 90) {
            Need::Sync
        } else {
            Need::Nothing
        }
    }

    /// Returns the charge to evict down to in the background, if any must go.
    pub(super) fn in_background(self) -> Option<u64> {
        if self.file > self.limit {
            // Compaction leaves a file of about the live size; it must stay under the limit.
            return Some(percent(self.limit.saturating_sub(FIXED), 50).min(self.live));
        }
        let capacity = self.capacity()?;
        (self.live > percent(capacity, 70)).then(|| percent(capacity, 60))
    }
}

fn percent(of: u64, percent: u64) -> u64 {
    of / 100 * percent
}

#[cfg(test)]
mod tests {
    use super::*;

    const MB: u64 = 1024 * 1024;

    #[test]
    fn room_is_made_only_when_the_file_cannot_grow() {
        let room = |live, churn, file| Room { live, churn, file, limit: 64 * MB };
        let check = |room: Room, expected| assert_eq!(room.before_write(MB), expected, "{room:?}");
        check(room(20 * MB, 20 * MB, 20 * MB), Need::Nothing);
        check(room(10 * MB, 0, 40 * MB), Need::Nothing);
        check(room(25 * MB, 20 * MB, 40 * MB), Need::Sync);
        check(room(35 * MB, 0, 40 * MB), Need::Evict(percent(40 * MB - FIXED, 70) - MB));
        assert_eq!(room(10 * MB, 0, 80 * MB).in_background(), Some(10 * MB));
        assert_eq!(room(10 * MB, 0, 40 * MB).in_background(), None);
    }

    #[test]
    fn charges_are_upper_estimates() {
        let check = |pair, expected| assert_eq!(leaf_bytes(pair), expected);
        check(76, 186);
        check(1_900, 3_723);
        check(2_100, PAGE);
        check(5_000, 2 * PAGE);
        check(9_000, 4 * PAGE);
    }
}
