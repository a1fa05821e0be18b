//! Text analysis for agent-memory, free of I/O: words, clauses and hashed features.
//!
//! ```
//! use memory_recall::text::{clauses, features};
//!
//! let task = "Cancel the order, then return the shoes.";
//! assert_eq!(clauses(task), ["Cancel the order", "return the shoes."]);
//! assert!(!features(task).is_empty());
//! ```

pub mod text;
