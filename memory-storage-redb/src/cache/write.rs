//! Writing the cache: merging by revision, and the figures that go with every commit.

use std::sync::PoisonError;
use std::sync::atomic::Ordering;

use memory_core::{Cursor, Key, Record, Result, StoredDocument, Timestamp};
use redb::{Database, Durability, ReadableDatabase, ReadableTable, Table, WriteTransaction};
use serde::{Deserialize, Serialize};
use tokio::sync::watch;

use super::room::{CHURN_PER_CHANGE, Need, Room, document_charge, record_charge};
use super::{
    CHANGED, DOCUMENTS, LAYOUT, LEDGER, META, META_CURSOR, META_FIGURES, META_LAYOUT, RECORDS, RedbCache,
    SNAPSHOTS, STATES, add, lock,
};
use crate::codec::{
    decode_meta, document_revision, encode_document, encode_entry, encode_meta, entry_revision,
};
use crate::failure::{Failure, Outcome, guarded};
use crate::keys::key_bytes;
use crate::open::Handle;

/// The cache's data about itself; stored with every commit.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Figures {
    /// The charge of all records and documents, in bytes.
    pub(super) charge: u64,
    /// The logical time of the last use.
    pub(super) tick: u64,
}

/// The state of the one writer.
#[derive(Debug, Default)]
pub(super) struct Writer {
    pub(super) figures: Figures,
    /// The charge of changes since the last durable commit.
    pub(super) churn: u64,
}

impl Writer {
    pub(super) fn new(figures: Figures) -> Self {
        Self { figures, churn: 0 }
    }
}

/// Checks that the file is a cache of this layout and reads its figures; lays out a new one.
pub(super) fn prepare(database: &Database) -> Outcome<Figures> {
    guarded(|| {
        let read = database.begin_read()?;
        match read.open_table(META) {
            Ok(meta) => {
                let layout = meta.get(META_LAYOUT)?.and_then(|it| decode_meta(META_LAYOUT, it.value()).ok());
                if layout != Some(LAYOUT) {
                    return Err(Failure::Damaged("the file has another layout".into()));
                }
                read.open_table(RECORDS)?;
                read.open_table(LEDGER)?;
                read.open_table(DOCUMENTS)?;
                let figures = meta.get(META_FIGURES)?;
                let figures = figures.and_then(|it| decode_meta(META_FIGURES, it.value()).ok());
                figures.ok_or_else(|| Failure::Damaged("the cache's figures are damaged".into()))
            }
            Err(redb::TableError::TableDoesNotExist(_)) if read.list_tables()?.next().is_none() => {
                drop(read);
                lay_out(database)
            }
            Err(error) => Err(error.into()),
        }
    })
}

fn lay_out(database: &Database) -> Outcome<Figures> {
    let mut transaction = database.begin_write()?;
    transaction.set_quick_repair(true);
    transaction.open_table(RECORDS)?;
    transaction.open_table(LEDGER)?;
    transaction.open_table(DOCUMENTS)?;
    put_meta(&transaction, META_LAYOUT, &LAYOUT)?;
    put_meta(&transaction, META_FIGURES, &Figures::default())?;
    transaction.commit()?;
    Ok(Figures::default())
}

pub(super) fn put_meta(transaction: &WriteTransaction, name: &str, value: &impl Serialize) -> Outcome<()> {
    let bytes = encode_meta(name, value).ok_or_else(|| {
        let problem = "the value is too large to be stored";
        Failure::Refused(memory_core::Error::invalid("write cache", name, problem))
    })?;
    transaction.open_table(META)?.insert(name, bytes.as_slice())?;
    Ok(())
}

/// A write transaction and its changes to the figures.
pub(super) struct Change<'a> {
    pub(super) transaction: &'a WriteTransaction,
    pub(super) charge: u64,
    pub(super) churn: u64,
    corrupt: u64,
}

