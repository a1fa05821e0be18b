//! The cache under power loss and failing disks.

use memory_core::conformance::{episode, record};
use memory_core::{Cache, Cursor, ErrorKind, IdSource, Key, Kind, Namespace, SeededIds, Store};

use super::{Disk, Fault};
use crate::cache::{CacheOptions, RedbCache};

fn open(disk: &Disk) -> RedbCache {
    RedbCache::open_with(disk.opener(), CacheOptions::default().page_cache_bytes(1 << 20)).unwrap()
}

fn key(n: u64) -> Key {
    Key::new(&Namespace::default(), Kind::Episode, format!("k{n}"))
}

/// Applies changes as a pull does, a record and then the cursor, until the power fails; returns the last cursor
/// that was certainly persisted.
async fn fill(cache: &RedbCache, from: u64, random: &SeededIds) -> u64 {
    let mut durable = 0;
    for seq in from..from + 30 {
        let stored = record(&Namespace::default(), &format!("k{seq}"), seq, Some(episode(seq)));
        if cache.commit(&[stored]).await.is_err() {
            break;
        }
        let cursor = Cursor { database: "db".into(), seq, token: None };
        if cache.set_cursor(&cursor).await.is_err() {
            break;
        }
        if random.random().is_multiple_of(5) && cache.persist().await.is_ok() {
            durable = seq;
        }
    }
    durable
}

async fn round(seed: u64) -> u64 {
    let random = SeededIds::new(seed);
    let disk = Disk::default();
    drop(open(&disk));
    let (mut durable, mut reached) = (0, 0);
    for _ in 0..4 {
        let cache = open(&disk);
        let cursor = cache.cursor().await.unwrap().seq;
        assert!(cursor >= durable, "seed {seed}: what was persisted is there: {cursor} of {durable}");
        for seq in 1..=cursor {
            let found = cache.get(&[key(seq)]).await.unwrap().pop().flatten();
            let expected = record(&Namespace::default(), &format!("k{seq}"), seq, Some(episode(seq)));
            assert_eq!(found, Some(expected), "seed {seed}: a record behind the cursor is there");
        }
        assert_eq!(cache.usage().await.unwrap().corrupt, 0);
        reached = cursor;
        disk.cut_power_after(random.random() % 600);
        durable = fill(&cache, cursor + 1, &random).await.max(cursor);
        disk.cut_power();
        drop(cache);
        disk.restore_power(&random);
    }
    reached
}

#[tokio::test]
async fn what_is_behind_the_cursor_is_never_lost_without_it() {
    let mut reached = 0;
    for seed in 0..40 {
        reached += round(seed).await;
    }
    assert!(reached > 200, "the rounds keep something: {reached}");
}

#[tokio::test]
async fn a_failed_commit_is_an_error_and_the_cache_goes_on() {
    for fault in [Fault::Write, Fault::Sync, Fault::Full] {
        let disk = Disk::default();
        let cache = open(&disk);
        let first = record(&Namespace::default(), "first", 1, Some(episode(1)));
        cache.commit(std::slice::from_ref(&first)).await.unwrap();
        cache.persist().await.unwrap();
        disk.fail(Some(fault));
        let mut failed = None;
        for n in 0..64 {
            let batch: Vec<_> = (0..64)
                .map(|i| record(&first.key.namespace, &format!("{n}-{i}"), 1, Some(episode(i))))
                .collect();
            let result = cache.commit(&batch).await;
            let result = if fault == Fault::Full { result } else { result.and(cache.persist().await) };
            failed = failed.or(result.err());
        }
        assert_eq!(failed.expect("the fault shows").kind(), ErrorKind::Io, "{fault:?}");
        disk.fail(None);
        let later = record(&first.key.namespace, "later", 1, Some(episode(2)));
        cache.commit(std::slice::from_ref(&later)).await.unwrap();
        let found = cache.get(&[first.key.clone(), later.key.clone()]).await.unwrap();
        assert_eq!(found, [Some(first), Some(later)], "{fault:?}");
    }
}

#[tokio::test]
async fn a_cache_without_a_disk_answers_with_errors_and_comes_back() {
    let disk = Disk::default();
    let cache = open(&disk);
    let first = record(&Namespace::default(), "first", 1, Some(episode(1)));
    cache.commit(std::slice::from_ref(&first)).await.unwrap();
    cache.persist().await.unwrap();
    disk.cut_power();
    assert_eq!(cache.persist().await.unwrap_err().kind(), ErrorKind::Io);
    assert_eq!(cache.lookup(std::slice::from_ref(&first.key)).await.unwrap_err().kind(), ErrorKind::Io);
    disk.restore_power(&SeededIds::new(3));
    assert_eq!(cache.get(std::slice::from_ref(&first.key)).await.unwrap(), [Some(first)]);
}
