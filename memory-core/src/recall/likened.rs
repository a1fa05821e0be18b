//! Words that hardly any episode has, taken for words of nearly the same meaning that call for a tool.
//!
//! What a word calls for is learned from episodes that have it. Until there are some, a model of meanings can say which
//! learned word it is like: "refund" is taken for "return". Nothing is guessed in a part that has a learned word, and
//! nothing once episodes say by themselves what the word calls for.

use std::collections::HashMap;

use crate::learn::heuristics::associate::{Associations, Rule};
use crate::recall::parts::{NEGATED, Part, terms_with_words};
use crate::recall::query::RecallQuery;

/// A word that so many episodes have speaks for itself.
const HEARD: usize = 3;
/// The least strength of a rule whose word others are taken for.
const CALLS_FROM: f64 = 0.3;
/// The most strange words of a task that are compared, the first ones.
const COMPARED: usize = 64;
/// Shorter words have no meaning of their own, in characters.
const SHORTEST: usize = 3;

/// A word of a part that is taken for another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Likened {
    /// What the task says.
    pub(crate) word: String,
    /// What it is taken for.
    pub(crate) known: String,
    /// The term of that; one of the part's terms.
    pub(crate) term: String,
}

/// The strange words of a task, and the learned ones that each may be taken for.
#[derive(Debug)]
pub(crate) struct Comparison {
    /// By term: the word. Words that are in no part where they may count are left out.
    strange: Vec<(String, String)>,
    callers: Vec<(String, String)>,
}

impl Comparison {
    /// Finds what is to be compared; `None` if that is nothing. `text` is what a model may see of the task.
    pub(crate) fn new(
        text: &str,
        parts: &[Part],
        query: &RecallQuery,
        associations: &Associations,
    ) -> Option<Self> {
        let callers = callers(query, associations);
        let mut strange: Vec<(String, String)> = Vec::new();
        terms_with_words(text, |term, word| {
            let is_new = || strange.iter().all(|(held, _)| *held != term);
            let may_count = || parts.iter().any(|part| is_open(part, &callers) && part.terms.contains(&term));
            if strange.len() < COMPARED
                && word.chars().nth(SHORTEST - 1).is_some()
                && is_new()
                && associations.cases.heard(&term) < HEARD
                && may_count()
            {
                strange.push((term, word.to_lowercase()));
            }
        });
        (!strange.is_empty() && !callers.is_empty()).then_some(Self { strange, callers })
    }

    /// Returns the strange words.
    pub(crate) fn strange(&self) -> Vec<String> {
        self.strange.iter().map(|(_, word)| word.clone()).collect()
    }

    /// Returns the learned words.
    pub(crate) fn known(&self) -> Vec<String> {
        self.callers.iter().map(|(_, word)| word.clone()).collect()
    }

    /// Adds to the parts the terms of what their words are taken for: by strange word, the place of the known one.
    pub(crate) fn apply(&self, nearest: &[Option<usize>], parts: &mut [Part]) {
        for part in parts.iter_mut().filter(|part| is_open(part, &self.callers)) {
            let mut likened: Vec<Likened> = Vec::new();
            for ((term, word), place) in self.strange.iter().zip(nearest) {
                let Some((known_term, known)) = place.and_then(|place| self.callers.get(place)) else {
                    continue;
                };
                if part.terms.contains(term) && likened.iter().all(|held| held.term != *known_term) {
                    let (word, known) = (word.clone(), known.clone());
                    likened.push(Likened { word, known, term: known_term.clone() });
                }
            }
            part.terms.extend(likened.iter().map(|likened| likened.term.clone()));
            part.likened = likened;
        }
    }
}

/// Returns true if a part has no learned word.
fn is_open(part: &Part, callers: &[(String, String)]) -> bool {
    !part.terms.iter().any(|term| callers.iter().any(|(caller, _)| caller == term))
}

/// Returns the words that call for a tool by themselves, with their terms; what names the object of an operation does
/// not.
fn callers(query: &RecallQuery, associations: &Associations) -> Vec<(String, String)> {
    let readable: HashMap<_, _> = associations
        .heuristics
        .iter()
        .filter_map(|heuristic| Some((heuristic.id, heuristic.condition.terms.first()?)))
        .collect();
    let calls = |rule: &&Rule| {
        let Rule { premise, tool, strength, .. } = rule;
        let facts = &associations.tools[*tool];
        let [term] = premise.terms.as_slice() else { return false };
        let is_operation = facts.partners.is_empty() || facts.words.first() == Some(term);
        *strength >= CALLS_FROM
            && is_operation
            && !term.starts_with(NEGATED)
            && premise.after_tool.is_none()
            && premise.task_kind.as_ref().is_none_or(|kind| query.kind.as_ref() == Some(kind))
    };
    let rules = associations.calls.values().flatten().filter(calls);
    let mut callers: Vec<(String, String)> = rules
        .filter_map(|rule| Some((rule.premise.terms.first()?.clone(), (*readable.get(&rule.id)?).clone())))
        .collect();
    callers.sort_unstable();
    callers.dedup_by(|a, b| a.0 == b.0);
    callers
}
