//! Reading the cache. Nothing here writes to the file.

use std::sync::PoisonError;
use std::sync::atomic::Ordering;

use memory_core::{CachedRecord, Cursor, Documents, Key, Namespace, Order, Page, Scan};
use redb::{Database, ReadTransaction, ReadableDatabase, ReadableTableMetadata};

use super::write::Writer;
use super::{DOCUMENTS, META, META_CURSOR, RECORDS, RedbCache, add, lock};
use crate::codec::{decode_document, decode_entry, decode_meta};
use crate::failure::{Failure, Outcome, guarded};
use crate::keys::{key_bytes, key_within, kind_prefix, namespace_prefix, prefix_end};

/// The most uses remembered between two writes; beyond it LRU becomes approximate.
const TOUCHED_LIMIT: usize = 65_536;

impl RedbCache {
    /// Runs a read. After a failure the cache is brought back; damage is answered with `missing`.
    pub(super) fn read<T>(
        &self,
        operation: &'static str,
        missing: impl FnOnce() -> T,
        read: impl Fn(&ReadTransaction) -> Outcome<T>,
    ) -> memory_core::Result<T> {
        self.ensure_open(operation)?;
        let generation = self.generation.load(Ordering::Acquire);
        let failure = match self.try_read(&read) {
            Ok(found) => return Ok(found),
            Err(failure) => failure,
        };
        self.recover(&mut lock(&self.writer), generation, &failure);
        match failure {
            Failure::Damaged(_) => {
                add(&self.counts.corrupt, 1);
                Ok(missing())
            }
            other => Err(self.error(operation, other)),
        }
    }

    fn try_read<T>(&self, read: impl Fn(&ReadTransaction) -> Outcome<T>) -> Outcome<T> {
        self.with_database(|database| guarded(|| read(&database.begin_read()?)))
    }

    /// Opens the file again if an earlier failure has left it closed.
    fn ensure_open(&self, operation: &'static str) -> memory_core::Result<()> {
        if self.database.read().unwrap_or_else(PoisonError::into_inner).is_some() {
            return Ok(());
        }
        let mut writer = lock(&self.writer);
        self.open_if_closed(&mut writer).map_err(|failure| self.error(operation, failure))
    }

    /// Opens the file again if an earlier failure has left it closed.
    pub(super) fn open_if_closed(&self, writer: &mut Writer) -> Outcome<()> {
        let is_open = self.database.read().unwrap_or_else(PoisonError::into_inner).is_some();
        if is_open { Ok(()) } else { self.reopen(writer).map(drop) }
    }

    /// Runs something on the open database.
    pub(super) fn with_database<T>(&self, run: impl FnOnce(&Database) -> Outcome<T>) -> Outcome<T> {
        let database = self.database.read().unwrap_or_else(PoisonError::into_inner);
        match database.as_ref() {
            Some(database) => run(database.get()?),
            None => Err(Failure::Io(std::io::Error::other("the cache file is not open"))),
        }
    }

    /// Returns the entries of keys; `use_them` makes it count for LRU and the hit ratio.
    pub(super) fn read_records(
        &self,
        operation: &'static str,
        keys: &[Key],
        use_them: bool,
    ) -> memory_core::Result<Vec<Option<CachedRecord>>> {
        let encoded = keys.iter().map(key_bytes).collect::<memory_core::Result<Vec<_>>>()?;
        let found = self.read(
            operation,
            || vec![None; keys.len()],
            |transaction| {
                let records = transaction.open_table(RECORDS)?;
                let mut found = Vec::with_capacity(keys.len());
                for (key, bytes) in keys.iter().zip(&encoded) {
                    let value = records.get(bytes.as_slice())?;
                    found.push(value.and_then(|value| self.decode_record(key, bytes, value.value())));
                }
                Ok(found)
            },
        )?;
        if use_them {
            let mut touched = lock(&self.touched);
            let mut hits = 0;
            for (bytes, _) in encoded.into_iter().zip(&found).filter(|(_, found)| found.is_some()) {
                hits += 1;
                let tick = self.tick.fetch_add(1, Ordering::Relaxed) + 1;
                if touched.len() < TOUCHED_LIMIT || touched.contains_key(&bytes) {
                    touched.insert(bytes, tick);
                }
            }
            drop(touched);
            add(&self.counts.hits, hits);
            add(&self.counts.misses, found.len() as u64 - hits);
        }
        Ok(found)
    }

    fn decode_record(&self, key: &Key, key_bytes: &[u8], value: &[u8]) -> Option<CachedRecord> {
        let entry = decode_entry(key_bytes, value).ok();
        let entry = entry.filter(|entry| entry.entity.as_ref().is_none_or(|it| it.kind() == key.kind));
        if entry.is_none() {
            add(&self.counts.corrupt, 1);
        }
        let entry = entry?;
        Some(CachedRecord { filled_at: entry.filled_at, record: entry.into_record(key.clone()) })
    }

