//! Rollout files of Codex CLI.

use memory_import::{Evidence, Format, StepKind, Verdict};
use serde_json::{Value, json};

use crate::samples::{bytes_of, check_growth, outline, read_bytes, read_sample, verdict};

const SESSION: &str = "019a4000-0000-7000-8000-0000000000a1";

#[test]
fn each_turn_is_a_trajectory_with_its_labels() {
    let found = read_sample("codex/rollout.jsonl");
    let keys: Vec<String> =
        ["turn-1", "turn-2", "turn-3"].iter().map(|turn| format!("codex:{SESSION}:{turn}")).collect();
    // The fourth turn has not ended.
    assert_eq!(found.keys(), keys);
    assert_eq!(found.prompts(), ["Retry requests that time out.", "No, once is enough.", "Try once."]);
    let first = &found.trajectories[0];
    assert_eq!(first.at_ms, Some(1_793_696_404_000));
    assert_eq!(first.labels.agent.as_deref(), Some("codex"));
    assert_eq!(first.labels.project.as_deref(), Some("/work/api"));
    assert_eq!(first.labels.correlation_id.as_deref(), Some(SESSION));
    let expected = json!({
        "gen_ai.conversation.id": SESSION,
        "gen_ai.request.model": "gpt-5.1-codex",
        "gen_ai.provider.name": "openai",
        "gen_ai.agent.version": "0.169.0",
        "vcs.ref.head.name": "retry",
        "vcs.ref.head.revision": "ab12",
        "vcs.repository.url.full": "https://git.example/api.git",
    });
    assert_eq!(json!(first.attributes), expected);
}

#[test]
fn messages_are_there_once_and_calls_have_their_outputs() {
    let found = read_sample("codex/rollout.jsonl");
    let first = &found.trajectories[0];
    let expected = [
        "agent: I will look at the client.",
        "exec_command ! Chunk ID: 1\nWall time: 0.2 seconds\nProcess exited with code 1\nOutput:\n2 failed, 3 passed \
         in 0.20s",
        "apply_patch -> Success. Updated client.py",
        "local_shell -> 5 passed in 0.31s",
        "web_search ?",
        // The event beside the output says so.
        "mcp__tracker__close ! no such issue",
        "agent: Requests that time out are tried three times now.",
    ];
    assert_eq!(outline(first), expected);
    let call = |index: usize| match &first.steps[index].kind {
        StepKind::Call { description, arguments, .. } => (description.as_str(), arguments.clone()),
        StepKind::Message { .. } => panic!(),
    };
    let expected = json!({"cmd": "pytest -q", "justification": "See what fails now"});
    assert_eq!(call(1), ("See what fails now", expected));
    assert!(call(2).1.as_str().unwrap().starts_with("*** Begin Patch"));
    assert_eq!(call(3).1["command"], json!(["bash", "-lc", "pytest -q"]));
    let durations: Vec<Option<u64>> = first.steps.iter().map(|step| step.duration_ms).collect();
    assert_eq!(durations, [None, Some(4_000), Some(100), Some(500), None, Some(1_500), None]);
    // Without what was cached, once for each response, on its first step.
    let tokens: Vec<Option<u64>> = first.steps.iter().map(|step| step.tokens).collect();
    assert_eq!(tokens, [Some(650), None, Some(1_280), None, None, None, None]);
}

#[test]
fn corrections_interruptions_and_rollbacks_are_evidence() {
    let found = read_sample("codex/rollout.jsonl");
    let evidence = [
        Evidence::Corrected("No, once is enough.".into()),
        Evidence::Tests(true, "pytest -q".into()),
        Evidence::ErrorAtEnd,
    ];
    assert_eq!(verdict(&found.trajectories[0]), (Some(Verdict::Failure), &evidence[..]));
    let interrupted = &found.trajectories[1];
    assert_eq!(verdict(interrupted), (Some(Verdict::Abandoned), &[Evidence::Interrupted][..]));
    assert_eq!(outline(interrupted), ["exec_command ?"]);
    let rewound = &found.trajectories[2];
    assert_eq!(verdict(rewound), (Some(Verdict::Abandoned), &[Evidence::Rewound][..]));
    assert!(rewound.outcome.confidence <= 0.5);
}

