//! What varies in the text of a task, told by contrast with tasks alike.

use super::template::is_key;
use crate::learn::errors::cut;
use crate::learn::playbook::telling;
use crate::learn::shape::{Piece, Shape, pieces};

/// Of a longer text only this many bytes at its start are read.
const MAX_BYTES: usize = 2_000;

/// A value that the task states.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Stated {
    /// What it is called there: `version` of "version 3.2.1", `service` of "the billing service".
    pub(super) name: String,
    pub(super) value: String,
}

/// Returns the values that a task states: figures, ids, paths and quoted texts that not all tasks alike have, and words in
/// whose place a task alike has another word.
pub(super) fn stated(task: &str, others: &[&str]) -> Vec<Stated> {
    let own = pieces_of(task);
    let others: Vec<Vec<Piece<'_>>> = others.iter().map(|other| pieces_of(other)).collect();
    let mut stated: Vec<Stated> = Vec::new();
    for (at, piece) in own.iter().enumerate() {
        let varies = if piece.shape == Shape::Word {
            others.iter().any(|other| replaced(&own, at, other))
        } else {
            let has = |other: &Vec<Piece<'_>>| other.iter().any(|theirs| theirs.text == piece.text);
            others.is_empty() || is_key(piece.text) || !others.iter().all(has)
        };
        if varies && stated.iter().all(|known| known.value != piece.text) {
            stated.push(Stated { name: name(&own, at), value: piece.text.to_owned() });
        }
    }
    stated
}

fn pieces_of(task: &str) -> Vec<Piece<'_>> {
    let mut found = Vec::new();
    pieces(cut(task, MAX_BYTES), |piece| found.push(piece));
    found
}

/// Returns true if the other task has another word where this one has the word at this place: between the same neighbours,
/// of which one may be the end of the text.
fn replaced(own: &[Piece<'_>], at: usize, other: &[Piece<'_>]) -> bool {
    let word = own[at].text;
    if !telling(word) || other.iter().any(|piece| same(Some(piece), Some(&own[at]))) {
        return false;
    }
    let (before, behind) = (at.checked_sub(1).map(|at| &own[at]), own.get(at + 1));
    (before.is_some() || behind.is_some())
        && other.iter().enumerate().any(|(place, piece)| {
            piece.shape == Shape::Word
                && telling(piece.text)
                && same(place.checked_sub(1).map(|place| &other[place]), before)
                && same(other.get(place + 1), behind)
                && !own.iter().any(|known| same(Some(known), Some(piece)))
        })
}

/// Returns true if two neighbours are the same word, values of one shape, or the end of the text both.
fn same(a: Option<&Piece<'_>>, b: Option<&Piece<'_>>) -> bool {
    match (a, b) {
        (None, None) => true,
        (Some(a), Some(b)) if a.shape == Shape::Word => {
            b.shape == Shape::Word && a.text.to_lowercase() == b.text.to_lowercase()
        }
        (Some(a), Some(b)) => a.shape == b.shape,
        _ => false,
    }
}

/// Returns what a value is called: after the word beside it, or after its shape.
fn name(own: &[Piece<'_>], at: usize) -> String {
    let beside = |place: Option<usize>| {
        let piece = own.get(place?)?;
        let plain = piece.text.len() >= 3 && piece.text.chars().all(|c| c.is_alphanumeric() || c == '_');
        (piece.shape == Shape::Word && plain && telling(piece.text)).then(|| piece.text.to_lowercase())
    };
    let (before, behind) = (beside(at.checked_sub(1)), beside(Some(at + 1)));
    let (nearer, farther) = if own[at].shape == Shape::Word { (behind, before) } else { (before, behind) };
    nearer.or(farther).unwrap_or_else(|| {
        match own[at].shape {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_told_by_shape_and_by_contrast() {
        let check = |task: &str, others: &[&str], expected: &[(&str, &str)]| {
            let found: Vec<(String, String)> =
                stated(task, others).into_iter().map(|stated| (stated.name, stated.value)).collect();
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
