//! The kinds of record, each declared in one place.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::Serialize;

use crate::error::{Error, ErrorKind};

/// A kind of record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Kind {
    /// [`crate::Episode`]
    Episode,
    /// [`crate::Step`]
    Step,
    /// [`crate::Artifact`]
    Artifact,
    /// [`crate::Reward`]
    Reward,
    /// [`crate::Reflection`]
    Reflection,
    /// [`crate::Pattern`]
    Pattern,
    /// [`crate::Evidence`]
    Evidence,
    /// [`crate::Heuristic`]
    Heuristic,
    /// [`crate::Playbook`]
    Playbook,
    /// [`crate::Failure`]
    Failure,
    /// [`crate::Metric`]
    Metric,
    /// [`crate::Cycle`]
    Cycle,
    /// [`crate::Embedding`]
    Embedding,
    /// [`crate::Ruling`]
    Ruling,
}

/// How SQL sees a column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ColumnType {
    /// UTF-8 text.
    Text,
    /// A 64-bit integer; booleans are 0 and 1.
    Integer,
    /// A 64-bit float.
    Real,
}

/// A column that people may filter and sort on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Column {
    /// Its name in the view and in [`crate::Condition`].
    pub name: &'static str,
    /// Where its value is in the JSON body, as an SQLite JSON path.
    pub path: &'static str,
    /// Its type.
    pub column_type: ColumnType,
    /// Whether an index backs it.
    pub indexed: bool,
}

/// Everything the rest of the system needs to know about a kind.
#[derive(Debug)]
pub struct KindSpec {
    /// The kind.
    pub kind: Kind,
    /// Its stored name.
    pub name: &'static str,
    /// The SQL view that shows it.
    pub view: &'static str,
    /// Its declared columns.
    pub columns: &'static [Column],
    /// How long a record is kept after its last change, unless configured otherwise; `None` for ever.
    pub retention: Option<Duration>,
    /// Whether recall searches it.
    pub searchable: bool,
}

const fn text(name: &'static str, path: &'static str) -> Column {
    Column { name, path, column_type: ColumnType::Text, indexed: false }
}

const fn integer(name: &'static str, path: &'static str) -> Column {
    Column { name, path, column_type: ColumnType::Integer, indexed: false }
}

const fn real(name: &'static str, path: &'static str) -> Column {
    Column { name, path, column_type: ColumnType::Real, indexed: false }
}

const fn indexed(column: Column) -> Column {
    Column { indexed: true, ..column }
}

