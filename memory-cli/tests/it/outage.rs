//! A durable tier that is not there.

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
    let recall = at(&world, &url, &["recall", "anything", "--json"]).object();
    assert_eq!(recall["episodes"], Value::Array(Vec::new()));
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
fn local_mode_has_nothing_to_send() {
    let world = World::with(LINES);
    let sync = world.run(["sync", "--json"]).object();
    let fields = ["elapsed_ms", "mode", "position", "refused", "retried", "sent", "set_aside", "waiting"];
    assert_eq!(names(&sync), fields);
    assert_eq!((&sync["mode"], &sync["sent"], &sync["waiting"]), (&"local".into(), &0.into(), &0.into()));
    assert!(world.run(["sync", "retry"]).ok().starts_with("Nothing to send"));
    let status = world.run(["status", "--json"]).object();
    assert_eq!(status["records"]["episode"], 3);
    let told = world.stable(&world.run(["status"]).ok());
    insta::assert_snapshot!("status", told);
}
