//! What to do next, and what not to try now, by what episodes like the task did at the same point.

use super::votes::CAUTION;
use super::{ADVISED_FROM, Bench};
use crate::id::EpisodeId;
use crate::learn::heuristics::associate::{Junction, Tried};
use crate::memory::ToolAdvice;
use crate::model::heuristic::{Advice, Heuristic};
use std::collections::{BTreeSet, HashSet};

/// Steps that are looked ahead.
const AHEAD: usize = 8;
/// The least weight of the episodes that show a step; 1 is one that is quite like the task.
const SHOWN_FROM: f64 = 0.05;
/// A step is taken up if it worked in more than this share of the episodes that tried it or were done without it.
const LEADS_FROM: f64 = 0.5;
/// Words that call for a tool so strongly are why an episode used it.
const ASKED_FROM: f64 = 0.6;
/// What failed in at least this share of the episodes that tried it leads nowhere.
const DEAD_FROM: f64 = 0.75;
/// What always comes before a tool prepares it: with the prior, from three episodes on.
const PREPARES: f64 = 0.8;
/// What so much of the episodes do without is left out where its turn has passed.
const OPTIONAL: f64 = 0.25;
/// The least weight of the episodes that show a dead end.
const DEAD_WEIGHT: f64 = 0.1;

/// A tool that failed at this point of tasks like this one.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct DeadEnd {
    /// The tool.
    pub(crate) tool: String,
    /// How sure that is, in `0.0..=1.0`.
    pub(crate) confidence: f64,
    /// In how many episodes it failed here.
    pub(crate) failed: usize,
    /// In how many of the newest, without a break.
    pub(crate) failed_last: usize,
    /// In how many it was tried here.
    pub(crate) tried: usize,
    /// The newest of those in which it failed.
    pub(crate) episodes: Vec<EpisodeId>,
}

impl DeadEnd {
    /// Says how often it failed.
    pub(crate) fn times(&self) -> String {
        let Self { failed, failed_last, tried, .. } = self;
        match (*failed, *failed_last) {
            (1, _) if *tried == 1 => "once".to_owned(),
            (failed, _) if failed == *tried => format!("{failed} times"),
            (_, 0 | 1) => format!("{failed} of {tried} times"),
            (_, last) => format!("the last {last} of {tried} times"),
        }
    }
}

/// A tool that led on.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Onward {
    /// Its place.
    tool: usize,
    /// How sure it is, in `0.0..=1.0`.
    confidence: f64,
    /// In how many episodes it led on, of how many that were at the point.
    times: (usize, usize),
    /// The newest of those in which it did.
    episodes: Vec<EpisodeId>,
}

/// The way on from here.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Course {
    /// The tools that led on, in order.
    pub(super) onward: Vec<Onward>,
    /// What failed at this point, the surest first.
    pub(super) dead_ends: Vec<DeadEnd>,
}

impl Course {
    /// Returns the place of a tool among those that led on.
    pub(super) fn place(&self, tool: usize) -> Option<usize> {
        self.onward.iter().position(|onward| onward.tool == tool)
    }
}

