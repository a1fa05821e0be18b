use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::command::{LINES, World, is_empty, names};

fn data(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data").join(name)
}

fn run(arguments: &[&str]) -> Value {
    let world = World::new();
    let answer = world.run(["eval", "--json"].iter().chain(arguments)).object();
    assert!(is_empty(&world.path("memory")), "an evaluation leaves the memory alone");
    answer
}

#[test]
fn tools_are_recommended_for_tasks_of_a_file() {
    let (train, test) = (data("tasks_train.jsonl"), data("tasks_test.jsonl"));
    let (train, test) = (train.to_str().unwrap(), test.to_str().unwrap());
    let scores = run(&["tasks", "--train", train, "--test", test]);
    let fields = [
        "abstained",
        "compared",
        "exact",
        "junk",
        "leave_one_out",
        "left_out",
        "order_kendall",
        "ordered",
        "playbook_exact",
        "playbook_part",
        "playbooks",
        "provider",
        "recall_p50_us",
        "recall_p99_us",
        "seed",
        "tasks",
        "tool_f1",
        "train",
    ];
    assert_eq!(names(&scores), fields);
    // The poem uses no tool that was learned.
    assert_eq!((&scores["tasks"], &scores["left_out"], &scores["train"]), (&3.into(), &1.into(), &8.into()));
    assert!(scores["tool_f1"].as_f64().unwrap() > 0.6, "{scores}");

    let left_out = run(&["tasks", "--train", train, "--leave-one-out"]);
    assert_eq!((&left_out["tasks"], &left_out["leave_one_out"]), (&8.into(), &true.into()));
    assert!(left_out["tool_f1"].as_f64().unwrap() > 0.6, "{left_out}");

    let both = run(&["tasks", "--train", train, "--test", test, "--leave-one-out"]);
    assert_eq!((&both["tasks"], &both["left_one_out"]["tasks"]), (&3.into(), &8.into()));
}

#[test]
fn a_suite_measures_each_data_set_of_a_folder_beside_baselines() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../memory-eval/data");
    let suite = run(&["suite", folder.to_str().unwrap()]);
    let sets = suite["data_sets"].as_array().unwrap();
    assert_eq!(sets.len(), 1, "{suite}");
    assert_eq!((&sets[0]["name"], &sets[0]["train"]), (&"errands".into(), &60.into()));
    let f1 = |figure: &Value| figure["value"].as_f64().unwrap();
    let named = |name: &str| {
        let found = sets[0]["baselines"].as_array().unwrap().iter().find(|it| it["name"] == name);
        f1(&found.unwrap()["f1"])
    };
    assert!(f1(&sets[0]["ours"]) > named("most_frequent"), "{suite}");
    let best = ["most_frequent", "knn_1", "knn_5", "knn_10", "logistic_0.5", "logistic_0.3", "logistic_0.15"]
        .map(named)
        .into_iter()
        .fold(0.0, f64::max);
    assert!((f1(&sets[0]["ours"]) - best - f1(&sets[0]["to_best_plain"])).abs() < 1e-9, "{suite}");
}

#[test]
fn names_of_tools_do_not_change_what_is_advised() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../memory-eval/data");
    let file = |name: &str| folder.join(name).to_str().unwrap().to_owned();
    let (train, dev, foreign) =
        (file("errands_train.jsonl"), file("errands_dev.jsonl"), file("servers_train.jsonl"));
    let world = World::new();
    let told = world.run(["eval", "controls", "--train", &train, "--dev", &dev, "--foreign", &foreign]).ok();
    let row = told.lines().find(|line| line.starts_with("tools_opaque")).unwrap();
    assert!(row.contains("0.000 [0.000, 0.000]"), "{told}");
}

/// The folder of an evaluation has what the files say.
#[cfg(unix)]
#[test]
fn an_evaluation_that_is_stopped_leaves_nothing_and_shows_nothing_to_others() {
    use std::os::unix::fs::PermissionsExt;
    use std::process::{Command, Stdio};
    use std::time::{Duration, Instant};

    let world = World::new();
    let folders = world.path("tmp");
    std::fs::create_dir(&folders).unwrap();
    let mut evaluation = world.command();
    evaluation.args(["eval", "lift", "--tasks", "600"]).env("TMPDIR", &folders);
    let mut running = evaluation.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let begun = Instant::now();
    let made = loop {
        // Once it has a database the signal is waited for.
        let found = std::fs::read_dir(&folders).unwrap().next().map(|entry| entry.unwrap().path());
        match found.filter(|folder| folder.join("memory.db").exists()) {
            Some(found) => break found,
            None => assert!(begun.elapsed() < Duration::from_secs(60), "it makes its folder"),
        }
        std::thread::sleep(Duration::from_millis(10));
    };
    assert_eq!(made.metadata().unwrap().permissions().mode() & 0o777, 0o700);
    assert!(Command::new("kill").arg(running.id().to_string()).status().unwrap().success());
    assert_eq!(running.wait().unwrap().code(), Some(1));
    assert!(is_empty(&folders), "{made:?} is still there");
}

