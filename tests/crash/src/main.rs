//! Crash test.
fn main() {}
