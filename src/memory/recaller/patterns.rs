//! The patterns of a recall, for the task as a whole and for its parts.

use std::collections::HashSet;

use memory_core::{DecisionPlace, Entity, Failure, Kind, Pattern, PatternBody, Result, Timestamp};
use memory_learn::demotion::score_share;
use memory_learn::errors;
use memory_recall::query::RecallQuery;

use crate::memory::recalled::{Recall, Recalled};
use crate::memory::recaller::Recaller;
use crate::memory::recaller::fixes::SAME_ERROR;
use crate::memory::recaller::warnings::warn_of;
use crate::memory::recaller::{LEARNED_RELEVANCE, PART_SCORE, Reached, found_for};

/// Few items help, many distract (ReasoningBank, arXiv 2509.25140: one item did best).
const PATTERNS: usize = 3;

impl Recaller {
    pub(super) async fn add_patterns(
        &self,
        query: &RecallQuery,
        parts: &[String],
        now: Timestamp,
        for_others: &HashSet<String>,
        recall: &mut Recall,
    ) -> Result<()> {
        let mut hits = self.search_learned(
            Kind::Pattern,
            query,
            (4 * PATTERNS, LEARNED_RELEVANCE.max(query.min_relevance)),
            now,
        );
        for part in parts {
            let asked = query.about(part);
            let least = PART_SCORE.max(query.min_relevance);
            let mut found = self.search_learned(Kind::Pattern, &asked, (PATTERNS, least), now);
            found.retain(|hit| hits.iter().all(|held| held.key != hit.key));
            hits.extend(found.into_iter().map(|hit| found_for(part, hit)));
        }
        let rulings = self.records.rulings();
        for Reached { hit, entity, origin } in self.reach(hits, query, now, recall).await? {
            let Entity::Pattern(pattern) = entity.as_ref() else { continue };
            let foreign = query.is_elsewhere(pattern.domain.as_deref()) && hit.score < PART_SCORE;
            let beside =
                query.last_error().is_some_and(|error| is_beside(&pattern.body, error, for_others, recall));
            // A call that a person rejected as a remedy is not shown as a pattern, either.
            let rejected = match &pattern.body {
                PatternBody::ErrorRecovery { remedy, .. } => rulings.rejects_remedy(remedy),
                _ => false,
            };
            if foreign || beside || rejected || pattern.body.is_done(&query.done) {
                continue;
            }
            let score = hit.score * pattern.confidence * score_share(pattern.standing);
            if let PatternBody::AntiPattern { .. } = &pattern.body {
                warn_of(pattern, score, origin, &mut recall.warnings);
            } else if score > 0.0 && pattern.tally.successes > 0 && !fails_mostly(pattern) {
                let reasons = evidence_reasons(hit.reasons, pattern.tally.successes, pattern.tally.failures);
                recall.patterns.push(Recalled { score, reasons, origin, item: pattern.clone() });
            }
        }
        recall.patterns.sort_by(|a, b| b.score.total_cmp(&a.score).then(a.item.id.cmp(&b.item.id)));
        recall.patterns.truncate(PATTERNS);
        Ok(())
    }
}

/// Returns true for a way that led to failure more often than to success: it is none to follow.
fn fails_mostly(pattern: &Pattern) -> bool {
    pattern.tally.failures > pattern.tally.successes
}

/// Returns true for a pattern that does not help after an error: it is about another error, it is the procedure
/// of episodes whose tool worked, or it does not state its error although a fix is known that does.
fn is_beside(body: &PatternBody, error: &str, for_others: &HashSet<String>, recall: &Recall) -> bool {
    match body {
        PatternBody::ErrorRecovery { error: known, .. } => errors::likeness(error, known, known) < SAME_ERROR,
        PatternBody::DecisionPoint { place: DecisionPlace::After { tool, worked: false }, .. } => {
            let is_of =
                |fix: &Recalled<Failure>| fix.item.tool == *tool && fix.item.helped().next().is_some();
            recall.fixes.iter().any(is_of)
        }
        way => way.tools().into_iter().any(|tool| for_others.contains(tool)),
    }
}

fn evidence_reasons(mut reasons: Vec<String>, successes: u32, failures: u32) -> Vec<String> {
    reasons.push(format!("seen in {} episodes, {successes} of them successful", successes + failures));
    reasons
}
