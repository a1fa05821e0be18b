//! The cache file: its bound, LRU, and what happens to one that is damaged or foreign.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use memory_core::IdSource;
use memory_core::conformance::{entities, episode, record, record_of};
use memory_core::{
    Action, Cache, Clock, Cursor, EpisodeId, ErrorKind, Key, Kind, ManualClock, Namespace, Record, SeededIds,
    Step, Store, Timestamp,
};
use memory_storage_redb::{CacheOptions, RedbCache};

use crate::{names, stored};

const MB: u64 = 1024 * 1024;

fn open(path: &Path) -> RedbCache {
    RedbCache::open(path, CacheOptions::default()).unwrap()
}

fn bulky(id: &str, bytes: usize) -> Record {
    let action = Action::tool("bash").observation("x".repeat(bytes));
    let step = Step::new(EpisodeId(SeededIds::new(1).next(Timestamp(1))), 1, 1, Timestamp(1), action);
    record_of(&Namespace::default(), Kind::Step, id, 1, Some(step.into()))
}

async fn has(cache: &RedbCache, key: &Key) -> bool {
    cache.get(std::slice::from_ref(key)).await.unwrap()[0].is_some()
}

#[tokio::test]
async fn the_file_stays_under_its_limit_and_keeps_what_is_used() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("cache.redb");
    for (name, bytes, batch, rounds) in [
        ("small", 200, 50, 600),
        ("page", 2_000, 10, 1_500),
        ("large", 100_000, 4, 150),
        ("single", 1_500, 1, 4_000),
    ] {
        let options = CacheOptions::default().limit_bytes(8 * MB).page_cache_bytes(1 << 20);
        let cache = RedbCache::open(&path, options).unwrap();
        cache.clear().await.unwrap();
        let favourite = bulky("favourite", bytes);
        cache.commit(std::slice::from_ref(&favourite)).await.unwrap();
        for round in 0..rounds {
            let records: Vec<_> = (0..batch)
                .map(|i| bulky(&format!("{:08x}-{i}", round * 2_654_435_761_u64 as usize % 99_991), bytes))
                .collect();
            cache.commit(&records).await.unwrap_or_else(|error| panic!("{name}: {error:?}"));
            assert!(
                cache.lookup(std::slice::from_ref(&favourite.key)).await.unwrap()[0].is_some(),
                "{name}: in use"
            );
            let size = fs::metadata(&path).unwrap().len();
            assert!(size <= 8 * MB, "{name}: the file has {size} bytes after {round} rounds");
        }
        let usage = cache.usage().await.unwrap();
        assert_eq!(usage.bytes, fs::metadata(&path).unwrap().len());
        assert!(usage.evicted > 0, "{name}: {usage:?}");
        // An entry has about 300 bytes beside the text. How much of the file waits to be reused depends on where in
        // the cycle of filling, evicting and freeing the last commit fell; a quarter is held at any point of it.
        let held = usage.records * (bytes as u64 + 300);
        assert!(
            held * 4 > usage.bytes,
            "{name}: a fair share of the file is used: {held} bytes of {usage:?}"
        );
        assert_eq!(usage.corrupt, 0);
        assert!(cache.opened().rebuilt.is_none(), "{name}: never started over");
    }
}

#[tokio::test]
async fn a_lower_limit_shrinks_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("cache.redb");
    let cache = open(&path);
    for i in 0..40 {
        let records: Vec<_> = (0..50).map(|j| bulky(&format!("{i:03}-{j:03}"), 10_000)).collect();
        cache.commit(&records).await.unwrap();
    }
    cache.lookup(&[bulky("000-000", 1).key]).await.unwrap();
    cache.persist().await.unwrap();
    drop(cache);
    assert!(fs::metadata(&path).unwrap().len() > 20 * MB);
    let cache = RedbCache::open(&path, CacheOptions::default().limit_bytes(10 * MB)).unwrap();
    let evicted = cache.evict().await.unwrap();
    assert!(evicted > 500);
    assert!(fs::metadata(&path).unwrap().len() <= 10 * MB);
    assert_eq!(cache.usage().await.unwrap().records, 2_000 - evicted);
    assert!(has(&cache, &bulky("000-000", 1).key).await, "what was used last stays, though it is oldest");
    assert!(!has(&cache, &bulky("000-001", 1).key).await, "what was not is gone");
    assert!(has(&cache, &bulky("039-049", 1).key).await);
}

