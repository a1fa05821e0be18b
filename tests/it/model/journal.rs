//! The outbox of one process, on a disk that may be full, in a process that may be killed.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use memory_core::{
    DeadLetter, Error, ErrorKind, Key, Outbox, OutboxRow, OutboxUsage, Record, Result, Scan, Seq, Timestamp,
};

/// The files of an instance folder that outlive a process.
const FILES: [&str; 2] = ["outbox.redb", "cache.redb"];

/// What a kill leaves, and what the disk does.
#[derive(Debug, Default)]
struct Fate {
    /// The next append reaches the disk, and nobody hears of it.
    dies: bool,
    /// The next writes fail for want of space.
    full: u32,
    /// The file was given up after a write failed.
    failed: bool,
    dead: bool,
}

/// A real outbox whose process can be killed between two of its operations.
pub(crate) struct Journal {
    inner: Arc<dyn Outbox>,
    folder: PathBuf,
    /// Held during each operation, so that an image is of a moment between two.
    fate: Mutex<Fate>,
    dead: Arc<AtomicBool>,
    calls: AtomicU64,
}

impl Journal {
    pub(crate) fn new(inner: Arc<dyn Outbox>, folder: &Path, dead: Arc<AtomicBool>) -> Arc<Self> {
        Arc::new(Self {
            inner,
            folder: folder.to_owned(),
            fate: Mutex::default(),
            dead,
            calls: AtomicU64::new(0),
        })
    }

    /// Returns a number that changes with each operation.
    pub(crate) fn activity(&self) -> u64 {
        self.calls.load(Ordering::SeqCst)
    }

    fn fate(&self) -> MutexGuard<'_, Fate> {
        self.calls.fetch_add(1, Ordering::SeqCst);
        self.fate.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Kills the process: what its folder holds now is what the next one finds.
    pub(crate) fn kill(&self) {
        let mut fate = self.fate();
        if !fate.dead {
            self.end(&mut fate);
        }
    }

    fn end(&self, fate: &mut Fate) {
        take_image(&self.folder);
        fate.dead = true;
        self.dead.store(true, Ordering::SeqCst);
    }

    /// Kills the process once it has written its next rows, before it can say so.
    pub(crate) fn kill_behind_next_append(&self, dies: bool) {
        self.fate().dies = dies;
    }

    /// Fails the next writes.
    pub(crate) fn fill_disk(&self, writes: u32) {
        self.fate().full = writes;
    }

    /// Makes room again.
    pub(crate) fn free_disk(&self) {
        let mut fate = self.fate();
        (fate.full, fate.failed) = (0, false);
    }

    fn write<T>(&self, write: impl FnOnce(&dyn Outbox) -> Result<T>) -> Result<T> {
        let mut fate = self.fate();
        let full = fate.full > 0;
        fate.full = fate.full.saturating_sub(1);
        fate.failed |= full;
        if fate.dead || fate.failed {
            return Err(Error::new(ErrorKind::Io, "write outbox", "no space left on device"));
        }
        write(self.inner.as_ref())
    }

    fn read<T>(&self, read: impl FnOnce(&dyn Outbox) -> Result<T>) -> Result<T> {
        let fate = self.fate();
        if fate.dead {
            return Err(Error::new(ErrorKind::Closed, "read outbox", "the process was killed"));
        }
        read(self.inner.as_ref())
    }
}

/// Copies the files of a folder as a kill leaves them, beside it.
pub(crate) fn take_image(folder: &Path) {
    let image = image_of(folder);
    let _absent = std::fs::remove_dir_all(&image);
    std::fs::create_dir_all(&image).unwrap();
    for file in FILES.iter().map(|name| folder.join(name)).filter(|file| file.exists()) {
        std::fs::copy(&file, image.join(file.file_name().unwrap())).unwrap();
    }
}

/// Puts the image of a folder in its place. What its old process still has open is nobody's any more.
pub(crate) fn boot_from_image(folder: &Path) {
    std::fs::remove_dir_all(folder).unwrap();
    std::fs::rename(image_of(folder), folder).unwrap();
}

fn image_of(folder: &Path) -> PathBuf {
    folder.with_extension("image")
}

#[deny(clippy::missing_trait_methods)]
impl Outbox for Journal {
    fn append(&self, records: &[Record], now: Timestamp) -> Result<Seq> {
        let seq = self.write(|inner| inner.append(records, now))?;
        let mut fate = self.fate();
        if fate.dies && !fate.dead {
            self.end(&mut fate);
            return Err(Error::new(ErrorKind::Io, "write outbox", "the process was killed"));
        }
        Ok(seq)
    }

    fn reopen(&self) -> Result<()> {
        let mut fate = self.fate();
        if fate.dead {
            return Err(Error::new(ErrorKind::Closed, "open outbox", "the process was killed"));
        }
        fate.failed = false;
        self.inner.reopen()
    }

    fn peek(&self, after: Seq, limit_rows: usize, limit_bytes: usize) -> Result<Vec<OutboxRow>> {
        self.read(|inner| inner.peek(after, limit_rows, limit_bytes))
    }

    fn ack(&self, seqs: &[Seq], now: Timestamp) -> Result<()> {
        self.write(|inner| inner.ack(seqs, now))
    }

    fn refuse(&self, seq: Seq, reason: &str, now: Timestamp) -> Result<()> {
        self.write(|inner| inner.refuse(seq, reason, now))
    }

    fn dead_letters(&self, after: Seq, limit: usize) -> Result<Vec<DeadLetter>> {
        self.read(|inner| inner.dead_letters(after, limit))
    }

    fn retry_dead_letters(&self, seqs: Option<&[Seq]>, now: Timestamp) -> Result<u64> {
        self.write(|inner| inner.retry_dead_letters(seqs, now))
    }

    fn add_dead_letters(&self, letters: &[DeadLetter]) -> Result<()> {
        self.write(|inner| inner.add_dead_letters(letters))
    }

    fn drop_dead_letters(&self, seqs: &[Seq]) -> Result<u64> {
        self.write(|inner| inner.drop_dead_letters(seqs))
    }

    fn replay_tail(&self, since: Timestamp, now: Timestamp) -> Result<u64> {
        self.write(|inner| inner.replay_tail(since, now))
    }

    fn sample_tail(&self, limit: usize) -> Result<Vec<Record>> {
        self.inner.sample_tail(limit)
    }

    fn trim_tail(&self, before: Timestamp) -> Result<()> {
        self.write(|inner| inner.trim_tail(before))
    }

    fn pending(&self, keys: &[Key]) -> Result<Vec<Option<Record>>> {
        self.read(|inner| inner.pending(keys))
    }

    fn pending_scan(&self, scan: &Scan, limit: usize) -> Result<Vec<Record>> {
        self.read(|inner| inner.pending_scan(scan, limit))
    }

    fn usage(&self) -> OutboxUsage {
        self.inner.usage()
    }
}
