//! `memory status`

use std::collections::BTreeMap;
use std::time::Duration;

use agent_memory::Status;
use agent_memory::status::{BreakerState, DeadLetter, Mode};
use serde_json::{Value, json};

use super::view;
use crate::cli::Global;
use crate::corrupt::{self, CorruptFile};
use crate::failure::{Exit, Failure};
use crate::output::Output;
use crate::output::style::{self, paint};
use crate::session::Session;
use crate::text;

/// Dead letters that are shown.
pub(super) const DEAD_LETTERS_SHOWN: usize = 20;

pub(crate) async fn run(global: &Global, output: &mut Output) -> Result<Exit, Failure> {
    let session = Session::open(global, output).await?;
    let status = session.memory.status().await;
    let dead_letters = session.memory.dead_letters(0, DEAD_LETTERS_SHOWN).await?;
    if output.is_json() {
        output.object(&object(&session, &status, &dead_letters)?)?;
    } else {
        for line in lines(&session, &status, &dead_letters, output.columns()) {
            output.line(line)?;
        }
    }
    session.close().await?;
    Ok(Exit::Done)
}

/// Returns the status as `--json` shows it: the engine's own fields, and where the memory is.
pub(super) fn object(
    session: &Session,
    status: &Status,
    dead_letters: &[DeadLetter],
) -> Result<Value, Failure> {
    let mut object = serde_json::to_value(status).map_err(|source| {
        agent_memory::Error::new(agent_memory::ErrorKind::Corrupt, "status", "the status is not JSON")
            .with_source(source)
    })?;
    object["folder"] = session.folder.display().to_string().into();
    object["url"] = json!(session.url);
    object["embedding_model"] = json!(session.memory.embedding_model());
    object["version"] = env!("CARGO_PKG_VERSION").into();
    object["warnings"] = json!(warnings(status, &corrupt::find(&session.folder)));
    object["dead_letters"] = view::dead_letters_json(dead_letters);
    Ok(object)
}

/// Returns the repairs of opening, and files that earlier repairs left in the folder.
fn warnings(status: &Status, corrupt: &[CorruptFile]) -> Vec<String> {
    status.warnings.iter().cloned().chain(corrupt.iter().map(CorruptFile::meaning)).collect()
}

