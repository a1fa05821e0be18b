//! Opening: from tiers to an engine that answers.

use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::{Notify, OnceCell, watch};

use crate::clock::Clock;
use crate::engine::cache_writer::{CacheWork, CacheWriter};
use crate::engine::commit::{Committer, OnCommit, Target};
use crate::engine::documents::index_documents;
use crate::engine::hot::Hot;
use crate::engine::index::SearchIndex;
use crate::engine::progress::{Progress, Task};
use crate::engine::unreadable::Unreadable;
use crate::engine::verdicts::Verdicts;
use crate::engine::{Engine, EngineConfig, Shared, drain, pull, read, upkeep};
use crate::error::Result;
use crate::id::{IdSource, lock};
use crate::store::decorate::Layered;
use crate::store::decorate::breaker::Breaker;
use crate::store::decorate::retry::Retry;
use crate::store::decorate::timeout::Timeout;
use crate::store::record::{Key, Namespace, RevisionClock, WriterId};
use crate::store::traits::{Durable, Tiers};

/// Half of the longest first pause between attempts of one call. With two pauses a server that refuses
/// connections is found to be away before a command loses patience.
const RETRY_PAUSE: Duration = Duration::from_millis(20);

impl Engine {
    /// Assembles an engine, which keeps `index` in step with its records, and starts its threads and tasks on
    /// the current tokio runtime.
    ///
    /// With an outbox the engine is in remote mode: it opens whether or not the durable tier answers, and
    /// writes are accepted at once; see [`Engine::ready`].
    ///
    /// # Errors
    /// Errors of the cache on reading its cursor and documents; in local mode also those of the durable tier on
    /// the first pull.
    ///
    /// # Panics
    /// Outside a tokio runtime.
    pub async fn open(
        namespace: Namespace,
        config: EngineConfig,
        tiers: Tiers,
        index: Arc<dyn SearchIndex>,
        clock: Arc<dyn Clock>,
        ids: Arc<dyn IdSource>,
    ) -> Result<Self> {
        let remote = tiers.outbox.is_some();
        let opened_at = clock.now();
        let breaker = remote.then(|| {
            let (clock, contacts) = (clock.clone(), tiers.contacts.clone());
            let patience = (config.first_answer, config.first_pull);
            Breaker::unproven(config.breaker, clock, ids.clone(), contacts, patience)
        });
        let known_away = breaker.as_ref().is_some_and(|breaker| breaker.status().last_error.is_some());
        let durable: Arc<dyn Durable> = match &breaker {
            None => tiers.durable.clone(),
            Some(breaker) => {
                let timed = Arc::new(Layered::new(Timeout::new(config.deadlines), tiers.durable.clone()));
                let retry = Retry::new(config.attempts, RETRY_PAUSE, ids.clone());
                let retried = Arc::new(Layered::new(retry, timed));
                Arc::new(Layered::new(breaker.clone(), retried))
            }
        };
        let revisions = RevisionClock::new(WriterId::new(ids.random()));
        let hot = Arc::new(Hot::new(config.hot_bytes));
        let missing =
            moka::sync::Cache::builder().max_capacity(65_536).time_to_live(config.missing_ttl).build();
        let cache_writer = CacheWriter::start(tiers.cache.clone(), Handle::current())?;
        let appended = Arc::new(Notify::new());
        let (unreadable, renumbered) = (Arc::new(Unreadable::default()), Arc::new(AtomicU64::new(0)));
        let on_commit = HandOn {
            hot: hot.clone(),
            cache_writer: cache_writer.clone(),
            missing: missing.clone(),
            index: index.clone(),
            unreadable: unreadable.clone(),
            appended: appended.clone(),
            clock: clock.clone(),
        }
        .into_on_commit();
        let target = match &tiers.outbox {
            Some((outbox, _)) => Target::Outbox(outbox.clone(), renumbered.clone()),
            None => Target::Durable(tiers.durable.clone()),
        };
        let bounds = (config.queue_rows, config.queue_bytes);
        let committer = Committer::start(target, clock.clone(), bounds, on_commit)?;
        let shared = Arc::new(Shared {
            namespace,
            config,
            clock,
            revisions,
            tiers,
            durable,
            breaker,
            committer,
            hot,
            cache_writer,
            missing,
            flights: read::Flights::default(),
            index,
            watermark: watch::Sender::new(0),
            appended,
            kicked: Notify::new(),
            feed_generation: Mutex::default(),
            recovered: AtomicU64::new(0),
            recovering: AtomicU64::new(0),
            pulling: tokio::sync::Mutex::default(),
            page: AtomicUsize::new(pull::PAGE),
            shrunk: AtomicU32::new(1),
            suspects: Mutex::default(),
            verdicts: Verdicts::default(),
            sent: Mutex::default(),
            renumbered,
            server_epoch: AtomicU64::new(0),
            reads_by_server: AtomicBool::new(false),
            progress: Mutex::new(Progress { away: known_away, ..Progress::default() }),
            unreadable,
            ready: OnceCell::new(),
            shutdown: watch::Sender::new(false),
            closed: AtomicBool::new(false),
            opened_at,
        });
        let engine = Self { shared, tasks: Mutex::default() };
        engine.load().await?;
        engine.start(remote);
        Ok(engine)
    }

