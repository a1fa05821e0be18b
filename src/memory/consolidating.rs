//! Consolidation ("dream cycle"): on demand, when there is no work, and at an interval.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use memory_core::{
    Cycle, Entity, Episode, EpisodeId, Freshness, ItemId, Key, Kind, Metric, Order, Pattern, Result, Reward,
    Scan, Tally, Timestamp, Trigger, lock,
};
use memory_learn::consolidate::plan::{Changes, Consolidator, Known, Piece};
use memory_learn::metrics;
use memory_learn::metrics::{day_of, metrics};

use crate::memory::draft::Draft;
use crate::memory::heuristics::Refresh;
use crate::memory::{Inner, Memory};

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

/// What ends a cycle before its time.
struct Limits {
    /// The time by which things are too old: that of the durable tier.
    now: Timestamp,
    started: Duration,
    budget: Duration,
    /// The count of the application's calls when the cycle started; `None`: they do not stop it.
    activity: Option<u64>,
}

/// What the last cycle had no time for.
#[derive(Debug, Clone)]
pub(super) enum Left {
    /// This piece, what follows it, and the rest.
    Items(Piece),
    /// What comes behind the items, from this step on.
    Rest(usize),
}

impl Memory {
    /// Consolidates what was learned: merges near-duplicate patterns, counts items anew so that old evidence counts less,
    /// prunes, generalises, removes what has expired, and measures; records the cycle and returns it.
    ///
    /// `budget` is the time after which it begins nothing more; that of the configuration if `None`. At least one piece is
    /// done, and what is left is done next time, as long as the memory stays open.
    ///
    /// # Errors
    /// Whatever the tiers report; what was done until then is kept.
    pub async fn consolidate(&self, budget: Option<Duration>) -> Result<Cycle> {
        self.inner.consolidate(Trigger::Demand, budget).await
    }
}