const SPECS: [KindSpec; 14] = [
    KindSpec {
        kind: Kind::Episode,
        name: "episode",
        view: "episodes",
        columns: &[
            indexed(text("status", "$.status")),
            text("outcome", "$.outcome.verdict"),
            real("fraction", "$.outcome.fraction"),
            text("outcome_text", "$.outcome.text"),
            text("description", "$.task.description"),
            text("task_kind", "$.task.kind"),
            indexed(text("domain", "$.task.domain")),
            text("language", "$.task.language"),
            text("framework", "$.task.framework"),
            text("complexity", "$.task.complexity"),
            text("agent", "$.task.agent"),
            indexed(text("correlation_id", "$.task.correlation_id")),
            integer("started_at", "$.started_at"),
            integer("completed_at", "$.completed_at"),
            integer("steps", "$.steps"),
            integer("step_duration_ms", "$.step_duration_ms"),
            integer("tokens", "$.tokens"),
            integer("redactions", "$.redactions"),
            indexed(text("fingerprint", "$.fingerprint")),
            real("reward", "$.reward"),
            text("recall", "$.recall.recall"),
            integer("withheld", "$.recall.withheld"),
        ],
        retention: None,
        searchable: true,
    },
    KindSpec {
        kind: Kind::Step,
        name: "step",
        view: "steps",
        columns: &[
            text("episode", "$.episode"),
            integer("number", "$.number"),
            integer("at", "$.at"),
            text("tool", "$.action.tool"),
            text("description", "$.action.description"),
            text("observation", "$.action.observation"),
            text("result", "$.action.result"),
            integer("duration_ms", "$.action.duration_ms"),
            integer("tokens", "$.action.tokens"),
        ],
        retention: None,
        searchable: false,
    },
    KindSpec {
        kind: Kind::Artifact,
        name: "artifact",
        view: "artifacts",
        columns: &[
            text("episode", "$.episode"),
            integer("at", "$.at"),
            text("name", "$.product.name"),
            text("media_type", "$.product.media_type"),
            integer("tests_passed", "$.product.quality.tests_passed"),
            integer("tests_failed", "$.product.quality.tests_failed"),
            integer("lint_findings", "$.product.quality.lint_findings"),
            real("review_score", "$.product.quality.review_score"),
            integer("accepted", "$.product.quality.accepted"),
        ],
        retention: None,
        searchable: false,
    },
    KindSpec {
        kind: Kind::Reward,
        name: "reward",
        view: "rewards",
        columns: &[
            indexed(text("episode", "$.episode")),
            integer("at", "$.at"),
            real("total", "$.total"),
            real("outcome", "$.outcome"),
            real("efficiency", "$.efficiency"),
            real("complexity", "$.complexity"),
            real("quality", "$.quality"),
            real("learning_bonus", "$.learning_bonus"),
            indexed(integer("learned", "$.learned")),
        ],
        retention: None,
        searchable: false,
    },
    KindSpec {
        kind: Kind::Reflection,
        name: "reflection",
        view: "reflections",
        columns: &[indexed(text("episode", "$.episode")), integer("at", "$.at")],
        retention: None,
        searchable: false,
    },
    KindSpec {
        kind: Kind::Pattern,
        name: "pattern",
        view: "patterns",
        columns: &[
            indexed(text("strategy", "$.strategy")),
            text("domain", "$.domain"),
            text("task_kind", "$.task_kind"),
            real("confidence", "$.confidence"),
            text("standing", "$.standing"),
            integer("successes", "$.tally.successes"),
            integer("failures", "$.tally.failures"),
            integer("created_at", "$.created_at"),
        ],
        retention: None,
        searchable: true,
    },
    KindSpec {
        kind: Kind::Evidence,
        name: "evidence",
        view: "pattern_usage",
        columns: &[
            text("item", "$.item"),
            indexed(text("episode", "$.episode")),
            text("role", "$.role"),
            integer("at", "$.at"),
            real("success", "$.success"),
            real("reward", "$.reward"),
            integer("duration_ms", "$.duration_ms"),
            text("context", "$.context"),
        ],
        retention: None,
        searchable: false,
    },
    KindSpec {
        kind: Kind::Heuristic,
        name: "heuristic",
        view: "heuristics",
        columns: &[
            text("condition", "$.condition.terms"),
            text("task_kind", "$.condition.task_kind"),
            text("after_tool", "$.condition.after_tool"),
            text("advice", "$.advice"),
            text("tool", "$.tool"),
            text("action", "$.action"),
            text("domain", "$.domain"),
            real("confidence", "$.confidence"),
            text("standing", "$.standing"),
            integer("successes", "$.tally.successes"),
            integer("failures", "$.tally.failures"),
            integer("created_at", "$.created_at"),
        ],
        retention: None,
        searchable: true,
    },
    KindSpec {
        kind: Kind::Playbook,
        name: "playbook",
        view: "playbooks",
        columns: &[
            text("title", "$.title"),
            text("domain", "$.domain"),
            text("task_kind", "$.task_kind"),
            real("confidence", "$.confidence"),
            text("standing", "$.standing"),
            integer("successes", "$.tally.successes"),
            integer("failures", "$.tally.failures"),
            integer("created_at", "$.created_at"),
        ],
        retention: None,
        searchable: true,
    },
    KindSpec {
        kind: Kind::Failure,
        name: "failure",
        view: "failures",
        columns: &[
            text("category", "$.category"),
            text("error", "$.error"),
            text("tool", "$.tool"),
            text("root_cause", "$.root_cause"),
            text("domain", "$.domain"),
            text("task_kind", "$.task_kind"),
            integer("occurrences", "$.occurrences"),
            integer("resolved", "$.resolved"),
            integer("first_at", "$.first_at"),
            integer("last_at", "$.last_at"),
        ],
        retention: None,
        searchable: true,
    },
    KindSpec {
        kind: Kind::Metric,
        name: "metric",
        view: "learning_metrics",
        columns: &[
            indexed(text("name", "$.name")),
            real("value", "$.value"),
            integer("samples", "$.samples"),
            text("agent", "$.agent"),
            text("task_kind", "$.task_kind"),
            text("domain", "$.domain"),
            integer("day", "$.day"),
        ],
        retention: None,
        searchable: false,
    },
    KindSpec {
        kind: Kind::Cycle,
        name: "cycle",
        view: "consolidation_cycles",
        columns: &[
            text("trigger", "$.trigger"),
            integer("started_at", "$.started_at"),
            integer("duration_ms", "$.duration_ms"),
            integer("merged", "$.merged"),
            integer("decayed", "$.decayed"),
            integer("pruned", "$.pruned"),
            integer("generalised", "$.generalised"),
            integer("expired", "$.expired"),
            integer("interrupted", "$.interrupted"),
        ],
        retention: Some(Duration::from_secs(90 * 86_400)),
        searchable: false,
    },
    KindSpec {
        kind: Kind::Embedding,
        name: "embedding",
        view: "embeddings",
        columns: &[text("model", "$.model"), text("content", "$.content")],
        retention: None,
        searchable: false,
    },
    KindSpec {
        kind: Kind::Ruling,
        name: "ruling",
        view: "rulings",
        columns: &[
            text("item", "$.item"),
            text("remedy", "$.remedy"),
            text("decision", "$.decision"),
            integer("at", "$.at"),
        ],
        retention: None,
        // Recall must know of every one.
        searchable: true,
    },
];

