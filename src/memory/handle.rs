//! The handle of an open episode.

use std::fmt;
use std::sync::Arc;

use memory_core::{
    Action, Artifact, ArtifactId, Attempt, Entity, Episode, EpisodeId, EpisodeStatus, Error, ErrorKind,
    Freshness, ItemId, Key, Kind, NewArtifact, Outcome, RecallUse, Record, Result, Step, ToolUse, WriterId,
    add_call,
};
use memory_recall::tasks::TaskFigures;

use crate::memory::observed::Observed;
use crate::memory::recalled::Recall;
use crate::memory::{Inner, Listed};
use crate::redact::Redactor;

/// An open episode: logs steps and artifacts, and is used up by completing it.
///
/// Dropping it leaves the episode open; [`crate::memory::Memory::resume`] takes it up again.
#[non_exhaustive]
pub struct OpenEpisode {
    inner: Arc<Inner>,
    episode: Episode,
    totals: Totals,
    /// Distinguishes handles of the same episode, also within one process: their steps must not share a key.
    writer: u64,
    /// Steps may be stored that the totals miss, or the reverse: the durable tier was away when they were
    /// summed up, or a write ended without a clear answer.
    uncertain: bool,
}

/// The totals that completing adds up.
#[derive(Debug, Clone, Default)]
struct Totals {
    last_number: u32,
    steps: u32,
    bytes: u64,
    tools: Vec<ToolUse>,
    course: Vec<Attempt>,
    step_duration_ms: u64,
    tokens: u64,
    redactions: u32,
    observed: Observed,
}

impl Totals {
    fn add(&mut self, action: &Action, bytes: u64) {
        self.steps += 1;
        self.bytes += bytes;
        self.step_duration_ms = self.step_duration_ms.saturating_add(action.duration_ms.unwrap_or(0));
        self.tokens = self.tokens.saturating_add(action.tokens.unwrap_or(0));
        add_call(&mut self.tools, &mut self.course, action);
        self.observed.action(action);
    }
}

impl fmt::Debug for OpenEpisode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OpenEpisode").field("episode", &self.episode).finish_non_exhaustive()
    }
}

impl OpenEpisode {
    pub(super) fn new(inner: Arc<Inner>, episode: Episode, bytes: u64) -> Self {
        let totals = Totals { bytes, redactions: episode.redactions, ..Totals::default() };
        let writer = WriterId::new(inner.recorder.ids.random()).get();
        Self { inner, episode, totals, writer, uncertain: false }
    }

    /// Rebuilds the totals from stored records.
    pub(super) fn resumed(
        inner: Arc<Inner>,
        episode: Episode,
        steps: &Listed<Step>,
        artifacts: &Listed<Artifact>,
    ) -> Result<Self> {
        let head = Entity::Episode(episode.clone()).to_json()?;
        let mut handle = Self::new(inner, episode, head.len() as u64);
        handle.uncertain = steps.freshness.or_staler(artifacts.freshness) != Freshness::Fresh;
        for step in steps.iter() {
            let body = Entity::Step(step.clone()).to_json()?;
            handle.totals.add(&step.action, body.len() as u64);
            handle.totals.last_number = handle.totals.last_number.max(step.number);
            handle.totals.redactions += markers(&body);
        }
        for artifact in artifacts.iter() {
            let body = Entity::Artifact(artifact.clone()).to_json()?;
            handle.totals.bytes += body.len() as u64;
            handle.totals.redactions += markers(&body);
            handle.totals.observed.quality(&artifact.product.quality);
        }
        Ok(handle)
    }

    /// Returns the identifier.
    pub fn id(&self) -> EpisodeId {
        self.episode.id
    }

    /// Returns the episode's head.
    pub fn episode(&self) -> &Episode {
        &self.episode
    }

    /// Returns how many steps are logged.
    pub fn step_count(&self) -> u32 {
        self.totals.steps
    }

    /// Logs a step and returns its number, from 1.
    ///
    /// Cancelling the future does not cancel the write; the number is then used up.
    ///
    /// # Errors
    /// `InvalidInput` for an action over a limit or an episode that is full, `Conflict` if the episode was
    /// completed elsewhere, `NotFound` if it was forgotten, and errors of the commit.
    pub async fn step(&mut self, action: impl Into<Action>) -> Result<u32> {
        let action = action.into();
        let inner = self.inner.clone();
        inner.backlog.active();
        inner.recorder.limits.check_action(&action)?;
        inner.recorder.limits.check_steps(u64::from(self.totals.steps) + 1)?;
        let _writing = inner.recorder.writing.add_to(self.episode.id).await;
        self.must_be_open("step").await?;
        let bytes = action.weight();
        let (action, redactions) =
            inner.recorder.redactor.run("step", bytes, action, Redactor::redact_action).await?;
        let number = self.totals.last_number + 1;
        let engine = &inner.records.engine;
        let step = Step::new(self.id(), number, self.writer, engine.now(), action);
        let record = engine.version(Key::step(engine.namespace(), &step), Some(Entity::Step(step.clone())));
        let bytes = inner.recorder.encoded_len("step", "step", &record)?;
        inner.recorder.limits.check_episode_bytes("step", self.totals.bytes + bytes)?;
        let before = self.totals.clone();
        self.totals.last_number = number;
        self.totals.redactions += redactions;
        self.totals.add(&step.action, bytes);
        self.commit_counted(record, redactions, before).await?;
        Ok(number)
    }

