//! The write-ahead outbox of remote mode: it keeps acknowledged writes until the durable tier has them.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::Duration;

use memory_core::{Error, ErrorKind, OutboxUsage, Result, Seq, Timestamp};
use redb::{ReadTransaction, ReadableDatabase, TableDefinition};

use crate::backend::{FileSize, Opener, file_opener};
use crate::failure::{Failure, Outcome, guarded};
use crate::open::{Handle, OpenReport, create_folder, open_database, sync_folder};

mod append;
mod contract;
mod dead_letters;
mod figures;
mod peek;
mod pending;
mod recent;
mod salvage;
mod settle;
mod tail;

use append::{Change, Sync};
use figures::Figures;
use recent::Recent;
use salvage::FailedSalvage;

/// Sequence number → row, pending or acknowledged; and under [`FIGURES_SEQ`] the figures, because every append
/// writes the page of the newest rows anyway.
const ROWS: TableDefinition<u64, &[u8]> = TableDefinition::new("rows");
/// [`crate::keys::version_key`] of each pending row that no acknowledged version supersedes, up to
/// [`Figures::indexed`]; for newer rows see [`recent`].
const VERSIONS: TableDefinition<&[u8], ()> = TableDefinition::new("versions");
/// Sequence number of an acknowledged row → when it was acknowledged, its size in bytes.
const TAIL: TableDefinition<u64, (u64, u64)> = TableDefinition::new("tail");
/// Sequence number → row that was refused or cannot be read, with reason and time.
const DEAD_LETTERS: TableDefinition<u64, &[u8]> = TableDefinition::new("dead_letters");

/// The key of the figures, above every row's.
const FIGURES_SEQ: u64 = u64::MAX;

/// On opening, a file without pending rows is shrunk if it is larger than this and four times its content.
const SPARE_BYTES: u64 = 8 * 1024 * 1024;

/// Settings of an outbox.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct OutboxOptions {
    /// The bound on waiting rows and dead letters together; 1,000,000 by default.
    pub limit_rows: u64,
    /// The bound on their encoded size, in bytes; 1 GiB by default.
    pub limit_bytes: u64,
    /// The bound on the size of the acknowledged rows kept, in bytes; 64 MiB by default.
    pub tail_bytes: u64,
    /// The age from which a row found in a damaged file becomes a dead letter unless the file's tables list it
    /// as pending; 7 days by default, which is the shortest time that tombstones are kept.
    pub stale_after: Duration,
    /// The memory redb may use for pages, in bytes; 32 MiB by default.
    pub page_cache_bytes: usize,
}

impl Default for OutboxOptions {
    fn default() -> Self {
        Self {
            limit_rows: 1_000_000,
            limit_bytes: 1024 * 1024 * 1024,
            tail_bytes: 64 * 1024 * 1024,
            stale_after: Duration::from_secs(7 * 24 * 60 * 60),
            page_cache_bytes: 32 * 1024 * 1024,
        }
    }
}

impl OutboxOptions {
    /// Sets the bound on waiting rows and dead letters together.
    #[must_use]
    pub fn limit_rows(mut self, limit_rows: u64) -> Self {
        self.limit_rows = limit_rows;
        self
    }

    /// Sets the bound on the encoded size of waiting rows and dead letters together, in bytes.
    #[must_use]
    pub fn limit_bytes(mut self, limit_bytes: u64) -> Self {
        self.limit_bytes = limit_bytes;
        self
    }

    /// Sets the bound on the size of the acknowledged rows kept, in bytes.
    #[must_use]
    pub fn tail_bytes(mut self, tail_bytes: u64) -> Self {
        self.tail_bytes = tail_bytes;
        self
    }

    /// Sets the age from which a row that is found in a damaged file becomes a dead letter.
    #[must_use]
    pub fn stale_after(mut self, stale_after: Duration) -> Self {
        self.stale_after = stale_after;
        self
    }

    /// Sets the memory redb may use for pages, in bytes.
    #[must_use]
    pub fn page_cache_bytes(mut self, page_cache_bytes: usize) -> Self {
        self.page_cache_bytes = page_cache_bytes;
        self
    }
}

