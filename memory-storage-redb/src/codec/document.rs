//! Search documents: a revision, and bytes that only the search index understands.

use memory_core::{Revision, StoredDocument, WriterId};

use super::Unreadable;
use super::frame::{self, Sort, u64_at};

/// `schema` counts the shapes of the body; the search index has its own number for its encoding.
pub(super) const SORT: Sort = Sort { magic: *b"AMsd", format: 1, schema: 8 };

/// The clock and the writer of the revision.
const FIXED_BYTES: usize = 16;

/// Encodes a search document, bound to the bytes of its key. Returns `None` if it is too long for a frame.
pub fn encode_document(key_bytes: &[u8], document: &StoredDocument) -> Option<Vec<u8>> {
    let mut out = frame::start(SORT, FIXED_BYTES + document.bytes.len());
    out.extend_from_slice(&document.revision.clock.to_le_bytes());
    out.extend_from_slice(&document.revision.writer.get().to_le_bytes());
    out.extend_from_slice(&document.bytes);
    frame::seal(out, key_bytes)
}

/// Decodes a search document stored under a key.
///
/// # Errors
/// [`Unreadable`] for anything but the bytes that [`encode_document`] made for the same key.
pub fn decode_document(key_bytes: &[u8], bytes: &[u8]) -> Result<StoredDocument, Unreadable> {
    let body = frame::open(SORT, key_bytes, bytes)?;
    let revision = revision_of(body).ok_or(Unreadable::Content)?;
    Ok(StoredDocument { revision, bytes: body[FIXED_BYTES..].to_vec() })
}

/// Decodes the revision of a search document stored under a key.
///
/// # Errors
/// As [`decode_document`].
pub(crate) fn document_revision(key_bytes: &[u8], bytes: &[u8]) -> Result<Revision, Unreadable> {
    revision_of(frame::open(SORT, key_bytes, bytes)?).ok_or(Unreadable::Content)
}

fn revision_of(body: &[u8]) -> Option<Revision> {
    Some(Revision { clock: u64_at(body, 0)?, writer: WriterId::new(u64_at(body, 8)?) })
}
