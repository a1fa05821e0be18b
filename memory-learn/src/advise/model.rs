//! The model of one domain.

use std::collections::VecDeque;

use foldhash::fast::FixedState;
use hashbrown::HashMap;
use memory_recall::text::{Feature, features, words};

use super::cases::{Case, Cases, Neighbour, Point, Votes};
use super::choice::{by_expected_f1, by_expected_f1_or_none, sum_to_one};
use super::example::{Example, Query, Text};
use super::linear::{Linear, Share};
use super::mixture::{Mixture, PREDICTORS, Record, Said, Verdict};
use super::order::{Order, sort};
use super::packed::Packed;
use super::params::Params;
use super::rows::Tool;

/// While learning, a mixture is refitted once one in this many of its predictions is new.
const REFIT: usize = 4;
/// Pseudo-counts of how often a tool is used, and not: Jeffreys' prior of a proportion.
const JEFFREYS: f32 = 0.5;

/// An episode that the model has learned from.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Learned {
    pub(super) id: u128,
    pub(super) features: Packed,
    /// In the order of use.
    pub(super) used: Vec<Tool>,
    /// Sorted.
    pub(super) against: Vec<Tool>,
    pub(super) silent: bool,
    pub(super) share: Share,
    /// The buckets of the names that are the text's own words, or its kind.
    pub(super) named: Vec<u32>,
    /// The older episodes that it contradicted, and the share of its weight that each lost: it gets it back.
    pub(super) contradicted: Vec<(u128, f32)>,
}

impl Learned {
    /// Returns whether the episode is evidence for a tool or against it; `None` if neither.
    fn says(&self, tool: Tool) -> Option<bool> {
        if self.used.contains(&tool) {
            Some(true)
        } else if self.silent && self.against.binary_search(&tool).is_err() {
            None
        } else {
            Some(false)
        }
    }
}

/// Predicts the tools that tasks of a domain need, learned from its episodes.
///
/// The cost of learning an episode does not depend on their number; forgetting one removes its contribution.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Model {
    pub(super) params: Params,
    pub(super) tools: Vec<String>,
    pub(super) places: HashMap<String, Tool, FixedState>,
    /// Episodes that used each tool, and those that are evidence on tools in general.
    pub(super) users: Vec<u32>,
    pub(super) linear: Linear,
    /// For a task of which nothing is done.
    pub(super) start: Mixture,
    /// For a task that is under way.
    pub(super) middle: Mixture,
    /// For a task in which a call has just failed.
    pub(super) recovering: Mixture,
    pub(super) order: Order,
    pub(super) cases: Cases,
    /// By bucket: the names of words and kinds of task.
    pub(super) names: HashMap<u32, Name, FixedState>,
    pub(super) episodes: Vec<Learned>,
    pub(super) ids: HashMap<u128, u32, FixedState>,
    /// How right the newest predictions were, F1 of the set of tools, by episode.
    pub(super) success: VecDeque<(u128, f32)>,
    /// Tools that were not learned because there were too many.
    pub(super) dropped: u64,
    /// The checksum of the bytes that it was decoded from, until it learns.
    pub(super) stored: u32,
}

/// The name of a feature.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Name {
    /// Episodes with exactly this name: without any the name is dropped, even if others share the bucket.
    pub(super) episodes: u32,
    pub(super) is_kind: bool,
    pub(super) name: Box<str>,
}

/// The prediction for a tool.
#[derive(Debug, Clone, PartialEq)]
pub struct Prediction {
    /// The tool.
    pub tool: String,
    /// The probability that the task needs it, in `0.0..=1.0`. At the start of a task they sum up to at least one.
    pub probability: f64,
    /// The share of the episodes that used it, in `0.0..=1.0`.
    pub base_rate: f64,
    /// The place of the clause that speaks for it most; 0 if the task is one clause.
    pub clause: usize,
    /// Among the tools to name, its place in the order of use; `None` if it is not to be named.
    pub named: Option<usize>,
    /// The log odds that each predictor adds: the whole task, its best clause, and the frequency of the tool
    /// after the one that worked last, or its overall frequency if none did.
    pub shares: [f64; PREDICTORS],
    /// The weighted share of the nearest episodes in which it worked; `None` if none is similar to the task or
    /// they do not count.
    pub neighbours: Option<f64>,
    /// The nearest episodes in which it worked from this point on, the newest first; only for tools that are
    /// advised.
    pub episodes: Vec<u128>,
}

