//! The engine with scripted faults in the durable tier and a clock that stands still.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use memory_core::conformance::{episode, record};
use memory_core::{
    Clock, DeadLetter, Durable, Engine, EngineConfig, ErrorKind, Fault, Faulty, Freshness, IdSource, Key,
    KeyIndex, Kind, Layered, ManualClock, MemoryStore, Namespace, Operation, Orphans, Outbox, OutboxRow,
    OutboxUsage, Record, Scan, SeededIds, Seq, Store, Tiers, Timestamp,
};
use memory_storage_redb::{CacheOptions, OrphanFolders, OutboxOptions, RedbCache, RedbOutbox, Slots};

use crate::common::{PATIENCE, eventually};

pub(crate) struct Bench {
    pub(crate) engine: Arc<Engine>,
    /// The durable tier itself, past the faults.
    pub(crate) server: Arc<MemoryStore>,
    pub(crate) faults: Faulty,
    clock: Arc<ManualClock>,
}

impl Bench {
    pub(crate) async fn open(folder: &Path, configure: impl FnOnce(&mut EngineConfig)) -> Self {
        Self::over(folder, Arc::new(MemoryStore::new()), configure).await
    }

    async fn over(
        folder: &Path,
        server: Arc<MemoryStore>,
        configure: impl FnOnce(&mut EngineConfig),
    ) -> Self {
        Self::assemble(folder, (server, Faulty::new()), |outbox| outbox, configure).await
    }

    pub(crate) async fn assemble(
        folder: &Path,
        (server, faults): (Arc<MemoryStore>, Faulty),
        wrap: impl FnOnce(Arc<dyn Outbox>) -> Arc<dyn Outbox>,
        configure: impl FnOnce(&mut EngineConfig),
    ) -> Self {
        let clock = Arc::new(ManualClock::new(Timestamp(1_000_000)));
        let slot = Slots::claim(folder).unwrap();
        let options = CacheOptions::default().clock(clock.clone());
        let cache = Arc::new(RedbCache::open(slot.path().join("cache.redb"), options).unwrap());
        let outbox = RedbOutbox::open(slot.path().join("outbox.redb"), OutboxOptions::default()).unwrap();
        let outbox = wrap(Arc::new(outbox));
        let orphans: Arc<dyn Orphans> = Arc::new(OrphanFolders::new(folder, &slot));
        let durable: Arc<dyn Durable> = Arc::new(Layered::new(faults.clone(), server.clone()));
        let mut config = EngineConfig::default();
        // The puller is called by the tests themselves.
        config.poll_interval = Some(Duration::from_secs(3_600));
        config.attempts = 1;
        config.deadlines.read = Duration::from_millis(300);
        configure(&mut config);
        let tiers =
            Tiers { durable, cache, outbox: Some((outbox, orphans)), contacts: None, warnings: Vec::new() };
        let ids: Arc<dyn IdSource> = Arc::new(SeededIds::new(3));
        let index = Arc::new(KeyIndex::default());
        let engine =
            Engine::open(Namespace::default(), config, tiers, index, clock.clone(), ids).await.unwrap();
        Self { engine: Arc::new(engine), server, faults, clock }
    }
}

pub(crate) fn version(id: &str, clock: u64) -> Record {
    record(&Namespace::default(), id, clock, Some(episode(clock)))
}

pub(crate) fn key(id: &str) -> Key {
    Key::new(&Namespace::default(), Kind::Episode, id)
}

