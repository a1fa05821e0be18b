//! Tests of the providers on small models made here, and on a scripted server on the loopback interface.
#![cfg_attr(
    any(all(feature = "sentence-transformer", feature = "static-embedding"), feature = "openai"),
    expect(clippy::unwrap_used, reason = "a test that panics has failed, as it should")
)]

#[cfg(all(feature = "sentence-transformer", feature = "static-embedding"))]
mod bert;
#[cfg(all(feature = "sentence-transformer", feature = "static-embedding"))]
mod files;
#[cfg(feature = "openai")]
mod openai;
#[cfg(feature = "openai")]
mod server;
#[cfg(all(feature = "sentence-transformer", feature = "static-embedding"))]
mod table;
#[cfg(feature = "openai")]
mod trust;
