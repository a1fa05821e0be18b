//! Tests of every store.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::clock::Timestamp;
use crate::error::ErrorKind;
use crate::id::{IdSource, SeededIds};
use crate::model::artifact::{Artifact, NewArtifact};
use crate::model::entity::{Entity, Scalar};
use crate::model::kind::Kind;
use crate::store::conformance::Factory;
use crate::store::fixtures::{HARD_TEXT, entities, episode, record, record_of};
use crate::store::query::{Order, Scan};
use crate::store::record::{Key, Namespace, Record, Revision, WriterId};
use crate::store::traits::Store;

/// Runs every case of [`Store`] that does not need content to survive reopening.
pub async fn check_store(factory: &dyn Factory) {
    absent(factory).await;
    every_kind_round_trips(factory).await;
    revisions_decide(factory).await;
    tombstones(factory).await;
    merge_is_order_free(factory).await;
    pages(factory).await;
    prefixes(factory).await;
    conditions(factory).await;
    namespaces(factory).await;
    expiry(factory).await;
    large(factory).await;
    concurrent(factory).await;
}

/// Checks that committed records survive closing and reopening.
pub async fn check_persistence(factory: &dyn Factory) {
    let (store, space) = open(factory, "persistence").await;
    let written: Vec<_> =
        (0..50).map(|i| record(&space, &format!("k{i:03}"), 10 + i, Some(episode(i)))).collect();
    commit(&store, &written).await;
    commit(&store, &[record(&space, "k007", 999, None)]).await;
    drop(store);
    let (store, _) = open(factory, "persistence").await;
    for record in &written {
        let found = get(&store, &record.key).await;
        if record.key.id.as_ref() == "k007" {
            assert!(found.is_some_and(|found| found.is_tombstone()), "the tombstone survives reopening");
        } else {
            assert_eq!(found.as_ref(), Some(record), "the record survives reopening");
        }
    }
}

async fn open(factory: &dyn Factory, case: &str) -> (Arc<dyn Store>, Namespace) {
    let store = factory.open(case).await.store();
    store.health().await.unwrap_or_else(|error| panic!("{case}: a fresh store is healthy: {error:?}"));
    (store, Namespace::new(case).unwrap_or_default())
}

async fn commit(store: &Arc<dyn Store>, records: &[Record]) {
    store.commit(records).await.unwrap_or_else(|error| panic!("commit works: {error:?}"));
}

async fn get(store: &Arc<dyn Store>, key: &Key) -> Option<Record> {
    let mut found = store
        .get(std::slice::from_ref(key))
        .await
        .unwrap_or_else(|error| panic!("get {key} works: {error:?}"));
    assert_eq!(found.len(), 1, "one answer for one key");
    found.pop().flatten()
}

/// Reads all pages and checks that each obeys the limit.
async fn ids(store: &Arc<dyn Store>, mut scan: Scan) -> Vec<String> {
    let mut all = Vec::new();
    for _ in 0..10_000 {
        let page = store.scan(&scan).await.unwrap_or_else(|error| panic!("scan works: {error:?}"));
        assert!(page.records.len() <= scan.limit, "a page obeys its limit");
        all.extend(page.records.iter().map(|record| record.key.id.to_string()));
        match page.next {
            Some(next) => scan.after = Some(next),
            None => return all,
        }
    }
    panic!("a scan ends");
}

async fn absent(factory: &dyn Factory) {
    let (store, space) = open(factory, "absent").await;
    commit(&store, &[]).await;
    assert!(store.get(&[]).await.expect("get of nothing works").is_empty());
    let stored = record(&space, "there", 1, Some(episode(1)));
    commit(&store, std::slice::from_ref(&stored)).await;
    let missing = Key::new(&space, Kind::Episode, "missing");
    let other_kind = Key::new(&space, Kind::Step, "there");
    let found = store
        .get(&[missing.clone(), stored.key.clone(), other_kind, stored.key.clone(), missing])
        .await
        .expect("get works");
    assert_eq!(found, [None, Some(stored.clone()), None, Some(stored), None], "answers in order of keys");
}

