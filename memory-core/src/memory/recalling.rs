//! Recall: what is known that helps with a task, put together.

use std::cmp::Ordering;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use crate::clock::Timestamp;
use crate::engine::Freshness;
use crate::error::{Error, ErrorKind, Result};
use crate::id::{EpisodeId, RecallId};
use crate::learn::demotion::score_share;
use crate::learn::errors;
use crate::learn::heuristics::associate::Associations;
use crate::learn::holdout::withhold;
use crate::learn::playbook::Instance;
use crate::memory::recalled::{
    Forecast, Phase, Recall, Recalled, RecalledEpisode, SuggestedPlaybook, ToolAdvice, Warning,
};
use crate::memory::{Inner, Memory};
use crate::model::entity::Entity;
use crate::model::evidence::ItemId;
use crate::model::failure::{Failure, Resolution};
use crate::model::heuristic::Heuristic;
use crate::model::kind::Kind;
use crate::model::pattern::{Pattern, PatternBody};
use crate::recall::advise::{DeadEnd, Neighbour, advise, needed_no_more};
use crate::recall::groups::{Contrast, EpisodeHits};
use crate::recall::likened::Comparison;
use crate::recall::parts::{Part, parts};
use crate::recall::query::RecallQuery;
use crate::recall::rank::Hit;
use crate::store::record::Key;

/// Few items help, many distract (ReasoningBank, arXiv 2509.25140: one item did best).
const PATTERNS: usize = 3;
const HEURISTICS: usize = 5;
/// Heuristics for one tool.
const OF_ONE_TOOL: usize = 2;
const WARNINGS: usize = 2;
/// Tools that one warning names.
const DEAD_ENDS: usize = 5;
const FIXES: usize = 3;
/// Episodes nearest in meaning that are candidates besides those found by words.
const SEMANTIC: usize = 64;
/// Parts of a task that are recalled for by themselves.
const SEARCHED_PARTS: usize = 4;
/// The score from which an episode found for a part is shown although the task as a whole does not find it.
const PART_SCORE: f64 = 0.5;
/// The relevance below which a pattern or playbook is not shown.
const LEARNED_RELEVANCE: f64 = 0.2;
/// The similarity from which two errors are the same problem.
const SAME_ERROR: f64 = 0.5;
/// Nearest episodes whose tools count where no rule applies.
const NEIGHBOURS: usize = 5;

impl Memory {
    /// Finds what is known that helps with a task: episodes, tools, patterns, heuristics, warnings, fixes and a playbook;
    /// finding nothing is a legal answer.
    ///
    /// The same store and query give the same answer, but for its id; with a hold-out share
    /// ([`crate::LearningConfig::hold_out`]) the id decides whether the answer is held back.
    ///
    /// # Errors
    /// `InvalidInput` for a query over a limit.
    pub async fn recall(&self, query: impl Into<RecallQuery>) -> Result<Recall> {
        let query = query.into();
        let inner = &self.inner;
        inner.limits.check_query(&query)?;
        inner.learner.active();
        let now = inner.engine.clock().now();
        let id = RecallId(inner.ids.next(now));
        let mut recall = inner.answer(id, &query, now).await?;
        if !recall.is_empty() && withhold(inner.learning.hold_out_seed, id, inner.learning.hold_out) {
            recall = Recall { withheld: true, ..Recall::nothing(id, recall.searched, recall.freshness) };
        }
        Ok(recall)
    }
}

