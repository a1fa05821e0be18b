//! Reads by key: hot layer → overlay → outbox → cache file → durable tier, filling upward.

mod fetch;
mod flights;
mod past_caches;
#[cfg(all(test, feature = "testing"))]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;

use crate::clock::Timestamp;
use crate::engine::hot::Hot;
use crate::engine::{Engine, Shared};
use crate::error::{Error, ErrorKind, Result};
use crate::id::lock;
use crate::store::record::{Key, Record};
use crate::store::traits::CachedRecord;

pub(crate) use flights::Flights;

/// The most records of one request.
const TOGETHER: usize = 64;

/// How current an answer is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Freshness {
    /// Current: at most one TTL older than another writer's version.
    #[default]
    Fresh,
    /// The durable tier could not be asked; this is the version known `age` ago.
    Stale {
        /// How long ago the answer was current, as far as is known.
        age: Duration,
    },
}

impl Freshness {
    /// Returns the less current of two.
    #[must_use]
    pub fn or_staler(self, other: Freshness) -> Freshness {
        match (self, other) {
            (Self::Stale { age }, Self::Stale { age: older }) => Self::Stale { age: age.max(older) },
            (Self::Fresh, other) => other,
            (stale, Self::Fresh) => stale,
        }
    }
}

/// The answer to a read.
#[derive(Debug, Clone, PartialEq)]
pub struct Read {
    /// The record or tombstone; `None` if there is none or it has expired.
    pub record: Option<Record>,
    /// How current it is.
    pub freshness: Freshness,
}

impl Read {
    fn fresh(record: Option<Record>) -> Self {
        Self { record, freshness: Freshness::Fresh }
    }

    /// Leaves out a record that has expired.
    fn live(self, now: Timestamp) -> Self {
        Self { record: self.record.filter(|record| !record.is_expired(now)), ..self }
    }
}

impl Engine {
    /// Reads one record.
    ///
    /// # Errors
    /// `Unavailable` or `Unauthorized` when only the durable tier could have the record and it does not answer;
    /// `Corrupt` when its answer does not decode.
    pub async fn read(&self, key: &Key) -> Result<Read> {
        let now = self.shared.clock.now();
        let wanted = Wanted::of(key, &self.shared.hot);
        if let Some(known) = wanted.known.as_ref().filter(|known| self.shared.is_fresh(known, now)) {
            let live = !known.record.is_expired(self.shared.now());
            return Ok(Read::fresh(live.then(|| known.record.clone())));
        }
        let mut reads = self.read_wanted(vec![wanted], now).await?;
        reads.pop().unwrap_or_else(|| Err(unanswered(key)))
    }

    /// Reads some records, in the order of the keys; up to 64 that are not cached share one request.
    ///
    /// # Errors
    /// When the memory cannot be opened to the end, or the outbox not be read; for each record, as
    /// [`Engine::read`].
    pub async fn read_each(&self, keys: &[Key]) -> Result<Vec<Result<Read>>> {
        let now = self.shared.clock.now();
        self.read_wanted(keys.iter().map(|key| Wanted::of(key, &self.shared.hot)).collect(), now).await
    }

