//! What words call for that are taken for others.

use super::explain::times;
use super::rulings::comparable;
use super::{Bench, Case, case_of};
use crate::model::heuristic::Heuristic;
use crate::recall::likened::Likened;
use crate::recall::parts::Part;

impl Bench<'_> {
    /// Adds what the words call for that those of a part are taken for. The rules of these words do not hold of the task, so
    /// what becomes of it says nothing about them: they are no items of the advice.
    pub(super) fn call_by_likeness(&self, part: &Part, called: &mut Vec<(usize, Case)>) {
        for Likened { word, known, term } in &part.likened {
            let rules = self.associations.calls.get(term).into_iter().flatten();
            for rule in rules.filter(|rule| rule.premise.terms.len() == 1) {
                let strength = self.strength(rule);
                if strength <= 0.0 {
                    continue;
                }
                let case = case_of(called, rule.tool);
                case.add(strength, 1.0);
                case.meant = 1.0;
                let of = self.stored.get(&rule.id).map_or_else(String::new, |rule| {
                    let tally = &rule.tally;
                    format!(": {} for it, {} against", times(tally.successes), tally.failures)
                });
                case.reasons.push(format!("{word} is near {known} in meaning{of}"));
            }
        }
    }

    /// Returns true if the condition of a heuristic holds of the task, or of what its words are taken for.
    pub(super) fn concerns(&self, rule: &Heuristic) -> bool {
        let mut condition = comparable(&rule.condition);
        let likened = || self.parts.iter().flat_map(|part| &part.likened);
        condition.terms.retain(|term| likened().all(|likened| likened.term != *term));
        self.holds(&condition, None)
    }
}
