//! What the episodes that are like a task did at one point of the way.
//!
//! A point is the set of tools that have worked so far; an episode that was at a similar point has less of a say. What
//! worked and what failed there is evidence for that point alone: a tool that is refused at first may be what is needed
//! later.

use std::borrow::Cow;
use std::collections::BTreeMap;

use super::cases::{Cases, LEAST_SAY, NAMED, Votes};
use super::corpus::Entry;
use crate::id::EpisodeId;

/// Episodes that were at no point as near as this (the share of the tools that both have) say nothing.
const NEAR: f64 = 0.5;
/// What an episode keeps of its say for each newer one that was at the same point: the last few tell.
const FADING: f64 = 0.5;

/// What became of one tool at a point.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct Tried {
    /// The weight of the episodes in which it worked and did its part; 1 is one that is quite like the task.
    pub(crate) worked: f64,
    /// The weight of those in which it worked, whatever became of them.
    pub(crate) passed: f64,
    /// The weight of those in which it failed, with all that is done now done.
    pub(crate) failed: f64,
    /// In how many it worked.
    pub(crate) times_worked: usize,
    /// In how many it failed.
    pub(crate) times_failed: usize,
    /// In how many of these the episode did not succeed.
    pub(crate) times_lost: usize,
    /// In how many of the newest, without a break.
    pub(crate) failed_last: usize,
    /// The newest in which it worked.
    pub(crate) working: Vec<EpisodeId>,
    /// The newest in which it failed.
    pub(crate) failing: Vec<EpisodeId>,
}

/// What was done at a point.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct Junction {
    /// What was tried, by the place of the tool.
    pub(crate) tools: BTreeMap<usize, Tried>,
    /// The weight of the episodes that succeeded with nothing more.
    pub(crate) ended: f64,
    /// The weight of all that were there.
    pub(crate) weight: f64,
    /// How many were there.
    pub(crate) count: usize,
}

/// What an episode did at one point of its course, until another tool worked.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Stretch {
    /// The tools that failed, and had not worked until the end of it.
    failed: Vec<usize>,
    /// The tool that worked; `None` if the episode ended here.
    next: Option<usize>,
}

/// Divides calls, each a tool and whether it worked, into what was done at each point; nothing of no calls.
pub(super) fn stretches(calls: &[(usize, bool)]) -> Vec<Stretch> {
    let mut stretches: Vec<Stretch> = Vec::new();
    if calls.is_empty() {
        return stretches;
    }
    let mut worked: Vec<usize> = Vec::new();
    let mut rest = calls;
    loop {
        let next = rest.iter().position(|(tool, ok)| *ok && !worked.contains(tool));
        let (tried, behind) = rest.split_at(next.unwrap_or(rest.len()));
        let next = behind.first().map(|(tool, _)| *tool);
        let failed = tried.iter().filter(|(_, ok)| !ok).map(|(tool, _)| *tool);
        let mut failed: Vec<usize> =
            failed.filter(|tool| Some(*tool) != next && !worked.contains(tool)).collect();
        failed.sort_unstable();
        failed.dedup();
        stretches.push(Stretch { failed, next });
        let Some(tool) = next else { return stretches };
        worked.push(tool);
        rest = &behind[1..];
    }
}

/// By tool: the words that call for it, where nothing in a task does.
#[derive(Debug, Clone, Default)]
pub(crate) struct Unasked(Vec<Vec<Vec<u32>>>);

impl Unasked {
    /// Returns true if an episode was asked for a tool that this task is not asked for.
    fn has(&self, entry: &Entry, tool: usize) -> bool {
        let is_in = |term: &u32| entry.features.binary_search(term).is_ok();
        self.0.get(tool).is_some_and(|words| words.iter().any(|terms| terms.iter().all(is_in)))
    }
}

impl Cases {
    /// Returns what [`Cases::junction`] leaves out; `callers` has by tool the words that call for it, nothing for those
    /// that something in the task calls for.
    pub(crate) fn unasked(&self, callers: &[Vec<&[String]>]) -> Unasked {
        let known = |terms: &&[String]| self.features(terms);
        Unasked(callers.iter().map(|words| words.iter().filter_map(known).collect()).collect())
    }

