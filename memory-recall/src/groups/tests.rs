use std::collections::HashMap;
use std::sync::Arc;

use memory_core::{
    Episode, EpisodeId, Key, Kind, Namespace, Outcome, Revision, Task, ToolUse, Verdict, WriterId,
};
use proptest::prelude::*;
use uuid::Uuid;

use super::*;
use crate::document::{Field, SearchDocument};
use crate::lexical::LexicalIndex;

const NOW: Timestamp = Timestamp(1_000);

fn key(number: u128) -> Key {
    Key::episode(&Namespace::default(), EpisodeId(Uuid::from_u128(number)))
}

fn document(number: u128, clock: u64, task: &str, tools: &[(&str, u32)], outcome: Outcome) -> SearchDocument {
    let mut episode = Episode::open(
        EpisodeId(Uuid::from_u128(number)),
        Task::new(task).kind("booking"),
        Timestamp(number as u64),
    );
    episode.outcome = Some(outcome);
    episode.tools = tools
        .iter()
        .map(|(tool, failures)| ToolUse { tool: (*tool).into(), calls: 1, failures: *failures })
        .collect();
    let revision = Revision { clock, writer: WriterId::new(1) };
    SearchDocument::of_episode(&episode, revision, None)
}

/// A description, the tools with their failures, and whether the episode succeeded.
type Told<'a> = (&'a str, &'a [(&'a str, u32)], bool);

