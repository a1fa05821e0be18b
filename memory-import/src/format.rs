//! The formats, and which one an input has.

use std::io::{self, BufRead};

use serde_json::Value;

use crate::json_lines::{self, Shape};
use crate::{Sink, atif, claude_code, codex, fields, inspect, openhands, otlp, swe_agent};

/// A format of transcripts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Format {
    /// JSON Lines of conversations and tasks, told apart by each line.
    JsonLines,
    /// JSON Lines of conversations in OpenAI's chat format with a reward.
    Chat,
    /// JSON Lines of tasks with the actions that solve them.
    Tasks,
    /// Session files of Claude Code.
    ClaudeCode,
    /// Rollout files of Codex CLI.
    Codex,
    /// Agent Trajectory Interchange Format 1.0 to 1.8 (Harbor).
    Atif,
    /// OpenTelemetry GenAI spans as OTLP JSON.
    Otlp,
    /// SWE-agent's `.traj`.
    SweAgent,
    /// Logs of Inspect AI.
    Inspect,
    /// OpenHands' output and event files.
    OpenHands,
}

type LooksLike = fn(&Value) -> bool;

/// Formats by what their first record looks like. The most particular shape is asked first: many records have
/// messages.
const SHAPES: [(LooksLike, Format); 8] = [
    (atif::looks_like, Format::Atif),
    (otlp::looks_like, Format::Otlp),
    (inspect::looks_like, Format::Inspect),
    (openhands::looks_like, Format::OpenHands),
    (swe_agent::looks_like, Format::SweAgent),
    (claude_code::looks_like, Format::ClaudeCode),
    (codex::looks_like, Format::Codex),
    (json_lines::looks_like, Format::JsonLines),
];

/// How many lines of an input are looked at.
const LINES: usize = 20;

/// Returns the format that the start of an input has, judged by its content; `None` if it is none of them.
///
/// `start` is as much of the input as there is, up to 64 KB; it may end anywhere. JSON Lines of conversations
/// or tasks are [`Format::JsonLines`], since a file may have both.
pub fn detect(start: &[u8]) -> Option<Format> {
    if inspect::is_archive(start) {
        return Some(Format::Inspect);
    }
    let start = start.strip_prefix(b"\xef\xbb\xbf").unwrap_or(start).trim_ascii_start();
    let mut lines = start.split(|byte| *byte == b'\n').take(LINES).map(fields::parse);
    // A first line that is no record begins a document over lines, or is a bad one.
    let first = lines.next()?.ok().or_else(|| closed(start));
    first.into_iter().chain(lines.flatten()).find_map(|record| format_of(&record))
}

fn format_of(record: &Value) -> Option<Format> {
    SHAPES.into_iter().find(|(looks_like, _)| looks_like(record)).map(|(_, format)| format)
}

/// Returns the part of a document that a start of it has: what is open at the end is closed behind the last
/// whole value.
fn closed(start: &[u8]) -> Option<Value> {
    let (mut open, mut in_string, mut escaped) = (Vec::new(), false, false);
    // Where the text may end, and what closes it there.
    let mut end: Option<(usize, Vec<u8>)> = None;
    for (at, byte) in start.iter().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_string => escaped = true,
            b'"' => in_string = !in_string,
            _ if in_string => {}
            b'{' | b'[' => {
                open.push(if *byte == b'{' { b'}' } else { b']' });
                end = Some((at + 1, open.clone()));
            }
            b'}' | b']' => {
                open.pop();
                end = Some((at + 1, open.clone()));
                if open.is_empty() {
                    break;
                }
            }
            b',' => end = Some((at, open.clone())),
            _ => {}
        }
    }
    let (end, open) = end?;
    let mut text = start[..end].to_vec();
    text.extend(open.iter().rev());
    fields::parse(&text).ok()
}

/// Reads an input of a format and gives the sink what is in it.
///
/// # Errors
/// Those of the input; what cannot be parsed goes to [`Sink::bad`].
pub fn read(format: Format, input: &mut dyn BufRead, sink: &mut dyn Sink) -> io::Result<()> {
    match format {
        Format::JsonLines => json_lines::read(Shape::Any, input, sink),
        Format::Chat => json_lines::read(Shape::Chat, input, sink),
        Format::Tasks => json_lines::read(Shape::Task, input, sink),
        Format::ClaudeCode => claude_code::read(input, sink),
        Format::Codex => codex::read(input, sink),
        Format::Atif => atif::read(input, sink),
        Format::Otlp => otlp::read(input, sink),
        Format::SweAgent => swe_agent::read(input, sink),
        Format::Inspect => inspect::read(input, sink),
        Format::OpenHands => openhands::read(input, sink),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats_are_told_by_their_start() {
        let check = |start: &str, expected: Option<Format>| {
            assert_eq!(detect(start.as_bytes()), expected, "{start}");
        };
        check("", None);
        check("# Notes", None);
        check("{\"a\": 1}", None);
        check("\u{feff}{\"reward\": 1, \"messages\": []}\n", Some(Format::JsonLines));
        check("{\"instruction\": \"x\", \"actions\": []}\n", Some(Format::JsonLines));
        check("{\"resourceLogs\": []}\n{\"resourceSpans\": []}\n", Some(Format::Otlp));
        check("{\"cut\": \n{\"resourceSpans\": []}\n", Some(Format::Otlp));
        check(
            "{\n  \"schema_version\": \"ATIF-v1.8\",\n  \"steps\": [\n {\"message\": \"cut he",
            Some(Format::Atif),
        );
        check("{\"resourceSpans\": [{\"resource\": {\"attri", Some(Format::Otlp));
        check(
            "{\"version\": 2, \"status\": \"success\", \"eval\": {\"task\": \"t\", \"mod",
            Some(Format::Inspect),
        );
        check(
            "{\"trajectory\": [{\"action\": \"ls\", \"observation\": \"\", \"response\": \"I l\\\"ook",
            Some(Format::SweAgent),
        );
        check("{\"instance_id\": \"a-1\", \"test_result\": {\"git_patch\": \"dif", Some(Format::OpenHands));
        check("PK\u{3}\u{4}aaaaaaaaaaaaaaaaaaaaaaaaaa_journal/start.json", Some(Format::Inspect));
        check("PK\u{3}\u{4}aaaaaaaaaaaaaaaaaaaaaaaaaaword/document.xml", None);
    }

    #[test]
    fn a_format_is_known_by_its_first_record_that_says_so() {
        let check = |start: &[u8], expected: Option<Format>| {
            assert_eq!(detect(start), expected, "{}", String::from_utf8_lossy(start));
        };
        check(b"", None);
        check(b"\x00\xff", None);
        check(b"{\"type\":\"user\"}\n", None);
        check(b"{\"type\":\"user\",\"sessionId\":\"s\"}\n", Some(Format::ClaudeCode));
        check(b"\xef\xbb\xbf{\"type\":\"summary\",\"leafUuid\":\"u\"}", Some(Format::ClaudeCode));
        check(b"not json\n{\"type\":\"session_meta\",\"payload\":{}}\n{\"torn", Some(Format::Codex));
        check(b"{\"id\":\"s\",\"timestamp\":\"t\",\"instructions\":null}", Some(Format::Codex));
    }
}
