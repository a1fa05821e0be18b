//! Agent Trajectory Interchange Format (ATIF) 1.0 to 1.8, from Harbor: read here, written by [`to_atif`].
//!
//! A document has the steps of one agent, and since 1.7 those of its sub-agents. What ATIF has no field for,
//! [`to_atif`] puts below `extra.agent_memory`, where it is read from again.

mod write;

use std::collections::HashMap;
use std::io::{self, BufRead};
use std::ops::ControlFlow;

use serde::Deserialize as _;
use serde_json::{Map, Value};

pub use write::to_atif;

use crate::fields::{attribute, items, text};
use crate::outcome::{Evidence, Outcome};
use crate::trajectory::{Labels, Speaker, StepKind, Trajectory};
use crate::transcript::{Returned, Transcript};
use crate::{Sink, documents, identity, stated, texts, times};

/// The field of every `extra` with what is not ATIF's.
const OURS: &str = "agent_memory";

/// Tells whether a document is ATIF's.
pub(crate) fn looks_like(document: &Value) -> bool {
    text(document, "schema_version").is_some_and(|version| version.starts_with("ATIF-"))
}

/// Reads one document, or one a line.
pub(crate) fn read(input: &mut dyn BufRead, sink: &mut dyn Sink) -> io::Result<()> {
    documents::each(input, sink, &mut |line, document: Value, sink| {
        let version = text(&document, "schema_version").unwrap_or("");
        if !version.starts_with("ATIF-v1.") {
            return sink.bad(line, format!("schema_version: {version:?} is not ATIF-v1.0 to ATIF-v1.8"));
        }
        agent(line, &document, None, sink)
    })
}

/// What a sub-agent has from the agent that started it.
struct Parent<'p> {
    key: &'p str,
    session: Option<&'p str>,
    /// Whether it is a sub-agent itself. Ids are unique among the sub-agents of one agent only.
    nested: bool,
    /// What the agent gave to the call that started it.
    task: Option<&'p str>,
}

/// Gives an agent's trajectory to the sink, then those of its sub-agents.
fn agent(line: u64, document: &Value, parent: Option<&Parent<'_>>, sink: &mut dyn Sink) -> ControlFlow<()> {
    let session = text(document, "session_id").or(parent.and_then(|parent| parent.session));
    let key = key(document, session, parent);
    let delegated = delegated(document);
    match trajectory(key.clone(), document, session, parent, sink) {
        Ok(trajectory) => sink.trajectory(line, trajectory)?,
        Err(reason) => sink.bad(line, reason)?,
    }
    for sub in items(document, "subagent_trajectories") {
        let task = text(sub, "trajectory_id").and_then(|id| delegated.get(id)).copied();
        let parent = Parent { key: &key, session, nested: parent.is_some(), task };
        agent(line, sub, Some(&parent), sink)?;
    }
    ControlFlow::Continue(())
}

/// Returns the key: `atif:SESSION[:TRAJECTORY]`; that of a trajectory that [`to_atif`] wrote is its own. A
/// document without ids is known by its agent and its first two steps, which no longer version of it changes.
fn key(document: &Value, session: Option<&str>, parent: Option<&Parent<'_>>) -> String {
    if let Some(key) = ours(document).and_then(|ours| text(ours, "key")) {
        return identity::key(&[key]);
    }
    let id = text(document, "trajectory_id");
    match (session, id, parent) {
        (_, Some(id), Some(parent)) if parent.nested => identity::key(&[parent.key, id]),
        (Some(session), Some(id), _) => identity::key(&["atif", session, id]),
        (Some(id), None, None) | (None, Some(id), _) => identity::key(&["atif", id]),
        _ => {
            let steps = items(document, "steps").iter().take(2).cloned().collect();
            let agent = document.get("agent").cloned().unwrap_or_default();
            let whole = Value::Array(vec![agent, steps]);
            let prefix = parent.map_or("atif", |parent| parent.key);
            identity::key(&[prefix, &identity::fingerprint(&whole).to_string()])
        }
    }
}

fn ours(value: &Value) -> Option<&Value> {
    value.get("extra").and_then(|extra| extra.get(OURS))
}

/// Returns the task of each sub-agent that a call started, by the sub-agent's id.
fn delegated(document: &Value) -> HashMap<&str, &str> {
    let mut tasks = HashMap::new();
    for step in items(document, "steps") {
        for result in results(step) {
            let source = text(result, "source_call_id");
            let call = items(step, "tool_calls")
                .iter()
                .find(|call| source.is_some() && text(call, "tool_call_id") == source);
            let arguments = call.and_then(|call| call.get("arguments"));
            let task = arguments.and_then(|arguments| {
                ["prompt", "task", "instruction", "message", "description"]
                    .into_iter()
                    .find_map(|name| text(arguments, name))
            });
            for reference in items(result, "subagent_trajectory_ref") {
                if let (Some(id), Some(task)) = (text(reference, "trajectory_id"), task) {
                    tasks.insert(id, task);
                }
            }
        }
    }
    tasks
}

