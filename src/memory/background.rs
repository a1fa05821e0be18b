//! The background work of a memory: loads vectors, learns, and consolidates when that is due.

use std::sync::{Arc, Weak};
use std::time::Duration;

use memory_core::{Result, Trigger};
use memory_learn::consolidate::ConsolidationConfig;
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::memory::Inner;
use crate::memory::rules::Refresh;

/// The interval at which due episodes of other processes are looked for.
const SWEEP: Duration = Duration::from_secs(60);

/// When consolidation is due.
pub(super) struct Schedule {
    /// The application's calls when last looked, and since when there were no more.
    seen: u64,
    quiet_since: Instant,
    last_cycle: Instant,
    /// Episodes were learned from since the last cycle.
    pub(super) news: bool,
}

impl Schedule {
    pub(super) fn new() -> Self {
        let now = Instant::now();
        Self { seen: 0, quiet_since: now, last_cycle: now, news: false }
    }

    /// Returns the trigger that is due now, if any.
    pub(super) fn trigger(&mut self, activity: u64, config: &ConsolidationConfig) -> Option<Trigger> {
        let now = Instant::now();
        if activity != self.seen {
            (self.seen, self.quiet_since) = (activity, now);
        }
        let trigger = if now - self.last_cycle >= config.interval {
            Trigger::Interval
        } else if self.news && now - self.quiet_since >= config.idle_after {
            Trigger::Idle
        } else {
            return None;
        };
        (self.last_cycle, self.news) = (now, false);
        Some(trigger)
    }
}

/// Loads vectors, learns and consolidates in the background until the memory is closed.
pub(super) async fn run(inner: Weak<Inner>, wake: Arc<Notify>) {
    let mut schedule = Schedule::new();
    let mut swept_at: Option<Instant> = None;
    loop {
        let nap = {
            let Some(inner) = inner.upgrade() else { return };
            if inner.records.engine.is_closed() {
                return;
            }
            let round = inner.round(&mut schedule, &mut swept_at).await;
            if let Err(error) = &round {
                // The episodes stay due; another attempt follows.
                tracing::debug!(%error, "learning waits");
            }
            inner.records.engine.note_learning(round.as_ref().err());
            if !inner.learning.background && inner.vectors.is_none() {
                return;
            }
            inner.learning.consolidation.idle_after.clamp(Duration::from_millis(50), SWEEP)
        };
        tokio::select! {
            () = wake.notified() => {}
            () = tokio::time::sleep(nap) => {}
        }
    }
}

impl Inner {
    /// Runs one round of due background work.
    async fn round(self: &Arc<Self>, schedule: &mut Schedule, swept_at: &mut Option<Instant>) -> Result<()> {
        let sweeps = swept_at.is_none_or(|at| at.elapsed() >= SWEEP);
        // A failing provider delays vectors only.
        let vectors = match &self.vectors {
            Some(vectors) if sweeps || vectors.gap().is_some() => vectors.keep_in_step().await,
            _ => Ok(()),
        };
        if !self.learning.background {
            if sweeps {
                *swept_at = Some(Instant::now());
            }
            return vectors;
        }
        if sweeps {
            // On opening all due episodes; later only those that another process seems to have left.
            self.learner.find_due(if swept_at.is_none() { Duration::ZERO } else { SWEEP }).await?;
            *swept_at = Some(Instant::now());
        }
        // When this task holds the last reference to the memory, the rest waits for the next process that opens
        // it.
        let learned = self.learner.learn_all(|| Arc::strong_count(self) == 1).await?;
        if learned.episodes > 0 {
            let _gate = self.backlog.gate.lock().await;
            self.advisors.learn_noted().await?;
            self.rules.refresh_heuristics(Refresh::Worthwhile).await?;
            schedule.news = true;
        }
        let activity = self.backlog.activity();
        if let Some(trigger) = schedule.trigger(activity, &self.learning.consolidation) {
            self.consolidation.consolidate(trigger, None).await?;
        }
        vectors
    }
}
