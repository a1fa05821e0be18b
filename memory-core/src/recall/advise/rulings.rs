//! What somebody ruled, or what became of uses, about a tool.

use super::Bench;
use crate::learn::heuristics::is_recalled;
use crate::model::heuristic::{Advice, Heuristic, Premise};
use crate::recall::parts::term_of_marked;

/// What somebody pinned calls for its tool so surely at least.
pub(crate) const PINNED: f64 = 0.9;

impl Bench<'_> {
    /// Notes which tools are ruled out, and which are forbidden.
    pub(super) fn rule_out(&mut self) {
        let out = self.stored.values().filter(|rule| rule.advice == Advice::Use && !is_recalled(rule));
        self.ruled_out = out.filter(|rule| self.concerns(rule)).map(|rule| rule.tool.clone()).collect();
        let pinned = self.stored.values().filter(|rule| rule.is_pinned() && rule.advice == Advice::Avoid);
        let against = pinned.filter(|rule| self.concerns(rule));
        self.forbidden = against.map(|rule| rule.tool.clone()).collect();
    }

    /// Returns true if a ruling, or what became of uses, is against a tool.
    pub(super) fn is_out(&self, tool: &str) -> bool {
        self.ruled_out.contains(tool) || self.forbidden.contains(tool)
    }

    /// Returns true if the condition of a heuristic holds of the task.
    fn concerns(&self, rule: &Heuristic) -> bool {
        self.holds(&comparable(&rule.condition), None)
    }

    /// Returns true if the condition of a heuristic holds of a part of the task, or of the task as a whole.
    pub(super) fn applies(&self, rule: &Heuristic) -> bool {
        let condition = comparable(&rule.condition);
        let mut parts = self.parts.iter();
        parts.any(|part| self.holds(&condition, Some(part))) || self.holds(&condition, None)
    }

    /// Adds what somebody pinned, whatever lessons and similar episodes say of it.
    pub(super) fn pinned(&mut self, heuristics: &[Heuristic]) {
        let pinned = heuristics.iter().filter(|rule| rule.is_pinned() && rule.advice == Advice::Use);
        for rule in pinned {
            let condition = comparable(&rule.condition);
            let part = self.parts.iter().position(|part| self.holds(&condition, Some(part)));
            if self.applies(rule) && !self.done(&rule.tool) {
                let case = self.cases.entry(rule.tool.clone()).or_default();
                (case.score, case.doubt) = (case.score.max(PINNED), 0.0);
                case.part = case.part.or(part);
                case.rules.retain(|(_, id)| *id != rule.id);
                case.rules.push((PINNED, rule.id));
            }
        }
    }

    /// Takes off nearly all that speaks for what somebody pinned a rule against.
    pub(super) fn forbid(&mut self) {
        for tool in &self.forbidden {
            if let Some(case) = self.cases.get_mut(tool) {
                case.score *= 1.0 - PINNED;
                case.comes_next *= 1.0 - PINNED;
            }
        }
    }
}

/// Returns a condition with terms as tasks are compared by, of one with words as people read them.
pub(super) fn comparable(condition: &Premise) -> Premise {
    Premise { terms: condition.terms.iter().map(|word| term_of_marked(word)).collect(), ..condition.clone() }
}