fn results(step: &Value) -> &[Value] {
    step.get("observation").map_or(&[], |observation| items(observation, "results"))
}

fn trajectory(
    key: String,
    document: &Value,
    session: Option<&str>,
    parent: Option<&Parent<'_>>,
    sink: &mut dyn Sink,
) -> Result<Trajectory, String> {
    let steps = document.get("steps").and_then(Value::as_array).ok_or("not ATIF: missing field `steps`")?;
    let mut reading = Reading::default();
    for step in steps {
        reading.add(step, sink);
    }
    let Reading { prompt, at_ms, transcript, .. } = reading;
    let prompt = prompt
        .or_else(|| parent.and_then(|parent| parent.task).map(str::to_owned))
        .ok_or("not a task: no step of the user")?;
    let started = steps.iter().find_map(|step| times::of(step, "timestamp"));
    let name = document.get("agent").and_then(|agent| text(agent, "name"));
    let mut trajectory = Trajectory {
        key,
        parent: parent.map(|parent| parent.key.to_owned()),
        prompt: texts::clip(prompt),
        labels: Labels {
            agent: name.map(str::to_owned),
            correlation_id: session.map(str::to_owned),
            ..Labels::default()
        },
        at_ms: at_ms.or(started),
        outcome: stated::outcome(&transcript.steps, rewards(document)),
        steps: transcript.steps,
        attributes: attributes(document),
    };
    if let Some(ours) = ours(document) {
        restore(&mut trajectory, ours);
    }
    Ok(trajectory)
}

/// Puts back what [`to_atif`] kept beside ATIF's fields.
fn restore(trajectory: &mut Trajectory, ours: &Value) {
    if let Some(labels) = ours.get("labels").and_then(|it| Labels::deserialize(it).ok()) {
        trajectory.labels = labels;
    }
    if let Some(outcome) = ours.get("outcome").and_then(|it| Outcome::deserialize(it).ok()) {
        trajectory.outcome = outcome;
    }
    if let Some(Value::Object(attributes)) = ours.get("attributes") {
        trajectory.attributes = attributes.clone();
    }
    if let Some(parent) = text(ours, "parent") {
        trajectory.parent = Some(parent.to_owned());
    }
    trajectory.at_ms = ours.get("at_ms").map_or(trajectory.at_ms, Value::as_i64);
}

/// The steps so far.
#[derive(Default)]
struct Reading {
    prompt: Option<String>,
    at_ms: Option<i64>,
    transcript: Transcript,
    /// Whether the agent has done something: what the system says before are its instructions.
    begun: bool,
}

impl Reading {
    fn add(&mut self, step: &Value, sink: &mut dyn Sink) {
        let message = step.get("message").map(texts::content).unwrap_or_default();
        let source = text(step, "source").unwrap_or("");
        if source == "user" && self.prompt.is_none() && !message.trim().is_empty() {
            self.prompt = Some(message);
            self.at_ms = times::of(step, "timestamp");
            return;
        }
        if step.get("is_copied_context") == Some(&Value::Bool(true)) {
            sink.skipped("copied context");
            return;
        }
        let first = self.transcript.steps.len();
        match source {
            "user" => {
                self.transcript.say(Speaker::User, message);
            }
            "agent" => {
                self.begun = true;
                self.transcript.say(Speaker::Agent, message);
                for call in items(step, "tool_calls") {
                    self.call(call);
                }
            }
            // What we wrote has a speaker, and is no instruction.
            "system" => match ours(step).and_then(|ours| ours.get("speaker")).and_then(Value::as_str) {
                Some(speaker) => {
                    self.transcript.say(Speaker::Other(speaker.to_owned()), message);
                }
                None if self.begun => {
                    self.transcript.say(Speaker::Other("system".to_owned()), message);
                }
                None => {}
            },
            other => sink.skipped(&format!("source {other:?}")),
        }
        for result in results(step) {
            self.result(step, result);
        }
        self.transcript.settle();
        self.measure(step, first);
    }

    fn call(&mut self, call: &Value) {
        let id = text(call, "tool_call_id").map(str::to_owned);
        let kept = ours(call).and_then(|ours| ours.get("arguments"));
        let given = kept.or_else(|| call.get("arguments")).cloned().unwrap_or_default();
        let arguments = if kept.is_some() { given } else { texts::arguments(given) };
        let step = self.transcript.call(id, text(call, "function_name").unwrap_or(""), arguments);
        let said = ours(call).and_then(|ours| text(ours, "description"));
        if let (StepKind::Call { description, .. }, Some(said)) = (&mut step.kind, said) {
            said.clone_into(description);
        }
    }

