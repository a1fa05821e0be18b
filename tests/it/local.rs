//! Local mode: the embedded default.

use agent_memory::{
    Action, EpisodeQuery, ErrorKind, Memory, NewArtifact, Outcome, Quality, Recorded, Recording, Task,
    Verdict,
};

use crate::common::{PATIENCE, files, record_one};

#[tokio::test]
async fn an_episode_from_start_to_recall_and_reopening() {
    let folder = tempfile::tempdir().unwrap();
    let memory = Memory::open(folder.path()).await.unwrap();
    let done = record_one(&memory, "Fix the flaky login test").await;
    assert_eq!((done.steps, done.step_duration_ms, done.tokens), (2, 12, 10));
    assert_eq!(
        done.tools.iter().map(|t| (t.tool.as_str(), t.failures)).collect::<Vec<_>>(),
        [("bash", 1), ("edit", 0)]
    );

    let recall = memory.recall("login test flaky").await.unwrap();
    assert_eq!(recall.episodes[0].id, done.id, "visible to the next call");
    assert!(!recall.episodes[0].reasons.is_empty());
    assert!(recall.to_prompt(300).contains("flaky login"));
    assert!(memory.recall("zebra migration patterns").await.unwrap().is_empty(), "nothing is an answer");

    let steps = memory.steps(done.id).await.unwrap();
    assert_eq!(steps.iter().map(|step| step.number).collect::<Vec<_>>(), [1, 2]);
    memory.close(PATIENCE).await.unwrap();

    let memory = Memory::open(folder.path()).await.unwrap();
    assert_eq!(*memory.get(done.id).await.unwrap().unwrap(), done);
    assert_eq!(memory.recall("login test flaky").await.unwrap().episodes.len(), 1);
    let status = memory.status().await;
    assert_eq!(status.engine.records.unwrap()["step"], 2);
}

#[tokio::test]
async fn lifecycle_breaches_are_clear_errors() {
    let folder = tempfile::tempdir().unwrap();
    let memory = Memory::open(folder.path()).await.unwrap();
    let mut open = memory.start("one").await.unwrap();
    open.step(Action::tool("a")).await.unwrap();
    let mut second = memory.resume(open.id()).await.unwrap();
    assert_eq!(second.step(Action::tool("b")).await.unwrap(), 2);
    let id = open.id();
    second.complete(Outcome::failure("no")).await.unwrap();
    assert_eq!(open.step(Action::tool("c")).await.unwrap_err().kind(), ErrorKind::Conflict);
    assert_eq!(open.complete(Outcome::success("yes")).await.unwrap_err().kind(), ErrorKind::Conflict);
    assert_eq!(memory.resume(id).await.unwrap_err().kind(), ErrorKind::Conflict);
    let episode = memory.get(id).await.unwrap().unwrap();
    assert_eq!(episode.outcome, Some(Outcome::failure("no")), "the first outcome stays");
    let unknown = "0190a0a0-0000-7000-8000-000000000000".parse().unwrap();
    assert_eq!(memory.resume(unknown).await.unwrap_err().kind(), ErrorKind::NotFound);
    assert!(memory.get(unknown).await.unwrap().is_none());
}

#[tokio::test]
async fn lists_page_without_a_cap_and_filter() {
    let folder = tempfile::tempdir().unwrap();
    let memory = Memory::open(folder.path()).await.unwrap();
    let mut ids = Vec::new();
    for i in 0..25 {
        ids.push(record_one(&memory, &format!("task {i}")).await.id);
    }
    let open = memory.start("still open").await.unwrap();
    let listed = memory.list(&EpisodeQuery::open()).await.unwrap().episodes;
    assert_eq!(listed.iter().map(|e| e.id).collect::<Vec<_>>(), [open.id()]);
    let mut query = EpisodeQuery::default().outcome(Verdict::Success).limit(10);
    let mut seen = Vec::new();
    loop {
        let page = memory.list(&query).await.unwrap();
        seen.extend(page.episodes.iter().map(|episode| episode.id));
        if page.next.is_none() {
            break;
        }
        query = query.after(page.next);
    }
    ids.reverse();
    assert_eq!(seen, ids, "newest first, all of them");
}

