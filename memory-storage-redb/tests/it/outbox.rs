//! The outbox file: damage, salvage, figures and reopening.

use std::fs;
use std::path::Path;
use std::time::Duration;

use memory_core::{ErrorKind, Outbox, Timestamp};
use memory_storage_redb::{OutboxOptions, RedbOutbox};
use redb::ReadableTable;

use crate::{names, stored};

const NOW: Timestamp = Timestamp(1_000);
const ROWS: redb::TableDefinition<u64, &[u8]> = redb::TableDefinition::new("rows");

/// The rows of most cases are from 1970.
fn open(path: &Path) -> RedbOutbox {
    RedbOutbox::open(path, OutboxOptions::default().stale_after(Duration::MAX)).unwrap()
}

fn ids(outbox: &RedbOutbox) -> Vec<String> {
    let rows = outbox.peek(0, usize::MAX, usize::MAX).unwrap();
    rows.iter().map(|row| row.record.key.id.to_string()).collect()
}

/// Changes the file behind the outbox's back.
fn tamper(path: &Path, change: impl FnOnce(&mut redb::Table<'_, u64, &'static [u8]>)) {
    let database = redb::Database::create(path).unwrap();
    let transaction = database.begin_write().unwrap();
    change(&mut transaction.open_table(ROWS).unwrap());
    transaction.commit().unwrap();
}

#[test]
fn a_damaged_row_becomes_a_dead_letter_and_the_rest_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("outbox.redb");
    let outbox = open(&path);
    outbox.append(&[stored("a", 1), stored("b", 1), stored("c", 1)], NOW).unwrap();
    drop(outbox);
    let mut row = Vec::new();
    tamper(&path, |rows| {
        row = rows.get(2).unwrap().unwrap().value().to_vec();
        row[100] ^= 1;
        rows.insert(2, row.as_slice()).unwrap();
    });
    let outbox = open(&path);
    assert_eq!(outbox.pending(&[stored("b", 1).key]).unwrap(), [None], "it can no longer be served");
    assert_eq!(ids(&outbox), ["a", "c"]);
    let dead = outbox.dead_letters(0, 10).unwrap();
    assert_eq!((dead.len(), dead[0].seq), (1, 2));
    assert!(dead[0].record.is_none() && dead[0].reason.contains("checksum"), "{dead:?}");
    assert_eq!((outbox.usage().rows, outbox.usage().dead_letters), (2, 1));
    assert_eq!(outbox.retry_dead_letters(None, NOW).unwrap(), 0, "it stays, and stays counted");
    assert_eq!(outbox.usage().dead_letters, 1);
}

#[test]
fn damaged_figures_are_counted_again() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("outbox.redb");
    let outbox = open(&path);
    outbox.append(&[stored("a", 1), stored("b", 1), stored("c", 1), stored("d", 1)], NOW).unwrap();
    outbox.ack(&[1, 3], NOW).unwrap();
    outbox.refuse(2, "no", NOW).unwrap();
    let before = outbox.usage();
    drop(outbox);
    tamper(&path, |rows| drop(rows.insert(u64::MAX, &b"junk"[..]).unwrap()));
    let outbox = open(&path);
    assert_eq!(outbox.usage(), before);
    assert_eq!(ids(&outbox), ["d"]);
}

#[test]
fn a_file_that_redb_cannot_open_is_salvaged() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("outbox.redb");
    let outbox = open(&path);
    let records: Vec<_> = (0..300).map(|i| stored(&format!("k{i:03}"), i + 1)).collect();
    for batch in records.chunks(7) {
        outbox.append(batch, NOW).unwrap();
    }
    outbox.refuse(5, "refused", NOW).unwrap();
    drop(outbox);
    let mut bytes = fs::read(&path).unwrap();
    bytes[..4096].fill(0xee);
    fs::write(&path, &bytes).unwrap();
    let outbox = open(&path);
    let report = outbox.opened();
    assert!(report.rebuilt.is_some());
    assert_eq!(report.recovered, 300);
    assert_eq!(fs::read(report.set_aside.unwrap()).unwrap(), bytes, "the damaged file is kept as it was");
    let rows = outbox.peek(0, usize::MAX, usize::MAX).unwrap();
    let found: Vec<_> = rows.into_iter().map(|row| row.record).collect();
    assert_eq!(found, records, "every row is there once, in order");
    assert_eq!(outbox.usage().rows, 300);
    let latest = outbox.pending(&[records[7].key.clone()]).unwrap();
    assert_eq!(latest, [Some(records[7].clone())]);
    drop(outbox);
    assert_eq!(open(&path).usage().rows, 300);
    assert_eq!(
        names(folder.path(), "outbox.redb"),
        ["outbox.redb".to_owned()]
            .into_iter()
            .chain(names(folder.path(), "outbox.redb.c"))
            .collect::<Vec<_>>()
    );
}

