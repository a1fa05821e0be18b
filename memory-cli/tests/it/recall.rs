use serde_json::Value;

use crate::command::{LINES, World, names};

#[test]
fn tells_what_may_help_and_why() {
    let world = World::with(LINES);
    insta::assert_snapshot!("recall", world.stable(&world.run(["recall", "cancel", "a", "flight"]).ok()));
    let prompt = world.run(["recall", "cancel a flight", "--prompt", "400", "--limit", "1"]).ok();
    insta::assert_snapshot!("recall_prompt", world.stable(&prompt));
}

#[test]
fn answers_with_one_object() {
    let world = World::with(LINES);
    let recall = world.run(["recall", "cancel a flight", "--json", "--prompt", "400"]).object();
    assert_eq!(names(&recall), ["episodes", "out_of_reach", "prompt", "searched", "stale_ms"]);
    assert_eq!(names(&recall["episodes"][0]), ["episode", "id", "parts", "reasons", "score"]);
    assert_eq!(recall["searched"], 3);
    let best = recall["episodes"][0]["episode"]["task"]["description"].as_str().unwrap();
    assert_eq!(best, "I want to cancel my flight to Oslo.");
}

#[test]
fn says_honestly_that_nothing_is_known() {
    let world = World::new();
    let told = world.run(["recall", "cancel a flight"]).ok();
    assert_eq!(told, "Nothing is known yet: the memory has no episodes.\n");
    let world = World::with(LINES);
    let told = world.run(["recall", "wedding speech"]).ok();
    assert_eq!(told, "Nothing relevant is known: none of 3 episodes is close enough to this task.\n");
    let recall = world.run(["recall", "wedding speech", "--json"]).object();
    assert_eq!(recall["episodes"], Value::Array(Vec::new()));
    // Nothing goes into the prompt; the reason goes where people look.
    let prompt = world.run(["recall", "wedding speech", "--prompt", "400"]);
    assert_eq!((prompt.code, prompt.stdout.as_str()), (0, ""));
    assert!(prompt.stderr.contains("Nothing relevant"), "{}", prompt.stderr);
}

#[test]
fn reads_the_task_from_standard_input() {
    let world = World::with(LINES);
    let recall = world.run_with_input(&["recall", "-", "--json"], b"cancel\na flight\n").object();
    assert_eq!(recall["episodes"][0]["episode"]["task"]["correlation_id"], "7/0");
    world.run_with_input(&["recall", "-", "--json"], b"\xff\xfe").error(2, "invalid_input");
    world.run_with_input(&["recall", "-", "--json"], b"\n").error(2, "invalid_input");
    world.run_with_input(&["recall", "-", "--json"], "x".repeat(10_001).as_bytes()).error(2, "invalid_input");
}