impl Bench<'_> {
    /// Follows what worked, from the tools done so far on.
    pub(super) fn course(&self) -> Course {
        let mut done: Vec<usize> = Vec::new();
        let mut unknown: Vec<&String> = Vec::new();
        for tool in self.query.done() {
            match self.associations.tool(tool) {
                Some(place) if !done.contains(&place) => done.push(place),
                None if !unknown.contains(&tool) => unknown.push(tool),
                _ => {}
            }
        }
        let cases = &self.associations.cases;
        let unasked = cases.unasked(&self.unasked());
        let junction = |done: &[usize]| cases.junction(&self.votes, done, unknown.len(), &unasked);
        let mut here = junction(&done);
        let mut course = Course { onward: Vec::new(), dead_ends: self.dead_ends(&here) };
        while course.onward.len() < AHEAD
            && let Some(onward) = self.surest(&here)
        {
            done.push(onward.tool);
            course.onward.push(onward);
            here = junction(&done);
        }
        course
    }

    /// Returns by tool the words that clearly call for it; none for tools that something in the task calls for.
    fn unasked(&self) -> Vec<Vec<&[String]>> {
        let mut callers = self.callers(ASKED_FROM);
        for (words, tool) in callers.iter_mut().zip(&self.associations.tools) {
            if self.cases.get(&tool.name).is_some_and(|case| case.score >= ADVISED_FROM) {
                words.clear();
            }
        }
        callers
    }

    /// Returns the tools that words of other tasks clearly call for, and that are neither done nor advised.
    pub(super) fn for_others(&self, advised: &[ToolAdvice]) -> HashSet<String> {
        let tools = self.unasked().into_iter().zip(&self.associations.tools);
        let others = tools.filter(|(words, _)| !words.is_empty()).map(|(_, tool)| &tool.name);
        let is_advised = |tool: &String| advised.iter().any(|advice| advice.tool == *tool);
        others.filter(|tool| !is_advised(tool) && !self.done(tool)).cloned().collect()
    }

    /// Returns what led on from a point most often, unless most of it says that nothing does.
    fn surest(&self, here: &Junction) -> Option<Onward> {
        let allowed = |place: usize| !self.is_out(&self.associations.tools[place].name);
        let leads = |tried: &Tried| {
            let all = tried.worked + tried.failed + here.ended;
            tried.worked >= SHOWN_FROM && tried.worked > LEADS_FROM * all
        };
        let tools = here.tools.iter().filter(|(place, tried)| allowed(**place) && leads(tried));
        let (tool, tried) = tools.max_by(|(_, a), (_, b)| a.worked.total_cmp(&b.worked))?;
        Some(Onward {
            tool: *tool,
            confidence: tried.worked / (here.weight + CAUTION),
            times: (tried.times_worked, here.count),
            episodes: tried.working.clone(),
        })
    }

    fn dead_ends(&self, here: &Junction) -> Vec<DeadEnd> {
        let is_dead = |tried: &Tried| {
            // What failed once on the way to a success (a test that shows the bug) may well have been part of it.
            let told = tried.times_failed > 1 || tried.times_lost > 0;
            let all = tried.failed + tried.passed;
            told && tried.failed >= DEAD_WEIGHT && tried.failed >= DEAD_FROM * all
        };
        let mut dead: Vec<DeadEnd> = here
            .tools
            .iter()
            .filter(|(place, tried)| {
                is_dead(tried) && !self.is_spared(&self.associations.tools[**place].name)
            })
            .map(|(place, tried)| DeadEnd {
                tool: self.associations.tools[*place].name.clone(),
                confidence: tried.failed / (tried.failed + tried.passed + CAUTION),
                failed: tried.times_failed,
                failed_last: tried.failed_last,
                tried: tried.times_failed + tried.times_worked,
                episodes: tried.failing.clone(),
            })
            .collect();
        dead.sort_by(|a, b| b.confidence.total_cmp(&a.confidence));
        dead
    }

    /// Returns true if somebody pinned a rule for a tool that applies, or rejected one against it.
    pub(super) fn is_spared(&self, tool: &str) -> bool {
        let spares = |rule: &Heuristic| match rule.advice {
            Advice::Use => rule.is_pinned(),
            Advice::Avoid => rule.is_rejected(),
        };
        self.stored.values().any(|rule| rule.tool == tool && spares(rule) && self.applies(rule))
    }

    /// Returns true if a tool failed at this point, or is only used once one has worked that did; unless something selected
    /// prepares that one.
    pub(super) fn leads_nowhere(&self, tool: &str, course: &Course, selected: &[String]) -> bool {
        let mut dead = course.dead_ends.iter().filter(|end| !self.is_prepared(end, course, selected));
        dead.any(|end| end.tool == tool || self.hangs_on(tool, &end.tool) && !self.is_spared(tool))
    }

    /// Returns true if something selected comes before a tool wherever both were used: what failed at this point failed without
    /// it. What was left out even when that had worked failed for another reason.
    fn is_prepared(&self, end: &DeadEnd, course: &Course, selected: &[String]) -> bool {
        let is_dead = |tool: &String| course.dead_ends.iter().any(|end| end.tool == *tool);
        let went_on = |before: &String| {
            let places = self.associations.tool(before).zip(self.associations.tool(&end.tool));
            places.is_some_and(|(before, tool)| {
                self.associations.cases.any_without(&end.episodes, tool, before)
            })
        };
        let mut before = selected.iter().filter(|tool| !is_dead(tool));
        before.any(|before| self.comes_always_before(before, &end.tool, PREPARES) && !went_on(before))
    }

    /// Returns true if a tool is of no more use: it always comes before one that is done, and episodes like the task often did
    /// that one without it, or only used it when that one had failed.
    pub(super) fn has_passed(&self, tool: &str) -> bool {
        let Some(place) = self.associations.tool(tool) else { return false };
        let done: BTreeSet<&String> = self.query.done().iter().collect();
        let is_behind = |done: &&&String| self.comes_always_before(tool, done, PREPARES);
        let mut behind = done.iter().filter(is_behind).filter_map(|done| self.associations.tool(done));
        let cases = &self.associations.cases;
        behind.any(|done| cases.does_without(&self.votes, place, done, OPTIONAL)) && !self.is_spared(tool)
    }

    /// Returns true if one tool came before another one in at least this share of the episodes that used both, and never
    /// behind it.
    pub(super) fn comes_always_before(&self, first: &str, second: &str, share: f64) -> bool {
        let places = self.associations.tool(first).zip(self.associations.tool(second));
        let before = &self.associations.before;
        places.is_some_and(|(first, second)| {
            let usual = before.get(&(first, second)).is_some_and(|usual| *usual >= share);
            usual && !before.contains_key(&(second, first))
        })
    }

    /// Adds what led on from here, and takes out what leads nowhere now.
    pub(super) fn follow(&mut self, course: &Course, selected: &mut Vec<String>) {
        // What prepared something may lead nowhere itself.
        let mut before = usize::MAX;
        while selected.len() < before {
            before = selected.len();
            let known = selected.clone();
            selected.retain(|tool| {
                let leads_on = self.associations.tool(tool).is_some_and(|tool| course.place(tool).is_some());
                leads_on || !self.leads_nowhere(tool, course, &known)
            });
        }
        for onward in &course.onward {
            let name = &self.associations.tools[onward.tool].name;
            if selected.contains(name) {
                continue;
            }
            let case = self.cases.entry(name.clone()).or_default();
            (case.score, case.doubt) = (case.score.max(onward.confidence), 0.0);
            case.episodes.clone_from(&onward.episodes);
            let (times, of) = onward.times;
            case.reasons = vec![format!("{times} of {of} tasks like this one went on with it")];
            selected.push(name.clone());
        }
    }
}
