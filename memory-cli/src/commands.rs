//! One module a command.

mod advice;
pub(crate) mod consolidate;
mod dead_letters;
pub(crate) mod demo;
pub(crate) mod episode;
pub(crate) mod episodes;
#[cfg(feature = "eval")]
pub(crate) mod eval;
pub(crate) mod failures;
pub(crate) mod heuristics;
pub(crate) mod import;
mod learned;
pub(crate) mod lift;
#[cfg(feature = "mcp")]
pub(crate) mod mcp;
pub(crate) mod patterns;
pub(crate) mod playbooks;
pub(crate) mod recall;
mod recalled;
pub(crate) mod redact;
mod reflected;
pub(crate) mod rulings;
pub(crate) mod stats;
pub(crate) mod status;
pub(crate) mod sync;
mod view;

use std::time::Duration;

use agent_memory::{Error, ErrorKind, Freshness};

/// Treats records that the durable tier cannot return while it is away as unknown, and the answer as stale.
fn at_hand<T>(read: agent_memory::Result<Option<T>>, freshness: &mut Freshness) -> Result<Option<T>, Error> {
    match read {
        Err(error) if matches!(error.kind(), ErrorKind::Unavailable | ErrorKind::Busy) => {
            *freshness = freshness.or_staler(Freshness::Stale { age: Duration::ZERO });
            Ok(None)
        }
        read => read,
    }
}
