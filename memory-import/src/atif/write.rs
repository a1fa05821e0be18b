//! Writing ATIF 1.8.

use serde_json::{Map, Value, json};

use super::OURS;
use crate::times;
use crate::trajectory::{Speaker, Step, StepKind, Trajectory};

/// The version of the schema that is written.
const VERSION: &str = "ATIF-v1.8";

/// Returns a trajectory as a document of ATIF 1.8.
///
/// Each step is a step of ATIF. What ATIF has no field for stands below `extra.agent_memory`, so that reading the
/// document with [`crate::read`] gives the same trajectory.
///
/// ```
/// # use memory_import::{Format, Sink, Trajectory, read, to_atif};
/// # use std::ops::ControlFlow;
/// # struct First(Option<Trajectory>);
/// # impl Sink for First {
/// #     fn trajectory(&mut self, _: u64, trajectory: Trajectory) -> ControlFlow<()> {
/// #         self.0 = Some(trajectory);
/// #         ControlFlow::Break(())
/// #     }
/// #     fn bad(&mut self, _: u64, reason: String) -> ControlFlow<()> { panic!("{reason}") }
/// #     fn skipped(&mut self, _: &str) {}
/// #     fn progress(&mut self, _: u64) {}
/// # }
/// # let mut sink = First(None);
/// let line = br#"{"reward": 1, "messages": [{"role": "user", "content": "Water the plants."}]}"#;
/// read(Format::Chat, &mut &line[..], &mut sink)?;
/// # let trajectory = sink.0.unwrap();
/// let document = to_atif(&trajectory);
/// assert_eq!(document["schema_version"], "ATIF-v1.8");
/// assert_eq!(document["steps"][0]["message"], "Water the plants.");
/// # Ok::<(), std::io::Error>(())
/// ```
pub fn to_atif(trajectory: &Trajectory) -> Value {
    let mut steps = vec![spoken("user", &trajectory.prompt)];
    set(&mut steps[0], "timestamp", trajectory.at_ms.and_then(times::write).map(Value::from));
    steps.extend(trajectory.steps.iter().enumerate().map(|(index, it)| step(index + 2, it)));
    for (index, step) in steps.iter_mut().enumerate() {
        step.insert("step_id".to_owned(), Value::from(index + 1));
    }
    let attribute = |name: &str| trajectory.attributes.get(name).filter(|value| value.is_string()).cloned();
    let mut agent = object(json!({
        "name": trajectory.labels.agent.as_deref().unwrap_or("unknown"),
        "version": attribute("gen_ai.agent.version").unwrap_or_else(|| "unknown".into()),
    }));
    set(&mut agent, "model_name", attribute("gen_ai.request.model"));
    json!({
        "schema_version": VERSION,
        "session_id": trajectory.labels.correlation_id.as_deref().unwrap_or(&trajectory.key),
        "trajectory_id": trajectory.key,
        "agent": agent,
        "final_metrics": {"total_steps": steps.len()},
        "steps": steps,
        "extra": {OURS: {
            "key": trajectory.key,
            "parent": trajectory.parent,
            "labels": trajectory.labels,
            "at_ms": trajectory.at_ms,
            "outcome": trajectory.outcome,
            "attributes": trajectory.attributes,
        }},
    })
}

fn step(number: usize, step: &Step) -> Map<String, Value> {
    let mut written = match &step.kind {
        StepKind::Message { speaker: Speaker::User, text } => spoken("user", text),
        StepKind::Message { speaker: Speaker::Agent, text } => spoken("agent", text),
        StepKind::Message { speaker: Speaker::Other(name), text } => {
            let mut written = spoken("system", text);
            keep(&mut written, "speaker", Value::from(name.as_str()));
            written
        }
        StepKind::Call { .. } => call(&format!("call_{number}"), &step.kind),
    };
    set(&mut written, "timestamp", step.at_ms.and_then(times::write).map(Value::from));
    if let Some(duration_ms) = step.duration_ms {
        keep(&mut written, "duration_ms", Value::from(duration_ms));
    }
    if let Some(tokens) = step.tokens {
        // Only an agent's step may have metrics.
        if written.get("source") == Some(&Value::from("agent")) {
            written.insert("metrics".to_owned(), json!({"extra": {OURS: {"tokens": tokens}}}));
        } else {
            keep(&mut written, "tokens", Value::from(tokens));
        }
    }
    written
}

fn call(id: &str, kind: &StepKind) -> Map<String, Value> {
    let mut written = spoken("agent", "");
    let StepKind::Call { tool, description, arguments, result } = kind else { return written };
    let mut call = object(json!({"tool_call_id": id, "function_name": tool, "arguments": {}}));
    if arguments.is_object() {
        call.insert("arguments".to_owned(), arguments.clone());
    } else {
        keep(&mut call, "arguments", arguments.clone());
    }
    if !description.is_empty() {
        keep(&mut call, "description", Value::from(description.as_str()));
    }
    written.insert("tool_calls".to_owned(), json!([call]));
    if let Some(result) = result {
        let result =
            json!({"source_call_id": id, "content": result.text, "extra": {"is_error": result.failed}});
        written.insert("observation".to_owned(), json!({"results": [result]}));
    }
    written
}

