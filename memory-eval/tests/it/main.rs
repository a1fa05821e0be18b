//! Integration tests of the evaluation.