#[tokio::test]
async fn secrets_never_reach_the_disk() {
    let folder = tempfile::tempdir().unwrap();
    let memory = Memory::open(folder.path()).await.unwrap();
    let secret = "ghp_abcdefghijklmnopqrstuvwxyz0123456789";
    let mut episode = memory.start(format!("push with {secret}")).await.unwrap();
    let arguments = serde_json::json!({"env": {"GITHUB_TOKEN": secret}});
    episode.step(Action::tool("git").arguments(arguments).observation(secret)).await.unwrap();
    episode
        .artifact(NewArtifact::new("log", secret).quality(Quality::default().accepted(true)))
        .await
        .unwrap();
    let done = episode.complete(Outcome::failure(format!("bad {secret}"))).await.unwrap();
    assert_eq!(done.redactions, 5);
    memory.close(PATIENCE).await.unwrap();
    for entry in files(folder.path()) {
        let bytes = std::fs::read(&entry).unwrap();
        let found = bytes.windows(secret.len()).any(|window| window == secret.as_bytes());
        assert!(!found, "{} holds the secret", entry.display());
    }
}

#[tokio::test]
async fn recording_twice_changes_nothing_and_forgetting_is_lasting() {
    let folder = tempfile::tempdir().unwrap();
    let memory = Memory::open(folder.path()).await.unwrap();
    let recording = Recording::new("file:1", "book a flight", Outcome::success("booked"))
        .actions(vec![Action::tool("search"), Action::tool("book")]);
    let Recorded::New(id) = memory.record(recording.clone()).await.unwrap() else { panic!("new") };
    let before = memory.get(id).await.unwrap().unwrap();
    assert_eq!(memory.record(recording.clone()).await.unwrap(), Recorded::Known(id));
    assert_eq!(memory.get(id).await.unwrap().unwrap(), before);
    assert!(memory.forget(id).await.unwrap());
    assert!(!memory.forget(id).await.unwrap());
    assert!(memory.get(id).await.unwrap().is_none());
    assert!(memory.steps(id).await.unwrap().is_empty());
    assert!(memory.recall("book a flight").await.unwrap().is_empty());
    assert_eq!(memory.record(recording).await.unwrap(), Recorded::Forgotten(id));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_batch_is_scored_as_if_recorded_one_after_the_other() {
    let recordings: Vec<Recording> = (0..70)
        .map(|number| {
            Recording::new(
                format!("file:{number}"),
                Task::new(["book a flight", "rotate the logs"][number % 2]),
                Outcome::success("done"),
            )
            .actions(vec![Action::tool("look").duration_ms(number as u64); 1 + number % 5])
            .at(agent_memory::Timestamp(1_000 + number as u64))
        })
        .collect();
    let (folders, mut rewards) = ([tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()], Vec::new());
    for (batch, folder) in folders.iter().enumerate() {
        let memory = Memory::builder().path(folder.path()).background_learning(false).open().await.unwrap();
        let results = if batch == 1 {
            memory.record_all(recordings.clone()).await
        } else {
            let mut results = Vec::new();
            for recording in &recordings {
                results.push(memory.record(recording.clone()).await);
            }
            results
        };
        let mut rewards_here = Vec::new();
        for result in results {
            let Recorded::New(id) = result.unwrap() else { panic!("new") };
            rewards_here.push(memory.knowledge().reward(id).await.unwrap().unwrap());
        }
        rewards.push(rewards_here);
    }
    assert_eq!(rewards[0], rewards[1]);
    let totals: std::collections::BTreeSet<u64> =
        rewards[0].iter().map(|reward| reward.total.to_bits()).collect();
    assert!(totals.len() > 35, "the history shows in the rewards: {totals:?}");
}

#[tokio::test]
async fn each_of_a_batch_has_its_own_fate() {
    let folder = tempfile::tempdir().unwrap();
    let memory = Memory::builder()
        .path(folder.path())
        .quotas(agent_memory::Quotas::default().max_episodes(3))
        .open()
        .await
        .unwrap();
    let recording = |key: &str, text: &str| {
        Recording::new(key, text, Outcome::success("done")).actions(vec![Action::tool("look")])
    };
    let Recorded::New(old) = memory.record(recording("old", "old")).await.unwrap() else { panic!("new") };
    let batch = ["old", "a", "b", "a", "", "b", "c", "d", "c"];
    let texts = ["old", "one", "", "one", "no key", "", "three", "one too many", "three"];
    let results =
        memory.record_all(batch.iter().zip(texts).map(|(key, text)| recording(key, text)).collect()).await;
    let told: Vec<String> = results
        .iter()
        .map(|result| match result {
            Ok(recorded) => format!("{recorded:?}").split('(').next().unwrap().to_owned(),
            Err(error) => error.kind().to_string(),
        })
        .collect();
    let (bad, full) = (ErrorKind::InvalidInput.to_string(), ErrorKind::QuotaExceeded.to_string());
    assert_eq!(told, ["Known", "New", &bad, "Known", &bad, &bad, "New", &full, "Known"]);
    assert_eq!(results[0].as_ref().unwrap(), &Recorded::Known(old));
    let listed = memory.list(&EpisodeQuery::default()).await.unwrap().episodes;
    let texts: std::collections::BTreeSet<&str> =
        listed.iter().map(|episode| episode.task.description.as_str()).collect();
    assert_eq!(texts, ["old", "one", "three"].into());
}

#[tokio::test]
async fn refused_input_stores_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let memory = Memory::open(folder.path()).await.unwrap();
    let error = memory.start("x".repeat(10_001)).await.unwrap_err();
    let violation = error.violation().unwrap();
    assert_eq!(
        (violation.field.as_str(), violation.limit, violation.found),
        ("task.description", 10_000, 10_001)
    );
    let mut episode = memory.start("fine").await.unwrap();
    let error = episode.step(Action::tool("t").observation("y".repeat(10_001))).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    assert_eq!(episode.step(Action::tool("t")).await.unwrap(), 1, "a refused step uses no number");
    let error =
        episode.complete(Outcome::Partial { fraction: 1.5, summary: String::new() }).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    let status = memory.status().await.engine;
    assert_eq!(status.records.unwrap().into_iter().collect::<Vec<_>>(), [("episode", 1), ("step", 1)]);
}

