//! Turns text into index terms.
//!
//! A word is a run of letters and digits, also across `-`, `_` and changes of case, so that `web-api`, `web_api`,
//! `WebApi` and `webapi` share the term `webapi`; the parts of such a compound are terms too. Terms are lower
//! case, without accents of Latin letters, and cut to 64 bytes.
//! Chinese and Japanese, which put no spaces between words, give overlapping pairs of characters.

use std::borrow::Cow;

use frostem::{Algorithm, Stemmer};

/// Terms longer than this are cut, in bytes.
const MAX_TERM_BYTES: usize = 64;
/// Compounds of more parts than this (tables, rulers, encoded data) are not joined.
const MAX_COMPOUND_PARTS: usize = 8;

/// Words too common to discriminate texts; sorted.
const STOP_WORDS: &[&str] = &[
    "a", "about", "am", "an", "and", "any", "are", "as", "at", "be", "been", "but", "by", "can", "could",
    "d", "did", "do", "does", "for", "from", "had", "has", "have", "he", "her", "here", "his", "how", "i",
    "if", "in", "into", "is", "it", "its", "just", "ll", "m", "may", "me", "my", "no", "not", "of", "on",
    "or", "our", "please", "re", "s", "she", "should", "so", "some", "t", "than", "that", "the", "their",
    "them", "then", "there", "these", "they", "this", "to", "us", "ve", "was", "we", "were", "what", "when",
    "which", "who", "will", "with", "would", "you", "your",
];

/// A term and where it comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Token<'a> {
    /// The term as it is indexed.
    pub term: &'a str,
    /// The original text.
    pub surface: &'a str,
    /// The number of the word in the text; all terms of one compound share it.
    pub word: usize,
    /// How many parts the word has; 1 if it is no compound.
    pub parts: usize,
    /// Whether the term is all of a compound, joined.
    pub joined: bool,
}