/// A tool that failed at this point of the nearest episodes, without any progress after it.
#[derive(Debug, Clone, PartialEq)]
pub struct DeadEnd {
    /// The tool.
    pub tool: String,
    /// The probability that it fails again, in `0.0..=1.0`.
    pub probability: f64,
    /// In how many episodes it failed here.
    pub failed: usize,
    /// In how many of the newest, without a break.
    pub failed_last: usize,
    /// The number of episodes in which it was tried here.
    pub tried: usize,
    /// The newest of those in which it failed.
    pub episodes: Vec<u128>,
}

/// The predictions for a task, the most probable tool first.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Advice {
    /// About each tool that is not done with.
    pub tools: Vec<Prediction>,
    /// Tools that fail at this point, the most certain first.
    pub dead_ends: Vec<DeadEnd>,
}

impl Advice {
    /// Returns the tools to name, in the order of use.
    pub fn named(&self) -> Vec<&str> {
        let mut named: Vec<&Prediction> = self.tools.iter().filter(|it| it.named.is_some()).collect();
        named.sort_by_key(|it| it.named);
        named.into_iter().map(|it| it.tool.as_str()).collect()
    }
}

/// How right the model's advice has been lately.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Skill {
    /// Episodes whose tools were predicted before they were learned from.
    pub predictions: usize,
    /// The mean F1 measure of the named tools against those used, in `0.0..=1.0`.
    pub mean_f1: f64,
}

/// Margins of the tools of a text: for the whole, and the best of its clauses with the clause.
struct Margins {
    whole: Vec<f32>,
    clause: Vec<(f32, usize)>,
}

impl Model {
    /// Makes a model that knows nothing.
    pub fn new(params: Params) -> Self {
        Self { params, ..Self::default() }
    }

    /// Returns how many episodes it has learned from.
    pub fn len(&self) -> usize {
        self.linear.episodes as usize
    }

    /// Returns true if it has learned from none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns true if it has learned from an episode.
    pub fn contains(&self, id: u128) -> bool {
        self.ids.contains_key(&id)
    }

    /// Returns the episodes learned from, in no order.
    pub fn ids(&self) -> impl Iterator<Item = u128> {
        self.episodes.iter().map(|it| it.id)
    }

    /// Returns the tools that episodes used or failed with.
    pub fn tools(&self) -> &[String] {
        &self.tools
    }

    /// Returns true if an episode that it has learned from used a tool, or failed with it.
    pub fn uses(&self, tool: &str) -> bool {
        self.places.contains_key(tool)
    }

    /// Returns true if an episode that it has learned from has this word.
    pub fn knows(&self, word: &str) -> bool {
        self.linear.rows.place(memory_recall::text::word(word).bucket).is_some()
    }

    /// Returns how many mentions of tools were not learned because the domain has more than [`Params::tools`].
    pub fn dropped(&self) -> u64 {
        self.dropped
    }

    /// Returns how right the newest predictions were.
    pub fn skill(&self) -> Skill {
        let predictions = self.success.len();
        let sum: f64 = self.success.iter().map(|(_, f1)| f64::from(*f1)).sum();
        Skill { predictions, mean_f1: if predictions == 0 { 0.0 } else { sum / predictions as f64 } }
    }

