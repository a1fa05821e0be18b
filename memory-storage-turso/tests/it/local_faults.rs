//! The traps of a local file: turns, checkpoints, threads.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use memory_core::conformance::{episode, record};
use memory_core::{Durable, ErrorKind, Store, Timestamp};
use memory_storage_turso::{LocalOptions, LocalStore};

use crate::fixtures::{live, open, ready, rows, since, space, sql, tool};

fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

fn hurried(path: &Path) -> LocalStore {
    let options = LocalOptions::new().lock_timeout(Duration::from_millis(100)).checkpoint_bytes(0);
    LocalStore::open(path, options).unwrap()
}

#[tokio::test]
async fn a_write_waits_for_the_lock_and_then_says_who_has_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("memory.db");
    let store = hurried(&path);
    let other = File::open(beside(&path, ".lock")).unwrap();
    other.lock().unwrap();
    let error = store.commit(&[live("a")]).await.expect_err("the lock is taken");
    assert_eq!(error.kind(), ErrorKind::Busy);
    assert!(error.is_transient());
    assert!(error.to_string().contains("memory.db.lock") && error.to_string().contains("100 ms"), "{error}");
    assert!(store.get(&[live("a").key]).await.unwrap()[0].is_none(), "reads need no lock");
    other.unlock().unwrap();
    store.commit(&[live("a")]).await.expect("the lock is free");
}

#[tokio::test]
async fn who_only_reads_opens_while_others_keep_the_lock() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("memory.db");
    hurried(&path).commit(&[live("a")]).await.unwrap();
    let other = File::open(beside(&path, ".lock")).unwrap();
    other.lock().unwrap();
    let store = hurried(&path);
    assert!(store.get(&[live("a").key]).await.unwrap()[0].is_some());
    assert_eq!(store.commit(&[live("b")]).await.expect_err("the lock is taken").kind(), ErrorKind::Busy);
    other.unlock().unwrap();
    store.commit(&[live("b")]).await.expect("the lock is free");
    // Where there is something to migrate, nobody goes past the lock.
    let fresh = folder.path().join("other.db");
    let other = File::create(beside(&fresh, ".lock")).unwrap();
    other.lock().unwrap();
    let options = LocalOptions::new().lock_timeout(Duration::from_millis(100));
    let error = LocalStore::open(&fresh, options).expect_err("the lock is taken");
    assert_eq!(error.kind(), ErrorKind::Busy);
}

/// A checkpoint beside a write of another connection may lose that write in the bundled SQLite.
#[tokio::test]
async fn a_checkpoint_never_runs_beside_a_write() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("memory.db");
    let store = hurried(&path);
    store.commit(&[live("a")]).await.unwrap();
    let logged = fs::metadata(beside(&path, "-wal")).unwrap().len();
    assert!(logged > 0);
    let other = File::open(beside(&path, ".lock")).unwrap();
    other.lock().unwrap();
    assert_eq!(store.maintain().await.expect_err("another process writes").kind(), ErrorKind::Busy);
    assert_eq!(fs::metadata(beside(&path, "-wal")).unwrap().len(), logged, "no checkpoint took place");
    other.unlock().unwrap();
    store.maintain().await.expect("nobody writes");
    assert_eq!(fs::metadata(beside(&path, "-wal")).unwrap().len(), 0, "the log is emptied");
}

#[tokio::test]
async fn sqlite_does_not_checkpoint_by_itself() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("memory.db");
    let store = open(&path);
    store.maintain().await.unwrap();
    let size = fs::metadata(&path).unwrap().len();
    // 1,000 pages are the default after which SQLite would; from 4,000 on we do.
    for i in 0..10 {
        let batch: Vec<_> = (0..100).map(|j| live(&format!("{i:03}-{j:03}"))).collect();
        store.commit(&batch).await.unwrap();
    }
    assert!(
        fs::metadata(beside(&path, "-wal")).unwrap().len() > 1_100 * 4_096,
        "the log has grown past the default"
    );
    assert_eq!(fs::metadata(&path).unwrap().len(), size, "the database has not been written to");
    store.maintain().await.unwrap();
    assert!(fs::metadata(&path).unwrap().len() > size, "upkeep does it");
    store.close().await.unwrap();
    assert!(!beside(&path, "-wal").exists(), "closing leaves one file");
}

