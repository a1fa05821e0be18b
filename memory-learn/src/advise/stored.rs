//! The model as bytes.

/// Bytes that are no model of this version, or are damaged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Damaged;
