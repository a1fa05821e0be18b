//! Learned items: list, explain and correct them.

use std::time::Duration;

use memory_core::{
    Cycle, Entity, Episode, Error, ErrorKind, Evidence, Failure, Freshness, Heuristic, HeuristicId, ItemId,
    Key, Kind, Metric, Pattern, Playbook, Reflection, Result, Reward, Ruling, Task, means_away,
};
use memory_learn::fingerprint::fingerprint;
use memory_learn::lift::{Lift, lift};
use memory_recall::query::RecallQuery;
use serde::Serialize;

use crate::memory::advisors::AdviceSkill;
use crate::memory::recalled::Recalled;
use crate::memory::{Inner, Listed, Memory};

/// The learned items of a memory; see [`Memory::knowledge`].
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct Knowledge<'a> {
    pub(super) inner: &'a Inner,
}

/// A heuristic with its supporting evidence.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Explanation {
    /// The heuristic.
    pub heuristic: Heuristic,
    /// The episodes that support it, as far as they are named and still there, newest first.
    pub supporting: Vec<Episode>,
    /// The episodes that contradict it, likewise.
    pub contradicting: Vec<Episode>,
    /// The uses after a recall, oldest first.
    pub uses: Vec<Evidence>,
    /// How current all of it is; if stale, episodes and uses may be missing.
    pub freshness: Freshness,
}

/// How often a task was done, with its usual effort. Two tasks are the same if they differ only in values:
/// their fingerprints are equal.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct TaskRecord {
    /// The normalised identity, as [`Episode::fingerprint`] has it.
    pub fingerprint: String,
    /// Completed episodes.
    pub episodes: u32,
    /// How many of them succeeded in full.
    pub successes: u32,
    /// The mean number of steps; 0 without episodes.
    pub steps: f64,
    /// The mean time that the steps took, in milliseconds; `None` if none was measured.
    pub duration_ms: Option<f64>,
}

impl Memory {
    /// Returns access to the learned items: to list, explain and correct them.
    pub fn knowledge(&self) -> Knowledge<'_> {
        Knowledge { inner: &self.inner }
    }
}

