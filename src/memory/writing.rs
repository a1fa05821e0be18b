//! Adding to an episode and forgetting it exclude each other.

use std::time::Duration;

use memory_core::EpisodeId;

/// Locks that are held for reading from the check of an episode to the commit that adds to it. Forgetting holds
/// one for writing, so that no record of the episode follows its tombstones. Few enough episodes share a lock
/// that forgetting one hardly ever delays another.
#[derive(Default)]
pub(super) struct Writing([tokio::sync::RwLock<()>; 32]);

impl Writing {
    /// The longest wait for writers of the episode: one of them may never be polled again.
    const PATIENCE: Duration = Duration::from_secs(5);

    fn of(&self, id: EpisodeId) -> &tokio::sync::RwLock<()> {
        &self.0[(id.0.as_u128() % 32) as usize]
    }

    /// Holds off forgetting an episode for as long as the guard lives.
    pub(super) async fn add_to(&self, id: EpisodeId) -> tokio::sync::RwLockReadGuard<'_, ()> {
        self.of(id).read().await
    }

    /// Waits for the writers of an episode, and blocks new ones; `None` if one of them takes too long.
    pub(super) async fn forget(&self, id: EpisodeId) -> Option<tokio::sync::RwLockWriteGuard<'_, ()>> {
        tokio::time::timeout(Self::PATIENCE, self.of(id).write()).await.ok()
    }
}
