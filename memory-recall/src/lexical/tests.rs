use std::collections::BTreeMap;

use memory_core::{Episode, EpisodeId, Outcome, Task, ToolUse, Verdict, WriterId};
use proptest::prelude::*;
use uuid::Uuid;

use super::shard::MAX_TOMBSTONES;
use super::*;

const NOW: Timestamp = Timestamp(1_000);

fn revision(clock: u64) -> Revision {
    Revision { clock, writer: WriterId::new(1) }
}

fn key(number: u128) -> Key {
    Key::episode(&Namespace::default(), EpisodeId(Uuid::from_u128(number)))
}

fn completed(task: Task) -> Episode {
    let mut episode = Episode::open(EpisodeId(Uuid::nil()), task, Timestamp(0));
    episode.outcome = Some(Outcome::success(""));
    episode
}

fn document(episode: &Episode, clock: u64) -> SearchDocument {
    SearchDocument::of_episode(episode, revision(clock), None)
}

/// An index of completed tasks; the first has key 1.
fn index<T: Into<Task>>(tasks: impl IntoIterator<Item = T>) -> LexicalIndex {
    let mut index = LexicalIndex::new();
    for (number, task) in tasks.into_iter().enumerate() {
        assert!(index.upsert(&key(number as u128 + 1), &document(&completed(task.into()), 1)));
    }
    index
}

fn search(index: &LexicalIndex, query: impl Into<RecallQuery>) -> Vec<Hit> {
    index.search(&Namespace::default(), Kind::Episode, &query.into(), NOW)
}

fn found(index: &LexicalIndex, query: impl Into<RecallQuery>) -> Vec<u128> {
    let number = |hit: &Hit| hit.key.id.parse::<EpisodeId>().unwrap().0.as_u128();
    search(index, query).iter().map(number).collect()
}

#[test]
fn finds_words_in_every_spelling() {
    let spellings = ["build a web-api", "build a WebApi", "build a web_api", "build a webapi"];
    let check = |task: &str, query: &str, expected: bool| {
        let index = index([task, "water the plants", "sort the mail"]);
        assert_eq!(found(&index, query).contains(&1), expected, "{query:?} in {task:?}");
    };
    for task in spellings {
        for query in ["webapi", "web-api", "WebApi", "web_api", "WEB-APIS"] {
            check(task, query, true);
        }
    }
    check("Cancel the booking", "cancelled bookings", true);
    check("Return #W6067464", "w6067464", true);
    check("call get_user_details", "user details", true);
    check("Café", "cafe", true);
    check("取消订单", "订单", true);
    check("Cancel the booking", "refund", false);
    check("Cancel the booking", "the and of", false);
    check("Cancel the booking", "", false);
    check("Cancel the booking", "  ?! ", false);
}

#[test]
fn a_word_itself_ranks_above_its_other_forms() {
    let index = index(["change the flight", "change all flights", "sort the mail", "water the plants"]);
    assert_eq!(found(&index, "flights"), [2, 1]);
    assert_eq!(found(&index, "flight"), [1, 2]);
}

#[test]
fn what_is_not_relevant_is_not_returned() {
    let index = index([
        "Book a flight from New York to Seattle",
        "Cancel the reservation and refund the ticket",
        "Change the seats of a business class flight",
    ]);
    for query in ["bake sourdough bread at home", "fix the failing parser test", "haiku about the sea"] {
        assert!(found(&index, query).is_empty(), "{query}");
    }
    assert_eq!(found(&index, "refund my ticket")[0], 2);
    assert!(found(&index, RecallQuery::new("refund my ticket").min_relevance(1.0)).is_empty());
}

#[test]
fn scores_are_explained() {
    let mut episode = completed(Task::new("Cancel the order and refund it").domain("Retail").kind("support"));
    episode.tools = vec![ToolUse { tool: "cancel_order".into(), calls: 1, failures: 0 }];
    let mut index = index(["Sort the mail", "Water the plants"]);
    index.upsert(&key(9), &document(&episode, 1));
    let hits = search(&index, RecallQuery::new("refund and cancel").domain("retail").kind("booking"));
    assert_eq!(hits.len(), 1);
    let rank::ScoreParts { keyword, domain, kind, .. } = hits[0].parts;
    assert_eq!((domain, kind), (Some(1.0), Some(0.0)));
    assert!((hits[0].score - (0.3 * keyword + 0.2) / 0.6).abs() < 1e-9);
    assert_eq!(hits[0].reasons, ["matches: cancel, refund (task); cancel (tools)", "same domain: retail"]);
    let hits = search(&index, "refund");
    assert_eq!((hits[0].parts.domain, hits[0].parts.kind), (None, None));
    assert_eq!(hits[0].score, hits[0].parts.keyword);
}

