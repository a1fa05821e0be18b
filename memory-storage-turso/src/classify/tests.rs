//! Golden texts of libsql 0.10.0 against sqld 0.24; `tests/it/remote_errors.rs` provokes the conditions
//! themselves.

use super::*;

/// Checks kind and recovery of an error with a given text; the client's own type is private.
fn check_remote(text: &str, kind: ErrorKind, recovery: Recovery) {
    let failure = classify("commit", libsql::Error::Hrana(text.into()));
    assert_eq!((failure.error.kind(), failure.recovery), (kind, recovery), "{text}");
}

#[test]
fn what_a_server_says() {
    use ErrorKind::{Busy, Corrupt, Rejected, Unauthorized, Unavailable};
    use Recovery::{Migrate, Reconnect, Report, Retry};
    let check = check_remote;
    check(
        "http error: `error trying to connect: tcp connect error: Connection refused (os error 111)`",
        Unavailable,
        Report,
    );
    check("http error: `connection closed before message completed`", Unavailable, Reconnect);
    check("http error: `channel closed`", Unavailable, Reconnect);
    check("http error: `connection error: Connection reset by peer (os error 104)`", Unavailable, Reconnect);
    check(
        "http error: `error reading a body from connection: end of file before message length reached`",
        Unavailable,
        Report,
    );
    check("http error: `invalid HTTP version parsed`", Unavailable, Report);
    check("json error: `expected value at line 1 column 1`", Unavailable, Report);
    check("cursor error: `cursor stream ended prematurely`", Unavailable, Report);
    check("api error: `status=503 Service Unavailable, body=busy`", Unavailable, Report);
    check("api error: `status=429 Too Many Requests, body=`", Busy, Report);
    check("api error: `status=413 Payload Too Large, body=`", Rejected, Report);
    check("api error: `status=400 Bad Request, body=who knows`", Unavailable, Report);
    check("api error: `status=400 Bad Request, body=Received an invalid baton`", Busy, Reconnect);
    check(
        "api error: `status=400 Bad Request, body={\"message\":\"The stream has expired due to inactivity\",\
         \"code\":\"STREAM_EXPIRED\"}`",
        Busy,
        Reconnect,
    );
    for body in ["The JWT has expired", "The JWT is invalid"] {
        let text =
            format!("api error: `status=401 Unauthorized, body={{\"error\":\"Unauthorized: `{body}`\"}}`");
        check(&text, Unauthorized, Report);
    }
    check(
        "api error: `status=403 Forbidden, body={\"error\":\"Authorization forbidden: Current session doesn't not \
         have Write permission to namespace default\"}`",
        Unauthorized,
        Report,
    );
    check(
        "api error: `status=404 Not Found, body={\"error\":\"Namespace `x` doesn't exist\"}`",
        Unauthorized,
        Report,
    );
    let stream = |message: &str, code: &str| {
        format!("stream error: `Error {{ message: \"{message}\", code: \"{code}\" }}`")
    };
    check(&stream("SQLite error: database is locked", "SQLITE_BUSY"), Busy, Retry);
    check(&stream("Operation was blocked: test", "BLOCKED"), Unauthorized, Report);
    check(&stream("SQLite error: no such table: records", "SQLITE_UNKNOWN"), Unavailable, Migrate);
    check(&stream("SQLite error: malformed JSON", "SQLITE_UNKNOWN"), Corrupt, Report);
    check(&stream("SQLite error: no", "SQLITE_CONSTRAINT"), Rejected, Report);
    check(
        &stream("Arguments do not match SQL parameters: string or blob too big", "ARGS_INVALID"),
        Rejected,
        Report,
    );
    check(
        &stream("SQL input error: no such column: zzz (at offset 7)", "SQL_INPUT_ERROR"),
        Unavailable,
        Migrate,
    );
    check(&stream("SQLite error: disk I/O error", "SQLITE_IOERR_WRITE"), Unavailable, Report);
    check(&stream("SQLite error: database or disk is full", "SQLITE_FULL"), Unavailable, Report);
    check(&stream("something new", "NOVELTY"), Unavailable, Report);
    check("cursor error: `error at step 0: (error code: SQLITE_BUSY) `database is locked``", Busy, Retry);
    check("cursor error: `error at step 0: (error code: SQLITE_UNKNOWN) `no such module``", Rejected, Report);
    check("api error: `SQLite error: UNIQUE constraint failed: t.a`", Rejected, Report);
    check("api error: `SQLite error: database is locked`", Busy, Retry);
}

#[test]
fn what_a_file_says() {
    use ErrorKind::{Busy, Corrupt, Io, Rejected};
    use Recovery::{Reopen, Report};
    let check = |code: i32, kind: ErrorKind, recovery: Recovery| {
        let failure = classify("commit", libsql::Error::SqliteFailure(code, "text".into()));
        assert_eq!((failure.error.kind(), failure.recovery), (kind, recovery), "{code}");
    };
    check(ffi::SQLITE_BUSY, Busy, Report);
    check(ffi::SQLITE_BUSY | (2 << 8), Busy, Report);
    check(ffi::SQLITE_LOCKED, Busy, Report);
    check(ffi::SQLITE_FULL, Io, Reopen);
    check(ffi::SQLITE_IOERR | (4 << 8), Io, Reopen);
    check(ffi::SQLITE_CANTOPEN, Io, Reopen);
    check(ffi::SQLITE_READONLY | (4 << 8), Io, Reopen);
    check(ffi::SQLITE_PERM, Io, Reopen);
    check(ffi::SQLITE_CORRUPT, Corrupt, Reopen);
    check(ffi::SQLITE_NOTADB, Corrupt, Report);
    check(1811, Rejected, Report);
    check(ffi::SQLITE_TOOBIG, Rejected, Report);
    let failure = classify("get", libsql::Error::SqliteFailure(ffi::SQLITE_ERROR, "malformed JSON".into()));
    assert_eq!(failure.error.kind(), Corrupt);
    let refused = "Unable to open connection to local database /x: 14".to_owned();
    assert_eq!(classify("open", libsql::Error::ConnectionFailed(refused)).error.kind(), Io);
}

#[test]
fn messages_are_bounded_and_unwrapped() {
    let page = format!("api error: `status=503 Service Unavailable, body={}`", "<html>".repeat(1_000));
    let failure = classify("get", libsql::Error::Hrana(page.into()));
    assert!(failure.error.message().starts_with("status=503"), "{}", failure.error.message());
    assert!(failure.error.message().chars().count() <= 301);
    assert!(format!("{:?}", failure.error).len() < 1_000, "the source is bounded too");
}
