//! Connections: streams that expire, servers that restart, calls that are cancelled.

use std::sync::Arc;
use std::time::Duration;

use hyper::client::HttpConnector;
use memory_core::Store;
use memory_storage_turso::RemoteOptions;
use memory_test_support::{FaultProxy, Mode, Sqld, SqldOptions};
use tokio::time::{sleep, timeout};

use crate::fixtures::{connect, connect_with, live};

/// After a query and 10 s of silence the server has forgotten the stream, and every call on it would fail.
#[tokio::test]
async fn an_expired_stream_does_not_surface() {
    let sqld = Sqld::start(SqldOptions::new());
    let store = connect_with(RemoteOptions::new(sqld.url()).pool_size(1));
    store.commit(&[live("a")]).await.unwrap();
    let builder = libsql::Builder::new_remote(sqld.url(), String::new());
    let bare = builder.connector(HttpConnector::new()).build().await.unwrap().connect().unwrap();
    for _ in 0..2 {
        assert!(store.get(&[live("a").key]).await.unwrap()[0].is_some());
        drop(bare.query("SELECT 1", ()).await.expect("the bare client's stream is new"));
        sleep(Duration::from_secs(11)).await;
        let error = bare.query("SELECT 1", ()).await.expect_err("the bare client's stream has expired");
        assert!(error.to_string().contains("STREAM_EXPIRED"), "{error}");
        bare.reset().await;
    }
    store.commit(&[live("b")]).await.expect("a write after silence");
    assert!(store.get(&[live("b").key]).await.expect("a read after silence")[0].is_some());
}

/// The server loses its streams with a restart, long before they are too old for the pool.
#[tokio::test]
async fn a_restart_of_the_server_does_not_surface() {
    let sqld = Sqld::start(SqldOptions::new());
    let store = connect_with(RemoteOptions::new(sqld.url()).pool_size(1));
    store.commit(&[live("a")]).await.unwrap();
    for _ in 0..2 {
        assert!(store.get(&[live("a").key]).await.expect("a read after a restart")[0].is_some());
        sqld.restart();
    }
    store.commit(&[live("b")]).await.expect("a write after a restart");
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_level_off_under_cancelled_calls() {
    const POOL: usize = 3;
    let sqld = Sqld::start(SqldOptions::new());
    let proxy = FaultProxy::start(sqld.addr());
    let store = Arc::new(connect_with(RemoteOptions::new(proxy.url()).pool_size(POOL)));
    store.commit(&[live("a")]).await.unwrap();
    proxy.set_mode(Mode::Slow(Duration::from_millis(20)));
    for round in 0..5 {
        let calls: Vec<_> = (0..40_u64)
            .map(|i| {
                let store = store.clone();
                tokio::spawn(async move {
                    let patience = Duration::from_millis(5 + 7 * (i % 12));
                    timeout(patience, store.get(&[live("a").key])).await.is_ok()
                })
            })
            .collect();
        let mut cancelled = 0;
        for call in calls {
            cancelled += usize::from(!call.await.unwrap());
        }
        assert!(cancelled > 0, "round {round}: the test cancels calls");
    }
    proxy.set_mode(Mode::Pass);
    let calls: Vec<_> = (0..50)
        .map(|_| {
            let store = store.clone();
            tokio::spawn(async move { store.get(&[live("a").key]).await })
        })
        .collect();
    for call in calls {
        assert!(call.await.unwrap().expect("every permit came back")[0].is_some());
    }
    // The client closes its socket after a query, so queries show no leak by the sockets they make, but by those left.
    let mut open = sqld.connections();
    for _ in 0..100 {
        if open <= POOL {
            break;
        }
        sleep(Duration::from_millis(100)).await;
        open = sqld.connections();
    }
    assert!(open <= POOL, "{open} sockets are left for a pool of {POOL}");
    let before = proxy.connections();
    for i in 0..100 {
        store.commit(&[live(&format!("{i}"))]).await.unwrap();
    }
    let made = proxy.connections() - before;
    assert!(made <= POOL as u64, "{made} new sockets for 100 commits");
}

#[tokio::test(flavor = "multi_thread")]
async fn many_stores_migrate_at_once() {
    let sqld = Sqld::start(SqldOptions::new());
    let stores: Vec<_> = (0..6)
        .map(|i| {
            let store = connect(&sqld.url());
            tokio::spawn(async move { store.commit(&[live(&format!("{i}"))]).await })
        })
        .collect();
    for store in stores {
        let outcome = store.await.unwrap();
        // The server may ask a writer to come back; that is all that may happen.
        if let Err(error) = outcome {
            assert!(error.is_transient(), "{error:?}");
        }
    }
    connect(&sqld.url()).health().await.unwrap();
    assert_eq!(sqld.scalar("SELECT count(*) FROM agent_memory_feed"), 1);
}
