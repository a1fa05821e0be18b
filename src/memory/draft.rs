//! The records that a batch of learning is about to write.
//!
//! Learned items are read, changed and written whole. Another process may change an item in between: people
//! rule on it, others learn or forget. So a draft records the versions that it was made from. If the durable
//! tier has newer ones at commit time, the draft is made again, a few times.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use memory_core::{Entity, EpisodeId, ErrorKind, Key, Kind, Record, Result, Revision, lock};

use crate::memory::records::Records;

/// Records as they will be once the batch is committed; reads see them.
pub(in crate::memory) struct Draft<'a> {
    store: &'a Records,
    records: BTreeMap<Key, Drafted>,
    /// The versions that were read; `None`: there was none.
    read: Mutex<BTreeMap<Key, Option<Revision>>>,
}

/// The fate of a record.
enum Drafted {
    Put(Box<Entity>),
    Remove,
    /// Removed for good.
    Forget,
}

impl<'a> Draft<'a> {
    pub(in crate::memory) fn new(store: &'a Records) -> Self {
        Self { store, records: BTreeMap::new(), read: Mutex::default() }
    }

    fn key(&self, kind: Kind, id: impl Into<String>) -> Key {
        Key::new(self.store.engine.namespace(), kind, id.into())
    }

    /// Returns a record's content as of this draft.
    pub(in crate::memory) async fn get(&self, kind: Kind, id: impl Into<String>) -> Result<Option<Entity>> {
        let key = self.key(kind, id);
        match self.records.get(&key) {
            Some(Drafted::Put(entity)) => return Ok(Some(Entity::clone(entity))),
            Some(Drafted::Remove | Drafted::Forget) => return Ok(None),
            None => {}
        }
        let read = self.store.engine.read(&key).await?;
        lock(&self.read).entry(key).or_insert_with(|| read.record.as_ref().map(|record| record.revision));
        let entity = read.record.and_then(|record| record.entity);
        Ok(entity.map(|entity| Arc::unwrap_or_clone(self.store.noted(entity))))
    }

    /// Returns true if there is a record as of this draft, readable or not.
    pub(in crate::memory) async fn has(&self, kind: Kind, id: impl Into<String>) -> Result<bool> {
        match self.get(kind, id).await {
            Err(error) if error.kind() == ErrorKind::Corrupt => Ok(true),
            found => Ok(found?.is_some()),
        }
    }

    pub(in crate::memory) fn put(&mut self, id: impl Into<String>, entity: impl Into<Entity>) {
        let entity = entity.into();
        let key = self.key(entity.kind(), id);
        self.records.insert(key, Drafted::Put(Box::new(entity)));
    }

    pub(in crate::memory) fn remove(&mut self, kind: Kind, id: impl Into<String>) {
        let key = self.key(kind, id);
        self.records.insert(key, Drafted::Remove);
    }

    /// Removes an episode so that no version of it, and none of its records, can come back from any process.
    pub(in crate::memory) fn forget(&mut self, id: EpisodeId) {
        let key = self.key(Kind::Episode, id.to_string());
        self.records.insert(key, Drafted::Forget);
    }

    /// Returns true unless another process has changed a record that this draft was made from; the caches then
    /// know the newer versions. While the durable tier is away, the versions read are the only ones known.
    ///
    /// # Errors
    /// Whatever the durable tier reports but that it is away.
    pub(in crate::memory) async fn is_current(&self) -> Result<bool> {
        let read: Vec<(Key, Option<Revision>)> = lock(&self.read)
            .iter()
            .filter(|(key, _)| self.records.contains_key(key))
            .map(|(key, revision)| (key.clone(), *revision))
            .collect();
        Ok(!self.store.engine.has_newer(&read).await?)
    }

    /// Returns the versions to commit.
    pub(in crate::memory) fn into_records(self) -> Vec<Record> {
        let Self { store, records, .. } = self;
        let version = |(key, drafted)| match drafted {
            Drafted::Put(entity) => store.engine.version(key, Some(*entity)),
            Drafted::Remove => store.engine.version(key, None),
            Drafted::Forget => store.engine.final_version(key),
        };
        records.into_iter().map(version).collect()
    }
}
