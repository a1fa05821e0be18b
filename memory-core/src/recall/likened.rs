//! Words that few episodes have, taken for words of nearly the same meaning that call for a tool.
//!
//! What a word calls for is learned from episodes that have it. Until there are some, a table or a model of meanings can
//! say which learned word it is like: "refund" is taken for "return". Nothing is guessed in a part that has a learned
//! word, and nothing of a word that calls for a tool itself or that many episodes have: those say what it calls for.
//! A few may have it in another sense: a "high-back" chair says little of "send it back".

use crate::learn::heuristics::associate::{Associations, Caller};
use crate::recall::parts::{NEGATED, Part, terms_with_words};

/// A word speaks for itself if more episodes have it than these,
const HEARD: usize = 2;
/// and more than this share of them.
const HEARD_SHARE: f64 = 0.02;
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
    /// The term of that.
    pub(crate) term: String,
}

/// The strange words of a task, and the learned ones that each may be taken for.
#[derive(Debug)]
pub(crate) struct Comparison<'a> {
    /// Term and word. Words that are in no open part are left out.
    strange: Vec<(String, String)>,
    callers: &'a [Caller],
    /// By part: whether it has no learned word.
    open: Vec<bool>,
}

impl<'a> Comparison<'a> {
    /// Finds what is to be compared; `None` if that is nothing. `text` is what whoever compares may see of the task.
    pub(crate) fn new(text: &str, parts: &[Part], associations: &'a Associations) -> Option<Self> {
        let callers = associations.callers.as_slice();
        // What is denied is learned, too.
        let is_caller = |term: &String| {
            let term = term.strip_prefix(NEGATED).unwrap_or(term);
            callers.binary_search_by(|caller| caller.term.as_str().cmp(term)).is_ok()
        };
        let open: Vec<bool> = parts.iter().map(|part| !part.terms.iter().any(is_caller)).collect();
        if callers.is_empty() || !open.contains(&true) {
            return None;
        }
        let mut candidates: Vec<&String> =
            parts.iter().zip(&open).filter(|(_, open)| **open).flat_map(|(part, _)| &part.terms).collect();
        let heard = HEARD.max((HEARD_SHARE * associations.lessons as f64) as usize);
        candidates.retain(|term| associations.cases.heard(term) <= heard);
        let mut strange: Vec<(String, String)> = Vec::new();
        terms_with_words(text, |term, word| {
            if strange.len() < COMPARED
                && word.chars().nth(SHORTEST - 1).is_some()
                && candidates.contains(&&term)
                && strange.iter().all(|(held, _)| *held != term)
            {
                strange.push((term, word.to_lowercase()));
            }
        });
        (!strange.is_empty()).then_some(Self { strange, callers, open })
    }

    /// Returns the strange words.
    pub(crate) fn strange(&self) -> Vec<String> {
        self.strange.iter().map(|(_, word)| word.clone()).collect()
    }

    /// Returns the learned words.
    pub(crate) fn known(&self) -> Vec<String> {
        self.callers.iter().map(|caller| caller.word.clone()).collect()
    }

    /// Tells the parts what their words are taken for: by strange word, the place of the known one.
    pub(crate) fn apply(&self, nearest: &[Option<usize>], parts: &mut [Part]) {
        for (part, _) in parts.iter_mut().zip(&self.open).filter(|(_, open)| **open) {
            let mut likened: Vec<Likened> = Vec::new();
            for ((term, word), place) in self.strange.iter().zip(nearest) {
                let Some(known) = place.and_then(|place| self.callers.get(place)) else { continue };
                if part.terms.contains(term) && likened.iter().all(|held| held.term != known.term) {
                    let (word, term) = (word.clone(), known.term.clone());
                    likened.push(Likened { word, known: known.word.clone(), term });
                }
            }
            part.likened = likened;
        }
    }
}
