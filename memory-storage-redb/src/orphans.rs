//! Adopts the outboxes of instances that no longer run.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::SystemTime;

use memory_core::{Adopted, Orphans, Outbox, Record, Result, Seq, Timestamp};

use crate::outbox::{OutboxOptions, RedbOutbox};
use crate::slots::{Slot, io_error};

/// The name of an outbox in an instance folder.
const OUTBOX_FILE: &str = "outbox.redb";

/// Rows and bytes moved at a time.
const BATCH_ROWS: usize = 500;
const BATCH_BYTES: usize = 4 * 1024 * 1024;

/// Finds the outboxes of instances that no longer run, next to one's own.
///
/// A row is removed from the orphan only after it is durable in the new outbox: a crash between the two
/// delivers it twice, which changes nothing, because the higher revision wins. Dead letters
/// stay dead letters, with their reasons. A folder that a process holds is never opened.
#[derive(Debug)]
pub struct OrphanFolders {
    root: PathBuf,
    own: PathBuf,
    options: OutboxOptions,
    /// Outboxes without anything to adopt at the last check, with the state of the file then.
    empty: Mutex<HashMap<PathBuf, (u64, SystemTime)>>,
}

impl OrphanFolders {
    /// Examines all slots below `root` but `own`.
    pub fn new(root: impl Into<PathBuf>, own: &Slot) -> Self {
        Self {
            root: root.into(),
            own: own.path().to_owned(),
            options: OutboxOptions::default(),
            empty: Mutex::default(),
        }
    }

    /// Returns the folders of other slots, lowest number first.
    fn others(&self) -> Result<Vec<PathBuf>> {
        let mut others = Vec::new();
        for entry in fs::read_dir(&self.root).map_err(|source| io_error(source, &self.root))? {
            let entry = entry.map_err(|source| io_error(source, &self.root))?;
            let number = entry.file_name().to_str().and_then(|name| name.parse::<u32>().ok());
            let path = entry.path();
            if let Some(number) = number.filter(|_| path != self.own) {
                others.push((number, path));
            }
        }
        others.sort_unstable();
        Ok(others.into_iter().map(|(_, path)| path).collect())
    }

    fn adopt_one(
        &self,
        folder: PathBuf,
        into: &dyn Outbox,
        now: Timestamp,
        adopted: &mut Adopted,
    ) -> Result<()> {
        let file = folder.join(OUTBOX_FILE);
        if !file.is_file() || self.is_known_empty(&file) {
            return Ok(());
        }
        // Held to the end, so that a new process does not take the folder meanwhile.
        let Some(_slot) = Slot::try_lock(folder)? else { return Ok(()) };
        let orphan = RedbOutbox::open(&file, self.options)?;
        if let Some(reason) = orphan.opened().rebuilt {
            adopted.warnings.push(format!("the outbox {} was damaged and rebuilt: {reason}", file.display()));
        }
        let outcome = move_waiting(&orphan, into, now, &mut adopted.rows)
            .and_then(|()| move_dead_letters(&orphan, into, &mut adopted.dead_letters));
        drop(orphan);
        outcome?;
        self.remember_empty(&file);
        Ok(())
    }

    fn is_known_empty(&self, file: &Path) -> bool {
        let empty = self.empty.lock().unwrap_or_else(PoisonError::into_inner);
        empty.get(file).is_some_and(|known| looks_like(file).as_ref() == Some(known))
    }

    fn remember_empty(&self, file: &Path) {
        if let Some(state) = looks_like(file) {
            self.empty.lock().unwrap_or_else(PoisonError::into_inner).insert(file.to_owned(), state);
        }
    }
}

impl Orphans for OrphanFolders {
    fn adopt(&self, into: &dyn Outbox, now: Timestamp) -> Adopted {
        let mut adopted = Adopted::default();
        let folders = match self.others() {
            Ok(folders) => folders,
            Err(error) => return Adopted { error: Some(error), ..adopted },
        };
        for folder in folders {
            // One damaged orphan does not keep the others from being adopted. Rows that do not fit stay in
            // their file until there is room.
            if let Err(error) = self.adopt_one(folder, into, now, &mut adopted) {
                adopted.error.get_or_insert(error);
            }
        }
        if adopted.rows > 0 {
            tracing::info!(rows = adopted.rows, "outbox rows adopted");
        }
        adopted
    }
}

fn looks_like(file: &Path) -> Option<(u64, SystemTime)> {
    let metadata = fs::metadata(file).ok()?;
    Some((metadata.len(), metadata.modified().ok()?))
}

fn move_waiting(orphan: &RedbOutbox, into: &dyn Outbox, now: Timestamp, moved: &mut u64) -> Result<()> {
    loop {
        let rows = orphan.peek(0, BATCH_ROWS, BATCH_BYTES)?;
        if rows.is_empty() {
            return Ok(());
        }
        let (seqs, records): (Vec<Seq>, Vec<Record>) =
            rows.into_iter().map(|row| (row.seq, row.record)).unzip();
        into.append(&records, now)?;
        orphan.hand_over(&seqs)?;
        *moved += seqs.len() as u64;
    }
}

fn move_dead_letters(orphan: &RedbOutbox, into: &dyn Outbox, moved: &mut u64) -> Result<()> {
    loop {
        let page = orphan.dead_letters(0, BATCH_ROWS)?;
        if page.is_empty() {
            return Ok(());
        }
        into.add_dead_letters(&page)?;
        let seqs: Vec<Seq> = page.iter().map(|letter| letter.seq).collect();
        *moved += orphan.drop_dead("hand over", &seqs)?;
    }
}
