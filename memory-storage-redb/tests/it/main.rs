//! The local tier against the contract of the storage traits, damaged files and its bounds.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod cache;
mod conformance;
mod dead_letters;
mod orphans;
mod outbox;

use memory_core::conformance::{episode, record};
use memory_core::{Namespace, Record};

/// An episode record of the default namespace.
fn stored(id: &str, clock: u64) -> Record {
    record(&Namespace::default(), id, clock, Some(episode(clock)))
}

/// The names in a folder that start with a prefix.
fn names(folder: &std::path::Path, prefix: &str) -> Vec<String> {
    let names = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name());
    let mut names: Vec<_> = names.map(|name| name.into_string().unwrap()).collect();
    names.retain(|name| name.starts_with(prefix));
    names.sort();
    names
}
