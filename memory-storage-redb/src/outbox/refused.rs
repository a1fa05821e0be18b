//! Set-aside rows: refused by the durable tier, or not readable; kept with their reason until retried.

use memory_core::{Result, Seq, SetAside, Timestamp};
use redb::ReadableTable;

use super::append::{Change, Sync};
use super::peek::decode_record;
use super::settle::waiting_row;
use super::{RedbOutbox, SET_ASIDE, lock};
use crate::codec::{borrow_row, decode_set_aside, encode_set_aside, restamp_row};
use crate::failure::{Failure, Outcome};
use crate::keys::parse_version_key;

impl RedbOutbox {
    pub(super) fn refuse(&self, seq: Seq, reason: &str, now: Timestamp) -> Result<()> {
        let mut writer = lock(&self.writer);
        self.check_writable("set aside", &writer)?;
        self.transact("set aside", &mut writer, Sync::Later, |change| move_aside(change, seq, reason, now))
    }

    /// Sets rows aside that were found not to decode.
    pub(super) fn set_unreadable_aside(&self, rows: &[(Seq, String)]) -> Result<()> {
        if rows.is_empty() {
            return Ok(());
        }
        let mut writer = lock(&self.writer);
        self.check_writable("set aside", &writer)?;
        for (seq, reason) in rows {
            tracing::warn!(file = %self.name, seq, %reason, "outbox row set aside");
        }
        // The time of appending is the best there is without a clock; an unreadable row has none.
        let at = Timestamp(writer.figures.oldest.unwrap_or(0));
        self.transact("set aside", &mut writer, Sync::Later, |change| {
            rows.iter().try_for_each(|(seq, reason)| move_aside(change, *seq, reason, at))
        })
    }

    pub(super) fn list_refused(&self, limit: usize) -> Result<Vec<SetAside>> {
        self.read("list set-aside rows", |read| {
            let mut listed = Vec::new();
            for entry in read.open_table(SET_ASIDE)?.range::<u64>(..)?.take(limit) {
                let (seq, value) = entry?;
                listed.push(match decode_set_aside(value.value()) {
                    Ok(entry) => SetAside {
                        seq: seq.value(),
                        reason: entry.reason.to_owned(),
                        at: entry.at,
                        record: decode_record(entry.row).ok(),
                    },
                    Err(unreadable) => SetAside {
                        seq: seq.value(),
                        reason: unreadable.to_string(),
                        at: Timestamp(0),
                        record: None,
                    },
                });
            }
            Ok(listed)
        })
    }

    pub(super) fn retry_refused(&self, now: Timestamp) -> Result<u64> {
        let mut writer = lock(&self.writer);
        self.check_writable("retry set-aside rows", &writer)?;
        let mut retried = 0;
        self.transact("retry set-aside rows", &mut writer, Sync::Now, |change| {
            change.index_all()?;
            let mut set_aside = change.transaction.open_table(SET_ASIDE)?;
            let mut ready = Vec::new();
            for entry in set_aside.iter()? {
                let (seq, value) = entry?;
                let row = decode_set_aside(value.value()).ok();
                // It must decode all the way: a kind that a newer program knows waits for that program.
                let row = row.filter(|entry| decode_record(entry.row).is_ok());
                ready.extend(row.map(|entry| (seq.value(), entry.row.to_vec())));
            }
            for (seq, row) in &ready {
                set_aside.remove(seq)?;
                wait_again(change, row, now)?;
            }
            change.figures.set_aside -= ready.len() as u64;
            retried = ready.len() as u64;
            Ok(())
        })?;
        Ok(retried)
    }

    /// Removes set-aside rows, durably: another outbox has them.
    pub(crate) fn hand_over_refused(&self, seqs: &[Seq]) -> Result<()> {
        let mut writer = lock(&self.writer);
        self.check_writable("hand over", &writer)?;
        self.transact("hand over", &mut writer, Sync::Now, |change| {
            let mut set_aside = change.transaction.open_table(SET_ASIDE)?;
            for seq in seqs {
                if set_aside.remove(seq)?.is_some() {
                    change.figures.set_aside -= 1;
                }
            }
            Ok(())
        })
    }
}

/// Appends a row that is stored elsewhere in the file, as of `now`. Its version may be an old one, of which an acknowledged
/// row has a newer, so that it must be in the index: see [`super::figures::Figures::indexed`].
pub(super) fn wait_again(change: &mut Change<'_>, row: &[u8], now: Timestamp) -> Outcome<()> {
    let damaged = |unreadable: crate::codec::Unreadable| Failure::Damaged(unreadable.to_string());
    let row = restamp_row(row, now).map_err(damaged)?;
    let head = borrow_row(&row).map_err(damaged)?;
    change.push(&head.key_bytes(), head.revision, &row, now)
}

fn move_aside(change: &mut Change<'_>, seq: Seq, reason: &str, now: Timestamp) -> Outcome<()> {
    let tail = change.tail()?;
    let Some((size, indexed)) = waiting_row(change, &tail, seq)? else { return Ok(()) };
    let entry = change.rows.remove(seq)?.and_then(|row| encode_set_aside(row.value(), reason, now));
    let entry = entry.ok_or_else(|| Failure::Damaged(format!("row {seq} cannot be set aside")))?;
    change.transaction.open_table(SET_ASIDE)?.insert(seq, entry.as_slice())?;
    match indexed {
        Some(indexed) => {
            change.versions.remove(indexed.through.as_slice())?;
            change.recent_change.remove(&indexed.through);
        }
        // Its key is unknown: look through the whole index.
        None => {
            change.recent_change.remove_row(change.recent, seq);
            change.versions.retain(|version, ()| parse_version_key(version).is_none_or(|it| it.1 != seq))?
        }
    }
    change.figures.rows -= 1;
    change.figures.bytes -= size;
    change.figures.set_aside += 1;
    change.figures.advance(&change.rows, &tail)
}