    /// Learns from an episode; one with the same id is forgotten first.
    pub fn learn(&mut self, example: Example) {
        self.forget(example.id);
        let Example { id, text, used, against, silent, course } = example;
        let used: Vec<Tool> = self.places_of(&used);
        let mut against: Vec<Tool> = self.places_of(&against);
        against.retain(|tool| !used.contains(tool));
        against.sort_unstable();
        let mut called = Vec::with_capacity(course.len());
        for (tool, worked) in course {
            called.extend(self.places_of(&[tool]).first().map(|tool| (*tool, worked)));
        }
        if called.is_empty() {
            called.extend(
                used.iter().map(|tool| (*tool, true)).chain(against.iter().map(|tool| (*tool, false))),
            );
        }
        let named = self.name(&text);
        let words: Vec<u32> = text.words.iter().map(|(bucket, _)| *bucket).collect();
        let case = Case { words, course: called, silent };
        let features = Packed::new(&text.whole);
        let share = Share::default();
        let contradicted = Vec::new();
        let mut learned = Learned { id, features, used, against, silent, share, named, contradicted };
        let neighbours = self.neighbours(&case.words);
        self.test(&learned, &text, &case, &neighbours);
        let faded = self.fade(&mut learned, &neighbours);
        self.linear.count(&text.whole);
        self.order.count(&learned.used, true);
        learned.used.iter().for_each(|tool| self.users[usize::from(*tool)] += 1);
        self.cases.insert(id, case, &self.params);
        let new = self.episodes.len();
        self.optimise(&mut learned);
        self.ids.insert(id, new as u32);
        self.episodes.push(learned);
        faded.into_iter().for_each(|place| self.replay(place));
        // Which are replayed depends on how many there are alone: other ids give the same model.
        let mut dice = Dice::new(self.episodes.len() as u128);
        let is_few = self.episodes.len() < self.params.few;
        for _ in 0..if is_few { self.params.replays_of_few } else { self.params.replays } {
            let place = dice.below(self.episodes.len());
            self.replay(place);
        }
        self.fit(|mixture| mixture.new * REFIT >= mixture.window.len());
    }

    /// Forgets an episode: takes out its share of the weights, its counts and its predictions. Returns false if
    /// it was not learned from.
    pub fn forget(&mut self, id: u128) -> bool {
        let Some(place) = self.ids.remove(&id) else { return false };
        let forgotten = self.episodes.swap_remove(place as usize);
        if let Some(moved) = self.episodes.get(place as usize) {
            self.ids.insert(moved.id, place);
        }
        let says = |tool| forgotten.says(tool);
        let features = forgotten.features.to_vec();
        self.linear.remove(&features, &forgotten.share, says, &self.params);
        self.linear.uncount(&features);
        for (id, loss) in &forgotten.contradicted {
            let Some(place) = self.ids.get(id).map(|place| *place as usize) else { continue };
            let faded = &mut self.episodes[place].share.faded;
            *faded = (1.0 - (1.0 - *faded) / (1.0 - loss)).max(0.0);
            self.replay(place);
        }
        for bucket in &forgotten.named {
            let Some(name) = self.names.get_mut(bucket) else { continue };
            name.episodes = name.episodes.saturating_sub(1);
            if name.episodes == 0 {
                self.names.remove(bucket);
            }
        }
        self.order.count(&forgotten.used, false);
        forgotten.used.iter().for_each(|tool| self.users[usize::from(*tool)] -= 1);
        self.start.forget(id);
        self.middle.forget(id);
        self.recovering.forget(id);
        self.cases.remove(id);
        self.success.retain(|(of, _)| *of != id);
        true
    }

    /// Fits the mixtures to the newest predictions if there are new ones: before a query.
    pub fn calibrate(&mut self) {
        self.fit(|mixture| mixture.new > 0);
    }

    fn fit(&mut self, is_due: impl Fn(&Mixture) -> bool) {
        for (is_start, mixture) in
            [(true, &mut self.start), (false, &mut self.middle), (false, &mut self.recovering)]
        {
            if is_due(mixture) {
                mixture.fit(is_start, &self.params);
            }
        }
    }

