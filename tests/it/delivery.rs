//! Ways to the server that let some things through and others not.

use std::time::Duration;

use agent_memory::{Ack, Memory, Outcome};
use memory_test_support::{FaultProxy, Mode, Sqld, SqldOptions};

use crate::common::{PATIENCE, eventually, record_one, remote, within};

const BLOCKED: &str = "the word that a filter dislikes";

async fn outbox(memory: &Memory) -> agent_memory::status::OutboxStatus {
    memory.status().await.engine.outbox.unwrap()
}

/// A row that a filter on the way refuses blocks nothing, and nothing else is given up.
#[tokio::test(flavor = "multi_thread")]
async fn a_row_that_a_filter_refuses_is_a_dead_letter_and_the_rest_arrives() {
    for status in [403, 400, 500] {
        let sqld = Sqld::start(SqldOptions::new());
        let proxy = FaultProxy::start(sqld.addr());
        let folder = tempfile::tempdir().unwrap();
        let memory = remote(folder.path(), &proxy.url()).open().await.unwrap();
        memory.sync(PATIENCE).await.unwrap();
        proxy.set_mode(Mode::Filter(status, BLOCKED));
        memory.start(BLOCKED).await.unwrap();
        for number in 0..40 {
            memory.start(format!("harmless {number}")).await.unwrap();
        }
        eventually("the others arrive", || async { sqld.scalar("SELECT count(*) FROM episodes") == 40 })
            .await;
        let mut number = 0;
        eventually("the one is a dead letter once later ones arrive", || {
            number += 1;
            let start = memory.start(format!("later {number}"));
            async {
                start.await.unwrap();
                outbox(&memory).await.dead_letters == 1
            }
        })
        .await;
        let letters = memory.dead_letters(0, 10).await.unwrap();
        assert!(letters[0].reason.contains("while other rows are"), "{status}: {}", letters[0].reason);
        memory.flush(PATIENCE).await.unwrap();
        proxy.set_mode(Mode::Pass);
        assert_eq!(memory.retry_dead_letters(None).await.unwrap(), 1);
        memory.flush(PATIENCE).await.unwrap();
        let arrived = sqld.scalar("SELECT count(*) FROM episodes WHERE description LIKE 'the word%'");
        assert_eq!((arrived, outbox(&memory).await.dead_letters), (1.into(), 0));
    }
}

/// The head of an episode is a dead letter on the machine that recorded it: others have its reward and nothing that says
/// that it was forgotten.
#[tokio::test(flavor = "multi_thread")]
async fn an_episode_whose_head_is_a_dead_letter_teaches_once_it_arrives() {
    let sqld = Sqld::start(SqldOptions::new());
    let proxy = FaultProxy::start(sqld.addr());
    let folders = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    let open = async |folder: &std::path::Path, url: String| {
        remote(folder, &url).background_learning(false).open().await.unwrap()
    };
    let recording = open(folders[0].path(), proxy.url()).await;
    recording.sync(PATIENCE).await.unwrap();
    proxy.set_mode(Mode::Filter(403, BLOCKED));
    record_one(&recording, BLOCKED).await;
    let mut number = 0;
    eventually("the head is a dead letter", || {
        number += 1;
        let start = recording.start(format!("later {number}"));
        async {
            start.await.unwrap();
            outbox(&recording).await.dead_letters == 1
        }
    })
    .await;
    let heads = "SELECT count(*) FROM episodes WHERE status = 'completed'";
    assert_eq!((sqld.scalar(heads), sqld.scalar("SELECT count(*) FROM rewards")), (0.into(), 1.into()));

    let learning = open(folders[1].path(), sqld.url()).await;
    learning.sync(PATIENCE).await.unwrap();
    learning.learn().await.unwrap();
    learning.consolidate(None).await.unwrap();
    learning.flush(PATIENCE).await.unwrap();
    assert_eq!(sqld.scalar("SELECT count(*) FROM rewards"), 1, "it is not forgotten");

    proxy.set_mode(Mode::Pass);
    assert_eq!(recording.retry_dead_letters(None).await.unwrap(), 1);
    recording.flush(PATIENCE).await.unwrap();
    learning.sync(PATIENCE).await.unwrap();
    learning.learn().await.unwrap();
    learning.flush(PATIENCE).await.unwrap();
    assert_eq!(sqld.scalar("SELECT count(*) FROM reflections"), 1);
}

/// When nothing gets through, nothing is given up.
#[tokio::test(flavor = "multi_thread")]
async fn a_way_that_refuses_every_write_loses_none() {
    let sqld = Sqld::start(SqldOptions::new());
    let proxy = FaultProxy::start(sqld.addr());
    let folder = tempfile::tempdir().unwrap();
    let memory = remote(folder.path(), &proxy.url()).open().await.unwrap();
    memory.sync(PATIENCE).await.unwrap();
    proxy.set_mode(Mode::Filter(403, "INSERT INTO"));
    for number in 0..100 {
        memory.start(format!("waits {number}")).await.unwrap();
    }
    let seen = proxy.faults();
    eventually("it is tried", || async { proxy.faults() > seen + 100 }).await;
    assert_eq!((outbox(&memory).await.rows, outbox(&memory).await.dead_letters), (100, 0));
    eventually("it is told", || async { memory.status().await.engine.sync.last_error.is_some() }).await;
    proxy.set_mode(Mode::Pass);
    memory.flush(PATIENCE).await.unwrap();
    assert_eq!(sqld.scalar("SELECT count(*) FROM episodes"), 100);
}

