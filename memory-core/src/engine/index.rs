//! The interface of a search index. The engine keeps it consistent with its records and does not know its
//! content.

use std::any::Any;

use crate::clock::Timestamp;
use crate::model::kind::Kind;
use crate::store::record::{Key, Namespace, Record, Revision};
use crate::store::traits::StoredDocument;

/// An index over records, in memory. The engine gives it every version that was committed or pulled, and stores
/// its documents and its snapshot in the cache.
pub trait SearchIndex: Send + Sync {
    /// Identifies how documents are made and encoded. Documents stored under another number are made again.
    fn analysis(&self) -> u16;

    /// Makes the document of a record; `None` for a tombstone and for a kind that the index does not have.
    fn document(&self, record: &Record) -> Option<Box<dyn IndexDocument>>;

    /// Decodes a document; `None` if its bytes are of no document.
    fn decode(&self, stored: &StoredDocument) -> Option<Box<dyn IndexDocument>>;

    /// Runs `change` while no search runs, so that searches see all of it or nothing.
    fn change(&self, change: &mut dyn FnMut(&mut dyn IndexWriter));

    /// Returns the index of a namespace as bytes, for [`SearchIndex::restore`]; `None` if it has no such form.
    fn snapshot(&self, namespace: &Namespace) -> Option<Vec<u8>>;

    /// Replaces the whole index by a snapshot; false, and nothing changes, if another version of the program
    /// made it.
    fn restore(&self, namespace: &Namespace, snapshot: Vec<u8>) -> bool;

    /// Returns how many documents of a kind a namespace has.
    fn count(&self, namespace: &Namespace, kind: Kind) -> usize;

    /// Returns roughly how many bytes of memory the index takes.
    fn bytes(&self) -> usize;
}

/// The index during a change. Changes are guarded by revision: an older version never replaces a newer one, and
/// never brings back a removed document.
pub trait IndexWriter {
    /// Adds or replaces a document; false if the index has this version or a newer one, or has removed it.
    fn upsert(&mut self, key: &Key, document: &dyn IndexDocument) -> bool;

    /// Removes a document as of a revision; false if the index has a newer version.
    fn remove(&mut self, key: &Key, revision: Revision) -> bool;

    /// Returns the revision of a document.
    fn revision(&self, key: &Key) -> Option<Revision>;

    /// Takes a document out as if it had never been put in: any version may come again.
    fn forget(&mut self, key: &Key);

    /// Removes everything.
    fn clear(&mut self);

    /// Removes the documents that have expired at `now`.
    fn purge_expired(&mut self, now: Timestamp);

    /// Forgets removals of revisions made before `before`.
    fn prune_tombstones(&mut self, before: Timestamp);
}

/// A document of a [`SearchIndex`], which alone knows its type.
pub trait IndexDocument: Any + Send + Sync {
    /// The revision of the record that it was made of.
    fn revision(&self) -> Revision;

    /// Encodes it for the cache; `None` if it is too large to be stored.
    fn encode(&self) -> Option<Vec<u8>>;
}

/// The new document of a record; `None` removes it.
pub(crate) type DocumentChange = (Key, Option<Box<dyn IndexDocument>>);
