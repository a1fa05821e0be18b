//! OpenTelemetry's GenAI spans as OTLP JSON: one `TracesData` a line, as the Collector's file exporter writes
//! them, or one document.
//!
//! An `invoke_agent` span is a task; the nearest one above it is its parent. Its steps come from the
//! `execute_tool` and inference spans below it. Spans stand in no order and those of a trace may be spread over
//! lines, so a file is read to its end first. Spans without GenAI attributes are dropped at once, but for which
//! span is above them.
//!
//! Messages are opt-in: a task whose prompt was not recorded is nothing to learn from, and is skipped.
//!
//! Besides the names of the conventions 1.37 and later, these older ones are read: `gen_ai.system`;
//! `gen_ai.prompt.N.*` and `gen_ai.completion.N.*`; the span events `gen_ai.user.message`,
//! `gen_ai.assistant.message`, `gen_ai.tool.message` and `gen_ai.choice`; `gen_ai.usage.prompt_tokens` and
//! `gen_ai.usage.completion_tokens`.

mod messages;
mod spans;
mod tree;

use std::io::{self, BufRead};

use serde_json::Value;

use crate::{MAX_DOCUMENT_BYTES, Sink, documents};
use spans::{Data, Spans};

/// Tells whether a document has spans.
pub(crate) fn looks_like(document: &Value) -> bool {
    ["resourceSpans", "resource_spans"]
        .into_iter()
        .any(|name| document.get(name).is_some_and(Value::is_array))
}

/// Reads the spans of a file, then gives their tasks in the order of their beginnings, parents first.
pub(crate) fn read(input: &mut dyn BufRead, sink: &mut dyn Sink) -> io::Result<()> {
    let mut spans = Spans::default();
    let mut stopped = false;
    documents::each(input, sink, &mut |line, data: Data, sink| {
        let flow = if spans.add(line, data, sink) {
            std::ops::ControlFlow::Continue(())
        } else {
            let _ = sink.bad(line, format!("more than {} MiB of spans up to here", MAX_DOCUMENT_BYTES >> 20));
            std::ops::ControlFlow::Break(())
        };
        stopped |= flow.is_break();
        flow
    })?;
    // Half of the spans would be half of each task, under its key.
    if !stopped {
        tree::tasks(spans, sink);
    }
    Ok(())
}
