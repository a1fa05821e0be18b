//! Stored rows as records.

use memory_core::{Error, Kind, Namespace, Record, Row};

use crate::session::Cells;

/// The columns of a record after its key; the body comes last.
pub(crate) const VERSION_COLUMNS: &str = "revision, writer, updated_at, expires_at";

/// Takes the version columns and the body, and joins them with a key.
pub(crate) fn take_row(
    operation: &'static str,
    cells: &mut Cells,
    (namespace, kind, id): (&str, &str, String),
) -> Result<Row, Error> {
    Ok(Row {
        namespace: namespace.to_owned(),
        kind: kind.to_owned(),
        id,
        revision: cells.integer(operation)?,
        writer: cells.integer(operation)?,
        updated_at: cells.integer(operation)?,
        expires_at: cells.maybe_integer(operation)?,
        body: cells.maybe_text(operation)?,
    })
}

/// Takes and decodes a record whose key is known; an error names the key.
pub(crate) fn take_record(
    operation: &'static str,
    cells: &mut Cells,
    (namespace, kind, id): (&Namespace, Kind, String),
) -> Result<Record, Error> {
    let key = format!("{namespace}/{kind}/{id}");
    take_row(operation, cells, (namespace.as_str(), kind.name(), id))
        .and_then(Row::decode)
        .map_err(|error| error.with_context("key", key))
}
