//! The lessons with words, kinds and tools as numbers.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::course::{Stretch, stretches};
use super::{Lesson, parallel};
use crate::clock::Timestamp;
use crate::id::EpisodeId;
use crate::model::episode::Attempt;
use crate::recall::parts::{Part, parts, term, terms_with_words};
use crate::recall::tokenize::{normalize_label, tokenize};

/// The newest lessons that show how words are usually written.
const HEARD: usize = 1_000;
/// The kind of task that says nothing.
const GENERAL: &str = "general";

/// Something that holds of a task: a word of it, its kind, or nothing at all.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Feature {
    /// It has this word.
    Term(String),
    /// It is of this kind.
    Kind(String),
}

/// A lesson in numbers.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Entry {
    pub(super) id: EpisodeId,
    pub(super) at: Timestamp,
    pub(super) success: f64,
    /// What holds of the task, sorted.
    pub(super) features: Vec<u32>,
    /// The tools that worked, in the order in which they first did; those without a course in order of first use.
    pub(super) tools: Vec<usize>,
    /// The tools that did not, sorted.
    pub(super) failed: Vec<usize>,
    /// What was done at each point of the way.
    pub(super) course: Vec<Stretch>,
}

/// What an episode says about a tool under a condition that held.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Says {
    /// It was used, and the episode succeeded so far.
    Used(f64),
    /// Others were used.
    Unused,
    /// It was used and failed.
    Failed,
}

impl Entry {
    /// Returns how far each tool that worked did what the task needed: of an episode that failed with other tools, those
    /// that worked are not to blame, and nobody knows whether they helped.
    pub(super) fn credit(&self) -> f64 {
        if self.failed.is_empty() { self.success } else { self.success.max(0.5) }
    }

    /// Returns true if that it used a tool speaks for the tool rather than against it.
    pub(super) fn speaks_for_used(&self) -> bool {
        self.credit() >= 0.5
    }

    /// Returns what the episode says about a tool; `None` if it failed with others, and so says nothing.
    pub(super) fn says(&self, tool: usize) -> Option<Says> {
        if self.tools.contains(&tool) {
            Some(Says::Used(self.credit()))
        } else if self.failed.binary_search(&tool).is_ok() {
            Some(Says::Failed)
        } else {
            self.says_of_unused()
        }
    }

    /// Returns what it says about tools that it did not use.
    pub(super) fn says_of_unused(&self) -> Option<Says> {
        (self.success >= 0.5).then_some(Says::Unused)
    }
}

/// The lessons of a domain, the oldest first.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Corpus {
    pub(super) entries: Vec<Entry>,
    /// By entry: the terms of each part of its task.
    pub(super) parts: Vec<Vec<Vec<u32>>>,
    pub(super) features: Vec<Feature>,
    /// The tools, in order of their names.
    pub(super) tools: Vec<String>,
    /// The stems of the words of each tool's name.
    pub(super) words: Vec<Vec<String>>,
    /// In how many tools' names a word is.
    pub(super) named_by: HashMap<String, usize>,
    /// The places of the entries of which a feature holds, the oldest first.
    pub(super) holds: Vec<Vec<u32>>,
}

