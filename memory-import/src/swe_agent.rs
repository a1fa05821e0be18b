//! Trajectories of SWE-agent (`.traj`), which it rewrites after each step.
//!
//! `submitted` says that the agent gave its work in, not that it is right: only a score or `resolved`, which an
//! evaluation adds, is a verdict.
//!
//! A call's tool is the first word of its action (`edit`, `pytest`), and `bash` where that is no command's name: a
//! variable, a path, a word of the shell's own language, or `cd` before another command. The whole action is the
//! argument `command`.

use std::io::{self, BufRead};
use std::ops::ControlFlow;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::fields::{attribute, text};
use crate::outcome::Evidence;
use crate::trajectory::{Labels, Speaker, Trajectory};
use crate::transcript::{Returned, Transcript};
use crate::{Sink, documents, fields, identity, stated, texts};

/// Words of the shell's language, at which no command's name stands.
const SHELL_WORDS: [&str; 12] =
    ["if", "for", "while", "until", "case", "function", "export", "set", "source", "time", "then", "do"];

/// A step, without what the model was shown for it: each step would have all before it again.
#[derive(Default, Deserialize, Serialize)]
#[serde(default)]
struct Step {
    action: Value,
    observation: Value,
    response: Value,
    thought: Value,
    execution_time: Value,
    state: Value,
}

/// A document, or one of the attempts in it.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Document {
    trajectory: Option<Vec<Step>>,
    history: Value,
    info: Value,
    environment: Value,
    /// The run's configuration as JSON in a string.
    replay_config: Value,
    resolved: Value,
    /// Runs of the same task; the best one's fields are the document's own.
    attempts: Vec<Document>,
}

/// Tells whether a document is a trajectory of SWE-agent.
pub(crate) fn looks_like(document: &Value) -> bool {
    if let Some(attempt) = fields::items(document, "attempts").first() {
        return looks_like(attempt);
    }
    let Some(Value::Array(steps)) = document.get("trajectory") else { return false };
    match steps.first() {
        Some(step) => ["observation", "response", "thought"].into_iter().any(|it| has_text(step, it)),
        None => ["history", "info"].into_iter().any(|field| document.get(field).is_some()),
    }
}

fn has_text(value: &Value, field: &str) -> bool {
    value.get(field).is_some_and(Value::is_string)
}

/// Reads one document, or one a line.
pub(crate) fn read(input: &mut dyn BufRead, sink: &mut dyn Sink) -> io::Result<()> {
    documents::each(input, sink, &mut |line, document: Document, sink| {
        let attempts = &document.attempts;
        if document.trajectory.is_none() && attempts.is_empty() {
            return sink.bad(line, "not of SWE-agent: missing field `trajectory`".to_owned());
        }
        let config = config(&document);
        let mut known = Vec::new();
        for run in std::iter::once(&document).chain(attempts) {
            let Some(steps) = &run.trajectory else { continue };
            match trajectory(run, steps, &config, sink) {
                // The document is a copy of its best attempt.
                Ok(trajectory) if known.contains(&trajectory.key) => {}
                Ok(trajectory) => {
                    known.push(trajectory.key.clone());
                    sink.trajectory(line, trajectory)?;
                }
                Err(reason) => sink.bad(line, reason)?,
            }
        }
        ControlFlow::Continue(())
    })
}

fn config(document: &Document) -> Value {
    let own = std::iter::once(document).chain(&document.attempts);
    let found = own.map(|document| &document.replay_config).find(|config| !config.is_null());
    texts::arguments(found.cloned().unwrap_or_default())
}

fn trajectory(
    run: &Document,
    steps: &[Step],
    config: &Value,
    sink: &mut dyn Sink,
) -> Result<Trajectory, String> {
    let problem = config.get("problem_statement").unwrap_or(&Value::Null);
    let stated_problem = text(problem, "text").or_else(|| text(problem, "problem_statement"));
    let prompt = stated_problem
        .map(str::to_owned)
        .or_else(|| asked(&run.history))
        .ok_or("not a task: no message of the user in `history`")?;
    let id = text(problem, "id").or_else(|| text(problem, "instance_id"));
    // The first step has a time of its own, so that runs of one task stay apart; no later step changes it.
    let whole = match steps.first() {
        Some(first) => json!([id, prompt, run.environment, first]),
        None => json!([id, prompt, run.environment]),
    };
    let fingerprint = identity::fingerprint(&whole).to_string();
    let key = match id {
        Some(id) => identity::key(&["swe-agent", id, &fingerprint]),
        None => identity::key(&["swe-agent", &fingerprint]),
    };
    let mut transcript = Transcript::default();
    for step in steps {
        add(&mut transcript, step, sink);
    }
    let labels = Labels {
        agent: Some("swe-agent".to_owned()),
        correlation_id: id.map(str::to_owned),
        ..Labels::default()
    };
    let outcome = stated::outcome(&transcript.steps, evidence(run, id));
    Ok(Trajectory {
        key,
        parent: None,
        prompt: texts::clip(prompt),
        labels,
        at_ms: None,
        steps: transcript.steps,
        outcome,
        attributes: attributes(run, config),
    })
}

