//! The normalised identity of a task.

use std::collections::BTreeSet;

use memory_core::Task;
use memory_recall::tokenize::{label_key, stem, tokenize};

use crate::identity::id_of;
use crate::shape::{Shape, pieces};

/// Returns the fingerprint of a task, 32 hexadecimal digits: equal for tasks of one kind and domain whose
/// descriptions differ in figures, ids, dates, paths, quoted values, case, forms of words and word order alone.
pub fn fingerprint(task: &Task) -> String {
    let [kind, domain] = [&task.kind, &task.domain].map(|label| label_key(label.as_deref()));
    let terms = terms(&task.description);
    let terms: Vec<&str> = terms.iter().map(String::as_str).collect();
    id_of(&["task", &kind, &domain, &terms.join(" ")]).simple().to_string()
}

/// Returns the stemmed words of a text without stop words, with one placeholder for each shape of value.
fn terms(text: &str) -> BTreeSet<String> {
    let mut terms = BTreeSet::new();
    let mut words = false;
    pieces(text, |piece| match piece.shape.placeholder() {
        Some(placeholder) => {
            terms.insert(placeholder.to_owned());
        }
        None => {
            words = true;
            add_words(piece.text, &mut terms);
        }
    });
    if !words {
        // A task that consists of values only (one quoted sentence, for example) is identified by their
        // content.
        pieces(text, |piece| {
            if piece.shape == Shape::Quoted {
                add_words(piece.text, &mut terms);
            } else {
                terms.insert(piece.text.to_lowercase());
            }
        });
    }
    terms
}

/// Adds the stemmed words of a text without stop words.
pub(crate) fn add_words(text: &str, into: &mut BTreeSet<String>) {
    tokenize(text, |token| {
        if !token.joined {
            let stemmed = stem(token.term).map_or_else(|| token.term.to_owned(), |stem| stem.into_owned());
            into.insert(stemmed);
        }
    });
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn equal_up_to_what_varies() {
        let check = |a: &str, b: &str, equal: bool| {
            let [a_print, b_print] = [a, b].map(|text| fingerprint(&Task::new(text)));
            assert_eq!(a_print.len(), 32);
            assert_eq!(a_print == b_print, equal, "{a:?} {b:?}");
        };
        check("Cancel order #W6067464", "cancel the orders #W1234567!", true);
        check("Cancel order #W6067464", "Return order #W6067464", false);
        check("Fix the test in src/a.rs", "Fix tests in lib/b/c.py", true);
        check("Mail mia@example.com", "mail omar.d@example.org", true);
        check("Rename 'foo' to 'bar'", "rename `x` to `y z`", true);
        check("Book 2 seats on 2024-05-20", "Book 3 seats on 2024-06-01", true);
        check("Book seats", "Book 3 seats", false);
        check("web-api down", "down: web api", true);
        check("\"cancel it now\"", "\"return it now\"", false);
        check("#1234", "#99999", false);
    }

    #[test]
    fn kind_and_domain_count() {
        let task = || Task::new("Deploy it").kind("ops").domain("Web-API");
        assert_eq!(fingerprint(&task()), fingerprint(&task().domain("web_api")));
        assert_ne!(fingerprint(&task()), fingerprint(&task().kind("debugging")));
        assert_ne!(fingerprint(&task()), fingerprint(&task().domain("mobile")));
        assert_ne!(
            fingerprint(&Task::new("Deploy it")),
            fingerprint(&Task::new("Deploy it").kind("general"))
        );
    }

    proptest! {
        #[test]
        fn word_order_does_not_count(mut words in proptest::collection::vec("[a-z]{3,9}", 1..8)) {
            let forward = fingerprint(&Task::new(words.join(" ")));
            words.reverse();
            prop_assert_eq!(forward, fingerprint(&Task::new(words.join(" "))));
        }
    }
}
