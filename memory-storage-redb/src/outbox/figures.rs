//! The figures of an outbox, stored with every commit, so that opening reads one page and not all rows.

use memory_core::Seq;
use redb::{Database, Durability, ReadableDatabase, ReadableTable, Table};
use serde::{Deserialize, Serialize};

use super::recent::Recent;
use super::{DEAD_LETTERS, FIGURES_SEQ, ROWS, TAIL, VERSIONS};
use crate::codec::{borrow_row, decode_meta, encode_meta};
use crate::failure::{Failure, Outcome};
use crate::keys::version_key;

/// The layout of the tables.
const LAYOUT: u32 = 3;
const NAME: &str = "outbox figures";

/// The usage of an outbox.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Figures {
    layout: u32,
    /// The number of the last row ever appended; 0 before the first.
    pub(super) last_seq: u64,
    /// No row below this number is pending.
    pub(super) first_waiting: u64,
    /// Waiting rows.
    pub(super) rows: u64,
    /// Their size.
    pub(super) bytes: u64,
    /// When the first of them was appended.
    pub(super) oldest: Option<u64>,
    /// Dead letters.
    pub(super) dead_letters: u64,
    /// Their size, with the reasons.
    pub(super) dead_letter_bytes: u64,
    /// Acknowledged rows kept.
    pub(super) tail_rows: u64,
    /// Their size.
    pub(super) tail_bytes: u64,
    /// Waiting rows up to this number are in the index of versions, unless an acknowledged version supersedes
    /// them; those above it are not, and no acknowledged version supersedes them.
    pub(super) indexed: u64,
}

pub(super) type Rows<'a> = Table<'a, u64, &'static [u8]>;
pub(super) type Tail<'a> = Table<'a, u64, (u64, u64)>;

impl Figures {
    /// Returns the size of everything that is kept.
    pub(super) fn kept_bytes(&self) -> u64 {
        self.bytes + self.dead_letter_bytes + self.tail_bytes
    }

    pub(super) fn store(&self, rows: &mut Rows<'_>) -> Outcome<()> {
        let figures = Self { layout: LAYOUT, ..*self };
        let bytes = encode_meta(NAME, &figures)
            .ok_or_else(|| Failure::Damaged("the outbox's figures have no binary form".into()))?;
        rows.insert(FIGURES_SEQ, bytes.as_slice())?;
        Ok(())
    }

    /// Moves [`Figures::first_waiting`] past rows that are no longer pending, and finds the age of the first
    /// that is.
    pub(super) fn advance(
        &mut self,
        rows: &impl ReadableTable<u64, &'static [u8]>,
        tail: &impl ReadableTable<u64, (u64, u64)>,
    ) -> Outcome<()> {
        let mut first = None;
        each_waiting(self.first_waiting, rows, tail, |seq, row| {
            // A row that does not decode has no age; the next peek makes it a dead letter.
            first = Some((seq, borrow_row(row).map_or(0, |row| row.appended_at.0)));
            false
        })?;
        if let Some((seq, appended_at)) = first {
            self.first_waiting = seq;
            self.oldest = Some(appended_at);
            return Ok(());
        }
        self.first_waiting = self.last_seq + 1;
        self.oldest = None;
        Ok(())
    }
}

/// Checks that the file is an outbox, reads its figures and finds the recent rows; initialises a new file.
pub(super) fn prepare(database: &Database) -> Outcome<(Figures, Recent)> {
    let read = database.begin_read()?;
    let rows = match read.open_table(ROWS) {
        Ok(rows) => rows,
        Err(redb::TableError::TableDoesNotExist(_)) if read.list_tables()?.next().is_none() => {
            drop(read);
            return Ok((lay_out(database)?, Recent::default()));
        }
        Err(error) => return Err(error.into()),
    };
    let tail = read.open_table(TAIL)?;
    let dead_letters = read.open_table(DEAD_LETTERS)?;
    read.open_table(VERSIONS)?;
    let stored = rows.get(FIGURES_SEQ)?;
    let figures = match stored.and_then(|stored| decode_meta::<Figures>(NAME, stored.value()).ok()) {
        Some(figures) if figures.layout > LAYOUT => {
            let newer = format!("the outbox has layout {}, this program knows {LAYOUT}", figures.layout);
            return Err(Failure::Newer(newer));
        }
        Some(figures) => figures,
        // The figures are damaged or of an earlier layout, the rows may not be.
        None => recount(&rows, &tail, &dead_letters)?,
    };
    let recent = find_recent(&figures, &rows, &tail)?;
    Ok((figures, recent))
}

