//! Instance folders: each running process has one of its own, numbered from 0.

use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};

use memory_core::{Error, ErrorKind, Result};

use crate::failure::Failure;

/// The name of the lock file in a slot's folder.
const LOCK_FILE: &str = "lock";

/// The most processes that may share one root; reaching it means that locks are not given back.
const SLOT_LIMIT: u32 = 10_000;

/// Hands out instance folders below a root.
#[derive(Debug)]
pub struct Slots;

impl Slots {
    /// Takes the smallest numbered folder below `root` that no process holds, with whatever an earlier process
    /// left in it, and creates it if all existing ones are held.
    ///
    /// # Errors
    /// [`ErrorKind::Io`] if the operating system refuses.
    pub fn claim(root: impl AsRef<Path>) -> Result<Slot> {
        let root = root.as_ref();
        for number in 0..SLOT_LIMIT {
            let path = root.join(number.to_string());
            fs::create_dir_all(&path).map_err(|source| io_error(source, &path))?;
            if let Some(slot) = Slot::try_lock(path)? {
                return Ok(slot);
            }
        }
        Err(Error::new(ErrorKind::Io, "claim instance folder", format!("all {SLOT_LIMIT} folders are held"))
            .with_context("folder", root.display().to_string())
            .with_hint("check that the file system supports file locks"))
    }
}

/// An instance folder, held until this is dropped or the process ends.
#[derive(Debug)]
pub struct Slot {
    path: PathBuf,
    /// The lock goes with the handle, also when the process is killed.
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
    fn a_root_that_is_a_file_is_an_io_error_with_a_hint() {
        let root = tempfile::tempdir().unwrap();
        let file = root.path().join("file");
        fs::write(&file, "x").unwrap();
        let error = Slots::claim(&file).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Io);
        assert!(error.hint().is_some());
    }
}
