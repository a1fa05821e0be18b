//! Wrappers around a durable store.
//!
//! A wrapper is a [`Layer`]: one function around any call. [`Layered`] forwards every method of [`Store`] and
//! [`Durable`] through it, so forwarding is written once and a layer cannot forget a method.
//!
//! Order, from the outside: `Breaker(Retry(Timeout(store)))`. A breaker inside a retry would count each attempt
//! and be hammered while it is open; a timeout outside a retry would cut the retries short instead of each
//! attempt.

pub(crate) mod breaker;
#[cfg(feature = "testing")]
pub(crate) mod faulty;
pub(crate) mod retry;
pub(crate) mod timeout;

use std::future::Future;
use std::sync::Arc;

use async_trait::async_trait;

use crate::clock::Timestamp;
use crate::error::Result;
use crate::model::kind::Kind;
use crate::store::query::{Page, Scan};
use crate::store::record::{Key, Namespace, Record};
use crate::store::traits::{Changes, ChangesQuery, Durable, Purged, Store};

/// Which method of a store is called.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Operation {
    /// [`Store::commit`]
    Commit,
    /// [`Store::get`]
    Get,
    /// [`Store::scan`]
    Scan,
    /// [`Store::delete_expired`]
    DeleteExpired,
    /// [`Store::health`]
    Health,
    /// [`Durable::changes`]
    Changes,
    /// [`Durable::count`]
    Count,
    /// [`Durable::maintain`]
    Maintain,
    /// [`Durable::close`]
    Close,
}

impl Operation {
    /// Returns true for operations that change stored records.
    pub fn writes(self) -> bool {
        matches!(self, Self::Commit | Self::DeleteExpired | Self::Maintain)
    }
}

/// Something done around every call to a store.
pub trait Layer: Send + Sync {
    /// Runs `call`, perhaps not at all or more than once. Every method of a store is idempotent.
    fn around<'a, T, F, Fut>(
        &'a self,
        operation: Operation,
        call: F,
    ) -> impl Future<Output = Result<T>> + Send + 'a
    where
        T: Send + 'a,
        F: Fn() -> Fut + Send + Sync + 'a,
        Fut: Future<Output = Result<T>> + Send + 'a;
}

/// A durable store inside a layer.
pub struct Layered<L> {
    layer: L,
    inner: Arc<dyn Durable>,
}

impl<L: Layer> Layered<L> {
    /// Puts `layer` around `inner`.
    pub fn new(layer: L, inner: Arc<dyn Durable>) -> Self {
        Self { layer, inner }
    }

    /// Returns the layer.
    pub fn layer(&self) -> &L {
        &self.layer
    }
}

#[deny(clippy::missing_trait_methods)]
#[async_trait]
impl<L: Layer> Store for Layered<L> {
    async fn commit(&self, records: &[Record]) -> Result<()> {
        self.layer.around(Operation::Commit, || self.inner.commit(records)).await
    }

    async fn get(&self, keys: &[Key]) -> Result<Vec<Option<Record>>> {
        self.layer.around(Operation::Get, || self.inner.get(keys)).await
    }

    async fn scan(&self, scan: &Scan) -> Result<Page> {
        self.layer.around(Operation::Scan, || self.inner.scan(scan)).await
    }

    async fn delete_expired(&self, now: Timestamp) -> Result<Purged> {
        self.layer.around(Operation::DeleteExpired, || self.inner.delete_expired(now)).await
    }

    async fn health(&self) -> Result<()> {
        self.layer.around(Operation::Health, || self.inner.health()).await
    }
}

#[deny(clippy::missing_trait_methods)]
#[async_trait]
impl<L: Layer> Durable for Layered<L> {
    async fn changes(&self, query: &ChangesQuery) -> Result<Changes> {
        self.layer.around(Operation::Changes, || self.inner.changes(query)).await
    }

    async fn count(&self, namespace: &Namespace) -> Result<Vec<(Kind, u64)>> {
        self.layer.around(Operation::Count, || self.inner.count(namespace)).await
    }

    async fn maintain(&self) -> Result<()> {
        self.layer.around(Operation::Maintain, || self.inner.maintain()).await
    }

    async fn close(&self) -> Result<()> {
        // Closing is never refused, retried or cut short: it frees the store's resources.
        self.inner.close().await
    }
}
