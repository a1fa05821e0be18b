//! Which tools a task needs, and in which order, by what was learned.
//!
//! Each part of the task is asked by itself which tools it calls for: rules that apply to a part are combined as
//! independent causes (noisy-or), a part that only supposes something counts a quarter, and a word that a tool is used
//! *on* does not call for it where another operation is named. What rules say is weighed with what worked in the episodes
//! that are like the task as a whole: the more alike they are, the less rules matter. Of a tool that a word calls for,
//! episodes without that word say nothing, unless they did something in its place. What they did at the point that the
//! task has come to is followed on from there, and what failed there is left for now. Where nothing calls for any tool,
//! what recalled episodes used and what the words hint at decide, with less confidence; where nothing is known there is
//! no advice.

mod case;
mod course;
mod explain;
mod guess;
mod remedy;
mod rulings;
mod start;
mod votes;

use std::collections::{HashMap, HashSet};

use crate::id::HeuristicId;
use crate::learn::demotion::score_share;
use crate::learn::heuristics::associate::{Associations, Rule, Votes};
use crate::learn::heuristics::is_recalled;
use crate::memory::ToolAdvice;
use crate::model::heuristic::{Heuristic, Premise};
use crate::recall::parts::Part;
use crate::recall::query::RecallQuery;
use crate::recall::tokenize::normalize_label;

use case::Case;
pub(crate) use course::DeadEnd;
pub(crate) use remedy::Remedy;
pub(crate) use rulings::PINNED;
pub(crate) use start::advise_at_start;

/// Tools that are less likely needed are not advised.
const ADVISED_FROM: f64 = 0.3;
/// Nor are those that hardly anything speaks for.
const CONFIDENT_FROM: f64 = 0.1;
/// A part calls for a tool from here on, for the order of the tools.
const CALLED_FROM: f64 = 0.1;
/// What counts of a part that only supposes something, or that is wished for in case that another wish fails.
const SUPPOSED: f64 = 0.25;
/// What counts of a call for a tool by words that name its object, beside an operation that is not its own.
const OBJECT_ALONE: f64 = 0.25;
/// A guess, where nothing calls for any tool, is at most so sure.
const GUESS: f64 = 0.5;

/// A recalled episode: the tools that worked, how well its words fit and how far it succeeded.
pub(crate) type Neighbour = (Vec<String>, f64, f64);

/// Returns true if an episode succeeded with no other tools than those done.
pub(crate) fn needed_no_more((tools, _, success): &Neighbour, query: &RecallQuery) -> bool {
    *success >= 1.0 && !tools.is_empty() && tools.iter().all(|tool| query.done().contains(tool))
}

/// What is advised.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Advised {
    /// The tools, in the order of use.
    pub(crate) tools: Vec<ToolAdvice>,
    /// What failed at this point of tasks like this one, the surest first.
    pub(crate) dead_ends: Vec<DeadEnd>,
    /// The tools that words of other tasks clearly call for, and nothing in this one.
    pub(crate) for_others: HashSet<String>,
}

/// Advises on tools for a task that was split into parts.
///
/// `heuristics` are those of the domain as stored: what is rejected or withheld has no say, what is demoted half, and
/// what is pinned speaks even if it is not learned any more. With [`RecallQuery::after`] the tools done are left out, and
/// what usually comes next comes first; a tool that failed last is not done, and a `remedy` for that comes first.
pub(crate) fn advise(
    parts: &[Part],
    query: &RecallQuery,
    associations: &Associations,
    heuristics: &[Heuristic],
    neighbours: &[Neighbour],
    remedy: Option<&Remedy>,
) -> Advised {
    let stored: HashMap<HeuristicId, &Heuristic> =
        heuristics.iter().chain(&associations.heuristics).rev().map(|rule| (rule.id, rule)).collect();
    let terms = parts.iter().flat_map(|part| &part.terms);
    let votes = associations.cases.ask(terms, query.kind.as_deref());
    let (ruled_out, forbidden, cases) = (HashSet::new(), HashSet::new(), HashMap::new());
    let mut bench = Bench { parts, query, associations, stored, votes, ruled_out, forbidden, cases };
    bench.rule_out();
    bench.call();
    bench.come_next();
    bench.vote();
    bench.pinned(heuristics);
    bench.avoid();
    let mut selected: Vec<String> = bench
        .cases
        .iter()
        .filter(|(_, case)| case.score >= ADVISED_FROM && case.confidence() >= CONFIDENT_FROM)
        .filter(|(tool, _)| !bench.has_passed(tool))
        .map(|(tool, _)| tool.clone())
        .collect();
    // What goes along is as sure as the surest that brings it.
    selected.sort_by(|a, b| {
        let sure = |tool: &String| bench.cases.get(tool).map_or(0.0, Case::confidence);
        sure(b).total_cmp(&sure(a)).then_with(|| a.cmp(b))
    });
    let course = bench.course();
    let knows = !selected.is_empty();
    bench.follow(&course, &mut selected);
    // Where all that is known leads nowhere nothing is guessed, nor of what may be done already.
    if selected.is_empty() && !knows && !neighbours.iter().any(|it| needed_no_more(it, query)) {
        selected = bench.guess(neighbours, &course);
        selected.retain(|tool| !bench.has_passed(tool));
    }
    bench.companions(&mut selected, &course);
    let tools = bench.advice(selected, &course);
    let for_others = bench.for_others(&tools);
    let mut advised = Advised { tools, dead_ends: course.dead_ends, for_others };
    if let Some(remedy) = remedy {
        bench.begin_with(remedy, &mut advised);
    }
    advised
}

