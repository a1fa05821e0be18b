//! SWE-agent.

use memory_import::{Evidence, Format, StepKind, Verdict};

use crate::support::{brief, read_sample, read_text, sample};

#[test]
fn actions_are_calls_and_demonstrations_no_task() {
    let seen = read_sample(Format::SweAgent, "swe_agent/run.traj");
    let run = seen.only();
    assert_eq!(run.prompt, "Division by zero in calc.");
    assert_eq!(
        brief(&run.steps),
        [
            "agent: I look at the source first.",
            "str_replace_editor {\"command\":\"str_replace_editor view /testbed/src\"} = calc.py\n",
            "agent: Now the tests.",
            "bash {\"command\":\"cd /testbed && python -m pytest\"} ! Traceback (most recent call last):\n  E",
            "agent: I am confused.",
            "(environment): Your output was not formatted correctly.",
            "agent: I fixed the division.",
            "submit {\"command\":\"submit\"} = ",
        ]
    );
    assert_eq!(run.steps[1].duration_ms, Some(352));
    assert!(run.key.starts_with("swe-agent:calc-12:"), "{}", run.key);
    assert_eq!(run.attributes["gen_ai.request.model"], "model-b");
    assert_eq!(run.attributes["gen_ai.usage.input_tokens"], 5000);
}

#[test]
fn submitted_is_no_success() {
    let seen = read_sample(Format::SweAgent, "swe_agent/run.traj");
    let outcome = &seen.only().outcome;
    assert!(outcome.confidence < 1.0, "nothing states how it ended: {outcome:?}");
    assert!(outcome.evidence.contains(&Evidence::ExitStatus("submitted".into())));
    // An evaluation that states it does.
    for (resolved, verdict) in [("true", Verdict::Success), ("false", Verdict::Failure)] {
        let info = format!("\"info\": {{\"report\": {{\"calc-12\": {{\"resolved\": {resolved}}}}}, ");
        let text = sample("swe_agent/run.traj").replace("\"info\": {", &info);
        let seen = read_text(Format::SweAgent, &text);
        let outcome = &seen.only().outcome;
        assert_eq!((outcome.verdict, outcome.confidence), (Some(verdict), 1.0));
        assert_eq!(outcome.summary, "I fixed the division.");
    }
}

#[test]
fn a_file_that_grows_keeps_its_key() {
    let mut document: serde_json::Value = serde_json::from_str(&sample("swe_agent/run.traj")).unwrap();
    let whole = read_text(Format::SweAgent, &document.to_string()).only().clone();
    document["trajectory"].as_array_mut().unwrap().truncate(1);
    document["info"] = serde_json::json!({});
    let begun = read_text(Format::SweAgent, &document.to_string()).only().clone();
    assert_eq!(begun.key, whole.key);
    assert!(begun.steps.len() < whole.steps.len());
    // Another run of the task is another one, although it begins with the same action.
    document["trajectory"][0]["execution_time"] = 0.5.into();
    assert_ne!(read_text(Format::SweAgent, &document.to_string()).only().key, whole.key);
}

#[test]
fn each_attempt_is_a_trajectory_and_the_best_one_only_once() {
    let seen = read_sample(Format::SweAgent, "swe_agent/attempts.traj");
    let found: Vec<_> = seen
        .trajectories
        .iter()
        .map(|(_, it)| (it.outcome.summary.as_str(), it.outcome.evidence.clone()))
        .collect();
    let resolved = Evidence::Score("resolved".into(), 1.0);
    assert_eq!(
        found,
        [
            ("Second try.", vec![resolved, Evidence::ExitStatus("submitted".into())]),
            ("First try.", vec![Evidence::ExitStatus("exit_cost".into())]),
        ]
    );
}

#[test]
fn what_is_no_trajectory_is_bad() {
    let seen = read_text(Format::SweAgent, "{\"info\": {}}\n{\"trajectory\": [], \"history\": []}\n[1]");
    let lines: Vec<u64> = seen.bad.iter().map(|(line, _)| *line).collect();
    assert_eq!(lines, [1, 2, 3]);
    assert_eq!(seen.bad[0].1, "not of SWE-agent: missing field `trajectory`");
    assert_eq!(seen.bad[1].1, "not a task: no message of the user in `history`");
}

#[test]
fn the_source_of_a_step_is_the_whole_action() {
    let seen = read_sample(Format::SweAgent, "swe_agent/run.traj");
    let commands = seen.only().steps.iter().filter(|step| match &step.kind {
        StepKind::Call { arguments, .. } => arguments["command"].is_string(),
        StepKind::Message { .. } => false,
    });
    assert_eq!(commands.count(), 3);
}
