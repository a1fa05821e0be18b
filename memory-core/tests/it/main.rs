//! Integration tests of the core against its in-memory stores.

mod conformance;
