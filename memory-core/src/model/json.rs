//! A JSON value that survives codecs without a self-describing format.

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;

/// A JSON value: itself in JSON, its text in binary codecs (bincode cannot decode "any value").
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Json(pub Value);

impl Json {
    /// Returns true if there is nothing (`null`).
    pub fn is_null(&self) -> bool {
        self.0.is_null()
    }

    /// Returns how deeply arrays and objects nest; a scalar has depth 0.
    pub fn depth(&self) -> usize {
        let mut deepest = 0;
        let mut open = vec![(&self.0, 0)];
        while let Some((value, depth)) = open.pop() {
            deepest = deepest.max(depth);
            match value {
                Value::Array(items) => open.extend(items.iter().map(|item| (item, depth + 1))),
                Value::Object(fields) => open.extend(fields.values().map(|item| (item, depth + 1))),
                _ => {}
            }
        }
        deepest
    }
}

impl Json {
    /// Returns roughly how many bytes the value takes in memory.
    pub(crate) fn weight(&self) -> usize {
        let mut total = 0;
        let mut open = vec![&self.0];
        while let Some(value) = open.pop() {
            total += std::mem::size_of::<Value>();
            match value {
                Value::String(text) => total += text.len(),
                Value::Array(items) => open.extend(items),
                Value::Object(fields) => {
                    total += fields.keys().map(|name| name.len() + 32).sum::<usize>();
                    open.extend(fields.values());
                }
                _ => {}
            }
        }
        total
    }
}

impl From<Value> for Json {
    fn from(value: Value) -> Self {
        Self(value)
    }
}

impl Serialize for Json {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            self.0.serialize(serializer)
        } else {
            serializer.serialize_str(&self.0.to_string())
        }
    }
}

impl<'de> Deserialize<'de> for Json {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if deserializer.is_human_readable() {
            Value::deserialize(deserializer).map(Self)
        } else {
            let text = String::deserialize(deserializer)?;
            serde_json::from_str(&text).map(Self).map_err(serde::de::Error::custom)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn depth_counts_nesting() {
        let check = |value: Value, expected| assert_eq!(Json(value).depth(), expected);
        check(json!(1), 0);
        check(json!({"a": 1}), 1);
        check(json!({"a": [1, {"b": []}]}), 3);
    }
}