    /// Records something that the episode produced.
    ///
    /// # Errors
    /// As [`OpenEpisode::step`].
    pub async fn artifact(&mut self, product: impl Into<NewArtifact>) -> Result<ArtifactId> {
        let product = product.into();
        let inner = self.inner.clone();
        inner.backlog.active();
        inner.recorder.limits.check_product(&product)?;
        let _writing = inner.recorder.writing.add_to(self.episode.id).await;
        self.must_be_open("artifact").await?;
        let bytes = product.weight();
        let (product, redactions) =
            inner.recorder.redactor.run("artifact", bytes, product, Redactor::redact_product).await?;
        let engine = &inner.records.engine;
        let now = engine.now();
        let artifact = Artifact::new(ArtifactId(inner.recorder.ids.next(now)), self.id(), now, product);
        let id = artifact.id;
        let quality = artifact.product.quality.clone();
        let key = Key::new(engine.namespace(), Kind::Artifact, format!("{}:{id}", self.id()));
        let record = engine.version(key, Some(Entity::Artifact(artifact)));
        let bytes = inner.recorder.encoded_len("artifact", "artifact", &record)?;
        inner.recorder.limits.check_episode_bytes("artifact", self.totals.bytes + bytes)?;
        let before = self.totals.clone();
        self.totals.redactions += redactions;
        self.totals.bytes += bytes;
        self.totals.observed.quality(&quality);
        self.commit_counted(record, redactions, before).await?;
        Ok(id)
    }

    /// Commits a record that is counted already: a cancelled write may still be stored, and later writes must
    /// neither overwrite nor omit it.
    async fn commit_counted(&mut self, record: Record, redactions: u32, before: Totals) -> Result<()> {
        let certain = !std::mem::replace(&mut self.uncertain, true);
        match self.inner.records.engine.commit(vec![record]).await {
            Ok(()) => {
                self.uncertain = !certain;
                self.inner.recorder.count_redactions(redactions);
                Ok(())
            }
            Err(error) => {
                if nothing_stored(&error) {
                    self.totals = before;
                    self.uncertain = !certain;
                }
                Err(error)
            }
        }
    }

    /// Completes the episode and returns its final head.
    ///
    /// On error the episode stays open, and [`crate::memory::Memory::resume`] gives a new handle; except that with
    /// [`memory_core::Ack::Durable`] after `Unavailable` it is completed here and will be there.
    ///
    /// # Errors
    /// `InvalidInput` for an outcome over a limit or a fraction outside `0.0..=1.0`, `Conflict` if it was completed
    /// elsewhere, `NotFound` if it was forgotten, and what the commit reports.
    pub async fn complete(self, outcome: Outcome) -> Result<Episode> {
        self.complete_inferred(outcome, 1.0).await
    }

    /// Completes the episode with an outcome that nobody stated, and how sure it is, in `0.0..=1.0`: 0 says nothing, 1 is
    /// certain. Learning counts a success of 0.7 as 0.85 for and 0.15 against.
    ///
    /// # Errors
    /// As [`OpenEpisode::complete`], and `InvalidInput` for a confidence that is not in that range.
    pub async fn complete_inferred(mut self, outcome: Outcome, confidence: f64) -> Result<Episode> {
        let inner = self.inner.clone();
        inner.backlog.active();
        inner.recorder.limits.check_outcome(&outcome)?;
        inner.recorder.limits.check_confidence(confidence)?;
        inner.records.engine.refresh().await?;
        let _writing = inner.recorder.writing.add_to(self.episode.id).await;
        self.must_be_open("complete").await?;
        if self.uncertain {
            // Commits are in order: once the head is written again, no cancelled step can follow the count.
            match inner.records.engine.commit(vec![inner.records.version_of(&self.episode)?]).await {
                Err(error) if !error.is_transient() => return Err(error),
                _ => {}
            }
            let id = self.id();
            let steps = inner.records.owned_items(Kind::Step, id, Entity::as_step).await?;
            let artifacts = inner.records.owned_items(Kind::Artifact, id, Entity::as_artifact).await?;
            if steps.freshness.or_staler(artifacts.freshness) == Freshness::Fresh {
                self = Self::resumed(inner.clone(), self.episode, &steps, &artifacts)?;
            }
        }
        let bytes = outcome.texts().map(str::len).sum();
        let (outcome, redactions) =
            inner.recorder.redactor.run("complete", bytes, outcome, Redactor::redact_outcome).await?;
        let mut episode = self.episode.clone();
        episode.status = EpisodeStatus::Completed;
        episode.completed_at = Some(inner.records.engine.now());
        episode.outcome = Some(outcome);
        episode.confidence = confidence;
        episode.steps = self.totals.steps;
        episode.tools = self.totals.tools.clone();
        episode.course = self.totals.course.clone();
        episode.step_duration_ms = self.totals.step_duration_ms;
        episode.tokens = self.totals.tokens;
        episode.redactions = self.totals.redactions + redactions;
        let reward =
            inner.recorder.conclude(self.totals.observed.clone(), &TaskFigures::default(), &mut episode);
        let record = inner.records.version_of(&episode)?;
        inner.recorder.encoded_len("complete", "episode", &record)?;
        // One commit: an episode is completed and due to be learned from, or neither. The head comes first: no
        // reader may see that it is due before it sees that it is completed.
        inner.records.engine.commit(vec![record, inner.recorder.version_of_reward(reward)]).await?;
        inner.recorder.count_redactions(redactions);
        inner.backlog.due(episode.id);
        Ok(episode)
    }

