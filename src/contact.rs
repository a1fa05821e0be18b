//! Knowledge about a server that the processes of this machine share: a file in the folder, and a lock for the
//! process that probes.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};

use memory_core::{Contact, Contacts, Turn};

/// The shared knowledge, as JSON.
const FILE: &str = "contact.json";
/// Held by the process that probes.
const LOCK: &str = "probe.lock";

/// Keeps the state of a server in the folder of its instances.
#[derive(Debug)]
pub(crate) struct ContactFile {
    folder: PathBuf,
}

impl ContactFile {
    pub(crate) fn new(folder: &Path) -> Self {
        Self { folder: folder.to_owned() }
    }

    fn write(&self, contact: &Contact) -> std::io::Result<()> {
        // Written under a name of this process first, then renamed, so that no reader sees half of it. It need
        // not survive power loss.
        let fresh = self.folder.join(format!("{FILE}.{}", std::process::id()));
        let mut file = File::create(&fresh)?;
        file.write_all(&serde_json::to_vec(contact)?)?;
        drop(file);
        fs::rename(&fresh, self.folder.join(FILE))
    }
}

impl Contacts for ContactFile {
    fn recall(&self) -> Contact {
        let known = fs::read(self.folder.join(FILE)).ok();
        known.and_then(|known| serde_json::from_slice(&known).ok()).unwrap_or_default()
    }

    fn note(&self, contact: &Contact) {
        // A process that cannot read it finds out by itself.
        let _unknown = self.write(contact);
    }

    fn take_turn(&self) -> Option<Turn> {
        let lock = File::options().write(true).create(true).truncate(false).open(self.folder.join(LOCK)).ok();
        match lock {
            Some(lock) => lock.try_lock().ok().map(|()| Turn::new(lock)),
            // Without a lock every process probes, as if alone.
            None => Some(Turn::new(())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use memory_core::{Outage, RoundTrip, Timestamp};

    #[test]
    fn what_one_notes_another_knows() {
        let folder = tempfile::tempdir().unwrap();
        let (one, other) = (ContactFile::new(folder.path()), ContactFile::new(folder.path()));
        assert_eq!(other.recall(), Contact::default());
        let outage =
            Outage { since: Timestamp(1), probe_at: Timestamp(2), exponent: 3, reason: "gone".into() };
        let round_trip = Some(RoundTrip { smoothed_ms: 80, variation_ms: 7 });
        let contact = Contact { outage: Some(outage), round_trip };
        one.note(&contact);
        assert_eq!(other.recall(), contact);
        fs::write(folder.path().join(FILE), "{").unwrap();
        assert_eq!(other.recall(), Contact::default());
    }

    #[test]
    fn one_probes_at_a_time() {
        let folder = tempfile::tempdir().unwrap();
        let (one, other) = (ContactFile::new(folder.path()), ContactFile::new(folder.path()));
        let turn = one.take_turn().unwrap();
        assert!(other.take_turn().is_none());
        drop(turn);
        assert!(other.take_turn().is_some());
    }
}
