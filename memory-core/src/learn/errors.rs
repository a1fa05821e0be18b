//! Error texts: what they have in common, their class, how alike two are.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::learn::fingerprint::add_words;
use crate::learn::shape::pieces;

/// The longest normalised text, in bytes.
const MAX_BYTES: usize = 200;
/// Of a long text only this many bytes at the start are read…
const HEAD_BYTES: usize = 4_000;
/// … and this many at the end, where tracebacks have their message.
const TAIL_BYTES: usize = 1_000;
/// What a shared placeholder counts in [`similarity`], beside 1 for a shared word.
const PLACEHOLDER_WEIGHT: f64 = 0.25;

/// Prefixes that say no more than that it is an error.
const LABELS: &[&str] =
    &["error:", "err:", "fatal:", "exception:", "failed:", "failure:", "error -", "error "];

/// Words that tell the line with the message from lines around it.
const SIGNS: &[&str] = &[
    "error",
    "fail",
    "exception",
    "panic",
    "cannot",
    "can't",
    "could not",
    "denied",
    "not found",
    "invalid",
    "refused",
    "timed out",
    "timeout",
    "no such",
    "unable",
    "missing",
    "unexpected",
    "abort",
];

/// The classes and what their messages say, the most specific class first.
const CATEGORIES: &[(&str, &[&str])] = &[
    ("timeout", &["timed out", "timeout", "time out", "deadline", "no answer", "took too long"]),
    (
        "permission",
        &[
            "permission",
            "access denied",
            "denied",
            "unauthorized",
            "unauthorised",
            "forbidden",
            "not allowed",
            "not permitted",
            "401",
            "403",
            "credential",
            "eacces",
            "not authorized",
        ],
    ),
    (
        "limit",
        &[
            "rate limit",
            "too many",
            "too large",
            "too long",
            "quota",
            "limit exceeded",
            "limit reached",
            "exceed",
            "not enough",
            "insufficient",
            "out of memory",
            "no space",
            "429",
            "413",
        ],
    ),
    (
        "conflict",
        &[
            "conflict",
            "already exist",
            "already",
            "duplicate",
            "locked",
            "deadlock",
            "409",
            "eexist",
            "stale",
            "in use",
        ],
    ),
    (
        "unavailable",
        &[
            "unavailable",
            "connection",
            "unreachable",
            "network",
            "dns",
            "502",
            "503",
            "504",
            "econnrefused",
            "offline",
            "broken pipe",
            "service is down",
            "could not connect",
        ],
    ),
    (
        "test",
        &[
            "assertion",
            "assert",
            "assertionerror",
            "test failed",
            "tests failed",
            "failing test",
            "failed test",
            "test result: failed",
            "test failure",
        ],
    ),
    (
        "syntax",
        &[
            "syntax",
            "parse error",
            "cannot parse",
            "could not parse",
            "unexpected token",
            "unexpected end",
            "mismatched types",
            "could not compile",
            "compile error",
            "compilation",
            "indentationerror",
            "unterminated",
            "unclosed",
            "error[e0",
        ],
    ),
    (
        "not_found",
        &[
            "not found",
            "no such",
            "does not exist",
            "doesn't exist",
            "unknown",
            "cannot find",
            "could not find",
            "not exist",
            "404",
            "enoent",
            "unresolved",
            "undefined",
            "no module named",
            "keyerror",
            "no results",
        ],
    ),
    (
        "invalid_input",
        &[
            "invalid",
            "must",
            "required",
            "requires",
            "missing",
            "bad request",
            "does not add up",
            "not valid",
            "cannot be",
            "mismatch",
            "does not match",
            "do not match",
            "400",
            "422",
            "typeerror",
            "valueerror",
            "wrong",
            "expected",
            "out of range",
            "malformed",
            "unsupported",
        ],
    ),
];

