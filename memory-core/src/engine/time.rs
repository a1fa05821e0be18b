//! The time by which records expire, and revisions that no clock can rightly have made.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use crate::clock::Timestamp;
use crate::engine::commit::Write;
use crate::engine::documents::{PENDING, documents_of};
use crate::engine::{Engine, Shared, encoded_size};
use crate::error::{Error, ErrorKind, Result};
use crate::id::lock;
use crate::model::entity::Entity;
use crate::model::episode::Episode;
use crate::model::kind::Kind;
use crate::store::query::Scan;
use crate::store::record::Seq;
use crate::store::record::{Key, Record, Revision};
use crate::store::traits::ChangesQuery;

/// Clocks that differ by less are taken to agree.
const AGREEMENT: Duration = Duration::from_secs(60);

/// From which difference on people are told.
const REMARKABLE: Duration = Duration::from_secs(300);

/// A revision that is further ahead was made by no clock: damage, or forgery. A wrong clock may be years ahead, and what it
/// wrote is kept; but one record near the end of the range would leave no revision that is higher.
const FAR: Duration = Duration::from_secs(500 * 366 * 86_400);

impl Engine {
    /// Returns the time by which records expire: that of the server as last told, as soon as this machine's clock is
    /// more than a minute off; else the clock's.
    pub fn now(&self) -> Timestamp {
        self.shared.now()
    }
}

impl Shared {
    /// As [`Engine::now`].
    pub(super) fn now(&self) -> Timestamp {
        if self.reads_by_server() { self.told() } else { self.clock.now() }
    }

    /// Returns the time by which records that are written now expire: the server's as soon as it is told.
    fn told(&self) -> Timestamp {
        let wall = self.clock.now();
        let base = self.server_epoch.load(Ordering::Acquire);
        if base == 0 {
            return wall;
        }
        let elapsed = u64::try_from(self.clock.monotonic().as_millis()).unwrap_or(u64::MAX);
        let server = Timestamp(base.saturating_add(elapsed));
        if server.since(wall).max(wall.since(server)) < AGREEMENT { wall } else { server }
    }

    /// Takes note of the durable tier's time, told a moment ago. In local mode it is this machine's own.
    pub(super) fn note_server_time(&self, server: Timestamp) {
        if self.outbox().is_none() || server < Timestamp::EARLIEST {
            return;
        }
        let elapsed = u64::try_from(self.clock.monotonic().as_millis()).unwrap_or(u64::MAX);
        self.server_epoch.store(server.0.saturating_sub(elapsed).max(1), Ordering::Release);
        let wall = self.clock.now();
        let ahead = i64::try_from(wall.0).unwrap_or(i64::MAX) - i64::try_from(server.0).unwrap_or(i64::MAX);
        let is_remarkable = |ahead: i64| Duration::from_millis(ahead.unsigned_abs()) >= REMARKABLE;
        let before = lock(&self.progress).clock_ahead_ms.replace(ahead);
        // Once, not with each page.
        if is_remarkable(ahead) && !before.is_some_and(is_remarkable) {
            self.warn(format!(
                "this machine's clock says {wall}, the server's {server}: records expire by the server's"
            ));
        }
    }

    /// Returns when a record that is written now was made, as far as its expiry goes; `None` if nobody knows. A clock that
    /// is behind what was written before is not right, one that was never set tells nothing: no record is born expired.
    pub(super) fn born(&self, now: Timestamp, revision: Revision) -> Option<Timestamp> {
        let told = self.server_epoch.load(Ordering::Acquire) != 0;
        let born = if told { now } else { now.max(revision.at()) };
        (born >= Timestamp::EARLIEST).then_some(born)
    }

    /// As [`Engine::version`].
    pub(super) fn version(&self, key: Key, entity: Option<Arc<Entity>>) -> Record {
        let kept = match &entity {
            Some(_) => self.config.retention_of(key.kind),
            None => Some(self.config.tombstone_retention),
        };
        let now = self.told();
        let mut revision = self.revisions.next(now);
        let episode = entity.as_deref().and_then(Entity::as_episode);
        if episode.is_some_and(Episode::is_completed) {
            revision = revision.into_completed();
        }
        let born = self.born(now, revision);
        Record {
            revision,
            updated_at: now,
            expires_at: kept.and_then(|kept| Some(born?.plus(kept))),
            entity,
            key,
        }
    }

    /// Returns true once what expires is hidden by the time that the server has told.
    pub(super) fn reads_by_server(&self) -> bool {
        self.reads_by_server.load(Ordering::Acquire)
    }