/// Returns the first message of the user that is no demonstration.
fn asked(history: &Value) -> Option<String> {
    let messages = history.as_array()?;
    messages
        .iter()
        .filter(|message| {
            text(message, "role") == Some("user")
                && message.get("is_demo") != Some(&Value::Bool(true))
                && text(message, "message_type") != Some("demonstration")
        })
        .filter_map(|message| message.get("content").map(texts::content))
        .find(|text| !text.trim().is_empty())
}

fn add(transcript: &mut Transcript, step: &Step, sink: &mut dyn Sink) {
    let trimmed = |value: &Value| value.as_str().unwrap_or("").trim().to_owned();
    let action = trimmed(&step.action);
    let observation = texts::content(&step.observation);
    let mut said = trimmed(&step.thought);
    if said.is_empty() && action.is_empty() {
        // Without an action all that the model answered is what it said.
        said = trimmed(&step.response);
    }
    let silent = transcript.say(Speaker::Agent, said).is_none();
    if action.is_empty() {
        if transcript.say(Speaker::Other("environment".to_owned()), observation).is_none() && silent {
            sink.skipped("empty step");
        }
        return;
    }
    let command = json!({"command": texts::clip(action.clone())});
    transcript.call(None, tool(&action), command);
    let done = transcript.result(Returned { text: observation, ..Returned::default() });
    let seconds = step.execution_time.as_f64().filter(|seconds| *seconds >= 0.0);
    done.duration_ms = seconds.map(|seconds| (seconds * 1_000.0).round() as u64);
}

/// Returns the tool of an action.
fn tool(action: &str) -> &str {
    let word = action.split_whitespace().next().unwrap_or("");
    let is_name = word.starts_with(|first: char| first.is_ascii_alphabetic())
        && word.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.'));
    let changes_folder = word == "cd" && ["&&", ";", "\n"].iter().any(|it| action.contains(it));
    if is_name && !changes_folder && !SHELL_WORDS.contains(&word) { word } else { "bash" }
}

fn evidence(run: &Document, id: Option<&str>) -> Vec<Evidence> {
    let info = &run.info;
    let report = info.get("report").unwrap_or(&Value::Null);
    let of_id = id.and_then(|id| report.get(id));
    let mut evidence = Vec::new();
    let resolved = [Some(&run.resolved), info.get("resolved"), report.get("resolved")];
    let resolved = resolved.into_iter().chain([of_id.and_then(|report| report.get("resolved"))]);
    if let Some(resolved) = resolved.flatten().find_map(Value::as_bool) {
        evidence.push(Evidence::Score("resolved".to_owned(), f64::from(u8::from(resolved))));
    }
    let score = info.get("score").and_then(share);
    evidence.extend(score.map(|score| Evidence::Score("score".to_owned(), score)));
    let status = text(info, "exit_status");
    evidence.extend(status.map(|status| Evidence::ExitStatus(status.to_owned())));
    evidence
}

fn share(value: &Value) -> Option<f64> {
    stated::number(value).filter(|value| (0.0..=1.0).contains(value))
}

fn attributes(run: &Document, config: &Value) -> Map<String, Value> {
    let mut attributes = Map::new();
    let model = config.get("agent").and_then(|agent| agent.get("model")).and_then(|model| model.get("name"));
    attribute(&mut attributes, "gen_ai.request.model", model);
    let stats = run.info.get("model_stats").unwrap_or(&Value::Null);
    attribute(&mut attributes, "gen_ai.usage.input_tokens", stats.get("tokens_sent"));
    attribute(&mut attributes, "gen_ai.usage.output_tokens", stats.get("tokens_received"));
    attribute(&mut attributes, "swe_agent.cost_usd", stats.get("instance_cost"));
    attribute(&mut attributes, "gen_ai.agent.version", run.info.get("swe_agent_version"));
    let environment = fields::scalar(&run.environment).map(Value::from);
    attribute(&mut attributes, "swe_agent.environment", environment.as_ref());
    attributes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tool_is_the_first_word() {
        let check = |action: &str, expected: &str| assert_eq!(tool(action), expected, "{action}");
        check("edit 1:2\nx\nend_of_edit", "edit");
        check("str_replace_editor view /repo", "str_replace_editor");
        check("python3.11 reproduce.py | tail", "python3.11");
        check("submit", "submit");
        check("cd src", "cd");
        check("cd src && pytest", "bash");
        check("X=1 make", "bash");
        check("./configure", "bash");
        check("for f in *; do cat $f; done", "bash");
        check("(ls)", "bash");
    }
}
