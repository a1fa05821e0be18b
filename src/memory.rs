//! The memory: the verbs that an application uses.

mod advise;
mod advisors;
mod answers;
mod background;
mod backlog;
#[cfg_attr(not(feature = "testing"), allow(unreachable_pub, reason = "exported with the feature alone"))]
mod config;
mod consolidation;
mod draft;
mod feedback;
mod forgetter;
mod handle;
mod knowledge;
mod learner;
mod observed;
mod plugged_in;
mod recalled;
mod recaller;
mod recorder;
mod records;
mod redacting;
mod rules;
mod rulings;
mod stored_secrets;
mod traces;
mod vectors;
mod writing;

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use memory_core::{
    Artifact, Clock, DeadLetter, Engine, Entity, Episode, EpisodeId, Error, ErrorKind, Freshness, IdSource,
    Key, Kind, Namespace, PendingReport, Result, Seq, Step, Task, Tiers, lock, supervised,
};
use memory_learn::fingerprint::fingerprint;
use memory_recall::embedder::Embedder;
use memory_recall::shared::SharedIndex;
use memory_storage_redb::Slot;
use tokio::task::JoinHandle;

use crate::limits::Limits;
use crate::rate::RateLimiter;
use crate::redact::Redactor;

use advisors::Advisors;
use backlog::Backlog;
use consolidation::{Consolidation, Progress};
use feedback::Reviser;
use forgetter::Forgetter;
use learner::Learner;
use plugged_in::PluggedIn;
use recaller::Recaller;
use recorder::Recorder;
use records::Records;
use rules::Rules;
use stored_secrets::StoredSecrets;
use traces::Traces;
use vectors::Vectors;
use writing::Writing;

pub use advisors::AdviceSkill;

pub use answers::{EpisodePage, EpisodeQuery, Found, Listed, Status};
#[cfg_attr(not(feature = "testing"), allow(unreachable_pub, reason = "exported with the feature alone"))]
pub use config::{LearningConfig, MemoryConfig};
pub use handle::OpenEpisode;
pub use knowledge::{Explanation, Knowledge, TaskRecord};
pub use learner::Learned;
pub use recalled::{
    Forecast, Origin, Phase, Recall, Recalled, RecalledEpisode, SuggestedPlaybook, ToolAdvice, Warning,
};
pub use recorder::{Recorded, Recording};
pub use stored_secrets::{RedactedPage, RedactionPass, SecretsFound};

/// A memory of one namespace; cheap to clone, clones share everything.
///
/// It answers from this machine wherever it can: a durable tier that is away delays nothing but the arrival of
/// records there.
#[derive(Debug, Clone)]
pub struct Memory {
    inner: Arc<Inner>,
}

/// The services of a memory, each with the state that it owns.
struct Inner {
    records: Arc<Records>,
    recorder: Arc<Recorder>,
    recaller: Recaller,
    learner: Arc<Learner>,
    consolidation: Consolidation,
    forgetter: Arc<Forgetter>,
    secrets: StoredSecrets,
    reviser: Reviser,
    advisors: Arc<Advisors>,
    rules: Arc<Rules>,
    vectors: Option<Arc<Vectors>>,
    backlog: Arc<Backlog>,
    learning: Arc<LearningConfig>,
    task: Mutex<Option<JoinHandle<()>>>,
}

impl fmt::Debug for Inner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Inner").field("namespace", self.records.engine.namespace()).finish_non_exhaustive()
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        // The learner holds no reference to the memory while it waits; once woken, it sees that the memory is
        // closed.
        self.backlog.wake.notify_one();
    }
}

impl Memory {
    /// Assembles a memory from tiers that the caller has opened, on the current tokio runtime.
    ///
    /// # Errors
    /// As [`crate::Builder::open`].
    ///
    /// # Panics
    /// Outside a tokio runtime.
    #[cfg(any(test, feature = "testing"))]
    pub async fn assemble(
        namespace: Namespace,
        config: MemoryConfig,
        tiers: Tiers,
        clock: Arc<dyn Clock>,
        ids: Arc<dyn IdSource>,
    ) -> Result<Self> {
        Self::assemble_in(None, namespace, config, tiers, clock, ids).await
    }

