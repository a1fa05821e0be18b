//! Names of fields and variables that say their value is secret.

use serde_json::Value;

use crate::redact::{MARK_END, MARK_START, next_mark, shape};

/// The rule's name.
pub(super) const RULE: &str = "secret-field";

/// How much a name promises.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Name {
    /// Any value is secret.
    Password,
    /// A key: one word.
    Key,
    /// A token: the name has other meanings too, so the value must look random.
    Token,
}

/// Tells what a name promises; `None` if nothing secret. Case, `_`, `-`, `.` and spaces do not matter.
pub(super) fn classify(name: &str) -> Option<Name> {
    const PASSWORDS: &[&str] = &["password", "passwd", "passphrase", "passcode", "pwd"];
    const KEYS: &[&str] = &[
        "secret",
        "apikey",
        "secretkey",
        "privatekey",
        "secretaccesskey",
        "accesstoken",
        "refreshtoken",
        "authtoken",
        "apitoken",
        "bearertoken",
        "sessiontoken",
        "encryptionkey",
        "signingkey",
        "masterkey",
        "accountkey",
        "authkey",
        "servicekey",
        "subscriptionkey",
        "accesskey",
    ];
    const TOKENS: &[&str] = &["token", "credential", "credentials"];
    /// Words before "token" with which it is a place in a list or a piece of text.
    const OTHER_TOKENS: &[&str] = &[
        "next",
        "page",
        "continuation",
        "cancellation",
        "cancel",
        "eos",
        "bos",
        "pad",
        "padding",
        "unk",
        "sep",
        "cls",
        "mask",
        "special",
        "stop",
        "start",
        "end",
        "first",
        "last",
        "max",
        "min",
        "num",
        "total",
        "prompt",
        "completion",
        "input",
        "output",
        "per",
        "sync",
        "resume",
        "pagination",
        "cursor",
        "current",
        "previous",
        "prev",
        "image",
        "text",
    ];
    let flat: String =
        name.chars().filter(char::is_ascii_alphanumeric).map(|c| c.to_ascii_lowercase()).collect();
    let ends = |words: &[&str]| words.iter().any(|word| flat.ends_with(word));
    if ends(PASSWORDS) {
        Some(Name::Password)
    } else if ends(KEYS) {
        Some(Name::Key)
    } else if let Some(before) = flat.strip_suffix("token") {
        (!OTHER_TOKENS.iter().any(|word| before.ends_with(word))).then_some(Name::Token)
    } else {
        ends(TOKENS).then_some(Name::Token)
    }
}

/// Replaces the value of a JSON field whose name says it is secret; returns how many values.
pub(super) fn redact(name: &str, value: &mut Value) -> u32 {
    let header = matches!(name.to_ascii_lowercase().as_str(), "authorization" | "proxy-authorization");
    let class = if header { Some(Name::Key) } else { classify(name) };
    let Some(class) = class else { return 0 };
    let secret = match value {
        Value::String(text) => is_secret(class, text),
        // A number is a secret only where any value is.
        Value::Number(_) => class == Name::Password,
        _ => false,
    };
    if secret {
        *value = Value::String(format!("{MARK_START}{RULE}{MARK_END}"));
    }
    u32::from(secret)
}

fn is_secret(class: Name, text: &str) -> bool {
    let trimmed = text.trim();
    if shape::placeholder(trimmed) || shape::reference(trimmed) || shape::sentence(trimmed) {
        return false;
    }
    // Nothing but marks is left of what was redacted before.
    let mut rest = trimmed;
    while let Some((0, behind)) = next_mark(rest) {
        rest = rest[behind..].trim_start();
    }
    !rest.is_empty()
        && match class {
            Name::Password => true,
            Name::Key => trimmed.len() >= 4,
            Name::Token => {
                trimmed.len() >= 8 && shape::mixed(trimmed) || trimmed.len() >= 20 && !trimmed.contains(' ')
            }
        }
}