    async fn read_wanted(&self, mut wanted: Vec<Wanted<'_>>, now: Timestamp) -> Result<Vec<Result<Read>>> {
        let shared = &self.shared;
        let is_at_hand =
            |wanted: &Wanted<'_>| wanted.known.as_ref().is_some_and(|known| shared.is_fresh(known, now));
        // Hot records were written or read by this instance, so they need not wait.
        if !shared.ready.initialized() && !wanted.iter().all(is_at_hand) {
            shared.ready().await?;
            for wanted in wanted.iter_mut().filter(|wanted| !is_at_hand(wanted)) {
                *wanted = Wanted::of(wanted.key, &shared.hot);
            }
        }
        for wanted in wanted.iter_mut().filter(|wanted| is_at_hand(wanted)) {
            wanted.read = wanted.known.as_ref().map(|known| Ok(Read::fresh(Some(known.record.clone()))));
        }
        shared.read_below(&mut wanted, now).await?;
        let read = |wanted: Wanted<'_>| {
            let read = wanted.read.unwrap_or_else(|| Err(unanswered(wanted.key)))?;
            shared.note_read(read.record.as_ref());
            Ok(read.live(shared.now()))
        };
        Ok(wanted.into_iter().map(read).collect())
    }

    /// Reads many records for a computation over all of them, in the order of the keys. All that are not cached
    /// share one request, and do not evict others from the layers above.
    ///
    /// # Errors
    /// As [`Engine::read`]; while the durable tier is away, the last known version of a record is used, if
    /// there is any.
    pub async fn read_many(&self, keys: &[Key]) -> Result<Vec<Option<Record>>> {
        let shared = &self.shared;
        shared.ready().await?;
        let now = shared.clock.now();
        let is_fresh = |cached: &CachedRecord| shared.is_fresh(cached, now);
        let hot = |key: &Key| shared.hot.get(key).filter(|cached| is_fresh(cached));
        let mut found: Vec<Option<Record>> =
            keys.iter().map(|key| hot(key).map(|cached| cached.record.clone())).collect();
        let cold: Vec<usize> = (0..keys.len()).filter(|place| found[*place].is_none()).collect();
        let cold_keys: Vec<Key> = cold.iter().map(|place| keys[*place].clone()).collect();
        for (place, record) in cold.iter().zip(shared.overlaid_or_pending(&cold_keys).await?) {
            found[*place] = record;
        }
        let asked: Vec<usize> = cold.into_iter().filter(|place| found[*place].is_none()).collect();
        let known_keys: Vec<Key> = asked.iter().map(|place| keys[*place].clone()).collect();
        let trusted = shared.trusted_since();
        let mut known = shared.tiers.cache.lookup(&known_keys).await.unwrap_or_default();
        known.resize(asked.len(), None);
        let mut missing: Vec<(usize, Option<Record>)> = Vec::new();
        for (place, cached) in asked.into_iter().zip(known) {
            match cached {
                Some(cached) if is_fresh(&cached) && cached.filled_at >= trusted => {
                    found[place] = Some(cached.record);
                }
                cached => missing.push((place, cached.map(|cached| cached.record))),
            }
        }
        if !missing.is_empty() {
            let wanted: Vec<Key> = missing.iter().map(|(place, _)| keys[*place].clone()).collect();
            match shared.durable.get(&wanted).await {
                Ok(answer) => {
                    for ((place, _), record) in missing.into_iter().zip(answer) {
                        found[place] = shared.stored(record)?;
                    }
                }
                Err(error) if means_away(&error) && missing.iter().all(|(_, known)| known.is_some()) => {
                    for (place, known) in missing {
                        found[place] = known;
                    }
                }
                Err(error) => return Err(error),
            }
        }
        for record in &found {
            shared.note_read(record.as_ref());
        }
        let now = shared.now();
        Ok(found.into_iter().map(|record| record.filter(|record| !record.is_expired(now))).collect())
    }
}

/// A record that is read.
struct Wanted<'k> {
    key: &'k Key,
    /// Its last known version, of any age.
    known: Option<Arc<CachedRecord>>,
    /// The answer, once there is one.
    read: Option<Result<Read>>,
}

impl<'k> Wanted<'k> {
    fn of(key: &'k Key, hot: &Hot) -> Self {
        Self { key, known: hot.get(key), read: None }
    }
}

impl Shared {
    /// A record that seems to be from the future was cached before the clock was set back, so its age is
    /// unknown.
    fn is_fresh(&self, cached: &CachedRecord, now: Timestamp) -> bool {
        cached.filled_at <= now && now.since(cached.filled_at) < self.config.ttl
    }

    /// Returns the time from which entries of the cache file may count as fresh: a killed instance may have
    /// left an older version in it than it had sent, until the first pull corrects that. Must be called before
    /// the file is read.
    fn trusted_since(&self) -> Timestamp {
        let pulled = self.outbox().is_none() || lock(&self.progress).pulls > 0;
        if pulled { Timestamp(0) } else { self.opened_at }
    }

    /// Returns the durable tier's answer, unless it has a revision that no clock can have made.
    fn stored(&self, record: Option<Record>) -> Result<Option<Record>> {
        if let Some(record) = &record {
            self.check_stored(&record.key, record.revision, record.is_tombstone())?;
        }
        Ok(record)
    }

    /// Notes a version that a caller sees: its next write must supersede it, whatever this machine's clock
    /// says.
    pub(super) fn note_read(&self, record: Option<&Record>) {
        if let Some(record) = record {
            self.revisions.observe(record.revision);
        }
    }

    /// Returns which application of the change feed was the last.
    pub(super) fn generation(&self) -> u64 {
        *lock(&self.feed_generation)
    }

    /// Begins a new generation: reads that began before fill no caches from here on. Must be called before the
    /// cache file gets the changes from the feed, and once more after that, before the hot layer.
    pub(super) fn next_generation(&self) {
        *lock(&self.feed_generation) += 1;
    }

    /// Fills caches with the result of a read of a generation, unless another has begun: the result may be
    /// older than that one's changes.
    fn fill_in(&self, generation: u64, fill: impl FnOnce()) {
        let current = lock(&self.feed_generation);
        if *current == generation {
            fill();
        }
    }

