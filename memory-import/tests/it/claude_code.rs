//! Session files of Claude Code.

use std::collections::HashSet;

use memory_import::{Evidence, Format, MAX_TEXT_CHARS, StepKind, Verdict};
use serde_json::{Value, json};

use crate::samples::{Found, bytes_of, check_growth, outline, read_bytes, read_sample, verdict};

const SESSION: &str = "0f6f0000-0000-4000-8000-000000000001";

fn key(uuid: &str) -> String {
    format!("claude-code:{SESSION}:{uuid}")
}

#[test]
fn each_prompt_is_a_trajectory_with_its_labels() {
    let found = read_sample("claude-code/session.jsonl");
    assert_eq!(found.keys(), [key("p1"), key("p2")]);
    assert_eq!(
        found.prompts(),
        ["The cart total ignores the discount. Fix it.", "Thanks! Now write a changelog entry."]
    );
    // The last line of a task is that of its last step.
    assert_eq!(found.lines, [15, 21]);
    assert_eq!(found.bytes, bytes_of("claude-code/session.jsonl").len() as u64);
    let first = &found.trajectories[0];
    assert_eq!(first.parent, None);
    assert_eq!(first.at_ms, Some(1_793_613_602_000));
    assert_eq!(first.labels.agent.as_deref(), Some("claude-code"));
    assert_eq!(first.labels.project.as_deref(), Some("/work/shop"));
    assert_eq!(first.labels.correlation_id.as_deref(), Some(SESSION));
    let expected = json!({
        "gen_ai.conversation.id": SESSION,
        "gen_ai.request.model": "claude-sonnet-4-5",
        "gen_ai.agent.version": "2.1.330",
        "vcs.ref.head.name": "fix-cart",
        "claude_code.prompt.id": "prompt-1",
    });
    assert_eq!(json!(first.attributes), expected);
}

#[test]
fn split_messages_and_results_are_joined() {
    let found = read_sample("claude-code/session.jsonl");
    let first = &found.trajectories[0];
    let expected = [
        "agent: I will read the code and run the tests.",
        "Read -> pub fn total() {}",
        "Bash ! Exit code 101\ntest result: FAILED. 3 passed; 1 failed",
        "Edit -> The file was updated.",
        "Bash -> test result: ok. 4 passed; 0 failed",
        "agent: The total now subtracts the discount.",
    ];
    assert_eq!(outline(first), expected);
    // What the message of four lines cost stands on its first step, with the count of the last line.
    let tokens: Vec<Option<u64>> = first.steps.iter().map(|step| step.tokens).collect();
    assert_eq!(tokens, [Some(140), None, None, Some(15), Some(15), Some(15)]);
    // From the line of the call to that of its result.
    let durations: Vec<Option<u64>> = first.steps.iter().map(|step| step.duration_ms).collect();
    assert_eq!(durations, [None, Some(2_000), Some(6_000), Some(1_000), Some(3_000), None]);
    let StepKind::Call { description, arguments, .. } = &first.steps[2].kind else { panic!() };
    assert_eq!(description, "Run the tests of the cart");
    assert_eq!(arguments["command"], "cargo test -p cart");
}

#[test]
fn outcomes_rest_on_tests_links_and_the_next_message() {
    let found = read_sample("claude-code/session.jsonl");
    let first = &found.trajectories[0];
    let evidence = [
        Evidence::Confirmed("Thanks! Now write a changelog entry.".into()),
        Evidence::Tests(true, "cargo test -p cart 2>&1 | tail -4".into()),
        Evidence::PullRequest("https://git.example/shop/pull/7".into()),
    ];
    assert_eq!(verdict(first), (Some(Verdict::Success), &evidence[..]));
    assert_eq!(first.outcome.confidence, 0.8);
    assert_eq!(first.outcome.summary, "The total now subtracts the discount.");
    let error = "Bash: Exit code 101\ntest result: FAILED. 3 passed; 1 failed";
    assert_eq!(first.outcome.last_error.as_deref(), Some(error));
    // Nothing says how the second one ended.
    assert_eq!(verdict(&found.trajectories[1]), (None, &[][..]));
    assert_eq!(found.trajectories[1].outcome.confidence, 0.0);
}

