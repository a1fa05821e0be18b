//! Scans: the one query that every store answers.

use std::sync::Arc;

use serde_json::Value;

use crate::error::{Error, Result};
use crate::model::entity::{Scalar, follow};
use crate::model::kind::Kind;
use crate::store::record::{Namespace, Record};

/// The order of ids in a scan; with UUIDv7 ids it is the order of creation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Order {
    /// Oldest first.
    #[default]
    Ascending,
    /// Newest first.
    Descending,
}

impl Order {
    /// Returns true if a scan visits `id` before `other`, or if they are the same.
    pub fn reaches(self, id: &str, other: &str) -> bool {
        match self {
            Self::Ascending => id <= other,
            Self::Descending => id >= other,
        }
    }
}

/// A condition on a declared column: equal to the value; [`Scalar::Null`] means absent.
#[derive(Debug, Clone, PartialEq)]
pub struct Condition {
    /// The column, as [`crate::KindSpec::columns`] declares it.
    pub column: String,
    /// The value it must have.
    pub equals: Scalar,
}

/// A query for the live records of one kind in one namespace, page by page.
#[derive(Debug, Clone, PartialEq)]
pub struct Scan {
    /// The namespace.
    pub namespace: Namespace,
    /// The kind.
    pub kind: Kind,
    /// Only ids that start with this.
    pub prefix: Option<String>,
    /// Only records that meet all of these.
    pub conditions: Vec<Condition>,
    /// Continue after this id, in scan order.
    pub after: Option<Arc<str>>,
    /// The order.
    pub order: Order,
    /// The most records a page may hold; at least 1.
    pub limit: usize,
}

impl Scan {
    /// Creates a query for all records of a kind, oldest first, 100 a page.
    pub fn new(namespace: &Namespace, kind: Kind) -> Self {
        Self {
            namespace: namespace.clone(),
            kind,
            prefix: None,
            conditions: Vec::new(),
            after: None,
            order: Order::default(),
            limit: 100,
        }
    }

    /// Restricts to ids with this prefix.
    #[must_use]
    pub fn prefix(mut self, prefix: impl Into<String>) -> Self {
        self.prefix = Some(prefix.into());
        self
    }

    /// Restricts to records whose `column` equals `value`.
    #[must_use]
    pub fn equals(mut self, column: &str, value: impl Into<Scalar>) -> Self {
        self.conditions.push(Condition { column: column.into(), equals: value.into() });
        self
    }

    /// Continues after an id.
    #[must_use]
    pub fn after(mut self, after: Option<Arc<str>>) -> Self {
        self.after = after;
        self
    }

    /// Sets the order.
    #[must_use]
    pub fn order(mut self, order: Order) -> Self {
        self.order = order;
        self
    }

    /// Sets the page size.
    #[must_use]
    pub fn limit(mut self, limit: usize) -> Self {
        self.limit = limit;
        self
    }

    /// Checks that every column is declared and the limit is at least 1.
    ///
    /// # Errors
    /// [`crate::ErrorKind::InvalidInput`] that names the column or the limit.
    pub fn validate(&self) -> Result<()> {
        if self.limit == 0 {
            return Err(Error::invalid("scan", "limit", "0 records, at least 1 is needed"));
        }
        for condition in &self.conditions {
            if self.kind.column(&condition.column).is_none() {
                let known: Vec<_> = self.kind.spec().columns.iter().map(|column| column.name).collect();
                let problem = format!(
                    "{:?} is not a column of {}; columns are {}",
                    condition.column,
                    self.kind,
                    known.join(", ")
                );
                return Err(Error::invalid("scan", "column", problem));
            }
        }
        Ok(())
    }

    /// Returns true if the id is after the cursor and has the prefix.
    pub fn admits_id(&self, id: &str) -> bool {
        let behind = match (self.after.as_deref(), self.order) {
            (None, _) => true,
            (Some(after), Order::Ascending) => id > after,
            (Some(after), Order::Descending) => id < after,
        };
        behind && self.prefix.as_deref().is_none_or(|prefix| id.starts_with(prefix))
    }

    /// Returns true if a live record of this kind and namespace meets id, cursor and conditions.
    pub fn admits(&self, record: &Record) -> bool {
        let Some(entity) = &record.entity else { return false };
        if record.key.kind != self.kind
            || record.key.namespace != self.namespace
            || !self.admits_id(&record.key.id)
        {
            return false;
        }
        if self.conditions.is_empty() {
            return true;
        }
        let Ok(body) = entity.to_value() else { return false };
        self.conditions.iter().all(|condition| self.holds(condition, &body))
    }

    fn holds(&self, condition: &Condition, body: &Value) -> bool {
        self.kind
            .column(&condition.column)
            .is_some_and(|column| Scalar::from_json(follow(body, column.path)) == condition.equals)
    }
}

/// One page of a scan.
#[derive(Debug, Clone, Default)]
pub struct Page {
    /// The records in scan order; tombstones are left out.
    pub records: Vec<Record>,
    /// Where the next page starts ([`Scan::after`]); `None` after the last page.
    pub next: Option<Arc<str>>,
    /// The ids of records that the scan passed over because they do not decode. Whether they meet its
    /// conditions is not known.
    pub unreadable: Vec<Arc<str>>,
}

impl Page {
    /// Cuts records, already in scan order, to the limit of the scan and sets the cursor.
    pub fn cut(mut records: Vec<Record>, limit: usize) -> Self {
        let more = records.len() > limit;
        records.truncate(limit);
        let next = if more { records.last().map(|record| record.key.id.clone()) } else { None };
        Self { records, next, unreadable: Vec::new() }
    }
}
