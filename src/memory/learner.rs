//! The learner: turns completed episodes into knowledge, off the callers' path.
//!
//! An episode is due from the commit that completes it (its reward says `learned: false`) to the commit that holds
//! everything learned from it (which says `learned: true`): a crash in between loses nothing, and learning starts over
//! from what is due. What is learned has ids derived from content, so that two processes that learn from the same
//! episode write the same records.

mod episode;
#[cfg(all(test, feature = "testing"))]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, Weak};
use std::time::Duration;

use memory_core::{
    Entity, EpisodeId, Error, ErrorKind, Freshness, Key, Kind, Result, Scan, Timestamp, Trigger, lock,
};
use memory_learn::consolidate::ConsolidationConfig;
use memory_learn::trace::Trace;
use serde::Serialize;
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::memory::consolidating::Left;
use crate::memory::draft::Draft;
use crate::memory::heuristics::Refresh;
use crate::memory::{Inner, Memory};

use episode::Reflected;

pub(super) use episode::retold;

/// Episodes learned from in one commit.
const BATCH: usize = 32;
/// Episodes of a batch that are read at once: few, because each may have 10 MiB.
const READ_AHEAD: usize = 8;
/// How often a batch is made anew because another process has changed what it was made from.
pub(super) const ATTEMPTS: usize = 3;
/// How often what other processes left behind is looked for.
const SWEEP: Duration = Duration::from_secs(60);
/// The bytes of traces that are kept in memory, for contrast with the next episodes: a few hundred of usual length.
const TRACES_BYTES: u64 = 32 << 20;

/// What [`Memory::learn`] did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[non_exhaustive]
pub struct Learned {
    /// Episodes learned from.
    pub episodes: u64,
    /// Records written.
    pub records: u64,
}

/// What learning keeps between episodes.
#[derive(Debug)]
pub(super) struct Learner {
    due: Mutex<BTreeSet<EpisodeId>>,
    /// Those of them that this process recorded: nothing was learned from them yet.
    recorded: Mutex<BTreeSet<EpisodeId>>,
    /// Told when something is due, and when the memory ends.
    pub(super) wake: Arc<Notify>,
    /// Held while something is learned, forgotten or consolidated: each sees the others' work whole.
    pub(super) gate: tokio::sync::Mutex<()>,
    traces: moka::sync::Cache<EpisodeId, Arc<Trace>>,
    pub(super) task: Mutex<Option<tokio::task::JoinHandle<()>>>,
    /// Counts the application's calls: work that consolidation makes way for.
    pub(super) activity: AtomicU64,
    /// How far consolidation has looked for what lost its episode.
    pub(super) swept_to: Mutex<Option<Arc<str>>>,
    /// The same for what lost the episode that owns it: steps, artifacts, reflections.
    pub(super) swept_owned_to: Mutex<[Option<Arc<str>>; 3]>,
    /// The last day that consolidation measured before its time was over.
    pub(super) measured_to: Mutex<Option<Timestamp>>,
    /// What consolidation had no time for.
    pub(super) left: Mutex<Option<Left>>,
}

impl Learner {
    pub(super) fn new() -> Self {
        Self {
            due: Mutex::default(),
            recorded: Mutex::default(),
            wake: Arc::default(),
            gate: tokio::sync::Mutex::default(),
            traces: moka::sync::Cache::builder()
                .max_capacity(TRACES_BYTES)
                .weigher(|_, trace: &Arc<Trace>| u32::try_from(trace.weight()).unwrap_or(u32::MAX))
                .build(),
            task: Mutex::default(),
            activity: AtomicU64::new(0),
            swept_to: Mutex::default(),
            swept_owned_to: Mutex::default(),
            measured_to: Mutex::default(),
            left: Mutex::default(),
        }
    }

    /// Notes that the application is at work.
    pub(super) fn active(&self) {
        self.activity.fetch_add(1, Ordering::Relaxed);
    }

    /// Notes that an episode is to be learned from.
    pub(super) fn due(&self, episode: EpisodeId) {
        lock(&self.due).insert(episode);
        self.wake.notify_one();
    }

