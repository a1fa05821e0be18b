//! Purges expired rows.

use memory_core::{Purged, StoreTime, Timestamp};

use crate::classify::Failure;
use crate::operation::{Access, NOW_MS, Operation, truncated};
use crate::session::{Session, integer};

/// The most rows of one transaction, so that other writers get their turn.
const BATCH: u64 = 500;

/// How many of the latest commits keep their token. A reader at an older position starts over.
const TOKENS: u64 = 1_000_000;

/// Deletes the rows that have expired at a time and by the time that the database believes. A trigger of the
/// schema raises the feed's figures with each row.
pub(crate) struct Purge {
    pub(crate) now: Timestamp,
}

impl Operation for Purge {
    /// Whether more may remain, and the purged rows.
    type Answer = (bool, Purged);
    const NAME: &'static str = "delete_expired";
    const ACCESS: Access = Access::Write;

    async fn run(&self, session: &Session) -> Result<(bool, Purged), Failure> {
        let (until, disbelieved) = self.see_time(session).await?;
        let sql = "DELETE FROM records WHERE (namespace, kind, id) IN \
                   (SELECT namespace, kind, id FROM records WHERE expires_at <= ? LIMIT ?)";
        let purged = session.execute(Self::NAME, sql, vec![integer(until.0), integer(BATCH)]).await?;
        let tokens = "DELETE FROM agent_memory_commits WHERE seq IN (SELECT seq FROM agent_memory_commits \
                      WHERE seq <= (SELECT max(seq) FROM agent_memory_commits) - ? ORDER BY seq LIMIT ?)";
        session.execute(Self::NAME, tokens, vec![integer(TOKENS), integer(BATCH)]).await?;
        Ok((purged >= BATCH, Purged { records: purged, until, disbelieved }))
    }
}

impl Purge {
    /// Reads the database's clock, stores the conclusion, and returns the time to purge by.
    async fn see_time(&self, session: &Session) -> Result<(Timestamp, Option<std::time::Duration>), Failure> {
        let sql = format!("SELECT {NOW_MS}, believed, jumped_to FROM agent_memory_time");
        let mut answer = session.query(Self::NAME, &sql, Vec::new()).await?;
        let mut cells = answer.pop().ok_or_else(|| truncated(Self::NAME))?;
        let now = Timestamp(cells.integer(Self::NAME)?);
        let known = StoreTime {
            believed: Timestamp(cells.integer(Self::NAME)?),
            jumped_to: cells.maybe_integer(Self::NAME)?.map(Timestamp),
        };
        let seen = known.see(now);
        if seen != known {
            let sql = "UPDATE agent_memory_time SET believed = ?, jumped_to = ?";
            let jumped_to = seen.jumped_to.map_or(libsql::Value::Null, |at| integer(at.0));
            session.execute(Self::NAME, sql, vec![integer(seen.believed.0), jumped_to]).await?;
        }
        Ok(seen.purge_by(now, self.now))
    }
}