#[tokio::test]
async fn many_writes_at_once_do_not_let_the_log_grow_without_bound() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("memory.db");
    let store = hurried(&path);
    let mut most = 0;
    for i in 0..40 {
        let batch: Vec<_> = (0..100).map(|j| live(&format!("{i:03}-{j:03}"))).collect();
        store.commit(&batch).await.unwrap();
        most = most.max(fs::metadata(beside(&path, "-wal")).unwrap().len());
    }
    // All of it is more than ten times as much.
    assert!((100_000..1 << 21).contains(&most), "{most} bytes");
    assert_eq!(
        store.get(&[live("000-000").key, live("039-099").key]).await.unwrap().iter().flatten().count(),
        2
    );
}

#[tokio::test]
async fn a_foreign_transaction_is_waited_for_and_reported() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("memory.db");
    let store = open(&path);
    let tool = tool(&path);
    ready(tool.execute_batch("BEGIN IMMEDIATE")).unwrap();
    let error = store.commit(&[live("a")]).await.expect_err("a foreign tool holds SQLite's lock");
    assert_eq!(error.kind(), ErrorKind::Busy, "{error:?}");
    assert!(error.hint().is_some());
    ready(tool.execute_batch("ROLLBACK")).unwrap();
    store.commit(&[live("a")]).await.expect("the tool is done");
}

/// A statement used again without a reset answers the second question with silence.
#[tokio::test]
async fn prepared_statements_are_reset() {
    let folder = tempfile::tempdir().unwrap();
    let store = LocalStore::open(&folder.path().join("memory.db"), LocalOptions::new().readers(1)).unwrap();
    for id in ["a", "b", "c"] {
        store.commit(&[live(id)]).await.unwrap();
    }
    for id in ["a", "b", "nothing", "c", "a"] {
        let found = store.get(&[live(id).key]).await.unwrap();
        assert_eq!(found[0].is_some(), id != "nothing", "{id}");
    }
}

#[test]
fn a_commit_outside_a_runtime_runs_on_its_thread() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("memory.db");
    let store = open(&path);
    // `ready` panics on a future that waits for another thread.
    ready(store.commit(&[live("a"), live("b")])).unwrap();
    assert_eq!(rows(&path, "SELECT count(*) FROM episodes"), [["2"]]);
}

/// More rows than one statement can bind are still one commit.
#[tokio::test]
async fn a_huge_batch_is_one_commit() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("memory.db");
    let store = open(&path);
    let batch: Vec<_> = (0..9_000).map(|i| live(&format!("{i:05}"))).collect();
    store.commit(&batch).await.unwrap();
    assert_eq!(rows(&path, "SELECT count(*), count(DISTINCT seq) FROM records"), [["9000", "1"]]);
    sql(
        &path,
        "CREATE TRIGGER no BEFORE INSERT ON records WHEN new.id = 'x08999' BEGIN SELECT RAISE(ABORT, 'no'); END",
    );
    let batch: Vec<_> = (0..9_000).map(|i| live(&format!("x{i:05}"))).collect();
    let error = store.commit(&batch).await.expect_err("the last row is refused");
    assert_eq!(error.kind(), ErrorKind::Rejected);
    assert_eq!(rows(&path, "SELECT count(*) FROM records"), [["9000"]], "all or nothing");
    store.commit(&[live("y")]).await.expect("the next commit is not inside the failed one");
    assert_eq!(rows(&path, "SELECT max(seq) FROM records"), [["2"]]);
}

