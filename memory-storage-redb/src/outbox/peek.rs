//! Reads pending rows, in order.

use std::sync::atomic::Ordering;

use memory_core::{OutboxRow, Record, Result, Seq};
use redb::ReadTransaction;

use super::figures::each_waiting;
use super::{ROWS, RedbOutbox, TAIL};
use crate::codec::decode_row;
use crate::failure::Outcome;

/// The result of a read: rows, and numbers of rows that do not decode with the reason.
#[derive(Default)]
struct Found {
    rows: Vec<OutboxRow>,
    unreadable: Vec<(Seq, String)>,
}

impl RedbOutbox {
    pub(super) fn peek_rows(
        &self,
        after: Seq,
        limit_rows: usize,
        limit_bytes: usize,
    ) -> Result<Vec<OutboxRow>> {
        // Acknowledged rows accumulate before the first pending one; they are skipped in one step.
        let from = after.saturating_add(1).max(self.first_waiting.load(Ordering::Acquire));
        let found = self.read("read outbox", |read| collect(read, from, limit_rows, limit_bytes))?;
        self.bury_unreadable(&found.unreadable)?;
        Ok(found.rows)
    }
}

fn collect(read: &ReadTransaction, from: Seq, limit_rows: usize, limit_bytes: usize) -> Outcome<Found> {
    let (rows, tail) = (read.open_table(ROWS)?, read.open_table(TAIL)?);
    let mut found = Found::default();
    let mut bytes = 0;
    each_waiting(from, &rows, &tail, |seq, value| {
        bytes += value.len();
        let full = found.rows.len() >= limit_rows || bytes > limit_bytes;
        if full && !found.rows.is_empty() {
            return false;
        }
        match decode(seq, value) {
            Ok(row) => found.rows.push(row),
            Err(reason) => found.unreadable.push((seq, reason)),
        }
        true
    })?;
    Ok(found)
}

fn decode(seq: Seq, bytes: &[u8]) -> Result<OutboxRow, String> {
    let pending = decode_row(bytes).map_err(|unreadable| unreadable.to_string())?;
    let appended_at = pending.appended_at;
    let record = pending.row.decode().map_err(|error| error.to_string())?;
    Ok(OutboxRow { seq, appended_at, record })
}

/// Decodes the record of a stored row; the reason if it does not.
pub(super) fn decode_record(bytes: &[u8]) -> Result<Record, String> {
    decode(0, bytes).map(|row| row.record)
}
