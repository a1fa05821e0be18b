//! The histories that coding agents keep on this machine.

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use crate::cli::AgentArg;

/// How many lines of a session are read for its working directory.
const LINES: usize = 50;
/// The most that is read of it for that, in bytes.
const BYTES: u64 = 4 << 20;

/// A session file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct History {
    pub(crate) file: PathBuf,
    /// The working directory of the session, if the file says so.
    pub(crate) folder: Option<PathBuf>,
}

/// Finds the sessions of an agent below the home folder, in the order of their names; `None` for an agent whose histories this
/// version does not know.
pub(crate) fn histories(agent: AgentArg, home: &Path) -> Option<Vec<History>> {
    let folders = match agent {
        AgentArg::ClaudeCode => vec![claude_root(home).join("projects")],
        AgentArg::Codex => {
            let root = codex_root(home);
            vec![root.join("sessions"), root.join("archived_sessions")]
        }
        _ => return None,
    };
    let mut files = Vec::new();
    for folder in folders {
        collect(&folder, &mut files);
    }
    files.sort();
    Some(files.into_iter().map(|file| History { folder: folder_of(&file), file }).collect())
}

/// Returns the folder of Claude Code.
pub(crate) fn claude_root(home: &Path) -> PathBuf {
    variable("CLAUDE_CONFIG_DIR").unwrap_or_else(|| home.join(".claude"))
}

/// Returns the folder of Codex CLI.
pub(crate) fn codex_root(home: &Path) -> PathBuf {
    variable("CODEX_HOME").unwrap_or_else(|| home.join(".codex"))
}

fn variable(name: &str) -> Option<PathBuf> {
    std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from)
}

/// Adds the JSON Lines files below a folder; folders that cannot be read have none.
fn collect(folder: &Path, files: &mut Vec<PathBuf>) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    for entry in entries.flatten() {
        let path = entry.path();
        match entry.file_type() {
            // Links are not followed: they may lead in a circle.
            Ok(kind) if kind.is_dir() => collect(&path, files),
            Ok(kind) if kind.is_file() && path.extension().is_some_and(|it| it == "jsonl") => {
                files.push(path)
            }
            _ => {}
        }
    }
}

fn folder_of(file: &Path) -> Option<PathBuf> {
    let reader = BufReader::new(fs::File::open(file).ok()?.take(BYTES));
    reader.lines().map_while(Result::ok).take(LINES).find_map(|line| {
        let value: serde_json::Value = serde_json::from_str(&line).ok()?;
        let folder = value.get("cwd").or_else(|| value.get("payload")?.get("cwd"))?.as_str()?;
        (!folder.is_empty()).then(|| PathBuf::from(folder))
    })
}