    /// Predicts the tools that a task needs, or still needs; none if nothing was learned.
    pub fn predict(&self, query: &Query) -> Advice {
        let margins = self.margins(&query.text);
        let mut done: Vec<Tool> = Vec::new();
        let mut unknown: Vec<&String> = Vec::new();
        for tool in &query.done {
            match self.places.get(tool) {
                Some(place) if !done.contains(place) => done.push(*place),
                None if !unknown.contains(&tool) => unknown.push(tool),
                _ => {}
            }
        }
        let failed = query.failed.as_ref().and_then(|tool| self.places.get(tool)).copied();
        let point = Point { done: &done, unknown: unknown.len(), failed };
        let is_start = query.done.is_empty() && query.failed.is_none();
        let words: Vec<u32> = query.text.words.iter().map(|(bucket, _)| *bucket).collect();
        let neighbours = self.neighbours(&words);
        let circle = self.cases.circle(&neighbours, &point, &self.params);
        let votes = circle.votes();
        let last = query.done.last().and_then(|tool| self.places.get(tool)).copied();
        let mixture = match &query.failed {
            Some(_) => &self.recovering,
            None if is_start => &self.start,
            None => &self.middle,
        };
        let mut found: Vec<(Tool, Prediction)> = (0..self.tools.len() as Tool)
            .filter(|tool| !done.contains(tool) && self.users[usize::from(*tool)] > 0)
            .map(|tool| {
                let place = usize::from(tool);
                let said = self.said(tool, &margins, &votes, last);
                let share = |predictor: usize| f64::from(said.by[predictor]) * mixture.weights[predictor];
                let prediction = Prediction {
                    tool: self.tools[place].clone(),
                    probability: mixture.probability(&said),
                    base_rate: f64::from(self.users[place]) / f64::from(self.linear.episodes.max(1)),
                    clause: margins.clause[place].1,
                    named: None,
                    shares: std::array::from_fn(share),
                    neighbours: mixture.neighbours(&said),
                    episodes: Vec::new(),
                };
                (tool, prediction)
            })
            .collect();
        found.sort_by(|(_, a), (_, b)| {
            b.probability.total_cmp(&a.probability).then_with(|| a.tool.cmp(&b.tool))
        });
        let mut probabilities: Vec<f64> = found.iter().map(|(_, it)| it.probability).collect();
        if is_start {
            sum_to_one(&mut probabilities);
            found.iter_mut().zip(&probabilities).for_each(|((_, it), raised)| it.probability = *raised);
        }
        // After a failure something is still to be done.
        let may_be_over = !is_start && query.failed.is_none();
        let count =
            if may_be_over { by_expected_f1_or_none(&probabilities) } else { by_expected_f1(&probabilities) };
        // In order of use: that of the clauses that speak for them, except where significantly many episodes
        // used one before the other; within a clause, that of the nearest episodes, then that which is more
        // usual.
        let mut named: Vec<usize> = (0..count).collect();
        named.sort_by_key(|at| found[*at].1.clause);
        sort(&mut named, |a, b| {
            let ((first, one), (second, other)) = (&found[*a], &found[*b]);
            let near = if one.clause == other.clause { circle.precedence(*first, *second) } else { 0.0 };
            if near == 0.0 {
                self.order.precedes((*first, one.clause), (*second, other.clause))
            } else {
                near > 0.0
            }
        });
        for (place, at) in named.into_iter().enumerate() {
            found[at].1.named = Some(place);
            found[at].1.episodes = circle.users(found[at].0);
        }
        let dead_ends = circle.dead_ends(&done).into_iter().map(|dead| DeadEnd {
            tool: self.tools[usize::from(dead.tool)].clone(),
            probability: f64::from(dead.probability),
            failed: dead.failed,
            failed_last: dead.failed_last,
            tried: dead.tried,
            episodes: dead.episodes,
        });
        let dead_ends = dead_ends.collect();
        Advice { tools: found.into_iter().map(|(_, it)| it).collect(), dead_ends }
    }

