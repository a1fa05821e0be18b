//! The identity of a line: its content, regardless of the order and spacing of its fields.

use serde_json::Value;
use uuid::Uuid;

/// Returns the source key of a line: a UUIDv5 (SHA-1, RFC 9562) of its canonical text.
pub(super) fn source_key(line: &Value) -> String {
    let mut text = String::new();
    canonical(line, &mut text);
    format!("jsonl:{}", Uuid::new_v5(&Uuid::NAMESPACE_OID, text.as_bytes()))
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
}
