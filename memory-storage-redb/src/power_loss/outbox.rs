//! The outbox under power loss and failing disks.

use std::collections::BTreeMap;

use memory_core::conformance::{episode, record};
use memory_core::{ErrorKind, IdSource, Namespace, Outbox, Record, Revision, SeededIds, Timestamp};

use super::{Disk, Fault};
use crate::outbox::{OutboxOptions, RedbOutbox};

const NOW: Timestamp = Timestamp(1_000);

fn open(disk: &Disk) -> RedbOutbox {
    RedbOutbox::open_with(disk.opener(), OutboxOptions::default().page_cache_bytes(1 << 20)).unwrap()
}

/// The required content of the outbox: content by key and revision, and whether the append was acknowledged.
type Expected = BTreeMap<(String, Revision), (Record, bool)>;

/// Reads everything that is kept, wherever; each version must be there once.
fn kept(outbox: &RedbOutbox) -> BTreeMap<(String, Revision), Record> {
    let usage = outbox.usage();
    let waiting = outbox.peek(0, usize::MAX, usize::MAX).unwrap();
    let aside = outbox.dead_letters(0, usize::MAX).unwrap();
    assert_eq!(
        (usage.rows, usage.dead_letters),
        (waiting.len() as u64, aside.len() as u64),
        "the counts hold"
    );
    assert_eq!(usage.oldest.is_some(), usage.rows > 0);
    assert!(waiting.iter().all(|row| row.seq <= usage.last_seq));
    assert_eq!(outbox.replay_tail(Timestamp(0), NOW).unwrap(), usage.tail_rows);
    let after = outbox.usage();
    assert_eq!(after.bytes, usage.bytes + usage.tail_bytes, "the sizes hold");
    let waiting = outbox.peek(0, usize::MAX, usize::MAX).unwrap();
    assert_eq!(after.rows, waiting.len() as u64);
    let mut kept = BTreeMap::new();
    let aside = aside.into_iter().map(|row| row.record.expect("a set-aside row is undamaged"));
    for record in waiting.into_iter().map(|row| row.record).chain(aside) {
        let id = (record.key.id.to_string(), record.revision);
        assert!(kept.insert(id, record).is_none(), "a version is there twice");
    }
    kept
}

fn check(outbox: &RedbOutbox, expected: &mut Expected) {
    let kept = kept(outbox);
    for (id, (record, acknowledged)) in &*expected {
        match kept.get(id) {
            Some(found) => assert_eq!(found, record),
            None => assert!(!acknowledged, "an acknowledged row is lost: {id:?}"),
        }
    }
    assert!(kept.keys().all(|id| expected.contains_key(id)), "nothing is there that was not appended");
    // An append without an answer is either there for good or not at all.
    expected.retain(|id, _| kept.contains_key(id));
    expected.values_mut().for_each(|(_, acknowledged)| *acknowledged = true);
}

fn round(seed: u64) -> usize {
    let random = SeededIds::new(seed);
    let pick = |n: u64| random.random() % n;
    let space = Namespace::default();
    let disk = Disk::default();
    let mut expected = Expected::new();
    let mut clock = 0;
    for _ in 0..4 {
        let outbox = open(&disk);
        check(&outbox, &mut expected);
        disk.cut_power_after(pick(400));
        for _ in 0..40 {
            let waiting = outbox.peek(0, 20, usize::MAX).unwrap_or_default();
            let some = waiting.get(pick(waiting.len().max(1) as u64) as usize).map(|row| row.seq);
            match pick(8) {
                0..=3 => {
                    let batch: Vec<_> = (0..=pick(4))
                        .map(|_| {
                            clock += 1;
                            record(&space, &format!("k{}", pick(12)), clock, Some(episode(clock)))
                        })
                        .collect();
                    let acknowledged = outbox.append(&batch, NOW).is_ok();
                    for record in batch {
                        expected.insert((record.key.id.to_string(), record.revision), (record, acknowledged));
                    }
                }
                4 => drop(outbox.ack(&waiting.iter().take(3).map(|row| row.seq).collect::<Vec<_>>(), NOW)),
                5 => drop(some.map(|seq| outbox.refuse(seq, "refused", NOW))),
                6 => drop(outbox.retry_dead_letters(None, NOW)),
                _ => drop(outbox.trim_tail(Timestamp(0))),
            }
        }
        disk.cut_power();
        drop(outbox);
        disk.restore_power(&random);
    }
    let outbox = open(&disk);
    check(&outbox, &mut expected);
    expected.len()
}

