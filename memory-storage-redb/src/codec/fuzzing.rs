//! Functions for the fuzz targets to pass magic, versions and checksum, which are always the current ones.

use super::{document, entry, frame, row};

/// Puts the header of a cache entry before a body; `None` if it is too long for a frame.
pub fn reseal_entry(key_bytes: &[u8], body: &[u8]) -> Option<Vec<u8>> {
    frame::reseal(entry::SORT, key_bytes, body)
}

/// Puts the header of an outbox row before a body; `None` if it is too long for a frame.
pub fn reseal_row(body: &[u8]) -> Option<Vec<u8>> {
    frame::reseal(row::SORT, &[], body)
}

/// Puts the header of a search document before a body; `None` if it is too long for a frame.
pub fn reseal_document(key_bytes: &[u8], body: &[u8]) -> Option<Vec<u8>> {
    frame::reseal(document::SORT, key_bytes, body)
}
