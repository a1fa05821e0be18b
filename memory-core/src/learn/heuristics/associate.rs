//! Which words and kinds of task go with which tools, learned from the episodes of a domain.
//!
//! A task names several things and needs several tools; which word called for which tool nobody says. Expectation
//! maximisation over noisy-or finds out ("explaining away", Pearl, "Probabilistic Reasoning in Intelligent Systems",
//! 1988): each use of a tool is credited to the words of its task in proportion to how well they explained its other
//! uses, and after a few passes one or two words are left for a tool. Everything here is a function of the lessons, in
//! whatever order they come: nothing is kept from one time to the next.

mod avoid;
mod cases;
mod change;
mod corpus;
mod course;
mod explain;
mod hints;
mod parallel;
mod rules;
mod sequence;

use std::borrow::Borrow;
use std::collections::HashMap;

use crate::clock::Timestamp;
use crate::id::{EpisodeId, HeuristicId};
use crate::learn::belief::BeliefConfig;
use crate::model::heuristic::{Heuristic, Premise};

pub(crate) use cases::{Cases, Votes};
pub(crate) use course::{Junction, Tried};
pub(crate) use hints::Hints;

use corpus::Corpus;

/// The newest lessons of a domain that are learned from. Older ones have hardly a say left, and each opening of a memory
/// reads them all.
pub(crate) const MAX_LESSONS: usize = 2_500;
/// The most heuristics for using a tool in one domain; the best are kept.
const MAX_USE_RULES: usize = 120;
/// The most heuristics for what comes next, and for what to avoid, in one domain; the best are kept.
const MAX_OTHER_RULES: usize = 40;
/// A heuristic whose lower bound is less tells little more than that the tool exists.
const CONFIDENCE_FLOOR: f64 = 0.3;
/// A tool that goes with a selected one at least so often goes with it always.
const COMPANION_FROM: f64 = 0.9;

/// What one completed episode teaches about tools.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Lesson {
    /// The episode.
    pub(crate) id: EpisodeId,
    /// What was asked.
    pub(crate) text: String,
    /// The domain, as the episode spells it.
    pub(crate) domain: Option<String>,
    /// The kind of task; `general` tells nothing.
    pub(crate) task_kind: String,
    /// The tools that worked, in order of first use.
    pub(crate) tools: Vec<String>,
    /// The tools that did not: every call failed, or the episode failed with them.
    pub(crate) failed_tools: Vec<String>,
    /// The calls in their order: the place of each one's tool among `tools` and `failed_tools` behind them, and whether
    /// it worked.
    pub(crate) course: Vec<(u16, bool)>,
    /// How far the episode succeeded, in `0.0..=1.0`.
    pub(crate) success: f64,
    /// When it ended.
    pub(crate) at: Timestamp,
}

/// A heuristic as advice reads it: how much its condition alone makes its tool likely.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Rule {
    /// When it applies.
    pub(crate) premise: Premise,
    /// The place of its tool in [`Associations::tools`].
    pub(crate) tool: usize,
    /// The probability that the condition by itself calls for the tool, in `0.0..=1.0`.
    pub(crate) strength: f64,
    /// The same where nobody names a kind of task: a word that always comes with a kind says what the kind says, too.
    pub(crate) unlabelled: f64,
    /// The heuristic.
    pub(crate) id: HeuristicId,
}

impl Rule {
    fn new(premise: Premise, tool: usize, strength: f64, id: HeuristicId) -> Self {
        Self { premise, tool, strength, unlabelled: strength, id }
    }
}

/// What is known of one tool.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct ToolFacts {
    /// Its name.
    pub(crate) name: String,
    /// The stems of the words of its name, in order.
    pub(crate) words: Vec<String>,
    /// Words that nearly all the parts have that asked for it, beside those that call for it.
    pub(crate) partners: Vec<String>,
    /// The share of all uses of tools that are its own.
    pub(crate) share: f64,
    /// Tools that nearly every episode with this one used, too.
    pub(crate) companions: Vec<usize>,
}

/// What the lessons of a domain say together.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct Associations {
    /// The rules, to be stored; the most telling first.
    pub(crate) heuristics: Vec<Heuristic>,
    /// The tools seen, in order of their names.
    pub(crate) tools: Vec<ToolFacts>,
    /// Rules for using a tool, by the first word of their condition; without a word under "".
    pub(crate) calls: HashMap<String, Vec<Rule>>,
    /// Rules for what comes next, by the tool used last.
    pub(crate) next: HashMap<String, Vec<Rule>>,
    /// Rules against a tool.
    pub(crate) avoid: Vec<Rule>,
    /// By two tools: how often the first came before the second, where both were used.
    pub(crate) before: HashMap<(usize, usize), f64>,
    /// What little words say that call for nothing by themselves.
    pub(crate) hints: Hints,
    /// What was done for tasks alike.
    pub(crate) cases: Cases,
    /// How many lessons it was learned from.
    pub(crate) lessons: usize,
}

impl Associations {
    /// Returns the place of a tool.
    pub(crate) fn tool(&self, name: &str) -> Option<usize> {
        self.tools.binary_search_by(|tool| tool.name.as_str().cmp(name)).ok()
    }
}

/// Learns from the lessons of one domain.
pub(crate) fn associate(
    domain: Option<&str>,
    lessons: &[impl Borrow<Lesson>],
    now: Timestamp,
    config: &BeliefConfig,
) -> Associations {
    let mut lessons: Vec<&Lesson> = lessons.iter().map(Borrow::borrow).collect();
    lessons.sort_by_key(|lesson| (lesson.at, lesson.id));
    lessons.dedup_by_key(|lesson| lesson.id);
    let lessons = &lessons[lessons.len().saturating_sub(MAX_LESSONS)..];
    if lessons.is_empty() {
        return Associations::default();
    }
    let corpus = Corpus::new(lessons);
    let pairs = explain::explain(&corpus);
    let usual_words = corpus::usual_words(lessons);
    let sheet = rules::Sheet { domain, now, config, corpus: &corpus, usual_words };

    let (mut heuristics, called) = rules::calls(&sheet, &pairs);
    let (next_heuristics, next) = sequence::next(&sheet, &called);
    let (avoid_heuristics, avoid) = avoid::avoid(&sheet);
    heuristics.extend(next_heuristics);
    heuristics.extend(avoid_heuristics);

    let links = hints::link(&corpus, &pairs);
    let tools = hints::facts(&corpus, &pairs, &links);
    let mut calls: HashMap<String, Vec<Rule>> = HashMap::new();
    for rule in called {
        calls.entry(rule.premise.terms.first().cloned().unwrap_or_default()).or_default().push(rule);
    }
    let mut next_by: HashMap<String, Vec<Rule>> = HashMap::new();
    for rule in next {
        next_by.entry(rule.premise.after_tool.clone().unwrap_or_default()).or_default().push(rule);
    }
    Associations {
        heuristics,
        tools,
        calls,
        next: next_by,
        avoid,
        before: sequence::precedence(&corpus),
        hints: hints::hints(&corpus, &links),
        cases: Cases::new(corpus),
        lessons: lessons.len(),
    }
}

#[cfg(test)]
pub(crate) mod tests;
