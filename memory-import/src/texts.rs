//! Texts of messages, results and arguments.

use serde_json::Value;

use crate::MAX_TEXT_CHARS;

/// Cuts a text to what is kept of one.
pub(crate) fn clip(mut text: String) -> String {
    if text.len() > MAX_TEXT_CHARS
        && let Some((end, _)) = text.char_indices().nth(MAX_TEXT_CHARS)
    {
        text.truncate(end);
    }
    text
}

/// Cuts the texts in a value.
pub(crate) fn clip_value(value: Value) -> Value {
    match value {
        Value::String(text) => Value::String(clip(text)),
        Value::Array(items) => items.into_iter().map(clip_value).collect(),
        Value::Object(fields) => fields.into_iter().map(|(name, value)| (name, clip_value(value))).collect(),
        scalar => scalar,
    }
}

/// Returns the arguments of a call: parsed where they are JSON in a string.
pub(crate) fn arguments(value: Value) -> Value {
    let value = match value {
        Value::String(text) => serde_json::from_str(&text).unwrap_or(Value::String(text)),
        value => value,
    };
    clip_value(value)
}

/// Returns the text of a message or a result: a string, or parts of which those that are no text are named. What a
/// model reasoned is no part of what it said.
pub(crate) fn content(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        Value::Array(parts) => {
            let texts: Vec<String> = parts.iter().filter_map(part).collect();
            texts.join("\n")
        }
        Value::Object(_) => part(value).unwrap_or_default(),
        scalar => scalar.to_string(),
    }
}

fn part(part: &Value) -> Option<String> {
    if let Value::String(text) = part {
        return Some(text.clone());
    }
    let kind = part.get("type").and_then(Value::as_str);
    if matches!(kind, Some("reasoning" | "thinking" | "redacted_thinking")) {
        return None;
    }
    let text = ["text", "content"].into_iter().find_map(|field| part.get(field).and_then(Value::as_str));
    Some(match text {
        Some(text) => text.to_owned(),
        None if kind.is_none() && part.is_object() => part.to_string(),
        None => format!("[{}]", kind.unwrap_or("part")),
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn texts_are_cut_at_characters() {
        assert_eq!(clip("ä".repeat(MAX_TEXT_CHARS)).chars().count(), MAX_TEXT_CHARS);
        let long = "ä".repeat(MAX_TEXT_CHARS + 1);
        let cut = clip_value(json!({"a": [long, 1]}));
        assert_eq!(cut["a"][0].as_str().unwrap().chars().count(), MAX_TEXT_CHARS);
        assert_eq!(cut["a"][1], 1);
    }

    #[test]
    fn contents_are_texts() {
        let check = |value: Value, expected: &str| assert_eq!(content(&value), expected);
        check(json!("a"), "a");
        check(json!(null), "");
        check(json!([{"type": "text", "text": "a"}, {"type": "image"}, "b"]), "a\n[image]\nb");
        check(json!([{"type": "reasoning", "reasoning": "r"}, {"type": "text", "content": "a"}]), "a");
        check(json!({"rows": 3}), "{\"rows\":3}");
        check(json!(7), "7");
    }

    #[test]
    fn arguments_in_strings_are_parsed() {
        assert_eq!(arguments(json!("{\"a\": 1}")), json!({"a": 1}));
        assert_eq!(arguments(json!("ls -l")), json!("ls -l"));
        assert_eq!(arguments(json!(null)), json!(null));
    }
}
