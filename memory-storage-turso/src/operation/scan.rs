//! Reads one page of live records.

use std::sync::Arc;

use libsql::Value;
use memory_core::{Error, ErrorKind, Order, Page, Record, Scalar, Scan};

use crate::classify::Failure;
use crate::operation::rows::{VERSION_COLUMNS, take_record};
use crate::operation::{Access, Operation, truncated};
use crate::session::{Session, integer, text};

/// Reads a page of a scan that has been validated.
pub(crate) struct ReadPage {
    pub(crate) scan: Scan,
}

impl Operation for ReadPage {
    type Answer = Page;
    const NAME: &'static str = "scan";
    const ACCESS: Access = Access::Read;

    /// SQL narrows down, [`Scan::admits`] decides: SQLite compares 1 and 1.0 as equal, cuts text at NUL and may
    /// round a float differently, so it may let a few rows too many through, never too few.
    async fn run(&self, session: &Session) -> Result<Page, Failure> {
        let wanted = self.scan.limit.saturating_add(1);
        let mut step = self.scan.clone();
        let mut narrow = true;
        let (mut records, mut unreadable): (Vec<Record>, Vec<Arc<str>>) = (Vec::new(), Vec::new());
        loop {
            let ask = wanted - records.len();
            let rows = match read(session, &step, ask, narrow).await {
                // A condition met a body that is no JSON, which SQL cannot evaluate: it is evaluated here.
                Err(failure) if narrow && failure.error.kind() == ErrorKind::Corrupt => {
                    narrow = false;
                    continue;
                }
                rows => rows?,
            };
            let complete = rows.len() < ask;
            step.after = rows.last().map(|(id, _)| id.clone());
            for (id, row) in rows {
                match row {
                    Ok(record) if self.scan.admits(&record) => records.push(record),
                    Ok(_) => {}
                    Err(error) => {
                        tracing::warn!(%error, "a record does not decode; the scan passes over it");
                        unreadable.push(id);
                    }
                }
            }
            if complete || records.len() >= wanted {
                let mut page = Page::cut(records, self.scan.limit);
                // Rows after the page's end are read again.
                let end = page.next.as_deref();
                unreadable.retain(|id| end.is_none_or(|end| self.scan.order.reaches(id, end)));
                page.unreadable = unreadable;
                return Ok(page);
            }
        }
    }
}

/// Writes the query of at most `limit` rows, ended by a row without an id. Unless it is to `narrow` by the scan's
/// conditions, it ignores them.
fn query(scan: &Scan, limit: usize, body: &str, narrow: bool) -> (String, Vec<Value>) {
    // The kind is spelled out because only then does SQLite consider the indexes of that kind.
    let mut filter = format!("namespace = ? AND kind = '{}' AND deleted = 0", scan.kind);
    let mut values = vec![text(scan.namespace.as_str())];
    if let Some(prefix) = scan.prefix.as_deref().filter(|prefix| !prefix.is_empty()) {
        // No printable character sorts after the last code point.
        filter.push_str(" AND id >= ? AND id < ?");
        values.extend([text(prefix), text(format!("{prefix}{}", char::MAX))]);
    }
    let (beyond, direction) = match scan.order {
        Order::Ascending => ('>', "ASC"),
        Order::Descending => ('<', "DESC"),
    };
    if let Some(after) = &scan.after {
        filter.push_str(&format!(" AND id {beyond} ?"));
        values.push(text(after.as_ref()));
    }
    for condition in scan.conditions.iter().filter(|_| narrow) {
        let Some(column) = scan.kind.column(&condition.column) else { continue };
        if let Some((test, bound)) = test_of(column.path, &condition.equals) {
            filter.push_str(&format!(" AND {test}"));
            values.extend(bound);
        }
    }
    values.push(integer(limit.min(i64::MAX as usize) as u64));
    let sql = format!(
        "SELECT * FROM (SELECT id, {VERSION_COLUMNS}, {} FROM records WHERE {filter} ORDER BY id {direction} \
         LIMIT ?) UNION ALL SELECT NULL, 0, 0, 0, 0, NULL",
        body
    );
    (sql, values)
}

/// Reads rows in order: the id, and the record or why it does not decode.
async fn read(
    session: &Session,
    scan: &Scan,
    limit: usize,
    narrow: bool,
) -> Result<Vec<(Arc<str>, Result<Record, Error>)>, Failure> {
    let (sql, values) = query(scan, limit, session.body(), narrow);
    let mut records = Vec::new();
    let mut ended = false;
    for mut cells in session.query(ReadPage::NAME, &sql, values).await? {
        match cells.maybe_text(ReadPage::NAME)? {
            Some(id) => {
                let at: Arc<str> = id.as_str().into();
                records.push((at, take_record(ReadPage::NAME, &mut cells, (&scan.namespace, scan.kind, id))));
            }
            None => ended = true,
        }
    }
    if ended { Ok(records) } else { Err(truncated(ReadPage::NAME).into()) }
}

/// Writes a test that every row with this value passes; `None` if there is no such test.
fn test_of(path: &str, equals: &Scalar) -> Option<(String, Vec<Value>)> {
    let column = format!("json_extract(body, '{path}')");
    match equals {
        Scalar::Null => Some((format!("{column} IS NULL"), Vec::new())),
        Scalar::Text(value) if value.contains('\0') => None,
        Scalar::Text(value) => Some((format!("{column} = ?"), vec![text(value.as_str())])),
        Scalar::Integer(value) => Some((format!("{column} = ?"), vec![Value::Integer(*value)])),
        Scalar::Real(value) if value.is_finite() => {
            let slack = value.abs() * 1e-12 + f64::MIN_POSITIVE;
            let bounds = vec![Value::Real(value - slack), Value::Real(value + slack)];
            Some((format!("{column} BETWEEN ? AND ?"), bounds))
        }
        Scalar::Real(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::session::{Place, finish};
    use memory_core::{Kind, Namespace};

    /// Returns the plan of a scan's query on a fresh database.
    fn plan(session: &Session, scan: &Scan) -> String {
        let (sql, values) = query(scan, 10, "body", true);
        let rows = finish(session.query("plan", &format!("EXPLAIN QUERY PLAN {sql}"), values)).unwrap();
        rows.into_iter().map(|row| format!("{row:?}\n")).collect()
    }

    #[test]
    fn scans_use_the_primary_key_and_the_indexes_of_a_kind() {
        let connection = finish(libsql::Builder::new_local(":memory:").build()).unwrap().connect().unwrap();
        let session = Session::new(connection, Place::Local);
        finish(crate::schema::open(&session)).unwrap();
        let space = Namespace::default();
        for kind in Kind::ALL {
            let plain = plan(&session, &Scan::new(&space, kind).prefix("a").after(Some("b".into())));
            assert!(
                plain.contains("USING PRIMARY KEY (namespace=? AND kind=? AND id>? AND id<?)"),
                "{plain}"
            );
            for column in kind.spec().columns.iter().filter(|column| column.indexed) {
                for order in [Order::Ascending, Order::Descending] {
                    let scan = Scan::new(&space, kind).equals(column.name, "x").order(order);
                    let plan = plan(&session, &scan);
                    let index =
                        format!("USING INDEX records_{kind}_{} (namespace=? AND <expr>=?", column.name);
                    assert!(plan.contains(&index), "{kind} by {}: {plan}", column.name);
                    assert!(!plan.contains("TEMP B-TREE"), "the index is in order of ids: {plan}");
                }
            }
        }
    }
}
