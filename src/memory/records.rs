//! Reads records and makes their next versions, for every service of a memory.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use memory_core::{
    Engine, Entity, Episode, EpisodeId, Error, ErrorKind, Evidence, Freshness, ItemId, Key, Kind, Order,
    Record, Result, Scan, Step, Tally, Timestamp, lock,
};
use memory_learn::rulings::Rulings;
use memory_recall::shared::SharedIndex;
use memory_storage_redb::Slot;

use crate::memory::Listed;

/// The engine, the index over its records, and the rulings.
pub(super) struct Records {
    pub(super) engine: Engine,
    pub(super) index: Arc<SharedIndex>,
    /// The rulings as the index had them last, with its stamp then.
    ruled: Mutex<(u64, Arc<Rulings>)>,
    /// The folder of this instance. The last field: it is freed after all files in it are closed.
    _slot: Option<Slot>,
}

impl Records {
    pub(super) fn new(engine: Engine, index: Arc<SharedIndex>, slot: Option<Slot>) -> Self {
        Self { engine, index, ruled: Mutex::default(), _slot: slot }
    }

    pub(super) fn version_of(&self, episode: &Episode) -> Result<Record> {
        let key = Key::episode(self.engine.namespace(), episode.id);
        Ok(self.engine.version(key, Some(Entity::Episode(episode.clone()))))
    }

    /// Returns an episode that still takes steps.
    pub(super) async fn open_episode(&self, operation: &'static str, id: EpisodeId) -> Result<Episode> {
        let key = Key::episode(self.engine.namespace(), id);
        let record = self.engine.read(&key).await?.record;
        let episode = record.and_then(|record| record.entity?.as_episode().cloned());
        let Some(episode) = episode else {
            return Err(Error::new(ErrorKind::NotFound, operation, format!("there is no episode {id}"))
                .with_hint("`memory episodes list` shows the episodes of this namespace"));
        };
        if episode.is_completed() {
            let verdict = episode.outcome.as_ref().map_or("completed", |outcome| outcome.verdict().as_str());
            let message = format!("episode {id} is completed already ({verdict})");
            return Err(Error::new(ErrorKind::Conflict, operation, message)
                .with_hint("a completed episode takes no steps and no second outcome; start a new one"));
        }
        Ok(episode)
    }

    /// Returns the live records that an episode owns, in order of ids.
    pub(super) async fn owned(&self, kind: Kind, id: EpisodeId) -> Result<Owned> {
        let mut scan = Scan::new(self.engine.namespace(), kind)
            .prefix(Key::episode_prefix(id))
            .order(Order::Ascending)
            .limit(500);
        let mut owned = Owned::default();
        loop {
            let (page, freshness) = self.engine.scan_fresh(&scan).await?;
            owned.freshness = owned.freshness.or_staler(freshness);
            owned.records.extend(page.records);
            owned.unreadable.extend(page.unreadable);
            match page.next {
                Some(next) => scan.after = Some(next),
                None => return Ok(owned),
            }
        }
    }

    pub(super) async fn owned_items<T: Clone>(
        &self,
        kind: Kind,
        id: EpisodeId,
        item: fn(&Entity) -> Option<&T>,
    ) -> Result<Listed<T>> {
        let Owned { records, freshness, .. } = self.owned(kind, id).await?;
        let items = records.iter().filter_map(|record| item(record.entity.as_ref()?).cloned()).collect();
        Ok(Listed { items, freshness })
    }

    /// Returns true if the available steps are all steps of an episode: no other process can have recorded into
    /// one that the server has not seen, and otherwise none is missing from 1 to the last.
    pub(super) fn holds_all(&self, id: EpisodeId, steps: &[Step]) -> Result<bool> {
        let contiguous = (1..).zip(steps).all(|(number, step)| step.number == number);
        let head = Key::episode(self.engine.namespace(), id);
        Ok(contiguous && (!steps.is_empty() || self.engine.is_pending(&head)?))
    }

    /// Returns an item as the store has it, whatever the caches last saw of it: another process may have
    /// changed it.
    pub(super) async fn stored(&self, item: ItemId) -> Result<Option<Entity>> {
        let scan = Scan::new(self.engine.namespace(), item.kind()).prefix(item.record_id()).limit(1);
        let (page, _) = self.engine.scan_fresh(&scan).await?;
        let found = page.records.into_iter().find(|record| *record.key.id == *item.record_id());
        let entity = found.and_then(|record| record.entity);
        Ok(entity.map(|entity| Arc::unwrap_or_clone(self.noted(entity))))
    }

    /// Returns the success rates by domain: the baseline for the uses of an item.
    pub(super) fn baselines(&self) -> Baselines {
        let space = self.engine.namespace();
        let now = self.engine.now();
        self.index.with(|index| Baselines {
            now,
            by_domain: index.tasks(space).map(|tasks| tasks.by_domain()).unwrap_or_default(),
        })
    }

