//! Names of fields and variables with secret values.

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
    /// An abbreviation of password that also means the result of a test: the value must be no word or count.
    Pass,
    /// Any sort of key: the value must be long and random.
    Random,
    /// HTTP basic credentials.
    Basic,
}

/// Words after a secret word that say which secret it is, or its format.
const WHICH: &[&str] = &[
    "prod",
    "production",
    "dev",
    "development",
    "staging",
    "stage",
    "test",
    "testing",
    "qa",
    "uat",
    "live",
    "local",
    "old",
    "new",
    "current",
    "previous",
    "backup",
    "primary",
    "secondary",
    "main",
    "master",
    "default",
    "value",
    "val",
    "b",
    "base",
    "b64",
    "base64",
    "raw",
    "plain",
    "plaintext",
    "clear",
    "text",
    "string",
    "str",
    "eu",
    "us",
    "rw",
    "ro",
    "admin",
    "root",
    "user",
    "db",
    "confirm",
    "confirmation",
    "again",
    "repeat",
];

/// Names whose value is secret whatever it is.
const PASSWORDS: &[&str] = &[
    "password",
    "passwd",
    "passphrase",
    "passcode",
    "pwd",
    "passwort",
    "kennwort",
    "contrasena",
    "contrasea",
    "motdepasse",
    "senha",
    "requirepass",
    "masterauth",
    "wachtwoord",
    "haslo",
    "parola",
    "heslo",
    "passwords",
    "passphrases",
    "storepass",
    "keypass",
    "userpass",
    "dbpass",
    "authpass",
    "rootpass",
    "adminpass",
    "sudopass",
    "becomepass",
    "bindpw",
    "rootpw",
    "adminpw",
    "userpw",
    "dbpw",
];

/// Names of keys: one word without spaces.
const KEYS: &[&str] = &[
    "secret",
    "secrets",
    "apikeys",
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
    "secretkeybase",
    "appkey",
    "jwtkey",
    "sharedkey",
    "storagekey",
    "hmackey",
    "keydata",
    "instrumentationkey",
    "functionkey",
    "hostkey",
    "webhooksecret",
    "tlskey",
    "sshkey",
    "deploykey",
    "licensekey",
    "cookiekey",
    "sessionkey",
    "xapikey",
    "presharedkey",
    "psk",
    "clientkey",
    "applicationkey",
    "integrationkey",
    "routingkey",
    "writekey",
    "ingestkey",
    "accesskeysecret",
    "pat",
];

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

/// Returns the class of secret that a name announces; `None` if none. Case, `_`, `-`, `.` and spaces are
/// ignored, and so are words after it that say which one it is (`DB_PASSWORD_PROD`, `password1`).
pub(super) fn classify(name: &str) -> Option<Name> {
    let mut words = words(name);
    let last = words.iter().rposition(|word| !WHICH.contains(&word.as_str()) && !is_number(word))?;
    words.truncate(last + 1);
    let flat: String = words.concat();
    let ends = |known: &[&str]| known.iter().any(|word| flat.ends_with(word));
    let final_word = words.last()?.as_str();
    if ends(PASSWORDS) || matches!(final_word, "pw" | "pass") && words.len() > 1 {
        Some(Name::Password)
    } else if matches!(final_word, "pass" | "pw" | "pin") {
        Some(Name::Pass)
    } else if ends(KEYS) && !(final_word == "pat" && words.len() == 1) {
        Some(Name::Key)
    } else if let Some(before) = flat.strip_suffix("token") {
        (!OTHER_TOKENS.iter().any(|word| before.ends_with(word))).then_some(Name::Token)
    } else if ends(&["credential", "credentials"]) {
        Some(Name::Token)
    } else if matches!(final_word, "key" | "salt" | "auth" | "dsn") && words.len() > 1 {
        Some(Name::Random)
    } else {
        None
    }
}

/// Splits a name into lower-case words: at signs, between lower and upper case, and before figures.
fn words(name: &str) -> Vec<String> {
    let mut words: Vec<String> = Vec::new();
    let mut before = ' ';
    for c in name.chars() {
        if c.is_alphanumeric() {
            let folded = fold(c);
            let begins = !before.is_alphanumeric()
                || before.is_lowercase() && c.is_uppercase()
                || !before.is_ascii_digit() && c.is_ascii_digit();
            match words.last_mut() {
                Some(word) if !begins => word.push(folded),
                _ => words.push(folded.to_string()),
            }
        }
        before = c;
    }
    words
}

/// Returns the plain lower-case letter.
fn fold(c: char) -> char {
    match c {
        'ñ' | 'Ñ' => 'n',
        'ä' | 'Ä' => 'a',
        'é' | 'É' => 'e',
        'ł' => 'l',
        c => c.to_lowercase().next().unwrap_or(c),
    }
}

