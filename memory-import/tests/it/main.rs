//! Formats read from samples.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod atif;
mod claude_code;
mod codex;
mod inspect;
mod json_lines;
mod openhands;
mod otlp;
mod robust;
mod samples;
mod support;
mod swe_agent;
