//! Recording an episode that is over already, idempotently: import and backfill.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use memory_core::{
    Action, Artifact, ArtifactId, Entity, Episode, EpisodeId, EpisodeStatus, Error, ErrorKind, IdSource, Key,
    Kind, NewArtifact, Outcome, Read, Record, Result, Reward, Step, Task, Timestamp, add_call,
};
use memory_learn::fingerprint::fingerprint;
use memory_learn::reward::Usual;
use memory_learn::trace::Trace;
use memory_recall::tasks::{TaskFigures, TaskGroup};
use serde::Serialize;
use tokio::task::JoinSet;
use uuid::Uuid;

use crate::limits::{Limits, Quotas};
use crate::memory::backlog::Backlog;
use crate::memory::observed::Observed;
use crate::memory::records::Records;
use crate::memory::traces::Traces;
use crate::memory::writing::Writing;
use crate::memory::{LearningConfig, Memory};
use crate::rate::RateLimiter;
use crate::redact::Redactor;

/// A finished episode to record as a whole.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Recording {
    /// Identifies the episode in its source, so that recording it again changes nothing: a file's name and line, a
    /// trace id, a hash of the content. 1 to 1,000 bytes.
    pub source_key: String,
    /// The task.
    pub task: Task,
    /// The actions, in order.
    pub actions: Vec<Action>,
    /// What was produced, in order.
    pub artifacts: Vec<NewArtifact>,
    /// How it ended.
    pub outcome: Outcome,
    /// How sure the outcome is, in `0.0..=1.0`: 1 if the source states it, less if it was inferred.
    pub confidence: f64,
    /// When it was done, at most a day ahead of the clock; now, if the source does not say.
    pub at: Option<Timestamp>,
}

impl Recording {
    /// Creates a recording without steps and artifacts whose outcome is stated, done now.
    pub fn new(source_key: impl Into<String>, task: impl Into<Task>, outcome: Outcome) -> Self {
        let (source_key, task) = (source_key.into(), task.into());
        Self {
            source_key,
            task,
            actions: Vec::new(),
            artifacts: Vec::new(),
            outcome,
            confidence: 1.0,
            at: None,
        }
    }

    /// Sets what was done, in order.
    #[must_use]
    pub fn actions(mut self, actions: Vec<Action>) -> Self {
        self.actions = actions;
        self
    }

    /// Sets what was produced, in order.
    #[must_use]
    pub fn artifacts(mut self, artifacts: Vec<NewArtifact>) -> Self {
        self.artifacts = artifacts;
        self
    }

    /// Sets how sure the outcome is, in `0.0..=1.0`.
    #[must_use]
    pub fn confidence(mut self, confidence: f64) -> Self {
        self.confidence = confidence;
        self
    }

    /// Sets when it was done.
    #[must_use]
    pub fn at(mut self, at: Timestamp) -> Self {
        self.at = Some(at);
        self
    }
}

/// The result of a recording.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Recorded {
    /// It was not known, as far as the tiers answered, and is stored now.
    New(EpisodeId),
    /// It was recorded before; nothing was changed.
    Known(EpisodeId),
    /// It was recorded before and then forgotten; nothing was changed.
    Forgotten(EpisodeId),
}

/// The approximate number of rows and bytes committed together: well below the committer's queue.
const MAX_ROWS: usize = 4_000;
const MAX_BYTES: u64 = 16 << 20;

impl Memory {
    /// Records a finished episode atomically, unless its source key is known already.
    ///
    /// # Errors
    /// As [`Memory::start`] and [`crate::memory::OpenEpisode::step`], before anything is stored.
    pub async fn record(&self, recording: Recording) -> Result<Recorded> {
        let mut results = self.record_all(vec![recording]).await;
        results.pop().unwrap_or_else(|| Err(given_up()))
    }

