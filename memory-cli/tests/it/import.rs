use serde_json::Value;

use crate::command::{LINES, World, is_empty};

#[test]
fn imports_both_shapes_and_tells() {
    let world = World::new();
    world.file("lines.jsonl", LINES);
    insta::assert_snapshot!("import", world.stable(&world.run(["import", "lines.jsonl"]).ok()));
    insta::assert_snapshot!("import_again", world.stable(&world.run(["import", "lines.jsonl"]).ok()));
    insta::assert_snapshot!(
        "import_json",
        world.stable(&world.run(["import", "--json", "lines.jsonl"]).ok())
    );
}

#[test]
fn importing_again_changes_nothing_wherever_the_lines_are() {
    let world = World::new();
    world.file("lines.jsonl", LINES);
    world.run(["import", "lines.jsonl"]).ok();
    let before = world.run(["episodes", "list", "--json"]).ok();
    let mut lines: Vec<String> = LINES.lines().map(str::to_owned).collect();
    lines.reverse();
    // Another order of the lines, other spaces, another name, no last line end, the same line twice.
    let moved = [lines[0].replace("\": ", "\":"), lines[1].clone(), lines[2].clone(), lines[0].clone()]
        .join("\r\n\r\n");
    world.file("other.jsonl", format!("\u{feff}{moved}"));
    let again = world.run(["import", "--json", "other.jsonl", "lines.jsonl"]).object();
    assert_eq!((&again["lines"], &again["new"], &again["known"]), (&7.into(), &0.into(), &7.into()));
    assert_eq!(world.run(["episodes", "list", "--json"]).ok(), before);
}

#[test]
fn the_same_lines_give_the_same_memory() {
    let line = |number: usize| {
        let actions = vec![serde_json::json!({"name": "look", "kwargs": {}}); 1 + number % 5];
        let instruction = ["book a flight", "rotate the logs"][number % 2];
        serde_json::json!({"id": number, "instruction": instruction, "actions": actions}).to_string()
    };
    let lines = (0..150).map(line).collect::<Vec<_>>().join("\n");
    let import = || {
        let world = World::new();
        world.file("lines.jsonl", &lines);
        world.run(["import", "lines.jsonl"]).ok();
        let list = world.run(["episodes", "list", "--limit", "200", "--json"]).object();
        let mut rewards: Vec<(String, String)> = list["episodes"]
            .as_array()
            .unwrap()
            .iter()
            .map(|episode| (episode["id"].to_string(), episode["reward"].to_string()))
            .collect();
        rewards.sort();
        rewards
    };
    let rewards = import();
    assert_eq!(rewards.len(), 150);
    let totals: std::collections::BTreeSet<&String> = rewards.iter().map(|(_, reward)| reward).collect();
    assert!(totals.len() > 70, "the history shows in the rewards");
    assert_eq!(rewards, import());
}

#[test]
fn importing_again_learns_what_is_due() {
    let world = World::new();
    world.file("lines.jsonl", LINES);
    assert_eq!(world.run(["import", "--no-learn", "--json", "lines.jsonl"]).object()["learned"], Value::Null);
    let again = world.run(["import", "--json", "lines.jsonl"]).object();
    assert_eq!(again["new"], 0);
    assert!(again["learned"]["pattern"].as_u64().unwrap() > 0, "{again}");
    assert_eq!(world.run(["import", "--json", "lines.jsonl"]).object()["learned"], Value::Null);
}

#[test]
fn the_same_line_twice_in_a_file_is_one_episode() {
    let world = World::new();
    let line = LINES.lines().next().unwrap();
    world.file("twice.jsonl", [line; 40].join("\n"));
    let report = world.run(["import", "--json", "twice.jsonl"]).object();
    assert_eq!((&report["new"], &report["known"]), (&1.into(), &39.into()));
}

#[test]
fn standard_input_is_a_file_too() {
    let world = World::new();
    let run = world
        .run_with_input(&["import", "-", "--json", "--domain", "retail", "--agent", "a9"], LINES.as_bytes());
    assert_eq!(run.object()["new"], 3);
    let list = world.run(["episodes", "list", "--json", "--domain", "retail"]).object();
    assert_eq!(list["episodes"].as_array().unwrap().len(), 2);
    assert_eq!(list["episodes"][0]["task"]["agent"], "a9");
}

