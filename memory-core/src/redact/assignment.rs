//! Secrets told by the name they are assigned to: `DB_PASSWORD=…`, `"api_key": "…"`, `token = '…'`.

use crate::redact::shape;

pub(super) const TRIGGER: &str = r"(?i-u:pass(?:wor|wd|phr|_|=|:)|pwd|secret|token|key|credential)";

/// A name that ends in a secret word, a separator, and a value in quotes or up to a space. The quotes of JSON inside
/// a string are escaped, so backslashes may stand before them.
pub(super) const PATTERN: &str = concat!(
    r"(?P<name>[A-Za-z0-9_.-]*(?i-u:password|passwd|passphrase|passcode|pwd|secret|credentials?|token|",
    r"api[_ -]?key|access[_-]?key(?:[_-]?id)?|secret[_-]?key|private[_-]?key|auth[_-]?key|encryption[_-]?key|",
    r"signing[_-]?key|account[_-]?key|master[_-]?key|service[_-]?key|subscription[_-]?key))",
    r#"\\*["'`]?\]?[ \t]*(?:=>|:=|={1,3}|:)[ \t]*"#,
    r#"(?:(?:[rbuf]|\\)*"(?P<q>)|)"#,
    "",
);
