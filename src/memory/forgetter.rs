//! Forgetting an episode, with everything derived from it.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use memory_core::{
    Entity, Episode, EpisodeId, ErrorKind, EvidenceRole, Failure, Freshness, ItemId, Key, Kind, PatternBody,
    Result, Scan, Tally, Task, Timestamp, content_hash,
};
use memory_learn::confidence::Confidence;
use memory_learn::confidence::pattern_confidence;
use memory_learn::extract::Extracted;
use memory_learn::metrics::day_of;

use crate::memory::advisors::Advisors;
use crate::memory::backlog::Backlog;
use crate::memory::draft::Draft;
use crate::memory::learner::{ATTEMPTS, Learner, retold as retold_playbook};
use crate::memory::records::Records;
use crate::memory::rules::{Refresh, Rules};
use crate::memory::traces::Traces;
use crate::memory::vectors::Vectors;
use crate::memory::writing::Writing;
use crate::memory::{LearningConfig, Memory, unknown_steps};

/// Other supporting episodes from which an item's texts are rebuilt when one of them is forgotten.
const RELEARNED: usize = 8;

impl Memory {
    /// Forgets an episode with its steps and artifacts and everything derived from it, here and in the durable
    /// tier. Items that only it supports are removed, others are recomputed without it. Returns false if there
    /// is none.
    ///
    /// It stays forgotten: its tombstone is kept for ever and wins over every version of the episode, also one
    /// that a machine without a connection completes later, and the durable tier takes nothing any more that
    /// belongs to it.
    ///
    /// # Errors
    /// `Unavailable` when the durable tier must list the steps and does not answer.
    pub async fn forget(&self, id: EpisodeId) -> Result<bool> {
        let forgotten = self.inner.forgetter.forget(id).await?;
        self.inner.consolidation.measure_all_days();
        Ok(forgotten)
    }
}

/// Removes everything derived from an episode.
pub(super) struct Forgetter {
    pub(super) records: Arc<Records>,
    pub(super) traces: Arc<Traces>,
    pub(super) backlog: Arc<Backlog>,
    pub(super) writing: Arc<Writing>,
    pub(super) learner: Arc<Learner>,
    pub(super) advisors: Arc<Advisors>,
    pub(super) rules: Arc<Rules>,
    pub(super) vectors: Option<Arc<Vectors>>,
    pub(super) learning: Arc<LearningConfig>,
}

/// Work that forgetting an episode causes for other records.
#[derive(Default)]
struct Again {
    /// Episodes to learn from again.
    due: BTreeSet<EpisodeId>,
    /// The items that other episodes yield, as part of a procedure or on their own; each is extracted once for
    /// all items.
    told: BTreeMap<(EpisodeId, bool), Option<(bool, Extracted)>>,
}

impl Forgetter {
    /// As [`Memory::forget`].
    pub(super) async fn forget(&self, id: EpisodeId) -> Result<bool> {
        // The lock keeps the episode while a batch learns from it; items learned meanwhile are found below.
        let _gate = self.backlog.gate.lock().await;
        let key = Key::episode(self.records.engine.namespace(), id);
        let (description, domain, completed_at) = match self.records.engine.read(&key).await {
            // An unreadable episode can be forgotten, although the items that it supports on its own are then
            // unknown.
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
            let mut draft = Draft::new(&self.records);
            draft.forget(id);
            let again = self.withdraw(id, &mut draft).await?;
            if attempts.next().is_none() || draft.is_current().await? {
                break (draft, again);
            }
        };
        {
            // Concurrent writers have finished by now, or find the episode gone.
            let _nobody_writes = self.writing.forget(id).await;
            for kind in [Kind::Step, Kind::Artifact] {
                let owned = self.records.owned(kind, id).await?;
                if owned.freshness != Freshness::Fresh {
                    return Err(unknown_steps("forget"));
                }
                owned.ids().for_each(|id| draft.remove(kind, id));
            }
            // It may have been completed meanwhile; then it is due, but must not be learned from.
            if draft.has(Kind::Reward, id.to_string()).await? {
                draft.remove(Kind::Reward, id.to_string());
            }
            if let Some(description) = description {
                self.withdraw_vector(id, &description, &mut draft).await?;
            }
            if let Some(at) = completed_at {
                self.withdraw_metrics(at, &mut draft).await?;
            }
            self.drop_kept(id);
            self.records.engine.commit(draft.into_records()).await?;
        }
        self.drop_vector(id);
        again.into_iter().for_each(|id| self.backlog.due(id));
        self.rules.note(domain.as_deref());
        self.advisors.note(domain.as_deref(), id);
        self.advisors.learn_noted().await?;
        self.rules.refresh_heuristics(Refresh::Changed).await?;
        // A forgotten episode must not stay in any file.
        self.advisors.store_models().await;
        Ok(true)
    }

