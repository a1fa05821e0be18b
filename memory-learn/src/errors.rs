//! Error texts: their normal form, their class, and their similarity.

mod names;
mod words;

use std::borrow::Cow;
use std::collections::BTreeSet;

use serde_json::Value;

pub(crate) use crate::errors::names::NAME;
use memory_core::ErrorCategory;

use crate::errors::names::without_names;
use crate::errors::words::{ANNOUNCING, CATEGORIES, LABELS, SIGNS};
use crate::fingerprint::add_words;
use crate::shape::pieces;

/// The longest normalised text, in bytes.
const MAX_BYTES: usize = 200;
/// A long text is read up to this many bytes at the start…
const HEAD_BYTES: usize = 4_000;
/// … and this many at the end, where tracebacks have their message.
const TAIL_BYTES: usize = 1_000;
/// The weight of a shared placeholder in [`similarity`]; a shared word has 1.
const PLACEHOLDER_WEIGHT: f64 = 0.25;
/// The factor on the similarity of errors of different classes: `connection refused` is not
/// `permission denied`, however similar the surrounding words.
const OTHER_CLASS: f64 = 0.5;
/// The factor on the similarity of lines that only announce a failure.
const ANNOUNCED: f64 = 0.6;
/// Lines of one error that are compared.
const MAX_TELLING: usize = 6;
/// Lines of an error that are looked at.
const MAX_LINES: usize = 50;

/// Returns the normal form of an error text: its first informative line in lower case, with figures, ids,
/// paths, quoted values and names replaced by `<n>`, `<id>`, `<path>`, `<text>` and `<name>`; at most 200
/// bytes.
pub(crate) fn normalise(error: &str) -> String {
    normal_line(telling_lines(error, true).first().map_or("", |line| line.as_str()))
}

/// Returns the normalised lines by which an error is searched, the most informative first.
pub fn normal_lines(error: &str) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for line in telling_lines(error, false) {
        let line = normal_line(&line);
        if !lines.contains(&line) {
            lines.push(line);
        }
    }
    lines
}

/// Returns a line in lower case, with figures, ids, paths and quoted values
/// replaced by placeholders; at most 200 bytes.
fn without_values(line: &str) -> String {
    let masked = mask(line, true);
    cut(strip_labels(masked.trim()), MAX_BYTES).trim_end().to_owned()
}

/// Returns a description with placeholders for varying parts, in its original case.
pub(crate) fn generalised(text: &str) -> String {
    mask(&without_names(text), false).trim().to_owned()
}

fn normal_line(line: &str) -> String {
    without_values(&without_names(line))
}

/// Replaces values by placeholders; a text in lower case is cut somewhat beyond [`MAX_BYTES`].
fn mask(line: &str, lowercase: bool) -> String {
    let mut out = String::with_capacity(line.len().min(MAX_BYTES));
    let mut at = 0;
    let mut last_placeholder = "";
    pieces(line, |piece| {
        if lowercase && out.len() > MAX_BYTES {
            return;
        }
        let gap = &line[at..piece.start];
        at = piece.end;
        match piece.shape.placeholder() {
            // "3, 4 and 5": one figure or several are equivalent.
            Some(placeholder) if placeholder == last_placeholder && is_list_gap(gap) => {}
            Some(placeholder) => {
                push_gap(&mut out, gap);
                out.push_str(placeholder);
                last_placeholder = placeholder;
            }
            None => {
                push_gap(&mut out, gap);
                if lowercase {
                    let (word, numbered) = without_number(piece.text);
                    out.extend(word.chars().flat_map(char::to_lowercase));
                    out.push_str(if numbered { " <n>" } else { "" });
                } else {
                    out.push_str(piece.text);
                }
                last_placeholder = "";
            }
        }
    });
    if line[at..].starts_with(['>', ']', ')', '}']) && out.len() < MAX_BYTES {
        out.push_str(&line[at..=at]);
    }
    out
}

/// Returns a word without its final figure, and whether it has one: `node40` is one of many nodes.
fn without_number(word: &str) -> (&str, bool) {
    let name = word.trim_end_matches(|c: char| c.is_ascii_digit());
    let is_name = name.len() > 1 && name.chars().all(char::is_alphabetic);
    if is_name && name.len() < word.len() { (name, true) } else { (word, false) }
}

/// Returns the class of an error text.
pub(crate) fn category(error: &str) -> ErrorCategory {
    let lines = telling_lines(error, true);
    class_of(&lines.first().map_or("", |line| line.as_str()).to_lowercase())
}

/// Returns the class of a line in lower case.
fn class_of(line: &str) -> ErrorCategory {
    CATEGORIES
        .iter()
        .find(|(_, phrases)| phrases.iter().any(|phrase| says(line, phrase)))
        .map_or(ErrorCategory::Other, |(category, _)| *category)
}