fn spoken(source: &str, message: &str) -> Map<String, Value> {
    object(json!({"source": source, "message": message}))
}

/// Keeps what ATIF has no field for.
fn keep(written: &mut Map<String, Value>, name: &str, value: Value) {
    let extra = written.entry("extra").or_insert_with(|| json!({OURS: {}}));
    extra[OURS][name] = value;
}

fn set(written: &mut Map<String, Value>, name: &str, value: Option<Value>) {
    if let Some(value) = value {
        written.insert(name.to_owned(), value);
    }
}

fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(fields) => fields,
        _ => Map::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::read_text;
    use super::*;
    use crate::outcome::{Evidence, Outcome, Verdict};
    use crate::trajectory::{Labels, ToolResult};

    fn trajectory() -> Trajectory {
        let call = |arguments: Value, result: Option<(&str, bool)>| {
            let mut step = Step::call("edit", arguments);
            if let (StepKind::Call { result: place, .. }, Some((text, failed))) = (&mut step.kind, result) {
                *place = Some(ToolResult { text: text.into(), failed });
            }
            step
        };
        let mut described = call(json!({"path": "a.rs"}), Some(("Error: in a comment", false)));
        described.at_ms = Some(1_767_323_045_678);
        described.duration_ms = Some(12);
        described.tokens = Some(900);
        if let StepKind::Call { description, .. } = &mut described.kind {
            *description = "result without a call".into();
        }
        let mut heard = Step::message(Speaker::Other("critic".into()), "Looks fine.");
        heard.tokens = Some(7);
        Trajectory {
            key: "claude-code:s1:p1".into(),
            parent: Some("claude-code:s1:p0".into()),
            prompt: "Fix the parser.".into(),
            labels: Labels {
                kind: Some("bug".into()),
                agent: Some("claude-code".into()),
                tags: vec!["t".into()],
                correlation_id: Some("s1".into()),
                project: Some("/src".into()),
                ..Labels::default()
            },
            at_ms: Some(1_767_323_045_000),
            steps: vec![
                Step::message(Speaker::Agent, "I look."),
                described,
                call(json!("ls"), Some(("fine, but failed", true))),
                call(json!("{\"a\": 1}"), None),
                call(Value::Null, None),
                heard,
                Step::message(Speaker::User, "Go on."),
            ],
            outcome: Outcome {
                verdict: Some(Verdict::Partial(0.25)),
                confidence: 0.7,
                evidence: vec![Evidence::Tests(false, "cargo test".into()), Evidence::Interrupted],
                summary: "Half.".into(),
                last_error: Some("edit: no".into()),
            },
            attributes: object(json!({"gen_ai.request.model": "m", "n": 1})),
        }
    }

    #[test]
    fn what_is_written_reads_as_the_same_trajectory() {
        let trajectory = trajectory();
        assert_eq!(read_text(&to_atif(&trajectory).to_string()), [trajectory]);
    }

    #[test]
    fn without_what_is_ours_the_fields_of_atif_remain() {
        let original = trajectory();
        let mut document = to_atif(&original);
        document.as_object_mut().unwrap().remove("extra");
        let [read] = &read_text(&document.to_string())[..] else { panic!("one trajectory") };
        assert_eq!(read.key, "atif:s1:claude-code:s1:p1");
        assert_eq!((&read.prompt, read.at_ms), (&original.prompt, original.at_ms));
        assert_eq!(read.steps, original.steps);
        assert_eq!(read.attributes["gen_ai.request.model"], "m");
        assert_eq!(read.labels.agent, original.labels.agent);
    }

    /// The rules of the schema that the types of JSON do not show.
    #[test]
    fn what_is_written_keeps_the_rules_of_the_schema() {
        let document = to_atif(&trajectory());
        assert_eq!(document["schema_version"], "ATIF-v1.8");
        let allowed =
            ["step_id", "timestamp", "source", "message", "tool_calls", "observation", "metrics", "extra"];
        let steps = document["steps"].as_array().unwrap();
        for (index, step) in steps.iter().enumerate() {
            assert_eq!(step["step_id"], index + 1);
            assert!(step["message"].is_string());
            assert!(step.as_object().unwrap().keys().all(|name| allowed.contains(&name.as_str())), "{step}");
            if step["source"] != "agent" {
                assert!(step.get("tool_calls").is_none() && step.get("metrics").is_none(), "{step}");
            }
            if let Some(call) = step.get("tool_calls").map(|calls| &calls[0]) {
                assert!(call["arguments"].is_object(), "{call}");
                let source = &step["observation"]["results"][0]["source_call_id"];
                assert!(source.is_null() || *source == call["tool_call_id"], "{step}");
            }
        }
        assert_eq!(document["final_metrics"]["total_steps"], steps.len());
        assert_eq!(
            document["agent"],
            json!({"name": "claude-code", "version": "unknown", "model_name": "m"})
        );
    }
}
