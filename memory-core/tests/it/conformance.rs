//! The conformance suite against the in-memory store and every decorator around it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use memory_core::conformance::{self, Factory, Opened};
use memory_core::{
    Breaker, BreakerConfig, Deadlines, Durable, Faulty, Layered, MemoryStore, RetryLayer, SeededIds,
    SystemClock, Timeout,
};

/// Puts a decorator around a store.
type Wrap = fn(Arc<dyn Durable>) -> Arc<dyn Durable>;

/// Keeps the stores of a case, so that reopening finds their content.
#[derive(Default)]
struct InMemory {
    stores: Mutex<HashMap<String, Arc<MemoryStore>>>,
    wrap: Option<Wrap>,
    cache: bool,
}

#[async_trait]
impl Factory for InMemory {
    async fn open(&self, case: &str) -> Opened {
        let store = self.stores.lock().unwrap().entry(case.into()).or_default().clone();
        match self.wrap {
            _ if self.cache => Opened::Cache(store),
            None => Opened::Durable(store),
            Some(wrap) => Opened::Durable(wrap(store)),
        }
    }
}

async fn check_all(wrap: Option<Wrap>) {
    let factory = InMemory { wrap, ..InMemory::default() };
    conformance::check_store(&factory).await;
    conformance::check_persistence(&factory).await;
    conformance::check_durable(&factory).await;
}

#[tokio::test]
async fn memory_store() {
    check_all(None).await;
    conformance::check_cache(&InMemory { cache: true, ..InMemory::default() }).await;
}

#[tokio::test]
async fn timeout() {
    check_all(Some(|inner| Arc::new(Layered::new(Timeout::new(Deadlines::default()), inner)))).await;
}

#[tokio::test]
async fn retry() {
    check_all(Some(|inner| {
        let layer = RetryLayer::new(3, Duration::from_millis(1), Arc::new(SeededIds::new(1)));
        Arc::new(Layered::new(layer, inner))
    }))
    .await;
}

#[tokio::test]
async fn breaker() {
    check_all(Some(|inner| {
        let (clock, random) = (Arc::new(SystemClock::new()), Arc::new(SeededIds::new(1)));
        Arc::new(Layered::new(Breaker::new(BreakerConfig::default(), clock, random), inner))
    }))
    .await;
}

#[tokio::test]
async fn faulty_without_faults() {
    check_all(Some(|inner| Arc::new(Layered::new(Faulty::new(), inner)))).await;
}
