//! The snapshot of the recall index, in parts, and the keys whose documents have changed since it was stored.
//!
//! Both tables come with the first write of documents: a file of an earlier program has neither.

use memory_core::{IndexSnapshot, Key, Namespace, Result};
use redb::{ReadTransaction, ReadableTable, TableError};

use super::room::{CHURN_PER_CHANGE, document_charge};
use super::write::Change;
use super::{CHANGED, RedbCache, SNAPSHOTS, add};
use crate::codec::{HEADER_BYTES, check_mark, decode_part, encode_mark, encode_part};
use crate::failure::Outcome;
use crate::keys::{key_within, namespace_prefix, prefix_end};

/// How much of a snapshot a part has, in bytes: with key and frame a little less than a power of two of pages.
const PART: usize = 1024 * 1024 - 512;

/// Parts that room is made for before they are read: 4 GB, however many a file claims to have.
const MOST_AT_ONCE: u32 = 4_096;

/// Returns the key of a part: `namespace \0 number`, so that byte order is the order of parts.
fn part_key(namespace: &Namespace, number: u32) -> Vec<u8> {
    [namespace_prefix(namespace).as_slice(), &number.to_be_bytes()].concat()
}

fn part_charge(key: &[u8], bytes: &[u8]) -> u64 {
    document_charge(key.len(), bytes.len() as u64)
}

fn mark_charge(key: &[u8]) -> u64 {
    document_charge(key.len(), HEADER_BYTES as u64)
}

impl RedbCache {
    pub(super) fn write_snapshot(&self, namespace: &Namespace, snapshot: &[u8]) -> Result<()> {
        let too_large = || memory_core::Error::invalid("write snapshot", "snapshot", "it is too large");
        let count = u32::try_from(snapshot.len().div_ceil(PART)).map_err(|_| too_large())?;
        let mut parts = Vec::with_capacity(count as usize);
        for (number, part) in (0..count).zip(snapshot.chunks(PART)) {
            let key = part_key(namespace, number);
            let bytes = encode_part(&key, count, part).ok_or_else(too_large)?;
            parts.push((key, bytes));
        }
        let incoming: u64 = parts.iter().map(|(key, bytes)| part_charge(key, bytes)).sum();
        // First, so that room is made for one snapshot, not for two.
        self.drop_snapshot(namespace)?;
        if !self.has_room(incoming, "the snapshot of the recall index") {
            return Ok(());
        }
        self.write("write snapshot", incoming, |change| {
            let mut snapshots = change.transaction.open_table(SNAPSHOTS)?;
            for (key, bytes) in &parts {
                snapshots.insert(key.as_slice(), bytes.as_slice())?;
            }
            change.charge += incoming;
            change.churn += incoming + CHURN_PER_CHANGE;
            Ok(())
        })
    }

    fn drop_snapshot(&self, namespace: &Namespace) -> Result<()> {
        let (low, high) = range(namespace);
        let range = low.as_slice()..high.as_slice();
        self.write("drop snapshot", 0, |change| {
            let (mut gone, transaction) = (0, change.transaction);
            for row in transaction.open_table(SNAPSHOTS)?.extract_from_if(range.clone(), |_, _| true)? {
                let (key, bytes) = row?;
                gone += part_charge(key.value(), bytes.value());
            }
            for row in transaction.open_table(CHANGED)?.extract_from_if(range.clone(), |_, _| true)? {
                gone += mark_charge(row?.0.value());
            }
            change.charge = change.charge.saturating_sub(gone);
            change.churn += gone;
            Ok(())
        })
    }

    /// Notes that the documents of keys, given with their bytes, change; only of namespaces that have a snapshot.
    pub(super) fn note_changed<'k>(
        &self,
        change: &mut Change<'_>,
        keys: impl Iterator<Item = (&'k Key, &'k [u8])>,
    ) -> Outcome<()> {
        let snapshots = change.transaction.open_table(SNAPSHOTS)?;
        let mut changed = change.transaction.open_table(CHANGED)?;
        let mut snapshot_made: Option<(&Namespace, bool)> = None;
        for (key, bytes) in keys {
            let known = snapshot_made.filter(|(namespace, _)| **namespace == key.namespace);
            let (_, has_snapshot) = match known {
                Some(known) => known,
                None => (&key.namespace, snapshots.get(part_key(&key.namespace, 0).as_slice())?.is_some()),
            };
            snapshot_made = Some((&key.namespace, has_snapshot));
            if has_snapshot
                && let Some(mark) = encode_mark(bytes)
                && changed.insert(bytes, mark.as_slice())?.is_none()
            {
                change.charge += mark_charge(bytes);
                change.churn += mark_charge(bytes) + CHURN_PER_CHANGE;
            }
        }
        Ok(())
    }

    pub(super) fn read_snapshot(&self, namespace: &Namespace) -> Result<Option<IndexSnapshot>> {
        self.read(
            "read snapshot",
            || None,
            |transaction| {
                let snapshot = read_parts(transaction, namespace)?;
                if matches!(snapshot, Some(None)) {
                    add(&self.counts.corrupt, 1);
                }
                Ok(snapshot.flatten())
            },
        )
    }
}

fn range(namespace: &Namespace) -> (Vec<u8>, Vec<u8>) {
    let low = namespace_prefix(namespace);
    let high = prefix_end(&low);
    (low, high)
}

/// Reads a snapshot; `Some(None)` if there is one that cannot be read.
fn read_parts(
    transaction: &ReadTransaction,
    namespace: &Namespace,
) -> Outcome<Option<Option<IndexSnapshot>>> {
    let snapshots = match transaction.open_table(SNAPSHOTS) {
        Err(TableError::TableDoesNotExist(_)) => return Ok(None),
        snapshots => snapshots?,
    };
    let (low, high) = range(namespace);
    let (mut bytes, mut number, mut count) = (Vec::new(), 0, None);
    for row in snapshots.range(low.as_slice()..high.as_slice())? {
        let (key, part) = row?;
        let part = decode_part(key.value(), part.value()).ok();
        let part = part.filter(|(parts, _)| count.is_none_or(|count| count == *parts));
        let Some((parts, part)) = part else { return Ok(Some(None)) };
        if key.value() != part_key(namespace, number) {
            return Ok(Some(None));
        }
        if number == 0 {
            // No more than a file of that many parts has. Without it, growing would copy the bytes repeatedly.
            bytes.reserve_exact(part.len().saturating_mul(parts.min(MOST_AT_ONCE) as usize));
        }
        bytes.extend_from_slice(part);
        (number, count) = (number + 1, Some(parts));
    }
    let Some(count) = count else { return Ok(None) };
    let mut changed = Vec::new();
    for row in transaction.open_table(CHANGED)?.range(low.as_slice()..high.as_slice())? {
        let (bytes, mark) = row?;
        let readable = check_mark(bytes.value(), mark.value()).is_ok();
        let key = key_within(namespace, bytes.value()).filter(|_| readable);
        let Some(key) = key else { return Ok(Some(None)) };
        changed.push(key);
    }
    Ok(Some((number == count).then_some(IndexSnapshot { bytes, changed })))
}
