//! Append-only evidence, and its sums.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;
use crate::error::{Error, ErrorKind};
use crate::id::{EpisodeId, FailureId, HeuristicId, PatternId, PlaybookId};
use crate::model::kind::Kind;

/// An item that recall can answer with, written `kind:id`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum ItemId {
    /// An episode.
    Episode(EpisodeId),
    /// A pattern.
    Pattern(PatternId),
    /// A heuristic.
    Heuristic(HeuristicId),
    /// A failure lesson.
    Failure(FailureId),
    /// A playbook.
    Playbook(PlaybookId),
}

impl ItemId {
    /// Returns the kind of record that the item is.
    pub fn kind(self) -> Kind {
        match self {
            Self::Episode(_) => Kind::Episode,
            Self::Pattern(_) => Kind::Pattern,
            Self::Heuristic(_) => Kind::Heuristic,
            Self::Failure(_) => Kind::Failure,
            Self::Playbook(_) => Kind::Playbook,
        }
    }

    /// Returns the id of the record.
    pub fn record_id(self) -> String {
        match self {
            Self::Episode(id) => id.to_string(),
            Self::Pattern(id) => id.to_string(),
            Self::Heuristic(id) => id.to_string(),
            Self::Failure(id) => id.to_string(),
            Self::Playbook(id) => id.to_string(),
        }
    }
}

impl fmt::Display for ItemId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.kind(), self.record_id())
    }
}

impl FromStr for ItemId {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let bad = || {
            Error::new(ErrorKind::InvalidInput, "parse item", format!("{text:?} is not an item"))
                .with_hint("items are written kind:id, as recall shows them, for example heuristic:0190…")
        };
        let (kind, id) = text.trim().split_once(':').ok_or_else(bad)?;
        match kind {
            "episode" => id.parse().map(Self::Episode),
            "pattern" => id.parse().map(Self::Pattern),
            "heuristic" => id.parse().map(Self::Heuristic),
            "failure" => id.parse().map(Self::Failure),
            "playbook" => id.parse().map(Self::Playbook),
            _ => Err(bad()),
        }
    }
}

impl Serialize for ItemId {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for ItemId {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

/// The relation of an episode to an item.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EvidenceRole {
    /// Learning saw the item at work in the episode.
    Observed,
    /// The item was recalled for the episode, and the application reported its use.
    Used,
    /// The item was recalled for the episode and not used.
    Shown,
}

impl EvidenceRole {
    /// Returns the stable name: `observed`, `used` or `shown`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Observed => "observed",
            Self::Used => "used",
            Self::Shown => "shown",
        }
    }
}

/// One piece of evidence on an item: an episode that had to do with it, and how that ended.
///
/// There is at most one for an item, episode and role: recording it again is recording it once. Statistics of
/// items derive from these records, so that processes that learn at the same time lose nothing.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Evidence {
    /// The item.
    pub item: ItemId,
    /// The episode.
    pub episode: EpisodeId,
    /// The relation of the episode to it.
    pub role: EvidenceRole,
    /// When the episode ended.
    pub at: Timestamp,
    /// How far the episode succeeded, in `0.0..=1.0`.
    pub success: f64,
    /// The episode's reward.
    pub reward: f64,
    /// The duration of the episode, in milliseconds; `None` if it was not measured.
    pub duration_ms: Option<u64>,
    /// The circumstances, in words: kind, domain, agent.
    pub context: String,
}

impl Evidence {
    /// Returns the id of the record.
    pub fn record_id(&self) -> String {
        format!("{}:{}:{}", self.item, self.episode, self.role.as_str())
    }
}

/// The sum of pieces of evidence, with older ones weighing less.
///
/// The weights are those as of [`Tally::as_of`].
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct Tally {
    /// Pieces of evidence for.
    pub successes: u32,
    /// Pieces of evidence against.
    pub failures: u32,
    /// The weight of those for.
    pub success_weight: f64,
    /// The weight of those against.
    pub failure_weight: f64,
    /// As of when the weights are; the time of the newest evidence.
    pub as_of: Timestamp,
}

impl Tally {
    /// Returns the counts with `now` as their time if they are from the future: a clock that was ahead made
    /// them, and new evidence must not count as old relative to them.
    #[must_use]
    pub fn until(self, now: Timestamp) -> Self {
        Self { as_of: self.as_of.min(now), ..self }
    }

    /// Returns the counts with evidence for and against exchanged.
    #[must_use]
    pub fn opposite(&self) -> Self {
        Self {
            successes: self.failures,
            failures: self.successes,
            success_weight: self.failure_weight,
            failure_weight: self.success_weight,
            as_of: self.as_of,
        }
    }

    /// Returns the weight of the evidence, in pieces, as of [`Tally::as_of`].
    pub fn weight(&self) -> f64 {
        self.success_weight + self.failure_weight
    }

    /// Returns how many pieces of evidence there are, however old.
    pub fn count(&self) -> u32 {
        self.successes.saturating_add(self.failures)
    }

    /// Returns true if there is no evidence.
    pub fn is_empty(&self) -> bool {
        self.count() == 0
    }
}

/// How recall treats an item, by the results of its uses after a recall.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Standing {
    /// It is recalled.
    #[default]
    Active,
    /// Its uses ended worse than episodes without it: it ranks lower.
    Demoted,
    /// Its uses ended clearly worse: it is not recalled.
    Withheld,
}
