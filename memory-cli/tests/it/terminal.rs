//! What reaches a terminal or a pipe.

use std::process::Stdio;

use crate::command::{LINES, World, finish};

/// A task, a tool, a label and an observation that would clear the screen, set the title and reorder the line.
const HOSTILE: &str = r#"{"id": "h", "domain": "\u001b[31mred", "instruction": "clear \u001b[2J\u001b]0;owned\u0007 \u009b2J \u202etxet\u0000", "actions": [{"name": "t\u001b[1mool", "kwargs": {"k\u001b": "v\u009b"}}], "outputs": ["\u001b[5mdone"]}"#;

fn is_harmless(text: &str) -> bool {
    text.chars().all(|c| (!c.is_control() || c == '\n') && c != '\u{202e}')
}

#[test]
fn stored_text_never_steers_a_terminal() {
    let world = World::with(HOSTILE);
    let check = |arguments: &[&str]| {
        let run = world.run(arguments);
        assert_eq!(run.code, 0, "{}", run.stderr);
        assert!(!run.stdout.is_empty());
        assert!(is_harmless(&run.stdout) && is_harmless(&run.stderr), "{arguments:?}: {:?}", run.stdout);
    };
    let list = world.run(["episodes", "list", "--json"]).object();
    let id = list["episodes"][0]["id"].as_str().unwrap();
    for json in [&[][..], &["--json"]] {
        check(&[&["episodes", "list"], json].concat());
        check(&[&["episodes", "show", id], json].concat());
        check(&[&["patterns", "list", "--all"], json].concat());
        check(&[&["playbooks", "list", "--all"], json].concat());
        check(&[&["failures", "list"], json].concat());
        check(&[&["recall", "clear"], json].concat());
        check(&[&["recall", "clear", "--prompt", "300"], json].concat());
    }
    assert_eq!(
        list["episodes"][0]["task"]["description"],
        "clear \u{1b}[2J\u{1b}]0;owned\u{7} \u{9b}2J \u{202e}txet\0"
    );
    let error = world.run(["episodes", "show", "\u{1b}[2J"]);
    assert!(error.code == 2 && is_harmless(&error.stderr), "{:?}", error.stderr);
    world.file("\u{1b}[2J.jsonl", "nonsense");
    let bad = world.run(["import", "\u{1b}[2J.jsonl"]);
    assert!(bad.code == 3 && is_harmless(&bad.stderr), "{:?}", bad.stderr);
}

#[test]
fn colours_go_to_terminals_only() {
    let world = World::with(LINES);
    let colours = |flags: &[&str], no_color: bool| {
        let mut command = world.command();
        command.args(["episodes", "list"]).args(flags);
        if no_color {
            command.env("NO_COLOR", "1");
        }
        finish(&mut command).ok().contains('\x1b')
    };
    assert!(!colours(&[], false), "a pipe is no terminal");
    assert!(!colours(&[], true));
    assert!(colours(&["--color", "always"], false));
    assert!(!colours(&["--color", "never"], false));
    let plain = world.run(["episodes", "list"]).ok();
    let painted = world.run(["episodes", "list", "--color", "always"]).ok();
    let escapes = regex::Regex::new("\x1b\\[[0-9;]*m").unwrap();
    assert_eq!(escapes.replace_all(&painted, ""), plain);
}

#[cfg(target_os = "linux")]
#[test]
fn a_terminal_gets_colours_unless_no_color_is_set() {
    let world = World::with(LINES);
    let colours = |no_color: bool| {
        // script(1) runs the command on a terminal of its own.
        let mut command = std::process::Command::new("script");
        let memory = format!("{} episodes list", env!("CARGO_BIN_EXE_memory"));
        command.args(["-qec", &memory, "/dev/null"]).env_clear();
        command.env("PATH", std::env::var_os("PATH").unwrap_or_default()).env("TERM", "xterm-256color");
        command.env("MEMORY_DB_PATH", world.path("memory")).stdin(Stdio::null());
        if no_color {
            command.env("NO_COLOR", "1");
        }
        let output = command.output().expect("util-linux is there");
        String::from_utf8_lossy(&output.stdout).contains("\x1b[32msuccess")
    };
    assert!(colours(false));
    assert!(!colours(true));
}

#[test]
fn a_reader_that_stops_reading_is_no_error() {
    let lines: String = (0..400)
        .map(|i| {
            format!("{{\"id\": {i}, \"instruction\": \"task {i} {}\", \"actions\": []}}\n", "x".repeat(300))
        })
        .collect();
    let world = World::with(&lines);
    for arguments in [&["episodes", "list", "--all"][..], &["episodes", "list", "--all", "--json"]] {
        let mut command = world.command();
        command.args(arguments).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        drop(child.stdout.take());
        let output = child.wait_with_output().unwrap();
        assert_eq!(String::from_utf8_lossy(&output.stderr), "");
        assert_eq!(output.status.code(), Some(0));
    }
}

#[test]
fn a_log_goes_to_standard_error_when_asked_for() {
    let world = World::with(LINES);
    let log =
        |filter: &str| finish(world.command().env("RUST_LOG", filter).args(["episodes", "list", "--json"]));
    assert_eq!(log("").ok(), log("trace").stdout);
    let refused = log("memory_core=loud");
    assert_eq!(refused.code, 2);
    assert!(refused.stderr.contains("RUST_LOG"), "{}", refused.stderr);
}
