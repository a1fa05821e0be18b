//! Salvaging a damaged outbox file: every row whose checksum holds is found by its bytes, whatever redb makes
//! of the rest.
//!
//! The file also holds rows that were acknowledged or superseded long ago, in pages that redb has freed.
//! Sending one again is harmless while the durable tier has that record, or its tombstone. So the file's own
//! tables take precedence. A row that they do not list becomes pending only while no tombstone of its time can
//! have been purged; an older one becomes a dead letter.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;
use std::time::{Duration, Instant};

use memory_core::{Clock, Revision, Seq, SystemClock, Timestamp};
use redb::Database;

use super::append::{Change, Sync, commit};
use super::figures::{self, Figures};
use super::recent::Recent;
use super::{Opened, RedbOutbox, dead_letters, lock};
use crate::backend::{FileSize, file_opener};
use crate::codec::{HEADER_BYTES, PAYLOAD_LIMIT, ROW_MAGIC, borrow_row, framed_length};
use crate::failure::{Failure, Outcome, guarded};
use crate::keys::version_key;
use crate::open::{OpenReport, open_database, set_aside, sibling, sync_folder};

mod overlay;
mod tables;

use tables::{Settled, Tables};

#[cfg(test)]
mod tests;

/// How much of the file is looked at at once. Rows are far smaller than half of it.
const WINDOW: usize = 2 * (PAYLOAD_LIMIT + 1024);

/// The suffix of the new file until it is complete.
const SALVAGED: &str = ".salvaged";

/// Rows a transaction of the new file takes.
const BATCH: usize = 1_000;

/// How long a failed salvage is not repeated: it reads the whole file, and the usual cause is a full disk.
const PAUSE: Duration = if cfg!(test) { Duration::from_millis(300) } else { Duration::from_secs(30) };

/// A salvage that failed.
#[derive(Debug)]
pub(super) struct FailedSalvage {
    /// The damage of the file.
    pub(super) reason: String,
    failure: Failure,
    at: Instant,
}

impl RedbOutbox {
    /// Starts a new file with the rows that can be found in the damaged one, which is renamed. Their numbers
    /// begin after `last_seq`.
    ///
    /// The new file replaces the damaged one only when it is complete, so that a crash leaves one or the other.
    /// After a failure the next attempts fail with the same error until [`PAUSE`] is over.
    pub(super) fn salvage(&self, reason: String, last_seq: Seq) -> Outcome<(Opened, Figures)> {
        let mut failed = lock(&self.failed_salvage);
        if let Some(failed) = failed.as_ref().filter(|failed| failed.at.elapsed() < PAUSE) {
            return Err(failed.failure.duplicate());
        }
        *failed = None;
        let outcome = self.salvage_now(reason.clone(), last_seq);
        if let (Err(failure), Some(path)) = (&outcome, &self.path) {
            *failed = Some(FailedSalvage { reason, failure: failure.duplicate(), at: Instant::now() });
            // An incomplete file would take space that the next attempt needs. Once the damaged one is away it
            // is complete.
            if path.exists()
                && let Err(failure) = remove_leftover(&sibling(path, SALVAGED))
            {
                tracing::warn!(?failure, "a file that was not completed stays");
            }
        }
        outcome
    }

