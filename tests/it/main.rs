//! End-to-end tests of the facade: real files, real processes, a real sqld.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod clocks;
mod common;
mod conformance;
mod delivery;
mod engine;
mod layout;
mod learning;
mod load;
mod local;
mod model;
mod outage;
mod panics;
mod processes;
mod recovery;
mod remote;
mod restore;
mod rulings;
mod snapshot;