async fn every_kind_round_trips(factory: &dyn Factory) {
    let (store, space) = open(factory, "kinds").await;
    let mut written = Vec::new();
    for (i, entity) in entities(3).into_iter().enumerate() {
        let mut record = record(&space, &format!("id-{i}"), 5, Some(entity));
        record.expires_at = (i % 2 == 0).then_some(Timestamp(4_000_000_000_000));
        record.revision = Revision { clock: (1 << 58) - 1, writer: WriterId::new(u64::MAX) };
        written.push(record);
    }
    assert_eq!(written.len(), Kind::ALL.len(), "the fixtures have every kind");
    commit(&store, &written).await;
    for record in &written {
        assert_eq!(get(&store, &record.key).await.as_ref(), Some(record), "{} round-trips", record.key);
        let page = store.scan(&Scan::new(&space, record.key.kind)).await.expect("scan works");
        assert_eq!(&page.records, std::slice::from_ref(record), "{} is scanned", record.key);
    }
}

async fn revisions_decide(factory: &dyn Factory) {
    let (store, space) = open(factory, "revisions").await;
    let version = |clock, writer, seed| {
        let mut record = record(&space, "k", clock, Some(episode(seed)));
        record.revision.writer = WriterId::new(writer);
        record
    };
    let check = async |write: &Record, expected: &Record, why: &str| {
        commit(&store, std::slice::from_ref(write)).await;
        assert_eq!(get(&store, &expected.key).await.as_ref(), Some(expected), "{why}");
    };
    let (first, second) = (version(10, 5, 1), version(20, 5, 2));
    check(&second, &second, "the first write is stored").await;
    check(&first, &second, "a lower revision is ignored").await;
    check(&second, &second, "a replay changes nothing").await;
    check(&version(20, 4, 3), &second, "a lower writer loses the tie").await;
    let tie = version(20, 6, 4);
    check(&tie, &tie, "a higher writer wins the tie").await;
    let (low, high) = (version(30, 1, 5), version(31, 1, 6));
    commit(&store, &[high.clone(), low]).await;
    assert_eq!(get(&store, &high.key).await, Some(high), "the highest of a batch wins, wherever it stands");
}

async fn tombstones(factory: &dyn Factory) {
    let (store, space) = open(factory, "tombstones").await;
    let live = record(&space, "k", 10, Some(episode(1)));
    let tombstone = record(&space, "k", 20, None);
    commit(&store, std::slice::from_ref(&live)).await;
    commit(&store, std::slice::from_ref(&tombstone)).await;
    assert_eq!(get(&store, &live.key).await, Some(tombstone.clone()), "get returns the tombstone");
    let scan = Scan::new(&space, Kind::Episode);
    assert!(ids(&store, scan.clone()).await.is_empty(), "a scan leaves tombstones out");
    commit(&store, &[record(&space, "k", 15, Some(episode(2)))]).await;
    assert_eq!(get(&store, &live.key).await, Some(tombstone), "an older write does not resurrect");
    commit(&store, &[record(&space, "k", 30, Some(episode(3)))]).await;
    assert_eq!(ids(&store, scan).await, ["k"], "a newer write does");
}

async fn merge_is_order_free(factory: &dyn Factory) {
    let (store, _) = open(factory, "merge").await;
    let random = SeededIds::new(11);
    let below = |n: usize| usize::try_from(random.random() % n as u64).unwrap_or(0);
    let mut expected: Option<BTreeMap<String, Option<Record>>> = None;
    for round in 0..6 {
        let space = Namespace::new(&format!("merge-{round}")).unwrap_or_default();
        let mut versions: Vec<Record> = (0..40)
            .map(|i: u64| {
                let entity = (!i.is_multiple_of(5)).then(|| episode(i));
                record(&space, &format!("k{}", i % 7), 100 + i * 37 % 41, entity)
            })
            .collect();
        let repeated: Vec<Record> = (0..20).map(|_| versions[below(40)].clone()).collect();
        versions.extend(repeated);
        for i in (1..versions.len()).rev() {
            versions.swap(i, below(i + 1));
        }
        let mut rest = versions.as_slice();
        while !rest.is_empty() {
            let (batch, tail) = rest.split_at(1 + below(rest.len().min(9)));
            commit(&store, batch).await;
            rest = tail;
        }
        let mut state = BTreeMap::new();
        for i in 0..7 {
            let key = Key::new(&space, Kind::Episode, format!("k{i}"));
            let mut found = get(&store, &key).await;
            if let Some(record) = &mut found {
                record.key.namespace = Namespace::default();
            }
            state.insert(format!("k{i}"), found);
        }
        match &expected {
            None => expected = Some(state),
            Some(expected) => {
                assert_eq!(&state, expected, "order, repetition and batches do not matter (round {round})");
            }
        }
    }
}

