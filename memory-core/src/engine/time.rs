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

/// The difference from which the memory warns people.
const REMARKABLE: Duration = Duration::from_secs(300);

/// A revision that is further ahead was made by no clock: it is damaged or forged. A wrong clock may be years
/// ahead, and its records are kept; but one record near the end of the range would leave no higher revision.
const FAR: Duration = Duration::from_secs(500 * 366 * 86_400);

impl Engine {
    /// Returns the time by which records expire: the server's latest time, as soon as this machine's clock is
    /// more than a minute off; otherwise the clock's.
    pub fn now(&self) -> Timestamp {
        self.shared.now()
    }
}

impl Shared {
    /// As [`Engine::now`].
    pub(super) fn now(&self) -> Timestamp {
        if self.reads_by_server() { self.told() } else { self.clock.now() }
    }

    /// Returns the time for the expiry of records that are written now: the server's as soon as it is known.
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

    /// Notes the durable tier's current time. In local mode it is this machine's own.
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

    /// Returns the creation time of a record that is written now, for its expiry; `None` if it is unknown. A
    /// clock that is behind earlier writes is wrong, and one that was never set is useless: no record may be
    /// expired when it is written.
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

    /// Returns true once expiry follows the server's time.
    pub(super) fn reads_by_server(&self) -> bool {
        self.reads_by_server.load(Ordering::Acquire)
    }

    /// Switches to the server's time once it is known. Pending rows are renewed first, so that none of them is
    /// hidden meanwhile.
    ///
    /// # Errors
    /// Whatever the outbox reports.
    pub(super) async fn read_by_server_time(&self) -> Result<()> {
        if self.reads_by_server() || self.server_epoch.load(Ordering::Acquire) == 0 {
            return Ok(());
        }
        // Waits for writes with an expiry by this machine's clock; later writes are stamped.
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

    /// Renews the expiry of a record that is about to be written and has expired: it was made before the
    /// server's time was known.
    pub(super) fn stamp(&self, record: &mut Record) {
        let told = self.server_epoch.load(Ordering::Acquire) != 0;
        if let Some(kept) = self.config.retention_of(record.key.kind).filter(|_| told) {
            let now = self.told();
            if record.is_expired(now) && !record.is_tombstone() {
                record.expires_at = Some(now.plus(kept));
            }
        }
    }

    /// Renews the expiry of pending rows that have expired: they may be from a slow clock, before the server's
    /// time was known, and no row expires before it has been sent.
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

    /// Commits records that this instance itself makes, without waiting for the durable tier.
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
    /// `InvalidInput` with revision, limit and the value found.
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

    /// As [`Shared::check_revision`], for an answer of a tier.
    pub(super) fn check_stored(&self, key: &Key, revision: Revision, tombstone: bool) -> Result<()> {
        let checked = self.check_revision("read", key, revision, tombstone);
        checked.map_err(|error| Error::new(ErrorKind::Corrupt, "read", error.message().to_owned()))
    }
}
