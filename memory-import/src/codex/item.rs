//! One line of a rollout file.

use serde::Deserialize;
use serde_json::Value;

use super::output::{Output, output};
use crate::texts::{clip, clip_value};
use crate::times;

/// What a line is.
pub(super) enum Read {
    Item(Item),
    Skipped(String),
    Bad {
        reason: String,
        /// Its JSON ends too early.
        is_torn: bool,
    },
}

pub(super) struct Item {
    pub(super) line: u64,
    pub(super) at_ms: Option<i64>,
    pub(super) content: Content,
}

/// Where a message comes from: Codex writes most of them twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Source {
    Event,
    Response,
}

/// What a line says.
pub(super) enum Content {
    Session(Box<Session>),
    Context {
        turn_id: Option<String>,
        model: Option<String>,
        cwd: Option<String>,
    },
    Started {
        turn_id: Option<String>,
    },
    Completed,
    Aborted {
        reason: String,
    },
    RolledBack {
        turns: u64,
    },
    User {
        source: Source,
        text: String,
    },
    Agent {
        source: Source,
        text: String,
    },
    /// What another agent said.
    Other {
        author: String,
        text: String,
    },
    Call {
        id: Option<String>,
        tool: String,
        arguments: Value,
    },
    Output {
        call_id: String,
        output: Output,
    },
    /// What an event says about a call beside its output.
    CallEnd {
        call_id: String,
        failed: bool,
        duration_ms: Option<u64>,
    },
    Tokens {
        last: u64,
        total: u64,
    },
    /// The model's service failed.
    ServiceError(String),
}

/// What the first line says.
pub(super) struct Session {
    pub(super) id: String,
    pub(super) started_ms: Option<i64>,
    pub(super) forked_from: Option<String>,
    pub(super) parent_thread: Option<String>,
    pub(super) cwd: Option<String>,
    pub(super) version: Option<String>,
    pub(super) provider: Option<String>,
    pub(super) branch: Option<String>,
    pub(super) commit: Option<String>,
    pub(super) repository: Option<String>,
}

#[derive(Deserialize)]
struct RawLine {
    r#type: Option<String>,
    timestamp: Option<String>,
    payload: Option<Value>,
}

/// The tool that the model's service runs; the file has no output of it.
pub(super) const WEB_SEARCH: &str = "web_search";

/// Reads one line.
pub(super) fn read(line: u64, bytes: &[u8]) -> Read {
    let mut record: Value = match serde_json::from_slice(bytes) {
        Ok(record) => record,
        Err(error) => return Read::Bad { reason: error.to_string(), is_torn: error.is_eof() },
    };
    let payload = record.get_mut("payload").map(Value::take);
    let RawLine { r#type: kind, timestamp, payload } = match RawLine::deserialize(&record) {
        Ok(raw) => RawLine { payload, ..raw },
        Err(error) => return Read::Bad { reason: error.to_string(), is_torn: false },
    };
    let content = match (kind.as_deref(), payload) {
        (Some("session_meta"), Some(payload)) => session(&payload),
        (Some("turn_context"), Some(payload)) => Some(Content::Context {
            turn_id: text(&payload, "turn_id"),
            model: text(&payload, "model"),
            cwd: text(&payload, "cwd"),
        }),
        (Some("response_item"), Some(payload)) => response(payload),
        (Some("event_msg"), Some(payload)) => {
            return found(line, timestamp, event(&payload), "event_msg", &payload);
        }
        (Some(kind), Some(_)) => return Read::Skipped(kind.to_owned()),
        // Files of 2025 have the items without an envelope, and a first line without a type.
        (Some(_), None) => response(record.take()),
        (None, _) if record.get("id").is_some() => session(&record),
        (None, _) => None,
    };
    found(line, timestamp, content, kind.as_deref().unwrap_or("no type"), &Value::Null)
}

fn found(
    line: u64,
    timestamp: Option<String>,
    content: Option<Content>,
    kind: &str,
    payload: &Value,
) -> Read {
    match content {
        Some(content) => {
            Read::Item(Item { line, at_ms: timestamp.as_deref().and_then(times::read), content })
        }
        None => match text(payload, "type") {
            Some(inner) => Read::Skipped(format!("{kind}/{inner}")),
            None => Read::Skipped(kind.to_owned()),
        },
    }
}