#[test]
fn a_turn_goes_on_until_its_end_is_written() {
    let mut grown = String::from_utf8(bytes_of("codex/rollout.jsonl")).unwrap();
    let line = |payload: Value| {
        format!(
            "{}\n",
            json!({"timestamp": "2026-11-03T09:09:00.000Z", "type": "event_msg", "payload": payload})
        )
    };
    grown.push_str(&line(json!({"type": "task_complete", "turn_id": "turn-4"})));
    let found = read_bytes(Format::Codex, grown.as_bytes(), None);
    // What the user says within a turn is a step of it.
    let expected = ["agent: It tries twice.", "user: And log it.", "exec_command ?"];
    assert_eq!(outline(found.asked("No, try twice.")), expected);
    assert_eq!(found.trajectories.len(), 4);
}

#[test]
fn an_event_marks_a_failed_call_before_its_output_or_after_it() {
    let check = |events: [Value; 2]| {
        let mut lines = vec![
            json!({"type": "session_meta", "payload": {"id": "s"}}),
            json!({"type": "event_msg", "payload": {"type": "user_message", "message": "Go"}}),
            json!({"type": "response_item", "payload": {"type": "custom_tool_call", "name": "apply_patch", "call_id": "c",
                "input": "x"}}),
        ];
        lines.extend(events);
        lines.push(json!({"type": "event_msg", "payload": {"type": "task_complete"}}));
        let text: String = lines.iter().map(|line| format!("{line}\n")).collect();
        let found = read_bytes(Format::Codex, text.as_bytes(), None);
        assert_eq!(outline(&found.trajectories[0]), ["apply_patch ! gone"]);
    };
    let end = json!({"type": "event_msg", "payload": {"type": "patch_apply_end", "call_id": "c", "success": false}});
    let output = json!({"type": "response_item",
        "payload": {"type": "custom_tool_call_output", "call_id": "c", "output": "gone"}});
    check([end.clone(), output.clone()]);
    check([output, end]);
}

#[test]
fn a_prompt_may_be_written_before_its_turn_starts() {
    let lines = [
        json!({"type": "session_meta", "payload": {"id": "s"}}),
        json!({"type": "event_msg", "payload": {"type": "user_message", "message": "Go"}}),
        json!({"type": "event_msg", "payload": {"type": "task_started", "turn_id": "one"}}),
        json!({"type": "event_msg", "payload": {"type": "agent_message", "message": "Gone"}}),
        json!({"type": "event_msg", "payload": {"type": "task_complete", "turn_id": "one"}}),
    ];
    let text: String = lines.iter().map(|line| format!("{line}\n")).collect();
    let found = read_bytes(Format::Codex, text.as_bytes(), None);
    assert_eq!((found.keys(), found.prompts()), (vec!["codex:s:one"], vec!["Go"]));
}

#[test]
fn several_turns_are_rolled_back_from_the_last() {
    let mut lines =
        vec![json!({"timestamp": "2026-11-03T09:00:00Z", "type": "session_meta", "payload": {"id": "s"}})];
    let mut event = |payload: Value| {
        lines.push(json!({"timestamp": "2026-11-03T09:00:01Z", "type": "event_msg", "payload": payload}));
    };
    for turn in ["one", "two", "three"] {
        event(json!({"type": "task_started", "turn_id": turn}));
        event(json!({"type": "user_message", "message": turn}));
        event(json!({"type": "agent_message", "message": "ok"}));
        event(json!({"type": "task_complete", "turn_id": turn}));
        if turn == "two" {
            event(json!({"type": "thread_rolled_back", "num_turns": 1}));
        }
    }
    event(json!({"type": "thread_rolled_back", "num_turns": 1}));
    let check = |lines: &[Value], expected: [bool; 3]| {
        let text: String = lines.iter().map(|line| format!("{line}\n")).collect();
        let found = read_bytes(Format::Codex, text.as_bytes(), None);
        let rewound: Vec<bool> = found
            .trajectories
            .iter()
            .map(|turn| turn.outcome.evidence.contains(&Evidence::Rewound))
            .collect();
        assert_eq!(rewound, expected);
    };
    check(&lines, [false, true, true]);
    // The second turn is gone already; the next one back is the first.
    lines.pop();
    lines.push(json!({"timestamp": "2026-11-03T09:00:01Z", "type": "event_msg",
        "payload": {"type": "thread_rolled_back", "num_turns": 2}}));
    check(&lines, [true, true, true]);
}

