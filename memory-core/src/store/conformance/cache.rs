//! Tests that are specific to the cache tier.

use std::sync::Arc;

use crate::model::kind::Kind;
use crate::store::conformance::Factory;
use crate::store::fixtures::{episode, record};
use crate::store::record::{Key, Namespace, Revision, WriterId};
use crate::store::traits::{Cache, Cursor, Documents, IndexSnapshot, StoredDocument};

/// Runs every case of [`Cache`] but its size, which depends on how a backend measures it.
pub async fn check_cache(factory: &dyn Factory) {
    lookups(factory).await;
    documents(factory).await;
    snapshots(factory).await;
    states(factory).await;
    cursor_and_clear(factory).await;
}

async fn open(factory: &dyn Factory, case: &str) -> (Arc<dyn Cache>, Namespace) {
    (factory.open(case).await.cache(), Namespace::new(case).unwrap_or_default())
}

async fn lookups(factory: &dyn Factory) {
    let (cache, space) = open(factory, "lookups").await;
    let stored = record(&space, "a", 1, Some(episode(1)));
    cache.commit(std::slice::from_ref(&stored)).await.expect("commit works");
    let missing = Key::new(&space, Kind::Episode, "missing");
    let found = cache.lookup(&[missing, stored.key.clone()]).await.expect("lookup works");
    assert!(found[0].is_none());
    assert_eq!(found[1].as_ref().map(|cached| &cached.record), Some(&stored));
    let usage = cache.usage().await.expect("usage works");
    assert_eq!((usage.records, usage.hits, usage.misses, usage.corrupt), (1, 1, 1, 0));
    cache.remove(std::slice::from_ref(&stored.key)).await.expect("remove works");
    assert!(cache.lookup(std::slice::from_ref(&stored.key)).await.expect("lookup works")[0].is_none());
    let older = record(&space, "a", 0, Some(episode(2)));
    cache.commit(std::slice::from_ref(&older)).await.expect("commit works");
    let found = cache.get(std::slice::from_ref(&older.key)).await.expect("get works");
    assert_eq!(found, [Some(older)], "removing leaves no tombstone");
    cache.evict().await.expect("evict works");
    cache.persist().await.expect("persist works");
}

fn document(text: &str, clock: u64) -> StoredDocument {
    let revision = Revision { clock, writer: WriterId::new(1) };
    StoredDocument { revision, bytes: text.as_bytes().to_vec() }
}

async fn documents(factory: &dyn Factory) {
    let (cache, space) = open(factory, "documents").await;
    let other = Namespace::new("documents-2").unwrap_or_default();
    let key = |space: &Namespace, id: &str| Key::new(space, Kind::Episode, id);
    let put: Vec<_> = ["a", "b", "c"]
        .into_iter()
        .map(|id| (key(&space, id), Some(document(id, 1))))
        .chain([(key(&other, "z"), Some(document("z", 1)))])
        .collect();
    cache.put_documents(&put).await.expect("put works");
    cache
        .put_documents(&[(key(&space, "b"), None), (key(&space, "c"), Some(document("new", 2)))])
        .await
        .expect("put works");
    let expected = [(key(&space, "a"), document("a", 1)), (key(&space, "c"), document("new", 2))];
    let all = cache.documents(&space, None, 10).await.expect("documents work");
    assert_eq!(
        (&all.found[..], all.unreadable),
        (&expected[..], 0),
        "latest documents of the namespace in key order"
    );
    let page = cache.documents(&space, Some(&expected[0].0), 1).await.expect("documents work");
    assert_eq!(page.found, expected[1..], "paging");
    let keys = ["c", "b", "a"].map(|id| key(&space, id));
    let named = cache.documents_of(&keys).await.expect("documents work");
    let expected = [expected[1].clone(), expected[0].clone()];
    assert_eq!((&named.found[..], named.unreadable), (&expected[..], 0), "what there is of the keys");

    // Versions that come late.
    cache.commit(&[record(&space, "b", 3, None)]).await.expect("put works");
    let late = [("b", 2), ("c", 1)].map(|(id, clock)| (key(&space, id), Some(document("late", clock))));
    cache.put_documents(&late).await.expect("put works");
    let named = cache.documents_of(&keys).await.expect("documents work");
    assert_eq!((&named.found[..], named.unreadable), (&expected[..], 0), "late versions are passed over");
    cache.put_documents(&[(key(&space, "b"), Some(document("again", 4)))]).await.expect("put works");
    assert_eq!(cache.documents_of(&keys).await.expect("documents work").found.len(), 3, "made again since");
}

