//! ATIF.

use memory_import::{Evidence, Format, Verdict, to_atif};

use crate::support::{brief, read_sample, read_text, sample};

#[test]
fn results_are_joined_by_id_within_their_step() {
    let seen = read_sample(Format::Atif, "atif/subagents.json");
    let main = seen.of("atif:run-1:main");
    assert_eq!(main.prompt, "Make the build pass.\n[image]");
    assert_eq!(
        brief(&main.steps),
        [
            "agent: I look at two things.",
            "shell {\"command\":\"make\"} ! no rule for target",
            "shell {\"command\":\"ls\"} = Makefile",
            "delegate {\"prompt\":\"Find the missing rule.\"} = ",
            "shell {\"command\":\"make all\"} ?",
            "(system): Context was compacted.",
            "(environment): terminal: ready",
            "user: Is it done?",
            "agent: Yes.",
        ]
    );
    assert_eq!(main.at_ms, Some(1_772_359_200_000));
    assert_eq!((main.steps[1].at_ms, main.steps[0].tokens), (Some(1_772_359_205_250), Some(940)));
    assert_eq!(main.attributes["gen_ai.request.model"], "model-a");
    assert_eq!(main.attributes["gen_ai.usage.input_tokens"], 1800);
    assert_eq!(main.labels.agent.as_deref(), Some("terminal-agent"));
    assert_eq!(main.labels.correlation_id.as_deref(), Some("run-1"));
}

#[test]
fn a_verifier_s_reward_is_the_verdict_and_other_rewards_are_scores() {
    let seen = read_sample(Format::Atif, "atif/subagents.json");
    let outcome = &seen.of("atif:run-1:main").outcome;
    assert_eq!((outcome.verdict, outcome.confidence), (Some(Verdict::Success), 1.0));
    assert_eq!(outcome.evidence, [Evidence::Reward(1.0), Evidence::Score("style".into(), 0.5)]);
    assert_eq!(outcome.summary, "Yes.");
}

#[test]
fn sub_agents_have_parents_and_the_task_of_the_call_that_started_them() {
    let seen = read_sample(Format::Atif, "atif/subagents.json");
    assert_eq!(seen.keys(), ["atif:run-1:main", "atif:run-1:sub-1", "atif:run-1:sub-1:sub-1"]);
    let sub = seen.of("atif:run-1:sub-1");
    assert_eq!(sub.parent.as_deref(), Some("atif:run-1:main"));
    assert_eq!(
        (sub.prompt.as_str(), sub.labels.agent.as_deref()),
        ("Find the missing rule.", Some("searcher"))
    );
    // Ids are unique among the sub-agents of one agent only.
    let reader = seen.of("atif:run-1:sub-1:sub-1");
    assert_eq!(reader.parent.as_deref(), Some("atif:run-1:sub-1"));
    assert_eq!(seen.bad, [(39, "not a task: no step of the user".to_owned())]);
}

#[test]
fn old_versions_and_one_document_a_line() {
    let seen = read_sample(Format::Atif, "atif/lines.jsonl");
    let old = seen.of("atif:old-1");
    assert_eq!(brief(&old.steps), ["agent: ls", "(environment): a.txt"]);
    assert_eq!(old.outcome.verdict, Some(Verdict::Partial(0.25)));
    // What a continuation repeats was done before.
    let continued = seen.of("atif:cont-2");
    assert_eq!(
        (continued.prompt.as_str(), brief(&continued.steps)),
        ("Sort them.", vec!["agent: New words.".into()])
    );
    assert_eq!(continued.outcome.evidence, []);
    assert_eq!(seen.skips(), [("copied context", 1), ("source \"robot\"", 1)]);
    assert_eq!(
        seen.bad,
        [
            (3, "schema_version: \"ATIF-v2.0\" is not ATIF-v1.0 to ATIF-v1.8".to_owned()),
            (4, "not ATIF: missing field `steps`".to_owned()),
        ]
    );
    let lines: Vec<u64> = seen.trajectories.iter().map(|(line, _)| *line).collect();
    assert_eq!(lines, [1, 2, 5]);
    assert!(seen.keys()[2].len() == "atif:".len() + 36, "{:?}", seen.keys());
}

#[test]
fn what_is_exported_is_imported_the_same() {
    let samples = [
        (Format::Atif, "atif/subagents.json"),
        (Format::JsonLines, "json_lines/mixed.jsonl"),
        (Format::Otlp, "otlp/trace.jsonl"),
        (Format::SweAgent, "swe_agent/run.traj"),
        (Format::Inspect, "inspect/log.json"),
        (Format::OpenHands, "openhands/output.jsonl"),
    ];
    for (format, name) in samples {
        let trajectories = read_text(format, &sample(name)).trajectories;
        assert!(!trajectories.is_empty(), "{name}");
        for (_, trajectory) in trajectories {
            let seen = read_text(Format::Atif, &to_atif(&trajectory).to_string());
            assert_eq!(seen.only(), &trajectory, "{name}");
        }
    }
}
