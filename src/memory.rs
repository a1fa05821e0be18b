//! The memory: the verbs that an application uses.

mod advise;
mod advising;
mod answers;
#[cfg_attr(not(feature = "testing"), allow(unreachable_pub, reason = "exported with the feature alone"))]
mod config;
mod consolidating;
mod draft;
mod embedding;
mod forgetting;
mod handle;
mod heuristics;
mod knowledge;
mod learner;
mod observed;
mod plugged_in;
mod recalled;
mod recalling;
mod recording;
mod redacting;
mod rulings;
mod stored_secrets;
mod writing;

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use memory_core::{
    Artifact, Clock, DeadLetter, Engine, Entity, Episode, EpisodeId, Error, ErrorKind, Freshness, IdSource,
    Key, Kind, Namespace, Order, PendingReport, Record, Result, Scan, Seq, Step, Task, Tiers, lock,
    supervised,
};
use memory_learn::fingerprint::fingerprint;
use memory_recall::embedder::Embedder;
use memory_recall::shared::SharedIndex;
use memory_storage_redb::Slot;

use crate::limits::{Limits, Quotas};
use crate::rate::RateLimiter;
use crate::redact::Redactor;

pub use advising::AdviceSkill;
use advising::Advisors;
use embedding::Vectors;
use heuristics::Rules;
use learner::Learner;
use plugged_in::PluggedIn;
use rulings::Ruled;
use writing::Writing;

pub use answers::{EpisodePage, EpisodeQuery, Found, Listed, Status};
#[cfg_attr(not(feature = "testing"), allow(unreachable_pub, reason = "exported with the feature alone"))]
pub use config::{LearningConfig, MemoryConfig};
pub use handle::OpenEpisode;
pub use knowledge::{Explanation, Knowledge, TaskRecord};
pub use learner::Learned;
pub use recalled::{
    Forecast, Origin, Phase, Recall, Recalled, RecalledEpisode, SuggestedPlaybook, ToolAdvice, Warning,
};
pub use recording::{Recorded, Recording};
pub use stored_secrets::{RedactedPage, RedactionPass, SecretsFound};

/// A memory of one namespace; cheap to clone, clones share everything.
///
/// It answers from this machine wherever it can: a durable tier that is away delays nothing but the arrival of
/// records there.
#[derive(Debug, Clone)]
pub struct Memory {
    inner: Arc<Inner>,
}

struct Inner {
    engine: Engine,
    index: Arc<SharedIndex>,
    limits: Limits,
    quotas: Quotas,
    rate: Option<RateLimiter>,
    redactor: Redactor,
    ids: Arc<dyn IdSource>,
    redactions: AtomicU64,
    writing: Writing,
    learning: LearningConfig,
    learner: Learner,
    rules: Rules,
    advisors: Advisors,
    ruled: Ruled,
    vectors: Option<Vectors>,
    /// The folder of this instance. The last field: it is freed after all files in it are closed.
    _slot: Option<Slot>,
}

