//! Dead letters: bounded, listed by page, retried, dropped.

use memory_core::{ErrorKind, Outbox, Record, Seq, Timestamp};
use memory_storage_redb::{OutboxOptions, RedbOutbox};
use redb::ReadableTable;

use crate::stored;

const NOW: Timestamp = Timestamp(1_000);

fn records(range: std::ops::Range<u64>) -> Vec<Record> {
    range.map(|i| stored(&format!("k{i:03}"), i + 1)).collect()
}

fn refuse_all(outbox: &RedbOutbox) {
    for row in outbox.peek(0, usize::MAX, usize::MAX).unwrap() {
        outbox.refuse(row.seq, "refused", NOW).unwrap();
    }
}

fn seqs(outbox: &RedbOutbox) -> Vec<Seq> {
    outbox.dead_letters(0, 1_000).unwrap().iter().map(|letter| letter.seq).collect()
}

#[test]
fn a_server_that_refuses_everything_fills_the_outbox() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("outbox.redb");
    let options = OutboxOptions::default().limit_rows(10);
    let outbox = RedbOutbox::open(&path, options).unwrap();
    outbox.append(&records(0..10), NOW).unwrap();
    refuse_all(&outbox);
    let error = outbox.append(&records(10..11), NOW).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::QuotaExceeded);
    assert_eq!(error.violation().unwrap().found, 11);
    assert_eq!(outbox.drop_dead_letters(&[1, 2, 99]).unwrap(), 2);
    outbox.append(&records(10..12), NOW).unwrap();
    drop(outbox);
    // The bytes count, too.
    let options = OutboxOptions::default().limit_bytes(1_000);
    let outbox = RedbOutbox::open(&path, options).unwrap();
    refuse_all(&outbox);
    assert_eq!((outbox.usage().rows, outbox.usage().bytes), (0, 0));
    let error = outbox.append(&records(12..13), NOW).unwrap_err();
    assert_eq!(error.violation().unwrap().field, "outbox.bytes");
}

#[test]
fn figures_are_exact_after_retrying_dropping_and_counting_anew() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("outbox.redb");
    let open = || RedbOutbox::open(&path, OutboxOptions::default()).unwrap();
    let outbox = open();
    outbox.append(&records(0..9), NOW).unwrap();
    refuse_all(&outbox);
    outbox.append(&records(9..12), NOW).unwrap();
    assert_eq!(outbox.retry_dead_letters(Some(&[3, 4, 99]), NOW).unwrap(), 2);
    assert_eq!(outbox.drop_dead_letters(&[5]).unwrap(), 1);
    let usage = outbox.usage();
    assert_eq!((usage.rows, usage.dead_letters), (5, 6));
    drop(outbox);
    let database = redb::Database::create(&path).unwrap();
    let transaction = database.begin_write().unwrap();
    {
        let letters = redb::TableDefinition::<u64, &[u8]>::new("dead_letters");
        let letters = transaction.open_table(letters).unwrap();
        let bytes: usize = letters.iter().unwrap().map(|letter| letter.unwrap().1.value().len()).sum();
        assert_eq!(usage.dead_letter_bytes, bytes as u64);
        let rows = redb::TableDefinition::<u64, &[u8]>::new("rows");
        transaction.open_table(rows).unwrap().insert(u64::MAX, &b"junk"[..]).unwrap();
    }
    transaction.commit().unwrap();
    drop(database);
    let outbox = open();
    assert_eq!(outbox.usage(), usage, "counted anew");
    assert_eq!(outbox.retry_dead_letters(None, NOW).unwrap(), 6);
    let usage = outbox.usage();
    assert_eq!((usage.rows, usage.dead_letters, usage.dead_letter_bytes), (11, 0, 0));
}

#[test]
fn pages_follow_each_other() {
    let folder = tempfile::tempdir().unwrap();
    let outbox = RedbOutbox::open(folder.path().join("outbox.redb"), OutboxOptions::default()).unwrap();
    outbox.append(&records(0..10), NOW).unwrap();
    refuse_all(&outbox);
    let (mut after, mut listed) = (0, Vec::new());
    loop {
        let page = outbox.dead_letters(after, 3).unwrap();
        assert!(page.len() <= 3);
        let Some(last) = page.last() else { break };
        after = last.seq;
        listed.extend(page.into_iter().map(|letter| letter.seq));
    }
    assert_eq!(listed, (1..=10).collect::<Vec<_>>());
}

#[test]
fn an_unread_number_is_never_given_again() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("outbox.redb");
    let outbox = RedbOutbox::open(&path, OutboxOptions::default()).unwrap();
    outbox.append(&records(0..3), NOW).unwrap();
    refuse_all(&outbox);
    drop(outbox);
    let database = redb::Database::create(&path).unwrap();
    let transaction = database.begin_write().unwrap();
    let rows = redb::TableDefinition::<u64, &[u8]>::new("rows");
    transaction.open_table(rows).unwrap().insert(u64::MAX, &b"junk"[..]).unwrap();
    transaction.commit().unwrap();
    drop(database);
    let outbox = RedbOutbox::open(&path, OutboxOptions::default()).unwrap();
    assert_eq!(outbox.append(&records(3..4), NOW).unwrap(), 4, "behind the dead letters");
    outbox.refuse(4, "no", NOW).unwrap();
    assert_eq!(seqs(&outbox), [1, 2, 3, 4]);
}
