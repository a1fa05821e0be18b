//! Several openers of one file: threads, stores and processes.

use std::env;
use std::path::Path;
use std::process::Command;
use std::thread;

use memory_core::{Durable, Store};

use crate::fixtures::{live, open, ready, rows, since};

const FILE_OF_CHILD: &str = "MEMORY_TEST_FILE_OF_CHILD";
const WRITES: usize = 150;

/// Opens, and writes one record a commit; any lock error is a panic.
fn write(path: &Path, name: &str) {
    let store = open(path);
    for i in 0..WRITES {
        ready(store.commit(&[live(&format!("{name}-{i:04}"))]))
            .unwrap_or_else(|error| panic!("{name}: {error:?}"));
        if i % 50 == 0 {
            let maintained =
                tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(store.maintain());
            maintained.unwrap_or_else(|error| panic!("{name}: {error:?}"));
        }
    }
}

#[test]
fn processes_share_a_file() {
    if let Some(path) = env::var_os(FILE_OF_CHILD) {
        write(Path::new(&path), &format!("process{}", std::process::id()));
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("memory.db");
    let children: Vec<_> = (0..3)
        .map(|_| {
            Command::new(env::current_exe().unwrap())
                .args(["--exact", "local_sharing::processes_share_a_file", "--nocapture"])
                .env(FILE_OF_CHILD, &path)
                .spawn()
                .unwrap()
        })
        .collect();
    write(&path, "parent");
    for mut child in children {
        assert!(child.wait().unwrap().success(), "a process met an error, see above");
    }
    assert_eq!(
        rows(&path, "SELECT count(*), count(DISTINCT seq), max(seq) FROM records"),
        [["600", "600", "600"]]
    );
    assert_eq!(rows(&path, "PRAGMA integrity_check"), [["ok"]]);
}

#[tokio::test]
async fn stores_share_a_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("memory.db");
    let writers: Vec<_> = ["a", "b", "c"]
        .map(|name| {
            let path = path.clone();
            thread::spawn(move || write(&path, name))
        })
        .into();
    // A reader that follows the feed sees every commit once, in order.
    let store = open(&path);
    let (mut position, mut seen) = (0, 0);
    while seen < 3 * WRITES {
        let changes = store.changes(&since(position)).await.unwrap();
        assert!(changes.next >= position);
        seen += changes.changes.len();
        position = changes.next;
    }
    assert_eq!(seen, 3 * WRITES);
    for writer in writers {
        writer.join().expect("no writer met a lock error");
    }
}

#[test]
fn many_open_a_new_file_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("memory.db");
    let openers: Vec<_> = (0..8)
        .map(|_| {
            let path = path.clone();
            thread::spawn(move || drop(open(&path)))
        })
        .collect();
    for opener in openers {
        opener.join().expect("each opens it");
    }
    assert_eq!(rows(&path, "SELECT count(*) FROM agent_memory_feed"), [["1"]]);
}
