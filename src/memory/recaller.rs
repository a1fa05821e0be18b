//! Recall: puts together everything known that helps with a task.

mod advice;
mod fixes;
mod patterns;
mod procedure;
#[cfg(test)]
mod tests;
mod warnings;

use std::collections::HashMap;
use std::sync::Arc;

use memory_core::{
    Entity, EpisodeId, Error, ErrorKind, Freshness, IdSource, Key, Kind, RecallId, Result, Timestamp,
};
use memory_learn::holdout::withhold;
use memory_recall::groups::EpisodeHits;
use memory_recall::query::RecallQuery;
use memory_recall::rank::Hit;
use memory_recall::text::clauses;

use crate::limits::Limits;
use crate::memory::advise::needed_no_more;
use crate::memory::advisors::Advisors;
use crate::memory::recalled::{Forecast, Origin, Phase, Recall, RecalledEpisode};
use crate::memory::records::Records;
use crate::memory::rules::Rules;
use crate::memory::vectors::Vectors;
use crate::memory::{LearningConfig, Memory};
use crate::redact::Redactor;

use advice::{NEIGHBOURS, neighbour};

/// Candidate episodes nearest in meaning, in addition to those found by words.
const SEMANTIC: usize = 64;
/// The same if the query is restricted to some agents: many of the nearest episodes may be others'.
const SEMANTIC_BY_AGENT: usize = 1_024;
/// Parts of a task that are recalled for by themselves.
const SEARCHED_PARTS: usize = 4;
/// The relevance below which a pattern or playbook is not shown.
const LEARNED_RELEVANCE: f64 = 0.2;
/// The least score of a result for a part of the task if the task as a whole does not find it, and of a result
/// from another domain.
const PART_SCORE: f64 = 0.5;

impl Memory {
    /// Finds known items that help with a task: episodes, tools, patterns, heuristics, warnings, fixes and a
    /// playbook. An empty answer is valid.
    ///
    /// The same store and query give the same answer, except for its id. With a hold-out share
    /// ([`crate::Builder::hold_out`]) the id, or that of the recall
    /// that this one follows, decides whether the answer is withheld.
    ///
    /// # Errors
    /// `InvalidInput` for a query over a limit, and errors of the tiers.
    pub async fn recall(&self, query: impl Into<RecallQuery>) -> Result<Recall> {
        self.inner.backlog.active();
        self.inner.recaller.recall(&query.into()).await
    }
}

/// Answers recalls.
pub(super) struct Recaller {
    pub(super) records: Arc<Records>,
    pub(super) advisors: Arc<Advisors>,
    pub(super) rules: Arc<Rules>,
    pub(super) vectors: Option<Arc<Vectors>>,
    pub(super) limits: Limits,
    pub(super) redactor: Redactor,
    pub(super) ids: Arc<dyn IdSource>,
    pub(super) learning: Arc<LearningConfig>,
}

impl Recaller {
    /// As [`Memory::recall`].
    async fn recall(&self, query: &RecallQuery) -> Result<Recall> {
        self.limits.check_query(query)?;
        let now = self.records.engine.now();
        let id = RecallId(self.ids.next(now));
        let mut recall = self.answer(id, query, now).await?;
        let drawn = query.following.unwrap_or(id);
        if !recall.is_empty() && withhold(self.learning.hold_out_seed, drawn, self.learning.hold_out) {
            let nothing = Recall::nothing(id, recall.searched, recall.freshness);
            let Recall { phase, task_parts, degraded, .. } = recall;
            // That it is nearly done is known from episodes.
            let phase = if phase == Phase::Finishing { Phase::UnderWay } else { phase };
            recall = Recall { withheld: true, phase, task_parts, degraded, ..nothing };
        }
        Ok(recall)
    }