/// Returns true if the words of an identifier name a kind of error (`NotFound`, `rate_limit_exceeded`).
fn classifies(identifier: &str) -> bool {
    let mut words = String::with_capacity(identifier.len() + 4);
    let mut lowercase = false;
    for c in identifier.chars() {
        if c.is_uppercase() && lowercase || !c.is_alphanumeric() {
            words.push(' ');
        }
        lowercase = c.is_lowercase();
        if c.is_alphanumeric() {
            words.extend(c.to_lowercase());
        }
    }
    SIGNS.iter().any(|sign| words.contains(sign)) || class_of(&words) != ErrorCategory::Other
}

/// Returns the similarity of an error to a known one, in `0.0..=1.0`: the highest similarity of one of its
/// informative lines to one of the known error's. If all lines of the query only announce a failure, the same
/// announcement of the same subject counts fully.
pub fn likeness(asked: &str, known: &str, example: &str) -> f64 {
    let mut asked: Vec<(String, String)> =
        telling_lines(asked, false).into_iter().map(|line| (normal_line(&line), line)).collect();
    let announced = asked.iter().all(|(normal, _)| announces(normal));
    if !announced {
        asked.retain(|(normal, _)| !announces(normal));
    }
    let examples = telling_lines(example, false);
    let mut best: f64 = 0.0;
    for (normal, line) in &asked {
        let named = !announced || [NAME, "<text>", "<path>"].iter().any(|what| normal.contains(what));
        if named && examples.iter().any(|example| example.eq_ignore_ascii_case(line)) {
            return 1.0;
        }
        let weight = if announced { ANNOUNCED } else { 1.0 };
        let lines = examples.iter().map(|line| Cow::Owned(normal_line(line)));
        for known in lines.chain([Cow::Borrowed(known)]) {
            best = best.max(weight * similarity(normal, &known));
        }
    }
    best
}

/// Returns true if an error contains more than an announcement of a failure.
pub(crate) fn says_something(error: &str) -> bool {
    tokens(&normalise(error)).iter().any(|token| !token.starts_with('<') && !is_announcing(token))
}

/// Returns true if a normalised error adds nothing to another one but words that announce it, and names.
pub(crate) fn repeats(error: &str, other: &str, names: &str) -> bool {
    let mut known = tokens(other);
    known.extend(tokens(names));
    let known_line = cut(other, MAX_BYTES / 2);
    let cut_short = error.len() + 8 >= MAX_BYTES && !known_line.is_empty() && error.contains(known_line);
    let own: BTreeSet<String> = tokens(error).into_iter().filter(|token| !token.starts_with('<')).collect();
    let shares = own.iter().any(|token| known.contains(token));
    cut_short || shares && own.iter().all(|token| known.contains(token) || is_announcing(token))
}

/// Returns the similarity of two normalised error texts, in `0.0..=1.0`: the Dice coefficient of their stemmed
/// words, with placeholders weighing less; half of it if they are of different classes.
pub(crate) fn similarity(a: &str, b: &str) -> f64 {
    let classes = [a, b].map(class_of);
    let differ = classes[0] != classes[1] && !classes.contains(&ErrorCategory::Other);
    let class = if differ { OTHER_CLASS } else { 1.0 };
    let [a, b] = [a, b].map(tokens);
    let weight = |token: &String| if token.starts_with('<') { PLACEHOLDER_WEIGHT } else { 1.0 };
    let sum = |tokens: &BTreeSet<String>| tokens.iter().map(weight).sum::<f64>();
    let total = sum(&a) + sum(&b);
    if total == 0.0 {
        return 0.0;
    }
    class * 2.0 * a.intersection(&b).map(weight).sum::<f64>() / total
}

/// Returns the stemmed words and the placeholders of a normalised error.
fn tokens(error: &str) -> BTreeSet<String> {
    let mut tokens = BTreeSet::new();
    for word in error.split_whitespace() {
        let bare = word.trim_matches(|c: char| !matches!(c, '<' | '>') && !c.is_alphanumeric());
        if matches!(bare, "<n>" | "<id>" | "<path>" | "<text>" | NAME) {
            tokens.insert(bare.to_owned());
        } else {
            add_words(word, &mut tokens);
        }
    }
    tokens
}

