//! The snapshot of the recall index in the cache file, from which opening loads it.
//!
//! A snapshot with the changed documents equals all documents, because:
//!
//! - the index has every document before the cache writer gets it, and only the cache writer writes documents
//!   and snapshots. So a snapshot made by the cache writer has every document that is in the file at that time,
//!   and each that is written or removed later counts as changed;
//! - documents that a snapshot has in addition, or lacks, come again by the change feed, whose position is
//!   written after the documents that it covers. A snapshot lacks expired documents, which no search would
//!   find;
//! - no snapshot is made once documents could not be written or read, or the index has others: those of rows
//!   that waited in the outbox, which are not in the file before the feed returns them.

use tokio::runtime::Handle;

use crate::engine::Shared;
use crate::engine::documents::decoded;
use crate::engine::index::SearchIndex;
use crate::engine::supervise;
use crate::error::Result;
use crate::model::kind::Kind;
use crate::store::record::Namespace;
use crate::store::traits::{Cache, IndexSnapshot};

/// Changed documents read at once.
const PAGE: usize = 2_000;
/// Fewer documents are read as fast without a snapshot.
const LEAST_DOCUMENTS: u64 = 2_000;
/// A snapshot is made again once one in this many documents has changed.
const RENEWED_AT: u64 = 20;

impl Shared {
    /// Fills the index from the snapshot in the cache file and the changes since; returns how many documents
    /// could not be read, or `None` without a snapshot.
    pub(super) async fn load_snapshot(&self) -> Result<Option<u64>> {
        let (cache, index) = (self.tiers.cache.clone(), self.index.clone());
        let (namespace, runtime) = (self.namespace.clone(), Handle::current());
        let loading = move || runtime.block_on(load(cache.as_ref(), index.as_ref(), &namespace));
        let loaded = supervise::blocking(loading).await?;
        let Some(Loaded { changed, unreadable }) = loaded else { return Ok(None) };
        self.cache_writer.snapshot_made(changed);
        Ok(Some(unreadable))
    }
}

struct Loaded {
    /// How many documents have changed since the snapshot was made.
    changed: u64,
    /// How many of them could not be read.
    unreadable: u64,
}

async fn load(cache: &dyn Cache, index: &dyn SearchIndex, namespace: &Namespace) -> Result<Option<Loaded>> {
    let Some(IndexSnapshot { bytes, changed }) = cache.snapshot(namespace).await? else { return Ok(None) };
    if !index.restore(namespace, bytes) {
        tracing::warn!("the snapshot of the recall index is of another program; search documents are read");
        return Ok(None);
    }
    let mut unreadable = 0;
    for keys in changed.chunks(PAGE) {
        let page = decoded(index, cache.documents_of(keys).await?);
        unreadable += page.unreadable;
        index.change(&mut |index| {
            keys.iter().for_each(|key| index.forget(key));
            for (key, document) in &page.found {
                index.upsert(key, document.as_ref());
            }
        });
    }
    Ok(Some(Loaded { changed: changed.len() as u64, unreadable }))
}

/// Stores a snapshot of the index if it has enough documents and enough of them have changed; returns whether
/// it did.
pub(super) async fn renew(
    cache: &dyn Cache,
    index: &dyn SearchIndex,
    namespace: &Namespace,
    changed: u64,
) -> Result<bool> {
    let documents: u64 = Kind::ALL.iter().map(|kind| index.count(namespace, *kind) as u64).sum();
    if documents < LEAST_DOCUMENTS || changed <= documents / RENEWED_AT {
        return Ok(false);
    }
    let Some(snapshot) = index.snapshot(namespace) else { return Ok(false) };
    cache.put_snapshot(namespace, &snapshot).await?;
    Ok(true)
}
