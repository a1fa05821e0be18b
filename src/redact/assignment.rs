//! Secrets recognised by the name of their variable or field: `DB_PASSWORD=…`, `"api_key": "…"`, `--token …`,
//! "the password is …".

use crate::redact::field::{Name, classify};
use crate::redact::shape;

pub(super) const TRIGGER: &str = r"(?i-u:pass|pwd|_pw|pw:|pin|secret|token|key|_pat|credential|kennwort|contrase|senha|wachtwoord|salt|_auth|_dsn|psk|\bpw\b)";

macro_rules! secret_name {
    () => {
        concat!(
            r"[A-Za-z0-9_.-]{0,48}(?i-u:password|passwort|passwd|passphrase|passcode|pwd|pass|_pw|\bpw|\bpin|secret|psk|credentials?|",
            r"token|requirepass|masterauth|kennwort|contrasena|senha|wachtwoord|mot[_ -]?de[_ -]?passe|_pat|_dsn|_auth|",
            r"salt|api[_ -]?key|[A-Za-z0-9]*[_ -]?key(?:[_-]base|[_-]data)?)",
            r"(?:[_.-]?[A-Za-z0-9]{1,14}){0,2}",
        )
    };
}

pub(super) use secret_name;

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

pub(super) use value;

/// A name that ends in a secret word, a separator (with a type before it in some languages), and a value in
/// quotes or up to a space. JSON within a string has backslashes before its quotes.
pub(super) const PATTERN: &str = concat!(
    r"(?P<name>",
    secret_name!(),
    r#")\\*["'`]?\]?[ \t]*(?::[ \t]*&?(?:'static[ \t]+)?[A-Za-z]+[ \t]*=|=>|:=|={1,3}|:)[ \t]*"#,
    value!(),
);

/// An option of a command line with its value as the next argument, on a line or in a list.
pub(super) const OPTION_PATTERN: &str =
    concat!(r"(?P<name>--?", secret_name!(), r#")(?:\\*["'],\s*|[ \t]+)\\*"#, value!());

/// A secret in a sentence: "the password is …", "my API key for the staging server is …", "password hunter2".
pub(super) const PROSE_PATTERN: &str = concat!(
    r"(?-u:\b)(?P<name>(?i-u:pass(?:word|code|phrase|wort)?|pwd|pin|token|(?:api|access|secret|auth|license)[ _-]?key|",
    r"(?:the|my|your|our|this) key|secret|kennwort|mot de passe|senha|wachtwoord)|(?i-u:contrase)(?:ñ|n)(?i-u:a))",
    r"(?:(?:[ \t]+(?:(?i-u:for|of|on|para|del|de|pour|vom|von)|für)[ \t]+[^\s.,:;]+(?:[ \t]+[^\s.,:;]+){0,4}?)?",
    r"(?:(?:'|’)s[ \t]+|[ \t]+(?:(?i-u:is|was|are|to|ist|lautet|war|es|est|now|with|has been|got)|é|=|:)[ \t:]+",
    r"(?i-u:(?:now|still|simply|just|set to|changed to|reset to|rotated to|updated to)[ \t]+)?|[ \t]*:[ \t]+)|[ \t]+)",
    r#"(?:"(?P<double>[^"\s]{4,})"|'(?P<single>[^'\s]{4,})'|`(?P<tick>[^`\s]{4,})`|(?P<bare>[^\s"'`,;]{4,}))"#,
);

/// A match of a pattern, and its place.
pub(super) struct Found<'t> {
    /// The name it is assigned to; empty where the pattern has none.
    pub(super) name: &'t str,
    /// The text before.
    pub(super) before: &'t str,
    /// The possible secret.
    pub(super) secret: &'t str,
    /// The text after it.
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
    if shape::variable(found.secret) {
        return None;
    }
    let plain = if shape::placeholder(value) || shape::code(found.secret) {
        None
    } else {
        accepted(value, bare(name, value, found))
    };
    // A value that ends at a sign may continue after it.
    match plain {
        Some(_) if !found.after.starts_with(['&', ';', ',']) => plain,
        _ => odd_password(name, found).or(plain),
    }
}