#[test]
fn parallel_results_are_no_rewind() {
    let found = read_sample("claude-code/session.jsonl");
    assert!(
        !found.trajectories.iter().any(|trajectory| trajectory.outcome.evidence.contains(&Evidence::Rewound))
    );
}

#[test]
fn an_unfinished_task_waits_for_the_rest_of_its_file() {
    let found = read_sample("claude-code/growing.jsonl");
    assert_eq!(found.keys(), [key("p1")]);
    let mut grown = String::from_utf8(bytes_of("claude-code/growing.jsonl")).unwrap();
    let base = json!({
        "sessionId": SESSION, "timestamp": "2026-11-02T10:09:00.000Z", "isSidechain": false, "cwd": "/work/shop",
    });
    let mut append = |fields: Value| {
        let mut line = base.clone();
        line.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        grown.push_str(&format!("{line}\n"));
    };
    append(json!({"type": "user", "uuid": "r2", "parentUuid": "a4", "message": {"role": "user", "content": [
        {"type": "tool_result", "tool_use_id": "t2", "content": "closed"}]}}));
    append(json!({"type": "assistant", "uuid": "a5", "parentUuid": "r2", "message": {"id": "msg_4",
        "model": "m", "content": [{"type": "text", "text": "Closed."}], "stop_reason": "end_turn"}}));
    let found = read_bytes(Format::ClaudeCode, grown.as_bytes(), None);
    assert_eq!(found.keys(), [key("p1"), key("p2")]);
    let expected = ["agent: I will close it.", "Bash -> closed", "agent: Closed."];
    assert_eq!(outline(&found.trajectories[1]), expected);
}

/// Returns a line of the session's main chain. What the agent says ends its turn unless it calls a tool.
fn line(kind: &str, uuid: &str, parent: Option<&str>, content: Value) -> Value {
    let stop = (kind == "assistant").then(|| if content.is_string() { "end_turn" } else { "tool_use" });
    let message = json!({"id": uuid, "content": content, "stop_reason": stop});
    json!({"type": kind, "uuid": uuid, "parentUuid": parent, "sessionId": SESSION, "message": message})
}

fn call(id: &str, tool: &str, input: Value) -> Value {
    json!([{"type": "tool_use", "id": id, "name": tool, "input": input}])
}

fn result(id: &str, text: &str) -> Value {
    json!([{"type": "tool_result", "tool_use_id": id, "content": text}])
}

fn read_lines(lines: &[Value]) -> Found {
    let text: String = lines.iter().map(|line| format!("{line}\n")).collect();
    read_bytes(Format::ClaudeCode, text.as_bytes(), None)
}

#[test]
fn a_text_without_a_stop_reason_ends_only_old_sessions() {
    let check = |stop: Option<&str>, count: usize, expected: &[&str]| {
        let mut lines = [
            line("user", "p1", None, "Go".into()),
            line("assistant", "a1", Some("p1"), call("t1", "Bash", json!({}))),
            line("user", "r1", Some("a1"), result("t1", "ok")),
            line("assistant", "a2", Some("r1"), "Gone".into()),
        ];
        lines[1]["message"]["stop_reason"] = json!(stop);
        lines[3]["message"]["stop_reason"] = Value::Null;
        assert_eq!(read_lines(&lines[..count]).prompts(), expected, "{stop:?}, {count} lines");
    };
    check(None, 4, &["Go"]);
    check(None, 3, &[]);
    check(Some("tool_use"), 4, &[]);
}