#[test]
fn an_episode_that_is_left_out_teaches_nothing() {
    let world = World::new();
    let only = r#"{"id": "1", "instruction": "Water the plants.", "actions": [{"name": "water"}]}"#;
    let file = world.file("one.jsonl", only);
    let scores = run(&["tasks", "--train", file.to_str().unwrap(), "--leave-one-out"]);
    // Without it no tool is known, so that there is nothing to score.
    assert_eq!(
        (&scores["tasks"], &scores["left_out"], &scores["tool_f1"]),
        (&0.into(), &1.into(), &Value::Null)
    );
    let other = r#"{"id": "2", "instruction": "Mow the lawn, then water it.", "actions": [{"name": "sprinkle"}, {"name": "water"}]}"#;
    let file = world.file("two.jsonl", format!("{only}\n{other}\n"));
    let scores = run(&["tasks", "--train", file.to_str().unwrap(), "--leave-one-out"]);
    // For the first task its only neighbour speaks for both tools (F1 2/3). For the second `sprinkle` is not known: to
    // recommend it would be to remember what was forgotten.
    assert_eq!(scores["tasks"], 2);
    let f1 = scores["tool_f1"].as_f64().unwrap();
    assert!((f1 - (2.0 / 3.0 + 1.0) / 2.0).abs() < 1e-9, "{scores}");
    assert_eq!(scores["provider"], "words");
}

#[test]
fn trials_of_a_task_are_found_and_outcomes_foretold() {
    let scores = run(&["trajectories", data("trajectories.jsonl").to_str().unwrap()]);
    let fields = [
        "episodes",
        "failing",
        "forecast",
        "hit_at_1",
        "junk",
        "known_task_auc",
        "mrr",
        "outcome_auc",
        "provider",
        "recall_at_3",
        "repeated",
        "warned",
        "warning_precision",
    ];
    assert_eq!(names(&scores), fields);
    // The question on baggage has no other trial.
    assert_eq!(
        (&scores["episodes"], &scores["repeated"], &scores["failing"]),
        (&7.into(), &6.into(), &3.into())
    );
    assert_eq!((&scores["hit_at_1"], &scores["mrr"]), (&1.0.into(), &1.0.into()));
    assert!(scores["outcome_auc"].as_f64().is_some(), "{scores}");
    assert!(scores["warned"].as_u64().unwrap() <= 3, "{scores}");
}

#[test]
fn the_simulation_repeats_for_a_seed_and_memory_helps() {
    let report = run(&["lift", "--tasks", "80", "--seed", "1"]);
    assert_eq!(report, run(&["lift", "--tasks", "80", "--seed", "1"]));
    let arms = report["arms"].as_array().unwrap();
    let success = |arm: usize| arms[arm]["success"]["value"].as_f64().unwrap();
    let order: Vec<&str> = arms.iter().map(|arm| arm["arm"].as_str().unwrap()).collect();
    assert_eq!(
        names(&report["junk"]),
        ["duplicate_share", "items", "never_used_share", "never_useful_share"]
    );
    assert_eq!(order, ["none", "memory", "stale", "irrelevant", "oracle"]);
    assert!(success(0) < success(1) && success(1) < success(4), "{report}");
    assert_ne!(report, run(&["lift", "--tasks", "80", "--seed", "2"]));
}

#[test]
fn reports_are_readable_and_curves_are_drawn() {
    let world = World::new();
    let told = world.run(["eval", "lift", "--tasks", "20", "--svg", "curve.svg"]).ok();
    assert!(told.starts_with("20 tasks of a simulated agent, with a drift after 10 (seed 1)\n"), "{told}");
    assert!(std::fs::read_to_string(world.path("curve.svg")).unwrap().starts_with("<svg"));
    let told = world.run(["eval", "trajectories", data("trajectories.jsonl").to_str().unwrap()]).ok();
    assert!(told.contains("hit_at_1") && told.contains("over 6 that have another trial"), "{told}");
    let told = world.run([
        "eval",
        "tasks",
        "--leave-one-out",
        "--train",
        data("tasks_train.jsonl").to_str().unwrap(),
    ]);
    assert!(told.ok().starts_with("Tools for 8 tasks (leave-one-out), learned from 8 tasks\n"));
    assert!(is_empty(&world.path("memory")));
}

#[test]
fn bad_input_is_told_with_its_place() {
    let world = World::new();
    let check = |arguments: &[&str], code, kind: &str, expected: &str| {
        let (message, hint) = world.run(["eval", "--json"].iter().chain(arguments)).error(code, kind);
        assert!(message.contains(expected), "{message}");
        assert!(!hint.is_empty(), "{message}");
    };
    let mixed = format!("{LINES}\n{{\"reward\": 1\n");
    world.file("mixed.jsonl", mixed);
    world.file("empty.jsonl", "\n\n");
    let reference =
        r#"{"reward": 1, "reference_actions": 7, "messages": [{"role": "user", "content": "hi"}]}"#;
    world.file("reference.jsonl", reference);
    check(
        &["trajectories", "mixed.jsonl"],
        3,
        "bad_line",
        "mixed.jsonl:3: not a conversation: missing field",
    );
    check(
        &["tasks", "--train", "mixed.jsonl", "--leave-one-out"],
        3,
        "bad_line",
        "mixed.jsonl:1: not a task",
    );
    check(&["trajectories", "empty.jsonl"], 3, "bad_line", "empty.jsonl: there are no lines in it");
    check(
        &["trajectories", "reference.jsonl"],
        3,
        "bad_line",
        "reference.jsonl:1: not to be judged: invalid type",
    );
    check(&["trajectories", "missing.jsonl"], 1, "io", "cannot read missing.jsonl");
    check(&["tasks", "--train", "mixed.jsonl"], 2, "usage", "--test");
    check(&["lift", "--tasks", "3"], 2, "usage", "--tasks");
    check(&["lift", "--tasks", "4", "--svg", "missing/curve.svg"], 1, "io", "cannot write missing/curve.svg");
    check(&["lift", "--namespace", "x"], 2, "usage", "--namespace does not go with this command");
}
