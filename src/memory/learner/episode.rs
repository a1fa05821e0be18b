//! Learning from one episode.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use memory_core::{
    Decision, Entity, EpisodeId, Evidence, EvidenceRole, Failure, ItemId, Kind, Pattern, PatternBody,
    Playbook, Reflection, Result, Scan, Standing, Timestamp, Verdict,
};
use memory_learn::confidence::Confidence;
use memory_learn::confidence::pattern_confidence;
use memory_learn::demotion::standing;
use memory_learn::extract::{Extracted, extract, tell_among};
use memory_learn::failure::merge;
use memory_learn::trace::Trace;
use memory_recall::query::RecallQuery;

use crate::memory::draft::Draft;
use crate::memory::learner::Learner;
use crate::redact::Redactor;

/// Similar episodes that one is contrasted with.
const SIMILAR: usize = 8;
/// Episodes that ended otherwise than all of these.
const CONTRASTING: usize = 4;
/// The relevance from which an episode is similar enough to be contrasted with.
const SIMILARITY: f64 = 0.25;
/// Newest episodes that an item names.
pub(in crate::memory) const NAMED_EPISODES: usize = 16;

/// The reflection on an episode, and the domain whose rules it changes.
#[derive(Debug)]
pub(super) struct Reflected {
    reflection: Reflection,
    pub(super) domain: Option<String>,
}

impl Learner {
    /// Adds everything learned from an episode to a draft.
    pub(super) async fn learn_episode(
        &self,
        id: EpisodeId,
        reflections: &mut BTreeMap<EpisodeId, Reflected>,
        draft: &mut Draft<'_>,
    ) -> Result<()> {
        let Some(Entity::Reward(mut reward)) = draft.get(Kind::Reward, id.to_string()).await? else {
            return Ok(());
        };
        let trace = match self.traces.trace(id).await? {
            Some(trace) => trace,
            None if self.records.is_gone(id).await? => {
                // Forgotten since: nothing of it may stay.
                draft.remove(Kind::Reward, id.to_string());
                return Ok(());
            }
            // The caches had it from before it was completed elsewhere; now they know, or the next sweep finds it.
            None => match self.traces.trace(id).await? {
                Some(trace) => trace,
                None => return Ok(()),
            },
        };
        if reward.learned {
            return Ok(());
        }
        if trace.episode.success_share().is_none() {
            // Nobody knows how it ended: it is no evidence for or against anything.
            reward.learned = true;
            draft.put(id.to_string(), reward);
            return Ok(());
        }
        let similar = self.similar(&trace).await?;
        let reflection = match reflections.get(&id) {
            Some(known) => known.reflection.clone(),
            None => {
                let reflection = Entity::from(self.learning.reflector.reflect(&trace, &similar).await?);
                let bytes = reflection.weight();
                let (reflection, _) =
                    self.redactor.run("learn", bytes, reflection, Redactor::redact_entity).await?;
                let Entity::Reflection(reflection) = reflection else { return Ok(()) };
                let domain = trace.episode.task.domain.clone();
                reflections.insert(id, Reflected { reflection: reflection.clone(), domain });
                reflection
            }
        };
        draft.put(id.to_string(), reflection);
        let mut extracted = extract(&trace, &similar);
        if let Some(playbook) = &extracted.playbook
            && let Some(Entity::Playbook(held)) = draft.get(Kind::Playbook, playbook.id.to_string()).await?
        {
            self.tell_among(&held.sources, &trace, similar, None, &mut extracted).await?;
        }
        let Extracted { patterns, failures, playbook } = extracted;
        let mut witness = Witness { known: self.known_evidence(id).await?, ..Witness::new(&trace) };
        // An episode from a clock that is ahead must not be newer than the time of learning.
        witness.at = witness.at.min(self.records.engine.now());
        for pattern in patterns {
            self.see_pattern(pattern, &witness, draft).await?;
        }
        for failure in failures {
            self.see_failure(failure, &witness, draft).await?;
        }
        if let Some(playbook) = playbook {
            self.see_playbook(playbook, &witness, draft).await?;
        }
        self.see_uses(&trace, &witness, draft).await?;
        reward.learned = true;
        draft.put(id.to_string(), reward);
        Ok(())
    }

    /// Returns the ids of the evidence that an episode gave already.
    async fn known_evidence(&self, id: EpisodeId) -> Result<BTreeSet<String>> {
        if !self.backlog.may_be_known(id) {
            return Ok(BTreeSet::new());
        }
        let scan = Scan::new(self.records.engine.namespace(), Kind::Evidence)
            .equals("episode", id.to_string().as_str());
        Ok(self
            .records
            .gathered(scan, Entity::as_evidence)
            .await?
            .items
            .iter()
            .map(Evidence::record_id)
            .collect())
    }

