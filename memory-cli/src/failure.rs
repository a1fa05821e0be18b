//! How a command ends when it does not end well.

use std::io;

use agent_memory::{Error, ErrorKind};
use serde_json::{Value, json};

/// The exit codes, as `memory --help` documents them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exit {
    Done = 0,
    Failed = 1,
    Usage = 2,
    BadLines = 3,
    Unavailable = 4,
}

/// Why a command failed.
#[derive(Debug)]
pub(crate) enum Failure {
    /// An error of the memory.
    Memory(Error),
    /// An error of the command itself.
    Command { exit: Exit, kind: &'static str, message: String, hint: Option<String> },
    /// Its answer cannot be written.
    Output(io::Error),
}

impl Failure {
    /// Wrong arguments or settings.
    pub(crate) fn usage(message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self::Command { exit: Exit::Usage, kind: "usage", message: message.into(), hint: Some(hint.into()) }
    }

    /// A file that cannot be read.
    pub(crate) fn file(name: &str, source: &io::Error) -> Self {
        let hint = match source.kind() {
            io::ErrorKind::NotFound => "check the name; relative names start at the current folder",
            io::ErrorKind::PermissionDenied => "check who may read the file and its folder",
            io::ErrorKind::IsADirectory => "give the files in the folder by name",
            _ => "check the file, and import again: what was recorded is not recorded twice",
        };
        let message = format!("cannot read {name}: {source}");
        Self::Command { exit: Exit::Failed, kind: "io", message, hint: Some(hint.into()) }
    }

    /// Returns the exit code.
    pub(crate) fn exit(&self) -> Exit {
        match self {
            Self::Command { exit, .. } => *exit,
            // A reader that has seen enough (`| head`) is no failure.
            Self::Output(error) if error.kind() == io::ErrorKind::BrokenPipe => Exit::Done,
            Self::Output(_) => Exit::Failed,
            Self::Memory(error) => match error.kind() {
                ErrorKind::InvalidInput => Exit::Usage,
                ErrorKind::Unavailable | ErrorKind::Busy | ErrorKind::Unauthorized => Exit::Unavailable,
                _ => Exit::Failed,
            },
        }
    }

    /// Returns the report; `None` for a failure that needs no message.
    pub(crate) fn report(&self) -> Option<Report> {
        Some(match self {
            Self::Memory(error) => Report {
                kind: error.kind().as_str(),
                message: chain(error),
                hint: error.hint().or_else(|| usual_hint(error.kind())).map(str::to_owned),
            },
            Self::Command { kind, message, hint, .. } => {
                Report { kind, message: message.clone(), hint: hint.clone() }
            }
            Self::Output(error) if error.kind() == io::ErrorKind::BrokenPipe => return None,
            Self::Output(error) => Report {
                kind: "io",
                message: format!("cannot write the answer: {error}"),
                hint: Some("check the file or disk that standard output goes to".into()),
            },
        })
    }
}

/// Returns a hint for an error that has none.
fn usual_hint(kind: ErrorKind) -> Option<&'static str> {
    Some(match kind {
        ErrorKind::Unavailable | ErrorKind::Busy => {
            "nothing acknowledged is lost: what waits is sent when the durable tier is back; `memory status` tells more"
        }
        ErrorKind::Unauthorized => {
            "check TURSO_AUTH_TOKEN and the namespace; what waits is kept until they are right"
        }
        _ => return None,
    })
}

/// Renders an error with its causes, without those that it already repeats.
fn chain(error: &Error) -> String {
    let mut text = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text = format!("{text}: {cause_text}");
        }
        source = cause.source();
    }
    text
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Memory(error)
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::Output(error)
    }
}

/// A failure as it is shown.
#[derive(Debug)]
pub(crate) struct Report {
    pub(crate) kind: &'static str,
    pub(crate) message: String,
    pub(crate) hint: Option<String>,
}

impl Report {
    /// Returns the object of `--json`.
    pub(crate) fn json(&self) -> Value {
        json!({"error": {"kind": self.kind, "message": self.message, "hint": self.hint}})
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_have_their_exit_codes() {
        let check = |kind, exit| assert_eq!(Failure::Memory(Error::new(kind, "test", "")).exit(), exit);
        check(ErrorKind::InvalidInput, Exit::Usage);
        check(ErrorKind::NotFound, Exit::Failed);
        check(ErrorKind::Io, Exit::Failed);
        check(ErrorKind::Unavailable, Exit::Unavailable);
        check(ErrorKind::Unauthorized, Exit::Unavailable);
    }

    #[test]
    fn causes_are_told_once() {
        let check = |cause: &str, expected: &str| {
            let error = Error::new(ErrorKind::Io, "open", "cannot open x: denied").with_source(cause);
            assert_eq!(chain(&error), expected);
        };
        check("denied", "open: cannot open x: denied");
        check("os error 13", "open: cannot open x: denied: os error 13");
    }
}