#[test]
fn a_salvage_that_was_interrupted_is_finished() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("outbox.redb");
    let outbox = open(&path);
    outbox.append(&[stored("a", 1)], NOW).unwrap();
    drop(outbox);
    fs::rename(&path, folder.path().join("outbox.redb.salvaged")).unwrap();
    assert_eq!(ids(&open(&path)), ["a"]);
}

#[test]
fn damage_anywhere_loses_no_undamaged_row() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("outbox.redb");
    let outbox = open(&path);
    let records: Vec<_> = (0..60).map(|i| stored(&format!("k{i:03}"), i + 1)).collect();
    outbox.append(&records, NOW).unwrap();
    drop(outbox);
    let whole = fs::read(&path).unwrap();
    let mut salvaged = 0;
    for at in (0..whole.len()).step_by(4_057) {
        let mut damaged = whole.clone();
        let end = (at + 32).min(damaged.len());
        damaged[at..end].iter_mut().for_each(|byte| *byte ^= 0x5a);
        fs::write(&path, &damaged).unwrap();
        let outbox = open(&path);
        let read = |outbox: &RedbOutbox| {
            let rows = outbox.peek(0, usize::MAX, usize::MAX)?;
            Ok::<_, memory_core::Error>(rows.into_iter().map(|row| row.record).collect::<Vec<_>>())
        };
        let found = read(&outbox).or_else(|error| {
            assert_eq!(error.kind(), ErrorKind::Corrupt, "damage at {at}");
            assert!(outbox.append(&[stored("no", 1)], NOW).is_err(), "a damaged file takes no more");
            outbox.reopen().unwrap();
            salvaged += 1;
            read(&outbox)
        });
        let found = found.unwrap_or_else(|error| panic!("damage at {at}: {error:?}"));
        assert!(found.iter().all(|record| records.contains(record)), "damage at {at}");
        let damaged_rows = records.len() - found.len();
        assert!(damaged_rows <= 1, "damage at {at} costs {damaged_rows} rows");
        if let Err(error) = outbox.append(&[stored("after", 1)], NOW) {
            assert_eq!(error.kind(), ErrorKind::Corrupt, "damage at {at}");
            outbox.reopen().unwrap();
            salvaged += 1;
            outbox.append(&[stored("after", 1)], NOW).unwrap();
            assert!(read(&outbox).unwrap().len() > found.len(), "damage at {at}");
        }
        drop(outbox);
        for copy in names(folder.path(), "outbox.redb.corrupt-") {
            fs::remove_file(folder.path().join(copy)).unwrap();
        }
    }
    assert!(salvaged > 0, "some damage is found only on reading");
}

#[test]
fn an_older_version_is_not_served_once_a_newer_one_is_sent() {
    let folder = tempfile::tempdir().unwrap();
    let outbox = open(&folder.path().join("outbox.redb"));
    let key = stored("a", 1).key;
    let pending = || outbox.pending(std::slice::from_ref(&key)).unwrap().pop().flatten();
    outbox.append(&[stored("a", 2), stored("a", 1), stored("a", 3)], NOW).unwrap();
    assert_eq!(pending(), Some(stored("a", 3)), "the highest revision, whatever the order");
    outbox.refuse(3, "refused", NOW).unwrap();
    assert_eq!(pending(), Some(stored("a", 2)), "the next lower one waits");
    outbox.ack(&[1], NOW).unwrap();
    assert_eq!(pending(), None, "version 1 still waits, but the durable tier has version 2");
    assert_eq!(outbox.usage().rows, 1);
    assert_eq!(outbox.retry_dead_letters(None, NOW).unwrap(), 1);
    assert_eq!(pending(), Some(stored("a", 3)));
}

