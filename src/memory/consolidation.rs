//! Consolidation ("dream cycle"): on demand, when there is no work, and at an interval.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use memory_core::{
    Cycle, Entity, Episode, EpisodeId, Freshness, IdSource, ItemId, Key, Kind, Metric, Order, Pattern,
    Result, Reward, Scan, Timestamp, Trigger, lock,
};
use memory_learn::consolidate::plan::{Changes, Consolidator, Known, Piece};
use memory_learn::metrics;
use memory_learn::metrics::{day_of, metrics};

use crate::memory::advisors::Advisors;
use crate::memory::backlog::Backlog;
use crate::memory::draft::Draft;
use crate::memory::forgetter::Forgetter;
use crate::memory::records::Records;
use crate::memory::rules::{Refresh, Rules};
use crate::memory::vectors::Vectors;
use crate::memory::{LearningConfig, Memory};

/// Episodes that metrics are computed over: the newest.
const MEASURED: usize = 5_000;
/// Rewards whose episodes are looked for in one cycle, and names of episodes.
const SWEPT: usize = 2_000;
/// Those that are read at a time.
const SWEPT_TOGETHER: usize = 500;
/// Episodes whose steps, and whose artifacts, are looked at in one cycle.
const SWEPT_OWNERS: usize = 200;
/// Notes a cycle keeps.
const NOTES: usize = 20;

/// Reasons to end a cycle early.
struct Limits {
    /// The time by which things are too old: that of the durable tier.
    now: Timestamp,
    started: Duration,
    budget: Duration,
    /// The count of the application's calls when the cycle started; `None`: they do not stop it.
    activity: Option<u64>,
}

/// Work that the last cycle had no time for.
#[derive(Debug, Clone)]
enum Left {
    /// This piece, the following ones, and the rest.
    Items(Piece),
    /// Work after the items, from this step on.
    Rest(usize),
}

impl Memory {
    /// Consolidates learned items: merges near-duplicate patterns, recounts evidence so that old evidence
    /// weighs less, prunes, generalises, removes expired items, and updates metrics; records the cycle and
    /// returns it.
    ///
    /// `budget` is the time after which it begins nothing more; that of the configuration if `None`. At least
    /// one piece is done, and the next cycle continues with the rest, as long as the memory stays open.
    ///
    /// # Errors
    /// Errors of the tiers; work done until then is kept.
    pub async fn consolidate(&self, budget: Option<Duration>) -> Result<Cycle> {
        self.inner.consolidation.consolidate(Trigger::Demand, budget).await
    }
}

/// Merges, prunes and measures learned items.
pub(super) struct Consolidation {
    pub(super) records: Arc<Records>,
    pub(super) backlog: Arc<Backlog>,
    pub(super) advisors: Arc<Advisors>,
    pub(super) rules: Arc<Rules>,
    pub(super) vectors: Option<Arc<Vectors>>,
    pub(super) forgetter: Arc<Forgetter>,
    pub(super) ids: Arc<dyn IdSource>,
    pub(super) learning: Arc<LearningConfig>,
    pub(super) progress: Progress,
}

/// The progress of cycles that ended early.
#[derive(Debug, Default)]
pub(super) struct Progress {
    /// How far the sweep for items without episodes has come.
    swept_to: Mutex<Option<Arc<str>>>,
    /// The same for records whose owning episode is gone: steps, artifacts, reflections.
    swept_owned_to: Mutex<[Option<Arc<str>>; 3]>,
    /// The last day that was measured.
    measured_to: Mutex<Option<Timestamp>>,
    /// Unfinished work.
    left: Mutex<Option<Left>>,
}

impl Consolidation {
    /// Has the next cycle measure every day: an episode was forgotten.
    pub(super) fn measure_all_days(&self) {
        *lock(&self.progress.measured_to) = None;
    }