    /// Returns the evidence on an item in order of time, none of it later than now.
    pub(super) async fn evidence_on(&self, item: ItemId) -> Result<Listed<Evidence>> {
        let scan = Scan::new(self.engine.namespace(), Kind::Evidence).prefix(format!("{item}:"));
        let mut evidence = self.gathered(scan, Entity::as_evidence).await?;
        // A record from a clock that is ahead must not age the others.
        let now = self.engine.now();
        evidence.items.iter_mut().for_each(|evidence| evidence.at = evidence.at.min(now));
        evidence.items.sort_by_key(|evidence| (evidence.at, evidence.episode));
        Ok(evidence)
    }

    /// Returns all records of a kind, in order of ids.
    pub(super) async fn all<T: Clone>(
        &self,
        kind: Kind,
        item: fn(&Entity) -> Option<&T>,
    ) -> Result<Listed<T>> {
        self.gathered(Scan::new(self.engine.namespace(), kind), item).await
    }

    /// Returns all records that a scan finds.
    pub(super) async fn gathered<T: Clone>(
        &self,
        scan: Scan,
        item: fn(&Entity) -> Option<&T>,
    ) -> Result<Listed<T>> {
        let mut scan = scan.limit(500);
        let (mut items, mut freshness) = (Vec::new(), Freshness::Fresh);
        loop {
            let (page, page_freshness) = self.engine.scan_fresh(&scan).await?;
            freshness = freshness.or_staler(page_freshness);
            let entities = page.records.into_iter().filter_map(|record| record.entity);
            items.extend(entities.filter_map(|entity| item(&self.noted(entity)).cloned()));
            match page.next {
                Some(next) => scan.after = Some(next),
                None => return Ok(Listed { items, freshness }),
            }
        }
    }

    /// Returns true if the durable tier no longer has such an episode: forgotten, or purged. While that tier is
    /// away, the answer is false. Forgetting leaves a permanent tombstone: a head that is missing, and is too
    /// young to be purged, is on its way, or a dead letter of another machine.
    pub(super) async fn is_gone(&self, id: EpisodeId) -> Result<bool> {
        let key = Key::episode(self.engine.namespace(), id);
        Ok(match self.engine.durable_version(&key).await? {
            None => false,
            // Expired records count as deleted once they are purged, which follows the durable tier's time, not
            // a clock that may be wrong.
            Some(Some(record)) => record.is_tombstone(),
            Some(None) => self.may_be_purged(id) && !self.engine.is_pending(&key)?,
        })
    }

    /// Returns true if an episode is so old that it may have expired. The id of an imported one has no time: it
    /// counts as old.
    fn may_be_purged(&self, id: EpisodeId) -> bool {
        let (seconds, nanos) = id.0.get_timestamp().map_or((0, 0), |at| at.to_unix());
        let started = Timestamp(seconds * 1_000 + u64::from(nanos) / 1_000_000);
        self.engine.retention_of(Kind::Episode).is_some_and(|kept| started.plus(kept) <= self.engine.now())
    }

    pub(super) fn is_live(&self, id: EpisodeId, now: Timestamp) -> bool {
        let key = Key::episode(self.engine.namespace(), id);
        self.index.with(|index| index.is_live(&key, now))
    }

    /// Returns all rulings that this process knows.
    pub(super) fn rulings(&self) -> Arc<Rulings> {
        let space = self.engine.namespace();
        let mut held = lock(&self.ruled);
        self.index.with(|index| {
            let stamp = index.stamp(space, Kind::Ruling);
            if held.0 != stamp {
                *held = (stamp, Arc::new(index.rulings(space).collect()));
            }
        });
        held.1.clone()
    }

    /// Adds its ruling to a record's content.
    pub(super) fn noted(&self, entity: Arc<Entity>) -> Arc<Entity> {
        self.rulings().noted(entity)
    }
}

/// The records of one kind that an episode owns.
#[derive(Default)]
pub(super) struct Owned {
    pub(super) records: Vec<Record>,
    /// The ids of those that do not decode.
    unreadable: Vec<Arc<str>>,
    pub(super) freshness: Freshness,
}

impl Owned {
    /// Returns all ids.
    pub(super) fn ids(&self) -> impl Iterator<Item = &str> {
        self.records
            .iter()
            .map(|record| record.key.id.as_ref())
            .chain(self.unreadable.iter().map(AsRef::as_ref))
    }
}

/// How many episodes of each domain succeeded.
#[derive(Debug, Clone)]
pub(super) struct Baselines {
    now: Timestamp,
    by_domain: BTreeMap<Arc<str>, (u32, u32)>,
}

impl Baselines {
    /// Returns the counts of a domain; of tasks without one for `None`.
    pub(super) fn of_domain(&self, domain: Option<&str>) -> Tally {
        let key = memory_recall::tokenize::label_key(domain);
        let (episodes, successes) = self.by_domain.get(key.as_str()).copied().unwrap_or_default();
        let failures = episodes - successes;
        Tally {
            successes,
            failures,
            success_weight: f64::from(successes),
            failure_weight: f64::from(failures),
            as_of: self.now,
        }
    }
}
