//! OpenTelemetry's GenAI spans.

use memory_import::{Evidence, Format, Verdict};

use crate::support::{brief, read_sample, read_text, sample};

const ROOT: &str = "otlp:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaa01:00000000000000a1";
const SUB: &str = "otlp:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaa01:00000000000000d1";

#[test]
fn spans_of_a_trace_are_gathered_from_lines_in_no_order() {
    let seen = read_sample(Format::Otlp, "otlp/trace.jsonl");
    assert_eq!(seen.keys(), [ROOT, SUB]);
    let root = seen.of(ROOT);
    // The history before the task belongs to earlier ones.
    assert_eq!(root.prompt, "Book a table.");
    assert_eq!(
        brief(&root.steps),
        [
            "agent: I search.",
            // No span shows this call: the messages do, and its result.
            "clock {} = noon",
            // The span has no arguments and no result but an error; a message has the arguments.
            "search {\"city\":\"Bergen\"} ! service is down",
            "ask_waiter {\"request\":\"Is a table free?\"} = {\"free\":true}",
            // Once, although the agent's span and the model's have it.
            "agent: Booked for two.",
        ]
    );
    assert_eq!((root.at_ms, root.steps[2].at_ms), (Some(1_770_000_000_000), Some(1_770_000_000_110)));
    assert_eq!((root.steps[2].duration_ms, root.steps[0].tokens), (Some(90), Some(59)));
    assert_eq!(root.labels.agent.as_deref(), Some("planner"));
    assert_eq!(root.labels.correlation_id.as_deref(), Some("conv-1"));
    assert_eq!(root.attributes["gen_ai.request.model"], "model-e");
    assert_eq!(root.attributes["service.name"], "shop");
    assert_eq!(seen.trajectories[0].0, 5, "the last line with a span of the trace");
    assert_eq!(seen.skips(), [("resourceMetrics", 1), ("span that is not of GenAI", 1)]);
}

#[test]
fn a_passed_evaluation_of_the_agent_is_the_verdict() {
    let seen = read_sample(Format::Otlp, "otlp/trace.jsonl");
    let outcome = &seen.of(ROOT).outcome;
    assert_eq!((outcome.verdict, outcome.confidence), (Some(Verdict::Success), 1.0));
    assert_eq!(outcome.evidence, [Evidence::Score("task".into(), 1.0)]);
    // A score without such a label may be of anything.
    let text = sample("otlp/trace.jsonl").replace("\"pass\"", "\"polite\"");
    let seen = read_text(Format::Otlp, &text);
    let outcome = &seen.of(ROOT).outcome;
    assert!(outcome.confidence < 1.0, "{outcome:?}");
    assert!(outcome.evidence.contains(&Evidence::Score("task".into(), 1.0)));
}

#[test]
fn a_sub_agent_has_a_parent_and_the_task_of_its_call() {
    let seen = read_sample(Format::Otlp, "otlp/trace.jsonl");
    let sub = seen.of(SUB);
    assert_eq!(sub.parent.as_deref(), Some(ROOT));
    assert_eq!(sub.prompt, "Is a table free?");
    assert_eq!(brief(&sub.steps), ["look {\"at\":\"tables\"} ! one free"]);
}

#[test]
fn the_order_of_the_lines_changes_nothing() {
    let text = sample("otlp/trace.jsonl");
    let mut lines: Vec<&str> = text.lines().collect();
    lines.reverse();
    let reversed = read_text(Format::Otlp, &lines.join("\n"));
    let trajectories = |seen: &crate::support::Seen| {
        seen.trajectories.iter().map(|(_, trajectory)| trajectory.clone()).collect::<Vec<_>>()
    };
    assert_eq!(trajectories(&reversed), trajectories(&read_text(Format::Otlp, &text)));
}

#[test]
fn older_names_are_read_and_tasks_without_a_prompt_are_not() {
    let seen = read_sample(Format::Otlp, "otlp/old.json");
    let key = |span: &str| format!("otlp:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaa02:{span}");
    assert_eq!(seen.keys(), [key("00000000000000a3"), key("00000000000000a5")]);
    assert_eq!(seen.skips(), [("invoke_agent without a prompt", 1), ("span outside invoke_agent", 1)]);
    let broken = seen.of(&key("00000000000000a3"));
    assert_eq!(broken.prompt, "Old style.");
    assert_eq!(brief(&broken.steps), ["agent: Old words.", "look {\"a\":1} ?"]);
    assert_eq!(broken.steps[0].tokens, Some(7));
    assert_eq!(broken.attributes["gen_ai.provider.name"], "vendor");
    let events = seen.of(&key("00000000000000a5"));
    assert_eq!(
        (events.prompt.as_str(), brief(&events.steps)),
        ("By event.", vec!["agent: By choice.".into()])
    );
}

#[test]
fn an_agent_s_span_that_failed_is_a_failure() {
    let seen = read_sample(Format::Otlp, "otlp/old.json");
    let outcome = &seen.trajectories[0].1.outcome;
    assert_eq!((outcome.verdict, outcome.confidence), (Some(Verdict::Failure), 1.0));
    assert_eq!(outcome.last_error.as_deref(), Some("out of memory"));
    assert_eq!(outcome.evidence, [Evidence::ExitStatus("out of memory".into())]);
}

#[test]
fn bad_lines_are_said_by_number_and_circles_end() {
    let text = "{\"resourceSpans\": [{\"scopeSpans\": [{\"spans\": [{\"traceId\": \"1\", \"spanId\": \"2\", \
                \"parentSpanId\": \"2\", \"attributes\": [{\"key\": \"gen_ai.operation.name\", \
                \"value\": {\"stringValue\": \"invoke_agent\"}}]}]}]}]}\n{\"resourceSpans\": 7}\nx\n";
    let seen = read_text(Format::Otlp, text);
    let lines: Vec<u64> = seen.bad.iter().map(|(line, _)| *line).collect();
    assert_eq!(lines, [2, 3]);
    assert_eq!(seen.skips(), [("invoke_agent without a prompt", 1)]);
}
