//! Embeddable self-learning memory for AI agents.
//!
//! An application records *episodes* (task, steps with tool calls, outcome) and, before the next task, asks for
//! relevant experience. Every acknowledged write is on disk, fsynced. With a shared Turso / sqld database many
//! processes on many machines share one memory; an outage of the database only delays the arrival of records
//! there.
//!
//! ```
//! use agent_memory::{Action, Memory, Outcome, Task};
//!
//! # #[tokio::main]
//! # async fn main() -> Result<(), agent_memory::Error> {
//! # let folder = tempfile::tempdir().expect("a temporary folder");
//! # let path = folder.path();
//! let memory = Memory::open(path).await?;
//! let mut episode = memory.start(Task::new("Fix the flaky login test").domain("web")).await?;
//! episode.step(Action::tool("bash").description("run the tests").error("timeout in login_spec")).await?;
//! episode.step(Action::tool("edit").description("wait for the session cookie")).await?;
//! episode.complete(Outcome::success("the test waits for the cookie")).await?;
//!
//! let recall = memory.recall("login test times out").await?;
//! println!("{}", recall.to_prompt(500));
//! # assert_eq!(recall.episodes.len(), 1);
//! # Ok(())
//! # }
//! ```
//!
//! The root exports everything that an application needs to record and to recall. [`learning`] has the learned
//! items, [`status`] the state of the memory, [`redaction`] the removal of secrets, and [`embed`] recall by
//! meaning.

mod builder;
mod config;
mod contact;
pub mod embed;
mod folder;
mod limits;
mod memory;
mod open;
mod place;
mod rate;
mod redact;
mod settings;

pub use builder::Builder;
pub use limits::{Limits, Quotas};
pub use memory::{
    EpisodePage, EpisodeQuery, Forecast, Found, Knowledge, Listed, Memory, OpenEpisode, Phase, Recall,
    RecalledEpisode, Recorded, Recording, Status, SuggestedPlaybook, ToolAdvice, Warning,
};
pub use memory_core::{
    Ack, Action, Artifact, Complexity, Episode, EpisodeId, Error, ErrorKind, Feedback, Freshness, ItemId,
    Kind, Namespace, NewArtifact, Outcome, Quality, Result, Role, Step, StepResult, Task, Timestamp, Verdict,
};
pub use memory_recall::query::{FailedCall, RecallQuery};
pub use rate::RateLimit;

/// Learned items, and the configuration of learning.
pub mod learning {
    pub use memory_core::{
        Advice, ArgumentChange, ArgumentValue, Attempt, Cycle, Decision, ErrorCategory, Evidence,
        EvidenceRole, Failure, FailureId, Heuristic, HeuristicId, Insight, Metric, Pattern, PatternBody,
        PatternId, Playbook, PlaybookId, PlaybookStep, RecallId, RecallUse, Reflection, Remedy, RemedyCall,
        Reward, RuleCondition, Ruling, Standing, Strategy, Tally, ToolUse, Trigger,
    };
    pub use memory_learn::confidence::{Confidence, ConfidenceConfig};
    pub use memory_learn::consolidate::ConsolidationConfig;
    pub use memory_learn::lift::{Lift, Share};
    pub use memory_learn::playbook::{Fill, FilledPlaybook};
    pub use memory_learn::reflect::{ContrastReflector, Reflector};
    pub use memory_learn::reward::{FactorBounds, RewardConfig};
    pub use memory_learn::trace::Trace;
    pub use memory_recall::rank::ScoreParts;
    pub use memory_recall::tokenize::same_label;

    pub use crate::memory::{AdviceSkill, Explanation, Learned, Origin, Recalled, TaskRecord};
}

/// How a memory is: queues, caches, the server, dead letters.
pub mod status {
    pub use memory_core::{
        BreakerState, BreakerStatus, CacheUsage, DeadLetter, EngineStatus, EpisodeStatus, HotUsage,
        LimitViolation, Mode, OutboxStatus, PendingReport, Retry, SyncStatus,
    };
}

/// Secrets: their replacement before a text is stored, and in stored records.
pub mod redaction {
    pub use memory_recall::text::invisible::visible_chars;

    pub use crate::memory::{RedactedPage, RedactionPass, SecretsFound};
    pub use crate::redact::{RedactionConfig, RedactionRule, Redactor};
}

/// Clocks and identifiers that tests control; see [`Builder::clock`] and [`Builder::ids`].
pub mod testing {
    pub use memory_core::{Clock, IdSource, ManualClock, SeededIds, SystemClock, SystemIds};

    #[cfg(feature = "testing")]
    pub use crate::memory::{LearningConfig, MemoryConfig};
}
