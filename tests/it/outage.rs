//! Outages in mid-stream: recording goes on, the status tells, everything arrives.

use std::time::Duration;

use agent_memory::status::BreakerState;
use agent_memory::{
    Ack, Action, EpisodeQuery, ErrorKind, Freshness, Memory, NewArtifact, Outcome, Recording,
};
use memory_core::Outbox;
use memory_storage_redb::{OutboxOptions, RedbOutbox};
use memory_test_support::{Access, FaultProxy, JwtKeys, Mode, Sqld, SqldOptions};

use crate::common::{PATIENCE, eventually, file_named, record_one, remote};

/// Records before, in and after an outage; checks what works in it and that everything arrives.
async fn check(sqld: &Sqld, memory: &Memory, begin: impl FnOnce(), end: impl FnOnce()) {
    let before = record_one(memory, "before the outage").await;
    memory.sync(PATIENCE).await.unwrap();
    let mut across = memory.start("across the outage").await.unwrap();
    begin();
    across.step(Action::tool("bash")).await.unwrap();
    let during = record_one(memory, "during the outage").await;
    eventually("the breaker opens", async || {
        let status = memory.status().await.engine;
        status.breaker.unwrap().state != BreakerState::Closed
    })
    .await;
    // Any request may have opened it; the sync task meets the outage in its own time.
    eventually("the reason is told", async || memory.status().await.engine.sync.last_error.is_some()).await;
    let status = memory.status().await.engine;
    assert!(status.outbox.unwrap().rows >= 4, "{status:?}");
    assert!(status.outbox.unwrap().oldest_age_ms.is_some());
    assert_eq!(status.records, None, "counts are not made up");
    assert_eq!(memory.get(before.id).await.unwrap().unwrap().id, before.id);
    assert_eq!(memory.steps(during.id).await.unwrap().len(), 2, "own writes are read through any outage");
    assert_eq!(memory.steps(before.id).await.unwrap().len(), 2, "those the server has, too");
    let recall = memory.recall("during the outage").await.unwrap();
    assert_eq!(recall.episodes[0].id, during.id);
    let page = memory.list(&EpisodeQuery::default()).await.unwrap();
    assert_eq!(page.episodes.len(), 3, "what this machine knows");
    assert!(matches!(page.freshness, Freshness::Stale { .. }), "and says so");
    let error = memory.flush(Duration::from_millis(200)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    end();
    let done = across.complete(Outcome::success("survived")).await.unwrap();
    assert_eq!(done.steps, 1);
    memory.flush(PATIENCE).await.unwrap();
    eventually("the breaker closes", async || {
        memory.status().await.engine.breaker.unwrap().state == BreakerState::Closed
    })
    .await;
    assert_eq!(sqld.scalar("SELECT count(*) FROM episodes WHERE status = 'completed'"), 3);
    assert_eq!(sqld.scalar("SELECT count(*) FROM steps"), 5);
    assert_eq!(memory.status().await.engine.outbox.unwrap().dead_letters, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn server_killed() {
    let sqld = Sqld::start(SqldOptions::new());
    let folder = tempfile::tempdir().unwrap();
    let memory = remote(folder.path(), &sqld.url()).open().await.unwrap();
    check(&sqld, &memory, || sqld.kill(), || sqld.restart()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn server_paused() {
    let sqld = Sqld::start(SqldOptions::new());
    let folder = tempfile::tempdir().unwrap();
    let memory = remote(folder.path(), &sqld.url()).open().await.unwrap();
    check(&sqld, &memory, || sqld.pause(), || sqld.resume()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn recording_waits_for_no_server_and_recall_for_what_waits() {
    let sqld = Sqld::start(SqldOptions::new());
    let folder = tempfile::tempdir().unwrap();
    let builder = || {
        remote(folder.path(), &sqld.url())
            .read_deadline(PATIENCE)
            .write_deadline(PATIENCE)
            .first_pull(PATIENCE)
    };
    let open = async || builder().open().await.unwrap();
    let memory = open().await;
    let sent = record_one(&memory, "compress the backups").await;
    memory.flush(PATIENCE).await.unwrap();
    sqld.pause();
    let waiting = memory.start("compress the archives").await.unwrap().id();
    assert_eq!(memory.close(Duration::ZERO).await.unwrap().rows, 1);

    let memory = open().await;
    let mut episode = memory.start("compress the logs").await.unwrap();
    episode.step(Action::tool("tar")).await.unwrap();
    let mut recall = Box::pin(memory.recall("compress"));
    tokio::select! {
        biased;
        _ = &mut recall => panic!("the server has not answered yet"),
        () = std::future::ready(()) => {}
    }
    sqld.resume();
    let recall = recall.await.unwrap();
    assert_eq!(recall.searched, 3, "what is on the server, what waits for it, and what is new");
    assert_eq!(recall.episodes[0].id, sent.id);
    assert_eq!(memory.get(waiting).await.unwrap().unwrap().id, waiting);
}

async fn through_proxy(mode: Mode) {
    let sqld = Sqld::start(SqldOptions::new());
    let proxy = FaultProxy::start(sqld.addr());
    let folder = tempfile::tempdir().unwrap();
    let memory = remote(folder.path(), &proxy.url()).open().await.unwrap();
    check(&sqld, &memory, || proxy.set_mode(mode), || proxy.set_mode(Mode::Pass)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn server_answers_503() {
    through_proxy(Mode::Status503).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn server_answers_garbage() {
    through_proxy(Mode::Garbage).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn server_never_answers() {
    through_proxy(Mode::Hang).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_are_truncated() {
    through_proxy(Mode::Truncate).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn acknowledgements_are_lost() {
    let sqld = Sqld::start(SqldOptions::new());
    let proxy = FaultProxy::start(sqld.addr());
    let folder = tempfile::tempdir().unwrap();
    let memory = remote(folder.path(), &proxy.url()).open().await.unwrap();
    record_one(&memory, "first").await;
    memory.flush(PATIENCE).await.unwrap();
    for i in 0..10 {
        proxy.fault_next(2, Mode::DropAnswer);
        record_one(&memory, &format!("task {i}")).await;
    }
    // Recording waits for no drain: on a busy machine it may not have sent anything yet.
    eventually("answers are dropped", async || proxy.faults() > 0).await;
    proxy.set_mode(Mode::Pass);
    memory.flush(PATIENCE).await.unwrap();
    assert_eq!(sqld.scalar("SELECT count(*) FROM episodes"), 11);
    assert_eq!(sqld.scalar("SELECT count(*) FROM steps"), 22);
}

#[tokio::test(flavor = "multi_thread")]
async fn token_revoked_and_restored() {
    let keys = JwtKeys::generate();
    let sqld = Sqld::start(SqldOptions::new().jwt(&keys));
    let folder = tempfile::tempdir().unwrap();
    let token = keys.token(Access::ReadWrite);
    let memory = remote(folder.path(), &sqld.url()).token(token).open().await.unwrap();
    let other = JwtKeys::generate();
    check(&sqld, &memory, || sqld.restart_with_keys(Some(&other)), || sqld.restart_with_keys(Some(&keys)))
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_token_needs_attention_and_loses_nothing() {
    let keys = JwtKeys::generate();
    let sqld = Sqld::start(SqldOptions::new().jwt(&keys));
    let folder = tempfile::tempdir().unwrap();
    let open = async |token: String| remote(folder.path(), &sqld.url()).token(token).open().await.unwrap();
    let memory = open(keys.expired_token(Access::ReadWrite)).await;
    let done = record_one(&memory, "kept for later").await;
    eventually("the status asks for attention", async || {
        memory.status().await.engine.breaker.unwrap().needs_attention
    })
    .await;
    let left = memory.close(Duration::from_millis(100)).await.unwrap();
    assert_eq!(left.rows, 5, "the head twice, two steps, the reward");
    let memory = open(keys.token(Access::ReadWrite)).await;
    memory.flush(PATIENCE).await.unwrap();
    assert_eq!(memory.get(done.id).await.unwrap().unwrap().id, done.id);
    assert_eq!(sqld.scalar("SELECT count(*) FROM steps"), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn opens_and_works_while_the_server_is_away() {
    let sqld = Sqld::start(SqldOptions::new());
    let folder = tempfile::tempdir().unwrap();
    let url = sqld.url();
    let memory = remote(folder.path(), &url).open().await.unwrap();
    let done = record_one(&memory, "prune the docker snapshots").await;
    memory.close(PATIENCE).await.unwrap();
    sqld.kill();
    let memory = remote(folder.path(), &url).open().await.unwrap();
    assert_eq!(
        memory.recall("docker snapshots").await.unwrap().episodes[0].id,
        done.id,
        "from the cache file"
    );
    let kept = record_one(&memory, "written while away").await;
    memory.close(Duration::from_millis(50)).await.unwrap();
    let memory = remote(folder.path(), &url).open().await.unwrap();
    assert_eq!(memory.recall("written while away").await.unwrap().episodes[0].id, kept.id, "from the outbox");
    sqld.restart();
    memory.flush(PATIENCE).await.unwrap();
    assert_eq!(sqld.scalar("SELECT count(*) FROM episodes"), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_recalled_is_kept_though_its_answer_does_not_come() {
    let sqld = Sqld::start(SqldOptions::new());
    let folder = tempfile::tempdir().unwrap();
    let memory = remote(folder.path(), &sqld.url()).ack(Ack::Durable).open().await.unwrap();
    record_one(&memory, "prune the docker snapshots").await;
    let recall = memory.recall("docker snapshots").await.unwrap();
    let shown = recall.items();
    let mut open = memory.start("prune the docker snapshots again").await.unwrap();
    sqld.kill();
    assert_eq!(open.note_recall(&recall).await.unwrap_err().kind(), ErrorKind::Unavailable);
    assert_eq!(
        open.artifact(NewArtifact::new("log", "3 failed")).await.unwrap_err().kind(),
        ErrorKind::Unavailable
    );
    sqld.restart();
    memory.flush(PATIENCE).await.unwrap();
    let done = open.complete(Outcome::success("pruned")).await.unwrap();
    assert_eq!(done.recall.unwrap().shown, shown);
    assert_eq!(memory.artifacts(done.id).await.unwrap().len(), 1);
}

/// Rows may reach a server in several batches: nobody may see that an episode is due before it is there, nor the head of an
/// imported one before its steps.
#[tokio::test(flavor = "multi_thread")]
async fn what_makes_an_episode_due_comes_last() {
    let folder = tempfile::tempdir().unwrap();
    let memory = remote(folder.path(), "http://127.0.0.1:1").open().await.unwrap();
    record_one(&memory, "prune the docker snapshots").await;
    let imported = Recording::new("a", "deploy the shop", Outcome::success("deployed"))
        .actions(vec![Action::tool("bash"), Action::tool("edit")]);
    memory.record(imported).await.unwrap();
    memory.close(Duration::from_millis(50)).await.unwrap();
    let outbox = file_named(folder.path(), "outbox.redb");
    let outbox = RedbOutbox::open(outbox, OutboxOptions::default()).unwrap();
    let rows = outbox.peek(0, 100, 1 << 20).unwrap();
    let kinds: Vec<&str> = rows.iter().map(|row| row.record.key.kind.name()).collect();
    let (live, imported) = kinds.split_at(5);
    assert_eq!(live, ["episode", "step", "step", "episode", "reward"]);
    assert_eq!(imported, ["step", "step", "episode", "reward"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_row_is_set_aside_and_the_rest_goes_on() {
    let sqld = Sqld::start(SqldOptions::new());
    let folder = tempfile::tempdir().unwrap();
    let memory = remote(folder.path(), &sqld.url()).open().await.unwrap();
    record_one(&memory, "first").await;
    memory.flush(PATIENCE).await.unwrap();
    sqld.sql(
        "CREATE TRIGGER refuse BEFORE INSERT ON records WHEN new.body LIKE '%poison%' \
         BEGIN SELECT RAISE(ABORT, 'no poison here'); END",
    );
    for i in 0..10 {
        let description = if i == 4 { "a poison task".to_owned() } else { format!("task {i}") };
        memory.start(description).await.unwrap();
    }
    memory.flush(PATIENCE).await.unwrap();
    assert_eq!(sqld.scalar("SELECT count(*) FROM episodes"), 10, "all but the refused one");
    let aside = memory.dead_letters(0, 10).await.unwrap();
    assert_eq!(aside.len(), 1);
    assert!(aside[0].reason.contains("no poison here"), "{}", aside[0].reason);
    assert_eq!(memory.status().await.engine.outbox.unwrap().dead_letters, 1);
    sqld.sql("DROP TRIGGER refuse");
    assert_eq!(memory.retry_dead_letters(None).await.unwrap(), 1);
    memory.flush(PATIENCE).await.unwrap();
    assert_eq!(sqld.scalar("SELECT count(*) FROM episodes"), 11);
    assert_eq!(memory.status().await.engine.outbox.unwrap().dead_letters, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn closing_keeps_its_deadline_and_frees_the_folder() {
    let sqld = Sqld::start(SqldOptions::new());
    let proxy = FaultProxy::start(sqld.addr());
    let folder = tempfile::tempdir().unwrap();
    let slow = || remote(folder.path(), &proxy.url()).read_deadline(PATIENCE).write_deadline(PATIENCE);
    let memory = slow().first_pull(Duration::ZERO).open().await.unwrap();
    memory.flush(PATIENCE).await.unwrap();
    proxy.set_mode(Mode::Hang);
    memory.start("kept").await.unwrap();
    let clone = memory.clone();
    // The server would answer in a minute at the earliest.
    let closing = tokio::time::timeout(PATIENCE / 2, memory.close(Duration::from_millis(100)));
    assert_eq!(closing.await.unwrap().unwrap().rows, 1);
    let listing = tokio::time::timeout(PATIENCE / 2, clone.list(&EpisodeQuery::default())).await;
    assert!(listing.is_ok(), "a clone does not hang after closing");
    drop(clone);
    let memory = slow().first_pull(Duration::ZERO).open().await.unwrap();
    // Not another one beside a folder that is still held.
    file_named(folder.path(), "outbox.redb");
    drop(memory);
    for _ in 0..2 {
        drop(slow().first_pull(Duration::ZERO).open().await.unwrap());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn recall_says_when_the_server_was_never_reached() {
    let folder = tempfile::tempdir().unwrap();
    let memory = remote(folder.path(), "http://127.0.0.1:1").open().await.unwrap();
    let recall = memory.recall("anything").await.unwrap();
    assert!(recall.is_empty() && matches!(recall.freshness, Freshness::Stale { .. }));
}