    /// Records finished episodes, each atomically, and scores them in order: novelty and usual effort depend on
    /// the episodes before, whichever is stored first. The episodes share commits, which is many times faster
    /// than one [`Memory::record`] after another.
    ///
    /// Returns the result of each, in order and with the errors of [`Memory::record`]. A recording whose source
    /// key came earlier in the same call is known, or fails if that one fails. Once one exceeds the rate limit,
    /// so do all new ones after it.
    pub async fn record_all(&self, recordings: Vec<Recording>) -> Vec<Result<Recorded>> {
        let recorder = &self.inner.recorder;
        recorder.backlog.active();
        let known = self.look_up(&recordings).await;
        let mut fates = Vec::with_capacity(recordings.len());
        let mut places: HashMap<EpisodeId, usize> = HashMap::with_capacity(recordings.len());
        let mut batch = Batch::default();
        let mut limited: Option<Error> = None;
        for (place, (recording, known)) in recordings.into_iter().zip(known).enumerate() {
            let id = match known {
                Ok(Looked::New(id)) => id,
                Ok(Looked::Known(recorded)) => {
                    fates.push(Fate::Settled(Ok(recorded)));
                    continue;
                }
                Err(error) => {
                    fates.push(Fate::Settled(Err(error)));
                    continue;
                }
            };
            if let Some(first) = places.get(&id) {
                fates.push(Fate::Of(*first));
                continue;
            }
            if batch.rows >= MAX_ROWS || batch.bytes >= MAX_BYTES {
                std::mem::take(&mut batch).commit(recorder, &mut fates).await;
            }
            let prepared = match &limited {
                Some(error) => Err(error.duplicate()),
                None => recorder.prepare(id, recording, &mut batch.ahead).await,
            };
            fates.push(match prepared {
                Ok(prepared) => {
                    places.insert(id, place);
                    batch.add(place, prepared);
                    Fate::Prepared
                }
                Err(error) => {
                    let is_limited = error.kind() == ErrorKind::RateLimitExceeded && limited.is_none();
                    limited = if is_limited { Some(error.duplicate()) } else { limited };
                    Fate::Settled(Err(error))
                }
            });
        }
        batch.commit(recorder, &mut fates).await;
        results_of(fates)
    }

    /// Looks which recordings are known.
    async fn look_up(&self, recordings: &[Recording]) -> Vec<Result<Looked>> {
        let engine = &self.inner.records.engine;
        let space = engine.namespace();
        let ids: Vec<Result<EpisodeId>> =
            recordings.iter().map(|recording| derive_id(space.as_str(), &recording.source_key)).collect();
        let keys: Vec<Key> = ids.iter().flatten().map(|id| Key::episode(space, *id)).collect();
        let (mut reads, failed) = match engine.read_each(&keys).await {
            Ok(reads) => (reads.into_iter(), None),
            Err(error) => (Vec::new().into_iter(), Some(error)),
        };
        let mut read = || match &failed {
            Some(error) => Err(error.duplicate()),
            None => reads.next().unwrap_or_else(|| Err(given_up())),
        };
        let look_up = |id: Result<EpisodeId>| {
            let id = id?;
            match read() {
                Ok(Read { record: Some(record), .. }) if record.is_tombstone() => {
                    Ok(Looked::Known(Recorded::Forgotten(id)))
                }
                Ok(Read { record: Some(_), .. }) => Ok(Looked::Known(Recorded::Known(id))),
                Ok(_) => Ok(Looked::New(id)),
                // Recording continues while the durable tier is away; if that tier does have the episode, it
                // keeps its version.
                Err(error) if error.is_transient() || error.kind() == ErrorKind::Unauthorized => {
                    Ok(Looked::New(id))
                }
                Err(error) => Err(error),
            }
        };
        ids.into_iter().map(look_up).collect()
    }
}

/// Whether an episode is known.
enum Looked {
    New(EpisodeId),
    Known(Recorded),
}

/// The result of a recording.
enum Fate {
    Settled(Result<Recorded>),
    /// It is to be committed.
    Prepared,
    /// The result of the recording at that place, which has the same source key.
    Of(usize),
}

