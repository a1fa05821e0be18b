//! Many clients and sustained load, bounded in count.

use std::sync::Arc;
use std::time::Instant;

use agent_memory::{Action, EpisodeQuery, Memory, Outcome};
use memory_test_support::{FaultProxy, Mode, Sqld, SqldOptions};

use crate::common::{PATIENCE, eventually, record_one, remote};

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_clients_at_once() {
    let sqld = Sqld::start(SqldOptions::new());
    let folder = tempfile::tempdir().unwrap();
    let memory = remote(folder.path(), &sqld.url()).open().await.unwrap();
    let clients: Vec<_> = (0..100)
        .map(|client| {
            let memory = memory.clone();
            tokio::spawn(async move {
                for i in 0..3 {
                    let done = record_one(&memory, &format!("client {client} task {i}")).await;
                    assert!(memory.get(done.id).await.unwrap().unwrap().is_completed());
                    assert_eq!(memory.steps(done.id).await.unwrap().len(), 2);
                }
            })
        })
        .collect();
    for client in clients {
        client.await.unwrap();
    }
    memory.flush(PATIENCE).await.unwrap();
    assert_eq!(sqld.scalar("SELECT count(*) FROM episodes WHERE status = 'completed'"), 300);
    assert_eq!(sqld.scalar("SELECT count(*) FROM steps"), 600);
}

/// Sustains writing while the drain runs beside it; the rate is printed, not asserted.
#[tokio::test(flavor = "multi_thread")]
async fn thousands_of_episodes_while_syncing() {
    const CLIENTS: usize = 50;
    const EACH: usize = 60;
    let sqld = Sqld::start(SqldOptions::new());
    let folder = tempfile::tempdir().unwrap();
    let memory = remote(folder.path(), &sqld.url()).open().await.unwrap();
    let started = Instant::now();
    let clients: Vec<_> = (0..CLIENTS)
        .map(|client| {
            let memory = memory.clone();
            tokio::spawn(async move {
                for i in 0..EACH {
                    let episode = memory.start(format!("client {client} episode {i}")).await.unwrap();
                    episode.complete(Outcome::success("done")).await.unwrap();
                }
            })
        })
        .collect();
    for client in clients {
        client.await.unwrap();
    }
    let recorded = started.elapsed();
    let waiting = memory.status().await.engine.outbox.unwrap().rows;
    memory.flush(PATIENCE).await.unwrap();
    let total = CLIENTS * EACH;
    println!(
        "{total} episodes recorded at {:.0}/s, {waiting} rows waiting then, all on the server after {:.1} s",
        total as f64 / recorded.as_secs_f64(),
        started.elapsed().as_secs_f64()
    );
    assert_eq!(sqld.scalar("SELECT count(*) FROM episodes WHERE status = 'completed'"), total);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_pool_is_bounded_and_recovers() {
    let sqld = Sqld::start(SqldOptions::new());
    let proxy = FaultProxy::start(sqld.addr());
    let folder = tempfile::tempdir().unwrap();
    let memory = remote(folder.path(), &proxy.url()).pool_size(3).open().await.unwrap();
    let done = record_one(&memory, "one").await;
    memory.flush(PATIENCE).await.unwrap();
    let memory = Arc::new(memory);
    let storm = async |memory: Arc<Memory>| {
        let readers: Vec<_> = (0..60)
            .map(|i| {
                let memory = memory.clone();
                tokio::spawn(async move {
                    let query = EpisodeQuery::default().correlation_id(format!("none {i}"));
                    memory.list(&query).await.map(|page| page.episodes.len())
                })
            })
            .collect();
        for reader in readers {
            assert_eq!(reader.await.unwrap().unwrap(), 0);
        }
    };
    storm(memory.clone()).await;
    let settled = sqld.connections();
    proxy.set_mode(Mode::Hang);
    storm(memory.clone()).await;
    proxy.set_mode(Mode::Pass);
    eventually("the pool recovers", async || memory.sync(PATIENCE).await.is_ok()).await;
    for _ in 0..3 {
        storm(memory.clone()).await;
    }
    assert!(sqld.connections() <= settled.max(3) + 1, "{} after {settled}", sqld.connections());
    assert_eq!(memory.steps(done.id).await.unwrap().len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_outbox_is_an_error_with_the_figures_and_loses_nothing() {
    let sqld = Sqld::start(SqldOptions::new());
    let folder = tempfile::tempdir().unwrap();
    let memory =
        remote(folder.path(), &sqld.url()).outbox_rows(50).outbox_bytes(1 << 20).open().await.unwrap();
    memory.flush(PATIENCE).await.unwrap();
    sqld.kill();
    let mut episode = memory.start("long outage").await.unwrap();
    let mut logged = 0;
    let error = loop {
        match episode.step(Action::tool("t")).await {
            Ok(number) => {
                logged += 1;
                assert_eq!(number, logged);
            }
            Err(error) => break error,
        }
    };
    assert_eq!(error.kind(), agent_memory::ErrorKind::QuotaExceeded);
    let violation = error.violation().unwrap();
    assert_eq!((violation.field.as_str(), violation.limit, violation.found), ("outbox.rows", 50, 51));
    assert_eq!(logged, 49, "the head and 49 steps fit");
    sqld.restart();
    memory.flush(PATIENCE).await.unwrap();
    assert_eq!(episode.step(Action::tool("t")).await.unwrap(), 50, "and it goes on, without a gap");
    memory.flush(PATIENCE).await.unwrap();
    assert_eq!(sqld.scalar("SELECT count(*) FROM steps"), 50);
}