#[tokio::test]
async fn eviction_leaves_documents_and_cursor() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("cache.redb");
    let options = CacheOptions::default().limit_bytes(8 * MB);
    let cache = RedbCache::open(&path, options).unwrap();
    cache.set_cursor(&Cursor { database: "db".into(), seq: 7, token: Some(3) }).await.unwrap();
    for i in 0..2_000 {
        cache.commit(&[bulky(&format!("{i}"), 10_000)]).await.unwrap();
    }
    assert!(cache.usage().await.unwrap().evicted > 0);
    assert_eq!(cache.cursor().await.unwrap().seq, 7);
    cache.clear().await.unwrap();
    assert!(fs::metadata(&path).unwrap().len() < 2 * MB, "clearing gives the space back");
}

#[tokio::test]
async fn a_fill_of_the_same_version_renews_its_time_and_an_older_one_does_not() {
    let folder = tempfile::tempdir().unwrap();
    let clock = Arc::new(ManualClock::new(Timestamp(1_000)));
    let options = CacheOptions::default().clock(clock.clone());
    let cache = RedbCache::open(folder.path().join("cache.redb"), options).unwrap();
    let filled =
        async || cache.lookup(&[stored("a", 5).key]).await.unwrap()[0].as_ref().map(|it| it.filled_at);
    cache.commit(&[stored("a", 5)]).await.unwrap();
    assert_eq!(filled().await, Some(Timestamp(1_000)));
    clock.advance(std::time::Duration::from_secs(1));
    cache.commit(&[stored("a", 4)]).await.unwrap();
    assert_eq!(filled().await, Some(Timestamp(1_000)));
    cache.commit(&[stored("a", 5)]).await.unwrap();
    assert_eq!(filled().await, Some(clock.now()));
}

#[tokio::test]
async fn a_file_that_is_no_cache_is_set_aside_and_rebuilt() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("cache.redb");
    let foreign = folder.path().join("foreign.redb");
    let table = redb::TableDefinition::<u64, u64>::new("something");
    let database = redb::Database::create(&foreign).unwrap();
    let transaction = database.begin_write().unwrap();
    transaction.open_table(table).unwrap().insert(1, 2).unwrap();
    transaction.commit().unwrap();
    drop(database);
    let foreign = fs::read(foreign).unwrap();
    for (name, content) in [
        ("text", b"this is not a database".to_vec()),
        ("zeros", vec![0; 100_000]),
        ("cut", {
            let mut it = foreign.clone();
            it.truncate(5_000);
            it
        }),
        ("another database", foreign),
    ] {
        fs::write(&path, &content).unwrap();
        let cache = open(&path);
        let report = cache.opened();
        assert!(report.rebuilt.is_some(), "{name}");
        assert_eq!(
            fs::read(report.set_aside.unwrap()).unwrap().len(),
            content.len(),
            "{name}: kept as it was"
        );
        cache.commit(&[stored("a", 1)]).await.unwrap();
        drop(cache);
        let cache = open(&path);
        assert!(cache.opened().rebuilt.is_none(), "{name}: once");
        assert!(has(&cache, &stored("a", 1).key).await);
    }
    assert_eq!(names(folder.path(), "cache.redb.corrupt-").len(), 2, "the latest two copies are kept");
    fs::remove_file(&path).unwrap();
    fs::create_dir(&path).unwrap();
    fs::write(path.join("precious"), "x").unwrap();
    let cache = open(&path);
    assert!(fs::exists(cache.opened().set_aside.unwrap().join("precious")).unwrap());
    drop(cache);
    fs::write(&path, "").unwrap();
    assert!(open(&path).opened().rebuilt.is_none(), "an empty file is a new one");
}