    /// Assembles a memory from its tiers; `slot` is its folder, which is freed once nothing of the memory is
    /// left.
    pub(crate) async fn assemble_in(
        slot: Option<Slot>,
        namespace: Namespace,
        config: MemoryConfig,
        tiers: Tiers,
        clock: Arc<dyn Clock>,
        ids: Arc<dyn IdSource>,
    ) -> Result<Self> {
        config.limits.validate()?;
        let rate = config.rate_limit.map(RateLimiter::new).transpose()?;
        config.learning.validate()?;
        let embedder = config.embedder.map(|model| Arc::new(PluggedIn(model)) as Arc<dyn Embedder>);
        let mut learning = config.learning;
        learning.reflector = Arc::new(PluggedIn(learning.reflector));
        let learning = Arc::new(learning);
        let index = Arc::new(SharedIndex::default());
        let engine = Engine::open(namespace, config.engine, tiers, index.clone(), clock, ids.clone()).await?;
        let redactor = config.redactor;
        let records = Arc::new(Records::new(engine, index, slot));
        let backlog = Arc::new(Backlog::default());
        let writing = Arc::new(Writing::default());
        let traces = Arc::new(Traces::new(records.clone()));
        let vectors = embedder.map(|model| Vectors::new(model, records.clone(), backlog.clone()));
        let vectors = vectors.transpose()?.map(Arc::new);
        let advisors = Arc::new(Advisors::new(records.clone(), backlog.clone()));
        let rules =
            Arc::new(Rules::new(records.clone(), backlog.clone(), advisors.clone(), learning.clone()));
        let learner = Arc::new(Learner {
            records: records.clone(),
            traces: traces.clone(),
            backlog: backlog.clone(),
            advisors: advisors.clone(),
            rules: rules.clone(),
            vectors: vectors.clone(),
            redactor: redactor.clone(),
            learning: learning.clone(),
        });
        let forgetter = Arc::new(Forgetter {
            records: records.clone(),
            traces: traces.clone(),
            backlog: backlog.clone(),
            writing: writing.clone(),
            learner: learner.clone(),
            advisors: advisors.clone(),
            rules: rules.clone(),
            vectors: vectors.clone(),
            learning: learning.clone(),
        });
        let recorder = Arc::new(Recorder {
            records: records.clone(),
            traces,
            backlog: backlog.clone(),
            writing: writing.clone(),
            limits: config.limits.clone(),
            quotas: config.quotas,
            rate,
            redactor: redactor.clone(),
            ids: ids.clone(),
            redactions: AtomicU64::new(0),
            learning: learning.clone(),
        });
        let inner = Arc::new(Inner {
            recorder: recorder.clone(),
            recaller: Recaller {
                records: records.clone(),
                advisors: advisors.clone(),
                rules: rules.clone(),
                vectors: vectors.clone(),
                limits: config.limits,
                redactor: redactor.clone(),
                ids: ids.clone(),
                learning: learning.clone(),
            },
            consolidation: Consolidation {
                records: records.clone(),
                backlog: backlog.clone(),
                advisors: advisors.clone(),
                rules: rules.clone(),
                vectors: vectors.clone(),
                forgetter: forgetter.clone(),
                ids,
                learning: learning.clone(),
                progress: Progress::default(),
            },
            secrets: StoredSecrets {
                records: records.clone(),
                backlog: backlog.clone(),
                writing: writing.clone(),
                forgetter: forgetter.clone(),
                advisors: advisors.clone(),
                rules: rules.clone(),
                redactor,
            },
            reviser: Reviser {
                recorder,
                backlog: backlog.clone(),
                writing,
                forgetter: forgetter.clone(),
                advisors: advisors.clone(),
                rules: rules.clone(),
            },
            records,
            learner,
            forgetter,
            advisors,
            rules,
            vectors,
            backlog,
            learning,
            task: Mutex::default(),
        });
        let (own, reporter) = (Arc::downgrade(&inner), Arc::downgrade(&inner));
        let report = move |error: Option<&Error>| {
            if let (Some(inner), Some(error)) = (reporter.upgrade(), error) {
                inner.records.engine.note_learning_panic(error);
            }
        };
        let wake = inner.backlog.wake.clone();
        let task = supervised("learn", report, move || background::run(own.clone(), wake.clone()));
        *lock(&inner.task) = Some(task);
        Ok(Self { inner })
    }

