//! Asks whether the database answers.

use crate::classify::Failure;
use crate::operation::{Access, Operation, truncated};
use crate::session::Session;

/// Reads the identity of the database: the cheapest question that needs the schema.
pub(crate) struct Probe;

impl Operation for Probe {
    type Answer = ();
    const NAME: &'static str = "health";
    const ACCESS: Access = Access::Read;

    async fn run(&self, session: &Session) -> Result<(), Failure> {
        let rows = session.query(Self::NAME, "SELECT database_id FROM agent_memory_feed", Vec::new()).await?;
        if rows.is_empty() { Err(truncated(Self::NAME).into()) } else { Ok(()) }
    }
}