    /// Returns what the episodes that voted did where these tools had worked, and `unknown` others. What an episode was
    /// asked for, as this task is not, is left out of its course.
    pub(crate) fn junction(
        &self,
        votes: &Votes,
        done: &[usize],
        unknown: usize,
        unasked: &Unasked,
    ) -> Junction {
        let mut junction = Junction::default();
        let mut newer = 0.0;
        for (similarity, _, place) in &votes.similar {
            let kept = FADING.powf(newer);
            if kept < LEAST_SAY {
                break;
            }
            let entry = &self.entries[*place];
            let is_left_out = |tool: usize| !done.contains(&tool) && unasked.has(entry, tool);
            let course = without(&entry.course, is_left_out);
            let Some(point) = nearest(&course, done, unknown) else { continue };
            let own = similarity * point.near.powi(2);
            newer += own;
            junction.take(entry, &point, own * kept, done);
        }
        junction
    }

    /// Returns true if most successes among some episodes, in which a tool failed, went on with another one (`by`) at once,
    /// and the failed one never worked.
    pub(crate) fn goes_round(&self, episodes: &[EpisodeId], failed: usize, by: usize) -> bool {
        let (mut round, mut otherwise) = (0, 0);
        for entry in self.entries.iter().filter(|entry| episodes.contains(&entry.id) && entry.success >= 0.5)
        {
            let goes_on = entry.course.iter().any(|stretch| stretch.goes_on(failed, by));
            let is_round = !entry.tools.contains(&failed) && goes_on;
            *(if is_round { &mut round } else { &mut otherwise }) += 1;
        }
        round > otherwise
    }
}

impl Stretch {
    /// Returns true if a tool failed, and another one (`by`) worked next.
    pub(super) fn goes_on(&self, failed: usize, by: usize) -> bool {
        self.failed.contains(&failed) && self.next == Some(by)
    }
}

impl Junction {
    fn take(&mut self, entry: &Entry, point: &Point<'_>, weight: f64, done: &[usize]) {
        self.weight += weight;
        self.count += 1;
        let name = |named: &mut Vec<EpisodeId>| {
            if named.len() < NAMED {
                named.push(entry.id);
            }
        };
        // What failed with less done may work now.
        let failed = point.stretch.failed.iter().filter(|tool| point.has_all && !done.contains(tool));
        for tool in failed {
            let tried = self.tools.entry(*tool).or_default();
            tried.failed += weight;
            tried.times_failed += 1;
            tried.times_lost += usize::from(entry.success < 0.5);
            tried.failed_last += usize::from(tried.times_worked == 0);
            name(&mut tried.failing);
        }
        match point.stretch.next {
            Some(next) if !done.contains(&next) => {
                let tried = self.tools.entry(next).or_default();
                tried.worked += weight * entry.credit();
                tried.passed += weight;
                tried.times_worked += 1;
                name(&mut tried.working);
            }
            Some(_) => {}
            None => self.ended += weight * entry.success,
        }
    }
}

/// Returns a course without some of the tools that worked: what was done before one of them and after it was done at
/// one point.
fn without(course: &[Stretch], is_left_out: impl Fn(usize) -> bool) -> Cow<'_, [Stretch]> {
    if !course.iter().any(|stretch| stretch.next.is_some_and(&is_left_out)) {
        return Cow::Borrowed(course);
    }
    let mut left = Vec::with_capacity(course.len());
    let mut failed: Vec<usize> = Vec::new();
    for stretch in course {
        failed.extend(&stretch.failed);
        if stretch.next.is_some_and(&is_left_out) {
            continue;
        }
        failed.retain(|tool| Some(*tool) != stretch.next);
        failed.sort_unstable();
        failed.dedup();
        left.push(Stretch { failed: std::mem::take(&mut failed), next: stretch.next });
    }
    Cow::Owned(left)
}

/// The point of an episode's course that is nearest to another.
struct Point<'e> {
    /// How near it is, in `0.0..=1.0`.
    near: f64,
    /// Whether all that is done here was done there.
    has_all: bool,
    stretch: &'e Stretch,
}

