use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

use memory_core::conformance::{episode, record};
use memory_core::{ErrorKind, Namespace, Outbox, Record};

use super::*;
use crate::outbox::{OutboxOptions, RedbOutbox};

/// A version made this many days ago. Of two, the one made later has the higher revision, in the same
/// millisecond too.
fn version(id: &str, days: u64) -> Record {
    static MADE: AtomicU64 = AtomicU64::new(0);
    let at = SystemClock::new().now().0 - days * 24 * 60 * 60 * 1_000;
    let made = MADE.fetch_add(1, Ordering::Relaxed);
    record(&Namespace::default(), id, (at << 16) + made, Some(episode(1)))
}

fn open(path: &Path) -> RedbOutbox {
    RedbOutbox::open(path, OutboxOptions::default()).unwrap()
}

fn now() -> Timestamp {
    SystemClock::new().now()
}

fn waiting(outbox: &RedbOutbox) -> Vec<String> {
    let rows = outbox.peek(0, 100, usize::MAX).unwrap();
    rows.into_iter().map(|row| row.record.key.id.to_string()).collect()
}

fn dead(outbox: &RedbOutbox) -> Vec<(String, String)> {
    let letters = outbox.dead_letters(0, 100).unwrap();
    letters.into_iter().map(|it| (it.record.unwrap().key.id.to_string(), it.reason)).collect()
}

/// Declares the open file damaged, as a panic of redb does.
fn declare_damaged(outbox: &RedbOutbox) {
    lock(&outbox.writer).failed = Some(Failure::Damaged("redb gave up".into()));
}

/// Four rows: one acknowledged, one refused, one pending, and one pending that is older than all tombstones.
fn fill(outbox: &RedbOutbox) {
    outbox
        .append(&[version("sent", 0), version("no", 0), version("new", 0), version("old", 30)], now())
        .unwrap();
    outbox.ack(&[1], now()).unwrap();
    outbox.refuse(2, "refused", now()).unwrap();
    // Durable, as acknowledgements become with the next append.
    outbox.append(&[version("last", 0)], now()).unwrap();
}

#[test]
fn intact_tables_say_what_each_row_is() {
    let folder = tempfile::tempdir().unwrap();
    let outbox = open(&folder.path().join("outbox.redb"));
    fill(&outbox);
    outbox.append(&[version("trimmed", 0)], now()).unwrap();
    outbox.ack(&[6], now()).unwrap();
    let before = outbox.usage();
    declare_damaged(&outbox);
    outbox.reopen().unwrap();
    assert!(outbox.opened().rebuilt.is_some(), "it was salvaged");
    assert_eq!(waiting(&outbox), ["old", "new", "last"], "oldest version first, however old");
    assert_eq!(dead(&outbox), [("no".to_owned(), "refused".to_owned())]);
    let usage = outbox.usage();
    assert_eq!((usage.rows, usage.dead_letters, usage.tail_rows), (3, 1, before.tail_rows));
    assert_eq!(outbox.replay_tail(Timestamp(0), now()).unwrap(), 2, "the tail is still one");
}

#[test]
fn an_acknowledged_row_that_left_the_tail_is_not_raised() {
    let folder = tempfile::tempdir().unwrap();
    let outbox = open(&folder.path().join("outbox.redb"));
    outbox.append(&[version("gone", 0)], now()).unwrap();
    outbox.ack(&[1], now()).unwrap();
    outbox.trim_tail(Timestamp(u64::MAX)).unwrap();
    outbox.append(&[version("waits", 0)], now()).unwrap();
    declare_damaged(&outbox);
    outbox.reopen().unwrap();
    assert_eq!(waiting(&outbox), ["waits"]);
    assert_eq!(outbox.usage().dead_letters, 0);
}

#[test]
fn an_older_version_is_not_served_beside_an_acknowledged_one() {
    let folder = tempfile::tempdir().unwrap();
    let outbox = open(&folder.path().join("outbox.redb"));
    let (older, newer) = (version("a", 2), version("a", 1));
    outbox.append(&[newer.clone(), older], now()).unwrap();
    outbox.ack(&[1], now()).unwrap();
    outbox.append(&[version("b", 0)], now()).unwrap();
    declare_damaged(&outbox);
    outbox.reopen().unwrap();
    assert_eq!(waiting(&outbox), ["a", "b"]);
    assert_eq!(outbox.pending(&[newer.key]).unwrap(), [None]);
}

#[test]
fn without_tables_what_is_older_than_tombstones_becomes_a_dead_letter() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("outbox.redb");
    let outbox = open(&path);
    fill(&outbox);
    drop(outbox);
    let mut bytes = fs::read(&path).unwrap();
    bytes[..512].fill(0xee);
    fs::write(&path, &bytes).unwrap();
    let outbox = open(&path);
    let mut found = waiting(&outbox);
    found.sort();
    assert_eq!(found, ["last", "new", "no", "sent"], "sending these again is harmless");
    let dead = dead(&outbox);
    assert_eq!((dead.len(), dead[0].0.as_str()), (1, "old"));
    assert!(dead[0].1.contains("tombstone"), "{dead:?}");
    assert_eq!(outbox.retry_dead_letters(None, now()).unwrap(), 1, "it is not lost");
}

#[test]
fn numbers_continue_behind_those_that_were_handed_out() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("outbox.redb");
    let outbox = open(&path);
    for i in 0..20 {
        outbox.append(&[version(&format!("k{i}"), 0)], now()).unwrap();
    }
    outbox.ack(&(1..=19).collect::<Vec<_>>(), now()).unwrap();
    outbox.trim_tail(Timestamp(u64::MAX)).unwrap();
    declare_damaged(&outbox);
    outbox.reopen().unwrap();
    assert!(outbox.usage().last_seq >= 20, "{:?}", outbox.usage());
    assert!(
        outbox.peek(20, 10, usize::MAX).unwrap().len() == 1,
        "the row has a number that nobody waited for"
    );
    let next = outbox.append(&[version("next", 0)], now()).unwrap();
    assert!(next > 20, "{next}");
    // Nothing at all can be found.
    declare_damaged(&outbox);
    fs::write(&path, b"").unwrap();
    outbox.reopen().unwrap();
    assert_eq!(outbox.usage().rows, 0);
    assert!(outbox.append(&[version("more", 0)], now()).unwrap() > next);
}

#[test]
fn a_salvage_without_room_is_not_repeated_by_each_append() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("outbox.redb");
    let mut outbox = open(&path);
    fill(&outbox);
    outbox.salvage_limit_bytes = 4_096;
    declare_damaged(&outbox);
    let first = outbox.reopen().unwrap_err();
    assert_eq!(first.kind(), ErrorKind::Io);
    assert!(!path.with_file_name("outbox.redb.salvaged").exists(), "it takes no space");
    outbox.salvage_limit_bytes = u64::MAX;
    let again = outbox.reopen().unwrap_err();
    assert_eq!(again.to_string(), first.to_string(), "there would be room, but nobody has looked");
    assert!(outbox.append(&[version("x", 0)], now()).is_err());
    std::thread::sleep(PAUSE);
    outbox.reopen().unwrap();
    assert!(outbox.opened().rebuilt.is_some(), "the damage was not forgotten");
    assert_eq!(waiting(&outbox), ["old", "new", "last"]);
}
