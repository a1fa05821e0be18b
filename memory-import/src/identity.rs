//! What makes a record the same record again: the source's ids, or its content, however its fields are ordered and
//! spaced.

use serde_json::Value;
use uuid::Uuid;

/// The longest key, in bytes.
const MAX_KEY_BYTES: usize = 1_000;

/// Returns the key of a line that has no id: a UUIDv5 (SHA-1, RFC 9562) of its canonical text.
pub(crate) fn source_key(line: &Value) -> String {
    format!("jsonl:{}", fingerprint(line))
}

/// Returns a UUIDv5 of the canonical text of a value.
pub(crate) fn fingerprint(value: &Value) -> Uuid {
    let mut text = String::new();
    canonical(value, &mut text);
    Uuid::new_v5(&Uuid::NAMESPACE_OID, text.as_bytes())
}

/// Joins the parts of a key with colons. The rest of a key that is too long is replaced by its fingerprint.
pub(crate) fn key(parts: &[&str]) -> String {
    let mut key = parts.join(":");
    if key.len() <= MAX_KEY_BYTES {
        return key;
    }
    let whole = Uuid::new_v5(&Uuid::NAMESPACE_OID, key.as_bytes()).to_string();
    let mut end = MAX_KEY_BYTES - whole.len() - 1;
    while !key.is_char_boundary(end) {
        end -= 1;
    }
    key.truncate(end);
    key.push(':');
    key.push_str(&whole);
    key
}

/// Writes JSON with the fields in order of their names and without spaces. The parser bounds the depth.
fn canonical(value: &Value, into: &mut String) {
    match value {
        Value::Array(items) => {
            into.push('[');
            for item in items {
                canonical(item, into);
                into.push(',');
            }
            into.push(']');
        }
        Value::Object(fields) => {
            let mut fields: Vec<_> = fields.iter().collect();
            fields.sort_by_key(|(name, _)| *name);
            into.push('{');
            for (name, item) in fields {
                into.push_str(&Value::from(name.as_str()).to_string());
                into.push(':');
                canonical(item, into);
                into.push(',');
            }
            into.push('}');
        }
        scalar => into.push_str(&scalar.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_content_is_the_same_line() {
        let key = |text: &str| source_key(&serde_json::from_str(text).unwrap());
        assert_eq!(key(r#"{"a": 1, "b": [1, "x"]}"#), key(r#"{"b":[1,"x"],"a":1}"#));
        assert_ne!(key(r#"{"a": [1, 2]}"#), key(r#"{"a": [2, 1]}"#));
        assert_ne!(key(r#"{"a": "1"}"#), key(r#"{"a": 1}"#));
    }

    #[test]
    fn keys_stay_the_same_between_versions() {
        let key = source_key(&serde_json::json!({"id": "t1", "instruction": "ä", "actions": []}));
        assert_eq!(key, "jsonl:26690312-7541-5190-b8bd-491a7d2e35ed");
    }

    #[test]
    fn long_keys_are_cut_and_stay_apart() {
        assert_eq!(key(&["a", "b", "1"]), "a:b:1");
        let (one, other) = (key(&["a", &"ä".repeat(600), "1"]), key(&["a", &"ä".repeat(600), "2"]));
        assert!(one.len() <= 1_000 && one.starts_with("a:ää"), "{one}");
        assert_ne!(one, other);
    }
}