    /// Gives a result to a call of its step. One that belongs to none is what the surroundings showed.
    fn result(&mut self, step: &Value, result: &Value) {
        let text = result.get("content").map(texts::content).unwrap_or_default();
        if !self.transcript.waits() {
            self.transcript.say(Speaker::Other("environment".to_owned()), text);
            return;
        }
        // Converters keep the mark of the agent's own log in the free fields.
        let mark = |value: &Value| {
            let extra = value.get("extra")?;
            ["is_error", "tool_result_is_error"].into_iter().find_map(|name| extra.get(name)?.as_bool())
        };
        let failed = mark(result).or_else(|| mark(step));
        let id = self::text(result, "source_call_id");
        self.transcript.result(Returned { id, tool: None, text, failed });
    }

    /// Gives the time and the tokens of a step of ATIF to what it became.
    fn measure(&mut self, step: &Value, first: usize) {
        let at_ms = times::of(step, "timestamp");
        let made = &mut self.transcript.steps[first..];
        for made in &mut *made {
            made.at_ms = at_ms;
        }
        if let Some(made) = made.first_mut() {
            let kept = |name: &str| ours(step).and_then(|ours| ours.get(name)).and_then(Value::as_u64);
            made.tokens = step.get("metrics").and_then(tokens).or_else(|| kept("tokens"));
            made.duration_ms = kept("duration_ms");
        }
    }
}

/// Returns the tokens that a step cost.
fn tokens(metrics: &Value) -> Option<u64> {
    let count = |name: &str| metrics.get(name).and_then(Value::as_u64);
    match (count("prompt_tokens"), count("completion_tokens")) {
        (None, None) => ours(metrics)?.get("tokens")?.as_u64(),
        (prompt, completion) => Some(prompt.unwrap_or(0).saturating_add(completion.unwrap_or(0))),
    }
}

/// Returns the rewards that a verifier left in the free fields: `reward`, `rewards{NAME}`, or either below
/// `verifier_result`.
fn rewards(document: &Value) -> Vec<Evidence> {
    let mut evidence = Vec::new();
    let metrics = document.get("final_metrics").and_then(|metrics| metrics.get("extra"));
    for extra in [document.get("extra"), metrics].into_iter().flatten() {
        for place in [Some(extra), extra.get("verifier_result")].into_iter().flatten() {
            add_reward(&mut evidence, "reward", place.get("reward"));
            if let Some(Value::Object(rewards)) = place.get("rewards") {
                for (name, value) in rewards {
                    add_reward(&mut evidence, name, Some(value));
                }
            }
        }
    }
    evidence
}

fn add_reward(evidence: &mut Vec<Evidence>, name: &str, value: Option<&Value>) {
    let Some(value) = value.and_then(stated::number).filter(|value| (0.0..=1.0).contains(value)) else {
        return;
    };
    let fact =
        if name == "reward" { Evidence::Reward(value) } else { Evidence::Score(name.to_owned(), value) };
    if !evidence.contains(&fact) {
        evidence.push(fact);
    }
}

fn attributes(document: &Value) -> Map<String, Value> {
    let mut attributes = Map::new();
    let agent = document.get("agent").unwrap_or(&Value::Null);
    attribute(&mut attributes, "gen_ai.request.model", agent.get("model_name"));
    attribute(&mut attributes, "gen_ai.agent.version", agent.get("version"));
    let metrics = document.get("final_metrics").unwrap_or(&Value::Null);
    for (name, field) in [
        ("gen_ai.usage.input_tokens", "total_prompt_tokens"),
        ("gen_ai.usage.output_tokens", "total_completion_tokens"),
        ("gen_ai.usage.cache_read.input_tokens", "total_cached_tokens"),
        ("atif.total_cost_usd", "total_cost_usd"),
    ] {
        attribute(&mut attributes, name, metrics.get(field));
    }
    attribute(&mut attributes, "atif.continued_trajectory_ref", document.get("continued_trajectory_ref"));
    attributes
}

/// Reads documents that have nothing bad in them.
#[cfg(test)]
fn read_text(text: &str) -> Vec<Trajectory> {
    struct All(Vec<Trajectory>);
    impl Sink for All {
        fn trajectory(&mut self, _: u64, trajectory: Trajectory) -> ControlFlow<()> {
            self.0.push(trajectory);
            ControlFlow::Continue(())
        }
        fn bad(&mut self, line: u64, reason: String) -> ControlFlow<()> {
            panic!("{line}: {reason}")
        }
        fn skipped(&mut self, _: &str) {}
        fn progress(&mut self, _: u64) {}
    }
    let mut all = All(Vec::new());
    read(&mut text.as_bytes(), &mut all).unwrap();
    all.0
}
