//! What a call gave, as each version of Codex writes it.

use serde_json::Value;

use super::item::parts;
use crate::outcome::is_error_text;
use crate::texts::clip;
use crate::trajectory::ToolResult;

/// What a call gave.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Output {
    pub(super) text: String,
    pub(super) failed: bool,
    pub(super) duration_ms: Option<u64>,
}

/// Reads what a call gave. The marks of failure, newest first: `success` beside the content, an exit code in
/// the lines before the output, `metadata.exit_code` in JSON in a string; by the text where there is none.
pub(super) fn output(value: Value) -> Output {
    let success = value.get("success").and_then(Value::as_bool);
    let text = match value {
        Value::String(text) => text,
        Value::Object(mut fields) => {
            let content = fields.remove("content").or_else(|| fields.remove("output"));
            content.map(parts).unwrap_or_default().join("\n")
        }
        parts_of_it @ Value::Array(_) => parts(parts_of_it).join("\n"),
        _ => String::new(),
    };
    let json: Option<Value> = text.starts_with('{').then(|| serde_json::from_str(&text).ok()).flatten();
    if let Some(inner) = json.as_ref().filter(|json| json.get("metadata").is_some()) {
        let exit_code = inner.pointer("/metadata/exit_code").and_then(Value::as_i64);
        let seconds = inner.pointer("/metadata/duration_seconds").and_then(Value::as_f64);
        return Output {
            text: clip(inner.get("output").and_then(Value::as_str).unwrap_or("").to_owned()),
            failed: exit_code.is_some_and(|code| code != 0),
            // Not negative and far below 2^63: a duration in milliseconds.
            duration_ms: seconds.map(|seconds| (seconds * 1_000.0).round() as u64),
        };
    }
    let failed = match (success, exit_code(&text)) {
        (Some(success), _) => !success,
        (None, Some(code)) => code != 0,
        (None, None) => is_error_text(&text, json.as_ref()),
    };
    Output { text: clip(text), failed, duration_ms: None }
}

/// Returns what a call gave, as an agent reports it while it works: text with an exit code before it, JSON in a string, an
/// object or parts.
pub fn call_result(value: Value) -> ToolResult {
    let Output { text, failed, .. } = output(value);
    ToolResult { text, failed }
}

/// Returns the exit code that stands in the lines before an output.
fn exit_code(text: &str) -> Option<i64> {
    let head = text.lines().take(8).take_while(|line| !line.starts_with("Output:"));
    head.filter_map(|line| {
        let line = line.to_ascii_lowercase();
        let code = line.strip_prefix("exit code:").or_else(|| line.strip_prefix("process exited with code"));
        code.and_then(|code| code.trim().parse().ok())
    })
    .next()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn outputs_of_all_versions_tell_failure() {
        let check = |value: Value, text: &str, failed: bool, duration_ms: Option<u64>| {
            assert_eq!(output(value), Output { text: text.into(), failed, duration_ms });
        };
        let inner =
            |code: i64| json!({"output": "out", "metadata": {"exit_code": code, "duration_seconds": 0.25}});
        check(json!(inner(0).to_string()), "out", false, Some(250));
        check(json!(inner(2).to_string()), "out", true, Some(250));
        let text = "Exit code: 1\nWall time: 0.2 seconds\nOutput:\nno";
        check(json!(text), text, true, None);
        let text = "Chunk ID: a1\nProcess exited with code 0\nOutput:\nExit code: 1";
        check(json!(text), text, false, None);
        check(json!({"content": "bad", "success": false}), "bad", true, None);
        check(json!([{"type": "output_text", "text": "a"}, {"type": "x", "text": "b"}]), "a\nb", false, None);
        check(json!("error: no such file"), "error: no such file", true, None);
        check(json!("{\"status\":\"ok\"}"), "{\"status\":\"ok\"}", false, None);
        check(Value::Null, "", false, None);
    }
}
