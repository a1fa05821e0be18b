//! The conformance suite against the assembled engine, in local and in remote mode.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use memory_core::conformance::{self, Factory, Opened};
use memory_core::{
    Ack, Durable, Engine, EngineConfig, KeyIndex, ManualClock, Namespace, Orphans, Outbox, SeededIds, Tiers,
    Timestamp,
};
use memory_storage_redb::{CacheOptions, OrphanFolders, OutboxOptions, RedbCache, RedbOutbox, Slots};
use memory_storage_turso::{LocalOptions, LocalStore};

/// Assembles engines over real tiers, each case in its own folder.
struct Assembled {
    root: PathBuf,
    remote: bool,
}

#[async_trait]
impl Factory for Assembled {
    async fn open(&self, case: &str) -> Opened {
        let folder = self.root.join(case);
        std::fs::create_dir_all(&folder).unwrap();
        let durable: Arc<dyn Durable> =
            Arc::new(LocalStore::open(&folder.join("memory.db"), LocalOptions::new()).unwrap());
        let slot = Slots::claim(folder.join("slots")).unwrap();
        // The clock stands at the moment at which the suite purges.
        let clock = Arc::new(ManualClock::new(Timestamp(1_000)));
        let cache =
            RedbCache::open(slot.path().join("cache.redb"), CacheOptions::default().clock(clock.clone()));
        let outbox = self.remote.then(|| {
            let path = slot.path().join("outbox.redb");
            let outbox: Arc<dyn Outbox> = Arc::new(RedbOutbox::open(path, OutboxOptions::default()).unwrap());
            let orphans: Arc<dyn Orphans> = Arc::new(OrphanFolders::new(folder.join("slots"), &slot));
            (outbox, orphans)
        });
        let mut config = EngineConfig::default();
        config.upkeep_interval = Duration::from_secs(3_600);
        config.ack = if case.len().is_multiple_of(2) { Ack::Local } else { Ack::Durable };
        let tiers =
            Tiers { durable, cache: Arc::new(cache.unwrap()), outbox, contacts: None, warnings: Vec::new() };
        let namespace = Namespace::new(case).unwrap();
        let index = Arc::new(KeyIndex::default());
        let engine =
            Engine::open(namespace, config, tiers, index, clock, Arc::new(SeededIds::new(1))).await.unwrap();
        // The slot's lock is freed here: a case opens one engine at a time.
        Opened::Store(Arc::new(engine))
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn engine_in_local_mode() {
    let folder = tempfile::tempdir().unwrap();
    conformance::check_store(&Assembled { root: folder.path().into(), remote: false }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn engine_behind_an_outbox() {
    let folder = tempfile::tempdir().unwrap();
    conformance::check_store(&Assembled { root: folder.path().into(), remote: true }).await;
}
