//! The terms of a text with their counts.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Holds the terms of one field with their counts, in the order in which they were given.
///
/// All terms are kept in one text, so that a document of a hundred terms is a few blocks of memory: 100,000 of them are
/// read when a memory opens.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TermCounts {
    text: String,
    /// The length of each term in bytes, and its count.
    terms: Vec<(u16, u16)>,
}

impl TermCounts {
    /// Returns true without terms.
    pub fn is_empty(&self) -> bool {
        self.terms.is_empty()
    }

    /// Returns how many terms there are.
    pub fn len(&self) -> usize {
        self.terms.len()
    }

    /// Returns each term with its count. Stored lengths that do not fit the text end it early.
    pub fn iter(&self) -> impl Iterator<Item = (&str, u16)> {
        let mut rest = self.text.as_str();
        self.terms.iter().map_while(move |&(length, count)| {
            let (term, behind) = rest.split_at_checked(length.into())?;
            rest = behind;
            Some((term, count))
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
                counts.terms.push((length, count));
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
            let counts = TermCounts { text: text.into(), terms: terms.to_vec() };
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
