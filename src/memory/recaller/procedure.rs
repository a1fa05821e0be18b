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
/// What is advised with this confidence is surely needed.
const NEEDED_FROM: f64 = 0.5;
/// What is advised with this confidence a playbook must have…
const INDISPENSABLE_FROM: f64 = 0.75;
/// … and so much of all that is surely needed, by confidence.
const COVERED: f64 = 0.75;

/// What a playbook is looked for with.
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
    /// Suggests the best playbook that agrees with the advice: it has nearly all that is surely needed, and nothing that
    /// only other tasks (`for_others`) call for. It is found by the text of the task, or by the words that call for the
    /// tools: of the task as a whole, or of a part of it. One for a part is worth as much of its score as it covers of what
    /// is needed.
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
        // Several wishes may find one playbook; it is read, or missed, once.
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
            // What the part does not say, the rest of the task may; but what the playbook's own task did not say either came
            // from elsewhere, and is another wish's here.
            let mut values = playbook.suggest_values(&query.text);
            if let Some(own) = wish.part.and_then(|part| recall.task_parts.get(part)) {
                values.retain(|name, _| playbook.title.contains(&format!("{{{name}}}")));
                values.extend(playbook.suggest_values(own));
            }
            // What is of another domain, or asks for much of which the task says nothing, must fit the better.
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

/// Returns how much of what is needed a playbook has, by confidence, in `0.0..=1.0`.
fn covered(playbook: &Playbook, needed: &[&ToolAdvice]) -> f64 {
    let sum =
        |tools: &mut dyn Iterator<Item = &&ToolAdvice>| tools.map(|advice| advice.confidence).sum::<f64>();
    let all = sum(&mut needed.iter());
    if all > 0.0 { sum(&mut needed.iter().filter(|advice| uses(playbook, &advice.tool))) / all } else { 1.0 }
}

/// Returns the share of a playbook's score that it covers of what is surely needed.
fn worth(found: &SuggestedPlaybook, sure: &[&ToolAdvice]) -> f64 {
    found.score * covered(&found.playbook, sure)
}