#[test]
fn labels_order_equals() {
    let task = || Task::new("deploy the service");
    let index =
        index([task().domain("web"), task().domain("cloud"), task().kind("ops").domain("web-api"), task()]);
    // The shorter document first, among equals the newer.
    assert_eq!(found(&index, RecallQuery::new("deploy service")), [4, 2, 1, 3]);
    assert_eq!(found(&index, RecallQuery::new("deploy service").domain("WebAPI").kind("ops"))[0], 3);
    assert_eq!(found(&index, RecallQuery::new("deploy service").domain("Cloud")).first(), Some(&2));
    assert_eq!(found(&index, RecallQuery::new("deploy service").limit(2)), [4, 2]);
    assert_eq!(found(&index, RecallQuery::new("deploy service").limit(0)), [0; 0]);
}

#[test]
fn tags_are_searched_like_words() {
    let index = index([Task::new("deploy").tag("urgent"), Task::new("deploy"), Task::new("sort the mail")]);
    assert_eq!(found(&index, RecallQuery::new("").tag("urgent")), [1]);
}

#[test]
fn outcomes_and_expiry_filter() {
    let mut index = LexicalIndex::new();
    let outcomes = [
        None,
        Some(Outcome::success("")),
        Some(Outcome::Partial { fraction: 0.5, summary: String::new() }),
        Some(Outcome::failure("")),
        Some(Outcome::abstained("")),
    ];
    for (number, outcome) in outcomes.into_iter().enumerate() {
        let mut episode = Episode::open(EpisodeId(Uuid::nil()), Task::new("deploy"), Timestamp(0));
        episode.outcome = outcome;
        index.upsert(&key(number as u128), &document(&episode, 1));
    }
    let deploy = || RecallQuery::new("deploy");
    assert_eq!(found(&index, deploy()), [4, 3, 2, 1]);
    assert_eq!(found(&index, deploy().include_open(true)), [4, 3, 2, 1, 0]);
    assert_eq!(found(&index, deploy().outcome(Verdict::Success)), [1]);
    assert_eq!(found(&index, deploy().outcome(Verdict::Failure).outcome(Verdict::Partial)), [3, 2]);
    assert_eq!(found(&index, deploy().outcome(Verdict::Abstained).include_open(true)), [4]);

    for (number, expires) in [(1, 999), (2, 1_000), (3, 1_001)] {
        let document = SearchDocument {
            expires_at: Some(Timestamp(expires)),
            ..document(&completed(Task::new("deploy")), 2)
        };
        index.upsert(&key(number), &document);
    }
    assert_eq!(found(&index, deploy()), [4, 3]);
    assert_eq!(index.purge_expired(NOW), 2);
    assert_eq!(index.len(&Namespace::default(), Kind::Episode), 3);
    assert_eq!(found(&index, deploy()), [4, 3]);
}

#[test]
fn older_versions_lose() {
    let mut index = LexicalIndex::new();
    let doc = |text: &str, clock| document(&completed(Task::new(text)), clock);
    assert!(index.upsert(&key(1), &doc("alpha", 5)));
    assert!(!index.upsert(&key(1), &doc("beta", 5)));
    assert!(!index.upsert(&key(1), &doc("beta", 4)));
    assert_eq!(found(&index, "alpha"), [1]);
    assert!(!index.remove(&key(1), revision(4)));
    assert!(index.remove(&key(1), revision(6)));
    assert!(!index.upsert(&key(1), &doc("gamma", 6)));
    assert_eq!(index.revision(&key(1)), None);
    assert!(index.upsert(&key(1), &doc("gamma", 7)));
    assert_eq!(index.revision(&key(1)), Some(revision(7)));
    assert!(found(&index, "alpha").is_empty());
    // A removal may arrive before the document that it removes.
    assert!(index.remove(&key(2), revision(3)));
    assert!(!index.upsert(&key(2), &doc("late", 2)));
    index.prune_tombstones(Timestamp(1));
    assert!(index.upsert(&key(2), &doc("late", 2)));
}

