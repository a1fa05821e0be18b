//! Distinguishes secrets from other text by their format.

/// Returns true for text with letters and digits, as random keys have and words do not.
pub(super) fn mixed(text: &str) -> bool {
    text.bytes().any(|byte| byte.is_ascii_digit()) && text.bytes().any(|byte| byte.is_ascii_alphabetic())
}

/// Returns true for a placeholder instead of a secret: `${TOKEN}`, `<your key>`, `****`, `null`, …
pub(super) fn placeholder(text: &str) -> bool {
    const WORDS: &[&str] = &[
        "none",
        "null",
        "nil",
        "true",
        "false",
        "undefined",
        "empty",
        "unset",
        "hidden",
        "masked",
        "redacted",
        "removed",
        "string",
        "str",
        "text",
        "password",
        "passwd",
        "secret",
        "token",
        "required",
        "optional",
        "missing",
        "invalid",
        "todo",
        "tbd",
        "n/a",
        "unknown",
        "default",
        "value",
        "example",
        "placeholder",
    ];
    let text = text.trim();
    let lower = text.to_ascii_lowercase();
    let starts = [
        "$",
        "<",
        "{",
        "%(",
        "%{",
        "%s",
        "`",
        "...",
        "…",
        "process.env",
        "os.environ",
        "env.",
        "env:",
        "vault:",
        "secrets.",
    ];
    text.is_empty()
        || WORDS.contains(&lower.as_str())
        || starts.iter().any(|start| lower.starts_with(start))
        || text.chars().all(|c| matches!(c, '*' | 'x' | 'X' | '.' | '•' | '-' | '_' | '#' | '?' | ':'))
        || ((lower.starts_with("your") || lower.starts_with("my"))
            && lower.contains(['-', '_', ' '])
            && !mixed(text))
}

/// Words with which remarks about a secret begin.
const REMARKS: &[&str] = &[
    "a",
    "an",
    "the",
    "this",
    "your",
    "you",
    "is",
    "are",
    "must",
    "should",
    "can",
    "can't",
    "cannot",
    "may",
    "enter",
    "please",
    "password",
    "passwords",
    "token",
    "secret",
    "user",
    "user's",
    "new",
    "current",
    "old",
    "field",
    "too",
    "not",
    "no",
    "if",
    "used",
    "optional",
    "required",
    "invalid",
    "incorrect",
    "wrong",
    "missing",
    "at",
    "minimum",
    "api",
    "client",
    "access",
    "refresh",
    "for",
    "will",
    "was",
    "has",
    "does",
    "doesn't",
    "expired",
    "choose",
    "set",
    "use",
    "see",
    "unable",
    "failed",
    "changed",
    "accepted",
    "rejected",
    "protected",
    "encrypted",
    "hashed",
    "stored",
    "disabled",
    "enabled",
    "prompt",
    "authentication",
    "weak",
    "strong",
    "reset",
    "valid",
    "updated",
    "input",
    "change",
    "access",
    "continue",
    "login",
];

/// Returns true for a word that remarks on a secret instead of being one: "required", "incorrect".
pub(super) fn is_remark(word: &str) -> bool {
    let word = word.to_ascii_lowercase();
    REMARKS.contains(&word.trim_end_matches(['.', ',', ':', '!']))
}

/// Returns true for text that reads like a sentence about a secret: "must be at least 8 characters". A
/// passphrase has hardly more than one of its words.
pub(super) fn sentence(text: &str) -> bool {
    let first = text.split_whitespace().next().unwrap_or_default();
    let count = text.split_whitespace().take(40).filter(|word| is_remark(word)).count();
    count > 1 && is_remark(first)
}

/// Returns true for typical passwords: figures or signs among letters, or both cases.
pub(super) fn password_like(text: &str) -> bool {
    let letters = text.chars().any(char::is_alphabetic);
    let cases = text.chars().any(char::is_uppercase) && text.chars().any(char::is_lowercase);
    let signs = text.contains(['!', '@', '#', '$', '%', '^', '&', '*', '+', '=', '~', '?']);
    letters && !text.contains(' ') && (mixed(text) || signs || cases && text.len() >= 8)
}

/// Returns true for a UUID, or a hash in hexadecimal form.
pub(super) fn id(text: &str) -> bool {
    let hex = |part: &str| part.bytes().all(|byte| byte.is_ascii_hexdigit());
    let lengths: Vec<usize> = text.split('-').map(str::len).collect();
    text.split('-').all(hex) && (lengths == [8, 4, 4, 4, 12] || lengths.len() == 1 && text.len() >= 12)
}

/// Returns true for a long run without spaces that no language makes: letters and figures that change often.
pub(super) fn random(text: &str) -> bool {
    let plain =
        |c: char| c.is_ascii_alphanumeric() || matches!(c, '+' | '/' | '=' | '_' | '-' | '.' | ':' | '~');
    if text.len() < 16 || !mixed(text) || !text.chars().all(plain) {
        return false;
    }
    let class = |byte: u8| match byte {
        b'0'..=b'9' => 0,
        b'a'..=b'z' => 1,
        b'A'..=b'Z' => 2,
        _ => 3,
    };
    let changes = text.as_bytes().windows(2).filter(|pair| class(pair[0]) != class(pair[1])).count();
    changes * 5 >= text.len()
}

