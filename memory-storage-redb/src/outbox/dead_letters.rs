//! Dead letters: rows that the durable tier refused, or that cannot be read; kept with their reason until they are
//! retried or dropped. They count against the outbox's bounds, so a server that refuses everything fills it.

use memory_core::{DeadLetter, Result, Seq, Timestamp};
use redb::ReadableTable;

use super::append::{Change, Sync};
use super::peek::decode_record;
use super::settle::waiting_row;
use super::{DEAD_LETTERS, RedbOutbox, lock};
use crate::codec::{borrow_row, decode_dead_letter, encode_dead_letter, encode_row, restamp_row};
use crate::failure::{Failure, Outcome};
use crate::keys::parse_version_key;

/// Dead letters that are read or moved at a time, and their bytes.
const PAGE_ROWS: usize = if cfg!(test) { 4 } else { 1_000 };
const PAGE_BYTES: usize = 4 * 1024 * 1024;

impl RedbOutbox {
    pub(super) fn bury(&self, seq: Seq, reason: &str, now: Timestamp) -> Result<()> {
        let mut writer = lock(&self.writer);
        self.check_writable("refuse", &writer)?;
        self.transact("refuse", &mut writer, Sync::Later, |change| bury(change, seq, reason, now))
    }

    /// Makes dead letters of rows that were found not to decode.
    pub(super) fn bury_unreadable(&self, rows: &[(Seq, String)]) -> Result<()> {
        if rows.is_empty() {
            return Ok(());
        }
        let mut writer = lock(&self.writer);
        self.check_writable("refuse", &writer)?;
        for (seq, reason) in rows {
            tracing::warn!(file = %self.name, seq, %reason, "an outbox row is a dead letter now");
        }
        // The time of appending is the best there is without a clock; an unreadable row has none.
        let at = Timestamp(writer.figures.oldest.unwrap_or(0));
        self.transact("refuse", &mut writer, Sync::Later, |change| {
            rows.iter().try_for_each(|(seq, reason)| bury(change, *seq, reason, at))
        })
    }

    pub(super) fn list_dead(&self, after: Seq, limit: usize) -> Result<Vec<DeadLetter>> {
        self.read("list dead letters", |read| {
            let mut listed = Vec::new();
            let mut bytes = 0;
            for entry in read.open_table(DEAD_LETTERS)?.range(after.saturating_add(1)..)?.take(limit) {
                let (seq, value) = entry?;
                bytes += value.value().len();
                if bytes > PAGE_BYTES && !listed.is_empty() {
                    break;
                }
                listed.push(read_letter(seq.value(), value.value()));
            }
            Ok(listed)
        })
    }

    pub(super) fn retry_dead(&self, seqs: Option<&[Seq]>, now: Timestamp) -> Result<u64> {
        self.check_writable("retry dead letters", &lock(&self.writer))?;
        let mut retried = 0;
        match seqs {
            Some(seqs) => {
                for page in seqs.chunks(PAGE_ROWS) {
                    retried += self.retry_page(page, now)?;
                }
            }
            None => {
                // One that is refused again meanwhile has a higher number than any of now.
                let (mut after, last) = (0, self.last_seq());
                loop {
                    let page = self.dead_seqs(after)?;
                    let page: Vec<Seq> = page.into_iter().take_while(|seq| *seq <= last).collect();
                    let Some(end) = page.last() else { break };
                    after = *end;
                    retried += self.retry_page(&page, now)?;
                }
            }
        }
        Ok(retried)
    }

    fn last_seq(&self) -> Seq {
        lock(&self.usage).last_seq
    }

    /// Returns a page of the numbers of dead letters after a number.
    fn dead_seqs(&self, after: Seq) -> Result<Vec<Seq>> {
        self.read("list dead letters", |read| {
            let mut seqs = Vec::new();
            let mut bytes = 0;
            for entry in read.open_table(DEAD_LETTERS)?.range(after.saturating_add(1)..)?.take(PAGE_ROWS) {
                let (seq, value) = entry?;
                bytes += value.value().len();
                if bytes > PAGE_BYTES && !seqs.is_empty() {
                    break;
                }
                seqs.push(seq.value());
            }
            Ok(seqs)
        })
    }

