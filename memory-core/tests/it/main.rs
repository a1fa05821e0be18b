//! Integration tests of the core against its in-memory stores.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod conformance;
mod merge;
