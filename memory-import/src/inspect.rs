//! Logs of Inspect AI in JSON.
//!
//! An `.eval` log is a ZIP archive, which is not read: `inspect log dump FILE.eval > FILE.json` makes it JSON.

use std::io::{self, BufRead};
use std::ops::ControlFlow;

use serde::Deserialize;
use serde_json::{Map, Value};

use crate::fields::{attribute, items, scalar, text};
use crate::outcome::{Evidence, Outcome, Verdict};
use crate::trajectory::{Labels, Speaker, Trajectory};
use crate::transcript::{Returned, Transcript};
use crate::{Sink, documents, identity, stated, texts, times};

/// What references to attachments start with, now and in old logs.
const ATTACHMENTS: [&str; 2] = ["attachment://", "tc://"];

#[derive(Deserialize)]
struct Log {
    #[serde(default)]
    eval: Value,
    samples: Option<Vec<Sample>>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Sample {
    id: Value,
    epoch: Value,
    input: Value,
    messages: Vec<Value>,
    scores: Value,
    /// The only score, in old logs.
    score: Value,
    error: Value,
    limit: Value,
    invalidation: Value,
    model_usage: Map<String, Value>,
    started_at: Value,
    attachments: Map<String, Value>,
}

/// Tells whether a document is a log.
pub(crate) fn looks_like(document: &Value) -> bool {
    let eval = document.get("eval");
    eval.is_some_and(|eval| ["task", "eval_id", "run_id"].iter().any(|field| eval.get(field).is_some()))
}

/// Tells whether an input is an `.eval` archive, by the name of its first file.
pub(crate) fn is_archive(start: &[u8]) -> bool {
    let name = start.strip_prefix(b"PK\x03\x04").and_then(|header| header.get(26..));
    name.is_some_and(|name| {
        [&b"_journal/"[..], b"header.json", b"samples/", b"summaries.json", b"reductions.json"]
            .into_iter()
            .any(|known| name.starts_with(known))
    })
}

/// Reads the samples of a log.
pub(crate) fn read(input: &mut dyn BufRead, sink: &mut dyn Sink) -> io::Result<()> {
    if input.fill_buf()?.starts_with(b"PK") {
        let reason =
            "an .eval log is a ZIP archive: make it JSON with `inspect log dump FILE.eval > FILE.json`";
        let _ = sink.bad(1, reason.to_owned());
        return Ok(());
    }
    documents::each(input, sink, &mut |line, log: Log, sink| {
        let Some(samples) = log.samples else {
            return sink.bad(line, "not a whole log: missing field `samples`".to_owned());
        };
        for sample in samples {
            if !sample.invalidation.is_null() {
                sink.skipped("invalidated sample");
                continue;
            }
            match trajectory(&log.eval, sample, sink) {
                Ok(trajectory) => sink.trajectory(line, trajectory)?,
                Err(reason) => sink.bad(line, reason)?,
            }
        }
        ControlFlow::Continue(())
    })
}

fn trajectory(eval: &Value, mut sample: Sample, sink: &mut dyn Sink) -> Result<Trajectory, String> {
    let id = scalar(&sample.id).ok_or("a sample without an id")?;
    let attachments = std::mem::take(&mut sample.attachments);
    attach(&mut sample.input, &attachments);
    for message in &mut sample.messages {
        attach(message, &attachments);
    }
    let prompt = prompt(&sample).ok_or_else(|| format!("sample {id}: no message of the user"))?;
    let mut transcript = Transcript::default();
    for message in &sample.messages[first(&sample, &prompt)..] {
        add(&mut transcript, message, sink);
    }
    let run =
        text(eval, "eval_id").or_else(|| text(eval, "run_id")).map(str::to_owned).unwrap_or_else(|| {
            let names = ["created", "task", "model"].map(|name| eval.get(name).cloned().unwrap_or_default());
            identity::fingerprint(&Value::from(names.to_vec())).to_string()
        });
    let epoch = scalar(&sample.epoch).unwrap_or_else(|| "1".to_owned());
    let mut attributes = Map::new();
    attribute(&mut attributes, "gen_ai.request.model", eval.get("model"));
    for (name, field) in
        [("gen_ai.usage.input_tokens", "input_tokens"), ("gen_ai.usage.output_tokens", "output_tokens")]
    {
        let counts = sample.model_usage.values().filter_map(|usage| usage.get(field)?.as_u64());
        let sum = counts.reduce(u64::saturating_add).map(Value::from);
        attribute(&mut attributes, name, sum.as_ref());
    }
    attribute(&mut attributes, "inspect.limit", sample.limit.get("type"));
    let outcome = outcome(&sample, &transcript, &mut attributes);
    let tags = items(eval, "tags").iter().filter_map(Value::as_str).map(str::to_owned).collect();
    Ok(Trajectory {
        key: identity::key(&["inspect", &run, &id, &epoch]),
        parent: None,
        prompt: texts::clip(prompt),
        labels: Labels {
            domain: text(eval, "task").map(str::to_owned),
            agent: Some(text(eval, "solver").unwrap_or("inspect").to_owned()),
            tags,
            correlation_id: text(eval, "run_id").map(str::to_owned).or(Some(run)),
            ..Labels::default()
        },
        at_ms: sample.started_at.as_str().and_then(times::read).or_else(|| times::of(eval, "created")),
        outcome,
        steps: transcript.steps,
        attributes,
    })
}

/// Puts the attachments in the place of the references to them.
fn attach(value: &mut Value, attachments: &Map<String, Value>) {
    match value {
        Value::String(text) => {
            let id = ATTACHMENTS.into_iter().find_map(|start| text.strip_prefix(start));
            if let Some(attached) = id.and_then(|id| attachments.get(id)) {
                *value = attached.clone();
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| attach(item, attachments)),
        Value::Object(fields) => fields.values_mut().for_each(|item| attach(item, attachments)),
        _ => {}
    }
}

fn is_user(message: &&Value) -> bool {
    text(message, "role") == Some("user")
}

fn said(message: &Value) -> String {
    message.get("content").map(texts::content).unwrap_or_default()
}

/// Returns what was asked: the input, or what the user said last in it. What comes before is an example.
fn prompt(sample: &Sample) -> Option<String> {
    let asked = match &sample.input {
        Value::String(text) => Some(text.clone()),
        Value::Array(messages) => messages.iter().filter(is_user).map(said).next_back(),
        _ => sample.messages.iter().find(is_user).map(said),
    };
    asked.filter(|text| !text.trim().is_empty())
}

/// Returns the index of the first message that is no part of the input, which a solver may have put into other
/// words.
fn first(sample: &Sample, prompt: &str) -> usize {
    let messages = &sample.messages;
    let behind = |index: Option<usize>| index.map(|index| index + 1);
    behind(messages.iter().rposition(|message| text(message, "source") == Some("input")))
        .or_else(|| behind(messages.iter().position(|message| is_user(&message) && said(message) == prompt)))
        .or_else(|| messages.iter().position(|it| matches!(text(it, "role"), Some("assistant" | "tool"))))
        .unwrap_or(messages.len())
}

fn add(transcript: &mut Transcript, message: &Value, sink: &mut dyn Sink) {
    match text(message, "role") {
        Some("user") => {
            transcript.say(Speaker::User, said(message));
        }
        Some("assistant") => {
            transcript.say(Speaker::Agent, said(message));
            for call in items(message, "tool_calls") {
                let id = text(call, "id").map(str::to_owned);
                // Old logs have OpenAI's shape.
                let function = call.get("function").filter(|function| function.is_object()).unwrap_or(call);
                let tool = text(function, "function").or_else(|| text(function, "name")).unwrap_or("");
                let arguments = function.get("arguments").cloned().unwrap_or_default();
                transcript.call(id, tool, texts::arguments(arguments));
            }
        }
        Some("tool") => {
            // No error means that the tool ran, not that what it ran went well: the text tells that.
            let error = message.get("error").filter(|error| !error.is_null());
            let reason = error.and_then(|error| text(error, "message")).map(str::to_owned);
            transcript.result(Returned {
                id: text(message, "tool_call_id"),
                tool: text(message, "function"),
                text: reason.unwrap_or_else(|| said(message)),
                failed: error.map(|_| true),
            });
        }
        Some("system") => {}
        other => sink.skipped(&format!("message of role {:?}", other.unwrap_or(""))),
    }
}

fn outcome(sample: &Sample, transcript: &Transcript, attributes: &mut Map<String, Value>) -> Outcome {
    let mut evidence = Vec::new();
    if let Some(scores) = sample.scores.as_object() {
        for (name, score) in scores {
            add_score(&mut evidence, attributes, name, score.get("value").unwrap_or(score));
        }
    } else if let Some(value) = sample.score.get("value") {
        add_score(&mut evidence, attributes, "score", value);
    }
    if let Some(limit) = text(&sample.limit, "type") {
        evidence.push(Evidence::ExitStatus(format!("limit: {limit}")));
    }
    if sample.error.is_null() {
        return stated::outcome(&transcript.steps, evidence);
    }
    let error = text(&sample.error, "message").unwrap_or("error");
    evidence.push(Evidence::ServiceError(texts::clip(error.to_owned())));
    // An error halts a sample; what it did before is not all that it would have done.
    let mut outcome = stated::of(&transcript.steps, Verdict::Abandoned, evidence);
    outcome.last_error = Some(texts::clip(error.to_owned()));
    outcome
}

/// Adds a score: C, I, P and N stand for correct, incorrect, partly correct and no answer. One on another scale
/// than 0 to 1 is an attribute.
fn add_score(evidence: &mut Vec<Evidence>, attributes: &mut Map<String, Value>, name: &str, value: &Value) {
    if let Value::Object(parts) = value {
        for (part, value) in parts {
            add_score(evidence, attributes, &format!("{name}.{part}"), value);
        }
        return;
    }
    let number = match value.as_str().map(str::to_lowercase).as_deref() {
        Some("c" | "yes" | "true") => Some(1.0),
        Some("p") => Some(0.5),
        Some("i" | "n" | "no" | "false") => Some(0.0),
        _ => stated::number(value),
    };
    match number {
        Some(number) if (0.0..=1.0).contains(&number) => {
            evidence.push(Evidence::Score(name.to_owned(), number));
        }
        _ => attribute(attributes, &format!("inspect.score.{name}"), Some(value)),
    }
}
