//! Runs the harness against the real sqld.

#![expect(clippy::unwrap_used, reason = "a test that meets the unexpected has failed")]

mod proxy;
mod sqld;
mod tokens;
mod witness;
