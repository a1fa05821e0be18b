//! Splits the text of a task into the parts that ask for one thing each.
//!
//! A part ends with its sentence, before a comma, and before a word that starts a new thought ("and", "then", …), but
//! never inside brackets. What follows "if", "whether" and the like is a part of its own that only supposes something; what
//! is wished for in case that something fails ("if that is not possible, ...", "otherwise ...") is marked.

use std::borrow::Cow;
use std::ops::Range;

use crate::recall::tokenize::{stem, tokenize};

/// A word that follows one of these within this many words is denied.
const NEGATION_REACH: usize = 3;
/// Marks the term of a word that is denied.
pub(crate) const NEGATED: char = '!';
/// Parts beyond this many are joined to the last: a text of so many is no task.
const MAX_PARTS: usize = 256;

/// The most figures that a word may have, as `s3`, `utf8` and `E0382` do.
const MAX_FIGURES: usize = 4;

/// Words that start a new thought; sorted.
const NEW_THOUGHT: &[&str] =
    &["afterwards", "also", "and", "besides", "but", "finally", "however", "otherwise", "then"];
/// Words after which something is supposed or asked, not told; sorted.
const SUPPOSING: &[&str] = &["how", "if", "unless", "what", "when", "whenever", "whether", "which"];
/// Words behind which nothing is supposed: what follows is what is to be found out; sorted.
const ASKING: &[&str] = &["check", "confirm", "determine", "out", "see", "verify"];
/// Words that deny what follows; sorted.
const DENYING: &[&str] = &["cannot", "never", "not", "without"];
/// Words before which "no" denies nothing that follows: it is "no longer", "no one", "no matter what"; sorted.
const BEHIND_NO: &[&str] =
    &["doubt", "idea", "later", "less", "longer", "matter", "more", "one", "other", "preference", "problem"];
/// Words with a full stop behind them that end no sentence; sorted.
const ABBREVIATED: &[&str] = &["dr", "mr", "mrs", "ms", "prof", "vs"];
/// Words that say, with those that deny, that what is supposed fails; sorted.
const FAILING: &[&str] = &["impossible", "no", "none", "unable", "unavailable"];
/// Words that begin what is wished for if something fails; sorted.
const OTHERWISE: &[&str] = &["else", "otherwise"];
/// Function words and greetings of English, that tell nothing about what a task needs; sorted.
const FUNCTION_WORDS: &[&str] = &[
    "a", "about", "above", "after", "again", "all", "am", "an", "and", "any", "are", "as", "at", "be",
    "been", "before", "being", "below", "between", "both", "but", "by", "ca", "can", "could", "did", "do",
    "does", "doing", "down", "during", "each", "few", "for", "from", "further", "had", "has", "have",
    "having", "he", "hello", "her", "here", "hers", "hi", "him", "his", "how", "i", "if", "in", "into", "is",
    "it", "its", "itself", "just", "me", "more", "most", "my", "no", "nor", "not", "now", "of", "off", "on",
    "once", "only", "or", "other", "our", "out", "over", "own", "please", "same", "she", "should", "so",
    "some", "such", "than", "thank", "thanks", "that", "the", "their", "them", "then", "there", "these",
    "they", "this", "those", "through", "to", "too", "under", "until", "up", "very", "was", "we", "were",
    "what", "when", "where", "which", "while", "who", "whom", "why", "will", "with", "wo", "would", "you",
    "your",
];

/// A part of a task.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Part {
    /// What the task says, as it is.
    pub(crate) text: String,
    /// The stems of its content words, each once, in order; with a `!` before them where the word is denied.
    pub(crate) terms: Vec<String>,
    /// Whether it only supposes something, or asks.
    pub(crate) hypothetical: bool,
    /// Whether it is wished for in case that something fails.
    pub(crate) fallback: bool,
    /// The sentence that it belongs to.
    pub(crate) sentence: usize,
    /// The clause that it belongs to: what a clause tells and what it supposes are two parts.
    pub(crate) clause: usize,
}

