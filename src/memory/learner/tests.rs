//! Playbooks over the life of a memory.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::sync::Arc;
use std::time::Duration;

use memory_core::{
    Action, Clock, EpisodeId, Fault, Faulty, Key, Kind, Layered, ManualClock, MemoryStore, Namespace,
    Operation, Outcome, Playbook, Scan, SeededIds, Step, Store, Strategy, Task, Tiers, Timestamp, Trigger,
};
use memory_recall::query::RecallQuery;
use serde_json::json;

use crate::memory::background::Schedule;
use crate::memory::config::{LearningConfig, MemoryConfig};
use crate::memory::{Memory, Recording};

const RELEASES: [(&str, &str); 4] =
    [("billing", "1.2.0"), ("invoices", "2.0.1"), ("mail", "0.4.0"), ("xylophonia", "7.7.7")];

async fn memory() -> (Memory, Arc<ManualClock>) {
    let clock = Arc::new(ManualClock::new(Timestamp(1_700_000_000_000)));
    (memory_over(Arc::new(MemoryStore::new()), clock.clone(), 7).await, clock)
}

async fn memory_over(durable: Arc<MemoryStore>, clock: Arc<ManualClock>, seed: u64) -> Memory {
    let learning = LearningConfig { background: false, ..LearningConfig::default() };
    let tiers = Tiers {
        durable,
        cache: Arc::new(MemoryStore::new()),
        outbox: None,
        contacts: None,
        warnings: Vec::new(),
    };
    let config = MemoryConfig { learning, ..MemoryConfig::default() };
    let ids = Arc::new(SeededIds::new(seed));
    Memory::assemble(Namespace::default(), config, tiers, clock, ids).await.unwrap()
}

/// Records a release of five steps with one tool.
async fn release(
    memory: &Memory,
    clock: &ManualClock,
    service: &str,
    version: &str,
    works: bool,
) -> EpisodeId {
    clock.advance(std::time::Duration::from_secs(60));
    let task = Task::new(format!("Release version {version} of the {service} service"));
    let mut episode = memory.start(task.kind("ops").domain("shop")).await.unwrap();
    for line in [
        format!("bump {service} {version}"),
        format!("edit services/{service}/CHANGELOG.md"),
        format!("make test-{service}"),
        format!("publish -p {service}"),
        format!("git tag {service}-v{version}"),
    ] {
        episode.step(Action::tool("bash").arguments(json!({"command": line}))).await.unwrap();
    }
    let outcome = if works { Outcome::success("released") } else { Outcome::failure("rolled back") };
    episode.complete(outcome).await.unwrap().id
}

async fn playbook(memory: &Memory) -> Option<Playbook> {
    let mut found = memory.knowledge().playbooks().await.unwrap().items;
    assert!(found.len() <= 1, "{found:#?}");
    found.pop()
}

fn told(playbook: &Playbook) -> String {
    let mut content = playbook.clone();
    content.sources.clear();
    format!("{content:?}")
}

#[tokio::test]
async fn the_newest_success_tells_a_playbook() {
    let (memory, clock) = memory().await;
    release(&memory, &clock, "billing", "1.2.0", true).await;
    memory.learn().await.unwrap();
    let first = playbook(&memory).await.unwrap();
    release(&memory, &clock, "invoices", "2.0.1", true).await;
    memory.learn().await.unwrap();
    release(&memory, &clock, "mail", "0.4.0", false).await;
    memory.learn().await.unwrap();
    let held = playbook(&memory).await.unwrap();
    assert_eq!((held.id, held.created_at), (first.id, first.created_at));
    assert_eq!((held.tally.successes, held.tally.failures, held.steps.len()), (2, 1, 5));
    assert_eq!(held.title, "Release version {version} of the {service} service");
    assert_eq!(held.steps[4].to_string(), "bash: command=git tag {service}-v{version}");
    assert!(["billing", "invoices", "1.2.0", "2.0.1"].iter().all(|value| !told(&held).contains(value)));

    let asked =
        |done: &[&str]| RecallQuery::new("release version 3.2.1 of the search service").done(done.to_vec());
    let suggested = memory.recall(asked(&[])).await.unwrap().playbook.unwrap();
    assert_eq!(suggested.missing, [""; 0]);
    let lines: Vec<String> = suggested.steps.iter().map(ToString::to_string).collect();
    assert_eq!(lines[0], "bash: command=bump search 3.2.1");
    assert_eq!(lines[4], "bash: command=git tag search-v3.2.1");

    let rest = memory.recall(asked(&["bash"]).failed("bash", "no")).await.unwrap().playbook.unwrap();
    assert_eq!(rest.steps, suggested.steps[1..], "what failed is not done");
    let all = memory.recall(asked(&["bash"; 5])).await.unwrap();
    assert_eq!(all.playbook, None, "no step is left");
}

