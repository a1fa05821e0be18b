//! Messages in the attributes and events of a span.

use serde_json::{Map, Value, json};

use super::spans::Span;
use crate::texts;

/// A part of a message.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Part {
    Text(String),
    Call { id: Option<String>, tool: String, arguments: Value },
    Response { id: Option<String>, text: String },
}

/// Who said what.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Message {
    pub(super) role: String,
    pub(super) parts: Vec<Part>,
}

impl Message {
    /// Returns its texts.
    pub(super) fn text(&self) -> String {
        let texts: Vec<&str> = self
            .parts
            .iter()
            .filter_map(|part| match part {
                Part::Text(text) => Some(text.as_str()),
                _ => None,
            })
            .collect();
        texts.join("\n")
    }

    fn is_prompt(&self) -> bool {
        self.role == "user" && !self.text().trim().is_empty()
    }
}

/// Returns what went into a span, and what came out.
pub(super) fn of(span: &Span) -> (Vec<Message>, Vec<Message>) {
    let of = |name: &str| span.get(name).map(messages).unwrap_or_default();
    let mut input = of("gen_ai.input.messages");
    let mut output = of("gen_ai.output.messages");
    if input.is_empty() {
        input = indexed(&span.attributes, "gen_ai.prompt.");
    }
    if output.is_empty() {
        output = indexed(&span.attributes, "gen_ai.completion.");
    }
    if input.is_empty() && output.is_empty() {
        for (name, attributes) in &span.events {
            event(name, attributes, &mut input, &mut output);
        }
    }
    (input, output)
}

/// Returns the task in what went into an agent: what the user said last. What comes before is an earlier task's.
pub(super) fn prompt(input: &[Message]) -> Option<(usize, String)> {
    let index = input.iter().rposition(Message::is_prompt)?;
    Some((index, input[index].text()))
}

/// Reads messages: an array, or its JSON in a string. A string that is no JSON is what the user said.
fn messages(value: &Value) -> Vec<Message> {
    match value {
        Value::String(text) => match serde_json::from_str(text) {
            Ok(parsed @ (Value::Array(_) | Value::Object(_))) => messages(&parsed),
            _ => vec![Message { role: "user".to_owned(), parts: vec![Part::Text(text.clone())] }],
        },
        Value::Array(items) => items.iter().filter_map(message).collect(),
        Value::Object(_) => message(value).into_iter().collect(),
        _ => Vec::new(),
    }
}

fn message(value: &Value) -> Option<Message> {
    let fields = value.as_object()?;
    let role = fields.get("role").and_then(Value::as_str).unwrap_or("user").to_owned();
    let mut parts: Vec<Part> = match fields.get("parts") {
        Some(Value::Array(parts)) => parts.iter().filter_map(part).collect(),
        _ => {
            let text = fields.get("content").map(texts::content).unwrap_or_default();
            match role.as_str() {
                "tool" => {
                    let id = string(fields, "tool_call_id").or_else(|| string(fields, "id"));
                    vec![Part::Response { id, text }]
                }
                _ => vec![Part::Text(text)],
            }
        }
    };
    for call in fields.get("tool_calls").and_then(Value::as_array).into_iter().flatten() {
        let function = call.get("function").unwrap_or(call);
        let Some(tool) = function.get("name").and_then(Value::as_str) else { continue };
        let id = call.get("id").and_then(Value::as_str).map(str::to_owned);
        let arguments = texts::arguments(function.get("arguments").cloned().unwrap_or_default());
        parts.push(Part::Call { id, tool: tool.to_owned(), arguments });
    }
    Some(Message { role, parts })
}

fn part(value: &Value) -> Option<Part> {
    let Some(fields) = value.as_object() else {
        return value.as_str().map(|text| Part::Text(text.to_owned()));
    };
    match fields.get("type").and_then(Value::as_str) {
        Some("text") | None => string(fields, "content").or_else(|| string(fields, "text")).map(Part::Text),
        Some("tool_call") => Some(Part::Call {
            id: string(fields, "id"),
            tool: string(fields, "name").unwrap_or_default(),
            arguments: texts::arguments(fields.get("arguments").cloned().unwrap_or_default()),
        }),
        Some("tool_call_response") => {
            let result = ["response", "result"].into_iter().find_map(|name| fields.get(name));
            Some(Part::Response {
                id: string(fields, "id"),
                text: result.map(texts::content).unwrap_or_default(),
            })
        }
        Some("reasoning" | "thinking") => None,
        Some(other) => Some(Part::Text(format!("[{other}]"))),
    }
}

fn string(fields: &Map<String, Value>, name: &str) -> Option<String> {
    fields
        .get(name)
        .and_then(Value::as_str)
        .map(|text| text.trim().to_owned())
        .filter(|text| !text.is_empty())
}

