//! The puller: applies the change feed to caches and recall index.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use crate::clock::Timestamp;
use crate::engine::cache_writer::CacheWork;
use crate::engine::documents::{documents_of, index_documents};
use crate::engine::sent::{LOOKED_UP, Sent};
use crate::engine::{Shared, Task};
use crate::error::{ErrorKind, Result};
use crate::id::lock;
use crate::model::kind::Kind;
use crate::store::record::{Key, Record, WriterId};
use crate::store::traits::{Changes, ChangesQuery, Cursor};

/// Changes requested at once, if the connection to the durable tier is fast enough.
pub(super) const PAGE: usize = 500;
/// By how much a page shrinks after one that took too long; it grows by such a part with each that did not.
const SHRINK: usize = 4;

/// Runs until shutdown.
pub(super) async fn run(shared: Arc<Shared>) {
    let mut shutdown = shared.shutdown.subscribe();
    let interval = shared.poll_interval();
    loop {
        let pause = match shared.pull().await {
            Ok(()) => interval,
            Err(error) => {
                shared.report(Task::Pull, &error);
                error.retry_after().unwrap_or(interval).max(interval)
            }
        };
        tokio::select! {
            _ = shutdown.wait_for(|down| *down) => return,
            () = tokio::time::sleep(pause) => {}
        }
    }
}

impl Shared {
    /// Identifies the owner of a position: the database, and the version of the rules that make search
    /// documents from its records. When either changes, caches and documents start over.
    pub(super) fn identity(&self, database: &str) -> String {
        format!("{}:{database}", self.index.analysis())
    }

    /// Reads the change feed to its end.
    pub(super) async fn pull(&self) -> Result<()> {
        let was_away = loop {
            // One page at a time, because two would both move the cursor. Between pages, rows may be sent that
            // must not overlap with a page.
            let _turn = self.pulling.lock().await;
            let cursor = lock(&self.progress).cursor.clone();
            // The answer may lack rows that are sent from here on.
            let (sent, asked_at) = (lock(&self.sent).clone(), self.clock.monotonic());
            let changes = self.page_behind(&cursor).await?;
            self.note_server_time(changes.now);
            if let Err(error) = self.read_by_server_time().await {
                // The next page tries again; until then reads go by this machine's clock.
                tracing::warn!(%error, "what waits in the outbox could not be given its time anew");
            }
            if let Some(latest) = changes.latest.filter(|latest| self.is_plausible(*latest)) {
                self.revisions.observe(latest);
            }
            if self.must_start_over(&cursor, &changes, &sent).await? {
                continue;
            }
            if changes.next >= changes.head {
                if self.has_lost(&sent).await? {
                    self.start_over(&changes, Some("has lost what was sent to it"), &sent).await?;
                    continue;
                }
                lock(&self.sent).done(&sent);
            }
            // The position must not be written before the records that it covers: a commit that the durable
            // tier has may still be on its way to the caches.
            self.committer.settle().await;
            let complete = changes.next >= changes.head || changes.next <= cursor.seq;
            self.apply(changes).await;
            if complete {
                self.synced(Task::Pull);
                let mut progress = lock(&self.progress);
                progress.pulls += 1;
                progress.pulled_at = Some(tokio::time::Instant::now());
                // By the time that acknowledgements go by from here on.
                let elapsed = self.clock.monotonic().saturating_sub(asked_at);
                progress.looked_at = Some(self.now().minus(elapsed));
                progress.caught_up = true;
                break std::mem::take(&mut progress.away);
            }
        };
        if was_away {
            let since = self.now().minus(self.config.tail_retention);
            if let Err(error) = self.replay_tail(since, "the durable tier was away").await {
                lock(&self.progress).away = true;
                return Err(error);
            }
        }
        Ok(())
    }

