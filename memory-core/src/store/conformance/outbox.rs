//! Tests of an outbox.

use std::sync::Arc;

use crate::clock::Timestamp;
use crate::error::ErrorKind;
use crate::model::kind::Kind;
use crate::store::conformance::Factory;
use crate::store::fixtures::{entities, episode, record, record_of};
use crate::store::query::{Order, Scan};
use crate::store::record::Seq;
use crate::store::record::{Key, Namespace, Record};
use crate::store::traits::{Outbox, OutboxRow};

/// Runs every case of [`Outbox`]. The factory opens outboxes with room for at least 1,000 rows and 8 MB.
pub async fn check_outbox(factory: &dyn Factory) {
    keeps_order(factory).await;
    serves_pending(factory).await;
    keeps_dead_letters(factory).await;
    keeps_a_tail(factory).await;
    survives_reopening(factory).await;
    is_bounded(factory).await;
}

const NOW: Timestamp = Timestamp(1_000);

async fn open(factory: &dyn Factory, case: &str) -> (Arc<dyn Outbox>, Namespace) {
    (factory.open(case).await.outbox(), Namespace::new(case).unwrap_or_default())
}

fn append(outbox: &Arc<dyn Outbox>, records: &[Record]) -> Seq {
    outbox.append(records, NOW).unwrap_or_else(|error| panic!("append works: {error:?}"))
}

fn peek(outbox: &Arc<dyn Outbox>, after: Seq, limit: usize) -> Vec<OutboxRow> {
    outbox.peek(after, limit, 8_000_000).unwrap_or_else(|error| panic!("peek works: {error:?}"))
}

fn ids(rows: &[OutboxRow]) -> Vec<&str> {
    rows.iter().map(|row| row.record.key.id.as_ref()).collect()
}

async fn keeps_order(factory: &dyn Factory) {
    let (outbox, space) = open(factory, "order").await;
    assert!(peek(&outbox, 0, 10).is_empty());
    let records: Vec<_> = entities(1)
        .into_iter()
        .enumerate()
        .map(|(i, entity)| record(&space, &format!("k{i}"), 1, Some(entity)))
        .collect();
    let last = append(&outbox, &records);
    let later = append(&outbox, &[record(&space, "later", 1, None)]);
    assert!(later > last);
    let rows = peek(&outbox, 0, 100);
    assert!(rows.windows(2).all(|pair| pair[0].seq < pair[1].seq), "ascending");
    assert_eq!(rows.len(), records.len() + 1);
    for (row, record) in rows.iter().zip(&records) {
        assert_eq!(&row.record, record, "the exact record comes back");
        assert_eq!(row.appended_at, NOW);
    }
    assert_eq!(rows[records.len() - 1].seq, last, "append returns the last number");
    assert_eq!(ids(&peek(&outbox, last, 100)), ["later"], "peek continues behind a number");
    assert_eq!(peek(&outbox, 0, 3).len(), 3, "the row limit holds");
    assert_eq!(outbox.peek(0, 100, 1).expect("peek works").len(), 1, "at least one row");
    let usage = outbox.usage();
    assert_eq!((usage.rows, usage.last_seq, usage.oldest), (rows.len() as u64, later, Some(NOW)));
    assert!(usage.bytes > 0);
    outbox.ack(&rows.iter().map(|row| row.seq).collect::<Vec<_>>(), NOW).expect("ack works");
    let usage = outbox.usage();
    assert_eq!((usage.rows, usage.bytes, usage.oldest), (0, 0, None), "an empty outbox is empty");
    assert!(append(&outbox, &[record(&space, "again", 1, None)]) > later, "numbers are not reused");
}

