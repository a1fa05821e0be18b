//! Conversations in the OpenAI chat format, with a reward: `{task_id, trial, reward, messages}`.
//!
//! Other fields (`instruction`, `reference_actions`) are for the evaluation of the agent. The agent never saw
//! them, so they are not its experience and are left out.

use std::collections::VecDeque;

use agent_memory::{Action, Outcome, Recording, Role, StepResult, Task};
use serde::Deserialize;
use serde_json::Value;

use super::line::{BadLine, Cutter, Defaults, Labels, Parsed, read_fields, scalar};

/// The kind of task unless the line names one.
const KIND: &str = "conversation";
/// The observation of a call without a result in the source.
const NO_RESULT: &str = "(the source has no result)";

#[derive(Deserialize)]
struct Conversation {
    #[serde(default)]
    task_id: Value,
    #[serde(default)]
    trial: Value,
    reward: f64,
    messages: Vec<Message>,
}

#[derive(Deserialize)]
struct Message {
    role: String,
    content: Option<Content>,
    tool_calls: Option<Vec<ToolCall>>,
    function_call: Option<Function>,
    tool_call_id: Option<String>,
    name: Option<String>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Content {
    Text(String),
    Parts(Vec<Part>),
}

#[derive(Deserialize)]
struct Part {
    r#type: Option<String>,
    text: Option<String>,
}

impl Content {
    /// Returns the text; a part that is not text becomes its name.
    fn into_text(self) -> String {
        match self {
            Self::Text(text) => text,
            Self::Parts(parts) => {
                let texts: Vec<String> = parts
                    .into_iter()
                    .map(|part| {
                        let other = part.r#type.unwrap_or_else(|| "part".into());
                        part.text.unwrap_or_else(|| format!("[{other}]"))
                    })
                    .collect();
                texts.join("\n")
            }
        }
    }
}

#[derive(Deserialize)]
struct ToolCall {
    id: Option<String>,
    function: Function,
}

#[derive(Deserialize)]
struct Function {
    name: String,
    #[serde(default)]
    arguments: Value,
}

/// Reads a conversation as an episode whose task is the first message of the user, because later queries look
/// like it.
pub(super) fn read(line: Value, defaults: &Defaults) -> Result<Parsed, BadLine> {
    let (chat, labels): (Conversation, Labels) = read_fields(line, "not a conversation")?;
    if !(0.0..=1.0).contains(&chat.reward) {
        return Err(BadLine(format!("reward: {} is not in 0 to 1", chat.reward)));
    }
    let mut transcript = Transcript { cutter: Cutter::new(defaults), ..Transcript::default() };
    for message in chat.messages {
        transcript.add(message);
    }
    transcript.end();
    let Some(description) = transcript.task.take() else {
        return Err(BadLine("not a conversation: no message of the user".into()));
    };
    let mut task = labels.apply(Task::new(description), KIND, defaults);
    let run: Vec<String> = [&chat.task_id, &chat.trial].into_iter().filter_map(scalar).collect();
    if !run.is_empty() {
        task = task.correlation_id(run.join("/"));
    }
    let outcome = transcript.outcome(chat.reward);
    let Transcript { actions, cutter, .. } = transcript;
    let recording = Recording::new(String::new(), task, outcome).actions(actions);
    Ok(Parsed { recording, truncated: cutter.truncated })
}

/// A call without a result so far.
struct Waiting {
    action: usize,
    id: Option<String>,
    name: String,
}

/// The conversation so far.
#[derive(Default)]
struct Transcript {
    task: Option<String>,
    actions: Vec<Action>,
    waiting: VecDeque<Waiting>,
    last_words: Option<String>,
    last_error: Option<String>,
    cutter: Cutter,
}

impl Transcript {
    fn add(&mut self, message: Message) {
        let text = message.content.map(Content::into_text).unwrap_or_default();
        match message.role.as_str() {
            "tool" | "function" => self.result(message.tool_call_id.as_deref(), message.name, text),
            // Instructions to the agent, not events.
            "system" | "developer" => {}
            "user" if self.task.is_none() => {
                if !text.trim().is_empty() {
                    self.task = Some(self.cutter.description(text));
                }
            }
            role => {
                if !text.trim().is_empty() {
                    if role == "assistant" {
                        self.last_words = Some(text.clone());
                    }
                    let text = self.cutter.observation(text);
                    self.actions.push(said_by(role, text));
                }
            }
        }
        let calls = message.tool_calls.unwrap_or_default().into_iter().map(|call| (call.id, call.function));
        let calls: Vec<_> = calls.chain(message.function_call.map(|function| (None, function))).collect();
        for (id, function) in calls {
            self.call(id, function);
        }
    }

    fn call(&mut self, id: Option<String>, function: Function) {
        let arguments = match function.arguments {
            Value::String(text) => serde_json::from_str(&text).unwrap_or(Value::String(text)),
            value => value,
        };
        self.waiting.push_back(Waiting { action: self.actions.len(), id, name: function.name.clone() });
        self.actions.push(Action::tool(function.name).arguments(arguments));
    }

