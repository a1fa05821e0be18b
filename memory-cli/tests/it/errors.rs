//! Bad input: an error that says what to do, and the exit code that goes with it.

use crate::command::{World, finish, is_empty};

#[test]
fn places_that_cannot_be_used() {
    let world = World::new();
    let file = world.file("file", "not a folder");
    let check = |path: &std::path::Path, code, kind: &str, expected: &str| {
        let (message, hint) =
            world.run(["status", "--json", "--path", path.to_str().unwrap()]).error(code, kind);
        assert!(message.contains(expected), "{message}");
        assert!(!hint.is_empty(), "{message}");
    };
    check(&file, 2, "invalid_input", "is a file, a folder is needed");
    check(&file.join("below"), 1, "io", "cannot use the folder");
    let foreign = world.path("foreign");
    std::fs::create_dir(&foreign).unwrap();
    std::fs::write(foreign.join("memory.db"), "this is no database, and it is long enough to be one")
        .unwrap();
    let run = world.run(["status", "--json", "--path", foreign.to_str().unwrap()]);
    assert_eq!(run.code, 1, "{}", run.stderr);
}

#[test]
fn settings_that_are_wrong() {
    let world = World::new();
    let check = |arguments: &[&str], expected: &str| {
        let (message, _) = world.run(["status", "--json"].iter().chain(arguments)).error(2, "invalid_input");
        assert!(message.contains(expected), "{message}");
    };
    check(&["--url", "not a url"], "url");
    check(&["--url", "ftp://example.com"], "url");
    check(&["--namespace", "a/b"], "namespace");
    world.file("memory.toml", "ttl_s = 5\ntoken = 's3cret'\n");
    check(&["--config", "memory.toml"], "line 1: unknown field `ttl_s`");
    for not_a_file in ["missing.toml", "."] {
        let (message, hint) = world.run(["status", "--json", "--config", not_a_file]).error(1, "io");
        assert!(message.contains(not_a_file), "{message}");
        assert!(hint.contains("--config takes a TOML file"), "{hint}");
    }
    world.file("memory.toml", "pool_size = 1025\n");
    check(&["--config", "memory.toml"], "pool_size: 1025 connections, the limit is 1024");
    assert!(is_empty(&world.path("memory")));
}

#[test]
fn a_settings_file_names_the_place() {
    let world = World::new();
    world.file("memory.toml", "path = 'from-file'\nnamespace = 'n1'\n");
    let mut command = world.command();
    command.env_remove("MEMORY_DB_PATH").args(["status", "--json", "--config", "memory.toml"]);
    let status = finish(&mut command).object();
    assert_eq!((&status["folder"], &status["namespace"]), (&"from-file".into(), &"n1".into()));
    assert!(world.path("from-file/memory.db").is_file());
    // The environment wins over the file, a flag over both.
    let status = world.run(["status", "--json", "--config", "memory.toml", "--namespace", "n2"]).object();
    assert_eq!(status["folder"], world.path("memory").to_str().unwrap());
    assert_eq!(status["namespace"], "n2");
}

#[test]
fn the_usual_folder_follows_the_xdg_rules() {
    let world = World::new();
    let folder = |xdg: Option<&str>| {
        let mut command = world.command();
        command.env_remove("MEMORY_DB_PATH").args(["status", "--json"]);
        if let Some(xdg) = xdg {
            command.env("XDG_DATA_HOME", xdg);
        }
        finish(&mut command).object()["folder"].as_str().unwrap().to_owned()
    };
    let home = world.path("");
    let home = home.to_str().unwrap().trim_end_matches('/');
    assert_eq!(folder(None), format!("{home}/.local/share/agent-memory"));
    assert_eq!(folder(Some(&format!("{home}/xdg"))), format!("{home}/xdg/agent-memory"));
    assert_eq!(folder(Some("relative")), format!("{home}/.local/share/agent-memory"));
    let mut command = world.command();
    command.env_remove("MEMORY_DB_PATH").env_remove("HOME").args(["status", "--json"]);
    finish(&mut command).error(2, "usage");
}

#[test]
fn arguments_that_are_wrong() {
    let world = World::new();
    let check = |arguments: &[&str], expected: &str| {
        let run = world.run(arguments);
        assert_eq!((run.code, run.stdout.as_str()), (2, ""));
        assert!(run.stderr.contains(expected), "{}", run.stderr);
        let (message, _) = world.run(arguments.iter().chain(&["--json"])).error(2, "usage");
        assert!(message.contains(expected), "{message}");
    };
    check(&["recal", "x"], "recal");
    check(&["recall"], "TEXT");
    check(&["recall", "x", "--limit", "0"], "0");
    check(&["episodes", "list", "--open", "--completed"], "--completed");
    check(&["status", "--token", "s3cret"], "--token");
    let (_, hint) = world.run(["episodes", "show", "--json", "nonsense"]).error(2, "invalid_input");
    assert!(hint.contains("episodes list"), "{hint}");
    for command in [["episodes", "list", "--after"], ["episodes", "show", "--"]] {
        let long = "x".repeat(5_000);
        let run = world.run(command.iter().copied().chain([long.as_str()]));
        assert_eq!((run.code, run.stdout.as_str()), (2, ""));
        assert!(run.stderr.contains("is not an episode id") && run.stderr.len() < 300, "{}", run.stderr);
    }
    world.run(["episodes", "show", "--json", "01a1fc77-2efc-7000-8160-dfcd548fec4a"]).error(1, "not_found");
    world.run(["episodes", "show", "--json", "abcdef"]).error(1, "not_found");
}

#[test]
fn help_documents_the_exit_codes() {
    let world = World::new();
    let help = world.run(["--help"]).ok();
    for code in 0..=4 {
        assert!(help.contains(&format!("\n  {code}  ")), "{help}");
    }
    assert!(world.run(["--version"]).ok().starts_with("memory "));
}

#[test]
fn errors_for_people_have_a_hint() {
    let world = World::new();
    let run = world.run(["episodes", "show", "01a1fc77-2efc-7000-8160-dfcd548fec4a"]);
    let expected = "error: find: there is no episode 01a1fc77-2efc-7000-8160-dfcd548fec4a\n\
                    hint: `memory episodes list` shows the episodes of this namespace\n";
    assert_eq!((run.code, run.stderr.as_str()), (1, expected));
}
