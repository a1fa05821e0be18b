//! Classifies errors of the database client. This is the only place that reads their text.

use libsql::ffi;
use memory_core::{Error, ErrorKind};

/// The store's own response to a failure, before its caller gets it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Recovery {
    /// Nothing.
    Report,
    /// The connection is at fault, not the server: retry on a new one.
    Reconnect,
    /// Another writer was in the way: again after a moment.
    Retry,
    /// The answer was larger than this client accepts: a read requests less.
    Split,
    /// The schema is missing: the database at the address is another one, or was emptied.
    Migrate,
    /// The file connection must be reopened before the next write; the failed step is not repeated.
    Reopen,
}

/// A classified error.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) error: Error,
    pub(crate) recovery: Recovery,
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self { error, recovery: Recovery::Report }
    }
}

impl From<Failure> for Error {
    fn from(failure: Failure) -> Self {
        failure.error
    }
}

/// A kind, the recovery, and a hint for people.
type Class = (ErrorKind, Recovery, Option<&'static str>);

/// How the error begins that ends an answer beyond this client's bound.
pub(crate) const ANSWER_TOO_LONG: &str = "the answer is longer than";

const TOKEN_HINT: &str = "check the URL (TURSO_DATABASE_URL) and that the token (TURSO_AUTH_TOKEN) is valid, not expired and may write";

/// Classifies an error of the database client.
pub(crate) fn classify(operation: &'static str, error: libsql::Error) -> Failure {
    let (class, message) = match &error {
        // An index or a condition met a body that is no JSON.
        libsql::Error::SqliteFailure(_, message) if message == "malformed JSON" => {
            ((ErrorKind::Corrupt, Recovery::Report, None), message.clone())
        }
        libsql::Error::SqliteFailure(_, message) if message.starts_with("no such table: ") => (
            (ErrorKind::Io, Recovery::Reopen, Some("the file was emptied or replaced; it is opened again")),
            message.clone(),
        ),
        libsql::Error::SqliteFailure(code, message) => (local(*code), message.clone()),
        libsql::Error::ConnectionFailed(message) => (open(message), message.clone()),
        libsql::Error::Hrana(source) => {
            let text = source.to_string();
            (remote(&text), unwrap_text(&text))
        }
        other => ((ErrorKind::Rejected, Recovery::Report, None), other.to_string()),
    };
    let (kind, recovery, hint) = class;
    let mut report = Error::new(kind, operation, message);
    // A server's text is in the message, bounded; its source would repeat it at any length.
    if !matches!(error, libsql::Error::Hrana(_)) {
        report = report.with_source(error);
    }
    if let Some(hint) = hint {
        report = report.with_hint(hint);
    }
    Failure { error: report, recovery }
}

/// Classifies an SQLite result code of a file.
fn local(code: i32) -> Class {
    use Recovery::{Reopen, Report};
    match code & 0xff {
        ffi::SQLITE_BUSY | ffi::SQLITE_LOCKED => (
            ErrorKind::Busy,
            Report,
            Some("another program holds the database locked; close its transaction or wait"),
        ),
        ffi::SQLITE_FULL => (ErrorKind::Io, Reopen, Some("the disk is full; free some space")),
        ffi::SQLITE_IOERR => (ErrorKind::Io, Reopen, Some("check the disk and the system's log")),
        ffi::SQLITE_CANTOPEN => {
            (ErrorKind::Io, Reopen, Some("check that the folder exists and that this user may write in it"))
        }
        ffi::SQLITE_READONLY | ffi::SQLITE_PERM => {
            (ErrorKind::Io, Reopen, Some("make the file and its folder writable for this user"))
        }
        ffi::SQLITE_CORRUPT => {
            (ErrorKind::Corrupt, Reopen, Some("the file is damaged; restore a backup or move it away"))
        }
        ffi::SQLITE_NOTADB => {
            (ErrorKind::Corrupt, Report, Some("the path names a file of something else; choose another path"))
        }
        _ => (ErrorKind::Rejected, Report, None),
    }
}

/// Classifies a refusal to open a file: the message ends with the SQLite result code.
fn open(message: &str) -> Class {
    let code = message.rsplit(": ").next().and_then(|code| code.trim().parse::<i32>().ok());
    match code {
        Some(code) => local(code),
        None => (ErrorKind::Io, Recovery::Report, None),
    }
}

/// Classifies the answer of a server, or an error on the way to it.
///
/// An unknown error counts as an outage: a row is given up only when the server itself refuses it.
fn remote(text: &str) -> Class {
    use Recovery::{Migrate, Reconnect, Report, Retry};
    // SQLite has no separate code for it.
    if ["no such table: ", "no such column: "].iter().any(|sign| text.contains(sign)) {
        return (
            ErrorKind::Unavailable,
            Migrate,
            Some("the database has lost its schema; it is laid out again"),
        );
    }
    if text.contains("malformed JSON") {
        return (ErrorKind::Corrupt, Report, None);
    }
    // This client's own bound, see `remote/connector.rs`: the server is healthy.
    if text.contains(ANSWER_TOO_LONG) {
        return (ErrorKind::Unavailable, Recovery::Split, None);
    }
    let unauthorized = (ErrorKind::Unauthorized, Report, Some(TOKEN_HINT));
    let unavailable = (ErrorKind::Unavailable, Report, None);
    if let Some(status) = status(text) {
        return match status {
            _ if stream_lost(text) => (ErrorKind::Busy, Reconnect, None),
            401 | 403 | 404 => unauthorized,
            413 => (ErrorKind::Rejected, Report, None),
            429 => (ErrorKind::Busy, Report, None),
            _ => unavailable,
        };
    }
    if let Some(code) = code(text) {
        return match code {
            _ if stream_lost(text) => (ErrorKind::Busy, Reconnect, None),
            _ if code.starts_with("SQLITE_BUSY") || code.starts_with("SQLITE_LOCKED") => {
                (ErrorKind::Busy, Retry, None)
            }
            "TRANSACTION_TIMEOUT" | "TRANSACTION_BUSY" => (ErrorKind::Busy, Report, None),
            "BLOCKED" => unauthorized,
            _ if code.starts_with("AUTH_") => unauthorized,
            // A problem of the server itself, which may be temporary.
            _ if [
                "FULL",
                "IOERR",
                "CANTOPEN",
                "NOMEM",
                "CORRUPT",
                "NOTADB",
                "INTERRUPT",
                "READONLY",
                "PERM",
                "PROTOCOL",
            ]
            .iter()
            .any(|name| code.strip_prefix("SQLITE_").is_some_and(|code| code.starts_with(name))) =>
            {
                unavailable
            }
            _ if ["SQLITE_", "SQL_", "ARGS_"].iter().any(|family| code.starts_with(family)) => {
                (ErrorKind::Rejected, Report, None)
            }
            "RESPONSE_TOO_LARGE" => (ErrorKind::Rejected, Report, None),
            _ => unavailable,
        };
    }
    // A batch reports its failed statement by message alone.
    if text.contains("database is locked") || text.contains("SQLITE_BUSY") {
        return (ErrorKind::Busy, Retry, None);
    }
    if text.starts_with("api error: `SQLite error: ") || text.starts_with("api error: `SQL ") {
        return (ErrorKind::Rejected, Report, None);
    }
    const LOST: [&str; 3] =
        ["connection closed before message completed", "`connection error", "`channel closed`"];
    if LOST.iter().any(|sign| text.contains(sign)) {
        return (ErrorKind::Unavailable, Reconnect, None);
    }
    unavailable
}

/// Returns true if the server no longer knows the stream that the connection had open.
fn stream_lost(text: &str) -> bool {
    ["STREAM_EXPIRED", "STREAM_NOT_FOUND", "baton"].iter().any(|sign| text.contains(sign))
}

/// Returns the HTTP status of `api error: `status=503 Service Unavailable, body=…``.
fn status(text: &str) -> Option<u16> {
    let digits = text.strip_prefix("api error: `status=")?;
    digits.get(..3)?.parse().ok()
}

/// Returns the code of `StreamError { …, code: "X" }` and of `(error code: X)`.
fn code(text: &str) -> Option<&str> {
    if let Some((_, rest)) = text.rsplit_once("code: \"") {
        return rest.split('"').next();
    }
    let (_, rest) = text.split_once("(error code: ")?;
    rest.split(')').next()
}

/// Strips the client's quoting and bounds the length, so that a page of HTML does not fill a log.
fn unwrap_text(text: &str) -> String {
    const MAX_CHARS: usize = 300;
    let inner =
        text.split_once('`').and_then(|(_, rest)| rest.rsplit_once('`')).map_or(text, |(inner, _)| inner);
    match inner.char_indices().nth(MAX_CHARS) {
        Some((end, _)) => format!("{}…", &inner[..end]),
        None => inner.to_owned(),
    }
}

#[cfg(test)]
mod tests;