#[tokio::test]
async fn a_deletion_by_hand_raises_the_floor_and_frees_no_number() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("memory.db");
    let store = open(&path);
    store.commit(&[live("a")]).await.unwrap();
    store.commit(&[live("b")]).await.unwrap();
    sql(&path, "DELETE FROM records WHERE id = 'b'");
    let changes = store.changes(&since(0)).await.unwrap();
    assert_eq!((changes.head, changes.floor), (2, 2));
    store.commit(&[live("c")]).await.unwrap();
    assert_eq!(store.changes(&since(2)).await.unwrap().head, 3, "the number is not given out again");
}

#[tokio::test]
async fn more_expired_records_than_one_transaction_purges() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(&folder.path().join("memory.db"));
    let batch: Vec<_> = (0..1_234)
        .map(|i| {
            let mut record = record(&space(), &format!("{i:05}"), 1, Some(episode(1)));
            record.expires_at = Some(Timestamp(i));
            record
        })
        .collect();
    store.commit(&batch).await.unwrap();
    assert_eq!(store.delete_expired(Timestamp(1_199)).await.unwrap().records, 1_200);
    assert_eq!(store.delete_expired(Timestamp(1_199)).await.unwrap().records, 0);
}

#[tokio::test]
async fn closing_ends_every_use() {
    let folder = tempfile::tempdir().unwrap();
    let store = Arc::new(open(&folder.path().join("memory.db")));
    store.close().await.unwrap();
    store.close().await.expect("closing twice is harmless");
    let kind = |outcome: memory_core::Result<()>| outcome.expect_err("the store is closed").kind();
    assert_eq!(kind(store.commit(&[live("a")]).await), ErrorKind::Closed);
    assert_eq!(kind(store.health().await), ErrorKind::Closed);
    assert_eq!(kind(store.maintain().await), ErrorKind::Closed);
    assert_eq!(
        kind(std::thread::spawn(move || ready(store.commit(&[live("a")]))).join().unwrap()),
        ErrorKind::Closed
    );
}

const FILE_OF_CHILD: &str = "MEMORY_TEST_FULL_FILE_OF_CHILD";

/// The disk fills up in the middle of writing; a limit on the size of files stands in for it. No write is acknowledged
/// that is not there.
#[test]
fn a_full_disk_is_an_error_and_loses_nothing() {
    if let Some(path) = std::env::var_os(FILE_OF_CHILD) {
        return fill_up(Path::new(&path));
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("memory.db");
    // An ignored signal stays ignored in the program that follows, whose writes then fail instead.
    let script = "trap '' XFSZ; ulimit -f 2000; exec \"$0\" --exact local_faults::a_full_disk_is_an_error_and_loses_nothing";
    let child = std::process::Command::new("sh")
        .args(["-c", script])
        .arg(std::env::current_exe().unwrap())
        .env(FILE_OF_CHILD, &path)
        .status()
        .unwrap();
    assert!(child.success(), "see above");
    let acknowledged: u64 = fs::read_to_string(beside(&path, ".count")).unwrap().parse().unwrap();
    let store = open(&path);
    let stored: u64 = rows(&path, "SELECT count(*) FROM records WHERE id LIKE 'k%'")[0][0].parse().unwrap();
    assert!(acknowledged > 10 && stored >= acknowledged, "{acknowledged} acknowledged, {stored} stored");
    assert_eq!(rows(&path, "PRAGMA integrity_check"), [["ok"]]);
    ready(store.commit(&[live("more")])).expect("there is room again");
}

/// Writes on for a while after the disk is full, and leaves the number of acknowledged writes beside the file.
fn fill_up(path: &Path) {
    let store = open(path);
    let (mut acknowledged, mut failed) = (0, 0);
    for i in 0..20_000 {
        match ready(store.commit(&[live(&format!("k{i:05}"))])) {
            Ok(()) => acknowledged += 1,
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::Io, "{error:?}");
                assert!(error.hint().is_some(), "{error:?}");
                failed += 1;
            }
        }
        if failed == 20 {
            break;
        }
    }
    assert!(failed > 0, "the limit works");
    fs::write(beside(path, ".count"), acknowledged.to_string()).unwrap();
}
