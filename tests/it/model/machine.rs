//! One machine's process: a memory over real files, that can be closed, killed and opened again.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use agent_memory::Memory;
use agent_memory::OpenEpisode;
use agent_memory::testing::MemoryConfig;
use memory_core::{
    Clock, Durable, ErrorKind, IdSource, Namespace, Orphans, Outbox, Result, SeededIds, Tiers,
};
use memory_storage_redb::{CacheOptions, OrphanFolders, OutboxOptions, RedbCache, RedbOutbox, Slot, Slots};
use memory_storage_turso::{LocalOptions, LocalStore};

use super::clock::MachineClock;
use super::journal::{Journal, boot_from_image, take_image};
use super::link::{Link, Network};
use super::server::Server;

/// Where the durable tier of a machine is.
pub(crate) enum Place {
    /// A file that all processes of the machine share.
    File(PathBuf),
    /// A server behind the network.
    Server(Arc<Server>),
}

/// A machine, whether its process runs or not.
pub(crate) struct Machine {
    /// The folder of its instances; processes of one host share it.
    instances: PathBuf,
    place: Place,
    outbox_rows: Option<u64>,
    pub(crate) clock: Arc<MachineClock>,
    pub(crate) network: Arc<Network>,
    seed: u64,
    /// Its disk was full since its process was started.
    pub(crate) ails: bool,
    pub(crate) process: Option<Process>,
}

/// A running process.
pub(crate) struct Process {
    pub(crate) memory: Memory,
    /// The open episodes it has handles of, by their number.
    pub(crate) handles: HashMap<usize, OpenEpisode>,
    pub(crate) journal: Option<Arc<Journal>>,
    slot: Slot,
    dead: Arc<AtomicBool>,
}

impl Machine {
    pub(crate) fn new(
        instances: PathBuf,
        place: Place,
        outbox_rows: Option<u64>,
        clock: MachineClock,
        seed: u64,
    ) -> Self {
        let (clock, network) = (Arc::new(clock), Arc::default());
        Self { instances, place, outbox_rows, clock, network, seed, ails: false, process: None }
    }

    /// Returns true if nothing is wrong with its network and its disk.
    pub(crate) fn is_healthy(&self) -> bool {
        self.network.is_well() && !self.ails
    }

    /// Returns a number that changes whenever its process does something.
    pub(crate) fn activity(&self) -> u64 {
        let journal = self.process.as_ref().and_then(|process| process.journal.as_ref());
        self.network.activity() + journal.map_or(0, |journal| journal.activity())
    }

    /// Starts its process.
    pub(crate) async fn open(&mut self) -> Result<()> {
        self.seed += 1_000;
        let ids: Arc<dyn IdSource> = Arc::new(SeededIds::new(self.seed));
        let dead = Arc::new(AtomicBool::new(false));
        let (slot, cache, outbox) = self.claim()?;
        let mut journal = None;
        let (durable, outbox): (Arc<dyn Durable>, _) = match &self.place {
            Place::File(file) => {
                let file = file.clone();
                let open = move || LocalStore::open(&file, LocalOptions::new().readers(1));
                (Arc::new(tokio::task::spawn_blocking(open).await.unwrap()?), None)
            }
            Place::Server(server) => {
                let outbox = outbox.expect("it was opened with the cache");
                let outbox = Journal::new(Arc::new(outbox), slot.path(), dead.clone());
                journal = Some(outbox.clone());
                let orphans: Arc<dyn Orphans> = Arc::new(OrphanFolders::new(&self.instances, &slot));
                let link = Link::new(server.clone(), self.network.clone(), dead.clone());
                (Arc::new(link), Some((outbox as Arc<dyn Outbox>, orphans)))
            }
        };
        let tiers = Tiers { durable, cache, outbox, contacts: None, warnings: Vec::new() };
        let clock: Arc<dyn Clock> = self.clock.clone();
        let memory = Memory::assemble(Namespace::default(), config(), tiers, clock, ids).await?;
        self.ails = false;
        self.process = Some(Process { memory, handles: HashMap::new(), journal, slot, dead });
        Ok(())
    }

    /// Takes an instance folder and opens its files; one that an ended process still has open is passed over.
    fn claim(&self) -> Result<(Slot, Arc<RedbCache>, Option<RedbOutbox>)> {
        let mut held = Vec::new();
        loop {
            let slot = Slots::claim(&self.instances)?;
            match self.open_files(slot.path()) {
                Err(error) if error.kind() == ErrorKind::Conflict && held.len() < 16 => held.push(slot),
                files => {
                    let (cache, outbox) = files?;
                    return Ok((slot, Arc::new(cache), outbox));
                }
            }
        }
    }

    fn open_files(&self, folder: &Path) -> Result<(RedbCache, Option<RedbOutbox>)> {
        let options = CacheOptions::default().clock(self.clock.clone());
        let cache = RedbCache::open(folder.join("cache.redb"), options)?;
        if matches!(self.place, Place::File(_)) {
            return Ok((cache, None));
        }
        let mut options = OutboxOptions::default();
        if let Some(rows) = self.outbox_rows {
            options = options.limit_rows(rows);
        }
        Ok((cache, Some(RedbOutbox::open(folder.join("outbox.redb"), options)?)))
    }

    /// Ends its process in good order.
    pub(crate) async fn close(&mut self, timeout: Duration) -> Result<()> {
        let Some(Process { memory, handles, journal, slot, .. }) = self.process.take() else { return Ok(()) };
        drop(handles);
        let closed = memory.close(timeout).await;
        drop(journal);
        drop(slot);
        closed.map(drop)
    }

    /// Kills its process: it sends nothing more, and its files stay as they were.
    pub(crate) fn kill(&mut self) {
        let Some(Process { memory, handles, journal, slot, dead }) = self.process.take() else { return };
        match &journal {
            Some(journal) => journal.kill(),
            None => take_image(slot.path()),
        }
        dead.store(true, Ordering::SeqCst);
        let folder = slot.path().to_owned();
        drop((handles, memory, journal, slot));
        boot_from_image(&folder);
    }
}

/// A configuration in which nothing happens by itself: the case says when rows are sent and the feed is read.
fn config() -> MemoryConfig {
    let mut config = MemoryConfig::default();
    let never = Duration::from_secs(365 * 86_400);
    config.engine.poll_interval = Some(never);
    config.engine.upkeep_interval = never;
    config.engine.first_pull = Duration::ZERO;
    config.engine.missing_ttl = Duration::ZERO;
    config.engine.attempts = 1;
    config.learning.background = false;
    config
}

/// Returns the folder of the instances of a host.
pub(crate) fn instances_of(root: &Path, host: usize) -> PathBuf {
    let folder = root.join(format!("host-{host}"));
    std::fs::create_dir_all(&folder).unwrap();
    folder
}
