//! `memory episode`: recording from scripts, one verb a process.

use serde_json::{Value, json};

use crate::command::World;

fn start(world: &World, text: &str) -> String {
    world.run(["episode", "start", text]).ok().trim().to_owned()
}

#[test]
fn an_episode_is_recorded_verb_by_verb_and_teaches() {
    let world = World::new();
    let flags = [
        "--kind",
        "debugging",
        "--domain",
        "web",
        "--tag",
        "ci",
        "--attributes",
        r#"{"vcs.branch": "main"}"#,
    ];
    let started = world.run(["episode", "start", "Fix the flaky login test"].iter().chain(&flags)).ok();
    let id = started.trim();
    let step = ["episode", "step", id];
    let failing =
        ["--tool", "bash", "--arguments", r#"{"command": "npm test"}"#, "--error", "timeout after 5000 ms"];
    assert_eq!(world.run(step.iter().chain(&failing)).ok(), "1\n");
    let document = br#"{"tool": "edit", "observation": "1 file changed", "duration_ms": 12, "tokens": 34}"#;
    assert_eq!(world.run_with_input(&["episode", "step", id, "--stdin"], document).ok(), "2\n");
    assert_eq!(
        world
            .run(["episode", "step", id, "--tool", "bash", "--arguments", r#"{"command": "npm test"}"#])
            .ok(),
        "3\n"
    );
    let content = world.file("login.ts", "await cookie()\n");
    world
        .run(
            ["episode", "artifact", id, "--name", "login.ts", "--file", content.to_str().unwrap()]
                .iter()
                .chain(&[
                    "--language",
                    "typescript",
                    "--lines-added",
                    "1",
                    "--tests-passed",
                    "3",
                    "--measure",
                    "coverage=0.8",
                ]),
        )
        .ok();
    let completed = world
        .run(["--json", "episode", "complete", id, "--outcome", "success", "--summary", "waits now"])
        .object();
    assert_eq!((&completed["steps"], &completed["learned"]), (&json!(3), &json!(true)));

    let shown = world.run(["--json", "episodes", "show", id]).object();
    assert_eq!(shown["episode"]["task"]["attributes"], json!({"vcs.branch": "main"}));
    assert_eq!(shown["episode"]["confidence"], json!(1.0));
    let artifact = &shown["artifacts"][0]["product"];
    assert_eq!((&artifact["language"], &artifact["lines_added"]), (&json!("typescript"), &json!(1)));
    assert_eq!(artifact["quality"]["measures"], json!({"coverage": 0.8}));
    assert_eq!(artifact["content"], "await cookie()\n");
    let recalled = world.run([
        "--json",
        "recall",
        "login test is flaky",
        "--failed",
        "bash",
        "--error",
        "timeout after 9000 ms",
    ]);
    assert!(!recalled.object()["fixes"].as_array().unwrap().is_empty());
}

#[test]
fn a_finished_episode_is_recorded_once_by_its_key() {
    let world = World::new();
    let document = json!({
        "source_key": "run 7",
        "task": {"description": "Ship the parcel", "parent": null},
        "steps": [{"tool": "pack"}, {"tool": "send", "result": "timeout"}],
        "artifacts": [{"name": "label", "content": "x", "quality": {"accepted": true}}],
        "outcome": {"verdict": "failure", "summary": "the carrier is closed", "confidence": 0.6},
    });
    let record =
        || world.run_with_input(&["--json", "episode", "record"], document.to_string().as_bytes()).object();
    let first = record();
    assert_eq!(first["recorded"], "new");
    let again = record();
    assert_eq!((&again["recorded"], &again["episode"]), (&json!("known"), &first["episode"]));
    let shown = world.run(["--json", "episodes", "show", first["episode"].as_str().unwrap()]).object();
    assert_eq!(shown["episode"]["confidence"], json!(0.6));
    assert_eq!(
        (shown["steps"].as_array().unwrap().len(), shown["artifacts"].as_array().unwrap().len()),
        (2, 1)
    );
}

#[test]
fn feedback_corrects_the_outcome_and_what_was_learned() {
    let world = World::new();
    let document = |key: &str| {
        json!({
            "source_key": key, "task": {"description": "Polish the brass lamp"},
            "steps": [{"tool": "polish"}], "outcome": {"verdict": "success", "summary": "shiny"},
        })
    };
    let record = |key: &str| {
        let text = document(key).to_string();
        world.run_with_input(&["--json", "episode", "record"], text.as_bytes()).object()["episode"].clone()
    };
    let id = record("one");
    record("two");
    let id = id.as_str().unwrap();
    let forecast = || {
        let recalled = world.run(["--json", "recall", "Polish the brass lamp"]).object();
        recalled["forecast"]["success"].as_f64().unwrap()
    };
    let before = forecast();
    let reward = |id: &str| {
        world.run(["--json", "episodes", "show", id]).object()["episode"]["reward"].as_f64().unwrap()
    };
    let first = reward(id);
    let give = |flags: &[&str]| world.run(["--json", "episode", "feedback", id].iter().chain(flags)).object();
    let corrected = give(&["--outcome", "failure", "--summary", "it was scratched", "--accepted", "false"]);
    assert_eq!(corrected["outcome"]["verdict"], "failure");
    assert!(corrected["reward"].as_f64().unwrap() < first && forecast() < before);
    // The same again changes nothing; another key adds; none of it touches another episode.
    assert_eq!(
        give(&["--outcome", "failure", "--summary", "it was scratched", "--accepted", "false"]),
        corrected
    );
    give(&["--key", "ci", "--tests-passed", "3", "--tests-failed", "0"]);
    let shown = world.run(["--json", "episodes", "show", id]).object();
    assert_eq!(shown["episode"]["feedback"].as_array().unwrap().len(), 2);
    assert_eq!(shown["episode"]["stated"]["outcome"]["verdict"], "success");
    let text = world.run(["episodes", "show", id]).ok();
    assert!(text.contains("What became known later") && text.contains("not accepted"), "{text}");
    // Taking the correction back by another one restores what it was worth.
    give(&["--outcome", "success", "--summary", "shiny"]);
    give(&["--key", "ci", "--comment", "void"]);
    assert_eq!(reward(id), first);
    let open = start(&world, "Sweep");
    let (message, _) =
        world.run(["--json", "episode", "feedback", &open, "--accepted", "true"]).error(1, "conflict");
    assert!(message.contains("not completed"), "{message}");
}

#[test]
fn bad_input_names_the_field_and_stores_nothing() {
    let world = World::new();
    let id = start(&world, "Sweep the yard");
    let check = |arguments: &[&str], input: &str, expected: &str| {
        let arguments: Vec<&str> = ["--json"].iter().chain(arguments).copied().collect();
        let run = world.run_with_input(&arguments, input.as_bytes());
        assert_eq!((run.code, run.stdout.as_str()), (2, ""), "{}", run.stderr);
        assert!(run.stderr.contains(expected), "{} does not say {expected:?}", run.stderr);
    };
    check(&["episode", "step", &id], "", "says nothing");
    check(&["episode", "step", &id, "--stdin"], r#"{"tool": "a", "durration_ms": 1}"#, "durration_ms");
    check(&["episode", "step", &id, "--stdin"], r#"{"tool": "a", "attributes": [1]}"#, "step.attributes");
    check(&["episode", "step", "nonsense", "--tool", "a"], "", "nonsense");
    check(&["episode", "artifact", &id, "--name", "a", "--measure", "coverage"], "", "NAME=NUMBER");
    check(&["episode", "complete", &id, "--outcome", "partial"], "", "outcome.fraction");
    check(
        &["episode", "complete", &id, "--outcome", "success", "--confidence", "2"],
        "",
        "outcome.confidence",
    );
    check(
        &["episode", "record"],
        r#"{"task": {"description": " "}, "outcome": {"verdict": "success"}}"#,
        "task.description",
    );
    let shown = world.run(["--json", "episodes", "show", &id]).object();
    assert_eq!((&shown["episode"]["status"], &shown["steps"]), (&json!("open"), &json!([])));
}

#[test]
fn nothing_is_learned_from_an_unknown_outcome() {
    let world = World::new();
    for _ in 0..3 {
        let id = start(&world, "Polish the brass lamp");
        world.run(["episode", "step", &id, "--tool", "polish"]).ok();
        world.run(["episode", "complete", &id, "--outcome", "unknown"]).ok();
    }
    let recalled = world.run(["--json", "recall", "Polish the brass lamp"]).object();
    assert_eq!(recalled["episodes"].as_array().unwrap().len(), 3, "{recalled}");
    for what in ["tools", "patterns", "heuristics", "warnings"] {
        assert_eq!(recalled[what], json!([]), "{what}");
    }
    assert_eq!(recalled["playbook"], Value::Null);
    let text = world.run(["recall", "Polish the brass lamp", "--prompt", "500"]).ok();
    assert!(text.contains("Outcome unknown"), "{text}");
}

/// Returns the commands in the `sh` blocks of a skill.
fn commands(skill: &str) -> String {
    let path = format!("{}/../skills/{skill}/SKILL.md", env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(path).unwrap();
    let blocks = text.split("```sh\n").skip(1).map(|rest| rest.split("```").next().unwrap());
    blocks.collect::<Vec<_>>().join("\n")
}

#[test]
fn the_skills_run_as_written() {
    let world = World::empty();
    let skills = [
        "capture-task-execution",
        "log-code-quality",
        "record-failure-pattern",
        "record-success-pattern",
        "check-similar-tasks",
    ];
    let mut answer = String::new();
    for skill in skills {
        let script = commands(skill);
        assert!(script.contains("memory "), "{skill} has no commands");
        let mut shell = std::process::Command::new("sh");
        let program = std::path::Path::new(env!("CARGO_BIN_EXE_memory")).parent().unwrap();
        shell
            .args(["-ec", &script])
            .env_clear()
            .env("PATH", format!("{}:/usr/bin:/bin", program.display()))
            .env("HOME", world.path(""))
            .env("MEMORY_DB_PATH", world.path("memory"));
        let output = shell.output().unwrap();
        assert!(output.status.success(), "{skill}: {}", String::from_utf8_lossy(&output.stderr));
        answer = String::from_utf8(output.stdout).unwrap();
    }
    assert!(answer.contains("<recalled-memory") && answer.contains("session cookie"), "{answer}");
}
