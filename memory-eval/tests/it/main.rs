//! Integration tests of the evaluation.

mod controls;