/// Returns the informative lines, those first that do more than announce a failure; only the first if `first`.
fn telling_lines(error: &str, first: bool) -> Vec<String> {
    let error = error.trim();
    if error.starts_with('{')
        && let Some(message) = serde_json::from_str(error).ok().and_then(|value| json_message(&value))
    {
        return telling_lines(&message, first);
    }
    let head = cut(error, HEAD_BYTES);
    let tail = if error.len() > HEAD_BYTES { cut_front(error, TAIL_BYTES) } else { "" };
    let mut telling: Vec<String> = Vec::new();
    if head.contains("Traceback (most recent call last)") {
        let end = if tail.is_empty() { head } else { tail };
        let last = end.lines().rev().find(|line| !line.trim().is_empty() && !line.starts_with([' ', '\t']));
        telling.extend(last.map(|last| last.trim().to_owned()));
    }
    let lines = || head.lines().map(str::trim).filter(|line| line.contains(char::is_alphanumeric));
    let mut announcing: Vec<String> = Vec::new();
    let mut after_panic = false;
    for line in lines().take(MAX_LINES).chain(tail.lines().map(str::trim)) {
        if telling.len() >= MAX_TELLING || first && !telling.is_empty() {
            break;
        }
        let lower = line.to_lowercase();
        let sign = SIGNS.iter().any(|sign| lower.contains(sign));
        // A bare "Error:" announces the message.
        if (sign || after_panic) && strip_labels(&lower).contains(char::is_alphabetic) {
            let weak = announces(&normal_line(line));
            if weak { &mut announcing } else { &mut telling }.push(line.to_owned());
        }
        // The message of a panic stands in the line after its place.
        after_panic = line.ends_with(':') && lower.contains("panicked at ");
    }
    announcing.truncate(MAX_TELLING - telling.len().min(MAX_TELLING));
    telling.append(&mut announcing);
    if telling.is_empty() {
        telling.push(lines().next().unwrap_or(error.lines().next().unwrap_or("")).to_owned());
    }
    telling
}

/// Returns true if a normalised line only announces a failure.
fn announces(normal: &str) -> bool {
    let mut words = normal.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty());
    words.all(|word| is_announcing(word) || matches!(word, "n" | "id" | "path") || shaped(word))
}

/// Returns true for a figure or a word of at most one letter.
fn shaped(word: &str) -> bool {
    word.chars().count() == 1 || word.bytes().all(|byte| byte.is_ascii_digit())
}

fn is_announcing(word: &str) -> bool {
    ANNOUNCING.binary_search(&word).is_ok()
}

/// Returns the message of an error given as JSON.
fn json_message(value: &Value) -> Option<String> {
    ["error", "message", "detail", "reason"].iter().find_map(|name| match value.get(name)? {
        Value::String(text) if !text.trim().is_empty() => Some(text.clone()),
        nested @ Value::Object(_) => json_message(nested),
        _ => None,
    })
}

/// Removes labels that only announce an error, unless nothing is left.
fn strip_labels(text: &str) -> &str {
    let mut text = text;
    while let Some(rest) = LABELS.iter().find_map(|label| text.strip_prefix(label)) {
        let rest = rest.trim_start();
        if !rest.contains(char::is_alphanumeric) {
            break;
        }
        text = rest;
    }
    text
}

fn is_list_gap(gap: &str) -> bool {
    let gap = gap.trim();
    gap.is_empty() || gap.chars().all(|c| matches!(c, ',' | ';' | '/' | '-' | ':' | '|'))
}

/// Appends the text between two pieces, with runs of spaces as one.
fn push_gap(out: &mut String, gap: &str) {
    for c in gap.chars() {
        let c = if c.is_whitespace() { ' ' } else { c };
        if c != ' ' || !(out.is_empty() || out.ends_with(' ')) {
            out.push(c);
        }
    }
}

/// Returns true if a text has a phrase that starts at the start of a word; figures must be whole.
fn says(text: &str, phrase: &str) -> bool {
    let figures = phrase.bytes().all(|byte| byte.is_ascii_digit());
    text.match_indices(phrase).any(|(at, _)| {
        let before = text[..at].chars().next_back();
        let after = text[at + phrase.len()..].chars().next();
        !(before.is_some_and(char::is_alphanumeric) || figures && after.is_some_and(char::is_alphanumeric))
    })
}

