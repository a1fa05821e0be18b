//! The contract of the storage traits, as cases that every backend, decorator and the engine run.
//!
//! A case gets a factory. Cases are isolated by their own namespace, so that one database may serve them all.
//! Each panics with an explanation on the first breach.
#![expect(clippy::expect_used, reason = "a case ends by panicking")]

mod cache;
mod durable;
mod outbox;
mod store;

use std::sync::Arc;

use async_trait::async_trait;

use crate::store::traits::{Cache, Durable, Outbox, Store};

pub use crate::store::fixtures::{HARD_TEXT, entities, episode, record, record_of};
pub use cache::check_cache;
pub use durable::check_durable;
pub use outbox::check_outbox;
pub use store::{check_persistence, check_store};

/// Opens the store under test.
#[async_trait]
pub trait Factory: Send + Sync {
    /// Opens the store of a case. A case opens again only after it has dropped the store it had; a factory
    /// whose store persists must then return it with its content.
    async fn open(&self, case: &str) -> Opened;
}

/// A store under test, as the most it can do.
pub enum Opened {
    /// A store and nothing more (the assembled engine).
    Store(Arc<dyn Store>),
    /// A durable tier.
    Durable(Arc<dyn Durable>),
    /// A cache tier.
    Cache(Arc<dyn Cache>),
    /// An outbox.
    Outbox(Arc<dyn Outbox>),
}

impl Opened {
    fn store(self) -> Arc<dyn Store> {
        match self {
            Self::Store(store) => store,
            Self::Durable(store) => store,
            Self::Cache(store) => store,
            Self::Outbox(_) => panic!("an outbox is not a store"),
        }
    }

    fn durable(self) -> Arc<dyn Durable> {
        match self {
            Self::Durable(store) => store,
            _ => panic!("the factory does not open a durable tier"),
        }
    }

    fn cache(self) -> Arc<dyn Cache> {
        match self {
            Self::Cache(store) => store,
            _ => panic!("the factory does not open a cache"),
        }
    }

    fn outbox(self) -> Arc<dyn Outbox> {
        match self {
            Self::Outbox(outbox) => outbox,
            _ => panic!("the factory does not open an outbox"),
        }
    }
}
