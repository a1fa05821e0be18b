use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;
use crate::clock::ManualClock;
use crate::engine::EngineConfig;
use crate::engine::key_index::KeyIndex;
use crate::id::SeededIds;
use crate::model::kind::Kind;
use crate::store::decorate::faulty::{Fault, Faulty};
use crate::store::decorate::{Layer, Layered, Operation};
use crate::store::fixtures::{episode, record};
use crate::store::memory_store::MemoryStore;
use crate::store::record::Namespace;
use crate::store::traits::{Durable, Store, Tiers};

#[tokio::test]
async fn many_are_read_in_order_with_one_request() {
    let (server, faults) = (Arc::new(MemoryStore::new()), Faulty::new());
    let clock = Arc::new(ManualClock::new(Timestamp(1_000_000)));
    let layered = Layered::new(faults.clone(), server.clone());
    let (engine, space) = open_engine(Arc::new(layered), clock.clone()).await.unwrap();

    let version = |id: &str, clock: u64| record(&space, id, clock, Some(episode(clock)));
    let expiring = Record { expires_at: Some(Timestamp(1_000_001)), ..version("gone", 4) };
    engine.commit(vec![version("own", 1)]).await.unwrap();
    server.commit(&[version("b", 2), version("a", 3), expiring]).await.unwrap();
    clock.advance(std::time::Duration::from_millis(5));
    let keys = ["a", "none", "own", "gone", "b", "a"].map(|id| Key::new(&space, Kind::Episode, id));
    let before = faults.calls();
    let found = engine.read_many(&keys).await.unwrap();
    let found: Vec<Option<u64>> =
        found.iter().map(|record| record.as_ref().map(|record| record.revision.clock)).collect();
    assert_eq!(found, [Some(3), None, Some(1), None, Some(2), Some(3)]);
    assert_eq!(faults.calls() - before, 1);

    // Cached records need no tier; others are an error.
    faults.always(Some(Fault::Refuse(ErrorKind::Unavailable)));
    let own = engine.read_many(&keys[2..3]).await.unwrap();
    assert_eq!(own[0].as_ref().map(|record| record.revision.clock), Some(1));
    assert_eq!(engine.read_many(&keys).await.unwrap_err().kind(), ErrorKind::Unavailable);
}

#[tokio::test]
async fn each_of_some_is_read_with_one_request_for_all() {
    let (server, faults) = (Arc::new(MemoryStore::new()), Faulty::new());
    let clock = Arc::new(ManualClock::new(Timestamp(1_000_000)));
    let layered = Layered::new(faults.clone(), server.clone());
    let (engine, space) = open_engine(Arc::new(layered), clock.clone()).await.unwrap();
    let ttl = EngineConfig::default().ttl;

    let version = |id: &str, clock: u64| record(&space, id, clock, Some(episode(clock)));
    engine.commit(vec![version("own", 1)]).await.unwrap();
    server.commit(&[version("b", 2), version("a", 3)]).await.unwrap();
    let keys = ["a", "none", "own", "b", "a"].map(|id| Key::new(&space, Kind::Episode, id));
    let told = |reads: Vec<Result<Read>>| -> Vec<Option<(Option<u64>, bool)>> {
        let told = |read: Result<Read>| {
            let Read { record, freshness } = read.ok()?;
            Some((record.map(|record| record.revision.clock), freshness == Freshness::Fresh))
        };
        reads.into_iter().map(told).collect()
    };
    let fresh = |clock: u64| Some((Some(clock), true));
    let expected = [fresh(3), Some((None, true)), fresh(1), fresh(2), fresh(3)];
    let before = faults.calls();
    assert_eq!(told(engine.read_each(&keys).await.unwrap()), expected);
    assert_eq!(faults.calls() - before, 1);
    assert_eq!(told(engine.read_each(&keys).await.unwrap()), expected);
    assert_eq!(faults.calls() - before, 1, "all of it is at hand now");
    let many: Vec<Key> = (0..=TOGETHER).map(|n| Key::new(&space, Kind::Episode, format!("{n}"))).collect();
    engine.read_each(&many).await.unwrap();
    assert_eq!(faults.calls() - before, 3, "more than go together");

    // While the durable tier is away each is its last known version; one that was never known is an error.
    engine.shared.cache_writer.settle().await;
    clock.advance(ttl * 2);
    faults.always(Some(Fault::Refuse(ErrorKind::Unavailable)));
    let keys = ["a", "never", "own"].map(|id| Key::new(&space, Kind::Episode, id));
    let stale = |clock: u64| Some((Some(clock), false));
    let found = told(engine.read_each(&keys).await.unwrap());
    assert_eq!(found, [stale(3), None, stale(1)]);
}

#[tokio::test]
async fn one_damaged_record_does_not_fail_those_asked_for_with_it() {
    let (server, faults) = (Arc::new(MemoryStore::new()), Faulty::new());
    let layered = Layered::new(faults.clone(), server.clone());
    let clock = Arc::new(ManualClock::new(Timestamp(1_000_000)));
    let (engine, space) = open_engine(Arc::new(layered), clock).await.unwrap();
    server.commit(&[record(&space, "good", 1, Some(episode(1)))]).await.unwrap();
    let keys = ["bad", "good"].map(|id| Key::new(&space, Kind::Episode, id));
    // The two together, then the first alone.
    faults.then(Some(Operation::Get), Fault::Refuse(ErrorKind::Corrupt));
    faults.then(Some(Operation::Get), Fault::Refuse(ErrorKind::Corrupt));
    let mut reads = engine.read_each(&keys).await.unwrap().into_iter();
    let error = reads.next().unwrap().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupt);
    assert!(error.to_string().contains("bad"), "{error}");
    assert!(reads.next().unwrap().unwrap().record.is_some());
}

