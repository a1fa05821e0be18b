//! Applies versions of records: one multi-row upsert, guarded by revision.

use libsql::Value;
use memory_core::Row;

use crate::classify::Failure;
use crate::operation::{Access, Operation};
use crate::session::{Session, integer, text};

/// Bound parameters of one row.
const PARAMETERS: usize = 8;

/// The most rows of one statement: SQLite binds at most 32,766 parameters.
const MAX_ROWS: usize = 4_000;

/// The number of the current commit: above every stored one, every purged one and every one with a token.
///
/// The statement reads it before it inserts its first row, so all its rows carry the same number; SQLite
/// serialises writers, so a reader that has seen a number has seen every lower one.
const NEXT_SEQ: &str = "(SELECT 1 + max(coalesce((SELECT max(seq) FROM records), 0), \
                        coalesce((SELECT max(seq) FROM agent_memory_commits), 0), purged_seq) FROM agent_memory_feed)";

const MERGE: &str = " ON CONFLICT (namespace, kind, id) DO UPDATE SET revision = excluded.revision, \
                     writer = excluded.writer, seq = excluded.seq, updated_at = excluded.updated_at, \
                     expires_at = excluded.expires_at, deleted = excluded.deleted, body = excluded.body \
                     WHERE (excluded.revision, excluded.writer) > (records.revision, records.writer)";

/// Applies rows: all of them or none.
pub(crate) struct Commit {
    pub(crate) rows: Vec<Row>,
}

impl Operation for Commit {
    type Answer = ();
    const NAME: &'static str = "commit";
    const ACCESS: Access = Access::Write;

    async fn run(&self, session: &Session) -> Result<(), Failure> {
        if self.rows.len() <= MAX_ROWS {
            return match self.rows.len() {
                0 => Ok(()),
                count => upsert(session, &statement(count, NEXT_SEQ), &self.rows).await,
            };
        }
        // Several statements form one commit only with one number, which is therefore read first.
        session.execute(Self::NAME, "BEGIN IMMEDIATE", Vec::new()).await?;
        let outcome = self.run_in_parts(session).await;
        let end = if outcome.is_ok() { "COMMIT" } else { "ROLLBACK" };
        let ended = session.execute(Self::NAME, end, Vec::new()).await;
        outcome.and(ended.map(drop))
    }
}

impl Commit {
    async fn run_in_parts(&self, session: &Session) -> Result<(), Failure> {
        let mut answer = session.query(Self::NAME, &format!("SELECT {NEXT_SEQ}"), Vec::new()).await?;
        let seq = match answer.pop() {
            Some(mut cells) => cells.integer(Self::NAME)?,
            None => return Err(crate::operation::truncated(Self::NAME).into()),
        };
        for part in self.rows.chunks(MAX_ROWS) {
            upsert(session, &statement(part.len(), &seq.to_string()), part).await?;
        }
        Ok(())
    }
}

async fn upsert(session: &Session, sql: &str, rows: &[Row]) -> Result<(), Failure> {
    let mut values = Vec::with_capacity(rows.len() * PARAMETERS);
    for row in rows {
        values.extend([
            text(row.namespace.as_str()),
            text(row.kind.as_str()),
            text(row.id.as_str()),
            integer(row.revision),
            integer(row.writer),
            integer(row.updated_at),
            row.expires_at.map_or(Value::Null, integer),
            row.body.as_deref().map_or(Value::Null, text),
        ]);
    }
    session.execute(Commit::NAME, sql, values).await.map(drop)
}

/// Writes the upsert of `count` rows.
fn statement(count: usize, seq: &str) -> String {
    const ROW: &str = "(?, ?, ?, ?, ?, ?, ?, ?)";
    if count == 1 {
        // Without the detour of collecting the rows before the first insert.
        return format!(
            "INSERT INTO records (namespace, kind, id, revision, writer, updated_at, expires_at, body, deleted, seq) \
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?8 IS NULL, {seq}){MERGE}"
        );
    }
    let rows = vec![ROW; count].join(", ");
    format!(
        "WITH next (seq) AS (SELECT {seq}) \
         INSERT INTO records (namespace, kind, id, revision, writer, updated_at, expires_at, body, deleted, seq) \
         SELECT column1, column2, column3, column4, column5, column6, column7, column8, column8 IS NULL, \
         (SELECT seq FROM next) FROM (VALUES {rows}) WHERE true{MERGE}"
    )
}