async fn snapshots(factory: &dyn Factory) {
    let (cache, space) = open(factory, "snapshots").await;
    let other = Namespace::new("snapshots-2").unwrap_or_default();
    let key = |space: &Namespace, id: &str| Key::new(space, Kind::Episode, id);
    let snapshot = async |space: &Namespace| cache.snapshot(space).await.expect("snapshots work");
    let put = async |key: Key, document: Option<StoredDocument>| {
        cache.put_documents(&[(key, document)]).await.expect("put works");
    };
    put(key(&space, "a"), Some(document("a", 1))).await;
    assert_eq!(snapshot(&space).await, None);
    // Some are longer than any page or part of a file.
    for bytes in [vec![1; 100], vec![2; 3_000_000], vec![3; 10]] {
        cache.put_snapshot(&space, &bytes).await.expect("snapshots work");
        assert_eq!(
            snapshot(&space).await,
            Some(IndexSnapshot { bytes, changed: Vec::new() }),
            "nothing has changed since"
        );
    }
    put(key(&space, "a"), None).await;
    put(key(&space, "b"), Some(document("b", 1))).await;
    put(key(&space, "b"), Some(document("b", 2))).await;
    put(key(&other, "z"), Some(document("z", 1))).await;
    let found = snapshot(&space).await.unwrap_or_default();
    let changed: std::collections::BTreeSet<Key> = found.changed.iter().cloned().collect();
    assert_eq!(changed.into_iter().collect::<Vec<_>>(), ["a", "b"].map(|id| key(&space, id)));
    assert_eq!((found.changed.len(), &found.bytes[..]), (2, &[3; 10][..]), "each key once");
    assert_eq!(snapshot(&other).await, None);
    cache.put_snapshot(&other, &[4]).await.expect("snapshots work");
    assert_eq!(snapshot(&other).await, Some(IndexSnapshot { bytes: vec![4], changed: Vec::new() }));
    assert_eq!(
        snapshot(&space).await.map(|snapshot| snapshot.changed.len()),
        Some(2),
        "another namespace is left alone"
    );
    cache.clear().await.expect("clear works");
    assert_eq!((snapshot(&space).await, snapshot(&other).await), (None, None));
    put(key(&space, "c"), Some(document("c", 1))).await;
    cache.put_snapshot(&space, &[5]).await.expect("snapshots work");
    assert_eq!(snapshot(&space).await, Some(IndexSnapshot { bytes: vec![5], changed: Vec::new() }));
}

async fn states(factory: &dyn Factory) {
    let (cache, space) = open(factory, "states").await;
    let other = Namespace::new("states-2").unwrap_or_default();
    let state = async |space: &Namespace, name: &str| cache.state(space, name).await.expect("states work");
    assert_eq!(state(&space, "a").await, None);
    // Longer than one part of any backend.
    let long: Vec<u8> = (0..3_000_000_u32).map(|at| at.to_le_bytes()[at as usize % 4]).collect();
    for bytes in [vec![1, 2, 3], long.clone(), vec![7]] {
        cache.put_state(&space, "a", Some(&bytes)).await.expect("states work");
        assert!(state(&space, "a").await == Some(bytes), "another state came back");
    }
    cache.put_state(&space, "ab", Some(&long)).await.expect("states work");
    cache.put_state(&other, "a", Some(&[9])).await.expect("states work");
    assert_eq!(state(&space, "a").await, Some(vec![7]));
    cache.put_state(&space, "a", None).await.expect("states work");
    assert_eq!(state(&space, "a").await, None);
    assert!(state(&space, "ab").await == Some(long), "another name's state is gone");
    assert_eq!(state(&other, "a").await, Some(vec![9]));
    cache.clear().await.expect("states work");
    assert_eq!((state(&space, "ab").await, state(&other, "a").await), (None, None));
}

async fn cursor_and_clear(factory: &dyn Factory) {
    let (cache, space) = open(factory, "cursor").await;
    assert_eq!(cache.cursor().await.expect("cursor works"), Cursor::default());
    let cursor = Cursor { database: "db".into(), seq: u64::from(u32::MAX) + 5, token: Some(u64::MAX >> 11) };
    cache.set_cursor(&cursor).await.expect("set_cursor works");
    assert_eq!(cache.cursor().await.expect("cursor works"), cursor);
    let stored = record(&space, "a", 1, Some(episode(1)));
    cache.commit(std::slice::from_ref(&stored)).await.expect("commit works");
    cache.put_documents(&[(stored.key.clone(), Some(document("a", 1)))]).await.expect("put works");
    cache.clear().await.expect("clear works");
    assert_eq!(cache.cursor().await.expect("cursor works"), Cursor::default());
    assert_eq!(cache.get(&[stored.key]).await.expect("get works"), [None]);
    assert_eq!(cache.documents(&space, None, 10).await.expect("documents work"), Documents::default());
}
