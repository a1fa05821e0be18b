use super::*;
use crate::engine::broken::Broken;
use crate::engine::key_index::KeyIndex;
use crate::model::kind::Kind;
use crate::store::fixtures::{episode, record};
use crate::store::memory_store::MemoryStore;

#[tokio::test(flavor = "multi_thread")]
async fn the_cursor_stays_behind_documents_that_are_missing() {
    let cache = Arc::new(Broken { refuses_documents: true.into(), ..Broken::default() });
    let cache_writer = CacheWriter::start(cache.clone(), Handle::current()).unwrap();
    let at = |seq| Cursor { database: "db".into(), seq, token: None };
    cache_writer.push(CacheWork::Cursor(at(1)));
    cache_writer.push(CacheWork::Documents(Vec::new()));
    cache_writer.push(CacheWork::Cursor(at(2)));
    cache_writer.settle().await;
    assert_eq!(cache.cursor().await.unwrap(), at(1), "what is missing is read once more on opening");
    assert_eq!(cache_writer.failures().0, 1);
    cache_writer.push(CacheWork::Clear);
    cache_writer.push(CacheWork::Cursor(at(3)));
    cache_writer.settle().await;
    assert_eq!(cache.cursor().await.unwrap(), at(3), "all is read once more anyway");
    cache_writer.close();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_snapshot_is_made_of_enough_documents_once_enough_have_changed() {
    let cache = Arc::new(MemoryStore::new());
    let cache_writer = CacheWriter::start(cache.clone(), Handle::current()).unwrap();
    let (index, space) = (Arc::new(KeyIndex::default()), Namespace::default());
    let key = |number: u64| Key::new(&Namespace::default(), Kind::Episode, number.to_string());
    let document = |number: u64| {
        let version = record(&space, &number.to_string(), 1, Some(episode(1)));
        index.document(&version).unwrap()
    };
    let put = |numbers: std::ops::Range<u64>| {
        index.change(&mut |index| {
            numbers.clone().for_each(|number| assert!(index.upsert(&key(number), document(number).as_ref())));
        });
    };
    // Writes documents and requests a snapshot; returns how many have changed since the existing one.
    let changed_after = async |count: u64| {
        cache_writer.push(CacheWork::Documents((0..count).map(|number| (key(number), None)).collect()));
        cache_writer.push(CacheWork::Snapshot(index.clone(), space.clone()));
        cache_writer.settle().await;
        cache.snapshot(&space).await.unwrap().map(|snapshot| snapshot.changed.len())
    };
    put(0..1_999);
    assert_eq!(changed_after(1).await, None, "too few documents");
    put(1_999..2_000);
    assert_eq!(changed_after(0).await, Some(0));
    assert_eq!(changed_after(100).await, Some(100), "too few changes");
    assert_eq!(changed_after(1).await, Some(0));
    cache_writer.set_apart();
    assert_eq!(changed_after(101).await, Some(101), "it would not be of these documents");
    cache_writer.push(CacheWork::Clear);
    assert_eq!(changed_after(0).await, Some(0), "both have started over");
    cache_writer.close();
}
