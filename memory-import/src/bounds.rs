//! Limits of what is kept of a source.

use serde_json::Value;

use crate::MAX_TEXT_CHARS;

/// The longest key of a trajectory, in bytes.
const MAX_KEY_BYTES: usize = 1_000;

/// Keeps the first [`MAX_TEXT_CHARS`] characters of a text.
pub(crate) fn cut(mut text: String) -> String {
    // A text of no more bytes than that has no more characters either.
    if text.len() > MAX_TEXT_CHARS
        && let Some((end, _)) = text.char_indices().nth(MAX_TEXT_CHARS)
    {
        text.truncate(end);
        text.shrink_to_fit();
    }
    text
}

/// Cuts every string in a value.
pub(crate) fn cut_value(value: Value) -> Value {
    match value {
        Value::String(text) => Value::String(cut(text)),
        Value::Array(items) => Value::Array(items.into_iter().map(cut_value).collect()),
        Value::Object(fields) => {
            Value::Object(fields.into_iter().map(|(name, value)| (name, cut_value(value))).collect())
        }
        other => other,
    }
}

/// Joins ids to the key of a trajectory.
pub(crate) fn key(format: &str, session: &str, task: &str) -> String {
    let mut key = format!("{format}:{session}:{task}");
    if key.len() > MAX_KEY_BYTES {
        let end = (0..=MAX_KEY_BYTES).rev().find(|end| key.is_char_boundary(*end)).unwrap_or(0);
        key.truncate(end);
    }
    key
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn texts_are_cut_at_characters() {
        let long = "ä".repeat(MAX_TEXT_CHARS + 1);
        assert_eq!(cut(long.clone()).chars().count(), MAX_TEXT_CHARS);
        let fits = "ä".repeat(MAX_TEXT_CHARS);
        assert_eq!(cut(fits.clone()), fits);
        let value = cut_value(json!({"a": [long], "b": 1}));
        assert_eq!(value, json!({"a": [fits], "b": 1}));
    }

    #[test]
    fn keys_are_bounded() {
        assert_eq!(key("codex", "s", "1"), "codex:s:1");
        assert_eq!(key("codex", &"ä".repeat(600), "1").len(), 1_000);
    }
}
