//! Events as coding agents send them, as one form.

use std::path::PathBuf;

use serde_json::Value;

use crate::cli::AgentArg;

/// An event of a coding agent.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Event {
    pub(crate) agent: AgentArg,
    /// Its name as the agent spells it.
    pub(crate) name: String,
    /// The conversation.
    pub(crate) session: String,
    /// The working directory.
    pub(crate) folder: Option<PathBuf>,
    /// The model, if the agent names it.
    pub(crate) model: Option<String>,
    /// It happened within a sub-agent, whose steps its own transcript has.
    pub(crate) in_subagent: bool,
    pub(crate) what: What,
}

/// What happened.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum What {
    SessionStart,
    Prompt {
        text: String,
    },
    BeforeTool {
        tool: String,
        arguments: Value,
    },
    AfterTool {
        tool: String,
        arguments: Value,
        result: ToolResult,
        duration_ms: Option<u64>,
    },
    /// The agent has answered.
    Stop {
        last_message: Option<String>,
        /// The user stopped it.
        aborted: bool,
    },
    SessionEnd,
    SubagentStop {
        transcript: Option<PathBuf>,
    },
    /// Nothing is to be done.
    Other,
}

/// What a call gave.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum ToolResult {
    Worked(String),
    Failed(String),
    /// The user stopped it.
    Interrupted(String),
}

impl Event {
    /// Reads an event. Agents that share names and fields are told apart by `agent` alone; `name` is for those that do not
    /// name the event in it.
    pub(crate) fn read(value: &Value, agent: Option<AgentArg>, name: Option<&str>) -> Result<Self, String> {
        let text = |field: &str| value.get(field).and_then(Value::as_str).map(str::to_owned);
        let Some(name) = name.map(str::to_owned).or_else(|| text("hook_event_name")) else {
            return Err("the event has no hook_event_name, and --event names none".into());
        };
        let agent = agent.unwrap_or_else(|| guess(value, &name));
        let folder = text("cwd")
            .or_else(|| value.get("workspace_roots")?.get(0)?.as_str().map(str::to_owned))
            .filter(|folder| !folder.is_empty());
        // An agent that does not name its conversations has one a folder at a time.
        let session = ["session_id", "conversation_id", "sessionId"].iter().find_map(|field| text(field));
        let session = session.or_else(|| folder.clone()).ok_or("the event names no session")?;
        let in_subagent = value.get("agent_id").is_some_and(|id| !id.is_null());
        let what = What::read(agent, &name, value);
        let model = text("model").filter(|model| !model.is_empty());
        Ok(Self { agent, name, session, folder: folder.map(PathBuf::from), model, in_subagent, what })
    }
}

/// Names the agent by the spelling of its events, where the installed hook does not.
fn guess(value: &Value, name: &str) -> AgentArg {
    match name {
        "BeforeAgent" | "AfterAgent" | "BeforeTool" | "AfterTool" | "PreCompress" => AgentArg::Gemini,
        _ if value.get("cursor_version").is_some() => AgentArg::Cursor,
        _ if value.get("turn_id").is_some() => AgentArg::Codex,
        _ => AgentArg::ClaudeCode,
    }
}

impl What {
    fn read(agent: AgentArg, name: &str, value: &Value) -> Self {
        let text = |field: &str| value.get(field).and_then(Value::as_str).map(str::to_owned);
        let tool = || text("tool_name").or_else(|| text("toolName")).or_else(|| text("tool"));
        match name {
            "SessionStart" | "sessionStart" => Self::SessionStart,
            "UserPromptSubmit" | "BeforeAgent" | "beforeSubmitPrompt" | "userPromptSubmitted" => {
                // What the agent's own machinery submits is no task.
                let own = value.get("source").and_then(Value::as_str);
                let is_own = own.is_some_and(|own| !matches!(own, "user" | "sdk"));
                match text("prompt").filter(|_| !is_own) {
                    Some(text) => Self::Prompt { text },
                    None => Self::Other,
                }
            }
            "PreToolUse" | "BeforeTool" | "preToolUse" => {
                tool().map_or(Self::Other, |tool| Self::BeforeTool { tool, arguments: arguments(value) })
            }
            "PostToolUse" | "AfterTool" | "postToolUse" | "PostToolUseFailure" | "postToolUseFailure" => {
                let failed = name.ends_with("Failure");
                tool().map_or(Self::Other, |tool| Self::AfterTool {
                    tool,
                    arguments: arguments(value),
                    result: result(agent, value, failed),
                    duration_ms: ["duration_ms", "duration"]
                        .iter()
                        .find_map(|field| value.get(field)?.as_u64()),
                })
            }
            "Stop" | "stop" | "AfterAgent" => Self::Stop {
                last_message: text("last_assistant_message").or_else(|| text("prompt_response")),
                aborted: text("status").is_some_and(|status| status == "aborted"),
            },
            "SessionEnd" | "sessionEnd" => Self::SessionEnd,
            "SubagentStop" | "subagentStop" => {
                Self::SubagentStop { transcript: text("agent_transcript_path").map(PathBuf::from) }
            }
            _ => Self::Other,
        }
    }
}

