//! Conversations in the OpenAI chat format, with a reward: `{task_id, trial, reward, messages}`.
//!
//! Other fields (`instruction`, `reference_actions`) belong to whoever judges the agent. The agent never saw
//! them, so they are not its experience and stay out.

use serde::Deserialize;
use serde_json::{Map, Value};

use crate::fields::{read_fields, scalar};
use crate::outcome::Evidence;
use crate::trajectory::{Labels, Speaker, Trajectory};
use crate::transcript::{Returned, Transcript};
use crate::{stated, texts};

/// The kind of task unless the line names one.
const KIND: &str = "conversation";

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
    /// Returns the text; what is no text is named.
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

/// Tells whether a line is a conversation.
pub(crate) fn looks_like(line: &Value) -> bool {
    line.get("messages").is_some_and(Value::is_array)
}

/// Reads a conversation as a task that is the first message of the user: what later questions look like.
pub(crate) fn read(key: String, line: Value) -> Result<Trajectory, String> {
    let (chat, labels): (Conversation, _) = read_fields(line, "not a conversation")?;
    let Some(verdict) = stated::verdict(chat.reward) else {
        return Err(format!("reward: {} is not in 0 to 1", chat.reward));
    };
    let (mut prompt, mut transcript) = (None, Transcript::default());
    for message in chat.messages {
        add(&mut transcript, &mut prompt, message);
    }
    let prompt = prompt.ok_or("not a conversation: no message of the user")?;
    let run: Vec<String> = [&chat.task_id, &chat.trial].into_iter().filter_map(scalar).collect();
    let labels = Labels {
        kind: labels.kind.or_else(|| Some(KIND.to_owned())),
        domain: labels.domain,
        agent: labels.agent,
        tags: labels.tags,
        correlation_id: Some(run.join("/")).filter(|run| !run.is_empty()),
        project: None,
    };
    let steps = transcript.steps;
    let outcome = stated::of(&steps, verdict, vec![Evidence::Reward(chat.reward)]);
    let attributes = Map::new();
    Ok(Trajectory { key, parent: None, prompt, labels, at_ms: None, steps, outcome, attributes })
}

fn add(transcript: &mut Transcript, prompt: &mut Option<String>, message: Message) {
    let text = message.content.map(Content::into_text).unwrap_or_default();
    match message.role.as_str() {
        "tool" | "function" => {
            let (id, tool) = (message.tool_call_id.as_deref(), message.name.as_deref());
            transcript.result(Returned { id, tool, text, failed: None });
        }
        // Instructions to the agent, not what happened.
        "system" | "developer" => {}
        "user" if prompt.is_none() => {
            if !text.trim().is_empty() {
                *prompt = Some(texts::clip(text));
            }
        }
        role => {
            let speaker = match role {
                "user" => Speaker::User,
                "assistant" => Speaker::Agent,
                other => Speaker::Other(other.to_owned()),
            };
            transcript.say(speaker, text);
        }
    }
    let calls = message.tool_calls.unwrap_or_default().into_iter().map(|call| (call.id, call.function));
    for (id, function) in calls.chain(message.function_call.map(|function| (None, function))) {
        transcript.call(id, &function.name, texts::arguments(function.arguments));
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::outcome::Verdict;
    use crate::trajectory::{Step, StepKind, ToolResult};

    fn trajectory(reward: f64, messages: Value) -> Trajectory {
        let line =
            json!({"task_id": 3, "trial": 1, "reward": reward, "instruction": "no", "messages": messages});
        read("k".into(), line).unwrap()
    }

    fn call(id: &str, name: &str, arguments: &str) -> Value {
        json!({"id": id, "type": "function", "function": {"name": name, "arguments": arguments}})
    }

    fn tool(id: &str, content: &str) -> Value {
        json!({"role": "tool", "tool_call_id": id, "content": content})
    }

    fn called(tool: &str, arguments: Value, text: &str, failed: bool) -> Step {
        let mut step = Step::call(tool, arguments);
        let StepKind::Call { result, .. } = &mut step.kind else { panic!("no call") };
        *result = Some(ToolResult { text: text.into(), failed });
        step
    }

    #[test]
    fn messages_become_task_steps_and_outcome() {
        let found = trajectory(
            1.0,
            json!([
                {"role": "system", "content": "policy"},
                {"role": "user", "content": "Book a flight."},
                {"role": "assistant", "content": "Which one?"},
                {"role": "user", "content": [{"type": "text", "text": "HAT1"}, {"type": "image_url"}]},
                {"role": "assistant", "tool_calls": [call("c", "book", "{\"flight\": \"HAT1\"}")]},
                tool("c", "Error: no seats"),
                {"role": "assistant", "content": null, "tool_calls": [call("c", "book", "not json")]},
                tool("c", "{\"error\": null, \"id\": 7}"),
                {"role": "critic", "content": "Good."},
                {"role": "assistant", "content": "Booked."},
            ]),
        );
        assert_eq!((found.key.as_str(), found.prompt.as_str()), ("k", "Book a flight."));
        let labels = Labels {
            kind: Some("conversation".into()),
            correlation_id: Some("3/1".into()),
            ..Labels::default()
        };
        assert_eq!(found.labels, labels);
        let steps = [
            Step::message(Speaker::Agent, "Which one?"),
            Step::message(Speaker::User, "HAT1\n[image_url]"),
            called("book", json!({"flight": "HAT1"}), "Error: no seats", true),
            called("book", json!("not json"), "{\"error\": null, \"id\": 7}", false),
            Step::message(Speaker::Other("critic".into()), "Good."),
            Step::message(Speaker::Agent, "Booked."),
        ];
        assert_eq!(found.steps, steps);
        let outcome = found.outcome;
        assert_eq!((outcome.verdict, outcome.confidence), (Some(Verdict::Success), 1.0));
        assert_eq!((outcome.summary.as_str(), outcome.evidence), ("Booked.", vec![Evidence::Reward(1.0)]));
    }

    #[test]
    fn a_call_without_a_result_has_none() {
        let found = trajectory(
            0.5,
            json!([
                {"role": "user", "content": "go"},
                {"role": "assistant", "tool_calls": [call("d", "lost", "{}")]},
            ]),
        );
        assert_eq!(found.steps, [Step::call("lost", json!({}))]);
        assert_eq!(found.outcome.verdict, Some(Verdict::Partial(0.5)));
        assert_eq!(found.outcome.summary, "");
    }

    #[test]
    fn a_failure_has_the_last_error_and_the_last_words() {
        let found = trajectory(
            0.0,
            json!([
                {"role": "user", "content": "refund"},
                {"role": "assistant", "content": "Done!", "function_call": {"name": "refund", "arguments": "{}"}},
                {"role": "function", "name": "refund", "content": "{\"error\": \"order not found\"}"},
            ]),
        );
        assert_eq!(found.outcome.verdict, Some(Verdict::Failure));
        let error = "refund: {\"error\": \"order not found\"}";
        assert_eq!(found.outcome.last_error.as_deref(), Some(error));
        assert_eq!(found.outcome.summary, "Done!");
    }

    #[test]
    fn what_is_no_conversation_is_refused() {
        let check = |line: Value, expected: &str| {
            let reason = read(String::new(), line).unwrap_err();
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
