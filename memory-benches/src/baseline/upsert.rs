//! The statement and the values of a revision-guarded upsert, by hand.

use libsql::Value;
use memory_core::Row;

const COLUMNS: &str = "(namespace, kind, id, revision, writer, updated_at, expires_at, body, deleted, seq)";

const NEXT_SEQ: &str =
    "(SELECT 1 + max(coalesce((SELECT max(seq) FROM records), 0), purged_seq) FROM agent_memory_feed)";

const MERGE: &str = "ON CONFLICT (namespace, kind, id) DO UPDATE SET revision = excluded.revision, \
    writer = excluded.writer, seq = excluded.seq, updated_at = excluded.updated_at, \
    expires_at = excluded.expires_at, deleted = excluded.deleted, body = excluded.body \
    WHERE (excluded.revision, excluded.writer) > (records.revision, records.writer)";

/// Returns the upsert of one row.
pub(super) fn one() -> String {
    format!(
        "INSERT INTO records {COLUMNS} VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?8 IS NULL, {NEXT_SEQ}) {MERGE}"
    )
}

/// Returns the upsert of `count` rows with one number.
pub(super) fn many(count: usize) -> String {
    let rows = vec!["(?, ?, ?, ?, ?, ?, ?, ?)"; count].join(", ");
    format!(
        "WITH next (seq) AS (SELECT {NEXT_SEQ}) INSERT INTO records {COLUMNS} SELECT column1, column2, column3, \
         column4, column5, column6, column7, column8, column8 IS NULL, (SELECT seq FROM next) \
         FROM (VALUES {rows}) WHERE true {MERGE}"
    )
}

/// Returns the values of a row in the order of the statements.
pub(super) fn values(row: Row) -> [Value; 8] {
    let integer = |number: u64| Value::Integer(number as i64);
    [
        Value::Text(row.namespace),
        Value::Text(row.kind),
        Value::Text(row.id),
        integer(row.revision),
        integer(row.writer),
        integer(row.updated_at),
        row.expires_at.map_or(Value::Null, integer),
        row.body.map_or(Value::Null, Value::Text),
    ]
}