/// Returns the status for people.
pub(super) fn lines(
    session: &Session,
    status: &Status,
    dead_letters: &[DeadLetter],
    columns: usize,
) -> Vec<String> {
    let engine = &status.engine;
    let corrupt = corrupt::find(&session.folder);
    let mut lines: Vec<String> = warnings(status, &corrupt)
        .iter()
        .map(|warning| {
            format!("{} {}", paint(style::BAD.bold(), format!("{:<10}", "warning")), text::one_line(warning))
        })
        .collect();
    let mut add = |name: &str, content: String| {
        lines.push(format!("{}{content}", paint(style::FAINT, format!("{name:<11}"))))
    };
    let namespace = text::one_line(&status.namespace);
    add(
        "memory",
        format!(
            "{}, namespace {namespace}",
            paint(style::TITLE, text::one_line(&session.folder.display().to_string()))
        ),
    );
    match (&engine.mode, &session.url) {
        (Mode::Local, _) => {
            add("mode", "local: acknowledged means fsynced in a libsql file of the folder".into())
        }
        (Mode::Remote, url) => {
            let url = text::one_line(url.as_deref().unwrap_or_default());
            add("mode", format!("remote: acknowledged means fsynced here, then sent to {url}"));
        }
    }
    add("records", counted(status.engine.records.as_ref()));
    add(
        "recall",
        format!(
            "{} indexed, {} in memory",
            text::count(engine.indexed, "episode"),
            text::bytes(engine.index_bytes)
        ),
    );
    if let Some(model) = session.memory.embedding_model() {
        add("model", text::one_line(model));
    }
    if let Some(cache) = &engine.cache {
        let spoilt = if cache.corrupt > 0 {
            format!(", {} unreadable", text::number(cache.corrupt))
        } else {
            String::new()
        };
        let figures = format!(
            "{}, {} of {}, {}{spoilt}",
            text::count(cache.records, "record"),
            text::bytes(cache.bytes),
            text::bytes(cache.limit_bytes),
            hits(cache.hits, cache.misses)
        );
        add("cache", figures);
    } else {
        add("cache", paint(style::UNSURE, "cannot be read; reads go to the durable tier"));
    }
    if let Some(error) = &engine.cache_error {
        add("", paint(style::UNSURE, format!("last cache error: {}", text::one_line(error))));
    }
    if let Some(outbox) = &engine.outbox {
        let age = outbox.oldest_age_ms.map_or(String::new(), |age| {
            format!(", the oldest from {}", text::ago(Duration::from_millis(age)))
        });
        let figures = match outbox.rows {
            // Records that no server has acknowledged, or that could not be read, may not have arrived.
            0 if engine.sync.last_sync.is_none() || corrupt.iter().any(|file| file.is_outbox) => {
                "nothing waits".into()
            }
            0 if outbox.dead_letters > 0 => paint(
                style::BAD,
                format!("nothing waits; {} refused, not on the server", outbox.dead_letters),
            ),
            0 => paint(style::GOOD, "empty: the server has everything"),
            rows => paint(
                style::UNSURE,
                format!("{} wait ({}{age})", text::count(rows, "row"), text::bytes(outbox.bytes)),
            ),
        };
        add("outbox", figures);
        if outbox.dead_letters > 0 {
            let told = format!(
                "{} ({}), not on the server; `memory sync retry` sends them again",
                text::number(outbox.dead_letters),
                text::bytes(outbox.dead_letter_bytes)
            );
            add("refused", paint(style::BAD, told));
        }
    }
    if let Some(breaker) = &engine.breaker {
        let told = match breaker.state {
            BreakerState::Closed if engine.records.is_none() => paint(style::BAD, "does not answer"),
            BreakerState::Closed => paint(style::GOOD, "answers"),
            BreakerState::HalfOpen => paint(style::UNSURE, "being probed"),
            BreakerState::Open if breaker.needs_attention => paint(style::BAD, "refuses this client"),
            BreakerState::Open => paint(
                style::BAD,
                format!("away, next try in {}", text::duration(Duration::from_millis(breaker.retry_in_ms))),
            ),
        };
        add("server", told);
        if let Some(error) = breaker.last_error.as_deref().filter(|_| breaker.state != BreakerState::Closed) {
            add("", text::cut(&text::one_line(error), columns.saturating_sub(11)));
        }
    }
    let sync = &engine.sync;
    if engine.mode == Mode::Remote {
        add("last sync", sync.last_sync.map_or_else(|| "never by this process".into(), view::ago));
    }
    if let Some(error) = &sync.last_error {
        add("sync error", paint(style::BAD, text::cut(&text::one_line(error), columns.saturating_sub(11))));
    }
    if sync.unreadable > 0 {
        add("unreadable", format!("{} of a newer program", text::count(sync.unreadable, "row")));
    }
    lines.extend(view::dead_letter_lines(dead_letters, columns));
    lines
}

/// Renders how many records of each kind there are.
pub(super) fn counted(records: Option<&BTreeMap<&'static str, u64>>) -> String {
    let Some(records) = records else { return "unknown: the durable tier does not answer".into() };
    let counted: Vec<String> = records
        .iter()
        .filter(|(_, count)| **count > 0)
        .map(|(kind, count)| match *kind {
            // The word has no plural.
            "evidence" => format!("{} of evidence", text::count(*count, "piece")),
            kind => text::count(*count, &kind.replace('_', " ")),
        })
        .collect();
    if counted.is_empty() { "none yet".into() } else { counted.join(", ") }
}

fn hits(hits: u64, misses: u64) -> String {
    match hits + misses {
        0 => "not read yet".into(),
        reads => format!("{:.0}% of {} hit", hits as f64 * 100.0 / reads as f64, text::count(reads, "read")),
    }
}
