//! What episodes teach: pure functions over domain types, without clock, chance or I/O.

pub(crate) mod belief;
pub(crate) mod calls;
pub(crate) mod consolidate;
pub(crate) mod demotion;
pub(crate) mod errors;
pub(crate) mod extract;
pub(crate) mod failure;
pub(crate) mod fingerprint;
pub(crate) mod heuristics;
pub(crate) mod holdout;
pub(crate) mod identity;
pub(crate) mod keywords;
pub(crate) mod lift;
pub(crate) mod metrics;
pub(crate) mod playbook;
pub(crate) mod recovery;
pub(crate) mod reflect;
pub(crate) mod remedies;
pub(crate) mod reward;
pub(crate) mod shape;
pub(crate) mod trace;
mod way_out;