    /// Returns whether an episode succeeded, and the items that it yields on its own; `None` if it is open or
    /// gone.
    pub(in crate::memory) async fn tell(
        &self,
        teller: EpisodeId,
        named: Option<&Vec<EpisodeId>>,
        without: Option<EpisodeId>,
    ) -> Result<Option<(bool, Extracted)>> {
        let Some(trace) = self.traces.trace(teller).await? else { return Ok(None) };
        let mut similar = self.similar(&trace).await?;
        similar.retain(|other| Some(other.episode.id) != without);
        let mut extracted = extract(&trace, &similar);
        if let Some(named) = named {
            self.tell_among(named, &trace, similar, without, &mut extracted).await?;
        }
        Ok(Some((trace.succeeded(), extracted)))
    }

    /// Extracts the procedure that an episode follows from the episodes that support it (`named`) and those
    /// with a similar task: the latter may all have the same values, and episodes with other words may follow
    /// the same procedure.
    pub(in crate::memory) async fn tell_among(
        &self,
        named: &[EpisodeId],
        trace: &Trace,
        similar: Vec<Trace>,
        without: Option<EpisodeId>,
        extracted: &mut Extracted,
    ) -> Result<()> {
        if !trace.succeeded() {
            return Ok(());
        }
        let mut others: Vec<Trace> = Vec::new();
        for id in named.iter().filter(|id| **id != trace.episode.id && Some(**id) != without) {
            let Some(found) = self.traces.trace(*id).await? else { continue };
            let task = &found.episode.task.description;
            // Another attempt at the same task shows nothing new.
            let is_new = *task != trace.episode.task.description
                && others.iter().all(|other| other.episode.task.description != *task);
            if is_new && found.succeeded() && others.len() < SIMILAR {
                others.push(Arc::unwrap_or_clone(found));
            }
        }
        if others.is_empty() {
            return Ok(());
        }
        for found in similar {
            if others.iter().all(|other| other.episode.id != found.episode.id) {
                others.push(found);
            }
        }
        tell_among(extracted, trace, &others);
        Ok(())
    }

    /// Returns similar completed episodes, the most similar first. If all of the nearest ended alike, some with
    /// another outcome follow, because contrast needs both.
    pub(in crate::memory) async fn similar(&self, trace: &Trace) -> Result<Vec<Trace>> {
        let mut similar = self.nearest(trace, &[], SIMILAR).await?;
        let succeeded = similar.iter().filter(|found| found.succeeded()).count();
        let missing: &[Verdict] = match succeeded {
            0 => &[Verdict::Success, Verdict::Partial],
            all if all == similar.len() => &[Verdict::Failure],
            _ => return Ok(similar),
        };
        if similar.len() == SIMILAR {
            similar.extend(self.nearest(trace, missing, CONTRASTING).await?);
        }
        Ok(similar)
    }

    /// Returns the most similar completed episodes with one of these outcomes; with any if `ended` is empty.
    async fn nearest(&self, trace: &Trace, ended: &[Verdict], limit: usize) -> Result<Vec<Trace>> {
        let task = &trace.episode.task;
        let mut query = RecallQuery::for_task(task).limit(limit + 1).min_relevance(SIMILARITY);
        query.outcomes = ended.to_vec();
        let now = self.records.engine.now();
        let space = self.records.engine.namespace();
        let hits = self.records.index.with(|index| index.search_newest(space, Kind::Episode, &query, now));
        let ids = hits.iter().filter_map(|hit| hit.key.id.parse::<EpisodeId>().ok());
        let others = ids.filter(|id| *id != trace.episode.id).take(limit);
        let found = futures_util::future::try_join_all(others.map(|id| self.traces.trace(id))).await?;
        Ok(found.into_iter().flatten().map(Arc::unwrap_or_clone).collect())
    }

    async fn see_pattern(&self, pattern: Pattern, witness: &Witness, draft: &mut Draft<'_>) -> Result<()> {
        let id = pattern.id;
        let template = matches!(pattern.body, PatternBody::WorkflowTemplate { .. });
        let (mut held, place) = match draft.get(Kind::Pattern, id.to_string()).await? {
            Some(Entity::Pattern(held)) if template && tells(witness, &held.episodes, draft).await? => {
                (Pattern { body: pattern.body, terms: pattern.terms, ..held }, Place::Teller)
            }
            Some(Entity::Pattern(held)) if template => (held, Place::BehindTeller),
            Some(Entity::Pattern(held)) => (held, Place::Newest),
            _ if template && !witness.succeeded() => return Ok(()),
            _ => (pattern, Place::Newest),
        };
        if draft.put_evidence(witness, ItemId::Pattern(id), EvidenceRole::Observed, witness.success) {
            held.tally = held.tally.until(self.records.engine.now());
            held.tally.add(witness.success, witness.at, &self.learning.confidence);
            held.confidence =
                pattern_confidence(&held.body, &held.tally, held.tally.as_of, &self.learning.confidence);
        }
        name_episode(&mut held.episodes, witness.episode, place);
        held.updated_at = witness.at.max(held.updated_at);
        draft.put(id.to_string(), held);
        Ok(())
    }

