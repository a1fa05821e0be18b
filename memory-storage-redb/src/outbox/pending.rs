//! Serving what waits: the newest waiting version of a record, for reading one's own writes.

use std::ops::Bound;

use memory_core::{Key, Order, Record, Result, Scan, Seq};
use redb::{AccessGuard, ReadOnlyTable, ReadTransaction, ReadableTableMetadata, StorageError};

use super::peek::decode_record;
use super::{ROWS, RedbOutbox, VERSIONS};
use crate::failure::Outcome;
use crate::keys::{key_bytes, kind_prefix, parse_version_key, prefix_end};

/// Waiting rows that were found not to decode, with the reason.
type Unreadable = Vec<(Seq, String)>;

impl RedbOutbox {
    pub(super) fn pending_records(&self, keys: &[Key]) -> Result<Vec<Option<Record>>> {
        let encoded = keys.iter().map(key_bytes).collect::<Result<Vec<_>>>()?;
        self.read_readable(|read, unreadable| {
            let versions = read.open_table(VERSIONS)?;
            if versions.is_empty()? {
                return Ok(vec![None; keys.len()]);
            }
            let rows = read.open_table(ROWS)?;
            let mut found = Vec::with_capacity(keys.len());
            for key in &encoded {
                // Versions of exactly this key: a longer id has another byte where the zero byte is.
                let low = [key.as_slice(), &[0]].concat();
                let high = [key.as_slice(), &[1]].concat();
                let newest = versions.range(low.as_slice()..high.as_slice())?.next_back().transpose()?;
                let seq =
                    newest.and_then(|(version, _)| parse_version_key(version.value()).map(|(_, seq)| seq));
                found.push(read_row(&rows, seq, unreadable)?);
            }
            Ok(found)
        })
    }

    pub(super) fn pending_of_kind(&self, scan: &Scan, limit: usize) -> Result<Vec<Record>> {
        let kind = kind_prefix(&scan.namespace, scan.kind);
        let mut low = kind.clone();
        low.extend_from_slice(scan.prefix.as_deref().unwrap_or_default().as_bytes());
        let high = prefix_end(&low);
        self.read_readable(|read, unreadable| {
            let (versions, rows) = (read.open_table(VERSIONS)?, read.open_table(ROWS)?);
            let range = (Bound::Included(low.as_slice()), Bound::Excluded(high.as_slice()));
            let range = versions.range::<&[u8]>(range)?;
            let seqs = match scan.order {
                Order::Ascending => newest_seqs(range, &kind, scan, limit)?,
                Order::Descending => newest_seqs(range.rev(), &kind, scan, limit)?,
            };
            let mut found = Vec::with_capacity(seqs.len());
            for seq in seqs {
                found.extend(read_row(&rows, Some(seq), unreadable)?);
            }
            Ok(found)
        })
    }

    /// Runs a read of waiting rows; those that do not decode are set aside, and the read runs again without
    /// them.
    fn read_readable<T>(&self, read: impl Fn(&ReadTransaction, &mut Unreadable) -> Outcome<T>) -> Result<T> {
        loop {
            let mut unreadable = Unreadable::new();
            let found = self.read("read outbox", |transaction| read(transaction, &mut unreadable))?;
            if unreadable.is_empty() {
                return Ok(found);
            }
            // Each round sets at least one row aside, or fails.
            self.set_unreadable_aside(&unreadable)?;
        }
    }
}

/// Picks the newest version of each key that the scan's cursor admits, at most `limit`.
///
/// The versions of a key follow each other, the newest last in ascending order.
fn newest_seqs<'a>(
    versions: impl Iterator<Item = Result<(AccessGuard<'a, &'static [u8]>, AccessGuard<'a, ()>), StorageError>>,
    kind: &[u8],
    scan: &Scan,
    limit: usize,
) -> Outcome<Vec<Seq>> {
    let mut newest: Vec<(Vec<u8>, Seq)> = Vec::new();
    for version in versions {
        let (version, _) = version?;
        let Some((key, seq)) = parse_version_key(version.value()) else { continue };
        match newest.last_mut() {
            Some((last, held)) if last == key => {
                if scan.order == Order::Ascending {
                    *held = seq;
                }
            }
            _ => {
                let id = key.get(kind.len()..).and_then(|id| std::str::from_utf8(id).ok());
                if !id.is_some_and(|id| scan.admits_id(id)) {
                    continue;
                }
                if newest.len() == limit {
                    break;
                }
                newest.push((key.to_vec(), seq));
            }
        }
    }
    Ok(newest.into_iter().map(|(_, seq)| seq).collect())
}

fn read_row(
    rows: &ReadOnlyTable<u64, &'static [u8]>,
    seq: Option<Seq>,
    unreadable: &mut Unreadable,
) -> Outcome<Option<Record>> {
    let Some(seq) = seq else { return Ok(None) };
    let Some(row) = rows.get(seq)? else { return Ok(None) };
    Ok(decode_record(row.value()).map_err(|reason| unreadable.push((seq, reason))).ok())
}
