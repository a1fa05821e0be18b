//! Forgetting an episode, with everything derived from it.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};

use memory_core::{
    Entity, Episode, EpisodeId, ErrorKind, Evidence, EvidenceRole, Failure, Freshness, ItemId, Key, Kind,
    PatternBody, Result, Scan, Tally, Task, Timestamp, lock,
};
use memory_learn::confidence::Confidence;
use memory_learn::confidence::pattern_confidence;
use memory_learn::extract::{Extracted, extract};
use memory_learn::metrics::day_of;

use crate::memory::draft::Draft;
use crate::memory::heuristics::Refresh;
use crate::memory::learner::{ATTEMPTS, retold as retold_playbook};
use crate::memory::{Inner, Listed, Memory, unknown_steps};

/// Other episodes behind an item from which its texts are made again when one of them is forgotten.
const RELEARNED: usize = 8;

impl Memory {
    /// Forgets an episode with its steps and artifacts and everything derived from it, here and in the durable tier:
    /// what it alone showed is removed, what others show too is computed anew without it. Returns false if there is
    /// none.
    ///
    /// It stays forgotten: its tombstone is kept for ever and wins over every version of the episode, also one that a
    /// machine without a connection completes later, and the durable tier takes nothing any more that belongs to it.
    ///
    /// # Errors
    /// `Unavailable` when the durable tier must say which steps there are and does not answer.
    pub async fn forget(&self, id: EpisodeId) -> Result<bool> {
        let inner = &self.inner;
        // While something is learned from it, the episode stays; afterwards what was learned is found below.
        let _gate = inner.learner.gate.lock().await;
        let key = Key::episode(inner.engine.namespace(), id);
        let (description, domain, completed_at) = match inner.engine.read(&key).await {
            // What cannot be read can be forgotten; what it says by itself is not known then.
            Err(error) if error.kind() == ErrorKind::Corrupt => (None, None, None),
            read => {
                let known = read?.record.and_then(|record| record.entity?.as_episode().cloned());
                let Some(Episode { task, completed_at, .. }) = known else { return Ok(false) };
                let Task { description, domain, .. } = task;
                (Some(description), domain, completed_at)
            }
        };
        let mut attempts = 1..=ATTEMPTS;
        let (mut draft, again) = loop {
            let mut draft = Draft::new(inner);
            draft.forget(id);
            let again = inner.withdraw(id, &mut draft).await?;
            if attempts.next().is_none() || draft.is_current().await? {
                break (draft, again);
            }
        };
        {
            // Whoever adds to the episode has done so by now, or finds it gone.
            let _nobody_writes = inner.writing.forget(id).await;
            for kind in [Kind::Step, Kind::Artifact] {
                let owned = inner.owned(kind, id).await?;
                if owned.freshness != Freshness::Fresh {
                    return Err(unknown_steps("forget"));
                }
                owned.ids().for_each(|id| draft.remove(kind, id));
            }
            // It may have been completed meanwhile; then it is due, and learned from by nobody.
            if draft.has(Kind::Reward, id.to_string()).await? {
                draft.remove(Kind::Reward, id.to_string());
            }
            if let Some(description) = description {
                inner.withdraw_vector(id, &description, &mut draft).await?;
            }
            if let Some(at) = completed_at {
                inner.withdraw_metrics(at, &mut draft).await?;
            }
            inner.learner.forget(id);
            inner.engine.commit(draft.into_records()).await?;
        }
        inner.drop_vector(id);
        again.into_iter().for_each(|id| inner.learner.due(id));
        inner.rules.note(domain.as_deref());
        inner.advisors.note(domain.as_deref(), id);
        inner.learn_noted().await?;
        inner.refresh_heuristics(Refresh::Changed).await?;
        // What was forgotten is not to be in any file.
        inner.store_models().await;
        Ok(true)
    }
}

/// What forgetting an episode has others do.
#[derive(Default)]
struct Again {
    /// Episodes to learn from again.
    due: BTreeSet<EpisodeId>,
    /// What others tell, as a procedure of several or by themselves, each asked once for all items.
    told: BTreeMap<(EpisodeId, bool), Option<(bool, Extracted)>>,
}