/// Keeps acknowledged writes in a redb file until the durable tier has them.
///
/// An append is one durable commit: on return its rows survive power loss, whatever happens to the process.
/// Acknowledging, refusing and trimming first change memory and reach the disk with the next durable commit;
/// after a crash a row may be pending again although it was sent, which is harmless.
///
/// After a failed commit the outbox refuses to write until [`memory_core::Outbox::reopen`]: a sync is never
/// retried, because the kernel may have dropped the pages it could not write.
pub struct RedbOutbox {
    /// `None` for a backend that is no file.
    path: Option<PathBuf>,
    name: String,
    opener: Opener,
    size: Arc<FileSize>,
    options: OutboxOptions,
    /// `None` only while the file cannot be opened.
    database: RwLock<Option<Opened>>,
    /// Serialises writers. Lock order: writer, then database, then recent rows, then usage.
    writer: Mutex<Writer>,
    usage: Mutex<OutboxUsage>,
    /// No row below this number is pending; stored separately so that reading never waits for a writer.
    first_waiting: AtomicU64,
    report: Mutex<OpenReport>,
    /// The last salvage, if it failed.
    failed_salvage: Mutex<Option<FailedSalvage>>,
    /// How large a salvage may make the new file, in bytes; only tests bound it.
    salvage_limit_bytes: u64,
}

/// An open file, and its state in memory.
struct Opened {
    handle: Handle,
    recent: RwLock<Recent>,
}

/// The state of the one writer.
#[derive(Debug, Default)]
struct Writer {
    figures: Figures,
    /// Why nothing may be written until the file is opened again.
    failed: Option<Failure>,
    /// Whether commits wait for the next durable one.
    unsynced: bool,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl std::fmt::Debug for RedbOutbox {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RedbOutbox").field("file", &self.name).finish_non_exhaustive()
    }
}

impl RedbOutbox {
    /// Opens an outbox file, or creates it and its folder, in a time that does not depend on the number of
    /// pending rows. A file without any releases the space that an outage took.
    ///
    /// A file that redb cannot read is renamed to `<name>.corrupt-<unix milliseconds>`, never deleted; every
    /// row in it whose checksum holds is moved to a new file. See [`RedbOutbox::opened`].
    ///
    /// # Errors
    /// [`ErrorKind::Conflict`] if another process has the file open, [`ErrorKind::Io`] if the operating system
    /// refuses, [`ErrorKind::Unsupported`] if a newer program wrote the file.
    pub fn open(path: impl AsRef<Path>, options: OutboxOptions) -> Result<Self> {
        let path = path.as_ref();
        let name = path.display().to_string();
        create_folder(path).map_err(|failure| failure.into_error("open outbox", &name))?;
        Self::build(Some(path.to_owned()), name, file_opener(path), options)
    }

    fn build(path: Option<PathBuf>, name: String, opener: Opener, options: OutboxOptions) -> Result<Self> {
        let outbox = Self {
            path,
            name,
            opener,
            // redb's own bound on a file is far below this; the outbox bounds its rows instead.
            size: FileSize::new(u64::MAX),
            options,
            database: RwLock::new(None),
            writer: Mutex::default(),
            usage: Mutex::default(),
            first_waiting: AtomicU64::new(0),
            report: Mutex::default(),
            failed_salvage: Mutex::default(),
            salvage_limit_bytes: u64::MAX,
        };
        outbox.reopen_file("open outbox")?;
        Ok(outbox)
    }

    #[cfg(test)]
    pub(crate) fn open_with(opener: Opener, options: OutboxOptions) -> Result<Self> {
        Self::build(None, "test backend".into(), opener, options)
    }

    /// Returns the report of the latest opening or reopening of the file.
    pub fn opened(&self) -> OpenReport {
        lock(&self.report).clone()
    }

    fn error(&self, operation: &'static str, failure: Failure) -> Error {
        failure.into_error(operation, &self.name)
    }

    /// Closes the file and opens it again; salvages its rows if it is damaged.
    fn reopen_file(&self, operation: &'static str) -> Result<()> {
        let mut writer = lock(&self.writer);
        let known = match writer.failed.take() {
            Some(Failure::Damaged(reason)) => Some(reason),
            // It is as damaged as when it could not be salvaged.
            _ => lock(&self.failed_salvage).as_ref().map(|failed| failed.reason.clone()),
        };
        let last_seq = writer.figures.last_seq;
        let outcome = self.reopen_or_salvage(known, last_seq);
        match outcome {
            Ok(mut figures) => {
                // No number is handed out twice, whatever the file has lost.
                figures.last_seq = figures.last_seq.max(last_seq);
                *writer = Writer { figures, failed: None, unsynced: false };
                self.publish(&figures);
                Ok(())
            }
            Err(failure) => {
                writer.failed = Some(failure.duplicate());
                Err(self.error(operation, failure))
            }
        }
    }