/// Returns the point of an episode's course that is nearest to where these tools had worked; of points equally near the
/// first.
fn nearest<'e>(course: &'e [Stretch], done: &[usize], unknown: usize) -> Option<Point<'e>> {
    let mut best: Option<Point<'_>> = None;
    let mut shared = 0;
    for (worked, stretch) in course.iter().enumerate() {
        let all = done.len() + unknown + worked - shared;
        let near = if all == 0 { 1.0 } else { shared as f64 / all as f64 };
        if near >= NEAR && best.as_ref().is_none_or(|held| near > held.near) {
            best = Some(Point { near, has_all: shared == done.len() + unknown, stretch });
        }
        shared += usize::from(stretch.next.is_some_and(|next| done.contains(&next)));
    }
    best
}

#[cfg(test)]
mod tests {
    use super::super::tests::{learn, lesson};
    use super::super::{Associations, Lesson};
    use super::*;
    use crate::model::episode::Attempt;

    fn went(n: u64, course: &str, success: f64) -> Lesson {
        super::super::tests::went(n, "Redirect the moved parcel", course, success)
    }

    fn at(known: &Associations, done: &[&str], unknown: usize) -> Junction {
        let votes =
            known.cases.ask(["redirect".to_owned(), "move".to_owned(), "parcel".to_owned()].iter(), None);
        let done: Vec<usize> = done.iter().map(|tool| known.tool(tool).unwrap()).collect();
        known.cases.junction(&votes, &done, unknown, &Unasked::default())
    }

    /// Other tasks, so that words tell something.
    fn with_others(lessons: Vec<Lesson>) -> Associations {
        let others = (500..510).map(|n| lesson(n, "Trace the missing letter", &["z"]));
        learn(&lessons.into_iter().chain(others).collect::<Vec<_>>())
    }

    #[test]
    fn a_point_is_what_worked_so_far() {
        let known = with_others(vec![went(1, "b- a+ c- b+ d- d+", 1.0)]);
        let check = |done: &[&str], worked: &str, failed: &[&str], ended: bool| {
            let junction = at(&known, done, 0);
            let tool = |place: &usize| known.tools[*place].name.clone();
            let of = |wanted: fn(&Tried) -> f64| -> Vec<String> {
                junction
                    .tools
                    .iter()
                    .filter(|(_, it)| wanted(it) > 0.0)
                    .map(|(place, _)| tool(place))
                    .collect()
            };
            assert_eq!(of(|tried| tried.worked).join(" "), worked, "after {done:?}");
            assert_eq!(of(|tried| tried.failed), failed, "after {done:?}");
            assert_eq!(junction.ended > 0.0, ended, "after {done:?}");
        };
        check(&[], "a", &["b"], false);
        check(&["a"], "b", &["c"], false);
        // What failed and then worked led on.
        check(&["a", "b"], "d", &[], false);
        check(&["b", "a"], "d", &[], false);
        check(&["a", "b", "d"], "", &[], true);
        // Half of the way is near enough; what is done already is no way on.
        check(&["b", "d"], "", &[], true);
        check(&["z"], "", &[], false);
    }

    #[test]
    fn what_failed_with_less_done_may_work_now() {
        let known = with_others(vec![went(1, "a+ c-", 0.0)]);
        let failed =
            |done: &[&str], unknown| at(&known, done, unknown).tools.values().any(|it| it.failed > 0.0);
        assert!(failed(&["a"], 0));
        assert!(!failed(&["a", "z"], 0) && !failed(&["a"], 1));
        // What had worked is needed no more, whatever it says then.
        let known = with_others(vec![went(1, "a+ b+ a-", 0.0)]);
        assert!(at(&known, &["b"], 0).tools.is_empty());
    }

    #[test]
    fn what_worked_worked_whatever_became_of_it() {
        let known = with_others(vec![went(1, "a+ b+", 0.0), went(2, "a- c+", 1.0)]);
        let junction = at(&known, &[], 0);
        let a = &junction.tools[&known.tool("a").unwrap()];
        assert!(a.worked == 0.0 && a.passed > 0.0 && a.failed > a.passed, "{a:?}");
        assert_eq!(junction.count, 2);
    }

