//! The model of one domain.

use std::collections::VecDeque;

use foldhash::fast::FixedState;
use hashbrown::HashMap;
use memory_recall::text::{Feature, features, words};

use super::choice::by_expected_f1;
use super::example::{Example, Query, Text};
use super::linear::{LANES, Lanes, Linear, Share, Tool};
use super::mixture::{Mixture, PREDICTORS, Record, Verdict};
use super::order::Order;
use super::params::Params;

/// Predictions that the model's own success is measured on, the newest.
const MEASURED: usize = 200;
/// The mixture is fitted while learning once one in so many of its predictions is new, so that the work is spread.
const REFIT: usize = 4;
/// Pseudo-counts of a tool's prior, used and not: Jeffreys' prior of a proportion.
const JEFFREYS: f32 = 0.5;

/// An episode that the model has learned from.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Learned {
    pub(super) id: u128,
    pub(super) text: Text,
    /// In the order of use.
    pub(super) used: Vec<Tool>,
    /// Sorted.
    pub(super) against: Vec<Tool>,
    pub(super) silent: bool,
    pub(super) share: Share,
}

impl Learned {
    /// Returns whether the episode speaks for a tool; `None` if it says nothing.
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

/// What the tools of a domain are needed for, learned from its episodes.
///
/// Learning an episode costs the same however many there are; forgetting one takes out what it contributed.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Model {
    pub(super) params: Params,
    pub(super) tools: Vec<String>,
    pub(super) places: HashMap<String, Tool, FixedState>,
    /// Episodes that used each tool, and those that say anything about tools in general.
    pub(super) users: Vec<u32>,
    pub(super) linear: Linear,
    pub(super) mixture: Mixture,
    pub(super) order: Order,
    pub(super) episodes: Vec<Learned>,
    pub(super) ids: HashMap<u128, u32, FixedState>,
    /// How right the newest predictions were, F1 of the set of tools, by episode.
    pub(super) success: VecDeque<(u128, f32)>,
    /// Tools that were not learned because there were too many.
    pub(super) dropped: u64,
}

/// What the model says about a tool.
#[derive(Debug, Clone, PartialEq)]
pub struct Prediction {
    /// The tool.
    pub tool: String,
    /// The probability that the task needs it, in `0.0..=1.0`.
    pub probability: f64,
    /// The share of the episodes that used it, in `0.0..=1.0`.
    pub base_rate: f64,
    /// The place of the clause that speaks for it most; 0 if the task is one clause.
    pub clause: usize,
    /// Whether the tool is among those to name.
    pub named: bool,
    /// The log odds of what each predictor adds: the task as a whole, its best clause, how often the tool is used.
    pub shares: [f64; PREDICTORS],
}

/// What the model says about a task, the most probable tool first.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Advice {
    /// About each tool that is not done with.
    pub tools: Vec<Prediction>,
}

