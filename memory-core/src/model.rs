//! The domain types, one file a record kind, and [`Entity`], their closed sum.

pub(crate) mod artifact;
pub(crate) mod cycle;
pub(crate) mod embedding;
pub(crate) mod entity;
pub(crate) mod episode;
pub(crate) mod evidence;
pub(crate) mod failure;
pub(crate) mod feedback;
pub(crate) mod heuristic;
pub(crate) mod json;
pub(crate) mod kind;
pub(crate) mod listed;
pub(crate) mod metric;
pub(crate) mod outcome;
pub(crate) mod pattern;
pub(crate) mod playbook;
pub(crate) mod reflection;
pub(crate) mod remedy;
pub(crate) mod reward;
pub(crate) mod ruling;
pub(crate) mod step;
pub(crate) mod task;