fn text(value: &Value, name: &str) -> Option<String> {
    value.get(name)?.as_str().filter(|text| !text.is_empty()).map(str::to_owned)
}

fn session(payload: &Value) -> Option<Content> {
    let git = payload.get("git").unwrap_or(&Value::Null);
    let spawned = payload.pointer("/source/subagent/thread_spawn").unwrap_or(&Value::Null);
    Some(Content::Session(Box::new(Session {
        id: text(payload, "id").or_else(|| text(payload, "session_id"))?,
        started_ms: text(payload, "timestamp").as_deref().and_then(times::read),
        forked_from: text(payload, "forked_from_id").or_else(|| text(spawned, "forked_from_id")),
        parent_thread: text(payload, "parent_thread_id").or_else(|| text(spawned, "parent_thread_id")),
        cwd: text(payload, "cwd"),
        version: text(payload, "cli_version"),
        provider: text(payload, "model_provider"),
        branch: text(git, "branch"),
        commit: text(git, "commit_hash"),
        repository: text(git, "repository_url"),
    })))
}

fn response(mut payload: Value) -> Option<Content> {
    let id = text(&payload, "call_id");
    let mut take = |name: &str| payload.get_mut(name).map(Value::take);
    match take("type")?.as_str()? {
        "message" => {
            let role = take("role")?;
            let parts = parts(take("content")?);
            match role.as_str()? {
                "user" => {
                    let said: Vec<String> = parts.into_iter().filter(|part| !is_by_host(part)).collect();
                    let text = said.join("\n");
                    (!text.trim().is_empty())
                        .then(|| Content::User { source: Source::Response, text: prompt(&text) })
                }
                "assistant" => agent(Source::Response, parts.join("\n")),
                // Instructions of the developer and the system.
                _ => None,
            }
        }
        "agent_message" => Some(Content::Other {
            author: take("author")?.as_str()?.to_owned(),
            text: clip(parts(take("content")?).join("\n")),
        }),
        "function_call" => Some(Content::Call {
            id,
            tool: take("name")?.as_str()?.to_owned(),
            arguments: arguments(take("arguments").unwrap_or(Value::Null)),
        }),
        "custom_tool_call" => Some(Content::Call {
            id,
            tool: take("name")?.as_str()?.to_owned(),
            arguments: arguments(take("input").unwrap_or(Value::Null)),
        }),
        "local_shell_call" => Some(Content::Call {
            id,
            tool: "local_shell".into(),
            arguments: clip_value(take("action").unwrap_or(Value::Null)),
        }),
        "web_search_call" => Some(Content::Call {
            id: None,
            tool: WEB_SEARCH.into(),
            arguments: clip_value(take("action").unwrap_or(Value::Null)),
        }),
        "function_call_output" | "custom_tool_call_output" | "local_shell_call_output" => {
            Some(Content::Output { call_id: id?, output: output(take("output").unwrap_or(Value::Null)) })
        }
        _ => None,
    }
}

fn event(payload: &Value) -> Option<Content> {
    let turn_id = || text(payload, "turn_id");
    match payload.get("type")?.as_str()? {
        "user_message" => {
            let is_by_host = text(payload, "kind").is_some_and(|kind| kind != "plain");
            let text = text(payload, "message").filter(|text| !is_by_host && !self::is_by_host(text))?;
            Some(Content::User { source: Source::Event, text: prompt(&text) })
        }
        "agent_message" => agent(Source::Event, text(payload, "message")?),
        "task_started" | "turn_started" => Some(Content::Started { turn_id: turn_id() }),
        "task_complete" | "turn_complete" => Some(Content::Completed),
        "turn_aborted" => Some(Content::Aborted { reason: text(payload, "reason").unwrap_or_default() }),
        "thread_rolled_back" => Some(Content::RolledBack { turns: payload.get("num_turns")?.as_u64()? }),
        "exec_command_end" | "patch_apply_end" | "mcp_tool_call_end" => call_end(payload),
        "token_count" => {
            let count = |usage: &str, name: &str| payload.pointer(&format!("/info/{usage}/{name}"))?.as_u64();
            let last = |name: &str| count("last_token_usage", name).unwrap_or(0);
            Some(Content::Tokens {
                // What the service had cached is not read again.
                last: last("input_tokens").saturating_sub(last("cached_input_tokens"))
                    + last("output_tokens"),
                total: count("total_token_usage", "total_tokens")?,
            })
        }
        "error" => Some(Content::ServiceError(text(payload, "message").unwrap_or_default())),
        _ => None,
    }
}