    async fn see_playbook(&self, playbook: Playbook, witness: &Witness, draft: &mut Draft<'_>) -> Result<()> {
        let id = playbook.id;
        let (mut held, place) = match draft.get(Kind::Playbook, id.to_string()).await? {
            Some(Entity::Playbook(held)) if tells(witness, &held.sources, draft).await? => {
                (retold(held, playbook), Place::Teller)
            }
            Some(Entity::Playbook(held)) => (self.told_beside(held, witness).await?, Place::BehindTeller),
            // The values of a procedure that a failing episode followed are another episode's, which it does
            // not name.
            _ if !witness.succeeded() => return Ok(()),
            _ => (playbook, Place::Newest),
        };
        if draft.put_evidence(witness, ItemId::Playbook(id), EvidenceRole::Observed, witness.success) {
            held.tally = held.tally.until(self.records.engine.now());
            held.tally.add(witness.success, witness.at, &self.learning.confidence);
            held.confidence = held.tally.lower_bound(held.tally.as_of, &self.learning.confidence);
        }
        name_episode(&mut held.sources, witness.episode, place);
        held.updated_at = witness.at.max(held.updated_at);
        draft.put(id.to_string(), held);
        Ok(())
    }

    /// Returns a playbook of few episodes, extracted with one more that ended before its source episode: common
    /// values of few episodes may be chance. Later episodes extract it themselves.
    async fn told_beside(&self, held: Playbook, witness: &Witness) -> Result<Playbook> {
        let Some(teller) = held.sources.first() else { return Ok(held) };
        if !witness.succeeded() || held.sources.len() >= SIMILAR || held.sources.contains(&witness.episode) {
            return Ok(held);
        }
        let named = [held.sources.clone(), vec![witness.episode]].concat();
        let told =
            self.tell(*teller, Some(&named), None).await?.and_then(|(_, extracted)| extracted.playbook);
        Ok(match told {
            Some(told) if told.id == held.id => retold(held, told),
            _ => held,
        })
    }

    async fn see_failure(&self, failure: Failure, witness: &Witness, draft: &mut Draft<'_>) -> Result<()> {
        let id = failure.id;
        let held = match draft.get(Kind::Failure, id.to_string()).await? {
            Some(Entity::Failure(held)) => Some(held),
            _ => None,
        };
        let resolved = if failure.resolved > 0 { 1.0 } else { 0.0 };
        let counts = held.as_ref().map(|held| (held.occurrences, held.resolved));
        let new = draft.put_evidence(witness, ItemId::Failure(id), EvidenceRole::Observed, resolved);
        let mut merged = merge(held, failure);
        if let (false, Some(counts)) = (new, counts) {
            (merged.occurrences, merged.resolved) = counts;
        }
        draft.put(id.to_string(), merged);
        Ok(())
    }

    /// Turns the recalls for the episode into evidence.
    async fn see_uses(&self, trace: &Trace, witness: &Witness, draft: &mut Draft<'_>) -> Result<()> {
        let Some(recall) = &trace.episode.recall else { return Ok(()) };
        for item in &recall.shown {
            let used = recall.used.contains(item);
            let role = if used { EvidenceRole::Used } else { EvidenceRole::Shown };
            if draft.put_evidence(witness, *item, role, witness.success) && used {
                self.count_use(*item, witness, draft).await?;
            }
        }
        Ok(())
    }

    async fn count_use(&self, item: ItemId, witness: &Witness, draft: &mut Draft<'_>) -> Result<()> {
        let Some(mut entity) = draft.get(item.kind(), item.record_id()).await? else { return Ok(()) };
        let used = match &mut entity {
            Entity::Pattern(pattern) => &mut pattern.used,
            Entity::Heuristic(rule) => &mut rule.used,
            Entity::Playbook(playbook) => &mut playbook.used,
            _ => return Ok(()),
        };
        *used = used.until(self.records.engine.now());
        used.add(witness.success, witness.at, &self.learning.confidence);
        self.judge(&mut entity, witness.at);
        draft.put(item.record_id(), entity);
        Ok(())
    }

