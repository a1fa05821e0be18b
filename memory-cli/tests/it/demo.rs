use serde_json::Value;

use crate::command::{World, names};

#[test]
fn the_demo_is_told_in_sections() {
    let world = World::new();
    insta::assert_snapshot!(world.stable(&world.run(["demo", "--verbose"]).ok()));
}

#[test]
fn the_demo_shows_three_moments_on_one_page() {
    let world = World::new();
    let told = world.run(["demo"]).ok();
    assert!(told.lines().count() <= 40, "{told}");
    insta::assert_snapshot!(world.stable(&told));
}

#[test]
fn the_demo_is_one_object_and_running_it_again_adds_nothing() {
    let world = World::new();
    let first = world.run(["demo", "--json"]).object();
    let fields = [
        "after",
        "before",
        "folder",
        "learned",
        "live",
        "midway",
        "prompt",
        "related",
        "reopen",
        "sample",
        "status",
        "unrelated",
    ];
    assert_eq!(names(&first), fields);
    assert_eq!(first["folder"], world.path("memory/demo").to_str().unwrap());
    let sample = first["sample"]["new"].as_u64().unwrap();
    assert!(sample >= 24, "{sample}");
    assert_eq!(first["reopen"]["episodes"], sample + 1);
    assert_eq!(first["reopen"]["live_steps"], 5);
    assert_eq!(first["unrelated"]["episodes"], Value::Array(Vec::new()));
    assert_eq!(first["related"]["episodes"][0]["id"], first["live"]["id"]);
    learning_shows(&first);
    assert!(!first["prompt"].as_str().unwrap().is_empty());

    let second = world.run(["demo", "--json"]).object();
    assert_eq!(
        (&second["sample"]["new"], &second["sample"]["known"]),
        (&Value::from(0), &Value::from(sample))
    );
    assert_eq!(second["reopen"]["episodes"], sample + 1);
    assert_ne!(second["live"]["id"], first["live"]["id"]);
    // The usual memory of the user has none of it.
    world.run(["episodes", "list", "--json"]).error(1, "not_found");
}

/// The same task before and after: nothing is known, then what to do, what not to do, and what fixes an error.
fn learning_shows(demo: &Value) {
    let (before, after) = (&demo["before"], &demo["after"]);
    assert_eq!(before["text"], after["text"]);
    for field in ["tools", "heuristics", "warnings", "patterns", "episodes"] {
        assert_eq!(before[field], Value::Array(Vec::new()), "{field}");
        assert_ne!(after[field], Value::Array(Vec::new()), "{field}");
    }
    assert_eq!((&before["playbook"], &before["forecast"]), (&Value::Null, &Value::Null));
    let tools: Vec<&Value> =
        after["tools"].as_array().unwrap().iter().map(|advice| &advice["tool"]).collect();
    // Migrations stand in between, if they are likely enough.
    assert_eq!(
        (tools.first(), tools.last()),
        (Some(&&Value::from("deploy_service")), Some(&&Value::from("check_rollout")))
    );
    let midway = demo["midway"]["tools"].as_array().unwrap();
    assert_eq!(
        midway.first().map(|advice| &advice["tool"]),
        Some(&Value::from("run_migrations")),
        "{midway:?}"
    );
    let steps = after["playbook"]["steps"].as_array().unwrap();
    assert!(steps.iter().any(|step| step["instruction"].as_str().unwrap().contains("3.2.1")), "{steps:?}");
    let warnings = after["warnings"].to_string();
    assert!(warnings.contains("restart_service"), "{warnings}");
    let fixes = demo["midway"]["fixes"].to_string();
    assert!(fixes.contains("run_migrations"), "{fixes}");
    assert!(demo["learned"]["heuristic"].as_u64().unwrap() > 0, "{}", demo["learned"]);
    assert!(demo["live"]["reward"]["total"].as_f64().unwrap() > 0.0, "{}", demo["live"]);
    assert_eq!(demo["live"]["reflection"]["episode"], demo["live"]["id"]);
}

#[test]
fn the_demo_never_leaves_the_machine() {
    let world = World::new();
    let (_, hint) = world.run(["demo", "--json", "--url", "http://127.0.0.1:9"]).error(2, "usage");
    assert!(hint.contains("--path"), "{hint}");
    let mut command = world.command();
    command.env("TURSO_DATABASE_URL", "http://127.0.0.1:9").args(["demo", "--json", "--path", "here"]);
    assert_eq!(crate::command::finish(&mut command).object()["status"]["mode"], "local");
    assert!(world.path("here/memory.db").is_file());
}
