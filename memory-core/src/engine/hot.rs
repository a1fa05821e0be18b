//! The hot layer: decoded records in memory, weighed in bytes.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use moka::ops::compute::Op;
use moka::sync::Cache;
use serde::Serialize;

use crate::clock::Timestamp;
use crate::store::record::{Key, Record, Revision};
use crate::store::traits::CachedRecord;

/// Usage and statistics of the hot layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[non_exhaustive]
pub struct HotUsage {
    /// Records held.
    pub records: u64,
    /// Their weight in bytes.
    pub bytes: u64,
    /// The bound on the weight.
    pub limit_bytes: u64,
    /// Reads that found a record.
    pub hits: u64,
    /// Reads that did not.
    pub misses: u64,
}

/// Records by key. A slow fill never replaces a newer revision.
pub(crate) struct Hot {
    records: Cache<Key, Arc<CachedRecord>>,
    limit_bytes: u64,
    hits: AtomicU64,
    misses: AtomicU64,
}

impl Hot {
    pub(crate) fn new(limit_bytes: u64) -> Self {
        let records = Cache::builder()
            .max_capacity(limit_bytes)
            .weigher(|_: &Key, cached: &Arc<CachedRecord>| {
                u32::try_from(cached.record.weight()).unwrap_or(u32::MAX)
            })
            .build();
        Self { records, limit_bytes, hits: AtomicU64::new(0), misses: AtomicU64::new(0) }
    }

    pub(crate) fn get(&self, key: &Key) -> Option<Arc<CachedRecord>> {
        let found = self.records.get(key);
        let counter = if found.is_some() { &self.hits } else { &self.misses };
        counter.fetch_add(1, Ordering::Relaxed);
        found
    }

    /// Keeps a record unless a newer revision is there.
    pub(crate) fn fill(&self, record: &Record, filled_at: Timestamp) {
        self.records.entry_by_ref(&record.key).and_compute_with(|held| match held {
            Some(held) if held.value().record.supersedes(record) => Op::Nop,
            _ => Op::Put(Arc::new(CachedRecord { record: record.clone(), filled_at })),
        });
    }

    /// Forgets a record that is older than `revision`.
    pub(crate) fn outdate(&self, key: &Key, revision: Revision) {
        self.records.entry_by_ref(key).and_compute_with(|held| match held {
            Some(held) if held.value().record.revision < revision => Op::Remove,
            _ => Op::Nop,
        });
    }

    pub(crate) fn clear(&self) {
        self.records.invalidate_all();
    }

    /// Drops entries that have expired at `now`.
    pub(crate) fn forget_expired(&self, now: Timestamp) {
        let expired: Vec<Key> = self
            .records
            .iter()
            .filter(|(_, cached)| cached.record.is_expired(now))
            .map(|(key, _)| key.as_ref().clone())
            .collect();
        for key in expired {
            self.records.invalidate(&key);
        }
    }

    pub(crate) fn usage(&self) -> HotUsage {
        self.records.run_pending_tasks();
        HotUsage {
            records: self.records.entry_count(),
            bytes: self.records.weighted_size(),
            limit_bytes: self.limit_bytes,
            hits: self.hits.load(Ordering::Relaxed),
            misses: self.misses.load(Ordering::Relaxed),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::fixtures::{episode, record};
    use crate::store::record::Namespace;

    #[test]
    fn keeps_the_newest_revision() {
        let hot = Hot::new(1 << 20);
        let version = |clock| record(&Namespace::default(), "k", clock, Some(episode(clock)));
        for clock in [2, 1, 3, 2] {
            hot.fill(&version(clock), Timestamp(clock));
        }
        let held = hot.get(&version(1).key).map(|cached| cached.record.revision.clock);
        assert_eq!(held, Some(3));
        hot.outdate(&version(1).key, version(3).revision);
        assert!(hot.get(&version(1).key).is_some(), "the same revision is not outdated");
        hot.outdate(&version(1).key, version(4).revision);
        assert!(hot.get(&version(1).key).is_none());
    }

    #[test]
    fn weighs_in_bytes() {
        let hot = Hot::new(20_000);
        for i in 0..500 {
            hot.fill(&record(&Namespace::default(), &format!("k{i}"), 1, Some(episode(i))), Timestamp(1));
        }
        let usage = hot.usage();
        assert!(usage.bytes <= 20_000 && usage.records > 0, "{usage:?}");
    }
}