#[test]
fn no_acknowledged_row_is_lost_or_duplicated() {
    let kept: usize = (0..60).map(round).sum();
    assert!(kept > 1_000, "the rounds keep something: {kept}");
}

#[test]
fn power_loss_while_creating_the_file() {
    const ROUNDS: u64 = 60;
    let mut survived = 0;
    for calls in 0..ROUNDS {
        let random = SeededIds::new(calls);
        let disk = Disk::default();
        disk.cut_power_after(calls);
        let options = OutboxOptions::default().page_cache_bytes(1 << 20);
        let first = RedbOutbox::open_with(disk.opener(), options);
        let survives = first.as_ref().is_ok_and(|outbox| {
            outbox.append(&[record(&Namespace::default(), "a", 1, Some(episode(1)))], NOW).is_ok()
        });
        disk.cut_power();
        drop(first);
        disk.restore_power(&random);
        // Before the first append there is nothing to lose: a half-made file may be unreadable.
        if survives {
            survived += 1;
            assert_eq!(open(&disk).usage().rows, 1);
        }
    }
    assert!((1..ROUNDS).contains(&survived), "the power goes both before and behind the append: {survived}");
}

#[test]
fn after_a_failed_commit_nothing_is_written_until_reopened() {
    for fault in [Fault::Write, Fault::Sync, Fault::Full] {
        let space = Namespace::default();
        let disk = Disk::default();
        let outbox = open(&disk);
        let kept = record(&space, "kept", 1, Some(episode(1)));
        outbox.append(std::slice::from_ref(&kept), NOW).unwrap();
        disk.fail(Some(fault));
        let big = "x".repeat(900_000);
        let mut failed = None;
        for clock in 0..8 {
            let action = memory_core::Action::tool("t").observation(big.clone());
            let step = memory_core::Step::new(
                memory_core::EpisodeId(SeededIds::new(1).next(NOW)),
                1,
                1,
                NOW,
                action,
            );
            let result = outbox.append(&[record(&space, "big", clock, Some(step.into()))], NOW);
            failed = failed.or(result.err());
        }
        let error = failed.expect("the fault shows");
        assert_eq!(error.kind(), ErrorKind::Io, "{fault:?}: {error:?}");
        assert!(error.hint().is_some());
        disk.fail(None);
        let small = record(&space, "small", 1, None);
        let refused = outbox.append(std::slice::from_ref(&small), NOW).unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Io, "{fault:?}: still closed for writing");
        assert!(outbox.ack(&[1], NOW).is_err() && outbox.retry_dead_letters(None, NOW).is_err());
        outbox.reopen().unwrap();
        outbox.append(std::slice::from_ref(&small), NOW).unwrap();
        let found = outbox.pending(&[kept.key.clone(), small.key.clone()]).unwrap();
        assert_eq!(found, [Some(kept), Some(small)], "{fault:?}");
    }
}

#[test]
fn reopening_fails_while_the_disk_does() {
    let disk = Disk::default();
    let outbox = open(&disk);
    let kept = record(&Namespace::default(), "kept", 1, Some(episode(1)));
    outbox.append(std::slice::from_ref(&kept), NOW).unwrap();
    disk.cut_power();
    assert!(outbox.append(std::slice::from_ref(&kept), NOW).is_err());
    assert_eq!(outbox.reopen().unwrap_err().kind(), ErrorKind::Io);
    assert_eq!(outbox.pending(std::slice::from_ref(&kept.key)).unwrap_err().kind(), ErrorKind::Io);
    disk.restore_power(&SeededIds::new(1));
    outbox.reopen().unwrap();
    assert_eq!(outbox.pending(std::slice::from_ref(&kept.key)).unwrap(), [Some(kept)]);
}
