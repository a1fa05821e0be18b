//! Tests of an engine whose cache fails.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;

use crate::clock::{SystemClock, Timestamp};
use crate::engine::key_index::KeyIndex;
use crate::engine::{Engine, EngineConfig};
use crate::error::{Error, ErrorKind, Result};
use crate::id::{EpisodeId, SeededIds, lock};
use crate::model::episode::Episode;
use crate::model::kind::Kind;
use crate::store::memory_store::MemoryStore;
use crate::store::query::{Page, Scan};
use crate::store::record::{Key, Namespace, Record};
use crate::store::traits::{
    Cache, CacheUsage, CachedRecord, Cursor, Documents, IndexSnapshot, Purged, Store, StoredDocument, Tiers,
};

/// A cache in memory that can be made to fail.
#[derive(Debug, Default)]
pub(super) struct Broken {
    pub(super) store: MemoryStore,
    /// Search documents cannot be stored.
    pub(super) refuses_documents: AtomicBool,
    /// The next search documents that are read are damaged, and everything is lost.
    pub(super) breaks_on_reading: AtomicBool,
    /// The next records that are written panic.
    pub(super) panics_on_writing: AtomicBool,
}

#[async_trait]
impl Store for Broken {
    async fn commit(&self, records: &[Record]) -> Result<()> {
        assert!(!self.panics_on_writing.swap(false, Ordering::Relaxed), "scripted panic");
        self.store.commit(records).await
    }
    async fn get(&self, keys: &[Key]) -> Result<Vec<Option<Record>>> {
        self.store.get(keys).await
    }
    async fn scan(&self, scan: &Scan) -> Result<Page> {
        self.store.scan(scan).await
    }
    async fn delete_expired(&self, now: Timestamp) -> Result<Purged> {
        self.store.delete_expired(now).await
    }
    async fn health(&self) -> Result<()> {
        self.store.health().await
    }
}

#[async_trait]
impl Cache for Broken {
    async fn lookup(&self, keys: &[Key]) -> Result<Vec<Option<CachedRecord>>> {
        self.store.lookup(keys).await
    }
    async fn remove(&self, keys: &[Key]) -> Result<()> {
        self.store.remove(keys).await
    }
    async fn cursor(&self) -> Result<Cursor> {
        self.store.cursor().await
    }
    async fn set_cursor(&self, cursor: &Cursor) -> Result<()> {
        self.store.set_cursor(cursor).await
    }
    async fn evict(&self) -> Result<u64> {
        self.store.evict().await
    }
    async fn usage(&self) -> Result<CacheUsage> {
        self.store.usage().await
    }
    async fn put_documents(&self, documents: &[(Key, Option<StoredDocument>)]) -> Result<()> {
        if self.refuses_documents.load(Ordering::Relaxed) {
            return Err(Error::new(ErrorKind::Io, "write search documents", "the disk is full"));
        }
        self.store.put_documents(documents).await
    }
    async fn documents(&self, space: &Namespace, after: Option<&Key>, limit: usize) -> Result<Documents> {
        if self.breaks_on_reading.swap(false, Ordering::Relaxed) {
            self.store.clear().await?;
        }
        self.store.documents(space, after, limit).await
    }
    async fn documents_of(&self, keys: &[Key]) -> Result<Documents> {
        self.store.documents_of(keys).await
    }
    async fn put_snapshot(&self, space: &Namespace, snapshot: &[u8]) -> Result<()> {
        self.store.put_snapshot(space, snapshot).await
    }
    async fn put_state(&self, space: &Namespace, name: &str, bytes: Option<&[u8]>) -> Result<()> {
        self.store.put_state(space, name, bytes).await
    }
    async fn state(&self, space: &Namespace, name: &str) -> Result<Option<Vec<u8>>> {
        self.store.state(space, name).await
    }
    async fn snapshot(&self, space: &Namespace) -> Result<Option<IndexSnapshot>> {
        self.store.snapshot(space).await
    }
    async fn clear(&self) -> Result<()> {
        self.store.clear().await
    }
    async fn persist(&self) -> Result<()> {
        self.store.persist().await
    }
}

