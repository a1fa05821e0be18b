//! Secrets told by the name they are given to: `DB_PASSWORD=…`, `"api_key": "…"`, `--token …`, "the password is …".

use crate::redact::field::{Name, classify};
use crate::redact::shape;

pub(super) const TRIGGER: &str = r"(?i-u:passw|passp|passc|pwd|secret|token|key|credential)";

macro_rules! secret_name {
    () => {
        concat!(
            r"[A-Za-z0-9_.-]*(?i-u:password|passwd|passphrase|passcode|pwd|secret|credentials?|token|api[_ -]?key|",
            r"(?:access|secret|private|auth|encryption|signing|account|master|service|subscription)[_ -]?key)",
        )
    };
}

macro_rules! value {
    () => {
        concat!(
            r#"(?:[rbfuRBFU]{0,2}(?:"""|")(?P<double>(?:[^"\\\r\n]|\\.)+)"#,
            r#"|\\+"(?P<escaped>(?:[^"\\\r\n]|\\+[^"\\\r\n])+)"#,
            r#"|[rbfuRBFU]{0,2}'(?P<single>(?:[^'\\\r\n]|\\.)+)"#,
            r#"|`(?P<tick>[^`\r\n]+)"#,
            r#"|(?P<bare>[^\s"'`,;&\\]+))"#,
        )
    };
}

/// A name that ends in a secret word, a separator (with a type before it in some languages), and a value in quotes or
/// up to a space. JSON within a string has backslashes before its quotes.
pub(super) const PATTERN: &str = concat!(
    r"(?P<name>",
    secret_name!(),
    r#")\\*["'`]?\]?[ \t]*(?::[ \t]*&?(?:'static[ \t]+)?[A-Za-z]+[ \t]*=|=>|:=|={1,3}|:)[ \t]*"#,
    value!(),
);

/// An option of a command line with its value as the next argument.
pub(super) const OPTION_PATTERN: &str = concat!(r"(?P<name>--", secret_name!(), r")[ \t]+", value!());

/// A password in a sentence.
pub(super) const PROSE_PATTERN: &str = concat!(
    r"(?i-u:\bpass(?:word|code|phrase)[ \t]+(?:is|was|to|:)[ \t:]+)",
    r#"(?:"(?P<double>[^"\s]{4,})"|'(?P<single>[^'\s]{4,})'|`(?P<tick>[^`\s]{4,})`|(?P<bare>[^\s"'`,;]{6,}))"#,
);

/// What a pattern found, and where.
pub(super) struct Found<'t> {
    /// The name it is assigned to; empty where the pattern has none.
    pub(super) name: &'t str,
    /// The text before.
    pub(super) before: &'t str,
    /// What may be a secret.
    pub(super) secret: &'t str,
    /// The text behind.
    pub(super) after: &'t str,
}

/// Returns how many bytes of an assigned value are a secret; `None` if it is none.
pub(super) fn secret_length(found: &Found<'_>) -> Option<usize> {
    let name = classify(found.name)?;
    let accepted = |value: &str, secret: bool| secret.then_some(value.len());
    if found.before.ends_with(['"', '\'', '`']) {
        return accepted(found.secret, quoted(name, found.secret) && !closes_a_prompt(found));
    }
    let value = trim_punctuation(found.secret);
    if shape::placeholder(value) || shape::code(found.secret) {
        return None;
    }
    accepted(value, bare(name, value, found))
}

/// Returns true if the quote before the value ends a string that the name is in: `prompt='Password: ', stream=None`.
fn closes_a_prompt(found: &Found<'_>) -> bool {
    let Some(at) = found.before.rfind(found.name) else { return false };
    let opening = found.before[..at].chars().next_back();
    let between = &found.before[at + found.name.len()..];
    let is_quote = |c: char| matches!(c, '"' | '\'' | '`');
    between.chars().filter(|c| is_quote(*c)).count() == 1
        && opening.is_some_and(is_quote)
        && between.chars().next_back() == opening
}

fn quoted(name: Name, value: &str) -> bool {
    if shape::placeholder(value) || shape::reference(value) || shape::sentence(value) {
        return false;
    }
    match name {
        Name::Password => value.len() >= 3,
        Name::Key => value.len() >= 6 && !value.contains(' '),
        Name::Token => value.len() >= 8 && shape::mixed(value) && !value.contains(' '),
    }
}

fn bare(name: Name, value: &str, found: &Found<'_>) -> bool {
    let digits = value.bytes().all(|byte| byte.is_ascii_digit());
    let tight = found.before.ends_with('=');
    let symbols = value.contains(['!', '@', '#', '$', '%', '^', '*', '+', '=', '~', '?']);
    let letters = value.chars().any(char::is_alphabetic);
    match name {
        Name::Token => value.len() >= 8 && shape::mixed(value),
        Name::Key => value.len() >= 6 && shape::mixed(value),
        Name::Password if digits => value.len() >= if tight { 4 } else { 6 },
        Name::Password if shape::mixed(value) || (symbols && letters) => {
            value.len() >= if tight { 4 } else { 5 }
        }
        Name::Password => letters && value.len() >= 6 && word_alone(value, tight, found),
    }
}

/// Returns true if a word without digits stands where nothing but a value can: `PASSWORD=letmein` up to a space, or
/// `password: letmein` alone on its line. In code and in sentences such a word is a variable or a remark.
fn word_alone(value: &str, tight: bool, found: &Found<'_>) -> bool {
    let plain = value.chars().all(|c| c.is_alphanumeric() || c == '-') && value.len() == found.secret.len();
    let named_alike = value.to_ascii_lowercase().contains("pass");
    if !plain || named_alike {
        return false;
    }
    let ends_line =
        found.after.trim_start_matches([' ', '\t']).chars().next().is_none_or(|c| c == '\n' || c == '\r');
    let line = found.before.rsplit('\n').next().unwrap_or_default();
    let starts_line =
        line.rfind(found.name).is_some_and(|at| line[..at].trim_matches([' ', '\t', '-', '"']).is_empty());
    let behind = found.after.chars().next();
    let separated = behind.is_none_or(|c| c.is_whitespace() || matches!(c, '&' | ';' | '\\' | '"'));
    if tight {
        separated && !shape::is_remark(value)
    } else {
        starts_line && ends_line && !shape::is_remark(value)
    }
}

/// Returns how many bytes of a word said to be a password are one; `None` if it is not.
pub(super) fn prose_length(found: &Found<'_>) -> Option<usize> {
    let quoted = found.before.ends_with(['"', '\'', '`']);
    let value = if quoted { found.secret } else { trim_punctuation(found.secret) };
    let plausible = !shape::placeholder(value) && !shape::is_remark(value) && !shape::code(value);
    let secret = quoted || (value.len() >= 6 && shape::mixed(value) && !value.contains('-'));
    (plausible && secret).then_some(value.len())
}

fn trim_punctuation(value: &str) -> &str {
    value.trim_end_matches(['.', ',', ';', ':', '!', '?', ')', ']', '}', '>'])
}
