//! What to do next, and what not to try now, by what episodes like the task did at the same point.

use super::{Bench, CAUTION};
use crate::id::EpisodeId;
use crate::learn::heuristics::associate::{Junction, Tried};

/// Steps that are looked ahead.
const AHEAD: usize = 8;
/// The least weight of the episodes that show a step; 1 is one that is quite like the task.
const SHOWN_FROM: f64 = 0.05;
/// A step is taken up if it worked in more than this share of them.
const LEADS_FROM: f64 = 0.5;
/// What failed in at least this share of the episodes that tried it leads nowhere.
const DEAD_FROM: f64 = 0.75;
/// The least weight of the episodes that show a dead end.
const DEAD_WEIGHT: f64 = 0.1;

/// A tool that failed at this point of tasks like this one.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct DeadEnd {
    /// The tool.
    pub(crate) tool: String,
    /// The share of the evidence that it fails here, in `0.0..=1.0`.
    pub(crate) share: f64,
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

/// The way on from here.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Course {
    /// The tools that led on, in order, each with what became of it.
    pub(super) onward: Vec<(usize, Tried)>,
    /// What failed at this point, the surest first.
    pub(super) dead_ends: Vec<DeadEnd>,
}

impl Course {
    /// Returns the place of a tool among those that led on.
    pub(super) fn place(&self, tool: usize) -> Option<usize> {
        self.onward.iter().position(|(onward, _)| *onward == tool)
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
        let junction = |done: &[usize]| self.associations.cases.junction(&self.votes, done, unknown.len());
        let mut here = junction(&done);
        let mut course = Course { onward: Vec::new(), dead_ends: self.dead_ends(&here) };
        while course.onward.len() < AHEAD {
            let ended = here.ended;
            let Some((place, tried)) = self.surest(here) else { break };
            if tried.worked < SHOWN_FROM || tried.worked <= LEADS_FROM * (tried.worked + tried.failed + ended)
            {
                break;
            }
            course.onward.push((place, tried));
            done.push(place);
            here = junction(&done);
        }
        course
    }

    fn surest(&self, here: Junction) -> Option<(usize, Tried)> {
        let allowed = |place: usize| {
            let name = &self.associations.tools[place].name;
            !self.ruled_out.contains(name) && !self.forbidden.contains(name)
        };
        let tools = here.tools.into_iter().filter(|(place, _)| allowed(*place));
        tools.max_by(|(_, a), (_, b)| a.worked.total_cmp(&b.worked))
    }

    fn dead_ends(&self, here: &Junction) -> Vec<DeadEnd> {
        let is_dead = |tried: &Tried| {
            // What failed once on the way to a success (a test that shows the bug) may well have been part of it.
            let told = tried.times_failed > 1 || tried.times_lost > 0;
            let all = tried.failed + tried.worked;
            told && tried.failed >= DEAD_WEIGHT && tried.failed >= DEAD_FROM * all
        };
        let mut dead: Vec<(&usize, &Tried)> = here.tools.iter().filter(|(_, tried)| is_dead(tried)).collect();
        dead.sort_by(|(_, a), (_, b)| b.failed.total_cmp(&a.failed));
        dead.into_iter()
            .map(|(place, tried)| DeadEnd {
                tool: self.associations.tools[*place].name.clone(),
                share: tried.failed / (tried.failed + tried.worked),
                failed: tried.times_failed,
                failed_last: tried.failed_last,
                tried: tried.times_failed + tried.times_worked,
                episodes: tried.failing.clone(),
            })
            .collect()
    }

    /// Adds what led on from here, and takes out what leads nowhere now, unless somebody pinned it.
    pub(super) fn follow(&mut self, course: &Course, selected: &mut Vec<String>) {
        selected.retain(|tool| {
            let is_dead = course.dead_ends.iter().any(|end| end.tool == *tool);
            let leads_on = self.associations.tool(tool).is_some_and(|tool| course.place(tool).is_some());
            !is_dead || leads_on || self.is_pinned(tool)
        });
        for (place, tried) in &course.onward {
            let name = &self.associations.tools[*place].name;
            if selected.contains(name) {
                continue;
            }
            let case = self.cases.entry(name.clone()).or_default();
            case.score = case.score.max(tried.worked / (tried.worked + tried.failed + CAUTION));
            case.doubt = 0.0;
            case.episodes.clone_from(&tried.working);
            let times = tried.times_worked + tried.times_failed;
            case.reasons =
                vec![format!("{} of {times} tasks like this one went on with it", tried.times_worked)];
            selected.push(name.clone());
        }
    }

    fn is_pinned(&self, tool: &str) -> bool {
        let rules = self.cases.get(tool).into_iter().flat_map(|case| &case.rules);
        rules.filter_map(|(_, id)| self.stored.get(id)).any(|rule| rule.pinned)
    }
}