/// Splits a task into its parts, in order of the text.
///
/// Parts without any content word are joined to their neighbour; a text without any has no parts.
pub(crate) fn parts(text: &str) -> Vec<Part> {
    let mut found: Vec<(Range<usize>, Part)> = Vec::new();
    let mut lead: Option<usize> = None;
    let (mut sentence, mut fallback) = (0, false);
    for (clause, range) in clauses(text).into_iter().enumerate() {
        if starts_sentence(text, range.start) {
            (sentence, fallback) = (sentence + 1, false);
        }
        let pieces = pieces(text, range);
        let failing = pieces.iter().find(|(piece, supposed)| is_failing(&text[piece.clone()], *supposed));
        if let Some((piece, supposed)) = failing {
            // "If it cannot be changed, stop it and call" is about both, "stop it if it cannot be changed, and call" is not.
            fallback |= !supposed || terms(&text[pieces[0].0.start..piece.start]).is_empty();
        }
        let is_fallback = fallback || failing.is_some();
        for (piece, hypothetical) in pieces {
            let fallback = is_fallback && !hypothetical;
            let terms = terms(&text[piece.clone()]);
            match found.last_mut() {
                Some((range, _)) if terms.is_empty() => range.end = piece.end,
                Some((range, part)) if found_enough(clause) => {
                    range.end = piece.end;
                    terms.into_iter().for_each(|term| push_new(&mut part.terms, term));
                }
                None if terms.is_empty() => lead = lead.or(Some(piece.start)),
                _ => {
                    let start = lead.take().unwrap_or(piece.start);
                    let part = Part { text: String::new(), terms, hypothetical, fallback, sentence, clause };
                    found.push((start..piece.end, part));
                }
            }
        }
    }
    let trimmed = |range: Range<usize>| text[range].trim_matches(|c: char| c.is_whitespace() || c == ',');
    found.into_iter().map(|(range, part)| Part { text: trimmed(range).to_owned(), ..part }).collect()
}

fn found_enough(clause: usize) -> bool {
    clause >= MAX_PARTS
}

/// Returns the term of one word: its stem, lower case and without accents; `None` for function words.
pub(crate) fn term(word: &str) -> Option<String> {
    let word = fold(word);
    (word.chars().nth(1).is_some() && FUNCTION_WORDS.binary_search(&word.as_ref()).is_err())
        .then(|| stem(&word).map_or_else(|| word.to_string(), Cow::into_owned))
}

/// Calls `see` with the term of each content word of a text, and the word.
pub(crate) fn terms_with_words(text: &str, mut see: impl FnMut(String, &str)) {
    words(text, |_, word| {
        if !word.is_ascii() {
            tokenize(word, |token| see(token.term.to_owned(), token.surface));
        } else if let Some(term) = term(word) {
            see(term, word);
        }
    });
}

/// Returns the term of a word that may be marked as denied.
pub(crate) fn term_of_marked(word: &str) -> String {
    match word.strip_prefix(NEGATED) {
        Some(denied) => format!("{NEGATED}{}", term_of_marked(denied)),
        None => term(word).unwrap_or_else(|| word.to_owned()),
    }
}

/// Returns the ranges between the places where a text is split.
fn clauses(text: &str) -> Vec<Range<usize>> {
    let mut clauses = Vec::new();
    let (mut start, mut depth) = (0, 0_usize);
    let mut end_at = |start: &mut usize, at: usize| {
        if at > *start {
            clauses.push(*start..at);
            *start = at;
        }
    };
    let mut rest = text.char_indices().peekable();
    let mut word = 0..0;
    while let Some((at, c)) = rest.next() {
        if c.is_alphanumeric() {
            if word.end != at {
                word.start = at;
            }
            word.end = at + c.len_utf8();
            let ends = rest.peek().is_none_or(|(_, next)| !next.is_alphanumeric());
            if ends && depth == 0 && is_one_of(NEW_THOUGHT, &text[word.clone()]) {
                end_at(&mut start, word.start);
            }
            continue;
        }
        match c {
            '(' | '[' | '{' => depth += 1,
            ')' | ']' | '}' => depth = depth.saturating_sub(1),
            ',' if depth == 0 && !is_in_figure(text, at) => end_at(&mut start, at),
            '\n' => {
                end_at(&mut start, at + 1);
                depth = 0;
            }
            '.' if word.end == at && is_one_of(ABBREVIATED, &text[word.clone()]) => {}
            '.' | '!' | '?' | ';' if rest.peek().is_none_or(|(_, next)| next.is_whitespace()) => {
                end_at(&mut start, at + 1);
                depth = 0;
            }
            _ => {}
        }
    }
    end_at(&mut start, text.len());
    clauses
}

/// Returns true for a comma between two figures (`12,500`).
fn is_in_figure(text: &str, at: usize) -> bool {
    let is_figure = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_digit);
    let bytes = text.as_bytes();
    at > 0 && is_figure(bytes.get(at - 1)) && is_figure(bytes.get(at + 1))
}