/// Calls `emit` with each term of a text, in order.
pub fn tokenize(text: &str, mut emit: impl FnMut(Token<'_>)) {
    let mut scratch = Scratch::default();
    let mut rest = text;
    let mut word = 0;
    while let Some((surface, behind)) = next_word(rest) {
        rest = behind;
        scratch.split(surface);
        scratch.emit(surface, word, &mut emit);
        word += 1;
    }
}

/// Returns true if two labels (of kinds or domains) are one: they differ in case, accents, spaces and signs alone.
pub fn same_label(a: &str, b: &str) -> bool {
    normalize_label(a) == normalize_label(b)
}

/// Returns a label in the form in which labels are compared: `Web-API` equals `web_api`.
pub fn normalize_label(label: &str) -> String {
    let mut normalized = String::with_capacity(label.len());
    for c in label.chars().filter(|c| c.is_alphanumeric()) {
        fold(c, &mut normalized);
    }
    // A label of symbols alone ("C++" is not one) is compared as it is.
    if normalized.is_empty() { label.trim().to_owned() } else { normalized }
}

/// Returns the same of a label that may be absent: empty for none.
pub fn label_key(label: Option<&str>) -> String {
    label.map(normalize_label).unwrap_or_default()
}

/// Finds the next word; returns it and the text after it.
fn next_word(text: &str) -> Option<(&str, &str)> {
    let start = text.find(char::is_alphanumeric)?;
    let text = &text[start..];
    let mut end = 0;
    let mut chars = text.char_indices().peekable();
    while let Some((at, c)) = chars.next() {
        let connects = matches!(c, '-' | '_') && chars.peek().is_some_and(|(_, next)| next.is_alphanumeric());
        if !(c.is_alphanumeric() || is_combining(c) || connects) {
            break;
        }
        end = at + c.len_utf8();
    }
    Some(text.split_at(end))
}

/// Reused buffers: the parts of the current word, lower case, one after the other.
#[derive(Default)]
struct Scratch<'t> {
    folded: String,
    parts: Vec<(usize, usize, &'t str)>,
}

impl<'t> Scratch<'t> {
    /// Splits a word at `-`, `_`, `camelCase` and `HTTPServer` boundaries, and around CJK runs.
    fn split(&mut self, word: &'t str) {
        self.folded.clear();
        self.parts.clear();
        let mut start = 0;
        let mut previous = '\0';
        let mut chars = word.char_indices().peekable();
        while let Some((at, c)) = chars.next() {
            let connector = matches!(c, '-' | '_');
            let next_is_lower = chars.peek().is_some_and(|(_, next)| next.is_lowercase());
            let boundary = connector
                || (c.is_uppercase()
                    && (previous.is_lowercase() || (previous.is_uppercase() && next_is_lower)))
                || (previous != '\0' && is_cjk(c) != is_cjk(previous));
            if boundary {
                self.push_part(&word[start..at]);
                start = if connector { at + c.len_utf8() } else { at };
            }
            if !is_combining(c) {
                previous = if connector { '\0' } else { c };
            }
        }
        self.push_part(&word[start..]);
    }

    fn push_part(&mut self, part: &'t str) {
        let start = self.folded.len();
        for c in part.chars() {
            fold(c, &mut self.folded);
        }
        if self.folded.len() > start {
            self.parts.push((start, self.folded.len(), part));
        }
    }

    fn emit(&self, word_text: &str, word: usize, emit: &mut impl FnMut(Token<'_>)) {
        let parts = self.parts.len();
        for &(start, end, surface) in &self.parts {
            let part = &self.folded[start..end];
            if part.chars().next().is_some_and(is_cjk) {
                emit_pairs(part, word, emit);
            } else if STOP_WORDS.binary_search(&part).is_err() {
                emit(Token { term: cut(part), surface, word, parts, joined: false });
            }
        }
        if (2..=MAX_COMPOUND_PARTS).contains(&parts) && !self.folded.chars().any(is_cjk) {
            emit(Token { term: cut(&self.folded), surface: word_text, word, parts, joined: true });
        }
    }
}

fn emit_pairs(run: &str, word: usize, emit: &mut impl FnMut(Token<'_>)) {
    let starts: Vec<usize> = run.char_indices().map(|(at, _)| at).chain([run.len()]).collect();
    let mut emit = |pair: &str| emit(Token { term: pair, surface: pair, word, parts: 1, joined: false });
    if starts.len() == 2 {
        return emit(run);
    }
    for bounds in starts.windows(3) {
        emit(&run[bounds[0]..bounds[2]]);
    }
}

/// Returns the English stem that forms of a word share (`booking`, `booked`: `book`); `None` for anything but a
/// plain ASCII word: identifiers, numbers and other scripts have no forms.
pub fn stem(term: &str) -> Option<Cow<'_, str>> {
    let word = term.len() >= 3 && term.bytes().all(|byte| byte.is_ascii_lowercase());
    word.then(|| Stemmer::new(Algorithm::English).stem(term))
}

fn cut(term: &str) -> &str {
    let mut end = term.len().min(MAX_TERM_BYTES);
    while !term.is_char_boundary(end) {
        end -= 1;
    }
    &term[..end]
}

fn is_combining(c: char) -> bool {
    matches!(c, '\u{300}'..='\u{36f}')
}

fn is_cjk(c: char) -> bool {
    matches!(c, '\u{3041}'..='\u{30ff}' | '\u{3400}'..='\u{4dbf}' | '\u{4e00}'..='\u{9fff}' | '\u{f900}'..='\u{faff}'
        | '\u{20000}'..='\u{3ffff}')
}

/// Appends the lower-case form of a character, without the accents of Latin-1 letters.
fn fold(c: char, into: &mut String) {
    if c.is_ascii() {
        into.push(c.to_ascii_lowercase());
        return;
    }
    for c in c.to_lowercase().filter(|c| !is_combining(*c)) {
        match c {
            'à'..='å' => into.push('a'),
            'æ' => into.push_str("ae"),
            'ç' => into.push('c'),
            'è'..='ë' => into.push('e'),
            'ì'..='ï' => into.push('i'),
            'ñ' => into.push('n'),
            'ò'..='ö' | 'ø' => into.push('o'),
            'ß' => into.push_str("ss"),
            'ù'..='ü' => into.push('u'),
            'ý' | 'ÿ' => into.push('y'),
            c => into.push(c),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn terms(text: &str) -> Vec<String> {
        let mut terms = Vec::new();
        tokenize(text, |token| terms.push(token.term.to_owned()));
        terms
    }

    #[test]
    fn splits_and_folds() {
        let check = |text: &str, expected: &str| assert_eq!(terms(text).join(" "), expected, "{text:?}");
        check("", "");
        check("--__ ''", "");
        check("The cancelled bookings", "cancelled bookings");
        check("I don't", "don");
        check("web-api", "web api webapi");
        check("web_apis", "web apis webapis");
        check("WebApi", "web api webapi");
        check("webapis", "webapis");
        check("webapi", "webapi");
        check("HTTPServer", "http server httpserver");
        check("log_in", "log login");
        check(
            "Return #W6067464 via credit_card_4190576",
            "return w6067464 via credit card 4190576 creditcard4190576",
        );
        check("HAT136, 2024-05-20", "hat136 2024 05 20 20240520");
        check("src/main.rs:17", "src main rs 17");
        check("Café cafe\u{301} CAFÉ", "cafe cafe cafe");
        check("Straße Ångström", "strasse angstrom");
        check("Привет МИР", "привет мир");
        check("東京都 へ", "東京 京都 へ");
        check("GPT-4o", "gpt 4o gpt4o");
        check("a-b-c-d-e-f-g-h-j", "b c e f g h j");
    }

    #[test]
    fn terms_are_cut_at_a_character() {
        assert_eq!(terms(&"x1".repeat(100)), ["x1".repeat(32)]);
        assert_eq!(terms(&"я".repeat(100)), ["я".repeat(32)]);
        assert_eq!(terms(&format!("x{}", "я".repeat(100))), [format!("x{}", "я".repeat(31))]);
    }

    #[test]
    fn forms_of_a_word_share_a_stem() {
        let check = |a: &str, b: &str| assert_eq!(stem(a), stem(b), "{a} {b}");
        check("booking", "bookings");
        check("cancelled", "cancel");
        check("webapis", "webapi");
        for term in ["w6067464", "it", "straße", "мир"] {
            assert_eq!(stem(term), None, "{term}");
        }
    }

    #[test]
    fn stop_words_are_sorted() {
        assert!(STOP_WORDS.is_sorted());
    }

    #[test]
    fn labels_compare_without_case_and_punctuation() {
        assert_eq!(normalize_label("Web-API"), normalize_label("web_api"));
        assert_ne!(normalize_label("retail"), normalize_label("airline"));
        assert_ne!(normalize_label("++"), normalize_label("--"));
    }

    proptest! {
        #[test]
        fn terms_of_any_text_are_bounded_and_do_not_depend_on_its_surroundings(text in "\\PC{0,200}") {
            let alone = terms(&text);
            prop_assert!(alone.iter().all(|term| !term.is_empty() && term.len() <= MAX_TERM_BYTES));
            let surrounded = terms(&format!("start\n{text}\nend"));
            prop_assert!(alone.iter().all(|term| surrounded.contains(term)), "{:?} {:?}", alone, surrounded);
        }

        #[test]
        fn stemming_takes_any_ascii_word(word in "[a-z]{3,64}") {
            prop_assert!(!stem(&word).unwrap().is_empty());
        }
    }
}