/// Returns the start of a text, at most this many bytes.
pub(crate) fn cut(text: &str, bytes: usize) -> &str {
    let mut end = text.len().min(bytes);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

/// Returns the end of a text, at most this many bytes.
fn cut_front(text: &str, bytes: usize) -> &str {
    let mut start = text.len().saturating_sub(bytes);
    while !text.is_char_boundary(start) {
        start += 1;
    }
    &text[start..]
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn keeps_what_errors_of_a_kind_share() {
        let check = |text: &str, expected: &str| {
            assert_eq!(normalise(text), expected, "{text:?}");
            assert_eq!(normalise(expected), expected, "again");
        };
        check("", "");
        check("Error: payment method certificate_7504069 not found", "payment method <id> not found");
        check(
            "Error: payment amount does not add up, total price is 305, but paid 255",
            "payment amount does not add up, total price is <n>, but paid <n>",
        );
        check(
            "ENOENT: no such file or directory, open '/tmp/x'",
            "enoent: no such file or directory, open <text>",
        );
        check("cat: /etc/x.conf: Permission denied", "cat: <path>: permission denied");
        check(
            "Running 3 tests\nok\nerror: test failed, to rerun pass `--lib`",
            "test failed, to rerun pass <text>",
        );
        check(
            "Traceback (most recent call last):\n  File \"a.py\", line 3\nValueError: bad 7\n",
            "valueerror: bad <n>",
        );
        check("{\"error\": {\"message\": \"No seat on HAT139\"}}", "no seat on <id>");
        check("ids 12, 14, 15 are gone", "ids <n> are gone");
        check("error:", "error");
        check("missing field <n>", "missing field <n>");
        check("lost node40 of pod-a8f3c", "lost node <n> of <id>");
    }

    #[test]
    fn has_a_class() {
        let check = |text: &str, expected: &str| assert_eq!(category(text).as_str(), expected, "{text:?}");
        check("request timed out after 30 s", "timeout");
        check("HTTP 403", "permission");
        check("not enough seats on flight HAT139", "limit");
        check("branch already exists", "conflict");
        check("Connection refused (os error 111)", "unavailable");
        check("assertion `left == right` failed", "test");
        check("SyntaxError: invalid syntax", "syntax");
        check("payment method not found", "not_found");
        check("payment amount does not add up", "invalid_input");
        check("the cat sat", "other");
        check("paid 4030", "other");
    }

    #[test]
    fn alike_by_shared_words() {
        let s = |a: &str, b: &str| similarity(&normalise(a), &normalise(b));
        assert!((s("user 12 not found", "user 99 not found") - 1.0).abs() < 1e-12);
        let other_wording = s("payment method gift_card_1234567 was not found", "payment method not found");
        assert!(other_wording > 0.8, "{other_wording}");
        assert!(s("payment method not found", "seat taken on flight") < 0.1);
        assert_eq!(similarity("", ""), 0.0);
    }

    #[test]
    fn what_is_called_so_does_not_count() {
        let same = |a: &str, b: &str| assert_eq!(normalise(a), normalise(b), "{a:?} {b:?}");
        same("test auth::tests::roundtrip ... FAILED", "test cli::help ... FAILED");
        same("error: crate `metrics@0.8.1` already exists", "error: crate `tokens@1.0.0` already exists");
        same("crate metrics already uploaded", "crate tokens already uploaded");
        same("db.internal:5432: connection refused", "localhost:80: connection refused");
        let differ = |a: &str, b: &str| {
            assert_ne!(normalise(a), normalise(b));
            assert!(similarity(&normalise(a), &normalise(b)) < 0.5, "{a:?} {b:?}");
        };
        differ(
            "failed to connect to db.internal: connection refused",
            "failed to connect to db.internal: permission denied",
        );
        differ("std::io::PermissionDenied", "std::io::NotFound");
    }

    #[test]
    fn what_says_more_is_told_before_what_announces() {
        let text = "test cli::help ... FAILED\nthread 'cli::help' panicked at src/cli.rs:7:5:\ntoken differs\n\
                    error: test failed, to rerun pass `--lib`";
        assert_eq!(normalise(text), "token differs");
        assert_eq!(
            normal_lines(text),
            [
                "token differs",
                "test <name> ... failed",
                "thread <text> panicked at <path>",
                "test failed, to rerun pass <text>"
            ]
        );
    }

    #[test]
    fn any_telling_line_finds_an_error() {
        let example = "error: failed to download index for `ssl`\n  Could not find directory of the installation\n\
                       test a::b ... FAILED";
        let known = normalise(example);
        let like = |asked: &str| likeness(asked, &known, example);
        assert_eq!(like("could not find directory of the installation"), 1.0);
        assert_eq!(like("error: failed to download index for `zlib`"), 1.0);
        assert_eq!(like("test a::b ... FAILED"), 1.0, "the same test");
        let other_test = like("test c::d ... FAILED");
        assert!((0.5..0.7).contains(&other_test), "{other_test}");
        assert!(like("test a::b ... FAILED\nassertion failed: the seat is free") < 0.5, "it says what it is");
        assert!(like("permission denied") < 0.5);
    }

    #[test]
    fn announcing_words_are_sorted() {
        assert!(ANNOUNCING.is_sorted());
    }

    proptest! {
        #[test]
        fn bounded(text in "\\PC{0,400}") {
            prop_assert!(normalise(&text).len() <= MAX_BYTES);
            let alike = similarity(&normalise(&text), &normalise(&text));
            prop_assert!(alike == 0.0 || (alike - 1.0).abs() < 1e-9);
        }

        #[test]
        fn figures_do_not_count(a in 0_u32..100_000, b in 0_u32..100_000) {
            let text = |n: u32| format!("index {n} is out of range for length {}", n / 2);
            prop_assert_eq!(normalise(&text(a)), normalise(&text(b)));
        }
    }
}