    pub(super) async fn consolidate(&self, trigger: Trigger, budget: Option<Duration>) -> Result<Cycle> {
        let clock = self.records.engine.clock();
        // Items that another process has pinned by now are not pruned.
        self.records.engine.pull().await?;
        // Expiry follows the durable tier's time, not this machine's clock, which may be wrong.
        let purged = self.records.engine.purge(self.records.engine.now()).await?;
        let limits = Limits {
            now: purged.until,
            started: clock.monotonic(),
            budget: budget.unwrap_or(self.learning.consolidation.budget),
            activity: (trigger != Trigger::Demand).then(|| self.backlog.activity()),
        };
        let mut cycle = Cycle {
            trigger,
            started_at: clock.now(),
            duration_ms: 0,
            merged: 0,
            decayed: 0,
            pruned: 0,
            generalised: 0,
            expired: u32::try_from(purged.records).unwrap_or(u32::MAX),
            interrupted: false,
            notes: Vec::new(),
        };
        {
            let _gate = self.backlog.gate.lock().await;
            self.advisors.learn_noted().await?;
            self.rules.refresh_heuristics(Refresh::Changed).await?;
        }
        // Work left by the last cycle comes first, so that no part is postponed for ever. An error leaves it
        // unchanged.
        let left = lock(&self.progress.left).clone();
        let (from, left) = match left {
            Some(Left::Rest(from)) => (Some(from), None),
            Some(Left::Items(piece)) => {
                (None, self.consolidate_items(&limits, &mut cycle, Some(&piece)).await?)
            }
            None => (None, self.consolidate_items(&limits, &mut cycle, None).await?),
        };
        let left = match (left, from) {
            (Some(piece), _) => Some(Left::Items(piece)),
            (None, None) if self.is_over(&limits) => Some(Left::Rest(0)),
            (None, from) => {
                let from = from.unwrap_or(0);
                *lock(&self.progress.left) = Some(Left::Rest(from));
                self.consolidate_rest(&limits, from).await?.map(Left::Rest)
            }
        };
        cycle.interrupted = left.is_some();
        *lock(&self.progress.left) = left;
        let taken = clock.monotonic().saturating_sub(limits.started);
        cycle.duration_ms = u64::try_from(taken.as_millis()).unwrap_or(u64::MAX);
        let id = self.ids.next(cycle.started_at).to_string();
        let record = self.records.engine.version(
            Key::new(self.records.engine.namespace(), Kind::Cycle, id),
            Some(Entity::Cycle(cycle.clone())),
        );
        self.records.engine.commit(vec![record]).await?;
        Ok(cycle)
    }

    /// Runs the steps after the items, beginning with `from`, and at least a part of that one: however small
    /// the budget, each cycle makes progress. Returns the step to continue with.
    async fn consolidate_rest(&self, limits: &Limits, from: usize) -> Result<Option<usize>> {
        let mut step = from;
        loop {
            let done = match step {
                0 => {
                    self.sweep_orphans(limits).await?;
                    true
                }
                1 => {
                    self.sweep_names(limits).await?;
                    true
                }
                2 => self.measure(limits).await?,
                3 => {
                    if let Some(vectors) = &self.vectors {
                        vectors.drop_foreign().await?;
                    }
                    true
                }
                4 => {
                    self.rules.refresh_others(|| self.is_over(limits)).await?;
                    self.advisors.compare_all(|| self.is_over(limits)).await?;
                    true
                }
                // Last: it asks the durable tier episode by episode, and remembers its own position.
                _ => {
                    self.sweep_owned(limits).await?;
                    return Ok(None);
                }
            };
            step += usize::from(done);
            if !done || self.is_over(limits) {
                return Ok(Some(step));
            }
        }
    }

    fn is_over(&self, limits: &Limits) -> bool {
        let taken = self.records.engine.clock().monotonic().saturating_sub(limits.started);
        taken >= limits.budget || self.gives_way(limits)
    }

    /// Returns true if there is something more urgent than a cycle.
    fn gives_way(&self, limits: &Limits) -> bool {
        let worked = limits.activity.is_some_and(|seen| seen != self.backlog.activity());
        worked || self.records.engine.is_closed()
    }