/// Blocks reads by key until it is opened, and counts them.
#[derive(Clone)]
struct Gate(Arc<(tokio::sync::Semaphore, AtomicUsize)>);

impl Layer for Gate {
    async fn around<'a, T, F, Fut>(&'a self, operation: Operation, call: F) -> Result<T>
    where
        T: Send + 'a,
        F: Fn() -> Fut + Send + Sync + 'a,
        Fut: Future<Output = Result<T>> + Send + 'a,
    {
        if operation == Operation::Get {
            self.0.1.fetch_add(1, Ordering::Relaxed);
            let closed = |source| Error::new(ErrorKind::Unavailable, "get", "closed").with_source(source);
            self.0.0.acquire().await.map_err(closed)?.forget();
        }
        call().await
    }
}

/// Opens an engine that gets nothing from the change feed.
async fn open_engine(durable: Arc<dyn Durable>, clock: Arc<ManualClock>) -> Result<(Arc<Engine>, Namespace)> {
    let tiers = Tiers {
        durable,
        cache: Arc::new(MemoryStore::new()),
        outbox: None,
        contacts: None,
        warnings: Vec::new(),
    };
    let config = EngineConfig {
        poll_interval: Some(std::time::Duration::from_secs(3_600)),
        attempts: 1,
        ..EngineConfig::default()
    };
    let space = Namespace::default();
    let ids = Arc::new(SeededIds::new(3));
    let engine =
        Engine::open(space.clone(), config, tiers, Arc::new(KeyIndex::default()), clock, ids).await?;
    Ok((Arc::new(engine), space))
}

#[tokio::test]
async fn who_asks_for_the_same_in_another_order_waits_for_the_other_and_leads_if_that_is_cancelled() {
    let server = Arc::new(MemoryStore::new());
    let gate = Gate(Arc::new((tokio::sync::Semaphore::new(0), AtomicUsize::new(0))));
    let layered = Layered::new(gate.clone(), server.clone());
    let clock = Arc::new(ManualClock::new(Timestamp(1_000_000)));
    let (engine, space) = open_engine(Arc::new(layered), clock).await.unwrap();
    let records = ["a", "b", "c", "d", "e"].map(|id| record(&space, id, 1, Some(episode(1))));
    server.commit(&records).await.unwrap();
    let ask = |ids: &[&str]| {
        let engine = engine.clone();
        let keys: Vec<Key> = ids.iter().map(|id| Key::new(&space, Kind::Episode, *id)).collect();
        tokio::spawn(async move {
            let reads = engine.read_each(&keys).await.unwrap();
            reads.into_iter().filter(|read| read.as_ref().is_ok_and(|read| read.record.is_some())).count()
        })
    };
    let asked = |count: usize| {
        let gate = gate.clone();
        async move {
            while gate.0.1.load(Ordering::Relaxed) < count {
                tokio::task::yield_now().await;
            }
        }
    };
    let one = ask(&["a", "b"]);
    asked(1).await;
    let other = ask(&["b", "c", "a"]);
    asked(2).await;
    gate.0.0.add_permits(2);
    assert_eq!((one.await.unwrap(), other.await.unwrap()), (2, 3));
    assert_eq!(gate.0.1.load(Ordering::Relaxed), 2, "what the one asks for the other does not");

    let cancelled = ask(&["d", "e"]);
    asked(3).await;
    let follower = ask(&["e", "d"]);
    tokio::task::yield_now().await;
    cancelled.abort();
    asked(4).await;
    gate.0.0.add_permits(2);
    assert_eq!(follower.await.unwrap(), 2);
}

#[tokio::test]
async fn while_the_durable_tier_is_away_many_are_what_was_known_last() {
    let (server, faults) = (Arc::new(MemoryStore::new()), Faulty::new());
    let clock = Arc::new(ManualClock::new(Timestamp(1_000_000)));
    let layered = Layered::new(faults.clone(), server);
    let (engine, space) = open_engine(Arc::new(layered), clock.clone()).await.unwrap();
    let ttl = EngineConfig::default().ttl;
    engine.commit(vec![record(&space, "known", 1, Some(episode(1)))]).await.unwrap();
    engine.shared.cache_writer.settle().await;
    clock.advance(ttl * 2);
    faults.always(Some(Fault::Refuse(ErrorKind::Unavailable)));
    let known = [Key::new(&space, Kind::Episode, "known")];
    let found = engine.read_many(&known).await.unwrap();
    assert_eq!(found[0].as_ref().map(|record| record.revision.clock), Some(1));
    let unknown = [known[0].clone(), Key::new(&space, Kind::Episode, "unknown")];
    assert_eq!(engine.read_many(&unknown).await.unwrap_err().kind(), ErrorKind::Unavailable);
}
