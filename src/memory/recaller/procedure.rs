//! The playbook of a recall.

use std::collections::HashSet;

use memory_core::{Entity, Kind, Playbook, Result, Timestamp};
use memory_learn::demotion::score_share;
use memory_learn::playbook::Fill;
use memory_learn::playbook::FilledPlaybook;
use memory_recall::query::RecallQuery;
use memory_recall::rank::Hit;

use crate::memory::recalled::{Recall, SuggestedPlaybook, ToolAdvice};
use crate::memory::recaller::Recaller;
use crate::memory::recaller::{LEARNED_RELEVANCE, PART_SCORE, Reached, SEARCHED_PARTS};

/// Playbooks of which the best is suggested.
const PLAYBOOKS: usize = 8;
/// A tool with this confidence counts as needed.
const NEEDED_FROM: f64 = 0.5;
/// A playbook must contain every tool with this confidence…
const INDISPENSABLE_FROM: f64 = 0.75;
/// … and this share of all needed tools, weighted by confidence.
const COVERED: f64 = 0.75;

/// The text and tools that a playbook is searched for with.
struct Wish<'r> {
    /// The words that find it.
    text: String,
    /// How relevant it must be by them.
    least: f64,
    /// The tools that it must have.
    needed: Vec<&'r ToolAdvice>,
    /// Whether it may have tools that are not advised.
    others: bool,
    /// The part of the task that needs the tools.
    part: Option<usize>,
}

