//! A search index for tests of the layers below recall.

use std::any::Any;
use std::collections::BTreeMap;
use std::sync::{PoisonError, RwLock};

use crate::clock::Timestamp;
use crate::engine::index::{IndexDocument, IndexWriter, SearchIndex};
use crate::model::kind::Kind;
use crate::store::record::{Key, Namespace, Record, Revision};
use crate::store::traits::StoredDocument;

/// An index that answers no search: it knows the revision of each record that it was given.
#[derive(Debug, Default)]
pub struct KeyIndex(RwLock<Keys>);

impl KeyIndex {
    /// Returns the revision of a record that the index has.
    pub fn revision(&self, key: &Key) -> Option<Revision> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).revision(key)
    }
}

#[derive(Debug, Default)]
struct Keys {
    held: BTreeMap<Key, KeyDocument>,
    removed: BTreeMap<Key, Revision>,
}

#[derive(Debug, Clone, Copy)]
struct KeyDocument {
    revision: Revision,
    expires_at: Option<Timestamp>,
}

impl IndexDocument for KeyDocument {
    fn revision(&self) -> Revision {
        self.revision
    }

    fn encode(&self) -> Option<Vec<u8>> {
        Some(self.expires_at.map_or_else(Vec::new, |at| at.0.to_le_bytes().to_vec()))
    }
}

impl SearchIndex for KeyIndex {
    fn analysis(&self) -> u16 {
        1
    }

    fn document(&self, record: &Record) -> Option<Box<dyn IndexDocument>> {
        let Record { key, revision, expires_at, entity, .. } = record;
        let document = KeyDocument { revision: *revision, expires_at: *expires_at };
        (entity.is_some() && key.kind.spec().searchable).then(|| Box::new(document) as Box<dyn IndexDocument>)
    }

    fn decode(&self, stored: &StoredDocument) -> Option<Box<dyn IndexDocument>> {
        let expires_at = match stored.bytes.as_slice() {
            [] => None,
            bytes => Some(Timestamp(u64::from_le_bytes(bytes.try_into().ok()?))),
        };
        Some(Box::new(KeyDocument { revision: stored.revision, expires_at }))
    }

    fn change(&self, change: &mut dyn FnMut(&mut dyn IndexWriter)) {
        change(&mut *self.0.write().unwrap_or_else(PoisonError::into_inner));
    }

    /// Returns bytes that [`SearchIndex::restore`] refuses, as those of another program.
    fn snapshot(&self, _namespace: &Namespace) -> Option<Vec<u8>> {
        Some(vec![0])
    }

    fn restore(&self, _namespace: &Namespace, _snapshot: Vec<u8>) -> bool {
        false
    }

    fn count(&self, namespace: &Namespace, kind: Kind) -> usize {
        let keys = self.0.read().unwrap_or_else(PoisonError::into_inner);
        keys.held.keys().filter(|key| key.namespace == *namespace && key.kind == kind).count()
    }

    fn bytes(&self) -> usize {
        0
    }
}

impl IndexWriter for Keys {
    fn upsert(&mut self, key: &Key, document: &dyn IndexDocument) -> bool {
        let document: &dyn Any = document;
        let Some(document) = document.downcast_ref::<KeyDocument>() else { return false };
        let newest = self.revision(key).max(self.removed.get(key).copied());
        let newer = newest.is_none_or(|newest| newest < document.revision);
        if newer {
            self.removed.remove(key);
            self.held.insert(key.clone(), *document);
        }
        newer
    }

    fn remove(&mut self, key: &Key, revision: Revision) -> bool {
        let current = self.revision(key).is_none_or(|held| held <= revision);
        if current {
            self.held.remove(key);
            let removed = self.removed.entry(key.clone()).or_default();
            *removed = revision.max(*removed);
        }
        current
    }

    fn revision(&self, key: &Key) -> Option<Revision> {
        self.held.get(key).map(|held| held.revision)
    }

    fn forget(&mut self, key: &Key) {
        self.held.remove(key);
    }

    fn clear(&mut self) {
        *self = Self::default();
    }

    fn purge_expired(&mut self, now: Timestamp) {
        self.held.retain(|_, held| held.expires_at.is_none_or(|at| at > now));
    }

    fn prune_tombstones(&mut self, before: Timestamp) {
        self.removed.retain(|_, revision| revision.at() >= before);
    }
}