    pub(super) fn read_page(&self, scan: &Scan) -> memory_core::Result<Page> {
        scan.validate()?;
        let kind_prefix = kind_prefix(&scan.namespace, scan.kind);
        let mut low = kind_prefix.clone();
        low.extend_from_slice(scan.prefix.as_deref().unwrap_or_default().as_bytes());
        let mut high = prefix_end(&low);
        if let Some(after) = &scan.after {
            let cursor = [kind_prefix.as_slice(), after.as_bytes()].concat();
            match scan.order {
                // The first byte string after the cursor.
                Order::Ascending => low = low.max([cursor.as_slice(), &[0]].concat()),
                Order::Descending => high = high.min(cursor),
            }
        }
        if low >= high {
            return Ok(Page::default());
        }
        self.read("scan cache", Page::default, |transaction| {
            let table = transaction.open_table(RECORDS)?;
            let mut range = table.range(low.as_slice()..high.as_slice())?;
            let mut records = Vec::new();
            while records.len() <= scan.limit {
                let next = match scan.order {
                    Order::Ascending => range.next(),
                    Order::Descending => range.next_back(),
                };
                let Some(next) = next else { break };
                let (bytes, value) = next?;
                let Some(id) = id_of(bytes.value(), kind_prefix.len()) else { continue };
                let key = Key::new(&scan.namespace, scan.kind, id);
                let found = self.decode_record(&key, bytes.value(), value.value());
                records.extend(found.map(|found| found.record).filter(|record| scan.admits(record)));
            }
            Ok(Page::cut(records, scan.limit))
        })
    }

    pub(super) fn read_documents(
        &self,
        namespace: &Namespace,
        after: Option<&Key>,
        limit: usize,
    ) -> memory_core::Result<Documents> {
        let mut low = namespace_prefix(namespace);
        let high = prefix_end(&low);
        if let Some(after) = after {
            low = low.max([key_bytes(after)?.as_slice(), &[0]].concat());
        }
        if low >= high {
            return Ok(Documents::default());
        }
        self.read("read search documents", Documents::default, |transaction| {
            let table = transaction.open_table(DOCUMENTS)?;
            let Documents { mut found, mut unreadable } = Documents::default();
            for next in table.range(low.as_slice()..high.as_slice())? {
                if found.len() == limit {
                    break;
                }
                let (bytes, value) = next?;
                let document = decode_document(bytes.value(), value.value()).ok();
                match key_within(namespace, bytes.value()).zip(document) {
                    Some(pair) => found.push(pair),
                    None => unreadable += 1,
                }
            }
            add(&self.counts.corrupt, unreadable);
            Ok(Documents { found, unreadable })
        })
    }

    pub(super) fn read_documents_of(&self, keys: &[Key]) -> memory_core::Result<Documents> {
        let encoded = keys.iter().map(key_bytes).collect::<memory_core::Result<Vec<_>>>()?;
        let none = || Documents { found: Vec::new(), unreadable: keys.len() as u64 };
        self.read("read search documents", none, |transaction| {
            let table = transaction.open_table(DOCUMENTS)?;
            let Documents { mut found, mut unreadable } = Documents::default();
            for (key, bytes) in keys.iter().zip(&encoded) {
                let Some(value) = table.get(bytes.as_slice())? else { continue };
                match decode_document(bytes, value.value()) {
                    Ok(document) => found.push((key.clone(), document)),
                    Err(_) => unreadable += 1,
                }
            }
            add(&self.counts.corrupt, unreadable);
            Ok(Documents { found, unreadable })
        })
    }

    pub(super) fn read_cursor(&self) -> memory_core::Result<Cursor> {
        self.read("read cursor", Cursor::default, |transaction| {
            let Some(stored) = transaction.open_table(META)?.get(META_CURSOR)? else {
                return Ok(Cursor::default());
            };
            Ok(match decode_meta::<(String, u64, Option<u64>)>(META_CURSOR, stored.value()) {
                Ok((database, seq, token)) => Cursor { database, seq, token },
                Err(_) => {
                    add(&self.counts.corrupt, 1);
                    Cursor::default()
                }
            })
        })
    }

    pub(super) fn count_records(&self) -> memory_core::Result<u64> {
        self.read("count cache", || 0, |transaction| Ok(transaction.open_table(RECORDS)?.len()?))
    }
}

fn id_of(key: &[u8], prefix: usize) -> Option<&str> {
    std::str::from_utf8(key.get(prefix..)?).ok()
}