fn results_of(fates: Vec<Fate>) -> Vec<Result<Recorded>> {
    let mut results: Vec<Result<Recorded>> = Vec::with_capacity(fates.len());
    for fate in fates {
        results.push(match fate {
            Fate::Settled(result) => result,
            Fate::Prepared => Err(given_up()),
            Fate::Of(first) => match &results[first] {
                Ok(Recorded::New(id) | Recorded::Known(id)) => Ok(Recorded::Known(*id)),
                Ok(Recorded::Forgotten(id)) => Ok(Recorded::Forgotten(*id)),
                Err(error) => Err(error.duplicate()),
            },
        });
    }
    results
}

fn given_up() -> Error {
    Error::new(ErrorKind::Closed, "record", "the runtime stopped; whether the episode is stored is not known")
}

/// Episodes that are committed together. None of them is before the last one is scored: recall would know some
/// of them, and they would count twice.
#[derive(Default)]
struct Batch {
    /// With the place of each in the answer.
    prepared: Vec<(usize, Prepared)>,
    /// Their figures.
    ahead: TaskFigures,
    rows: usize,
    bytes: u64,
}

impl Batch {
    fn add(&mut self, place: usize, prepared: Prepared) {
        self.rows += prepared.records.len();
        self.bytes += prepared.bytes;
        self.prepared.push((place, prepared));
    }

    /// Commits all of them at once and waits for it.
    async fn commit(self, recorder: &Arc<Recorder>, fates: &mut [Fate]) {
        let mut commits = JoinSet::new();
        for (place, Prepared { trace, records, redactions, .. }) in self.prepared {
            let id = trace.episode.id;
            let recorder = recorder.clone();
            commits.spawn(async move {
                let committed = recorder.records.engine.commit(records).await;
                if committed.is_ok() {
                    recorder.count_redactions(redactions);
                    recorder.traces.keep(trace);
                    recorder.backlog.recorded(id);
                }
                (place, committed.map(|()| Recorded::New(id)))
            });
        }
        while let Some(done) = commits.join_next().await {
            if let Ok((place, result)) = done {
                fates[place] = Fate::Settled(result);
            }
        }
    }
}

/// An episode that can be committed.
struct Prepared {
    trace: Trace,
    records: Vec<Record>,
    /// The encoded size of its head and steps.
    bytes: u64,
    redactions: u32,
}

/// Checks, redacts and commits an application's input.
pub(super) struct Recorder {
    pub(super) records: Arc<Records>,
    pub(super) traces: Arc<Traces>,
    pub(super) backlog: Arc<Backlog>,
    /// Adding to an episode and forgetting it exclude each other.
    pub(super) writing: Arc<Writing>,
    pub(super) limits: Limits,
    pub(super) quotas: Quotas,
    pub(super) rate: Option<RateLimiter>,
    pub(super) redactor: Redactor,
    pub(super) ids: Arc<dyn IdSource>,
    /// Secrets replaced in stored texts.
    pub(super) redactions: AtomicU64,
    pub(super) learning: Arc<LearningConfig>,
}

impl Recorder {
    /// Scores a completed episode. `ahead` are the figures of episodes that came before it and that recall does
    /// not know yet.
    pub(super) fn conclude(&self, observed: Observed, ahead: &TaskFigures, episode: &mut Episode) -> Reward {
        let (usual, novelty) = self.usual(ahead, episode);
        observed.conclude(&usual, novelty, &self.learning.reward, episode)
    }

    /// Makes the next version of a reward.
    pub(super) fn version_of_reward(&self, reward: Reward) -> Record {
        let key = Key::new(self.records.engine.namespace(), Kind::Reward, reward.episode.to_string());
        self.records.engine.version(key, Some(Entity::Reward(reward)))
    }

    /// Returns the usual effort of similar episodes, and how new this one is, in `0.0..=1.0`.
    fn usual(&self, ahead: &TaskFigures, episode: &Episode) -> (Usual, f64) {
        self.records.index.with(|index| {
            let known = index.tasks(self.records.engine.namespace());
            let figures = || known.into_iter().chain([ahead]);
            let same: TaskGroup = figures().map(|figures| figures.of_fingerprint(&episode.fingerprint)).sum();
            let novelty = 1.0 / (1.0 + f64::from(same.episodes));
            let group = if same.episodes >= Self::ENOUGH {
                same
            } else {
                figures().map(|figures| figures.of_kind(&episode.task)).sum()
            };
            (
                Usual { episodes: group.episodes, steps: group.steps(), duration_ms: group.duration_ms() },
                novelty,
            )
        })
    }

