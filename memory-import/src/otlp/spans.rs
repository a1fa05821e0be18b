//! Spans, without those that are not GenAI's.

use std::collections::{BTreeMap, HashMap};

use serde::Deserialize;
use serde_json::{Map, Value};

use crate::{MAX_DOCUMENT_BYTES, Sink, texts, times};

/// `TracesData`, or another signal's data.
#[derive(Deserialize)]
pub(super) struct Data {
    #[serde(default, alias = "resource_spans", rename = "resourceSpans")]
    resource_spans: Vec<ResourceSpans>,
    #[serde(flatten)]
    other: BTreeMap<String, serde::de::IgnoredAny>,
}

#[derive(Deserialize)]
struct ResourceSpans {
    #[serde(default)]
    resource: Resource,
    #[serde(default, rename = "scopeSpans", alias = "scope_spans", alias = "instrumentationLibrarySpans")]
    scope_spans: Vec<ScopeSpans>,
}

#[derive(Default, Deserialize)]
struct Resource {
    #[serde(default)]
    attributes: Vec<Attribute>,
}

#[derive(Deserialize)]
struct ScopeSpans {
    #[serde(default)]
    spans: Vec<RawSpan>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawSpan {
    #[serde(alias = "trace_id")]
    trace_id: String,
    #[serde(alias = "span_id")]
    span_id: String,
    #[serde(default, alias = "parent_span_id")]
    parent_span_id: Option<String>,
    #[serde(default, alias = "start_time_unix_nano")]
    start_time_unix_nano: Value,
    #[serde(default, alias = "end_time_unix_nano")]
    end_time_unix_nano: Value,
    #[serde(default)]
    attributes: Vec<Attribute>,
    #[serde(default)]
    events: Vec<RawEvent>,
    #[serde(default)]
    status: Value,
}

#[derive(Deserialize)]
struct RawEvent {
    #[serde(default)]
    name: String,
    #[serde(default)]
    attributes: Vec<Attribute>,
}

#[derive(Deserialize)]
struct Attribute {
    key: String,
    #[serde(default)]
    value: Value,
}

/// The ids of a trace and a span in it, in lower case.
pub(super) type Id = (String, String);

/// A span of GenAI.
#[derive(Debug)]
pub(super) struct Span {
    pub(super) id: Id,
    /// The last line with a span of the same trace, once all are read.
    pub(super) line: u64,
    pub(super) start_nanos: u64,
    pub(super) end_nanos: u64,
    pub(super) attributes: Map<String, Value>,
    pub(super) events: Vec<(String, Map<String, Value>)>,
    /// Whether it has the status of an error or an error's type, is marked as fine, or says nothing.
    pub(super) failed: Option<bool>,
    /// What went wrong.
    pub(super) error: Option<String>,
    pub(super) service: Option<String>,
}

/// The spans of a file.
#[derive(Default)]
pub(super) struct Spans {
    pub(super) kept: Vec<Span>,
    /// The span above each span.
    pub(super) above: HashMap<Id, String>,
    /// The last line of each trace.
    pub(super) last_line: HashMap<String, u64>,
    /// The texts kept so far, about.
    bytes: u64,
}

impl Spans {
    /// Adds the spans of a line; returns false if they are too many to keep.
    pub(super) fn add(&mut self, line: u64, data: Data, sink: &mut dyn Sink) -> bool {
        for name in data.other.keys() {
            sink.skipped(name);
        }
        for resource in data.resource_spans {
            let resource_attributes = decoded(resource.resource.attributes);
            let service = resource_attributes.get("service.name").and_then(Value::as_str);
            for span in resource.scope_spans.into_iter().flat_map(|scope| scope.spans) {
                self.span(line, span, service, sink);
            }
        }
        self.bytes <= MAX_DOCUMENT_BYTES
    }

    fn span(&mut self, line: u64, raw: RawSpan, service: Option<&str>, sink: &mut dyn Sink) {
        let id = (raw.trace_id.to_ascii_lowercase(), raw.span_id.to_ascii_lowercase());
        let above = raw.parent_span_id.unwrap_or_default().to_ascii_lowercase();
        // A span at the top has none, or zeros.
        if above.bytes().any(|digit| digit != b'0') {
            self.above.insert(id.clone(), above);
            self.bytes += 64;
        }
        if !raw.attributes.iter().any(|attribute| attribute.key.starts_with("gen_ai.")) {
            sink.skipped("span that is not of GenAI");
            return;
        }
        self.last_line.insert(id.0.clone(), line);
        let attributes = decoded(raw.attributes);
        let events: Vec<_> =
            raw.events.into_iter().map(|event| (event.name, decoded(event.attributes))).collect();
        let code = raw.status.get("code").unwrap_or(&Value::Null);
        let text = |attributes: &Map<String, Value>, name: &str| {
            attributes.get(name).and_then(Value::as_str).map(str::to_owned)
        };
        let error_type = text(&attributes, "error.type");
        let failed = match (code.as_u64(), code.as_str()) {
            (Some(2), _) | (_, Some("STATUS_CODE_ERROR")) => Some(true),
            _ if error_type.is_some() => Some(true),
            (Some(1), _) | (_, Some("STATUS_CODE_OK")) => Some(false),
            _ => None,
        };
        let message = raw.status.get("message").and_then(Value::as_str).map(str::to_owned);
        let thrown = || events.iter().rev().find_map(|(_, attributes)| text(attributes, "exception.message"));
        let error = message.filter(|message| !message.is_empty()).or_else(thrown).or(error_type);
        self.bytes += size(&attributes) + events.iter().map(|(_, attributes)| size(attributes)).sum::<u64>();
        self.kept.push(Span {
            id,
            line,
            start_nanos: times::nanos(&raw.start_time_unix_nano).unwrap_or(0),
            end_nanos: times::nanos(&raw.end_time_unix_nano).unwrap_or(0),
            attributes,
            events,
            failed,
            error,
            service: service.map(str::to_owned),
        });
    }
}

impl Span {
    /// Returns the value of an attribute.
    pub(super) fn get(&self, name: &str) -> Option<&Value> {
        self.attributes.get(name)
    }

