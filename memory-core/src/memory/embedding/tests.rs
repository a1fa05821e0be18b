use std::time::Duration;

use async_trait::async_trait;

use super::*;
use crate::clock::ManualClock;
use crate::engine::EngineConfig;
use crate::id::SeededIds;
use crate::memory::config::{LearningConfig, MemoryConfig};
use crate::model::outcome::Outcome;
use crate::store::memory_store::MemoryStore;
use crate::store::traits::Tiers;

const DAY: Duration = Duration::from_secs(86_400);

/// Gives every text the same direction.
#[derive(Debug)]
struct Same;

#[async_trait]
impl Embedder for Same {
    fn model(&self) -> &str {
        "same"
    }

    fn dimensions(&self) -> usize {
        2
    }

    async fn embed(&self, texts: &[String]) -> Result<Vec<Vec<f32>>> {
        Ok(vec![vec![1.0, 0.0]; texts.len()])
    }
}

async fn open(durable: &Arc<MemoryStore>, clock: &Arc<ManualClock>, seed: u64) -> Memory {
    let learning = LearningConfig { background: false, ..LearningConfig::default() };
    let mut engine = EngineConfig::default();
    engine.retention.insert(Kind::Episode, Some(7 * DAY));
    let config = MemoryConfig { learning, engine, embedder: Some(Arc::new(Same)), ..MemoryConfig::default() };
    let tiers = Tiers {
        durable: durable.clone(),
        cache: Arc::new(MemoryStore::new()),
        outbox: None,
        warnings: Vec::new(),
    };
    let ids = Arc::new(SeededIds::new(seed));
    Memory::assemble(Namespace::default(), config, tiers, clock.clone(), ids).await.unwrap()
}

#[tokio::test]
async fn vectors_follow_what_others_record_and_what_expires() {
    let durable = Arc::new(MemoryStore::new());
    let clock = Arc::new(ManualClock::new(Timestamp(1_700_000_000_000)));
    let (own, other) = (open(&durable, &clock, 1).await, open(&durable, &clock, 2).await);
    own.complete_vectors().await.unwrap();
    let episode = other.start("compress the backups").await.unwrap();
    episode.complete(Outcome::success("")).await.unwrap();
    own.inner.engine.refresh().await.unwrap();
    let vectors = own.inner.vectors.as_ref().unwrap();
    let found = async || vectors.search("anything", 10).await.unwrap().len();
    assert_eq!(found().await, 0);
    own.inner.match_vectors().await.unwrap();
    assert_eq!(found().await, 1, "what another process recorded has a vector, too");
    clock.advance(8 * DAY);
    own.inner.match_vectors().await.unwrap();
    assert_eq!(found().await, 0, "what has expired is out of the way");
}