    /// Returns the contribution of each word of a text to the margin of a tool, with its character n-grams; the
    /// most first. A feature of several words counts equally for each.
    pub fn words_for(&self, text: &str, tool: &str) -> Vec<(String, f64)> {
        let Some(tool) = self.places.get(tool) else { return Vec::new() };
        let whole: HashMap<u32, f32, FixedState> =
            self.linear.contributions(&features(text), *tool).into_iter().collect();
        let mut of_words: Vec<(String, Vec<Feature>)> = Vec::new();
        for word in words(text).map(str::to_lowercase) {
            if of_words.iter().all(|(held, _)| *held != word) {
                let features = features(&word);
                of_words.push((word, features));
            }
        }
        let mut holders: HashMap<u32, f32, FixedState> = HashMap::default();
        for feature in of_words.iter().flat_map(|(_, features)| features) {
            *holders.entry(feature.bucket).or_default() += 1.0;
        }
        let adds = |feature: &Feature| {
            let (added, of) = (whole.get(&feature.bucket)?, holders.get(&feature.bucket)?);
            Some(f64::from(added / of))
        };
        let mut words: Vec<(String, f64)> = of_words
            .iter()
            .map(|(word, features)| (word.clone(), features.iter().filter_map(adds).sum::<f64>()))
            .collect();
        words.sort_by(|a, b| b.1.total_cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
        words
    }

    fn places_of(&mut self, names: &[String]) -> Vec<Tool> {
        let mut places = Vec::with_capacity(names.len());
        for name in names {
            let place = match self.places.get(name) {
                Some(place) => *place,
                None if self.tools.len() >= self.params.tools.min(usize::from(Tool::MAX)) => {
                    self.dropped += 1;
                    continue;
                }
                None => {
                    let place = self.tools.len() as Tool;
                    self.tools.push(name.clone());
                    self.users.push(0);
                    self.linear.bias.push(0.0);
                    self.places.insert(name.clone(), place);
                    place
                }
            };
            if !places.contains(&place) {
                places.push(place);
            }
        }
        places
    }

    /// Reduces the weight of the nearest episodes that used other tools: the more similar the texts and the
    /// less similar the tools, the more (locally weighted forgetting: Salganicoff, "Density-Adaptive Learning
    /// and Forgetting", 1993), because the needs of a task may have changed. Returns the places of those that
    /// lost most.
    fn fade(&mut self, learned: &mut Learned, neighbours: &[Neighbour]) -> Vec<usize> {
        let mut lost: Vec<(f32, usize)> = Vec::new();
        for Neighbour { id, similarity } in neighbours.iter().take(self.params.neighbours) {
            let Some(place) = self.ids.get(id).map(|place| *place as usize) else { continue };
            let old = &mut self.episodes[place];
            if learned.silent || old.silent {
                continue;
            }
            let shared = old.used.iter().filter(|tool| learned.used.contains(tool)).count();
            let all = old.used.len() + learned.used.len() - shared;
            let unlike = (all - shared) as f32 / all.max(1) as f32;
            let loss = self.params.contradicted * similarity.min(1.0).powi(2) * unlike;
            if loss > 0.0 {
                old.share.faded += (1.0 - old.share.faded) * loss;
                lost.push((loss, place));
                learned.contradicted.push((*id, loss));
            }
        }
        lost.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
        lost.into_iter().map(|(_, place)| place).take(self.params.replays).collect()
    }

    /// Optimises an episode again.
    fn replay(&mut self, place: usize) {
        let mut replayed = std::mem::take(&mut self.episodes[place]);
        self.optimise(&mut replayed);
        self.episodes[place] = replayed;
    }

    /// Predicts an episode before it is learned from, at its start and at a random point of its course, and
    /// keeps the results for the mixtures.
    fn test(&mut self, learned: &Learned, text: &Text, case: &Case, neighbours: &[Neighbour]) {
        if self.episodes.is_empty() || learned.silent {
            return;
        }
        let margins = self.margins(text);
        let circle = |point: &Point<'_>| self.cases.circle(neighbours, point, &self.params).votes();
        let id = learned.id;
        let votes = circle(&Point::default());
        let used = |tool: Tool| learned.used.contains(&tool);
        let start = self.verdicts(&self.start, &margins, &votes, &[], used);
        let f1 = (!learned.used.is_empty()).then(|| self.f1(&margins, &votes, &learned.used));
        let mut under_way = None;
        if !case.course.is_empty() {
            let so_far = 1 + Dice::new(self.episodes.len() as u128).below(case.course.len());
            let mut done: Vec<Tool> = Vec::new();
            for (tool, worked) in &case.course[..so_far] {
                if *worked && !done.contains(tool) {
                    done.push(*tool);
                }
            }
            let (tool, worked) = case.course[so_far - 1];
            let failed = (!worked && !done.contains(&tool)).then_some(tool);
            let votes = circle(&Point { done: &done, unknown: 0, failed });
            let later = |tool: Tool| case.course[so_far..].contains(&(tool, true));
            let mixture = if failed.is_some() { &self.recovering } else { &self.middle };
            under_way = Some((failed.is_some(), self.verdicts(mixture, &margins, &votes, &done, later)));
        }
        if let Some(f1) = f1 {
            if self.success.len() >= self.params.window {
                self.success.pop_front();
            }
            self.success.push_back((id, f1));
        }
        self.start.record(Record { id, verdicts: start }, &self.params);
        if let Some((is_failed, verdicts)) = under_way {
            let mixture = if is_failed { &mut self.recovering } else { &mut self.middle };
            mixture.record(Record { id, verdicts }, &self.params);
        }
    }

    /// Returns the F1 measure of the tools that would be named for a task, against those that it used.
    fn f1(&self, margins: &Margins, votes: &[Votes; 2], used: &[Tool]) -> f32 {
        let mut order: Vec<(f64, Tool)> = (0..self.tools.len() as Tool)
            .filter(|tool| self.users[usize::from(*tool)] > 0)
            .map(|tool| (self.start.probability(&self.said(tool, margins, votes, None)), tool))
            .collect();
        order.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
        let mut probabilities: Vec<f64> = order.iter().map(|(probability, _)| *probability).collect();
        sum_to_one(&mut probabilities);
        let named = by_expected_f1(&probabilities);
        let right = order[..named].iter().filter(|(_, tool)| used.contains(tool)).count();
        2.0 * right as f32 / (named + used.len()).max(1) as f32
    }

    fn optimise(&mut self, learned: &mut Learned) {
        let text = self.linear.weigh(&learned.features.to_vec());
        let margins = self.linear.margins(&text, &self.params);
        let mut share = std::mem::take(&mut learned.share);
        self.linear.optimise((&text, &margins), &mut share, |tool| learned.says(tool), &self.params);
        learned.share = share;
    }

    /// Returns the predictors' outputs for the tools that an episode needed at a point where some were done,
    /// and for some of the others.
    fn verdicts(
        &self,
        mixture: &Mixture,
        margins: &Margins,
        votes: &[Votes; 2],
        done: &[Tool],
        needed: impl Fn(Tool) -> bool,
    ) -> Vec<Verdict> {
        let mut verdicts = Vec::new();
        let mut others: Vec<(f64, Said)> = Vec::new();
        for tool in (0..self.tools.len() as Tool).filter(|tool| !done.contains(tool)) {
            if self.users[usize::from(tool)] == 0 {
                continue;
            }
            let said = self.said(tool, margins, votes, done.last().copied());
            match needed(tool) {
                true => verdicts.push(Verdict { said, used: true, weight: 1.0 }),
                false => others.push((mixture.probability(&said), said)),
            }
        }
        let hardest = others.len().min(self.params.negatives);
        if hardest < others.len() {
            others.select_nth_unstable_by(hardest, |a, b| b.0.total_cmp(&a.0));
        }
        let negative = |said: Said, weight| Verdict { said, used: false, weight };
        verdicts.extend(others[..hardest].iter().map(|(_, said)| negative(*said, 1.0)));
        let rest = &mut others[hardest..];
        if !rest.is_empty() {
            // In order, so that those drawn at even distances stand for all.
            rest.sort_unstable_by(|a, b| b.0.total_cmp(&a.0));
            let drawn = rest.len().min(self.params.negatives);
            let weight = rest.len() as f32 / drawn as f32;
            verdicts.extend((0..drawn).map(|of| negative(rest[of * rest.len() / drawn].1, weight)));
        }
        verdicts
    }

    /// Returns the nearest episodes, more than are used: those at the same point are selected later.
    fn neighbours(&self, words: &[u32]) -> Vec<Neighbour> {
        let most = self.params.neighbours * self.params.under_way;
        self.cases.nearest(words, most, |word| self.linear.information(word), &self.params)
    }

    /// Keeps the names of words and kinds; returns the buckets of those names that are the text's own. If
    /// several share a bucket, the first has it.
    fn name(&mut self, text: &Text) -> Vec<u32> {
        let mut named = Vec::with_capacity(text.words.len());
        let words = text.words.iter().map(|it| (it, false));
        for ((bucket, name), is_kind) in words.chain(text.kind.iter().map(|it| (it, true))) {
            let held = self.names.entry(*bucket).or_insert_with(|| {
                let name = name.clone().into_boxed_str();
                Name { episodes: 0, is_kind, name }
            });
            if *held.name == **name && held.is_kind == is_kind {
                held.episodes += 1;
                named.push(*bucket);
            }
        }
        named
    }

    fn margins(&self, text: &Text) -> Margins {
        let of = |features: &[Feature]| self.linear.margins(&self.linear.weigh(features), &self.params);
        let whole = of(&text.whole);
        let mut clause: Vec<(f32, usize)> = whole.iter().map(|margin| (*margin, 0)).collect();
        if !text.clauses.is_empty() {
            clause.iter_mut().for_each(|(best, _)| *best = f32::NEG_INFINITY);
            for (place, features) in text.clauses.iter().enumerate() {
                let margins = of(features);
                for ((best, of), margin) in clause.iter_mut().zip(margins) {
                    if margin > *best {
                        (*best, *of) = (margin, place);
                    }
                }
            }
        }
        Margins { whole, clause }
    }

    /// Returns the output of each predictor for a tool.
    fn said(&self, tool: Tool, margins: &Margins, votes: &[Votes; 2], last: Option<Tool>) -> Said {
        let place = usize::from(tool);
        let users = self.users[place] as f32;
        let others = (self.linear.episodes as f32 - users).max(0.0);
        let base = (users + JEFFREYS) / (users + others + 2.0 * JEFFREYS);
        let odds = |share: f32| (share / (1.0 - share)).ln();
        let usual = match last {
            None => odds(base),
            Some(last) => {
                let both = self.order.before(last, tool) as f32;
                odds((both + base) / ((self.users[usize::from(last)] as f32).max(both) + 1.0))
            }
        };
        let mut by = [margins.whole[place], margins.clause[place].0, usual];
        by.iter_mut().zip(self.params.predictors).filter(|(_, used)| !used).for_each(|(said, _)| *said = 0.0);
        Said { by, near: [votes[0].on(tool), votes[1].on(tool)] }
    }
}

/// SplitMix64 (Steele et al., 2014).
struct Dice(u64);

impl Dice {
    fn new(seed: u128) -> Self {
        Self(seed as u64 ^ (seed >> 64) as u64)
    }

    fn below(&mut self, count: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) % count.max(1) as u64) as usize
    }
}

#[cfg(test)]
mod tests;
