//! The conformance suite.

use std::sync::Arc;

use async_trait::async_trait;
use memory_core::conformance::{Factory, Opened, check_durable, check_persistence, check_store};
use memory_storage_turso::{LocalOptions, LocalStore};
use tempfile::TempDir;

struct LocalFactory {
    folder: TempDir,
}

#[async_trait]
impl Factory for LocalFactory {
    async fn open(&self, case: &str) -> Opened {
        let path = self.folder.path().join(format!("{case}.db"));
        Opened::Durable(Arc::new(LocalStore::open(&path, LocalOptions::new()).expect("the file opens")))
    }
}

fn local() -> LocalFactory {
    LocalFactory { folder: tempfile::tempdir().expect("a temporary folder") }
}

#[tokio::test(flavor = "multi_thread")]
async fn local_store() {
    check_store(&local()).await;
}

#[tokio::test]
async fn local_durable() {
    check_durable(&local()).await;
}

#[tokio::test]
async fn local_persistence() {
    check_persistence(&local()).await;
}