impl Inner {
    /// Withdraws an episode's evidence; returns the episodes to learn from again.
    pub(super) async fn withdraw(&self, id: EpisodeId, draft: &mut Draft<'_>) -> Result<BTreeSet<EpisodeId>> {
        for kind in [Kind::Reward, Kind::Reflection] {
            if draft.has(kind, id.to_string()).await? {
                draft.remove(kind, id.to_string());
            }
        }
        let scan =
            Scan::new(self.engine.namespace(), Kind::Evidence).equals("episode", id.to_string().as_str());
        let evidence = self.gathered(scan, Entity::as_evidence).await?.items;
        let items: BTreeSet<ItemId> = evidence.iter().map(|evidence| evidence.item).collect();
        for evidence in &evidence {
            draft.remove(Kind::Evidence, evidence.record_id());
        }
        let mut again = Again::default();
        for item in items {
            self.recount(item, id, draft, &mut again).await?;
        }
        Ok(again.due)
    }

    /// Withdraws what an episode that is gone left in one item; returns the episodes to learn from again.
    pub(super) async fn withdraw_from(
        &self,
        item: ItemId,
        id: EpisodeId,
        draft: &mut Draft<'_>,
    ) -> Result<BTreeSet<EpisodeId>> {
        let mut again = Again::default();
        self.recount(item, id, draft, &mut again).await?;
        Ok(again.due)
    }

    /// Returns the evidence on an item in order of time, none of it later than now.
    pub(super) async fn evidence_on(&self, item: ItemId) -> Result<Listed<Evidence>> {
        let scan = Scan::new(self.engine.namespace(), Kind::Evidence).prefix(format!("{item}:"));
        let mut evidence = self.gathered(scan, Entity::as_evidence).await?;
        // What a clock that is ahead left must not age the rest.
        let now = self.engine.now();
        evidence.items.iter_mut().for_each(|evidence| evidence.at = evidence.at.min(now));
        evidence.items.sort_by_key(|evidence| (evidence.at, evidence.episode));
        Ok(evidence)
    }

    /// Computes an item's figures anew from its evidence, without that of one episode; removes it if nothing shows it
    /// any more.
    async fn recount(
        &self,
        item: ItemId,
        without: EpisodeId,
        draft: &mut Draft<'_>,
        again: &mut Again,
    ) -> Result<()> {
        let Some(mut entity) = draft.get(item.kind(), item.record_id()).await? else { return Ok(()) };
        let mut evidence = self.evidence_on(item).await?.items;
        evidence.retain(|evidence| evidence.episode != without);
        let observed = evidence.iter().any(|evidence| evidence.role == EvidenceRole::Observed);
        let tally = |role: EvidenceRole| {
            let pieces = evidence.iter().filter(|evidence| evidence.role == role);
            Tally::from_evidence(
                pieces.map(|evidence| (evidence.success, evidence.at)),
                &self.learning.confidence,
            )
        };
        let tellers: Vec<EpisodeId> = evidence
            .iter()
            .rev()
            .filter(|evidence| evidence.role == EvidenceRole::Observed)
            .map(|evidence| evidence.episode)
            .take(RELEARNED)
            .collect();
        let (all, used) = (tally(EvidenceRole::Observed), tally(EvidenceRole::Used));
        let confidence = all.lower_bound(all.as_of, &self.learning.confidence);
        let named = |episodes: &mut Vec<EpisodeId>| episodes.retain(|episode| *episode != without);
        match &mut entity {
            Entity::Pattern(pattern) if observed => {
                (pattern.tally, pattern.used) = (all, used);
                named(&mut pattern.episodes);
                let id = pattern.id;
                let told =
                    |extracted: &Extracted| extracted.patterns.iter().find(|told| told.id == id).cloned();
                let template = matches!(pattern.body, PatternBody::WorkflowTemplate { .. });
                let named = template.then_some(&pattern.episodes);
                let Some(told) = self.told_again(&tellers, named, without, again, told).await? else {
                    draft.remove(item.kind(), item.record_id());
                    return Ok(());
                };
                (pattern.body, pattern.terms) = (told.body, told.terms);
                pattern.confidence =
                    pattern_confidence(&pattern.body, &all, all.as_of, &self.learning.confidence);
            }
            Entity::Playbook(playbook) if observed => {
                (playbook.tally, playbook.used, playbook.confidence) = (all, used, confidence);
                named(&mut playbook.sources);
                let id = playbook.id;
                let told = |extracted: &Extracted| extracted.playbook.clone().filter(|told| told.id == id);
                let named = Some(&playbook.sources);
                let Some(told) = self.told_again(&tellers, named, without, again, told).await? else {
                    draft.remove(item.kind(), item.record_id());
                    return Ok(());
                };
                *playbook = retold_playbook(playbook.clone(), told);
            }
            Entity::Failure(failure) if observed => {
                // Its texts may be those of the forgotten episode: others that had it tell it again.
                for other in tellers {
                    again.due.insert(other);
                    self.make_due(other, draft).await?;
                }
                named(&mut failure.episodes);
                retold(failure, &all);
            }
            // A heuristic derives from the episodes themselves, and is computed anew after this.
            Entity::Heuristic(heuristic) => {
                heuristic.used = used;
                named(&mut heuristic.supporting);
                named(&mut heuristic.contradicting);
            }
            Entity::Episode(_) => return Ok(()),
            _ => {
                draft.remove(item.kind(), item.record_id());
                return Ok(());
            }
        }
        self.judge(&mut entity, self.engine.now());
        draft.put(item.record_id(), entity);
        Ok(())
    }

