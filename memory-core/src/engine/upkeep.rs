//! Upkeep: eviction, checkpoints, acknowledged outbox rows, orphaned outboxes, expired records.

use std::sync::Arc;
use std::time::Duration;

use crate::clock::Timestamp;
use crate::engine::cache_writer::CacheWork;
use crate::engine::supervise;
use crate::engine::{Shared, Task};
use crate::error::Result;
use crate::id::lock;
use crate::store::traits::Purged;

/// Runs until shutdown.
pub(super) async fn run(shared: Arc<Shared>) {
    let mut shutdown = shared.shutdown.subscribe();
    let mut purged_at: Option<Duration> = None;
    loop {
        tokio::select! {
            _ = shutdown.wait_for(|down| *down) => return,
            () = tokio::time::sleep(shared.config.upkeep_interval) => {}
        }
        // By the monotonic clock: a wall clock set back by a year must not delay purging for as long.
        let elapsed = shared.clock.monotonic();
        let purge = purged_at.is_none_or(|at| elapsed.saturating_sub(at) >= shared.config.purge_interval);
        if purge {
            purged_at = Some(elapsed);
        }
        let now = shared.now();
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
        self.shared.upkeep(self.shared.now(), true).await
    }
}

impl Shared {
    /// Takes over the outboxes of instances that no longer run.
    pub(super) async fn adopt(&self) -> Result<()> {
        let Some((outbox, orphans)) = self.tiers.outbox.clone() else { return Ok(()) };
        let now = self.clock.now();
        let recovering = self.recovering();
        let adopted = supervise::blocking(move || Ok(orphans.adopt(outbox.as_ref(), now))).await?;
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
            self.renew_waiting().await?;
            self.appended.notify_one();
        }
        Ok(())
    }

    /// Does one round. Each part is tried even if one before it failed; the first error is returned.
    pub(super) async fn upkeep(&self, now: Timestamp, purge: bool) -> Result<()> {
        self.cache_writer.push(CacheWork::Evict);
        self.cache_writer.push(CacheWork::Persist);
        let mut results = Vec::new();
        if self.outbox().is_some() {
            self.adopt().await?;
            results.push(self.trim_tail().await);
        }
        results.push(self.durable.maintain().await);
        if purge {
            results.push(self.purge(now).await.map(drop));
        }
        results.into_iter().collect()
    }

    /// Purges records that have expired at `now` and by the durable tier's own time; caches and recall follow,
    /// no further.
    pub(super) async fn purge(&self, now: Timestamp) -> Result<Purged> {
        let purged = self.durable.delete_expired(now).await?;
        if let Some(ahead) = purged.disbelieved {
            let days = ahead.as_secs() / 86_400;
            self.warn(format!(
                "the clock of the database is {days} days ahead of when it was last looked at: what has expired since \
                 is purged once the clock has gone on for a week"
            ));
        }
        self.hot.forget_expired(purged.until);
        self.index.change(&mut |index| {
            index.purge_expired(purged.until);
            index.prune_tombstones(purged.until.minus(self.config.tombstone_retention));
        });
        self.cache_writer.push(CacheWork::Expire(purged.until));
        Ok(purged)
    }

    /// Drops acknowledged rows of the outbox, once the server was seen to have them at an age beyond which it
    /// cannot lose them. By the kept rows a machine notices, even after a long sleep, that a server was
    /// restored meanwhile.
    pub(super) async fn trim_tail(&self) -> Result<()> {
        let Some(looked_at) = lock(&self.progress).looked_at else { return Ok(()) };
        let before = looked_at.minus(self.config.tail_retention);
        self.ask_outbox(move |outbox| outbox.trim_tail(before)).await.map(drop)
    }
}
