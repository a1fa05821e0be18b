//! Reads the change feed.

use std::collections::HashSet;

use libsql::Value;
use memory_core::{Change, Changes, ChangesQuery, Kind, Namespace, Revision, Row, Seq, Timestamp};

use crate::classify::Failure;
use crate::operation::rows::{VERSION_COLUMNS, take_row};
use crate::operation::{Access, NOW_MS, Operation, truncated};
use crate::schema;
use crate::session::{Cells, Session, integer, text};

/// Reads the changes after a position.
pub(crate) struct ReadChanges {
    pub(crate) query: ChangesQuery,
}

/// One consistent reading: rows in commit order, and where the feed stood at that moment.
struct Reading {
    rows: Vec<Read>,
    head: Seq,
    head_token: Option<u64>,
    anchor: Option<u64>,
    floor: Seq,
    database: String,
    now: Timestamp,
    latest: Option<Revision>,
}

/// A row of the feed.
struct Read {
    seq: Seq,
    /// The token of its commit.
    token: Option<u64>,
    /// The row, or its key as text if a column is invalid.
    row: Result<Row, String>,
}

/// Which rows to read.
enum Range {
    /// At most this many after a commit.
    After(Seq, usize),
    /// All of one commit.
    Of(Seq),
}

impl Operation for ReadChanges {
    type Answer = Changes;
    const NAME: &'static str = "changes";
    const ACCESS: Access = Access::Read;

    async fn run(&self, session: &Session) -> Result<Changes, Failure> {
        let limit = self.query.limit.max(1);
        let mut reading = self.read(session, Range::After(self.query.after, limit.saturating_add(1))).await?;
        let mut next = reading.head.max(self.query.after);
        let mut token = reading.head_token;
        if reading.rows.len() > limit {
            let cut = reading.rows.pop().map_or(0, |read| read.seq);
            if reading.rows.first().is_some_and(|read| read.seq == cut) {
                // The first commit alone is larger than a page: a page of its own.
                reading.rows = self.read(session, Range::Of(cut)).await?.rows;
            } else {
                reading.rows.retain(|read| read.seq != cut);
            }
            next = reading.rows.last().map_or(cut, |read| read.seq);
            token = reading.rows.last().and_then(|read| read.token);
        } else if next != reading.head {
            token = reading.anchor;
        }
        Ok(self.answer(reading, next, token))
    }
}

impl ReadChanges {
    fn answer(&self, reading: Reading, next: Seq, token: Option<u64>) -> Changes {
        let bodies: HashSet<Kind> = self.query.bodies.iter().copied().collect();
        let mut changes = Vec::with_capacity(reading.rows.len());
        let mut unreadable = Vec::new();
        for Read { row, .. } in reading.rows {
            let name = |row: &Row| format!("{}/{}/{}", row.namespace, row.kind, row.id);
            let change = row.and_then(|row| {
                let (key, revision) = (row.key().map_err(|_| name(&row))?, row.revision());
                let record = match bodies.contains(&key.kind) && self.query.own != Some(revision.writer) {
                    true => Some(row.decode().map_err(|_| key.to_string())?),
                    false => None,
                };
                Ok(Change { key, revision, record })
            });
            match change {
                Ok(change) => changes.push(change),
                Err(name) => unreadable.push(name),
            }
        }
        let Reading { head, floor, database, anchor, now, latest, .. } = reading;
        Changes { changes, next, head, floor, database, token, anchor, now, latest, unreadable }
    }

    fn sql(&self, range: &Range, body: &str) -> (String, Vec<Value>) {
        let kinds: Vec<_> = self.query.bodies.iter().map(|kind| format!("'{}'", kind.name())).collect();
        let spaces = vec!["?"; self.query.namespaces.len()].join(", ");
        let (test, bound, limit) = match *range {
            Range::After(seq, limit) => ("seq > ?", seq, limit),
            Range::Of(seq) => ("seq = ?", seq, usize::MAX),
        };
        let other = self.query.own.map_or("", |_| " AND writer <> ?");
        let mut values: Vec<_> = self.query.own.map(|writer| integer(writer.get())).into_iter().collect();
        values.push(integer(bound));
        values.extend(self.query.namespaces.iter().map(Namespace::as_str).map(text));
        values.push(integer(limit.min(i64::MAX as usize) as u64));
        // The plus keeps SQLite from scanning a whole namespace by its primary key: it must find new rows by
        // their commit number, or a query of a feed without news would read everything.
        let sql = format!(
            "SELECT * FROM (SELECT seq, namespace, kind, id, {VERSION_COLUMNS}, \
             CASE WHEN kind IN ({}){other} THEN {body} END, {}, NULL, NULL, NULL, NULL FROM records \
             WHERE {test} AND +namespace IN ({spaces}) ORDER BY seq, namespace, kind, id LIMIT ?) \
             UNION ALL SELECT NULL, database_id, NULL, NULL, head, tombstone_floor, 0, 0, NULL, {}, {}, {NOW_MS}, \
             (SELECT max(version) FROM agent_memory_schema), \
             (SELECT revision FROM records WHERE records.seq = head LIMIT 1) \
             FROM (SELECT *, max(coalesce((SELECT max(seq) FROM records), 0), purged_seq) AS head \
             FROM agent_memory_feed)",
            kinds.join(", "),
            token_of("records.seq"),
            token_of("head"),
            token_of("?"),
        );
        values.push(integer(self.query.after));
        (sql, values)
    }

