//! OpenHands.

use memory_import::{Evidence, Format, StepKind, Verdict};
use serde_json::Value;

use crate::support::{brief, read_sample, read_text, sample};

#[test]
fn observations_are_joined_to_the_actions_that_caused_them() {
    let seen = read_sample(Format::OpenHands, "openhands/output.jsonl");
    let run = &seen.trajectories[0].1;
    assert!(run.key.starts_with("openhands:lib-7:"), "{}", run.key);
    assert_eq!(run.prompt, "Fix the cache.");
    assert_eq!(
        brief(&run.steps),
        [
            "agent: I run the tests.",
            "execute_bash {\"command\":\"pytest -x\"} ! 1 failed",
            "search_docs {\"q\":\"cache\"} = found",
            "edit {\"new_str\":\"x\",\"path\":\"a.py\"} ! a.py does not exist",
            "user: Please go on.",
            "dance {} ?",
            "agent: The cache is fixed.",
        ]
    );
    assert_eq!(run.at_ms, Some(1_767_600_000_100));
    assert_eq!(run.steps[1].at_ms, Some(1_767_600_001_500));
    assert_eq!(seen.skips(), [("recall", 2), ("system", 1)]);
    assert_eq!(run.attributes["gen_ai.request.model"], "vendor/model-d");
    assert_eq!(run.attributes["gen_ai.usage.output_tokens"], 50);
    assert_eq!(run.labels.agent.as_deref(), Some("CodeActAgent"));
}

#[test]
fn only_an_evaluation_states_the_outcome() {
    let seen = read_sample(Format::OpenHands, "openhands/output.jsonl");
    let outcomes: Vec<_> = seen.trajectories.iter().map(|(_, it)| &it.outcome).collect();
    assert_eq!((outcomes[0].verdict, outcomes[0].confidence), (Some(Verdict::Success), 1.0));
    assert_eq!(outcomes[0].evidence, [Evidence::Score("resolved".into(), 1.0)]);
    assert!(outcomes[1].confidence < 1.0, "a patch alone says nothing: {:?}", outcomes[1]);
    let stuck = Evidence::ExitStatus("AgentStuckInLoopError: stuck".into());
    assert!(outcomes[1].evidence.contains(&stuck));
    assert_eq!(outcomes[1].last_error.as_deref(), Some("AgentStuckInLoopError: stuck\nmore"));
    assert_eq!(outcomes[2].verdict, Some(Verdict::Failure));
}

#[test]
fn old_histories_are_pairs_without_ids() {
    let seen = read_sample(Format::OpenHands, "openhands/output.jsonl");
    let run = &seen.trajectories[1].1;
    assert_eq!(brief(&run.steps), ["run {\"command\":\"ls\"} = a.py", "read {\"path\":\"a.py\"} = pass"]);
}

#[test]
fn flat_histories_without_ids_go_by_order() {
    let seen = read_sample(Format::OpenHands, "openhands/output.jsonl");
    let run = &seen.trajectories[3].1;
    assert_eq!(brief(&run.steps), ["run {\"command\":\"ls\"} = b.py", "(environment): late words"]);
    assert_eq!(run.outcome.verdict, Some(Verdict::Failure));
}

#[test]
fn bad_lines_are_said_by_number_and_runs_of_an_instance_stay_apart() {
    let seen = read_sample(Format::OpenHands, "openhands/output.jsonl");
    assert_eq!(seen.bad, [(3, "not a task: no message of the user".to_owned())]);
    let keys = seen.keys();
    assert!(keys[1].starts_with("openhands:lib-8:") && keys[2].starts_with("openhands:lib-8:"));
    assert_ne!(keys[1], keys[2]);
}

#[test]
fn events_of_version_1_are_joined_by_their_calls() {
    let seen = read_sample(Format::OpenHands, "openhands/conversation.json");
    let run = seen.only();
    assert_eq!((run.key.as_str(), run.prompt.as_str()), ("openhands:6f0e", "Write a test."));
    assert_eq!(
        brief(&run.steps),
        [
            "agent: Two at once.",
            "terminal {\"command\":\"ls\"} = src",
            "file_editor {\"path\":\"t.py\"} ! no such file",
            "browse {} ! Tool 'browse' not found",
            "agent: A test is there.",
        ]
    );
    let StepKind::Call { description, .. } = &run.steps[1].kind else { panic!("no call") };
    assert_eq!(description, "looking at files");
    assert_eq!(seen.skips(), [("CondensationEvent", 1), ("SystemPromptEvent", 1)]);
}

#[test]
fn events_one_a_line_are_one_conversation() {
    let events: Vec<Value> = serde_json::from_str(&sample("openhands/conversation.json")).unwrap();
    let lines: String = events.iter().map(|event| format!("{event}\n")).collect();
    let seen = read_text(Format::OpenHands, &lines);
    let whole = read_sample(Format::OpenHands, "openhands/conversation.json");
    assert_eq!(seen.only(), whole.only());
    assert_eq!(seen.trajectories[0].0, 11);
    // The file grows: the task stays the same one.
    let begun: String = events.iter().take(4).map(|event| format!("{event}\n")).collect();
    assert_eq!(read_text(Format::OpenHands, &begun).only().key, whole.only().key);
}