impl Kind {
    /// Returns the episode that a record of this kind belongs to, by the record's id; `None` for kinds that
    /// stand by themselves. Once the episode is forgotten, stores take no such record any more.
    pub fn owner_of(self, id: &str) -> Option<&str> {
        match self {
            Self::Step | Self::Artifact | Self::Reward | Self::Reflection => id.split(':').next(),
            Self::Evidence => id.rsplit(':').nth(1),
            _ => None,
        }
    }

    /// Returns true if no two writers make the same id: only who has seen a record of the kind writes it again.
    pub fn has_unique_ids(self) -> bool {
        matches!(
            self,
            Self::Episode | Self::Step | Self::Artifact | Self::Reward | Self::Reflection | Self::Cycle
        )
    }

    /// Every kind.
    pub const ALL: [Kind; 14] = [
        Kind::Episode,
        Kind::Step,
        Kind::Artifact,
        Kind::Reward,
        Kind::Reflection,
        Kind::Pattern,
        Kind::Evidence,
        Kind::Heuristic,
        Kind::Playbook,
        Kind::Failure,
        Kind::Metric,
        Kind::Cycle,
        Kind::Embedding,
        Kind::Ruling,
    ];

    /// Returns the declaration of this kind.
    pub fn spec(self) -> &'static KindSpec {
        static TABLE: [KindSpec; 14] = SPECS;
        &TABLE[self as usize]
    }

    /// Returns the stored name.
    pub fn name(self) -> &'static str {
        self.spec().name
    }

    /// Returns the declared column of this name.
    pub fn column(self, name: &str) -> Option<&'static Column> {
        self.spec().columns.iter().find(|column| column.name == name)
    }
}

impl Serialize for Kind {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Kind {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self, Error> {
        Kind::ALL.into_iter().find(|kind| kind.name() == name).ok_or_else(|| {
            Error::new(ErrorKind::Unsupported, "read kind", format!("no kind is named {name:?}"))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn table_is_in_declaration_order() {
        for kind in Kind::ALL {
            assert_eq!(kind.spec().kind, kind);
            assert_eq!(kind.name().parse::<Kind>().unwrap(), kind);
        }
        assert!("episodes".parse::<Kind>().is_err());
    }
}