#[tokio::test]
async fn damage_anywhere_in_the_file_costs_entries_at_most() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("cache.redb");
    let cache = open(&path);
    let records: Vec<_> = entities(1)
        .into_iter()
        .enumerate()
        .flat_map(|(i, entity)| (0..20).map(move |j| (format!("k{i}-{j}"), entity.clone())))
        .map(|(id, entity)| record(&Namespace::default(), &id, 1, Some(entity)))
        .collect();
    cache.commit(&records).await.unwrap();
    cache.set_cursor(&Cursor { database: "db".into(), seq: 9, token: None }).await.unwrap();
    drop(cache);
    let whole = fs::read(&path).unwrap();
    let (mut misses, mut rebuilt) = (0, 0);
    for at in (0..whole.len()).step_by(3_001) {
        let mut damaged = whole.clone();
        let end = (at + 64).min(damaged.len());
        damaged[at..end].iter_mut().for_each(|byte| *byte ^= 0xa5);
        fs::write(&path, &damaged).unwrap();
        let cache = open(&path);
        for record in &records {
            match cache.get(std::slice::from_ref(&record.key)).await.unwrap().pop().flatten() {
                Some(found) => {
                    assert_eq!(&found, record, "damage at {at} gives a miss, never another record")
                }
                None => misses += 1,
            }
        }
        let cursor = cache.cursor().await.unwrap();
        assert!(cursor.seq == 9 || cursor == Cursor::default());
        if let Err(error) = cache.commit(&[stored("after", 1)]).await {
            assert_eq!(error.kind(), ErrorKind::Corrupt, "damage at {at}");
            cache.commit(&[stored("after", 1)]).await.unwrap();
        }
        assert!(has(&cache, &stored("after", 1).key).await, "damage at {at}: the cache goes on");
        rebuilt += u64::from(cache.opened().rebuilt.is_some());
        drop(cache);
        for copy in names(folder.path(), "cache.redb.corrupt-") {
            fs::remove_file(folder.path().join(copy)).unwrap();
        }
    }
    assert!(misses > 0 && rebuilt > 0, "the damage shows: {misses} misses, {rebuilt} files");
}

#[tokio::test]
async fn an_unreadable_entry_is_a_counted_miss() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("cache.redb");
    let cache = open(&path);
    cache.commit(&[stored("a", 1), stored("b", 1)]).await.unwrap();
    drop(cache);
    let table = redb::TableDefinition::<&[u8], &[u8]>::new("records");
    let database = redb::Database::create(&path).unwrap();
    let transaction = database.begin_write().unwrap();
    transaction.open_table(table).unwrap().insert(&b"default\0episode\0a"[..], &b"junk"[..]).unwrap();
    transaction.commit().unwrap();
    drop(database);
    let cache = open(&path);
    assert!(cache.lookup(&[stored("a", 1).key]).await.unwrap()[0].is_none());
    let usage = cache.usage().await.unwrap();
    assert_eq!((usage.misses, usage.corrupt), (1, 1));
    let page = cache.scan(&memory_core::Scan::new(&Namespace::default(), Kind::Episode)).await.unwrap();
    assert_eq!(page.records, [stored("b", 1)]);
    cache.commit(&[stored("a", 0)]).await.unwrap();
    assert!(has(&cache, &stored("a", 0).key).await, "an unreadable entry does not win over a readable one");
}

#[tokio::test]
async fn a_file_in_use_is_a_conflict() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("cache.redb");
    let _held = open(&path);
    let error = RedbCache::open(&path, CacheOptions::default()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict);
    assert!(error.hint().is_some());
    assert!(names(folder.path(), "cache.redb.corrupt-").is_empty());
}

#[test]
fn an_impossible_path_is_an_io_error_with_a_hint() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("file"), "x").unwrap();
    let error = RedbCache::open(folder.path().join("file/cache.redb"), CacheOptions::default()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Io);
    assert!(error.hint().is_some());
}

#[tokio::test]
async fn a_record_the_cache_cannot_take_leaves_no_older_version_behind() {
    let folder = tempfile::tempdir().unwrap();
    let cache = open(&folder.path().join("cache.redb"));
    let mut huge = bulky("a", 17 * 1024 * 1024);
    huge.revision.clock = 2;
    cache.commit(&[bulky("a", 10)]).await.unwrap();
    cache.commit(std::slice::from_ref(&huge)).await.unwrap();
    assert!(!has(&cache, &huge.key).await);
    let bad = record(&Namespace::default(), "", 1, Some(episode(1)));
    assert_eq!(cache.commit(&[bad]).await.unwrap_err().kind(), ErrorKind::InvalidInput);
}