impl RedbCache {
    /// Runs a write in a transaction of its own, after making room for about `incoming` bytes.
    pub(super) fn write(
        &self,
        operation: &'static str,
        incoming: u64,
        run: impl Fn(&mut Change<'_>) -> Outcome<()>,
    ) -> Result<()> {
        let mut writer = lock(&self.writer);
        let first = self.write_once(&mut writer, incoming, &run);
        let outcome = match first {
            // The estimate was too low and the file would have outgrown its limit: make room for certain.
            Err(Failure::Io(full)) if full.kind() == std::io::ErrorKind::QuotaExceeded => {
                self.make_room(&mut writer).and_then(|()| self.write_once(&mut writer, incoming, &run))
            }
            other => other,
        };
        outcome.map_err(|failure| self.error(operation, failure))
    }

    fn write_once(
        &self,
        writer: &mut Writer,
        incoming: u64,
        run: &impl Fn(&mut Change<'_>) -> Outcome<()>,
    ) -> Outcome<()> {
        self.open_if_closed(writer)?;
        match self.room(writer).before_write(incoming) {
            Need::Nothing => {}
            Need::Sync => self.transact(writer, Durability::Immediate, |_| Ok(()))?,
            Need::Evict(target) => {
                self.evict_to(writer, target)?;
            }
        }
        self.transact(writer, Durability::None, run)
    }

    /// Commits a transaction with its figures. After a failure the cache is recovered.
    pub(super) fn transact(
        &self,
        writer: &mut Writer,
        durability: Durability,
        run: impl Fn(&mut Change<'_>) -> Outcome<()>,
    ) -> Outcome<()> {
        let generation = self.generation.load(Ordering::Acquire);
        let durable = matches!(durability, Durability::Immediate);
        let outcome = self.with_database(|database| {
            guarded(|| {
                let mut transaction = database.begin_write()?;
                transaction.set_durability(durability)?;
                // A quick repair needs data that only durable commits save.
                transaction.set_quick_repair(durable);
                let mut change = Change {
                    transaction: &transaction,
                    charge: writer.figures.charge,
                    churn: writer.churn,
                    corrupt: 0,
                };
                run(&mut change)?;
                self.flush_touched(&transaction)?;
                let Change { charge, churn, corrupt, .. } = change;
                let figures = Figures { charge, tick: self.tick.load(Ordering::Acquire) };
                put_meta(&transaction, META_FIGURES, &figures)?;
                transaction.commit()?;
                let churn = if durable { 0 } else { churn };
                add(&self.counts.corrupt, corrupt);
                Ok(Writer { figures, churn })
            })
        });
        match outcome {
            Ok(after) => {
                *writer = after;
                Ok(())
            }
            Err(failure) => {
                self.recover(writer, generation, &failure);
                Err(failure)
            }
        }
    }

    /// Writes the uses since the last time to the ledger. A failed commit only makes LRU less exact.
    fn flush_touched(&self, transaction: &WriteTransaction) -> Outcome<()> {
        let touched = std::mem::take(&mut *lock(&self.touched));
        if touched.is_empty() {
            return Ok(());
        }
        let mut ledger = transaction.open_table(LEDGER)?;
        for (key, tick) in touched {
            let row = ledger.get(key.as_slice())?.map(|row| row.value());
            if let Some((last, size, expiry)) = row
                && last < tick
            {
                ledger.insert(key.as_slice(), (tick, size, expiry))?;
            }
        }
        Ok(())
    }

    pub(super) fn room(&self, writer: &Writer) -> Room {
        Room {
            live: writer.figures.charge,
            churn: writer.churn,
            file: self.size.bytes(),
            limit: self.limit_bytes(),
        }
    }

    /// Returns whether data that can be rebuilt fits in addition to the existing data; warns if not.
    pub(super) fn has_room(&self, incoming: u64, what: &str) -> bool {
        let (live, limit) = (self.room(&lock(&self.writer)).live, self.limit_bytes());
        let fits = live + incoming <= limit;
        if !fits {
            tracing::warn!(
                needed = live + incoming,
                limit,
                "the cache file has no room for {what}: each process makes it anew; raise cache_bytes"
            );
        }
        fits
    }

    pub(super) fn limit_bytes(&self) -> u64 {
        self.options.limit_bytes.max(super::LEAST_LIMIT)
    }

    /// Merges records by revision.
    pub(super) fn merge(&self, records: &[Record]) -> Result<()> {
        let filled_at = self.options.clock.now();
        let mut entries = Vec::with_capacity(records.len());
        let mut incoming = 0;
        for record in records {
            let key = key_bytes(&record.key)?;
            let bytes = encode_entry(&key, record, filled_at);
            let charge = bytes.as_ref().map_or(0, |bytes| record_charge(key.len(), bytes.len() as u64));
            incoming += charge + CHURN_PER_CHANGE;
            entries.push(Entry { record, key, bytes, charge });
        }
        self.write("write cache", incoming, |change| {
            let mut table = change.transaction.open_table(RECORDS)?;
            let mut ledger = change.transaction.open_table(LEDGER)?;
            for entry in &entries {
                let tick = self.tick.fetch_add(1, Ordering::Relaxed) + 1;
                merge_one(&mut table, &mut ledger, change, entry, tick)?;
            }
            Ok(())
        })
    }

    pub(super) fn forget(&self, keys: &[Key]) -> Result<()> {
        let keys = keys.iter().map(key_bytes).collect::<Result<Vec<_>>>()?;
        self.write("remove from cache", 0, |change| {
            let mut table = change.transaction.open_table(RECORDS)?;
            let mut ledger = change.transaction.open_table(LEDGER)?;
            for key in &keys {
                remove_one(&mut table, &mut ledger, change, key)?;
            }
            Ok(())
        })
    }

    /// Purges expired entries; returns how many.
    pub(super) fn purge(&self, now: Timestamp) -> Result<u64> {
        let purged = std::sync::atomic::AtomicU64::new(0);
        self.write("purge cache", 0, |change| {
            let mut table = change.transaction.open_table(RECORDS)?;
            let mut ledger = change.transaction.open_table(LEDGER)?;
            let mut expired = Vec::new();
            for row in ledger.iter()? {
                let (key, row) = row?;
                if row.value().2 <= now.0 {
                    expired.push(key.value().to_vec());
                }
            }
            for key in &expired {
                remove_one(&mut table, &mut ledger, change, key)?;
            }
            purged.store(expired.len() as u64, Ordering::Release);
            Ok(())
        })?;
        Ok(purged.into_inner())
    }

    pub(super) fn write_documents(&self, documents: &[(Key, Option<StoredDocument>)]) -> Result<()> {
        let mut entries = Vec::with_capacity(documents.len());
        let mut incoming = 0;
        for (of, document) in documents {
            let key = key_bytes(of)?;
            let bytes = document.as_ref().map(|document| {
                encode_document(&key, document).ok_or_else(|| {
                    memory_core::Error::invalid("write search documents", "document", "it is too large")
                })
            });
            let bytes = bytes.transpose()?;
            incoming += bytes.as_ref().map_or(0, |it| document_charge(key.len(), it.len() as u64));
            entries.push((of, key, document.as_ref().map(|it| it.revision), bytes));
        }
        self.write("write search documents", incoming + documents.len() as u64 * CHURN_PER_CHANGE, |change| {
            self.note_changed(change, entries.iter().map(|(of, key, ..)| (*of, key.as_slice())))?;
            let mut table = change.transaction.open_table(DOCUMENTS)?;
            let records = change.transaction.open_table(RECORDS)?;
            for (_, key, revision, bytes) in &entries {
                // Versions may come out of order: a document neither replaces a newer one nor comes back after
                // the removal of its record.
                if let Some(revision) = revision {
                    let held =
                        table.get(key.as_slice())?.and_then(|it| document_revision(key, it.value()).ok());
                    let record =
                        records.get(key.as_slice())?.and_then(|it| entry_revision(key, it.value()).ok());
                    if held.max(record).is_some_and(|newest| newest > *revision) {
                        continue;
                    }
                }
                let charge = |it: &[u8]| document_charge(key.len(), it.len() as u64);
                let before = match bytes {
                    Some(bytes) => table.insert(key.as_slice(), bytes.as_slice())?,
                    None => table.remove(key.as_slice())?,
                };
                let gone = before.map_or(0, |before| charge(before.value()));
                let come = bytes.as_ref().map_or(0, |bytes| charge(bytes));
                change.charge = (change.charge + come).saturating_sub(gone);
                change.churn += come + CHURN_PER_CHANGE;
            }
            Ok(())
        })
    }

    pub(super) fn write_cursor(&self, cursor: &Cursor) -> Result<()> {
        self.write("write cursor", 0, |change| {
            if !self.is_whole() {
                // The new cursor would skip the lost data; the cursor in the file, if any, brings it back on
                // the next opening.
                return Ok(());
            }
            put_meta(change.transaction, META_CURSOR, &(cursor.database.as_str(), cursor.seq, cursor.token))
        })
    }

    /// Forgets everything and gives the space back.
    pub(super) fn wipe(&self) -> Result<()> {
        self.write("clear cache", 0, |change| {
            change.transaction.delete_table(RECORDS)?;
            change.transaction.delete_table(LEDGER)?;
            change.transaction.delete_table(DOCUMENTS)?;
            change.transaction.delete_table(SNAPSHOTS)?;
            change.transaction.delete_table(CHANGED)?;
            change.transaction.delete_table(STATES)?;
            change.transaction.open_table(RECORDS)?;
            change.transaction.open_table(LEDGER)?;
            change.transaction.open_table(DOCUMENTS)?;
            change.transaction.open_table(META)?.remove(META_CURSOR)?;
            change.charge = 0;
            Ok(())
        })?;
        self.whole_since.store(self.generation.load(Ordering::Acquire), Ordering::Release);
        let mut writer = lock(&self.writer);
        self.compact(&mut writer).map_err(|failure| self.error("clear cache", failure))
    }

    /// Makes everything so far durable.
    pub(super) fn sync(&self) -> Result<()> {
        let mut writer = lock(&self.writer);
        self.open_if_closed(&mut writer)
            .and_then(|()| self.transact(&mut writer, Durability::Immediate, |_| Ok(())))
            .map_err(|failure| self.error("persist cache", failure))
    }

    pub(super) fn while_readers_wait<T>(&self, run: impl FnOnce(&mut Option<Handle>) -> T) -> T {
        self.compacting.send_replace(true);
        let _gate = Gate(&self.compacting);
        run(&mut self.database.write().unwrap_or_else(PoisonError::into_inner))
    }

    /// Waits until the file is not being compacted, without blocking the thread. A compaction that begins
    /// directly after may still delay a read.
    pub(super) async fn readable(&self) {
        if *self.compacting.borrow() {
            let mut compacting = self.compacting.subscribe();
            // An error would mean that the sender is dropped, but it exists here.
            let _ended = compacting.wait_for(|compacting| !compacting).await;
        }
    }

    /// Shrinks the file to its content. Readers wait meanwhile.
    pub(super) fn compact(&self, writer: &mut Writer) -> Outcome<()> {
        let generation = self.generation.load(Ordering::Acquire);
        let outcome = self.while_readers_wait(|database| {
            guarded(|| match database.as_mut() {
                Some(database) => Ok(database.get_mut()?.compact().map(drop)?),
                None => Ok(()),
            })
        });
        if let Err(failure) = &outcome {
            self.recover(writer, generation, failure);
        }
        writer.churn = 0;
        outcome
    }
}

/// Releases readers when it is dropped, by a panic too.
struct Gate<'a>(&'a watch::Sender<bool>);

impl Drop for Gate<'_> {
    fn drop(&mut self) {
        self.0.send_replace(false);
    }
}

/// A record on its way into the file.
struct Entry<'a> {
    record: &'a Record,
    key: Vec<u8>,
    /// `None` if the record is too large to be cached.
    bytes: Option<Vec<u8>>,
    charge: u64,
}

