//! The state of rows by the tables of a damaged outbox, as far as they can be read.

use std::collections::{HashMap, HashSet};
use std::path::Path;
use std::sync::Arc;

use memory_core::{Revision, Seq, Timestamp};
use redb::{Database, ReadableDatabase, ReadableTable};

use super::overlay::Overlay;
use crate::backend::{FileSize, Opener};
use crate::codec::{borrow_row, decode_dead_letter};
use crate::failure::{Failure, Outcome, guarded};
use crate::open::open_database;
use crate::outbox::{DEAD_LETTERS, FIGURES_SEQ, ROWS, TAIL};

/// A version of a record: the bytes of its key, and its revision.
pub(super) type Version = (Vec<u8>, Revision);

/// The fate of a row that is not pending.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Settled {
    /// The durable tier acknowledged it at this time.
    Acknowledged(Timestamp),
    /// It is a dead letter since then, for this reason.
    Dead(Timestamp, String),
}

/// The rows that the tables list.
#[derive(Debug, Default)]
pub(super) struct Tables {
    pub(super) waiting: HashSet<Version>,
    pub(super) settled: HashMap<Version, Settled>,
    /// Every checksum of the database holds and all was read: a row that is not listed is a leftover in a freed
    /// page.
    pub(super) intact: bool,
}

impl Tables {
    /// Reads the tables without changing the file.
    pub(super) fn read(path: &Path, page_cache_bytes: usize) -> Self {
        let mut tables = Self::default();
        match tables.try_read(path, page_cache_bytes) {
            Ok(intact) => tables.intact = intact,
            Err(failure) => tracing::info!(?failure, "the tables of a damaged outbox cannot be read whole"),
        }
        if !tables.intact {
            // A damaged page may call a waiting row acknowledged; sending one again is harmless.
            tables.settled.retain(|_, settled| matches!(settled, Settled::Dead(..)));
        }
        tables
    }

    fn try_read(&mut self, path: &Path, page_cache_bytes: usize) -> Outcome<bool> {
        let path = path.to_owned();
        let opener: Opener = Arc::new(move || Ok(Box::new(Overlay::open(&path)?)));
        let mut handle = open_database(&opener, &FileSize::new(u64::MAX), page_cache_bytes)?;
        guarded(|| self.list(handle.get()?))?;
        guarded(|| handle.get_mut()?.check_integrity().map_err(Failure::from))
    }

    fn list(&mut self, database: &Database) -> Outcome<()> {
        let read = database.begin_read()?;
        let mut acknowledged: HashMap<Seq, u64> = HashMap::new();
        for entry in read.open_table(TAIL)?.iter()? {
            let (seq, entry) = entry?;
            acknowledged.insert(seq.value(), entry.value().0);
        }
        for entry in read.open_table(ROWS)?.range(..FIGURES_SEQ)? {
            let (seq, row) = entry?;
            let Ok(head) = borrow_row(row.value()) else { continue };
            let version = (head.key_bytes(), head.revision);
            match acknowledged.get(&seq.value()) {
                Some(at) => {
                    self.settled.insert(version, Settled::Acknowledged(Timestamp(*at)));
                }
                None => {
                    self.waiting.insert(version);
                }
            }
        }
        for entry in read.open_table(DEAD_LETTERS)?.iter()? {
            let (_, letter) = entry?;
            let Ok(letter) = decode_dead_letter(letter.value()) else { continue };
            let Ok(head) = borrow_row(letter.row) else { continue };
            let settled = Settled::Dead(letter.at, letter.reason.to_owned());
            self.settled.insert((head.key_bytes(), head.revision), settled);
        }
        Ok(())
    }
}