impl Knowledge<'_> {
    /// Lists the heuristics.
    ///
    /// # Errors
    /// Whatever the tiers report.
    pub async fn heuristics(&self) -> Result<Listed<Heuristic>> {
        self.all(Kind::Heuristic, Entity::as_heuristic).await
    }

    /// Lists the patterns.
    ///
    /// # Errors
    /// Whatever the tiers report.
    pub async fn patterns(&self) -> Result<Listed<Pattern>> {
        self.all(Kind::Pattern, Entity::as_pattern).await
    }

    /// Lists the failure lessons.
    ///
    /// # Errors
    /// Whatever the tiers report.
    pub async fn failures(&self) -> Result<Listed<Failure>> {
        self.all(Kind::Failure, Entity::as_failure).await
    }

    /// Finds lessons of errors similar to one, the most similar with a fix first, at most three. With `domain`,
    /// only from that domain; lessons of `tool` rank slightly higher.
    ///
    /// # Errors
    /// `InvalidInput` for an error that is empty or longer than an observation may be, and for labels over
    /// their limit; whatever the tiers report.
    pub async fn failures_like(
        &self,
        error: &str,
        tool: Option<&str>,
        domain: Option<&str>,
    ) -> Result<Listed<Recalled<Failure>>> {
        if error.trim().is_empty() {
            return Err(Error::invalid("find failures", "error", "it is empty"));
        }
        // The error alone is compared: the task may be any.
        let query = RecallQuery::new("any");
        let mut query = match tool {
            Some(tool) => query.failed(tool, error),
            None => query.error(error),
        };
        query.domain = domain.map(str::to_owned);
        self.inner.recorder.limits.check_query(&query)?;
        self.inner.records.engine.ready().await?;
        self.inner.recaller.fixes_of(&query).await
    }

    /// Lists the playbooks.
    ///
    /// # Errors
    /// Whatever the tiers report.
    pub async fn playbooks(&self) -> Result<Listed<Playbook>> {
        self.all(Kind::Playbook, Entity::as_playbook).await
    }

    /// Lists the pinned and rejected items, including items that no longer exist.
    ///
    /// # Errors
    /// Whatever the tiers report.
    pub async fn rulings(&self) -> Result<Listed<Ruling>> {
        self.all(Kind::Ruling, Entity::as_ruling).await
    }

    /// Lists the learning metrics.
    ///
    /// # Errors
    /// Whatever the tiers report.
    pub async fn metrics(&self) -> Result<Listed<Metric>> {
        self.all(Kind::Metric, Entity::as_metric).await
    }

    /// Returns how right the advice on tools has been lately, by domain: each completed episode is predicted
    /// before it is learned from. This is the state of this process; no tier is asked.
    pub async fn advice_skill(&self) -> Vec<AdviceSkill> {
        self.inner.advisors.advice_skill().await
    }

    /// Lists the consolidation cycles, oldest first.
    ///
    /// # Errors
    /// Whatever the tiers report.
    pub async fn cycles(&self) -> Result<Listed<Cycle>> {
        self.all(Kind::Cycle, Entity::as_cycle).await
    }

    /// Returns the evidence on an item, oldest first.
    ///
    /// # Errors
    /// Whatever the tiers report.
    pub async fn evidence(&self, item: ItemId) -> Result<Listed<Evidence>> {
        self.inner.records.evidence_on(item).await
    }

    /// Returns the score of an episode; `None` until it is completed. While the durable tier is away, it is the
    /// score that is known here.
    ///
    /// # Errors
    /// Whatever the tiers report.
    pub async fn reward(&self, episode: memory_core::EpisodeId) -> Result<Option<Reward>> {
        Ok(self.one(Kind::Reward, &episode.to_string(), Entity::as_reward).await?.0)
    }

    /// Returns the items learned from an episode; `None` until it was learned from. While the durable tier is
    /// away, returns the items known here.
    ///
    /// # Errors
    /// Whatever the tiers report.
    pub async fn reflection(&self, episode: memory_core::EpisodeId) -> Result<Option<Reflection>> {
        Ok(self.one(Kind::Reflection, &episode.to_string(), Entity::as_reflection).await?.0)
    }

    /// Explains a heuristic by its episodes and uses.
    ///
    /// # Errors
    /// `NotFound` for an unknown heuristic; whatever the tiers report.
    pub async fn explain(&self, id: HeuristicId) -> Result<Explanation> {
        let (heuristic, mut freshness) = self.heuristic("explain", id).await?;
        let uses = self.evidence(ItemId::Heuristic(id)).await?;
        let supporting = self.episodes(&heuristic.supporting).await?;
        let contradicting = self.episodes(&heuristic.contradicting).await?;
        for part in [uses.freshness, supporting.freshness, contradicting.freshness] {
            freshness = freshness.or_staler(part);
        }
        let (uses, supporting, contradicting) = (uses.items, supporting.items, contradicting.items);
        Ok(Explanation { heuristic, supporting, contradicting, uses, freshness })
    }

    /// Returns how often a task was done before, ignoring its values, and its usual effort.
    ///
    /// # Errors
    /// When the memory cannot be opened to the end.
    pub async fn task(&self, task: &Task) -> Result<TaskRecord> {
        let engine = &self.inner.records.engine;
        engine.ready().await?;
        let fingerprint = fingerprint(task);
        let space = engine.namespace();
        let known = self.inner.records.index.with(|index| {
            index.tasks(space).map(|tasks| tasks.of_fingerprint(&fingerprint)).unwrap_or_default()
        });
        Ok(TaskRecord {
            fingerprint,
            episodes: known.episodes,
            successes: known.successes,
            steps: known.steps(),
            duration_ms: known.duration_ms(),
        })
    }

    /// Measures the benefit of memory: success of the episodes that were shown a recall against those whose
    /// recall was withheld, over all and by domain.
    ///
    /// # Errors
    /// Whatever the tiers report.
    pub async fn lift(&self) -> Result<Listed<Lift>> {
        let episodes = self.all(Kind::Episode, Entity::as_episode).await?;
        Ok(Listed { items: lift(&episodes), freshness: episodes.freshness })
    }

    async fn heuristic(&self, operation: &'static str, id: HeuristicId) -> Result<(Heuristic, Freshness)> {
        let (found, freshness) = self.one(Kind::Heuristic, &id.to_string(), Entity::as_heuristic).await?;
        let unknown = || {
            Error::new(ErrorKind::NotFound, operation, format!("there is no heuristic {id}"))
                .with_hint("`memory heuristics list` shows those of this namespace")
        };
        Ok((found.ok_or_else(unknown)?, freshness))
    }

    /// Reads the episodes that still exist; unreachable ones are left out.
    async fn episodes(&self, ids: &[memory_core::EpisodeId]) -> Result<Listed<Episode>> {
        let (mut items, mut freshness) = (Vec::new(), Freshness::Fresh);
        for id in ids {
            let (episode, how_current) =
                match self.one(Kind::Episode, &id.to_string(), Entity::as_episode).await {
                    Err(error) if means_away(&error) => (None, Freshness::Stale { age: Duration::ZERO }),
                    read => read?,
                };
            items.extend(episode);
            freshness = freshness.or_staler(how_current);
        }
        Ok(Listed { items, freshness })
    }

    async fn one<T: Clone>(
        &self,
        kind: Kind,
        id: &str,
        item: fn(&Entity) -> Option<&T>,
    ) -> Result<(Option<T>, Freshness)> {
        let read = self
            .inner
            .records
            .engine
            .read(&Key::new(self.inner.records.engine.namespace(), kind, id))
            .await?;
        let entity = read.record.and_then(|record| record.entity);
        let found = entity.and_then(|entity| item(&self.inner.records.noted(entity)).cloned());
        Ok((found, read.freshness))
    }

    async fn all<T: Clone>(&self, kind: Kind, item: fn(&Entity) -> Option<&T>) -> Result<Listed<T>> {
        self.inner.records.all(kind, item).await
    }
}
