//! The files of an evaluation: every line must be good.

use std::fs::File;
use std::io::BufReader;
use std::path::Path;

use agent_memory::Recording;
use serde::Deserialize;
use serde_json::Value;

use crate::cli::Format;
use crate::failure::{Exit, Failure};
use crate::import::{BadLine, Defaults, Line, Lines, MAX_LINE_BYTES, parse};

/// An episode of a file, with what only the judge may know.
#[derive(Debug)]
pub(super) struct Row {
    pub(super) recording: Recording,
    pub(super) judge: Judge,
}

/// What a line says about its episode that the agent never saw.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Judge {
    /// Which task it is: lines of the same task are trials of it.
    #[serde(default)]
    pub(super) task_id: Value,
    /// The calls that solve the task.
    #[serde(default)]
    pub(super) reference_actions: Vec<Call>,
}

/// A call that should have been made.
#[derive(Debug, Deserialize)]
pub(super) struct Call {
    pub(super) name: String,
    #[serde(default)]
    pub(super) kwargs: Value,
}

/// Reads the episodes of a file. A bad line, or none at all, is an error.
pub(super) fn read(path: &Path, format: Format) -> Result<Vec<Row>, Failure> {
    let name = path.display().to_string();
    let file = File::open(path).map_err(|source| Failure::file(&name, &source))?;
    let mut lines = Lines::new(BufReader::new(file), MAX_LINE_BYTES);
    let mut rows = Vec::new();
    while let Some(line) = lines.next().map_err(|source| Failure::file(&name, &source))? {
        let row = match line {
            Line::TooLong => Err(BadLine(format!("longer than {} MiB", MAX_LINE_BYTES >> 20))),
            Line::Bytes(bytes) if bytes.trim_ascii().is_empty() => continue,
            Line::Bytes(bytes) => row(&bytes, format),
        };
        rows.push(row.map_err(|BadLine(reason)| bad(format!("{name}:{}: {reason}", lines.number)))?);
    }
    if rows.is_empty() {
        return Err(bad(format!("{name}: there are no lines in it")));
    }
    Ok(rows)
}

fn row(bytes: &[u8], format: Format) -> Result<Row, BadLine> {
    let recording = parse(bytes, format, &Defaults::default())?.recording;
    let judge =
        serde_json::from_slice(bytes).map_err(|error| BadLine(format!("not to be judged: {error}")))?;
    Ok(Row { recording, judge })
}

fn bad(message: String) -> Failure {
    let hint = "an evaluation needs every line; `memory import --help` shows the two shapes";
    Failure::Command { exit: Exit::BadLines, kind: "bad_line", message, hint: Some(hint.into()) }
}
