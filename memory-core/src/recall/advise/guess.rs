//! What is advised where nothing calls for any tool, and what goes along.

use super::course::Course;
use super::{Bench, Case, GUESS, Neighbour};
use crate::learn::heuristics::associate::ToolFacts;

/// Where nothing calls for a tool: how much weak calls count beside what words hint at.
const WEAK_CALL: f64 = 2.0;
/// Where nothing calls for a tool: how much it counts how often a tool is used.
const USUAL: f64 = 0.3;
/// Where nothing calls for a tool: how much the recalled episodes count.
const NEIGHBOURS: f64 = 1.0;
/// How sure it is that a tool is needed that nearly always goes with another one, as a share of how sure that one is.
const COMPANION: f64 = 0.9;

impl Bench<'_> {
    /// Chooses a tool where nothing calls for any, by what the words hint at and what recalled episodes used.
    pub(super) fn guess(&mut self, neighbours: &[Neighbour], course: &Course) -> Vec<String> {
        let tools = &self.associations.tools;
        let terms = self.parts.iter().flat_map(|part| part.terms.iter().map(String::as_str));
        let hinted = self.associations.hints.evidence(terms);
        let weight = |(_, score, success): &Neighbour| score * success;
        let total: f64 = neighbours.iter().map(weight).sum();
        if hinted.is_none() && total <= 0.0 {
            return Vec::new();
        }
        let voted = |name: &String| -> f64 {
            let votes = neighbours.iter().filter(|(used, ..)| used.contains(name)).map(weight).sum::<f64>();
            if total > 0.0 { votes / total } else { 0.0 }
        };
        let mut best: Option<(f64, f64, usize)> = None;
        let is_open = |facts: &ToolFacts| {
            let name = &facts.name;
            !self.done(name) && !self.is_out(name) && !self.leads_nowhere(name, course, &[])
        };
        for (place, facts) in tools.iter().enumerate().filter(|(_, facts)| is_open(facts)) {
            let called = self.cases.get(&facts.name).map_or(0.0, |case| case.score);
            let hint = hinted.as_ref().map_or(0.0, |hinted| hinted[place]);
            let votes = voted(&facts.name);
            let worth = hint + WEAK_CALL * called + USUAL * facts.share.max(1e-3).ln() + NEIGHBOURS * votes;
            if best.is_none_or(|(most, ..)| worth > most) {
                best = Some((worth, votes, place));
            }
        }
        let Some((_, votes, place)) = best else { return Vec::new() };
        let facts = &tools[place];
        let case = self.cases.entry(facts.name.clone()).or_default();
        let confidence = GUESS * votes.max(facts.share).max(case.confidence());
        (case.score, case.doubt) = (confidence, 0.0);
        let share = (100.0 * votes).round();
        case.reasons.push(if votes > 0.0 {
            format!("{share} % of the similar episodes used it, by likeness and success")
        } else {
            "the words of the task hint at it, though none calls for it".to_owned()
        });
        vec![facts.name.clone()]
    }

    /// Returns how strongly rules that hold of the task speak against a tool.
    fn against(&self, tool: usize) -> f64 {
        let rules = self.associations.avoid.iter();
        let against = rules.filter(|rule| rule.tool == tool && self.holds(&rule.premise, None));
        against.map(|rule| self.strength(rule)).fold(0.0, f64::max)
    }

    /// Adds the tools that nearly always go with those selected.
    pub(super) fn companions(&mut self, selected: &mut Vec<String>, course: &Course) {
        let mut at = 0;
        while at < selected.len() {
            let Some(tool) = self.associations.tool(&selected[at]) else {
                at += 1;
                continue;
            };
            for other in &self.associations.tools[tool].companions {
                let name = &self.associations.tools[*other].name;
                let is_open = !selected.contains(name)
                    && !self.done(name)
                    && !self.is_out(name)
                    && !self.has_passed(name)
                    && !self.leads_nowhere(name, course, selected);
                if is_open {
                    let with = self.cases.get(&selected[at]).map_or(0.0, Case::confidence);
                    let sure = COMPANION * with * (1.0 - self.against(*other));
                    let reason = format!("episodes that used {} used it, too", selected[at]);
                    let case = self.cases.entry(name.clone()).or_default();
                    if sure > case.confidence() {
                        (case.score, case.doubt) = (sure, 0.0);
                    }
                    case.reasons.push(reason);
                    selected.push(name.clone());
                }
            }
            at += 1;
        }
    }
}
