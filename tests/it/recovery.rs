//! Damage to the files on this machine, and servers that are not what they were.

use std::time::Duration;

use agent_memory::status::BreakerState;
use agent_memory::{Action, ErrorKind, Freshness, Memory, Outcome};
use memory_test_support::{FaultProxy, Mode, Sqld, SqldOptions};

use crate::common::{PATIENCE, damage, eventually, file_named, record_one, remote};

#[tokio::test(flavor = "multi_thread")]
async fn the_cache_can_be_deleted_and_corrupted() {
    let sqld = Sqld::start(SqldOptions::new());
    let folder = tempfile::tempdir().unwrap();
    let open = async || remote(folder.path(), &sqld.url()).open().await.unwrap();
    let memory = open().await;
    let done = record_one(&memory, "compress the backups").await;
    memory.close(PATIENCE).await.unwrap();
    let cache = file_named(folder.path(), "cache.redb");
    let damages: [&dyn Fn(); 4] = [
        &|| std::fs::remove_file(&cache).unwrap(),
        &|| std::fs::write(&cache, b"garbage").unwrap(),
        &|| std::fs::write(&cache, b"").unwrap(),
        &|| {
            let mut bytes = std::fs::read(&cache).unwrap();
            let len = bytes.len();
            for (i, byte) in bytes.iter_mut().enumerate().skip(64) {
                if i % 97 == 0 || i > len / 2 {
                    *byte ^= 0x5a;
                }
            }
            std::fs::write(&cache, bytes).unwrap();
        },
    ];
    for damage in damages {
        damage();
        let memory = open().await;
        assert_eq!(memory.get(done.id).await.unwrap().unwrap().id, done.id);
        assert_eq!(memory.steps(done.id).await.unwrap().len(), 2);
        eventually("recall is rebuilt", async || {
            memory.recall("compress backups").await.unwrap().episodes.len() == 1
        })
        .await;
        memory.close(PATIENCE).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_local_cache_can_be_deleted_too() {
    let folder = tempfile::tempdir().unwrap();
    let memory = Memory::open(folder.path()).await.unwrap();
    let done = record_one(&memory, "compress the backups").await;
    memory.close(PATIENCE).await.unwrap();
    std::fs::remove_dir_all(folder.path().join("local")).unwrap();
    let memory = Memory::open(folder.path()).await.unwrap();
    assert_eq!(memory.recall("compress backups").await.unwrap().episodes[0].id, done.id);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_search_document_that_cannot_be_read_is_made_again() {
    let folder = tempfile::tempdir().unwrap();
    let open =
        async || Memory::builder().path(folder.path()).background_learning(false).open().await.unwrap();
    let memory = open().await;
    let done = record_one(&memory, "compress the backups").await;
    record_one(&memory, "water the plants").await;
    memory.close(PATIENCE).await.unwrap();
    assert!(damage(folder.path(), b"AMsd") >= 2, "the cache file keeps search documents");
    let memory = open().await;
    assert_eq!(memory.recall("compress backups").await.unwrap().episodes[0].id, done.id);
    let warnings = memory.status().await.warnings;
    assert!(warnings.iter().any(|it| it.contains("2 search documents")), "{warnings:?}");
    memory.close(PATIENCE).await.unwrap();
    let memory = open().await;
    assert_eq!(memory.recall("compress backups").await.unwrap().searched, 2);
    assert_eq!(memory.status().await.warnings, Vec::<String>::new(), "they are readable from now on");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_corrupt_outbox_is_set_aside_and_reported() {
    let sqld = Sqld::start(SqldOptions::new());
    let folder = tempfile::tempdir().unwrap();
    let url = sqld.url();
    let memory = remote(folder.path(), &url).open().await.unwrap();
    record_one(&memory, "sent").await;
    memory.close(PATIENCE).await.unwrap();
    let outbox = file_named(folder.path(), "outbox.redb");
    std::fs::write(&outbox, vec![0xa5; 100_000]).unwrap();
    let memory = remote(folder.path(), &url).open().await.unwrap();
    record_one(&memory, "after the damage").await;
    memory.flush(PATIENCE).await.unwrap();
    assert_eq!(sqld.scalar("SELECT count(*) FROM episodes"), 2);
    let kept = crate::common::files(folder.path());
    let kept = kept.iter().filter(|path| path.to_string_lossy().contains("outbox.redb.corrupt"));
    assert_eq!(kept.count(), 1, "what could not be read is kept aside");
    let warnings = memory.status().await.warnings;
    assert!(warnings.iter().any(|warning| warning.contains("outbox")), "{warnings:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_newer_schema_is_refused_and_not_touched() {
    let folder = tempfile::tempdir().unwrap();
    let memory = Memory::open(folder.path()).await.unwrap();
    record_one(&memory, "old").await;
    memory.close(PATIENCE).await.unwrap();
    let file = folder.path().join("memory.db");
    raise_schema(&file).await;
    let before = std::fs::read(&file).unwrap();
    let error = Memory::open(folder.path()).await.map(drop).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported, "{error}");
    assert!(error.hint().is_some());
    assert_eq!(std::fs::read(&file).unwrap(), before, "the file is as it was");
}

async fn raise_schema(file: &std::path::Path) {
    let database = libsql::Builder::new_local(file).build().await.unwrap();
    let connection = database.connect().unwrap();
    let changed = connection.execute("INSERT INTO agent_memory_schema VALUES (1000, 0)", ()).await;
    assert!(changed.unwrap() > 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_newer_schema_on_the_server_keeps_the_outbox() {
    let sqld = Sqld::start(SqldOptions::new());
    let folder = tempfile::tempdir().unwrap();
    let memory = remote(folder.path(), &sqld.url()).open().await.unwrap();
    record_one(&memory, "old").await;
    memory.close(PATIENCE).await.unwrap();
    sqld.sql("INSERT INTO agent_memory_schema VALUES (1000, 0)");
    let memory = remote(folder.path(), &sqld.url()).open().await.unwrap();
    record_one(&memory, "kept until the program is upgraded").await;
    memory.flush(Duration::from_millis(500)).await.unwrap_err();
    let status = memory.status().await.engine;
    assert_eq!((status.outbox.unwrap().rows, status.outbox.unwrap().dead_letters), (5, 0));
    assert!(status.sync.last_error.unwrap().contains("schema"), "the reason is told");
    sqld.sql("DELETE FROM agent_memory_schema WHERE version = 1000");
    memory.flush(PATIENCE).await.unwrap();
    assert_eq!(sqld.scalar("SELECT count(*) FROM episodes"), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_lost_commits_gets_them_again() {
    let sqld = Sqld::start(SqldOptions::new());
    let folder = tempfile::tempdir().unwrap();
    let memory = remote(folder.path(), &sqld.url()).open().await.unwrap();
    record_one(&memory, "before").await;
    memory.sync(PATIENCE).await.unwrap();
    // What a power loss under relaxed durability does: the last acknowledged commits are gone.
    sqld.sql("DELETE FROM records");
    sqld.sql("UPDATE agent_memory_feed SET purged_seq = 0, tombstone_floor = 0");
    eventually("the tail is sent again", async || {
        sqld.scalar("SELECT count(*) FROM records WHERE deleted = 0") == 4
    })
    .await;
}

/// A power loss takes the commits that this process has sent but not read back yet, too.
#[tokio::test(flavor = "multi_thread")]
async fn what_a_server_lost_in_an_outage_is_sent_again() {
    let sqld = Sqld::start(SqldOptions::new());
    let proxy = FaultProxy::start(sqld.addr());
    let folder = tempfile::tempdir().unwrap();
    let builder = remote(folder.path(), &proxy.url()).poll_interval(Duration::from_millis(200));
    let memory = builder.open().await.unwrap();
    record_one(&memory, "before").await;
    memory.sync(PATIENCE).await.unwrap();
    let newest = record_one(&memory, "sent, acknowledged, lost").await;
    memory.flush(PATIENCE).await.unwrap();
    proxy.set_mode(Mode::Status503);
    eventually("the outage is noticed", async || {
        memory.status().await.engine.breaker.unwrap().state != BreakerState::Closed
    })
    .await;
    sqld.sql(&format!("DELETE FROM records WHERE id LIKE '{}%'", newest.id));
    proxy.set_mode(Mode::Pass);
    let count = format!("SELECT count(*) FROM records WHERE id LIKE '{}%'", newest.id);
    eventually("the tail is sent again", async || sqld.scalar(&count) == 4).await;
}

/// Another machine's open episode, of which this one knows the head only.
#[tokio::test(flavor = "multi_thread")]
async fn an_episode_is_not_resumed_without_its_steps() {
    let sqld = Sqld::start(SqldOptions::new());
    let folders = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    let a = remote(folders[0].path(), &sqld.url()).open().await.unwrap();
    let b = remote(folders[1].path(), &sqld.url()).open().await.unwrap();
    let mut open = a.start("left open").await.unwrap();
    for _ in 0..3 {
        open.step(Action::tool("bash")).await.unwrap();
    }
    a.flush(PATIENCE).await.unwrap();
    b.sync(PATIENCE).await.unwrap();
    assert!(b.get(open.id()).await.unwrap().is_some());
    sqld.kill();
    assert!(matches!(b.steps(open.id()).await.unwrap().freshness, Freshness::Stale { .. }));
    assert_eq!(b.resume(open.id()).await.unwrap_err().kind(), ErrorKind::Unavailable);
    assert_eq!(a.resume(open.id()).await.unwrap().step_count(), 3, "the machine that wrote them has them");
    sqld.restart();
    eventually("the server is back", async || b.sync(PATIENCE).await.is_ok()).await;
    let done = b.resume(open.id()).await.unwrap().complete(Outcome::success("by another")).await.unwrap();
    assert_eq!(done.steps, 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_database_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let memory = Memory::open(folder.path()).await.unwrap();
    record_one(&memory, "gone").await;
    memory.close(PATIENCE).await.unwrap();
    std::fs::remove_file(folder.path().join("memory.db")).unwrap();
    let memory = Memory::open(folder.path()).await.unwrap();
    assert!(memory.recall("gone").await.unwrap().is_empty());
    let warnings = memory.status().await.warnings;
    assert!(warnings.iter().any(|warning| warning.contains("another than last time")), "{warnings:?}");
}