/// Returns the messages in attributes such as `gen_ai.prompt.0.content`.
fn indexed(attributes: &Map<String, Value>, prefix: &str) -> Vec<Message> {
    let of = |index: usize, name: &str| attributes.get(&format!("{prefix}{index}.{name}"));
    let mut found = Vec::new();
    for index in 0.. {
        if of(index, "role").is_none() && of(index, "content").is_none() {
            break;
        }
        let default = if prefix.contains("completion") { "assistant" } else { "user" };
        let calls: Vec<Value> = (0..)
            .map_while(|call| {
                let name = of(index, &format!("tool_calls.{call}.name"))?;
                let part = |part: &str| of(index, &format!("tool_calls.{call}.{part}")).cloned();
                Some(json!({"id": part("id"), "name": name, "arguments": part("arguments")}))
            })
            .collect();
        let built = json!({
            "role": of(index, "role").cloned().unwrap_or_else(|| default.into()),
            "content": of(index, "content"),
            "tool_call_id": of(index, "tool_call_id"),
            "tool_calls": calls,
        });
        found.extend(message(&built));
    }
    found
}

/// Adds the message of a span event.
fn event(name: &str, attributes: &Map<String, Value>, input: &mut Vec<Message>, output: &mut Vec<Message>) {
    // The body of an event is in its attributes or, where it came from a log, in one of them.
    let body = ["gen_ai.event.content", "body"].into_iter().find_map(|name| match attributes.get(name)? {
        Value::String(text) => serde_json::from_str(text).ok(),
        other => Some(other.clone()),
    });
    let mut body = body.unwrap_or_else(|| Value::Object(attributes.clone()));
    // A choice has its message inside.
    if let Some(inner) = body.get_mut("message").map(Value::take) {
        body = match inner {
            Value::String(text) => serde_json::from_str(&text).unwrap_or_else(|_| json!({"content": text})),
            inner => inner,
        };
    }
    let (role, into) = match name {
        "gen_ai.user.message" => ("user", input),
        "gen_ai.assistant.message" => ("assistant", input),
        "gen_ai.tool.message" => ("tool", input),
        "gen_ai.choice" => ("assistant", output),
        "gen_ai.content.prompt" => {
            input.extend(attributes.get("gen_ai.prompt").map(messages).unwrap_or_default());
            return;
        }
        "gen_ai.content.completion" => {
            let read = attributes.get("gen_ai.completion").map(messages).unwrap_or_default();
            output.extend(read.into_iter().map(|message| Message { role: "assistant".into(), ..message }));
            return;
        }
        _ => return,
    };
    if let Value::Object(fields) = &mut body {
        fields.insert("role".to_owned(), role.into());
    }
    into.extend(message(&body));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_arrays_or_their_json() {
        let expected = [
            Message { role: "user".into(), parts: vec![Part::Text("go".into())] },
            Message {
                role: "assistant".into(),
                parts: vec![Part::Call {
                    id: Some("c".into()),
                    tool: "ls".into(),
                    arguments: json!({"p": 1}),
                }],
            },
            Message {
                role: "tool".into(),
                parts: vec![Part::Response { id: Some("c".into()), text: "a".into() }],
            },
        ];
        let value = json!([
            {"role": "user", "parts": [{"type": "text", "content": "go"}]},
            {"role": "assistant", "parts": [
                {"type": "reasoning", "content": "hm"},
                {"type": "tool_call", "id": "c", "name": "ls", "arguments": {"p": 1}},
            ]},
            {"role": "tool", "parts": [{"type": "tool_call_response", "id": " c", "result": "a"}]},
        ]);
        assert_eq!(messages(&value), expected);
        assert_eq!(messages(&Value::String(value.to_string())), expected);
        assert_eq!(messages(&json!("go")), expected[..1]);
        let chat = json!([
            {"role": "user", "content": "go"},
            {"role": "assistant", "parts": [], "tool_calls": [
                {"id": "c", "function": {"name": "ls", "arguments": "{\"p\": 1}"}},
            ]},
            {"role": "tool", "tool_call_id": "c", "content": "a"},
        ]);
        assert_eq!(messages(&chat), expected);
    }

    #[test]
    fn the_task_is_what_the_user_said_last() {
        let input = messages(&json!([
            {"role": "user", "content": "old"}, {"role": "assistant", "content": "done"},
            {"role": "user", "content": "new"},
            {"role": "user", "parts": [{"type": "tool_call_response", "id": "c", "response": 1}]},
        ]));
        assert_eq!(prompt(&input), Some((2, "new".to_owned())));
        assert_eq!(prompt(&input[1..2]), None);
    }
}