async fn serves_pending(factory: &dyn Factory) {
    let (outbox, space) = open(factory, "pending").await;
    let old = record(&space, "a", 1, Some(episode(1)));
    let new = record(&space, "a", 2, Some(episode(2)));
    let tombstone = record(&space, "b", 3, None);
    let step = record_of(&space, Kind::Step, "a:1", 1, Some(entities(1).swap_remove(1)));
    let seqs = [
        append(&outbox, std::slice::from_ref(&old)),
        append(&outbox, std::slice::from_ref(&new)),
        append(&outbox, &[tombstone.clone(), step.clone()]),
    ];
    let pending = |id: &str| {
        let key = Key::new(&space, Kind::Episode, id);
        outbox.pending(&[key]).expect("pending works").swap_remove(0)
    };
    assert_eq!(pending("a"), Some(new.clone()), "the newest waiting version");
    assert_eq!(pending("b"), Some(tombstone.clone()));
    assert_eq!(pending("c"), None);
    let scan = Scan::new(&space, Kind::Episode);
    let both = [new.clone(), tombstone];
    let scanned = |scan: &Scan, limit| outbox.pending_scan(scan, limit).expect("scan works");
    assert_eq!(scanned(&scan, 10), both, "by kind, by id");
    assert_eq!(scanned(&scan, 1), both[..1], "at most so many");
    assert_eq!(scanned(&scan.clone().after(Some("a".into())), 10), both[1..], "behind the cursor");
    let backwards = scan.order(Order::Descending);
    assert_eq!(scanned(&backwards, 1), both[1..], "in scan order");
    assert_eq!(scanned(&backwards.after(Some("b".into())), 10), both[..1], "behind the cursor, downwards");
    let steps = Scan::new(&space, Kind::Step).prefix("a:");
    assert_eq!(scanned(&steps, 10), [step], "by prefix");
    outbox.ack(&[seqs[0]], NOW).expect("ack works");
    assert_eq!(pending("a"), Some(new), "acknowledging an older version leaves the newer pending");
    outbox.ack(&[seqs[1]], NOW).expect("ack works");
    assert_eq!(pending("a"), None, "acknowledged is no longer pending");
}

async fn keeps_dead_letters(factory: &dyn Factory) {
    let (outbox, space) = open(factory, "aside").await;
    let [good, bad] = ["good", "bad"].map(|id| record(&space, id, 1, Some(episode(1))));
    append(&outbox, &[bad.clone(), good]);
    let seq = peek(&outbox, 0, 1)[0].seq;
    outbox.refuse(seq, "too strange", Timestamp(7)).expect("refuse works");
    assert_eq!(ids(&peek(&outbox, 0, 10)), ["good"], "the rest goes on");
    let listed = outbox.dead_letters(0, 10).expect("list works");
    assert_eq!(listed.len(), 1);
    assert_eq!((listed[0].reason.as_str(), listed[0].at), ("too strange", Timestamp(7)));
    assert_eq!(listed[0].record.as_ref(), Some(&bad));
    assert_eq!((outbox.usage().rows, outbox.usage().dead_letters), (1, 1));
    assert_eq!(outbox.retry_dead_letters(None, NOW).expect("retry works"), 1);
    assert_eq!(ids(&peek(&outbox, 0, 10)), ["good", "bad"], "a retried row waits behind the others");
    assert_eq!((outbox.usage().rows, outbox.usage().dead_letters), (2, 0));
    assert_eq!(outbox.usage().dead_letter_bytes, 0);

    let waiting = peek(&outbox, 0, 10);
    for row in &waiting {
        outbox.refuse(row.seq, "no", NOW).expect("refuse works");
    }
    let first = outbox.dead_letters(0, 1).expect("list works");
    let second = outbox.dead_letters(first[0].seq, 10).expect("list works");
    assert_eq!([first[0].seq, second[0].seq], [waiting[0].seq, waiting[1].seq], "page by page");
    assert!(outbox.dead_letters(second[0].seq, 10).expect("list works").is_empty());
    assert_eq!(outbox.drop_dead_letters(&[first[0].seq]).expect("drop works"), 1);
    assert_eq!(outbox.drop_dead_letters(&[first[0].seq]).expect("drop works"), 0, "it is gone");
    assert_eq!(outbox.retry_dead_letters(Some(&[first[0].seq]), NOW).expect("retry works"), 0);
    outbox.add_dead_letters(&first).expect("add works");
    let listed = outbox.dead_letters(0, 10).expect("list works");
    assert_eq!((listed[1].reason.as_str(), &listed[1].record), ("no", &first[0].record));
    assert!(listed[1].seq > waiting[1].seq, "it has a new number");
    assert_eq!(outbox.retry_dead_letters(Some(&[listed[1].seq]), NOW).expect("retry works"), 1);
    assert_eq!(peek(&outbox, 0, 10).len(), 1, "one of two");
}

