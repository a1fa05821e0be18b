//! Opening the database file.

use std::fs;
use std::path::Path;
use std::time::Duration;

use libsql::{Builder, Connection};
use memory_core::{Error, ErrorKind, Result};

use crate::classify::{Failure, classify};
use crate::local::lane::guarded;
use crate::session::{Place, Session, finish};

const NAME: &str = "open database";

/// How long SQLite waits for a program that does not know our lock.
pub(crate) const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// Checks the path and makes its folder.
pub(crate) fn prepare(path: &Path) -> Result<()> {
    if path.to_str().is_none() {
        return Err(Error::invalid(NAME, "path", "not UTF-8; choose another path"));
    }
    match fs::metadata(path) {
        Ok(found) if found.is_dir() => {
            let error = Error::invalid(NAME, "path", "a folder is there, a file is needed");
            Err(error.with_hint("name a file in it, such as memory.db"))
        }
        Ok(found) if found.permissions().readonly() => {
            let error = Error::new(ErrorKind::Io, NAME, "the file is read-only");
            Err(error.with_hint("make the file and its folder writable for this user"))
        }
        Ok(_) => Ok(()),
        Err(_) => {
            let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
            folder.map_or(Ok(()), fs::create_dir_all).map_err(|source| {
                let error = Error::new(ErrorKind::Io, NAME, format!("the folder cannot be made: {source}"));
                error.with_hint("choose a path in a folder that this user may write in").with_source(source)
            })
        }
    }
}

/// Opens a connection for writing. The caller holds the write lock.
pub(crate) fn writer(path: &Path) -> Result<Session> {
    guarded(NAME, || {
        let session = connect(path)?;
        // Checked before anything is changed in another program's file.
        finish(crate::schema::check(&session))?;
        let mut mode = finish(session.query(NAME, "PRAGMA journal_mode = WAL", Vec::new()))?;
        let mode = mode.pop().map_or(Ok(None), |mut cells| cells.maybe_text(NAME))?;
        if mode.as_deref() != Some("wal") {
            let message = format!("the write-ahead log cannot be used here (journal mode {mode:?})");
            return Err(Error::new(ErrorKind::Unsupported, NAME, message)
                .with_hint("keep the database on a local disk"));
        }
        finish(session.execute_batch(NAME, "PRAGMA synchronous = FULL; PRAGMA wal_autocheckpoint = 0;"))?;
        // On macOS fsync does not reach the platter; elsewhere these change nothing.
        finish(session.execute_batch(NAME, "PRAGMA fullfsync = 1; PRAGMA checkpoint_fullfsync = 1;"))?;
        finish(crate::schema::open(&session))?;
        Ok(session)
    })
}

/// Opens a connection that cannot write.
pub(crate) fn reader(path: &Path) -> Result<Session> {
    guarded(NAME, || {
        let session = connect(path)?;
        finish(session.execute_batch(NAME, "PRAGMA wal_autocheckpoint = 0; PRAGMA query_only = ON;"))?;
        Ok(session)
    })
}

/// Returns true if the file has the schema that this program writes, as far as can be seen.
pub(crate) fn is_current(path: &Path) -> bool {
    let look = || guarded(NAME, || finish(crate::schema::is_current(&reader(path)?)).map_err(Error::from));
    path.exists() && look().unwrap_or(false)
}

fn connect(path: &Path) -> Result<Session> {
    let connection = finish(async {
        let connection = Builder::new_local(path).build().await?.connect()?;
        connection.busy_timeout(BUSY_TIMEOUT)?;
        Ok::<Connection, libsql::Error>(connection)
    });
    let connection = connection.map_err(|error| Error::from(classify(NAME, error)))?;
    Ok(Session::new(connection, Place::Local))
}

/// Empties the write-ahead log into the database. The caller holds the write lock.
///
/// Readers that still need the log make it end early, without an error and without a loss: the next one
/// completes it.
pub(crate) fn checkpoint(session: &Session) -> Result<(), Failure> {
    const WAIT: Duration = Duration::from_millis(200);
    const NAME: &str = "checkpoint";
    let wait = |timeout| session.connection().busy_timeout(timeout).map_err(|error| classify(NAME, error));
    wait(WAIT)?;
    let done = finish(session.query(NAME, "PRAGMA wal_checkpoint(TRUNCATE)", Vec::new()));
    wait(BUSY_TIMEOUT)?;
    done.map(drop)
}
