//! One module a command.

mod advice;
pub(crate) mod consolidate;
pub(crate) mod demo;
pub(crate) mod episodes;
pub(crate) mod eval;
pub(crate) mod heuristics;
pub(crate) mod import;
pub(crate) mod lift;
pub(crate) mod recall;
pub(crate) mod stats;
pub(crate) mod status;
pub(crate) mod sync;
mod view;