    /// Requests the changes after a position: as many as the durable tier can answer in time. For a commit that
    /// is too large on its own, it requests the keys, and then record by record.
    async fn page_behind(&self, cursor: &Cursor) -> Result<Changes> {
        let mut query = ChangesQuery {
            namespaces: vec![self.namespace.clone()],
            after: cursor.seq,
            limit: self.page.load(Ordering::Relaxed),
            bodies: Kind::ALL.into_iter().filter(|kind| kind.spec().searchable).collect(),
            // This instance's own writes are handed on when they are committed: here they only confirm their
            // arrival.
            own: lock(&self.progress).caught_up.then(|| self.revisions.writer()),
        };
        let mut changes = loop {
            match self.durable.changes(&query).await {
                Ok(changes) if query.bodies.is_empty() => break self.take_own(changes, query.own),
                Ok(changes) => {
                    let grown = query.limit + (query.limit / SHRINK).max(1);
                    self.page.store(grown.min(PAGE), Ordering::Relaxed);
                    return Ok(self.take_own(changes, query.own));
                }
                Err(error) if query.bodies.is_empty() => return Err(error),
                Err(error) if error.kind() != ErrorKind::Rejected && !self.answers(&error).await => {
                    return Err(error);
                }
                // The server is there: the page was too large for the way to it, or to be taken at once.
                Err(_) if query.limit > 1 => {
                    query.limit = (query.limit / SHRINK).max(1);
                    self.page.store(query.limit, Ordering::Relaxed);
                }
                Err(_) => query.bodies.clear(),
            }
        };
        for change in changes.changes.iter_mut().filter(|change| change.key.kind.spec().searchable) {
            match self.durable.get(std::slice::from_ref(&change.key)).await {
                Ok(mut found) => change.record = found.pop().flatten(),
                // It is read on demand; recall works without it.
                Err(error) => self.unreadable.note(change.key.to_string(), &error),
            }
        }
        Ok(changes)
    }

    /// Sends the rows that the durable tier has acknowledged since a time again: a tier that acknowledges
    /// before its own fsync may have lost them in a power failure, and another copy does not change rows that
    /// it still has.
    async fn replay_tail(&self, since: Timestamp, why: &'static str) -> Result<()> {
        let now = self.now();
        let recovering = self.recovering();
        let rows = self.ask_outbox(move |outbox| outbox.replay_tail(since, now)).await?.unwrap_or(0);
        drop(recovering);
        if rows > 0 {
            tracing::info!(rows, why, "rows acknowledged lately are sent again");
            self.kick();
        }
        Ok(())
    }

    /// Resets the caches if the position is invalid for the database that answered, or if the caches lack
    /// earlier purges.
    async fn must_start_over(&self, cursor: &Cursor, changes: &Changes, sent: &Sent) -> Result<bool> {
        let fresh = cursor.seq == 0;
        let known = cursor.database.split_once(':');
        let other = known.is_some_and(|(_, database)| database != changes.database);
        let reanalyse = known.is_some() && cursor.database != self.identity(&changes.database);
        // The same database, but not the same past: a backup, or a fork.
        let forked = !fresh && cursor.token.is_some() && cursor.token != changes.anchor;
        let lost = !fresh && (forked || changes.head < cursor.seq);
        // While catching up from the start a position below the floor is fine, unless the floor has risen since.
        let (known_floor, damaged) = {
            let progress = lock(&self.progress);
            (progress.floor, progress.damaged)
        };
        let too_old = !fresh && cursor.seq < changes.floor && changes.floor > known_floor;
        if !(reanalyse || lost || too_old || damaged) {
            return Ok(false);
        }
        tracing::warn!(other, reanalyse, lost, too_old, damaged, "the caches start over");
        let what = match (other, lost) {
            (true, _) => Some("is another than last time"),
            (false, true) => Some("has lost commits that were seen"),
            (false, false) => None,
        };
        self.start_over(changes, what, sent).await?;
        Ok(true)
    }

    /// Notes the arrival of the rows on a page, and removes those of this instance from it.
    fn take_own(&self, mut changes: Changes, own: Option<WriterId>) -> Changes {
        lock(&self.sent).seen(&changes.changes);
        changes.changes.retain(|change| own != Some(change.revision.writer));
        changes
    }

    /// Returns true if the durable tier lacks acknowledged rows that the change feed did not list. Rows sent by
    /// this instance move no position in the feed until it is read, and a new instance may have no position at
    /// all: only the rows themselves are evidence.
    async fn has_lost(&self, sent: &Sent) -> Result<bool> {
        let unseen = lock(&self.sent).unseen_of(sent);
        if unseen.is_empty() {
            return Ok(false);
        }
        // The tier refuses rows of a forgotten episode; expired or long deleted rows may be purged.
        let owner = |key: &Key| {
            let owner = key.kind.owner_of(&key.id).unwrap_or(&key.id);
            Key::new(&key.namespace, Kind::Episode, owner)
        };
        let keys: Vec<Key> = unseen.iter().flat_map(|(key, _)| [key.clone(), owner(key)]).collect();
        let found = self.durable.get(&keys).await?;
        let now = self.now();
        // A row that lost against a newer version: the feed listed that one earlier, perhaps to an index that
        // was since loaded from pending rows.
        let newer = unseen.iter().zip(found.chunks(2)).filter_map(|((_, sent), found)| {
            found[0].as_ref().filter(|record| record.revision > sent.revision).cloned()
        });
        self.take_in(newer.collect());
        Ok(unseen.iter().zip(found.chunks(2)).any(|((key, sent), found)| {
            let there = found[0].as_ref().is_some_and(|record| record.revision >= sent.revision);
            let disowned =
                found.last().and_then(Option::as_ref).is_some_and(|owner| owner.revision.is_final());
            let may_be_deleted = sent.is_tombstone || !key.kind.has_unique_ids();
            let deleted = may_be_deleted.then_some(self.config.tombstone_retention);
            let kept = self.config.retention_of(key.kind).into_iter().chain(deleted).min();
            let kept = kept.filter(|_| !sent.revision.is_final());
            let expired = kept.is_some_and(|kept| sent.revision.at().plus(kept) <= now);
            !there && !disowned && !expired
        }))
    }

