//! Appending, and the commit of every change of the outbox.

use std::sync::PoisonError;

use memory_core::{Error, ErrorKind, LimitViolation, Record, Result, Revision, Seq, Timestamp};
use redb::{Database, Durability, Table, WriteTransaction};

use super::figures::{Figures, Rows, Tail};
use super::recent::{Recent, RecentChange};
use super::{ROWS, RedbOutbox, TAIL, VERSIONS, Writer, lock};
use crate::codec::encode_row;
use crate::failure::{Failure, Outcome, guarded};
use crate::keys::{key_bytes, version_key};

pub(super) type Versions<'a> = Table<'a, &'static [u8], ()>;

/// Whether a commit waits for the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sync {
    /// It does: on return it survives power loss.
    Now,
    /// It does not: the next durable commit carries it.
    Later,
}

/// An open transaction with its tables, and the resulting figures.
pub(super) struct Change<'a> {
    pub(super) transaction: &'a WriteTransaction,
    pub(super) rows: Rows<'a>,
    pub(super) versions: Versions<'a>,
    pub(super) figures: Figures,
    /// The recent rows before the change.
    pub(super) recent: &'a Recent,
    pub(super) recent_change: RecentChange,
}

impl<'a> Change<'a> {
    /// Opens the tables in a transaction.
    pub(super) fn begin(
        transaction: &'a WriteTransaction,
        figures: Figures,
        recent: &'a Recent,
    ) -> Outcome<Self> {
        Ok(Self {
            transaction,
            rows: transaction.open_table(ROWS)?,
            versions: transaction.open_table(VERSIONS)?,
            figures,
            recent,
            recent_change: RecentChange::default(),
        })
    }

    /// Puts the figures into the file; returns them and the change of the recent rows.
    pub(super) fn end(mut self) -> Outcome<(Figures, RecentChange)> {
        self.figures.store(&mut self.rows)?;
        Ok((self.figures, self.recent_change))
    }

    /// Moves the recent rows into the index, as well as rows added from now on.
    pub(super) fn index_all(&mut self) -> Outcome<()> {
        for version in self.recent_change.take(self.recent) {
            self.versions.insert(version, ())?;
        }
        self.figures.indexed = self.figures.last_seq;
        Ok(())
    }

    pub(super) fn tail(&self) -> Outcome<Tail<'a>> {
        Ok(self.transaction.open_table(TAIL)?)
    }

    /// Adds an encoded row at the end.
    pub(super) fn push(
        &mut self,
        key: &[u8],
        revision: Revision,
        bytes: &[u8],
        now: Timestamp,
    ) -> Outcome<()> {
        let figures = &mut self.figures;
        figures.last_seq += 1;
        if figures.rows == 0 {
            figures.first_waiting = figures.last_seq;
            figures.oldest = Some(now.0);
        }
        figures.rows += 1;
        figures.bytes += bytes.len() as u64;
        self.rows.insert(figures.last_seq, bytes)?;
        let version = version_key(key, revision, figures.last_seq);
        if self.recent_change.indexes_all() {
            self.versions.insert(version.as_slice(), ())?;
            figures.indexed = figures.last_seq;
        } else {
            self.recent_change.add(version, bytes.len() as u64);
        }
        Ok(())
    }
}

/// Commits a change; returns the resulting figures and the change of the recent rows.
pub(super) fn commit(
    database: &Database,
    recent: &Recent,
    figures: Figures,
    sync: Sync,
    run: impl FnOnce(&mut Change<'_>) -> Outcome<()>,
) -> Outcome<(Figures, RecentChange)> {
    let mut transaction = database.begin_write()?;
    transaction.set_durability(match sync {
        Sync::Now => Durability::Immediate,
        Sync::Later => Durability::None,
    })?;
    // Only durable commits save the data for a quick repair.
    transaction.set_quick_repair(sync == Sync::Now);
    let mut change = Change::begin(&transaction, figures, recent)?;
    run(&mut change)?;
    let ended = change.end()?;
    transaction.commit()?;
    Ok(ended)
}

impl RedbOutbox {
    pub(super) fn append_rows(&self, records: &[Record], now: Timestamp) -> Result<Seq> {
        let mut rows = Vec::with_capacity(records.len());
        for record in records {
            rows.push((key_bytes(&record.key)?, record, encode_row(record, now)?));
        }
        let bytes: usize = rows.iter().map(|(.., bytes)| bytes.len()).sum();
        let mut writer = lock(&self.writer);
        self.check_writable("append to outbox", &writer)?;
        if rows.is_empty() {
            return Ok(writer.figures.last_seq);
        }
        self.check_quota(&writer.figures, rows.len() as u64, bytes as u64)?;
        self.transact("append to outbox", &mut writer, Sync::Now, |change| {
            if !change.recent.has_room(rows.len(), bytes as u64) {
                change.index_all()?;
            }
            rows.iter().try_for_each(|(key, record, bytes)| change.push(key, record.revision, bytes, now))
        })?;
        Ok(writer.figures.last_seq)
    }

    /// Refuses rows that do not fit.
    pub(super) fn check_quota(&self, figures: &Figures, rows: u64, bytes: u64) -> Result<()> {
        let options = &self.options;
        let refuse = |field: &str, limit, found, unit| {
            let violation = LimitViolation { field: field.into(), limit, found, unit };
            Err(Error::limit(ErrorKind::QuotaExceeded, "append to outbox", violation).with_hint(
                "the durable tier has been away for long, or refuses rows: `memory sync` and \
                 `memory sync dead-letters` tell; or raise the limit",
            ))
        };
        let rows = figures.rows + figures.dead_letters + rows;
        if rows > options.limit_rows {
            return refuse("outbox.rows", options.limit_rows, rows, "rows");
        }
        let bytes = figures.bytes + figures.dead_letter_bytes + bytes;
        if bytes > options.limit_bytes {
            return refuse("outbox.bytes", options.limit_bytes, bytes, "bytes");
        }
        Ok(())
    }

    /// Commits a change with its figures. After a failure nothing may be written until the file is reopened.
    pub(super) fn transact(
        &self,
        operation: &'static str,
        writer: &mut Writer,
        sync: Sync,
        run: impl FnOnce(&mut Change<'_>) -> Outcome<()>,
    ) -> Result<()> {
        let outcome = self.with_database(|opened| {
            let (figures, recent_change) = guarded(|| {
                let recent = opened.recent.read().unwrap_or_else(PoisonError::into_inner);
                commit(opened.handle.get()?, &recent, writer.figures, sync, run)
            })?;
            // Only after the commit: until then readers find the rows where they were.
            opened.recent.write().unwrap_or_else(PoisonError::into_inner).apply(recent_change);
            Ok(figures)
        });
        match outcome {
            Ok(figures) => {
                writer.figures = figures;
                writer.unsynced = sync == Sync::Later;
                self.publish(&figures);
                Ok(())
            }
            // The caller broke a rule; the transaction was dropped and the file is as it was.
            Err(Failure::Refused(error)) => Err(error),
            Err(failure) => {
                writer.failed = Some(failure.duplicate());
                Err(self.error(operation, failure))
            }
        }
    }
}
