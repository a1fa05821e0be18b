//! The durable form of a record: one row of plain values with a JSON body.

use std::sync::Arc;

use crate::clock::Timestamp;
use crate::error::{Error, ErrorKind, LimitViolation, Result};
use crate::model::entity::Entity;
use crate::model::kind::Kind;
use crate::store::record::{Key, Namespace, Record, Revision, WriterId};

/// The largest encoded record, in bytes. sqld refuses rows above 5 MB.
pub const MAX_RECORD_BYTES: usize = 4 * 1024 * 1024;

/// A record as the durable tier and the outbox keep it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// The namespace.
    pub namespace: String,
    /// The kind's stored name.
    pub kind: String,
    /// The record's id.
    pub id: String,
    /// [`Revision::clock`]; below 2^63.
    pub revision: u64,
    /// [`Revision::writer`]; below 2^63.
    pub writer: u64,
    /// Milliseconds since the epoch.
    pub updated_at: u64,
    /// Milliseconds since the epoch.
    pub expires_at: Option<u64>,
    /// The JSON body; `None` for a tombstone.
    pub body: Option<String>,
}

impl Row {
    /// Encodes a record.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`] if the body has no JSON form or exceeds [`MAX_RECORD_BYTES`].
    pub fn encode(record: &Record) -> Result<Self> {
        let body = record.entity.as_ref().map(|entity| entity.to_json()).transpose()?;
        if let Some(found) = body.as_ref().map(String::len).filter(|found| *found > MAX_RECORD_BYTES) {
            let violation = LimitViolation {
                field: record.key.kind.name().into(),
                limit: MAX_RECORD_BYTES as u64,
                found: found as u64,
                unit: "bytes encoded",
            };
            return Err(Error::limit(ErrorKind::InvalidInput, "encode record", violation)
                .with_context("key", record.key.to_string()));
        }
        Ok(Self {
            namespace: record.key.namespace.as_str().into(),
            kind: record.key.kind.name().into(),
            id: record.key.id.as_ref().into(),
            revision: record.revision.clock,
            writer: record.revision.writer.get(),
            updated_at: record.updated_at.0,
            expires_at: record.expires_at.map(|at| at.0),
            body,
        })
    }

    /// Decodes a row.
    ///
    /// # Errors
    /// [`ErrorKind::Unsupported`] for a kind this program does not know, [`ErrorKind::Corrupt`] for a body that
    /// is not that of its kind, [`ErrorKind::InvalidInput`] for a namespace that cannot be one.
    pub fn decode(self) -> Result<Record> {
        let key = self.key()?;
        let entity = match &self.body {
            Some(body) => Some(Arc::new(Entity::from_json(key.kind, body)?)),
            None => None,
        };
        Ok(Record {
            revision: self.revision(),
            updated_at: Timestamp(self.updated_at),
            expires_at: self.expires_at.map(Timestamp),
            key,
            entity,
        })
    }

    /// Returns the key.
    ///
    /// # Errors
    /// As [`Row::decode`].
    pub fn key(&self) -> Result<Key> {
        Ok(Key::new(&Namespace::new(&self.namespace)?, self.kind.parse::<Kind>()?, self.id.as_str()))
    }

    /// Returns the revision.
    pub fn revision(&self) -> Revision {
        Revision { clock: self.revision, writer: WriterId::new(self.writer) }
    }

    /// Returns the encoded size in bytes, as batches count it.
    pub fn size(&self) -> usize {
        64 + self.namespace.len()
            + self.kind.len()
            + self.id.len()
            + self.body.as_ref().map_or(0, String::len)
    }
}
