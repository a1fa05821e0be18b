//! Purges what has expired.

use memory_core::Timestamp;

use crate::classify::Failure;
use crate::operation::{Access, Operation};
use crate::session::{Session, integer};

/// The most rows of one transaction, so that other writers get their turn.
const BATCH: u64 = 500;

/// Deletes the rows that have expired at a time. A trigger of the schema raises the feed's figures with each row.
pub(crate) struct Purge {
    pub(crate) now: Timestamp,
}

impl Operation for Purge {
    /// Whether more may be left, and how many rows were purged.
    type Answer = (bool, u64);
    const NAME: &'static str = "delete_expired";
    const ACCESS: Access = Access::Write;

    async fn run(&self, session: &Session) -> Result<(bool, u64), Failure> {
        let sql = "DELETE FROM records WHERE (namespace, kind, id) IN \
                   (SELECT namespace, kind, id FROM records WHERE expires_at <= ? LIMIT ?)";
        let purged = session.execute(Self::NAME, sql, vec![integer(self.now.0), integer(BATCH)]).await?;
        Ok((purged >= BATCH, purged))
    }
}
