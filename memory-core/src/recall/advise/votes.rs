//! What similar episodes say beside rules.

use std::collections::HashMap;

use super::{ADVISED_FROM, Bench, CALLED_FROM};
use crate::learn::heuristics::associate::Votes;
use crate::recall::parts::Part;

/// How much rules count beside episodes, in episodes that are quite like the task.
pub(super) const RULES: f64 = 0.1;
/// How much they count for the confidence: few episodes may all be alike by chance.
pub(super) const CAUTION: f64 = 1.0;
/// The share of the similar episodes that are most of them.
const MOST: f64 = 0.5;

impl<'a> Bench<'a> {
    /// Weighs what rules say with what worked for tasks like this one; the more of those there are and the more alike, the
    /// less rules matter.
    pub(super) fn vote(&mut self) {
        let (instead, callers) = (self.done_uncalled(), self.callers(ADVISED_FROM));
        let mut of_parts: HashMap<usize, Votes> = HashMap::new();
        for (tool, raw) in self.votes.tools.iter().enumerate() {
            let name = &self.associations.tools[tool].name;
            let called_by = self.cases.get(name).and_then(|case| case.part).filter(|_| self.parts.len() > 1);
            if raw.weight <= 0.0 && called_by.is_none() {
                continue;
            }
            let is_named = raw.used > 0.0 || self.cases.contains_key(name);
            if !is_named || self.done(name) || self.ruled_out.contains(name) {
                continue;
            }
            let case = self.cases.get(name);
            let words = case.map_or(&[][..], |case| case.words.as_slice());
            let is_called = case.is_some_and(|case| case.score >= ADVISED_FROM);
            let otherwise = if is_called { &[][..] } else { callers[tool].as_slice() };
            let mut vote = self.associations.cases.vote(&self.votes, tool, words, &instead, otherwise);
            // Where no task like the whole used it, those like the part that calls for it may have.
            if vote.used <= 0.0
                && let Some(part) = called_by
            {
                let votes = of_parts.entry(part).or_insert_with(|| self.votes_of(&self.parts[part]));
                vote = self.associations.cases.vote(votes, tool, words, &instead, otherwise);
            }
            let case = self.cases.entry(name.clone()).or_default();
            let used = case.meant * vote.used;
            let with = |rules: f64| (rules * case.score + used) / (rules + vote.weight);
            let (score, cautious) = (with(RULES), with(CAUTION));
            (case.score, case.doubt) = (score, (1.0 - cautious / score.max(1e-9)).max(0.0));
            case.episodes = vote.episodes;
            if vote.worked > 0 {
                let (worked, against) = (vote.worked, vote.count.saturating_sub(vote.worked));
                let reason = format!("tasks like this one: {worked} for it, {against} against");
                case.reasons.push(reason);
            }
        }
    }

    /// Asks the episodes like one part of the task.
    fn votes_of(&self, part: &Part) -> Votes {
        self.associations.cases.ask(part.terms.iter(), self.query.kind.as_deref())
    }

    /// Returns the tools that most of the similar episodes used, and that nothing in the task calls for.
    fn done_uncalled(&self) -> Vec<usize> {
        let is_called = |tool: usize| {
            let name = &self.associations.tools[tool].name;
            let is_asked = self.cases.get(name).is_some_and(|case| case.score >= CALLED_FROM);
            is_asked || self.done(name) || self.is_out(name)
        };
        let votes = self.votes.tools.iter().enumerate();
        let most = votes.filter(|(_, vote)| vote.used > 0.0 && vote.used >= MOST * vote.weight);
        most.map(|(tool, _)| tool).filter(|tool| !is_called(*tool)).collect()
    }

    /// Returns by tool the words of each rule that calls for it at least so strongly.
    pub(super) fn callers(&self, least: f64) -> Vec<Vec<&'a [String]>> {
        let mut callers = vec![Vec::new(); self.associations.tools.len()];
        for rule in self.associations.calls.values().flatten() {
            if rule.strength >= least && !rule.premise.terms.is_empty() && self.strength(rule) >= least {
                callers[rule.tool].push(rule.premise.terms.as_slice());
            }
        }
        callers
    }
}