    /// Reads rows and the feed's figures in one statement, hence of one moment. The figures come as the last row:
    /// an answer without them was cut off on its way.
    async fn read(&self, session: &Session, range: Range) -> Result<Reading, Failure> {
        const NAME: &str = ReadChanges::NAME;
        let (sql, values) = self.sql(&range, session.body());
        let mut rows = Vec::new();
        let mut figures = None;
        for mut cells in session.query(NAME, &sql, values).await? {
            match cells.maybe_integer(NAME)? {
                Some(seq) => rows.push(take_change(seq, &mut cells)),
                None => figures = Some(cells),
            }
        }
        let mut figures = figures.ok_or_else(|| truncated(NAME))?;
        let database = figures.text(NAME)?;
        figures.skip(2);
        let (head, floor) = (figures.integer(NAME)?, figures.integer(NAME)?);
        figures.skip(3);
        let (head_token, anchor) = (figures.maybe_integer(NAME)?, figures.maybe_integer(NAME)?);
        let (now, version) = (Timestamp(figures.integer(NAME)?), figures.integer(NAME)?);
        schema::check_version(version)?;
        let latest = figures.maybe_integer(NAME).ok().flatten();
        let latest = latest.map(|clock| Revision { clock, ..Revision::default() });
        rows.sort_by_key(|read| read.seq);
        Ok(Reading { rows, head, head_token, anchor, floor, database, now, latest })
    }
}

/// Writes the query for the token of a commit.
fn token_of(seq: &str) -> String {
    format!("(SELECT token FROM agent_memory_commits WHERE agent_memory_commits.seq = {seq})")
}

fn take_change(seq: Seq, cells: &mut Cells) -> Read {
    const NAME: &str = ReadChanges::NAME;
    let text = |cells: &mut Cells| cells.text(NAME).unwrap_or_else(|_| "?".into());
    let (namespace, kind, id) = (text(cells), text(cells), text(cells));
    let name = format!("{namespace}/{kind}/{id}");
    let row = take_row(NAME, cells, (&namespace, &kind, id)).map_err(|_| name);
    Read { seq, token: cells.last_integer(5), row }
}

#[cfg(test)]
mod tests {
    use memory_core::WriterId;

    use super::*;
    use crate::schema;

    #[tokio::test]
    async fn what_is_new_is_found_by_its_commit_number() {
        let database = libsql::Builder::new_local(":memory:").build().await.unwrap();
        let connection = database.connect().unwrap();
        connection.execute_batch(&schema::script(0)).await.unwrap();
        let query = ChangesQuery {
            namespaces: vec![Namespace::default()],
            after: 7,
            limit: 500,
            bodies: vec![Kind::Episode],
            own: Some(WriterId::new(7)),
        };
        for range in [Range::After(7, 501), Range::Of(7)] {
            let (sql, values) = ReadChanges { query: query.clone() }.sql(&range, "body");
            let sql = format!("EXPLAIN QUERY PLAN {sql}");
            let mut rows = connection.query(&sql, values).await.unwrap();
            let mut plan = Vec::new();
            while let Some(row) = rows.next().await.unwrap() {
                plan.push(row.get::<String>(3).unwrap());
            }
            assert!(
                plan.iter().any(|step| step.contains("records USING INDEX records_seq (seq")),
                "{plan:?}"
            );
            assert!(
                !plan.iter().any(|step| step.contains("PRIMARY KEY (namespace") || step.contains("TEMP")),
                "{plan:?}"
            );
        }
    }
}
