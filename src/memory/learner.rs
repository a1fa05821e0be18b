//! The learner: turns completed episodes into knowledge, off the callers' path.
//!
//! An episode is due from the commit that completes it (its reward has `learned: false`) to the commit with
//! everything learned from it (`learned: true`). A crash in between loses nothing: learning starts again with
//! the due episodes. Ids of learned items derive from content, so two processes that learn from the same
//! episode write the same records.

mod episode;
#[cfg(all(test, feature = "testing"))]
mod tests;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use memory_core::{EpisodeId, Error, ErrorKind, Kind, Result, Scan};
use serde::Serialize;

use crate::memory::advisors::Advisors;
use crate::memory::backlog::Backlog;
use crate::memory::draft::Draft;
use crate::memory::records::Records;
use crate::memory::rules::{Refresh, Rules};
use crate::memory::traces::Traces;
use crate::memory::vectors::Vectors;
use crate::memory::{LearningConfig, Memory};
use crate::redact::Redactor;

use episode::Reflected;

pub(super) use episode::retold;

/// Episodes learned from in one commit.
const BATCH: usize = 32;
/// Episodes of a batch that are read at once: few, because each may have 10 MiB.
const READ_AHEAD: usize = 8;
/// How often a batch is repeated because another process has changed the records that it was made from.
pub(super) const ATTEMPTS: usize = 3;

/// The result of [`Memory::learn`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[non_exhaustive]
pub struct Learned {
    /// Episodes learned from.
    pub episodes: u64,
    /// Records written.
    pub records: u64,
}

/// Learns from episodes.
pub(super) struct Learner {
    pub(super) records: Arc<Records>,
    pub(super) traces: Arc<Traces>,
    pub(super) backlog: Arc<Backlog>,
    pub(super) advisors: Arc<Advisors>,
    pub(super) rules: Arc<Rules>,
    pub(super) vectors: Option<Arc<Vectors>>,
    pub(super) redactor: Redactor,
    pub(super) learning: Arc<LearningConfig>,
}

impl Memory {
    /// Learns from all due episodes, and waits for it. Background learning does the same unless it is switched
    /// off.
    ///
    /// # Errors
    /// `Unavailable` when the durable tier must list the steps of an episode and does not answer; the episodes
    /// stay due.
    pub async fn learn(&self) -> Result<Learned> {
        self.inner.learner.find_due(Duration::ZERO).await?;
        let mut learned = self.inner.learner.learn_all(|| false).await?;
        let _gate = self.inner.backlog.gate.lock().await;
        self.inner.advisors.learn_noted().await?;
        learned.records += self.inner.rules.refresh_heuristics(Refresh::Changed).await?;
        Ok(learned)
    }
}

impl Learner {
    /// Looks for episodes that are due; other processes' only if they have been for longer than `patience`.
    pub(super) async fn find_due(&self, patience: Duration) -> Result<()> {
        let mut scan = Scan::new(self.records.engine.namespace(), Kind::Reward)
            .equals("learned", memory_core::Scalar::Integer(0))
            .limit(500);
        let now = self.records.engine.now();
        loop {
            let (page, _) = self.records.engine.scan_fresh(&scan).await?;
            for record in &page.records {
                let reward = record.entity.as_ref().and_then(|entity| entity.as_reward());
                if let Some(reward) = reward
                    && now.since(record.updated_at) >= patience
                {
                    self.backlog.found_due(reward.episode);
                }
            }
            match page.next {
                Some(next) => scan.after = Some(next),
                None => return Ok(()),
            }
        }
    }

    /// Learns batch by batch until no episode is due, or until `stop` returns true.
    ///
    /// An episode that cannot be learned from does not stop the others: its error is returned at the end, it
    /// stays due in the store, and another attempt is made when it is looked for again.
    pub(super) async fn learn_all(&self, stop: impl Fn() -> bool) -> Result<Learned> {
        let mut learned = Learned::default();
        let mut failure = None;
        loop {
            let gate = self.backlog.gate.lock().await;
            let batch = self.backlog.oldest(BATCH);
            if batch.is_empty() || stop() {
                return failure.map_or(Ok(learned), Err);
            }
            // The models learn from the previous batches meanwhile; failed episodes are noted and retried at
            // the end.
            let advisors = self.advisors.clone();
            let models = tokio::spawn(async move { advisors.take_up_noted().await });
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
                                self.backlog.done(*id);
                                failure = Some(error.with_context("episode", id.to_string()));
                            }
                        }
                    }
                }
            }
            drop(gate);
            // Off the gate: a provider may take its time. Its errors are the reason that recall gives for going
            // by words.
            if let Some(vectors) = &self.vectors
                && let Err(error) = vectors.complete(Some(&batch)).await
            {
                tracing::debug!(%error, "vectors wait");
            }
            tokio::task::yield_now().await;
        }
    }

    /// Learns from a batch of episodes in one commit; returns how many records it wrote.
    async fn learn_from(&self, batch: &[EpisodeId]) -> Result<u64> {
        let mut attempts = 1..=ATTEMPTS;
        // A reflector may be slow and expensive: each episode is reflected on once, even if the rest is
        // repeated.
        let mut reflections = BTreeMap::new();
        let records = loop {
            let mut draft = Draft::new(&self.records);
            for some in batch.chunks(READ_AHEAD) {
                // Fills the cache for learning; an error here occurs there again.
                drop(futures_util::future::join_all(some.iter().map(|id| self.traces.trace(*id))).await);
                for id in some {
                    self.learn_episode(*id, &mut reflections, &mut draft).await?;
                    // Most reads are served from memory without waiting, so the application's other tasks would
                    // otherwise wait for the whole batch.
                    tokio::task::yield_now().await;
                }
            }
            if attempts.next().is_none() || draft.is_current().await? {
                break draft.into_records();
            }
        };
        let written = records.len() as u64;
        let committed = self.records.engine.commit(records).await;
        // Whatever came of it: some of it may be stored.
        self.backlog.attempted(batch);
        committed?;
        batch.iter().for_each(|id| self.backlog.done(*id));
        for (id, Reflected { domain, .. }) in reflections {
            self.rules.note(domain.as_deref());
            self.advisors.note(domain.as_deref(), id);
        }
        Ok(written)
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
