//! The episodes nearest to a task, and their actions at the point that the task has reached.
//!
//! Nearest neighbours by the cosine of the words' inverse document frequencies (`IBk`: Aha et al.,
//! "Instance-based Learning Algorithms", 1991), among the newest episodes. A point of a course is the set of
//! tools that have worked so far; an episode that was at a similar point, by the Jaccard index of the two sets,
//! has a lower weight. If the same tool failed in neighbours at that point, only these are used (back-off,
//! Katz, 1987).

use std::collections::BTreeMap;

use foldhash::fast::FixedState;
use hashbrown::HashMap;

use super::params::Params;
use super::rows::Tool;

/// An episode half as similar as the most similar has an eighth of its weight. In cross-validation on BFCL, F1
/// is 0.669 with 3, 0.650 with 2 and 0.635 with 1.
const SHARPNESS: i32 = 3;
/// Episodes that were at no point as near as this were on another way.
const NEAR: f32 = 0.5;
/// A tool with at least this probability of failure is a dead end: half an episode similar to the task, and
/// none against it.
const DEAD_FROM: f32 = 1.0 / 3.0;
/// Episodes named for one tool.
const NAMED: usize = 3;

/// The actions of a completed episode.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Case {
    /// The buckets of its words, sorted.
    pub(super) words: Vec<u32>,
    /// Its calls in order: the tool, and whether it worked.
    pub(super) course: Vec<(Tool, bool)>,
    /// Whether nothing follows for tools that it did not call.
    pub(super) silent: bool,
}

impl Case {
    /// Returns the tools that worked from a place of the course on and not before, in order.
    fn worked_from(&self, from: usize) -> impl Iterator<Item = Tool> {
        let new = move |(place, (tool, worked)): (usize, &(Tool, bool))| {
            (*worked && !self.course[..place].contains(&(*tool, true))).then_some(*tool)
        };
        self.course.iter().enumerate().skip(from).filter_map(new)
    }

    /// Returns the place of the course that is nearest to a point.
    fn at(&self, point: &Point<'_>) -> Option<At> {
        let mut best: Option<At> = None;
        let mut worked: Vec<Tool> = Vec::new();
        let mut shared = 0;
        for place in 0..=self.course.len() {
            let before = place.checked_sub(1).map(|before| self.course[before]);
            if let Some((tool, true)) = before
                && !worked.contains(&tool)
            {
                worked.push(tool);
                shared += usize::from(point.done.contains(&tool));
            }
            let all = point.done.len() + point.unknown + worked.len() - shared;
            let near = if all == 0 { 1.0 } else { shared as f32 / all as f32 };
            let failed = point.failed.is_some_and(|tool| before == Some((tool, false)));
            let has_all = shared == point.done.len() && point.unknown == 0;
            let at = At { near, place, failed, has_all };
            if near >= NEAR && best.is_none_or(|held| (failed, near) > (held.failed, held.near)) {
                best = Some(at);
            }
        }
        best
    }
}

/// Where a task is.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(super) struct Point<'a> {
    /// The tools that have worked, each once.
    pub(super) done: &'a [Tool],
    /// How many other tools have, that no episode used.
    pub(super) unknown: usize,
    /// The tool that failed last.
    pub(super) failed: Option<Tool>,
}

/// A position in an episode's course, relative to a point.
#[derive(Debug, Clone, Copy, PartialEq)]
struct At {
    near: f32,
    place: usize,
    /// Whether the tool that failed last failed just before.
    failed: bool,
    /// Whether all that is done had worked.
    has_all: bool,
}

/// A neighbouring episode.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Neighbour {
    pub(super) id: u128,
    pub(super) similarity: f32,
}

/// The neighbours' votes on the tools that a task still needs.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Votes {
    /// The weight of those that are evidence on every tool.
    all: f32,
    /// By tool: the weight of those in which it worked, and of those that speak about it alone.
    tools: Vec<(Tool, f32, f32)>,
}

impl Votes {
    /// Returns the weight of the neighbours in which a tool worked, and of all that are evidence on it.
    pub(super) fn on(&self, tool: Tool) -> (f32, f32) {
        let of = self.tools.iter().find(|(of, ..)| *of == tool);
        of.map_or((0.0, self.all), |(_, used, alone)| (*used, self.all + alone))
    }

    fn of(&mut self, tool: Tool) -> &mut (Tool, f32, f32) {
        let at = self.tools.iter().position(|(of, ..)| *of == tool).unwrap_or_else(|| {
            self.tools.push((tool, 0.0, 0.0));
            self.tools.len() - 1
        });
        &mut self.tools[at]
    }

    fn take(&mut self, case: &Case, place: usize, weight: f32) {
        self.all += if case.silent { 0.0 } else { weight };
        if case.silent {
            // Failed calls of a failed episode are no evidence for themselves.
            let mut failed: Vec<Tool> = case.course[place..].iter().map(|(tool, _)| *tool).collect();
            failed.retain(|tool| !case.course.contains(&(*tool, true)));
            failed.sort_unstable();
            failed.dedup();
            failed.into_iter().for_each(|tool| self.of(tool).2 += weight);
        } else {
            case.worked_from(place).for_each(|tool| self.of(tool).1 += weight);
        }
    }
}

