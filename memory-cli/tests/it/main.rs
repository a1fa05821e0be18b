//! Runs the built command in temporary folders.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on fails")]

mod command;
mod dead_letters;
mod demo;
mod episode;
mod episodes;
mod errors;
mod eval;
mod hook;
mod import;
mod install;
mod learned;
mod outage;
mod recall;
mod redact;
mod secrets;
mod terminal;
mod transcripts;