/// Returns true for a value that names the location of a password: a path that machines have, a URL, a call to
/// fetch it.
pub(super) fn place(text: &str) -> bool {
    const ROOTS: [&str; 14] = [
        "/etc/",
        "/run/",
        "/var/",
        "/home/",
        "/usr/",
        "/opt/",
        "/mnt/",
        "/secrets/",
        "/root/",
        "/tmp/",
        "./",
        "../",
        "~/",
        "/app/",
    ];
    (text.contains("://") && !text.contains('@'))
        || ROOTS.iter().any(|root| text.starts_with(root)) && is_path(text)
        || is_constant(text)
}

/// Returns true for a text that resembles a reference only by its first sign: `$uperS3cret`.
pub(super) fn odd(text: &str) -> bool {
    let environment = ["env.", "process.env", "os.environ", "secrets.", "vault:", "env:"]
        .iter()
        .find_map(|start| text.strip_prefix(start))
        .is_some_and(|rest| {
            !rest.bytes().any(|byte| byte.is_ascii_lowercase()) || rest.starts_with(['[', '(', '.'])
        });
    text.len() >= 8 && mixed(text) && !variable(text) && !text.contains(' ') && !environment
}

/// Returns true for a reference to a value instead of one: `$NAME`, `${…}`, `$(…)`, `<…>`, `{{…}}`, `%NAME%`, a
/// call.
pub(super) fn variable(text: &str) -> bool {
    let inner =
        text.strip_prefix('$').or_else(|| text.strip_prefix('%').and_then(|rest| rest.strip_suffix('%')));
    let cased = |name: &str| {
        name.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'_' || byte.is_ascii_digit())
            || name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_')
    };
    let named = inner.is_some_and(|name| is_identifier(name) && cased(name));
    let wrapped = [("${", "}"), ("$(", ")"), ("<", ">"), ("{{", "}}"), ("{", "}"), ("[", "]")]
        .iter()
        .any(|(open, close)| text.starts_with(open) && text.ends_with(close));
    let call = text.find(['(', '[']).is_some_and(|at| {
        let callee = &text[..at];
        let path =
            callee.split(['.', ':']).all(|part| part.is_empty() || is_identifier(part.trim_end_matches('!')));
        !callee.is_empty() && path && text.ends_with([')', ']', '?', '(', '['])
    });
    named || wrapped || call || text.starts_with("${") || text.starts_with("{{") || text.starts_with("$(")
}

/// Returns true for a quoted value that names the location of the secret: a path, a URL, the name of a
/// constant.
pub(super) fn reference(text: &str) -> bool {
    (text.contains("://") && !text.contains('@')) || is_constant(text) || is_path(text)
}

/// Returns true for code and references rather than a literal: calls, indexing, members, types, paths.
pub(super) fn code(text: &str) -> bool {
    let member = text.contains('.')
        && text.split('.').all(|part| is_identifier(part) && !part.bytes().any(|byte| byte.is_ascii_digit()));
    text.contains(['(', '[', '<'])
        || text.starts_with(['&', '{', '@', '*', '!', '|', '>', '='])
        || text.contains("://")
        || text.contains("::")
        || text.contains("=>")
        || member
        || is_constant(text)
        || is_path(text)
        || type_name(text)
}

fn is_identifier(text: &str) -> bool {
    text.bytes().next().is_some_and(|byte| byte.is_ascii_alphabetic() || byte == b'_')
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

/// `DB_PASSWORD`, but not a key of capitals and digits.
fn is_constant(text: &str) -> bool {
    text.contains('_')
        && is_identifier(text)
        && !text.bytes().any(|byte| byte.is_ascii_lowercase())
        && !text.split('_').any(|part| part.len() > 8 && mixed(part))
}

fn is_path(text: &str) -> bool {
    let rooted = ["/", "./", "../", "~/"].iter().any(|root| text.starts_with(root));
    let drive = matches!(text.as_bytes().get(1..3), Some(b":\\" | b":/"));
    let plain =
        |c: char| c.is_ascii_alphanumeric() || matches!(c, '/' | '.' | '_' | '-' | '~' | '\\' | ':' | ' ');
    (rooted && (text.matches('/').count() >= 2 || text.contains('.')) || drive) && text.chars().all(plain)
}

fn type_name(text: &str) -> bool {
    let lower = text.to_ascii_lowercase();
    let stem = lower.trim_end_matches(|c: char| c.is_ascii_digit());
    [
        "u", "i", "f", "int", "uint", "float", "str", "string", "varchar", "char", "text", "bool", "uuid",
        "base", "sha", "md", "bcrypt", "argon", "utf",
    ]
    .contains(&stem)
        && lower.len() - stem.len() <= 3
}

/// Returns true for base64 of printable text with a colon: the `user:password` of HTTP basic authentication.
pub(super) fn basic_credentials(text: &str) -> bool {
    let mut decoded = Vec::with_capacity(text.len());
    let (mut bits, mut held) = (0_u32, 0);
    for byte in text.trim_end_matches('=').bytes() {
        let value = match byte {
            b'A'..=b'Z' => byte - b'A',
            b'a'..=b'z' => byte - b'a' + 26,
            b'0'..=b'9' => byte - b'0' + 52,
            b'+' | b'-' => 62,
            b'/' | b'_' => 63,
            _ => return false,
        };
        bits = (bits << 6 | u32::from(value)) & 0xffff;
        held += 6;
        if held >= 8 {
            held -= 8;
            decoded.push((bits >> held) as u8);
        }
    }
    std::str::from_utf8(&decoded).is_ok_and(|text| text.contains(':') && !text.chars().any(char::is_control))
}
