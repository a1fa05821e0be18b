use std::time::Duration;

use async_trait::async_trait;
use memory_core::{EngineConfig, ManualClock, MemoryStore, Outcome, SeededIds, Tiers, content_hash};

use super::*;
use crate::memory::config::{LearningConfig, MemoryConfig};

const DAY: Duration = Duration::from_secs(86_400);

/// Gives every text the same direction, as often as permitted.
#[derive(Debug)]
struct Same {
    lets: tokio::sync::Semaphore,
    /// Notified of each call.
    asked: tokio::sync::Notify,
}

impl Same {
    /// Answers this many times, and then only when permitted.
    fn answering(times: usize) -> Arc<Self> {
        Arc::new(Self { lets: tokio::sync::Semaphore::new(times), asked: tokio::sync::Notify::new() })
    }
}

#[async_trait]
impl Embedder for Same {
    fn model(&self) -> &str {
        "same"
    }

    fn dimensions(&self) -> usize {
        2
    }

    async fn embed(&self, texts: &[String]) -> Result<Vec<Vec<f32>>> {
        self.asked.notify_one();
        self.lets.acquire().await.map_err(|_| no_vector())?.forget();
        Ok(vec![vec![1.0, 0.0]; texts.len()])
    }
}

async fn open(
    durable: &Arc<MemoryStore>,
    clock: &Arc<ManualClock>,
    seed: u64,
    embedder: &Arc<Same>,
) -> Memory {
    let learning = LearningConfig { background: false, ..LearningConfig::default() };
    let mut engine = EngineConfig::default();
    engine.retention.insert(Kind::Episode, Some(7 * DAY));
    let config =
        MemoryConfig { learning, engine, embedder: Some(embedder.clone()), ..MemoryConfig::default() };
    let tiers = Tiers {
        durable: durable.clone(),
        cache: Arc::new(MemoryStore::new()),
        outbox: None,
        contacts: None,
        warnings: Vec::new(),
    };
    let ids = Arc::new(SeededIds::new(seed));
    Memory::assemble(Namespace::default(), config, tiers, clock.clone(), ids).await.unwrap()
}

#[tokio::test]
async fn vectors_follow_what_others_record_and_what_expires() {
    let durable = Arc::new(MemoryStore::new());
    let clock = Arc::new(ManualClock::new(Timestamp(1_800_000_000_000)));
    let embedder = Same::answering(100);
    let own = open(&durable, &clock, 1, &embedder).await;
    let other = open(&durable, &clock, 2, &embedder).await;
    own.complete_vectors().await.unwrap();
    let episode = other.start("compress the backups").await.unwrap();
    episode.complete(Outcome::success("")).await.unwrap();
    own.inner.records.engine.refresh().await.unwrap();
    let vectors = own.inner.vectors.as_ref().unwrap();
    let found = async || vectors.search("anything", 10).await.unwrap().len();
    // The background may have been faster.
    vectors.keep_in_step().await.unwrap();
    assert_eq!(found().await, 1, "what another process recorded has a vector, too");
    clock.advance(8 * DAY);
    vectors.keep_in_step().await.unwrap();
    assert_eq!(found().await, 0, "what has expired is out of the way");
}

#[tokio::test]
async fn what_is_forgotten_while_the_provider_answers_gets_no_vector() {
    let durable = Arc::new(MemoryStore::new());
    let clock = Arc::new(ManualClock::new(Timestamp(1_800_000_000_000)));
    let embedder = Same::answering(0);
    let memory = open(&durable, &clock, 1, &embedder).await;
    let mut ids = Vec::new();
    for task in ["compress the backups", "paint the fence"] {
        let episode = memory.start(task).await.unwrap();
        ids.push(episode.id());
        episode.complete(Outcome::success("")).await.unwrap();
    }
    let making = tokio::spawn({
        let memory = memory.clone();
        async move { memory.complete_vectors().await }
    });
    embedder.asked.notified().await;
    assert!(memory.forget(ids[0]).await.unwrap());
    embedder.lets.add_permits(10);
    making.await.unwrap().unwrap();

    let scan = Scan::new(memory.inner.records.engine.namespace(), Kind::Embedding);
    let (page, _) = memory.inner.records.engine.scan_fresh(&scan).await.unwrap();
    let kept: Vec<&str> = page.records.iter().map(|record| &*record.key.id).collect();
    assert_eq!(kept, [Embedding::id_of(&content_hash("paint the fence"), "same")]);
    let found = memory.inner.vectors.as_ref().unwrap().search("anything", 10).await.unwrap();
    assert_eq!(found.len(), 1, "{found:?}");
}
