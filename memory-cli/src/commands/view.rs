//! How episodes look, to people and to programs.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use agent_memory::learning::ToolUse;
use agent_memory::status::DeadLetter;
use agent_memory::{Episode, Freshness, Outcome, Recall, StepResult, Timestamp};
use anstyle::Style;
use serde_json::{Value, json};

use crate::failure::Failure;
use crate::output::Output;
use crate::output::style::{self, paint};
use crate::text;

/// Returns how long ago something was.
pub(super) fn ago(at: Timestamp) -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    text::ago(now.saturating_sub(Duration::from_millis(at.0)))
}

/// Returns how an episode ended, in a word, with its look.
pub(super) fn verdict(episode: &Episode) -> (String, Style) {
    match &episode.outcome {
        Some(Outcome::Partial { fraction, .. }) => {
            (format!("partial {:.0}%", fraction * 100.0), style::UNSURE)
        }
        Some(outcome @ Outcome::Success { .. }) => (outcome.verdict().to_string(), style::GOOD),
        Some(outcome @ Outcome::Failure { .. }) => (outcome.verdict().to_string(), style::BAD),
        Some(outcome) => (outcome.verdict().to_string(), style::UNSURE),
        None => ("open".into(), style::NAME),
    }
}

/// Returns the mark of a step's result, with its look.
pub(super) fn mark(result: StepResult) -> (&'static str, Style) {
    match result {
        StepResult::Success => ("✓", style::GOOD),
        StepResult::Error => ("✗", style::BAD),
        StepResult::Timeout => ("?", style::UNSURE),
    }
}

/// Returns the labels of an episode: kind, domain, agent.
pub(super) fn labels(episode: &Episode) -> String {
    let task = &episode.task;
    let labels = [&task.kind, &task.domain, &task.agent];
    let labels: Vec<&str> = labels.into_iter().flatten().map(String::as_str).collect();
    labels.join(" · ")
}

/// Returns the tools of an episode: `bash ×3 (1 failed), edit`.
pub(super) fn tools(uses: &[ToolUse]) -> String {
    let tools: Vec<String> = uses
        .iter()
        .map(|used| {
            let calls = if used.calls > 1 { format!(" ×{}", used.calls) } else { String::new() };
            let failed =
                if used.failures > 0 { format!(" ({} failed)", used.failures) } else { String::new() };
            format!("{}{calls}{failed}", used.tool)
        })
        .collect();
    tools.join(", ")
}

/// Returns the lines of a recall's answer for people; empty if nothing was found.
pub(super) fn recalled(recall: &Recall, columns: usize) -> Vec<String> {
    let mut lines = Vec::new();
    for (rank, item) in recall.episodes.iter().enumerate() {
        let episode = &item.episode;
        let (verdict, look) = verdict(episode);
        if rank > 0 {
            lines.push(String::new());
        }
        lines.push(format!(
            "{} {}  {}  {}",
            paint(style::TITLE, format!("{}.", rank + 1)),
            paint(look.bold(), verdict),
            paint(style::NAME, format!("{:.2}", item.score)),
            paint(
                style::FAINT,
                text::one_line(&format!("{} · {}", labels(episode), ago(episode.started_at)))
            ),
        ));
        let mut add =
            |name: &str, content: &str, most| field(&mut lines, "   ", name, content, columns, most);
        add("task", &episode.task.description, 2);
        add("result", &episode.outcome.as_ref().map(ToString::to_string).unwrap_or_default(), 2);
        add("tools", &tools(&episode.tools), 2);
        add("why", &item.reasons.join("; "), 2);
        add("id", &item.id.to_string(), 1);
    }
    lines
}

/// Appends a text wrapped after its name, in at most this many lines; nothing for an empty text.
pub(super) fn field(
    lines: &mut Vec<String>,
    margin: &str,
    name: &str,
    content: &str,
    columns: usize,
    most: usize,
) {
    const NAME_COLUMNS: usize = 8;
    let indent = margin.len() + NAME_COLUMNS;
    let room = columns.saturating_sub(indent).max(20);
    let mut wrapped = text::wrap(&text::one_line(content), room);
    if wrapped.len() > most {
        let rest = wrapped.split_off(most - 1).join(" ");
        wrapped.push(text::cut(&rest, room));
    }
    for (index, line) in wrapped.iter().enumerate() {
        let name = if index == 0 { name } else { "" };
        lines.push(format!("{margin}{}{line}", paint(style::FAINT, format!("{name:<NAME_COLUMNS$}"))));
    }
}

/// Returns the age of an answer, as `--json` shows it: in milliseconds, `null` if it is current.
pub(super) fn stale_ms(freshness: Freshness) -> Value {
    match freshness {
        Freshness::Fresh => Value::Null,
        Freshness::Stale { age } => Value::from(u64::try_from(age.as_millis()).unwrap_or(u64::MAX)),
    }
}

/// Informs people that an answer may be out of date.
pub(super) fn tell_stale(freshness: Freshness, output: &mut Output) -> Result<(), Failure> {
    let Freshness::Stale { age } = freshness else { return Ok(()) };
    let remark = format!("the durable tier does not answer; this is what was known {}", text::ago(age));
    Ok(output.note("note", style::UNSURE, remark)?)
}

/// Returns dead letters as `--json` shows them.
pub(super) fn dead_letters_json(rows: &[DeadLetter]) -> Value {
    rows.iter()
        .map(|row| {
            let key = row.record.as_ref().map(|record| record.key.to_string());
            json!({"seq": row.seq, "at": row.at, "record": key, "reason": row.reason})
        })
        .collect()
}

/// Returns dead letters as lines for people.
pub(super) fn dead_letter_lines(rows: &[DeadLetter], columns: usize) -> Vec<String> {
    rows.iter()
        .map(|row| {
            let key =
                row.record.as_ref().map_or("(does not decode)".to_owned(), |record| record.key.to_string());
            let line = format!("{key}  {}  {}", ago(row.at), text::one_line(&row.reason));
            format!(
                "  {} {}",
                paint(style::BAD, "✗"),
                text::cut(&text::one_line(&line), columns.saturating_sub(4))
            )
        })
        .collect()
}