fn bad_file() -> Vec<u8> {
    let good: Vec<&str> = LINES.lines().collect();
    let long = format!(r#"{{"id": 1, "kind": "{}", "instruction": "x", "actions": []}}"#, "x".repeat(201));
    let lines: Vec<&[u8]> = vec![
        good[0].as_bytes(),
        b"{\"id\": ",
        b"{\"id\": \"\xff\xfe\"}",
        b"{\"neither\": 1}",
        b"",
        b"{\"id\": 1, \"instruction\": \"\\u001b[2J\", \"actions\": 7}",
        long.as_bytes(),
        good[2].as_bytes(),
    ];
    lines.join(&b'\n')
}

#[test]
fn bad_lines_are_named_and_skipped() {
    let world = World::new();
    world.file("bad.jsonl", bad_file());
    let run = world.run(["import", "bad.jsonl"]);
    assert_eq!(run.code, 3);
    insta::assert_snapshot!(
        "bad_lines",
        world.stable(&format!("{}---\n{}", run.stdout, sorted(&run.stderr)))
    );
    let again = world.run(["import", "--json", "bad.jsonl"]);
    assert_eq!((again.code, again.stderr.as_str()), (3, ""));
    let report: Value = serde_json::from_str(&again.stdout).unwrap();
    assert_eq!((&report["known"], &report["bad"], &report["stopped"]), (&2.into(), &5.into(), &false.into()));
    let places = report["bad_lines"].as_array().unwrap();
    let numbers: Vec<u64> = places.iter().map(|place| place["line"].as_u64().unwrap()).collect();
    assert_eq!(numbers, [2, 3, 4, 6, 7]);
    assert!(places.iter().all(|place| place["file"] == "bad.jsonl"));
}

/// Lines are recorded side by side, so the memory's own refusals come in no particular order.
fn sorted(text: &str) -> String {
    let mut lines: Vec<&str> = text.lines().collect();
    lines.sort_unstable();
    lines.join("\n")
}

#[test]
fn strict_stops_at_the_first_bad_line_and_keeps_what_came_before() {
    let world = World::new();
    world.file("bad.jsonl", bad_file());
    world.file("good.jsonl", LINES);
    let run = world.run(["import", "--strict", "bad.jsonl", "good.jsonl"]);
    assert_eq!(run.code, 3);
    assert!(run.stderr.starts_with("bad line: bad.jsonl:2: not JSON"), "{}", run.stderr);
    assert!(run.stdout.contains("what came before stays recorded"), "{}", run.stdout);
    let list = world.run(["episodes", "list", "--json"]).object();
    assert_eq!(list["episodes"].as_array().unwrap().len(), 1);
    // The memory's own refusals stop it, too.
    let over = format!("{{\"id\": 2, \"instruction\": \" \", \"actions\": []}}\n{LINES}");
    world.file("over.jsonl", over);
    assert_eq!(world.run(["import", "--strict", "over.jsonl"]).code, 3);
    assert_eq!(world.run(["episodes", "list", "--json"]).object(), list);
}

#[test]
fn absurdly_long_lines_are_skipped_in_bounded_memory() {
    let world = World::new();
    let good = LINES.lines().next().unwrap();
    let mut content = vec![b'x'; (32 << 20) + 10];
    content.extend_from_slice(b"\n");
    content.extend_from_slice(good.as_bytes());
    world.file("long.jsonl", content);
    let run = world.run(["import", "long.jsonl"]);
    assert_eq!((run.code, run.stderr.as_str()), (3, "bad line: long.jsonl:1: longer than 32 MiB\n"));
    assert!(run.stdout.starts_with("1 episode was recorded"), "{}", run.stdout);
}

#[test]
fn long_texts_are_cut_with_a_mark() {
    let world = World::new();
    let answer = "ä".repeat(12_000);
    let line = format!(
        r#"{{"reward": 1, "messages": [{{"role": "user", "content": "hi"}}, {{"role": "assistant", "content": "{answer}"}}]}}"#
    );
    world.file("long.jsonl", line);
    let report = world.run(["import", "--json", "long.jsonl"]).object();
    // The message as a step, and as the outcome.
    assert_eq!((&report["new"], &report["truncated"]), (&1.into(), &2.into()));
    let list = world.run(["episodes", "list", "--json"]).object();
    let summary = list["episodes"][0]["outcome"]["text"].as_str().unwrap();
    assert!(summary.contains("… [truncated "), "{}", &summary[summary.len() - 60..]);
}

#[test]
fn nothing_is_recorded_unless_all_files_are_there() {
    let world = World::new();
    world.file("lines.jsonl", LINES);
    let (message, hint) = world.run(["import", "--json", "lines.jsonl", "missing.jsonl"]).error(1, "io");
    assert!(message.contains("missing.jsonl") && hint.contains("check the name"), "{message} {hint}");
    let folder = world.path("");
    let (message, _) = world.run(["import", "--json", folder.to_str().unwrap()]).error(1, "io");
    assert!(message.contains("folder"), "{message}");
    assert!(is_empty(&world.path("memory")));
}

#[test]
fn standard_input_is_read_once() {
    let world = World::new();
    let (message, _) = world.run(["import", "--json", "-", "-"]).error(2, "usage");
    assert!(message.contains("given twice"), "{message}");
    assert!(is_empty(&world.path("memory")), "nothing is made");
}

/// Opens a memory as an application does.
async fn opened(path: &std::path::Path) -> agent_memory::Memory {
    agent_memory::Memory::builder().path(path).background_learning(false).open().await.unwrap()
}

/// What a memory learned, and recalls of a task that failed before, without ids and times.
async fn learned_and_recalled(path: &std::path::Path) -> Value {
    let memory = opened(path).await;
    memory.learn().await.unwrap();
    let knowledge = memory.knowledge();
    let failures = knowledge.failures().await.unwrap().items;
    let patterns = knowledge.patterns().await.unwrap().items;
    let query = agent_memory::RecallQuery::new("Refund order 9").failed("refund", "order not found");
    let recall = memory.recall(query.include_open(true)).await.unwrap();
    let episodes: Vec<Value> = recall
        .episodes
        .iter()
        .map(|found| {
            let episode = &found.episode;
            serde_json::json!({
                "outcome": episode.outcome, "keywords": episode.keywords, "tools": episode.tools, "score": found.score,
            })
        })
        .collect();
    let failures: Vec<Value> = failures
        .iter()
        .map(|it| {
            serde_json::json!([it.error, it.example, it.tool, it.category, it.root_cause, it.occurrences])
        })
        .collect();
    let mut bodies: Vec<String> = patterns.iter().map(|it| it.body.to_string()).collect();
    bodies.sort();
    let tools: Vec<&str> = recall.tools.iter().map(|it| it.tool.as_str()).collect();
    let all = serde_json::json!({
        "failures": failures, "patterns": bodies, "episodes": episodes, "tools": tools,
        "rules": recall.heuristics.iter().map(|it| it.item.sentence()).collect::<Vec<_>>(),
    });
    memory.close(std::time::Duration::from_secs(5)).await.unwrap();
    all
}

#[tokio::test(flavor = "multi_thread")]
async fn a_conversation_recorded_by_an_application_teaches_what_an_import_does() {
    use agent_memory::{Action, Outcome, Recording, Role, Task};
    let call = |id: usize| serde_json::json!([{"id": "c", "function": {"name": "refund", "arguments": format!("{{\"order\": \"{id}\"}}")}}]);
    let error = |id: usize| format!("Error: order {id} not found");
    let lines: Vec<String> = (0..4)
        .map(|id| {
            let messages = serde_json::json!([
                {"role": "user", "content": format!("Refund order {id}")},
                {"role": "assistant", "content": "Which purple voucher?"},
                {"role": "user", "content": "The one of Zanzibar Teapots."},
                {"role": "assistant", "content": null, "tool_calls": call(id)},
                {"role": "tool", "tool_call_id": "c", "content": error(id)},
                {"role": "assistant", "content": "It is all refunded!"},
            ]);
            serde_json::json!({"task_id": id, "trial": 0, "reward": 0.0, "messages": messages}).to_string()
        })
        .collect();
    let world = World::new();
    world.file("lines.jsonl", lines.join("\n"));
    world.run(["import", "lines.jsonl"]).ok();

    let own = tempfile::tempdir().unwrap();
    let memory = opened(own.path()).await;
    for id in 0..4 {
        let task =
            Task::new(format!("Refund order {id}")).kind("conversation").correlation_id(format!("{id}/0"));
        let outcome = Outcome::failure("")
            .last_error(format!("refund: {}", error(id)))
            .last_message("It is all refunded!");
        let actions = vec![
            Action::message(Role::Assistant, "Which purple voucher?"),
            Action::message(Role::User, "The one of Zanzibar Teapots."),
            Action::tool("refund").arguments(serde_json::json!({"order": id.to_string()})).error(error(id)),
            Action::message(Role::Assistant, "It is all refunded!"),
        ];
        let recording = Recording::new(format!("conversation {id}"), task, outcome).actions(actions);
        memory.record(recording).await.unwrap();
    }
    memory.close(std::time::Duration::from_secs(5)).await.unwrap();

    let (imported, recorded) =
        (learned_and_recalled(&world.path("memory")).await, learned_and_recalled(own.path()).await);
    assert_eq!(imported, recorded);
    let said = imported.to_string();
    assert!(said.contains("Zanzibar") && !said.contains("purple"), "what the user said is a keyword: {said}");
    // Nothing that the agent said last is an error.
    assert_eq!(imported["failures"].as_array().unwrap().len(), 1, "{said}");
}
