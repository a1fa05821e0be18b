//! Search for agent-memory, free of I/O: text analysis, an index over records, ranking and vectors.
//!
//! ```
//! use memory_recall::text::{clauses, features};
//!
//! let task = "Cancel the order, then return the shoes.";
//! assert_eq!(clauses(task), ["Cancel the order", "return the shoes."]);
//! assert!(!features(task).is_empty());
//! ```

pub mod answer;
pub mod content_words;
pub mod document;
pub mod embedder;
pub mod groups;
pub mod lexical;
pub mod query;
pub mod rank;
pub mod shared;
pub mod tasks;
pub mod terms;
pub mod text;
pub mod tokenize;
pub mod vector;

/// A hash table for frequent lookups. Seeded randomly in each process, and faster than the standard one.
pub(crate) type Table<K, V> = std::collections::HashMap<K, V, foldhash::fast::RandomState>;