impl Corpus {
    /// Reads lessons that are in order of time.
    pub(super) fn new(lessons: &[&Lesson]) -> Self {
        let names: BTreeSet<&String> =
            lessons.iter().flat_map(|lesson| lesson.tools.iter().chain(&lesson.failed_tools)).collect();
        let tools: Vec<String> = names.into_iter().cloned().collect();
        let words: Vec<Vec<String>> = tools.iter().map(|tool| words_of(tool)).collect();
        let mut named_by = HashMap::new();
        for word in words.iter().flat_map(|words| words.iter().collect::<BTreeSet<_>>()) {
            *named_by.entry(word.clone()).or_insert(0) += 1;
        }

        let mut numbers: HashMap<Feature, u32> = HashMap::new();
        let mut number = |feature: Feature| {
            let next = numbers.len() as u32;
            *numbers.entry(feature).or_insert(next)
        };
        let mut split: Vec<Vec<Vec<u32>>> = Vec::with_capacity(lessons.len());
        let mut kinds: Vec<Option<u32>> = Vec::with_capacity(lessons.len());
        for (lesson, parts) in lessons.iter().zip(parallel::map(lessons, |lesson| parts(&lesson.text))) {
            let terms = |part: Part| part.terms.into_iter().map(|term| number(Feature::Term(term))).collect();
            split.push(parts.into_iter().map(terms).collect());
            kinds.push(kind_of(&lesson.task_kind).map(|kind| number(Feature::Kind(kind))));
        }
        // Numbered anew in order of their names, so that the order of the lessons does not show.
        let mut named: Vec<(Feature, u32)> = numbers.into_iter().collect();
        named.sort_unstable();
        let mut places = vec![0; named.len()];
        named.iter().zip(0..).for_each(|((_, number), place)| places[*number as usize] = place);
        split.iter_mut().flatten().flatten().chain(kinds.iter_mut().flatten()).for_each(|number| {
            *number = places[*number as usize];
        });

        let tool = |name: &String| tools.binary_search(name).unwrap_or_default();
        let mut holds = vec![Vec::new(); named.len()];
        let mut entries = Vec::with_capacity(lessons.len());
        for (at, ((lesson, parts), kind)) in (0_u32..).zip(lessons.iter().zip(&split).zip(kinds)) {
            let mut features: Vec<u32> = parts.iter().flatten().copied().chain(kind).collect();
            features.sort_unstable();
            features.dedup();
            features.iter().for_each(|feature| holds[*feature as usize].push(at));
            let named =
                |place: &u16| lesson.tools.iter().chain(&lesson.failed_tools).nth(usize::from(*place));
            let calls = lesson.course.iter().filter_map(|(place, ok)| Some((tool(named(place)?), *ok)));
            let calls: Vec<(usize, bool)> = calls.collect();
            let mut course = stretches(&calls);
            if calls.len() >= Attempt::MAX {
                // Nobody knows how it went on.
                course.pop();
            }
            // A tool that failed at first has its place where it worked.
            let worked_at = |used: &usize| calls.iter().position(|(called, ok)| called == used && *ok);
            let mut used: Vec<usize> = lesson.tools.iter().map(tool).collect();
            used.sort_by_key(|used| worked_at(used).unwrap_or(usize::MAX));
            let failed: BTreeSet<usize> =
                lesson.failed_tools.iter().map(tool).filter(|failed| !used.contains(failed)).collect();
            entries.push(Entry {
                id: lesson.id,
                at: lesson.at,
                success: lesson.success.clamp(0.0, 1.0),
                features,
                tools: used,
                failed: failed.into_iter().collect(),
                course,
            });
        }
        let features = named.into_iter().map(|(feature, _)| feature).collect();
        Self { entries, parts: split, features, tools, words, named_by, holds }
    }
}

/// Returns for each term the word that the tasks have for it most often.
pub(super) fn usual_words(lessons: &[&Lesson]) -> HashMap<String, String> {
    let mut counts: HashMap<String, BTreeMap<String, usize>> = HashMap::new();
    for lesson in &lessons[lessons.len().saturating_sub(HEARD)..] {
        terms_with_words(&lesson.text, |term, word| {
            *counts.entry(term).or_default().entry(word.to_lowercase()).or_default() += 1;
        });
    }
    // Of words equally usual the first of the alphabet.
    let usual = |words: BTreeMap<String, usize>| words.into_iter().rev().max_by_key(|(_, count)| *count);
    counts.into_iter().filter_map(|(term, words)| Some((term, usual(words)?.0))).collect()
}

/// Returns the kind of a task as rules compare it; `None` for the kind that says nothing.
pub(crate) fn kind_of(kind: &str) -> Option<String> {
    (!kind.is_empty() && normalize_label(kind) != GENERAL).then(|| kind.to_owned())
}

/// Returns the stems of the words of a tool's name, in order.
fn words_of(tool: &str) -> Vec<String> {
    let mut words = Vec::new();
    tokenize(tool, |token| {
        if !token.joined {
            words.extend(term(token.term));
        }
    });
    words
}