impl Inner {
    pub(super) async fn consolidate(&self, trigger: Trigger, budget: Option<Duration>) -> Result<Cycle> {
        let clock = self.engine.clock();
        // What somebody elsewhere has pinned by now is not pruned.
        self.engine.pull().await?;
        // What goes because of its age goes by the durable tier's time, not by a clock that may be wrong.
        let purged = self.engine.purge(self.engine.now()).await?;
        let limits = Limits {
            now: purged.until,
            started: clock.monotonic(),
            budget: budget.unwrap_or(self.learning.consolidation.budget),
            activity: (trigger != Trigger::Demand).then(|| self.learner.activity.load(Ordering::Relaxed)),
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
            let _gate = self.learner.gate.lock().await;
            self.learn_noted().await?;
            self.refresh_heuristics(Refresh::Changed).await?;
        }
        // What the last cycle had no time for comes first: none may keep the rest waiting for ever.
        // An error leaves it as it was.
        let left = lock(&self.learner.left).clone();
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
                *lock(&self.learner.left) = Some(Left::Rest(from));
                self.consolidate_rest(&limits, from).await?.map(Left::Rest)
            }
        };
        cycle.interrupted = left.is_some();
        *lock(&self.learner.left) = left;
        let taken = clock.monotonic().saturating_sub(limits.started);
        cycle.duration_ms = u64::try_from(taken.as_millis()).unwrap_or(u64::MAX);
        let id = self.ids.next(cycle.started_at).to_string();
        let record = self
            .engine
            .version(Key::new(self.engine.namespace(), Kind::Cycle, id), Some(Entity::Cycle(cycle.clone())));
        self.engine.commit(vec![record]).await?;
        Ok(cycle)
    }

    /// Does what comes behind the items, from a step on, and at least a part of that one: however little time there is, each
    /// cycle gets further. Returns the step that is left.
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
                    self.drop_foreign_vectors().await?;
                    true
                }
                4 => {
                    self.refresh_others(|| self.is_over(limits)).await?;
                    self.compare_all(|| self.is_over(limits)).await?;
                    true
                }
                // Last: it asks the durable tier episode by episode, and goes on where it stopped by itself.
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
        let taken = self.engine.clock().monotonic().saturating_sub(limits.started);
        taken >= limits.budget || self.gives_way(limits)
    }

    /// Returns true if there is something more urgent than a cycle.
    fn gives_way(&self, limits: &Limits) -> bool {
        let worked =
            limits.activity.is_some_and(|seen| seen != self.learner.activity.load(Ordering::Relaxed));
        worked || self.engine.is_closed()
    }

    /// Goes over what was learned, from a piece that was left or from the start; returns the piece that is left.
    async fn consolidate_items(
        &self,
        limits: &Limits,
        cycle: &mut Cycle,
        left: Option<&Piece>,
    ) -> Result<Option<Piece>> {
        let patterns = self.all(Kind::Pattern, Entity::as_pattern).await?.items;
        let heuristics = self.all(Kind::Heuristic, Entity::as_heuristic).await?.items;
        let playbooks = self.all(Kind::Playbook, Entity::as_playbook).await?.items;
        let failures = self.all(Kind::Failure, Entity::as_failure).await?.items;
        let (config, confidence) = (self.learning.consolidation.clone(), self.learning.confidence.clone());
        let mut consolidator =
            Consolidator::new(patterns, heuristics, playbooks, failures, limits.now, config, confidence);
        left.into_iter().for_each(|left| consolidator.go_on_with(left));
        let kept = self.engine.retention_of(Kind::Evidence).is_none();
        let baselines = self.baselines();
        let baseline = |domain: Option<&str>| baselines.of_domain(domain);
        // However little time there is, each cycle does one piece; work that arrives may stop it before.
        let mut started = false;
        while let Some(piece) = consolidator.next_piece() {
            if self.gives_way(limits) || started && self.is_over(limits) {
                return Ok(Some(piece));
            }
            started = true;
            // Held a piece at a time: a learner that waits goes first.
            let _gate = self.learner.gate.lock().await;
            let (mut evidence, mut freshness) = (Vec::new(), Freshness::Fresh);
            for item in piece.needs() {
                consolidator.renew(item, self.stored(item).await?);
                let found = self.evidence_on(item).await?;
                freshness = freshness.or_staler(found.freshness);
                evidence.extend(found.items);
            }
            let complete = kept && freshness == Freshness::Fresh;
            let Changes { write, remove, merged, decayed, pruned, generalised, notes } =
                consolidator.run(piece, Known { evidence: &evidence, complete }, &baseline);
            let mut draft = Draft::new(self);
            write.into_iter().for_each(|(id, entity)| draft.put(id, entity));
            remove.into_iter().for_each(|(kind, id)| draft.remove(kind, id));
            self.engine.commit(draft.into_records()).await?;
            cycle.merged += merged;
            cycle.decayed += decayed;
            cycle.pruned += pruned;
            cycle.generalised += generalised;
            cycle.notes.extend(notes);
            cycle.notes.truncate(NOTES);
        }
        Ok(None)
    }

    /// Returns an item as the store has it, whatever the caches last saw of it: another process may have changed it.
    async fn stored(&self, item: ItemId) -> Result<Option<Entity>> {
        let scan = Scan::new(self.engine.namespace(), item.kind()).prefix(item.record_id()).limit(1);
        let (page, _) = self.engine.scan_fresh(&scan).await?;
        let found = page.records.into_iter().find(|record| *record.key.id == *item.record_id());
        let entity = found.and_then(|record| record.entity);
        Ok(entity.map(|entity| Arc::unwrap_or_clone(self.noted(entity))))
    }

    /// Withdraws what was derived from episodes that are gone: another process may have learned from one while it was
    /// forgotten, and retention removes episodes, too. What it does not get to is for the next cycle.
    async fn sweep_orphans(&self, limits: &Limits) -> Result<()> {
        let space = self.engine.namespace();
        for _ in 0..SWEPT / SWEPT_TOGETHER {
            let from = lock(&self.learner.swept_to).clone();
            let scan = Scan::new(space, Kind::Reward).limit(SWEPT_TOGETHER).after(from);
            let (page, _) = self.engine.scan_fresh(&scan).await?;
            for record in &page.records {
                let reward = record.entity.as_ref().and_then(|entity| entity.as_reward());
                let is_known = |reward: &Reward| {
                    let key = Key::episode(space, reward.episode);
                    self.index.with(|index| index.is_live(&key, limits.now))
                };
                if let Some(reward) = reward.filter(|reward| !is_known(reward))
                    && self.is_gone(reward.episode).await?
                {
                    let _gate = self.learner.gate.lock().await;
                    let mut draft = Draft::new(self);
                    let again = self.withdraw(reward.episode, &mut draft).await?;
                    self.engine.commit(draft.into_records()).await?;
                    again.into_iter().for_each(|id| self.learner.due(id));
                }
                if self.is_over(limits) {
                    *lock(&self.learner.swept_to) = Some(record.key.id.clone());
                    return Ok(());
                }
            }
            let is_last = page.next.is_none();
            *lock(&self.learner.swept_to) = page.next;
            if is_last {
                break;
            }
        }
        Ok(())
    }

    /// Removes steps and artifacts of episodes that were forgotten: another process may have added to one meanwhile. Only
    /// those that the durable tier has the tombstone of: the head of another one may be on its way, or set aside.
    async fn sweep_owned(&self, limits: &Limits) -> Result<()> {
        let space = self.engine.namespace();
        let mut from = lock(&self.learner.swept_owned_to).clone();
        for (at, kind) in [Kind::Step, Kind::Artifact, Kind::Reflection].into_iter().enumerate() {
            for _ in 0..SWEPT_OWNERS {
                if self.is_over(limits) {
                    break;
                }
                let scan = Scan::new(space, kind).limit(1).after(from[at].take());
                let (page, _) = self.engine.scan_fresh(&scan).await?;
                let Some(first) = page.records.first() else { break };
                let owner = kind.owner_of(&first.key.id).and_then(|owner| owner.parse::<EpisodeId>().ok());
                let Some(owner) = owner else {
                    from[at] = Some(first.key.id.clone());
                    continue;
                };
                // Behind all that it owns: `;` comes after `:`.
                from[at] = Some(format!("{owner};").into());
                let key = Key::episode(space, owner);
                let known = self.index.with(|index| index.is_live(&key, limits.now));
                let head = if known { None } else { self.engine.durable_version(&key).await?.flatten() };
                if !head.is_some_and(|head| head.is_tombstone()) {
                    continue;
                }
                let _gate = self.learner.gate.lock().await;
                let mut draft = Draft::new(self);
                if kind == Kind::Reflection {
                    draft.remove(kind, owner.to_string());
                } else {
                    let owned = self.owned(kind, owner).await?;
                    owned.ids().for_each(|id| draft.remove(kind, id));
                }
                self.engine.commit(draft.into_records()).await?;
            }
        }
        *lock(&self.learner.swept_owned_to) = from;
        Ok(())
    }

    /// Takes episodes that are gone out of what names them: another process may have written back, with what it learned
    /// itself, what it had read before they were forgotten. What it does not get to is for the next cycle.
    async fn sweep_names(&self, limits: &Limits) -> Result<()> {
        if self.engine.index_freshness() != Freshness::Fresh {
            return Ok(());
        }
        let space = self.engine.namespace();
        let patterns = self.all(Kind::Pattern, Entity::as_pattern).await?.items;
        let playbooks = self.all(Kind::Playbook, Entity::as_playbook).await?.items;
        let failures = self.all(Kind::Failure, Entity::as_failure).await?.items;
        let naming = patterns
            .iter()
            .map(|pattern| (ItemId::Pattern(pattern.id), &pattern.episodes))
            .chain(playbooks.iter().map(|playbook| (ItemId::Playbook(playbook.id), &playbook.sources)))
            .chain(failures.iter().map(|failure| (ItemId::Failure(failure.id), &failure.episodes)));
        let mut unknown = Vec::new();
        self.index.with(|index| {
            for (item, episodes) in naming {
                let gone =
                    episodes.iter().filter(|id| !index.is_live(&Key::episode(space, **id), limits.now));
                unknown.extend(gone.map(|id| (item, *id)));
            }
        });
        for (item, id) in unknown.into_iter().take(SWEPT) {
            if self.is_gone(id).await? {
                let _gate = self.learner.gate.lock().await;
                let mut draft = Draft::new(self);
                let again = self.withdraw_from(item, id, &mut draft).await?;
                self.engine.commit(draft.into_records()).await?;
                again.into_iter().for_each(|id| self.learner.due(id));
            }
            if self.is_over(limits) {
                break;
            }
        }
        Ok(())
    }

    /// Computes the learning metrics of the days that the newest episodes ended on. Returns false if its time was over
    /// before the last of them.
    async fn measure(&self, limits: &Limits) -> Result<bool> {
        let (episodes, all) = self.newest_episodes().await?;
        let patterns: Vec<Pattern> = self.all(Kind::Pattern, Entity::as_pattern).await?.items;
        let days: BTreeSet<Timestamp> =
            episodes.iter().filter_map(|episode| episode.completed_at).map(day_of).collect();
        let held = self.all(Kind::Metric, Entity::as_metric).await?.items;
        let held: BTreeMap<String, Metric> =
            held.into_iter().map(|metric| (metrics::record_id(&metric), metric)).collect();
        let from = *lock(&self.learner.measured_to);
        for day in days.into_iter().filter(|day| from.is_none_or(|from| *day > from)) {
            let mut draft = Draft::new(self);
            for metric in metrics(day, &episodes, &patterns) {
                let id = metrics::record_id(&metric);
                let known = held.get(&id);
                // Of a day that is seen in part only, what was measured over more episodes stays.
                let fuller = known.is_some_and(|known| !all && known.samples > metric.samples);
                // Of a pattern only the newest episodes are named, of which none may be the agent's any more.
                let named = metric.agent.is_some() && metric.name == "patterns";
                let fuller = fuller || named && known.is_some_and(|known| known.value > metric.value);
                if known != Some(&metric) && !fuller {
                    draft.put(id, metric);
                }
            }
            self.engine.commit(draft.into_records()).await?;
            tokio::task::yield_now().await;
            if self.is_over(limits) {
                *lock(&self.learner.measured_to) = Some(day);
                return Ok(false);
            }
        }
        *lock(&self.learner.measured_to) = None;
        Ok(true)
    }

    /// Returns the newest completed episodes, and whether that is all of them.
    async fn newest_episodes(&self) -> Result<(Vec<Episode>, bool)> {
        let mut episodes = Vec::new();
        let mut scan = Scan::new(self.engine.namespace(), Kind::Episode)
            .equals("status", "completed")
            .order(Order::Descending)
            .limit(500);
        loop {
            let (page, freshness) = self.engine.scan_fresh(&scan).await?;
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

    /// Returns how episodes go by domain: what the uses of an item are measured against.
    pub(super) fn baselines(&self) -> Baselines {
        let space = self.engine.namespace();
        let now = self.engine.now();
        self.index.with(|index| Baselines {
            now,
            by_domain: index.tasks(space).map(|tasks| tasks.by_domain()).unwrap_or_default(),
        })
    }
}

/// How many episodes of each domain succeeded.
#[derive(Debug, Clone)]
pub(super) struct Baselines {
    now: Timestamp,
    by_domain: BTreeMap<Arc<str>, (u32, u32)>,
}

impl Baselines {
    /// Returns the tally of a domain; of tasks without one for `None`.
    pub(super) fn of_domain(&self, domain: Option<&str>) -> Tally {
        let key = memory_recall::tokenize::label_key(domain);
        let (episodes, successes) = self.by_domain.get(key.as_str()).copied().unwrap_or_default();
        let failures = episodes - successes;
        Tally {
            successes,
            failures,
            success_weight: f64::from(successes),
            failure_weight: f64::from(failures),
            as_of: self.now,
        }
    }
}
