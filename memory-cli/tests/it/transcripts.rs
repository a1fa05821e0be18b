//! `memory import` of the transcripts of coding agents.

use serde_json::{Value, json};

use crate::command::World;

/// Returns a line of a Claude Code session.
fn line(world: &World, number: u32, kind: &str, message: Value) -> String {
    let parent = (number > 1).then(|| format!("00000000-0000-4000-8000-{:012}", number - 1));
    json!({
        "type": kind, "uuid": format!("00000000-0000-4000-8000-{number:012}"), "parentUuid": parent, "sessionId": "s1",
        "timestamp": format!("2026-11-02T10:00:{number:02}.000Z"), "version": "2.1.0", "cwd": world.path(""),
        "isSidechain": false, "userType": "external", "message": message,
    })
    .to_string()
}

fn prompt(world: &World, number: u32, text: &str) -> String {
    line(world, number, "user", json!({"role": "user", "content": text}))
}

fn answer(world: &World, number: u32, text: &str) -> String {
    let content = json!([{"type": "text", "text": text}]);
    let message = json!({"id": format!("m{number}"), "role": "assistant", "content": content, "stop_reason": "end_turn"});
    line(world, number, "assistant", message)
}

fn import(world: &World, lines: &[String]) -> Value {
    let folder = world.path(".claude/projects/-w");
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join("s1.jsonl"), lines.join("\n") + "\n").unwrap();
    world.run(["--json", "--namespace", "w", "import", "--agent", "claude-code"]).object()
}

fn outcomes(world: &World) -> Vec<String> {
    let listed = world.run(["--json", "--namespace", "w", "episodes", "list"]).object();
    let episodes = listed["episodes"].as_array().unwrap().iter();
    episodes.map(|episode| episode["outcome"]["verdict"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn what_the_user_said_later_reaches_a_turn_that_was_imported_before() {
    let world = World::new();
    let mut lines = vec![prompt(&world, 1, "Rename the column total"), answer(&world, 2, "Renamed.")];
    let first = import(&world, &lines);
    assert_eq!((&first["new"], &first["revised"]), (&json!(1), &json!(0)), "{first}");
    assert_eq!(outcomes(&world), ["unknown"]);
    lines.push(prompt(&world, 3, "No, that's wrong, revert it"));
    lines.push(answer(&world, 4, "Reverted."));
    let second = import(&world, &lines);
    assert_eq!((&second["new"], &second["revised"]), (&json!(1), &json!(1)), "{second}");
    let mut found = outcomes(&world);
    found.sort();
    assert_eq!(found, ["failure", "unknown"]);
    let third = import(&world, &lines);
    assert_eq!((&third["new"], &third["revised"]), (&json!(0), &json!(0)), "{third}");
}

#[test]
fn sessions_that_hooks_recorded_are_left_out() {
    let world = World::new();
    let event = json!({"session_id": "s1", "cwd": world.path(""), "hook_event_name": "UserPromptSubmit", "prompt": "Rename it"});
    let hook = ["--namespace", "w", "hook", "--agent", "claude-code", "--deadline-ms", "60000"];
    world.run_with_input(&hook, event.to_string().as_bytes()).ok();
    let lines = [prompt(&world, 1, "Rename it"), answer(&world, 2, "Renamed.")];
    let imported = import(&world, &lines);
    assert_eq!((&imported["new"], &imported["hooked"]), (&json!(0), &json!(1)), "{imported}");
}

#[test]
fn a_dry_run_counts_by_project_and_outcome_and_records_nothing() {
    let world = World::new();
    let lines = [
        prompt(&world, 1, "Rename the column total"),
        answer(&world, 2, "Renamed."),
        prompt(&world, 3, "Perfect, thanks!"),
        answer(&world, 4, "You are welcome."),
        "{torn".to_owned(),
        json!({"type": "unheard-of", "sessionId": "s1"}).to_string(),
    ];
    let file = world.file("s.jsonl", lines.join("\n") + "\n");
    let run = world.run(["--json", "import", "--dry-run", file.to_str().unwrap()]);
    assert_eq!(run.code, 3, "{}", run.stderr);
    let found: Value = serde_json::from_str(&run.stdout).unwrap();
    assert_eq!(found["projects"][0]["outcomes"], json!({"success": 1, "unknown": 1}), "{found}");
    assert_eq!((&found["bad"], &found["skipped"]["unheard-of"]), (&json!(1), &json!(1)), "{found}");
    assert!(found["bad_lines"][0].as_str().unwrap().contains("s.jsonl:5:"), "{found}");
    assert!(!world.path("memory").exists());
    let none = world.run(["--json", "import", "--dry-run", "--since", "2026-11-03", file.to_str().unwrap()]);
    let none: Value = serde_json::from_str(&none.stdout).unwrap();
    assert_eq!(none["projects"], json!([]));
}