/// Returns the arguments of a call: an object, or JSON in a string.
fn arguments(value: &Value) -> Value {
    let given = ["tool_input", "toolArgs", "args"].iter().find_map(|field| value.get(field));
    match given {
        Some(Value::String(text)) => {
            serde_json::from_str(text).unwrap_or_else(|_| Value::String(text.clone()))
        }
        Some(given) => given.clone(),
        None => Value::Null,
    }
}

fn result(agent: AgentArg, value: &Value, failed: bool) -> ToolResult {
    let fields = ["tool_response", "toolResult", "tool_output", "result_json", "output"];
    let response = fields.iter().find_map(|field| value.get(field)).unwrap_or(&Value::Null);
    let own_error =
        || ["error", "error_message", "message"].iter().find_map(|field| value.get(field)).map(words);
    if value.get("is_interrupt").and_then(Value::as_bool) == Some(true) {
        return ToolResult::Interrupted(own_error().unwrap_or_default());
    }
    if failed {
        return ToolResult::Failed(own_error().unwrap_or_else(|| words(response)));
    }
    // These have an event of its own for a call that failed: what an output says about errors is its content.
    if matches!(agent, AgentArg::ClaudeCode | AgentArg::Cursor) {
        return ToolResult::Worked(words(response));
    }
    let refused = response.get("resultType").and_then(Value::as_str).is_some_and(|kind| kind == "failure");
    let text = words(response);
    let known = memory_import::call_result(Value::String(text.clone()));
    let marked = response.is_object() && memory_import::is_error_text(&text, Some(response));
    if !(refused || marked || known.failed) {
        return ToolResult::Worked(text);
    }
    let error = response.get("error").filter(|error| !error.is_null()).map(words);
    ToolResult::Failed(error.filter(|error| !error.is_empty()).unwrap_or(text))
}

