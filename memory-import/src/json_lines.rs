//! JSON Lines of conversations and tasks.

use std::io::{self, BufRead};

use serde_json::Value;

use crate::lines::{Line, Lines};
use crate::trajectory::Trajectory;
use crate::{MAX_LINE_BYTES, Sink, chat, fields, identity, tasks};

/// Which of the shapes a line has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shape {
    /// The line tells.
    Any,
    Chat,
    Task,
}

/// Tells whether a line has one of the shapes.
pub(crate) fn looks_like(line: &Value) -> bool {
    chat::looks_like(line) || tasks::looks_like(line)
}

/// Reads lines of a shape.
pub(crate) fn read(shape: Shape, input: &mut dyn BufRead, sink: &mut dyn Sink) -> io::Result<()> {
    let mut lines = Lines::new(input, MAX_LINE_BYTES);
    while let Some(line) = lines.next()? {
        sink.progress(lines.position);
        let read = match line {
            Line::Bytes(line) if line.trim_ascii().is_empty() => continue,
            Line::Bytes(line) => self::line(shape, &line),
            Line::TooLong => Err(format!("longer than {} MiB", MAX_LINE_BYTES >> 20)),
        };
        let flow = match read {
            Ok(trajectory) => sink.trajectory(lines.number, trajectory),
            Err(reason) => sink.bad(lines.number, reason),
        };
        if flow.is_break() {
            break;
        }
    }
    Ok(())
}

fn line(shape: Shape, bytes: &[u8]) -> Result<Trajectory, String> {
    let value: Value = fields::parse(bytes)?;
    let key = identity::source_key(&value);
    let has = |field| value.get(field).is_some();
    match shape {
        Shape::Chat => chat::read(key, value),
        Shape::Task => tasks::read(key, value),
        Shape::Any if has("messages") => chat::read(key, value),
        Shape::Any if has("actions") => tasks::read(key, value),
        Shape::Any => {
            Err("an object with `messages` (a conversation) or `actions` (a task) is needed".to_owned())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shapes_are_told_apart_and_bad_lines_say_why() {
        let check = |line: &[u8], shape, expected: Result<&str, &str>| {
            let found = self::line(shape, line).map(|found| found.labels.kind.unwrap_or_default());
            assert_eq!(found.as_deref().map_err(String::as_str), expected);
        };
        let chat = br#"{"reward": 1, "messages": [{"role": "user", "content": "hi"}]}"#;
        let task = br#"{"id": 1, "instruction": "x", "actions": []}"#;
        check(chat, Shape::Any, Ok("conversation"));
        check(task, Shape::Any, Ok("task"));
        check(task, Shape::Chat, Err("not a conversation: missing field `reward`"));
        check(
            br#"{"reward": "1", "messages": []}"#,
            Shape::Any,
            Err("not a conversation: reward: invalid type: string \"1\", expected a number"),
        );
        check(
            br#"{"reward": 1, "messages": [{"role": "user", "content": "a"}], "tags": "a"}"#,
            Shape::Any,
            Err("not a conversation: tags: invalid type: string \"a\", expected a list"),
        );
        check(chat, Shape::Task, Err("not a task: missing field `instruction`"));
        check(b"{\"a\": \xff}", Shape::Any, Err("not UTF-8 from byte 7 on"));
        check(b"{\"a\": ", Shape::Any, Err("not JSON: EOF while parsing a value at column 6"));
        check(
            b"[1]",
            Shape::Any,
            Err("an object with `messages` (a conversation) or `actions` (a task) is needed"),
        );
    }
}
