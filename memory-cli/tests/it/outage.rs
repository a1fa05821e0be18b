//! A durable tier that is not there.

use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::command::{LINES, Run, World, names};

/// Returns a URL where nobody listens.
fn nowhere() -> String {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    format!("http://{}", listener.local_addr().unwrap())
}

fn at(world: &World, url: &str, arguments: &[&str]) -> Run {
    world.run(["--url", url].iter().chain(arguments))
}

#[test]
fn the_status_tells_and_sync_fails() {
    let world = World::new();
    let url = nowhere();
    let status = at(&world, &url, &["status", "--json"]).object();
    assert_eq!((&status["mode"], &status["url"]), (&"remote".into(), &url.clone().into()));
    assert_eq!(status["records"], Value::Null);
    assert!(status["sync"]["last_error"].as_str().unwrap().contains("refused"), "{status}");
    let told = at(&world, &url, &["status"]).ok();
    assert!(told.contains("does not answer"), "{told}");
    let (message, hint) = at(&world, &url, &["sync", "--json", "--timeout", "2"]).error(4, "unavailable");
    assert!(message.contains("refused") && hint.contains("nothing acknowledged is lost"), "{message} {hint}");
    at(&world, &url, &["sync", "retry", "--json", "--timeout", "2"]).error(4, "unavailable");
    assert!(told.contains("nothing waits") && !told.contains("everything has arrived"), "{told}");
    let recall = at(&world, &url, &["recall", "anything", "--json"]).object();
    assert_eq!(recall["episodes"], Value::Array(Vec::new()));
}

/// Returns the outbox files below a folder.
fn outboxes(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries
        .flat_map(|path| match path.file_name() {
            Some(name) if name == "outbox.redb" => vec![path],
            _ if path.is_dir() => outboxes(&path),
            _ => Vec::new(),
        })
        .collect()
}

#[test]
fn an_outbox_that_cannot_be_read_is_told_by_every_command_and_for_good() {
    let world = World::new();
    let url = nowhere();
    world.file("lines.jsonl", LINES);
    at(&world, &url, &["import", "--json", "lines.jsonl"]).object();
    for outbox in outboxes(&world.path("memory")) {
        std::fs::write(outbox, vec![0x5a; 65_536]).unwrap();
    }
    // Once, by the command that had to repair it, whichever that is.
    let list = at(&world, &url, &["episodes", "list"]);
    assert!(list.stderr.contains("warning: the outbox file was rebuilt"), "{}", list.stderr);
    // From then on by the status, for people and for programs.
    for _ in 0..2 {
        let told = at(&world, &url, &["status"]).ok();
        let first = told.lines().next().unwrap();
        assert!(first.starts_with("warning") && first.contains("outbox.redb.corrupt-"), "{told}");
        assert!(first.contains("acknowledged records"), "{told}");
        assert!(told.contains("nothing waits"), "{told}");
        let status = at(&world, &url, &["status", "--json"]).object();
        let warnings = status["warnings"].as_array().unwrap();
        let outbox = warnings.iter().filter(|one| one.as_str().unwrap().contains("outbox.redb.corrupt-"));
        assert_eq!(outbox.count(), 1, "{status}");
    }
}

#[test]
fn a_recall_says_that_the_server_is_not_reached() {
    let world = World::new();
    let url = nowhere();
    let told = at(&world, &url, &["recall", "anything"]);
    let expected = "Nothing is known here, and the server is not reached: what it holds is not known.\n";
    assert_eq!((told.code, told.stdout.as_str()), (0, expected));
    assert!(told.stderr.contains("note: the durable tier does not answer"), "{}", told.stderr);
    let prompt = at(&world, &url, &["recall", "anything", "--prompt", "100"]);
    assert_eq!(prompt.stdout, "");
    assert!(prompt.stderr.contains("what it holds is not known"), "{}", prompt.stderr);
    assert!(at(&world, &url, &["recall", "anything", "--json"]).object()["stale_ms"].is_u64());
}

