//! Embeddable self-learning memory for AI agents.
//!
//! An application records *episodes* (task, steps with tool calls, outcome) and asks, before the next task,
//! what is known that helps. Everything acknowledged is on disk, fsynced; with a shared Turso / sqld database many
//! processes on many machines remember together, and an outage of it delays nothing but the arrival of records there.
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
//! The crate re-exports what applications need of `memory-core`; it alone knows the storage backends.

mod builder;
mod config;
mod contact;
#[cfg(any(feature = "embed-sentence-transformer", feature = "embed-static", feature = "embed-openai"))]
pub mod embed;
mod folder;
mod open;
mod place;
mod settings;

pub use builder::Builder;
pub use memory_core::{
    Ack, Action, Advice, AdviceSkill, ArgumentChange, ArgumentValue, Artifact, ArtifactId, Attempt,
    BeliefConfig, BreakerState, BreakerStatus, CacheUsage, Clock, Complexity, ConsolidationConfig,
    ContrastReflector, Cycle, DeadLetter, Decision, Embedder, Embedding, EngineStatus, Episode, EpisodeId,
    EpisodePage, EpisodeQuery, EpisodeStatus, Error, ErrorCategory, ErrorKind, Evidence, EvidenceRole,
    Explanation, FactorBounds, Failure, FailureId, Forecast, Found, Freshness, Heuristic, HeuristicId,
    HotUsage, IdSource, Insight, Instance, ItemId, Json, Key, Kind, Knowledge, Learned, Leftover, Lift,
    LimitViolation, Limits, Listed, ManualClock, Metric, Mode, Namespace, OpenEpisode, Origin, OutboxStatus,
    Outcome, Pattern, PatternBody, PatternId, Phase, Playbook, PlaybookId, PlaybookStep, Premise, Product,
    Quality, Quotas, RateLimit, Recall, RecallId, RecallQuery, RecallUse, Recalled, RecalledEpisode, Record,
    Recorded, Recording, RedactedPage, RedactionConfig, RedactionPass, RedactionRule, Redactor, Reflection,
    Reflector, Remedy, RemedyCall, Result, Retry, Reward, RewardConfig, Role, Ruling, ScoreParts,
    SecretsFound, SeededIds, Share, Standing, Status, Step, StepResult, Strategy, SuggestedPlaybook,
    SyncStatus, SystemClock, SystemIds, Tally, Task, TaskRecord, Timestamp, ToolAdvice, ToolUse, Trace,
    Trigger, Vector, Verdict, Warning, estimate_tokens, normalize, same_label, visible_chars,
};
pub use open::Memory;