    /// From this many episodes of exactly the same task, they describe the usual effort better than others of
    /// its kind.
    const ENOUGH: u32 = 3;

    pub(super) fn take_token(&self) -> Result<()> {
        match &self.rate {
            Some(rate) => {
                rate.try_take(self.records.engine.namespace(), self.records.engine.clock().monotonic())
            }
            None => Ok(()),
        }
    }

    /// Checks that another episode may be added; `ahead` are on their way.
    ///
    /// Recall's index counts them: a new process knows none before it has read the change feed.
    pub(super) async fn check_quota(&self, ahead: usize) -> Result<()> {
        if self.quotas == Quotas::default() {
            return Ok(());
        }
        self.records.engine.ready().await?;
        let space = self.records.engine.namespace();
        let held = ahead + self.records.index.with(|index| index.len(space, Kind::Episode));
        self.quotas.check_episodes(space, held as u64)
    }

    pub(super) fn count_redactions(&self, found: u32) -> u32 {
        self.redactions.fetch_add(u64::from(found), Ordering::Relaxed);
        found
    }

    /// Returns the encoded size of a record's body after checking it against the limit.
    pub(super) fn encoded_len(&self, operation: &'static str, field: &str, record: &Record) -> Result<u64> {
        let body = record.entity.as_ref().map(|entity| entity.to_json()).transpose()?;
        let bytes = body.map_or(0, |body| body.len() as u64);
        self.limits.check_record_bytes(operation, field, bytes)?;
        Ok(bytes)
    }
}

impl Recorder {
    /// Checks a recording, redacts it and makes its records. `ahead` are the figures of episodes that recall
    /// may not know yet; this one is added to them.
    async fn prepare(
        &self,
        id: EpisodeId,
        recording: Recording,
        ahead: &mut TaskFigures,
    ) -> Result<Prepared> {
        self.take_token()?;
        self.check_quota(ahead.episodes()).await?;
        let Recording { task, actions, artifacts, outcome, confidence, at, .. } = recording;
        self.limits.check_task(&task)?;
        self.limits.check_steps(actions.len() as u64)?;
        self.limits.check_outcome(&outcome)?;
        self.limits.check_confidence(confidence)?;
        let now = self.records.engine.now();
        at.map_or(Ok(()), |at| self.limits.check_time(at, now))?;
        for (i, action) in actions.iter().enumerate() {
            self.limits
                .check_action(action)
                .map_err(|error| error.with_context("step", (i + 1).to_string()))?;
        }
        for (i, artifact) in artifacts.iter().enumerate() {
            self.limits
                .check_product(artifact)
                .map_err(|error| error.with_context("artifact", (i + 1).to_string()))?;
        }
        let bytes = task.description.len()
            + actions.iter().map(Action::weight).sum::<usize>()
            + artifacts.iter().map(NewArtifact::weight).sum::<usize>();
        let texts = (task, outcome, actions, artifacts);
        let ((task, outcome, actions, artifacts), redactions) =
            self.redactor.run("record", bytes, texts, redact_recording).await?;
        let at = at.unwrap_or(now);
        let mut episode = Episode::open(id, task, at);
        episode.status = EpisodeStatus::Completed;
        episode.completed_at = Some(at);
        episode.outcome = Some(outcome);
        episode.confidence = confidence;
        episode.redactions = redactions;
        sum_up(&mut episode, &actions);
        episode.fingerprint = fingerprint(&episode.task);
        let mut observed = Observed::default();
        actions.iter().for_each(|action| observed.action(action));
        artifacts.iter().for_each(|artifact| observed.quality(&artifact.quality));
        let reward = self.conclude(observed, ahead, &mut episode);
        let head = first_version(self.records.version_of(&episode)?);
        let mut bytes = self.encoded_len("record", "episode", &head)?;
        let mut records = Vec::with_capacity(actions.len() + 2);
        let mut steps = Vec::with_capacity(actions.len());
        for (number, action) in (1..).zip(actions) {
            // No writer in the key: recording twice at the same time is the same record twice.
            let step = Step::new(id, number, 0, at, action);
            let key = Key::step(self.records.engine.namespace(), &step);
            steps.push(step.clone());
            let record = first_version(self.records.engine.version(key, Some(Entity::Step(step))));
            bytes += self.encoded_len("record", "step", &record)?;
            records.push(record);
        }
        let mut products = Vec::with_capacity(artifacts.len());
        for (number, product) in (1..).zip(artifacts) {
            let artifact = Artifact::new(artifact_id(id, number), id, at, product);
            let key =
                Key::new(self.records.engine.namespace(), Kind::Artifact, format!("{id}:{}", artifact.id));
            products.push(artifact.clone());
            let record = first_version(self.records.engine.version(key, Some(Entity::Artifact(artifact))));
            bytes += self.encoded_len("record", "artifact", &record)?;
            records.push(record);
        }
        self.limits.check_episode_bytes("record", bytes)?;
        // The head after its steps, and the reward after the head: rows may reach a server in several batches,
        // and no reader may see a later one of these without the earlier ones.
        records.push(head);
        records.push(first_version(self.version_of_reward(reward)));
        ahead.count_episode(&episode);
        let trace = Trace { episode, steps, artifacts: products };
        Ok(Prepared { trace, records, bytes, redactions })
    }
}

