//! Sequences that once broke a promise.
