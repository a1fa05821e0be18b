//! Dead letters: the stored bytes of the row, verbatim even if they do not decode, and why.

use memory_core::Timestamp;

use super::Unreadable;
use super::frame::{self, Sort, u32_at, u64_at};

pub(super) const SORT: Sort = Sort { magic: *b"AMsa", format: 1, schema: 1 };

/// Reasons are cut to this many bytes.
const REASON_LIMIT: usize = 1024;

/// Time and length of the reason.
const FIXED_BYTES: usize = 12;

/// A dead letter as it is stored.
pub(crate) struct DeadLetterEntry<'a> {
    pub(crate) at: Timestamp,
    pub(crate) reason: &'a str,
    pub(crate) row: &'a [u8],
}

/// Encodes a dead letter; `None` if it is too long for a frame.
pub(crate) fn encode_dead_letter(row: &[u8], reason: &str, at: Timestamp) -> Option<Vec<u8>> {
    let reason = cut(reason);
    let mut out = frame::start(SORT, FIXED_BYTES + reason.len() + row.len());
    out.extend_from_slice(&at.0.to_le_bytes());
    out.extend_from_slice(&u32::try_from(reason.len()).ok()?.to_le_bytes());
    out.extend_from_slice(reason.as_bytes());
    out.extend_from_slice(row);
    frame::seal(out, &[])
}

/// Decodes a dead letter.
pub(crate) fn decode_dead_letter(bytes: &[u8]) -> Result<DeadLetterEntry<'_>, Unreadable> {
    let body = frame::open(SORT, &[], bytes)?;
    let at = u64_at(body, 0).ok_or(Unreadable::Content)?;
    let length = u32_at(body, 8).ok_or(Unreadable::Content)? as usize;
    let rest = body.get(FIXED_BYTES..).ok_or(Unreadable::Content)?;
    let (reason, row) = rest.split_at_checked(length).ok_or(Unreadable::Content)?;
    let reason = std::str::from_utf8(reason).map_err(|_| Unreadable::Content)?;
    Ok(DeadLetterEntry { at: Timestamp(at), reason, row })
}

fn cut(reason: &str) -> &str {
    let end = (0..=reason.len().min(REASON_LIMIT)).rev().find(|end| reason.is_char_boundary(*end));
    &reason[..end.unwrap_or(0)]
}