#[tokio::test]
async fn the_order_of_learning_does_not_matter_to_who_tells() {
    let (memory, clock) = memory().await;
    for (service, version) in RELEASES {
        release(&memory, &clock, service, version, true).await;
    }
    memory.learn().await.unwrap();
    let held = playbook(&memory).await.unwrap();
    // As after a crash, or with an older episode that comes late.
    let oldest = *held.sources.iter().min().unwrap();
    let mut draft = super::Draft::new(&memory.inner.records);
    let kind = memory_core::Kind::Reward;
    let Some(memory_core::Entity::Reward(mut reward)) = draft.get(kind, oldest.to_string()).await.unwrap()
    else {
        panic!("no reward")
    };
    reward.learned = false;
    draft.put(oldest.to_string(), reward);
    memory.inner.records.engine.commit(draft.into_records()).await.unwrap();
    assert_eq!(memory.learn().await.unwrap().episodes, 1);
    assert_eq!(playbook(&memory).await.unwrap(), held);
}

#[tokio::test]
async fn what_ended_before_the_teller_has_a_say_while_there_are_few() {
    let (memory, clock) = memory().await;
    clock.advance(std::time::Duration::from_secs(3_600));
    for (minute, lane) in [(9, "north"), (8, "north"), (7, "south")] {
        let recording = Recording::new(format!("{minute}"), "Load the lorry", Outcome::success("loaded"))
            .actions(vec![Action::tool("open"), Action::tool("load").arguments(json!({"lane": lane}))])
            .at(Timestamp(1_700_000_000_000 + minute * 60_000));
        memory.record(recording).await.unwrap();
        memory.learn().await.unwrap();
        let step = playbook(&memory).await.unwrap().steps[1].instruction.clone();
        assert_eq!(step, if lane == "north" { "lane=north" } else { "lane={lane}" });
    }
}

#[tokio::test]
async fn a_draft_knows_what_another_process_has_changed_since() {
    let clock = Arc::new(ManualClock::new(Timestamp(1_700_000_000_000)));
    let store = Arc::new(MemoryStore::new());
    let ours = memory_over(store.clone(), clock.clone(), 7).await;
    release(&ours, &clock, "billing", "1.2.0", true).await;
    ours.learn().await.unwrap();
    let first = playbook(&ours).await.unwrap();
    let (kind, id) = (memory_core::Kind::Playbook, first.id.to_string());
    let drafted = async || {
        let mut draft = super::Draft::new(&ours.inner.records);
        let held = draft.get(kind, id.clone()).await.unwrap().unwrap();
        draft.put(id.clone(), held.clone());
        (draft, held)
    };
    let (draft, held) = drafted().await;
    assert_eq!(held, first.clone().into());
    assert!(draft.is_current().await.unwrap());

    let theirs = memory_over(store, clock.clone(), 8).await;
    release(&theirs, &clock, "invoices", "2.0.1", true).await;
    theirs.learn().await.unwrap();
    assert!(!draft.is_current().await.unwrap(), "it would take back what the other has learned");
    let (draft, held) = drafted().await;
    assert_eq!(held, playbook(&theirs).await.unwrap().into(), "the caches have it now");
    assert!(draft.is_current().await.unwrap());
}

