//! Rollout files of Codex CLI: `~/.codex/sessions/YYYY/MM/DD/rollout-*.jsonl`.
//!
//! One trajectory is one turn. Current versions give turns ids; in older files a turn is what follows from
//! one prompt, and its number among the prompts identifies it. Most messages are there twice, as an event and
//! as a response item.

mod item;
mod output;
mod rollout;
mod turn;

pub use output::call_result;

use std::io::{self, BufRead};

use serde_json::Value;

use crate::lines::{Line, Lines};
use crate::{MAX_LINE_BYTES, Sink};
use item::Read;

/// The name before every key, and of the agent.
const NAME: &str = "codex";

/// Types of lines in a rollout file.
const TYPES: [&str; 6] =
    ["session_meta", "response_item", "turn_context", "event_msg", "compacted", "world_state"];

/// Tells whether a record is a line of a rollout file.
pub(crate) fn looks_like(record: &Value) -> bool {
    let kind = record.get("type").and_then(Value::as_str);
    let is_current =
        kind.is_some_and(|kind| TYPES.contains(&kind)) && record.get("payload").is_some_and(Value::is_object);
    // The first line of files of 2025 has no type.
    let is_first = kind.is_none()
        && record.get("id").is_some_and(Value::is_string)
        && record.get("timestamp").is_some_and(Value::is_string)
        && record.get("instructions").is_some();
    is_current || is_first
}

/// Reads a rollout file; its items are in memory until its end, since which copy of a message counts depends
/// on the whole file.
pub(crate) fn read(input: &mut dyn BufRead, sink: &mut dyn Sink) -> io::Result<()> {
    let mut lines = Lines::new(input, MAX_LINE_BYTES);
    let mut items = Vec::new();
    // A line that ends too early is one that is being written if it is the last.
    let mut torn: Option<(u64, String)> = None;
    while let Some(line) = lines.next()? {
        if let Some((number, reason)) = torn.take()
            && sink.bad(number, reason).is_break()
        {
            return Ok(());
        }
        let read = match line {
            Line::TooLong => Read::Bad { reason: "longer than a line may be".into(), is_torn: false },
            Line::Bytes(bytes) if bytes.iter().all(u8::is_ascii_whitespace) => continue,
            Line::Bytes(bytes) => item::read(lines.number, &bytes),
        };
        match read {
            Read::Item(item) => items.push(item),
            Read::Skipped(kind) => sink.skipped(&kind),
            Read::Bad { reason, is_torn: true } => torn = Some((lines.number, reason)),
            Read::Bad { reason, .. } => {
                if sink.bad(lines.number, reason).is_break() {
                    return Ok(());
                }
            }
        }
        sink.progress(lines.position);
    }
    if torn.is_some() {
        sink.skipped("unfinished line");
    }
    match rollout::trajectories(items) {
        Ok(found) => {
            for _ in 0..found.copied {
                sink.skipped("copied turn");
            }
            for (line, trajectory) in found.trajectories {
                if sink.trajectory(line, trajectory).is_break() {
                    break;
                }
            }
        }
        // Without the session's id there are no keys.
        Err(rollout::NoSession) => {
            let _ = sink.bad(1, "no session_meta with an id".into());
        }
    }
    Ok(())
}