#[test]
fn a_task_with_a_call_that_has_no_result_is_unfinished() {
    let mut lines = vec![
        line("user", "p1", None, "Go".into()),
        line("assistant", "a1", Some("p1"), call("t1", "Bash", json!({}))),
        line("assistant", "a2", Some("a1"), "Gone".into()),
    ];
    assert_eq!(read_lines(&lines).prompts(), [""; 0]);
    lines.push(line("user", "r1", Some("a1"), result("t1", "ok")));
    assert_eq!(read_lines(&lines).prompts(), ["Go"]);
}

#[test]
fn a_beginning_of_a_file_gives_a_beginning_of_its_trajectories() {
    for sample in
        ["session", "growing", "rewind", "compaction", "side-chains", "damaged", "stopped", "no-prompts"]
    {
        check_growth(&format!("claude-code/{sample}.jsonl"), Format::ClaudeCode);
    }
}

#[test]
fn a_line_that_is_written_twice_changes_nothing_and_a_lost_one_makes_no_second_key() {
    for sample in ["session", "rewind", "compaction", "side-chains", "stopped", "no-prompts", "resumed"] {
        let bytes = bytes_of(&format!("claude-code/{sample}.jsonl"));
        let text = String::from_utf8(bytes.clone()).unwrap();
        let lines: Vec<&str> = text.lines().collect();
        let whole = read_bytes(Format::ClaudeCode, &bytes, None);
        for at in 0..lines.len() {
            let twice: Vec<&str> = lines[..=at].iter().chain(&lines[at..]).copied().collect();
            let found = read_bytes(Format::ClaudeCode, twice.join("\n").as_bytes(), None);
            assert!(found.trajectories == whole.trajectories, "{sample}: line {} twice", at + 1);
            let without: Vec<&str> = lines[..at].iter().chain(&lines[at + 1..]).copied().collect();
            let found = read_bytes(Format::ClaudeCode, without.join("\n").as_bytes(), None);
            assert!(
                found.keys().iter().all(|key| whole.keys().contains(key)),
                "{sample}: line {} lost",
                at + 1
            );
            let unique: HashSet<&str> = found.keys().into_iter().collect();
            assert_eq!(unique.len(), found.trajectories.len(), "{sample}: line {} lost", at + 1);
        }
    }
}

#[test]
fn branches_that_the_user_left_are_rewound() {
    let found = read_sample("claude-code/rewind.jsonl");
    assert_eq!(found.keys(), [key("p1"), key("p2"), key("p3"), key("p4"), key("p5")]);
    for prompt in ["Drop the column price.", "Also drop the column sku."] {
        let rewound = found.asked(prompt);
        assert_eq!(verdict(rewound), (Some(Verdict::Abandoned), &[Evidence::Rewound][..]), "{prompt}");
        assert!(rewound.outcome.confidence <= 0.5);
    }
    let dropped = ["Bash -> ok", "agent: The column is gone."];
    assert_eq!(outline(found.asked("Drop the column price.")), dropped);
    // The living branch has nothing of it, and its own next message.
    let renamed = found.asked("Rename the column price to amount.");
    assert_eq!(outline(renamed), ["Bash -> ok", "agent: It is called amount now."]);
    assert_eq!(
        verdict(renamed),
        (Some(Verdict::Success), &[Evidence::Confirmed("Perfect, thank you.".into())][..])
    );
    assert_eq!(verdict(found.asked("Show the schema.")), (None, &[][..]));
}

#[test]
fn compaction_neither_ends_a_task_nor_repeats_it() {
    let found = read_sample("claude-code/compaction.jsonl");
    assert_eq!(found.keys(), [key("p1"), key("p2")]);
    let first = &found.trajectories[0];
    let expected =
        ["Read -> def parse(): ...", "Bash ! 1 failed, 8 passed in 0.41s", "agent: One test still fails."];
    assert_eq!(outline(first), expected);
    let evidence = [Evidence::Tests(false, "pytest -q".into()), Evidence::ErrorAtEnd];
    assert_eq!(verdict(first), (Some(Verdict::Failure), &evidence[..]));
    assert_eq!(found.skipped["user/compact_summary"], 1);
}

