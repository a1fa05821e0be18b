use std::path::Path;

use serde_json::Value;

use crate::command::{World, names};

/// A world that has learned from the sample tasks.
fn learned() -> World {
    let world = World::new();
    let sample = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/tasks_train.jsonl");
    world.run(["import", sample.to_str().unwrap(), "--domain", "retail"]).ok();
    world.run(["consolidate"]).ok();
    world
}

fn heuristics(world: &World, arguments: &[&str]) -> Vec<Value> {
    let listed = world.run(["heuristics", "list", "--json"].iter().chain(arguments)).object();
    assert_eq!(names(&listed), ["heuristics", "hidden", "more", "stale_ms"]);
    listed["heuristics"].as_array().unwrap().clone()
}

#[test]
fn heuristics_are_listed_and_explained_by_their_episodes() {
    let world = learned();
    let listed = heuristics(&world, &[]);
    let sure: Vec<f64> = listed.iter().map(|item| item["confidence"].as_f64().unwrap()).collect();
    assert!(!sure.is_empty() && sure.is_sorted_by(|a, b| a >= b), "{sure:?}");
    let cancel = listed.iter().find(|item| item["tool"] == "cancel_order").expect("a rule on cancelling");
    let id = cancel["id"].as_str().unwrap();
    let explained = world.run(["heuristics", "show", id, "--json"]).object();
    assert_eq!(names(&explained), ["contradicting", "heuristic", "stale_ms", "supporting", "uses"]);
    let supporting = explained["supporting"].as_array().unwrap();
    assert!(!supporting.is_empty());
    for episode in supporting {
        let task = episode["task"]["description"].as_str().unwrap();
        assert!(task.to_lowercase().contains("cancel"), "{task}");
    }
    let table = world.run(["heuristics", "list"]).ok();
    assert!(table.starts_with("ID ") && table.contains("cancel_order"), "{table}");
    let told = world.run(["heuristics", "show", &id[id.len() - 12..]]).ok();
    assert!(told.contains("cancel_order") && told.contains("Episodes that support it"), "{told}");
}

#[test]
fn people_rule_on_heuristics() {
    let world = learned();
    let id = heuristics(&world, &[])[0]["id"].as_str().unwrap().to_owned();
    let rule = |verb: &str| world.run(["heuristics", verb, &id, "--json"]);
    let states = |verb: &str| rule(verb).object()["heuristic"]["ruling"].as_str().map(str::to_owned);
    assert_eq!(states("pin").as_deref(), Some("pinned"));
    rule("restore").error(1, "conflict");
    assert_eq!(states("unpin"), None);
    rule("unpin").error(1, "conflict");
    assert_eq!(states("reject").as_deref(), Some("rejected"));
    let is_listed = |arguments: &[&str]| heuristics(&world, arguments).iter().any(|item| item["id"] == *id);
    assert!(!is_listed(&[]) && is_listed(&["--all"]));
    // Learning again does not undo it.
    world.run(["consolidate"]).ok();
    assert!(!is_listed(&[]) && is_listed(&["--all"]));
    assert_eq!(states("restore"), None);
    assert!(is_listed(&[]));
    world.run(["heuristics", "show", "nonsense", "--json"]).error(2, "invalid_input");
    world.run(["heuristics", "pin", "00000000-0000-5000-8000-000000000000", "--json"]).error(1, "not_found");
}

#[test]
fn people_rule_on_patterns_playbooks_and_failures() {
    let world = demo_learned();
    let listed = |command: &str, all: bool| {
        let flag = if all { &["--all"][..] } else { &[] };
        let object = world.run([&[command, "list", "--json"], flag].concat()).object();
        object[command].as_array().unwrap().clone()
    };
    let mut ruled = 0;
    for (command, one) in [("patterns", "pattern"), ("playbooks", "playbook"), ("failures", "failure")] {
        let id = listed(command, false)[0]["id"].as_str().unwrap().to_owned();
        let holds = |items: &[Value]| items.iter().any(|item| item["id"] == *id);
        let rule = |verb: &str| world.run([command, verb, &id, "--json"]);
        assert_eq!(rule("pin").object()[one]["ruling"], "pinned");
        rule("restore").error(1, "conflict");
        assert_eq!(rule("unpin").object()[one]["ruling"], Value::Null);
        assert_eq!(rule("reject").object()[one]["ruling"], "rejected");
        world.run(["consolidate"]).ok();
        assert!(!holds(&listed(command, false)) && holds(&listed(command, true)), "{command}");
        let table = world.run([command, "list", "--all"]).ok();
        assert!(table.contains("rejected") || command == "failures", "{table}");
        assert!(world.run([command, "show", &id]).ok().contains("rejected"));
        ruled += 1;
        let rulings = world.run(["rulings", "--json"]).object()["rulings"].as_array().unwrap().len();
        assert_eq!(rulings, ruled);
    }
    assert!(world.run(["rulings"]).ok().contains("rejected"));
    let id = listed("patterns", true)[0]["id"].as_str().unwrap().to_owned();
    world.run(["patterns", "show", &id]).ok();
}

