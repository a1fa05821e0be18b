//! `memory install`, into a fresh home.

use serde_json::{Value, json};

use crate::command::World;

fn json_of(world: &World, name: &str) -> Value {
    serde_json::from_str(&std::fs::read_to_string(world.path(name)).unwrap()).unwrap()
}

#[test]
fn the_installed_commands_run() {
    let world = World::new();
    world.run(["--json", "install", "--agent", "claude-code"]).object();
    let settings = json_of(&world, ".claude/settings.json");
    let handler = &settings["hooks"]["UserPromptSubmit"][0]["hooks"][0];
    let line = handler["command"].as_str().unwrap();
    let event =
        json!({"session_id": "s", "cwd": "/", "hook_event_name": "UserPromptSubmit", "prompt": "Build it"});
    let script = format!("{line} --deadline-ms 60000");
    let mut shell = std::process::Command::new("sh");
    shell
        .args(["-c", &format!("printf %s '{event}' | {script}")])
        .env("MEMORY_DB_PATH", world.path("memory"));
    assert!(shell.status().unwrap().success());
    let why = world.run(["--json", "hook", "--why"]).object();
    assert_eq!(why["lines"][0]["event"], "UserPromptSubmit");
    assert!(world.path(".claude/skills/check-similar-tasks/SKILL.md").is_file());
}

#[test]
fn installing_again_changes_nothing_and_uninstalling_leaves_what_was_there() {
    let world = World::new();
    let agents = [
        "--agent",
        "claude-code",
        "--agent",
        "codex",
        "--agent",
        "gemini",
        "--agent",
        "cursor",
        "--agent",
        "opencode",
    ];
    std::fs::create_dir_all(world.path(".gemini")).unwrap();
    let before = "{\n  // kept\n  \"theme\": \"dark\"\n}\n";
    world.file(".gemini/settings.json", before);
    let run = |more: &[&str]| {
        let arguments = ["--json", "install"].iter().chain(&agents).chain(more);
        let run = world.run(arguments);
        assert_eq!(run.code, 0, "{}", run.stderr);
        let object: Value = serde_json::from_str(&run.stdout).unwrap();
        object["changes"]
            .as_array()
            .unwrap()
            .iter()
            .map(|it| it["change"].as_str().unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    assert!(run(&["--dry-run"]).iter().all(|change| change == "write"));
    assert!(!world.path(".claude").exists(), "a dry run writes nothing");
    assert!(run(&[]).iter().all(|change| change == "write"));
    assert!(run(&[]).iter().all(|change| change == "none"));
    let kept = std::fs::read_to_string(world.path(".gemini/settings.json.agent-memory.bak")).unwrap();
    assert_eq!(kept, before);
    run(&["--uninstall"]);
    let after = std::fs::read_to_string(world.path(".gemini/settings.json")).unwrap();
    assert!(after.contains("// kept") && after.contains("dark") && !after.contains("hook"), "{after}");
    assert!(!world.path(".config/opencode/plugin/agent-memory.ts").exists());
    assert!(!world.path(".claude/skills/check-similar-tasks").exists());
}

#[test]
fn a_file_that_is_not_understood_is_refused_and_nothing_is_written() {
    let world = World::new();
    std::fs::create_dir_all(world.path(".codex")).unwrap();
    world.file(".codex/hooks.json", "{\"hooks\": [");
    let (message, _) = world
        .run(["--json", "install", "--agent", "claude-code", "--agent", "codex"])
        .error(1, "invalid-input");
    assert!(message.contains(".codex/hooks.json") && message.contains("nothing was changed"), "{message}");
    assert!(!world.path(".claude").exists());
}
