use std::collections::{BTreeMap, BTreeSet, HashMap};

use memory_core::{Episode, EpisodeId, Key, Outcome, Revision, Task, Timestamp, ToolUse, WriterId};
use proptest::prelude::*;
use uuid::Uuid;

use super::*;
use crate::groups::EpisodeHits;
use crate::query::RecallQuery;

const NOW: Timestamp = Timestamp(1_000);
const WORDS: [&str; 12] = [
    "refund",
    "refunds",
    "cancel",
    "cancelled",
    "web-api",
    "webapi",
    "deploy",
    "deploying",
    "Café",
    "订单",
    "W606",
    "seat",
];
const TOOLS: [&str; 5] = ["bash", "cancel_order", "edit", "search", "refund"];

/// The inputs of a document: its record, the version, and the content that differs between documents.
#[derive(Debug, Clone)]
struct Put {
    id: u8,
    clock: u8,
    words: Vec<u8>,
    domain: Option<u8>,
    tools: Vec<u8>,
    outcome: u8,
    duration: u16,
}

#[derive(Debug, Clone)]
enum Change {
    Put(Put),
    Remove { id: u8, clock: u8 },
    Expire,
}

fn revision(clock: u8) -> Revision {
    Revision { clock: clock.into(), writer: WriterId::new(u64::from(clock) % 3) }
}

/// Every fourth record is something learned.
fn key(id: u8) -> Key {
    let kind = if id.is_multiple_of(4) { Kind::Heuristic } else { Kind::Episode };
    Key::new(&Namespace::default(), kind, EpisodeId(Uuid::from_u128(id.into())).to_string())
}

fn document(put: &Put) -> SearchDocument {
    let words: Vec<&str> = put.words.iter().map(|word| WORDS[*word as usize % WORDS.len()]).collect();
    let mut task = Task::new(format!("{} w{}", words.join(" "), put.id % 5));
    task.domain = put.domain.map(|domain| format!("Domain {}", domain % 3));
    let mut episode = Episode::open(EpisodeId(Uuid::nil()), task, Timestamp(u64::from(put.clock) % 7));
    episode.outcome = match put.outcome % 5 {
        0 => None,
        1 => Some(Outcome::failure("out of seats")),
        2 => Some(Outcome::Partial { fraction: 0.5, summary: "half".into() }),
        _ => Some(Outcome::success("done")),
    };
    let used = |tool: &u8| ToolUse {
        tool: TOOLS[*tool as usize % TOOLS.len()].into(),
        calls: 1,
        failures: u32::from(*tool) % 2,
    };
    episode.tools = put.tools.iter().map(used).collect();
    episode.fingerprint = if put.outcome == 9 { String::new() } else { format!("f{}", put.id % 3) };
    episode.steps = put.tools.len() as u32;
    episode.step_duration_ms = put.duration.into();
    episode.reward = Some(f64::from(put.duration) / 65_535.0);
    let expires_at = (put.outcome % 7 == 6).then_some(NOW);
    let mut document = SearchDocument::of_episode(&episode, revision(put.clock), expires_at);
    if put.id.is_multiple_of(4) {
        document.state = if put.outcome == 1 {
            crate::document::DocumentState::Rejected
        } else {
            crate::document::DocumentState::Active
        };
    }
    document
}

fn put() -> impl Strategy<Value = Put> {
    let bytes = |most| proptest::collection::vec(any::<u8>(), 0..most);
    (0..16_u8, 0..60_u8, bytes(8), any::<Option<u8>>(), bytes(4), 0..10_u8, any::<u16>()).prop_map(
        |(id, clock, words, domain, tools, outcome, duration)| Put {
            id,
            clock,
            words,
            domain,
            tools,
            outcome,
            duration,
        },
    )
}

fn changes() -> impl Strategy<Value = Vec<Change>> {
    let change = prop_oneof![
        8 => put().prop_map(Change::Put),
        3 => (0..16_u8, 0..60_u8).prop_map(|(id, clock)| Change::Remove { id, clock }),
        1 => Just(Change::Expire),
    ];
    proptest::collection::vec(change, 0..60)
}

/// An index with the documents of a cache file, and the changes since a snapshot of it.
#[derive(Default)]
struct World {
    index: LexicalIndex,
    documents: BTreeMap<Key, SearchDocument>,
    changed: BTreeSet<Key>,
}

