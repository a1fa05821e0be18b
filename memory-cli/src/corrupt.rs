//! Files that repairs of the local tier left in the folder.

use std::path::{Path, PathBuf};

/// The depth of an instance's files below the folder: tier, database, namespace, instance.
const DEPTH: usize = 5;

/// A file that could not be read and was renamed when a new one replaced it.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct CorruptFile {
    path: PathBuf,
    pub(crate) is_outbox: bool,
}

impl CorruptFile {
    /// Names the file and explains its meaning.
    pub(crate) fn meaning(&self) -> String {
        let path = self.path.display();
        if self.is_outbox {
            format!(
                "an outbox that could not be read lies at {path}: acknowledged records that never reached the server \
                 may be in it; keep it until they are recovered or known not to be missed"
            )
        } else {
            format!(
                "a cache that could not be read lies at {path}: no record is lost by it, and it may be deleted"
            )
        }
    }
}

/// Returns the renamed files below the folder of a memory, sorted.
pub(crate) fn find(folder: &Path) -> Vec<CorruptFile> {
    let mut found = Vec::new();
    for tier in ["local", "remote"] {
        look(&folder.join(tier), DEPTH - 1, &mut found);
    }
    found.sort();
    found
}

fn look(folder: &Path, depth: usize, found: &mut Vec<CorruptFile>) {
    // An instance's folder may be deleted meanwhile; a folder that cannot be listed has nothing to show.
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let name = name.to_string_lossy();
        let is_outbox = name.starts_with("outbox.redb.corrupt-");
        if is_outbox || name.starts_with("cache.redb.corrupt-") {
            found.push(CorruptFile { path: entry.path(), is_outbox });
        } else if depth > 1 && entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            look(&entry.path(), depth - 1, found);
        }
    }
}