    /// Goes over to the server's time once it is told: first what waits is renewed, so that none of it is hidden in between.
    ///
    /// # Errors
    /// Whatever the outbox reports.
    pub(super) async fn read_by_server_time(&self) -> Result<()> {
        if self.reads_by_server() || self.server_epoch.load(Ordering::Acquire) == 0 {
            return Ok(());
        }
        // What is on its way with an expiry by this machine's clock; what comes behind is stamped.
        let barrier = Write { records: Vec::new(), documents: Vec::new(), bytes: 0 };
        self.committer.commit(barrier).await?;
        self.renew_waiting().await?;
        self.reads_by_server.store(true, Ordering::Release);
        Ok(())
    }

    /// Asks the durable tier for its time.
    ///
    /// # Errors
    /// Whatever the durable tier or the outbox reports.
    pub(super) async fn ask_time(&self) -> Result<()> {
        let query = ChangesQuery {
            namespaces: vec![self.namespace.clone()],
            after: i64::MAX as Seq,
            limit: 1,
            bodies: Vec::new(),
            own: None,
        };
        let told = self.durable.changes(&query).await?.now;
        self.note_server_time(told);
        self.read_by_server_time().await
    }

    /// Gives a record that is about to be written and has expired its time anew: it was made before the server told the time.
    pub(super) fn stamp(&self, record: &mut Record) {
        let told = self.server_epoch.load(Ordering::Acquire) != 0;
        if let Some(kept) = self.config.retention_of(record.key.kind).filter(|_| told) {
            let now = self.told();
            if record.is_expired(now) && !record.is_tombstone() {
                record.expires_at = Some(now.plus(kept));
            }
        }
    }

    /// Gives what waits to be sent and has expired its time anew: it may be of a clock that was behind before the server told
    /// its time, and nothing expires before it has been sent.
    ///
    /// # Errors
    /// Whatever the outbox reports.
    pub(super) async fn renew_waiting(&self) -> Result<()> {
        for kind in Kind::ALL {
            let Some(kept) = self.config.retention_of(kind) else { continue };
            let mut scan = Scan::new(&self.namespace, kind);
            loop {
                let asked = scan.clone();
                let waiting = self.ask_outbox(move |outbox| outbox.pending_scan(&asked, PENDING)).await?;
                let Some(waiting) = waiting else { return Ok(()) };
                let now = self.told();
                let renew = |record: &Record| {
                    let has_expired = !record.is_tombstone() && record.is_expired(now);
                    // Whatever is written to the record meanwhile wins.
                    let revision = record.revision.renewed().filter(|_| has_expired)?;
                    Some(Record { revision, expires_at: Some(now.plus(kept)), ..record.clone() })
                };
                let records: Vec<Record> = waiting.iter().filter_map(renew).collect();
                if !records.is_empty() {
                    self.append(records).await?;
                }
                match waiting.last() {
                    Some(last) if waiting.len() == PENDING => scan.after = Some(last.key.id.clone()),
                    _ => break,
                }
            }
        }
        Ok(())
    }

    /// Commits records of this instance's own making, without waiting for the durable tier.
    async fn append(&self, records: Vec<Record>) -> Result<()> {
        let bytes = records.iter().map(encoded_size).sum::<Result<usize>>()?;
        let documents = documents_of(self.index.as_ref(), &records, &self.unreadable);
        self.committer.commit(Write { records, documents, bytes }).await.map(drop)
    }

    /// Returns false for a revision that no clock can have made.
    pub(super) fn is_plausible(&self, revision: Revision) -> bool {
        revision.at() <= self.now().max(Timestamp::EARLIEST).plus(FAR)
    }

    /// Refuses a revision of the far future, and that of a live record which claims to be final.
    ///
    /// # Errors
    /// `InvalidInput` that names revision, limit and what was found.
    pub(super) fn check_revision(
        &self,
        operation: &'static str,
        key: &Key,
        revision: Revision,
        tombstone: bool,
    ) -> Result<()> {
        let limit = self.now().max(Timestamp::EARLIEST).plus(FAR);
        let problem = if revision.at() > limit {
            format!("it is of {}, the limit is {limit}, five hundred years from now", revision.at())
        } else if revision.is_final() && !tombstone {
            "it is that of a tombstone for ever, but the record is live".into()
        } else {
            return Ok(());
        };
        Err(Error::invalid(operation, "revision", problem).with_context("key", key.to_string()).with_hint(
            "the row is damaged or forged: delete it in the durable tier by its namespace, kind and id",
        ))
    }

    /// As [`Shared::check_revision`], for what a tier answered.
    pub(super) fn check_stored(&self, key: &Key, revision: Revision, tombstone: bool) -> Result<()> {
        let checked = self.check_revision("read", key, revision, tombstone);
        checked.map_err(|error| Error::new(ErrorKind::Corrupt, "read", error.message().to_owned()))
    }
}
