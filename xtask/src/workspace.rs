//! Knows where things are.

use std::env;
use std::path::{Path, PathBuf};

use crate::failure::Failure;

/// The folders that the tasks work in.
pub(crate) struct Workspace {
    root: PathBuf,
    target: PathBuf,
}

impl Workspace {
    pub(crate) fn find() -> Result<Self, Failure> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"))
            .parent()
            .ok_or_else(|| Failure::Task("xtask lies in no workspace".to_owned()))?
            .to_owned();
        let target = match env::var_os("CARGO_TARGET_DIR") {
            // Relative to where the command was typed, as cargo itself reads it.
            Some(target) => std::path::absolute(target)
                .map_err(|error| Failure::Task(format!("CARGO_TARGET_DIR is unusable: {error}")))?,
            None => root.join("target"),
        };
        Ok(Self { root, target })
    }

    /// Returns the root of the workspace.
    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// Returns cargo's target folder as an absolute path.
    pub(crate) fn target(&self) -> &Path {
        &self.target
    }

    /// Makes an empty folder for one use of a task; what an earlier use left there is deleted.
    pub(crate) fn fresh_dir(&self, name: &str) -> Result<PathBuf, Failure> {
        let dir = self.target.join("xtask").join(name);
        let failed = |error| Failure::Task(format!("cannot make the folder {} anew: {error}", dir.display()));
        if dir.exists() {
            std::fs::remove_dir_all(&dir).map_err(failed)?;
        }
        std::fs::create_dir_all(&dir).map_err(failed)?;
        Ok(dir)
    }
}
