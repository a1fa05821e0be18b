//! The file that curves are drawn into.

use std::fs::File;
use std::io::{self, Write};
use std::path::Path;

use crate::failure::{Exit, Failure};

/// The file that the curves are drawn into.
pub(super) struct Drawing<'a> {
    path: &'a Path,
    file: File,
}

impl<'a> Drawing<'a> {
    /// Creates the file: whether it can be written shows before the work, not after.
    pub(super) fn create(path: &'a Path) -> Result<Self, Failure> {
        let file = File::create(path).map_err(|source| cannot_draw(path, &source))?;
        Ok(Self { path, file })
    }

    /// Writes the drawing.
    pub(super) fn write(mut self, svg: &str) -> Result<(), Failure> {
        self.file.write_all(svg.as_bytes()).map_err(|source| cannot_draw(self.path, &source))
    }
}

fn cannot_draw(path: &Path, source: &io::Error) -> Failure {
    Failure::Command {
        exit: Exit::Failed,
        kind: "io",
        message: format!("cannot write {}: {source}", path.display()),
        hint: Some("give --svg a file in a folder that you may write to".into()),
    }
}
