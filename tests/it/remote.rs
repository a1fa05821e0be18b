//! Remote mode with a healthy server.

use agent_memory::status::Mode;
use agent_memory::{Ack, Action, EpisodeQuery, ErrorKind, Freshness, Memory, Outcome, Quotas};
use memory_test_support::{Sqld, SqldOptions};

use crate::common::{PATIENCE, eventually, record_one, remote};

#[tokio::test(flavor = "multi_thread")]
async fn everything_arrives_exactly_once() {
    let sqld = Sqld::start(SqldOptions::new());
    let folder = tempfile::tempdir().unwrap();
    let memory = remote(folder.path(), &sqld.url()).open().await.unwrap();
    let mut ids = Vec::new();
    for i in 0..20 {
        ids.push(record_one(&memory, &format!("task {i}")).await.id);
    }
    memory.flush(PATIENCE).await.unwrap();
    assert_eq!(sqld.scalar("SELECT count(*) FROM episodes WHERE status = 'completed'"), 20);
    assert_eq!(sqld.scalar("SELECT count(*) FROM steps"), 40);
    let status = memory.status().await.engine;
    assert_eq!(status.mode, Mode::Remote);
    assert_eq!(status.outbox.unwrap().rows, 0);
    assert_eq!(status.records.unwrap()["episode"], 20);
    assert!(status.sync.last_sync.is_some() && status.sync.last_error.is_none());
    let mut all: Vec<_> =
        memory.list(&EpisodeQuery::default()).await.unwrap().episodes.iter().map(|e| e.id).collect();
    all.reverse();
    assert_eq!(all, ids);
    let left = memory.close(PATIENCE).await.unwrap();
    assert_eq!((left.rows, left.dead_letters), (0, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn durable_acknowledgement_means_that_the_server_has_it() {
    let sqld = Sqld::start(SqldOptions::new());
    let folder = tempfile::tempdir().unwrap();
    let memory = remote(folder.path(), &sqld.url()).ack(Ack::Durable).open().await.unwrap();
    for i in 1..=5 {
        memory.start(format!("task {i}")).await.unwrap();
        assert_eq!(sqld.scalar("SELECT count(*) FROM episodes"), i);
    }
    sqld.kill();
    let error = memory.start("nobody hears this").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert!(error.hint().unwrap().contains("will be sent"));
    sqld.restart();
    memory.flush(PATIENCE).await.unwrap();
    assert_eq!(sqld.scalar("SELECT count(*) FROM episodes"), 6, "it was kept and sent");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_quota_counts_what_others_have_written_before_this_process_began() {
    let sqld = Sqld::start(SqldOptions::new());
    let folders = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    let memory = remote(folders[0].path(), &sqld.url()).open().await.unwrap();
    for i in 0..3 {
        record_one(&memory, &format!("task {i}")).await;
    }
    memory.close(PATIENCE).await.unwrap();
    let quotas = Quotas::default().max_episodes(3);
    let memory = remote(folders[1].path(), &sqld.url()).quotas(quotas).open().await.unwrap();
    let error = memory.start("one too many").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::QuotaExceeded);
    assert_eq!(error.violation().map(|violation| violation.found), Some(4));
}

#[tokio::test(flavor = "multi_thread")]
async fn machines_see_each_other() {
    let sqld = Sqld::start(SqldOptions::new());
    let folders = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    // What either learns from the episode would go later than the episode itself.
    let open = async |folder: &std::path::Path| {
        remote(folder, &sqld.url()).background_learning(false).open().await.unwrap()
    };
    let (a, b) = (open(folders[0].path()).await, open(folders[1].path()).await);
    let mut open = a.start("migrate the billing tables").await.unwrap();
    open.step(Action::tool("psql")).await.unwrap();
    a.flush(PATIENCE).await.unwrap();
    eventually("b sees the open episode", async || b.get(open.id()).await.unwrap().is_some()).await;
    let mut taken = b.resume(open.id()).await.unwrap();
    assert_eq!(taken.step(Action::tool("psql").description("again")).await.unwrap(), 2);
    let done = taken.complete(Outcome::success("migrated")).await.unwrap();
    b.flush(PATIENCE).await.unwrap();
    eventually("a sees the outcome", async || {
        a.get(done.id).await.unwrap().is_some_and(|e| e.is_completed())
    })
    .await;
    assert_eq!(open.step(Action::tool("late")).await.unwrap_err().kind(), ErrorKind::Conflict);
    let recall = a.recall("billing tables").await.unwrap();
    assert_eq!(recall.episodes[0].episode.tools[0].calls, 2, "recall has the other's outcome too");
    assert!(a.forget(done.id).await.unwrap());
    a.flush(PATIENCE).await.unwrap();
    eventually("b forgets too", async || b.get(done.id).await.unwrap().is_none()).await;
    assert!(b.recall("billing tables").await.unwrap().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_machine_recalls_what_others_recorded() {
    let sqld = Sqld::start(SqldOptions::new());
    let folders = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    let a = remote(folders[0].path(), &sqld.url()).open().await.unwrap();
    record_one(&a, "rotate the TLS certificates").await;
    a.close(PATIENCE).await.unwrap();
    let b = remote(folders[1].path(), &sqld.url()).open().await.unwrap();
    let recall = b.recall("TLS certificates").await.unwrap();
    assert_eq!(
        (recall.episodes.len(), recall.freshness),
        (1, Freshness::Fresh),
        "opening has pulled the feed"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn namespaces_do_not_meet() {
    let sqld = Sqld::start(SqldOptions::new());
    let folder = tempfile::tempdir().unwrap();
    let open = async |name: &str| remote(folder.path(), &sqld.url()).namespace(name).open().await.unwrap();
    let (a, b) = (open("team-a").await, open("team-b").await);
    let done = record_one(&a, "a secret plan").await;
    a.flush(PATIENCE).await.unwrap();
    b.sync(PATIENCE).await.unwrap();
    assert!(b.get(done.id).await.unwrap().is_none());
    assert!(b.recall("a secret plan").await.unwrap().is_empty());
    assert!(b.list(&EpisodeQuery::default()).await.unwrap().episodes.is_empty());
    assert!(!b.forget(done.id).await.unwrap());
    assert!(a.get(done.id).await.unwrap().is_some());
}

#[tokio::test]
async fn bad_settings_are_clear_errors() {
    let folder = tempfile::tempdir().unwrap();
    let check = async |builder: agent_memory::Builder, kind, part: &str| {
        let error = builder.open().await.map(drop).unwrap_err();
        assert_eq!(error.kind(), kind, "{error}");
        assert!(error.to_string().contains(part), "{error} should name {part:?}");
        assert!(error.hint().is_some() || kind == ErrorKind::InvalidInput, "{error:?} has no hint");
    };
    let at = || Memory::builder().path(folder.path());
    for url in ["", "not a url", "ftp://x", "http://", "http://user:pass@host:1"] {
        check(at().remote(url), ErrorKind::InvalidInput, "url").await;
    }
    check(Memory::builder(), ErrorKind::InvalidInput, "path").await;
    check(at().namespace("no spaces"), ErrorKind::InvalidInput, "namespace").await;
    let file = folder.path().join("file");
    std::fs::write(&file, "x").unwrap();
    check(Memory::builder().path(&file), ErrorKind::InvalidInput, "is a file").await;
    check(at().config_file(folder.path().join("missing.toml")), ErrorKind::Io, "missing.toml").await;
    let foreign = folder.path().join("foreign");
    std::fs::create_dir(&foreign).unwrap();
    std::fs::write(foreign.join("memory.db"), "these are not the bytes of a database, not at all").unwrap();
    check(Memory::builder().path(&foreign), ErrorKind::Corrupt, "memory.db").await;
    let kept = std::fs::read(foreign.join("memory.db")).unwrap();
    assert!(kept.starts_with(b"these are not"), "a foreign file is not harmed");
}
