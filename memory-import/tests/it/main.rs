//! Formats read from samples.
