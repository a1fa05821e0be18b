//! What recall keeps of a record to search it.

use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;
use crate::store::record::Revision;

/// A field of a search document, by which its terms are weighed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[repr(u8)]
pub enum Field {
    /// The task's description.
    Task,
    /// Tags, kind, domain, language, framework.
    Labels,
    /// Names of tools used.
    Tools,
    /// The outcome's text.
    Outcome,
}

/// The searchable form of a record: its terms by field, and what ranking and filters need.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SearchDocument {
    /// The version of the record it was made from.
    pub revision: Revision,
    /// When the record expires.
    pub expires_at: Option<Timestamp>,
    /// The terms of each field with their counts; each field at most once, its terms sorted.
    pub terms: Vec<(Field, Vec<(String, u16)>)>,
    /// `open` or the outcome's verdict.
    pub state: String,
    /// The kind of task.
    pub task_kind: String,
    /// The task's domain.
    pub domain: Option<String>,
    /// The task's tags.
    pub tags: Vec<String>,
    /// When the episode started.
    pub started_at: Timestamp,
}