    /// Puts records that the durable tier has into index and cache file.
    fn take_in(&self, records: Vec<Record>) {
        let records: Vec<Record> =
            records.into_iter().filter(|record| record.key.kind.spec().searchable).collect();
        let mut documents = documents_of(self.index.as_ref(), &records, &self.unreadable);
        index_documents(self.index.as_ref(), &records, &mut documents, &self.unreadable);
        if !records.is_empty() {
            self.cache_writer.push(CacheWork::Records(records));
            self.cache_writer.push(CacheWork::Documents(documents));
        }
    }

    /// Notes some rows that earlier processes sent, to be looked for.
    pub(super) async fn note_sent_before(&self) -> Result<()> {
        let sample = self.ask_outbox(|outbox| outbox.sample_tail(LOOKED_UP)).await?.unwrap_or_default();
        lock(&self.sent).note(sample.iter());
        Ok(())
    }

    /// Empties the caches, to read the change feed from its start. If the database is `what` it should not be,
    /// the kept acknowledged rows are sent again. If that fails, the rows in `sent` are looked for again.
    async fn start_over(&self, changes: &Changes, what: Option<&'static str>, sent: &Sent) -> Result<()> {
        if let Some(what) = what {
            self.warn(format!(
                "the database {what}; the caches started over and the outbox's tail is sent again"
            ));
            let since = self.now().minus(self.config.tombstone_retention);
            self.replay_tail(since, "the server does not have commits that were seen").await?;
        }
        self.hot.clear();
        self.missing.invalidate_all();
        // Before the cache file: a snapshot made after it must not contain earlier documents.
        self.index.change(&mut |index| index.clear());
        self.unreadable.clear();
        self.cache_writer.push(CacheWork::Clear);
        self.cache_writer.settle().await;
        self.load_pending().await?;
        if what.is_some() {
            lock(&self.sent).done(sent);
        }
        let mut progress = lock(&self.progress);
        progress.cursor = Cursor { database: self.identity(&changes.database), seq: 0, token: None };
        progress.floor = changes.floor;
        progress.damaged = false;
        progress.caught_up = false;
        Ok(())
    }

    async fn apply(&self, changes: Changes) {
        let (mut records, mut outdated) = (Vec::<Record>::new(), Vec::new());
        let mut seen = Vec::with_capacity(changes.changes.len());
        for change in changes.changes {
            let tombstone = change.record.as_ref().is_none_or(Record::is_tombstone);
            if let Err(error) = self.check_stored(&change.key, change.revision, tombstone) {
                self.unreadable.note(change.key.to_string(), &error);
                continue;
            }
            self.revisions.observe(change.revision);
            self.missing.invalidate(&change.key);
            seen.push((change.key.clone(), change.revision));
            match change.record {
                Some(record) => records.push(record),
                None => outdated.push((change.key, change.revision)),
            }
        }
        for name in changes.unreadable {
            self.unreadable.note(name, &"it does not decode");
        }
        let cursor =
            Cursor { database: self.identity(&changes.database), seq: changes.next, token: changes.token };
        let moved = lock(&self.progress).cursor != cursor;
        if moved {
            self.next_generation();
            self.take_in(records);
        }
        {
            let mut progress = lock(&self.progress);
            progress.cursor = cursor.clone();
            progress.head = changes.head;
            progress.floor = changes.floor;
        }
        if !moved {
            return;
        }
        if !outdated.is_empty() {
            self.cache_writer.push(CacheWork::Outdate(outdated));
        }
        // After the records that it covers: the cache writer works in order.
        self.cache_writer.push(CacheWork::Cursor(cursor));
        // Only when the cache file has the new versions may the hot layer drop the old ones, or a read in between
        // would bring them back.
        self.cache_writer.settle().await;
        self.next_generation();
        for (key, revision) in seen {
            self.hot.outdate(&key, revision);
        }
    }
}