fn call_end(payload: &Value) -> Option<Content> {
    let exit_code = payload.get("exit_code").and_then(Value::as_i64);
    let success = payload.get("success").and_then(Value::as_bool);
    let is_error = payload.pointer("/result/Err").is_some()
        || payload.pointer("/result/Ok/is_error").and_then(Value::as_bool) == Some(true)
        || payload.pointer("/result/Ok/isError").and_then(Value::as_bool) == Some(true);
    let part = |name: &str| payload.pointer(&format!("/duration/{name}")).and_then(Value::as_u64);
    Some(Content::CallEnd {
        call_id: text(payload, "call_id")?,
        failed: exit_code.is_some_and(|code| code != 0) || success == Some(false) || is_error,
        duration_ms: part("secs")
            .map(|secs| secs.saturating_mul(1_000).saturating_add(part("nanos").unwrap_or(0) / 1_000_000)),
    })
}

fn agent(source: Source, text: String) -> Option<Content> {
    (!text.trim().is_empty()).then(|| Content::Agent { source, text: clip(text) })
}

/// Returns the texts of a content.
pub(super) fn parts(content: Value) -> Vec<String> {
    match content {
        Value::String(text) => vec![text],
        Value::Array(parts) => parts.iter().filter_map(|part| text(part, "text")).collect(),
        _ => Vec::new(),
    }
}

/// How texts in the user's name start that Codex writes.
const HOST_TEXTS: [&str; 12] = [
    "<environment_context>",
    "<user_instructions>",
    "<permissions instructions>",
    "<turn_aborted>",
    "<user_shell_command>",
    "<subagent_notification>",
    "<skill>",
    "<skills_instructions>",
    "<image",
    "</image>",
    "<INSTRUCTIONS>",
    "# AGENTS.md instructions",
];

fn is_by_host(text: &str) -> bool {
    HOST_TEXTS.iter().any(|start| text.trim_start().starts_with(start))
}

/// What stands before the user's words where an editor adds its context.
const REQUEST: &str = "## My request for Codex:";

/// Returns the user's own words.
fn prompt(text: &str) -> String {
    let own = text.split_once(REQUEST).map_or(text, |(_, own)| own);
    clip(own.trim().to_owned())
}

/// Returns arguments, parsed where they are JSON in a string.
fn arguments(value: Value) -> Value {
    clip_value(match value {
        Value::String(text) => match serde_json::from_str(&text) {
            Ok(parsed @ (Value::Object(_) | Value::Array(_))) => parsed,
            _ => Value::String(text),
        },
        value => value,
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn arguments_are_parsed_where_they_are_json() {
        assert_eq!(arguments(json!("{\"cmd\":\"ls\"}")), json!({"cmd": "ls"}));
        assert_eq!(arguments(json!("*** Begin Patch")), json!("*** Begin Patch"));
        assert_eq!(arguments(json!("12")), json!("12"));
    }

    #[test]
    fn what_codex_writes_in_the_users_name_is_no_prompt() {
        let said = |content: Value| {
            let item = json!({"type": "message", "role": "user", "content": content});
            match response(item) {
                Some(Content::User { text, .. }) => Some(text),
                _ => None,
            }
        };
        let part = |text: &str| json!({"type": "input_text", "text": text});
        let context = part("<environment_context>\n  <cwd>/w</cwd>\n</environment_context>");
        assert_eq!(said(json!([part("# AGENTS.md instructions for /w\n\nrules"), context])), None);
        assert_eq!(said(json!([context, part("Fix it")])).as_deref(), Some("Fix it"));
        let with_editor =
            "# Context from my IDE setup:\n\n## Open tabs:\n- a.rs\n\n## My request for Codex:\nFix it\n";
        assert_eq!(said(json!([part(with_editor)])).as_deref(), Some("Fix it"));
    }
}