#[tokio::test]
async fn an_snapshot_that_is_damaged_or_incomplete_is_none_and_counted() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("cache.redb");
    let table = redb::TableDefinition::<&[u8], &[u8]>::new("snapshots");
    let marks = redb::TableDefinition::<&[u8], &[u8]>::new("changed");
    let (space, snapshot) = (Namespace::default(), vec![7; 2_500_000]);
    let part = |number: u8| [b"default\0\0\0\0".as_slice(), &[number]].concat();
    let changed = Key::new(&space, Kind::Episode, "changed");
    type Rows<'t> = redb::Table<'t, &'static [u8], &'static [u8]>;
    type Damage<'d> = &'d dyn Fn(&mut Rows<'_>, &mut Rows<'_>);
    let take = |rows: &mut Rows<'_>, key: &[u8]| rows.remove(key).unwrap().unwrap().value().to_vec();
    let put = |rows: &mut Rows<'_>, key: &[u8], bytes: &[u8]| drop(rows.insert(key, bytes).unwrap());
    let mark = b"default\0episode\0changed".as_slice();
    let damages: [Damage<'_>; 6] = [
        &|parts, _| drop(take(parts, &part(0))),
        &|parts, _| drop(take(parts, &part(2))),
        &|parts, _| {
            let mut bytes = take(parts, &part(1));
            bytes[100_000] ^= 1;
            put(parts, &part(1), &bytes);
        },
        &|parts, _| {
            let bytes = take(parts, &part(1));
            put(parts, &part(3), &bytes);
        },
        &|_, marks| {
            let bytes = take(marks, mark);
            put(marks, b"default\0episode\0other", &bytes);
        },
        &|_, marks| put(marks, mark, b""),
    ];
    for (number, damage) in damages.into_iter().enumerate() {
        let cache = open(&path);
        cache.put_snapshot(&space, &snapshot).await.unwrap();
        assert_eq!(cache.snapshot(&space).await.unwrap().unwrap().bytes, snapshot);
        cache.put_documents(&[(changed.clone(), None)]).await.unwrap();
        assert_eq!(cache.snapshot(&space).await.unwrap().unwrap().changed, std::slice::from_ref(&changed));
        cache.persist().await.unwrap();
        drop(cache);
        let database = redb::Database::create(&path).unwrap();
        let transaction = database.begin_write().unwrap();
        damage(&mut transaction.open_table(table).unwrap(), &mut transaction.open_table(marks).unwrap());
        transaction.commit().unwrap();
        drop(database);
        let cache = open(&path);
        assert_eq!(cache.snapshot(&space).await.unwrap(), None, "damage {number}");
        assert_eq!(cache.usage().await.unwrap().corrupt, 1, "damage {number}");
    }
}

#[tokio::test]
async fn an_snapshot_counts_towards_the_limit() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("cache.redb");
    let options = CacheOptions::default().limit_bytes(8 * MB).page_cache_bytes(1 << 20);
    let cache = RedbCache::open(&path, options).unwrap();
    let space = Namespace::default();
    for round in 0..60_u8 {
        let records: Vec<_> = (0..20).map(|i| bulky(&format!("{round}-{i}"), 10_000)).collect();
        cache.commit(&records).await.unwrap();
        // Every third is too large.
        let snapshot = vec![round; if round % 3 == 2 { 9_000_000 } else { 2_000_000 }];
        cache.put_snapshot(&space, &snapshot).await.unwrap();
        let kept = cache.snapshot(&space).await.unwrap();
        assert_eq!(kept.map(|snapshot| snapshot.bytes), (round % 3 < 2).then_some(snapshot));
        assert!(has(&cache, &records[19].key).await || round % 3 == 2, "{round}: what is new stays");
        let size = fs::metadata(&path).unwrap().len();
        assert!(size <= 8 * MB, "the file has {size} bytes after {round} rounds");
    }
    assert!(cache.opened().rebuilt.is_none(), "never started over");
}