type Records<'a> = Table<'a, &'static [u8], &'static [u8]>;
type Ledger<'a> = Table<'a, &'static [u8], (u64, u64, u64)>;

fn merge_one(
    table: &mut Records<'_>,
    ledger: &mut Ledger<'_>,
    change: &mut Change<'_>,
    entry: &Entry<'_>,
    tick: u64,
) -> Outcome<()> {
    let key = entry.key.as_slice();
    let stored = table.get(key)?.map(|value| entry_revision(key, value.value()));
    match stored {
        // A fill of the version that is there already renews its time of filling.
        Some(Ok(stored)) if stored > entry.record.revision => return Ok(()),
        Some(Err(_)) => change.corrupt += 1,
        _ => {}
    }
    let Some(bytes) = &entry.bytes else { return remove_one(table, ledger, change, key) };
    table.insert(key, bytes.as_slice())?;
    let expiry = entry.record.expires_at.map_or(u64::MAX, |at| at.0);
    let before = ledger.insert(key, (tick, bytes.len() as u64, expiry))?;
    let gone = before.map_or(0, |before| record_charge(key.len(), before.value().1));
    change.charge = (change.charge + entry.charge).saturating_sub(gone);
    change.churn += entry.charge + CHURN_PER_CHANGE;
    Ok(())
}

pub(super) fn remove_one(
    table: &mut Records<'_>,
    ledger: &mut Ledger<'_>,
    change: &mut Change<'_>,
    key: &[u8],
) -> Outcome<()> {
    table.remove(key)?;
    if let Some(row) = ledger.remove(key)? {
        change.charge = change.charge.saturating_sub(record_charge(key.len(), row.value().1));
        change.churn += CHURN_PER_CHANGE;
    }
    Ok(())
}
