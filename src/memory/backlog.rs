//! Episodes that wait to be learned from, and their order.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use memory_core::{EpisodeId, lock};
use tokio::sync::Notify;

/// Due episodes, and the state by which background work yields to the application and to other services.
#[derive(Debug, Default)]
pub(super) struct Backlog {
    due: Mutex<BTreeSet<EpisodeId>>,
    /// Those of them that this process recorded: nothing was learned from them yet.
    recorded: Mutex<BTreeSet<EpisodeId>>,
    /// Notified when something is due, and when the memory ends.
    pub(super) wake: Arc<Notify>,
    /// Held while something is learned, forgotten or consolidated: each sees the others' work whole.
    pub(super) gate: tokio::sync::Mutex<()>,
    /// Counts the application's calls: work that consolidation makes way for.
    activity: AtomicU64,
}

impl Backlog {
    /// Notes that the application is at work.
    pub(super) fn active(&self) {
        self.activity.fetch_add(1, Ordering::Relaxed);
    }

    /// Returns how many calls the application has made.
    pub(super) fn activity(&self) -> u64 {
        self.activity.load(Ordering::Relaxed)
    }

    /// Notes that an episode is to be learned from.
    pub(super) fn due(&self, episode: EpisodeId) {
        self.found_due(episode);
        self.wake.notify_one();
    }

    /// Notes that an episode was found to be due, without waking anybody.
    pub(super) fn found_due(&self, episode: EpisodeId) {
        lock(&self.due).insert(episode);
    }

    /// Notes that an episode was recorded as a whole, and is to be learned from.
    pub(super) fn recorded(&self, episode: EpisodeId) {
        lock(&self.recorded).insert(episode);
        self.due(episode);
    }

    /// Returns true if evidence of an episode may be stored.
    pub(super) fn may_be_known(&self, episode: EpisodeId) -> bool {
        !lock(&self.recorded).contains(&episode)
    }

    /// Notes that evidence of these episodes may be stored now.
    pub(super) fn attempted(&self, episodes: &[EpisodeId]) {
        let mut recorded = lock(&self.recorded);
        for id in episodes {
            recorded.remove(id);
        }
    }

    /// Notes that an episode needs no learning from any more.
    pub(super) fn done(&self, episode: EpisodeId) {
        lock(&self.due).remove(&episode);
        lock(&self.recorded).remove(&episode);
    }

    /// Returns all episodes that are due.
    pub(super) fn waiting(&self) -> BTreeSet<EpisodeId> {
        lock(&self.due).clone()
    }

    /// Returns the oldest due episodes, at most `most`.
    pub(super) fn oldest(&self, most: usize) -> Vec<EpisodeId> {
        lock(&self.due).iter().take(most).copied().collect()
    }
}
