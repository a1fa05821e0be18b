//! Formats read from samples.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod claude_code;
mod codex;
mod samples;
