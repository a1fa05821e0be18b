use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use memory_test_support::{Sqld, SqldOptions};
use serde_json::json;

#[test]
fn answers_queries_with_plain_values() {
    let sqld = Sqld::start(SqldOptions::new());
    assert_eq!(sqld.sql("SELECT 1, 2.5, NULL, 'text'"), json!([[1, 2.5, null, "text"]]));
    assert_eq!(sqld.scalar("SELECT 9007199254740993"), 9_007_199_254_740_993_i64);
    assert_eq!(sqld.sql("SELECT 1 WHERE 0"), json!([]));
}

#[test]
fn reports_a_refused_statement() {
    let sqld = Sqld::start(SqldOptions::new());
    let error = sqld.query("SELECT * FROM missing", None).unwrap_err();
    assert!(error.message.contains("no such table"), "{error}");
}

#[test]
fn keeps_data_and_port_over_kill_stop_and_restart() {
    let sqld = Sqld::start(SqldOptions::new());
    let port = sqld.port();
    sqld.sql("CREATE TABLE t (a)");
    sqld.sql("INSERT INTO t VALUES (1)");
    sqld.kill();
    assert!(!sqld.is_running());
    assert_eq!(sqld.query("SELECT 1", None).unwrap_err().status, 0);
    sqld.restart();
    sqld.sql("INSERT INTO t VALUES (2)");
    sqld.stop();
    assert!(!sqld.is_running());
    sqld.restart();
    // Also while it runs.
    sqld.restart();
    assert_eq!(sqld.port(), port);
    assert_eq!(sqld.sql("SELECT a FROM t ORDER BY a"), json!([[1], [2]]));
}

#[test]
fn keeps_a_named_folder() {
    let dir = tempfile::tempdir().unwrap();
    let options = SqldOptions::new().data_dir(dir.path().join("data"));
    let sqld = Sqld::start(options.clone());
    sqld.sql("CREATE TABLE t (a)");
    drop(sqld);
    let sqld = Sqld::start(options);
    assert_eq!(sqld.scalar("SELECT count(*) FROM t"), 0);
}

#[test]
fn pauses_and_resumes() {
    let sqld = Sqld::start(SqldOptions::new());
    sqld.pause();
    assert_eq!(state_of(&pid_of(&sqld)), "T");
    sqld.resume();
    assert_eq!(sqld.scalar("SELECT 1"), 1);
    // A paused server can be killed, too.
    sqld.pause();
    sqld.kill();
    sqld.restart();
    assert_eq!(sqld.scalar("SELECT 1"), 1);
}

#[test]
fn strong_durability_is_set_at_every_start() {
    let sqld = Sqld::start(SqldOptions::new().strong_durability());
    // FULL is 2, and relaxed mode runs with NORMAL, which is 1.
    assert_eq!(sqld.scalar("PRAGMA synchronous"), 2);
    sqld.restart();
    assert_eq!(sqld.scalar("PRAGMA synchronous"), 2);
    assert_eq!(Sqld::start(SqldOptions::new()).scalar("PRAGMA synchronous"), 1);
}

#[test]
fn blocks_writes_when_told_to() {
    let sqld = Sqld::start(SqldOptions::new());
    sqld.sql("CREATE TABLE t (a)");
    sqld.configure(&json!({"block_writes": true, "block_reason": "audit"}));
    let error = sqld.query("INSERT INTO t VALUES (1)", None).unwrap_err();
    assert!(error.message.contains("BLOCKED") && error.message.contains("audit"), "{error}");
    sqld.configure(&json!({"block_writes": false}));
    sqld.sql("INSERT INTO t VALUES (1)");
}

#[test]
fn counts_connections() {
    let sqld = Sqld::start(SqldOptions::new());
    wait_until("the harness's own connections to end", || sqld.connections() == 0);
    let held: Vec<_> = (0..3).map(|_| std::net::TcpStream::connect(sqld.addr()).unwrap()).collect();
    assert_eq!(sqld.connections(), 3);
    drop(held);
    wait_until("closed connections to be gone", || sqld.connections() == 0);
}

#[test]
fn leaves_nothing_behind_when_dropped() {
    let sqld = Sqld::start(SqldOptions::new());
    let (pid, dir) = (pid_of(&sqld), sqld.data_dir().to_owned());
    drop(sqld);
    assert!(!Path::new("/proc").join(&pid).exists());
    assert!(!dir.exists());
}

#[test]
fn leaves_nothing_behind_when_the_test_process_dies() {
    // As its own child, this test starts a server, says where it is, and dies without dropping it.
    if let Some(report) = std::env::var_os("MEMORY_TEST_SUPPORT_ABORT") {
        let sqld = Sqld::start(SqldOptions::new());
        fs::write(report, format!("{}\n{}", pid_of(&sqld), sqld.data_dir().display())).unwrap();
        std::process::abort();
    }
    let dir = tempfile::tempdir().unwrap();
    let report = dir.path().join("report");
    let status = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "sqld::leaves_nothing_behind_when_the_test_process_dies"])
        .env("MEMORY_TEST_SUPPORT_ABORT", &report)
        .output()
        .unwrap()
        .status;
    assert!(!status.success());
    let report = fs::read_to_string(report).unwrap();
    let (pid, data_dir) = report.split_once('\n').unwrap();
    wait_until("the watchdog to kill the server", || {
        let gone = fs::read_to_string(format!("/proc/{pid}/stat")).map_or(true, |stat| stat.contains(") Z "));
        gone && !Path::new(data_dir).exists()
    });
}

#[test]
#[should_panic(expected = "unexpected argument")]
fn shows_what_the_server_printed_when_it_does_not_start() {
    Sqld::start(SqldOptions::new().argument("--no-such-argument"));
}

fn wait_until(what: &str, mut done: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(30);
    while !done() {
        assert!(Instant::now() < deadline, "waited in vain for {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Finds the server by its folder among all processes.
fn pid_of(sqld: &Sqld) -> String {
    let dir = sqld.data_dir().to_str().unwrap();
    fs::read_dir("/proc")
        .unwrap()
        .filter_map(|entry| entry.unwrap().file_name().into_string().ok())
        .find(|pid| {
            let Ok(arguments) = fs::read(format!("/proc/{pid}/cmdline")) else { return false };
            arguments.split(|byte| *byte == 0).any(|argument| argument == dir.as_bytes())
        })
        .unwrap()
}

fn state_of(pid: &str) -> String {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    stat.rsplit_once(") ").unwrap().1[..1].to_owned()
}