    /// Returns the engine below.
    #[cfg(feature = "testing")]
    pub fn engine(&self) -> &Engine {
        &self.inner.records.engine
    }

    /// Returns the index that recall searches.
    #[cfg(feature = "testing")]
    pub fn index(&self) -> &SharedIndex {
        &self.inner.records.index
    }

    /// Returns the identity of the model that turns texts into vectors; `None` without one.
    pub fn embedding_model(&self) -> Option<&str> {
        self.inner.vectors.as_deref().map(Vectors::model)
    }

    /// Returns the sizes allowed.
    pub fn limits(&self) -> &Limits {
        &self.inner.recorder.limits
    }

    /// Returns the redactor that every text passes before it is stored, for callers that cut texts before they
    /// record them.
    pub fn redactor(&self) -> &Redactor {
        &self.inner.recorder.redactor
    }

    /// Starts an episode. The handle logs its steps and completes it.
    ///
    /// With [`memory_core::Ack::Durable`] after `Unavailable` the episode is kept and will be sent;
    /// [`Memory::list`] with [`EpisodeQuery::open`] has it.
    ///
    /// # Errors
    /// `InvalidInput` for a task over a limit, `RateLimitExceeded`, `QuotaExceeded`, and errors of the commit.
    pub async fn start(&self, task: impl Into<Task>) -> Result<OpenEpisode> {
        let task = task.into();
        let inner = &self.inner;
        inner.backlog.active();
        inner.recorder.take_token()?;
        inner.recorder.check_quota(0).await?;
        inner.recorder.limits.check_task(&task)?;
        let bytes = task.description.len();
        let (task, found) = inner.recorder.redactor.run("start", bytes, task, Redactor::redact_task).await?;
        let redactions = inner.recorder.count_redactions(found);
        let now = inner.records.engine.now();
        let mut episode = Episode::open(EpisodeId(inner.recorder.ids.next(now)), task, now);
        episode.redactions = redactions;
        episode.fingerprint = fingerprint(&episode.task);
        let record = inner.records.version_of(&episode)?;
        let bytes = inner.recorder.encoded_len("start", "task", &record)?;
        inner.records.engine.commit(vec![record]).await?;
        Ok(OpenEpisode::new(self.inner.clone(), episode, bytes))
    }

    /// Resumes an open episode, after a crash or in another process, with every acknowledged step.
    ///
    /// While the durable tier is away, an episode can be resumed if its steps are available here; its totals
    /// are recomputed on completion if the tier is back by then.
    ///
    /// # Errors
    /// `NotFound` for an unknown or forgotten episode, `Conflict` for a completed one, `Unavailable` when no
    /// reachable tier has it or its steps.
    pub async fn resume(&self, id: EpisodeId) -> Result<OpenEpisode> {
        let episode = self.inner.records.open_episode("resume", id).await?;
        let steps = self.steps(id).await?;
        let artifacts = self.artifacts(id).await?;
        if steps.freshness != Freshness::Fresh && !self.inner.records.holds_all(id, &steps)? {
            return Err(unknown_steps("resume"));
        }
        OpenEpisode::resumed(self.inner.clone(), episode, &steps, &artifacts)
    }

    /// Returns an episode; `None` if there is none or it was forgotten.
    ///
    /// # Errors
    /// `Unavailable` when only the durable tier could know and it does not answer.
    pub async fn get(&self, id: EpisodeId) -> Result<Option<Found>> {
        let key = Key::episode(self.inner.records.engine.namespace(), id);
        let read = self.inner.records.engine.read(&key).await?;
        let episode = read.record.and_then(|record| record.entity?.as_episode().cloned());
        Ok(episode.map(|episode| Found { episode, freshness: read.freshness }))
    }

    /// Returns the steps of an episode in order; empty for an unknown one.
    ///
    /// # Errors
    /// Whatever the tiers report.
    pub async fn steps(&self, id: EpisodeId) -> Result<Listed<Step>> {
        self.inner.records.owned_items(Kind::Step, id, Entity::as_step).await
    }

    /// Returns the artifacts of an episode in order of recording; empty for an unknown one.
    ///
    /// # Errors
    /// Whatever the tiers report.
    pub async fn artifacts(&self, id: EpisodeId) -> Result<Listed<Artifact>> {
        self.inner.records.owned_items(Kind::Artifact, id, Entity::as_artifact).await
    }