/// At 64 kbit/s a full batch and a full page take longer than the deadline.
#[tokio::test(flavor = "multi_thread")]
async fn a_narrow_way_is_used_in_small_pieces() {
    let sqld = Sqld::start(SqldOptions::new());
    let proxy = FaultProxy::start(sqld.addr());
    let [one, two] = [(); 2].map(|()| tempfile::tempdir().unwrap());
    let open = async |folder: &std::path::Path| {
        let deadlines = Duration::from_secs(3);
        remote(folder, &proxy.url()).read_deadline(deadlines).write_deadline(deadlines).open().await.unwrap()
    };
    let memory = open(one.path()).await;
    memory.sync(PATIENCE).await.unwrap();
    proxy.set_mode(Mode::Narrow(8_000));
    let long = "a long tale ".repeat(60);
    for number in 0..20 {
        memory.start(format!("{number}: {long}")).await.unwrap();
    }
    let mut large = memory.start("has an outcome too large for the way").await.unwrap();
    large
        .step(agent_memory::Action::tool("tell").arguments(serde_json::json!({"text": "x".repeat(100_000)})))
        .await
        .unwrap();
    within(PATIENCE * 4, "all but the large one arrives", || async {
        sqld.scalar("SELECT count(*) FROM episodes") == 21
    })
    .await;
    let waits = "what is too large waits as long as nothing comes behind it";
    within(PATIENCE * 4, waits, || async { outbox(&memory).await.rows == 1 }).await;
    let reader = open(two.path()).await;
    within(PATIENCE * 4, "a new machine reads all", || async {
        let _slow = reader.sync(PATIENCE / 2).await;
        reader.status().await.engine.indexed == 21
    })
    .await;
    proxy.set_mode(Mode::Pass);
    memory.flush(PATIENCE).await.unwrap();
    assert_eq!(sqld.scalar("SELECT count(*) FROM steps"), 1);
}

/// A server whose volume is new has no tables: they are made, and all that waits arrives.
#[tokio::test(flavor = "multi_thread")]
async fn an_emptied_server_is_filled_again() {
    let sqld = Sqld::start(SqldOptions::new());
    let [one, two] = [(); 2].map(|()| tempfile::tempdir().unwrap());
    let memory = remote(one.path(), &sqld.url()).open().await.unwrap();
    let other = remote(two.path(), &sqld.url()).open().await.unwrap();
    let done = memory.start("before").await.unwrap().complete(Outcome::success("done")).await.unwrap();
    memory.sync(PATIENCE).await.unwrap();
    other.sync(PATIENCE).await.unwrap();
    let everything = "SELECT group_concat('DROP ' || type || ' ' || name, ';') FROM sqlite_master \
                      WHERE name NOT LIKE 'sqlite%' AND name NOT LIKE 'libsql%' AND type IN ('table', 'view')";
    let script = sqld.scalar(everything);
    script.as_str().unwrap().split(';').for_each(|statement| drop(sqld.sql(statement)));
    memory.start("after").await.unwrap();
    eventually("both are there again", || async {
        memory.sync(PATIENCE).await.unwrap();
        sqld.scalar("SELECT count(*) FROM sqlite_master WHERE name = 'episodes'") == 1
            && sqld.scalar("SELECT count(*) FROM episodes") == 2
    })
    .await;
    assert_eq!(outbox(&memory).await.dead_letters, 0);
    other.sync(PATIENCE).await.unwrap();
    assert!(other.get(done.id).await.unwrap().is_some());
    assert!(
        other.notices().iter().any(|it| it.contains("is another than last time")),
        "{:?}",
        other.notices()
    );
}

/// More refusals than fit into any memory of them: each caller hears of its own.
#[tokio::test(flavor = "multi_thread")]
async fn a_durable_acknowledgement_is_never_early() {
    let sqld = Sqld::start(SqldOptions::new());
    let folder = tempfile::tempdir().unwrap();
    let memory = remote(folder.path(), &sqld.url())
        .ack(Ack::Durable)
        .read_deadline(PATIENCE)
        .write_deadline(PATIENCE)
        .batch_rows(4_096)
        .open()
        .await
        .unwrap();
    memory.sync(PATIENCE).await.unwrap();
    sqld.sql(
        "CREATE TRIGGER odd BEFORE INSERT ON records WHEN new.body LIKE '%refused%' \
         BEGIN SELECT RAISE(ABORT, 'no'); END",
    );
    let mut starting = tokio::task::JoinSet::new();
    for number in 0..200 {
        let memory = memory.clone();
        let title = if number % 4 == 0 { "refused" } else { "welcome" };
        starting.spawn(async move { (title, memory.start(title).await.map(drop)) });
    }
    let (mut welcome, mut refused) = (0, 0);
    while let Some(started) = starting.join_next().await {
        match started.unwrap() {
            ("welcome", Ok(())) => welcome += 1,
            ("refused", Err(_)) => refused += 1,
            (title, answer) => panic!("{title}: {answer:?}"),
        }
    }
    assert_eq!((welcome, refused), (150, 50));
    assert_eq!(sqld.scalar("SELECT count(*) FROM episodes"), 150);
}
