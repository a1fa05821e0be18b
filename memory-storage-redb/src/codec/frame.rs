//! The frame around every stored value: magic, versions, length and checksum.
//!
//! ```text
//! 0..4   magic, one per sort of content
//! 4..6   format version of the frame and its fixed fields
//! 6..8   schema version of the bincode content
//! 8..12  length of the body
//! 12..16 crc32c of the context (the key the value is stored under), bytes 0..12 and the body
//! 16..   body
//! ```
//!
//! All integers are little-endian. The context is not stored: a value under another key than its own fails its
//! checksum.

use super::Unreadable;

pub(crate) const HEADER_BYTES: usize = 16;

/// The constants that distinguish one sort of content from another.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sort {
    pub(super) magic: [u8; 4],
    pub(super) format: u16,
    pub(super) schema: u16,
}

/// Starts a frame; the body is appended to the result.
pub(super) fn start(sort: Sort, capacity: usize) -> Vec<u8> {
    let mut frame = Vec::with_capacity(HEADER_BYTES + capacity);
    frame.extend_from_slice(&sort.magic);
    frame.extend_from_slice(&sort.format.to_le_bytes());
    frame.extend_from_slice(&sort.schema.to_le_bytes());
    frame.extend_from_slice(&[0; 8]);
    frame
}

/// Completes a frame whose body has been appended; `None` if the body is too long for a frame.
pub(super) fn seal(mut frame: Vec<u8>, context: &[u8]) -> Option<Vec<u8>> {
    let length = u32::try_from(frame.len().checked_sub(HEADER_BYTES)?).ok()?;
    frame.get_mut(8..12)?.copy_from_slice(&length.to_le_bytes());
    let checksum = checksum(context, &frame)?;
    frame.get_mut(12..16)?.copy_from_slice(&checksum.to_le_bytes());
    Some(frame)
}

/// Checks a frame and returns its body.
pub(super) fn open<'a>(sort: Sort, context: &[u8], frame: &'a [u8]) -> Result<&'a [u8], Unreadable> {
    let (header, body) = frame.split_at_checked(HEADER_BYTES).ok_or(Unreadable::Length)?;
    if header.get(0..4) != Some(&sort.magic) {
        return Err(Unreadable::Magic);
    }
    if u16_at(header, 4) != Some(sort.format) || u16_at(header, 6) != Some(sort.schema) {
        return Err(Unreadable::Version);
    }
    if u32_at(header, 8).map(|length| length as usize) != Some(body.len()) {
        return Err(Unreadable::Length);
    }
    if u32_at(header, 12) != checksum(context, frame) {
        return Err(Unreadable::Checksum);
    }
    Ok(body)
}

/// Puts a header with a matching length and checksum before any body, as an attacker would who knows the
/// format. `None` if the body is too long for a frame.
#[cfg(any(test, feature = "fuzzing"))]
pub(super) fn reseal(sort: Sort, context: &[u8], body: &[u8]) -> Option<Vec<u8>> {
    let mut frame = start(sort, body.len());
    frame.extend_from_slice(body);
    seal(frame, context)
}

/// Reads how long the frame is that starts here, header included.
pub(crate) fn framed_length(header: &[u8]) -> Option<usize> {
    usize::try_from(u32_at(header, 8)?).ok()?.checked_add(HEADER_BYTES)
}

fn checksum(context: &[u8], frame: &[u8]) -> Option<u32> {
    let sum = crc32c::crc32c(context);
    let sum = crc32c::crc32c_append(sum, frame.get(..12)?);
    Some(crc32c::crc32c_append(sum, frame.get(HEADER_BYTES..)?))
}

pub(super) fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    bytes.get(at..at + 2)?.try_into().ok().map(u16::from_le_bytes)
}

pub(super) fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..at + 4)?.try_into().ok().map(u32::from_le_bytes)
}

pub(super) fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    bytes.get(at..at + 8)?.try_into().ok().map(u64::from_le_bytes)
}
