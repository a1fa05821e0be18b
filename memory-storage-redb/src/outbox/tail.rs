//! The tail: acknowledged rows, kept for a while in case the durable tier loses them.

use memory_core::{Record, Result, Timestamp};
use redb::ReadableTable;

use super::append::{Change, Sync};
use super::dead_letters::wait_again;
use super::peek::decode_record;
use super::{ROWS, RedbOutbox, TAIL, lock};
use crate::codec::borrow_row;
use crate::failure::Outcome;

impl RedbOutbox {
    /// Makes rows acknowledged at `since` or later pending again, with new numbers, so that a reader that
    /// continues after the last row sees them. Older rows stay: their records' tombstones may be gone, and the
    /// rows must not come back.
    pub(super) fn replay(&self, since: Timestamp, now: Timestamp) -> Result<u64> {
        let mut writer = lock(&self.writer);
        self.check_writable("replay tail", &writer)?;
        let mut replayed = 0;
        self.transact("replay tail", &mut writer, Sync::Now, |change| {
            change.index_all()?;
            let mut tail = change.tail()?;
            let mut seqs = Vec::new();
            for entry in tail.iter()? {
                let (seq, entry) = entry?;
                if entry.value().0 >= since.0 {
                    seqs.push(seq.value());
                }
            }
            for seq in seqs {
                let Some(row) = change.rows.get(seq)?.map(|row| row.value().to_vec()) else { continue };
                // An unreadable acknowledged row is on the server; it stays until trimmed.
                if borrow_row(&row).is_err() {
                    continue;
                }
                tail.remove(seq)?;
                change.rows.remove(seq)?;
                change.figures.tail_rows -= 1;
                change.figures.tail_bytes -= row.len() as u64;
                wait_again(change, &row, now)?;
                replayed += 1;
            }
            change.figures.advance(&change.rows, &tail)
        })?;
        Ok(replayed)
    }

    /// Returns rows that decode at equal distances, preferring those with an id that no other writer makes.
    pub(super) fn sample_of_tail(&self, limit: usize) -> Result<Vec<Record>> {
        self.read("read tail", |read| {
            let (rows, tail) = (read.open_table(ROWS)?, read.open_table(TAIL)?);
            let seqs =
                tail.range::<u64>(..)?.map(|entry| Ok(entry?.0.value())).collect::<Outcome<Vec<u64>>>()?;
            let distance = seqs.len().div_ceil(limit.max(2) - 1).max(1);
            let mut sample = Vec::new();
            // One row of each stretch; and the last of all.
            for stretch in seqs.chunks(distance).chain(seqs.last().map(std::slice::from_ref)) {
                let mut chosen = None;
                for seq in stretch {
                    let Some(record) = rows.get(seq)?.and_then(|row| decode_record(row.value()).ok()) else {
                        continue;
                    };
                    if record.key.kind.has_unique_ids() {
                        chosen = Some(record);
                        break;
                    }
                    chosen = chosen.or(Some(record));
                }
                sample.extend(chosen);
            }
            Ok(sample)
        })
    }

    /// Drops acknowledged rows older than `before` and those exceeding the bound, oldest first. Makes
    /// everything so far durable, so that a crash after it sends few rows again.
    pub(super) fn trim(&self, before: Timestamp) -> Result<()> {
        let mut writer = lock(&self.writer);
        self.check_writable("trim tail", &writer)?;
        let limit = self.options.tail_bytes;
        if writer.figures.tail_rows == 0 && !writer.unsynced {
            return Ok(());
        }
        self.transact("trim tail", &mut writer, Sync::Now, |change| trim(change, before, limit))
    }
}

/// Drops rows acknowledged before `before`, and the oldest acknowledged ones until they are under their bound.
pub(super) fn trim(change: &mut Change<'_>, before: Timestamp, limit_bytes: u64) -> Outcome<()> {
    let mut tail = change.tail()?;
    let mut dropped = Vec::new();
    let mut kept = change.figures.tail_bytes;
    for entry in tail.iter()? {
        let (seq, entry) = entry?;
        let (acknowledged_at, size) = entry.value();
        if acknowledged_at < before.0 || kept > limit_bytes {
            kept = kept.saturating_sub(size);
            dropped.push(seq.value());
        } else if before.0 == 0 {
            // Only the bound counts, and it is met.
            break;
        }
    }
    for seq in &dropped {
        tail.remove(seq)?;
        change.rows.remove(seq)?;
    }
    change.figures.tail_rows -= dropped.len() as u64;
    change.figures.tail_bytes = kept;
    Ok(())
}