fn redact_recording(
    redactor: &Redactor,
    (task, outcome, actions, artifacts): &mut (Task, Outcome, Vec<Action>, Vec<NewArtifact>),
) -> u32 {
    let steps: u32 = actions.iter_mut().map(|action| redactor.redact_action(action)).sum();
    let products: u32 = artifacts.iter_mut().map(|product| redactor.redact_product(product)).sum();
    redactor.redact_task(task) + redactor.redact_outcome(outcome) + steps + products
}

/// Derives an artifact's id: the same wherever the episode is, in the order of the artifacts.
fn artifact_id(episode: EpisodeId, number: u64) -> ArtifactId {
    let hash = Uuid::new_v5(&episode.0, &number.to_be_bytes()).as_u128();
    ArtifactId(derived(u128::from(number & 0xffff_ffff_ffff) << 80 | hash & ((1 << 76) - 1)))
}

/// Gives a record the lowest revision: any other version of it, a tombstone too, wins wherever the two meet.
fn first_version(mut record: Record) -> Record {
    record.revision.clock = 1;
    record
}

fn sum_up(episode: &mut Episode, actions: &[Action]) {
    episode.steps = u32::try_from(actions.len()).unwrap_or(u32::MAX);
    for action in actions {
        episode.step_duration_ms = episode.step_duration_ms.saturating_add(action.duration_ms.unwrap_or(0));
        episode.tokens = episode.tokens.saturating_add(action.tokens.unwrap_or(0));
        add_call(&mut episode.tools, &mut episode.course, action);
    }
}

/// Derives an episode's id from its source key: a UUIDv7 with a time of 0, so that it sorts before live ones and
/// is the same wherever the key is the same.
fn derive_id(namespace: &str, source_key: &str) -> Result<EpisodeId> {
    if source_key.is_empty() || source_key.len() > 1_000 {
        let problem = format!("{} bytes, the limit is 1 to 1000 bytes", source_key.len());
        return Err(Error::invalid("record", "source_key", problem));
    }
    let name = format!("{namespace}\0{source_key}");
    let hash = Uuid::new_v5(&Uuid::NAMESPACE_OID, name.as_bytes()).as_u128();
    Ok(EpisodeId(derived(hash & ((1 << 76) - 1))))
}

/// Makes a UUIDv7 of 48 bits of time, from bit 80 on, and 76 bits below that are as good as random.
fn derived(bits: u128) -> Uuid {
    let time = bits >> 80 << 80;
    let high = (0x7 << 76) | (bits >> 62 & 0xfff) << 64;
    let low = (0b10 << 62) | (bits & 0x3fff_ffff_ffff_ffff);
    Uuid::from_u128(time | high | low)
}
