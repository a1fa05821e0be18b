//! Finding what helps with a task.

pub(crate) mod advise;
pub(crate) mod answer;
pub(crate) mod content_words;
pub(crate) mod document;
pub(crate) mod embedder;
pub(crate) mod groups;
pub(crate) mod lexical;
pub(crate) mod query;
pub(crate) mod rank;
pub(crate) mod shared;
pub(crate) mod tasks;
pub(crate) mod terms;
pub(crate) mod tokenize;
pub(crate) mod vector;

/// A hash table for what is looked up often. Seeded anew in each process, and faster than the standard one.
pub(crate) type Table<K, V> = std::collections::HashMap<K, V, foldhash::fast::RandomState>;