#[test]
fn lines_that_compaction_moved_behind_itself_stay_with_their_task() {
    let mut summary = line("user", "c2", Some("c1"), "The user asked for a plan.".into());
    summary["isCompactSummary"] = json!(true);
    let found = read_lines(&[
        line("user", "p1", None, "Plan".into()),
        line("assistant", "a1", Some("p1"), "Planned".into()),
        line("user", "p2", Some("a1"), "Build".into()),
        // The link over the cut leads to a line that is behind it and follows from it.
        boundary("c1", "a2"),
        summary,
        line("assistant", "a2", Some("c2"), "Built".into()),
        line("user", "p3", Some("a2"), "Ship".into()),
        line("assistant", "a3", Some("p3"), "Shipped".into()),
    ]);
    let outlines: Vec<_> = found.trajectories.iter().map(outline).collect();
    assert_eq!(outlines, [["agent: Planned"], ["agent: Built"], ["agent: Shipped"]]);
    assert!(found.trajectories.iter().all(|trajectory| trajectory.outcome.evidence.is_empty()));
}

#[test]
fn compaction_goes_on_from_the_branch_that_it_names() {
    let found = read_lines(&[
        line("user", "p1", None, "Plan".into()),
        line("assistant", "a1", Some("p1"), "Planned".into()),
        line("user", "p2", Some("a1"), "Build".into()),
        line("assistant", "a2", Some("p2"), "Built".into()),
        // The user went back to the plan before the conversation was compacted.
        boundary("c1", "a1"),
        line("user", "p3", Some("c1"), "Ship".into()),
        line("assistant", "a3", Some("p3"), "Shipped".into()),
    ]);
    let rewound: Vec<bool> =
        found.trajectories.iter().map(|task| task.outcome.evidence.contains(&Evidence::Rewound)).collect();
    assert_eq!(rewound, [false, true, false]);
}

fn boundary(uuid: &str, logical_parent: &str) -> Value {
    json!({"type": "system", "subtype": "compact_boundary", "uuid": uuid, "parentUuid": null,
        "logicalParentUuid": logical_parent, "sessionId": SESSION})
}

#[test]
fn the_agent_that_compacts_repeats_the_session_and_is_left_out() {
    let mut lines =
        [line("user", "p1", None, "Plan".into()), line("assistant", "a1", Some("p1"), "Planned".into())];
    for line in &mut lines {
        line["isSidechain"] = json!(true);
        line["agentId"] = json!("acompact-1");
    }
    let found = read_lines(&lines);
    assert_eq!((found.trajectories.len(), found.skipped["agent/compaction"]), (0, 2));
}

#[test]
fn the_task_that_started_an_agent_is_found_when_another_runs() {
    let check = |agent_id: Option<&str>, told_id: Option<&str>, side_parent: Option<&str>, prompt: &str| {
        let mut started = line("user", "r1", Some("a1"), result("t1", "started"));
        started["toolUseResult"] = json!({"status": "async_launched", "agentId": told_id});
        let mut asked = line("user", "q1", None, prompt.into());
        let mut said = line("assistant", "b1", Some("q1"), "Counted".into());
        for side in [&mut asked, &mut said] {
            side["isSidechain"] = json!(true);
            side["agentId"] = json!(agent_id);
            side["sidechainParentUuid"] = json!(side_parent);
        }
        let found = read_lines(&[
            line("user", "p1", None, "Count in the background".into()),
            line("assistant", "a1", Some("p1"), call("t1", "Agent", json!({"prompt": "Count all files."}))),
            started,
            line("assistant", "a2", Some("r1"), "It counts".into()),
            line("user", "p2", Some("a2"), "Meanwhile, wait".into()),
            asked,
            said,
            line("assistant", "a3", Some("p2"), "I wait".into()),
        ]);
        found.asked(prompt).parent.clone()
    };
    assert_eq!(check(Some("x"), Some("x"), None, "Count"), Some(key("p1")));
    assert_eq!(check(Some("x"), None, Some("a1"), "Count"), Some(key("p1")));
    assert_eq!(check(None, None, None, "Count all files."), Some(key("p1")));
    // Nothing but the place in the file is left to go by.
    assert_eq!(check(Some("x"), Some("y"), None, "Count"), Some(key("p2")));
}

