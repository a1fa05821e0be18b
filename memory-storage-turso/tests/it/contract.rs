//! The conformance suite on both stores.

use std::sync::Arc;

use async_trait::async_trait;
use memory_core::ChangesQuery;
use memory_core::conformance::{Factory, Opened, check_durable, check_persistence, check_store};
use memory_storage_turso::{RemoteOptions, RemoteStore};
use memory_test_support::{Sqld, SqldOptions};
use tempfile::TempDir;

use crate::fixtures::{live, open, since};

struct Local(TempDir);

#[async_trait]
impl Factory for Local {
    async fn open(&self, case: &str) -> Opened {
        Opened::Durable(Arc::new(open(&self.0.path().join(format!("{case}.db")))))
    }
}

struct Remote(Sqld);

#[async_trait]
impl Factory for Remote {
    async fn open(&self, _case: &str) -> Opened {
        let store = RemoteStore::connect(RemoteOptions::new(self.0.url())).expect("the URL is valid");
        Opened::Durable(Arc::new(store))
    }
}

fn local() -> Local {
    Local(tempfile::tempdir().expect("a temporary folder"))
}

fn remote() -> Remote {
    Remote(Sqld::start(SqldOptions::new()))
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

#[tokio::test(flavor = "multi_thread")]
async fn remote_store() {
    check_store(&remote()).await;
}

#[tokio::test]
async fn remote_durable() {
    check_durable(&remote()).await;
}

#[tokio::test]
async fn remote_persistence() {
    check_persistence(&remote()).await;
}

#[tokio::test]
async fn the_feed_of_nothing_is_empty() {
    let (local, remote) = (local(), remote());
    for factory in [&local as &dyn Factory, &remote] {
        let Opened::Durable(store) = factory.open("nothing").await else { panic!("a durable store") };
        store.commit(&[live("a")]).await.unwrap();
        let keys_only = ChangesQuery { bodies: Vec::new(), ..since(0) };
        let changes = store.changes(&keys_only).await.unwrap().changes;
        assert!(changes.len() == 1 && changes[0].record.is_none());
        let nobody = ChangesQuery { namespaces: Vec::new(), ..since(0) };
        let changes = store.changes(&nobody).await.unwrap();
        assert!(changes.changes.is_empty());
        assert_eq!(changes.next, changes.head);
    }
}
