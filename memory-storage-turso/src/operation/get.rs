//! Reads records by key.

use std::collections::HashMap;

use memory_core::{Key, Record};

use crate::classify::Failure;
use crate::operation::rows::{VERSION_COLUMNS, take_record};
use crate::operation::{Access, Operation, truncated};
use crate::session::{Session, integer, text};

/// The most keys of one statement.
const MAX_KEYS: usize = 500;

/// Reads the stored version of each key, in order.
pub(crate) struct Get {
    pub(crate) keys: Vec<Key>,
}

impl Operation for Get {
    type Answer = Vec<Option<Record>>;
    const NAME: &'static str = "get";
    const ACCESS: Access = Access::Read;

    async fn run(&self, session: &Session) -> Result<Self::Answer, Failure> {
        let mut found = Vec::with_capacity(self.keys.len());
        for part in self.keys.chunks(MAX_KEYS) {
            read(session, part, &mut found).await?;
        }
        Ok(found)
    }
}

/// Asks for one row a key, stored or not: a shorter answer was cut off on its way.
async fn read(session: &Session, keys: &[Key], found: &mut Vec<Option<Record>>) -> Result<(), Failure> {
    let mut values = Vec::with_capacity(keys.len() * 4);
    for (place, key) in keys.iter().enumerate() {
        values.extend([
            integer(place as u64),
            text(key.namespace.as_str()),
            text(key.kind.name()),
            text(key.id.as_ref()),
        ]);
    }
    let wanted = vec!["(?, ?, ?, ?)"; keys.len()].join(", ");
    let sql = format!(
        "WITH wanted (place, n, k, i) AS (VALUES {wanted}) \
         SELECT place, records.id, {VERSION_COLUMNS}, {} FROM wanted \
         LEFT JOIN records ON records.namespace = n AND records.kind = k AND records.id = i",
        session.body()
    );
    let mut rows = HashMap::with_capacity(keys.len());
    for mut cells in session.query(Get::NAME, &sql, values).await? {
        rows.insert(cells.integer(Get::NAME)?, cells);
    }
    for (place, key) in keys.iter().enumerate() {
        let mut cells = rows.remove(&(place as u64)).ok_or_else(|| truncated(Get::NAME))?;
        found.push(match cells.maybe_text(Get::NAME)? {
            Some(id) => Some(take_record(Get::NAME, &mut cells, (&key.namespace, key.kind, id))?),
            None => None,
        });
    }
    Ok(())
}
