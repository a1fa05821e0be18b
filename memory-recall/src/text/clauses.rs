//! Splits a task into clauses, each of which may be a separate request.

use super::words::words;

/// Conjunctions that start a new clause after a comma; English.
const AFTER_COMMA: &[&str] = &["also", "and", "but", "then"];
/// Words that start a new clause after "and"; English.
const AFTER_AND: &[&str] = &["also", "then"];
/// Fewer words are no request.
const LEAST_WORDS: usize = 2;

/// Splits a text at line ends, after sentence punctuation (`.`, `!`, `?`, `;` before white space), and before
/// the conjunctions ", and", ", but", ", then", ", also", "and then" and "and also"; clauses of one word are
/// left out. A text that gives no clause is one clause; an empty text gives none.
pub fn clauses(text: &str) -> Vec<&str> {
    let mut found = Vec::new();
    let mut start = 0;
    let mut at = 0;
    while let Some(c) = text[at..].chars().next() {
        let next = at + c.len_utf8();
        let gap = text[next..].starts_with(char::is_whitespace);
        let cut = match c {
            '\n' => Some((at, next)),
            '.' | '!' | '?' | ';' if gap => Some((next, next)),
            ',' if gap => after_word(text, next, AFTER_COMMA).map(|to| (at, to)),
            c if c.is_whitespace() => after_word(text, at, &["and"])
                .filter(|to| after_word(text, *to, AFTER_AND).is_some())
                .and_then(|to| after_word(text, to, AFTER_AND).map(|to| (at, to))),
            _ => None,
        };
        if let Some((end, next)) = cut {
            found.push(&text[start..end]);
            (start, at) = (next, next);
        } else {
            at = next;
        }
    }
    found.push(&text[start..]);
    let mut clauses: Vec<&str> = found
        .into_iter()
        .map(str::trim)
        .filter(|clause| words(clause).nth(LEAST_WORDS - 1).is_some())
        .collect();
    if clauses.is_empty() && !text.trim().is_empty() {
        clauses.push(text.trim());
    }
    clauses
}

/// Returns the place after the next word if it is one of these and white space follows.
fn after_word(text: &str, at: usize, of: &[&str]) -> Option<usize> {
    let rest = text[at..].trim_start();
    let start = text.len() - rest.len();
    let word = rest.split(char::is_whitespace).next()?;
    let end = start + word.len();
    let listed = of.iter().any(|one| one.eq_ignore_ascii_case(word));
    (listed && text[end..].starts_with(char::is_whitespace)).then_some(end)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_text_splits_at_sentences_and_conjunctions() {
        let check = |text: &str, expected: &[&str]| assert_eq!(clauses(text), expected, "{text:?}");
        check("", &[]);
        check("  \n ", &[]);
        check("Build", &["Build"]);
        check("Build v1.2 now. Then deploy it!", &["Build v1.2 now.", "Then deploy it!"]);
        check("Cancel the order, and return the shoes", &["Cancel the order", "return the shoes"]);
        check("Lock it and then start the engine", &["Lock it", "start the engine"]);
        check("Buy bread and butter, salt", &["Buy bread and butter, salt"]);
        check("First line\nsecond line", &["First line", "second line"]);
        check("Yes. Do that thing.", &["Do that thing."]);
        check("Stop and", &["Stop and"]);
    }

    proptest! {
        #[test]
        fn any_text_splits_into_slices_of_itself(text in "\\PC{0,80}") {
            for clause in clauses(&text) {
                prop_assert!(text.contains(clause));
            }
        }
    }
}
