//! `memory redact`: what was stored without today's rules.

use crate::command::{World, names};

const SECRET: &str = "ghp_aB3dE5fG7haB3dE5fG7haB3dE5fG7haB3dE5";

/// A world that recorded secrets while redaction was off.
fn careless() -> World {
    let world = World::new();
    let off = world.file("off.toml", "[redaction]\nenabled = false\n");
    let call = format!(
        r#"{{"name": "login", "kwargs": {{"token": "{SECRET}"}}}}, {{"name": "deploy", "kwargs": {{}}}}"#
    );
    let line = |id: usize| {
        format!(r#"{{"id": "{id}", "instruction": "Deploy {id} with {SECRET}", "actions": [{call}]}}"#)
    };
    let lines: Vec<String> = (0..3).map(line).collect();
    let file = world.file("lines.jsonl", &(lines.join("\n") + "\n"));
    world.run(["import", file.to_str().unwrap(), "--config", off.to_str().unwrap()]).ok();
    world
}

fn shown(world: &World) -> String {
    let listed = world.run(["episodes", "list", "--json"]).object();
    let ids = listed["episodes"].as_array().unwrap().iter().map(|it| it["id"].as_str().unwrap().to_owned());
    ids.map(|id| world.run(["episodes", "show", &id, "--json"]).ok()).collect()
}

#[test]
fn secrets_are_counted_first_and_replaced_when_told_to() {
    let world = careless();
    assert!(shown(&world).contains(SECRET));

    let dry = world.run(["redact", "--json"]).object();
    assert_eq!(names(&dry), ["applied", "checked", "records", "rules", "unreadable", "waiting"]);
    assert_eq!(dry["applied"], false);
    assert!(dry["rules"].as_object().unwrap().values().any(|count| count.as_u64() >= Some(6)), "{dry}");
    assert!(!dry.to_string().contains(SECRET), "{dry}");
    let told = world.run(["redact"]);
    assert!(told.stdout.contains("found in") && told.stderr.contains("--apply"), "{told:?}");
    assert!(shown(&world).contains(SECRET), "a dry run changes nothing");

    let told = world.run(["redact", "--apply"]).ok();
    assert!(told.contains("replaced in"), "{told}");
    assert!(!shown(&world).contains(SECRET));
    assert!(shown(&world).contains("[REDACTED:"));
    let recalled = world.run(["recall", "deploy 2", "--json"]).object();
    assert_eq!(recalled["episodes"].as_array().unwrap().len(), 3);
    assert!(!recalled.to_string().contains(&SECRET.to_lowercase()[4..]), "{recalled}");

    assert_eq!(world.run(["redact"]).ok().lines().count(), 1, "nothing is left to find");
    let from = world.run(["redact", "--from", "cycle:", "--json"]).object();
    assert!(from["checked"].as_u64().unwrap() < dry["checked"].as_u64().unwrap());
    world.run(["redact", "--from", "nowhere", "--json"]).error(2, "invalid_input");
}