    /// Assigns a result to the first call without one: by id, otherwise by name, otherwise the next in order.
    /// Sources give several calls the same id, so an id alone does not identify one.
    fn result(&mut self, id: Option<&str>, name: Option<String>, text: String) {
        let text = self.cutter.observation(text);
        let by_id = id.and_then(|id| self.waiting.iter().position(|call| call.id.as_deref() == Some(id)));
        let by_name =
            || name.as_ref().and_then(|name| self.waiting.iter().position(|call| call.name == *name));
        let place = by_id.or_else(by_name).unwrap_or(0);
        let index = match self.waiting.remove(place) {
            Some(call) => call.action,
            None => {
                self.actions
                    .push(Action::tool(name.unwrap_or_default()).description("result without a call"));
                self.actions.len() - 1
            }
        };
        let action = &mut self.actions[index];
        if is_error(&text) {
            action.result = StepResult::Error;
            self.last_error = Some(format!("{}: {text}", action.tool));
        }
        action.observation = text;
    }

    fn end(&mut self) {
        for call in self.waiting.drain(..) {
            let action = &mut self.actions[call.action];
            action.observation = NO_RESULT.into();
            action.result = StepResult::Timeout;
        }
    }

    fn outcome(&mut self, reward: f64) -> Outcome {
        let words = self.last_words.take().unwrap_or_default();
        if reward > 0.0 {
            let summary = self.cutter.outcome(words);
            return if reward < 1.0 {
                Outcome::Partial { fraction: reward, summary }
            } else {
                Outcome::success(summary)
            };
        }
        // The source gives no reason, only the reward.
        let mut outcome = Outcome::failure("");
        if let Some(error) = self.last_error.take() {
            outcome = outcome.last_error(self.cutter.outcome(error));
        }
        if !words.is_empty() {
            outcome = outcome.last_message(self.cutter.outcome(words));
        }
        outcome
    }
}

/// Returns a message; one of a role other than the user's or the agent's has its role's name.
fn said_by(role: &str, text: String) -> Action {
    match role {
        "user" => Action::message(Role::User, text),
        "assistant" => Action::message(Role::Assistant, text),
        other => Action::message(Role::Other, text).description(other),
    }
}

/// How the first line of a result starts that is an error, in lower case.
const ERROR_STARTS: [&str; 5] =
    ["traceback (most recent call last)", "fatal:", "panic:", "command failed", "failed "];
/// Words that follow "error" in the report of a failure, in lower case.
const ERROR_WHILE: [&str; 6] = [" calling", " executing", " in ", " reading", " running", " while"];

/// Returns true if a tool's result is an error: a text that starts like one, or an object that reports one.
fn is_error(text: &str) -> bool {
    let text = text.trim_start();
    if let Ok(Value::Object(fields)) = serde_json::from_str(text) {
        return says_error(&fields);
    }
    let line = text.lines().next().unwrap_or("").to_lowercase();
    // "Errors found: 0" and "Error budget: 99 %" are none.
    let error = line.strip_prefix("error").is_some_and(|behind| {
        behind.is_empty()
            || behind.starts_with([':', '[', '(', '!'])
            || ERROR_WHILE.iter().any(|it| behind.starts_with(it))
    });
    error || ERROR_STARTS.iter().any(|start| line.starts_with(start)) || line.ends_with(": command not found")
}

/// Returns true if an object reports a failure.
fn says_error(fields: &serde_json::Map<String, Value>) -> bool {
    let is_there = |name: &str| match fields.get(name) {
        None | Some(Value::Null | Value::Bool(false)) => false,
        Some(Value::String(text)) => !text.is_empty(),
        Some(Value::Number(number)) => number.as_f64() != Some(0.0),
        Some(Value::Array(items)) => !items.is_empty(),
        Some(Value::Object(fields)) => !fields.is_empty(),
        Some(Value::Bool(true)) => true,
    };
    let status = fields.get("status").and_then(Value::as_str).map(str::to_lowercase);
    ["error", "errors", "isError", "is_error"].into_iter().any(is_there)
        || matches!(status.as_deref(), Some("error" | "failed" | "failure"))
        || ["success", "ok"].iter().any(|name| fields.get(*name) == Some(&Value::Bool(false)))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn recording(reward: f64, messages: Value) -> Recording {
        let line = json!({"task_id": 3, "trial": 1, "reward": reward, "instruction": "hidden", "messages": messages});
        read(line, &Defaults::default()).unwrap().recording
    }

    fn call(id: &str, name: &str, arguments: &str) -> Value {
        json!({"id": id, "type": "function", "function": {"name": name, "arguments": arguments}})
    }

    fn tool(id: &str, content: &str) -> Value {
        json!({"role": "tool", "tool_call_id": id, "content": content})
    }

    #[test]
    fn results_that_are_errors() {
        let check = |text: &str, expected: bool| assert_eq!(is_error(text), expected, "{text:?}");
        for error in [
            "Error: no seats",
            "ERROR",
            "error[E0425]: cannot find value `x`\n --> src/lib.rs",
            "Error executing tool: x",
            "fatal: not a git repository",
            "Command failed: exit status 1",
            "FAILED tests/test_a.py::test_x",
            "bash: jq: command not found",
            "{\"error\": \"no\"}",
            "{\"errors\": [\"no\"]}",
            "{\"status\": \"error\", \"message\": \"no such order\"}",
            "{\"success\": false}",
        ] {
            check(error, true);
        }
        for fine in [
            "",
            "Errors found: 0",
            "Error budget: 99 %",
            "{\"error\": 0, \"rows\": 3}",
            "{\"error\": [], \"errors\": {}}",
            "{\"status\": \"ok\", \"success\": true}",
            "[\"error\"]",
        ] {
            check(fine, false);
        }
    }

    #[test]
    fn messages_become_task_steps_and_outcome() {
        let found = recording(
            1.0,
            json!([
                {"role": "system", "content": "policy"},
                {"role": "user", "content": "Book a flight."},
                {"role": "assistant", "content": "Which one?"},
                {"role": "user", "content": [{"type": "text", "text": "HAT1"}, {"type": "image_url"}]},
                {"role": "assistant", "content": null, "tool_calls": [call("c", "book", "{\"flight\": \"HAT1\"}")]},
                tool("c", "Error: no seats"),
                {"role": "assistant", "content": null, "tool_calls": [call("c", "book", "not json")]},
                tool("c", "{\"error\": null, \"id\": 7}"),
                {"role": "assistant", "content": "Booked."},
            ]),
        );
        assert_eq!(found.task, Task::new("Book a flight.").kind("conversation").correlation_id("3/1"));
        let steps = [
            Action::message(Role::Assistant, "Which one?"),
            Action::message(Role::User, "HAT1\n[image_url]"),
            Action::tool("book").arguments(json!({"flight": "HAT1"})).error("Error: no seats"),
            Action::tool("book").arguments(json!("not json")).observation("{\"error\": null, \"id\": 7}"),
            Action::message(Role::Assistant, "Booked."),
        ];
        assert_eq!(found.actions, steps);
        assert_eq!(found.outcome, Outcome::success("Booked."));
    }

    #[test]
    fn parallel_calls_get_their_results_whatever_the_ids() {
        let found = recording(
            0.5,
            json!([
                {"role": "user", "content": "go"},
                {"role": "assistant", "tool_calls": [call("a", "one", "{}"), call("b", "two", "{}"), call("b", "two", "{}")]},
                tool("b", "first b"), tool("a", "the a"), tool("b", "second b"), tool("z", "nobody asked"),
                {"role": "assistant", "tool_calls": [call("d", "lost", "{}")]},
            ]),
        );
        let seen: Vec<(&str, &str)> =
            found.actions.iter().map(|action| (action.tool.as_str(), action.observation.as_str())).collect();
        let expected = [
            ("one", "the a"),
            ("two", "first b"),
            ("two", "second b"),
            ("", "nobody asked"),
            ("lost", NO_RESULT),
        ];
        assert_eq!(seen, expected);
        assert_eq!(found.actions[4].result, StepResult::Timeout);
        assert_eq!(found.outcome, Outcome::Partial { fraction: 0.5, summary: String::new() });
    }

    #[test]
    fn a_failure_tells_the_last_error_before_the_last_words() {
        let found = recording(
            0.0,
            json!([
                {"role": "user", "content": "refund"},
                {"role": "assistant", "content": "Done!", "function_call": {"name": "refund", "arguments": "{}"}},
                {"role": "function", "name": "refund", "content": "{\"error\": \"order not found\"}"},
            ]),
        );
        let told = Outcome::failure("").last_error("refund: {\"error\": \"order not found\"}");
        assert_eq!(found.outcome, told.last_message("Done!"));
        assert_eq!(found.actions[1].result, StepResult::Error);
    }

    #[test]
    fn what_is_no_conversation_is_refused() {
        let check = |line: Value, expected: &str| {
            let BadLine(reason) = read(line, &Defaults::default()).unwrap_err();
            assert!(reason.contains(expected), "{reason}");
        };
        let hello = json!([{"role": "user", "content": "hi"}]);
        check(json!({"messages": hello}), "missing field `reward`");
        check(json!({"reward": 2.0, "messages": hello}), "reward: 2 is not in 0 to 1");
        check(json!({"reward": 1, "messages": []}), "no message of the user");
        check(json!({"reward": 1, "messages": [{"content": "hi"}]}), "missing field `role`");
        check(json!({"reward": 1, "messages": [{"role": "user", "content": 7}]}), "not a conversation");
    }
}