/// The neighbours of a task at a point with their weights, the newest first.
pub(super) struct Circle<'c> {
    asked: Vec<(u128, &'c Case, At, f32, f32)>,
}

impl Circle<'_> {
    /// Returns the neighbours' votes, by similarity only and with the newest weighted most.
    pub(super) fn votes(&self) -> [Votes; 2] {
        let mut votes = [Votes::default(), Votes::default()];
        for (_, case, at, weight, recent) in &self.asked {
            votes[0].take(case, at.place, *weight);
            votes[1].take(case, at.place, *recent);
        }
        votes
    }

    /// Returns the newest neighbours in which a tool worked from here on.
    pub(super) fn users(&self, tool: Tool) -> Vec<u128> {
        let asked = self.asked.iter();
        let users =
            asked.filter(|(_, case, at, ..)| !case.silent && case.worked_from(at.place).any(|it| it == tool));
        users.map(|(id, ..)| *id).take(NAMED).collect()
    }

    /// Returns the weight of the neighbours that used one tool before another, minus that of those that used it
    /// after.
    pub(super) fn precedence(&self, first: Tool, second: Tool) -> f32 {
        let mut sum = 0.0;
        for (_, case, at, _, recent) in self.asked.iter().filter(|(_, case, ..)| !case.silent) {
            let place = |tool: Tool| case.worked_from(at.place).position(|it| it == tool);
            if let (Some(one), Some(other)) = (place(first), place(second)) {
                sum += if one < other { *recent } else { -recent };
            }
        }
        sum
    }

    /// Returns the calls that failed at this point without any progress after them, the most certain first.
    pub(super) fn dead_ends(&self, done: &[Tool]) -> Vec<Dead> {
        let mut tried: BTreeMap<Tool, (f32, f32, Dead)> = BTreeMap::new();
        for (id, case, at, _, recent) in self.asked.iter().filter(|(_, _, at, ..)| at.has_all) {
            let is_new =
                |tool: &Tool| !case.course[..at.place].contains(&(*tool, true)) && !done.contains(tool);
            let here = &case.course[at.place..];
            let end = here.iter().position(|(tool, worked)| *worked && is_new(tool));
            let next = end.map(|end| here[end].0);
            let mut failed: Vec<Tool> = Vec::new();
            for (tool, _) in here[..end.unwrap_or(here.len())].iter().filter(|(_, worked)| !worked) {
                if is_new(tool) && Some(*tool) != next && !failed.contains(tool) {
                    failed.push(*tool);
                }
            }
            for tool in failed {
                let (weight, _, dead) = tried.entry(tool).or_insert_with(|| (0.0, 0.0, Dead::new(tool)));
                *weight += recent;
                dead.failed_last += usize::from(dead.failed == dead.tried);
                (dead.failed, dead.tried) = (dead.failed + 1, dead.tried + 1);
                dead.lost += usize::from(case.silent);
                if dead.episodes.len() < NAMED {
                    dead.episodes.push(*id);
                }
            }
            if let Some(next) = next {
                let (_, passed, dead) = tried.entry(next).or_insert_with(|| (0.0, 0.0, Dead::new(next)));
                *passed += recent;
                dead.tried += 1;
            }
        }
        let mut dead: Vec<Dead> = tried
            .into_values()
            .map(|(failed, passed, dead)| Dead { probability: failed / (failed + passed + 1.0), ..dead })
            // A call that failed once on the way to a success (a test that shows the bug) may have been part of
            // it.
            .filter(|it| it.probability >= DEAD_FROM && 2 * it.failed > it.tried)
            .filter(|it| it.failed > 1 || it.lost > 0)
            .collect();
        dead.sort_by(|a, b| b.probability.total_cmp(&a.probability).then(a.tool.cmp(&b.tool)));
        dead
    }
}

/// A tool that failed at a point.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Dead {
    pub(super) tool: Tool,
    /// That it fails again, in `0.0..1.0`.
    pub(super) probability: f32,
    /// In how many episodes it failed, in how many of the newest consecutively, and in how many it was tried.
    pub(super) failed: usize,
    pub(super) failed_last: usize,
    pub(super) tried: usize,
    /// In how many of those in which it failed the task did.
    lost: usize,
    pub(super) episodes: Vec<u128>,
}

impl Dead {
    fn new(tool: Tool) -> Self {
        Self { tool, probability: 0.0, failed: 0, failed_last: 0, tried: 0, lost: 0, episodes: Vec::new() }
    }
}

/// The newest episodes, by id: ids are in the order of time.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Cases {
    pub(super) held: BTreeMap<u128, Case>,
    /// By the bucket of a word: the episodes that have it, in order. `None` until something changes: a process
    /// that only answers is faster by scanning the episodes than by building this.
    postings: Option<HashMap<u32, Vec<u128>, FixedState>>,
}

impl Cases {
    /// Makes it of episodes by their ids.
    pub(super) fn new(held: BTreeMap<u128, Case>) -> Self {
        Self { held, postings: None }
    }

