//! Closing, and what is left behind.

use std::sync::atomic::Ordering;
use std::time::Duration;

use serde::Serialize;

use crate::engine::fill::Fill;
use crate::engine::{Engine, Shared, upkeep};
use crate::error::Result;
use crate::id::lock;

/// How long closing waits for tasks to end by themselves.
const GRACE: Duration = Duration::from_millis(500);

/// What [`Engine::close`] left behind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct Leftover {
    /// Rows that still wait in the outbox; the next instance sends them.
    pub rows: u64,
    /// Their encoded size, in bytes.
    pub bytes: u64,
    /// Dead letters: rows that the durable tier does not have and that are not sent by themselves.
    pub dead_letters: u64,
}

impl Engine {
    /// Refuses further writes, drains the outbox for at most `timeout`, and ends threads and tasks. Closing twice
    /// is harmless.
    ///
    /// # Errors
    /// Whatever the durable tier reports on closing; what could not be sent is not an error but in the answer.
    pub async fn close(&self, timeout: Duration) -> Result<Leftover> {
        let shared = self.shared.clone();
        if shared.closed.swap(true, Ordering::AcqRel) {
            return Ok(shared.leftover());
        }
        shared.committer.close();
        let joined = shared.clone();
        upkeep::blocking(move || {
            joined.committer.join();
            Ok(())
        })
        .await?;
        if let Err(error) = self.flush(timeout).await {
            tracing::warn!(%error, "closing with rows in the outbox");
        }
        shared.shutdown.send_replace(true);
        let tasks = std::mem::take(&mut *lock(&self.tasks));
        let grace = tokio::time::Instant::now() + GRACE;
        for mut task in tasks {
            if tokio::time::timeout_at(grace, &mut task).await.is_err() {
                // It waits for the durable tier; all it could lose is time.
                task.abort();
                let _cancelled = task.await;
            }
        }
        shared.filler.push(Fill::Image(shared.index.clone(), shared.namespace.clone()));
        shared.filler.push(Fill::Persist);
        shared.filler.close();
        let joined = shared.clone();
        upkeep::blocking(move || {
            joined.filler.join();
            Ok(())
        })
        .await?;
        shared.durable.close().await?;
        Ok(shared.leftover())
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        self.shared.shutdown.send_replace(true);
        for task in lock(&self.tasks).drain(..) {
            task.abort();
        }
        self.shared.committer.close();
        self.shared.filler.close();
    }
}

impl Shared {
    pub(super) fn leftover(&self) -> Leftover {
        let usage = self.tiers.outbox.as_ref().map(|(outbox, _)| outbox.usage()).unwrap_or_default();
        Leftover { rows: usage.rows, bytes: usage.bytes, dead_letters: usage.dead_letters }
    }
}
