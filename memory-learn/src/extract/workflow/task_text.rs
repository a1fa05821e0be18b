//! The varying values in the text of a task, found by contrast with similar tasks.

use std::collections::HashSet;

use crate::errors::cut;
use crate::playbook::telling;
use crate::shape::{Piece, Shape, pieces};

/// A longer text is read up to this many bytes at its start.
const MAX_BYTES: usize = 2_000;

/// A value that the task states.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Stated {
    /// Its name there: `version` of "version 3.2.1", `service` of "the billing service".
    pub(super) name: String,
    pub(super) value: String,
}

/// A task, as it is compared with others.
pub(super) struct TaskText<'t> {
    pieces: Vec<Token<'t>>,
    /// The words in it, in lower case.
    words: HashSet<String>,
}

/// A piece of a task.
struct Token<'t> {
    piece: Piece<'t>,
    /// In lower case, if it is a word.
    lower: String,
    /// An informative word.
    telling: bool,
}

impl<'t> TaskText<'t> {
    pub(super) fn new(task: &'t str) -> Self {
        let mut found = Vec::new();
        pieces(cut(task, MAX_BYTES), |piece| {
            let word = piece.shape == Shape::Word;
            let lower = if word { piece.text.to_lowercase() } else { String::new() };
            let telling = word && telling(piece.text);
            found.push(Token { piece, lower, telling });
        });
        let words = found.iter().filter(|token| token.is_word()).map(|token| token.lower.clone()).collect();
        Self { pieces: found, words }
    }

    /// Returns the values that the task states: figures, ids, paths and quoted texts that not all similar tasks
    /// have, and words that a similar task replaces by another word.
    pub(super) fn stated(&self, others: &[TaskText<'_>]) -> Vec<Stated> {
        let mut stated: Vec<Stated> = Vec::new();
        for (at, token) in self.pieces.iter().enumerate() {
            let piece = &token.piece;
            let varies = if token.is_word() {
                others.iter().any(|other| self.replaced(at, other))
            } else {
                let has =
                    |other: &TaskText<'_>| other.pieces.iter().any(|theirs| theirs.piece.text == piece.text);
                others.is_empty() || is_key(piece.text) || !others.iter().all(has)
            };
            if varies && stated.iter().all(|known| known.value != piece.text) {
                stated.push(Stated { name: self.name(at), value: piece.text.to_owned() });
            }
        }
        stated
    }

    /// Returns true if the other task has another word where this one has the word at this place: between the same
    /// neighbours, of which one may be the end of the text.
    fn replaced(&self, at: usize, other: &TaskText<'_>) -> bool {
        let own = &self.pieces[at];
        if !own.telling || other.words.contains(&own.lower) {
            return false;
        }
        let (before, behind) = self.neighbours(at);
        (before.is_some() || behind.is_some())
            && other.pieces.iter().enumerate().any(|(place, token)| {
                let (theirs_before, theirs_behind) = other.neighbours(place);
                token.telling
                    && same(theirs_before, before)
                    && same(theirs_behind, behind)
                    && !self.words.contains(&token.lower)
            })
    }

    fn neighbours(&self, at: usize) -> (Option<&Token<'t>>, Option<&Token<'t>>) {
        (at.checked_sub(1).map(|at| &self.pieces[at]), self.pieces.get(at + 1))
    }

    /// Returns the name of a value: from the word next to it, or from its shape.
    fn name(&self, at: usize) -> String {
        let beside = |token: Option<&Token<'t>>| {
            let Token { piece, lower, telling } = token?;
            let plain = piece.text.len() >= 3 && piece.text.chars().all(|c| c.is_alphanumeric() || c == '_');
            (*telling && plain).then(|| lower.clone())
        };
        let (before, behind) = self.neighbours(at);
        let (before, behind) = (beside(before), beside(behind));
        let shape = self.pieces[at].piece.shape;
        let (nearer, farther) = if shape == Shape::Word { (behind, before) } else { (before, behind) };
        nearer.or(farther).unwrap_or_else(|| {
            match shape {
                Shape::Word => "name",
                Shape::Number => "number",
                Shape::Date => "date",
                Shape::Id => "id",
                Shape::Path => "path",
                Shape::Email => "email",
                Shape::Quoted => "text",
            }
            .to_owned()
        })
    }
}

impl Token<'_> {
    fn is_word(&self) -> bool {
        self.piece.shape == Shape::Word
    }
}

/// Returns true if two neighbours are the same word, values of one shape, or the end of the text both.
fn same(a: Option<&Token<'_>>, b: Option<&Token<'_>>) -> bool {
    match (a, b) {
        (None, None) => true,
        (Some(a), Some(b)) => a.piece.shape == b.piece.shape && (!a.is_word() || a.lower == b.lower),
        _ => false,
    }
}

/// Returns true for a text with an id, an address, a date or a long figure: that is of one episode, however
/// often it was done again.
pub(super) fn is_key(text: &str) -> bool {
    let mut key = false;
    pieces(text, |piece| {
        key |= match piece.shape {
            Shape::Id | Shape::Email | Shape::Date => true,
            Shape::Number => piece.text.len() >= 4,
            Shape::Word | Shape::Path | Shape::Quoted => false,
        }
    });
    key
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_told_by_shape_and_by_contrast() {
        let check = |task: &str, others: &[&str], expected: &[(&str, &str)]| {
            let others: Vec<TaskText<'_>> = others.iter().map(|other| TaskText::new(other)).collect();
            let found: Vec<(String, String)> = TaskText::new(task)
                .stated(&others)
                .into_iter()
                .map(|stated| (stated.name, stated.value))
                .collect();
            let expected: Vec<(String, String)> =
                expected.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
            assert_eq!(found, expected, "{task}");
        };
        let release = "Release version 3.2.1 of the billing service";
        check(release, &[], &[("version", "3.2.1")]);
        let other = "release version 2.0.0 of the invoices service";
        check(release, &[other], &[("version", "3.2.1"), ("service", "billing")]);
        check(release, &["Water the plants"], &[("version", "3.2.1")]);
        check("Refund #W1234567 to mia@x.org", &[], &[("refund", "#W1234567"), ("email", "mia@x.org")]);
        check("Deploy parser", &["Deploy lexer"], &[("deploy", "parser")]);
        check("Deploy the parser", &["Deploy a parser"], &[]);
        check("", &["a"], &[]);
    }
}