#[test]
fn people_rule_on_one_fix_of_a_failure() {
    let world = demo_learned();
    let failures = world.run(["failures", "list", "--json"]).object();
    let fixed = |failure: &&Value| failure["resolved"].as_u64() > Some(0);
    let failure = failures["failures"].as_array().unwrap().iter().find(fixed).expect("an error was got over");
    let id = failure["id"].as_str().unwrap();
    let fix = failure["remedies"][0]["text"].as_str().unwrap();
    let rule = |verb: &str, fix: &str| world.run(["failures", verb, id, "--remedy", fix, "--json"]);
    let ruling = |verb: &str| rule(verb, fix).object()["failure"]["remedies"][0]["ruling"].clone();
    assert_eq!(ruling("reject"), "rejected");
    let told = world.run(["failures", "show", id]).ok();
    let told = told.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(told.contains("; rejected"), "{told}");
    rule("unpin", fix).error(1, "conflict");
    assert_eq!(ruling("restore"), Value::Null);
    assert_eq!(ruling("pin"), "pinned");
    rule("reject", "nothing of the kind").error(1, "not_found");
}

/// A world that has learned from the sample of the demo.
fn demo_learned() -> World {
    let world = World::new();
    let sample = Path::new(env!("CARGO_MANIFEST_DIR")).join("data/sample.jsonl");
    world.run(["import", sample.to_str().unwrap()]).ok();
    world
}

#[test]
fn everything_learned_is_listed_and_shown_with_its_episodes() {
    let world = demo_learned();
    let check = |command: &str, one: &str, heading: &str| {
        let listed = world.run([command, "list", "--json"]).object();
        let mut fields = [command, "hidden", "more", "stale_ms"];
        fields.sort_unstable();
        assert_eq!(names(&listed), fields);
        let items = listed[command].as_array().unwrap();
        let records = world.run(["status", "--json"]).object()["records"][one].as_u64().unwrap();
        assert_eq!(items.len() as u64 + listed["hidden"].as_u64().unwrap(), records);
        let first = &items[0];
        let id = first["id"].as_str().unwrap();

        let shown = world.run([command, "show", id, "--json"]).object();
        let mut fields = ["episodes", one, "stale_ms", "uses"];
        fields.sort_unstable();
        assert_eq!(names(&shown), fields);
        assert_eq!(&shown[one], first);
        assert!(!shown["episodes"].as_array().unwrap().is_empty(), "{shown}");
        assert!(shown["episodes"][0]["task"]["description"].is_string(), "{shown}");

        let table = world.run([command, "list"]).ok();
        assert!(table.starts_with("ID ") && table.lines().count() == items.len() + 1, "{table}");
        assert!(table.lines().nth(1).unwrap().starts_with(id), "{table}");
        let told = world.run([command, "show", &id[id.len() - 12..]]).ok();
        assert!(told.contains(id) && told.contains(heading), "{told}");
        assert_eq!(world.run([command, "show", &format!("{one}:{id}")]).ok(), told);

        let limited = world.run([command, "list", "--json", "--limit", "1"]).object();
        assert_eq!(limited[command], Value::from(&items[..1]));
        assert_eq!(limited["more"], items.len() - 1);
        let domain = first["domain"].as_str().unwrap();
        let of_domain: Vec<&Value> = items.iter().filter(|item| item["domain"] == domain).collect();
        let filtered = world.run([command, "list", "--json", "--domain", domain]).object();
        assert_eq!(filtered[command], serde_json::json!(of_domain));
        let none = world.run([command, "list", "--domain", "nowhere"]).ok();
        assert_eq!(none, format!("No {command}.\n"));

        world.run([command, "show", "nonsense", "--json"]).error(2, "invalid_input");
        let unknown = "00000000-0000-5000-8000-000000000000";
        let (_, hint) = world.run([command, "show", unknown, "--json"]).error(1, "not_found");
        assert!(hint.contains(&format!("memory {command} list")), "{hint}");
    };
    check("patterns", "pattern", "Episodes that show it");
    check("playbooks", "playbook", "Steps");
    check("failures", "failure", "Episodes that met it");
    let heuristics = heuristics(&world, &["--limit", "1"]);
    assert_eq!(heuristics.len(), 1);
    let more = world.run(["failures", "list", "--limit", "1"]);
    assert!(more.stderr.contains("without --limit"), "{}", more.stderr);
    let all = world.run(["failures", "list", "--all"]).ok();
    assert_eq!(all, world.run(["failures", "list"]).ok(), "no failure lesson is ever withheld by its uses");
}