    fn salvage_now(&self, reason: String, last_seq: Seq) -> Outcome<(Opened, Figures)> {
        let Some(path) = &self.path else { return Err(Failure::Damaged(reason)) };
        let fresh = sibling(path, SALVAGED);
        remove_leftover(&fresh)?;
        let plan = Plan::new(path, &self.options)?;
        let size = FileSize::new(self.salvage_limit_bytes);
        let database = open_database(&file_opener(&fresh), &size, self.options.page_cache_bytes)?;
        let (mut figures, _) = guarded(|| figures::prepare(database.get()?))?;
        figures.last_seq = last_seq;
        figures.first_waiting = last_seq + 1;
        // At least one commit, for the numbers.
        for places in plan.places.chunks(BATCH).chain(std::iter::once(&[][..])) {
            figures = guarded(|| append_found(database.get()?, figures, path, places, &plan))?;
        }
        drop(database);
        let copy = set_aside(path)?;
        fs::rename(&fresh, path).map_err(Failure::Io)?;
        sync_folder(path)?;
        let (recovered, dead) = (figures.rows, figures.dead_letters);
        tracing::warn!(file = %self.name, %reason, copy = %copy.display(), recovered, dead, "outbox salvaged");
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

/// The place of a row in the damaged file, and its treatment.
#[derive(Debug, Clone)]
struct Place {
    offset: u64,
    length: usize,
    appended_at: Timestamp,
    fate: Fate,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Fate {
    Waits,
    Settled(Settled),
}

/// The treatment of the rows of a damaged file.
struct Plan {
    /// The rows to keep, oldest version first.
    places: Vec<Place>,
    /// The newest acknowledged version of each key: older pending ones are not served.
    acknowledged: HashMap<Vec<u8>, Revision>,
}

impl Plan {
    fn new(path: &Path, options: &super::OutboxOptions) -> Outcome<Self> {
        let found = find_rows(path)?;
        let mut tables =
            if path.is_file() { Tables::read(path, options.page_cache_bytes) } else { Tables::default() };
        let now = SystemClock::new().now();
        let stale_after = u64::try_from(options.stale_after.as_millis()).unwrap_or(u64::MAX);
        let mut places = Vec::with_capacity(found.len());
        let mut acknowledged = HashMap::new();
        for (version, mut place) in found {
            let revision = version.1;
            place.fate = match tables.settled.remove(&version) {
                _ if tables.waiting.contains(&version) => Fate::Waits,
                Some(settled) => Fate::Settled(settled),
                // Nothing points to it any more: it was delivered, dropped or handed over.
                None if tables.intact => continue,
                None if revision.at().0.saturating_add(stale_after) < now.0 => {
                    let reason = "found in a damaged outbox, which does not tell whether the row was delivered; it is so \
                                  old that the tombstone of its record may be gone";
                    Fate::Settled(Settled::Dead(now, reason.into()))
                }
                None => Fate::Waits,
            };
            if let Fate::Settled(Settled::Acknowledged(_)) = place.fate {
                let newest = acknowledged.entry(version.0.clone()).or_insert(revision);
                *newest = revision.max(*newest);
            }
            places.push((revision, version.0, place));
        }
        places.sort_unstable_by(|a, b| (a.0, &a.1).cmp(&(b.0, &b.1)));
        Ok(Self { places: places.into_iter().map(|(.., place)| place).collect(), acknowledged })
    }
}

/// Finds every readable row, each version once.
fn find_rows(path: &Path) -> Outcome<HashMap<tables::Version, Place>> {
    if !path.is_file() {
        return Ok(HashMap::new());
    }
    let mut file = File::open(path).map_err(Failure::Io)?;
    let mut found = HashMap::new();
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
                let (offset, appended_at) = (start + hit as u64, head.appended_at);
                let place = Place { offset, length, appended_at, fate: Fate::Waits };
                found.insert((head.key_bytes(), head.revision), place);
            }
            at = hit + 1;
        }
        if last {
            break;
        }
        start += (WINDOW / 2) as u64;
    }
    Ok(found)
}

fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    haystack.windows(needle.len()).position(|window| window == needle)
}

fn append_found(
    database: &Database,
    figures: Figures,
    path: &Path,
    places: &[Place],
    plan: &Plan,
) -> Outcome<Figures> {
    let mut file = if places.is_empty() { None } else { Some(File::open(path).map_err(Failure::Io)?) };
    let (figures, _) = commit(database, &Recent::default(), figures, Sync::Now, |change| {
        change.index_all()?;
        for place in places {
            let mut bytes = vec![0; place.length];
            if let Some(file) = &mut file {
                file.seek(SeekFrom::Start(place.offset)).map_err(Failure::Io)?;
                file.read_exact(&mut bytes).map_err(Failure::Io)?;
            }
            keep(change, place, &bytes, plan)?;
        }
        Ok(())
    })?;
    Ok(figures)
}

fn keep(change: &mut Change<'_>, place: &Place, bytes: &[u8], plan: &Plan) -> Outcome<()> {
    let changed = || Failure::Io(io::Error::other("the set-aside file changed while it was read"));
    let head = borrow_row(bytes).map_err(|_| changed())?;
    let (key, revision) = (head.key_bytes(), head.revision);
    match &place.fate {
        Fate::Waits => {
            change.push(&key, revision, bytes, place.appended_at)?;
            if plan.acknowledged.get(&key).is_some_and(|newest| *newest > revision) {
                change.versions.remove(version_key(&key, revision, change.figures.last_seq).as_slice())?;
            }
        }
        Fate::Settled(Settled::Acknowledged(at)) => {
            change.figures.last_seq += 1;
            let (seq, size) = (change.figures.last_seq, bytes.len() as u64);
            change.rows.insert(seq, bytes)?;
            change.tail()?.insert(seq, (at.0, size))?;
            change.figures.tail_rows += 1;
            change.figures.tail_bytes += size;
        }
        Fate::Settled(Settled::Dead(at, reason)) => {
            change.figures.last_seq += 1;
            dead_letters::insert(change, change.figures.last_seq, bytes, reason, *at)?;
        }
    }
    change.figures.indexed = change.figures.last_seq;
    Ok(())
}
