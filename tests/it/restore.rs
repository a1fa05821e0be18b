//! Restoring a server and a local memory as `DEPLOYMENT.md` says.

use std::fs;
use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};

use agent_memory::{EpisodeQuery, Memory};
use memory_test_support::{Sqld, SqldOptions};

use crate::common::{PATIENCE, eventually, record_one, remote};

/// Returns the folder in which sqld keeps the database.
fn database(sqld: &Sqld) -> PathBuf {
    sqld.data_dir().join("dbs/default")
}

async fn sql(file: &Path, statement: &str) {
    let database = libsql::Builder::new_local(file).build().await.unwrap();
    database.connect().unwrap().execute_batch(statement).await.unwrap();
}

/// Takes a snapshot of a running server.
async fn snapshot(sqld: &Sqld, into: &Path) {
    sql(&database(sqld).join("data"), &format!("VACUUM INTO '{}'", into.display())).await;
}

/// Reads the whole database as SQL text.
fn dump(sqld: &Sqld) -> String {
    let mut stream = std::net::TcpStream::connect(sqld.addr()).unwrap();
    write!(stream, "GET /dump HTTP/1.0\r\nhost: localhost\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer.split_once("\r\n\r\n").unwrap().1.to_owned()
}

/// Puts a database file in the place of the server's.
fn put_back(sqld: &Sqld, file: &Path) {
    sqld.stop();
    let folder = database(sqld);
    fs::copy(file, folder.join("data")).unwrap();
    for log in ["data-wal", "data-shm", "wallog"] {
        let _missing = fs::remove_file(folder.join(log));
    }
    sqld.restart();
}

async fn count(memory: &Memory) -> usize {
    memory.sync(PATIENCE).await.unwrap();
    memory.list(&EpisodeQuery::default()).await.unwrap().episodes.len()
}

/// Two clients, one awake and one asleep, see the same after a restore: what the backup has, what was written since, and
/// what the clients had sent shortly before.
async fn restored(backup: impl AsyncFn(&Sqld, &Path)) {
    let sqld = Sqld::start(SqldOptions::new());
    let folders = [(); 3].map(|()| tempfile::tempdir().unwrap());
    let [awake, asleep, late] = folders.each_ref().map(|folder| remote(folder.path(), &sqld.url()));
    let (awake, sleeper) = (awake.open().await.unwrap(), asleep.clone().open().await.unwrap());
    for number in 0..5 {
        record_one(&awake, &format!("before the backup {number}")).await;
    }
    awake.sync(PATIENCE).await.unwrap();
    assert_eq!(count(&sleeper).await, 5);
    let file = folders[0].path().join("backup.db");
    backup(&sqld, &file).await;
    for number in 0..3 {
        record_one(&awake, &format!("lost by the server, sent by who is awake {number}")).await;
        record_one(&sleeper, &format!("lost by the server, sent by who sleeps {number}")).await;
    }
    for memory in [&awake, &sleeper] {
        memory.sync(PATIENCE).await.unwrap();
    }
    assert_eq!(count(&sleeper).await, 11);
    sleeper.close(PATIENCE).await.unwrap();

    put_back(&sqld, &file);
    let late = late.open().await.unwrap();
    for number in 0..9 {
        record_one(&late, &format!("since the restore {number}")).await;
    }
    late.sync(PATIENCE).await.unwrap();
    let sleeper = asleep.open().await.unwrap();
    eventually("everybody sees everything", || async {
        count(&sleeper).await == 20 && count(&awake).await == 20 && count(&late).await == 20
    })
    .await;
    for memory in [&awake, &sleeper, &late] {
        assert_eq!(memory.status().await.engine.indexed, 20);
    }
    assert_eq!(sqld.scalar("SELECT count(*) FROM episodes"), 20);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_restored_from_a_snapshot_is_noticed_by_all() {
    restored(async |sqld, file| snapshot(sqld, file).await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_restored_from_sql_text_is_noticed_by_all() {
    restored(async |sqld, file| sql(file, &dump(sqld)).await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_local_memory_is_restored_from_its_backup() {
    let folder = tempfile::tempdir().unwrap();
    let memory = Memory::open(folder.path()).await.unwrap();
    record_one(&memory, "in the backup").await;
    let backup = folder.path().join("backup.db");
    sql(&folder.path().join("memory.db"), &format!("VACUUM INTO '{}'", backup.display())).await;
    record_one(&memory, "behind the backup").await;
    memory.close(PATIENCE).await.unwrap();

    fs::remove_file(folder.path().join("memory.db")).unwrap();
    for log in ["memory.db-wal", "memory.db-shm"] {
        let _missing = fs::remove_file(folder.path().join(log));
    }
    fs::remove_dir_all(folder.path().join("local")).unwrap();
    fs::copy(&backup, folder.path().join("memory.db")).unwrap();
    let memory = Memory::open(folder.path()).await.unwrap();
    let listed = memory.list(&EpisodeQuery::default()).await.unwrap().episodes;
    assert_eq!(listed.len(), 1);
    assert_eq!(
        memory.recall("behind the backup").await.unwrap().episodes.len(),
        1,
        "and nothing else is recalled"
    );
}