impl Inner {
    async fn answer(&self, id: RecallId, query: &RecallQuery, now: Timestamp) -> Result<Recall> {
        self.engine.ready().await?;
        let space = self.engine.namespace();
        let searched = self.engine.with_index(|index| index.len(space, Kind::Episode));
        let mut recall = Recall::nothing(id, searched, self.engine.index_freshness());
        let mut task_parts = parts(&query.text);
        let (shown, semantic) = self.semantic(&query.text, &mut recall).await.unzip();
        let semantic = semantic.unwrap_or_default();
        let EpisodeHits { hits, forecast, contrasts } =
            self.engine.with_index(|index| index.search_episodes(space, query, now, &semantic));
        let hits = self.with_parts(hits, &task_parts, query, now);
        self.add_episodes(hits, &mut recall).await?;
        recall.forecast = forecast.map(|(success, evidence)| Forecast { success, evidence });
        self.add_warnings(contrasts, &mut recall);
        let dead_ends = self.add_tools(&mut task_parts, shown.as_deref(), query, &mut recall).await?;
        self.add_patterns(query, now, &mut recall).await?;
        self.leave_out_forgotten(now, &mut recall.tools);
        recall.warnings.extend(self.warn_of_dead_ends(dead_ends, query, now));
        recall.warnings.sort_by(|a, b| b.score.total_cmp(&a.score));
        self.add_fixes(query, now, &mut recall).await?;
        self.add_playbook(query, now, &mut recall).await?;
        recall.phase = phase(query, &recall);
        recall.task_parts = task_parts.into_iter().map(|part| part.text).collect();
        Ok(recall)
    }

    /// Returns what a model, which may be somebody else's, may see of a task, and the episodes nearest in meaning; `None`
    /// without a model, or while its provider fails.
    async fn semantic(&self, text: &str, recall: &mut Recall) -> Option<(String, HashMap<Arc<str>, f32>)> {
        let vectors = self.vectors.as_ref()?;
        let mut shown = text.to_owned();
        self.redactor.redact_text(&mut shown);
        recall.degraded = vectors.gap();
        match vectors.search(&shown, SEMANTIC).await {
            Ok(found) => Some((shown, found.into_iter().map(|(key, cosine)| (key.id, cosine)).collect())),
            Err(error) => {
                recall.degraded = Some(no_answer(&error));
                None
            }
        }
    }

    /// Takes words that few episodes have for learned ones that mean nearly the same.
    /// `shown` is what a model may see of the text, which may be somebody else's; `None` without one, or if it failed.
    async fn liken(
        &self,
        parts: &mut [Part],
        (text, shown): (&str, Option<&str>),
        associations: &Associations,
        recall: &mut Recall,
    ) {
        let Some(words) = &self.words else { return };
        let Some(text) = (if words.is_local() { Some(text) } else { shown }) else { return };
        let Some(comparison) = Comparison::new(text, parts, associations) else { return };
        match words.nearest(&comparison.strange(), &comparison.known()).await {
            Ok(nearest) => comparison.apply(&nearest, parts),
            Err(error) => recall.degraded = Some(no_answer(&error)),
        }
    }

    /// Adds what the parts of a task find that the task as a whole does not, in the place of the last ones.
    fn with_parts(
        &self,
        mut hits: Vec<Hit>,
        parts: &[Part],
        query: &RecallQuery,
        now: Timestamp,
    ) -> Vec<Hit> {
        let asking: Vec<&Part> =
            parts.iter().filter(|part| !part.hypothetical && !part.terms.is_empty()).collect();
        if asking.len() < 2 {
            return hits;
        }
        let space = self.engine.namespace();
        let mut found: Vec<Hit> = Vec::new();
        for part in asking.iter().take(SEARCHED_PARTS) {
            let asked = RecallQuery { text: part.text.clone(), limit: 1, ..query.clone() };
            let best = self.engine.with_index(|index| index.search(space, Kind::Episode, &asked, now));
            let new = |hit: &Hit| hits.iter().chain(&found).all(|held| held.key != hit.key);
            let best: Vec<Hit> = best.into_iter().filter(|hit| hit.score >= PART_SCORE && new(hit)).collect();
            found.extend(best);
        }
        found.truncate(query.limit / 2);
        hits.truncate(query.limit - found.len());
        hits.extend(found);
        hits
    }

