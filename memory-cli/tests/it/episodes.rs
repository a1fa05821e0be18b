use serde_json::Value;

use crate::command::{LINES, World, names};

#[test]
fn lists_and_shows_for_people() {
    let world = World::with(LINES);
    insta::assert_snapshot!("list", world.stable(&world.run(["episodes", "list"]).ok()));
    let list = world.run(["episodes", "list", "--json", "--outcome", "failure"]).object();
    let id = list["episodes"][0]["id"].as_str().unwrap().to_owned();
    insta::assert_snapshot!("show", world.stable(&world.run(["episodes", "show", &id]).ok()));
    // The end of an id stands for it.
    let end = id.rsplit('-').next().unwrap();
    let shown = |id: &str| world.run(["episodes", "show", "--json", id]).ok();
    assert_eq!(shown(end), shown(&id));
}

#[test]
fn lists_and_shows_for_programs() {
    let world = World::with(LINES);
    let list = world.run(["episodes", "list", "--json"]).object();
    assert_eq!(names(&list), ["episodes", "next", "stale_ms"]);
    assert_eq!((&list["next"], &list["stale_ms"]), (&Value::Null, &Value::Null));
    let failed = world.run(["episodes", "list", "--json", "--outcome", "failure"]).object();
    let id = failed["episodes"][0]["id"].as_str().unwrap().to_owned();
    let shown = world.run(["episodes", "show", "--json", &id]).ok();
    let shown: Value = serde_json::from_str(&shown).unwrap();
    insta::assert_snapshot!("show_json", world.stable(&format!("{shown:#}")));
}

#[test]
fn filters_agree_with_what_is_listed() {
    let world = World::with(LINES);
    let check = |flags: &[&str], expected: usize| {
        let arguments = ["episodes", "list", "--json"].iter().chain(flags);
        let list = world.run(arguments).object();
        assert_eq!(list["episodes"].as_array().unwrap().len(), expected, "{flags:?}");
    };
    check(&[], 3);
    check(&["--completed"], 3);
    check(&["--open"], 0);
    check(&["--outcome", "success"], 2);
    check(&["--domain", "airline"], 1);
    check(&["--kind", "task"], 1);
    check(&["--kind", "task", "--outcome", "failure"], 0);
}

#[test]
fn pages_add_up_to_the_whole_list() {
    let world = World::with(LINES);
    let ids = |list: &Value| -> Vec<String> {
        let episodes = list["episodes"].as_array().unwrap();
        episodes.iter().map(|episode| episode["id"].as_str().unwrap().to_owned()).collect()
    };
    let all = ids(&world.run(["episodes", "list", "--json", "--all"]).object());
    let first = world.run(["episodes", "list", "--json", "--limit", "2"]).object();
    let next = first["next"].as_str().unwrap();
    let second = world.run(["episodes", "list", "--json", "--limit", "2", "--after", next]).object();
    assert_eq!([ids(&first), ids(&second)].concat(), all);
    assert_eq!(second["next"], Value::Null);
    let told = world.run(["episodes", "list", "--limit", "2"]);
    assert!(told.stderr.contains(&format!("--after {next}")), "{}", told.stderr);
}

#[test]
fn forgetting_needs_a_word_and_lasts() {
    let world = World::with(LINES);
    let failed = world.run(["episodes", "list", "--json", "--outcome", "failure"]).object();
    let id = failed["episodes"][0]["id"].as_str().unwrap().to_owned();
    let refused = world.run(["episodes", "forget", &id]);
    assert_eq!(refused.code, 2);
    assert!(refused.stderr.contains("--yes"), "{}", refused.stderr);
    let forgotten = world.run(["episodes", "forget", "--yes", "--json", &id]).object();
    assert_eq!((&forgotten["forgotten"], &forgotten["waiting"]), (&Value::from(id.clone()), &Value::from(0)));
    world.run(["episodes", "show", "--json", &id]).error(1, "not_found");
    world.run(["episodes", "forget", "--yes", "--json", &id]).error(1, "not_found");
    let again = world.run(["import", "--json", "fixture.jsonl"]).object();
    assert_eq!((&again["new"], &again["known"], &again["forgotten"]), (&0.into(), &2.into(), &1.into()));
}
