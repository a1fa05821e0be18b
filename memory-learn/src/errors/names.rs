//! Names in error texts: they vary between errors of one kind.

use std::borrow::Cow;

use crate::errors::classifies;
use crate::shape::{Shape, separates, shape_of};

/// The placeholder of a name.
pub(crate) const NAME: &str = "<name>";

/// Words before a name; sorted.
const NOUNS: &[&str] = &[
    "branch",
    "column",
    "container",
    "crate",
    "host",
    "image",
    "job",
    "module",
    "package",
    "pod",
    "table",
    "tag",
    "test",
];

/// Words after a name; sorted.
const VERBS: &[&str] = &[
    "...", "already", "cannot", "could", "did", "does", "exists", "failed", "fails", "has", "is", "not",
    "was",
];

/// Replaces identifiers with `::` or dots, hosts, snake-case words and words in the place of a name
/// (`crate x is …`) by `<name>`, versions by `<n>`. Names of types that name a kind of error stay.
pub(super) fn without_names(line: &str) -> Cow<'_, str> {
    let named = line.contains(['.', '_', '@']) || line.contains("::") || line.contains("localhost");
    if !named && !NOUNS.iter().any(|noun| line.to_ascii_lowercase().contains(noun)) {
        return Cow::Borrowed(line);
    }
    let mut out = String::with_capacity(line.len());
    let mut rest = line;
    let mut after_noun = false;
    while !rest.is_empty() {
        let gap = rest.find(|c: char| !ends_name(c)).unwrap_or(rest.len());
        out.push_str(&rest[..gap]);
        after_noun &= rest[..gap].chars().all(char::is_whitespace);
        rest = &rest[gap..];
        let run = &rest[..rest.find(ends_name).unwrap_or(rest.len())];
        rest = &rest[run.len()..];
        let core = match run.trim_end_matches(['.', ':', '!', '?', '\'', '*']) {
            "" => run,
            core => core,
        };
        let next = rest.split_whitespace().next().unwrap_or("").to_lowercase();
        match substitute(core) {
            Some(substitute) => out.push_str(&substitute),
            None if after_noun && core == run && !is_one_of(VERBS, core) && is_one_of(VERBS, &next) => {
                out.push_str(NAME);
            }
            None => out.push_str(core),
        }
        out.push_str(&run[core.len()..]);
        after_noun = core == run && is_one_of(NOUNS, core);
    }
    Cow::Owned(out)
}

fn is_one_of(words: &[&str], word: &str) -> bool {
    words.binary_search(&word.to_lowercase().as_str()).is_ok()
}

/// Names are quoted with apostrophes, too.
fn ends_name(c: char) -> bool {
    separates(c) || c == '\''
}

/// Returns the placeholder for a run without spaces, if it is a name or a version.
fn substitute(run: &str) -> Option<String> {
    if !run.contains(char::is_alphanumeric) {
        return None;
    }
    if run.contains("::") {
        let last = run.rsplit("::").next().unwrap_or(run);
        let is_type = last.starts_with(char::is_uppercase) && classifies(last);
        return Some(if is_type { last.to_owned() } else { NAME.to_owned() });
    }
    if let Some((name, version)) = run.split_once('@')
        && is_label(name)
        && is_version(version)
    {
        return Some(NAME.to_owned());
    }
    if run.starts_with(['v', 'V']) && is_version(&run[1..]) || is_version(run) && shape_of(run) == Shape::Id {
        return Some("<n>".to_owned());
    }
    let host = match run.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => host,
        _ => run,
    };
    if host == "localhost" || is_ip(host) {
        return Some(NAME.to_owned());
    }
    if let Some((_, last)) = host.rsplit_once('.') {
        let labels = host.split('.').all(|label| is_label(label) && label.starts_with(char::is_alphabetic));
        let one_letter = host.split('.').all(|label| label.len() == 1);
        if !labels || one_letter || host.len() == run.len() && is_file(last) {
            return None;
        }
        let is_type = last.starts_with(char::is_uppercase) && classifies(last);
        return match is_type {
            true => Some(last.to_owned()),
            false => (!classifies(host)).then(|| NAME.to_owned()),
        };
    }
    let snake = run.trim_matches('_').contains('_') && run.contains(char::is_lowercase);
    let of_words = snake && is_label(run) && shape_of(run) == Shape::Word;
    (of_words && (run.starts_with("test_") || !classifies(run))).then(|| NAME.to_owned())
}

/// Returns true if text with a dot that ends so is the name of a file.
fn is_file(ending: &str) -> bool {
    let mut file = false;
    crate::shape::pieces(&format!("x.{ending}"), |piece| file |= piece.shape == Shape::Path);
    file
}

fn is_label(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|c| c.is_alphanumeric() || matches!(c, '_' | '-'))
}

/// Returns true for figures with dots between, with or without a suffix (`0.8.1`, `2.0.0-rc.1`).
fn is_version(text: &str) -> bool {
    let figures = text.split(['-', '+']).next().unwrap_or(text);
    let parts = figures.split('.').count();
    (2..=4).contains(&parts)
        && figures.split('.').all(|part| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit()))
        && text.chars().all(|c| c.is_alphanumeric() || matches!(c, '.' | '-' | '+'))
}

fn is_ip(text: &str) -> bool {
    let parts = text.split('.').count();
    parts == 4
        && text
            .split('.')
            .all(|part| (1..=3).contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_digit()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_give_way_and_kinds_of_error_stay() {
        let check = |line: &str, expected: &str| {
            assert_eq!(without_names(line), expected, "{line:?}");
            assert_eq!(without_names(expected), expected, "again");
        };
        check("test auth::tests::roundtrip ... FAILED", "test <name> ... FAILED");
        check("test roundtrip ... FAILED", "test <name> ... FAILED");
        check("FAILED tests/test_a.py::test_x - bad", "FAILED <name> - bad");
        check("std::num::ParseIntError: bad", "ParseIntError: bad");
        check("io::ErrorKind::PermissionDenied", "PermissionDenied");
        check("java.lang.NullPointerException: x", "NullPointerException: x");
        check("crate metrics already uploaded", "crate <name> already uploaded");
        check("crate metrics@0.8.1 already exists", "crate <name> already exists");
        check("metrics v0.8.1 is there", "metrics <n> is there");
        check("connect to db.internal:5432: refused", "connect to <name>: refused");
        check("localhost:80, 127.0.0.1:81", "<name>, <name>");
        check("cli_help_output differs, rate_limit_exceeded", "<name> differs, rate_limit_exceeded");
        check("test_login_fails broke", "<name> broke");
        check("open main.rs, e.g. with certificate_7504069", "open main.rs, e.g. with certificate_7504069");
        check("test failed", "test failed");
        check("module not found", "module not found");
        check("version 1.5 of 3", "version 1.5 of 3");
        check("the end. No more", "the end. No more");
    }

    #[test]
    fn words_are_sorted() {
        assert!(NOUNS.is_sorted() && VERBS.is_sorted());
    }
}