    /// Lists episodes page by page, newest first by default.
    ///
    /// # Errors
    /// `InvalidInput` for a limit of 0.
    pub async fn list(&self, query: &EpisodeQuery) -> Result<EpisodePage> {
        let scan = query.scan(self.inner.records.engine.namespace());
        let (page, freshness) = self.inner.records.engine.scan_fresh(&scan).await?;
        let episodes = page.records.iter().filter_map(|record| record.entity.as_ref()?.as_episode().cloned());
        Ok(EpisodePage {
            episodes: episodes.collect(),
            next: page.next.map(|next| next.to_string()),
            freshness,
        })
    }

    /// Returns notices about damage and repairs since opening, without asking any tier.
    pub fn notices(&self) -> Vec<String> {
        self.inner.records.engine.warnings()
    }

    /// Reports how the memory is.
    pub async fn status(&self) -> Status {
        // An error is in the status.
        let _ready = self.inner.records.engine.ready().await;
        Status {
            namespace: self.inner.records.engine.namespace().to_string(),
            engine: self.inner.records.engine.status().await,
            warnings: self.inner.records.engine.warnings(),
            redactions: self.inner.recorder.redactions.load(Ordering::Relaxed),
        }
    }

    /// Waits until the durable tier has everything acknowledged so far. In local mode it has already.
    ///
    /// # Errors
    /// `Unavailable` with the rows left when that takes longer than `timeout`.
    pub async fn flush(&self, timeout: Duration) -> Result<()> {
        self.inner.records.engine.flush(timeout).await
    }

    /// Sends all unsent records and pulls records of others, for at most `timeout` each.
    ///
    /// # Errors
    /// `Unavailable` when the durable tier does not answer in time.
    pub async fn sync(&self, timeout: Duration) -> Result<()> {
        self.inner.records.engine.flush(timeout).await?;
        tokio::time::timeout(timeout, self.inner.records.engine.pull()).await.unwrap_or_else(|_| {
            let message = format!("the change feed could not be read within {} ms", timeout.as_millis());
            Err(Error::new(ErrorKind::Unavailable, "sync", message))
        })
    }

    /// Returns one page of dead letters after the number `after`, oldest first, with the reasons: at most
    /// `limit`, and fewer if they are large. At the end, none.
    ///
    /// # Errors
    /// `Io` when the outbox cannot be read.
    pub async fn dead_letters(&self, after: Seq, limit: usize) -> Result<Vec<DeadLetter>> {
        self.inner.records.engine.dead_letters(after, limit).await
    }

    /// Sends dead letters again, those with these numbers or all; returns how many.
    ///
    /// # Errors
    /// `Io` when the outbox cannot be written.
    pub async fn retry_dead_letters(&self, seqs: Option<Vec<Seq>>) -> Result<u64> {
        self.inner.records.engine.retry_dead_letters(seqs).await
    }

    /// Deletes dead letters for good; returns how many there were. To keep a copy, use [`DeadLetter::to_json`].
    ///
    /// # Errors
    /// `Io` when the outbox cannot be written.
    pub async fn drop_dead_letters(&self, seqs: Vec<Seq>) -> Result<u64> {
        self.inner.records.engine.drop_dead_letters(seqs).await
    }

    /// Closes the memory: refuses further writes, sends unsent records for at most `timeout`, and reports the
    /// records left for the next instance. The files are free once the last clone and handle are dropped.
    ///
    /// # Errors
    /// Whatever the durable tier reports on closing.
    pub async fn close(self, timeout: Duration) -> Result<PendingReport> {
        // A batch of learning is committed whole or stays due, so the learner may be stopped anywhere.
        let task = lock(&self.inner.task).take();
        if let Some(task) = task {
            task.abort();
            let _cancelled = task.await;
        }
        self.inner.advisors.store_models().await;
        self.inner.records.engine.close(timeout).await
    }
}

fn shutting_down(source: tokio::task::JoinError) -> Error {
    Error::new(ErrorKind::Closed, "learn", "the runtime is shutting down").with_source(source)
}

fn unknown_steps(operation: &'static str) -> Error {
    let message = "the durable tier is away, so it is not known which steps there are";
    Error::new(ErrorKind::Unavailable, operation, message)
        .with_hint("nothing was changed; try again when `memory status` shows the server as reachable")
}
