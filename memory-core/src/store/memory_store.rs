//! A store that keeps everything in memory, for tests: the reference that the conformance suite is checked
//! against, and the quickest way to assemble an engine.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;

use crate::clock::{Clock, SystemClock, Timestamp};
use crate::error::{Error, ErrorKind, Result};
use crate::id::lock;
use crate::model::kind::Kind;
use crate::store::query::{Order, Page, Scan};
use crate::store::record::Seq;
use crate::store::record::{Key, Namespace, Record};
use crate::store::time::StoreTime;
use crate::store::traits::{
    Cache, CacheUsage, CachedRecord, Change, Changes, ChangesQuery, Cursor, Documents, Durable,
    IndexSnapshot, Purged, Store, StoredDocument,
};

/// Keeps records in memory; implements `Durable` and `Cache`.
#[derive(Debug)]
pub struct MemoryStore {
    name: String,
    clock: Arc<dyn Clock>,
    state: Mutex<State>,
}

impl Default for MemoryStore {
    fn default() -> Self {
        Self::named("memory")
    }
}

#[derive(Debug, Default)]
struct State {
    records: BTreeMap<Key, (Record, Seq, Timestamp)>,
    head: Seq,
    floor: Seq,
    time: StoreTime,
    closed: bool,
    cursor: Cursor,
    documents: BTreeMap<Key, StoredDocument>,
    snapshots: BTreeMap<Namespace, (Vec<u8>, BTreeSet<Key>)>,
    states: BTreeMap<(Namespace, String), Vec<u8>>,
    usage: CacheUsage,
}

impl MemoryStore {
    /// Creates an empty store.
    pub fn new() -> Self {
        Self::default()
    }

    /// Creates an empty store with this identity of its database.
    pub fn named(name: &str) -> Self {
        Self { name: name.into(), clock: Arc::new(SystemClock::new()), state: Mutex::default() }
    }

    /// Sets the store's own clock; the machine's by default.
    #[must_use]
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    fn state(&self) -> Result<std::sync::MutexGuard<'_, State>> {
        let state = lock(&self.state);
        if state.closed {
            return Err(Error::new(ErrorKind::Closed, "memory store", "the store is closed"));
        }
        Ok(state)
    }
}

#[async_trait]
impl Store for MemoryStore {
    async fn commit(&self, records: &[Record]) -> Result<()> {
        let mut state = self.state()?;
        let seq = state.head + 1;
        for record in records {
            let owner = record.key.kind.owner_of(&record.key.id).filter(|_| !record.is_tombstone());
            let owner = owner.map(|owner| Key::new(&record.key.namespace, Kind::Episode, owner));
            let owner = owner.and_then(|owner| state.records.get(&owner));
            if owner.is_some_and(|(owner, ..)| owner.revision.is_final()) {
                continue;
            }
            let stored = state.records.get(&record.key);
            if stored.is_none_or(|(stored, ..)| record.supersedes(stored)) {
                state.head = seq;
                state.records.insert(record.key.clone(), (record.clone(), seq, record.updated_at));
            }
        }
        Ok(())
    }

    async fn get(&self, keys: &[Key]) -> Result<Vec<Option<Record>>> {
        let state = self.state()?;
        Ok(keys.iter().map(|key| state.records.get(key).map(|(record, ..)| record.clone())).collect())
    }

    async fn scan(&self, scan: &Scan) -> Result<Page> {
        scan.validate()?;
        let state = self.state()?;
        let admitted = state.records.values().map(|(record, ..)| record).filter(|record| scan.admits(record));
        let records = match scan.order {
            Order::Ascending => admitted.take(scan.limit + 1).cloned().collect(),
            Order::Descending => admitted.rev().take(scan.limit + 1).cloned().collect(),
        };
        Ok(Page::cut(records, scan.limit))
    }

    async fn delete_expired(&self, now: Timestamp) -> Result<Purged> {
        let mut state = self.state()?;
        state.time = state.time.see(self.clock.now());
        let (until, disbelieved) = state.time.purge_by(self.clock.now(), now);
        let before = state.records.len();
        let mut floor = state.floor;
        state.records.retain(|_, (record, seq, _)| {
            let expired = record.is_expired(until);
            if expired && record.is_tombstone() {
                floor = floor.max(*seq);
            }
            !expired
        });
        state.floor = floor;
        let records = (before - state.records.len()) as u64;
        Ok(Purged { records, until, disbelieved })
    }

    async fn health(&self) -> Result<()> {
        self.state().map(drop)
    }
}

#[async_trait]
impl Durable for MemoryStore {
    async fn changes(&self, query: &ChangesQuery) -> Result<Changes> {
        let state = self.state()?;
        let mut rows: Vec<_> = state
            .records
            .values()
            .filter(|(record, seq, _)| *seq > query.after && query.namespaces.contains(&record.key.namespace))
            .collect();
        rows.sort_by_key(|(_, seq, _)| *seq);
        let cut = rows.get(query.limit.saturating_sub(1)).map(|(_, seq, _)| *seq);
        let next = match cut {
            Some(seq) => {
                rows.retain(|(_, other, _)| *other <= seq);
                seq
            }
            None => state.head.max(query.after),
        };
        let changes = rows
            .into_iter()
            .map(|(record, ..)| Change {
                key: record.key.clone(),
                revision: record.revision,
                record: (query.bodies.contains(&record.key.kind)
                    && query.own != Some(record.revision.writer))
                .then(|| record.clone()),
            })
            .collect();
        Ok(Changes {
            changes,
            next,
            head: state.head,
            floor: state.floor,
            database: self.name.clone(),
            // Its past never changes.
            token: Some(next),
            anchor: Some(query.after),
            now: self.clock.now(),
            latest: state
                .records
                .values()
                .find(|(_, seq, _)| *seq == state.head)
                .map(|(last, ..)| last.revision),
            unreadable: Vec::new(),
        })
    }