/// Returns what an error text has in common with others of its kind: its first telling line in lower case, with
/// figures, ids, paths and quoted values replaced by `<n>`, `<id>`, `<path>` and `<text>`; at most 200 bytes.
pub(crate) fn normalise(error: &str) -> String {
    let line = telling_line(error);
    let mut out = String::with_capacity(line.len().min(MAX_BYTES));
    let mut at = 0;
    let mut last_placeholder = "";
    pieces(&line, |piece| {
        if out.len() > MAX_BYTES {
            return;
        }
        let gap = &line[at..piece.start];
        at = piece.end;
        match piece.shape.placeholder() {
            // "3, 4 and 5": one figure or several say the same.
            Some(placeholder) if placeholder == last_placeholder && is_list_gap(gap) => {}
            Some(placeholder) => {
                push_gap(&mut out, gap);
                out.push_str(placeholder);
                last_placeholder = placeholder;
            }
            None => {
                push_gap(&mut out, gap);
                out.extend(piece.text.chars().flat_map(char::to_lowercase));
                last_placeholder = "";
            }
        }
    });
    if line[at..].starts_with(['>', ']', ')', '}']) && out.len() < MAX_BYTES {
        out.push_str(&line[at..=at]);
    }
    let text = strip_labels(out.trim());
    cut(text, MAX_BYTES).trim_end().to_owned()
}

/// Returns the class of an error text, as [`crate::Failure::category`] lists them.
pub(crate) fn category(error: &str) -> &'static str {
    let line = telling_line(error).to_lowercase();
    CATEGORIES
        .iter()
        .find(|(_, phrases)| phrases.iter().any(|phrase| says(&line, phrase)))
        .map_or("other", |(category, _)| category)
}

/// Returns how alike two normalised error texts are, in `0.0..=1.0`: the Dice coefficient of their stemmed words, with
/// placeholders counting less.
pub(crate) fn similarity(a: &str, b: &str) -> f64 {
    let [a, b] = [a, b].map(tokens);
    let weight = |token: &String| if token.starts_with('<') { PLACEHOLDER_WEIGHT } else { 1.0 };
    let sum = |tokens: &BTreeSet<String>| tokens.iter().map(weight).sum::<f64>();
    let total = sum(&a) + sum(&b);
    if total == 0.0 {
        return 0.0;
    }
    2.0 * a.intersection(&b).map(weight).sum::<f64>() / total
}

/// Returns the stemmed words and the placeholders of a normalised error.
fn tokens(error: &str) -> BTreeSet<String> {
    let mut tokens = BTreeSet::new();
    for word in error.split_whitespace() {
        let bare = word.trim_matches(|c: char| !matches!(c, '<' | '>') && !c.is_alphanumeric());
        if matches!(bare, "<n>" | "<id>" | "<path>" | "<text>") {
            tokens.insert(bare.to_owned());
        } else {
            add_words(word, &mut tokens);
        }
    }
    tokens
}

/// Returns the line that says what went wrong.
fn telling_line(error: &str) -> String {
    let error = error.trim();
    if error.starts_with('{')
        && let Some(message) = serde_json::from_str(error).ok().and_then(|value| json_message(&value))
    {
        return telling_line(&message);
    }
    let head = cut(error, HEAD_BYTES);
    let tail = if error.len() > HEAD_BYTES { cut_front(error, TAIL_BYTES) } else { error };
    if head.contains("Traceback (most recent call last)") {
        let last = tail.lines().rev().find(|line| !line.trim().is_empty() && !line.starts_with([' ', '\t']));
        if let Some(last) = last {
            return last.trim().to_owned();
        }
    }
    let telling = |line: &&str| {
        let lower = line.to_lowercase();
        // A bare "Error:" announces the message.
        strip_labels(&lower).contains(char::is_alphabetic) && SIGNS.iter().any(|sign| lower.contains(sign))
    };
    let lines = || head.lines().map(str::trim).filter(|line| line.contains(char::is_alphanumeric));
    let chosen = lines().take(50).find(telling).or_else(|| tail.lines().map(str::trim).find(telling));
    chosen.or_else(|| lines().next()).unwrap_or(error.lines().next().unwrap_or("")).to_owned()
}

/// Returns the message of an error given as JSON.
fn json_message(value: &Value) -> Option<String> {
    ["error", "message", "detail", "reason"].iter().find_map(|name| match value.get(name)? {
        Value::String(text) if !text.trim().is_empty() => Some(text.clone()),
        nested @ Value::Object(_) => json_message(nested),
        _ => None,
    })
}

/// Removes labels that say no more than that it is an error, unless nothing is left.
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

/// Appends what is between two pieces, with runs of spaces as one.
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

/// Returns the start of a text, at most so many bytes.
pub(crate) fn cut(text: &str, bytes: usize) -> &str {
    let mut end = text.len().min(bytes);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

/// Returns the end of a text, at most so many bytes.
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
    }

    #[test]
    fn has_a_class() {
        let check = |text: &str, expected: &str| assert_eq!(category(text), expected, "{text:?}");
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