impl fmt::Debug for Inner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Inner").field("namespace", self.engine.namespace()).finish_non_exhaustive()
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        // The learner holds no share of the memory while it waits; woken, it sees that the memory is gone.
        self.learner.wake.notify_one();
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

    /// Assembles a memory from its tiers; `slot` is its folder, which is freed once nothing of the memory is left.
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
        let vectors = embedder.map(Vectors::new).transpose()?;
        let index = Arc::new(SharedIndex::default());
        let engine = Engine::open(namespace, config.engine, tiers, index.clone(), clock, ids.clone()).await?;
        let inner = Arc::new(Inner {
            engine,
            index,
            limits: config.limits,
            quotas: config.quotas,
            rate,
            redactor: config.redactor,
            ids,
            redactions: AtomicU64::new(0),
            writing: Writing::default(),
            learning,
            learner: Learner::new(),
            rules: Rules::new(),
            advisors: Advisors::new(),
            ruled: Ruled::default(),
            vectors,
            _slot: slot,
        });
        let (own, reporter) = (Arc::downgrade(&inner), Arc::downgrade(&inner));
        let report = move |error: Option<&Error>| {
            if let (Some(inner), Some(error)) = (reporter.upgrade(), error) {
                inner.engine.note_learning_panic(error);
            }
        };
        let wake = inner.learner.wake.clone();
        let task = supervised("learn", report, move || learner::run(own.clone(), wake.clone()));
        *lock(&inner.learner.task) = Some(task);
        Ok(Self { inner })
    }

    /// Returns the engine below.
    #[cfg(feature = "testing")]
    pub fn engine(&self) -> &Engine {
        &self.inner.engine
    }

    /// Returns the index that recall searches.
    #[cfg(feature = "testing")]
    pub fn index(&self) -> &SharedIndex {
        &self.inner.index
    }

    /// Returns the identity of the model that turns texts into vectors; `None` without one.
    pub fn embedding_model(&self) -> Option<&str> {
        self.inner.vectors.as_ref().map(Vectors::model)
    }

    /// Returns the sizes allowed.
    pub fn limits(&self) -> &Limits {
        &self.inner.limits
    }

    /// Returns the redactor that every text passes before it is stored, for callers that cut texts before they record
    /// them.
    pub fn redactor(&self) -> &Redactor {
        &self.inner.redactor
    }

    /// Starts an episode. The handle logs its steps and completes it.
    ///
    /// With [`memory_core::Ack::Durable`] after `Unavailable` the episode is kept and will be sent; [`Memory::list`] with
    /// [`EpisodeQuery::open`] has it.
    ///
    /// # Errors
    /// `InvalidInput` for a task over a limit, `RateLimitExceeded`, `QuotaExceeded`, and what the commit reports.
    pub async fn start(&self, task: impl Into<Task>) -> Result<OpenEpisode> {
        let task = task.into();
        let inner = &self.inner;
        inner.learner.active();
        inner.take_token()?;
        inner.check_quota(0).await?;
        inner.limits.check_task(&task)?;
        let bytes = task.description.len();
        let (task, found) = inner.redact("start", bytes, task, Redactor::redact_task).await?;
        let redactions = inner.count_redactions(found);
        let now = inner.engine.now();
        let mut episode = Episode::open(EpisodeId(inner.ids.next(now)), task, now);
        episode.redactions = redactions;
        episode.fingerprint = fingerprint(&episode.task);
        let record = inner.version_of(&episode)?;
        let bytes = inner.encoded_len("start", "task", &record)?;
        inner.engine.commit(vec![record]).await?;
        Ok(OpenEpisode::new(self.inner.clone(), episode, bytes))
    }

    /// Takes up an open episode again, after a crash or in another process, with every acknowledged step.
    ///
    /// While the durable tier is away, an episode can be resumed whose steps are at hand here; its totals are summed up
    /// anew on completion if the tier is back by then.
    ///
    /// # Errors
    /// `NotFound` for an unknown or forgotten episode, `Conflict` for a completed one, `Unavailable` when
    /// nobody reachable knows it or its steps.
    pub async fn resume(&self, id: EpisodeId) -> Result<OpenEpisode> {
        let episode = self.inner.open_episode("resume", id).await?;
        let steps = self.steps(id).await?;
        let artifacts = self.artifacts(id).await?;
        if steps.freshness != Freshness::Fresh && !self.inner.holds_all(id, &steps)? {
            return Err(unknown_steps("resume"));
        }
        OpenEpisode::resumed(self.inner.clone(), episode, &steps, &artifacts)
    }

    /// Returns an episode; `None` if there is none or it was forgotten.
    ///
    /// # Errors
    /// `Unavailable` when only the durable tier could know and it does not answer.
    pub async fn get(&self, id: EpisodeId) -> Result<Option<Found>> {
        let key = Key::episode(self.inner.engine.namespace(), id);
        let read = self.inner.engine.read(&key).await?;
        let episode = read.record.and_then(|record| record.entity?.as_episode().cloned());
        Ok(episode.map(|episode| Found { episode, freshness: read.freshness }))
    }

    /// Returns the steps of an episode in order; empty for an unknown one.
    ///
    /// # Errors
    /// Whatever the tiers report.
    pub async fn steps(&self, id: EpisodeId) -> Result<Listed<Step>> {
        self.inner.owned_items(Kind::Step, id, Entity::as_step).await
    }

    /// Returns the artifacts of an episode in order of recording; empty for an unknown one.
    ///
    /// # Errors
    /// Whatever the tiers report.
    pub async fn artifacts(&self, id: EpisodeId) -> Result<Listed<Artifact>> {
        self.inner.owned_items(Kind::Artifact, id, Entity::as_artifact).await
    }

    /// Lists episodes page by page, newest first unless asked otherwise.
    ///
    /// # Errors
    /// `InvalidInput` for a limit of 0.
    pub async fn list(&self, query: &EpisodeQuery) -> Result<EpisodePage> {
        let scan = query.scan(self.inner.engine.namespace());
        let (page, freshness) = self.inner.engine.scan_fresh(&scan).await?;
        let episodes = page.records.iter().filter_map(|record| record.entity.as_ref()?.as_episode().cloned());
        Ok(EpisodePage {
            episodes: episodes.collect(),
            next: page.next.map(|next| next.to_string()),
            freshness,
        })
    }

    /// Returns what people should know of damage and repairs since opening, without asking any tier.
    pub fn notices(&self) -> Vec<String> {
        self.inner.engine.warnings()
    }

    /// Reports how the memory is.
    pub async fn status(&self) -> Status {
        // An error is in the status.
        let _ready = self.inner.engine.ready().await;
        Status {
            namespace: self.inner.engine.namespace().to_string(),
            engine: self.inner.engine.status().await,
            warnings: self.inner.engine.warnings(),
            redactions: self.inner.redactions.load(Ordering::Relaxed),
        }
    }

    /// Waits until the durable tier has everything acknowledged so far. In local mode it has already.
    ///
    /// # Errors
    /// `Unavailable` with the rows left when that takes longer than `timeout`.
    pub async fn flush(&self, timeout: Duration) -> Result<()> {
        self.inner.engine.flush(timeout).await
    }

    /// Sends everything that waits and pulls what others wrote, for at most `timeout` each.
    ///
    /// # Errors
    /// `Unavailable` when the durable tier does not answer in time.
    pub async fn sync(&self, timeout: Duration) -> Result<()> {
        self.inner.engine.flush(timeout).await?;
        tokio::time::timeout(timeout, self.inner.engine.pull()).await.unwrap_or_else(|_| {
            let message = format!("the change feed could not be read within {} ms", timeout.as_millis());
            Err(Error::new(ErrorKind::Unavailable, "sync", message))
        })
    }

    /// Returns one page of dead letters behind the number `after`, oldest first, with the reasons: at most `limit`, and
    /// fewer if they are large. At the end, none.
    ///
    /// # Errors
    /// `Io` when the outbox cannot be read.
    pub async fn dead_letters(&self, after: Seq, limit: usize) -> Result<Vec<DeadLetter>> {
        self.inner.engine.dead_letters(after, limit).await
    }

    /// Sends dead letters once more, those with these numbers or all; returns how many.
    ///
    /// # Errors
    /// `Io` when the outbox cannot be written.
    pub async fn retry_dead_letters(&self, seqs: Option<Vec<Seq>>) -> Result<u64> {
        self.inner.engine.retry_dead_letters(seqs).await
    }

    /// Deletes dead letters for good; returns how many there were. [`DeadLetter::to_json`] is what to keep of them.
    ///
    /// # Errors
    /// `Io` when the outbox cannot be written.
    pub async fn drop_dead_letters(&self, seqs: Vec<Seq>) -> Result<u64> {
        self.inner.engine.drop_dead_letters(seqs).await
    }

    /// Ends the memory: refuses further writes, sends what waits for at most `timeout`, and reports what is left
    /// for the next instance. The files are free once the last clone and handle are dropped.
    ///
    /// # Errors
    /// Whatever the durable tier reports on closing.
    pub async fn close(self, timeout: Duration) -> Result<PendingReport> {
        // What is learned is committed whole or stays due: the learner may be stopped anywhere.
        let task = lock(&self.inner.learner.task).take();
        if let Some(task) = task {
            task.abort();
            let _cancelled = task.await;
        }
        self.inner.store_models().await;
        self.inner.engine.close(timeout).await
    }
}