    #[test]
    fn what_goes_round_a_failed_tool_is_what_most_successes_did() {
        let check = |courses: &[(&str, f64)], expected| {
            let went = (1..).zip(courses).map(|(n, (course, success))| went(n, course, *success));
            let known = with_others(went.collect());
            let tool = |name: &str| known.tool(name).unwrap();
            let episodes: Vec<EpisodeId> = known.cases.entries.iter().map(|entry| entry.id).collect();
            let of_tool = |id: &&EpisodeId| id.0.as_u128() < 500;
            let episodes: Vec<EpisodeId> = episodes.iter().filter(of_tool).copied().collect();
            assert_eq!(known.cases.goes_round(&episodes, tool("b"), tool("c")), expected, "{courses:?}");
        };
        let round = ("a+ b- c+", 1.0);
        check(&[round, ("a+ b- b-", 0.0)], true);
        check(&[round, round, ("a+ b- d+ b+", 1.0)], true);
        // It worked later on, something else was done, or it did not help.
        check(&[round, ("a+ b- d+ b+", 1.0)], false);
        check(&[round, ("a+ b- d+", 1.0)], false);
        check(&[("a+ b- c+", 0.0)], false);
    }

    #[test]
    fn what_is_less_near_says_less() {
        let known = with_others(vec![went(1, "a+ b+ c+", 1.0)]);
        let worked = |unknown| {
            let junction = at(&known, &["a", "b"], unknown);
            junction.tools.get(&known.tool("c").unwrap()).map_or(0.0, |tried| tried.worked)
        };
        assert!(
            (worked(1) / worked(0) - (2.0_f64 / 3.0).powi(2)).abs() < 1e-9,
            "{} {}",
            worked(1),
            worked(0)
        );
        assert_eq!(worked(3), 0.0);
    }

    #[test]
    fn the_last_ones_tell() {
        let mut lessons: Vec<Lesson> = (5..10).map(|n| went(n, "a+ b+", 1.0)).collect();
        lessons.extend((10..13).map(|n| went(n, "a+ b- c+", 1.0)));
        let junction = at(&with_others(lessons), &["a"], 0);
        let tools: Vec<&Tried> = junction.tools.values().collect();
        let [b, c] = tools[..] else { panic!("{junction:?}") };
        assert!(b.failed > 3.0 * b.worked && c.worked > 3.0 * b.worked, "{junction:?}");
        assert_eq!((b.times_failed, b.failed_last, b.times_worked), (3, 3, 5));
        assert_eq!((c.times_failed, c.failed_last, c.times_worked), (0, 0, 3));
        let newest: Vec<u128> = b.failing.iter().map(|id| id.0.as_u128()).collect();
        assert_eq!(newest, [12, 11, 10]);
    }

    #[test]
    fn a_failure_does_not_blame_the_way_to_it() {
        // The episode failed with `b`, so that `a` is not to blame; where nothing failed, everything may be.
        let credit = |course| {
            let junction = at(&with_others(vec![went(1, course, 0.0)]), &[], 0);
            junction.tools.values().map(|tried| tried.worked).sum::<f64>()
        };
        assert!(credit("a+ b-") > 0.0);
        assert_eq!(credit("a+ b+"), 0.0);
    }

    #[test]
    fn nobody_knows_how_a_course_that_was_cut_went_on() {
        let ended = |calls: usize| {
            let tools: Vec<String> = (0..calls).map(|n| format!("t{n}")).collect();
            let course = tools.iter().map(|tool| format!("{tool}+")).collect::<Vec<_>>().join(" ");
            let done: Vec<&str> = tools.iter().map(String::as_str).collect();
            at(&with_others(vec![went(1, &course, 1.0)]), &done, 0).ended
        };
        assert!(ended(Attempt::MAX - 1) > 0.0);
        assert_eq!(ended(Attempt::MAX), 0.0);
    }

    #[test]
    fn an_episode_without_a_course_says_nothing() {
        let known = with_others(vec![lesson(1, "Redirect the moved parcel", &["a", "b"])]);
        assert_eq!(at(&known, &[], 0), Junction::default());
    }
}