#[tokio::test]
async fn what_was_completed_elsewhere_is_not_taken_for_forgotten() {
    let clock = Arc::new(ManualClock::new(Timestamp(1_700_000_000_000)));
    let store = Arc::new(MemoryStore::new());
    let ours = memory_over(store.clone(), clock.clone(), 7).await;
    let open = ours.start(Task::new("Release the billing service")).await.unwrap().id();
    let theirs = memory_over(store, clock.clone(), 8).await;
    theirs.resume(open).await.unwrap().complete(Outcome::success("released")).await.unwrap();
    // Here the caches have it open until the change feed is read.
    assert_eq!(ours.learn().await.unwrap().episodes, 1);
    let reward = ours.knowledge().reward(open).await.unwrap();
    assert!(reward.as_ref().is_some_and(|reward| reward.learned), "{reward:?}");
}

#[tokio::test]
async fn what_was_written_back_after_forgetting_goes_with_the_next_cycle() {
    let (memory, clock) = memory().await;
    release(&memory, &clock, "billing", "1.2.0", true).await;
    let gone = release(&memory, &clock, "xylophonia", "7.7.7", true).await;
    memory.learn().await.unwrap();
    let before = playbook(&memory).await.unwrap();
    assert!(before.sources.contains(&gone));
    memory.forget(gone).await.unwrap();
    assert!(!playbook(&memory).await.unwrap().sources.contains(&gone));
    // Another process, offline during the forgetting, has added to the version that it had read before.
    let mut draft = super::Draft::new(&memory.inner.records);
    draft.put(before.id.to_string(), before.clone());
    memory.inner.records.engine.commit(draft.into_records()).await.unwrap();
    assert!(playbook(&memory).await.unwrap().sources.contains(&gone));
    memory.consolidate(None).await.unwrap();
    let after = playbook(&memory).await.unwrap();
    assert!(!after.sources.contains(&gone) && after.tally.count() == 1, "{after:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_comes_behind_what_is_forgotten() {
    let (memory, _) = memory().await;
    for round in 0..20 {
        let mut episode = memory.start(Task::new("Release the billing service")).await.unwrap();
        let id = episode.id();
        let agent = tokio::spawn(async move {
            while episode.step(Action::tool("bash")).await.is_ok() {}
            episode.complete(Outcome::success("released")).await.map(drop)
        });
        for _ in 0..round {
            tokio::task::yield_now().await;
        }
        assert!(memory.forget(id).await.unwrap());
        assert_eq!(agent.await.unwrap().unwrap_err().kind(), memory_core::ErrorKind::NotFound);
        assert_eq!(memory.get(id).await.unwrap(), None);
        assert_eq!(memory.steps(id).await.unwrap().items, []);
    }
}

#[tokio::test]
async fn a_failure_alone_tells_no_playbook() {
    let (memory, clock) = memory().await;
    release(&memory, &clock, "billing", "1.2.0", false).await;
    memory.learn().await.unwrap();
    assert_eq!(playbook(&memory).await, None);
}

#[tokio::test]
async fn forgetting_takes_an_episode_out_of_what_others_showed_too() {
    let (memory, clock) = memory().await;
    let mut ids = Vec::new();
    for (service, version) in RELEASES {
        ids.push(release(&memory, &clock, service, version, true).await);
        memory.learn().await.unwrap();
    }
    let described = async |memory: &Memory| {
        let knowledge = memory.knowledge();
        let patterns = knowledge.patterns().await.unwrap().items;
        let playbooks = knowledge.playbooks().await.unwrap().items;
        format!("{patterns:?} {playbooks:?}")
    };
    // The last one is the source; the others are forgotten one by one, too, until none is left.
    for (id, (service, version)) in ids.into_iter().zip(RELEASES).rev() {
        assert!(memory.forget(id).await.unwrap());
        memory.learn().await.unwrap();
        let left = described(&memory).await;
        assert!(!left.contains(service) && !left.contains(version), "{service}: {left}");
        assert_eq!(left.contains("WorkflowTemplate"), service != "billing", "{left}");
    }
    assert_eq!(described(&memory).await, "[] []");
}

#[tokio::test]
async fn what_varies_among_those_that_go_the_same_way_is_no_part_of_the_procedure() {
    let (memory, clock) = memory().await;
    let send = async |customer: &str| {
        clock.advance(std::time::Duration::from_secs(60));
        let task = Task::new(format!("Send the monthly invoice to {customer}")).domain("billing");
        let mut episode = memory.start(task).await.unwrap();
        for tool in ["look_up", "send_invoice"] {
            episode.step(Action::tool(tool).arguments(json!({"customer": customer}))).await.unwrap();
        }
        episode.complete(Outcome::success("sent")).await.unwrap();
        memory.learn().await.unwrap();
    };
    // More of each than are compared by their words.
    for customer in ["globex", "acme"] {
        for _ in 0..10 {
            send(customer).await;
        }
    }
    let found = memory.recall(RecallQuery::new("Send the monthly invoice to initech")).await.unwrap();
    let suggested = found.playbook.unwrap();
    assert_eq!(suggested.playbook.placeholders, ["customer"]);
    assert_eq!(suggested.playbook.tally.successes, 20);
    assert_eq!(suggested.playbook.title, "Send the monthly invoice to {customer}");
    let steps: Vec<String> = suggested.steps.iter().map(ToString::to_string).collect();
    assert_eq!(steps, ["look_up: customer=initech", "send_invoice: customer=initech"]);
}

#[tokio::test]
async fn metrics_forget_with_the_episode() {
    let (memory, clock) = memory().await;
    let one = release(&memory, &clock, "billing", "1.2.0", true).await;
    let other = release(&memory, &clock, "mail", "0.4.0", false).await;
    memory.learn().await.unwrap();
    let samples = async || {
        memory.consolidate(None).await.unwrap();
        let metrics = memory.knowledge().metrics().await.unwrap();
        let all = metrics.iter().find(|it| it.name == "success_rate" && it.domain.is_none());
        (metrics.len(), all.map(|it| (it.samples, it.value)))
    };
    assert_eq!(samples().await.1, Some((2, 0.5)));
    assert!(memory.forget(other).await.unwrap());
    assert_eq!(samples().await.1, Some((1, 1.0)));
    assert!(memory.forget(one).await.unwrap());
    assert_eq!(samples().await, (0, None));
}

#[tokio::test]
async fn what_came_behind_forgetting_is_swept_away() {
    let durable = Arc::new(MemoryStore::new());
    let clock = Arc::new(ManualClock::new(Timestamp(1_700_000_000_000)));
    let here = memory_over(durable.clone(), clock.clone(), 1).await;
    let there = memory_over(durable.clone(), clock.clone(), 2).await;
    let mut episode = here.start("paint the fence").await.unwrap();
    let kept = release(&here, &clock, "mail", "0.4.0", true).await;
    assert!(there.forget(episode.id()).await.unwrap());
    // Not known here yet.
    episode.step(Action::tool("brush")).await.unwrap();
    // This one came while its episode was being forgotten.
    let mut late = here.start("paint the shed").await.unwrap();
    late.step(Action::tool("brush")).await.unwrap();
    let head = Key::episode(&Namespace::default(), late.id());
    durable.commit(&[there.inner.records.engine.final_version(head)]).await.unwrap();
    let steps = async || {
        let scan = Scan::new(&Namespace::default(), Kind::Step).limit(100);
        let page = durable.scan(&scan).await.unwrap();
        page.records.iter().map(|record| record.key.id.to_string()).collect::<Vec<_>>()
    };
    // The head of this one may be waiting elsewhere.
    let unknown = EpisodeId(uuid::Uuid::from_u128(77));
    let step = Step::new(unknown, 1, 1, Timestamp(1), Action::tool("brush"));
    let key = Key::step(&Namespace::default(), &step);
    durable.commit(&[here.inner.records.engine.version(key, Some(step.into()))]).await.unwrap();
    assert_eq!(steps().await.len(), 7);
    there.inner.records.engine.refresh().await.unwrap();
    there.consolidate(None).await.unwrap();
    let left = steps().await;
    let gone = |id: &String| id.starts_with(&late.id().to_string());
    assert!(left.len() == 6 && !left.iter().any(gone), "{left:?}");
    assert!(left.iter().any(|id| id.starts_with(&kept.to_string())), "{left:?}");
}

#[tokio::test]
async fn evidence_of_a_clock_that_is_ahead_does_not_age_the_rest() {
    let durable = Arc::new(MemoryStore::new());
    let clock = Arc::new(ManualClock::new(Timestamp(1_800_000_000_000)));
    let ahead = Arc::new(ManualClock::new(clock.now().plus(Duration::from_secs(3 * 366 * 86_400))));
    let there = memory_over(durable.clone(), ahead.clone(), 2).await;
    release(&there, &ahead, "mail", "0.4.0", true).await;
    there.learn().await.unwrap();
    let here = memory_over(durable.clone(), clock.clone(), 1).await;
    for version in ["0.5.0", "0.6.0", "0.7.0", "0.8.0"] {
        release(&here, &clock, "mail", version, true).await;
    }
    here.learn().await.unwrap();
    let weights = async || {
        let patterns = here.knowledge().patterns().await.unwrap();
        patterns.iter().map(|pattern| pattern.tally.weight()).fold(0.0, f64::max)
    };
    assert!(weights().await > 3.0, "{}", weights().await);
    here.consolidate(None).await.unwrap();
    assert!(weights().await > 3.0, "counted anew: {}", weights().await);
}

#[tokio::test]
async fn a_playbook_that_disagrees_with_the_advice_is_not_suggested() {
    let (memory, clock) = memory().await;
    let items = ["espresso machine", "garden hose", "desk lamp", "tea kettle"];
    for n in 0..24 {
        let (asked, tool) = [("Exchange", "exchange_items"), ("Return", "return_items")][n % 2];
        // Most exchanges share this with the query, and hardly any of the returned ones.
        let is_usual = n / 2 % 4 > 0;
        let item = if (n % 2 == 0) == is_usual { items[0] } else { items[1 + n / 2 % 3] };
        clock.advance(std::time::Duration::from_secs(60));
        let task = Task::new(format!("{asked} the {item} of the order")).domain("shop");
        let mut episode = memory.start(task).await.unwrap();
        for tool in ["find_order", tool] {
            episode.step(Action::tool(tool).arguments(json!({"item": item}))).await.unwrap();
        }
        episode.complete(Outcome::success("done")).await.unwrap();
    }
    memory.learn().await.unwrap();
    let check = async |text: &str, expected: &str| {
        let found = memory.recall(RecallQuery::new(text)).await.unwrap();
        assert!(found.tools.iter().any(|advice| advice.tool == expected), "{:?}", found.tools);
        let steps: Vec<String> =
            found.playbook.iter().flat_map(|it| &it.steps).map(|step| step.tool.clone()).collect();
        assert!(steps.is_empty() || steps.contains(&expected.to_owned()), "{text}: {steps:?}");
        steps.len()
    };
    check("Return the espresso machine of the order", "return_items").await;
    assert_eq!(check("Exchange the espresso machine of the order", "exchange_items").await, 2);
}

#[tokio::test]
async fn a_task_of_several_wishes_gets_what_is_known_of_its_parts() {
    let (memory, clock) = memory().await;
    for n in 0..12 {
        let order = format!("#W{:07}", 1_000_000 + 7 * n);
        for (wish, tool) in [("Cancel the unpaid", "cancel_order"), ("Gift-wrap the fragile", "wrap_parcel")]
        {
            clock.advance(std::time::Duration::from_secs(60));
            let task = Task::new(format!("{wish} order {order}")).domain("shop");
            let mut episode = memory.start(task).await.unwrap();
            for tool in ["find_order", tool] {
                episode.step(Action::tool(tool).arguments(json!({"order_id": order}))).await.unwrap();
            }
            episode.complete(Outcome::success("done")).await.unwrap();
        }
    }
    memory.learn().await.unwrap();
    let text = "My name is Mia. Cancel the unpaid order #W7654321, and gift-wrap the fragile order #W7000003";
    let found = memory.recall(RecallQuery::new(text)).await.unwrap();
    let advised: Vec<&str> = found.tools.iter().map(|advice| advice.tool.as_str()).collect();
    assert!(["cancel_order", "wrap_parcel"].iter().all(|tool| advised.contains(tool)), "{advised:?}");
    let suggested = found.playbook.as_ref().unwrap_or_else(|| panic!("{found:#?}"));
    let part = found.task_parts[suggested.part.unwrap()].as_str();
    let (wish, tool, order) = match part.contains("Cancel") {
        true => ("Cancel", "cancel_order", "#W7654321"),
        false => ("wrap", "wrap_parcel", "#W7000003"),
    };
    assert!(part.contains(wish), "{part}");
    let steps: Vec<String> = suggested.steps.iter().map(ToString::to_string).collect();
    assert_eq!(steps.len(), 2);
    assert!(steps[1].contains(tool) && steps.iter().all(|step| step.contains(order)), "{steps:?}");
    assert!(found.to_prompt(2_000).contains(&format!("for a part of the task: {part}")));

    let story = "Mia, a patient gardener with three greenhouses near Lisbon, met her neighbour. Cancel the unpaid order \
                 of tulip bulbs, secateurs and terracotta flowerpots #W7654321.";
    for text in ["Cancel the unpaid order #W7654321", story] {
        let whole = memory.recall(RecallQuery::new(text).domain("shop")).await.unwrap().playbook.unwrap();
        assert_eq!((whole.part, whole.steps.len(), whole.missing.len()), (None, 2, 0), "{text}: {whole:?}");
    }
    let found = memory.recall("Paint the greenhouses near Lisbon, and mow the lawn").await.unwrap();
    assert_eq!(found.playbook, None);
    // Similar words, from another domain.
    let alike = RecallQuery::new("Cancel the unpaid order of plants #W7654321 at the nursery of my aunt");
    for (domain, fits) in [("shop", true), ("garden", false)] {
        let found = memory.recall(alike.clone().domain(domain)).await.unwrap();
        assert_eq!(found.playbook.is_some(), fits, "{domain}: {:?}", found.playbook);
        assert_eq!(!found.patterns.is_empty(), fits, "{domain}: {:?}", found.patterns);
    }
}

#[tokio::test]
async fn an_error_with_a_name_that_no_error_had_finds_the_lessons_of_its_like() {
    let (memory, clock) = memory().await;
    for service in ["auth", "billing", "mail"] {
        clock.advance(std::time::Duration::from_secs(60));
        let mut episode = memory.start(Task::new(format!("Deploy {service}")).domain("ops")).await.unwrap();
        let error = format!("{service} is locked by the scheduler");
        for action in [Action::tool("deploy").error(error), Action::tool("unlock"), Action::tool("deploy")] {
            episode.step(action).await.unwrap();
        }
        episode.complete(Outcome::success("deployed")).await.unwrap();
    }
    memory.learn().await.unwrap();
    let fixes = async |domain: &str, error: &str| {
        let query = RecallQuery::new("Deploy wallet").domain(domain).failed("deploy", error);
        memory.recall(query).await.unwrap().fixes
    };
    let locked = "wallet is locked by the scheduler";
    let found = fixes("ops", locked).await;
    let told = format!("{found:?}");
    assert!(!found.is_empty() && told.contains("unlock"), "{told}");
    assert_eq!(fixes("ops", "no space left on device").await, []);
    // Elsewhere it may be another problem, unless it is nearly the same error.
    assert_eq!(fixes("garden", locked).await, []);
    assert!(!fixes("garden", "mail is locked by the scheduler").await.is_empty());
}

#[tokio::test]
async fn a_cycle_makes_way_for_work_and_the_next_one_goes_on() {
    let (memory, clock) = memory().await;
    for (service, version) in &RELEASES[..3] {
        release(&memory, &clock, service, version, true).await;
    }
    memory.learn().await.unwrap();
    let gate = memory.inner.backlog.gate.lock().await;
    let cycle = tokio::spawn({
        let inner = memory.inner.clone();
        async move { inner.consolidation.consolidate(Trigger::Idle, None).await }
    });
    // Waits until the cycle has started and is waiting; then a query arrives.
    tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    memory.recall("release the mail service").await.unwrap();
    drop(gate);
    let cycle = cycle.await.unwrap().unwrap();
    assert!(cycle.interrupted, "{cycle:?}");
    assert!(memory.knowledge().metrics().await.unwrap().is_empty(), "what comes last was left");
    let cycle = memory.inner.consolidation.consolidate(Trigger::Idle, None).await.unwrap();
    assert!(!cycle.interrupted && !memory.knowledge().metrics().await.unwrap().is_empty());
}

#[test]
fn a_cycle_is_due_after_a_rest_with_news_and_at_an_interval() {
    let rest = std::time::Duration::from_millis(40);
    let mut config = memory_learn::consolidate::ConsolidationConfig::default();
    config.idle_after = rest;
    let mut schedule = Schedule::new();
    std::thread::sleep(2 * rest);
    assert_eq!(schedule.trigger(0, &config), None, "nothing is new");
    schedule.news = true;
    assert_eq!(schedule.trigger(1, &config), None, "there was a call just now");
    std::thread::sleep(2 * rest);
    assert_eq!(schedule.trigger(1, &config), Some(Trigger::Idle));
    assert_eq!(schedule.trigger(1, &config), None, "once is enough");
    config.interval = rest;
    std::thread::sleep(2 * rest);
    assert_eq!(schedule.trigger(2, &config), Some(Trigger::Interval), "work or not");
}

#[tokio::test]
async fn what_all_failures_left_out_is_seen_though_the_nearest_episodes_end_alike() {
    let (memory, clock) = memory().await;
    let deploy = async |n: u32, tested: bool| {
        clock.advance(std::time::Duration::from_secs(60));
        let task = Task::new("Deploy the shop").kind("ops").domain("shop");
        let mut episode = memory.start(task).await.unwrap();
        for tool in ["build", "run_tests", "deploy"].iter().filter(|tool| tested || **tool != "run_tests") {
            episode.step(Action::tool(*tool).arguments(json!({"attempt": n}))).await.unwrap();
        }
        let outcome = if tested { Outcome::success("live") } else { Outcome::failure("rolled back") };
        episode.complete(outcome).await.unwrap();
    };
    // Enough of each sort that the nearest episodes of one are all of its own sort.
    for n in 0..24 {
        deploy(n, n < 14).await;
    }
    memory.learn().await.unwrap();
    let patterns = memory.knowledge().patterns().await.unwrap();
    let anti: Vec<_> = patterns.iter().filter(|pattern| pattern.strategy == Strategy::AntiPattern).collect();
    assert!(anti.iter().any(|pattern| format!("{:?}", pattern.body).contains("run_tests")), "{patterns:?}");
}

#[tokio::test]
async fn however_little_time_there_is_each_cycle_gets_further() {
    let (memory, clock) = memory().await;
    release(&memory, &clock, "mail", "0.4.0", true).await;
    clock.advance(std::time::Duration::from_secs(86_400));
    release(&memory, &clock, "mail", "0.4.1", true).await;
    memory.learn().await.unwrap();
    let mut cycles = 1;
    while memory.consolidate(Some(std::time::Duration::ZERO)).await.unwrap().interrupted {
        cycles += 1;
        assert!(cycles < 500, "it never ends");
    }
    // A piece an item, and then step by step.
    let metrics = memory.knowledge().metrics().await.unwrap();
    let days: std::collections::BTreeSet<_> = metrics.iter().map(|metric| metric.day).collect();
    assert!(cycles > 7 && days.len() == 2, "{cycles} {days:?}");
}

#[tokio::test]
async fn background_learning_begins_again_after_a_panic() {
    let faults = Faulty::new();
    let durable = Arc::new(Layered::new(faults.clone(), Arc::new(MemoryStore::new())));
    let tiers = Tiers {
        durable,
        cache: Arc::new(MemoryStore::new()),
        outbox: None,
        contacts: None,
        warnings: Vec::new(),
    };
    let clock = Arc::new(ManualClock::new(Timestamp(1_700_000_000_000)));
    let ids = Arc::new(SeededIds::new(7));
    // The first read of the learner.
    faults.then(Some(Operation::Scan), Fault::Panic);
    let memory = Memory::assemble(Namespace::default(), MemoryConfig::default(), tiers, clock.clone(), ids);
    let memory = memory.await.unwrap();
    let due = release(&memory, &clock, "billing", "1.2.0", true).await;
    let learned = async || {
        let sync = memory.status().await.engine.sync;
        sync.last_error.is_none() && memory.knowledge().reflection(due).await.unwrap().is_some()
    };
    let begun = std::time::Instant::now();
    while !learned().await && begun.elapsed() < Duration::from_secs(30) {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert!(learned().await);
    assert_eq!(memory.status().await.engine.panics, 1);
}
