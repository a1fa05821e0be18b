//! Rulings by people, and demotions by uses, about tools for a task.

use std::collections::HashSet;

use memory_core::{Advice, Heuristic, ItemId, RuleCondition};
use memory_learn::heuristics::is_recalled;
use memory_recall::query::RecallQuery;
use memory_recall::text::words;
use memory_recall::tokenize::normalize_label;

use crate::memory::ToolAdvice;

/// The least probability of a tool that a pinned rule calls for.
pub(crate) const PINNED: f64 = 0.9;

/// The rules whose condition holds of a task.
pub(super) struct Rulings<'h> {
    done: &'h [String],
    /// Each with the first clause that its condition holds of, 0 if it holds of the task as a whole.
    holding: Vec<(&'h Heuristic, usize)>,
}

impl<'h> Rulings<'h> {
    pub(super) fn new(clauses: &[String], query: &'h RecallQuery, heuristics: &'h [Heuristic]) -> Self {
        let words_of = |text: &str| -> HashSet<String> { words(text).map(str::to_lowercase).collect() };
        let whole = words_of(&query.text);
        let clauses: Vec<HashSet<String>> = clauses.iter().map(|clause| words_of(clause)).collect();
        let holding = heuristics.iter().filter(|rule| holds(&rule.condition, &whole, query)).map(|rule| {
            let has_all =
                |clause: &HashSet<String>| rule.condition.terms.iter().all(|it| clause.contains(it));
            (rule, clauses.iter().position(has_all).unwrap_or(0))
        });
        Self { done: &query.done, holding: holding.collect() }
    }

    fn any(&self, tool: &str, is: impl Fn(&Heuristic) -> bool) -> bool {
        self.holding.iter().any(|(rule, _)| rule.tool == tool && is(rule))
    }

    /// Returns true if a rule for a tool is pinned.
    pub(super) fn is_pinned(&self, tool: &str) -> bool {
        self.any(tool, |rule| rule.is_pinned() && rule.advice == Advice::Use)
    }

    /// Returns true if a rule against a tool is pinned.
    fn is_forbidden(&self, tool: &str) -> bool {
        self.any(tool, |rule| rule.is_pinned() && rule.advice == Advice::Avoid)
    }

    /// Returns true if a ruling, or a demotion by uses, is against a tool.
    pub(super) fn is_out(&self, tool: &str) -> bool {
        self.is_forbidden(tool) || self.any(tool, |rule| rule.advice == Advice::Use && !is_recalled(rule))
    }

    /// Returns true if nothing may count against a tool: a rule for it is pinned, or one against it rejected.
    pub(super) fn is_spared(&self, tool: &str) -> bool {
        self.is_pinned(tool) || self.any(tool, |rule| rule.advice == Advice::Avoid && rule.is_rejected())
    }

    /// Returns the rules for a tool, the most certain first.
    pub(super) fn rules_for(&self, tool: &str) -> impl Iterator<Item = &'h Heuristic> {
        let rules = self.holding.iter().map(|(rule, _)| *rule);
        let mut rules: Vec<&Heuristic> = rules
            .filter(|rule| rule.tool == tool && rule.advice == Advice::Use && is_recalled(rule))
            .collect();
        rules.sort_by(|a, b| b.confidence.total_cmp(&a.confidence).then(a.id.cmp(&b.id)));
        rules.into_iter()
    }

    /// Adds pinned tools, whatever the model predicts.
    pub(super) fn add_pinned(&self, tools: &mut Vec<ToolAdvice>) {
        let pinned = self.holding.iter().filter(|(rule, _)| rule.is_pinned() && rule.advice == Advice::Use);
        for (rule, part) in pinned {
            if self.done.contains(&rule.tool) || self.is_forbidden(&rule.tool) {
                continue;
            }
            let held = tools.iter().position(|advice| advice.tool == rule.tool).unwrap_or_else(|| {
                let (reasons, items) = (Vec::new(), Vec::new());
                tools.push(ToolAdvice {
                    tool: rule.tool.clone(),
                    confidence: 0.0,
                    part: *part,
                    reasons,
                    items,
                });
                tools.len() - 1
            });
            let advice = &mut tools[held];
            advice.confidence = advice.confidence.max(PINNED);
            advice.reasons.insert(0, format!("{}: pinned", rule.condition));
            advice.items.insert(0, ItemId::Heuristic(rule.id));
        }
    }
}

/// Returns true if a condition holds of a task with these words.
fn holds(premise: &RuleCondition, words: &HashSet<String>, query: &RecallQuery) -> bool {
    let kind = query.kind.as_deref().map(normalize_label);
    premise.terms.iter().all(|term| words.contains(term))
        && premise.task_kind.as_deref().is_none_or(|it| kind == Some(normalize_label(it)))
        && premise.after_tool.as_ref().is_none_or(|tool| query.done.last() == Some(tool))
}