    /// Loads cursor and search documents, so that recall works before anything is pulled.
    async fn load(&self) -> Result<()> {
        let shared = &self.shared;
        shared.adopt().await?;
        shared.mark_recovered();
        shared.note_sent_before().await?;
        let cursor = shared.tiers.cache.cursor().await?;
        shared.load_documents(&cursor).await?;
        lock(&shared.progress).cursor = cursor;
        if shared.tiers.outbox.is_none() {
            // The file is local, so reading it is part of opening.
            shared.pull().await?;
        }
        Ok(())
    }

    fn start(&self, remote: bool) {
        let shared = &self.shared;
        let mut tasks = vec![shared.spawn(Task::Pull, pull::run), shared.spawn(Task::Upkeep, upkeep::run)];
        if remote {
            tasks.push(shared.spawn(Task::Drain, drain::run));
            let shared = self.shared.clone();
            tasks.push(tokio::spawn(async move {
                if let Err(error) = shared.ready().await {
                    tracing::warn!(%error, "what waits in the outbox could not be read; the next reader tries again");
                }
            }));
        }
        *lock(&self.tasks) = tasks;
    }

    /// Waits until recall and reads include the pending rows of the outbox and, if the durable tier answers
    /// within [`EngineConfig::first_pull`], its records. Writes need not wait for that; reads wait by
    /// themselves.
    ///
    /// # Errors
    /// `Io` when the outbox cannot be read.
    pub async fn ready(&self) -> Result<()> {
        self.shared.ready().await
    }
}

impl Shared {
    pub(super) async fn ready(&self) -> Result<()> {
        if self.ready.initialized() {
            return Ok(());
        }
        let get_ready = || async {
            self.load_pending().await?;
            self.renew_waiting().await?;
            self.wait_for_first_pull().await;
            Ok(())
        };
        // In a box: every read carries this future, and next to none needs it.
        Box::pin(self.ready.get_or_try_init(get_ready)).await.copied()
    }

    async fn wait_for_first_pull(&self) {
        let Some(breaker) = &self.breaker else { return };
        let pulled = async {
            loop {
                let answered = {
                    let progress = lock(&self.progress);
                    progress.pulls > 0 || progress.errors.contains_key(&Task::Pull)
                };
                if answered {
                    return;
                }
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        };
        let pulled = tokio::time::timeout(self.config.first_pull, pulled);
        tokio::select! {
            _in_time = pulled => {}
            () = breaker.until_away() => {}
        }
    }
}

/// The committer's work after a commit before its callers wake: caches and recall see the commit at once.
struct HandOn {
    hot: Arc<Hot>,
    cache_writer: Arc<CacheWriter>,
    missing: moka::sync::Cache<Key, ()>,
    index: Arc<dyn SearchIndex>,
    unreadable: Arc<Unreadable>,
    appended: Arc<Notify>,
    clock: Arc<dyn Clock>,
}

impl HandOn {
    fn into_on_commit(self) -> OnCommit {
        let Self { hot, cache_writer, missing, index, unreadable, appended, clock } = self;
        Box::new(move |writes| {
            let now = clock.now();
            let (mut records, mut documents) = (Vec::new(), Vec::new());
            for mut write in writes {
                index_documents(index.as_ref(), &write.records, &mut write.documents, &unreadable);
                records.extend(write.records);
                documents.extend(write.documents);
            }
            for record in &records {
                hot.fill(record, now);
                missing.invalidate(&record.key);
            }
            cache_writer.committed(records);
            if !documents.is_empty() {
                cache_writer.push(CacheWork::Documents(documents));
            }
            appended.notify_one();
        })
    }
}