    /// Makes an item's texts anew from the newest of these episodes that still shows it, as if the forgotten one had never
    /// been; `None` if none does. A procedure, which has `named` episodes, is told by those that succeeded alone: others
    /// follow one whose values are another episode's.
    async fn told_again<T>(
        &self,
        tellers: &[EpisodeId],
        named: Option<&Vec<EpisodeId>>,
        without: EpisodeId,
        again: &mut Again,
        told: impl Fn(&Extracted) -> Option<T>,
    ) -> Result<Option<T>> {
        for teller in tellers {
            let of = (*teller, named.is_some());
            if let Entry::Vacant(free) = again.told.entry(of) {
                free.insert(self.tell(*teller, named, Some(without)).await?);
            }
            let Some(Some((succeeded, extracted))) = again.told.get(&of) else { continue };
            if named.is_some() && !succeeded {
                continue;
            }
            if let Some(told) = told(extracted) {
                return Ok(Some(told));
            }
        }
        Ok(None)
    }

    /// Returns whether an episode succeeded, and what it teaches without another; `None` if it is open or gone.
    pub(in crate::memory) async fn tell(
        &self,
        teller: EpisodeId,
        named: Option<&Vec<EpisodeId>>,
        without: Option<EpisodeId>,
    ) -> Result<Option<(bool, Extracted)>> {
        let Some(trace) = self.trace(teller).await? else { return Ok(None) };
        let mut similar = self.similar(&trace).await?;
        similar.retain(|other| Some(other.episode.id) != without);
        let mut extracted = extract(&trace, &similar);
        if let Some(named) = named {
            self.tell_among(named, &trace, similar, without, &mut extracted).await?;
        }
        Ok(Some((trace.succeeded(), extracted)))
    }

    /// Removes the metrics of a day; those of the episodes that are left are computed anew by the next consolidation.
    async fn withdraw_metrics(&self, at: Timestamp, draft: &mut Draft<'_>) -> Result<()> {
        *lock(&self.learner.measured_to) = None;
        let day = format!("{:015}:", day_of(at).0);
        let mut scan = Scan::new(self.engine.namespace(), Kind::Metric).prefix(day).limit(500);
        loop {
            let (page, _) = self.engine.scan_fresh(&scan).await?;
            page.records.iter().for_each(|record| draft.remove(Kind::Metric, record.key.id.to_string()));
            match page.next {
                Some(next) => scan.after = Some(next),
                None => return Ok(()),
            }
        }
    }

    /// Marks an episode as due to be learned from again.
    async fn make_due(&self, id: EpisodeId, draft: &mut Draft<'_>) -> Result<()> {
        if let Some(Entity::Reward(mut reward)) = draft.get(Kind::Reward, id.to_string()).await? {
            reward.learned = false;
            draft.put(id.to_string(), reward);
        }
        Ok(())
    }
}

/// Takes everything out of a failure lesson that one episode told, and its counts from the evidence.
fn retold(failure: &mut Failure, all: &Tally) {
    failure.occurrences = all.successes + all.failures;
    failure.resolved = all.successes;
    failure.example.clone_from(&failure.error);
    failure.root_cause = None;
    // An episode that the lesson names is counted in its remedies; what is learned again adds to none.
    failure.episodes.clear();
    failure.remedies.clear();
}