#[test]
fn tombstones_are_bounded() {
    let mut index = LexicalIndex::new();
    for number in 0..=MAX_TOMBSTONES as u64 {
        index.remove(&key(u128::from(number)), revision(number));
    }
    let shard = &index.shards[&(Namespace::default(), Kind::Episode)];
    assert!(shard.tombstones.len() <= MAX_TOMBSTONES / 2 + 1);
    assert!(shard.tombstones.contains_key(&key(MAX_TOMBSTONES as u128).id));
}

#[test]
fn namespaces_share_nothing() {
    let mut index = index(["deploy the service"]);
    let other = Namespace::new("other").unwrap();
    assert!(index.search(&other, Kind::Episode, &"deploy".into(), NOW).is_empty());
    let foreign = Key::new(&other, Kind::Episode, key(1).id.clone());
    index.upsert(&foreign, &document(&completed(Task::new("water the plants")), 9));
    assert_eq!(found(&index, "deploy service"), [1]);
    assert!(found(&index, "plants").is_empty());
    assert_eq!(index.search(&other, Kind::Episode, &"plants".into(), NOW)[0].key, foreign);
    index.clear(&other);
    assert!(index.is_empty(&other, Kind::Episode));
    assert_eq!(index.len(&Namespace::default(), Kind::Episode), 1);
}

#[test]
fn memory_is_given_back() {
    let mut index = LexicalIndex::new();
    let texts = |number: u64| {
        (0..50).map(|word| format!("word{} common{word} ", number * 50 + word)).collect::<String>()
    };
    for number in 0..400_u64 {
        index.upsert(&key(number.into()), &document(&completed(Task::new(texts(number))), 1));
    }
    let full = index.bytes();
    for number in 0..400_u64 {
        index.remove(&key(number.into()), revision(2));
    }
    let shard = &index.shards[&(Namespace::default(), Kind::Episode)];
    assert!(shard.is_blank());
    for number in 0..400_u64 {
        index.upsert(&key(number.into()), &document(&completed(Task::new(texts(number))), 3));
    }
    assert!(index.bytes() < full + full / 4, "{} after {full}", index.bytes());
}

#[derive(Debug, Clone)]
enum Change {
    Put { key: u8, revision: u8, words: Vec<u8>, domain: Option<u8> },
    Remove { key: u8, revision: u8 },
}

const WORDS: [&str; 14] = [
    "refund",
    "refunds",
    "cancel",
    "cancelled",
    "order",
    "orders",
    "web-api",
    "webapi",
    "deploy",
    "deploying",
    "flight",
    "seat",
    "baggage",
    "W6067464",
];

fn words(indexes: &[u8]) -> String {
    indexes.iter().map(|word| WORDS[*word as usize % WORDS.len()]).collect::<Vec<_>>().join(" ")
}

fn put(key_number: u8, clock: u8, indexes: &[u8], domain: Option<u8>) -> (Key, SearchDocument) {
    // A version has one content: documents that differ in revision must differ in content, too.
    let mut task = Task::new(format!("{} {}", words(indexes), WORDS[clock as usize % WORDS.len()]));
    task.domain = domain.map(|domain| format!("domain{}", domain % 3));
    (key(key_number.into()), document(&completed(task), clock.into()))
}

fn change() -> impl Strategy<Value = Change> {
    let indexes = || proptest::collection::vec(any::<u8>(), 0..8);
    prop_oneof![
        3 => (0..12_u8, 0..40_u8, indexes(), any::<Option<u8>>())
            .prop_map(|(key, revision, words, domain)| Change::Put { key, revision, words, domain }),
        1 => (0..12_u8, 0..40_u8).prop_map(|(key, revision)| Change::Remove { key, revision }),
    ]
}

