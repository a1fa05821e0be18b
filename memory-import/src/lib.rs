//! Reads transcripts, trajectories and traces that other tools wrote, as one normalised form.
//!
//! Each format is a pure function from input to [`Trajectory`]: no files are opened, nothing is stored and no time is
//! taken. A trajectory is one task: a prompt, what the agent did about it, and how that ended. A session in which a user
//! gave several prompts is several trajectories.
//!
//! Texts come as the source has them; whoever stores them redacts first and cuts afterwards. A text of more than
//! [`MAX_TEXT_CHARS`] loses its rest here, which bounds the memory that reading takes.

mod atif;
mod bounds;
mod chat;
mod claude_code;
mod codex;
mod documents;
mod fields;
mod format;
mod identity;
mod inspect;
mod json_lines;
mod lines;
mod openhands;
mod otlp;
mod outcome;
mod stated;
mod swe_agent;
mod tasks;
mod texts;
mod times;
mod trajectory;
mod transcript;

pub use atif::to_atif;
pub use codex::call_result;
pub use format::{Format, detect, read};
pub use outcome::{Evidence, Outcome, Verdict, infer, is_error_text};
pub use times::day_ms;
pub use trajectory::{Labels, Speaker, Step, StepKind, ToolResult, Trajectory};

use std::ops::ControlFlow;

/// The longest text that is kept of one message, result or argument, in characters: ten times what a memory stores of one.
pub const MAX_TEXT_CHARS: usize = 100_000;

/// The longest line of JSON Lines that is read, in bytes.
pub const MAX_LINE_BYTES: u64 = 32 << 20;

/// The longest document that is read, in bytes, in formats whose documents are a whole task or more.
pub const MAX_DOCUMENT_BYTES: u64 = 256 << 20;

/// Takes what is read, in the order of the source.
pub trait Sink {
    /// Takes a trajectory whose last line has this number; `Break` ends reading.
    fn trajectory(&mut self, line: u64, trajectory: Trajectory) -> ControlFlow<()>;
    /// Notes a line that cannot be read, and why; the rest is read on. `Break` ends reading.
    fn bad(&mut self, line: u64, reason: String) -> ControlFlow<()>;
    /// Notes a line or record of a type that this version does not know, or that says nothing about a task.
    fn skipped(&mut self, kind: &str);
    /// Notes that so many bytes of the input have been read in all.
    fn progress(&mut self, bytes: u64);
}
