//! OpenHands: lines of an evaluation's `output.jsonl`, and conversations as arrays of events or one event a line.
//!
//! Events of both kinds are read: those up to version 0 have `action` or `observation`, joined by `cause`, and
//! in the oldest files stand in pairs without ids; those of the agent SDK (version 1) have `kind`, joined by
//! `tool_call_id`.

mod events;

use std::io::{self, BufRead};
use std::ops::ControlFlow;

use serde_json::{Map, Value};

use crate::fields::{attribute, scalar, text};
use crate::outcome::Evidence;
use crate::trajectory::{Labels, Trajectory};
use crate::{Sink, documents, identity, stated, texts};
use events::Reading;

/// Tells whether a document is a line of `output.jsonl` or has events.
pub(crate) fn looks_like(document: &Value) -> bool {
    let has = |field| document.get(field).is_some();
    let output = ["history", "instruction", "test_result", "metadata"].into_iter().any(has);
    has("instance_id") && output || events_of(document).is_some() || is_event(document)
}

fn is_event(value: &Value) -> bool {
    text(value, "source").is_some()
        && (has_text(value, "action") || has_text(value, "observation") || text(value, "kind").is_some())
}

fn has_text(value: &Value, field: &str) -> bool {
    text(value, field).is_some()
}

/// Returns the events of a conversation.
fn events_of(document: &Value) -> Option<&[Value]> {
    let events = document.as_array().or_else(|| {
        ["events", "trajectory", "history"].into_iter().find_map(|name| document.get(name)?.as_array())
    })?;
    events.first().is_some_and(is_event).then_some(events)
}

/// Reads lines of `output.jsonl`, or a conversation.
pub(crate) fn read(input: &mut dyn BufRead, sink: &mut dyn Sink) -> io::Result<()> {
    let mut loose = Vec::new();
    let mut last = 0;
    let mut stopped = false;
    documents::each(input, sink, &mut |line, document: Value, sink| {
        let flow = if document.get("instance_id").is_some() {
            give(line, output(&document, sink), sink)
        } else if let Some(events) = events_of(&document) {
            give(line, conversation(events, sink), sink)
        } else if is_event(&document) {
            loose.push(document);
            last = line;
            ControlFlow::Continue(())
        } else {
            sink.bad(line, "not of OpenHands: no `instance_id` and no events".to_owned())
        };
        stopped |= flow.is_break();
        flow
    })?;
    if !loose.is_empty() && !stopped {
        let _ = give(last, conversation(&loose, sink), sink);
    }
    Ok(())
}

fn give(line: u64, read: Result<Trajectory, String>, sink: &mut dyn Sink) -> ControlFlow<()> {
    match read {
        Ok(trajectory) => sink.trajectory(line, trajectory),
        Err(reason) => sink.bad(line, reason),
    }
}

/// Reads a line of `output.jsonl`.
fn output(document: &Value, sink: &mut dyn Sink) -> Result<Trajectory, String> {
    let id = document.get("instance_id").and_then(scalar).ok_or("instance_id: a text is needed")?;
    let history = document.get("history").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    let mut reading = Reading::new(text(document, "instruction"));
    for event in history {
        reading.add(event, sink);
    }
    let metadata = document.get("metadata").unwrap_or(&Value::Null);
    let mut evidence = judged(document);
    if let Some(error) = text(document, "error") {
        evidence.push(Evidence::ExitStatus(texts::clip(error.lines().next().unwrap_or("").to_owned())));
    }
    let mut found = reading.trajectory(evidence)?;
    if let Some(error) = text(document, "error") {
        found.outcome.last_error = Some(texts::clip(error.to_owned()));
    }
    // Runs of one instance differ in the times and texts of their first events.
    let first = history.iter().take(2).cloned().collect::<Value>();
    found.key = identity::key(&["openhands", &id, &identity::fingerprint(&first).to_string()]);
    found.labels = Labels {
        agent: Some(text(metadata, "agent_class").unwrap_or("openhands").to_owned()),
        correlation_id: Some(id),
        ..Labels::default()
    };
    let model = ["llm_config", "llm"].into_iter().find_map(|name| metadata.get(name)?.get("model"));
    attribute(&mut found.attributes, "gen_ai.request.model", model);
    attribute(&mut found.attributes, "openhands.dataset", metadata.get("dataset"));
    measured(&mut found.attributes, document.get("metrics").unwrap_or(&Value::Null));
    Ok(found)
}

/// Reads a conversation, which is known by the id of its first event, or by its first message of the user.
fn conversation(events: &[Value], sink: &mut dyn Sink) -> Result<Trajectory, String> {
    let mut reading = Reading::new(None);
    for event in events {
        reading.add(event, sink);
    }
    // Ids of version 0 are numbers that each conversation starts anew.
    let id = events.iter().find_map(|event| event.get("id")?.as_str()).map(str::to_owned);
    let id = id.unwrap_or_else(|| {
        let asked = events.iter().find(|event| text(event, "source") == Some("user"));
        identity::fingerprint(asked.unwrap_or(&Value::Null)).to_string()
    });
    let mut found = reading.trajectory(Vec::new())?;
    found.key = identity::key(&["openhands", &id]);
    found.labels.agent = Some("openhands".to_owned());
    found.labels.correlation_id = Some(id);
    Ok(found)
}

/// Returns what an evaluation found out: `resolved`, `success`, a score or a reward, of the line or of a report
/// in it.
fn judged(document: &Value) -> Vec<Evidence> {
    let result = document.get("test_result");
    let of = |name: &str| result.and_then(|result| result.get(name));
    let places =
        [of("report"), of("result"), result, document.get("report"), Some(document)].into_iter().flatten();
    for place in places {
        for name in ["resolved", "success", "score", "reward"] {
            let value = place.get(name).and_then(stated::number).filter(|it| (0.0..=1.0).contains(it));
            match value {
                Some(value) if name == "reward" => return vec![Evidence::Reward(value)],
                Some(value) => return vec![Evidence::Score(name.to_owned(), value)],
                None => {}
            }
        }
    }
    Vec::new()
}

fn measured(attributes: &mut Map<String, Value>, metrics: &Value) {
    attribute(attributes, "openhands.cost_usd", metrics.get("accumulated_cost"));
    let tokens = metrics.get("accumulated_token_usage").unwrap_or(&Value::Null);
    attribute(attributes, "gen_ai.usage.input_tokens", tokens.get("prompt_tokens"));
    attribute(attributes, "gen_ai.usage.output_tokens", tokens.get("completion_tokens"));
}
