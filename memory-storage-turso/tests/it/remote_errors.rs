//! Each condition of a real server, and of the way to it, has its class.

use std::time::Duration;

use memory_core::conformance::{episode, record};
use memory_core::{Deadlines, Durable, Entity, Error, ErrorKind, Key, Kind, Record, Scan, Store};
use memory_storage_turso::{RemoteOptions, RemoteStore};
use memory_test_support::{Access, FaultProxy, JwtKeys, Mode, Sqld, SqldOptions};

use crate::fixtures::{connect, connect_with, live, since, space};

async fn refused(store: &RemoteStore, kind: ErrorKind) -> Error {
    let error = store.commit(&[live("refused")]).await.expect_err("the commit is refused");
    assert_eq!(error.kind(), kind, "{error:?}");
    error
}

#[tokio::test]
async fn opening_needs_no_server_and_the_first_contact_migrates() {
    let sqld = Sqld::start(SqldOptions::new());
    sqld.kill();
    let store = connect(&sqld.url());
    let error = refused(&store, ErrorKind::Unavailable).await;
    assert!(error.to_string().contains(&sqld.url()), "the error names the server: {error}");
    sqld.restart();
    store.commit(&[live("a")]).await.expect("the server is there");
    assert_eq!(sqld.scalar("SELECT count(*) FROM episodes"), 1);
}

#[tokio::test]
async fn statements_that_the_server_refuses_are_rejected() {
    let sqld = Sqld::start(SqldOptions::new());
    let store = connect(&sqld.url());
    store.health().await.unwrap();
    sqld.sql("CREATE TRIGGER no BEFORE INSERT ON records WHEN new.id = 'refused' BEGIN SELECT RAISE(ABORT, 'no'); END");
    refused(&store, ErrorKind::Rejected).await;
    store.commit(&[live("other")]).await.expect("the refusal concerned that row");
}

#[tokio::test]
async fn a_schema_that_is_gone_is_laid_out_again() {
    let sqld = Sqld::start(SqldOptions::new());
    let store = connect(&sqld.url());
    store.commit(&[live("a")]).await.unwrap();
    let seen = store.changes(&since(0)).await.unwrap();
    sqld.sql("DROP TABLE records");
    assert_eq!(store.get(&[live("a").key]).await.unwrap(), [None]);
    store.commit(&[live("b")]).await.unwrap();
    let behind = store.changes(&since(seen.next)).await.unwrap();
    assert_eq!(behind.changes.len(), 1, "numbers are not given out twice");
    for table in ["records", "agent_memory_feed", "agent_memory_commits", "agent_memory_time"] {
        sqld.sql(&format!("DROP TABLE {table}"));
    }
    store.commit(&[live("c")]).await.expect("as on an empty server");
    assert_ne!(store.changes(&since(0)).await.unwrap().database, seen.database);
    assert_eq!(sqld.scalar("SELECT count(*) FROM episodes"), 1);
}

#[tokio::test]
async fn a_blocked_database_holds() {
    let sqld = Sqld::start(SqldOptions::new());
    let store = connect(&sqld.url());
    store.health().await.unwrap();
    sqld.configure(&serde_json::json!({"block_writes": true, "block_reason": "test"}));
    refused(&store, ErrorKind::Unauthorized).await;
    sqld.configure(&serde_json::json!({"block_writes": false}));
    store.commit(&[live("a")]).await.expect("unblocked");
}

#[tokio::test]
async fn tokens_decide() {
    let keys = JwtKeys::generate();
    let sqld = Sqld::start(SqldOptions::new().jwt(&keys));
    let with = |token: String| connect_with(RemoteOptions::new(sqld.url()).token(token));
    let store = with(keys.token(Access::ReadWrite));
    store.commit(&[live("a")]).await.expect("the token may write");
    for token in [String::new(), "nonsense".into(), keys.expired_token(Access::ReadWrite)] {
        let error = refused(&with(token), ErrorKind::Unauthorized).await;
        assert!(error.hint().unwrap_or_default().contains("TURSO_AUTH_TOKEN"), "{error:?}");
    }
    let reader = with(keys.token(Access::ReadOnly));
    assert!(reader.get(&[live("a").key]).await.expect("the token may read")[0].is_some());
    refused(&reader, ErrorKind::Unauthorized).await;
    let secret = keys.token(Access::ReadOnly);
    assert!(
        !format!(
            "{:?} {:?}",
            with(secret.clone()),
            refused(&with(secret.clone()), ErrorKind::Unauthorized).await
        )
        .contains(&secret)
    );
}

#[tokio::test]
async fn a_foreign_database_is_refused_and_kept() {
    let sqld = Sqld::start(SqldOptions::new());
    sqld.sql("CREATE TABLE customers (name)");
    let error = refused(&connect(&sqld.url()), ErrorKind::InvalidInput).await;
    assert!(error.to_string().contains("customers"), "{error}");
    assert_eq!(sqld.scalar("SELECT count(*) FROM sqlite_master WHERE name = 'records'"), 0);
}

#[tokio::test]
async fn a_newer_schema_is_refused() {
    let sqld = Sqld::start(SqldOptions::new());
    connect(&sqld.url()).health().await.unwrap();
    sqld.sql("INSERT INTO agent_memory_schema VALUES (999, 0)");
    let error = refused(&connect(&sqld.url()), ErrorKind::Unsupported).await;
    assert!(error.to_string().contains("999"), "{error}");
}

