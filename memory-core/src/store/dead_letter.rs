//! Dead letters: rows that were not delivered, kept until a person decides about them.

use serde_json::{Value, json};

use crate::clock::Timestamp;
use crate::error::Result;
use crate::store::record::Record;
use crate::store::record::Seq;
use crate::store::wire::Row;

/// A row of the outbox that was not delivered: the durable tier refused it, or it cannot be read.
#[derive(Debug, Clone)]
pub struct DeadLetter {
    /// The row.
    pub seq: Seq,
    /// Why.
    pub reason: String,
    /// When.
    pub at: Timestamp,
    /// The unsent record; `None` if it does not decode.
    pub record: Option<Record>,
    /// The stored bytes if the record does not decode; otherwise empty.
    pub raw: Vec<u8>,
}

impl DeadLetter {
    /// Returns the dead letter with the durable form of its record, for an export of one object a line.
    ///
    /// The fields are `seq`, `at` (milliseconds since 1970) and `reason`, then those of the durable row:
    /// `namespace`, `kind`, `id`, `revision`, `writer`, `updated_at`, `expires_at` (or null) and `body` (null
    /// for a tombstone). If the record does not decode, `raw` (hexadecimal) stands in place of the row's
    /// fields.
    ///
    /// # Errors
    /// Those of [`Row::encode`].
    pub fn to_json(&self) -> Result<Value> {
        let mut object = json!({"seq": self.seq, "at": self.at, "reason": self.reason});
        let Some(record) = &self.record else {
            let raw = self.raw.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
            object["raw"] = raw.into();
            return Ok(object);
        };
        let row = Row::encode(record)?;
        object["namespace"] = row.namespace.into();
        object["kind"] = row.kind.into();
        object["id"] = row.id.into();
        object["revision"] = row.revision.into();
        object["writer"] = row.writer.into();
        object["updated_at"] = row.updated_at.into();
        object["expires_at"] = row.expires_at.into();
        // A body is made by the encoder and is JSON; were it not, its text is kept.
        object["body"] = match row.body {
            None => Value::Null,
            Some(body) => serde_json::from_str(&body).unwrap_or(Value::String(body)),
        };
        Ok(object)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::fixtures::{episode, record};
    use crate::store::record::Namespace;

    fn letter(record: Option<Record>, raw: Vec<u8>) -> Value {
        DeadLetter { seq: 7, reason: "why".into(), at: Timestamp(9), record, raw }.to_json().unwrap()
    }

    #[test]
    fn an_export_holds_the_durable_row_or_its_bytes() {
        let record = record(&Namespace::default(), "id", 3, Some(episode(1)));
        let exported = letter(Some(record.clone()), Vec::new());
        let row = Row {
            namespace: exported["namespace"].as_str().unwrap().into(),
            kind: exported["kind"].as_str().unwrap().into(),
            id: exported["id"].as_str().unwrap().into(),
            revision: exported["revision"].as_u64().unwrap(),
            writer: exported["writer"].as_u64().unwrap(),
            updated_at: exported["updated_at"].as_u64().unwrap(),
            expires_at: exported["expires_at"].as_u64(),
            body: Some(exported["body"].to_string()),
        };
        assert_eq!(row.decode().unwrap(), record, "nothing is missing");
        assert_eq!(
            (&exported["seq"], &exported["at"], &exported["reason"]),
            (&7.into(), &9.into(), &"why".into())
        );
        assert_eq!(letter(None, vec![0, 255])["raw"], "00ff");
    }
}