impl Recaller {
    /// Suggests the best playbook that agrees with the advice: it contains nearly all needed tools, and none
    /// that only other tasks (`for_others`) need. It is found by the text of the task, or by the words that
    /// predict the tools: of the whole task, or of a part of it. The score of a playbook for a part is weighted
    /// by its share of the needed tools.
    pub(super) async fn add_playbook(
        &self,
        query: &RecallQuery,
        now: Timestamp,
        for_others: &HashSet<String>,
        recall: &mut Recall,
    ) -> Result<()> {
        let tools = recall.tools.clone();
        let sure: Vec<&ToolAdvice> = tools.iter().filter(|advice| advice.confidence >= NEEDED_FROM).collect();
        let mut best: Option<SuggestedPlaybook> = None;
        let wishes = wishes(query, &sure, recall);
        let mut found: Vec<(&Wish<'_>, Hit)> = Vec::new();
        for wish in &wishes {
            let asked = query.about(wish.text.clone());
            let least = wish.least.max(query.min_relevance);
            let hits = self.search_learned(Kind::Playbook, &asked, (PLAYBOOKS, least), now);
            found.extend(hits.into_iter().map(|hit| (wish, hit)));
        }
        // Several searches may find one playbook; it is read, or counted as missing, once.
        let mut once: Vec<Hit> = Vec::new();
        for (_, hit) in &found {
            if once.iter().all(|held| held.key != hit.key) {
                once.push(hit.clone());
            }
        }
        let reached = self.reach(once, query, now, recall).await?;
        for (wish, hit) in found {
            let Some(Reached { entity, origin, .. }) = reached.iter().find(|it| it.hit.key == hit.key) else {
                continue;
            };
            let Entity::Playbook(playbook) = entity.as_ref() else { continue };
            let agrees = |playbook: &Playbook| {
                let is_advised = |tool: &String| tools.iter().any(|advice| advice.tool == *tool);
                let lacks = |advice: &ToolAdvice| !uses(playbook, &advice.tool);
                !wish.needed.iter().any(|advice| advice.confidence >= INDISPENSABLE_FROM && lacks(advice))
                    && covered(playbook, &wish.needed) >= COVERED
                    && playbook.steps.iter().all(|step| {
                        !for_others.contains(&step.tool) && (wish.others || is_advised(&step.tool))
                    })
            };
            let score = hit.score * playbook.confidence * score_share(playbook.standing);
            if score <= 0.0 || !agrees(playbook) {
                continue;
            }
            // The rest of the task may have values that the part lacks. A value that the playbook's own task
            // did not state came from elsewhere, and here belongs to another part.
            let mut values = playbook.suggest_values(&query.text);
            if let Some(own) = wish.part.and_then(|part| recall.task_parts.get(part)) {
                values.retain(|name, _| playbook.title.contains(&format!("{{{name}}}")));
                values.extend(playbook.suggest_values(own));
            }
            // A playbook of another domain, or with many values that the task lacks, needs a better match.
            let unlikely = query.is_elsewhere(playbook.domain.as_deref())
                || values.is_empty() && playbook.placeholders.len() > playbook.steps.len();
            if unlikely && hit.score < PART_SCORE {
                continue;
            }
            let needed = |tool: &str| tools.iter().any(|advice| advice.tool == tool);
            let FilledPlaybook { steps, missing, .. } =
                playbook.instantiate(&values).after(&query.done, needed);
            let is_whole = covered(playbook, &sure) >= COVERED;
            let part = wish.part.filter(|_| !is_whole);
            let (playbook, origin) = (playbook.clone(), origin.clone());
            let found = SuggestedPlaybook { score, part, playbook, origin, steps, missing };
            let better = best.as_ref().is_none_or(|best| worth(&found, &sure) > worth(best, &sure));
            if !found.steps.is_empty() && better {
                best = Some(found);
            }
        }
        recall.playbook = best;
        Ok(())
    }
}

fn wishes<'r>(query: &RecallQuery, sure: &[&'r ToolAdvice], recall: &Recall) -> Vec<Wish<'r>> {
    let whole = (query.text.clone(), LEARNED_RELEVANCE, sure.to_vec(), true, None);
    let mut wishes = vec![whole];
    let mut parts: Vec<usize> = sure.iter().map(|advice| advice.part).collect();
    parts.sort_unstable();
    parts.dedup();
    if parts.len() == 1 {
        parts.clear();
    }
    let parts = [None].into_iter().chain(parts.into_iter().take(SEARCHED_PARTS).map(Some));
    wishes.extend(parts.map(|part| {
        let needed = sure.iter().filter(|advice| part.is_none_or(|part| advice.part == part));
        let needed: Vec<&ToolAdvice> = needed.copied().collect();
        (calling(&needed, recall), PART_SCORE, needed, false, part)
    }));
    let wishes = wishes.into_iter().filter(|(text, ..)| !text.is_empty());
    wishes.map(|(text, least, needed, others, part)| Wish { text, least, needed, others, part }).collect()
}

/// Returns the words of the rules that call for tools.
fn calling(needed: &[&ToolAdvice], recall: &Recall) -> String {
    let rules = recall.heuristics.iter().map(|found| &found.item);
    let rules = rules.filter(|rule| needed.iter().any(|advice| advice.tool == rule.tool));
    let words = rules.flat_map(|rule| &rule.condition.terms);
    words.map(String::as_str).collect::<Vec<_>>().join(" ")
}

fn uses(playbook: &Playbook, tool: &str) -> bool {
    playbook.steps.iter().any(|step| step.tool == tool)
}

/// Returns the share of the needed tools that a playbook contains, weighted by confidence, in `0.0..=1.0`.
fn covered(playbook: &Playbook, needed: &[&ToolAdvice]) -> f64 {
    let sum =
        |tools: &mut dyn Iterator<Item = &&ToolAdvice>| tools.map(|advice| advice.confidence).sum::<f64>();
    let all = sum(&mut needed.iter());
    if all > 0.0 { sum(&mut needed.iter().filter(|advice| uses(playbook, &advice.tool))) / all } else { 1.0 }
}

/// Returns a playbook's score, weighted by its share of the needed tools.
fn worth(found: &SuggestedPlaybook, sure: &[&ToolAdvice]) -> f64 {
    found.score * covered(&found.playbook, sure)
}