    /// Consolidates the items, from a given piece or from the start; returns the piece to continue with.
    async fn consolidate_items(
        &self,
        limits: &Limits,
        cycle: &mut Cycle,
        left: Option<&Piece>,
    ) -> Result<Option<Piece>> {
        let patterns = self.records.all(Kind::Pattern, Entity::as_pattern).await?.items;
        let heuristics = self.records.all(Kind::Heuristic, Entity::as_heuristic).await?.items;
        let playbooks = self.records.all(Kind::Playbook, Entity::as_playbook).await?.items;
        let failures = self.records.all(Kind::Failure, Entity::as_failure).await?.items;
        let (config, confidence) = (self.learning.consolidation.clone(), self.learning.confidence.clone());
        let mut consolidator =
            Consolidator::new(patterns, heuristics, playbooks, failures, limits.now, config, confidence);
        left.into_iter().for_each(|left| consolidator.go_on_with(left));
        let kept = self.records.engine.retention_of(Kind::Evidence).is_none();
        let baselines = self.records.baselines();
        let baseline = |domain: Option<&str>| baselines.of_domain(domain);
        // However little time there is, each cycle does one piece; work that arrives may stop it before.
        let mut started = false;
        while let Some(piece) = consolidator.next_piece() {
            if self.gives_way(limits) || started && self.is_over(limits) {
                return Ok(Some(piece));
            }
            started = true;
            // Held for one piece at a time, so that a waiting learner goes first.
            let _gate = self.backlog.gate.lock().await;
            let (mut evidence, mut freshness) = (Vec::new(), Freshness::Fresh);
            for item in piece.needs() {
                consolidator.renew(item, self.records.stored(item).await?);
                let found = self.records.evidence_on(item).await?;
                freshness = freshness.or_staler(found.freshness);
                evidence.extend(found.items);
            }
            let complete = kept && freshness == Freshness::Fresh;
            let Changes { write, remove, merged, decayed, pruned, generalised, notes } =
                consolidator.run(piece, Known { evidence: &evidence, complete }, &baseline);
            let mut draft = Draft::new(&self.records);
            write.into_iter().for_each(|(id, entity)| draft.put(id, entity));
            remove.into_iter().for_each(|(kind, id)| draft.remove(kind, id));
            self.records.engine.commit(draft.into_records()).await?;
            cycle.merged += merged;
            cycle.decayed += decayed;
            cycle.pruned += pruned;
            cycle.generalised += generalised;
            cycle.notes.extend(notes);
            cycle.notes.truncate(NOTES);
        }
        Ok(None)
    }

    /// Withdraws items derived from deleted episodes: another process may have learned from one while it was
    /// forgotten, and retention deletes episodes, too. The next cycle continues with the rest.
    async fn sweep_orphans(&self, limits: &Limits) -> Result<()> {
        let space = self.records.engine.namespace();
        for _ in 0..SWEPT / SWEPT_TOGETHER {
            let from = lock(&self.progress.swept_to).clone();
            let scan = Scan::new(space, Kind::Reward).limit(SWEPT_TOGETHER).after(from);
            let (page, _) = self.records.engine.scan_fresh(&scan).await?;
            for record in &page.records {
                let reward = record.entity.as_ref().and_then(|entity| entity.as_reward());
                let is_known = |reward: &Reward| {
                    let key = Key::episode(space, reward.episode);
                    self.records.index.with(|index| index.is_live(&key, limits.now))
                };
                if let Some(reward) = reward.filter(|reward| !is_known(reward))
                    && self.records.is_gone(reward.episode).await?
                {
                    let _gate = self.backlog.gate.lock().await;
                    let mut draft = Draft::new(&self.records);
                    let again = self.forgetter.withdraw(reward.episode, &mut draft).await?;
                    self.records.engine.commit(draft.into_records()).await?;
                    again.into_iter().for_each(|id| self.backlog.due(id));
                }
                if self.is_over(limits) {
                    *lock(&self.progress.swept_to) = Some(record.key.id.clone());
                    return Ok(());
                }
            }
            let is_last = page.next.is_none();
            *lock(&self.progress.swept_to) = page.next;
            if is_last {
                break;
            }
        }
        Ok(())
    }

    /// Removes steps and artifacts of forgotten episodes: another process may have added to one meanwhile. Only
    /// for episodes with a tombstone in the durable tier: the head of another one may still be on its way, or a
    /// dead letter.
    async fn sweep_owned(&self, limits: &Limits) -> Result<()> {
        let space = self.records.engine.namespace();
        let mut from = lock(&self.progress.swept_owned_to).clone();
        for (at, kind) in [Kind::Step, Kind::Artifact, Kind::Reflection].into_iter().enumerate() {
            for _ in 0..SWEPT_OWNERS {
                if self.is_over(limits) {
                    break;
                }
                let scan = Scan::new(space, kind).limit(1).after(from[at].take());
                let (page, _) = self.records.engine.scan_fresh(&scan).await?;
                let Some(first) = page.records.first() else { break };
                let owner = kind.owner_of(&first.key.id).and_then(|owner| owner.parse::<EpisodeId>().ok());
                let Some(owner) = owner else {
                    from[at] = Some(first.key.id.clone());
                    continue;
                };
                // After everything that it owns: `;` sorts after `:`.
                from[at] = Some(format!("{owner};").into());
                let key = Key::episode(space, owner);
                let known = self.records.index.with(|index| index.is_live(&key, limits.now));
                let head =
                    if known { None } else { self.records.engine.durable_version(&key).await?.flatten() };
                if !head.is_some_and(|head| head.is_tombstone()) {
                    continue;
                }
                let _gate = self.backlog.gate.lock().await;
                let mut draft = Draft::new(&self.records);
                if kind == Kind::Reflection {
                    draft.remove(kind, owner.to_string());
                } else {
                    let owned = self.records.owned(kind, owner).await?;
                    owned.ids().for_each(|id| draft.remove(kind, id));
                }
                self.records.engine.commit(draft.into_records()).await?;
            }
        }
        *lock(&self.progress.swept_owned_to) = from;
        Ok(())
    }

