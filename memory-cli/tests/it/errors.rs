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
    check(&["--config", "memory.toml"], "line 1: ttl_s: unknown field `ttl_s`");
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
    world.file("nothing.jsonl", "");
    let import = ["import", "--config", "memory.toml", "nothing.jsonl"];
    finish(world.command().env_remove("MEMORY_DB_PATH").args(import)).ok();
    let mut command = world.command();
    command.env_remove("MEMORY_DB_PATH").args(["status", "--json", "--config", "memory.toml"]);
    let status = finish(&mut command).object();
    assert_eq!((&status["folder"], &status["namespace"]), (&"from-file".into(), &"n1".into()));
    assert!(world.path("from-file/memory.db").is_file());
    world.run(import).ok();
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
        let (message, _) = finish(&mut command).error(1, "not_found");
        message.rsplit(' ').next().unwrap().to_owned()
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
    let world = World::empty();
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
    let world = World::empty();
    let run = world.run(["episodes", "show", "01a1fc77-2efc-7000-8160-dfcd548fec4a"]);
    let expected = "error: find: there is no episode 01a1fc77-2efc-7000-8160-dfcd548fec4a\n\
                    hint: `memory episodes list` shows the episodes of this namespace\n";
    assert_eq!((run.code, run.stderr.as_str()), (1, expected));
}

#[test]
fn a_memory_that_is_not_there_is_told_and_not_made() {
    let world = World::new();
    let id = "01a1fc77-2efc-7000-8160-dfcd548fec4a";
    let commands: [&[&str]; 18] = [
        &["recall", "anything"],
        &["recall", "anything", "--prompt", "100"],
        &["episodes", "list"],
        &["episodes", "show", id],
        &["episodes", "forget", "--yes", id],
        &["heuristics", "list"],
        &["heuristics", "show", id],
        &["heuristics", "pin", id],
        &["patterns", "list"],
        &["patterns", "show", id],
        &["playbooks", "list"],
        &["failures", "list"],
        &["stats"],
        &["lift"],
        &["consolidate"],
        &["status"],
        &["sync"],
        &["sync", "retry"],
    ];
    let mistyped = world.path("mistyped");
    let place = ["--path", mistyped.to_str().unwrap()];
    let missing = format!("there is no memory in {}", mistyped.display());
    for command in commands {
        let (message, hint) =
            world.run(command.iter().chain(&place).chain(&["--json"])).error(1, "not_found");
        assert!(
            message.ends_with(&missing) && hint.contains("memory import"),
            "{command:?}: {message} {hint}"
        );
        assert!(!mistyped.exists(), "{command:?}");
    }
    let told = world.run(["episodes", "list"].iter().chain(&place));
    assert_eq!((told.code, told.stdout.as_str()), (1, ""));
    assert!(told.stderr.starts_with(&format!("error: open: {missing}\n")), "{}", told.stderr);
    // A folder without a memory stays as it is.
    std::fs::create_dir(&mistyped).unwrap();
    world.run(["stats", "--json"].iter().chain(&place)).error(1, "not_found");
    assert!(is_empty(&mistyped));
    // What records makes one.
    world.file("nothing.jsonl", "");
    world.run(["import", "nothing.jsonl"].iter().chain(&place)).ok();
    assert_eq!(world.run(["episodes", "list"].iter().chain(&place)).ok(), "No episodes.\n");
}

#[test]
fn a_folder_that_was_used_with_a_database_asks_for_its_url() {
    let world = World::new();
    // The records are in the database: on a new machine, reading makes the folder.
    let url = ["--url", "http://127.0.0.1:9"];
    world.run(["status", "--json"].iter().chain(&url)).object();
    assert!(world.path("memory/remote").is_dir());
    let (_, hint) = world.run(["status", "--json"]).error(1, "not_found");
    assert!(hint.contains("URL"), "{hint}");
    assert!(!world.path("memory/memory.db").exists() && !world.path("memory/local").exists());
}
