//! The figures of an outbox, stored with every commit, so that opening reads one page and not all rows.

use redb::{Database, Durability, ReadableDatabase, ReadableTable, ReadableTableMetadata, Table};
use serde::{Deserialize, Serialize};

use super::{FIGURES_SEQ, ROWS, SET_ASIDE, TAIL, VERSIONS};
use crate::codec::{borrow_row, decode_meta, encode_meta};
use crate::failure::{Failure, Outcome};

/// The layout of the tables.
const LAYOUT: u32 = 1;
const NAME: &str = "outbox figures";

/// What an outbox holds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Figures {
    layout: u32,
    /// The number of the last row ever appended; 0 before the first.
    pub(super) last_seq: u64,
    /// No row below this number waits.
    pub(super) first_waiting: u64,
    /// Waiting rows.
    pub(super) rows: u64,
    /// Their size.
    pub(super) bytes: u64,
    /// When the first of them was appended.
    pub(super) oldest: Option<u64>,
    /// Refused rows.
    pub(super) set_aside: u64,
    /// Acknowledged rows kept.
    pub(super) tail_rows: u64,
    /// Their size.
    pub(super) tail_bytes: u64,
}

pub(super) type Rows<'a> = Table<'a, u64, &'static [u8]>;
pub(super) type Tail<'a> = Table<'a, u64, (u64, u64)>;

impl Figures {
    /// Returns true if everything has been sent: all rows left are in the tail.
    pub(super) fn only_tail(&self) -> bool {
        self.rows == 0 && self.set_aside == 0
    }

    pub(super) fn store(&self, rows: &mut Rows<'_>) -> Outcome<()> {
        let figures = Self { layout: LAYOUT, ..*self };
        let bytes = encode_meta(NAME, &figures)
            .ok_or_else(|| Failure::Damaged("the outbox's figures have no binary form".into()))?;
        rows.insert(FIGURES_SEQ, bytes.as_slice())?;
        Ok(())
    }

    /// Moves [`Figures::first_waiting`] past rows that no longer wait, and finds the age of the first that
    /// does.
    pub(super) fn advance(
        &mut self,
        rows: &impl ReadableTable<u64, &'static [u8]>,
        tail: &impl ReadableTable<u64, (u64, u64)>,
    ) -> Outcome<()> {
        let mut acknowledged = tail.range(self.first_waiting..)?;
        let mut next_acknowledged = acknowledged.next().transpose()?.map(|(seq, _)| seq.value());
        for row in rows.range(self.first_waiting..FIGURES_SEQ)? {
            let (seq, value) = row?;
            let seq = seq.value();
            if next_acknowledged == Some(seq) {
                next_acknowledged = acknowledged.next().transpose()?.map(|(seq, _)| seq.value());
                continue;
            }
            self.first_waiting = seq;
            // A row that does not decode has no age; it is set aside by the next peek.
            self.oldest = Some(borrow_row(value.value()).map_or(0, |row| row.appended_at.0));
            return Ok(());
        }
        self.first_waiting = self.last_seq + 1;
        self.oldest = None;
        Ok(())
    }
}

/// Checks that the file is an outbox and reads its figures; lays out a new one.
pub(super) fn prepare(database: &Database) -> Outcome<Figures> {
    let read = database.begin_read()?;
    let rows = match read.open_table(ROWS) {
        Ok(rows) => rows,
        Err(redb::TableError::TableDoesNotExist(_)) if read.list_tables()?.next().is_none() => {
            drop(read);
            return lay_out(database);
        }
        Err(error) => return Err(error.into()),
    };
    let tail = read.open_table(TAIL)?;
    let set_aside = read.open_table(SET_ASIDE)?;
    read.open_table(VERSIONS)?;
    let stored = rows.get(FIGURES_SEQ)?;
    match stored.and_then(|stored| decode_meta::<Figures>(NAME, stored.value()).ok()) {
        Some(figures) if figures.layout > LAYOUT => Err(Failure::Newer(format!(
            "the outbox has layout {}, this program knows {LAYOUT}",
            figures.layout
        ))),
        Some(figures) => Ok(figures),
        // The figures are damaged, the rows may not be.
        None => recount(&rows, &tail, set_aside.len()?),
    }
}

fn lay_out(database: &Database) -> Outcome<Figures> {
    let figures = Figures { first_waiting: 1, ..Figures::default() };
    let mut transaction = database.begin_write()?;
    transaction.set_durability(Durability::Immediate)?;
    transaction.set_quick_repair(true);
    transaction.open_table(VERSIONS)?;
    transaction.open_table(TAIL)?;
    transaction.open_table(SET_ASIDE)?;
    figures.store(&mut transaction.open_table(ROWS)?)?;
    transaction.commit()?;
    Ok(figures)
}

/// Counts everything; takes a time proportional to what the outbox holds.
pub(super) fn recount(
    rows: &impl ReadableTable<u64, &'static [u8]>,
    tail: &impl ReadableTable<u64, (u64, u64)>,
    set_aside: u64,
) -> Outcome<Figures> {
    let mut figures = Figures { first_waiting: 1, set_aside, ..Figures::default() };
    let (mut all_rows, mut all_bytes) = (0, 0);
    for row in rows.range(..FIGURES_SEQ)? {
        let (seq, value) = row?;
        figures.last_seq = seq.value();
        all_rows += 1;
        all_bytes += value.value().len() as u64;
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