/// Returns the length of a password that contains signs of code, on a line with only a name and its value:
/// `DB_PASSWORD=!QAZ2wsx&3edc`. It extends to the next space.
fn odd_password(name: Name, found: &Found<'_>) -> Option<usize> {
    if name != Name::Password {
        return None;
    }
    let line = found.before.rsplit('\n').next().unwrap_or_default();
    let at = line.rfind(found.name)?;
    let lead = line[..at].trim_start_matches([' ', '\t', '-', '+', '#', '"', '\'']);
    let leads = lead.is_empty()
        || ["export ", "set ", "env ", "ENV ", "ARG ", "$env:", "setx "]
            .iter()
            .any(|word| lead.ends_with(word));
    if !leads {
        return None;
    }
    let rest = found.after.find(|c: char| c.is_whitespace() || matches!(c, '"' | '\'' | '`' | '\\'));
    let more = &found.after[..rest.unwrap_or(found.after.len())];
    // A further assignment after `&` or `;` is another value.
    let more = if more.contains('=') { "" } else { more };
    let ends_line =
        found.after[more.len()..].trim_start_matches([' ', '\t', '"', '\'']).starts_with(['\n', '\r', '#'])
            || found.after.len() == more.len()
            || found.after[more.len()..].trim().is_empty();
    let value = format!("{}{more}", found.secret);
    let code = value.ends_with([')', ';', '{', ',', '(']) || value.contains("::") || value.contains("=>");
    let secret =
        ends_line && !code && !shape::variable(&value) && !shape::placeholder(value.trim_start_matches('$'));
    (secret && value.len() >= 6 && shape::password_like(&value) && !shape::place(&value))
        .then_some(found.secret.len() + more.len())
}

/// Returns true if the quote before the value ends a string that the name is in:
/// `prompt='Password: ', stream=None`.
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
    let elsewhere = if name == Name::Password { shape::place(value) } else { shape::reference(value) };
    if shape::placeholder(value) && !shape::odd(value)
        || elsewhere
        || shape::sentence(value)
        || shape::variable(value)
    {
        return false;
    }
    match name {
        Name::Password => value.len() >= 3,
        Name::Pass => value.len() >= 4 && shape::password_like(value),
        Name::Key => value.len() >= 6 && !value.contains(' '),
        Name::Token => value.len() >= 8 && shape::mixed(value) && !value.contains(' '),
        Name::Random => {
            shape::random(value) || value.len() >= 32 && shape::odd(value) && !value.contains("  ")
        }
        Name::Basic => shape::basic_credentials(value),
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
        Name::Random => shape::random(value),
        Name::Basic => shape::basic_credentials(value),
        Name::Pass if digits => false,
        Name::Pass => value.len() >= if tight { 4 } else { 6 } && shape::password_like(value),
        Name::Password if digits => value.len() >= if tight { 4 } else { 6 },
        Name::Password if shape::mixed(value) || (symbols && letters) => {
            value.len() >= if tight { 4 } else { 5 }
        }
        Name::Password => letters && value.len() >= 6 && word_alone(value, tight, found),
    }
}

/// Returns true if a word without digits stands where nothing but a value can: `PASSWORD=letmein` up to a
/// space, or `password: letmein` alone on its line. In code and in sentences such a word is a variable or a
/// remark.
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

/// Returns how many bytes of a word called a password are one; `None` if it is not.
pub(super) fn prose_length(found: &Found<'_>) -> Option<usize> {
    let quoted = found.before.ends_with(['"', '\'', '`']);
    let value = if quoted { found.secret } else { trim_punctuation(found.secret) };
    if shape::placeholder(value) || shape::is_remark(value) || shape::code(value) && !shape::odd(value) {
        return None;
    }
    // Stated to be the password, or only mentioned next to it.
    let said = {
        let end = found.before.trim_end_matches(['"', '\'', '`', ' ', '\t', ':']);
        !end.ends_with(found.name)
    };
    // Next to the word, an id names the subject; and `pwd` is a command.
    if !said && !quoted && (shape::id(value) || found.name.eq_ignore_ascii_case("pwd")) {
        return None;
    }
    let name = classify(found.name).unwrap_or(Name::Password);
    let dated = value.bytes().all(|byte| byte.is_ascii_digit() || matches!(byte, b'-' | b'/' | b'.' | b':'));
    let secret = match name {
        _ if dated => {
            name == Name::Pass
                && said
                && (4..=8).contains(&value.len())
                && !value.contains(['-', '.', '/', ':'])
        }
        Name::Password if quoted => true,
        Name::Pass if quoted => said && shape::password_like(value),
        Name::Password => {
            value.len() >= 6 && (shape::mixed(value) && !dashed(value) || said && shape::password_like(value))
        }
        Name::Pass => said && value.len() >= 6 && shape::mixed(value),
        Name::Key | Name::Token | Name::Random | Name::Basic => {
            (said || hex(value) || shape::random(value) && value.len() >= 20)
                && value.len() >= 10
                && shape::mixed(value)
                && (shape::random(value) || hex(value) || value.len() >= 12 && !dashed(value))
        }
    };
    secret.then_some(value.len())
}

/// Returns true for a key in hexadecimal form.
fn hex(value: &str) -> bool {
    matches!(value.len(), 32 | 40)
        && shape::mixed(value)
        && value.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// Returns true for words joined by dashes: "8-character", "password-reset-2".
fn dashed(value: &str) -> bool {
    value.contains('-') && value.split('-').all(|part| !shape::mixed(part))
}

fn trim_punctuation(value: &str) -> &str {
    value.trim_end_matches(['.', ',', ';', ':', '!', '?', ')', ']', '}', '>'])
}