    fn retry_page(&self, seqs: &[Seq], now: Timestamp) -> Result<u64> {
        let mut writer = lock(&self.writer);
        self.check_writable("retry dead letters", &writer)?;
        let mut retried = 0;
        self.transact("retry dead letters", &mut writer, Sync::Now, |change| {
            change.index_all()?;
            let mut letters = change.transaction.open_table(DEAD_LETTERS)?;
            for seq in seqs {
                let Some(stored) = letters.get(seq)?.map(|stored| stored.value().to_vec()) else { continue };
                let letter = decode_dead_letter(&stored).ok();
                // It must decode completely: a kind of a newer program waits for that program.
                let letter = letter.filter(|letter| decode_record(letter.row).is_ok());
                let Some(letter) = letter else { continue };
                letters.remove(seq)?;
                change.figures.dead_letters -= 1;
                change.figures.dead_letter_bytes -= stored.len() as u64;
                wait_again(change, letter.row, now)?;
                retried += 1;
            }
            Ok(())
        })?;
        Ok(retried)
    }

    pub(super) fn add_dead(&self, letters: &[DeadLetter]) -> Result<()> {
        let mut rows = Vec::with_capacity(letters.len());
        for letter in letters {
            let row = match &letter.record {
                Some(record) => encode_row(record, letter.at)?,
                None => letter.raw.clone(),
            };
            rows.push((letter, row));
        }
        let bytes: usize = rows.iter().map(|(letter, row)| letter.reason.len() + row.len()).sum();
        let mut writer = lock(&self.writer);
        self.check_writable("add dead letters", &writer)?;
        self.check_quota(&writer.figures, rows.len() as u64, bytes as u64)?;
        self.transact("add dead letters", &mut writer, Sync::Now, |change| {
            rows.iter().try_for_each(|(letter, row)| {
                change.figures.last_seq += 1;
                insert(change, change.figures.last_seq, row, &letter.reason, letter.at)
            })
        })
    }

    /// Removes dead letters, durably: a person has decided so, or another outbox has them.
    pub(crate) fn drop_dead(&self, operation: &'static str, seqs: &[Seq]) -> Result<u64> {
        let mut dropped = 0;
        for page in seqs.chunks(PAGE_ROWS) {
            let mut writer = lock(&self.writer);
            self.check_writable(operation, &writer)?;
            self.transact(operation, &mut writer, Sync::Now, |change| {
                let mut letters = change.transaction.open_table(DEAD_LETTERS)?;
                for seq in page {
                    let Some(size) = letters.remove(seq)?.map(|stored| stored.value().len() as u64) else {
                        continue;
                    };
                    change.figures.dead_letters -= 1;
                    change.figures.dead_letter_bytes -= size;
                    dropped += 1;
                }
                Ok(())
            })?;
        }
        Ok(dropped)
    }
}

fn read_letter(seq: Seq, stored: &[u8]) -> DeadLetter {
    match decode_dead_letter(stored) {
        Ok(letter) => {
            let record = decode_record(letter.row).ok();
            let raw = if record.is_some() { Vec::new() } else { letter.row.to_vec() };
            DeadLetter { seq, reason: letter.reason.to_owned(), at: letter.at, record, raw }
        }
        Err(unreadable) => DeadLetter {
            seq,
            reason: unreadable.to_string(),
            at: Timestamp(0),
            record: None,
            raw: stored.to_vec(),
        },
    }
}

/// Appends a row that is stored elsewhere in the file, as of `now`. It may be an older version than an
/// acknowledged row of its key, so it must be in the index: see [`super::figures::Figures::indexed`].
pub(super) fn wait_again(change: &mut Change<'_>, row: &[u8], now: Timestamp) -> Outcome<()> {
    let damaged = |unreadable: crate::codec::Unreadable| Failure::Damaged(unreadable.to_string());
    let row = restamp_row(row, now).map_err(damaged)?;
    let head = borrow_row(&row).map_err(damaged)?;
    change.push(&head.key_bytes(), head.revision, &row, now)
}

/// Adds a row to the dead letters, under the number that it has or the last one.
pub(super) fn insert(
    change: &mut Change<'_>,
    seq: Seq,
    row: &[u8],
    reason: &str,
    at: Timestamp,
) -> Outcome<()> {
    let letter = encode_dead_letter(row, reason, at)
        .ok_or_else(|| Failure::Damaged(format!("row {seq} cannot be a dead letter")))?;
    change.transaction.open_table(DEAD_LETTERS)?.insert(seq, letter.as_slice())?;
    change.figures.dead_letters += 1;
    change.figures.dead_letter_bytes += letter.len() as u64;
    Ok(())
}

fn bury(change: &mut Change<'_>, seq: Seq, reason: &str, now: Timestamp) -> Outcome<()> {
    let tail = change.tail()?;
    let Some((size, indexed)) = waiting_row(change, &tail, seq)? else { return Ok(()) };
    let Some(row) = change.rows.remove(seq)?.map(|row| row.value().to_vec()) else { return Ok(()) };
    insert(change, seq, &row, reason, now)?;
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
    change.figures.advance(&change.rows, &tail)
}
