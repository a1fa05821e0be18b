//! Search documents: of records, into the recall index, and from the cache file on opening.

use std::sync::{PoisonError, RwLock};

use tokio::runtime::Handle;
use tokio::task::JoinHandle;

use crate::engine::Shared;
use crate::engine::pull::identity;
use crate::engine::supervise::contained;
use crate::engine::unreadable::Unreadable;
use crate::error::{Error, ErrorKind, Result};
use crate::id::lock;
use crate::model::kind::Kind;
use crate::recall::document::SearchDocument;
use crate::recall::lexical::LexicalIndex;
use crate::store::query::Scan;
use crate::store::record::{Key, Record};
use crate::store::traits::{Cursor, Documents};

/// Search documents read at once.
const DOCUMENTS: usize = 2_000;
/// Rows of the outbox read at once.
pub(super) const PENDING: usize = 500;

/// Makes the search documents of records. One that cannot be made is noted, and recall does without it.
pub(super) fn documents_of(
    records: &[Record],
    unreadable: &Unreadable,
) -> Vec<(Key, Option<SearchDocument>)> {
    let made = records.iter().filter_map(|record| {
        let made = contained("index", || document_of(record));
        made.unwrap_or_else(|error| {
            unreadable.note(record.key.to_string(), &error);
            None
        })
    });
    made.collect()
}

fn document_of(record: &Record) -> Option<(Key, Option<SearchDocument>)> {
    #[cfg(test)]
    if record.key.id.contains("panics") {
        panic!("as a tokenizer might");
    }
    match &record.entity {
        Some(_) => SearchDocument::of_record(record).map(|document| (record.key.clone(), Some(document))),
        None if record.key.kind.spec().searchable => Some((record.key.clone(), None)),
        None => None,
    }
}

/// Applies documents to the index; `None` removes, at the revision of the record it came from. Those that the index has
/// newer versions of, or does not take, are taken out: the cache file must not have them either.
pub(super) fn index_documents(
    index: &RwLock<LexicalIndex>,
    records: &[Record],
    documents: &mut Vec<(Key, Option<SearchDocument>)>,
    unreadable: &Unreadable,
) {
    if documents.is_empty() {
        return;
    }
    let mut index = index.write().unwrap_or_else(PoisonError::into_inner);
    documents.retain(|(key, document)| {
        let applied = contained("index", || match document {
            Some(document) => index.upsert(key, document) || index.revision(key) == Some(document.revision),
            None => {
                let removals = records.iter().filter(|record| record.key == *key && record.is_tombstone());
                let newest = removals.map(|record| record.revision).max();
                newest.is_some_and(|revision| index.remove(key, revision))
            }
        });
        applied.unwrap_or_else(|error| {
            unreadable.note(key.to_string(), &error);
            false
        })
    });
}

impl Shared {
    /// Fills the index from the cache file, whose position is `cursor`.
    pub(super) async fn load_documents(&self, cursor: &Cursor) -> Result<()> {
        if !cursor.database.is_empty() && !cursor.database.starts_with(&identity("")) {
            // Made in another way; the first pull starts over.
            return Ok(());
        }
        // Without a position, what is in the image would not come again.
        let loaded = if cursor.database.is_empty() { None } else { self.load_image().await? };
        let unreadable = match loaded {
            Some(unreadable) => unreadable,
            None => self.load_all_documents().await?,
        };
        // A file that breaks while it is read is replaced by an empty one, which has no position either.
        let replaced = self.tiers.cache.cursor().await? != *cursor;
        if unreadable > 0 || replaced {
            // What is missing does not come by again by itself: recall would not know of it for ever.
            self.filler.set_apart();
            lock(&self.progress).damaged = true;
            let what = if replaced { "the".to_owned() } else { unreadable.to_string() };
            self.warn(format!(
                "{what} search documents of the cache file were unreadable and are made again"
            ));
        }
        Ok(())
    }

    /// Fills the index from all search documents of the cache file; returns how many could not be read.
    async fn load_all_documents(&self) -> Result<u64> {
        let mut reading = self.read_documents(None, Vec::new());
        let (mut spent, mut unreadable) = (Vec::new(), 0);
        loop {
            let page = reading.await.map_err(|source| {
                Error::new(ErrorKind::Closed, "open", "the runtime is shutting down").with_source(source)
            })??;
            unreadable += page.unreadable;
            let Some((last, _)) = page.found.last() else { break };
            // The next page is read and decoded while this one goes into the index.
            reading = self.read_documents(Some(last.clone()), spent);
            let mut index = self.index.write().unwrap_or_else(PoisonError::into_inner);
            for (key, document) in &page.found {
                index.upsert(key, document);
            }
            spent = page.found;
        }
        Ok(unreadable)
    }

    /// Starts to read a page of search documents behind a key; frees a page that is done with where pages are made.
    fn read_documents(
        &self,
        after: Option<Key>,
        spent: Vec<(Key, SearchDocument)>,
    ) -> JoinHandle<Result<Documents>> {
        let (cache, namespace) = (self.tiers.cache.clone(), self.namespace.clone());
        let runtime = Handle::current();
        tokio::task::spawn_blocking(move || {
            drop(spent);
            runtime.block_on(cache.documents(&namespace, after.as_ref(), DOCUMENTS))
        })
    }

    /// Fills the index from what waits in the outbox.
    pub(super) async fn load_pending(&self) -> Result<()> {
        for kind in Kind::ALL.into_iter().filter(|kind| kind.spec().searchable) {
            let mut scan = Scan::new(&self.namespace, kind);
            loop {
                let asked = scan.clone();
                let pending = self.ask_outbox(move |outbox| outbox.pending_scan(&asked, PENDING)).await?;
                let Some(mut pending) = pending else { return Ok(()) };
                let next =
                    pending.last().filter(|_| pending.len() == PENDING).map(|last| last.key.id.clone());
                // The change feed may have brought a newer version before, and does not bring it again.
                let keys: Vec<Key> = pending.iter().map(|record| record.key.clone()).collect();
                let mut cached = self.tiers.cache.get(&keys).await.unwrap_or_default().into_iter();
                pending.retain(|record| !cached.next().flatten().is_some_and(|it| it.supersedes(record)));
                let mut documents = documents_of(&pending, &self.unreadable);
                if !documents.is_empty() {
                    self.filler.set_apart();
                }
                index_documents(&self.index, &pending, &mut documents, &self.unreadable);
                match next {
                    Some(_) => scan.after = next,
                    None => break,
                }
            }
        }
        Ok(())
    }
}
