//! Rulings by people on learned items.

use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;
use crate::model::evidence::ItemId;

/// A decision by a person on a learned item.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Decision {
    /// Keep it whatever its evidence.
    Pinned,
    /// Never recall it.
    Rejected,
}

impl Decision {
    /// Returns the stable name: `pinned` or `rejected`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pinned => "pinned",
            Self::Rejected => "rejected",
        }
    }
}

/// A decision on an item, or on one remedy of a failure lesson. It is a separate record: learning again, by any
/// process, does not undo it, and it applies to an item that comes back under the same id.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Ruling {
    /// Its item.
    pub item: ItemId,
    /// For a failure lesson, the remedy that the ruling is about, by a hash of its calls; `None` if it is about
    /// the whole.
    pub remedy: Option<String>,
    /// The decision.
    pub decision: Decision,
    /// When.
    pub at: Timestamp,
}

impl Ruling {
    /// Returns the id of the record.
    pub fn record_id(&self) -> String {
        Self::id_of(self.item, self.remedy.as_deref())
    }

    /// Returns the id of the ruling on an item, or on a remedy of it.
    pub fn id_of(item: ItemId, remedy: Option<&str>) -> String {
        remedy.map_or_else(|| item.to_string(), |remedy| format!("{item}:{remedy}"))
    }
}
