//! Formats read from samples.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod atif;
mod inspect;
mod json_lines;
mod openhands;
mod otlp;
mod robust;
mod support;
mod swe_agent;
