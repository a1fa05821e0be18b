//! Cache entries: one version of a record and when it was filled.

use std::sync::Arc;

use memory_core::{Entity, Key, Record, Revision, Timestamp, WriterId};

use super::frame::{self, Sort, u64_at};
use super::{Unreadable, read_payload, write_payload};

/// `schema` counts the shapes that the bincode form of [`Entity`] has had.
pub(super) const SORT: Sort = Sort { magic: *b"AMce", format: 1, schema: 10 };

/// Revision clock, writer, updated_at, expires_at, filled_at, flags.
const FIXED_BYTES: usize = 41;
const TOMBSTONE: u8 = 1;
const EXPIRES: u8 = 2;

/// A decoded cache entry.
#[derive(Debug, Clone, PartialEq)]
pub struct CacheEntry {
    /// The version.
    pub revision: Revision,
    /// When the version was made.
    pub updated_at: Timestamp,
    /// When stores may purge it.
    pub expires_at: Option<Timestamp>,
    /// When the cache was given it.
    pub filled_at: Timestamp,
    /// The content; `None` for a tombstone.
    pub entity: Option<Arc<Entity>>,
}

impl CacheEntry {
    /// Turns the entry into the record of the key it was stored under.
    pub(crate) fn into_record(self, key: Key) -> Record {
        Record {
            key,
            revision: self.revision,
            updated_at: self.updated_at,
            expires_at: self.expires_at,
            entity: self.entity,
        }
    }
}

/// Encodes a record for the cache, bound to the bytes of the key it is stored under. Returns `None` if its
/// content is larger than the cache takes.
pub fn encode_entry(key_bytes: &[u8], record: &Record, filled_at: Timestamp) -> Option<Vec<u8>> {
    let capacity = FIXED_BYTES + record.entity.as_ref().map_or(0, |entity| entity.weight());
    let mut out = frame::start(SORT, capacity);
    let expiry = record.expires_at.map_or(0, |at| at.0);
    for field in
        [record.revision.clock, record.revision.writer.get(), record.updated_at.0, expiry, filled_at.0]
    {
        out.extend_from_slice(&field.to_le_bytes());
    }
    let mut flags = 0;
    if record.is_tombstone() {
        flags |= TOMBSTONE;
    }
    if record.expires_at.is_some() {
        flags |= EXPIRES;
    }
    out.push(flags);
    if let Some(entity) = &record.entity {
        write_payload(&mut out, entity.as_ref())?;
    }
    frame::seal(out, key_bytes)
}

/// Decodes a cache entry stored under a key.
///
/// # Errors
/// [`Unreadable`] for anything but the bytes that [`encode_entry`] made for the same key.
pub fn decode_entry(key_bytes: &[u8], bytes: &[u8]) -> Result<CacheEntry, Unreadable> {
    let body = frame::open(SORT, key_bytes, bytes)?;
    let (fixed, payload) = body.split_at_checked(FIXED_BYTES).ok_or(Unreadable::Content)?;
    let field = |index: usize| u64_at(fixed, index * 8).ok_or(Unreadable::Content);
    let flags = *fixed.last().ok_or(Unreadable::Content)?;
    let (writer, expiry) = (field(1)?, field(3)?);
    let known = flags & !(TOMBSTONE | EXPIRES) == 0;
    let canonical = WriterId::new(writer).get() == writer && (flags & EXPIRES != 0 || expiry == 0);
    if !known || !canonical {
        return Err(Unreadable::Content);
    }
    let entity = match (flags & TOMBSTONE != 0, payload.is_empty()) {
        (true, true) => None,
        (true, false) => return Err(Unreadable::Content),
        (false, _) => Some(Arc::new(read_payload::<Entity>(payload)?)),
    };
    Ok(CacheEntry {
        revision: Revision { clock: field(0)?, writer: WriterId::new(writer) },
        updated_at: Timestamp(field(2)?),
        expires_at: (flags & EXPIRES != 0).then_some(Timestamp(expiry)),
        filled_at: Timestamp(field(4)?),
        entity,
    })
}

/// Reads the revision without decoding the content.
pub(crate) fn entry_revision(key_bytes: &[u8], bytes: &[u8]) -> Result<Revision, Unreadable> {
    let body = frame::open(SORT, key_bytes, bytes)?;
    let field = |index: usize| u64_at(body, index * 8).ok_or(Unreadable::Content);
    Ok(Revision { clock: field(0)?, writer: WriterId::new(field(1)?) })
}
