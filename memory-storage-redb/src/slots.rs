//! Instance folders: each running process has one of its own, numbered from 0.

use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use memory_core::{Error, ErrorKind, Result};

use crate::failure::Failure;
use crate::open::create_folders;

/// The name of the lock file in a slot's folder.
const LOCK_FILE: &str = "lock";

/// The name of a cache in an instance folder.
const CACHE_FILE: &str = "cache.redb";

/// A cache that no process holds, and none has written to for this long, is deleted: it takes space, and still
/// contains episodes forgotten since.
const CACHE_KEPT: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// The most processes that may share one root; reaching it means that locks are not given back.
const SLOT_LIMIT: u32 = 10_000;

/// Hands out instance folders below a root.
#[derive(Debug)]
pub struct Slots;

impl Slots {
    /// Takes the smallest numbered folder below `root` that no process holds, with whatever an earlier process
    /// left in it, and creates it if all existing ones are held. Deletes the caches of other folders that no
    /// process holds and none has written to for 7 days.
    ///
    /// # Errors
    /// [`ErrorKind::Io`] if the operating system refuses.
    pub fn claim(root: impl AsRef<Path>) -> Result<Slot> {
        let root = root.as_ref();
        for number in 0..SLOT_LIMIT {
            let path = root.join(number.to_string());
            create_folders(&path).map_err(|source| io_error(source, &path))?;
            if let Some(slot) = Slot::try_lock(path)? {
                delete_stale_caches(root, slot.path(), SystemTime::now());
                return Ok(slot);
            }
        }
        Err(Error::new(ErrorKind::Io, "claim instance folder", format!("all {SLOT_LIMIT} folders are held"))
            .with_context("folder", root.display().to_string())
            .with_hint("check that the file system supports file locks"))
    }
}

/// Deletes the caches below `root` that no process holds and that are older than [`CACHE_KEPT`]. A cache that
/// cannot be examined or deleted stays: it only costs space.
fn delete_stale_caches(root: &Path, own: &Path, now: SystemTime) {
    for entry in fs::read_dir(root).into_iter().flatten().flatten() {
        let folder = entry.path();
        let is_slot = entry.file_name().to_str().is_some_and(|name| name.parse::<u32>().is_ok());
        let cache = folder.join(CACHE_FILE);
        let is_stale = || {
            let modified = fs::metadata(&cache).and_then(|file| file.modified()).ok();
            modified.and_then(|at| now.duration_since(at).ok()).is_some_and(|age| age >= CACHE_KEPT)
        };
        if !is_slot || folder == own || !is_stale() {
            continue;
        }
        // Held while the file is deleted. It may have been used between the two checks.
        let Ok(Some(_slot)) = Slot::try_lock(folder) else { continue };
        if is_stale()
            && let Err(error) = fs::remove_file(&cache)
        {
            tracing::warn!(file = %cache.display(), %error, "a cache that nobody uses cannot be deleted");
        }
    }
}

/// An instance folder, held until this is dropped or the process ends.
#[derive(Debug)]
pub struct Slot {
    path: PathBuf,
    /// The lock is released with the handle, also when the process is killed.
    _lock: File,
}

impl Slot {
    /// Returns the folder.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Takes an existing folder unless another handle holds it.
    pub(crate) fn try_lock(path: PathBuf) -> Result<Option<Self>> {
        let file = path.join(LOCK_FILE);
        let lock = File::options().read(true).write(true).create(true).truncate(false).open(&file);
        let lock = lock.map_err(|source| io_error(source, &file))?;
        match lock.try_lock() {
            Ok(()) => Ok(Some(Self { path, _lock: lock })),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(source)) => Err(io_error(source, &file)),
        }
    }
}

pub(crate) fn io_error(source: std::io::Error, path: &Path) -> Error {
    Failure::Io(source).into_error("claim instance folder", &path.display().to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn claims_the_smallest_free_folder_and_reuses_what_is_in_it() {
        let root = tempfile::tempdir().unwrap();
        let first = Slots::claim(root.path()).unwrap();
        let second = Slots::claim(root.path()).unwrap();
        assert_eq!(first.path(), root.path().join("0"));
        assert_eq!(second.path(), root.path().join("1"));
        fs::write(first.path().join("kept"), "x").unwrap();
        drop(first);
        let again = Slots::claim(root.path()).unwrap();
        assert_eq!(again.path(), root.path().join("0"));
        assert!(again.path().join("kept").exists());
    }

    #[test]
    fn caches_that_nobody_uses_are_deleted() {
        let root = tempfile::tempdir().unwrap();
        let slots: Vec<_> = (0..4).map(|_| Slots::claim(root.path()).unwrap()).collect();
        for slot in &slots {
            fs::write(slot.path().join(CACHE_FILE), "cache").unwrap();
            fs::write(slot.path().join("outbox.redb"), "outbox").unwrap();
        }
        let mut slots = slots.into_iter();
        let (own, held) = (slots.next().unwrap(), slots.next().unwrap());
        drop(slots);
        let left = |number: u32| root.path().join(number.to_string()).join(CACHE_FILE).exists();
        delete_stale_caches(root.path(), own.path(), SystemTime::now());
        assert!((0..4).all(left), "all are young");
        delete_stale_caches(root.path(), own.path(), SystemTime::now() + CACHE_KEPT);
        assert_eq!((0..4).map(left).collect::<Vec<_>>(), [true, true, false, false]);
        assert!(root.path().join("2/outbox.redb").exists(), "an outbox never is");
        drop(held);
        // Claiming looks, too.
        let old = File::options().write(true).open(root.path().join("1").join(CACHE_FILE)).unwrap();
        old.set_modified(SystemTime::now() - CACHE_KEPT).unwrap();
        drop(own);
        let _own = Slots::claim(root.path()).unwrap();
        assert!(left(0) && !left(1));
    }

    #[test]
    fn a_root_that_is_a_file_is_an_io_error_with_a_hint() {
        let root = tempfile::tempdir().unwrap();
        let file = root.path().join("file");
        fs::write(&file, "x").unwrap();
        let error = Slots::claim(&file).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Io);
        assert!(error.hint().is_some());
    }
}