proptest! {
    #[test]
    fn any_history_ends_like_a_fresh_build(
        changes in proptest::collection::vec(change(), 0..60),
        queries in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 1..6), 1..6),
    ) {
        // The first of several versions with one revision wins, as in the index; a removal beats a version of
        // its own revision.
        let mut state: BTreeMap<u8, (u8, Option<(Key, SearchDocument)>)> = BTreeMap::new();
        let mut index = LexicalIndex::new();
        for change in &changes {
            match change {
                Change::Put { key, revision, words, domain } => {
                    let (record_key, document) = put(*key, *revision, words, *domain);
                    let newer = state.get(key).is_none_or(|(held, _)| held < revision);
                    prop_assert_eq!(index.upsert(&record_key, &document), newer);
                    if newer {
                        state.insert(*key, (*revision, Some((record_key, document))));
                    }
                }
                Change::Remove { key: number, revision: clock } => {
                    index.remove(&key((*number).into()), revision((*clock).into()));
                    if state.get(number).is_none_or(|(held, _)| held <= clock) {
                        state.insert(*number, (*clock, None));
                    }
                }
            }
        }
        let mut fresh = LexicalIndex::new();
        for (key, document) in state.values().filter_map(|(_, document)| document.as_ref()) {
            fresh.upsert(key, document);
        }
        let namespace = Namespace::default();
        prop_assert_eq!(index.len(&namespace, Kind::Episode), fresh.len(&namespace, Kind::Episode));
        for indexes in &queries {
            let query = RecallQuery::new(words(indexes)).limit(20).min_relevance(0.0).domain("domain1");
            let hits = index.search(&namespace, Kind::Episode, &query, NOW);
            prop_assert_eq!(&hits, &fresh.search(&namespace, Kind::Episode, &query, NOW));
            prop_assert_eq!(&hits, &index.search(&namespace, Kind::Episode, &query, NOW), "a search leaves no trace");
            for hit in &hits {
                prop_assert!((0.0..=1.0).contains(&hit.score), "{:?}", hit);
                prop_assert!(hit.parts.keyword > 0.0 && hit.parts.keyword <= 1.0);
            }
        }
    }

    #[test]
    fn leaving_out_what_cannot_count_changes_nothing(
        tasks in proptest::collection::vec(
            (proptest::collection::vec(0..200_u8, 1..30), any::<Option<u8>>(), any::<bool>()),
            1..100,
        ),
        queries in proptest::collection::vec(
            (proptest::collection::vec(0..200_u8, 1..40), any::<bool>(), 1..12_usize, 0.0..0.7_f64),
            1..8,
        ),
    ) {
        // Word n is in about one text in n, as in a language: common ones end up in long lists.
        let text = |numbers: &[u8]| {
            let word = |number: &u8| format!("w{}x", u32::from(*number).pow(2) / 200);
            numbers.iter().map(word).collect::<Vec<_>>().join(" ")
        };
        let mut index = LexicalIndex::new();
        for (number, (words, domain, success)) in tasks.iter().enumerate() {
            let mut task = Task::new(format!("common {}", text(words)));
            task.domain = domain.map(|domain| format!("domain{}", domain % 3));
            let mut episode = completed(task);
            if !success {
                episode.outcome = Some(Outcome::failure(""));
            }
            index.upsert(&key(number as u128), &document(&episode, 1));
        }
        for (words, successes, limit, floor) in &queries {
            let mut query = RecallQuery::new(format!("common {}", text(words))).domain("domain1");
            if *successes {
                query = query.outcome(Verdict::Success);
            }
            // Without a floor every list is added up whole.
            let all = query.clone().limit(RecallQuery::MAX_LIMIT).min_relevance(0.0);
            let mut expected = search(&index, all);
            expected.retain(|hit| hit.parts.keyword >= *floor);
            let query = query.limit(*limit).min_relevance(*floor);
            // A search of the newest only may miss some with only common words, but gives all others the same
            // score.
            let newest = index.search_newest(&Namespace::default(), Kind::Episode, &query, NOW);
            prop_assert!(newest.iter().all(|hit| expected.contains(hit)));
            expected.truncate(*limit);
            prop_assert!(newest.len() <= expected.len());
            prop_assert_eq!(search(&index, query), expected);
        }
    }
}

#[test]
fn among_the_newest_alone_the_telling_words_find_what_is_nearest() {
    let mut tasks: Vec<String> = (0..3_000).map(|n| format!("ship order w{n}x")).collect();
    tasks[7] = "ship order w7x to the harbour".into();
    let mut index = index(tasks);
    let mut failed = completed(Task::new("ship order w1x"));
    failed.outcome = Some(Outcome::failure(""));
    index.upsert(&key(2), &document(&failed, 2));
    let newest = |query: RecallQuery| {
        let query = query.limit(3).min_relevance(0.2);
        let hits = index.search_newest(&Namespace::default(), Kind::Episode, &query, NOW);
        hits.iter().map(|hit| hit.key.id.parse::<EpisodeId>().unwrap().0.as_u128()).collect::<Vec<_>>()
    };
    assert_eq!(newest(RecallQuery::new("ship order to the harbour"))[0], 8, "however old");
    assert_eq!(newest(RecallQuery::new("ship order")), [3_000, 2_999, 2_998]);
    assert_eq!(newest(RecallQuery::new("ship order w1x").outcome(Verdict::Failure)), [2]);
    assert!(
        newest(RecallQuery::new("ship order").outcome(Verdict::Failure)).is_empty(),
        "too old to be looked at"
    );
}

