//! One line: which shape it has, and the episode in it.

use serde_json::Value;

use super::line::{BadLine, Defaults, Parsed, reason};
use super::{chat, identity, tasks};
use crate::cli::Format;

/// Reads the episode in a line.
pub(crate) fn parse(bytes: &[u8], format: Format, defaults: &Defaults) -> Result<Parsed, BadLine> {
    let text = std::str::from_utf8(bytes)
        .map_err(|error| BadLine(format!("not UTF-8 from byte {} on", error.valid_up_to() + 1)))?;
    let value: Value =
        serde_json::from_str(text).map_err(|error| BadLine(format!("not JSON: {}", reason(&error))))?;
    let source_key = identity::source_key(&value);
    let has = |field| value.get(field).is_some();
    let chat = match format {
        Format::Chat => true,
        Format::Tasks => false,
        Format::Auto if has("messages") => true,
        Format::Auto if has("actions") => false,
        Format::Auto => {
            let wanted = "an object with `messages` (a conversation) or `actions` (a task) is needed";
            return Err(BadLine(wanted.into()));
        }
    };
    let mut parsed = if chat { chat::read(value, defaults) } else { tasks::read(value, defaults) }?;
    parsed.recording.source_key = source_key;
    Ok(parsed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shapes_are_told_apart_and_bad_lines_say_why() {
        let check = |line: &[u8], format, expected: Result<&str, &str>| {
            let found = parse(line, format, &Defaults::default());
            let found = found
                .map(|parsed| parsed.recording.task.kind.unwrap_or_default())
                .map_err(|BadLine(reason)| reason);
            assert_eq!(found.as_deref().map_err(String::as_str), expected);
        };
        let chat = br#"{"reward": 1, "messages": [{"role": "user", "content": "hi"}]}"#;
        let task = br#"{"id": 1, "instruction": "x", "actions": []}"#;
        check(chat, Format::Auto, Ok("conversation"));
        check(task, Format::Auto, Ok("task"));
        check(task, Format::Chat, Err("not a conversation: missing field `reward`"));
        check(
            br#"{"reward": "1", "messages": []}"#,
            Format::Auto,
            Err("not a conversation: reward: invalid type: string \"1\", expected a number"),
        );
        check(
            br#"{"reward": 1, "messages": [{"role": "user", "content": "a"}], "tags": "a"}"#,
            Format::Auto,
            Err("not a conversation: tags: invalid type: string \"a\", expected a list"),
        );
        check(chat, Format::Tasks, Err("not a task: missing field `instruction`"));
        check(b"{\"a\": \xff}", Format::Auto, Err("not UTF-8 from byte 7 on"));
        check(b"{\"a\": ", Format::Auto, Err("not JSON: EOF while parsing a value at column 6"));
        check(
            b"[1]",
            Format::Auto,
            Err("an object with `messages` (a conversation) or `actions` (a task) is needed"),
        );
        let deep = [b"[".repeat(200), b"]".repeat(200)].concat();
        check(&deep, Format::Auto, Err("not JSON: recursion limit exceeded at column 128"));
    }

    #[test]
    fn labels_of_the_line_win_over_the_defaults() {
        let defaults =
            Defaults { domain: Some("retail".into()), agent: Some("a1".into()), ..Defaults::default() };
        let line = br#"{"id": 1, "instruction": "x", "actions": [], "domain": "web", "tags": ["t"]}"#;
        let task = parse(line, Format::Auto, &defaults).unwrap().recording.task;
        assert_eq!((task.domain.as_deref(), task.agent.as_deref()), (Some("web"), Some("a1")));
        assert_eq!(task.tags, ["t"]);
    }
}
