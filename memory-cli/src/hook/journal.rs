//! The log of the hook: one line an event, with why it said nothing.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};

use super::Said;
use super::answer::Shape;

/// From this size on the log is moved to `hook.log.1`, whose content goes.
const MAX_BYTES: u64 = 512 << 10;
/// Lines that `--why` shows.
const SHOWN: usize = 20;

/// What is known of an event for the log.
#[derive(Debug)]
pub(crate) struct Line {
    pub(crate) agent: String,
    pub(crate) event: String,
    pub(crate) answers: Option<Shape>,
}

impl Line {
    pub(crate) fn new(agent: Option<&str>) -> Self {
        Self { agent: agent.unwrap_or("unknown").to_owned(), event: "unknown".to_owned(), answers: None }
    }

    /// Returns the answer as the agent takes it.
    pub(crate) fn answer(&self, text: &str) -> Option<Value> {
        self.answers.as_ref().map(|shape| shape.render(text))
    }
}

/// The log, in the folder of the memory.
#[derive(Debug)]
pub(crate) struct Journal {
    path: PathBuf,
}

impl Journal {
    pub(crate) fn new(folder: &Path) -> Self {
        Self { path: folder.join("hook.log") }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Adds a line. A log that cannot be written is done without: there is nobody to tell.
    pub(crate) fn note(&self, line: &Line, said: &Said, taken: Duration) {
        let at = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as u64);
        let entry = json!({
            "at": at,
            "agent": line.agent,
            "event": line.event,
            "said": said.text.as_ref().map_or(0, |text| text.chars().count()),
            "why": said.why,
            "ms": taken.as_millis() as u64,
        });
        if fs::metadata(&self.path).is_ok_and(|metadata| metadata.len() > MAX_BYTES) {
            let _another_moved_it = fs::rename(&self.path, self.path.with_extension("log.1"));
        }
        // Before there is a memory, a log may say why there is none.
        if let Some(folder) = self.path.parent().filter(|folder| !folder.exists()) {
            let _nobody_to_tell = private_folder(folder);
        }
        // One write a line: processes that write at the same time do not mix.
        let text = format!("{entry}\n");
        let file = OpenOptions::new().create(true).append(true).open(&self.path);
        let _nobody_to_tell = file.and_then(|mut file| file.write_all(text.as_bytes()));
    }

    /// Returns the last lines, the newest last.
    pub(crate) fn last(&self) -> Vec<Value> {
        let text = fs::read_to_string(&self.path).unwrap_or_default();
        let lines: Vec<Value> =
            text.lines().rev().take(SHOWN).filter_map(|line| serde_json::from_str(line).ok()).collect();
        lines.into_iter().rev().collect()
    }
}

/// Makes a folder that only its user may read, as that of a memory is.
fn private_folder(folder: &Path) -> std::io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(folder)
}

/// Renders a line of the log.
pub(crate) fn shown(line: &Value) -> String {
    let text = |field: &str| line[field].as_str().unwrap_or("?").to_owned();
    let at = agent_memory::Timestamp(line["at"].as_u64().unwrap_or_default());
    let said = match line["said"].as_u64() {
        Some(0) | None => "said nothing".to_owned(),
        Some(characters) => format!("said {characters} characters"),
    };
    format!("{at}  {}  {}  {said} in {} ms: {}", text("agent"), text("event"), line["ms"], text("why"))
}
