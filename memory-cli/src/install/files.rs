//! Changes to files: planned as a whole, then done one after the other, each atomically.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::cli::AgentArg;
use crate::failure::{Exit, Failure};

/// Stands in every file that is ours as a whole.
pub(super) const MARK: &str = "installed by agent-memory";

/// What is to be done to a file.
#[derive(Debug)]
pub(super) struct Plan {
    pub(super) agent: AgentArg,
    pub(super) path: PathBuf,
    pub(super) change: Change,
}

#[derive(Debug, PartialEq, Eq)]
pub(super) enum Change {
    Nothing,
    Write { before: Option<String>, after: String },
    Remove,
}

impl Change {
    pub(super) fn name(&self) -> &'static str {
        match self {
            Self::Nothing => "none",
            Self::Write { .. } => "write",
            Self::Remove => "remove",
        }
    }
}

impl Plan {
    /// A file of the user's, of which some entries are ours. `merge` gets its text, or nothing if there is no file, and returns
    /// what it is to be; nothing if no file is needed.
    pub(super) fn merged(
        agent: AgentArg,
        path: PathBuf,
        merge: impl FnOnce(Option<&str>) -> Result<Option<String>, String>,
    ) -> Result<Self, Failure> {
        let before = read(&path)?;
        let after = merge(before.as_deref()).map_err(|problem| Failure::Command {
            exit: Exit::Failed,
            kind: "invalid-input",
            message: format!("{}: {problem}; nothing was changed", path.display()),
            hint: Some("correct the file, or add the hooks by hand: docs/agents shows them".into()),
        })?;
        let change = match after {
            Some(after) if before.as_ref() != Some(&after) => Change::Write { before, after },
            _ => Change::Nothing,
        };
        Ok(Self { agent, path, change })
    }

    /// A file that is ours as a whole.
    pub(super) fn own(agent: AgentArg, path: PathBuf, text: String, remove: bool) -> Result<Self, Failure> {
        let before = read(&path)?;
        let is_foreign = before.as_ref().is_some_and(|before| !before.contains(MARK));
        if is_foreign && remove {
            return Ok(Self { agent, path, change: Change::Nothing });
        }
        if is_foreign {
            return Err(Failure::Command {
                exit: Exit::Failed,
                kind: "conflict",
                message: format!(
                    "{} is there already and is not of this program; nothing was changed",
                    path.display()
                ),
                hint: Some("move it away, and install again".into()),
            });
        }
        let change = match (before, remove) {
            (Some(_), true) => Change::Remove,
            (None, true) => Change::Nothing,
            (Some(before), false) if before == text => Change::Nothing,
            (before, false) => Change::Write { before, after: text },
        };
        Ok(Self { agent, path, change })
    }

    pub(super) fn apply(&self) -> Result<(), Failure> {
        let failed = |source: io::Error| Failure::Command {
            exit: Exit::Failed,
            kind: "io",
            message: format!("cannot write {}: {source}", self.path.display()),
            hint: Some("check who may write to the folder".into()),
        };
        match &self.change {
            Change::Nothing => Ok(()),
            Change::Remove => {
                fs::remove_file(&self.path).map_err(failed)?;
                // A skill's folder goes with it if nothing else is in it.
                let _not_empty = self.path.parent().map(fs::remove_dir);
                Ok(())
            }
            Change::Write { before, after } => {
                if let Some(folder) = self.path.parent() {
                    fs::create_dir_all(folder).map_err(failed)?;
                }
                // A link stays one: what it points to is replaced, from its own file system.
                let target = fs::canonicalize(&self.path).unwrap_or_else(|_| self.path.clone());
                let backup = beside(&target, "bak");
                if let Some(before) = before
                    && !backup.exists()
                {
                    write(&backup, before, &target).map_err(failed)?;
                }
                let written = beside(&target, "new");
                write(&written, after, &target).map_err(failed)?;
                fs::rename(&written, target).map_err(failed)
            }
        }
    }
}

/// Writes a file that only its user may read until it has the permissions of `like`: settings hold keys.
fn write(path: &Path, text: &str, like: &Path) -> io::Result<()> {
    let mut options = fs::OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    io::Write::write_all(&mut options.open(path)?, text.as_bytes())?;
    match fs::metadata(like) {
        Ok(metadata) => fs::set_permissions(path, metadata.permissions()),
        Err(_) => Ok(()),
    }
}

fn beside(path: &Path, what: &str) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".agent-memory.{what}"));
    path.with_file_name(name)
}

fn read(path: &Path) -> Result<Option<String>, Failure> {
    match fs::read_to_string(path) {
        Ok(text) => Ok(Some(text.strip_prefix('\u{feff}').map(str::to_owned).unwrap_or(text))),
        Err(source) if source.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(Failure::file(&path.display().to_string(), &source)),
    }
}
