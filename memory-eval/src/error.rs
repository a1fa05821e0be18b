//! Why an evaluation ends early.

use std::fmt;
use std::io;
use std::path::PathBuf;

/// The result of an evaluation.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why an evaluation ended early.
#[derive(Debug)]
#[non_exhaustive]
pub enum Error {
    /// The memory failed.
    Memory(agent_memory::Error),
    /// A file could not be read.
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file could not be written.
    Write {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The folder of the memory could not be made.
    Folder(io::Error),
    /// A line of a data set has another shape.
    Line {
        /// The file.
        path: PathBuf,
        /// The number of the line, from 1.
        line: u64,
        /// What is wrong with it.
        reason: String,
    },
    /// A file, or a folder of data sets, has nothing to evaluate in it.
    Empty {
        /// The file or folder.
        path: PathBuf,
        /// What is missing.
        reason: &'static str,
    },
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Memory(error) => error.fmt(f),
            Self::Read { path, source } => write!(f, "cannot read {}: {source}", path.display()),
            Self::Write { path, source } => write!(f, "cannot write {}: {source}", path.display()),
            Self::Folder(source) => write!(f, "cannot create a temporary folder: {source}"),
            Self::Line { path, line, reason } => write!(f, "{}:{line}: {reason}", path.display()),
            Self::Empty { path, reason } => write!(f, "{}: {reason}", path.display()),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Memory(error) => Some(error),
            Self::Read { source, .. } | Self::Write { source, .. } | Self::Folder(source) => Some(source),
            Self::Line { .. } | Self::Empty { .. } => None,
        }
    }
}

impl From<agent_memory::Error> for Error {
    fn from(error: agent_memory::Error) -> Self {
        Self::Memory(error)
    }
}
