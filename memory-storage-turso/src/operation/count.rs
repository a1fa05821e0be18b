//! Counts live records.

use memory_core::{Kind, Namespace};

use crate::classify::Failure;
use crate::operation::{Access, Operation, truncated};
use crate::session::{Session, text};

/// Counts the live records of a namespace by kind; kinds this program does not know are left out.
pub(crate) struct Count {
    pub(crate) namespace: Namespace,
}

impl Operation for Count {
    type Answer = Vec<(Kind, u64)>;
    const NAME: &'static str = "count";
    const ACCESS: Access = Access::Read;

    async fn run(&self, session: &Session) -> Result<Self::Answer, Failure> {
        let sql = "SELECT kind, count(*) FROM records WHERE namespace = ? AND deleted = 0 GROUP BY kind \
                   UNION ALL SELECT NULL, 0";
        let mut counts = Vec::new();
        let mut ended = false;
        for mut cells in session.query(Self::NAME, sql, vec![text(self.namespace.as_str())]).await? {
            match cells.maybe_text(Self::NAME)? {
                Some(kind) => counts.extend(kind.parse::<Kind>().ok().zip(cells.integer(Self::NAME).ok())),
                None => ended = true,
            }
        }
        if ended { Ok(counts) } else { Err(truncated(Self::NAME).into()) }
    }
}
