//! The parts of agent-memory that a backend needs: the model, the storage traits with their conformance suite,
//! and the tiered engine.

mod clock;
mod engine;
mod error;
mod id;
mod model;
mod store;

pub use clock::{Clock, DAY_MS, ManualClock, SystemClock, Timestamp};
pub use engine::index::{IndexDocument, IndexWriter, SearchIndex};
#[cfg(feature = "testing")]
pub use engine::key_index::KeyIndex;
pub use engine::{
    Ack, Engine, EngineConfig, EngineStatus, Freshness, HotUsage, Mode, OutboxStatus, PendingReport, Read,
    SyncStatus, means_away, supervised,
};
pub use error::{Error, ErrorKind, LimitViolation, Result, Retry};
pub use id::{
    ArtifactId, EpisodeId, FailureId, HeuristicId, IdSource, PatternId, PlaybookId, RecallId, SeededIds,
    SystemIds, content_hash, lock, split_mix,
};
pub use model::artifact::{Artifact, NewArtifact, Quality};
pub use model::cycle::{Cycle, Trigger};
pub use model::embedding::{Embedding, Vector};
pub use model::entity::{Entity, Scalar};
pub use model::episode::{Attempt, Episode, EpisodeStatus, RecallUse, ToolUse, add_call};
pub use model::evidence::{Evidence, EvidenceRole, ItemId, Standing, Tally};
pub use model::failure::{ErrorCategory, Failure};
pub use model::feedback::{Feedback, Stated};
pub use model::heuristic::{Advice, Heuristic, RuleCondition};
pub use model::json::Json;
pub use model::kind::{Column, ColumnType, Kind, KindSpec};
pub use model::listed::listed;
pub use model::metric::Metric;
pub use model::outcome::{Outcome, Verdict};
pub use model::pattern::{Behaviour, Consequence, DecisionPlace, Pattern, PatternBody, Strategy};
pub use model::playbook::{Playbook, PlaybookStep};
pub use model::reflection::{Insight, Reflection};
pub use model::remedy::{ArgumentChange, ArgumentValue, Remedy, RemedyCall, in_words};
pub use model::reward::Reward;
pub use model::ruling::{Decision, Ruling};
pub use model::step::{Action, Role, Step, StepResult};
pub use model::task::{Complexity, Task};
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
pub use store::record::{Key, Namespace, Record, Revision, RevisionClock, Seq, WriterId};
pub use store::time::StoreTime;
pub use store::traits::{
    Adopted, Cache, CacheUsage, CachedRecord, Change, Changes, ChangesQuery, Cursor, Deadlines, Documents,
    Durable, IndexSnapshot, Orphans, Outbox, OutboxRow, OutboxUsage, Purged, Store, StoredDocument, Tiers,
};
pub use store::wire::{MAX_RECORD_BYTES, Row};