async fn pages(factory: &dyn Factory) {
    let (store, space) = open(factory, "pages").await;
    let mut expected: Vec<String> = (0..23).map(|i| format!("k{i:02}")).collect();
    let records: Vec<_> = expected.iter().rev().map(|id| record(&space, id, 1, Some(episode(1)))).collect();
    commit(&store, &records).await;
    commit(&store, &[record(&space, "k05", 2, None)]).await;
    expected.remove(5);
    for limit in [1, 2, 7, 22, 23, 1_000] {
        let scan = Scan::new(&space, Kind::Episode).limit(limit);
        assert_eq!(ids(&store, scan.clone()).await, expected, "ascending by {limit}");
        let mut backwards = ids(&store, scan.order(Order::Descending)).await;
        backwards.reverse();
        assert_eq!(backwards, expected, "descending by {limit}");
    }
    let page = store.scan(&Scan::new(&space, Kind::Episode).limit(22)).await.expect("scan works");
    assert_eq!(page.next, None, "a page that holds the last record has no next one");
    let error = store.scan(&Scan::new(&space, Kind::Episode).limit(0)).await.expect_err("limit 0 is refused");
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
}

async fn prefixes(factory: &dyn Factory) {
    let (store, space) = open(factory, "prefixes").await;
    let all = ["a", "a%b", "a%c", "a*", "a[x]", "a_b", "aXb", "ab", "ab:1", "ab:2", "abc", "b", "~", "~~"];
    let records: Vec<_> = all.iter().map(|id| record(&space, id, 1, Some(episode(1)))).collect();
    commit(&store, &records).await;
    for prefix in ["", "a", "a%", "a_", "a*", "a[", "ab", "ab:", "abc", "~", "zz"] {
        let mut expected: Vec<&str> = all.iter().copied().filter(|id| id.starts_with(prefix)).collect();
        expected.sort_unstable();
        let scan = Scan::new(&space, Kind::Episode).prefix(prefix).limit(3);
        assert_eq!(ids(&store, scan.clone()).await, expected, "prefix {prefix:?}");
        let mut backwards = ids(&store, scan.order(Order::Descending)).await;
        backwards.reverse();
        assert_eq!(backwards, expected, "prefix {prefix:?} descending");
    }
}

async fn conditions(factory: &dyn Factory) {
    let (store, space) = open(factory, "conditions").await;
    let rows = entities(1);
    let records: Vec<_> =
        rows.iter().enumerate().map(|(i, e)| record(&space, &format!("x{i}"), 1, Some(e.clone()))).collect();
    commit(&store, &records).await;
    let mut open = episode(2);
    if let Entity::Episode(episode) = &mut open {
        episode.outcome = None;
        episode.task.domain = None;
        episode.task.description = "plain".into();
    }
    commit(&store, &[record(&space, "y", 1, Some(open))]).await;
    let check = async |kind: Kind, column: &str, equals: Scalar, expected: &[&str]| {
        let scan = Scan::new(&space, kind).equals(column, equals.clone());
        assert_eq!(ids(&store, scan).await, expected, "{kind} where {column} = {equals:?}");
    };
    check(Kind::Episode, "outcome", Scalar::Text("partial".into()), &["x0"]).await;
    check(Kind::Episode, "outcome", Scalar::Null, &["y"]).await;
    check(Kind::Episode, "domain", Scalar::Text("web".into()), &["x0"]).await;
    check(Kind::Episode, "domain", Scalar::Text("WEB".into()), &[]).await;
    check(Kind::Episode, "description", Scalar::Text(HARD_TEXT.replace('\0', "")), &[]).await;
    check(Kind::Episode, "description", Scalar::Text("plain".into()), &["y"]).await;
    check(Kind::Episode, "status", Scalar::Text("completed' OR '1'='1".into()), &[]).await;
    check(Kind::Episode, "steps", Scalar::Integer(3), &["x0", "y"]).await;
    check(Kind::Episode, "steps", Scalar::Integer(4), &[]).await;
    check(Kind::Episode, "fraction", Scalar::Real(0.1 + 0.2), &["x0"]).await;
    check(Kind::Step, "result", Scalar::Text("timeout".into()), &["x1"]).await;
    check(Kind::Artifact, "accepted", Scalar::Integer(1), &["x2"]).await;
    check(Kind::Artifact, "accepted", Scalar::Integer(0), &[]).await;
    check(Kind::Evidence, "role", Scalar::Text("used".into()), &["x6"]).await;
    check(Kind::Heuristic, "confidence", Scalar::Real(0.875), &["x7"]).await;
    let both = Scan::new(&space, Kind::Episode).equals("steps", Scalar::Integer(3)).equals("domain", "web");
    assert_eq!(ids(&store, both).await, ["x0"], "conditions are joined by and");
    let unknown = Scan::new(&space, Kind::Episode).equals("no_such", "x");
    let error = store.scan(&unknown).await.expect_err("an undeclared column is refused");
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
}

