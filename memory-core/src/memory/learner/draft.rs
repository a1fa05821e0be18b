//! What a batch of learning is about to write.

use std::collections::BTreeMap;

use crate::error::Result;
use crate::memory::Inner;
use crate::model::entity::Entity;
use crate::model::kind::Kind;
use crate::store::record::{Key, Record};

/// Records as they will be once the batch is committed; reads see them.
pub(in crate::memory) struct Draft<'a> {
    inner: &'a Inner,
    /// `None`: to be removed.
    records: BTreeMap<Key, Option<Entity>>,
}

impl<'a> Draft<'a> {
    pub(in crate::memory) fn new(inner: &'a Inner) -> Self {
        Self { inner, records: BTreeMap::new() }
    }

    fn key(&self, kind: Kind, id: impl Into<String>) -> Key {
        Key::new(self.inner.engine.namespace(), kind, id.into())
    }

    /// Returns a record's content as of this draft.
    pub(in crate::memory) async fn get(&self, kind: Kind, id: impl Into<String>) -> Result<Option<Entity>> {
        let key = self.key(kind, id);
        if let Some(drafted) = self.records.get(&key) {
            return Ok(drafted.clone());
        }
        let read = self.inner.engine.read(&key).await?;
        Ok(read.record.and_then(|record| record.entity).map(|entity| entity.as_ref().clone()))
    }

    pub(in crate::memory) fn put(&mut self, id: impl Into<String>, entity: impl Into<Entity>) {
        let entity = entity.into();
        let key = self.key(entity.kind(), id);
        self.records.insert(key, Some(entity));
    }

    pub(in crate::memory) fn remove(&mut self, kind: Kind, id: impl Into<String>) {
        let key = self.key(kind, id);
        self.records.insert(key, None);
    }

    /// Returns the versions to commit.
    pub(in crate::memory) fn into_records(self) -> Vec<Record> {
        let Self { inner, records } = self;
        records.into_iter().map(|(key, entity)| inner.engine.version(key, entity)).collect()
    }
}
