//! Upkeep: eviction, checkpoints, the outbox's tail, orphaned outboxes, expired records.

use std::sync::Arc;
use std::time::Duration;

use crate::clock::Timestamp;
use crate::engine::fill::Fill;
use crate::engine::{Shared, Task};
use crate::error::{Error, ErrorKind, Result};

/// Runs a blocking call off the async workers.
pub(super) async fn blocking<T: Send + 'static>(
    call: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    match tokio::task::spawn_blocking(call).await {
        Ok(result) => result,
        Err(source) => Err(Error::new(ErrorKind::Closed, "background work", "the runtime is shutting down")
            .with_source(source)),
    }
}

/// Runs until shutdown.
pub(super) async fn run(shared: Arc<Shared>) {
    let mut shutdown = shared.shutdown.subscribe();
    let mut purged_at: Option<Timestamp> = None;
    loop {
        tokio::select! {
            _ = shutdown.wait_for(|down| *down) => return,
            () = tokio::time::sleep(shared.config.upkeep_interval) => {}
        }
        let now = shared.clock.now();
        let purge = purged_at.is_none_or(|at| now.since(at) >= shared.config.purge_interval);
        if purge {
            purged_at = Some(now);
        }
        match shared.upkeep(now, purge).await {
            Ok(()) => shared.succeeded(Task::Upkeep),
            Err(error) => shared.report(Task::Upkeep, &error),
        }
    }
}

#[cfg(feature = "testing")]
impl crate::engine::Engine {
    /// Does one round of upkeep now, purging included, and waits for it.
    ///
    /// # Errors
    /// The first error of its parts.
    pub async fn upkeep(&self) -> Result<()> {
        self.shared.upkeep(self.shared.clock.now(), true).await
    }
}

impl Shared {
    /// Takes over the outboxes of instances that no longer run.
    pub(super) async fn adopt(&self) -> Result<()> {
        let Some((outbox, orphans)) = self.tiers.outbox.clone() else { return Ok(()) };
        let now = self.clock.now();
        let recovering = self.recovering();
        let adopted = blocking(move || Ok(orphans.adopt(outbox.as_ref(), now))).await?;
        drop(recovering);
        for warning in adopted.warnings {
            self.warn(warning);
        }
        match &adopted.error {
            Some(error) => self.report(Task::Adopt, error),
            None => self.succeeded(Task::Adopt),
        }
        if adopted.rows > 0 {
            self.load_pending().await?;
            self.appended.notify_one();
        }
        Ok(())
    }

    /// Does one round. Each part is tried even if one before it failed; the first error is returned.
    pub(super) async fn upkeep(&self, now: Timestamp, purge: bool) -> Result<()> {
        self.hot.forget_expired(now);
        {
            let mut index = self.index.write().unwrap_or_else(std::sync::PoisonError::into_inner);
            index.purge_expired(now);
            index.prune_tombstones(before(now, self.config.tombstone_retention));
        }
        self.filler.push(Fill::Evict);
        self.filler.push(Fill::Persist);
        let mut results = Vec::new();
        if self.outbox().is_some() {
            let tail = before(now, self.config.tail_retention);
            self.adopt().await?;
            results.push(self.ask_outbox(move |outbox| outbox.trim_tail(tail)).await.map(drop));
        }
        results.push(self.durable.maintain().await);
        if purge {
            self.filler.push(Fill::Expire(now));
            results.push(self.durable.delete_expired(now).await.map(drop));
        }
        results.into_iter().collect()
    }
}

fn before(now: Timestamp, duration: Duration) -> Timestamp {
    Timestamp(now.0.saturating_sub(u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)))
}
