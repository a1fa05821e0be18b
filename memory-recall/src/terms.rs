//! The terms of a text with their counts.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Holds the terms of one field with their counts, in the order in which they were given.
///
/// All terms are kept in one text, so that a document of a hundred terms is a few blocks of memory: 100,000 of
/// them are read when a memory opens.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TermCounts {
    text: String,
    /// The length of each term in bytes, and its count, each in two bytes, the lower first.
    #[serde(with = "serde_bytes")]
    terms: Vec<u8>,
}

/// Bytes that each term takes in [`TermCounts::terms`].
const WIDTH: usize = 4;

impl TermCounts {
    /// Returns true without terms.
    pub fn is_empty(&self) -> bool {
        self.terms.is_empty()
    }

    /// Returns how many terms there are.
    pub fn len(&self) -> usize {
        self.terms.len() / WIDTH
    }

    /// Returns each term with its count. Stored lengths that do not fit the text end it early.
    pub fn iter(&self) -> impl Iterator<Item = (&str, u16)> {
        let mut rest = self.text.as_str();
        self.terms.chunks_exact(WIDTH).map_while(move |pair| {
            let number = |at: usize| u16::from_le_bytes([pair[at], pair[at + 1]]);
            let (term, behind) = rest.split_at_checked(number(0).into())?;
            rest = behind;
            Some((term, number(2)))
        })
    }
}

impl<'t> FromIterator<(&'t str, u16)> for TermCounts {
    /// Collects terms; one of more than 65,535 bytes is left out.
    fn from_iter<I: IntoIterator<Item = (&'t str, u16)>>(terms: I) -> Self {
        let mut counts = Self::default();
        for (term, count) in terms {
            if let Ok(length) = u16::try_from(term.len()) {
                counts.text.push_str(term);
                counts.terms.extend(length.to_le_bytes());
                counts.terms.extend(count.to_le_bytes());
            }
        }
        counts
    }
}

impl fmt::Debug for TermCounts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn lengths_that_do_not_fit_end_the_terms() {
        let check = |text: &str, terms: &[(u16, u16)], expected: &[(&str, u16)]| {
            let terms = terms.iter().flat_map(|(length, count)| [length.to_le_bytes(), count.to_le_bytes()]);
            let counts = TermCounts { text: text.into(), terms: terms.flatten().collect() };
            assert_eq!(counts.iter().collect::<Vec<_>>(), expected);
        };
        check("ab", &[(1, 7), (1, 8)], &[("a", 7), ("b", 8)]);
        check("ab", &[(1, 7), (2, 8)], &[("a", 7)]);
        check("äb", &[(1, 7), (2, 8)], &[]);
        check("", &[(u16::MAX, 1)], &[]);
    }

    proptest! {
        #[test]
        fn gives_back_what_was_put_in(terms in proptest::collection::vec((".*", any::<u16>()), 0..20)) {
            let counts: TermCounts = terms.iter().map(|(term, count)| (term.as_str(), *count)).collect();
            prop_assert_eq!(counts.len(), terms.len());
            let back: Vec<_> = counts.iter().map(|(term, count)| (term.to_owned(), count)).collect();
            prop_assert_eq!(back, terms);
        }
    }
}
