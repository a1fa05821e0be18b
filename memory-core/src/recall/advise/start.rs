//! Advice at the start of a task: what the model of its domain predicts, under the rulings of people.

use std::collections::{HashMap, HashSet};

use memory_learn::advise::{Model, Prediction, Query};

use super::explain::REASONS;
use super::{Advised, Bench, Case, Neighbour, PINNED};
use crate::learn::heuristics::associate::{Associations, Votes};
use crate::memory::ToolAdvice;
use crate::model::evidence::ItemId;
use crate::model::heuristic::{Advice, Heuristic};
use crate::recall::parts::Part;
use crate::recall::query::RecallQuery;
use crate::recall::tokenize::tokenize;

/// Words that are named as the reason for a tool.
const WORDS: usize = 4;

/// Advises on tools for a task of which nothing is done.
///
/// `heuristics` are those of the domain as stored: a rule that is rejected or withheld and whose condition holds takes its
/// tool out, and so does one that is pinned against it; a rule that is pinned adds its tool. `neighbours` are recalled
/// episodes with their tools.
pub(crate) fn advise_at_start(
    parts: &[Part],
    query: &RecallQuery,
    model: &Model,
    heuristics: &[Heuristic],
    neighbours: &[(ItemId, Neighbour)],
) -> Advised {
    let asked = Query::new(&query.text).kind(query.kind.as_deref());
    let mut predictions = model.predict(&asked).tools;
    let mut known = false;
    tokenize(&query.text, |token| known |= model.knows(token.surface));
    if !known {
        // Of what nobody ever spoke of, how often tools are used says nothing.
        predictions.clear();
    }
    let associations = Associations::default();
    let mut bench = Bench {
        parts,
        query,
        associations: &associations,
        stored: heuristics.iter().map(|rule| (rule.id, rule)).collect(),
        votes: Votes::default(),
        ruled_out: HashSet::new(),
        forbidden: HashSet::new(),
        cases: HashMap::new(),
    };
    bench.rule_out();
    bench.pinned(heuristics);
    let irrelevant = predictions.iter().filter(|it| !it.named && it.probability < it.base_rate);
    let for_others: HashSet<String> =
        irrelevant.filter(|it| !bench.cases.contains_key(&it.tool)).map(|it| it.tool.clone()).collect();
    predictions.retain(|it| it.named && !bench.is_out(&it.tool));
    model.sort_by_use(&mut predictions);
    let mut tools: Vec<ToolAdvice> =
        predictions.iter().map(|it| bench.explained(it, model, neighbours)).collect();
    let mut pinned: Vec<(String, Case)> =
        bench.cases.drain().filter(|(tool, _)| !bench.forbidden.contains(tool)).collect();
    pinned.sort_by(|a, b| a.0.cmp(&b.0));
    for (tool, case) in pinned {
        let items = case.rules.iter().map(|(_, id)| ItemId::Heuristic(*id));
        let reason = format!("{}: pinned", bench.condition_of(&case));
        match tools.iter_mut().find(|advice| advice.tool == tool) {
            Some(advice) => {
                advice.confidence = advice.confidence.max(PINNED);
                advice.reasons.insert(0, reason);
                advice.reasons.truncate(REASONS);
                advice.items.splice(0..0, items);
            }
            None => tools.push(ToolAdvice {
                tool,
                confidence: PINNED,
                part: case.part.unwrap_or(0),
                reasons: vec![reason],
                items: items.collect(),
            }),
        }
    }
    for advice in &mut tools {
        let mut seen = HashSet::new();
        advice.items.retain(|item| seen.insert(*item));
    }
    Advised { tools, dead_ends: Vec::new(), for_others }
}

impl Bench<'_> {
    fn condition_of(&self, case: &Case) -> String {
        let rule = case.rules.iter().find_map(|(_, id)| self.stored.get(id));
        rule.map_or_else(String::new, |rule| rule.condition.to_string())
    }

    /// Says why a tool is advised: the words that speak for it, the recalled episodes that used it, how often it is used.
    fn explained(&self, it: &Prediction, model: &Model, neighbours: &[(ItemId, Neighbour)]) -> ToolAdvice {
        let mut reasons = Vec::new();
        let words = model.words_for(&self.query.text, &it.tool);
        let total: f64 = words.iter().map(|(_, share)| share.max(0.0)).sum();
        // Those that make up half of what speaks for it.
        let mut sum = 0.0;
        let telling = words.into_iter().take(WORDS).take_while(|(_, share)| {
            let goes_on = *share > 0.0 && sum < 0.5 * total;
            sum += share;
            goes_on
        });
        let telling: Vec<String> = telling.map(|(word, _)| word).collect();
        if !telling.is_empty() {
            reasons.push(format!("words that speak for it: {}", telling.join(", ")));
        }
        let users: Vec<ItemId> = neighbours
            .iter()
            .filter(|(_, (tools, _, success))| *success > 0.0 && tools.contains(&it.tool))
            .map(|(item, _)| *item)
            .collect();
        if !users.is_empty() {
            reasons.push(format!(
                "used by {} of the {} most similar episodes",
                users.len(),
                neighbours.len()
            ));
        }
        reasons.push(format!("used by {:.0} % of all episodes", 100.0 * it.base_rate));
        let rules = self.stored.values().filter(|rule| rule.tool == it.tool && rule.advice == Advice::Use);
        let mut rules: Vec<&&Heuristic> = rules.filter(|rule| self.applies(rule)).collect();
        rules.sort_by(|a, b| b.confidence.total_cmp(&a.confidence).then(a.id.cmp(&b.id)));
        let mut items: Vec<ItemId> = rules.into_iter().map(|rule| ItemId::Heuristic(rule.id)).collect();
        items.extend(users);
        let part = self.part_of(it.clause);
        ToolAdvice { tool: it.tool.clone(), confidence: it.probability, part, reasons, items }
    }

    /// Returns the part of the task that a clause is in, or that is in it.
    fn part_of(&self, clause: usize) -> usize {
        let clauses = memory_recall::text::clauses(&self.query.text);
        let Some(clause) = clauses.get(clause).filter(|_| clauses.len() > 1) else { return 0 };
        let alike = |part: &Part| part.text.contains(clause) || clause.contains(part.text.as_str());
        self.parts.iter().position(alike).unwrap_or(0)
    }
}