    fn reopen_or_salvage(&self, known_damage: Option<String>, last_seq: Seq) -> Outcome<Figures> {
        let mut database = self.database.write().unwrap_or_else(PoisonError::into_inner);
        // The old handle is dropped first, because it holds the file's lock.
        *database = None;
        self.finish_salvage()?;
        let opened = match known_damage {
            Some(reason) => Err(Failure::Damaged(reason)),
            None => self.open_once(),
        };
        let (opened, figures) = match opened {
            Err(Failure::Damaged(reason)) => self.salvage(reason, last_seq)?,
            other => other?,
        };
        *database = Some(opened);
        Ok(figures)
    }

    fn open_once(&self) -> Outcome<(Opened, Figures)> {
        let mut database = open_database(&self.opener, &self.size, self.options.page_cache_bytes)?;
        let (mut figures, mut recent) = guarded(|| figures::prepare(database.get()?))?;
        if figures.tail_bytes > self.options.tail_bytes {
            // A process may end before it has trimmed acknowledged rows: then the next one does.
            let trim = |change: &mut Change<'_>| tail::trim(change, Timestamp(0), self.options.tail_bytes);
            let (trimmed, change) =
                guarded(|| append::commit(database.get()?, &recent, figures, Sync::Now, trim))?;
            figures = trimmed;
            recent.apply(change);
        }
        if figures.rows == 0 && self.size.bytes() / 4 > figures.kept_bytes() + SPARE_BYTES {
            // An outage made the file large, and redb does not shrink it.
            guarded(|| Ok(database.get_mut()?.compact().map(drop)?))?;
        }
        if let Some(path) = &self.path {
            // A new file must still be found after power loss.
            sync_folder(path)?;
        }
        Ok((Opened { handle: database, recent: RwLock::new(recent) }, figures))
    }

    /// Makes the figures of a commit visible.
    fn publish(&self, figures: &Figures) {
        self.first_waiting.store(figures.first_waiting, Ordering::Release);
        *lock(&self.usage) = OutboxUsage {
            rows: figures.rows,
            bytes: figures.bytes,
            oldest: figures.oldest.map(Timestamp),
            last_seq: figures.last_seq,
            dead_letters: figures.dead_letters,
            dead_letter_bytes: figures.dead_letter_bytes,
            tail_rows: figures.tail_rows,
            tail_bytes: figures.tail_bytes,
            limit_rows: self.options.limit_rows,
            limit_bytes: self.options.limit_bytes,
        };
    }

    /// Runs a read. Damage found on the way closes the outbox for writing until it is opened again.
    fn read<T>(
        &self,
        operation: &'static str,
        read: impl FnOnce(&ReadTransaction) -> Outcome<T>,
    ) -> Result<T> {
        self.read_with_recent(operation, |_| (), |transaction, ()| read(transaction))
    }

    /// Runs a read that begins with the recent rows. It does not miss a row that moves to the index meanwhile:
    /// the row moves after the commit that puts it there, and the read sees the commits from before it started.
    fn read_with_recent<L, T>(
        &self,
        operation: &'static str,
        look: impl FnOnce(&Recent) -> L,
        read: impl FnOnce(&ReadTransaction, L) -> Outcome<T>,
    ) -> Result<T> {
        let outcome = self.with_database(|opened| {
            guarded(|| {
                let recent = opened.recent.read().unwrap_or_else(PoisonError::into_inner);
                let looked = look(&recent);
                let transaction = opened.handle.get()?.begin_read()?;
                drop(recent);
                read(&transaction, looked)
            })
        });
        outcome.map_err(|failure| {
            if let Failure::Damaged(_) = &failure {
                lock(&self.writer).failed.get_or_insert_with(|| failure.duplicate());
            }
            self.error(operation, failure)
        })
    }

    fn with_database<T>(&self, run: impl FnOnce(&Opened) -> Outcome<T>) -> Outcome<T> {
        let database = self.database.read().unwrap_or_else(PoisonError::into_inner);
        match database.as_ref() {
            Some(opened) => run(opened),
            None => Err(Failure::Io(std::io::Error::other("the outbox file is not open"))),
        }
    }

    /// Refuses to write after a failed commit.
    fn check_writable(&self, operation: &'static str, writer: &Writer) -> Result<()> {
        match &writer.failed {
            None => Ok(()),
            Some(failure) => {
                let cause = self.error(operation, failure.duplicate());
                let message = "an earlier write failed, so the file must be opened again first";
                Err(Error::new(ErrorKind::Io, operation, message)
                    .with_context("file", self.name.clone())
                    .with_hint(cause.hint().unwrap_or("reopen the outbox").to_owned())
                    .with_source(cause))
            }
        }
    }
}