    async fn count(&self, namespace: &Namespace) -> Result<Vec<(Kind, u64)>> {
        let state = self.state()?;
        let mut counts = BTreeMap::new();
        for (record, ..) in state.records.values() {
            if record.key.namespace == *namespace && !record.is_tombstone() {
                *counts.entry(record.key.kind).or_insert(0) += 1;
            }
        }
        Ok(counts.into_iter().collect())
    }

    async fn maintain(&self) -> Result<()> {
        self.state().map(drop)
    }

    async fn close(&self) -> Result<()> {
        self.state()?.closed = true;
        Ok(())
    }
}

#[async_trait]
impl Cache for MemoryStore {
    async fn lookup(&self, keys: &[Key]) -> Result<Vec<Option<CachedRecord>>> {
        let mut state = self.state()?;
        let found: Vec<_> = keys
            .iter()
            .map(|key| {
                let (record, _, filled_at) = state.records.get(key)?;
                Some(CachedRecord { record: record.clone(), filled_at: *filled_at })
            })
            .collect();
        let hits = found.iter().flatten().count() as u64;
        state.usage.hits += hits;
        state.usage.misses += keys.len() as u64 - hits;
        Ok(found)
    }

    async fn remove(&self, keys: &[Key]) -> Result<()> {
        let mut state = self.state()?;
        for key in keys {
            state.records.remove(key);
        }
        Ok(())
    }

    async fn cursor(&self) -> Result<Cursor> {
        Ok(self.state()?.cursor.clone())
    }

    async fn set_cursor(&self, cursor: &Cursor) -> Result<()> {
        self.state()?.cursor = cursor.clone();
        Ok(())
    }

    async fn evict(&self) -> Result<u64> {
        self.state().map(|_| 0)
    }

    async fn usage(&self) -> Result<CacheUsage> {
        let state = self.state()?;
        Ok(CacheUsage { records: state.records.len() as u64, ..state.usage })
    }

    async fn put_documents(&self, documents: &[(Key, Option<StoredDocument>)]) -> Result<()> {
        let mut state = self.state()?;
        for (key, document) in documents {
            if let Some((_, changed)) = state.snapshots.get_mut(&key.namespace) {
                changed.insert(key.clone());
            }
            let held = state.documents.get(key).map(|held| held.revision);
            let newest = held.max(state.records.get(key).map(|(record, ..)| record.revision));
            match document {
                Some(document) if newest > Some(document.revision) => {}
                Some(document) => drop(state.documents.insert(key.clone(), document.clone())),
                None => drop(state.documents.remove(key)),
            }
        }
        Ok(())
    }

    async fn documents(&self, namespace: &Namespace, after: Option<&Key>, limit: usize) -> Result<Documents> {
        let state = self.state()?;
        let found = state
            .documents
            .iter()
            .filter(|(key, _)| key.namespace == *namespace && after.is_none_or(|after| *key > after))
            .take(limit)
            .map(|(key, document)| (key.clone(), document.clone()))
            .collect();
        Ok(Documents { found, unreadable: 0 })
    }

    async fn documents_of(&self, keys: &[Key]) -> Result<Documents> {
        let state = self.state()?;
        let found =
            keys.iter().filter_map(|key| Some((key.clone(), state.documents.get(key)?.clone()))).collect();
        Ok(Documents { found, unreadable: 0 })
    }

    async fn put_snapshot(&self, namespace: &Namespace, snapshot: &[u8]) -> Result<()> {
        self.state()?.snapshots.insert(namespace.clone(), (snapshot.to_vec(), BTreeSet::new()));
        Ok(())
    }

    async fn snapshot(&self, namespace: &Namespace) -> Result<Option<IndexSnapshot>> {
        let state = self.state()?;
        Ok(state.snapshots.get(namespace).map(|(bytes, changed)| IndexSnapshot {
            bytes: bytes.clone(),
            changed: changed.iter().cloned().collect(),
        }))
    }

    async fn put_state(&self, namespace: &Namespace, name: &str, bytes: Option<&[u8]>) -> Result<()> {
        let (mut state, key) = (self.state()?, (namespace.clone(), name.to_owned()));
        match bytes {
            Some(bytes) => drop(state.states.insert(key, bytes.to_vec())),
            None => drop(state.states.remove(&key)),
        }
        Ok(())
    }

    async fn state(&self, namespace: &Namespace, name: &str) -> Result<Option<Vec<u8>>> {
        Ok(self.state()?.states.get(&(namespace.clone(), name.to_owned())).cloned())
    }

    async fn clear(&self) -> Result<()> {
        let mut state = self.state()?;
        *state = State::default();
        Ok(())
    }

    async fn persist(&self) -> Result<()> {
        self.state().map(drop)
    }
}
