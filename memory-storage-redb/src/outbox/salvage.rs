//! Salvaging a damaged outbox file: every row whose checksum holds is found by its bytes, whatever redb makes
//! of the rest.
//!
//! The file may also hold rows that were acknowledged or superseded long ago, in pages that redb has freed. They
//! wait again too: sending a version that the durable tier already has changes nothing.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;

use memory_core::{Revision, Timestamp};
use redb::{Database, Durability};

use super::append::Change;
use super::figures::{self, Figures};
use super::recent::Recent;
use super::{Opened, RedbOutbox, lock};
use crate::backend::{FileSize, file_opener};
use crate::codec::{HEADER_BYTES, PAYLOAD_LIMIT, ROW_MAGIC, borrow_row, framed_length};
use crate::failure::{Failure, Outcome, guarded};
use crate::open::{OpenReport, open_database, set_aside, sibling, sync_folder};

/// How much of the file is looked at at once. Rows are far smaller than half of it.
const WINDOW: usize = 2 * (PAYLOAD_LIMIT + 1024);

/// What the new file is called until it is complete.
const SALVAGED: &str = ".salvaged";

/// Rows a transaction of the new file takes.
const BATCH: usize = 1_000;

impl RedbOutbox {
    /// Starts a new file with the rows that can be found in the damaged one, which is set aside.
    ///
    /// The new file takes the place of the damaged one only when it is complete, so that a crash on the way
    /// leaves one or the other.
    pub(super) fn salvage(&self, reason: String) -> Outcome<(Opened, Figures)> {
        let Some(path) = &self.path else { return Err(Failure::Damaged(reason)) };
        let places = find_rows(path)?;
        let fresh = sibling(path, SALVAGED);
        remove_leftover(&fresh)?;
        let size = FileSize::new(u64::MAX);
        let database = open_database(&file_opener(&fresh), &size, self.options.page_cache_bytes)?;
        let (mut figures, _) = guarded(|| figures::prepare(database.get()?))?;
        for places in places.chunks(BATCH) {
            figures = guarded(|| append_found(database.get()?, figures, path, places))?;
        }
        drop(database);
        let copy = set_aside(path)?;
        fs::rename(&fresh, path).map_err(Failure::Io)?;
        sync_folder(path)?;
        let recovered = places.len() as u64;
        tracing::warn!(file = %self.name, %reason, copy = %copy.display(), recovered, "outbox salvaged");
        *lock(&self.report) = OpenReport { rebuilt: Some(reason), set_aside: Some(copy), recovered };
        self.open_once()
    }

    /// Finishes a salvage that a crash interrupted between its two renames.
    pub(super) fn finish_salvage(&self) -> Outcome<()> {
        let Some(path) = &self.path else { return Ok(()) };
        let fresh = sibling(path, SALVAGED);
        if !path.exists() && fresh.exists() {
            fs::rename(&fresh, path).map_err(Failure::Io)?;
        }
        Ok(())
    }
}

fn remove_leftover(path: &Path) -> Outcome<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(Failure::Io(error)),
        _ => Ok(()),
    }
}

/// Where a row is in the damaged file.
#[derive(Debug, Clone, Copy)]
struct Place {
    offset: u64,
    length: usize,
    appended_at: Timestamp,
}

/// Finds every readable row, each version once, oldest first.
fn find_rows(path: &Path) -> Outcome<Vec<Place>> {
    if !path.is_file() {
        return Ok(Vec::new());
    }
    let mut file = File::open(path).map_err(Failure::Io)?;
    let mut found: HashMap<(Vec<u8>, Revision), Place> = HashMap::new();
    let (mut window, mut start) = (Vec::new(), 0_u64);
    loop {
        window.clear();
        file.seek(SeekFrom::Start(start)).map_err(Failure::Io)?;
        let read = (&file).take(WINDOW as u64).read_to_end(&mut window).map_err(Failure::Io)?;
        let last = read < WINDOW;
        // A row that begins in the second half is found whole in the next window.
        let end = if last { read } else { WINDOW / 2 };
        let mut at = 0;
        while let Some(hit) = find(&window[at..], &ROW_MAGIC).map(|hit| at + hit).filter(|hit| *hit < end) {
            let length = framed_length(&window[hit..]).filter(|length| *length <= WINDOW / 2);
            let bytes = length.and_then(|length| window.get(hit..hit + length));
            if let Some(Ok(head)) = bytes.map(borrow_row) {
                let length = length.unwrap_or(HEADER_BYTES);
                let place = Place { offset: start + hit as u64, length, appended_at: head.appended_at };
                found.insert((head.key_bytes(), head.revision), place);
            }
            at = hit + 1;
        }
        if last {
            break;
        }
        start += (WINDOW / 2) as u64;
    }
    let mut places: Vec<_> =
        found.into_iter().map(|((key, revision), place)| (revision, key, place)).collect();
    places.sort_unstable_by(|a, b| (a.0, &a.1).cmp(&(b.0, &b.1)));
    Ok(places.into_iter().map(|(.., place)| place).collect())
}

fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    haystack.windows(needle.len()).position(|window| window == needle)
}

fn append_found(database: &Database, figures: Figures, path: &Path, places: &[Place]) -> Outcome<Figures> {
    let mut file = File::open(path).map_err(Failure::Io)?;
    let mut transaction = database.begin_write()?;
    transaction.set_durability(Durability::Immediate)?;
    transaction.set_quick_repair(true);
    let recent = Recent::default();
    let mut change = Change::begin(&transaction, figures, &recent)?;
    change.index_all()?;
    for place in places {
        let mut bytes = vec![0; place.length];
        file.seek(SeekFrom::Start(place.offset)).map_err(Failure::Io)?;
        file.read_exact(&mut bytes).map_err(Failure::Io)?;
        let changed = || Failure::Io(io::Error::other("the set-aside file changed while it was read"));
        let head = borrow_row(&bytes).map_err(|_| changed())?;
        change.push(&head.key_bytes(), head.revision, &bytes, place.appended_at)?;
    }
    let (figures, _) = change.end()?;
    transaction.commit()?;
    Ok(figures)
}