impl World {
    fn apply(&mut self, change: &Change) {
        match change {
            Change::Put(put) => {
                let (key, document) = (key(put.id), document(put));
                if self.index.upsert(&key, &document) {
                    self.documents.insert(key.clone(), document);
                    self.changed.insert(key);
                }
            }
            Change::Remove { id, clock } => {
                let key = key(*id);
                if self.index.remove(&key, revision(*clock)) {
                    self.documents.remove(&key);
                    self.changed.insert(key);
                }
            }
            Change::Expire => {
                self.index.purge_expired(NOW);
            }
        }
    }
}

/// All answers of an index to a few queries, without expired documents.
fn answers(index: &mut LexicalIndex) -> Vec<String> {
    index.purge_expired(NOW);
    let space = Namespace::default();
    let mut answers = Vec::new();
    let none = HashMap::new();
    for text in ["refund the seat", "cancel web-api w1 w2", "deployed café 订单", "w606 bash half", "w3"] {
        for domain in [None, Some("domain-1")] {
            let query = RecallQuery::new(text).limit(20).min_relevance(0.0).include_open(true);
            let query = domain.into_iter().fold(query, |query, domain| query.domain(domain));
            answers.push(format!("{:?}", index.search(&space, Kind::Episode, &query, NOW)));
            answers.push(format!("{:?}", index.search(&space, Kind::Heuristic, &query, NOW)));
            let EpisodeHits { hits, forecast, contrasts, .. } =
                index.search_episodes(&space, &query, NOW, &none);
            answers.push(format!("{hits:?} {forecast:?} {contrasts:?}"));
        }
    }
    for domain in [None, Some("Domain 0"), Some("domain 1"), Some("Domain 2")] {
        answers.push(format!(
            "{:?} {}",
            index.episodes_of(&space, domain, 9, |_| true),
            index.count_of(&space, domain)
        ));
        answers.push(format!("{:?}", index.learned_of(&space, Kind::Heuristic, domain)));
        let mut task = Task::new("");
        task.domain = domain.map(str::to_owned);
        answers
            .push(format!("{:?}", index.tasks(&space).map(|tasks| tasks.of_kind(&task)).unwrap_or_default()));
    }
    let tasks = index.tasks(&space);
    answers.push(format!("{:?}", tasks.map(|tasks| tasks.by_domain()).unwrap_or_default()));
    for fingerprint in ["f0", "f1", "f2"] {
        let figures = tasks.map(|tasks| tasks.of_fingerprint(fingerprint)).unwrap_or_default();
        answers.push(format!("{figures:?}"));
    }
    let census = index.shard_of_episodes(&space).map(|shard| &shard.census);
    answers.push(format!("{}", census.map_or(0, |census| census.completed())));
    for tool in TOOLS {
        answers.push(format!("{:?}", census.map(|census| census.tool(tool)).unwrap_or_default()));
    }
    for id in 0..16 {
        answers.push(format!("{:?}", index.revision(&key(id))));
    }
    answers
}

fn fresh(documents: &BTreeMap<Key, SearchDocument>) -> LexicalIndex {
    let mut index = LexicalIndex::new();
    for (key, document) in documents {
        assert!(index.upsert(key, document));
    }
    index
}

proptest! {
    #[test]
    fn an_snapshot_with_what_has_changed_answers_like_all_documents(before in changes(), after in changes()) {
        let space = Namespace::default();
        let mut world = World::default();
        before.iter().for_each(|change| world.apply(change));
        let snapshot = world.index.snapshot(&space).unwrap();
        let mut loaded = LexicalIndex::of_snapshot(&space, snapshot.clone()).unwrap();
        prop_assert_eq!(&loaded.snapshot(&space).unwrap(), &snapshot);
        let expected = answers(&mut fresh(&world.documents));
        prop_assert_eq!(&answers(&mut loaded), &expected);
        prop_assert_eq!(&answers(&mut world.index), &expected);

        world.changed.clear();
        after.iter().for_each(|change| world.apply(change));
        let mut loaded = LexicalIndex::of_snapshot(&space, snapshot.clone()).unwrap();
        for key in &world.changed {
            loaded.forget(key);
            if let Some(document) = world.documents.get(key) {
                loaded.upsert(key, document);
            }
        }
        let expected = answers(&mut fresh(&world.documents));
        prop_assert_eq!(answers(&mut loaded), expected);

        (0..16).for_each(|id| loaded.forget(&key(id)));
        prop_assert!(loaded.shards.values().all(Shard::is_blank));
    }

    #[test]
    fn bytes_that_nobody_wrote_are_no_snapshot(
        changes in changes(),
        flips in proptest::collection::vec((any::<prop::sample::Index>(), 1..=255_u8), 1..6),
        from in any::<prop::sample::Index>(),
        long in proptest::collection::vec(any::<u8>(), 0..12),
    ) {
        let space = Namespace::default();
        let mut world = World::default();
        changes.iter().for_each(|change| world.apply(change));
        let snapshot = world.index.snapshot(&space).unwrap();
        for (at, flip) in flips {
            let mut bytes = snapshot.clone();
            bytes[at.index(snapshot.len())] ^= flip;
            // At most another index, which can still be queried and changed.
            if let Some(mut index) = LexicalIndex::of_snapshot(&space, bytes) {
                answers(&mut index);
                let mut world = World { index, ..World::default() };
                changes.iter().for_each(|change| world.apply(change));
            }
        }
        let from = from.index(snapshot.len());
        let spliced = [&snapshot[..from], &long, &snapshot[from..]].concat();
        let _ = LexicalIndex::of_snapshot(&space, spliced);
        let _ = LexicalIndex::of_snapshot(&space, long);
    }
}