    fn postings(&mut self) -> &mut HashMap<u32, Vec<u128>, FixedState> {
        self.postings.get_or_insert_with(|| {
            let mut postings: HashMap<u32, Vec<u128>, FixedState> = HashMap::default();
            for (id, case) in &self.held {
                case.words.iter().for_each(|word| postings.entry(*word).or_default().push(*id));
            }
            postings
        })
    }

    /// Takes in an episode; the oldest makes way for it if there are too many.
    pub(super) fn insert(&mut self, id: u128, case: Case, params: &Params) {
        let postings = self.postings();
        for word in &case.words {
            let posting = postings.entry(*word).or_default();
            if let Err(at) = posting.binary_search(&id) {
                posting.insert(at, id);
            }
        }
        self.held.insert(id, case);
        while self.held.len() > params.cases
            && let Some(oldest) = self.held.keys().next().copied()
        {
            self.remove(oldest);
        }
    }

    /// Forgets an episode.
    pub(super) fn remove(&mut self, id: u128) {
        self.postings();
        let Some(case) = self.held.remove(&id) else { return };
        let postings = self.postings();
        for word in &case.words {
            if let Some(posting) = postings.get_mut(word) {
                if let Ok(at) = posting.binary_search(&id) {
                    posting.remove(at);
                }
                if posting.is_empty() {
                    postings.remove(word);
                }
            }
        }
    }

    /// Returns at most this many of the episodes nearest to a text, the nearest first. `information` has the
    /// squared inverse document frequency of a word, 0 if no episode has it.
    pub(super) fn nearest(
        &self,
        words: &[u32],
        most: usize,
        information: impl Fn(u32) -> f32,
        params: &Params,
    ) -> Vec<Neighbour> {
        let mut telling: Vec<(f32, u32)> = words.iter().map(|word| (information(*word), *word)).collect();
        telling.retain(|(told, _)| *told > 0.0);
        let norm: f32 = telling.iter().map(|(told, _)| told).sum();
        telling.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
        telling.truncate(params.searched_words);
        let mut shared: HashMap<u128, f32, FixedState> = HashMap::default();
        if let Some(postings) = &self.postings {
            for (told, word) in &telling {
                let posting = postings.get(word).map_or(&[][..], Vec::as_slice);
                for id in &posting[posting.len().saturating_sub(params.searched_episodes)..] {
                    *shared.entry(*id).or_default() += told;
                }
            }
        } else {
            let mut left = vec![params.searched_episodes; telling.len()];
            for (id, case) in self.held.iter().rev() {
                for ((told, word), left) in telling.iter().zip(&mut left) {
                    if *left > 0 && case.words.binary_search(word).is_ok() {
                        *left -= 1;
                        *shared.entry(*id).or_default() += told;
                    }
                }
            }
        }
        let mut candidates: Vec<(u128, f32)> = shared.into_iter().collect();
        let best = |a: &(u128, f32), b: &(u128, f32)| b.1.total_cmp(&a.1).then(b.0.cmp(&a.0));
        if candidates.len() > 2 * most {
            candidates.select_nth_unstable_by(2 * most, best);
            candidates.truncate(2 * most);
        }
        let cosine = |(id, _): (u128, f32)| {
            let case = &self.held[&id];
            let (mut both, mut own) = (0.0, 0.0);
            for word in &case.words {
                let told = information(*word);
                own += told;
                both += if words.binary_search(word).is_ok() { told } else { 0.0 };
            }
            (id, both / (own * norm).sqrt().max(f32::MIN_POSITIVE))
        };
        let mut nearest: Vec<(u128, f32)> = candidates.into_iter().map(cosine).collect();
        nearest.sort_unstable_by(best);
        nearest.truncate(most);
        nearest.into_iter().map(|(id, similarity)| Neighbour { id, similarity }).collect()
    }

    /// Returns the nearest of these that were at a point like this one.
    pub(super) fn circle(&self, neighbours: &[Neighbour], point: &Point<'_>, params: &Params) -> Circle<'_> {
        let known = neighbours.iter().filter_map(|it| Some((it, self.held.get(&it.id)?)));
        let mut at: Vec<(&Neighbour, &Case, At)> =
            known.filter_map(|(it, case)| Some((it, case, case.at(point)?))).collect();
        if at.iter().any(|(.., at)| at.failed) {
            at.retain(|(.., at)| at.failed);
        }
        at.truncate(params.neighbours);
        at.sort_unstable_by_key(|(it, ..)| std::cmp::Reverse(it.id));
        let most = at.iter().map(|(it, ..)| it.similarity).fold(f32::MIN_POSITIVE, f32::max);
        let mut newer = 0.0;
        let asked = at.into_iter().map(|(it, case, at)| {
            let share = (it.similarity / most).powi(SHARPNESS) * at.near.powi(2);
            let (weight, recent) = (most * share, most * share * params.fading.powf(newer));
            newer += share;
            (it.id, case, at, weight, recent)
        });
        Circle { asked: asked.collect() }
    }
}