#[tokio::test]
async fn faults_on_the_way_are_outages() {
    let sqld = Sqld::start(SqldOptions::new());
    let proxy = FaultProxy::start(sqld.addr());
    let store = connect(&proxy.url());
    store.commit(&[live("a")]).await.unwrap();
    for mode in [Mode::Refuse, Mode::Status503, Mode::Garbage, Mode::Hang, Mode::DropAnswer, Mode::Truncate] {
        proxy.set_mode(mode);
        let commit = store.commit(&[live("b")]).await.expect_err("the way is broken");
        assert_eq!(commit.kind(), ErrorKind::Unavailable, "{mode:?}: {commit:?}");
        let get = store.get(&[live("a").key]).await.expect_err("the way is broken");
        assert_eq!(get.kind(), ErrorKind::Unavailable, "{mode:?}: {get:?}");
        let changes = store.changes(&since(0)).await.expect_err("the way is broken");
        assert_eq!(changes.kind(), ErrorKind::Unavailable, "{mode:?}: {changes:?}");
    }
    proxy.set_mode(Mode::Unauthorized401);
    refused(&store, ErrorKind::Unauthorized).await;
    proxy.set_mode(Mode::Pass);
    store.commit(&[live("b")]).await.expect("the way is clear again");
    let seen = store.changes(&since(0)).await.unwrap();
    assert_eq!(seen.changes.len(), 2, "repeating a commit whose answer was lost changes nothing");
    assert_eq!(seen.head, 2);
}

/// A frozen server accepts connections and never answers: the deadline is all there is.
#[tokio::test]
async fn a_frozen_server_meets_the_deadline() {
    let sqld = Sqld::start(SqldOptions::new());
    let store = connect(&sqld.url());
    store.health().await.unwrap();
    sqld.pause();
    let waited = tokio::time::timeout(Duration::from_secs(30), store.health()).await;
    let error = waited.expect("the call ends by itself").expect_err("nobody answers");
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert!(error.to_string().contains("2000 ms"), "{error}");
    sqld.resume();
    store.health().await.expect("the server goes on");
}

#[test]
fn outside_a_runtime_there_is_an_error_instead_of_a_panic() {
    let store = connect("http://127.0.0.1:1");
    let outcome = crate::fixtures::ready(store.commit(&[live("a")]));
    assert_eq!(outcome.expect_err("there is no runtime").kind(), ErrorKind::Unsupported);
}

#[tokio::test]
async fn a_token_that_cannot_be_one_is_refused() {
    let options = RemoteOptions::new("http://127.0.0.1:1").token("two words");
    let error = RemoteStore::connect(options).expect_err("a header cannot carry it");
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    assert!(!error.to_string().contains("two words"));
}

#[tokio::test]
async fn closing_ends_every_use() {
    let sqld = Sqld::start(SqldOptions::new());
    let store = connect(&sqld.url());
    store.health().await.unwrap();
    store.close().await.unwrap();
    assert_eq!(store.health().await.expect_err("the store is closed").kind(), ErrorKind::Closed);
    assert_eq!(store.maintain().await.expect_err("the store is closed").kind(), ErrorKind::Closed);
}

#[tokio::test]
async fn a_server_without_tls_is_an_outage_for_tls() {
    let sqld = Sqld::start(SqldOptions::new());
    for scheme in ["https", "libsql"] {
        let store = connect(&sqld.url().replace("http", scheme));
        refused(&store, ErrorKind::Unavailable).await;
    }
    connect(&format!("{}?tls=0", sqld.url().replace("http", "libsql")))
        .health()
        .await
        .expect("TLS is turned off");
}

/// The records of one request are more than this client takes at once.
#[tokio::test]
async fn what_is_too_much_for_one_answer_comes_in_parts() {
    let sqld = Sqld::start(SqldOptions::new());
    let patient = Deadlines { read: Duration::from_secs(60), write: Duration::from_secs(60) };
    let store = RemoteStore::connect(RemoteOptions::new(sqld.url()).deadlines(patient)).unwrap();
    let large = |n: usize| {
        let mut head = episode(1);
        if let Entity::Episode(episode) = &mut head {
            episode.task.description = "x".repeat(4_000_000);
        }
        record(&space(), &format!("k{n:02}"), 1, Some(head))
    };
    let records: Vec<Record> = (0..20).map(large).collect();
    for record in &records {
        store.commit(std::slice::from_ref(record)).await.unwrap();
    }
    let keys: Vec<Key> = records.iter().map(|record| record.key.clone()).collect();
    let found = store.get(&keys).await.unwrap();
    assert!(found.iter().map(Option::as_ref).eq(records.iter().map(Some)), "all of them, in order");
    let mut scan = Scan::new(&space(), Kind::Episode).limit(100);
    let mut ids = Vec::new();
    loop {
        let page = store.scan(&scan).await.unwrap();
        ids.extend(page.records.into_iter().map(|record| record.key.id));
        match page.next {
            Some(next) => scan.after = Some(next),
            None => break,
        }
    }
    ids.sort_unstable();
    assert!(ids.iter().eq(keys.iter().map(|key| &key.id)), "{ids:?}");
    let error = store.changes(&since(0)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Rejected, "who reads the feed asks for fewer: {error:?}");
}