    /// Reads what was found, all at once. What is gone by now is left out, and so is what is out of reach, which the
    /// answer says.
    async fn reach(&self, hits: Vec<Hit>, recall: &mut Recall) -> Result<Vec<(Hit, Arc<Entity>)>> {
        let keys: Vec<Key> = hits.iter().map(|hit| hit.key.clone()).collect();
        let mut reached = Vec::with_capacity(hits.len());
        for (hit, read) in hits.into_iter().zip(self.engine.read_each(&keys).await?) {
            match read {
                Ok(read) => {
                    if let Some(entity) = read.record.and_then(|record| record.entity) {
                        recall.freshness = recall.freshness.or_staler(read.freshness);
                        reached.push((hit, entity));
                    }
                }
                // The index knows more than this machine has at hand; the answer says how much is missing.
                Err(error) if error.is_transient() || error.kind() == ErrorKind::Unauthorized => {
                    recall.out_of_reach += 1;
                }
                Err(error) => return Err(error),
            }
        }
        Ok(reached)
    }

    async fn add_episodes(&self, hits: Vec<Hit>, recall: &mut Recall) -> Result<()> {
        for (hit, entity) in self.reach(hits, recall).await? {
            if let Entity::Episode(episode) = entity.as_ref() {
                let Hit { score, parts, reasons, .. } = hit;
                let episode = episode.clone();
                recall.episodes.push(RecalledEpisode { id: episode.id, score, parts, reasons, episode });
            }
        }
        Ok(())
    }

    fn add_warnings(&self, contrasts: Vec<Contrast>, recall: &mut Recall) {
        for contrast in contrasts.into_iter().take(WARNINGS) {
            let ids = |keys: &[Key]| -> Vec<EpisodeId> {
                keys.iter().filter_map(|key| key.id.parse().ok()).collect()
            };
            let (failing, succeeding) = (ids(&contrast.failing), ids(&contrast.succeeding));
            let Some(first) = failing.first() else { continue };
            let (tool, failed) = (&contrast.tool, failing.len());
            let (text, others) = if contrast.omitted {
                (format!("{failed} alike failed, not having used {tool}"), "with")
            } else {
                (format!("{failed} alike failed having used {tool}"), "without")
            };
            let text = match succeeding.len() {
                0 => text,
                count => format!("{text}; {count} succeeded {others} it"),
            };
            recall.warnings.push(Warning {
                text,
                tools: vec![contrast.tool],
                score: contrast.probability,
                item: ItemId::Episode(*first),
                episodes: failing,
            });
        }
    }

    /// Adds what is advised; returns what failed at this point of tasks like this one. `shown` is the task as a model that
    /// answers may see it.
    async fn add_tools(
        &self,
        task_parts: &mut [Part],
        shown: Option<&str>,
        query: &RecallQuery,
        recall: &mut Recall,
    ) -> Result<Vec<DeadEnd>> {
        // A task that names no domain is taken for one of the domain of what is most like it.
        let nearest = recall.episodes.first().and_then(|found| found.episode.task.domain.clone());
        let domain = query.domain.clone().or(nearest);
        let associations = match self.associations(&domain).await {
            Ok(associations) => associations,
            Err(error) if error.is_transient() || error.kind() == ErrorKind::Unauthorized => {
                return Ok(Vec::new());
            }
            Err(error) => return Err(error),
        };
        let (heuristics, out_of_reach) = self.stored_heuristics(&domain).await?;
        recall.out_of_reach += out_of_reach;
        let neighbours: Vec<Neighbour> = recall.episodes.iter().take(NEIGHBOURS).map(neighbour).collect();
        self.liken(task_parts, (&query.text, shown), &associations, recall).await;
        let advised = advise(task_parts, query, &associations, &heuristics, &neighbours);
        recall.tools = advised.tools;
        recall.heuristics = applied(&recall.tools, &heuristics);
        Ok(advised.dead_ends)
    }