    /// Answers the keys that are still unanswered.
    async fn read_below(&self, wanted: &mut [Wanted<'_>], now: Timestamp) -> Result<()> {
        let mut below: Vec<&mut Wanted<'_>> = wanted.iter_mut().filter(|it| it.read.is_none()).collect();
        if below.is_empty() {
            return Ok(());
        }
        let keys: Vec<Key> = below.iter().map(|wanted| wanted.key.clone()).collect();
        for (wanted, record) in below.iter_mut().zip(self.overlaid_or_pending(&keys).await?) {
            if let Some(record) = record {
                let newer = wanted.known.as_ref().filter(|known| known.record.supersedes(&record));
                let record = newer.map_or(record, |known| known.record.clone());
                // A pending version may be older than a change from the feed, so it is not cached above.
                wanted.read = Some(Ok(Read::fresh(Some(record))));
            }
        }
        below.retain(|wanted| wanted.read.is_none());
        let generation = self.generation();
        let trusted = self.trusted_since();
        // A cache that cannot be read is a miss; the durable tier has the record.
        let keys: Vec<Key> = below.iter().map(|wanted| wanted.key.clone()).collect();
        let cached = self.tiers.cache.lookup(&keys).await.unwrap_or_default();
        for (wanted, cached) in below.iter_mut().zip(cached) {
            let Some(cached) = cached else { continue };
            if self.is_fresh(&cached, now) && cached.filled_at >= trusted {
                self.fill_in(generation, || self.hot.fill(&cached.record, cached.filled_at));
                wanted.read = Some(Ok(Read::fresh(Some(cached.record))));
                continue;
            }
            let version = |cached: &CachedRecord| (cached.record.revision, cached.filled_at);
            if wanted.known.as_deref().is_none_or(|known| version(known) <= version(&cached)) {
                wanted.known = Some(Arc::new(cached));
            }
        }
        for wanted in below.iter_mut().filter(|wanted| wanted.read.is_none()) {
            if self.missing.contains_key(wanted.key) {
                wanted.read = Some(Ok(Read::fresh(None)));
            }
        }
        below.retain(|wanted| wanted.read.is_none());
        let keys: Vec<&Key> = below.iter().map(|wanted| wanted.key).collect();
        let answers = self.fetch(&keys).await;
        for (wanted, answer) in below.into_iter().zip(answers) {
            wanted.read = Some(match (answer, &wanted.known) {
                (Ok(record), _) => Ok(Read::fresh(record)),
                (Err(error), Some(known)) if means_away(&error) => Ok(Read {
                    record: Some(known.record.clone()),
                    freshness: Freshness::Stale { age: now.since(known.filled_at) },
                }),
                (Err(error), _) => Err(error.duplicate().with_context("key", wanted.key.to_string())),
            });
        }
        Ok(())
    }

    /// Returns this instance's writes that the tiers below may not have yet, in the order of the keys.
    async fn overlaid_or_pending(&self, keys: &[Key]) -> Result<Vec<Option<Record>>> {
        let mut found: Vec<Option<Record>> = keys.iter().map(|key| self.cache_writer.overlaid(key)).collect();
        let below: Vec<usize> = (0..keys.len()).filter(|place| found[*place].is_none()).collect();
        if below.is_empty() || self.outbox().is_none_or(|outbox| outbox.usage().rows == 0) {
            return Ok(found);
        }
        let asked: Vec<Key> = below.iter().map(|place| keys[*place].clone()).collect();
        let pending = self.ask_outbox_here(move |outbox| outbox.pending(&asked)).await?.unwrap_or_default();
        let pending = pending.into_iter().zip(below);
        let pending: Vec<(Record, usize)> =
            pending.filter_map(|(record, place)| Some((record?, place))).collect();
        if pending.is_empty() {
            return Ok(found);
        }
        // A row that is pending again, after an outage or a crash, may be older than a version from the change
        // feed.
        let waiting: Vec<Key> = pending.iter().map(|(record, _)| record.key.clone()).collect();
        let mut cached = self.tiers.cache.lookup(&waiting).await.unwrap_or_default();
        cached.resize(waiting.len(), None);
        for ((record, place), cached) in pending.into_iter().zip(cached) {
            let newer = cached.map(|cached| cached.record).filter(|cached| cached.supersedes(&record));
            found[place] = Some(newer.unwrap_or(record));
        }
        Ok(found)
    }
}

/// Whatever is wanted is answered; should that ever fail, it must not look as if there were no record.
fn unanswered(key: &Key) -> Error {
    Error::new(ErrorKind::Unavailable, "read", "there was no answer").with_context("key", key.to_string())
}

/// Errors for which an older answer is better than none.
pub fn means_away(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::Unavailable | ErrorKind::Unauthorized | ErrorKind::Busy)
}
