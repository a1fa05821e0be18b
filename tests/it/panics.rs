//! A panic in background work: it costs what it met, is reported, and the task begins again.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use memory_core::{Engine, Fault, Faulty, Freshness, MemoryStore, Operation, Outbox, Store as _};

use crate::common::{PATIENCE, eventually};
use crate::engine::{BadDisk, Bench, key, version};

async fn panics(engine: &Engine) -> u64 {
    engine.status().await.panics
}

async fn last_error(engine: &Engine) -> String {
    engine.status().await.sync.last_error.unwrap_or_default()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_puller_begins_again_and_reads_are_stale_until_then() {
    let folder = tempfile::tempdir().unwrap();
    let poll = |config: &mut memory_core::EngineConfig| {
        config.poll_interval = Some(Duration::from_millis(20));
    };
    let bench = Bench::open(folder.path(), poll).await;
    let engine = &bench.engine;
    eventually("it has caught up", || async { engine.index_freshness() == Freshness::Fresh }).await;
    (0..3).for_each(|_| bench.faults.then(Some(Operation::Changes), Fault::Panic));
    eventually("it has panicked", || async { panics(engine).await >= 1 }).await;
    if panics(engine).await < 3 {
        assert!(matches!(engine.index_freshness(), Freshness::Stale { .. }));
        assert!(last_error(engine).await.contains("pull the change feed"));
    }
    bench.server.commit(&[version("theirs", 5)]).await.unwrap();
    eventually("it pulls again", || async {
        engine.index_freshness() == Freshness::Fresh && last_error(engine).await.is_empty()
    })
    .await;
    assert_eq!(panics(engine).await, 3);
    assert!(engine.read(&key("theirs")).await.unwrap().record.is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_puller_that_stays_away_leaves_reads_stale() {
    let folder = tempfile::tempdir().unwrap();
    let poll = |config: &mut memory_core::EngineConfig| {
        config.poll_interval = Some(Duration::from_millis(20));
    };
    let bench = Bench::open(folder.path(), poll).await;
    (0..1_000).for_each(|_| bench.faults.then(Some(Operation::Changes), Fault::Panic));
    eventually("it has panicked twice", || async { panics(&bench.engine).await >= 2 }).await;
    assert!(matches!(bench.engine.index_freshness(), Freshness::Stale { .. }));
    let error = last_error(&bench.engine).await;
    assert!(error.contains("panicked: scripted panic in Changes"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn sending_begins_again_and_loses_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let bench = Bench::open(folder.path(), |_| {}).await;
    bench.faults.then(Some(Operation::Commit), Fault::Panic);
    for number in 0..20 {
        bench.engine.commit(vec![version(&format!("k{number}"), 1)]).await.unwrap();
    }
    bench.engine.flush(PATIENCE).await.unwrap();
    assert_eq!(panics(&bench.engine).await, 1);
    let keys: Vec<_> = (0..20).map(|number| key(&format!("k{number}"))).collect();
    assert!(bench.server.get(&keys).await.unwrap().iter().all(Option::is_some));
    eventually("it is well again", || async { last_error(&bench.engine).await.is_empty() }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn upkeep_begins_again() {
    let folder = tempfile::tempdir().unwrap();
    let often = |config: &mut memory_core::EngineConfig| {
        config.upkeep_interval = Duration::from_millis(20);
        config.purge_interval = Duration::ZERO;
    };
    let bench = Bench::open(folder.path(), often).await;
    bench.faults.then(Some(Operation::DeleteExpired), Fault::Panic);
    eventually("it has panicked", || async { panics(&bench.engine).await == 1 }).await;
    let calls = bench.faults.calls();
    eventually("it goes on", || async {
        bench.faults.calls() > calls + 1 && last_error(&bench.engine).await.is_empty()
    })
    .await;
    assert_eq!(panics(&bench.engine).await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_panic_in_a_commit_is_its_callers_error_and_nobody_elses() {
    let folder = tempfile::tempdir().unwrap();
    let mut disk = None;
    let tiers = (Arc::new(MemoryStore::new()), Faulty::new());
    let wrap = |inner: Arc<dyn Outbox>| -> Arc<dyn Outbox> {
        let bad = Arc::new(BadDisk::new(inner));
        disk = Some(bad.clone());
        bad
    };
    let bench = Bench::assemble(folder.path(), tiers, wrap, |_| {}).await;
    let disk = disk.unwrap();
    bench.engine.commit(vec![version("before", 1)]).await.unwrap();
    disk.panics.store(true, Ordering::Release);
    let error = bench.engine.commit(vec![version("met", 1)]).await.unwrap_err();
    assert!(error.to_string().contains("panicked: scripted panic in append"), "{error}");
    assert_eq!(panics(&bench.engine).await, 1);
    // Of many at once only what panics again fails.
    disk.panics.store(true, Ordering::Release);
    let writers = (0..20).map(|number| {
        let engine = bench.engine.clone();
        tokio::spawn(async move { engine.commit(vec![version(&format!("k{number}"), 1)]).await })
    });
    let mut failed = 0;
    for writer in writers.collect::<Vec<_>>() {
        failed += usize::from(writer.await.unwrap().is_err());
    }
    assert!(failed <= 1, "{failed} of 20 failed");
    bench.engine.flush(PATIENCE).await.unwrap();
    assert_eq!(panics(&bench.engine).await, 2);
    assert!(bench.server.get(&[key("before")]).await.unwrap()[0].is_some());
}
