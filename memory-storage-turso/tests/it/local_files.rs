//! What may be at a path: each gets a clear answer, and nothing of somebody else's is touched.

use std::fs;
use std::path::Path;

use memory_core::{Durable, Error, ErrorKind, Store};
use memory_storage_turso::{LocalOptions, LocalStore, SCHEMA_VERSION};

use crate::fixtures::{live, open, rows, since, sql};

/// Checks that a path is refused with a kind, a part of the message and a hint.
fn refused(path: &Path, kind: ErrorKind, part: &str) -> Error {
    let error = LocalStore::open(path, LocalOptions::new()).expect_err("the path is refused");
    assert_eq!(error.kind(), kind, "{error:?}");
    assert!(error.to_string().contains(part), "{error}");
    assert!(error.to_string().contains(path.to_str().unwrap()), "the error names the path: {error}");
    assert!(error.hint().is_some(), "{error:?}");
    error
}

#[test]
fn a_folder_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    refused(folder.path(), ErrorKind::InvalidInput, "folder");
}

#[test]
fn a_folder_that_cannot_be_made_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("file"), "x").unwrap();
    refused(&folder.path().join("file/sub/memory.db"), ErrorKind::Io, "folder cannot be made");
}

#[test]
fn a_folder_that_refuses_files_is_refused() {
    // Not even root creates files there.
    refused(Path::new("/proc/self/memory.db"), ErrorKind::Io, "lock file cannot be opened");
}

#[test]
fn folders_are_made() {
    let folder = tempfile::tempdir().unwrap();
    open(&folder.path().join("a/b/memory.db"));
    assert!(folder.path().join("a/b/memory.db").is_file());
}

#[test]
fn a_read_only_file_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("memory.db");
    drop(open(&path));
    let mut permissions = fs::metadata(&path).unwrap().permissions();
    permissions.set_readonly(true);
    fs::set_permissions(&path, permissions).unwrap();
    refused(&path, ErrorKind::Io, "read-only");
}

#[test]
fn a_file_of_something_else_is_refused_and_kept() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("notes.txt");
    let notes = "not a database\n".repeat(1_000);
    fs::write(&path, &notes).unwrap();
    refused(&path, ErrorKind::Corrupt, "not a database");
    assert_eq!(fs::read_to_string(&path).unwrap(), notes);
}

#[test]
fn a_database_of_something_else_is_refused_and_kept() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("shop.db");
    sql(&path, "CREATE TABLE customers (name); INSERT INTO customers VALUES ('a');");
    let before = fs::read(&path).unwrap();
    refused(&path, ErrorKind::InvalidInput, "customers");
    assert!(fs::read(&path).unwrap() == before, "not a byte has changed");
}

#[test]
fn a_damaged_file_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("memory.db");
    drop(open(&path));
    let mut bytes = fs::read(&path).unwrap();
    bytes[100..4_096].fill(0xa5);
    fs::write(&path, bytes).unwrap();
    refused(&path, ErrorKind::Corrupt, "malformed");
}

#[tokio::test]
async fn a_newer_schema_is_refused_and_kept() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("memory.db");
    let store = open(&path);
    store.commit(&[live("a")]).await.unwrap();
    store.close().await.unwrap();
    sql(&path, "INSERT INTO agent_memory_schema VALUES (999, 0)");
    let error = refused(&path, ErrorKind::Unsupported, "999");
    assert!(error.to_string().contains(&format!("up to {SCHEMA_VERSION}")), "{error}");
    sql(&path, "DELETE FROM agent_memory_schema WHERE version = 999");
    assert!(open(&path).get(&[live("a").key]).await.unwrap()[0].is_some(), "nothing was lost");
}

#[tokio::test]
async fn an_older_schema_is_brought_up_to_date_and_keeps_what_it_holds() {
    let schema = |path: &Path| rows(path, "SELECT name, sql FROM sqlite_master ORDER BY name");
    let versions = |path: &Path| rows(path, "SELECT version FROM agent_memory_schema ORDER BY version");
    for version in 1..SCHEMA_VERSION {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("memory.db");
        let store = open(&path);
        store.commit(&[live("a")]).await.unwrap();
        store.close().await.unwrap();
        let newest = (schema(&path), versions(&path));
        // As that version left it: another view, and of the first one an index that has gone since.
        sql(&path, &format!("DELETE FROM agent_memory_schema WHERE version > {version}"));
        sql(&path, "DROP VIEW heuristics; CREATE VIEW heuristics AS SELECT id FROM records");
        if version == 1 {
            sql(&path, "CREATE INDEX records_pattern_use_pattern ON records (id)");
        }
        let store = open(&path);
        assert_eq!(store.get(&[live("a").key]).await.unwrap(), [Some(live("a"))]);
        store.close().await.unwrap();
        assert_eq!((schema(&path), versions(&path)), newest, "from version {version}");
    }
}

/// Damages that SQLite cannot see: one record does not take the others with it.
#[tokio::test]
async fn a_damaged_record_is_reported_and_passed_over() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("memory.db");
    let store = open(&path);
    for id in ["good", "json", "utf8", "kind"] {
        store.commit(&[live(id)]).await.unwrap();
    }
    sql(&path, "UPDATE records SET body = '{\"id\":1}' WHERE id = 'json'");
    sql(&path, "UPDATE records SET body = CAST(x'7b226964223a22ff227d' AS TEXT) WHERE id = 'utf8'");
    sql(&path, "UPDATE records SET kind = 'dream' WHERE id = 'kind'");
    for id in ["json", "utf8"] {
        let error = store.get(&[live(id).key]).await.expect_err("a damaged record is an error");
        assert_eq!(error.kind(), ErrorKind::Corrupt);
        assert!(error.to_string().contains(&format!("default/episode/{id}")), "it names the record: {error}");
    }
    let scan = memory_core::Scan::new(&live("good").key.namespace, memory_core::Kind::Episode);
    for scan in [scan.clone(), scan.clone().limit(1)] {
        let (mut ids, mut unreadable, mut after) = (Vec::new(), Vec::new(), None);
        loop {
            let page = store.scan(&scan.clone().after(after)).await.expect("a scan passes it over");
            ids.extend(page.records.iter().map(|record| record.key.id.to_string()));
            unreadable.extend(page.unreadable.iter().map(|id| id.to_string()));
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        assert_eq!((ids, unreadable), (vec!["good".into()], vec!["json".into(), "utf8".into()]), "{scan:?}");
    }
    for column in ["status", "domain", "correlation_id", "fingerprint"] {
        sql(&path, &format!("DROP INDEX records_episode_{column}"));
    }
    sql(&path, "UPDATE records SET body = 'no JSON' WHERE id = 'json'");
    let page = store.scan(&scan.equals("status", "completed")).await.expect("nor does a condition fail");
    assert_eq!((page.records.len(), page.unreadable.len()), (1, 2), "{:?}", page.unreadable);
    let changes = store.changes(&since(0)).await.unwrap();
    let ids: Vec<_> = changes.changes.iter().map(|change| change.key.id.as_ref()).collect();
    assert_eq!((ids, changes.unreadable.len()), (vec!["good"], 3), "{:?}", changes.unreadable);
    assert_eq!(changes.next, changes.head, "the feed goes on behind them");
    assert_eq!(rows(&path, "SELECT count(*) FROM records"), [["4"]]);
}