async fn keeps_a_tail(factory: &dyn Factory) {
    let (outbox, space) = open(factory, "tail").await;
    append(&outbox, &[record(&space, "a", 1, Some(episode(1))), record(&space, "b", 1, Some(episode(2)))]);
    let rows = peek(&outbox, 0, 10);
    outbox.ack(&[rows[0].seq], Timestamp(10)).expect("ack works");
    outbox.ack(&[rows[1].seq], Timestamp(20)).expect("ack works");
    assert_eq!((outbox.usage().rows, outbox.usage().tail_rows), (0, 2));
    outbox.trim_tail(Timestamp(15)).expect("trim works");
    assert_eq!(outbox.usage().tail_rows, 1, "older than the bound is gone");
    assert_eq!(outbox.replay_tail(Timestamp(21), NOW).expect("replay works"), 0, "older rows stay");
    assert_eq!(outbox.replay_tail(Timestamp(20), NOW).expect("replay works"), 1);
    assert_eq!(ids(&peek(&outbox, 0, 10)), ["b"], "a replayed row waits again");
    assert_eq!((outbox.usage().rows, outbox.usage().tail_rows, outbox.usage().tail_bytes), (1, 0, 0));
}

async fn survives_reopening(factory: &dyn Factory) {
    let (outbox, space) = open(factory, "reopen").await;
    append(&outbox, &[record(&space, "a", 1, Some(episode(1))), record(&space, "b", 1, Some(episode(2)))]);
    let rows = peek(&outbox, 0, 10);
    outbox.refuse(rows[0].seq, "why", NOW).expect("refuse works");
    let last = outbox.usage().last_seq;
    outbox.reopen().expect("reopen works");
    assert!(outbox.usage().last_seq >= last, "no number comes again");
    append(&outbox, &[record(&space, "c", 1, Some(episode(3)))]);
    let before = outbox.usage();
    drop(outbox);
    let (outbox, _) = open(factory, "reopen").await;
    assert_eq!(ids(&peek(&outbox, 0, 10)), ["b", "c"]);
    let after = outbox.usage();
    assert_eq!(
        (after.rows, after.bytes, after.dead_letters, after.last_seq, after.oldest),
        (before.rows, before.bytes, before.dead_letters, before.last_seq, before.oldest),
        "the figures survive"
    );
}

async fn is_bounded(factory: &dyn Factory) {
    let (outbox, space) = open(factory, "bounded").await;
    let usage = outbox.usage();
    assert!(usage.limit_rows >= 1_000 && usage.limit_bytes >= 8_000_000, "the suite needs some room");
    if usage.limit_rows > 100_000 {
        return;
    }
    let batch: Vec<_> = (0..500).map(|i| record(&space, &format!("k{i}"), 1, None)).collect();
    for _ in 0..usage.limit_rows / 500 {
        append(&outbox, &batch);
    }
    let full = outbox.usage();
    let error = outbox.append(&batch, NOW).expect_err("a full outbox refuses");
    assert_eq!(error.kind(), ErrorKind::QuotaExceeded);
    let violation = error.violation().expect("the figures are named");
    assert_eq!((violation.limit, violation.field.as_str()), (usage.limit_rows, "outbox.rows"));
    assert_eq!(outbox.usage(), full, "a refused append changes nothing");
    let oldest = peek(&outbox, 0, 500);
    outbox.refuse(oldest[0].seq, "no", NOW).expect("refuse works");
    assert_eq!(
        outbox.append(&batch[..1], NOW).expect_err("dead letters count").kind(),
        ErrorKind::QuotaExceeded
    );
    outbox.ack(&oldest.iter().map(|row| row.seq).collect::<Vec<_>>(), NOW).expect("ack works");
    assert_eq!(outbox.drop_dead_letters(&[oldest[0].seq]).expect("drop works"), 1);
    append(&outbox, &batch);
}
