//! Outbox rows: the exact durable form of a record, so that any later program can send the rows of this one.

use memory_core::{Error, ErrorKind, Record, Result, Revision, Row, Timestamp, WriterId};
use serde::{Deserialize, Serialize};

use super::frame::{self, Sort, u64_at};
use super::{Unreadable, borrow_payload, write_payload};

pub(crate) const MAGIC: [u8; 4] = *b"AMor";

/// The row's layout is the durable one, which has no schema of its own: the body is JSON.
pub(super) const SORT: Sort = Sort { magic: MAGIC, format: 1, schema: 1 };

/// appended_at.
const FIXED_BYTES: usize = 8;

/// The fields of [`Row`] in stored order.
#[derive(Serialize, Deserialize)]
struct StoredRow<'a> {
    namespace: &'a str,
    kind: &'a str,
    id: &'a str,
    revision: u64,
    writer: u64,
    updated_at: u64,
    expires_at: Option<u64>,
    body: Option<&'a str>,
}

/// A row of the outbox as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PendingRow {
    /// When it was appended.
    pub appended_at: Timestamp,
    /// The row to send.
    pub row: Row,
}

/// The data that the outbox needs of a row without decoding it.
pub(crate) struct RowHead<'a> {
    pub(crate) namespace: &'a str,
    pub(crate) kind: &'a str,
    pub(crate) id: &'a str,
    pub(crate) revision: Revision,
    pub(crate) appended_at: Timestamp,
}

impl RowHead<'_> {
    /// Returns the bytes of the record's key, as [`crate::keys::key_bytes`] makes them.
    pub(crate) fn key_bytes(&self) -> Vec<u8> {
        [self.namespace.as_bytes(), &[0], self.kind.as_bytes(), &[0], self.id.as_bytes()].concat()
    }
}

/// Encodes a record for the outbox.
///
/// # Errors
/// Those of [`Row::encode`].
pub fn encode_row(record: &Record, appended_at: Timestamp) -> Result<Vec<u8>> {
    let row = Row::encode(record)?;
    seal_row(&row, appended_at).ok_or_else(|| {
        Error::new(ErrorKind::InvalidInput, "encode outbox row", "the record is larger than a row can be")
            .with_context("key", record.key.to_string())
    })
}

pub(super) fn seal_row(row: &Row, appended_at: Timestamp) -> Option<Vec<u8>> {
    let mut out = frame::start(SORT, FIXED_BYTES + row.size() + 32);
    out.extend_from_slice(&appended_at.0.to_le_bytes());
    let stored = StoredRow {
        namespace: &row.namespace,
        kind: &row.kind,
        id: &row.id,
        revision: row.revision,
        writer: row.writer,
        updated_at: row.updated_at,
        expires_at: row.expires_at,
        body: row.body.as_deref(),
    };
    write_payload(&mut out, &stored)?;
    frame::seal(out, &[])
}

/// Decodes a row of the outbox.
///
/// # Errors
/// [`Unreadable`] for anything but the bytes that [`encode_row`] made.
pub fn decode_row(bytes: &[u8]) -> Result<PendingRow, Unreadable> {
    let (appended_at, stored) = open_row(bytes)?;
    let row = Row {
        namespace: stored.namespace.to_owned(),
        kind: stored.kind.to_owned(),
        id: stored.id.to_owned(),
        revision: stored.revision,
        writer: stored.writer,
        updated_at: stored.updated_at,
        expires_at: stored.expires_at,
        body: stored.body.map(str::to_owned),
    };
    Ok(PendingRow { appended_at, row })
}

/// Decodes the identity of a row; its texts borrow from the input.
pub(crate) fn borrow_row(bytes: &[u8]) -> Result<RowHead<'_>, Unreadable> {
    let (appended_at, stored) = open_row(bytes)?;
    Ok(RowHead {
        namespace: stored.namespace,
        kind: stored.kind,
        id: stored.id,
        revision: Revision { clock: stored.revision, writer: WriterId::new(stored.writer) },
        appended_at,
    })
}

/// Gives a stored row another time of appending.
pub(crate) fn restamp_row(bytes: &[u8], appended_at: Timestamp) -> Result<Vec<u8>, Unreadable> {
    seal_row(&decode_row(bytes)?.row, appended_at).ok_or(Unreadable::Content)
}

fn open_row(bytes: &[u8]) -> Result<(Timestamp, StoredRow<'_>), Unreadable> {
    let body = frame::open(SORT, &[], bytes)?;
    let appended_at = u64_at(body, 0).ok_or(Unreadable::Content)?;
    let payload = body.get(FIXED_BYTES..).ok_or(Unreadable::Content)?;
    Ok((Timestamp(appended_at), borrow_payload(payload)?))
}