    /// Advice may be as old as the last episode that was learned from; what was forgotten since then is not named.
    fn leave_out_forgotten(&self, now: Timestamp, tools: &mut [ToolAdvice]) {
        for advice in tools {
            advice.items.retain(|item| match item {
                ItemId::Episode(id) => self.is_live(*id, now),
                _ => true,
            });
        }
    }

    fn is_live(&self, id: EpisodeId, now: Timestamp) -> bool {
        let key = Key::episode(self.engine.namespace(), id);
        self.engine.with_index(|index| index.is_live(&key, now))
    }

    fn warn_of_dead_ends(
        &self,
        dead_ends: Vec<DeadEnd>,
        query: &RecallQuery,
        now: Timestamp,
    ) -> Option<Warning> {
        let shown = dead_ends.into_iter().filter_map(|mut end| {
            end.episodes.retain(|id| self.is_live(*id, now));
            (!end.episodes.is_empty()).then_some(end)
        });
        let shown: Vec<DeadEnd> = shown.take(DEAD_ENDS).collect();
        let mut episodes: Vec<EpisodeId> = Vec::new();
        for id in shown.iter().flat_map(|end| &end.episodes) {
            if !episodes.contains(id) {
                episodes.push(*id);
            }
        }
        let named: Vec<String> = shown.iter().map(|end| format!("{} ({})", end.tool, end.times())).collect();
        let at = query.done().last().map_or_else(
            || "before anything else had worked".to_owned(),
            |last| format!("once {last} had worked"),
        );
        Some(Warning {
            text: format!("in tasks like this one this failed {at}: {}", named.join(", ")),
            tools: shown.iter().map(|end| end.tool.clone()).collect(),
            score: shown.first()?.confidence,
            item: ItemId::Episode(*episodes.first()?),
            episodes,
        })
    }

    async fn add_patterns(&self, query: &RecallQuery, now: Timestamp, recall: &mut Recall) -> Result<()> {
        let hits = self.search_learned(Kind::Pattern, query, 4 * PATTERNS, now);
        for (hit, entity) in self.reach(hits, recall).await? {
            let Entity::Pattern(pattern) = entity.as_ref() else { continue };
            if pattern.body.is_done(query.done()) {
                continue;
            }
            let score = hit.score * pattern.confidence * score_share(pattern.standing);
            if let PatternBody::AntiPattern { .. } = &pattern.body {
                warn_of(pattern, score, &mut recall.warnings);
            } else if score > 0.0 && pattern.tally.successes > 0 {
                let reasons = evidence_reasons(hit.reasons, pattern.tally.successes, pattern.tally.failures);
                recall.patterns.push(Recalled { score, reasons, item: pattern.clone() });
            }
        }
        recall.patterns.sort_by(|a, b| b.score.total_cmp(&a.score).then(a.item.id.cmp(&b.item.id)));
        recall.patterns.truncate(PATTERNS);
        Ok(())
    }

    /// Finds lessons of errors like the last one, by any of its lines.
    async fn add_fixes(&self, query: &RecallQuery, now: Timestamp, recall: &mut Recall) -> Result<()> {
        let Some(error) = &query.last_error else { return Ok(()) };
        let mut seen = HashSet::new();
        for text in errors::normal_lines(error) {
            let asked = RecallQuery { text, tags: Vec::new(), ..query.clone() };
            let mut hits = self.search_learned(Kind::Failure, &asked, 4 * FIXES, now);
            hits.retain(|hit| seen.insert(hit.key.id.clone()));
            for (_, entity) in self.reach(hits, recall).await? {
                let Entity::Failure(failure) = entity.as_ref() else { continue };
                let likeness = errors::likeness(error, &failure.error, &failure.example);
                if likeness >= SAME_ERROR {
                    let same_tool = query.after.last().is_some_and(|tool| *tool == failure.tool);
                    let score = if same_tool { likeness } else { 0.9 * likeness };
                    recall.fixes.push(Recalled {
                        score,
                        reasons: fix_reasons(failure),
                        item: failure.clone(),
                    });
                }
            }
        }
        recall.fixes.sort_by(better_fix);
        recall.fixes.truncate(FIXES);
        Ok(())
    }