#[test]
fn an_snapshot_that_is_cut_or_goes_on_is_none() {
    let mut index = LexicalIndex::new();
    for id in 0..8 {
        let words = vec![id, id + 1, 3];
        let put = Put { id, clock: 1, words, domain: Some(id), tools: vec![id], outcome: id, duration: 5 };
        index.upsert(&key(id), &document(&put));
    }
    let space = Namespace::default();
    let mut snapshot = index.snapshot(&space).unwrap();
    assert!(LexicalIndex::of_snapshot(&space, snapshot.clone()).is_some());
    for length in 0..snapshot.len() {
        assert!(LexicalIndex::of_snapshot(&space, snapshot[..length].to_vec()).is_none(), "cut to {length}");
    }
    snapshot.push(0);
    assert!(LexicalIndex::of_snapshot(&space, snapshot.clone()).is_none(), "one byte more");
}

#[test]
fn huge_numbers_are_refused_without_the_memory_for_them() {
    let (space, huge) = (Namespace::default(), u64::MAX >> 1);
    let mut head = Writer::default();
    [FORMAT, SearchDocument::ANALYSIS.into()].into_iter().for_each(|number| head.number(number));
    let head = head.into_bytes();
    for zeros in 0..40 {
        let mut snapshot = Writer::default();
        snapshot.fixed(&head);
        snapshot.number(1);
        snapshot.text("episode");
        [10, 15, 2, 1, 2].into_iter().for_each(|weight| snapshot.number(weight));
        snapshot.fixed(&vec![0; zeros]);
        snapshot.number(huge);
        snapshot.fixed(&[0; 64]);
        assert!(LexicalIndex::of_snapshot(&space, snapshot.into_bytes()).is_none());
    }
}

#[test]
fn an_snapshot_of_other_rules_is_none() {
    let space = Namespace::default();
    let snapshot = |format: u64, analysis: u64| {
        let mut snapshot = Writer::default();
        [format, analysis, 0].into_iter().for_each(|number| snapshot.number(number));
        LexicalIndex::of_snapshot(&space, snapshot.into_bytes())
    };
    let analysis = SearchDocument::ANALYSIS.into();
    assert!(snapshot(FORMAT, analysis).is_some_and(|index| index.is_empty(&space, Kind::Episode)));
    assert!(snapshot(FORMAT + 1, analysis).is_none());
    assert!(snapshot(FORMAT, analysis + 1).is_none());
}

#[test]
fn an_index_of_an_snapshot_takes_no_more_memory() {
    let mut index = LexicalIndex::new();
    for number in 0..500_u32 {
        let text: String = (0..40).map(|word| format!("word{} common{word} ", number * 40 + word)).collect();
        let episode = Episode::open(EpisodeId(Uuid::nil()), Task::new(text), Timestamp(0));
        let document = SearchDocument::of_episode(&episode, revision(1), None);
        index.upsert(&Key::new(&Namespace::default(), Kind::Episode, number.to_string()), &document);
    }
    let space = Namespace::default();
    let snapshot = index.snapshot(&space).unwrap();
    let loaded = LexicalIndex::of_snapshot(&space, snapshot.clone()).unwrap();
    assert!(loaded.bytes() <= index.bytes(), "{} of {}", loaded.bytes(), index.bytes());
    assert!(snapshot.len() * 3 < index.bytes(), "{} of {}", snapshot.len(), index.bytes());
}