    /// Notes that an episode was recorded as a whole, and is to be learned from.
    pub(super) fn recorded(&self, trace: Trace) {
        let episode = trace.episode.id;
        self.traces.insert(episode, Arc::new(trace));
        lock(&self.recorded).insert(episode);
        self.due(episode);
    }

    /// Returns true if evidence of an episode may be stored.
    pub(super) fn may_be_known(&self, episode: EpisodeId) -> bool {
        !lock(&self.recorded).contains(&episode)
    }

    /// Notes that an episode needs no learning from any more.
    fn done(&self, episode: EpisodeId) {
        lock(&self.due).remove(&episode);
        lock(&self.recorded).remove(&episode);
    }

    /// Forgets what is kept of an episode.
    pub(super) fn forget(&self, episode: EpisodeId) {
        self.done(episode);
        self.traces.invalidate(&episode);
    }

    /// Returns all episodes that are due.
    pub(super) fn waiting(&self) -> BTreeSet<EpisodeId> {
        lock(&self.due).clone()
    }

    /// Returns the oldest episodes that are due.
    fn next(&self) -> Vec<EpisodeId> {
        lock(&self.due).iter().take(BATCH).copied().collect()
    }
}

impl Memory {
    /// Learns from everything that is due, and waits for it. Episodes are learned from in the background anyway, unless
    /// that is switched off.
    ///
    /// # Errors
    /// `Unavailable` when the durable tier must say which steps an episode has and does not answer; what is due stays
    /// due.
    pub async fn learn(&self) -> Result<Learned> {
        self.inner.find_due(Duration::ZERO).await?;
        let mut learned = self.inner.learn_all(|| false).await?;
        let _gate = self.inner.learner.gate.lock().await;
        self.inner.learn_noted().await?;
        learned.records += self.inner.refresh_heuristics(Refresh::Changed).await?;
        Ok(learned)
    }
}

impl Inner {
    /// Looks for episodes that are due; other processes' only if they have been for longer than `patience`.
    pub(super) async fn find_due(&self, patience: Duration) -> Result<()> {
        let mut scan = Scan::new(self.engine.namespace(), Kind::Reward)
            .equals("learned", memory_core::Scalar::Integer(0))
            .limit(500);
        let now = self.engine.now();
        loop {
            let (page, _) = self.engine.scan_fresh(&scan).await?;
            for record in &page.records {
                let reward = record.entity.as_ref().and_then(|entity| entity.as_reward());
                if let Some(reward) = reward
                    && now.since(record.updated_at) >= patience
                {
                    lock(&self.learner.due).insert(reward.episode);
                }
            }
            match page.next {
                Some(next) => scan.after = Some(next),
                None => return Ok(()),
            }
        }
    }

    /// Learns batch by batch until nothing is due, or until `stop` says so.
    ///
    /// An episode that cannot be learned from does not stop the others: its error is returned at the end, it stays due in
    /// the store, and another attempt is made when it is looked for again.
    async fn learn_all(self: &Arc<Self>, stop: impl Fn() -> bool) -> Result<Learned> {
        let mut learned = Learned::default();
        let mut failure = None;
        loop {
            let gate = self.learner.gate.lock().await;
            let batch = self.learner.next();
            if batch.is_empty() || stop() {
                return failure.map_or(Ok(learned), Err);
            }
            // The models learn from the batches before meanwhile; what fails is noted, and tried again at the end.
            let inner = self.clone();
            let models = tokio::spawn(async move { inner.take_up_noted().await });
            let drafted = self.learn_from(&batch).await;
            drop(models.await);
            match drafted {
                Ok(records) => {
                    learned.episodes += batch.len() as u64;
                    learned.records += records;
                }
                Err(error) if concerns_all(&error) => return Err(error),
                Err(_) => {
                    for id in &batch {
                        match self.learn_from(&[*id]).await {
                            Ok(records) => {
                                learned.episodes += 1;
                                learned.records += records;
                            }
                            Err(error) if concerns_all(&error) => return Err(error),
                            Err(error) => {
                                self.learner.done(*id);
                                failure = Some(error.with_context("episode", id.to_string()));
                            }
                        }
                    }
                }
            }
            drop(gate);
            // Off the gate: a provider may take its time. Its errors are the reason that recall gives for going by words.
            if let Err(error) = self.complete_vectors(Some(&batch)).await {
                tracing::debug!(%error, "vectors wait");
            }
            tokio::task::yield_now().await;
        }
    }