    async fn add_playbook(&self, query: &RecallQuery, now: Timestamp, recall: &mut Recall) -> Result<()> {
        let mut best: Option<SuggestedPlaybook> = None;
        let hits = self.search_learned(Kind::Playbook, query, PATTERNS, now);
        for (hit, entity) in self.reach(hits, recall).await? {
            let Entity::Playbook(playbook) = entity.as_ref() else { continue };
            let score = hit.score * playbook.confidence * score_share(playbook.standing);
            if score <= 0.0 || best.as_ref().is_some_and(|held| score <= held.score) {
                continue;
            }
            let instance = playbook.instantiate(&playbook.suggest_values(&query.text)).after(query.done());
            if !instance.steps.is_empty() {
                let Instance { steps, missing } = instance;
                best = Some(SuggestedPlaybook { score, playbook: playbook.clone(), steps, missing });
            }
        }
        recall.playbook = best;
        Ok(())
    }

    fn search_learned(&self, kind: Kind, query: &RecallQuery, limit: usize, now: Timestamp) -> Vec<Hit> {
        let asked = RecallQuery {
            outcomes: Vec::new(),
            limit: limit.min(RecallQuery::MAX_LIMIT),
            min_relevance: query.min_relevance.max(LEARNED_RELEVANCE),
            ..query.clone()
        };
        self.engine.with_index(|index| index.search(self.engine.namespace(), kind, &asked, now))
    }
}

fn phase(query: &RecallQuery, recall: &Recall) -> Phase {
    let mut neighbours = recall.episodes.iter().take(NEIGHBOURS).map(neighbour);
    match (&query.last_error, query.after.is_empty()) {
        (Some(_), _) => Phase::Recovering,
        (None, true) => Phase::Start,
        (None, false) if recall.tools.is_empty() && neighbours.any(|it| needed_no_more(&it, query)) => {
            Phase::Finishing
        }
        (None, false) => Phase::UnderWay,
    }
}

fn neighbour(found: &RecalledEpisode) -> Neighbour {
    let episode = &found.episode;
    let worked = episode.tools.iter().filter(|used| used.failures < used.calls);
    let success = episode.outcome.as_ref().map_or(0.0, crate::Outcome::success_share);
    (worked.map(|used| used.tool.clone()).collect(), found.parts.support, success)
}

fn no_answer(error: &Error) -> String {
    format!("the model did not answer: {error}")
}

/// Returns the heuristics behind the advice, the most telling first.
fn applied(tools: &[crate::ToolAdvice], heuristics: &[Heuristic]) -> Vec<Recalled<Heuristic>> {
    let mut by_id: HashMap<_, _> =
        heuristics.iter().map(|heuristic| (ItemId::Heuristic(heuristic.id), heuristic)).collect();
    let mut applied: Vec<Recalled<Heuristic>> = Vec::new();
    for advice in tools {
        for item in &advice.items {
            if let Some(heuristic) = by_id.remove(item) {
                let score = heuristic.confidence * score_share(heuristic.standing);
                let reasons = vec![heuristic.sentence()];
                applied.push(Recalled { score, reasons, item: heuristic.clone() });
            }
        }
    }
    applied.sort_by(|a, b| b.score.total_cmp(&a.score).then(a.item.id.cmp(&b.item.id)));
    // Many words may call for one tool; two say enough.
    let mut shown: HashMap<String, usize> = HashMap::new();
    applied.retain(|found| {
        let of_tool = shown.entry(found.item.tool.clone()).or_default();
        *of_tool += 1;
        *of_tool <= OF_ONE_TOOL
    });
    applied.truncate(HEURISTICS);
    applied
}

