//! Reads that find what they look for on this machine.

use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

use memory_core::{Cache, CachedRecord, Clock, Key, Namespace, Record, Store, SystemClock};
use memory_storage_redb::codec::{decode_entry, encode_entry};
use memory_storage_redb::{CacheOptions, RedbCache};
use moka::sync::Cache as Moka;
use tempfile::TempDir;
use tokio::runtime::Runtime;

use crate::Result;
use crate::baseline::RedbFile;
use crate::contest::Contest;
use crate::ours::{Ours, Verb};
use crate::payload::Steps;

/// Records that are read in turns.
const RECORDS: usize = 512;

/// `Engine::read` of records in the hot layer, against a hit of a bare moka cache with the same keys, values and
/// weigher.
pub struct HotRead {
    ours: Ours,
    baseline: Moka<Key, Arc<CachedRecord>>,
    keys: Vec<Key>,
}

impl HotRead {
    /// Fills both.
    ///
    /// # Errors
    /// When a file cannot be made.
    pub fn new() -> Result<Self> {
        let ours = Ours::open(Verb::Commit, None)?;
        let baseline = Moka::builder()
            .max_capacity(64 << 20)
            .weigher(|_: &Key, cached: &Arc<CachedRecord>| {
                u32::try_from(cached.record.weight()).unwrap_or(u32::MAX)
            })
            .build();
        let records = Steps::new(&Namespace::default()).records(RECORDS);
        let keys = records.iter().map(|record| record.key.clone()).collect();
        let filled_at = SystemClock::new().now();
        for record in &records {
            baseline.insert(record.key.clone(), Arc::new(CachedRecord { record: record.clone(), filled_at }));
        }
        let engine = ours.engine().ok_or("no engine")?;
        ours.runtime().block_on(engine.commit(records))?;
        // What the engine does after a commit (cache file, feed of its own change) must not disturb the readers.
        ours.runtime().block_on(async {
            engine.refresh().await?;
            tokio::time::sleep(Duration::from_millis(300)).await;
            Result::Ok(())
        })?;
        let mut contest = Self { ours, baseline, keys };
        // The feed may have outdated nothing, but a first read also fills what is missing.
        contest.ours(RECORDS as u64)?;
        Ok(contest)
    }
}

impl Contest for HotRead {
    fn ours(&mut self, operations: u64) -> Result<Duration> {
        let engine = self.ours.engine().ok_or("no engine")?;
        self.ours.runtime().block_on(async {
            let start = Instant::now();
            for key in self.keys.iter().cycle().take(operations as usize) {
                let read = engine.read(key).await?;
                if black_box(read).record.is_none() {
                    return Err("a hot record is missing".into());
                }
            }
            Ok(start.elapsed())
        })
    }

    fn baseline(&mut self, operations: u64) -> Result<Duration> {
        let start = Instant::now();
        for key in self.keys.iter().cycle().take(operations as usize) {
            if black_box(self.baseline.get(key)).is_none() {
                return Err("a hot record is missing".into());
            }
        }
        Ok(start.elapsed())
    }
}

/// `RedbCache::lookup` of a record, against a get on bare redb and the same decoder.
pub struct CacheFileHit {
    ours: RedbCache,
    baseline: RedbFile,
    keys: Vec<(Key, Vec<u8>)>,
    runtime: Runtime,
    _folder: TempDir,
}

impl CacheFileHit {
    /// Fills both.
    ///
    /// # Errors
    /// When a file cannot be made.
    pub fn new() -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let runtime = tokio::runtime::Builder::new_current_thread().build()?;
        let ours = RedbCache::open(folder.path().join("ours.redb"), CacheOptions::default())?;
        let mut baseline = RedbFile::open(&folder.path().join("raw.redb"))?;
        let records = Steps::new(&Namespace::default()).records(RECORDS);
        runtime.block_on(ours.commit(&records))?;
        let entries = records.iter().map(entry).collect::<Result<Vec<_>>>()?;
        baseline.put(&entries)?;
        let keys =
            records.into_iter().map(|record| record.key).zip(entries).map(|(key, (raw, _))| (key, raw));
        Ok(Self { ours, baseline, keys: keys.collect(), runtime, _folder: folder })
    }
}

/// Returns the bytes of key and value that the cache stores.
fn entry(record: &Record) -> Result<(Vec<u8>, Vec<u8>)> {
    let key = format!("{}\0{}\0{}", record.key.namespace, record.key.kind, record.key.id).into_bytes();
    let value = encode_entry(&key, record, SystemClock::new().now()).ok_or("a record does not encode")?;
    Ok((key, value))
}

impl Contest for CacheFileHit {
    fn ours(&mut self, operations: u64) -> Result<Duration> {
        self.runtime.block_on(async {
            let start = Instant::now();
            for (key, _) in self.keys.iter().cycle().take(operations as usize) {
                let found = self.ours.lookup(std::slice::from_ref(key)).await?;
                if !matches!(black_box(found).as_slice(), [Some(_)]) {
                    return Err("a record is not in the cache file".into());
                }
            }
            Ok(start.elapsed())
        })
    }

    fn baseline(&mut self, operations: u64) -> Result<Duration> {
        let start = Instant::now();
        for (_, key) in self.keys.iter().cycle().take(operations as usize) {
            let found = self.baseline.get(key, |value| decode_entry(key, value))?;
            if !matches!(black_box(found), Some(Ok(_))) {
                return Err("a record is not in the raw file".into());
            }
        }
        Ok(start.elapsed())
    }
}