/// Cuts a clause at the first word that supposes something; what comes after only may be so. "Check whether it is so" asks
/// for what follows.
fn pieces(text: &str, clause: Range<usize>) -> Vec<(Range<usize>, bool)> {
    let mut cut = None;
    let mut before = "";
    words(&text[clause.clone()], |at, word| {
        if cut.is_none() && is_one_of(SUPPOSING, word) && !is_one_of(ASKING, before) {
            cut = Some(clause.start + at);
        }
        before = word;
    });
    match cut {
        Some(at) if at > clause.start => vec![(clause.start..at, false), (at..clause.end, true)],
        Some(_) => vec![(clause, true)],
        None => vec![(clause, false)],
    }
}

fn starts_sentence(text: &str, at: usize) -> bool {
    let before = text[..at].trim_end_matches(' ');
    before.trim_end().ends_with(['.', '!', '?', ';']) || before.ends_with('\n')
}

/// Returns true for a piece that supposes that something fails, or tells what to do then.
fn is_failing(piece: &str, supposed: bool) -> bool {
    let list: [&[&str]; 2] = if supposed { [DENYING, FAILING] } else { [OTHERWISE, &[]] };
    let mut failing = false;
    words(piece, |_, word| failing |= list.iter().any(|list| is_one_of(list, word)));
    failing
}

/// Returns the terms of a piece of text.
fn terms(text: &str) -> Vec<String> {
    let mut terms = Vec::new();
    // How many words ago something was denied.
    let mut denied = NEGATION_REACH + 1;
    let (mut after_no, mut after_never) = (false, false);
    words(text, |_, word| {
        denied = denied.saturating_add(1);
        if std::mem::take(&mut after_no) && !is_one_of(BEHIND_NO, word) {
            denied = 1;
        }
        if std::mem::take(&mut after_never) && word.eq_ignore_ascii_case("mind") {
            denied = 0;
            return;
        }
        if is_one_of(DENYING, word) {
            denied = 0;
            after_never = word.eq_ignore_ascii_case("never");
            return;
        }
        after_no = word.eq_ignore_ascii_case("no");
        if word.is_ascii() {
            if let Some(term) = term(word) {
                let is_denied = (1..=NEGATION_REACH).contains(&denied);
                push_new(&mut terms, if is_denied { format!("{NEGATED}{term}") } else { term });
            }
            return;
        }
        tokenize(word, |token| push_new(&mut terms, token.term.to_owned()));
    });
    terms
}

fn push_new(terms: &mut Vec<String>, term: String) {
    if !terms.contains(&term) {
        terms.push(term);
    }
}

/// Calls `see` with each word and where it starts: a run of letters and digits that is no figure or long number of a thing.
/// Addresses of e-mail are left out, endings such as `'s` are dropped, and "don't" is the two words "do" and "not".
fn words<'t>(text: &'t str, mut see: impl FnMut(usize, &'t str)) {
    let mut at = 0;
    for chunk in text.split_inclusive(char::is_whitespace) {
        let start = at;
        at += chunk.len();
        if chunk.contains('@') {
            continue;
        }
        let mut inner = 0;
        let mut after_apostrophe = false;
        while let Some(found) = chunk[inner..].find(char::is_alphanumeric) {
            let from = inner + found;
            let to = chunk[from..].find(|c: char| !c.is_alphanumeric()).map_or(chunk.len(), |len| from + len);
            let (word, behind) = (&chunk[from..to], &chunk[to..]);
            if !is_word(word) {
                (inner, after_apostrophe) = (to, false);
                continue;
            }
            let apostrophe = behind.starts_with(['\'', '’']);
            inner = to;
            if std::mem::take(&mut after_apostrophe) && matches!(word, "s" | "ve" | "re" | "ll" | "d" | "m") {
                continue;
            }
            let tail = behind.trim_start_matches(['\'', '’']);
            let denies = apostrophe
                && word.ends_with(['n', 'N'])
                && tail.starts_with(['t', 'T'])
                && !tail[1..].starts_with(char::is_alphabetic);
            if denies {
                see(start + from, &word[..word.len() - 1]);
                see(start + to, "not");
                inner = chunk.len() - tail.len() + 1;
                continue;
            }
            see(start + from, word);
            after_apostrophe = apostrophe;
        }
    }
}

/// Returns false for figures and for what holds many (`W6067464`): it names one thing among many of its kind.
fn is_word(run: &str) -> bool {
    run.contains(char::is_alphabetic) && run.chars().filter(|c| c.is_numeric()).count() <= MAX_FIGURES
}

