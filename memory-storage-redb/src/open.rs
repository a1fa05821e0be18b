//! Opening database files, and setting aside those that are none.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use redb::{Builder, Database};

use crate::backend::{Bounded, FileSize, Opener};
use crate::failure::{Failure, Outcome, guarded};

/// The report of opening a file.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct OpenReport {
    /// Why a new file was started in the place of one that could not be read; `None` if the file was fine or
    /// did not exist.
    pub rebuilt: Option<String>,
    /// The new path of the unreadable file.
    pub set_aside: Option<PathBuf>,
    /// Rows that were found in the unreadable file and are pending again in the new one (outbox only).
    pub recovered: u64,
}

/// An open database, closed on drop.
pub(crate) struct Handle(Option<Database>);

impl Handle {
    pub(crate) fn get(&self) -> Outcome<&Database> {
        self.0.as_ref().ok_or_else(closed)
    }

    pub(crate) fn get_mut(&mut self) -> Outcome<&mut Database> {
        self.0.as_mut().ok_or_else(closed)
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        let database = self.0.take();
        // redb writes when it closes, and panics if damage has stopped it before; durable commits do not depend
        // on it.
        if let Err(failure) = guarded(|| {
            drop(database);
            Ok(())
        }) {
            tracing::warn!(?failure, "database not closed in order");
        }
    }
}

fn closed() -> Failure {
    Failure::Io(io::Error::other("the file is not open"))
}

/// Opens the database in a backend. Never writes to one that is not a database.
pub(crate) fn open_database(
    opener: &Opener,
    size: &Arc<FileSize>,
    page_cache_bytes: usize,
) -> Outcome<Handle> {
    guarded(|| {
        let backend = Bounded::new(opener()?, size.clone())?;
        let database = Builder::new().set_cache_size(page_cache_bytes).create_with_backend(backend)?;
        Ok(Handle(Some(database)))
    })
}

/// Creates the folder of a file.
pub(crate) fn create_folder(path: &Path) -> Outcome<()> {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => create_folders(folder).map_err(Failure::Io),
        _ => Ok(()),
    }
}

/// Creates a folder and those above it that are missing; on return they survive power loss.
pub(crate) fn create_folders(folder: &Path) -> io::Result<()> {
    let parents = parents_to_sync(folder);
    fs::create_dir_all(folder)?;
    parents.iter().try_for_each(|parent| if cfg!(unix) { fs::File::open(parent)?.sync_all() } else { Ok(()) })
}

/// Returns the folders that get an entry when `folder` is created with those above it.
fn parents_to_sync(folder: &Path) -> Vec<PathBuf> {
    let missing = folder.ancestors().take_while(|path| !path.as_os_str().is_empty() && !path.exists());
    let parent = |path: &Path| match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent.to_owned(),
        _ => PathBuf::from("."),
    };
    missing.map(parent).collect()
}

/// Renames a file or folder to `<name>.corrupt-<unix milliseconds>` and returns the new path.
pub(crate) fn set_aside(path: &Path) -> Outcome<PathBuf> {
    let mut stamp = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis();
    loop {
        let target = sibling(path, &format!(".corrupt-{stamp}"));
        if fs::symlink_metadata(&target).is_err_and(|error| error.kind() == io::ErrorKind::NotFound) {
            fs::rename(path, &target).map_err(Failure::Io)?;
            return Ok(target);
        }
        stamp += 1;
    }
}

/// Deletes all but the `keep` latest set-aside copies of a file.
pub(crate) fn prune_set_aside(path: &Path, keep: usize) -> Outcome<()> {
    let (Some(folder), Some(name)) = (path.parent(), path.file_name()) else { return Ok(()) };
    let prefix = format!("{}.corrupt-", name.to_string_lossy());
    let mut copies = Vec::new();
    let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
    for entry in fs::read_dir(folder).map_err(Failure::Io)? {
        let entry = entry.map_err(Failure::Io)?;
        let name = entry.file_name();
        let stamp = name.to_string_lossy().strip_prefix(&prefix).map(str::parse::<u128>);
        // A folder in the file's place is foreign: it is never deleted.
        let is_file = entry.file_type().map_err(Failure::Io)?.is_file();
        if let (true, Some(Ok(stamp))) = (is_file, stamp) {
            copies.push((stamp, entry.path()));
        }
    }
    copies.sort_unstable();
    for (_, copy) in copies.iter().rev().skip(keep) {
        fs::remove_file(copy).map_err(Failure::Io)?;
    }
    Ok(())
}

/// Makes renames and new files in the folder of `path` survive power loss.
pub(crate) fn sync_folder(path: &Path) -> Outcome<()> {
    // Only Unix allows opening and syncing a folder; elsewhere the file system itself journals names.
    if cfg!(unix) {
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
        let folder = fs::File::open(folder.unwrap_or(Path::new("."))).map_err(Failure::Io)?;
        folder.sync_all().map_err(Failure::Io)?;
    }
    Ok(())
}

/// Returns the path next to `path` whose name ends in `suffix`.
pub(crate) fn sibling(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(suffix);
    path.with_file_name(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_folder_that_gets_an_entry_is_synced() {
        let root = tempfile::tempdir().unwrap();
        let [a, b, c] = ["a", "a/b", "a/b/c"].map(|name| root.path().join(name));
        assert_eq!(parents_to_sync(&c), [b.clone(), a.clone(), root.path().to_owned()]);
        create_folders(&b).unwrap();
        assert_eq!(parents_to_sync(&c), std::slice::from_ref(&b));
        assert!(parents_to_sync(&b).is_empty());
        assert_eq!(parents_to_sync(Path::new("missing-here/x")), [Path::new("missing-here"), Path::new(".")]);
    }
}