    /// Learns from a batch of episodes in one commit; returns how many records it wrote.
    async fn learn_from(&self, batch: &[EpisodeId]) -> Result<u64> {
        let mut attempts = 1..=ATTEMPTS;
        // Whoever reflects may be slow and dear: each episode is reflected on once, however often the rest is made anew.
        let mut reflections = BTreeMap::new();
        let records = loop {
            let mut draft = Draft::new(self);
            for some in batch.chunks(READ_AHEAD) {
                // Learning finds them in memory; what fails here fails there again, with its error.
                drop(futures_util::future::join_all(some.iter().map(|id| self.trace(*id))).await);
                for id in some {
                    self.learn_episode(*id, &mut reflections, &mut draft).await?;
                    // What is read is in memory, mostly: the application's other tasks would wait for the whole batch.
                    tokio::task::yield_now().await;
                }
            }
            if attempts.next().is_none() || draft.is_current().await? {
                break draft.into_records();
            }
        };
        let written = records.len() as u64;
        let committed = self.engine.commit(records).await;
        // Whatever came of it: some of it may be stored.
        let mut recorded = lock(&self.learner.recorded);
        for id in batch {
            recorded.remove(id);
        }
        drop(recorded);
        committed?;
        batch.iter().for_each(|id| self.learner.done(*id));
        for (id, Reflected { domain, .. }) in reflections {
            self.rules.note(domain.as_deref());
            self.advisors.note(domain.as_deref(), id);
        }
        Ok(written)
    }

    /// Returns true if there is no such episode any more, as the durable tier has it: forgotten, or purged. While that is
    /// away, nothing is known to be gone. Forgetting leaves a tombstone for ever: a head that is not there, and is too young
    /// to be purged, is on its way, or a dead letter of another machine.
    pub(super) async fn is_gone(&self, id: EpisodeId) -> Result<bool> {
        let key = Key::episode(self.engine.namespace(), id);
        Ok(match self.engine.durable_version(&key).await? {
            None => false,
            // What has expired is gone once it is purged: by the durable tier's time, not by a clock that may be wrong.
            Some(Some(record)) => record.is_tombstone(),
            Some(None) => self.may_be_purged(id) && !self.engine.is_pending(&key)?,
        })
    }

    /// Returns true if an episode is so old that it may have expired. The id of an imported one has no time: it counts as old.
    fn may_be_purged(&self, id: EpisodeId) -> bool {
        let (seconds, nanos) = id.0.get_timestamp().map_or((0, 0), |at| at.to_unix());
        let started = Timestamp(seconds * 1_000 + u64::from(nanos) / 1_000_000);
        self.engine.retention_of(Kind::Episode).is_some_and(|kept| started.plus(kept) <= self.engine.now())
    }

    /// Reads an episode with its steps and artifacts; `None` if it is open or gone.
    pub(super) async fn trace(&self, id: EpisodeId) -> Result<Option<Arc<Trace>>> {
        if let Some(trace) = self.learner.traces.get(&id) {
            return Ok(Some(trace));
        }
        let read = self.engine.read(&Key::episode(self.engine.namespace(), id)).await?;
        let Some(episode) = read.record.and_then(|record| record.entity?.as_episode().cloned()) else {
            return Ok(None);
        };
        if !episode.is_completed() {
            return Ok(None);
        }
        let (steps, artifacts) = tokio::try_join!(
            self.owned_items(Kind::Step, id, Entity::as_step),
            self.owned_items(Kind::Artifact, id, Entity::as_artifact),
        )?;
        let fresh = steps.freshness.or_staler(artifacts.freshness) == Freshness::Fresh;
        if !fresh && steps.len() < episode.steps as usize {
            return Err(super::unknown_steps("learn"));
        }
        let trace = Arc::new(Trace { episode, steps: steps.items, artifacts: artifacts.items });
        self.learner.traces.insert(id, trace.clone());
        Ok(Some(trace))
    }
}