#[test]
fn side_chains_are_trajectories_of_the_task_that_started_them() {
    let found = read_sample("claude-code/side-chains.jsonl");
    // In the order of their last lines: a sub-agent ends before the task that waits for it.
    assert_eq!(found.keys(), [key("q1"), key("p1"), key("q2"), key("p2")]);
    let by_id = found.asked("Find all code that rounds prices.");
    assert_eq!(by_id.parent, Some(key("p1")));
    assert_eq!(by_id.attributes["gen_ai.agent.id"], "b7c1");
    assert_eq!(by_id.labels.correlation_id.as_deref(), Some(SESSION));
    assert_eq!(outline(by_id), ["Grep -> src/price.rs:10", "agent: Only src/price.rs rounds."]);
    // Older versions have no ids of agents.
    let by_prompt = found.asked("Find all code that prints prices.");
    assert_eq!(by_prompt.parent, Some(key("p2")));
    assert_eq!(outline(by_prompt), ["agent: src/print.rs prints them."]);
    let main = found.asked("Where are prices rounded?");
    assert_eq!(
        (main.parent.as_ref(), outline(main)),
        (None, vec!["Task -> Only src/price.rs rounds.".to_owned(), "agent: In src/price.rs.".to_owned(),])
    );
}

#[test]
fn a_sub_agents_own_file_names_its_session() {
    let found = read_sample("claude-code/subagents/agent-e5d2.jsonl");
    assert_eq!(found.keys(), [key("q1")]);
    let only = &found.trajectories[0];
    assert_eq!((only.parent.as_ref(), only.labels.correlation_id.as_deref()), (None, Some(SESSION)));
    assert_eq!(only.attributes["gen_ai.agent.id"], "e5d2");
    // The prompt of the user in whose task the agent was started has the same id.
    assert_eq!(only.attributes["claude_code.prompt.id"], "prompt-9");
}

#[test]
fn damaged_lines_are_told_and_unknown_ones_skipped() {
    let found = read_sample("claude-code/damaged.jsonl");
    let lines: Vec<u64> = found.bad.iter().map(|(line, _)| *line).collect();
    assert_eq!(lines, [2, 4, 5], "{:?}", found.bad);
    assert_eq!(found.skipped["holiday-greeting"], 1);
    assert_eq!(found.skipped["queue-operation"], 1);
    // The last line is still being written.
    assert_eq!(found.skipped["unfinished line"], 1);
    // A line whose parent is lost follows the line before it.
    assert_eq!(found.keys(), [key("p1")]);
    assert_eq!(outline(&found.trajectories[0]), ["agent: There are 40."]);
}

#[test]
fn reading_ends_where_the_sink_breaks() {
    let bytes = bytes_of("claude-code/damaged.jsonl");
    let found = read_bytes(Format::ClaudeCode, &bytes, Some(1));
    assert_eq!((found.bad.len(), found.trajectories.len()), (1, 0));
    let bytes = bytes_of("claude-code/rewind.jsonl");
    assert_eq!(read_bytes(Format::ClaudeCode, &bytes, Some(2)).trajectories.len(), 2);
}

