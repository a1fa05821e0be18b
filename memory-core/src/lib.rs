//! Domain model, storage traits, tiered engine and recall of agent-memory.

mod clock;
mod engine;
mod error;
mod id;
mod invisible;
mod learn;
mod limits;
mod memory;
mod model;
mod rate;
mod recall;
mod redact;
mod store;

pub use clock::{Clock, ManualClock, SystemClock, Timestamp};
pub use engine::index::{IndexDocument, IndexWriter, SearchIndex};
#[cfg(feature = "testing")]
pub use engine::key_index::KeyIndex;
pub use engine::{
    Ack, Engine, EngineConfig, EngineStatus, Freshness, HotUsage, Leftover, Mode, OutboxStatus, Read,
    SyncStatus,
};
pub use error::{Error, ErrorKind, LimitViolation, Result, Retry};
pub use id::{
    ArtifactId, EpisodeId, FailureId, HeuristicId, IdSource, PatternId, PlaybookId, RecallId, SeededIds,
    SystemIds,
};
pub use invisible::visible_chars;
pub use learn::belief::BeliefConfig;
pub use learn::consolidate::ConsolidationConfig;
#[cfg(feature = "testing")]
pub use learn::extract::extracted;
pub use learn::lift::{Lift, Share};
pub use learn::playbook::Instance;
pub use learn::reflect::{ContrastReflector, Reflector};
pub use learn::reward::{FactorBounds, RewardConfig};
pub use learn::trace::Trace;
pub use limits::{Limits, Quotas};
pub use memory::{
    AdviceSkill, EpisodePage, EpisodeQuery, Explanation, Forecast, Found, Knowledge, Learned, LearningConfig,
    Listed, Memory, MemoryConfig, OpenEpisode, Origin, Phase, Recall, Recalled, RecalledEpisode, Recorded,
    Recording, RedactedPage, RedactionPass, SecretsFound, Status, SuggestedPlaybook, TaskRecord, ToolAdvice,
    Warning,
};
pub use model::artifact::{Artifact, Product, Quality};
pub use model::cycle::{Cycle, Trigger};
pub use model::embedding::{Embedding, Vector};
pub use model::entity::{Entity, Scalar};
pub use model::episode::{Attempt, Episode, EpisodeStatus, RecallUse, ToolUse};
pub use model::evidence::{Evidence, EvidenceRole, ItemId, Standing, Tally};
pub use model::failure::{ErrorCategory, Failure};
pub use model::heuristic::{Advice, Heuristic, Premise};
pub use model::json::Json;
pub use model::kind::{Column, ColumnType, Kind, KindSpec};
pub use model::metric::Metric;
pub use model::outcome::{Outcome, Verdict};
pub use model::pattern::{Behaviour, Consequence, DecisionPlace, Pattern, PatternBody, Strategy};
pub use model::playbook::{Playbook, PlaybookStep};
pub use model::reflection::{Insight, Reflection};
pub use model::remedy::{ArgumentChange, ArgumentValue, Remedy, RemedyCall};
pub use model::reward::Reward;
pub use model::ruling::{Decision, Ruling};
pub use model::step::{Action, Role, Step, StepResult};
pub use model::task::{Complexity, Task};
pub use rate::{RateLimit, RateLimiter};
pub use recall::answer::estimate_tokens;
pub use recall::document::{DocumentState, Field, SearchDocument};
pub use recall::embedder::{Embedder, normalize};
pub use recall::lexical::LexicalIndex;
pub use recall::query::RecallQuery;
pub use recall::rank::{Hit, ScoreParts};
pub use recall::shared::SharedIndex;
pub use recall::terms::TermCounts;
pub use recall::tokenize::same_label;
pub use recall::vector::VectorIndex;
pub use redact::{RedactionConfig, RedactionRule, Redactor};
#[cfg(feature = "testing")]
pub use store::conformance;
pub use store::contact::{Contact, Contacts, Outage, RoundTrip, Turn};
pub use store::dead_letter::DeadLetter;
pub use store::decorate::breaker::{Breaker, BreakerConfig, BreakerState, BreakerStatus};
#[cfg(feature = "testing")]
pub use store::decorate::faulty::{Fault, Faulty};
pub use store::decorate::retry::Retry as RetryLayer;
pub use store::decorate::timeout::Timeout;
pub use store::decorate::{Layer, Layered, Operation};
#[cfg(feature = "testing")]
pub use store::memory_store::MemoryStore;
pub use store::query::{Condition, Order, Page, Scan};
pub use store::record::{Key, Namespace, Record, Revision, RevisionClock, WriterId};
pub use store::time::StoreTime;
pub use store::traits::{
    Adopted, Cache, CacheUsage, CachedRecord, Change, Changes, ChangesQuery, Cursor, Deadlines, Documents,
    Durable, IndexImage, Orphans, Outbox, OutboxRow, OutboxUsage, Purged, Seq, Store, StoredDocument, Tiers,
};
pub use store::wire::{MAX_RECORD_BYTES, Row};