/// Returns the words of a result: what agents put into a few well-known fields, or the JSON itself.
fn words(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        Value::Array(parts) => parts.iter().map(words).collect::<Vec<_>>().join("\n"),
        Value::Object(fields) => {
            const NAMES: [&str; 8] = [
                "text",
                "llmContent",
                "textResultForLlm",
                "content",
                "output",
                "stdout",
                "stderr",
                "message",
            ];
            let known: Vec<String> = NAMES
                .iter()
                .filter_map(|name| fields.get(*name))
                .map(words)
                .filter(|text| !text.is_empty())
                .collect();
            if known.is_empty() { value.to_string() } else { known.join("\n") }
        }
        scalar => scalar.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(value: Value) -> Event {
        Event::read(&value, None, None).unwrap()
    }

    #[test]
    fn agents_are_told_apart_and_say_the_same() {
        let claude = read(json!({
            "session_id": "s", "transcript_path": "/t", "cwd": "/w", "hook_event_name": "UserPromptSubmit",
            "prompt": "fix it",
        }));
        let gemini = read(json!({
            "session_id": "s", "cwd": "/w", "hook_event_name": "BeforeAgent", "timestamp": "t", "prompt": "fix it",
        }));
        let cursor = read(json!({
            "conversation_id": "s", "generation_id": "g", "cursor_version": "2", "workspace_roots": ["/w"],
            "hook_event_name": "beforeSubmitPrompt", "prompt": "fix it",
        }));
        let codex = read(json!({
            "session_id": "s", "turn_id": "1", "model": "m", "transcript_path": null, "cwd": "/w",
            "hook_event_name": "UserPromptSubmit", "prompt": "fix it",
        }));
        assert_eq!(claude.agent, AgentArg::ClaudeCode);
        assert_eq!(gemini.agent, AgentArg::Gemini);
        assert_eq!(cursor.agent, AgentArg::Cursor);
        assert_eq!((codex.agent, codex.model.as_deref()), (AgentArg::Codex, Some("m")));
        for event in [claude, gemini, cursor, codex] {
            assert_eq!(event.what, What::Prompt { text: "fix it".into() });
            assert_eq!((event.session.as_str(), event.folder), ("s", Some("/w".into())));
        }
    }

    #[test]
    fn results_say_whether_the_call_failed() {
        let check = |name: &str, fields: Value, expected: ToolResult| {
            let mut value = json!({"session_id": "s", "hook_event_name": name, "tool_name": "Bash"});
            value.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
            let What::AfterTool { result, .. } = read(value).what else { panic!("{name}") };
            assert_eq!(result, expected);
        };
        let worked = |text: &str| ToolResult::Worked(text.into());
        let failed = |text: &str| ToolResult::Failed(text.into());
        check("PostToolUse", json!({"tool_response": {"stdout": "ok", "stderr": ""}}), worked("ok"));
        check("PostToolUseFailure", json!({"error": "exit 1"}), failed("exit 1"));
        let stopped = json!({"error": "stopped", "is_interrupt": true});
        check("PostToolUseFailure", stopped, ToolResult::Interrupted("stopped".into()));
        check(
            "AfterTool",
            json!({"tool_response": {"llmContent": "a", "error": {"message": "b"}}}),
            failed("b"),
        );
        check("AfterTool", json!({"tool_response": {"llmContent": "a"}}), worked("a"));
        // An agent with an event for failures says that this one worked.
        check("PostToolUse", json!({"tool_response": "Error: no such file"}), worked("Error: no such file"));
        let codex = |response: Value| json!({"tool_response": response, "turn_id": "1"});
        let text = "Exit code: 101\nWall time: 1 s\nOutput:\nno";
        check("PostToolUse", codex(json!(text)), failed(text));
        check("PostToolUse", codex(json!({"stdout": "ok", "error": ""})), worked("ok"));
        check("PostToolUse", codex(json!({"stdout": "p", "status": "error"})), failed("p"));
        let gemini = |text: &str| json!({"tool_response": {"llmContent": text}});
        check("AfterTool", gemini("Output:\nx\nExit Code: 1"), worked("Output:\nx\nExit Code: 1"));
        check("AfterTool", gemini("Exit Code: 1\nOutput:\nx"), failed("Exit Code: 1\nOutput:\nx"));
    }

    #[test]
    fn an_agent_that_does_not_name_its_events_is_understood_by_the_flags() {
        let value = json!({
            "cwd": "/w", "toolName": "bash", "toolArgs": "{\"command\": \"ls\"}",
            "toolResult": {"resultType": "failure", "textResultForLlm": "denied"},
        });
        let event = Event::read(&value, Some(AgentArg::CopilotCli), Some("postToolUse")).unwrap();
        let What::AfterTool { tool, arguments, result, .. } = event.what else { panic!("{event:?}") };
        assert_eq!((tool.as_str(), arguments), ("bash", json!({"command": "ls"})));
        assert_eq!((result, event.session.as_str()), (ToolResult::Failed("denied".into()), "/w"));
    }

    #[test]
    fn what_is_no_task_is_nothing() {
        let what = |value: Value| read(value).what;
        let own = json!({"session_id": "s", "hook_event_name": "UserPromptSubmit", "prompt": "x", "source": "system"});
        assert_eq!(what(own), What::Other);
        assert_eq!(what(json!({"session_id": "s", "hook_event_name": "Notification"})), What::Other);
        let error = Event::read(&json!({"session_id": "s"}), None, None).unwrap_err();
        assert!(error.contains("hook_event_name"), "{error}");
        let error = Event::read(&json!({"hook_event_name": "Stop"}), None, None).unwrap_err();
        assert!(error.contains("session"), "{error}");
    }
}
