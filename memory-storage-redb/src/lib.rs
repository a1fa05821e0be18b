//! The local tier of agent-memory on redb: a bounded cache and a write-ahead outbox.
//!
//! Each running process takes an instance folder with [`Slots::claim`] and keeps two files in it, because their
//! requirements differ: [`RedbCache`] may lose anything at any time and is rebuilt when it cannot be read;
//! [`RedbOutbox`] must not lose any acknowledged row, and is salvaged. [`OrphanFolders`] adopts the outboxes of
//! processes that no longer run. The byte formats are in [`codec`].
//!
//! ```
//! use memory_core::{Cache, EpisodeId, Episode, IdSource, Key, Namespace, Outbox, Record, RevisionClock, Store};
//! use memory_core::{SystemClock, SystemIds, Task, Clock, WriterId};
//! use memory_storage_redb::{CacheOptions, OutboxOptions, RedbCache, RedbOutbox, Slots};
//!
//! # let root = tempfile::tempdir()?;
//! # let root = root.path();
//! # let runtime = tokio::runtime::Builder::new_current_thread().build()?;
//! # runtime.block_on(async {
//! let slot = Slots::claim(root)?;
//! let outbox = RedbOutbox::open(slot.path().join("outbox.redb"), OutboxOptions::default())?;
//! let cache = RedbCache::open(slot.path().join("cache.redb"), CacheOptions::default())?;
//!
//! let (clock, ids, space) = (SystemClock::new(), SystemIds::default(), Namespace::default());
//! let now = clock.now();
//! let id = EpisodeId(ids.next(now));
//! let record = Record {
//!     key: Key::episode(&space, id),
//!     revision: RevisionClock::new(WriterId::new(ids.random())).next(now),
//!     updated_at: now,
//!     expires_at: None,
//!     entity: Some(std::sync::Arc::new(Episode::open(id, Task::new("fix the build"), now).into())),
//! };
//!
//! // On return the record survives power loss; it waits until the durable tier has it.
//! let seq = outbox.append(&[record.clone()], now)?;
//! cache.commit(&[record.clone()]).await?;
//! assert_eq!(outbox.peek(0, 100, 1 << 20)?[0].seq, seq);
//! assert_eq!(cache.lookup(&[record.key.clone()]).await?[0].as_ref().map(|it| &it.record), Some(&record));
//! outbox.ack(&[seq], now)?;
//! assert_eq!(outbox.pending(&[record.key])?, [None]);
//! # Ok::<_, memory_core::Error>(())
//! # })?;
//! # Ok::<_, Box<dyn std::error::Error>>(())
//! ```

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
