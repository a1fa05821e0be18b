//! The image of the recall index in the cache file, from which opening loads it.
//!
//! Image and changed documents say the same as all documents, because:
//!
//! - the index has every document before the filler is told of it, and the filler alone writes documents and images. So
//!   an image that is made in the filler's turn has every document that is in the file then, and each that is written
//!   or removed later counts as changed;
//! - what an image may have besides, or lack, comes again by the change feed, whose position is written behind the
//!   documents that it covers. What has expired it lacks, and no search would find;
//! - no image is made once documents could not be written or read, or the index has others: those of rows that waited in
//!   the outbox, which are not in the file before the feed returns them.

use std::sync::{PoisonError, RwLock};

use tokio::runtime::Handle;

use crate::engine::Shared;
use crate::engine::upkeep;
use crate::error::Result;
use crate::model::kind::Kind;
use crate::recall::lexical::LexicalIndex;
use crate::store::record::Namespace;
use crate::store::traits::Cache;

/// Changed documents read at once.
const PAGE: usize = 2_000;
/// Fewer documents are read as fast without an image.
const LEAST_DOCUMENTS: u64 = 2_000;
/// An image is made anew once one in so many documents has changed.
const RENEWED_AT: u64 = 20;

impl Shared {
    /// Fills the index from the image in the cache file and what has changed since; returns how many documents could not
    /// be read, or `None` without an image.
    pub(super) async fn load_image(&self) -> Result<Option<u64>> {
        let (cache, namespace) = (self.tiers.cache.clone(), self.namespace.clone());
        let runtime = Handle::current();
        let loaded = upkeep::blocking(move || runtime.block_on(load(cache.as_ref(), &namespace))).await?;
        let Some(Loaded { index, changed, unreadable }) = loaded else { return Ok(None) };
        *self.index.write().unwrap_or_else(PoisonError::into_inner) = index;
        self.filler.imaged(changed);
        Ok(Some(unreadable))
    }
}

struct Loaded {
    index: LexicalIndex,
    /// How many documents have changed since the image was made.
    changed: u64,
    /// How many of them could not be read.
    unreadable: u64,
}

async fn load(cache: &dyn Cache, namespace: &Namespace) -> Result<Option<Loaded>> {
    let Some(image) = cache.image(namespace).await? else { return Ok(None) };
    let Some(mut index) = LexicalIndex::of_image(namespace, image.bytes) else {
        tracing::warn!("the image of the recall index is of another program; search documents are read");
        return Ok(None);
    };
    let mut unreadable = 0;
    for keys in image.changed.chunks(PAGE) {
        let documents = cache.documents_of(keys).await?;
        unreadable += documents.unreadable;
        keys.iter().for_each(|key| index.forget(key));
        for (key, document) in &documents.found {
            index.upsert(key, document);
        }
    }
    Ok(Some(Loaded { index, changed: image.changed.len() as u64, unreadable }))
}

/// Stores an image of the index if it has documents enough, of which enough have changed; returns whether it did.
pub(super) async fn renew(
    cache: &dyn Cache,
    index: &RwLock<LexicalIndex>,
    namespace: &Namespace,
    changed: u64,
) -> Result<bool> {
    let image = {
        let index = index.read().unwrap_or_else(PoisonError::into_inner);
        let documents: u64 = Kind::ALL.iter().map(|kind| index.len(namespace, *kind) as u64).sum();
        if documents < LEAST_DOCUMENTS || changed <= documents / RENEWED_AT {
            return Ok(false);
        }
        index.image(namespace)
    };
    let Some(image) = image else { return Ok(false) };
    cache.put_image(namespace, &image).await?;
    Ok(true)
}