impl Inner {
    fn take_token(&self) -> Result<()> {
        match &self.rate {
            Some(rate) => rate.try_take(self.engine.namespace(), self.engine.clock().monotonic()),
            None => Ok(()),
        }
    }

    /// Checks that another episode may be added; `ahead` are on their way.
    ///
    /// Recall's index counts them: a new process knows none before it has read the change feed.
    async fn check_quota(&self, ahead: usize) -> Result<()> {
        if self.quotas == Quotas::default() {
            return Ok(());
        }
        self.engine.ready().await?;
        let space = self.engine.namespace();
        let held = ahead + self.index.with(|index| index.len(space, Kind::Episode));
        self.quotas.check_episodes(space, held as u64)
    }

    fn count_redactions(&self, found: u32) -> u32 {
        self.redactions.fetch_add(u64::from(found), Ordering::Relaxed);
        found
    }

    fn version_of(&self, episode: &Episode) -> Result<Record> {
        let key = Key::episode(self.engine.namespace(), episode.id);
        Ok(self.engine.version(key, Some(Entity::Episode(episode.clone()))))
    }

    /// Returns the encoded size of a record's body after checking it against the limit.
    fn encoded_len(&self, operation: &'static str, field: &str, record: &Record) -> Result<u64> {
        let body = record.entity.as_ref().map(|entity| entity.to_json()).transpose()?;
        let bytes = body.map_or(0, |body| body.len() as u64);
        self.limits.check_record_bytes(operation, field, bytes)?;
        Ok(bytes)
    }