#[tokio::test]
async fn quota_and_rate_limit_name_the_figures() {
    let folder = tempfile::tempdir().unwrap();
    let clock = std::sync::Arc::new(agent_memory::testing::ManualClock::new(agent_memory::Timestamp(1_000)));
    let memory = Memory::builder()
        .path(folder.path())
        .clock(clock.clone())
        .quotas(agent_memory::Quotas::default().max_episodes(3))
        .rate_limit(agent_memory::RateLimit { per_second: 2.0, burst: 2 })
        .open()
        .await
        .unwrap();
    memory.start("one").await.unwrap();
    memory.start("two").await.unwrap();
    let error = memory.start("too fast").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::RateLimitExceeded);
    let wait = error.retry_after().unwrap();
    assert_eq!(wait, std::time::Duration::from_millis(500));
    clock.advance(wait);
    memory.start("three").await.unwrap();
    clock.advance(std::time::Duration::from_secs(5));
    let error = memory.start("too many").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::QuotaExceeded);
    let violation = error.violation().unwrap();
    assert_eq!((violation.limit, violation.found), (3, 4));
    assert_eq!(memory.list(&EpisodeQuery::default()).await.unwrap().episodes.len(), 3);
}

#[tokio::test]
async fn the_rate_ends_a_batch() {
    let folder = tempfile::tempdir().unwrap();
    let clock = std::sync::Arc::new(agent_memory::testing::ManualClock::new(agent_memory::Timestamp(1_000)));
    let memory = Memory::builder()
        .path(folder.path())
        .clock(clock.clone())
        .rate_limit(agent_memory::RateLimit { per_second: 2.0, burst: 2 })
        .open()
        .await
        .unwrap();
    let recordings: Vec<Recording> =
        (0..4).map(|number| Recording::new(number.to_string(), "look", Outcome::success("done"))).collect();
    let results = memory.record_all(recordings.clone()).await;
    let is_limited = |result: &agent_memory::Result<Recorded>| {
        result.as_ref().is_err_and(|error| error.kind() == ErrorKind::RateLimitExceeded)
    };
    assert_eq!(results.iter().map(is_limited).collect::<Vec<_>>(), [false, false, true, true]);
    clock.advance(results[2].as_ref().unwrap_err().retry_after().unwrap() * 2);
    let results = memory.record_all(recordings).await;
    assert!(matches!(
        results[..],
        [Ok(Recorded::Known(_)), Ok(Recorded::Known(_)), Ok(Recorded::New(_)), Ok(_)]
    ));
}

