//! Parts of the snapshot of a recall index, and marks of the documents that have changed since.

use super::Unreadable;
use super::frame::{self, Sort, u32_at};

pub(super) const PART: Sort = Sort { magic: *b"AMip", format: 1, schema: 1 };
pub(super) const MARK: Sort = Sort { magic: *b"AMic", format: 1, schema: 1 };

/// The number of parts.
const FIXED_BYTES: usize = 4;

/// Encodes a part of a snapshot, bound to the bytes of its key, with the number of all its parts. Returns
/// `None` if it is too long for a frame.
pub fn encode_part(key_bytes: &[u8], parts: u32, content: &[u8]) -> Option<Vec<u8>> {
    let mut out = frame::start(PART, FIXED_BYTES + content.len());
    out.extend_from_slice(&parts.to_le_bytes());
    out.extend_from_slice(content);
    frame::seal(out, key_bytes)
}

/// Decodes a part of a snapshot stored under a key: the number of all parts, and the content.
///
/// # Errors
/// [`Unreadable`] for anything but the bytes that [`encode_part`] made for the same key.
pub fn decode_part<'b>(key_bytes: &[u8], bytes: &'b [u8]) -> Result<(u32, &'b [u8]), Unreadable> {
    let body = frame::open(PART, key_bytes, bytes)?;
    let parts = u32_at(body, 0).ok_or(Unreadable::Content)?;
    Ok((parts, body.get(FIXED_BYTES..).ok_or(Unreadable::Content)?))
}

/// Encodes the mark of a document that has changed, bound to the bytes of its key: only the checksum, so that
/// it is invalid under any other key.
pub(crate) fn encode_mark(key_bytes: &[u8]) -> Option<Vec<u8>> {
    frame::seal(frame::start(MARK, 0), key_bytes)
}

/// Checks the mark of a key.
///
/// # Errors
/// [`Unreadable`] for anything but the bytes that [`encode_mark`] made for the same key.
pub(crate) fn check_mark(key_bytes: &[u8], bytes: &[u8]) -> Result<(), Unreadable> {
    if frame::open(MARK, key_bytes, bytes)?.is_empty() { Ok(()) } else { Err(Unreadable::Content) }
}
