//! The conformance suite.

use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use memory_core::conformance::{Factory, Opened, check_cache, check_outbox, check_persistence, check_store};
use memory_storage_redb::{CacheOptions, OutboxOptions, RedbCache, RedbOutbox};

struct Caches(tempfile::TempDir);

#[async_trait]
impl Factory for Caches {
    async fn open(&self, case: &str) -> Opened {
        let path = self.0.path().join(case).join("cache.redb");
        Opened::Cache(Arc::new(RedbCache::open(path, CacheOptions::default()).unwrap()))
    }
}

struct Outboxes {
    folder: tempfile::TempDir,
    options: OutboxOptions,
}

impl Outboxes {
    fn new(options: OutboxOptions) -> Self {
        Self { folder: tempfile::tempdir().unwrap(), options }
    }

    fn path(&self, case: &str) -> PathBuf {
        self.folder.path().join(case).join("outbox.redb")
    }
}

#[async_trait]
impl Factory for Outboxes {
    async fn open(&self, case: &str) -> Opened {
        Opened::Outbox(Arc::new(RedbOutbox::open(self.path(case), self.options).unwrap()))
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_cache_is_a_store() {
    check_store(&Caches(tempfile::tempdir().unwrap())).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_cache_persists() {
    check_persistence(&Caches(tempfile::tempdir().unwrap())).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_cache_is_a_cache() {
    check_cache(&Caches(tempfile::tempdir().unwrap())).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_outbox_is_an_outbox() {
    check_outbox(&Outboxes::new(OutboxOptions::default().limit_rows(2_000))).await;
    check_outbox(&Outboxes::new(OutboxOptions::default())).await;
}
