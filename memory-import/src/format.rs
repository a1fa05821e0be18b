//! The formats, and which one an input has.

use std::io::{self, BufRead};

use crate::Sink;

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

/// Returns the format that the start of an input has, judged by its content; `None` if it is none of them.
///
/// `start` is as much of the input as there is, up to 64 KB.
pub fn detect(_start: &[u8]) -> Option<Format> {
    None
}

/// Reads an input of a format and gives the sink what is in it.
///
/// # Errors
/// Those of the input; what cannot be parsed goes to [`Sink::bad`].
pub fn read(_format: Format, _input: &mut dyn BufRead, _sink: &mut dyn Sink) -> io::Result<()> {
    Ok(())
}