/// When consolidation is due.
struct Schedule {
    /// The application's calls when last looked, and since when there were no more.
    seen: u64,
    quiet_since: Instant,
    last_cycle: Instant,
    /// Episodes were learned from since the last cycle.
    news: bool,
}

impl Schedule {
    fn new() -> Self {
        let now = Instant::now();
        Self { seen: 0, quiet_since: now, last_cycle: now, news: false }
    }

    /// Returns what is due now, if anything.
    fn trigger(&mut self, activity: u64, config: &ConsolidationConfig) -> Option<Trigger> {
        let now = Instant::now();
        if activity != self.seen {
            (self.seen, self.quiet_since) = (activity, now);
        }
        let trigger = if now - self.last_cycle >= config.interval {
            Trigger::Interval
        } else if self.news && now - self.quiet_since >= config.idle_after {
            Trigger::Idle
        } else {
            return None;
        };
        (self.last_cycle, self.news) = (now, false);
        Some(trigger)
    }
}

/// Loads vectors, learns and consolidates in the background until the memory is gone.
pub(super) async fn run(inner: Weak<Inner>, wake: Arc<Notify>) {
    let mut schedule = Schedule::new();
    let mut swept_at: Option<Instant> = None;
    loop {
        let nap = {
            let Some(inner) = inner.upgrade() else { return };
            if inner.engine.is_closed() {
                return;
            }
            let round = inner.round(&mut schedule, &mut swept_at).await;
            if let Err(error) = &round {
                // What is due stays due; another attempt follows.
                tracing::debug!(%error, "learning waits");
            }
            inner.engine.note_learning(round.as_ref().err());
            if !inner.learning.background && inner.vectors.is_none() {
                return;
            }
            inner.learning.consolidation.idle_after.clamp(Duration::from_millis(50), SWEEP)
        };
        tokio::select! {
            () = wake.notified() => {}
            () = tokio::time::sleep(nap) => {}
        }
    }
}

impl Inner {
    /// Does what is due in the background.
    async fn round(self: &Arc<Self>, schedule: &mut Schedule, swept_at: &mut Option<Instant>) -> Result<()> {
        let sweeps = swept_at.is_none_or(|at| at.elapsed() >= SWEEP);
        // A provider that fails holds up vectors and nothing else.
        let vectors = if sweeps || self.lacks_vectors() { self.match_vectors().await } else { Ok(()) };
        if !self.learning.background {
            if sweeps {
                *swept_at = Some(Instant::now());
            }
            return vectors;
        }
        if sweeps {
            // On opening whatever is due; later only what another process seems to have left behind.
            self.find_due(if swept_at.is_none() { Duration::ZERO } else { SWEEP }).await?;
            *swept_at = Some(Instant::now());
        }
        // When nobody else holds the memory any more, what is left waits for the next one who opens it.
        let learned = self.learn_all(|| Arc::strong_count(self) == 1).await?;
        if learned.episodes > 0 {
            let _gate = self.learner.gate.lock().await;
            self.learn_noted().await?;
            self.refresh_heuristics(Refresh::Worthwhile).await?;
            schedule.news = true;
        }
        let activity = self.learner.activity.load(Ordering::Relaxed);
        if let Some(trigger) = schedule.trigger(activity, &self.learning.consolidation) {
            self.consolidate(trigger, None).await?;
        }
        vectors
    }

    fn lacks_vectors(&self) -> bool {
        self.vectors.as_ref().is_some_and(|vectors| vectors.gap().is_some())
    }
}

/// Returns true for errors that every other episode would meet, too.
fn concerns_all(error: &Error) -> bool {
    error.is_transient()
        || matches!(
            error.kind(),
            ErrorKind::Unauthorized | ErrorKind::Closed | ErrorKind::Io | ErrorKind::QuotaExceeded
        )
}
