//! Versions merge to the same state in any order, with any repetition, in any batches.

use std::collections::BTreeMap;

use memory_core::conformance::{episode, record};
use memory_core::{Key, Kind, MemoryStore, Namespace, Record, Store, WriterId};
use proptest::prelude::*;

/// A version: which record, its clock, its writer, and whether it is a tombstone.
type Version = (u8, u8, u8, bool);

fn build((id, clock, writer, dead): Version) -> Record {
    let seed = u64::from(id) << 16 | u64::from(clock) << 8 | u64::from(writer);
    let entity = (!dead).then(|| episode(seed));
    let mut record = record(&Namespace::default(), &format!("k{id}"), u64::from(clock), entity);
    record.revision.writer = WriterId::new(u64::from(writer));
    record
}

fn state(batches: &[Vec<Record>]) -> BTreeMap<String, Record> {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(async {
        let store = MemoryStore::new();
        for batch in batches {
            store.commit(batch).await.unwrap();
        }
        let keys: Vec<Key> =
            (0..8).map(|id| Key::new(&Namespace::default(), Kind::Episode, format!("k{id}"))).collect();
        let found = store.get(&keys).await.unwrap();
        found.into_iter().flatten().map(|record| (record.key.id.to_string(), record)).collect()
    })
}

/// Versions of which no two share record, clock and writer: a writer never issues a revision twice.
fn versions() -> impl Strategy<Value = Vec<Version>> {
    proptest::collection::btree_map((0..8_u8, 0..12_u8, 0..3_u8), any::<bool>(), 1..60).prop_map(|map| {
        map.into_iter().map(|((id, clock, writer), dead)| (id, clock, writer, dead)).collect()
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn order_repetition_and_batches_do_not_matter(
        versions in versions(),
        order in proptest::collection::vec(any::<prop::sample::Index>(), 0..200),
        cuts in proptest::collection::vec(1..9_usize, 1..80),
    ) {
        let all: Vec<Record> = versions.iter().copied().map(build).collect();
        let expected = state(std::slice::from_ref(&all));
        // Any sequence in which each version occurs at least once.
        let mut shuffled: Vec<Record> = order.iter().map(|index| index.get(&all).clone()).collect();
        shuffled.extend(all.iter().rev().cloned());
        let mut batches = Vec::new();
        let mut rest = shuffled.as_slice();
        for cut in cuts.iter().cycle() {
            if rest.is_empty() {
                break;
            }
            let (batch, tail) = rest.split_at(rest.len().min(*cut));
            batches.push(batch.to_vec());
            rest = tail;
        }
        prop_assert_eq!(state(&batches), expected);
    }
}
