//! What episodes teach: pure functions over domain types, without clock, chance or I/O.

pub(crate) mod trace;