    /// Sets the status of an item by its uses, compared with the success rate of its domain.
    pub(in crate::memory) fn judge(&self, entity: &mut Entity, at: Timestamp) {
        let (used, domain, held, ruling) = match entity {
            Entity::Pattern(held) => (&held.used, &held.domain, &mut held.standing, held.ruling),
            Entity::Heuristic(held) => (&held.used, &held.domain, &mut held.standing, held.ruling),
            Entity::Playbook(held) => (&held.used, &held.domain, &mut held.standing, held.ruling),
            _ => return,
        };
        let baseline = self.records.baselines().of_domain(domain.as_deref());
        *held = match ruling {
            Some(Decision::Pinned) => Standing::Active,
            _ => standing(used, &baseline, at, &self.learning.confidence),
        };
    }
}

/// Returns true if an episode is the source of a procedure: it succeeded, and no other episode that the
/// procedure names succeeded later. This depends on the episodes only, not on when and how often they are
/// learned from.
async fn tells(witness: &Witness, named: &[EpisodeId], draft: &Draft<'_>) -> Result<bool> {
    if !witness.succeeded() {
        return Ok(false);
    }
    for other in named.iter().filter(|other| **other != witness.episode) {
        let Some(Entity::Episode(other)) = draft.get(Kind::Episode, other.to_string()).await? else {
            continue;
        };
        let succeeded = other.success_share().is_some_and(|share| share >= 0.5);
        let at = other.completed_at.unwrap_or(other.started_at);
        if succeeded && (at, other.id) > (witness.at, witness.episode) {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Returns a playbook with newly extracted content; its identity and evidence stay.
pub(in crate::memory) fn retold(held: Playbook, told: Playbook) -> Playbook {
    Playbook {
        title: told.title,
        steps: told.steps,
        placeholders: told.placeholders,
        shapes: told.shapes,
        terms: told.terms,
        ..held
    }
}

/// Where an episode stands among those that an item names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    /// In front, as the newest that came.
    Newest,
    /// First: it is the source of the procedure, and is named for as long as it is, in whatever order others
    /// arrive.
    Teller,
    /// After the source of the procedure.
    BehindTeller,
}

/// Adds an episode to those that an item names.
fn name_episode(named: &mut Vec<EpisodeId>, episode: EpisodeId, place: Place) {
    if place == Place::Teller {
        named.retain(|other| *other != episode);
    }
    if !named.contains(&episode) {
        named.insert(usize::from(place == Place::BehindTeller).min(named.len()), episode);
        named.truncate(NAMED_EPISODES);
    }
}

/// The episode as evidence sees it.
pub(in crate::memory) struct Witness {
    pub(in crate::memory) episode: EpisodeId,
    pub(in crate::memory) at: Timestamp,
    pub(in crate::memory) success: f64,
    reward: f64,
    duration_ms: Option<u64>,
    context: String,
    /// Ids of the evidence that the episode gave when it was learned from before.
    known: BTreeSet<String>,
}

impl Witness {
    fn new(trace: &Trace) -> Self {
        let episode = &trace.episode;
        let task = &episode.task;
        let labels = [&task.kind, &task.domain, &task.agent];
        Self {
            episode: episode.id,
            at: episode.completed_at.unwrap_or(episode.started_at),
            success: trace.success(),
            reward: episode.reward.unwrap_or(0.0),
            duration_ms: (episode.step_duration_ms > 0).then_some(episode.step_duration_ms),
            context: labels.into_iter().flatten().cloned().collect::<Vec<_>>().join(" · "),
            known: BTreeSet::new(),
        }
    }

    fn succeeded(&self) -> bool {
        self.success >= 0.5
    }

    fn evidence(&self, item: ItemId, role: EvidenceRole, success: f64) -> Evidence {
        Evidence {
            item,
            episode: self.episode,
            role,
            at: self.at,
            success,
            reward: self.reward,
            duration_ms: self.duration_ms,
            context: self.context.clone(),
        }
    }
}

impl Draft<'_> {
    /// Adds a piece of evidence; returns false if it was there before, from learning from the same episode
    /// earlier.
    fn put_evidence(&mut self, witness: &Witness, item: ItemId, role: EvidenceRole, success: f64) -> bool {
        let evidence = witness.evidence(item, role, success);
        let id = evidence.record_id();
        let new = !witness.known.contains(&id);
        self.put(id, evidence);
        new
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_tells_is_named_however_many_others_come() {
        let id = |n: u128| EpisodeId(uuid::Uuid::from_u128(n));
        let mut named = vec![id(99)];
        for n in 0..40 {
            name_episode(&mut named, id(n), Place::BehindTeller);
        }
        assert_eq!((named[0], named[1], named.len()), (id(99), id(39), NAMED_EPISODES));
        name_episode(&mut named, id(39), Place::Teller);
        assert_eq!((named[0], named[1], named.len()), (id(39), id(99), NAMED_EPISODES));
        name_episode(&mut named, id(39), Place::Newest);
        assert_eq!(named[0], id(39));
    }
}