/// An index of tasks with their tools and whether they succeeded; the first has key 1.
fn index(episodes: &[Told<'_>]) -> LexicalIndex {
    let mut index = LexicalIndex::new();
    for (number, (task, tools, success)) in episodes.iter().enumerate() {
        let outcome = if *success { Outcome::success("") } else { Outcome::failure("") };
        let number = number as u128 + 1;
        index.upsert(&key(number), &document(number, 1, task, tools, outcome));
    }
    index
}

fn ask(index: &LexicalIndex, query: impl Into<RecallQuery>) -> EpisodeHits {
    index.search_episodes(&Namespace::default(), &query.into(), NOW, &HashMap::new())
}

fn number(key: &Key) -> u128 {
    key.id.parse::<EpisodeId>().unwrap().0.as_u128()
}

fn numbers(hits: &EpisodeHits) -> Vec<u128> {
    hits.hits.iter().map(|hit| number(&hit.key)).collect()
}

const SEATS: &str = "upgrade the seats of Mia Li to business class on flight HAT271";
const BAGS: &str = "add two checked bags for Omar Rossi to reservation ZFA04Y";

#[test]
fn an_episode_is_worth_what_its_group_is_worth() {
    let index = index(&[
        ("certificate Mia Li HAT271 JFK Seattle", &[], true),
        ("certificate refund Mia Li HAT271 JFK Seattle", &[], false),
        ("certificate Omar Rossi ZFA04Y Paris Lima", &[], true),
        ("water the plants", &[], true),
        ("sort the mail", &[], true),
    ]);
    let query = RecallQuery::new("certificate refund").min_relevance(0.0);
    let alone = index.search(&Namespace::default(), Kind::Episode, &query, NOW);
    assert_eq!(alone.iter().map(|hit| number(&hit.key)).collect::<Vec<_>>(), [2, 3, 1]);
    let hits = ask(&index, query);
    assert_eq!(numbers(&hits), [2, 1, 3]);
    assert_eq!(
        hits.hits[0].reasons.last().map(String::as_str),
        Some("1 of 1 alike succeeded where this failed: compare")
    );
    assert_eq!(hits.hits[1].reasons.last().map(String::as_str), Some("1 near-duplicates: none succeeded"));
    assert_eq!(hits.hits[2].reasons, ["matches: certificate (task)"]);
}

#[test]
fn repeats_yield_to_another_task_that_is_about_as_good() {
    let repeats = "rotate keys billing gateway Oslo march invoices";
    let index = index(&[
        (repeats, &[], true),
        (repeats, &[], true),
        (repeats, &[], true),
        ("rotate keys archive uploader Lima july photos", &[], true),
        ("water the plants", &[], true),
        ("sort the mail", &[], true),
    ]);
    let hits = ask(&index, "rotate keys");
    assert_eq!(numbers(&hits), [3, 2, 4, 1]);
    assert!(hits.hits.windows(2).all(|pair| pair[0].score >= pair[1].score));
    assert!((hits.hits[1].score - 0.97 * hits.hits[0].score).abs() < 1e-9);
}

#[test]
fn a_task_under_way_is_compared_with_those_that_went_the_same_way() {
    let index = index(&[
        (SEATS, &[("search", 0), ("upgrade", 1), ("pay", 0)], false),
        (SEATS, &[("search", 0), ("upgrade", 1)], false),
        (SEATS, &[("call", 0), ("upgrade", 0)], true),
        (SEATS, &[("call", 0), ("upgrade", 0), ("pay", 0)], true),
        ("water the plants", &[], true),
    ]);
    let success = |hits: &EpisodeHits| hits.forecast.unwrap().0;
    let query = RecallQuery::new(SEATS);
    let start = ask(&index, query.clone());
    let [searched, called, other] =
        ["search", "call", "walk"].map(|tool| ask(&index, query.clone().done([tool])));
    let progress = |hits: &EpisodeHits| hits.hits.iter().map(|hit| hit.parts.progress).collect::<Vec<_>>();
    assert_eq!(progress(&start), [None; 4]);
    assert_eq!(progress(&searched), [Some(1.0), Some(1.0), Some(0.0), Some(0.0)]);
    assert_eq!(progress(&other), [Some(0.0); 4], "nobody used it");
    assert!(numbers(&searched)[..2].iter().all(|number| *number <= 2));
    assert!(numbers(&called)[..2].iter().all(|number| *number >= 3));
    assert!(searched.hits[0].reasons.contains(&"shares the steps so far: 100 %".to_owned()));
    assert!(success(&searched) < success(&start) && success(&start) < success(&called));
    assert!((success(&other) - success(&start)).abs() < 0.05, "it says nothing");

    let used = query.clone().done(["search", "upgrade"]);
    let failed = ask(&index, query.clone().done(["search"]).failed("upgrade", "no seats left"));
    assert_eq!(progress(&failed), [Some(1.0), Some(1.0), Some(0.0), Some(0.0)], "the call failed there, too");
    let worked = ask(&index, used);
    assert_eq!(progress(&worked)[..2], [Some(1.0), Some(1.0)]);
    assert_eq!(progress(&worked)[2..], [Some(0.5), Some(0.5)]);
}

#[test]
fn nothing_is_said_of_tools_that_are_done() {
    let index = index(&[
        (SEATS, &[("search", 0), ("upgrade", 0)], false),
        (SEATS, &[("search", 0), ("upgrade", 0)], false),
        (SEATS, &[("search", 0)], true),
        (SEATS, &[("search", 0)], true),
        ("water the plants", &[], true),
    ]);
    let told = |hits: EpisodeHits| hits.contrasts.into_iter().map(|it| it.tool).collect::<Vec<_>>();
    let query = RecallQuery::new(SEATS);
    assert_eq!(told(ask(&index, query.clone().done(["search"]))), ["upgrade"]);
    assert_eq!(told(ask(&index, query.clone().done(["search", "upgrade"]))), [""; 0]);
    let failed = query.done(["search"]).failed("upgrade", "no seats left");
    assert_eq!(told(ask(&index, failed)), ["upgrade"], "what failed is not done");
}

#[test]
fn forecasts_follow_the_group_and_are_honest_without_one() {
    let index = index(&[
        (SEATS, &[], false),
        (SEATS, &[], false),
        (SEATS, &[], false),
        (BAGS, &[], true),
        (BAGS, &[], true),
        (BAGS, &[], true),
    ]);
    let forecast = |text: &str| ask(&index, text).forecast;
    let (seats, evidence) = forecast(SEATS).unwrap();
    // Three failures drawn to even by one, against one weight of no evidence.
    assert!((seats - (0.5 + 0.5 / 4.0) / 2.0).abs() < 0.02, "{seats}");
    assert!((2.9..3.2).contains(&evidence), "{evidence}");
    assert!(forecast(BAGS).unwrap().0 > 0.65);
    assert_eq!(forecast("bake sourdough bread"), None);
    assert!(ask(&index, "bake sourdough bread").hits.is_empty());
    assert_eq!(ask(&index, RecallQuery::new(SEATS).outcome(Verdict::Failure)).forecast, None);
}

#[test]
fn labels_that_all_episodes_share_do_not_blur_the_forecast() {
    let index = index(&[
        (SEATS, &[], false),
        (SEATS, &[], false),
        (SEATS, &[], false),
        (BAGS, &[], true),
        (BAGS, &[], true),
        (BAGS, &[], true),
    ]);
    let forecast = |query: RecallQuery| ask(&index, query).forecast.unwrap().0;
    let plain = forecast(RecallQuery::new(SEATS));
    assert_eq!(forecast(RecallQuery::new(SEATS).kind("booking")), plain);
    // Those of another kind count less against the weight of no evidence.
    let other = forecast(RecallQuery::new(SEATS).kind("refactor"));
    assert!(plain < other && other < 0.5, "{plain} {other}");
}

#[test]
fn contrasts_name_what_failures_did_and_successes_did_not() {
    let index = index(&[
        (SEATS, &[("get_user", 0), ("get_seats", 0), ("transfer_to_human", 0)], false),
        (SEATS, &[("get_user", 0), ("get_seats", 0), ("transfer_to_human", 1)], false),
        (SEATS, &[("get_user", 0), ("get_seats", 0), ("update_cabin", 0)], true),
        (SEATS, &[("get_user", 0), ("get_seats", 0), ("update_cabin", 0)], true),
        (BAGS, &[("get_user", 0)], true),
        ("water the plants", &[("get_user", 0)], true),
        // Similar words, but a different action.
        (SEATS, &[("get_user", 0), ("sell_seats", 0)], true),
        (SEATS, &[("get_user", 0), ("sell_seats", 0)], true),
    ]);
    let contrasts = ask(&index, SEATS).contrasts;
    let told: Vec<_> = contrasts.iter().map(|contrast| (contrast.tool.as_str(), contrast.omitted)).collect();
    assert_eq!(told, [("transfer_to_human", false), ("update_cabin", true)]);
    let mut failing: Vec<u128> = contrasts[1].failing.iter().map(number).collect();
    failing.sort_unstable();
    assert_eq!(failing, [1, 2]);
    assert_eq!(contrasts[1].succeeding.len(), 2);
    // Prior 0.5 of two episodes, as no other one used it: (2 + 1) / (2 + 2); twice the weight for the error.
    assert!((contrasts[0].probability - 0.75).abs() < 1e-9);
    assert!((contrasts[0].score - 0.75 * 9.0_f64.ln() * 2.0).abs() < 1e-9);
    assert!(ask(&index, BAGS).contrasts.is_empty());
    assert!(ask(&index, RecallQuery::new(SEATS).outcome(Verdict::Success)).contrasts.is_empty());
}

#[test]
fn one_failure_and_tools_of_all_tell_nothing() {
    let contrasts = |episodes: &[Told<'_>]| ask(&index(episodes), SEATS).contrasts;
    assert_eq!(contrasts(&[(SEATS, &[("bash", 0)], false), (BAGS, &[("read", 0)], true)]), []);
    let all = contrasts(&[
        (SEATS, &[("bash", 0)], false),
        (SEATS, &[("bash", 0)], false),
        (BAGS, &[("bash", 0)], true),
        ("water the plants", &[("bash", 0)], true),
    ]);
    assert_eq!(all, []);
}

#[test]
fn what_most_successes_do_without_is_no_omission() {
    let repaired = |successes: &[bool]| {
        let mut episodes: Vec<Told<'_>> = vec![
            (SEATS, &[("get_user", 0), ("update_cabin", 0)], false),
            (SEATS, &[("get_user", 0), ("update_cabin", 0)], false),
        ];
        for repaired in successes {
            let tools: &[(&str, u32)] = match repaired {
                true => &[("get_user", 0), ("repair", 0), ("update_cabin", 0)],
                false => &[("get_user", 0), ("update_cabin", 0)],
            };
            episodes.push((SEATS, tools, true));
        }
        let contrasts = ask(&index(&episodes), SEATS).contrasts;
        contrasts.iter().any(|contrast| contrast.omitted && contrast.tool == "repair")
    };
    assert!(repaired(&[true]));
    assert!(repaired(&[true, true, false]));
    assert!(!repaired(&[true, false]));
    assert!(!repaired(&[true, false, false, false]));
}

#[test]
fn a_tool_of_failures_alone_is_told_of_all_near_by() {
    let tools: &[(&str, u32)] = &[("edit", 0), ("cargo_publish", 0)];
    let yanking: &[(&str, u32)] = &[("edit", 0), ("cargo_publish", 1), ("cargo_yank", 0)];
    let index = index(&[
        ("release metrics to the registry with notes of parser fixes", yanking, false),
        ("release tokens to the registry after the audit of spring", yanking, false),
        ("release router to the registry since docs moved", yanking, false),
        ("release metrics to the registry with the new histogram", tools, true),
        ("release metrics to the registry with the new histogram", tools, true),
        ("release metrics to the registry with the new histogram", tools, true),
        ("release cache to the registry", tools, true),
        ("water the plants", &[("hose", 0)], true),
    ]);
    let contrasts = ask(&index, "release metrics to the registry").contrasts;
    assert_eq!(contrasts.len(), 1, "{contrasts:?}");
    assert_eq!((contrasts[0].tool.as_str(), contrasts[0].omitted), ("cargo_yank", false));
    assert_eq!(contrasts[0].failing.len(), 3);
}

#[test]
fn what_is_only_used_when_all_is_lost_is_told_last() {
    let done: &[(&str, u32)] = &[("look", 0), ("check", 0), ("pay", 0)];
    let told = |failing: &[(&str, u32)]| {
        let index = index(&[
            (SEATS, failing, false),
            (SEATS, failing, false),
            (SEATS, done, true),
            (SEATS, done, true),
            ("water the plants", &[("hose", 0)], true),
            ("sort the mail", &[("hose", 0)], true),
        ]);
        ask(&index, SEATS).contrasts
    };
    let late = told(&[("look", 0), ("pay", 1), ("close", 0)]);
    let tools: Vec<&str> = late.iter().map(|contrast| contrast.tool.as_str()).collect();
    assert_eq!(tools, ["check", "close"]);
    let early = told(&[("look", 0), ("close", 0), ("pay", 1)]);
    let score = |found: &[Contrast]| found.iter().find(|it| it.tool == "close").unwrap().score;
    assert!((score(&early) - 4.0 * score(&late)).abs() < 1e-9, "{early:?} {late:?}");
}

#[test]
fn episodes_of_another_domain_are_no_contrast_unless_they_are_quite_like_the_task() {
    let tools: &[(&str, u32)] = &[("look", 0), ("burn", 0)];
    let mut index = index(&[("water the plants", &[("hose", 0)], true)]);
    for (number, success) in (2..).zip([false, false, true, true]) {
        let used = if success { &tools[..1] } else { tools };
        let outcome = if success { Outcome::success("") } else { Outcome::failure("") };
        let held = document(number, 1, SEATS, used, outcome);
        index.upsert(&key(number), &SearchDocument { domain: Some("Air".into()), ..held });
    }
    let told = |text: &str, domain: &str| {
        let query = RecallQuery::new(text).domain(domain).min_relevance(0.0);
        ask(&index, query).contrasts.iter().any(|contrast| contrast.tool == "burn")
    };
    let other = "seats of the garden shed, of the barn and of the old boat are to be painted green";
    assert!(told(other, "air") && !told(other, "garden"));
    assert!(told(SEATS, "air"));
}

#[test]
fn what_comes_after_the_failure_is_no_omission() {
    let done: &[(&str, u32)] = &[("edit", 0), ("cargo_publish", 0), ("git_tag", 0)];
    let told = |failing: &[(&str, u32)]| {
        let index = index(&[
            (SEATS, failing, false),
            (SEATS, failing, false),
            (SEATS, done, true),
            (SEATS, done, true),
            ("water the plants", &[("hose", 0)], true),
            ("sort the mail", &[("hose", 0)], true),
        ]);
        let contrasts = ask(&index, SEATS).contrasts;
        contrasts.into_iter().map(|contrast| (contrast.tool, contrast.omitted)).collect::<Vec<_>>()
    };
    assert_eq!(told(&[("edit", 0), ("cargo_publish", 1)]), []);
    assert_eq!(told(&[("edit", 0), ("cargo_publish", 1), ("read", 0)]), [("read".to_owned(), false)]);
    assert_eq!(told(&[("edit", 0), ("cargo_publish", 0)]), [("git_tag".to_owned(), true)]);
}

#[test]
fn what_the_query_does_not_admit_is_in_no_group() {
    let mut index = index(&[(SEATS, &[], true), (SEATS, &[], false), (BAGS, &[], true)]);
    let alike = |index: &LexicalIndex, query: RecallQuery| {
        let hits = ask(index, query).hits;
        hits[0].reasons.iter().any(|reason| reason.contains("alike"))
    };
    assert!(alike(&index, SEATS.into()));
    assert!(!alike(&index, RecallQuery::new(SEATS).outcome(Verdict::Success)));
    let expired =
        SearchDocument { expires_at: Some(NOW), ..document(2, 2, SEATS, &[], Outcome::failure("")) };
    index.upsert(&key(2), &expired);
    assert!(!alike(&index, SEATS.into()));
}

#[test]
fn meaning_finds_what_words_do_not() {
    let index = index(&[(SEATS, &[], true), (BAGS, &[], true), ("water the plants", &[], true)]);
    let ask = |cosines: &[(u128, f32)]| {
        let semantic: HashMap<Arc<str>, f32> =
            cosines.iter().map(|(number, cosine)| (key(*number).id, *cosine)).collect();
        index.search_episodes(&Namespace::default(), &"luggage".into(), NOW, &semantic)
    };
    assert!(ask(&[]).hits.is_empty());
    assert!(ask(&[(1, 0.1), (2, 0.39), (3, -0.2)]).hits.is_empty());
    let hits = ask(&[(1, 0.1), (2, 0.8), (9, 0.9)]);
    assert_eq!(numbers(&hits), [2]);
    let parts = hits.hits[0].parts;
    assert!((parts.semantic.unwrap() - 0.8).abs() < 1e-6);
    assert_eq!((parts.keyword, parts.support), (0.0, 0.0));
    assert_eq!(hits.hits[0].reasons, ["similar in meaning: 0.80"]);
    // No reward takes off 4 %.
    assert!((hits.hits[0].score - 0.96 * 0.4 * 0.8 / 0.7).abs() < 1e-6);
}

#[test]
fn of_what_fits_as_well_the_more_rewarding_and_the_newer_comes_first() {
    let day = 86_400_000;
    let check = |rewards: [f32; 2], ages: [u64; 2], expected: [u128; 2]| {
        let mut index = LexicalIndex::new();
        for (number, (score, age)) in (1..).zip(rewards.into_iter().zip(ages)) {
            let held = document(number, 1, SEATS, &[], Outcome::success(""));
            let started_at = Timestamp((1_000 - age) * day);
            index.upsert(&key(number), &SearchDocument { score, started_at, ..held });
        }
        let query = RecallQuery::new(SEATS);
        let now = Timestamp(1_000 * day);
        let found = index.search_episodes(&Namespace::default(), &query, now, &HashMap::new());
        assert_eq!(numbers(&found), expected, "{rewards:?} {ages:?}");
        found.hits[0].clone()
    };
    // Among equals the newer key is first.
    check([1.0, 1.0], [0, 0], [2, 1]);
    check([1.0, 0.2], [0, 0], [1, 2]);
    check([1.0, 1.0], [0, 90], [1, 2]);
    let best = check([1.0, 0.2], [90, 90], [1, 2]);
    assert_eq!((best.parts.reward, best.parts.recency), (Some(0.5), Some(0.5)));
    assert!((best.score - 0.98 * 0.98 * best.parts.support).abs() < 1e-6, "{best:?}");
}

/// The content of a document of random words, by number.
type Corpus = Vec<(Vec<u8>, bool)>;

fn text(words: &[u8]) -> String {
    words.iter().map(|word| format!("w{}x", u32::from(*word).pow(2) / 200)).collect::<Vec<_>>().join(" ")
}

fn build(corpus: &Corpus, order: &[usize]) -> LexicalIndex {
    let mut index = LexicalIndex::new();
    for &at in order {
        let (words, success) = &corpus[at];
        let outcome = if *success { Outcome::success("") } else { Outcome::failure("") };
        let tool = if words[0] % 2 == 0 { "even" } else { "odd" };
        let document =
            document(at as u128, 1, &text(words), &[(tool, u32::from(words[0] % 3 == 0))], outcome);
        index.upsert(&key(at as u128), &document);
    }
    index
}

/// The links of all documents that score, straight from the definition.
fn brute_links(corpus: &Corpus, among: &[usize]) -> Vec<(usize, Vec<usize>)> {
    let words: Vec<std::collections::BTreeSet<String>> = corpus
        .iter()
        .enumerate()
        .map(|(at, (words, _))| {
            let document = document(at as u128, 1, &text(words), &[], Outcome::success(""));
            let of_task = document.terms.iter().filter(|(field, _)| *field == Field::Task);
            of_task.flat_map(|(_, terms)| terms.iter().map(|(term, _)| term.to_owned())).collect()
        })
        .collect();
    let weight = |term: &String| {
        let frequency = words.iter().filter(|words| words.contains(term)).count();
        // In whole parts, so that equals are equal whatever the order of adding up.
        ((1.0 + corpus.len() as f64 / frequency as f64).ln().powi(2) * 65_536.0) as u64
    };
    let norm = |at: usize| words[at].iter().map(weight).sum::<u64>() as f64;
    let links = |at: usize| {
        let mut near: Vec<(f64, usize)> = among
            .iter()
            .filter(|other| **other != at)
            .map(|&other| {
                let dot: u64 = words[at].intersection(&words[other]).map(weight).sum();
                (dot as f64 / (norm(at) * norm(other)).sqrt(), other)
            })
            .collect();
        near.sort_by(|a, b| b.0.total_cmp(&a.0).then(b.1.cmp(&a.1)));
        let best = near.first().map_or(0.0, |(best, _)| *best);
        near.retain(|(cosine, _)| *cosine >= (0.5 * best).max(0.15));
        near.into_iter().take(3).map(|(_, other)| other).collect()
    };
    among.iter().map(|&at| (at, links(at))).collect()
}

fn corpus() -> impl Strategy<Value = Corpus> {
    proptest::collection::vec((proptest::collection::vec(0..200_u8, 4..12), any::<bool>()), 2..40)
}

proptest! {
    #[test]
    fn links_are_those_of_the_definition(corpus in corpus()) {
        let order: Vec<usize> = (0..corpus.len()).collect();
        let index = build(&corpus, &order);
        let query = RecallQuery::new(text(&corpus[0].0)).min_relevance(0.0).limit(100);
        let none = HashMap::new();
        let shard = index.shard_of_episodes(&Namespace::default()).unwrap();
        let search = Search::new(shard, &query, NOW, &none);
        let candidates = search.best(100);
        let number = |place: usize| number(&shard.key(candidates[place].entry)) as usize;
        let among: Vec<usize> = (0..candidates.len()).map(number).collect();
        let (links, _) = links::find(&search, &candidates);
        for (place, (at, expected)) in brute_links(&corpus, &among).into_iter().enumerate() {
            let found: Vec<usize> = links.linked(place).iter().map(|other| number(usize::from(*other))).collect();
            prop_assert_eq!(found, expected, "of {}", at);
        }
    }

    #[test]
    fn answers_do_not_depend_on_history(
        corpus in corpus(),
        removed in proptest::collection::vec(any::<prop::sample::Index>(), 0..8),
        shift in any::<prop::sample::Index>(),
    ) {
        let forward: Vec<usize> = (0..corpus.len()).collect();
        let mut rotated = forward.clone();
        rotated.rotate_left(shift.index(corpus.len()));
        let fresh = build(&corpus, &forward);
        let mut other = build(&corpus, &rotated);
        for (round, at) in removed.iter().enumerate() {
            let at = at.index(corpus.len());
            let clock = 2 + 2 * round as u64;
            let (words, success) = &corpus[at];
            other.remove(&key(at as u128), Revision { clock, writer: WriterId::new(1) });
            let outcome = if *success { Outcome::success("") } else { Outcome::failure("") };
            let tool = if words[0] % 2 == 0 { "even" } else { "odd" };
            let again =
                document(at as u128, clock + 1, &text(words), &[(tool, u32::from(words[0] % 3 == 0))], outcome);
            prop_assert!(other.upsert(&key(at as u128), &again));
        }
        for (words, _) in corpus.iter().take(5) {
            let query = RecallQuery::new(text(words)).limit(10);
            let answer = ask(&fresh, query.clone());
            prop_assert_eq!(&answer, &ask(&other, query.clone()));
            for hit in &answer.hits {
                prop_assert!((0.0..=1.0).contains(&hit.score), "{:?}", hit);
                prop_assert!((0.0..=1.0).contains(&hit.parts.support), "{:?}", hit);
                prop_assert!(hit.parts.keyword >= query.min_relevance);
            }
            prop_assert!(answer.hits.windows(2).all(|pair| pair[0].score >= pair[1].score));
            prop_assert!(answer.forecast.is_none_or(|(success, _)| (0.0..=1.0).contains(&success)));
        }
    }
}

#[test]
fn episodes_go_along_that_share_most_tools_of_the_shorter() {
    let check = |one: &[&str], other: &[&str], expected| {
        assert_eq!(goes_along(one, other), expected, "{one:?} {other:?}");
        assert_eq!(goes_along(other, one), expected, "{other:?} {one:?}");
    };
    check(&["a", "b"], &["a", "b", "c", "d"], true);
    check(&["a", "b"], &["a", "c"], false);
    check(&["a", "b", "c"], &["a", "b", "d"], true);
    check(&[], &["a"], true);
}