    /// Returns an episode that still takes steps.
    async fn open_episode(&self, operation: &'static str, id: EpisodeId) -> Result<Episode> {
        let key = Key::episode(self.engine.namespace(), id);
        let record = self.engine.read(&key).await?.record;
        let episode = record.and_then(|record| record.entity?.as_episode().cloned());
        let Some(episode) = episode else {
            return Err(Error::new(ErrorKind::NotFound, operation, format!("there is no episode {id}"))
                .with_hint("`memory episodes list` shows the episodes of this namespace"));
        };
        if episode.is_completed() {
            let verdict = episode.outcome.as_ref().map_or("completed", |outcome| outcome.verdict().as_str());
            let message = format!("episode {id} is completed already ({verdict})");
            return Err(Error::new(ErrorKind::Conflict, operation, message)
                .with_hint("a completed episode takes no steps and no second outcome; start a new one"));
        }
        Ok(episode)
    }

    /// Returns the live records that an episode owns, in order of ids.
    async fn owned(&self, kind: Kind, id: EpisodeId) -> Result<Owned> {
        let mut scan = Scan::new(self.engine.namespace(), kind)
            .prefix(Key::episode_prefix(id))
            .order(Order::Ascending)
            .limit(500);
        let mut owned = Owned::default();
        loop {
            let (page, freshness) = self.engine.scan_fresh(&scan).await?;
            owned.freshness = owned.freshness.or_staler(freshness);
            owned.records.extend(page.records);
            owned.unreadable.extend(page.unreadable);
            match page.next {
                Some(next) => scan.after = Some(next),
                None => return Ok(owned),
            }
        }
    }

    async fn owned_items<T: Clone>(
        &self,
        kind: Kind,
        id: EpisodeId,
        item: fn(&Entity) -> Option<&T>,
    ) -> Result<Listed<T>> {
        let Owned { records, freshness, .. } = self.owned(kind, id).await?;
        let items = records.iter().filter_map(|record| item(record.entity.as_ref()?).cloned()).collect();
        Ok(Listed { items, freshness })
    }

    /// Returns true if the steps at hand can be taken for all of an episode's: nobody else can have logged into one
    /// that the server has not seen, and otherwise none is missing from 1 to the last.
    fn holds_all(&self, id: EpisodeId, steps: &[Step]) -> Result<bool> {
        let contiguous = (1..).zip(steps).all(|(number, step)| step.number == number);
        let head = Key::episode(self.engine.namespace(), id);
        Ok(contiguous && (!steps.is_empty() || self.engine.is_pending(&head)?))
    }
}

/// The records of one kind that an episode owns.
#[derive(Default)]
struct Owned {
    records: Vec<Record>,
    /// The ids of those that do not decode.
    unreadable: Vec<Arc<str>>,
    freshness: Freshness,
}

impl Owned {
    /// Returns all ids.
    fn ids(&self) -> impl Iterator<Item = &str> {
        self.records
            .iter()
            .map(|record| record.key.id.as_ref())
            .chain(self.unreadable.iter().map(AsRef::as_ref))
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