#[test]
fn failures_are_found_by_an_error_like_theirs() {
    let world = demo_learned();
    let all = world.run(["failures", "list", "--json"]).object();
    let known = &all["failures"][0];
    let (example, tool) = (known["example"].as_str().unwrap(), known["tool"].as_str().unwrap());
    let like =
        |error: &str| world.run(["failures", "list", "--json", "--error", error, "--tool", tool]).object();
    assert_eq!(like(example)["failures"][0]["id"], known["id"]);
    assert_eq!(like("the moon is made of cheese")["failures"], serde_json::json!([]));
    let domain = known["domain"].as_str().unwrap().to_uppercase();
    let filtered =
        world.run(["failures", "list", "--json", "--error", example, "--domain", &domain]).object();
    assert_eq!(filtered["failures"][0]["id"], known["id"]);
    let (message, _) = world.run(["failures", "list", "--json", "--error", " "]).error(2, "invalid_input");
    assert!(message.contains("error: it is empty"), "{message}");
    world.run(["failures", "list", "--json", "--tool", tool]).error(2, "usage");
}

#[test]
fn failures_speak_for_what_failing_episodes_do() {
    let world = demo_learned();
    let listed = world.run(["patterns", "list", "--json"]).object();
    let patterns = listed["patterns"].as_array().unwrap();
    let avoided = patterns.iter().find(|item| item["strategy"] == "anti_pattern").unwrap();
    let failed = &avoided["tally"]["failures"];
    assert_ne!(failed, &Value::from(0));
    let told = world.run(["patterns", "show", avoided["id"].as_str().unwrap()]).ok();
    assert!(told.contains(&format!("the lower bound of what {failed} for and")), "{told}");
}

#[test]
fn a_failure_lesson_tells_what_fixed_it() {
    let world = demo_learned();
    let listed = world.run(["failures", "list", "--json"]).object();
    let fixed = listed["failures"].as_array().unwrap().iter().find(|item| item["resolved"] != 0).unwrap();
    let told = world.run(["failures", "show", fixed["id"].as_str().unwrap()]).ok();
    let fix: String = fixed["remedies"][0]["text"].as_str().unwrap().chars().take(40).collect();
    assert!(told.contains(&format!("fix     {fix}")), "{told}");
}

#[test]
fn stats_tell_what_was_learned_and_what_of_it_is_junk() {
    let empty = World::empty().run(["stats", "--json"]).object();
    assert_eq!((&empty["duplicate_share"], &empty["items"]["pattern"]["count"]), (&Value::Null, &0.into()));
    let world = learned();
    let stats = world.run(["stats", "--json"]).object();
    let fields = [
        "advice",
        "cycles",
        "duplicate_share",
        "heuristics_not_recalled",
        "items",
        "metrics",
        "never_used_share",
        "never_useful_share",
        "records",
        "stale_ms",
        "strategies",
    ];
    assert_eq!(names(&stats), fields);
    assert_eq!(stats["records"]["episode"], 8);
    let learned: u64 =
        stats["advice"].as_array().unwrap().iter().map(|skill| skill["episodes"].as_u64().unwrap()).sum();
    assert_eq!(learned, 8, "{}", stats["advice"]);
    assert_eq!(stats["items"]["heuristic"]["count"], heuristics(&world, &["--all"]).len());
    assert!(stats["items"]["pattern"]["count"].as_u64().unwrap() > 0, "{stats}");
    let total: u64 =
        stats["strategies"].as_object().unwrap().values().map(|count| count.as_u64().unwrap()).sum();
    assert_eq!(stats["items"]["pattern"]["count"], total);
    // Nobody said what was used.
    assert_eq!(stats["never_used_share"], 1.0);
    let told = world.run(["stats"]).ok();
    assert!(told.contains("duplicates") && told.contains("never useful"), "{told}");
    let counted = |text: &str| text.contains(" pieces of evidence") && !text.contains("evidences");
    assert!(counted(&told) && counted(&world.run(["status"]).ok()), "{told}");
}

#[test]
fn lift_needs_recalls_that_were_withheld() {
    let world = learned();
    let run = world.run(["lift"]);
    assert_eq!((run.code, run.stdout.as_str()), (0, "No episode has a recall noted yet.\n"));
    assert!(run.stderr.contains("hold_out"), "{}", run.stderr);
    let lift = world.run(["lift", "--json"]).object();
    for row in lift["lift"].as_array().unwrap() {
        assert_eq!(names(row), ["difference", "domain", "high", "low", "with", "without"]);
        assert_eq!((&row["difference"], &row["with"]["episodes"]), (&Value::Null, &0.into()));
    }
}

#[test]
fn consolidating_tells_what_it_did() {
    let world = learned();
    let cycle = world.run(["consolidate", "--json", "--budget-ms", "5000"]).object();
    let fields = [
        "decayed",
        "duration_ms",
        "expired",
        "generalised",
        "interrupted",
        "learned",
        "merged",
        "notes",
        "pruned",
        "started_at",
        "trigger",
        "waiting",
    ];
    assert_eq!(names(&cycle), fields);
    assert_eq!(cycle["trigger"], "demand");
    assert!(world.run(["consolidate"]).ok().starts_with("Consolidated in "));
    assert_eq!(world.run(["stats", "--json"]).object()["cycles"], 3);
    world.run(["consolidate", "--json", "--budget-ms", "0"]).error(2, "usage");
}