impl Advice {
    /// Returns the tools to name, the most probable first.
    pub fn named(&self) -> Vec<&str> {
        self.tools.iter().filter(|it| it.named).map(|it| it.tool.as_str()).collect()
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

    /// Returns true if an episode that it has learned from has this word.
    pub fn knows(&self, word: &str) -> bool {
        self.linear.places.contains_key(&memory_recall::text::word(word).bucket)
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
        let Example { id, text, used, against, silent } = example;
        let used: Vec<Tool> = self.places_of(&used);
        let mut against: Vec<Tool> = self.places_of(&against);
        against.retain(|tool| !used.contains(tool));
        against.sort_unstable();
        let mut learned = Learned { id, text, used, against, silent, share: Share::default() };
        self.measure(&learned);
        self.linear.count(&learned.text.whole);
        self.order.count(&learned.used, true);
        learned.used.iter().for_each(|tool| self.users[usize::from(*tool)] += 1);
        let new = self.episodes.len();
        self.optimise(&mut learned);
        self.ids.insert(id, new as u32);
        self.episodes.push(learned);
        // Which are replayed depends on the episode alone and on how many there are.
        let mut dice = Dice::new(id);
        let is_few = self.episodes.len() < self.params.few;
        for _ in 0..if is_few { self.params.replays_of_few } else { self.params.replays } {
            let place = dice.below(self.episodes.len());
            let mut replayed = std::mem::take(&mut self.episodes[place]);
            self.optimise(&mut replayed);
            self.episodes[place] = replayed;
        }
        if self.mixture.new * REFIT >= self.params.window {
            self.calibrate();
        }
    }

    /// Forgets an episode: takes out its share of the weights, its counts and its predictions. Returns false if it was not
    /// learned from.
    pub fn forget(&mut self, id: u128) -> bool {
        let Some(place) = self.ids.remove(&id) else { return false };
        let forgotten = self.episodes.swap_remove(place as usize);
        if let Some(moved) = self.episodes.get(place as usize) {
            self.ids.insert(moved.id, place);
        }
        let says = |tool| forgotten.says(tool);
        self.linear.remove(&forgotten.text.whole, &forgotten.share, says, &self.params);
        self.linear.uncount(&forgotten.text.whole);
        self.order.count(&forgotten.used, false);
        forgotten.used.iter().for_each(|tool| self.users[usize::from(*tool)] -= 1);
        self.mixture.forget(id);
        self.success.retain(|(of, _)| *of != id);
        true
    }

    /// Fits the mixture to the newest predictions if there are new ones: before advice is asked for.
    pub fn calibrate(&mut self) {
        if self.mixture.new > 0 {
            self.mixture.fit(&self.params);
        }
    }

    /// Says which tools a task needs; nothing if nothing was learned.
    pub fn predict(&self, query: &Query) -> Advice {
        let margins = self.margins(&query.text);
        let done = |tool: &String| query.done.contains(tool);
        let mut tools: Vec<Prediction> = (0..self.tools.len())
            .filter(|place| !done(&self.tools[*place]) && self.users[*place] > 0)
            .map(|place| {
                let said = self.said(&margins, place);
                let weights = &self.mixture.weights;
                let share = |predictor: usize| f64::from(said[predictor]) * weights[predictor];
                Prediction {
                    tool: self.tools[place].clone(),
                    probability: self.mixture.probability(&said),
                    base_rate: f64::from(self.users[place]) / f64::from(self.linear.episodes.max(1)),
                    clause: margins.clause[place].1,
                    named: false,
                    shares: std::array::from_fn(share),
                }
            })
            .collect();
        tools.sort_by(|a, b| b.probability.total_cmp(&a.probability).then_with(|| a.tool.cmp(&b.tool)));
        let probabilities: Vec<f64> = tools.iter().map(|it| it.probability).collect();
        let named = by_expected_f1(&probabilities);
        tools[..named].iter_mut().for_each(|it| it.named = true);
        Advice { tools }
    }

    /// Puts predictions in order of use: that of the clauses that speak for them, except where episodes used one before the
    /// other more often than chance has it; within a clause, the order that is more usual.
    pub fn sort_by_use(&self, tools: &mut [Prediction]) {
        tools.sort_by_key(|it| it.clause);
        let place = |it: &Prediction| self.places.get(&it.tool).copied().unwrap_or(Tool::MAX);
        self.order.sort(tools, |it| (place(it), it.clause));
    }

    /// Returns what each word of a text adds to the margin of a tool, with its character n-grams; the most first. A feature
    /// of several words counts for each alike.
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
                    self.linear.bias.push([0.0; LANES]);
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

    /// Predicts an episode before it is learned from, and notes how right that was.
    fn measure(&mut self, learned: &Learned) {
        if self.episodes.is_empty() || learned.silent || learned.used.is_empty() {
            return;
        }
        let margins = self.margins(&learned.text);
        let mut order: Vec<(f64, usize)> = (0..self.tools.len())
            .filter(|place| self.users[*place] > 0)
            .map(|place| (self.mixture.probability(&self.said(&margins, place)), place))
            .collect();
        order.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
        let probabilities: Vec<f64> = order.iter().map(|(probability, _)| *probability).collect();
        let named = by_expected_f1(&probabilities);
        let right =
            order[..named].iter().filter(|(_, place)| learned.used.contains(&(*place as Tool))).count();
        let f1 = 2.0 * right as f32 / (named + learned.used.len()).max(1) as f32;
        if self.success.len() >= MEASURED {
            self.success.pop_front();
        }
        self.success.push_back((learned.id, f1));
    }

    /// Optimises an episode, and notes what the lane that has not seen it says.
    fn optimise(&mut self, learned: &mut Learned) {
        let fold = fold(learned.id);
        let text = self.linear.weigh(&learned.text.whole);
        let whole = self.linear.margins(&text, &self.params);
        if !learned.silent && !self.episodes.is_empty() {
            self.note(learned, fold, &whole);
        }
        let mut share = std::mem::take(&mut learned.share);
        self.linear.optimise((&text, &whole), &mut share, fold, |tool| learned.says(tool), &self.params);
        learned.share = share;
    }

    /// Keeps for the mixture what was predicted of an episode, and what came of it.
    fn note(&mut self, learned: &Learned, fold: usize, whole: &[Lanes]) {
        let clauses: Vec<Vec<Lanes>> = learned
            .text
            .clauses
            .iter()
            .map(|it| self.linear.margins(&self.linear.weigh(it), &self.params))
            .collect();
        let mut verdicts = Vec::new();
        let mut others: Vec<(f32, [f32; PREDICTORS])> = Vec::new();
        for place in 0..self.tools.len() {
            let used = learned.used.contains(&(place as Tool));
            // Counted in already.
            let users = self.users[place] - u32::from(used);
            if users == 0 {
                continue;
            }
            let whole = whole[place][fold];
            let clause = clauses.iter().map(|margins| margins[place][fold]).reduce(f32::max).unwrap_or(whole);
            let said = [whole, clause, self.prior(users, 1)];
            match used {
                true => verdicts.push(Verdict { said, used: true, weight: 1.0 }),
                false => others.push((whole.max(clause), said)),
            }
        }
        let hardest = others.len().min(self.params.negatives);
        if hardest < others.len() {
            others.select_nth_unstable_by(hardest, |a, b| b.0.total_cmp(&a.0));
        }
        let negative = |said: [f32; PREDICTORS], weight| Verdict { said, used: false, weight };
        verdicts.extend(others[..hardest].iter().map(|(_, said)| negative(*said, 1.0)));
        let rest = &mut others[hardest..];
        if !rest.is_empty() {
            // By margin, so that those drawn at even distances stand for all.
            rest.sort_unstable_by(|a, b| b.0.total_cmp(&a.0));
            let drawn = rest.len().min(self.params.negatives);
            let weight = rest.len() as f32 / drawn as f32;
            verdicts.extend((0..drawn).map(|of| negative(rest[of * rest.len() / drawn].1, weight)));
        }
        self.mixture.record(Record { id: learned.id, verdicts }, &self.params);
    }

    fn margins(&self, text: &Text) -> Margins {
        let of = |features: &[Feature]| {
            let margins = self.linear.margins(&self.linear.weigh(features), &self.params);
            margins.into_iter().map(|lanes| lanes[0]).collect::<Vec<f32>>()
        };
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

    fn said(&self, margins: &Margins, place: usize) -> [f32; PREDICTORS] {
        [margins.whole[place], margins.clause[place].0, self.prior(self.users[place], 0)]
    }

    /// Returns the log odds that an episode uses a tool that so many used, `without` so many of the episodes.
    fn prior(&self, users: u32, without: usize) -> f32 {
        let others = (self.linear.episodes as usize).saturating_sub(without + users as usize) as f32;
        ((users as f32 + JEFFREYS) / (others + JEFFREYS)).ln()
    }
}

/// Returns the lane that does not learn from an episode.
fn fold(id: u128) -> usize {
    1 + Dice::new(id).below(LANES - 1)
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