async fn open(durable: &Arc<MemoryStore>, cache: &Arc<Broken>) -> Engine {
    let tiers = Tiers {
        durable: durable.clone(),
        cache: cache.clone(),
        outbox: None,
        contacts: None,
        warnings: Vec::new(),
    };
    let clock = Arc::new(SystemClock::new());
    let (index, ids) = (Arc::new(KeyIndex::default()), Arc::new(SeededIds::new(1)));
    Engine::open(Namespace::default(), EngineConfig::default(), tiers, index, clock, ids).await.unwrap()
}

fn indexed(engine: &Engine) -> usize {
    engine.shared.index.count(&Namespace::default(), Kind::Episode)
}

async fn record(engine: &Engine, id: u128) {
    let id = EpisodeId(uuid::Uuid::from_u128(id));
    let episode = Episode::open(id, "compress the backups".into(), Timestamp(0));
    let key = Key::episode(&Namespace::default(), id);
    engine.commit(vec![engine.version(key, Some(episode.into()))]).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn starting_over_brings_back_what_the_instance_wrote_itself() {
    let (durable, cache) = (Arc::new(MemoryStore::new()), Arc::new(Broken::default()));
    let engine = open(&durable, &cache).await;
    record(&engine, 1).await;
    engine.pull().await.unwrap();
    record(&engine, 2).await;
    lock(&engine.shared.progress).damaged = true;
    engine.pull().await.unwrap();
    assert_eq!(indexed(&engine), 2);
    record(&engine, 3).await;
    engine.pull().await.unwrap();
    assert_eq!(indexed(&engine), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cache_that_breaks_while_it_is_read_is_filled_again() {
    let (durable, cache) = (Arc::new(MemoryStore::new()), Arc::new(Broken::default()));
    let engine = open(&durable, &cache).await;
    record(&engine, 1).await;
    engine.pull().await.unwrap();
    engine.shared.cache_writer.settle().await;
    assert_eq!(indexed(&engine), 1);
    assert_ne!(cache.cursor().await.unwrap(), Cursor::default());
    drop(engine);

    cache.breaks_on_reading.store(true, Ordering::Relaxed);
    let engine = open(&durable, &cache).await;
    assert_eq!(indexed(&engine), 1, "what the cache has lost comes from the durable tier");
    assert!(engine.warnings()[0].contains("made again"), "{:?}", engine.warnings());
    engine.shared.cache_writer.settle().await;
    assert_eq!(cache.documents(&Namespace::default(), None, 10).await.unwrap().found.len(), 1);
    assert_ne!(cache.cursor().await.unwrap(), Cursor::default(), "the next opening need not start over");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_panic_of_the_cache_costs_what_it_was_about_to_fill() {
    let (durable, cache) = (Arc::new(MemoryStore::new()), Arc::new(Broken::default()));
    let engine = open(&durable, &cache).await;
    cache.panics_on_writing.store(true, Ordering::Relaxed);
    record(&engine, 1).await;
    engine.shared.cache_writer.settle().await;
    record(&engine, 2).await;
    engine.shared.cache_writer.settle().await;
    let status = engine.status().await;
    assert_eq!((status.panics, status.cache_failures), (1, 1));
    assert!(status.cache_error.is_some_and(|error| error.contains("panicked: scripted panic")));
    let key = |id| Key::episode(&Namespace::default(), EpisodeId(uuid::Uuid::from_u128(id)));
    let held = cache.get(&[key(1), key(2)]).await.unwrap();
    assert_eq!(held.iter().map(Option::is_some).collect::<Vec<_>>(), [false, true], "the thread goes on");
    assert!(engine.shared.cache_writer.overlaid(&key(1)).is_none(), "nothing piles up beside the cache");
    assert!(engine.read(&key(1)).await.unwrap().record.is_some(), "the durable tier has it");
}