fn is_number(word: &str) -> bool {
    word.bytes().all(|byte| byte.is_ascii_digit())
}

/// Replaces the value of a JSON field with a secret name; returns how many values.
pub(super) fn redact(name: &str, value: &mut Value) -> u32 {
    match class_of(name) {
        Some(class) => redact_value(class, value, name.ends_with(['s', 'S'])),
        None => 0,
    }
}

/// Returns the class of secret that the name of a field, a header or a variable announces.
pub(super) fn class_of(name: &str) -> Option<Name> {
    match name.trim().to_ascii_lowercase().as_str() {
        "authorization" | "proxy-authorization" => Some(Name::Key),
        "cookie" | "cookies" | "set-cookie" | "x-auth-token" | "x-csrf-token" => Some(Name::Random),
        "auth" | "_auth" => Some(Name::Basic),
        name => classify(name),
    }
    .or_else(|| classify(name))
}

/// Replaces a value with a secret name, and those in a list or in an object that only wraps it. A `plural` name
/// makes everything in it secret.
pub(super) fn redact_value(class: Name, value: &mut Value, plural: bool) -> u32 {
    const WRAPS: &[&str] = &[
        "value",
        "plain",
        "plaintext",
        "current",
        "new",
        "old",
        "raw",
        "text",
        "#text",
        "_text",
        "secret",
        "data",
    ];
    let secret = match value {
        Value::String(text) => is_secret(class, text),
        // A number is a secret only where any value is.
        Value::Number(number) => {
            class == Name::Password || class == Name::Pass && number.as_u64().is_some_and(|pin| pin > 999)
        }
        Value::Array(items) => return items.iter_mut().map(|item| redact_value(class, item, plural)).sum(),
        Value::Object(fields) if matches!(class, Name::Password | Name::Key | Name::Random) => {
            let wraps = |name: &String| WRAPS.contains(&name.to_ascii_lowercase().as_str());
            let inner =
                fields.iter_mut().filter(|(name, inner)| (plural || wraps(name)) && inner.is_string());
            return inner.map(|(_, inner)| redact_value(class, inner, false)).sum();
        }
        _ => false,
    };
    if secret {
        *value = Value::String(format!("{MARK_START}{RULE}{MARK_END}"));
    }
    u32::from(secret)
}

/// Returns true if a text that a field of this class holds is a secret.
pub(super) fn is_secret(class: Name, text: &str) -> bool {
    let trimmed = text.trim();
    let odd = class == Name::Password && shape::odd(trimmed);
    if shape::placeholder(trimmed) && !odd || shape::sentence(trimmed) {
        return false;
    }
    if if class == Name::Password { shape::place(trimmed) } else { shape::reference(trimmed) } {
        return false;
    }
    // Only marks of an earlier redaction are left.
    let mut rest = trimmed;
    while let Some((0, behind)) = next_mark(rest) {
        rest = rest[behind..].trim_start();
    }
    !rest.is_empty()
        && match class {
            Name::Password => true,
            Name::Pass => {
                trimmed.len() >= 4
                    && (shape::password_like(trimmed) || trimmed.len() <= 8 && is_number(trimmed))
            }
            Name::Key => trimmed.len() >= 4,
            Name::Basic => shape::basic_credentials(trimmed),
            Name::Random => {
                shape::random(trimmed)
                    || trimmed.contains('=')
                        && trimmed.split([';', '=']).any(|part| part.trim().len() >= 8 && shape::mixed(part))
            }
            Name::Token => {
                trimmed.len() >= 8 && shape::mixed(trimmed) || trimmed.len() >= 20 && !trimmed.contains(' ')
            }
        }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_promise_secrets() {
        let check = |name: &str, expected: Option<Name>| assert_eq!(classify(name), expected, "{name}");
        for name in
            ["DB_PASSWORD_PROD", "password1", "dbPass", "SMTP_PASS", "Passwort", "userPwd", "redis_pw"]
        {
            check(name, Some(Name::Password));
        }
        for name in ["SECRET_KEY_BASE", "APP_KEY", "jwtKey", "client-key-data", "x-api-key", "GITHUB_PAT"] {
            check(name, Some(Name::Key));
        }
        check("pass", Some(Name::Pass));
        check("access_token", Some(Name::Key));
        check("DATADOG_KEY", Some(Name::Random));
        for name in
            ["next_token", "password_hash", "token_count", "pass_rate", "key", "monkey", "compass", "tokens"]
        {
            check(name, None);
        }
    }
}
