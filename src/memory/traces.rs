//! Whole episodes, as learning reads them, with the latest kept in memory.

use std::sync::Arc;

use memory_core::{Entity, EpisodeId, Freshness, Key, Kind, Result};
use memory_learn::trace::Trace;

use crate::memory::records::Records;

/// The bytes of traces that are kept in memory, for contrast with the next episodes: a few hundred of usual
/// length.
const BYTES: u64 = 32 << 20;

/// Reads episodes with their steps and artifacts.
pub(super) struct Traces {
    records: Arc<Records>,
    cache: moka::sync::Cache<EpisodeId, Arc<Trace>>,
}

impl Traces {
    pub(super) fn new(records: Arc<Records>) -> Self {
        let cache = moka::sync::Cache::builder()
            .max_capacity(BYTES)
            .weigher(|_, trace: &Arc<Trace>| u32::try_from(trace.weight()).unwrap_or(u32::MAX))
            .build();
        Self { records, cache }
    }

    /// Keeps the trace of an episode that was recorded as a whole.
    pub(super) fn keep(&self, trace: Trace) {
        self.cache.insert(trace.episode.id, Arc::new(trace));
    }

    /// Drops the cached data of an episode.
    pub(super) fn forget(&self, episode: EpisodeId) {
        self.cache.invalidate(&episode);
    }

    /// Reads an episode with its steps and artifacts; `None` if it is open or deleted.
    pub(super) async fn trace(&self, id: EpisodeId) -> Result<Option<Arc<Trace>>> {
        if let Some(trace) = self.cache.get(&id) {
            return Ok(Some(trace));
        }
        let read = self.records.engine.read(&Key::episode(self.records.engine.namespace(), id)).await?;
        let Some(episode) = read.record.and_then(|record| record.entity?.as_episode().cloned()) else {
            return Ok(None);
        };
        if !episode.is_completed() {
            return Ok(None);
        }
        let (steps, artifacts) = tokio::try_join!(
            self.records.owned_items(Kind::Step, id, Entity::as_step),
            self.records.owned_items(Kind::Artifact, id, Entity::as_artifact),
        )?;
        let fresh = steps.freshness.or_staler(artifacts.freshness) == Freshness::Fresh;
        if !fresh && steps.len() < episode.steps as usize {
            return Err(super::unknown_steps("learn"));
        }
        let trace = Arc::new(Trace { episode, steps: steps.items, artifacts: artifacts.items });
        self.cache.insert(id, trace.clone());
        Ok(Some(trace))
    }
}