#[test]
fn old_turns_are_known_by_the_number_of_their_prompt() {
    let found = read_sample("codex/old.jsonl");
    assert_eq!(found.keys(), ["codex:old-1:1", "codex:old-1:2"]);
    assert_eq!(found.prompts(), ["Add a footer.", "Add a header."]);
    let first = &found.trajectories[0];
    assert_eq!(outline(first), ["shell ! Tests: 1 failed, 4 passed", "agent: One test fails."]);
    let evidence = [Evidence::Tests(false, "npm test".into()), Evidence::ErrorAtEnd];
    assert_eq!(verdict(first), (Some(Verdict::Failure), &evidence[..]));
}

#[test]
fn items_without_an_envelope_are_read() {
    let found = read_sample("codex/bare.jsonl");
    assert_eq!(found.keys(), ["codex:bare-1:1"]);
    assert_eq!(outline(&found.trajectories[0]), ["shell -> hello\n", "agent: hello"]);
}

#[test]
fn events_stand_in_where_there_are_no_items() {
    let found = read_sample("codex/events.jsonl");
    assert_eq!(found.prompts(), ["Greet the visitor."]);
    assert_eq!(outline(&found.trajectories[0]), ["agent: Good morning."]);
}

#[test]
fn what_a_fork_copied_is_left_to_its_source() {
    let found = read_sample("codex/fork.jsonl");
    assert_eq!(found.prompts(), ["Draw it."]);
    assert!(found.trajectories[0].key.starts_with("codex:fork-1:"));
    assert_eq!(found.trajectories[0].attributes["codex.forked_from.id"], SESSION);
    assert_eq!(found.skipped["copied turn"], 1);
}

#[test]
fn damaged_lines_are_told_and_unknown_ones_skipped() {
    let found = read_sample("codex/damaged.jsonl");
    let lines: Vec<u64> = found.bad.iter().map(|(line, _)| *line).collect();
    assert_eq!(lines, [2, 4], "{:?}", found.bad);
    for kind in ["future_record", "event_msg/background_event", "unfinished line"] {
        assert_eq!(found.skipped.get(kind), Some(&1), "{kind}");
    }
    let only = &found.trajectories[0];
    assert_eq!(outline(only), ["agent: Pong."]);
    let evidence = [Evidence::ServiceError("stream disconnected".into())];
    assert_eq!(verdict(only), (Some(Verdict::Abandoned), &evidence[..]));
}

#[test]
fn a_file_without_a_session_has_no_keys() {
    let line = json!({"timestamp": "2026-11-03T09:00:00Z", "type": "event_msg",
        "payload": {"type": "user_message", "message": "Hi"}});
    let found = read_bytes(Format::Codex, line.to_string().as_bytes(), None);
    assert_eq!((found.trajectories.len(), found.bad.len()), (0, 1));
    let found = read_bytes(Format::Codex, b"", None);
    assert_eq!((found.trajectories.len(), found.bad.len()), (0, 0));
}

#[test]
fn a_beginning_of_a_file_gives_a_beginning_of_its_trajectories() {
    for sample in ["rollout", "old", "bare", "events", "fork"] {
        check_growth(&format!("codex/{sample}.jsonl"), Format::Codex);
    }
}