#[test]
fn episodes_of_a_domain_come_newest_first() {
    let mut index = LexicalIndex::new();
    let mut put = |number: u128, at: u64, domain: Option<&str>, outcome: Option<Outcome>| {
        let mut episode = Episode::open(EpisodeId(Uuid::nil()), Task::new("deploy"), Timestamp(at));
        episode.task.domain = domain.map(str::to_owned);
        episode.outcome = outcome;
        index.upsert(&key(number), &document(&episode, at));
    };
    put(1, 30, Some("web"), Some(Outcome::success("")));
    put(2, 10, Some("Web"), Some(Outcome::failure("")));
    put(3, 30, Some("web"), Some(Outcome::success("")));
    put(4, 50, Some("web"), None);
    put(5, 60, None, Some(Outcome::success("")));
    put(6, 70, Some("ops"), Some(Outcome::success("")));
    put(6, 71, Some("web"), Some(Outcome::success("")));
    let of = |index: &LexicalIndex, domain, newest| {
        let ids = index.episodes_of(&Namespace::default(), domain, newest, |_| true);
        ids.iter().map(|id| id.parse::<EpisodeId>().unwrap().0.as_u128()).collect::<Vec<_>>()
    };
    assert_eq!(of(&index, Some("WEB"), 9), [6, 3, 1, 2]);
    assert_eq!(of(&index, Some("web"), 2), [6, 3]);
    assert_eq!(of(&index, None, 9), [5]);
    assert_eq!(of(&index, Some("ops"), 9), [0; 0]);
    index.remove(&key(3), revision(99));
    assert_eq!(of(&index, Some("web"), 9), [6, 1, 2]);
}

#[test]
fn what_was_rejected_is_never_found() {
    let mut index = LexicalIndex::new();
    let learned = |id: &str| Key::new(&Namespace::default(), Kind::Heuristic, id);
    for (id, state, domain) in [
        ("b", State::Active, "web"),
        ("a", State::Active, "web"),
        ("c", State::Rejected, "web"),
        ("d", State::Active, "ops"),
    ] {
        let task = Task::new("deploy the service").domain(domain);
        let document = SearchDocument { state, ..document(&completed(task), 1) };
        index.upsert(&learned(id), &document);
    }
    let query = RecallQuery::new("deploy service").include_open(true).outcome(Verdict::Failure);
    let hits = index.search(&Namespace::default(), Kind::Heuristic, &query, NOW);
    assert_eq!(hits.iter().map(|hit| &*hit.key.id).collect::<Vec<_>>(), ["d", "b", "a"]);
    let of = index.learned_of(&Namespace::default(), Kind::Heuristic, Some("Web"));
    // A ruling must be known to be followed.
    assert_eq!(of, [learned("a"), learned("b"), learned("c")]);
    let stamp = |index: &LexicalIndex| index.stamp(&Namespace::default(), Kind::Heuristic);
    let before = stamp(&index);
    assert_eq!(before, stamp(&index));
    index.remove(&learned("d"), revision(9));
    assert_ne!(before, stamp(&index));
    assert!(index.learned_of(&Namespace::default(), Kind::Pattern, Some("web")).is_empty());
}

#[test]
fn what_has_expired_is_no_longer_counted() {
    let mut episode = completed(Task::new("deploy"));
    episode.fingerprint = "f".into();
    let mut index = LexicalIndex::new();
    let document = SearchDocument { expires_at: Some(NOW), ..document(&episode, 1) };
    index.upsert(&key(1), &document);
    let space = Namespace::default();
    assert_eq!(index.tasks(&space).unwrap().of_fingerprint("f").episodes, 1);
    assert_eq!(index.purge_expired(NOW), 1);
    assert_eq!(index.tasks(&space).unwrap().of_fingerprint("f").episodes, 0);
    assert!(index.episodes_of(&space, None, 9, |_| true).is_empty());
}
