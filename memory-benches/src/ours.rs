//! The memory under measurement: as applications open it, or its engine alone.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use agent_memory::Memory;
use agent_memory::OpenEpisode;
use memory_core::{
    Action, Durable, Engine, EngineConfig, Entity, Key, Namespace, Orphans, Outbox, SystemClock, SystemIds,
    Task, Tiers,
};
use memory_recall::shared::SharedIndex;
use memory_storage_redb::{CacheOptions, OrphanFolders, OutboxOptions, RedbCache, RedbOutbox, Slot, Slots};
use memory_storage_turso::{LocalOptions, LocalStore, RemoteOptions, RemoteStore};
use tempfile::TempDir;
use tokio::runtime::Runtime;

use crate::payload::{self, Steps, Text};
use crate::{Result, Run};

/// Steps of one episode before the next is started; below the default limit of 1,000.
const STEPS_AN_EPISODE: u32 = 900;

/// What a write is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verb {
    /// `OpenEpisode::step`: with limits, redaction and the check that the episode is open.
    Step,
    /// `Engine::commit` of a step that is ready.
    Commit,
}

impl Verb {
    /// Returns how figures call it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Step => "step()",
            Self::Commit => "engine commit",
        }
    }
}

/// An open memory or engine in a folder of its own, with a runtime as applications have one.
pub(crate) struct Ours {
    inner: Inner,
    runtime: Runtime,
    _folder: TempDir,
}

enum Inner {
    Memory(Memory),
    Engine { engine: Arc<Engine>, _slot: Slot },
}

/// Makes a runtime like that of an application.
pub(crate) fn runtime() -> Result<Runtime> {
    Ok(tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?)
}

/// Opens tiers below a folder, in remote mode with a URL.
pub(crate) fn tiers(folder: &Path, url: Option<&str>) -> Result<(Tiers, Slot)> {
    let instances = folder.join("instances");
    let slot = Slots::claim(&instances)?;
    let cache = Arc::new(RedbCache::open(slot.path().join("cache.redb"), CacheOptions::default())?);
    let Some(url) = url else {
        let durable = Arc::new(LocalStore::open(&folder.join("memory.db"), LocalOptions::new())?);
        return Ok((Tiers { durable, cache, outbox: None, contacts: None, warnings: Vec::new() }, slot));
    };
    let durable: Arc<dyn Durable> = Arc::new(RemoteStore::connect(RemoteOptions::new(url))?);
    let outbox: Arc<dyn Outbox> =
        Arc::new(RedbOutbox::open(slot.path().join("outbox.redb"), OutboxOptions::default())?);
    let orphans: Arc<dyn Orphans> = Arc::new(OrphanFolders::new(&instances, &slot));
    Ok((
        Tiers { durable, cache, outbox: Some((outbox, orphans)), contacts: None, warnings: Vec::new() },
        slot,
    ))
}

/// Opens an engine over [`tiers`].
pub(crate) async fn engine(folder: &Path, url: Option<&str>, space: &Namespace) -> Result<(Engine, Slot)> {
    let (tiers, slot) = tiers(folder, url)?;
    let index = Arc::new(SharedIndex::default());
    let (clock, ids) = (Arc::new(SystemClock::new()), Arc::new(SystemIds::default()));
    Ok((Engine::open(space.clone(), EngineConfig::default(), tiers, index, clock, ids).await?, slot))
}

/// One client's writes, made before the clock starts.
enum Work {
    Steps { memory: Memory, episode: Box<OpenEpisode>, actions: Vec<Action> },
    Commits { engine: Arc<Engine>, steps: Vec<(Key, Entity)> },
}

impl Ours {
    /// Opens in local mode, or with a URL in remote mode.
    pub(crate) fn open(verb: Verb, url: Option<&str>) -> Result<Self> {
        let (runtime, folder) = (runtime()?, tempfile::tempdir()?);
        let inner = runtime.block_on(async {
            match verb {
                Verb::Step => {
                    let builder = Memory::builder().path(folder.path());
                    let builder = url.into_iter().fold(builder, |builder, url| builder.remote(url));
                    Result::Ok(Inner::Memory(builder.open().await?))
                }
                Verb::Commit => {
                    let (engine, slot) = engine(folder.path(), url, &Namespace::default()).await?;
                    Ok(Inner::Engine { engine: Arc::new(engine), _slot: slot })
                }
            }
        })?;
        Ok(Self { inner, runtime, _folder: folder })
    }

    /// Lets each client write `writes` records one after the other, all clients at the same time.
    pub(crate) fn write(&self, clients: usize, writes: usize) -> Result<Run> {
        self.runtime.block_on(async {
            let mut work = Vec::new();
            for _ in 0..clients {
                work.push(self.prepare(writes).await?);
            }
            let start = Instant::now();
            let mut run = Run::default();
            if clients == 1 {
                // On the caller's own thread, as a program with one thing to do writes.
                for work in work {
                    run.latencies = work.run().await?;
                }
            } else {
                let tasks: Vec<_> = work.into_iter().map(|work| tokio::spawn(work.run())).collect();
                for task in tasks {
                    run.latencies.extend(task.await??);
                }
            }
            run.elapsed = start.elapsed();
            Ok(run)
        })
    }

    async fn prepare(&self, writes: usize) -> Result<Work> {
        Ok(match &self.inner {
            Inner::Memory(memory) => {
                let mut text = Text::new(rand());
                let episode = Box::new(memory.start(Task::new("measure how fast steps are kept")).await?);
                let actions = (0..writes).map(|_| payload::action(&mut text)).collect();
                Work::Steps { memory: memory.clone(), episode, actions }
            }
            Inner::Engine { engine, .. } => {
                let mut steps = Steps::new(engine.namespace());
                let steps = (0..writes).map(|_| steps.entity()).collect();
                Work::Commits { engine: engine.clone(), steps }
            }
        })
    }

    /// Waits until the server has everything.
    pub(crate) fn flush(&self) -> Result<()> {
        const LONG: Duration = Duration::from_secs(120);
        self.runtime.block_on(async {
            match &self.inner {
                Inner::Memory(memory) => memory.flush(LONG).await,
                Inner::Engine { engine, .. } => engine.flush(LONG).await,
            }
        })?;
        Ok(())
    }

    /// Returns the engine, if it was opened for [`Verb::Commit`].
    pub(crate) fn engine(&self) -> Option<&Engine> {
        match &self.inner {
            Inner::Engine { engine, .. } => Some(engine),
            Inner::Memory(_) => None,
        }
    }

    /// Returns the runtime.
    pub(crate) fn runtime(&self) -> &Runtime {
        &self.runtime
    }
}

impl Work {
    async fn run(self) -> Result<Vec<Duration>> {
        let mut latencies = Vec::new();
        match self {
            Self::Steps { memory, mut episode, actions } => {
                for action in actions {
                    let before = Instant::now();
                    if episode.step_count() >= STEPS_AN_EPISODE {
                        *episode = memory.start(Task::new("measure on")).await?;
                    }
                    episode.step(action).await?;
                    latencies.push(before.elapsed());
                }
            }
            Self::Commits { engine, steps } => {
                for (key, entity) in steps {
                    let before = Instant::now();
                    engine.commit(vec![engine.version(key, Some(entity))]).await?;
                    latencies.push(before.elapsed());
                }
            }
        }
        Ok(latencies)
    }
}

fn rand() -> u64 {
    memory_core::IdSource::random(&SystemIds::default())
}