#[test]
fn interruptions_and_failures_of_the_service_at_the_end_are_evidence() {
    let found = read_sample("claude-code/stopped.jsonl");
    let prompts = ["Delete the old logs.", "Only those of last year.", "Go on.", "Empty the trash."];
    assert_eq!(found.prompts(), prompts);
    let (verdict_of_first, evidence) = verdict(&found.trajectories[0]);
    assert_eq!(verdict_of_first, Some(Verdict::Abandoned));
    assert_eq!(evidence, [Evidence::Interrupted, Evidence::ErrorAtEnd]);
    let service = [Evidence::ServiceError("API Error: 529 overloaded".into())];
    assert_eq!(verdict(&found.trajectories[1]), (Some(Verdict::Abandoned), &service[..]));
    // The agent went on after it.
    assert_eq!(verdict(&found.trajectories[2]), (None, &[][..]));
    assert_eq!(outline(&found.trajectories[2]), ["agent: They are deleted."]);
    assert_eq!(verdict(&found.trajectories[3]), (Some(Verdict::Abandoned), &[Evidence::Interrupted][..]));
}

#[test]
fn what_the_tool_writes_in_the_users_name_is_no_prompt() {
    let found = read_sample("claude-code/no-prompts.jsonl");
    assert_eq!(found.prompts(), ["Start the server.", "/deploy staging"]);
    let expected = [
        "Bash -> Command running in background with ID: 1",
        "user: Use port 8081.",
        "agent: It runs on port 8081.",
        "agent: The server has stopped.",
    ];
    assert_eq!(outline(&found.trajectories[0]), expected);
    assert_eq!(outline(&found.trajectories[1]), ["agent: Staging is deployed."]);
    assert_eq!(found.skipped["attachment/hook_success"], 1);
}

#[test]
fn copies_keep_the_key_of_their_source() {
    let found = read_sample("claude-code/resumed.jsonl");
    let of =
        |session: u32, uuid: &str| format!("claude-code:0f6f0000-0000-4000-8000-00000000000{session}:{uuid}");
    assert_eq!(found.keys(), [of(1, "p1"), of(3, "p2"), of(2, "p3"), of(2, "p4")]);
    // Its prompt is there twice.
    assert_eq!(outline(&found.trajectories[0]), ["agent: It is green."]);
}

#[test]
fn goals_and_limits_are_evidence() {
    let found = read_sample("claude-code/resumed.jsonl");
    // The last check counts.
    let goal = found.asked("Get coverage to 80 %.");
    assert_eq!(verdict(goal), (Some(Verdict::Success), &[Evidence::Goal(true)][..]));
    let limited = found.asked("Check every link.");
    let evidence = [Evidence::ExitStatus("max_turns_reached".into()), Evidence::ErrorAtEnd];
    assert_eq!(verdict(limited), (Some(Verdict::Abandoned), &evidence[..]));
}

#[test]
fn long_texts_are_cut() {
    let long = "ü".repeat(MAX_TEXT_CHARS + 10);
    let lines = [
        json!({"type": "user", "uuid": "p1", "parentUuid": null, "sessionId": "s",
            "message": {"role": "user", "content": long}}),
        json!({"type": "assistant", "uuid": "a1", "parentUuid": "p1", "message": {"id": "m", "content": [
            {"type": "tool_use", "id": "t1", "name": "Write", "input": {"content": long}}]}}),
        json!({"type": "user", "uuid": "r1", "parentUuid": "a1", "message": {"role": "user", "content": [
            {"type": "tool_result", "tool_use_id": "t1", "content": long}]}}),
        json!({"type": "assistant", "uuid": "a2", "parentUuid": "r1", "message": {"id": "n", "content": [
            {"type": "text", "text": long}], "stop_reason": "end_turn"}}),
    ];
    let text: String = lines.iter().map(|line| format!("{line}\n")).collect();
    let found = read_bytes(Format::ClaudeCode, text.as_bytes(), None);
    let only = &found.trajectories[0];
    let StepKind::Call { arguments, result: Some(result), .. } = &only.steps[0].kind else { panic!() };
    let StepKind::Message { text, .. } = &only.steps[1].kind else { panic!() };
    for kept in [&only.prompt, &result.text, text, arguments["content"].as_str().unwrap()] {
        assert_eq!(kept.chars().count(), MAX_TEXT_CHARS);
    }
}
