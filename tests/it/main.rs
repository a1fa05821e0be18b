//! End-to-end tests of the facade: real files, real processes, a real sqld.

mod local;