    /// Withdraws an episode's evidence; returns the episodes to learn from again.
    pub(super) async fn withdraw(&self, id: EpisodeId, draft: &mut Draft<'_>) -> Result<BTreeSet<EpisodeId>> {
        for kind in [Kind::Reward, Kind::Reflection] {
            if draft.has(kind, id.to_string()).await? {
                draft.remove(kind, id.to_string());
            }
        }
        let scan = Scan::new(self.records.engine.namespace(), Kind::Evidence)
            .equals("episode", id.to_string().as_str());
        let evidence = self.records.gathered(scan, Entity::as_evidence).await?.items;
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

    /// Withdraws the contribution of a deleted episode from one item; returns the episodes to learn from again.
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

    /// Recomputes an item's counts from its evidence, without that of one episode; removes it if no evidence is
    /// left.
    async fn recount(
        &self,
        item: ItemId,
        without: EpisodeId,
        draft: &mut Draft<'_>,
        again: &mut Again,
    ) -> Result<()> {
        let Some(mut entity) = draft.get(item.kind(), item.record_id()).await? else { return Ok(()) };
        let mut evidence = self.records.evidence_on(item).await?.items;
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
                // Its texts may be those of the forgotten episode, so they are extracted again from others that
                // had it.
                for other in tellers {
                    again.due.insert(other);
                    self.make_due(other, draft).await?;
                }
                named(&mut failure.episodes);
                retold(failure, &all);
            }
            // A heuristic derives from the episodes themselves, and is recomputed after this.
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
        self.learner.judge(&mut entity, self.records.engine.now());
        draft.put(item.record_id(), entity);
        Ok(())
    }

    /// Rebuilds an item's texts from the newest of these episodes that still shows it, as if the forgotten one
    /// had never existed; `None` if none does. A procedure, which has `named` episodes, is extracted from
    /// successful ones only: others may follow a procedure with another episode's values.
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
                free.insert(self.learner.tell(*teller, named, Some(without)).await?);
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

    /// Removes the metrics of a day; the next consolidation recomputes those of the remaining episodes.
    async fn withdraw_metrics(&self, at: Timestamp, draft: &mut Draft<'_>) -> Result<()> {
        let day = format!("{:015}:", day_of(at).0);
        let mut scan = Scan::new(self.records.engine.namespace(), Kind::Metric).prefix(day).limit(500);
        loop {
            let (page, _) = self.records.engine.scan_fresh(&scan).await?;
            page.records.iter().for_each(|record| draft.remove(Kind::Metric, record.key.id.to_string()));
            match page.next {
                Some(next) => scan.after = Some(next),
                None => return Ok(()),
            }
        }
    }

    /// Adds to a draft the removal of the vector of an episode that is being forgotten, if no other episode has
    /// the same text.
    pub(super) async fn withdraw_vector(
        &self,
        id: EpisodeId,
        text: &str,
        draft: &mut Draft<'_>,
    ) -> Result<()> {
        let space = self.records.engine.namespace();
        let scan = Scan::new(space, Kind::Embedding).prefix(format!("{}:", content_hash(text))).limit(500);
        let (page, _) = self.records.engine.scan_fresh(&scan).await?;
        if page.records.is_empty() {
            return Ok(());
        }
        let same = Scan::new(space, Kind::Episode).equals("description", text).limit(2);
        let own = id.to_string();
        if self.records.engine.scan_fresh(&same).await?.0.records.iter().any(|record| *record.key.id != *own)
        {
            return Ok(());
        }
        for record in page.records {
            draft.remove(Kind::Embedding, record.key.id.to_string());
        }
        Ok(())
    }

    /// Drops the cached data of an episode for learning.
    pub(super) fn drop_kept(&self, id: EpisodeId) {
        self.backlog.done(id);
        self.traces.forget(id);
    }

    /// Stops finding a forgotten episode by its meaning.
    pub(super) fn drop_vector(&self, id: EpisodeId) {
        if let Some(vectors) = &self.vectors {
            vectors.remove(&Key::episode(self.records.engine.namespace(), id));
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

/// Removes everything from a failure lesson that came from one episode, and takes its counts from the evidence.
fn retold(failure: &mut Failure, all: &Tally) {
    failure.occurrences = all.successes + all.failures;
    failure.resolved = all.successes;
    failure.example.clone_from(&failure.error);
    failure.root_cause = None;
    // An episode that the lesson names is already counted in its remedies; learning again adds to none.
    failure.episodes.clear();
    failure.remedies.clear();
}