#[tokio::test(flavor = "multi_thread")]
async fn concurrent_misses_of_one_key_make_one_request() {
    let folder = tempfile::tempdir().unwrap();
    let bench = Bench::open(folder.path(), |_| {}).await;
    bench.server.commit(&[version("k", 5)]).await.unwrap();
    let before = bench.faults.calls();
    let readers: Vec<_> = (0..50)
        .map(|_| {
            let engine = bench.engine.clone();
            tokio::spawn(async move { engine.read(&key("k")).await.unwrap().record.unwrap() })
        })
        .collect();
    for reader in readers {
        assert_eq!(reader.await.unwrap(), version("k", 5));
    }
    assert!(bench.faults.calls() - before <= 3, "{} requests for one key", bench.faults.calls() - before);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_key_is_remembered_briefly() {
    let folder = tempfile::tempdir().unwrap();
    let bench = Bench::open(folder.path(), |config| config.missing_ttl = Duration::from_secs(3_600)).await;
    assert_eq!(bench.engine.read(&key("none")).await.unwrap().record, None);
    let before = bench.faults.calls();
    for _ in 0..10 {
        assert_eq!(bench.engine.read(&key("none")).await.unwrap().record, None);
    }
    assert_eq!(bench.faults.calls(), before, "asked once");
    bench.engine.commit(vec![version("none", 1)]).await.unwrap();
    assert!(bench.engine.read(&key("none")).await.unwrap().record.is_some(), "a write ends it");
}

#[tokio::test(flavor = "multi_thread")]
async fn stale_answers_are_bounded_and_marked() {
    let folder = tempfile::tempdir().unwrap();
    let ttl = Duration::from_secs(60);
    let bench = Bench::open(folder.path(), |config| config.ttl = ttl).await;
    bench.server.commit(&[version("k", 5)]).await.unwrap();
    let read = async || {
        let read = bench.engine.read(&key("k")).await.unwrap();
        (read.record.map(|record| record.revision.clock), read.freshness)
    };
    assert_eq!(read().await, (Some(5), Freshness::Fresh));
    bench.server.commit(&[version("k", 6)]).await.unwrap();
    bench.clock.advance(ttl / 2);
    assert_eq!(read().await, (Some(5), Freshness::Fresh), "within the TTL the cached one is served");
    bench.clock.advance(ttl / 2);
    assert_eq!(read().await, (Some(6), Freshness::Fresh), "behind it the durable tier is asked");
    bench.server.commit(&[version("k", 7)]).await.unwrap();
    bench.engine.pull().await.unwrap();
    assert_eq!(read().await, (Some(7), Freshness::Fresh), "at once when the feed has been read");
    bench.faults.always(Some(Fault::Refuse(ErrorKind::Unavailable)));
    bench.clock.advance(ttl * 3);
    let (clock, freshness) = read().await;
    assert_eq!(clock, Some(7));
    assert_eq!(freshness, Freshness::Stale { age: ttl * 3 }, "an outage serves what is known, and says so");
    let error = bench.engine.read(&key("unknown")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable, "what nobody knows is not made up");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_fill_never_overwrites_a_newer_write() {
    let folder = tempfile::tempdir().unwrap();
    let bench = Bench::open(folder.path(), |_| {}).await;
    bench.server.commit(&[version("k", 5)]).await.unwrap();
    for round in 0..50 {
        let reader = tokio::spawn({
            let engine = bench.engine.clone();
            async move { engine.read(&key("k")).await.map(drop) }
        });
        let written = version("k", 100 + round);
        bench.engine.commit(vec![written.clone()]).await.unwrap();
        assert_eq!(bench.engine.read(&key("k")).await.unwrap().record, Some(written.clone()));
        reader.await.unwrap().unwrap();
        assert_eq!(bench.engine.read(&key("k")).await.unwrap().record, Some(written));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_drain_coalesces_versions_and_survives_lost_answers() {
    let folder = tempfile::tempdir().unwrap();
    let bench = Bench::open(folder.path(), |_| {}).await;
    bench.faults.always(Some(Fault::Refuse(ErrorKind::Unavailable)));
    for clock in 1..=40 {
        bench.engine.commit(vec![version("k", clock)]).await.unwrap();
    }
    bench.faults.always(None);
    for _ in 0..3 {
        bench.faults.then(Some(Operation::Commit), Fault::LoseAnswer);
    }
    let before = bench.faults.calls();
    // The clock stands still, so only a flush lets the breaker probe.
    eventually("everything arrives", async || bench.engine.flush(Duration::from_millis(200)).await.is_ok())
        .await;
    assert_eq!(bench.server.get(&[key("k")]).await.unwrap(), [Some(version("k", 40))]);
    assert!(bench.faults.calls() - before < 40, "versions of one key are sent as one");
}

/// A killed instance may leave an outbox that is ahead of its cache file.
#[tokio::test(flavor = "multi_thread")]
async fn recovered_rows_replace_older_versions_in_the_cache_file() {
    let folder = tempfile::tempdir().unwrap();
    let server = Arc::new(MemoryStore::new());
    {
        let slot = Slots::claim(folder.path()).unwrap();
        let clock = Arc::new(ManualClock::new(Timestamp(1_000_000)));
        let options = CacheOptions::default().clock(clock.clone());
        let cache = RedbCache::open(slot.path().join("cache.redb"), options).unwrap();
        cache.commit(&[version("k", 5)]).await.unwrap();
        memory_core::Cache::persist(&cache).await.unwrap();
        let outbox = RedbOutbox::open(slot.path().join("outbox.redb"), OutboxOptions::default()).unwrap();
        outbox.append(&[version("k", 6)], Timestamp(1_000_000)).unwrap();
    }
    let bench = Bench::over(folder.path(), server, |_| {}).await;
    let read = async || bench.engine.read(&key("k")).await.unwrap().record.unwrap().revision.clock;
    assert_eq!(read().await, 6, "while it waits");
    bench.engine.flush(PATIENCE).await.unwrap();
    assert_eq!(read().await, 6, "once it is sent");
}

/// A killed instance may have sent a newer version than its cache file was left with.
#[tokio::test(flavor = "multi_thread")]
async fn what_the_cache_file_was_left_with_is_stale_until_the_first_pull() {
    let folder = tempfile::tempdir().unwrap();
    {
        let slot = Slots::claim(folder.path()).unwrap();
        let options = CacheOptions::default().clock(Arc::new(ManualClock::new(Timestamp(999_000))));
        let cache = RedbCache::open(slot.path().join("cache.redb"), options).unwrap();
        cache.commit(&[version("k", 5)]).await.unwrap();
        memory_core::Cache::persist(&cache).await.unwrap();
    }
    let (server, faults) = (Arc::new(MemoryStore::new()), Faulty::new());
    server.commit(&[version("k", 6)]).await.unwrap();
    faults.always(Some(Fault::Refuse(ErrorKind::Unavailable)));
    let bench = Bench::assemble(folder.path(), (server, faults), |outbox| outbox, |_| {}).await;
    let read = bench.engine.read(&key("k")).await.unwrap();
    let age = Duration::from_secs(1);
    assert_eq!((read.record, read.freshness), (Some(version("k", 5)), Freshness::Stale { age }));
    bench.faults.always(None);
    eventually("it is pulled", async || bench.engine.pull().await.is_ok()).await;
    let read = bench.engine.read(&key("k")).await.unwrap();
    assert_eq!((read.record, read.freshness), (Some(version("k", 6)), Freshness::Fresh));
}

/// The change feed may have been asked just before what a killed instance left is sent.
#[tokio::test(flavor = "multi_thread")]
async fn a_late_page_does_not_bring_back_what_recovered_rows_replace() {
    let folder = tempfile::tempdir().unwrap();
    let (server, faults) = (Arc::new(MemoryStore::new()), Faulty::new());
    server.commit(&[version("k", 5)]).await.unwrap();
    {
        let slot = Slots::claim(folder.path()).unwrap();
        let outbox = RedbOutbox::open(slot.path().join("outbox.redb"), OutboxOptions::default()).unwrap();
        outbox.append(&[version("k", 6)], Timestamp(1_000_000)).unwrap();
    }
    faults.then(Some(Operation::Changes), Fault::Late(Duration::from_millis(200)));
    let tiers = (server.clone(), faults);
    let bench = Bench::assemble(folder.path(), tiers, |outbox| outbox, |_| {}).await;
    bench.engine.flush(PATIENCE).await.unwrap();
    assert_eq!(server.get(&[key("k")]).await.unwrap(), [Some(version("k", 6))]);
    bench.engine.ready().await.unwrap();
    assert_eq!(bench.engine.read(&key("k")).await.unwrap().record, Some(version("k", 6)));
}

/// A row that waits again after an outage may be older than what others wrote meanwhile.
#[tokio::test(flavor = "multi_thread")]
async fn rows_that_wait_again_do_not_hide_newer_versions() {
    let folder = tempfile::tempdir().unwrap();
    {
        let slot = Slots::claim(folder.path()).unwrap();
        let clock = Arc::new(ManualClock::new(Timestamp(1_000_000)));
        let options = CacheOptions::default().clock(clock.clone());
        let cache = RedbCache::open(slot.path().join("cache.redb"), options).unwrap();
        cache.commit(&[version("k", 7)]).await.unwrap();
        memory_core::Cache::persist(&cache).await.unwrap();
        let outbox = RedbOutbox::open(slot.path().join("outbox.redb"), OutboxOptions::default()).unwrap();
        outbox.append(&[version("k", 6)], Timestamp(1_000_000)).unwrap();
    }
    let faults = Faulty::new();
    faults.always(Some(Fault::Refuse(ErrorKind::Unavailable)));
    let tiers = (Arc::new(MemoryStore::new()), faults);
    let bench = Bench::assemble(folder.path(), tiers, |outbox| outbox, |_| {}).await;
    assert_eq!(bench.engine.status().await.outbox.unwrap().rows, 1, "the older one waits");
    assert_eq!(bench.engine.read(&key("k")).await.unwrap().record, Some(version("k", 7)));
}

/// Clocks of machines differ, and may be set back: what was read is replaced nonetheless.
#[tokio::test(flavor = "multi_thread")]
async fn a_write_supersedes_what_was_read_whatever_the_clock_says() {
    let folder = tempfile::tempdir().unwrap();
    let bench = Bench::open(folder.path(), |_| {}).await;
    let ahead = version("k", 1 << 58);
    bench.server.commit(std::slice::from_ref(&ahead)).await.unwrap();
    bench.engine.pull().await.unwrap();
    assert_eq!(bench.engine.read(&key("k")).await.unwrap().record, Some(ahead.clone()));
    let Bench { engine, server, .. } = bench;
    engine.close(PATIENCE).await.unwrap();
    drop(engine);
    let bench = Bench::over(folder.path(), server, |_| {}).await;
    assert_eq!(bench.engine.read(&key("k")).await.unwrap().record, Some(ahead.clone()), "by the cache file");
    let next = bench.engine.version(key("k"), None);
    assert!(next.supersedes(&ahead), "{} is not above {}", next.revision.clock, ahead.revision.clock);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_version_that_is_refused_does_not_take_those_before_it_along() {
    let folder = tempfile::tempdir().unwrap();
    let bench = Bench::open(folder.path(), |_| {}).await;
    bench.faults.always(Some(Fault::Refuse(ErrorKind::Unavailable)));
    for clock in 1..=3 {
        bench.engine.commit(vec![version("k", clock)]).await.unwrap();
    }
    bench.faults.then(Some(Operation::Commit), Fault::Refuse(ErrorKind::Rejected));
    bench.faults.always(None);
    eventually("everything is settled", async || {
        bench.engine.flush(Duration::from_millis(200)).await.is_ok()
    })
    .await;
    let dead_letters = bench.engine.dead_letters(0, 10).await.unwrap();
    let refused: Vec<_> = dead_letters.iter().map(|row| row.record.clone().unwrap()).collect();
    assert_eq!(refused, [version("k", 3)]);
    assert_eq!(bench.server.get(&[key("k")]).await.unwrap(), [Some(version("k", 2))]);
}

/// An outbox on a disk that fails when it is told to.
pub(crate) struct BadDisk {
    inner: Arc<dyn Outbox>,
    /// The next change is refused, and so is every one after it until the file is opened again.
    pub(crate) refuses: AtomicBool,
    failed: AtomicBool,
    /// The next rows that are appended panic.
    pub(crate) panics: AtomicBool,
}

impl BadDisk {
    pub(crate) fn new(inner: Arc<dyn Outbox>) -> Self {
        let no = || AtomicBool::new(false);
        Self { inner, refuses: no(), failed: no(), panics: no() }
    }
}

impl BadDisk {
    fn write(&self) -> memory_core::Result<()> {
        if self.refuses.swap(false, Ordering::AcqRel) {
            self.failed.store(true, Ordering::Release);
        }
        match self.failed.load(Ordering::Acquire) {
            true => Err(memory_core::Error::new(ErrorKind::Io, "write outbox", "no space left on device")),
            false => Ok(()),
        }
    }
}

impl Outbox for BadDisk {
    fn append(&self, records: &[Record], now: Timestamp) -> memory_core::Result<Seq> {
        assert!(!self.panics.swap(false, Ordering::AcqRel), "scripted panic in append");
        if self.failed.load(Ordering::Acquire) {
            self.write()?;
        }
        self.inner.append(records, now)
    }
    fn reopen(&self) -> memory_core::Result<()> {
        self.failed.store(false, Ordering::Release);
        self.inner.reopen()
    }
    fn peek(&self, after: Seq, rows: usize, bytes: usize) -> memory_core::Result<Vec<OutboxRow>> {
        self.inner.peek(after, rows, bytes)
    }
    fn ack(&self, seqs: &[Seq], now: Timestamp) -> memory_core::Result<()> {
        self.write()?;
        self.inner.ack(seqs, now)
    }
    fn refuse(&self, seq: Seq, reason: &str, now: Timestamp) -> memory_core::Result<()> {
        self.inner.refuse(seq, reason, now)
    }
    fn dead_letters(&self, after: Seq, limit: usize) -> memory_core::Result<Vec<DeadLetter>> {
        self.inner.dead_letters(after, limit)
    }
    fn retry_dead_letters(&self, seqs: Option<&[Seq]>, now: Timestamp) -> memory_core::Result<u64> {
        self.inner.retry_dead_letters(seqs, now)
    }
    fn add_dead_letters(&self, letters: &[DeadLetter]) -> memory_core::Result<()> {
        self.inner.add_dead_letters(letters)
    }
    fn drop_dead_letters(&self, seqs: &[Seq]) -> memory_core::Result<u64> {
        self.inner.drop_dead_letters(seqs)
    }
    fn replay_tail(&self, since: Timestamp, now: Timestamp) -> memory_core::Result<u64> {
        self.inner.replay_tail(since, now)
    }
    fn sample_tail(&self, limit: usize) -> memory_core::Result<Vec<Record>> {
        self.inner.sample_tail(limit)
    }
    fn trim_tail(&self, before: Timestamp) -> memory_core::Result<()> {
        self.inner.trim_tail(before)
    }
    fn pending(&self, keys: &[Key]) -> memory_core::Result<Vec<Option<Record>>> {
        self.inner.pending(keys)
    }
    fn pending_scan(&self, scan: &Scan, limit: usize) -> memory_core::Result<Vec<Record>> {
        self.inner.pending_scan(scan, limit)
    }
    fn usage(&self) -> OutboxUsage {
        self.inner.usage()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_outbox_that_could_not_acknowledge_is_opened_again() {
    let folder = tempfile::tempdir().unwrap();
    let tiers = (Arc::new(MemoryStore::new()), Faulty::new());
    let full = |inner| -> Arc<dyn Outbox> {
        Arc::new(BadDisk { refuses: AtomicBool::new(true), ..BadDisk::new(inner) })
    };
    let bench = Bench::assemble(folder.path(), tiers, full, |_| {}).await;
    bench.engine.commit(vec![version("a", 1)]).await.unwrap();
    bench.engine.flush(PATIENCE).await.unwrap();
    bench.engine.commit(vec![version("b", 1)]).await.unwrap();
    bench.engine.flush(PATIENCE).await.unwrap();
    let sent = bench.server.get(&[key("a"), key("b")]).await.unwrap();
    assert!(sent.iter().all(Option::is_some));
    assert_eq!(bench.engine.status().await.outbox.unwrap().rows, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_callers_bad_record_does_not_fail_the_others() {
    let folder = tempfile::tempdir().unwrap();
    let bench = Bench::open(folder.path(), |_| {}).await;
    let writers: Vec<_> = (0..20_u64)
        .map(|i| {
            let engine = bench.engine.clone();
            tokio::spawn(async move {
                let mut written = version(&format!("k{i}"), 1);
                if i == 7 {
                    let product = memory_core::NewArtifact::new("too big", "x".repeat(5 << 20));
                    let id = memory_core::ArtifactId(SeededIds::new(1).next(Timestamp(1)));
                    let of = memory_core::EpisodeId(id.0);
                    let artifact = memory_core::Artifact::new(id, of, Timestamp(1), product);
                    written.entity = Some(Arc::new(artifact.into()));
                }
                engine.commit(vec![written]).await.map_err(|error| error.kind())
            })
        })
        .collect();
    for (i, writer) in writers.into_iter().enumerate() {
        let expected = if i == 7 { Err(ErrorKind::InvalidInput) } else { Ok(()) };
        assert_eq!(writer.await.unwrap(), expected, "writer {i}");
    }
    bench.engine.flush(PATIENCE).await.unwrap();
    assert_eq!(bench.engine.status().await.records.unwrap()["episode"], 19);
}

#[tokio::test(flavor = "multi_thread")]
async fn another_database_behind_the_same_address_starts_the_caches_over() {
    let folder = tempfile::tempdir().unwrap();
    let bench = Bench::open(folder.path(), |_| {}).await;
    bench.server.commit(&[version("old", 5)]).await.unwrap();
    bench.engine.pull().await.unwrap();
    assert!(bench.engine.read(&key("old")).await.unwrap().record.is_some());
    assert_eq!(bench.engine.status().await.indexed, 1);
    let Bench { engine, .. } = bench;
    engine.close(PATIENCE).await.unwrap();
    drop(engine);
    let fresh = Bench::over(folder.path(), Arc::new(MemoryStore::named("another")), |_| {}).await;
    fresh.engine.pull().await.unwrap();
    assert_eq!(fresh.engine.read(&key("old")).await.unwrap().record, None);
    assert_eq!(fresh.engine.status().await.indexed, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_behind_purged_tombstones_starts_over() {
    let folder = tempfile::tempdir().unwrap();
    let bench = Bench::open(folder.path(), |_| {}).await;
    let space = Namespace::default();
    bench.server.commit(&[version("gone", 5), version("stays", 5)]).await.unwrap();
    bench.engine.pull().await.unwrap();
    assert_eq!(bench.engine.status().await.indexed, 2);
    let mut tombstone = record(&space, "gone", 6, None);
    tombstone.expires_at = Some(Timestamp(10));
    bench.server.commit(&[tombstone]).await.unwrap();
    bench.server.commit(&[version("new", 7)]).await.unwrap();
    bench.server.delete_expired(Timestamp(10)).await.unwrap();
    bench.engine.pull().await.unwrap();
    assert_eq!(bench.engine.read(&key("gone")).await.unwrap().record, None, "the delete is not missed");
    assert_eq!(bench.engine.status().await.indexed, 2);
}

/// A read is refused for its size alone.
#[tokio::test(flavor = "multi_thread")]
async fn a_page_of_the_feed_that_is_too_large_is_read_in_parts() {
    let folder = tempfile::tempdir().unwrap();
    let bench = Bench::open(folder.path(), |_| {}).await;
    let records: Vec<Record> = (0..200).map(|n| version(&format!("k{n}"), 5)).collect();
    for record in &records {
        bench.server.commit(std::slice::from_ref(record)).await.unwrap();
    }
    for _ in 0..2 {
        bench.faults.then(Some(Operation::Changes), Fault::Refuse(ErrorKind::Rejected));
    }
    let before = bench.faults.calls();
    bench.engine.pull().await.unwrap();
    assert_eq!(bench.engine.status().await.indexed, 200);
    assert!(bench.faults.calls() - before > 4, "in small pages");
}

#[tokio::test(flavor = "multi_thread")]
async fn closed_is_closed() {
    let folder = tempfile::tempdir().unwrap();
    let bench = Bench::open(folder.path(), |_| {}).await;
    bench.engine.commit(vec![version("k", 1)]).await.unwrap();
    let left = bench.engine.close(PATIENCE).await.unwrap();
    assert_eq!(left.rows, 0);
    let error = bench.engine.commit(vec![version("k", 2)]).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Closed);
    bench.engine.close(PATIENCE).await.unwrap();
    assert!(bench.clock.now() >= Timestamp(1_000_000));
}
