//! The local tier of agent-memory on redb: a bounded cache and a write-ahead outbox.

mod backend;
mod cache;
pub mod codec;
mod failure;
mod keys;
mod open;
mod orphans;
mod outbox;
mod slots;

#[cfg(test)]
mod power_loss;

pub use cache::{CacheOptions, RedbCache};
pub use open::OpenReport;
pub use orphans::OrphanFolders;
pub use outbox::{OutboxOptions, RedbOutbox};
pub use slots::{Slot, Slots};