#[test]
fn retried_and_replayed_rows_come_behind_the_last_number() {
    let folder = tempfile::tempdir().unwrap();
    let outbox = open(&folder.path().join("outbox.redb"));
    outbox.append(&[stored("a", 1), stored("b", 1)], NOW).unwrap();
    outbox.ack(&[1], NOW).unwrap();
    outbox.refuse(2, "no", NOW).unwrap();
    assert_eq!(outbox.replay_tail(Timestamp(0), Timestamp(2_000)).unwrap(), 1);
    assert_eq!(outbox.retry_dead_letters(None, Timestamp(3_000)).unwrap(), 1);
    let rows = outbox.peek(2, 10, usize::MAX).unwrap();
    let rows: Vec<_> =
        rows.iter().map(|row| (row.seq, row.record.key.id.as_ref(), row.appended_at.0)).collect();
    assert_eq!(rows, [(3, "a", 2_000), (4, "b", 3_000)]);
    assert_eq!(outbox.usage().oldest, Some(Timestamp(2_000)));
}

#[test]
fn the_tail_is_bounded_in_bytes() {
    let folder = tempfile::tempdir().unwrap();
    let options = OutboxOptions::default().tail_bytes(3_000);
    let outbox = RedbOutbox::open(folder.path().join("outbox.redb"), options).unwrap();
    let records: Vec<_> = (0..20).map(|i| stored(&format!("k{i}"), 1)).collect();
    outbox.append(&records, NOW).unwrap();
    outbox.ack(&(1..=20).collect::<Vec<_>>(), NOW).unwrap();
    outbox.trim_tail(Timestamp(0)).unwrap();
    let usage = outbox.usage();
    assert!(usage.tail_bytes <= 3_000 && usage.tail_rows > 0, "{usage:?}");
    let kept = usage.tail_rows as usize;
    assert_eq!(outbox.replay_tail(Timestamp(0), NOW).unwrap() as usize, kept);
    let newest: Vec<_> = (20 - kept..20).map(|i| format!("k{i}")).collect();
    assert_eq!(ids(&outbox), newest, "the oldest go first");
}

#[test]
fn a_drained_file_gives_its_space_back_when_opened() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("outbox.redb");
    let outbox = open(&path);
    let mut last = 0;
    for batch in 0..60 {
        let records: Vec<_> = (0..1_000).map(|i| stored(&format!("k{i}"), batch * 1_000 + i)).collect();
        last = outbox.append(&records, NOW).unwrap();
    }
    let large = fs::metadata(&path).unwrap().len();
    assert!(large > 40_000_000, "{large}");
    outbox.ack(&(1..last).collect::<Vec<_>>(), NOW).unwrap();
    outbox.trim_tail(Timestamp(2_000)).unwrap();
    drop(outbox);
    let outbox = open(&path);
    assert_eq!(ids(&outbox), ["k999"], "while a row waits the file is left alone");
    assert!(fs::metadata(&path).unwrap().len() > 40_000_000);
    outbox.ack(&[last], NOW).unwrap();
    drop(outbox);
    let outbox = open(&path);
    assert!(fs::metadata(&path).unwrap().len() < large / 10);
    assert_eq!(outbox.usage().tail_rows, 1);
    assert_eq!(outbox.replay_tail(Timestamp(0), NOW).unwrap(), 1);
    assert_eq!(ids(&outbox), ["k999"]);
    assert_eq!(outbox.usage().last_seq, last + 1);
}

