//! Serves pending rows: the newest pending version of a record, for reading one's own writes.

use std::ops::Bound;

use memory_core::{Key, Order, Record, Result, Scan, Seq};
use redb::{ReadOnlyTable, ReadTransaction, ReadableTableMetadata};

use super::peek::decode_record;
use super::recent::Recent;
use super::{ROWS, RedbOutbox, VERSIONS};
use crate::failure::Outcome;
use crate::keys::{key_bytes, kind_prefix, parse_version_key, prefix_end};

/// Waiting rows that were found not to decode, with the reason.
type Unreadable = Vec<(Seq, String)>;

impl RedbOutbox {
    pub(super) fn pending_records(&self, keys: &[Key]) -> Result<Vec<Option<Record>>> {
        let encoded = keys.iter().map(key_bytes).collect::<Result<Vec<_>>>()?;
        // Versions of exactly this key: a longer id has another byte where the zero byte is.
        let bounds = |key: &Vec<u8>| ([key.as_slice(), &[0]].concat(), [key.as_slice(), &[1]].concat());
        let bounds: Vec<_> = encoded.iter().map(bounds).collect();
        let look = |recent: &Recent| {
            let newest = |(low, high): &(Vec<u8>, Vec<u8>)| {
                recent.range(low, Bound::Excluded(high)).next_back().map(<[u8]>::to_vec)
            };
            bounds.iter().map(newest).collect::<Vec<_>>()
        };
        self.read_readable(look, |read, newest, unreadable| {
            let versions = read.open_table(VERSIONS)?;
            let none_indexed = versions.is_empty()?;
            if none_indexed && newest.iter().all(Option::is_none) {
                return Ok(vec![None; keys.len()]);
            }
            let rows = read.open_table(ROWS)?;
            let mut found = Vec::with_capacity(keys.len());
            for ((low, high), mut newest) in bounds.iter().zip(newest) {
                if !none_indexed {
                    let indexed = versions.range(low.as_slice()..high.as_slice())?.next_back().transpose()?;
                    newest = newest.max(indexed.map(|(version, _)| version.value().to_vec()));
                }
                let seq = newest.and_then(|version| parse_version_key(&version).map(|(_, seq)| seq));
                found.push(read_row(&rows, seq, unreadable)?);
            }
            Ok(found)
        })
    }

    pub(super) fn pending_of_kind(&self, scan: &Scan, limit: usize) -> Result<Vec<Record>> {
        let kind = kind_prefix(&scan.namespace, scan.kind);
        let with_id = |id: &str| [kind.as_slice(), id.as_bytes()].concat();
        let mut low = with_id(scan.prefix.as_deref().unwrap_or_default());
        let mut high = prefix_end(&low);
        if let Some(after) = scan.after.as_deref() {
            match scan.order {
                // After all versions of that id.
                Order::Ascending => low = low.max([with_id(after).as_slice(), &[1]].concat()),
                Order::Descending => high = high.min(with_id(after)),
            }
        }
        if low >= high {
            return Ok(Vec::new());
        }
        let look = |recent: &Recent| {
            recent.range(&low, Bound::Excluded(&high)).map(<[u8]>::to_vec).collect::<Vec<_>>()
        };
        self.read_readable(look, |read, recent, unreadable| {
            let (versions, rows) = (read.open_table(VERSIONS)?, read.open_table(ROWS)?);
            let range = (Bound::Included(low.as_slice()), Bound::Excluded(high.as_slice()));
            let indexed = versions.range::<&[u8]>(range)?.map(|version| Ok(version?.0.value().to_vec()));
            let seqs = match scan.order {
                Order::Ascending => {
                    newest_seqs(merged(indexed, recent.into_iter(), |a, b| a < b), &kind, scan, limit)?
                }
                Order::Descending => {
                    let (indexed, recent) = (indexed.rev(), recent.into_iter().rev());
                    newest_seqs(merged(indexed, recent, |a, b| a > b), &kind, scan, limit)?
                }
            };
            let mut found = Vec::with_capacity(seqs.len());
            for seq in seqs {
                found.extend(read_row(&rows, Some(seq), unreadable)?);
            }
            Ok(found)
        })
    }

    /// Runs a read of waiting rows; those that do not decode become dead letters, and the read runs again without
    /// them.
    fn read_readable<L, T>(
        &self,
        look: impl Fn(&Recent) -> L,
        read: impl Fn(&ReadTransaction, L, &mut Unreadable) -> Outcome<T>,
    ) -> Result<T> {
        loop {
            let mut unreadable = Unreadable::new();
            let found = self.read_with_recent("read outbox", &look, |transaction, looked| {
                read(transaction, looked, &mut unreadable)
            })?;
            if unreadable.is_empty() {
                return Ok(found);
            }
            // Each round makes at least one row a dead letter, or fails.
            self.bury_unreadable(&unreadable)?;
        }
    }
}

/// Merges the versions of the index and the recent ones, both in the order of `is_before`.
fn merged(
    indexed: impl Iterator<Item = Outcome<Vec<u8>>>,
    recent: impl Iterator<Item = Vec<u8>>,
    is_before: fn(&[u8], &[u8]) -> bool,
) -> impl Iterator<Item = Outcome<Vec<u8>>> {
    let (mut indexed, mut recent) = (indexed.peekable(), recent.peekable());
    std::iter::from_fn(move || match (indexed.peek(), recent.peek()) {
        (None, _) => recent.next().map(Ok),
        (Some(Ok(indexed)), Some(recent_one)) if is_before(recent_one, indexed) => recent.next().map(Ok),
        (Some(_), _) => indexed.next(),
    })
}

/// Picks the newest version of each key that the scan's cursor admits, at most `limit`.
///
/// The versions of a key follow each other, the newest last in ascending order.
fn newest_seqs(
    versions: impl Iterator<Item = Outcome<Vec<u8>>>,
    kind: &[u8],
    scan: &Scan,
    limit: usize,
) -> Outcome<Vec<Seq>> {
    let mut newest: Vec<(Vec<u8>, Seq)> = Vec::new();
    for version in versions {
        let version = version?;
        let Some((key, seq)) = parse_version_key(&version) else { continue };
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
