//! Bare redb: durable commits into one table, and gets.

use std::path::Path;
use std::time::Instant;

use redb::{Builder, Database, Durability, ReadableDatabase, TableDefinition};

use crate::{Result, Run};

const ROWS: TableDefinition<u64, &[u8]> = TableDefinition::new("rows");
const RECORDS: TableDefinition<&[u8], &[u8]> = TableDefinition::new("records");

/// The memory for pages, in bytes; as the memory's own files have by default.
const PAGE_CACHE_BYTES: usize = 32 * 1024 * 1024;

/// A database that commits with `Durability::Immediate` and quick repair.
pub(crate) struct RedbFile {
    database: Database,
    next: u64,
}

impl RedbFile {
    /// Opens or creates a file.
    pub(crate) fn open(path: &Path) -> Result<Self> {
        let database = Builder::new().set_cache_size(PAGE_CACHE_BYTES).create(path)?;
        let last = match database.begin_read()?.open_table(ROWS) {
            Ok(rows) => redb::ReadableTable::last(&rows)?.map_or(0, |(seq, _)| seq.value()),
            Err(redb::TableError::TableDoesNotExist(_)) => 0,
            Err(error) => return Err(error.into()),
        };
        Ok(Self { database, next: last + 1 })
    }

    /// Commits values at the end, in one transaction.
    pub(crate) fn commit<'a>(&mut self, values: impl IntoIterator<Item = &'a [u8]>) -> Result<()> {
        let mut transaction = self.database.begin_write()?;
        transaction.set_durability(Durability::Immediate)?;
        transaction.set_quick_repair(true);
        {
            let mut rows = transaction.open_table(ROWS)?;
            for value in values {
                rows.insert(self.next, value)?;
                self.next += 1;
            }
        }
        transaction.commit()?;
        Ok(())
    }

    /// Commits each value by itself.
    pub(crate) fn commit_each(&mut self, values: &[Vec<u8>]) -> Result<Run> {
        let mut run = Run::default();
        let start = Instant::now();
        for value in values {
            let before = Instant::now();
            self.commit([value.as_slice()])?;
            run.latencies.push(before.elapsed());
        }
        run.elapsed = start.elapsed();
        Ok(run)
    }

    /// Stores values by key, in one transaction.
    pub(crate) fn put(&mut self, entries: &[(Vec<u8>, Vec<u8>)]) -> Result<()> {
        let transaction = self.database.begin_write()?;
        {
            let mut records = transaction.open_table(RECORDS)?;
            for (key, value) in entries {
                records.insert(key.as_slice(), value.as_slice())?;
            }
        }
        transaction.commit()?;
        Ok(())
    }

    /// Reads one value in a transaction of its own, as a reader must who wants to see the latest commit.
    pub(crate) fn get<T>(&self, key: &[u8], decode: impl FnOnce(&[u8]) -> T) -> Result<Option<T>> {
        let records = self.database.begin_read()?.open_table(RECORDS)?;
        Ok(redb::ReadableTable::get(&records, key)?.map(|value| decode(value.value())))
    }
}