#[test]
fn a_durable_import_goes_on_in_an_outage_and_says_so() {
    let world = World::new();
    let url = nowhere();
    world.file("lines.jsonl", LINES);
    world.file("memory.toml", "ack = 'durable'\nwrite_deadline_ms = 50\n");
    let run = at(&world, &url, &["import", "--config", "memory.toml", "lines.jsonl"]);
    assert_eq!(run.code, 0, "{}", run.stderr);
    assert!(run.stdout.starts_with("3 episodes were recorded"), "{}", run.stdout);
    assert_eq!(run.stderr.matches("not confirmed by the durable tier").count(), 1, "{}", run.stderr);
    let again = at(&world, &url, &["import", "--json", "--config", "memory.toml", "lines.jsonl"]).object();
    assert_eq!((&again["new"], &again["known"], &again["unconfirmed"]), (&0.into(), &3.into(), &0.into()));
}

#[test]
fn what_cannot_be_asked_is_an_error_and_not_an_empty_answer() {
    let world = World::new();
    let id = "01a1fc77-2efc-7000-8160-dfcd548fec4a";
    at(&world, &nowhere(), &["episodes", "show", "--json", id]).error(4, "unavailable");
}

#[test]
fn an_import_is_kept_here_while_the_server_is_away() {
    let world = World::new();
    let url = nowhere();
    world.file("lines.jsonl", LINES);
    let run = at(&world, &url, &["import", "--json", "lines.jsonl"]);
    let waiting = at(&world, &url, &["status", "--json"]).object()["outbox"]["rows"].clone();
    assert_eq!(run.code, 0, "{}", run.stderr);
    let report: Value = serde_json::from_str(&run.stdout).unwrap();
    assert_eq!((&report["new"], &report["waiting"]), (&3.into(), &waiting));
    assert!(waiting.as_u64().unwrap() > 0);
    let again = at(&world, &url, &["import", "--json", "lines.jsonl"]);
    let report: Value = serde_json::from_str(&again.stdout).unwrap();
    assert_eq!((&report["known"], &report["waiting"]), (&3.into(), &waiting), "twice changes nothing");
}

#[test]
fn what_learning_made_of_an_episode_may_not_be_at_hand() {
    let world = World::new();
    let url = nowhere();
    world.file("lines.jsonl", LINES);
    let run = at(&world, &url, &["import", "--json", "--no-learn", "lines.jsonl"]);
    assert_eq!(run.code, 0, "{}", run.stderr);
    let list = at(&world, &url, &["episodes", "list", "--json"]).object();
    let id = list["episodes"][0]["id"].as_str().unwrap();
    let shown = at(&world, &url, &["episodes", "show", "--json", id]).object();
    assert!(!shown["steps"].as_array().unwrap().is_empty(), "{shown}");
    // Whether another machine learned from it, only the server knows.
    assert_eq!(shown["reflection"], Value::Null);
    assert!(shown["stale_ms"].is_u64(), "{shown}");
}

#[test]
fn figures_say_that_they_may_be_behind() {
    let world = World::new();
    let url = nowhere();
    world.file("lines.jsonl", LINES);
    assert_eq!(at(&world, &url, &["import", "--json", "lines.jsonl"]).code, 0);
    for command in ["lift", "stats"] {
        let figures = at(&world, &url, &[command, "--json"]).object();
        assert!(figures["stale_ms"].is_u64(), "{command}: {figures}");
        let told = at(&world, &url, &[command]);
        assert!(told.stderr.contains("the durable tier does not answer"), "{command}: {}", told.stderr);
        let local = World::with(LINES).run([command, "--json"]).object();
        assert_eq!(local["stale_ms"], Value::Null, "{command}: {local}");
    }
}

#[test]
fn local_mode_has_nothing_to_send() {
    let world = World::with(LINES);
    let sync = world.run(["sync", "--json"]).object();
    let fields = ["dead_letters", "elapsed_ms", "mode", "position", "refused", "retried", "sent", "waiting"];
    assert_eq!(names(&sync), fields);
    assert_eq!((&sync["mode"], &sync["sent"], &sync["waiting"]), (&"local".into(), &0.into(), &0.into()));
    assert!(world.run(["sync", "retry"]).ok().starts_with("Nothing to send"));
    let status = world.run(["status", "--json"]).object();
    assert_eq!(status["records"]["episode"], 3);
    let told = world.stable(&world.run(["status"]).ok());
    insta::assert_snapshot!("status", told);
}
