//! Reading values out of JSON whose shape nobody guarantees.

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use crate::texts::clip_value;

/// Labels that a line of JSON Lines may have.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct LineLabels {
    pub(crate) kind: Option<String>,
    pub(crate) domain: Option<String>,
    pub(crate) agent: Option<String>,
    #[serde(default)]
    pub(crate) tags: Vec<String>,
}

/// Parses a line or a document; the error is a reason for [`crate::Sink::bad`].
pub(crate) fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, String> {
    let text = std::str::from_utf8(bytes)
        .map_err(|error| format!("not UTF-8 from byte {} on", error.valid_up_to() + 1))?;
    serde_json::from_str(text).or_else(|error| {
        // Python writes NaN and Infinity, which JSON does not have.
        let plain = without_constants(text).ok_or_else(|| reason(&error));
        serde_json::from_str(&plain.map_err(|reason| format!("not JSON: {reason}"))?)
            .map_err(|error| format!("not JSON: {}", reason(&error)))
    })
}

/// Replaces `NaN`, `Infinity` and `-Infinity` outside strings with `null`; `None` if there are none.
fn without_constants(text: &str) -> Option<String> {
    let (mut plain, mut rest, mut found) = (String::new(), text, false);
    let mut in_string = false;
    while let Some(at) = rest.find(['"', '\\', 'N', 'I', '-']) {
        let (before, behind) = rest.split_at(at);
        plain.push_str(before);
        let constant = ["NaN", "Infinity", "-Infinity"].into_iter().find(|it| behind.starts_with(it));
        let taken = match constant {
            Some(constant) if !in_string => {
                found = true;
                plain.push_str("null");
                constant.len()
            }
            _ => {
                let length = match behind.as_bytes()[0] {
                    // An escape and what it escapes, which may be a quote.
                    b'\\' => 1 + behind[1..].chars().next().map_or(0, char::len_utf8),
                    _ => 1,
                };
                in_string ^= behind.starts_with('"');
                plain.push_str(&behind[..length]);
                length
            }
        };
        rest = &behind[taken..];
    }
    plain.push_str(rest);
    found.then_some(plain)
}

/// Tells what is wrong without "at line 1", which is not the line of the file.
pub(crate) fn reason(error: &serde_json::Error) -> String {
    error.to_string().replace(" at line 1 column ", " at column ")
}

/// Reads the fields of a line, and its labels; what is wrong is said with the field.
pub(crate) fn read_fields<T: DeserializeOwned>(line: Value, what: &str) -> Result<(T, LineLabels), String> {
    let bad = |error: serde_path_to_error::Error<serde_json::Error>| {
        let (field, reason) = (error.path().to_string(), reason(error.inner()));
        // The types are not those of this program but of JSON.
        let reason = reason
            .replace("expected f64", "expected a number")
            .replace("expected a sequence", "expected a list");
        let field = if field == "." { String::new() } else { format!("{field}: ") };
        format!("{what}: {field}{reason}")
    };
    let labels = serde_path_to_error::deserialize(&line).map_err(bad)?;
    Ok((serde_path_to_error::deserialize(line).map_err(bad)?, labels))
}

/// Returns a scalar as text: ids are numbers in one source and strings in another.
pub(crate) fn scalar(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()).filter(|text| !text.is_empty()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

/// Returns the text of a field; `None` if it has none or a blank one.
pub(crate) fn text<'v>(value: &'v Value, field: &str) -> Option<&'v str> {
    value.get(field).and_then(Value::as_str).filter(|text| !text.trim().is_empty())
}

/// Returns the items of a field; none if it is no array.
pub(crate) fn items<'v>(value: &'v Value, field: &str) -> &'v [Value] {
    value.get(field).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

/// Adds an attribute unless it is null. Its texts are cut as others are.
pub(crate) fn attribute(attributes: &mut Map<String, Value>, name: &str, value: Option<&Value>) {
    if let Some(value) = value.filter(|value| !value.is_null()) {
        attributes.insert(name.to_owned(), clip_value(value.clone()));
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn constants_of_python_are_null() {
        let check = |text: &str, expected: Value| assert_eq!(parse::<Value>(text.as_bytes()), Ok(expected));
        check(r#"{"a": NaN, "b": [-Infinity, Infinity, -1]}"#, json!({"a": null, "b": [null, null, -1]}));
        check(
            r#"["NaN", "\"NaN", "\\", NaN, "ä Infinity"]"#,
            json!(["NaN", "\"NaN", "\\", null, "ä Infinity"]),
        );
        let error = parse::<Value>(b"{\"a\": Nope}").unwrap_err();
        assert_eq!(error, "not JSON: expected value at column 7");
    }

    #[test]
    fn what_is_no_json_is_said_without_a_line() {
        let check = |bytes: &[u8], expected: &str| {
            assert_eq!(parse::<Value>(bytes), Err(expected.to_owned()));
        };
        check(b"{\"a\": \xff}", "not UTF-8 from byte 7 on");
        check(b"{\"a\": ", "not JSON: EOF while parsing a value at column 6");
        let deep = [b"[".repeat(200), b"]".repeat(200)].concat();
        check(&deep, "not JSON: recursion limit exceeded at column 128");
    }
}