    /// Returns an attribute that is a text.
    pub(super) fn text(&self, name: &str) -> Option<&str> {
        self.get(name).and_then(Value::as_str).filter(|text| !text.is_empty())
    }

    /// Returns the operation; conventions before `gen_ai.operation.name` had only inference.
    pub(super) fn operation(&self) -> &str {
        match self.text("gen_ai.operation.name") {
            Some(operation) => operation,
            None if self.text("gen_ai.tool.name").is_some() => "execute_tool",
            None => "chat",
        }
    }

    /// Returns the tokens of an inference.
    pub(super) fn tokens(&self) -> Option<u64> {
        let count = |names: [&str; 2]| names.into_iter().find_map(|name| self.get(name)?.as_u64());
        let input = count(["gen_ai.usage.input_tokens", "gen_ai.usage.prompt_tokens"]);
        let output = count(["gen_ai.usage.output_tokens", "gen_ai.usage.completion_tokens"]);
        (input.is_some() || output.is_some()).then(|| input.unwrap_or(0).saturating_add(output.unwrap_or(0)))
    }
}

fn decoded(attributes: Vec<Attribute>) -> Map<String, Value> {
    attributes
        .into_iter()
        .map(|attribute| (attribute.key, texts::clip_value(any_value(attribute.value))))
        .collect()
}

/// Returns the value of an `AnyValue`: numbers of 64 bits are strings in JSON.
fn any_value(value: Value) -> Value {
    let Value::Object(fields) = value else { return Value::Null };
    let Some((kind, value)) = fields.into_iter().next() else { return Value::Null };
    match (kind.as_str(), value) {
        ("intValue" | "int_value", Value::String(text)) => {
            text.parse::<i64>().map_or(Value::String(text), Value::from)
        }
        ("arrayValue" | "array_value", mut value) => match value.get_mut("values").map(Value::take) {
            Some(Value::Array(values)) => values.into_iter().map(any_value).collect(),
            _ => Value::Array(Vec::new()),
        },
        ("kvlistValue" | "kvlist_value", mut value) => {
            let values = value.get_mut("values").map(Value::take).unwrap_or_default();
            let pairs = Vec::<Attribute>::deserialize(values).unwrap_or_default();
            pairs.into_iter().map(|pair| (pair.key, any_value(pair.value))).collect()
        }
        (_, value) => value,
    }
}

/// Returns about how much a value takes.
fn size(attributes: &Map<String, Value>) -> u64 {
    fn of(value: &Value) -> u64 {
        32 + match value {
            Value::String(text) => text.len() as u64,
            Value::Array(items) => items.iter().map(of).sum(),
            Value::Object(fields) => size(fields),
            _ => 0,
        }
    }
    attributes.iter().map(|(name, value)| name.len() as u64 + of(value)).sum()
}

#[cfg(test)]
mod tests {
    use std::ops::ControlFlow;

    use serde_json::json;

    use super::*;

    struct Counting(u64);

    impl Sink for Counting {
        fn trajectory(&mut self, _: u64, _: crate::Trajectory) -> ControlFlow<()> {
            ControlFlow::Continue(())
        }
        fn bad(&mut self, _: u64, _: String) -> ControlFlow<()> {
            ControlFlow::Continue(())
        }
        fn skipped(&mut self, _: &str) {
            self.0 += 1;
        }
        fn progress(&mut self, _: u64) {}
    }

    #[test]
    fn spans_that_are_kept_are_bounded_and_others_are_not_kept() {
        let data = |key: &str| {
            let attributes = json!([{"key": key, "value": {"stringValue": "x".repeat(1_000)}}]);
            let span = json!({"traceId": "1", "spanId": "2", "attributes": attributes});
            let spans = json!({"resourceSpans": [{"scopeSpans": [{"spans": [span]}]}]});
            Data::deserialize(spans).unwrap()
        };
        let (mut spans, mut sink) = (Spans::default(), Counting(0));
        assert!(spans.add(1, data("http.route"), &mut sink));
        assert_eq!((spans.bytes, spans.kept.len(), sink.0), (0, 0, 1));
        assert!(spans.add(2, data("gen_ai.tool.name"), &mut sink));
        assert!(spans.bytes > 1_000);
        spans.bytes = MAX_DOCUMENT_BYTES;
        assert!(!spans.add(3, data("gen_ai.tool.name"), &mut sink));
    }

    #[test]
    fn values_of_any_type_are_decoded() {
        let check = |value: Value, expected: Value| assert_eq!(any_value(value), expected);
        check(json!({"stringValue": "a"}), json!("a"));
        check(json!({"intValue": "7"}), json!(7));
        check(json!({"intValue": 7}), json!(7));
        check(json!({"doubleValue": 0.5}), json!(0.5));
        check(json!({"boolValue": true}), json!(true));
        check(json!({"arrayValue": {"values": [{"intValue": "1"}, {}]}}), json!([1, null]));
        check(json!({"arrayValue": {}}), json!([]));
        let pairs = json!({"kvlistValue": {"values": [{"key": "a", "value": {"stringValue": "b"}}]}});
        check(pairs, json!({"a": "b"}));
    }
}