struct Bench<'a> {
    parts: &'a [Part],
    query: &'a RecallQuery,
    associations: &'a Associations,
    stored: HashMap<HeuristicId, &'a Heuristic>,
    votes: Votes,
    /// The tools that somebody, or what became of using them, ruled out for a task like this one.
    ruled_out: HashSet<String>,
    /// The tools that somebody pinned a rule against that applies.
    forbidden: HashSet<String>,
    /// By tool.
    cases: HashMap<String, Case>,
}

impl Bench<'_> {
    /// Returns what counts of a rule by what somebody or its uses say about it, in `0.0..=1.0`.
    fn strength(&self, rule: &Rule) -> f64 {
        let strength = if self.query.kind.is_some() { rule.strength } else { rule.unlabelled };
        match self.stored.get(&rule.id) {
            Some(heuristic) if !is_recalled(heuristic) => 0.0,
            Some(heuristic) if heuristic.is_pinned() => strength.max(PINNED),
            Some(heuristic) => strength * score_share(heuristic.standing),
            None => strength,
        }
    }

    fn done(&self, tool: &str) -> bool {
        self.query.done().iter().any(|done| done == tool)
    }

    /// Asks each part, and the task as a whole, which tools it calls for.
    fn call(&mut self) {
        let mut wishes = Vec::with_capacity(self.parts.len());
        for (place, part) in self.parts.iter().enumerate() {
            let rules = part.terms.iter().filter_map(|term| self.associations.calls.get(term)).flatten();
            let rules = rules.filter(|rule| self.holds(&rule.premise, Some(part)));
            let mut called = self.noisy_or(rules);
            for (tool, case) in &mut called {
                if case.score >= ADVISED_FROM && self.is_object_alone(*tool, part) {
                    case.meant = OBJECT_ALONE;
                    case.score *= case.meant;
                }
            }
            let is_supposed = part.hypothetical || part.fallback && self.falls_back(place, &wishes);
            wishes.push(!is_supposed && called.iter().any(|(_, case)| case.score >= ADVISED_FROM));
            let share = if is_supposed { SUPPOSED } else { 1.0 };
            for (tool, mut case) in called {
                (case.score, case.meant) = (case.score * share, case.meant * share);
                self.take(tool, case, Some(place));
            }
        }
        let whole = self.associations.calls.get("").into_iter().flatten();
        let whole = whole.filter(|rule| self.holds(&rule.premise, None));
        for (tool, case) in self.noisy_or(whole) {
            self.take(tool, case, None);
        }
    }

    /// Returns true if what a part wishes for in case that something fails follows a wish that may come true. `wishes` says
    /// of each part before whether it calls for a tool. The wish is in the same sentence or the one before; sentences
    /// that are themselves about a case may come between.
    fn falls_back(&self, place: usize, wishes: &[bool]) -> bool {
        let mut end = place;
        for sentence in self.parts[..place].chunk_by(|a, b| a.sentence == b.sentence).rev() {
            let start = end - sentence.len();
            let is_own = sentence[0].sentence == self.parts[place].sentence;
            // What is wished for in the same case is no other wish.
            let mut wished = wishes[start..end].iter().zip(sentence);
            if wished.any(|(wished, part)| *wished && !(is_own && part.fallback)) {
                return true;
            }
            if !is_own && !sentence[0].hypothetical && !sentence[0].fallback {
                return false;
            }
            end = start;
        }
        false
    }

    /// Returns true if a condition holds of a part of the task, or of the task as a whole.
    fn holds(&self, premise: &Premise, part: Option<&Part>) -> bool {
        let terms = premise.terms.iter().all(|term| match part {
            Some(part) => part.terms.contains(term),
            None => self.parts.iter().any(|part| part.terms.contains(term)),
        });
        terms
            && premise.task_kind.as_deref().is_none_or(|kind| {
                self.query.kind.as_deref().map(normalize_label) == Some(normalize_label(kind))
            })
            && premise.after_tool.as_ref().is_none_or(|tool| self.query.done().last() == Some(tool))
    }

    /// Combines rules that apply as independent causes, by tool.
    fn noisy_or<'r>(&self, rules: impl Iterator<Item = &'r Rule>) -> Vec<(usize, Case)> {
        let mut cases: Vec<(usize, Case)> = Vec::new();
        for rule in rules {
            let strength = self.strength(rule);
            if strength > 0.0 {
                let case = case_of(&mut cases, rule.tool);
                case.add(strength);
                case.rules.push((strength, rule.id));
                if strength >= ADVISED_FROM && !rule.premise.terms.is_empty() {
                    case.words.push(rule.premise.terms.clone());
                }
            }
        }
        cases
    }

    /// Returns true if a part names what a tool is used on, but neither the tool's operation nor what goes with it.
    fn is_object_alone(&self, tool: usize, part: &Part) -> bool {
        let facts = &self.associations.tools[tool];
        let Some(operation) = facts.words.first() else { return false };
        let clause = self.parts.iter().filter(|other| other.clause == part.clause);
        let has = |term: &String| clause.clone().any(|part| part.terms.contains(term));
        !facts.partners.is_empty() && !has(operation) && !facts.partners.iter().any(has)
    }

    fn take(&mut self, tool: usize, case: Case, part: Option<usize>) {
        let name = &self.associations.tools[tool].name;
        if self.done(name) {
            return;
        }
        let held = self.cases.entry(name.clone()).or_default();
        if case.score >= CALLED_FROM && held.part.is_none() {
            held.part = part;
        }
        if case.score > held.score {
            (held.score, held.meant) = (case.score, case.meant);
        }
        held.rules.extend(case.rules);
        if case.score >= ADVISED_FROM {
            held.words.extend(case.words);
        }
        for reason in case.reasons {
            if !held.reasons.contains(&reason) {
                held.reasons.push(reason);
            }
        }
    }

    /// Adds what usually comes after the tool used last.
    fn come_next(&mut self) {
        let rules = self.query.done().last().and_then(|last| self.associations.next.get(last));
        let apply = rules.into_iter().flatten().filter(|rule| self.holds(&rule.premise, None));
        let coming: Vec<(&Rule, f64)> = apply.map(|rule| (rule, self.strength(rule))).collect();
        // What holds of tasks like this one outranks what holds of all.
        let is_special = |rule: &Rule| !rule.premise.terms.is_empty() || rule.premise.task_kind.is_some();
        let special = coming.iter().filter(|(rule, _)| is_special(rule));
        let surest = special.map(|(_, strength)| *strength).fold(0.0, f64::max);
        let coming: Vec<(usize, f64, HeuristicId)> = coming
            .into_iter()
            .filter(|(rule, strength)| is_special(rule) || *strength >= surest)
            .map(|(rule, strength)| (rule.tool, strength, rule.id))
            .collect();
        for (tool, strength, id) in coming {
            let tool = &self.associations.tools[tool].name;
            if strength > 0.0 && !self.done(tool) {
                let is_failed = self.query.failed() == Some(tool.as_str());
                let case = self.cases.entry(tool.clone()).or_default();
                // What has just failed is needed all the same, but there may be something to do before.
                if !is_failed {
                    case.comes_next = case.comes_next.max(strength);
                }
                case.add(strength);
                case.meant = 1.0;
                case.rules.push((strength, id));
            }
        }
    }

    /// Takes off what speaks against a tool.
    fn avoid(&mut self) {
        for rule in &self.associations.avoid {
            let strength = self.strength(rule);
            if !self.holds(&rule.premise, None) {
                continue;
            }
            if let Some(case) = self.cases.get_mut(&self.associations.tools[rule.tool].name) {
                case.score *= 1.0 - strength;
                case.comes_next *= 1.0 - strength;
            }
        }
        self.forbid();
    }
}

fn case_of(cases: &mut Vec<(usize, Case)>, tool: usize) -> &mut Case {
    let at = cases.iter().position(|(held, _)| *held == tool).unwrap_or_else(|| {
        cases.push((tool, Case::default()));
        cases.len() - 1
    });
    &mut cases[at].1
}

#[cfg(test)]
mod tests;