/// Finds the waiting rows that are not in the index.
fn find_recent(
    figures: &Figures,
    rows: &impl ReadableTable<u64, &'static [u8]>,
    tail: &impl ReadableTable<u64, (u64, u64)>,
) -> Outcome<Recent> {
    let from = figures.first_waiting.max(figures.indexed + 1);
    let mut recent = Recent::default();
    each_waiting(from, rows, tail, |seq, row| {
        // A row that does not decode is found by the next peek.
        if let Ok(head) = borrow_row(row) {
            recent.insert(version_key(&head.key_bytes(), head.revision, seq), row.len() as u64);
        }
        true
    })?;
    Ok(recent)
}

/// Visits the pending rows from a number on, in order, until `visit` returns false.
pub(super) fn each_waiting(
    from: Seq,
    rows: &impl ReadableTable<u64, &'static [u8]>,
    tail: &impl ReadableTable<u64, (u64, u64)>,
    mut visit: impl FnMut(Seq, &[u8]) -> bool,
) -> Outcome<()> {
    let mut acknowledged = tail.range(from..)?;
    let mut next_acknowledged = acknowledged.next().transpose()?.map(|(seq, _)| seq.value());
    for row in rows.range(from..FIGURES_SEQ)? {
        let (seq, value) = row?;
        let seq = seq.value();
        if next_acknowledged == Some(seq) {
            next_acknowledged = acknowledged.next().transpose()?.map(|(seq, _)| seq.value());
        } else if !visit(seq, value.value()) {
            break;
        }
    }
    Ok(())
}

fn lay_out(database: &Database) -> Outcome<Figures> {
    let figures = Figures { first_waiting: 1, ..Figures::default() };
    let mut transaction = database.begin_write()?;
    transaction.set_durability(Durability::Immediate)?;
    transaction.set_quick_repair(true);
    transaction.open_table(VERSIONS)?;
    transaction.open_table(TAIL)?;
    transaction.open_table(DEAD_LETTERS)?;
    figures.store(&mut transaction.open_table(ROWS)?)?;
    transaction.commit()?;
    Ok(figures)
}

/// Counts everything; takes a time proportional to the outbox. All pending rows count as not indexed.
pub(super) fn recount(
    rows: &impl ReadableTable<u64, &'static [u8]>,
    tail: &impl ReadableTable<u64, (u64, u64)>,
    dead_letters: &impl ReadableTable<u64, &'static [u8]>,
) -> Outcome<Figures> {
    let mut figures = Figures { first_waiting: 1, ..Figures::default() };
    let (mut all_rows, mut all_bytes) = (0, 0);
    for row in rows.range(..FIGURES_SEQ)? {
        let (seq, value) = row?;
        figures.last_seq = seq.value();
        all_rows += 1;
        all_bytes += value.value().len() as u64;
    }
    for letter in dead_letters.iter()? {
        let (seq, letter) = letter?;
        figures.last_seq = figures.last_seq.max(seq.value());
        figures.dead_letters += 1;
        figures.dead_letter_bytes += letter.value().len() as u64;
    }
    for row in tail.iter()? {
        let (_, row) = row?;
        figures.tail_rows += 1;
        figures.tail_bytes += row.value().1;
    }
    figures.rows = all_rows - figures.tail_rows;
    figures.bytes = all_bytes - figures.tail_bytes;
    figures.advance(rows, tail)?;
    Ok(figures)
}

#[cfg(test)]
mod tests {
    use memory_core::{ErrorKind, Outbox};

    use super::*;
    use crate::outbox::{OutboxOptions, RedbOutbox};

    #[test]
    fn an_outbox_of_a_newer_program_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("outbox.redb");
        drop(RedbOutbox::open(&path, OutboxOptions::default()).unwrap());
        let store = |layout| {
            let database = redb::Database::create(&path).unwrap();
            let transaction = database.begin_write().unwrap();
            let newer = encode_meta(NAME, &Figures { layout, last_seq: 7, ..Figures::default() }).unwrap();
            transaction.open_table(ROWS).unwrap().insert(FIGURES_SEQ, newer.as_slice()).unwrap();
            transaction.commit().unwrap();
        };
        store(LAYOUT + 1);
        let error = RedbOutbox::open(&path, OutboxOptions::default()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unsupported);
        assert!(error.hint().is_some());
        store(LAYOUT);
        let outbox = RedbOutbox::open(&path, OutboxOptions::default()).unwrap();
        assert_eq!(outbox.usage().last_seq, 7, "the file is where it was");
    }
}
