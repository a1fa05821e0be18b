//! The storage traits, as the engine sees the cache.

use std::sync::atomic::Ordering;

use async_trait::async_trait;
use memory_core::{
    Cache, CacheUsage, CachedRecord, Cursor, Documents, IndexSnapshot, Key, Namespace, Page, Purged, Record,
    Result, Scan, Store, StoredDocument, Timestamp,
};

use super::RedbCache;

#[async_trait]
impl Store for RedbCache {
    async fn commit(&self, records: &[Record]) -> Result<()> {
        if records.is_empty() { Ok(()) } else { self.merge(records) }
    }

    async fn get(&self, keys: &[Key]) -> Result<Vec<Option<Record>>> {
        self.readable().await;
        let found = self.read_records("read cache", keys, false)?;
        Ok(found.into_iter().map(|found| found.map(|cached| cached.record)).collect())
    }

    async fn scan(&self, scan: &Scan) -> Result<Page> {
        self.readable().await;
        self.read_page(scan)
    }

    async fn delete_expired(&self, now: Timestamp) -> Result<Purged> {
        Ok(Purged { records: self.purge(now)?, until: now, disbelieved: None })
    }

    async fn health(&self) -> Result<()> {
        self.readable().await;
        self.count_records().map(drop)
    }
}

#[async_trait]
impl Cache for RedbCache {
    async fn lookup(&self, keys: &[Key]) -> Result<Vec<Option<CachedRecord>>> {
        self.readable().await;
        self.read_records("look up", keys, true)
    }

    async fn remove(&self, keys: &[Key]) -> Result<()> {
        if keys.is_empty() { Ok(()) } else { self.forget(keys) }
    }

    async fn cursor(&self) -> Result<Cursor> {
        self.readable().await;
        self.read_cursor()
    }

    async fn set_cursor(&self, cursor: &Cursor) -> Result<()> {
        self.write_cursor(cursor)
    }

    async fn evict(&self) -> Result<u64> {
        self.evict_in_background()
    }

    async fn usage(&self) -> Result<CacheUsage> {
        self.readable().await;
        Ok(CacheUsage {
            records: self.count_records()?,
            bytes: self.size.bytes(),
            limit_bytes: self.limit_bytes(),
            hits: self.counts.hits.load(Ordering::Relaxed),
            misses: self.counts.misses.load(Ordering::Relaxed),
            evicted: self.counts.evicted.load(Ordering::Relaxed),
            corrupt: self.counts.corrupt.load(Ordering::Relaxed),
        })
    }

    async fn put_documents(&self, documents: &[(Key, Option<StoredDocument>)]) -> Result<()> {
        if documents.is_empty() { Ok(()) } else { self.write_documents(documents) }
    }

    async fn documents(&self, namespace: &Namespace, after: Option<&Key>, limit: usize) -> Result<Documents> {
        self.readable().await;
        self.read_documents(namespace, after, limit)
    }

    async fn documents_of(&self, keys: &[Key]) -> Result<Documents> {
        self.readable().await;
        self.read_documents_of(keys)
    }

    async fn put_snapshot(&self, namespace: &Namespace, snapshot: &[u8]) -> Result<()> {
        self.write_snapshot(namespace, snapshot)
    }

    async fn snapshot(&self, namespace: &Namespace) -> Result<Option<IndexSnapshot>> {
        self.readable().await;
        self.read_snapshot(namespace)
    }

    async fn put_state(&self, namespace: &Namespace, name: &str, bytes: Option<&[u8]>) -> Result<()> {
        self.write_state(namespace, name, bytes)
    }

    async fn state(&self, namespace: &Namespace, name: &str) -> Result<Option<Vec<u8>>> {
        self.readable().await;
        self.read_state(namespace, name)
    }

    async fn clear(&self) -> Result<()> {
        self.wipe()
    }

    async fn persist(&self) -> Result<()> {
        self.sync()
    }
}
