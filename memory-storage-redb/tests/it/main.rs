//! The local tier against the contract of the storage traits, and against damaged files.

mod conformance;