    async fn answer(&self, id: RecallId, query: &RecallQuery, now: Timestamp) -> Result<Recall> {
        self.records.engine.ready().await?;
        let space = self.records.engine.namespace();
        let searched = self.records.index.with(|index| index.len(space, Kind::Episode));
        let mut recall = Recall::nothing(id, searched, self.records.engine.index_freshness());
        let task_parts: Vec<String> = clauses(&query.text).into_iter().map(str::to_owned).collect();
        let semantic = self.semantic(query, &mut recall).await.unwrap_or_default();
        let EpisodeHits { hits, forecast, contrasts } =
            self.records.index.with(|index| index.search_episodes(space, query, now, &semantic));
        let hits = self.with_parts(hits, asking(&task_parts), query, now);
        self.add_episodes(hits, query, now, &mut recall).await?;
        recall.forecast = forecast.map(|(success, evidence)| Forecast { success, evidence });
        self.add_warnings(contrasts, query, now, &mut recall);
        self.add_fixes(query, now, &mut recall).await?;
        let (dead_ends, for_others) = self.add_tools(&task_parts, query, now, &mut recall).await?;
        self.add_patterns(query, asking(&task_parts), now, &for_others, &mut recall).await?;
        self.leave_out_forgotten(now, &mut recall.tools);
        recall.warnings.extend(self.warn_of_dead_ends(dead_ends, query, now));
        recall.warnings.sort_by(|a, b| b.score.total_cmp(&a.score));
        recall.task_parts = task_parts;
        recall.phase = phase(query, &recall);
        // A finishing task has no steps left except those of other cases.
        if recall.phase != Phase::Finishing {
            self.add_playbook(query, now, &for_others, &mut recall).await?;
        }
        Ok(recall)
    }

    /// Returns the episodes nearest in meaning; `None` without a model, or while its provider fails. The model,
    /// possibly a third party's, gets the redacted text.
    async fn semantic(&self, query: &RecallQuery, recall: &mut Recall) -> Option<HashMap<Arc<str>, f32>> {
        let vectors = self.vectors.as_deref()?;
        let text = query.text.clone();
        let (shown, _) = self.redactor.run("recall", text.len(), text, Redactor::redact_text).await.ok()?;
        recall.degraded = vectors.gap();
        let wanted = if query.is_by_agent() { SEMANTIC_BY_AGENT } else { SEMANTIC };
        match vectors.search(&shown, wanted).await {
            Ok(found) => Some(found.into_iter().map(|(key, cosine)| (key.id, cosine)).collect()),
            Err(error) => {
                recall.degraded = Some(no_answer(&error));
                None
            }
        }
    }

    /// Adds results for parts of a task that the whole task does not find, replacing the last results.
    fn with_parts(
        &self,
        mut hits: Vec<Hit>,
        parts: &[String],
        query: &RecallQuery,
        now: Timestamp,
    ) -> Vec<Hit> {
        if parts.is_empty() {
            return hits;
        }
        let space = self.records.engine.namespace();
        let mut found: Vec<Hit> = Vec::new();
        for part in parts {
            let asked = query.about(part).limit(1);
            let best = self.records.index.with(|index| index.search(space, Kind::Episode, &asked, now));
            let new = |hit: &Hit| hits.iter().chain(&found).all(|held| held.key != hit.key);
            // If the whole task finds nothing, a part is treated as a query of its own.
            let found_at_all = |hit: &Hit| hit.score >= PART_SCORE || hits.is_empty();
            let best: Vec<Hit> = best.into_iter().filter(|hit| found_at_all(hit) && new(hit)).collect();
            found.extend(best.into_iter().map(|hit| found_for(part, hit)));
        }
        found.truncate(if hits.is_empty() { query.limit } else { query.limit / 2 });
        hits.truncate(query.limit - found.len());
        // Similarity to a part says nothing about similarity to the whole task: these score no higher than the
        // hits before them.
        let least = hits.last().map_or(1.0, |hit| hit.score);
        for hit in &mut found {
            hit.score = hit.score.min(least);
        }
        hits.extend(found);
        hits
    }

    /// Reads the results concurrently. Deleted ones, and those only from agents that the query excludes, are
    /// left out. Unreachable ones are left out, too, and the answer says so.
    async fn reach(
        &self,
        hits: Vec<Hit>,
        query: &RecallQuery,
        now: Timestamp,
        recall: &mut Recall,
    ) -> Result<Vec<Reached>> {
        let keys: Vec<Key> = hits.iter().map(|hit| hit.key.clone()).collect();
        let mut reached = Vec::with_capacity(hits.len());
        for (hit, read) in hits.into_iter().zip(self.records.engine.read_each(&keys).await?) {
            match read {
                Ok(read) => {
                    let Some(entity) = read.record.and_then(|record| record.entity) else { continue };
                    if let Some(origin) = self.origin(named(&entity), query, now) {
                        recall.freshness = recall.freshness.or_staler(read.freshness);
                        reached.push(Reached { hit, entity: self.records.noted(entity), origin });
                    }
                }
                // The index knows more records than this machine can reach; the answer counts the missing ones.
                Err(error) if error.is_transient() || error.kind() == ErrorKind::Unauthorized => {
                    recall.out_of_reach += 1;
                }
                Err(error) => return Err(error),
            }
        }
        Ok(reached)
    }

