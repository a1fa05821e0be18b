use serde_json::{Value, json};

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
    let fields = [
        "degraded",
        "episodes",
        "fixes",
        "forecast",
        "heuristics",
        "id",
        "out_of_reach",
        "patterns",
        "phase",
        "playbook",
        "prompt",
        "searched",
        "stale_ms",
        "task_parts",
        "tools",
        "warnings",
        "withheld",
    ];
    assert_eq!(names(&recall), fields);
    assert_eq!(names(&recall["episodes"][0]), ["episode", "id", "parts", "reasons", "score"]);
    assert_eq!(recall["searched"], 3);
    let best = recall["episodes"][0]["episode"]["task"]["description"].as_str().unwrap();
    assert_eq!(best, "I want to cancel my flight to Oslo.");
}

#[test]
fn says_honestly_that_nothing_is_known() {
    let world = World::empty();
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
fn a_budget_that_is_too_small_is_told_with_one_that_is_not() {
    let world = World::with(LINES);
    let prompt = |tokens: &str| world.run(["recall", "cancel a flight", "--prompt", tokens]);
    let short = prompt("5");
    assert_eq!((short.code, short.stdout.as_str()), (0, ""));
    assert!(short.stderr.contains("What is known does not fit into 5 tokens"), "{}", short.stderr);
    let least: u32 = short.stderr.trim_end_matches(".\n").rsplit(' ').next().unwrap().parse().unwrap();
    assert!(!prompt(&least.to_string()).ok().is_empty());
    assert_eq!(prompt(&(least - 1).to_string()).stdout, "");
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

#[test]
fn an_error_in_the_middle_of_a_task_is_known_with_its_fix() {
    let world = World::new();
    let deploy = |id: u32, service: &str, fix: bool| {
        let call = |number: u32, tool: &str, answer: &str| {
            let id = format!("c{number}");
            let call = json!({"id": id, "type": "function", "function": {"name": tool, "arguments": format!("{{\"service\": {service:?}}}")}});
            [
                json!({"role": "assistant", "content": null, "tool_calls": [call]}),
                json!({"role": "tool", "tool_call_id": id, "name": tool, "content": answer}),
            ]
        };
        let mut messages =
            vec![json!({"role": "user", "content": format!("Deploy {service} to production")})];
        messages.extend(call(1, "deploy", "Error: the schema is behind, refusing to start"));
        if fix {
            messages.extend(call(2, "migrate", "applied"));
            messages.extend(call(3, "deploy", "ready"));
        }
        let reward = if fix { 1.0 } else { 0.0 };
        json!({"task_id": id, "trial": 0, "reward": reward, "domain": "infra", "messages": messages})
            .to_string()
    };
    let lines = [deploy(1, "search", true), deploy(2, "basket", true), deploy(3, "coupons", false)];
    let file = world.file("deploys.jsonl", lines.join("\n"));
    let file = file.to_str().unwrap();
    // Nothing is learned unless the import learns.
    world.run(["import", "--no-learn", "--json", file]).object();
    assert!(
        world.run(["status", "--json"]).object()["records"]["failure"]
            .as_u64()
            .is_none_or(|count| count == 0)
    );
    world.run(["consolidate"]).ok();
    let asked = ["recall", "Deploy invoices to production", "--failed", "deploy"];
    let error = ["--error", "Error: the schema is behind, refusing to start"];
    let told = world.run(asked.iter().chain(&error)).ok();
    assert!(told.contains("Errors like the last one") && told.contains("fixed by migrate"), "{told}");
    let found = world.run(asked.iter().chain(&error).chain(&["--json"])).object();
    assert_eq!(found["fixes"][0]["item"]["resolved"], 2, "{found}");
    let worked = ["recall", "Deploy invoices to production", "--done", "deploy", "--json"];
    assert_eq!(world.run(worked).object()["fixes"], json!([]));
}

#[test]
#[cfg(feature = "embed")]
fn an_endpoint_is_asked_and_without_it_words_go_on() {
    use std::io::{BufRead, BufReader, Read, Write};

    let world = World::new();
    world.file("lines.jsonl", LINES);
    world.run(["import", "lines.jsonl"]).ok();
    // Every text has the same vector.
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/v1", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let (mut reader, mut line, mut length) = (BufReader::new(&stream), String::new(), 0);
            while reader.read_line(&mut line).unwrap() > 2 {
                if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                    length = value.trim().parse().unwrap();
                }
                line.clear();
            }
            let mut body = vec![0; length];
            reader.read_exact(&mut body).unwrap();
            let request: Value = serde_json::from_slice(&body).unwrap();
            let count = request["input"].as_array().unwrap().len();
            let data: Vec<Value> =
                (0..count).map(|index| json!({"index": index, "embedding": [0.6, 0.8]})).collect();
            let body = json!({ "data": data }).to_string();
            let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close", body.len());
            write!(&stream, "{head}\r\n\r\n{body}").unwrap();
        }
    });
    let flags = |url: &str| {
        let flags = ["--embedding-url", url, "--embedding-name", "m", "--embedding-dimensions", "2"];
        flags.map(str::to_owned).to_vec()
    };
    let recall = |flags: Vec<String>| {
        let arguments = ["recall", "zebra crossing", "--json"].map(str::to_owned).to_vec();
        world.run([arguments, flags].concat().iter().map(String::as_str))
    };
    assert_eq!(world.run(["recall", "zebra crossing", "--json"]).object()["episodes"], json!([]));
    // Its vectors are made in the background of the first.
    let found = (0..50).map(|_| recall(flags(&url)).object()).find(|it| it["episodes"] != json!([]));
    let cosine = &found.expect("found by meaning")["episodes"][0]["parts"]["semantic"];
    assert!(cosine.as_f64().unwrap() > 0.99, "{cosine}");
    let degraded = recall(flags("http://127.0.0.1:9/v1")).object()["degraded"].clone();
    assert!(degraded.to_string().contains("127.0.0.1:9"), "{degraded}");
    // An evaluation would tell of another provider than it names.
    let data = "memory-cli/data/sample.jsonl".to_owned();
    let eval = [
        ["eval", "trajectories", "--json"].map(str::to_owned).to_vec(),
        vec![data],
        flags("http://127.0.0.1:9/v1"),
    ];
    world.run(eval.concat().iter().map(String::as_str)).error(4, "unavailable");
    let (message, _) = recall(flags(&url)[..2].to_vec()).error(2, "usage");
    assert!(message.contains("go together"), "{message}");
}

#[test]
fn a_model_that_is_not_there_is_refused() {
    let world = World::with(LINES);
    let recall = world.run(["recall", "cancel a flight", "--json", "--embedding-model", "nowhere"]);
    let kind = if cfg!(feature = "embed") { (2, "invalid_input") } else { (1, "unsupported") };
    let (message, _) = recall.error(kind.0, kind.1);
    assert!(
        message.contains(if cfg!(feature = "embed") { "nowhere" } else { "not compiled in" }),
        "{message}"
    );
    let mut command = world.command();
    command.env("MEMORY_EMBEDDING_MODEL", "nowhere").args(["recall", "x", "--json"]);
    crate::command::finish(&mut command).error(kind.0, kind.1);
}