#[tokio::test]
async fn retention_expires_records() {
    let folder = tempfile::tempdir().unwrap();
    let clock =
        std::sync::Arc::new(agent_memory::testing::ManualClock::new(agent_memory::Timestamp::EARLIEST));
    // What was learned from an episode goes later than the episode itself.
    let builder = Memory::builder().path(folder.path()).clock(clock.clone()).background_learning(false);
    let memory = builder.retention_days(agent_memory::Kind::Episode, 2).open().await.unwrap();
    let done = record_one(&memory, "rotate the logs").await;
    clock.advance(std::time::Duration::from_secs(86_400));
    assert!(memory.get(done.id).await.unwrap().is_some());
    assert_eq!(memory.recall("rotate logs").await.unwrap().episodes.len(), 1);
    clock.advance(std::time::Duration::from_secs(86_400));
    assert!(memory.get(done.id).await.unwrap().is_none());
    assert!(memory.recall("rotate logs").await.unwrap().is_empty());
    assert!(memory.list(&EpisodeQuery::default()).await.unwrap().episodes.is_empty());
}

#[tokio::test]
async fn what_expired_episodes_taught_goes_with_the_next_cycle() {
    let folder = tempfile::tempdir().unwrap();
    let clock =
        std::sync::Arc::new(agent_memory::testing::ManualClock::new(agent_memory::Timestamp::EARLIEST));
    let builder = Memory::builder().path(folder.path()).clock(clock.clone()).background_learning(false);
    let memory = builder.retention_days(agent_memory::Kind::Episode, 2).open().await.unwrap();
    record_one(&memory, "rotate the logs").await;
    memory.learn().await.unwrap();
    assert!(!memory.recall("rotate logs").await.unwrap().patterns.is_empty());
    clock.advance(std::time::Duration::from_secs(2 * 86_400));
    memory.consolidate(None).await.unwrap();
    let recall = memory.recall("rotate logs").await.unwrap();
    assert!(recall.is_empty(), "{recall:#?}");
    assert!(memory.knowledge().patterns().await.unwrap().is_empty());
    assert!(memory.knowledge().playbooks().await.unwrap().is_empty());
}

#[tokio::test]
async fn two_handles_of_one_episode_overwrite_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let memory = Memory::open(folder.path()).await.unwrap();
    let mut a = memory.start("shared").await.unwrap();
    a.step(Action::tool("one")).await.unwrap();
    let mut b = memory.resume(a.id()).await.unwrap();
    a.step(Action::tool("from a")).await.unwrap();
    b.step(Action::tool("from b")).await.unwrap();
    let steps = memory.steps(a.id()).await.unwrap();
    let mut tools: Vec<_> = steps.iter().map(|step| step.action.tool.as_str()).collect();
    tools.sort_unstable();
    assert_eq!(tools, ["from a", "from b", "one"]);
}

#[tokio::test]
async fn a_cancelled_step_is_counted_if_it_is_stored() {
    let folder = tempfile::tempdir().unwrap();
    let memory = Memory::open(folder.path()).await.unwrap();
    let mut episode = memory.start("impatient").await.unwrap();
    for _ in 0..20 {
        let step = episode.step(Action::tool("t"));
        let _late = tokio::time::timeout(std::time::Duration::from_micros(150), step).await;
    }
    let done = episode.complete(Outcome::success("done")).await.unwrap();
    assert_eq!(done.steps as usize, memory.steps(done.id).await.unwrap().len());
}

#[tokio::test]
async fn a_memory_is_made_unless_the_builder_says_otherwise() {
    let error = Memory::open("").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput, "an empty path is no folder: {error}");
    let scratch = tempfile::tempdir().unwrap();
    let folder = scratch.path().join("memory");
    let error = Memory::builder().path(&folder).create(false).open().await.err().unwrap();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert!(error.to_string().contains(folder.to_str().unwrap()), "{error}");
    assert!(!folder.exists());
    Memory::open(&folder).await.unwrap().close(PATIENCE).await.unwrap();
    Memory::builder().path(&folder).create(false).open().await.unwrap().close(PATIENCE).await.unwrap();
}
