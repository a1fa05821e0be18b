//! Adopting the outboxes of instances that no longer run.

use std::fs;
use std::path::Path;

use memory_core::{Orphans, Outbox, Timestamp};
use memory_storage_redb::{OrphanFolders, OutboxOptions, RedbOutbox, Slot, Slots};

use crate::stored;

const NOW: Timestamp = Timestamp(1_000);

fn outbox(slot: &Slot) -> RedbOutbox {
    RedbOutbox::open(slot.path().join("outbox.redb"), OutboxOptions::default()).unwrap()
}

fn ids(outbox: &RedbOutbox) -> Vec<String> {
    let rows = outbox.peek(0, usize::MAX, usize::MAX).unwrap();
    rows.iter().map(|row| row.record.key.id.to_string()).collect()
}

/// Leaves rows behind in the slot of this number: some wait, some set aside, one sent.
fn leave_behind(root: &Path, holders: &mut Vec<Slot>, name: &str) {
    let slot = Slots::claim(root).unwrap();
    let left = outbox(&slot);
    left.append(&["1", "2", "3"].map(|id| stored(&format!("{name}{id}"), 1)), NOW).unwrap();
    left.ack(&[1], NOW).unwrap();
    left.refuse(2, "refused", NOW).unwrap();
    holders.push(slot);
}

#[test]
fn adopts_what_nobody_holds_and_nothing_else() {
    let root = tempfile::tempdir().unwrap();
    let mut holders = Vec::new();
    let own = Slots::claim(root.path()).unwrap();
    let into = outbox(&own);
    leave_behind(root.path(), &mut holders, "a");
    leave_behind(root.path(), &mut holders, "b");
    fs::create_dir(root.path().join("not-a-slot")).unwrap();
    let orphans = OrphanFolders::new(root.path(), &own);
    assert_eq!(orphans.adopt(&into, NOW).rows, 0, "both are held");
    drop(holders.remove(0));
    let adopted = orphans.adopt(&into, NOW);
    assert_eq!((adopted.rows, adopted.dead_letters), (1, 1));
    assert_eq!(ids(&into), ["a3"], "what waited");
    let letters = into.dead_letters(0, 10).unwrap();
    assert_eq!(letters[0].record.as_ref().unwrap().key.id.as_ref(), "a2", "a dead letter stays one");
    assert_eq!((letters[0].reason.as_str(), letters[0].at), ("refused", NOW));
    assert_eq!(orphans.adopt(&into, NOW).rows, 0, "nothing is adopted twice");
    let freed = Slots::claim(root.path()).unwrap();
    assert_eq!(freed.path(), root.path().join("1"));
    let left = outbox(&freed);
    assert_eq!((left.usage().rows, left.usage().dead_letters, left.usage().tail_rows), (0, 0, 1));
    left.append(&[stored("a4", 1)], NOW).unwrap();
    drop((left, freed));
    assert_eq!(
        orphans.adopt(&into, NOW).rows,
        1,
        "an outbox that was empty is looked at again when it changes"
    );
    drop(holders);
    assert_eq!(orphans.adopt(&into, NOW).rows, 1);
    assert_eq!((into.usage().rows, into.usage().dead_letters), (3, 2));
}

#[test]
fn stops_without_loss_when_there_is_no_room() {
    let root = tempfile::tempdir().unwrap();
    let own = Slots::claim(root.path()).unwrap();
    let options = OutboxOptions::default().limit_rows(1);
    let into = RedbOutbox::open(own.path().join("outbox.redb"), options).unwrap();
    let mut holders = Vec::new();
    leave_behind(root.path(), &mut holders, "a");
    drop(holders);
    let orphans = OrphanFolders::new(root.path(), &own);
    assert_eq!(orphans.adopt(&into, NOW).rows, 1, "what fits");
    let adopted = orphans.adopt(&into, NOW);
    assert_eq!(adopted.rows, 0);
    assert_eq!(adopted.error.unwrap().kind(), memory_core::ErrorKind::QuotaExceeded, "and it is told");
    let seq = into.peek(0, 1, 1).unwrap()[0].seq;
    into.ack(&[seq], NOW).unwrap();
    assert_eq!(orphans.adopt(&into, NOW).dead_letters, 1, "the rest, once there is room");
    assert!(ids(&into).is_empty());
    assert_eq!(into.usage().dead_letters, 1);
}

#[test]
fn a_damaged_orphan_is_salvaged_and_does_not_keep_the_others_waiting() {
    let root = tempfile::tempdir().unwrap();
    let own = Slots::claim(root.path()).unwrap();
    let into = outbox(&own);
    let mut holders = Vec::new();
    leave_behind(root.path(), &mut holders, "a");
    leave_behind(root.path(), &mut holders, "b");
    drop(holders);
    let damaged = root.path().join("1/outbox.redb");
    let mut bytes = fs::read(&damaged).unwrap();
    bytes[..64].fill(0);
    fs::write(&damaged, bytes).unwrap();
    let orphans = OrphanFolders::new(root.path(), &own);
    let adopted = orphans.adopt(&into, NOW);
    assert_eq!((adopted.rows, adopted.dead_letters), (1, 4), "of the damaged one also what had been sent");
    assert!(adopted.error.is_none());
    assert_eq!(adopted.warnings.len(), 1, "the damage is told: {:?}", adopted.warnings);
    assert_eq!(ids(&into), ["b3"]);
    let letters = into.dead_letters(0, 10).unwrap();
    let mut dead: Vec<_> = letters.iter().map(|it| it.record.as_ref().unwrap().key.id.to_string()).collect();
    dead.sort();
    assert_eq!(dead, ["a1", "a2", "a3", "b2"], "rows from 1970 are not sent without being asked for");
}