#[test]
fn bytes_are_bounded_too() {
    let folder = tempfile::tempdir().unwrap();
    let options = OutboxOptions::default().limit_bytes(10_000);
    let outbox = RedbOutbox::open(folder.path().join("outbox.redb"), options).unwrap();
    let error = (0..100).find_map(|i| outbox.append(&[stored(&format!("k{i}"), 1)], NOW).err()).unwrap();
    assert_eq!(error.kind(), ErrorKind::QuotaExceeded);
    let violation = error.violation().unwrap();
    assert_eq!(
        (violation.field.as_str(), violation.limit, violation.unit),
        ("outbox.bytes", 10_000, "bytes")
    );
    assert!(violation.found > 10_000 && outbox.usage().bytes <= 10_000);
    let seq = outbox.peek(0, 1, 1).unwrap()[0].seq;
    outbox.ack(&[seq], NOW).unwrap();
    outbox.append(&[stored("again", 1)], NOW).unwrap();
}

#[test]
fn a_file_in_use_is_a_conflict() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("outbox.redb");
    let held = open(&path);
    let error = RedbOutbox::open(&path, OutboxOptions::default()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict);
    assert!(error.hint().is_some());
    drop(held);
    assert!(names(folder.path(), "outbox.redb.corrupt-").is_empty());
}

#[test]
fn opening_trims_the_tail_to_its_bound() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("outbox.redb");
    let outbox = open(&path);
    outbox.append(&(0..20).map(|i| stored(&format!("k{i}"), 1)).collect::<Vec<_>>(), NOW).unwrap();
    outbox.ack(&(1..=20).collect::<Vec<_>>(), NOW).unwrap();
    outbox.append(&[stored("last", 1)], NOW).unwrap();
    let full = outbox.usage();
    assert_eq!(full.tail_rows, 20);
    drop(outbox);
    let bound = full.tail_bytes / 2;
    let outbox = RedbOutbox::open(&path, OutboxOptions::default().tail_bytes(bound)).unwrap();
    let usage = outbox.usage();
    assert!(usage.tail_bytes <= bound && usage.tail_rows >= 9, "{usage:?}");
    assert_eq!((usage.rows, usage.last_seq), (1, 21), "what waits stays");
    assert_eq!(ids(&outbox), ["last"]);
}

#[test]
fn replaying_leaves_older_rows_in_the_tail() {
    let folder = tempfile::tempdir().unwrap();
    let outbox = open(&folder.path().join("outbox.redb"));
    outbox.append(&[stored("a", 1), stored("b", 1)], NOW).unwrap();
    outbox.ack(&[1], Timestamp(10)).unwrap();
    outbox.ack(&[2], Timestamp(20)).unwrap();
    assert_eq!(outbox.replay_tail(Timestamp(20), NOW).unwrap(), 1);
    assert_eq!(ids(&outbox), ["b"]);
    assert_eq!(outbox.usage().tail_rows, 1);
}

#[test]
fn short_lived_processes_keep_the_file_small() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("outbox.redb");
    let tail_bytes = 100_000;
    let options = OutboxOptions::default().tail_bytes(tail_bytes);
    let large = "x".repeat(10_000);
    let mut last = 0;
    for process in 0..10_000_u64 {
        let outbox = RedbOutbox::open(&path, options).unwrap();
        let usage = outbox.usage();
        assert!(usage.tail_bytes <= tail_bytes, "process {process}: {usage:?}");
        let ids = memory_core::SeededIds::new(process);
        let id = memory_core::EpisodeId(memory_core::IdSource::next(&ids, NOW));
        let action = memory_core::Action::tool("t").observation(large.clone());
        let step = memory_core::Step::new(id, 1, 1, NOW, action);
        let space = memory_core::Namespace::default();
        let record = memory_core::conformance::record(&space, &process.to_string(), 1, Some(step.into()));
        outbox.append(&[record], NOW).unwrap();
        let rows = outbox.peek(0, 100, usize::MAX).unwrap();
        outbox.ack(&rows.iter().map(|row| row.seq).collect::<Vec<_>>(), NOW).unwrap();
        last = outbox.usage().last_seq;
    }
    assert_eq!(last, 10_000, "100 MB went through it");
    drop(RedbOutbox::open(&path, options).unwrap());
    let size = fs::metadata(&path).unwrap().len();
    assert!(size < 4 * (tail_bytes + 8 * 1024 * 1024), "{size}");
}
