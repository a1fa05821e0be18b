//! The formats, and which one an input has.

use std::io::{self, BufRead};

use serde_json::Value;

use crate::{Sink, claude_code, codex};

/// A format of transcripts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Format {
    /// JSON Lines of conversations in OpenAI's chat format with a reward.
    Chat,
    /// JSON Lines of tasks with the actions that solve them.
    Tasks,
    /// Session files of Claude Code.
    ClaudeCode,
    /// Rollout files of Codex CLI.
    Codex,
    /// Agent Trajectory Interchange Format 1.8 (Harbor).
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

/// Tells whether a format's files have such a record.
type Recogniser = fn(&Value) -> bool;

/// The formats that are known by their records; the first that recognises one wins.
const RECOGNISERS: &[(Format, Recogniser)] =
    &[(Format::ClaudeCode, claude_code::looks_like), (Format::Codex, codex::looks_like)];

/// How many lines of an input are looked at.
const LINES: usize = 20;

/// Returns the format that the start of an input has, judged by its content; `None` if it is none of them.
///
/// `start` is as much of the input as there is, up to 64 KB.
pub fn detect(start: &[u8]) -> Option<Format> {
    let start = start.strip_prefix(b"\xef\xbb\xbf").unwrap_or(start);
    let lines = start.split(|byte| *byte == b'\n').take(LINES);
    lines.filter_map(|line| serde_json::from_slice(line).ok()).find_map(|record| format_of(&record))
}

fn format_of(record: &Value) -> Option<Format> {
    RECOGNISERS.iter().find(|(_, looks_like)| looks_like(record)).map(|(format, _)| *format)
}

/// Reads an input of a format and gives the sink what is in it.
///
/// # Errors
/// Those of the input; what cannot be parsed goes to [`Sink::bad`].
pub fn read(format: Format, input: &mut dyn BufRead, sink: &mut dyn Sink) -> io::Result<()> {
    match format {
        Format::ClaudeCode => claude_code::read(input, sink),
        Format::Codex => codex::read(input, sink),
        other => Err(io::Error::new(io::ErrorKind::Unsupported, format!("{other:?} cannot be read"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
