//! Session files of Claude Code: `~/.claude/projects/*/SESSION.jsonl` and `SESSION/subagents/agent-*.jsonl`.
//!
//! A session is a tree of lines (`parentUuid`). One trajectory is what follows from one prompt of the user,
//! up to the next prompt on any branch. A sub-agent's lines are a chain of their own, whose prompts come from
//! the agent.
//!
//! A trajectory may be given before the one that started it, because it ended earlier: the order is that of
//! the last lines, so that what a file gives is a prefix of what it gives once it has grown.

mod record;
mod tree;
mod turn;
mod words;

use std::collections::HashSet;
use std::io::{self, BufRead};
use std::ops::ControlFlow;

use serde_json::Value;

use crate::lines::{Line, Lines};
use crate::{MAX_LINE_BYTES, Sink};
use record::{Read, Record};

/// The name before every key, and of the agent.
const NAME: &str = "claude-code";

/// Types of lines in a session file.
const TYPES: [&str; 17] = [
    "user",
    "assistant",
    "system",
    "summary",
    "file-history-snapshot",
    "queue-operation",
    "progress",
    "pr-link",
    "agent-name",
    "custom-title",
    "last-prompt",
    "attachment",
    "permission-mode",
    "ai-title",
    "agent-setting",
    "bridge-session",
    "worktree-state",
];

/// Tells whether a record is a line of a session file.
pub(crate) fn looks_like(record: &Value) -> bool {
    let kind = record.get("type").and_then(Value::as_str);
    let has = |name: &str| record.get(name).is_some_and(Value::is_string);
    kind.is_some_and(|kind| TYPES.contains(&kind))
        && ["sessionId", "leafUuid", "messageId"].into_iter().any(has)
}

/// Reads a session file; its lines are in memory until its end, since a later line may lead away from an
/// earlier one.
pub(crate) fn read(input: &mut dyn BufRead, sink: &mut dyn Sink) -> io::Result<()> {
    let mut lines = Lines::new(input, MAX_LINE_BYTES);
    let mut records = Vec::new();
    let mut seen = HashSet::new();
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
            Line::Bytes(bytes) => record::read(lines.number, &bytes),
        };
        match read {
            Read::Record(record) => keep(*record, &mut records, &mut seen, sink),
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
    for (line, trajectory) in turn::trajectories(records) {
        if let ControlFlow::Break(()) = sink.trajectory(line, trajectory) {
            break;
        }
    }
    Ok(())
}

/// Keeps a record unless its line is a copy: a resumed session starts with the lines of the one before, and
/// compaction writes the lines that it preserves again.
fn keep(record: Record, records: &mut Vec<Record>, seen: &mut HashSet<String>, sink: &mut dyn Sink) {
    if let Some(kind) = record.says_nothing() {
        sink.skipped(&kind);
    }
    if record.uuid.as_ref().is_none_or(|uuid| seen.insert(uuid.clone())) {
        records.push(record);
    }
}
