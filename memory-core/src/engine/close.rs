//! Closing, and the report of unsent records.

use std::sync::atomic::Ordering;
use std::time::Duration;

use serde::Serialize;

use crate::engine::cache_writer::CacheWork;
use crate::engine::{Engine, Shared, supervise};
use crate::error::{Error, ErrorKind, Result};
use crate::id::lock;

/// How long closing waits for tasks to end.
const GRACE: Duration = Duration::from_millis(500);

/// The records that [`Engine::close`] left unsent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[non_exhaustive]
pub struct PendingReport {
    /// Rows pending in the outbox; the next instance sends them.
    pub rows: u64,
    /// Their encoded size, in bytes.
    pub bytes: u64,
    /// Dead letters: rows that the durable tier does not have and that are not sent by themselves.
    pub dead_letters: u64,
}

impl Engine {
    /// Refuses further writes, drains the outbox for at most `timeout` and as long as the durable tier answers,
    /// and ends threads and tasks. Closing twice is harmless.
    ///
    /// # Errors
    /// Errors of the durable tier on closing; unsent records are not an error but part of the answer.
    pub async fn close(&self, timeout: Duration) -> Result<PendingReport> {
        let shared = self.shared.clone();
        if shared.closed.swap(true, Ordering::AcqRel) {
            return Ok(shared.leftover());
        }
        shared.committer.close();
        let joined = shared.clone();
        supervise::blocking(move || {
            joined.committer.join();
            Ok(())
        })
        .await?;
        if shared.outbox().is_some_and(|outbox| outbox.usage().rows > 0) {
            let flushed = tokio::select! {
                flushed = self.flush_as_it_is(timeout) => flushed,
                () = shared.until_away() => Err(away()),
            };
            if let Err(error) = flushed {
                tracing::warn!(%error, "closing with rows in the outbox");
            }
        }
        shared.shutdown.send_replace(true);
        let tasks = std::mem::take(&mut *lock(&self.tasks));
        let reachable = shared.breaker.as_ref().is_none_or(|breaker| breaker.is_closed());
        let grace = tokio::time::Instant::now() + if reachable { GRACE } else { Duration::ZERO };
        for mut task in tasks {
            if tokio::time::timeout_at(grace, &mut task).await.is_err() {
                // It waits for the durable tier; aborting it can only cost time.
                task.abort();
                let _cancelled = task.await;
            }
        }
        if let Some(breaker) = &shared.breaker {
            breaker.leave();
        }
        if let Err(error) = shared.trim_tail().await {
            tracing::warn!(%error, "the outbox's tail was not trimmed on closing");
        }
        shared.cache_writer.push(CacheWork::Snapshot(shared.index.clone(), shared.namespace.clone()));
        shared.cache_writer.push(CacheWork::Persist);
        shared.cache_writer.close();
        let joined = shared.clone();
        supervise::blocking(move || {
            joined.cache_writer.join();
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
        self.shared.cache_writer.close();
    }
}

fn away() -> Error {
    Error::new(ErrorKind::Unavailable, "close", "the durable tier does not answer")
}

impl Shared {
    /// Waits until the durable tier is known to be away; for ever in local mode.
    async fn until_away(&self) {
        match &self.breaker {
            Some(breaker) => breaker.until_away().await,
            None => std::future::pending().await,
        }
    }

    pub(super) fn leftover(&self) -> PendingReport {
        let usage = self.tiers.outbox.as_ref().map(|(outbox, _)| outbox.usage()).unwrap_or_default();
        PendingReport { rows: usage.rows, bytes: usage.bytes, dead_letters: usage.dead_letters }
    }
}