    /// Removes deleted episodes from the items that name them: another process may have written back items that
    /// it had read before the episodes were forgotten. The next cycle continues with the rest.
    async fn sweep_names(&self, limits: &Limits) -> Result<()> {
        if self.records.engine.index_freshness() != Freshness::Fresh {
            return Ok(());
        }
        let space = self.records.engine.namespace();
        let patterns = self.records.all(Kind::Pattern, Entity::as_pattern).await?.items;
        let playbooks = self.records.all(Kind::Playbook, Entity::as_playbook).await?.items;
        let failures = self.records.all(Kind::Failure, Entity::as_failure).await?.items;
        let naming = patterns
            .iter()
            .map(|pattern| (ItemId::Pattern(pattern.id), &pattern.episodes))
            .chain(playbooks.iter().map(|playbook| (ItemId::Playbook(playbook.id), &playbook.sources)))
            .chain(failures.iter().map(|failure| (ItemId::Failure(failure.id), &failure.episodes)));
        let mut unknown = Vec::new();
        self.records.index.with(|index| {
            for (item, episodes) in naming {
                let gone =
                    episodes.iter().filter(|id| !index.is_live(&Key::episode(space, **id), limits.now));
                unknown.extend(gone.map(|id| (item, *id)));
            }
        });
        for (item, id) in unknown.into_iter().take(SWEPT) {
            if self.records.is_gone(id).await? {
                let _gate = self.backlog.gate.lock().await;
                let mut draft = Draft::new(&self.records);
                let again = self.forgetter.withdraw_from(item, id, &mut draft).await?;
                self.records.engine.commit(draft.into_records()).await?;
                again.into_iter().for_each(|id| self.backlog.due(id));
            }
            if self.is_over(limits) {
                break;
            }
        }
        Ok(())
    }

    /// Computes the learning metrics of the days that the newest episodes ended on. Returns false if its time
    /// was over before the last of them.
    async fn measure(&self, limits: &Limits) -> Result<bool> {
        let (episodes, all) = self.newest_episodes().await?;
        let patterns: Vec<Pattern> = self.records.all(Kind::Pattern, Entity::as_pattern).await?.items;
        let days: BTreeSet<Timestamp> =
            episodes.iter().filter_map(|episode| episode.completed_at).map(day_of).collect();
        let held = self.records.all(Kind::Metric, Entity::as_metric).await?.items;
        let held: BTreeMap<String, Metric> =
            held.into_iter().map(|metric| (metrics::record_id(&metric), metric)).collect();
        let from = *lock(&self.progress.measured_to);
        for day in days.into_iter().filter(|day| from.is_none_or(|from| *day > from)) {
            let mut draft = Draft::new(&self.records);
            for metric in metrics(day, &episodes, &patterns) {
                let id = metrics::record_id(&metric);
                let known = held.get(&id);
                // If only part of a day is visible, a metric that covers more episodes stays.
                let fuller = known.is_some_and(|known| !all && known.samples > metric.samples);
                // A pattern names only its newest episodes, and none of these may be the agent's any more.
                let named = metric.agent.is_some() && metric.name == "patterns";
                let fuller = fuller || named && known.is_some_and(|known| known.value > metric.value);
                if known != Some(&metric) && !fuller {
                    draft.put(id, metric);
                }
            }
            self.records.engine.commit(draft.into_records()).await?;
            tokio::task::yield_now().await;
            if self.is_over(limits) {
                *lock(&self.progress.measured_to) = Some(day);
                return Ok(false);
            }
        }
        *lock(&self.progress.measured_to) = None;
        Ok(true)
    }

    /// Returns the newest completed episodes, and whether that is all of them.
    async fn newest_episodes(&self) -> Result<(Vec<Episode>, bool)> {
        let mut episodes = Vec::new();
        let mut scan = Scan::new(self.records.engine.namespace(), Kind::Episode)
            .equals("status", "completed")
            .order(Order::Descending)
            .limit(500);
        loop {
            let (page, freshness) = self.records.engine.scan_fresh(&scan).await?;
            let found =
                page.records.iter().filter_map(|record| record.entity.as_ref()?.as_episode().cloned());
            episodes.extend(found);
            match page.next {
                None => return Ok((episodes, freshness == Freshness::Fresh)),
                Some(_) if episodes.len() >= MEASURED => return Ok((episodes, false)),
                Some(next) => scan.after = Some(next),
            }
        }
    }
}
