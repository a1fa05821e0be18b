//! Search documents: from records into the recall index, and from the cache file on opening.

use tokio::runtime::Handle;
use tokio::task::JoinHandle;

use crate::engine::Shared;
use crate::engine::index::{DocumentChange, IndexDocument, SearchIndex};
use crate::engine::supervise::contained;
use crate::engine::unreadable::Unreadable;
use crate::error::{Error, ErrorKind, Result};
use crate::id::lock;
use crate::model::kind::Kind;
use crate::store::query::Scan;
use crate::store::record::{Key, Record};
use crate::store::traits::{Cursor, Documents};

/// Search documents read at once.
const DOCUMENTS: usize = 2_000;
/// Rows of the outbox read at once.
pub(super) const PENDING: usize = 500;

/// Makes the search documents of records. One that cannot be made is noted, and recall does without it.
pub(super) fn documents_of(
    index: &dyn SearchIndex,
    records: &[Record],
    unreadable: &Unreadable,
) -> Vec<DocumentChange> {
    let made = records.iter().filter_map(|record| {
        let made = contained("index", || document_of(index, record));
        made.unwrap_or_else(|error| {
            unreadable.note(record.key.to_string(), &error);
            None
        })
    });
    made.collect()
}

fn document_of(index: &dyn SearchIndex, record: &Record) -> Option<DocumentChange> {
    #[cfg(test)]
    if record.key.id.contains("panics") {
        panic!("as a tokenizer might");
    }
    match &record.entity {
        Some(_) => index.document(record).map(|document| (record.key.clone(), Some(document))),
        None if record.key.kind.spec().searchable => Some((record.key.clone(), None)),
        None => None,
    }
}

/// Applies documents to the index; `None` removes, at the revision of the record it came from. Those that the
/// index has newer versions of, or does not take, are taken out: the cache file must not have them either.
pub(super) fn index_documents(
    index: &dyn SearchIndex,
    records: &[Record],
    documents: &mut Vec<DocumentChange>,
    unreadable: &Unreadable,
) {
    if documents.is_empty() {
        return;
    }
    index.change(&mut |index| {
        documents.retain(|(key, document)| {
            let applied = contained("index", || match document {
                Some(document) => {
                    index.upsert(key, document.as_ref()) || index.revision(key) == Some(document.revision())
                }
                None => {
                    let removals = records.iter().filter(|it| it.key == *key && it.is_tombstone());
                    let newest = removals.map(|record| record.revision).max();
                    newest.is_some_and(|revision| index.remove(key, revision))
                }
            });
            applied.unwrap_or_else(|error| {
                unreadable.note(key.to_string(), &error);
                false
            })
        });
    });
}

/// A page of documents that the index can take.
pub(super) struct Decoded {
    pub(super) found: Vec<(Key, Box<dyn IndexDocument>)>,
    /// How many could not be read.
    pub(super) unreadable: u64,
    /// The last key of the page, whether it could be read or not.
    last: Option<Key>,
}

/// Decodes a page of documents.
pub(super) fn decoded(index: &dyn SearchIndex, page: Documents) -> Decoded {
    let stored = page.found.len() as u64;
    let last = page.found.last().map(|(key, _)| key.clone());
    let decode = |(key, stored): (Key, _)| Some((key, index.decode(&stored)?));
    let found: Vec<_> = page.found.into_iter().filter_map(decode).collect();
    let unreadable = page.unreadable + (stored - found.len() as u64);
    Decoded { found, unreadable, last }
}

impl Shared {
    /// Fills the index from the cache file with the position `cursor`.
    pub(super) async fn load_documents(&self, cursor: &Cursor) -> Result<()> {
        if !cursor.database.is_empty() && !cursor.database.starts_with(&self.identity("")) {
            // Made in another way; the first pull starts over.
            return Ok(());
        }
        // Without a position, the feed would not repeat the records in the snapshot.
        let loaded = if cursor.database.is_empty() { None } else { self.load_snapshot().await? };
        let unreadable = match loaded {
            Some(unreadable) => unreadable,
            None => self.load_all_documents().await?,
        };
        // A file that breaks while it is read is replaced by an empty one, which has no position either.
        let replaced = self.tiers.cache.cursor().await? != *cursor;
        if unreadable > 0 || replaced {
            // The feed does not repeat a missing document: recall would never have it.
            self.cache_writer.set_apart();
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
            let Some(last) = page.last else { break };
            // The next page is read and decoded while this one goes into the index.
            reading = self.read_documents(Some(last), std::mem::take(&mut spent));
            self.index.change(&mut |index| {
                for (key, document) in &page.found {
                    index.upsert(key, document.as_ref());
                }
            });
            spent = page.found;
        }
        Ok(unreadable)
    }

    /// Starts to read a page of search documents after a key; frees a used page on the thread that makes pages.
    fn read_documents(
        &self,
        after: Option<Key>,
        spent: Vec<(Key, Box<dyn IndexDocument>)>,
    ) -> JoinHandle<Result<Decoded>> {
        let (cache, index) = (self.tiers.cache.clone(), self.index.clone());
        let (namespace, runtime) = (self.namespace.clone(), Handle::current());
        tokio::task::spawn_blocking(move || {
            drop(spent);
            let page = runtime.block_on(cache.documents(&namespace, after.as_ref(), DOCUMENTS))?;
            Ok(decoded(index.as_ref(), page))
        })
    }

    /// Fills the index from the pending rows of the outbox.
    pub(super) async fn load_pending(&self) -> Result<()> {
        for kind in Kind::ALL.into_iter().filter(|kind| kind.spec().searchable) {
            let mut scan = Scan::new(&self.namespace, kind);
            loop {
                let asked = scan.clone();
                let pending = self.ask_outbox(move |outbox| outbox.pending_scan(&asked, PENDING)).await?;
                let Some(mut pending) = pending else { return Ok(()) };
                let next =
                    pending.last().filter(|_| pending.len() == PENDING).map(|last| last.key.id.clone());
                // The change feed may have listed a newer version before, and does not repeat it.
                let keys: Vec<Key> = pending.iter().map(|record| record.key.clone()).collect();
                let mut cached = self.tiers.cache.get(&keys).await.unwrap_or_default().into_iter();
                pending.retain(|record| !cached.next().flatten().is_some_and(|it| it.supersedes(record)));
                let mut documents = documents_of(self.index.as_ref(), &pending, &self.unreadable);
                if !documents.is_empty() {
                    self.cache_writer.set_apart();
                }
                index_documents(self.index.as_ref(), &pending, &mut documents, &self.unreadable);
                match next {
                    Some(_) => scan.after = next,
                    None => break,
                }
            }
        }
        Ok(())
    }
}