    async fn add_episodes(
        &self,
        hits: Vec<Hit>,
        query: &RecallQuery,
        now: Timestamp,
        recall: &mut Recall,
    ) -> Result<()> {
        for Reached { hit, entity, .. } in self.reach(hits, query, now, recall).await? {
            if let Entity::Episode(episode) = entity.as_ref() {
                let Hit { score, parts, reasons, .. } = hit;
                let episode = episode.clone();
                recall.episodes.push(RecalledEpisode { id: episode.id, score, parts, reasons, episode });
            }
        }
        Ok(())
    }

    /// Returns the agents of these episodes, and when the newest began, as far as they still exist and the
    /// query includes them; `None` if the query includes only some agents, and none of the episodes is theirs.
    fn origin(&self, episodes: &[EpisodeId], query: &RecallQuery, now: Timestamp) -> Option<Origin> {
        let space = self.records.engine.namespace();
        let mut origin = Origin::default();
        self.records.index.with(|index| {
            for (agent, at) in episodes.iter().filter_map(|id| index.origin(&Key::episode(space, *id), now)) {
                if query.admits_agent(agent.as_deref()) {
                    origin.add(agent.as_deref(), at);
                }
            }
        });
        (origin.latest.is_some() || !query.is_by_agent()).then_some(origin)
    }

    /// Returns at most this many learned items with at least this relevance.
    fn search_learned(
        &self,
        kind: Kind,
        query: &RecallQuery,
        (limit, least): (usize, f64),
        now: Timestamp,
    ) -> Vec<Hit> {
        // The agents of an item are known only once it is read.
        let limit = if query.is_by_agent() { RecallQuery::MAX_LIMIT } else { limit };
        let mut asked = query.clone().limit(limit.min(RecallQuery::MAX_LIMIT)).min_relevance(least);
        asked.outcomes.clear();
        self.records.index.with(|index| index.search(self.records.engine.namespace(), kind, &asked, now))
    }
}

/// Something that was found and read.
struct Reached {
    hit: Hit,
    entity: Arc<Entity>,
    origin: Origin,
}

/// Returns the episodes that something is from, as far as it names them; an episode is from itself.
fn named(entity: &Entity) -> &[EpisodeId] {
    match entity {
        Entity::Episode(episode) => std::slice::from_ref(&episode.id),
        Entity::Pattern(pattern) => &pattern.episodes,
        Entity::Heuristic(rule) => &rule.supporting,
        Entity::Playbook(playbook) => &playbook.sources,
        Entity::Failure(failure) => &failure.episodes,
        _ => &[],
    }
}

/// Returns the first parts of a task; none if the task is of one piece.
fn asking(parts: &[String]) -> &[String] {
    if parts.len() < 2 { &[] } else { &parts[..parts.len().min(SEARCHED_PARTS)] }
}

/// Marks a result as found for a part of the task.
fn found_for(part: &str, mut hit: Hit) -> Hit {
    hit.reasons.insert(0, format!("like a part of the task: {}", part.trim()));
    hit
}

fn phase(query: &RecallQuery, recall: &Recall) -> Phase {
    let mut neighbours = recall.episodes.iter().take(NEIGHBOURS).map(neighbour);
    match (&query.failed, query.is_under_way()) {
        (Some(_), _) => Phase::Recovering,
        (None, false) => Phase::Start,
        (None, true) if recall.tools.is_empty() && neighbours.any(|it| needed_no_more(&it, query)) => {
            Phase::Finishing
        }
        (None, true) => Phase::UnderWay,
    }
}

fn no_answer(error: &Error) -> String {
    format!("the model did not answer: {error}")
}

impl Recall {
    fn nothing(id: RecallId, searched: usize, freshness: Freshness) -> Self {
        Self {
            id,
            task_parts: Vec::new(),
            phase: Phase::Start,
            episodes: Vec::new(),
            tools: Vec::new(),
            patterns: Vec::new(),
            heuristics: Vec::new(),
            warnings: Vec::new(),
            fixes: Vec::new(),
            playbook: None,
            forecast: None,
            withheld: false,
            searched,
            out_of_reach: 0,
            degraded: None,
            freshness,
        }
    }
}