    /// Notes a recall for this episode. On completion it becomes evidence for or against the items that
    /// [`OpenEpisode::note_use`] names, and counts in the measured benefit of memory.
    ///
    /// If there are several recalls for one episode, all items count, up to 200. The first recall with
    /// something to show decides whether the episode counts as one without memory: it was drawn before anything
    /// happened, while episodes that go badly recall more often. Further recalls should name the first
    /// ([`memory_recall::query::RecallQuery::following`]), so that they are withheld, too.
    ///
    /// # Errors
    /// `Conflict` if the episode was completed elsewhere, `NotFound` if it was forgotten, and errors of the
    /// commit.
    pub async fn note_recall(&mut self, recall: &Recall) -> Result<()> {
        let mut noted = self.episode.recall.clone();
        let held = noted.get_or_insert_with(RecallUse::default);
        held.recall = Some(recall.id);
        let is_drawn = held.withheld || !held.shown.is_empty();
        held.withheld |= !is_drawn && recall.withheld;
        let new: Vec<ItemId> = recall.items().into_iter().filter(|item| !held.shown.contains(item)).collect();
        held.shown.extend(new);
        held.shown.truncate(RecallUse::MAX_ITEMS);
        self.store_use(noted).await
    }

    /// Notes which recalled items the application used. Items that no recall showed are refused.
    ///
    /// # Errors
    /// `InvalidInput` for an item that was not recalled for this episode; as [`OpenEpisode::note_recall`].
    pub async fn note_use(&mut self, items: &[ItemId]) -> Result<()> {
        let mut noted = self.episode.recall.clone().unwrap_or_default();
        for item in items {
            if !noted.shown.contains(item) {
                let problem = format!("{item} was not recalled for this episode");
                return Err(Error::invalid("note use", "items", problem)
                    .with_hint("give the recall to `OpenEpisode::note_recall` first"));
            }
            if !noted.used.contains(item) {
                noted.used.push(*item);
            }
        }
        self.store_use(Some(noted)).await
    }

    async fn store_use(&mut self, recall: Option<RecallUse>) -> Result<()> {
        let inner = self.inner.clone();
        inner.backlog.active();
        let _writing = inner.recorder.writing.add_to(self.episode.id).await;
        self.must_be_open("recalled").await?;
        let mut noted = self.episode.clone();
        noted.recall = recall;
        let record = inner.records.version_of(&noted)?;
        // Noted before the commit: it may be stored although its answer is lost, and completing rewrites the
        // head.
        let before = std::mem::replace(&mut self.episode, noted);
        let committed = inner.records.engine.commit(vec![record]).await;
        if committed.as_ref().is_err_and(nothing_stored) {
            self.episode = before;
        }
        committed
    }

    /// Checks that no other handle completed or forgot the episode, as far as this process knows.
    async fn must_be_open(&self, operation: &'static str) -> Result<()> {
        match self.inner.records.open_episode(operation, self.id()).await {
            Ok(_) => Ok(()),
            // Recording continues while the durable tier is away and this machine's caches no longer have the
            // head.
            Err(error) if error.is_transient() || error.kind() == ErrorKind::Unauthorized => Ok(()),
            Err(error) => Err(error),
        }
    }
}

/// Errors after which it is certain that nothing was stored.
fn nothing_stored(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::InvalidInput | ErrorKind::QuotaExceeded | ErrorKind::Closed)
}

/// Counts the marks that redaction left in stored text.
fn markers(body: &str) -> u32 {
    u32::try_from(body.matches("[REDACTED:").count()).unwrap_or(u32::MAX)
}
