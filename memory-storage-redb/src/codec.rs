//! The byte forms of everything kept in redb: checksummed frames around bincode.
//!
//! Nothing else in this crate names bincode. Every decoder takes bytes from a file that may be damaged or
//! forged: it answers with [`Unreadable`], never with a panic, and allocates at most `PAYLOAD_LIMIT` bytes
//! beyond its input.

use std::fmt;

use bincode::config::{Configuration, Limit, LittleEndian, Varint};
use serde::Serialize;
use serde::de::{Deserialize, DeserializeOwned};

mod dead_letter;
mod document;
mod entry;
mod frame;
#[cfg(feature = "fuzzing")]
mod fuzzing;
mod meta;
mod row;
mod snapshot;

pub use document::{decode_document, encode_document};
pub use entry::{CacheEntry, decode_entry, encode_entry};
pub use row::{PendingRow, decode_row, encode_row};
pub use snapshot::{decode_part, encode_part};

pub(crate) use dead_letter::{decode_dead_letter, encode_dead_letter};
pub(crate) use document::document_revision;
pub(crate) use entry::entry_revision;
pub(crate) use frame::{HEADER_BYTES, framed_length};
#[cfg(feature = "fuzzing")]
pub use fuzzing::{reseal_document, reseal_entry, reseal_row};
pub(crate) use meta::{decode_meta, encode_meta};
pub(crate) use row::{MAGIC as ROW_MAGIC, RowHead, borrow_row, restamp_row};
pub(crate) use snapshot::{check_mark, encode_mark};

/// The most bytes a decoded payload may claim, in all its fields together.
pub(crate) const PAYLOAD_LIMIT: usize = 16 * 1024 * 1024;

/// The reason why stored bytes cannot be read. A cache treats it as a miss, the outbox makes the row a dead
/// letter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Unreadable {
    /// The bytes are shorter or longer than their header states, or too short for a header.
    Length,
    /// The bytes are not of this sort.
    Magic,
    /// The bytes were written by another version of the format or of the schema.
    Version,
    /// The checksum does not match.
    Checksum,
    /// The checksum matches, but the content does not decode.
    Content,
}

impl fmt::Display for Unreadable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Length => "the stored bytes have the wrong length",
            Self::Magic => "the stored bytes are of another sort",
            Self::Version => "the stored bytes are of another format version",
            Self::Checksum => "the stored bytes fail their checksum",
            Self::Content => "the stored content does not decode",
        })
    }
}

impl std::error::Error for Unreadable {}

const fn config() -> Configuration<LittleEndian, Varint, Limit<PAYLOAD_LIMIT>> {
    bincode::config::standard().with_limit::<PAYLOAD_LIMIT>()
}

/// Appends the payload; `None` if it has no binary form or exceeds the limit.
fn write_payload(out: &mut Vec<u8>, content: &impl Serialize) -> Option<()> {
    let before = out.len();
    bincode::serde::encode_into_std_write(content, out, config()).ok()?;
    (out.len() - before <= PAYLOAD_LIMIT).then_some(())
}

/// Decodes a payload that must be consumed to its last byte.
fn read_payload<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Unreadable> {
    match bincode::serde::decode_from_slice(bytes, config()) {
        Ok((content, used)) if used == bytes.len() => Ok(content),
        _ => Err(Unreadable::Content),
    }
}

/// Decodes a payload whose texts borrow from the input.
fn borrow_payload<'a, T: Deserialize<'a>>(bytes: &'a [u8]) -> Result<T, Unreadable> {
    match bincode::serde::borrow_decode_from_slice(bytes, config()) {
        Ok((content, used)) if used == bytes.len() => Ok(content),
        _ => Err(Unreadable::Content),
    }
}

#[cfg(test)]
mod corpus;
#[cfg(test)]
mod golden;
#[cfg(test)]
mod hostile;
