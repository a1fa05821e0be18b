//! The durable tier against its contract, the traps of its substrate, and a real server.
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test that panics has failed, as it should")]

mod contract;
mod fixtures;
mod local_faults;
mod local_files;
mod local_sharing;
mod remote_errors;
mod remote_pool;
mod remote_trust;
mod schema;