fn is_one_of(words: &[&str], word: &str) -> bool {
    words.iter().any(|one| one.len() == word.len() && one.eq_ignore_ascii_case(word))
}

fn fold(word: &str) -> Cow<'_, str> {
    if word.bytes().all(|byte| byte.is_ascii_lowercase()) {
        Cow::Borrowed(word)
    } else {
        Cow::Owned(word.to_lowercase())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_task_is_split_where_something_new_starts() {
        let check = |text: &str, expected: &[&str]| {
            let found: Vec<String> = parts(text).into_iter().map(|part| part.text).collect();
            assert_eq!(found, expected, "{text:?}");
        };
        check("", &[]);
        check("To be, or not.", &[]);
        check("Cancel the order and return the shoes.", &["Cancel the order", "and return the shoes."]);
        check("First build, then deploy v1.2.", &["First build", "then deploy v1.2."]);
        check("Change {'a': 1, 'b': 2 and 3} now", &["Change {'a': 1, 'b': 2 and 3} now"]);
        check("Stop it. And then? Restart the server", &["Stop it. And then?", "Restart the server"]);
        check("Ask Dr. Bolt and Mrs. Li. Ship it", &["Ask Dr. Bolt", "and Mrs. Li.", "Ship it"]);
        check("Dear Sir. Ship it if it is paid", &["Dear Sir.", "Ship it", "if it is paid"]);
        check("one\ntwo", &["one", "two"]);
        check("Pay 12,500 euros, and file it", &["Pay 12,500 euros", "and file it"]);
    }

    #[test]
    fn terms_are_stems_of_content_words() {
        let check = |text: &str, expected: &[&str]| {
            let found: Vec<String> = parts(text)
                .into_iter()
                .map(|part| {
                    let sign = match (part.hypothetical, part.fallback) {
                        (true, _) => "?",
                        (false, true) => "~",
                        (false, false) => "",
                    };
                    format!("{sign}{}", part.terms.join(" "))
                })
                .collect();
            assert_eq!(found, expected, "{text:?}");
        };
        check("Returning the returned returns", &["return"]);
        check("Copy XEHM4B of W6067464 to s3 for $45", &["copi xehm4b s3"]);
        check("Ask mia.li4@example.com about paypal_123", &["ask paypal"]);
        check("You don't want the lamp in the kitchen", &["!want !lamp kitchen"]);
        check("It's the customers’ choice", &["custom choic"]);
        check("Sell it if the price falls, and buy", &["sell", "?price fall", "buy"]);
        check("Never cancel", &["!cancel"]);
        check("No refund for Ann, she needs no ride", &["!refund !ann", "need !ride"]);
        check("She no longer needs it, no matter what", &["longer need", "matter"]);
        check("Never mind the order of paint, ship it", &["!order paint", "ship"]);
        check("Ship it. If you can't, stop it. Call me", &["ship", "~stop", "call"]);
        check("Ship it; if that is impossible, stop it", &["ship", "?imposs", "~stop"]);
        check("Change it, otherwise stop it", &["chang", "~otherwis stop"]);
        check("Stop it if it cannot be changed, and call", &["~stop", "?!chang", "call"]);
        check("If it cannot be changed, stop it and call", &["?!chang", "~stop", "~call"]);
        check("If it is paid, ship it", &["?paid", "ship"]);
        check("Check whether it is paid if you can ship it", &["check whether paid", "?ship"]);
        check("Отменить заказ", &["отменить заказ"]);
        check("東京都へ", &["東京 京都 都へ"]);
    }

    #[test]
    fn word_lists_are_sorted() {
        for list in [
            NEW_THOUGHT,
            SUPPOSING,
            ASKING,
            DENYING,
            BEHIND_NO,
            ABBREVIATED,
            FAILING,
            OTHERWISE,
            FUNCTION_WORDS,
        ] {
            assert!(list.is_sorted());
        }
    }

    proptest! {
        #[test]
        fn any_text_is_split_into_slices_of_it(text in "\\PC{0,300}") {
            let parts = parts(&text);
            prop_assert!(parts.iter().all(|part| text.contains(&part.text) && !part.terms.is_empty()));
            prop_assert!(parts.is_sorted_by_key(|part| part.clause));
        }

        #[test]
        fn order_of_parts_is_that_of_the_text(words in proptest::collection::vec("[b-z]{4,8}", 1..20)) {
            let text = words.join(". ");
            let found: String = parts(&text).into_iter().map(|part| part.text).collect::<Vec<_>>().join(" ");
            prop_assert_eq!(found.replace(' ', ""), text.replace(' ', ""));
        }
    }
}
