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

#[test]
fn an_episode_is_shown_with_what_learning_made_of_it() {
    let world = World::with(LINES);
    let failed = world.run(["episodes", "list", "--json", "--outcome", "failure"]).object();
    let id = failed["episodes"][0]["id"].as_str().unwrap();
    let shown = world.run(["episodes", "show", "--json", id]).object();
    let reward = &shown["reward"];
    let told = world.run(["episodes", "show", id]).ok();
    for factor in ["outcome", "efficiency", "complexity", "quality", "learning_bonus"] {
        let told_as = format!("{} {:.2}", factor.replace('_', " "), reward[factor].as_f64().unwrap());
        assert!(told.contains(&told_as), "{told_as}: {told}");
    }
    assert!(told.contains(&format!("reward   {:.2}", reward["total"].as_f64().unwrap())), "{told}");
    let insight = &shown["reflection"]["failed"][0];
    let steps = &insight["steps"][0];
    let text: String = insight["text"].as_str().unwrap().chars().take(30).collect();
    assert!(told.contains(&text) && told.contains(&format!("(step {steps}")), "{told}");
    assert!(!told.contains("What was recalled for it"), "{told}");
    // An import that leaves learning for later leaves a score, and no reflection.
    let later = World::new();
    later.file("lines.jsonl", LINES);
    // Nor do the commands that follow learn meanwhile.
    later.file("quiet.toml", "[learning]\nbackground = false\n");
    later.run(["import", "--no-learn", "lines.jsonl"]).ok();
    let show = ["episodes", "show", "--config", "quiet.toml"];
    let shown = later.run(show.into_iter().chain(["--json", id])).object();
    assert_eq!(shown["reflection"], Value::Null);
    assert!(later.run(show.into_iter().chain([id])).ok().contains("not learned from yet"));
}

#[test]
fn an_episode_is_shown_with_what_was_recalled_for_it() {
    let world = World::with(LINES);
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let (id, used) = runtime.block_on(async {
        let memory = agent_memory::Memory::open(world.path("memory")).await.unwrap();
        let recall = memory.recall("Cancel my flight to Turku.").await.unwrap();
        let mut episode = memory.start("Cancel my flight to Turku.").await.unwrap();
        episode.note_recall(&recall).await.unwrap();
        let used = agent_memory::ItemId::Episode(recall.episodes[0].id);
        episode.note_use(&[used]).await.unwrap();
        memory.close(std::time::Duration::from_secs(5)).await.unwrap();
        (episode.id().to_string(), used.record_id())
    });
    let told = world.run(["episodes", "show", &id]).ok();
    let shown = world.run(["episodes", "show", "--json", &id]).object();
    let items = shown["episode"]["recall"]["shown"].as_array().unwrap();
    assert_eq!((&shown["reward"], &shown["reflection"]), (&Value::Null, &Value::Null));
    let section = told.split_once("What was recalled for it\n").expect("a section").1;
    let count = if items.len() == 1 { "1 item".into() } else { format!("{} items", items.len()) };
    assert!(section.starts_with(&format!("  {count} shown, 1 said to be used\n")), "{told}");
    let first = section.lines().nth(1).unwrap();
    let end = used.rsplit('-').next().unwrap();
    assert!(first.starts_with(&format!("  used  episode   {end}  ")) && first.contains("flight"), "{told}");
    assert_eq!(section.matches("  shown ").count(), (items.len() - 1).min(11), "{told}");
}