async fn namespaces(factory: &dyn Factory) {
    let (store, one) = open(factory, "spaces").await;
    let two = Namespace::new("spaces-2").unwrap_or_default();
    let [a, b] = [(&one, 1), (&two, 2)].map(|(space, seed)| record(space, "k", 10, Some(episode(seed))));
    commit(&store, &[a.clone(), b.clone()]).await;
    assert_eq!(get(&store, &a.key).await, Some(a.clone()));
    assert_eq!(get(&store, &b.key).await, Some(b.clone()));
    commit(&store, &[record(&one, "k", 11, None)]).await;
    assert_eq!(get(&store, &b.key).await, Some(b), "a delete stays in its namespace");
    assert!(ids(&store, Scan::new(&one, Kind::Episode)).await.is_empty());
    assert_eq!(ids(&store, Scan::new(&two, Kind::Episode)).await, ["k"]);
}

async fn expiry(factory: &dyn Factory) {
    let (store, space) = open(factory, "expiry").await;
    let with = |id: &str, expires_at, live: bool| {
        let mut record = record(&space, id, 10, live.then(|| episode(1)));
        record.expires_at = expires_at;
        record
    };
    let records = [
        with("never", None, true),
        with("later", Some(Timestamp(4_102_444_800_000)), true),
        with("now", Some(Timestamp(1_000)), true),
        with("past", Some(Timestamp(1)), true),
        with("grave", Some(Timestamp(999)), false),
    ];
    commit(&store, &records).await;
    store.delete_expired(Timestamp(1_000)).await.expect("delete_expired works");
    let left: Vec<bool> = {
        let keys: Vec<_> = records.iter().map(|record| record.key.clone()).collect();
        store.get(&keys).await.expect("get works").iter().map(Option::is_some).collect()
    };
    assert_eq!(left, [true, true, false, false, false], "expired records and tombstones are purged");
}

async fn large(factory: &dyn Factory) {
    let (store, space) = open(factory, "large").await;
    let Some(Entity::Artifact(artifact)) = entities(1).into_iter().nth(2) else { panic!("artifact") };
    let big = NewArtifact::new("big", "x\"\n漢".repeat(500_000));
    let entity = Artifact::new(artifact.id, artifact.episode, artifact.at, big);
    let big = record_of(&space, Kind::Artifact, "big", 1, Some(entity.into()));
    commit(&store, std::slice::from_ref(&big)).await;
    assert!(get(&store, &big.key).await == Some(big), "a record near 4 MB round-trips");
    let many: Vec<_> = (0..1_500).map(|i| record(&space, &format!("m{i:05}"), 1, Some(episode(i)))).collect();
    commit(&store, &many).await;
    let keys: Vec<_> = many.iter().map(|record| record.key.clone()).collect();
    let found = store.get(&keys).await.expect("get of many works");
    assert!(found.into_iter().map(Option::unwrap).eq(many), "1,500 records in one batch round-trip");
    let id = "i".repeat(200);
    let long = record(&space, &id, 1, Some(episode(1)));
    commit(&store, std::slice::from_ref(&long)).await;
    assert_eq!(get(&store, &long.key).await, Some(long), "an id of 200 bytes round-trips");
}

async fn concurrent(factory: &dyn Factory) {
    let (store, space) = open(factory, "concurrent").await;
    let mut tasks = Vec::new();
    for writer in 0..8_u64 {
        let (store, space) = (store.clone(), space.clone());
        tasks.push(tokio::spawn(async move {
            for i in 0..15_u64 {
                let mut shared = record(&space, "shared", 100 + i, Some(episode(writer)));
                shared.revision.writer = WriterId::new(writer);
                let own = record(&space, &format!("w{writer}-{i:02}"), 1, Some(episode(i)));
                commit(&store, &[shared, own]).await;
            }
        }));
    }
    for task in tasks {
        task.await.expect("a writer ends without panic");
    }
    let shared = get(&store, &Key::new(&space, Kind::Episode, "shared")).await.expect("shared is there");
    assert_eq!(shared.revision, Revision { clock: 114, writer: WriterId::new(7) }, "the highest version won");
    let all = ids(&store, Scan::new(&space, Kind::Episode).prefix("w")).await;
    assert_eq!(all.len(), 8 * 15, "no concurrent write is lost");
}
