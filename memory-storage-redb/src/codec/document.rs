//! Search documents.

use memory_core::SearchDocument;

use super::frame::{self, Sort};
use super::{Unreadable, read_payload, write_payload};

/// `schema` counts the shapes that the bincode form of [`SearchDocument`] has had.
pub(super) const SORT: Sort = Sort { magic: *b"AMsd", format: 1, schema: 7 };

/// Encodes a search document, bound to the bytes of the key it is stored under. Returns `None` if it is larger
/// than the cache takes.
pub fn encode_document(key_bytes: &[u8], document: &SearchDocument) -> Option<Vec<u8>> {
    let mut out = frame::start(SORT, 256);
    write_payload(&mut out, document)?;
    frame::seal(out, key_bytes)
}

/// Decodes a search document stored under a key.
///
/// # Errors
/// [`Unreadable`] for anything but the bytes that [`encode_document`] made for the same key.
pub fn decode_document(key_bytes: &[u8], bytes: &[u8]) -> Result<SearchDocument, Unreadable> {
    read_payload(frame::open(SORT, key_bytes, bytes)?)
}