fn evidence_reasons(mut reasons: Vec<String>, successes: u32, failures: u32) -> Vec<String> {
    reasons.push(format!("seen in {} episodes, {successes} of them successful", successes + failures));
    reasons
}

/// Orders errors like the last one: what was got over comes before what never was, then the likest; of those equally alike
/// one with a fix that was not in vain since, then one with a fix that worked more often.
fn better_fix(a: &Recalled<Failure>, b: &Recalled<Failure>) -> Ordering {
    let fixed = |it: &Recalled<Failure>| it.item.remedies().next().is_some();
    let works = |it: &Recalled<Failure>| it.item.remedies().next().is_some_and(Resolution::works);
    let by_score = fixed(b).cmp(&fixed(a)).then(b.score.total_cmp(&a.score));
    let by_fix = by_score.then(works(b).cmp(&works(a))).then(b.item.resolved.cmp(&a.item.resolved));
    by_fix.then(a.item.id.cmp(&b.item.id))
}

fn fix_reasons(failure: &Failure) -> Vec<String> {
    let times =
        if failure.occurrences == 1 { "once".into() } else { format!("{} times", failure.occurrences) };
    let mut reasons = vec![match failure.resolved {
        0 => format!("seen {times}, never resolved"),
        resolved => format!("seen {times}, resolved in {resolved} of them"),
    }];
    reasons.extend(failure.remedies().next().map(|fix| format!("this error was fixed before by {fix}")));
    reasons
}

fn warn_of(pattern: &Pattern, score: f64, warnings: &mut Vec<Warning>) {
    let PatternBody::AntiPattern { behaviour, consequence } = &pattern.body else { return };
    if score <= 0.0 || warnings.len() > WARNINGS {
        return;
    }
    warnings.push(Warning {
        text: format!("{behaviour}: {consequence}"),
        tools: Vec::new(),
        score,
        item: ItemId::Pattern(pattern.id),
        episodes: pattern.episodes.clone(),
    });
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::FailureId;

    fn lesson(score: f64, resolutions: &[(u32, u64, u64)]) -> Recalled<Failure> {
        let at = |time: &u64| (*time > 0).then_some(Timestamp(*time));
        let item = Failure {
            id: FailureId(uuid::Uuid::nil()),
            category: "other".into(),
            error: "no".into(),
            example: "no".into(),
            tool: "pay".into(),
            root_cause: None,
            resolutions: resolutions
                .iter()
                .map(|(worked, worked_at, failed_at)| Resolution {
                    fix: "login, then pay".into(),
                    worked: *worked,
                    failed: u32::from(*failed_at > 0),
                    worked_at: at(worked_at),
                    failed_at: at(failed_at),
                })
                .collect(),
            domain: None,
            task_kind: "general".into(),
            occurrences: 1,
            resolved: 1,
            episodes: Vec::new(),
            first_at: Timestamp(0),
            last_at: Timestamp(0),
        };
        Recalled { score, reasons: Vec::new(), item }
    }

    #[test]
    fn of_errors_equally_alike_the_one_with_a_fix_that_works_comes_first() {
        let (works, in_vain) = (&[(1, 5, 0)][..], &[(9, 5, 6)][..]);
        let check = |a: Recalled<Failure>, b: Recalled<Failure>| {
            assert_eq!(better_fix(&a, &b), Ordering::Less);
            assert_eq!(better_fix(&b, &a), Ordering::Greater);
        };
        check(lesson(1.0, works), lesson(1.0, in_vain));
        // The lesson of this very error is not lost for one time in vain.
        check(lesson(1.0, in_vain), lesson(0.7, works));
        check(lesson(0.7, in_vain), lesson(1.0, &[(0, 0, 6)]));
        check(lesson(0.7, works), lesson(1.0, &[]));
    }
}
