//! Opening a memory: folders, tiers, engine.

use std::path::Path;
use std::sync::Arc;

use memory_core::{
    Clock, Contacts, Durable, Error, ErrorKind, IdSource, Namespace, Orphans, Outbox, Result, Tiers,
};
use memory_recall::embedder::Embedder;
use memory_storage_redb::{
    CacheOptions, OpenReport, OrphanFolders, OutboxOptions, RedbCache, RedbOutbox, Slot, Slots,
};
use memory_storage_turso::{LocalOptions, LocalStore};

use crate::Memory;
use crate::contact::ContactFile;
use crate::folder::{LOCAL_FILE, create_folder, find_memory, instances_folder};
use crate::memory::MemoryConfig;
use crate::place::network_warning;
use crate::settings::Settings;

/// Opens the tiers and assembles them.
pub(crate) async fn open(
    settings: Settings,
    config: MemoryConfig,
    create: bool,
    clock: Arc<dyn Clock>,
    ids: Arc<dyn IdSource>,
) -> Result<Memory> {
    // An empty path would be the current folder, whatever that is.
    let root = settings.path.clone().filter(|path| !path.as_os_str().is_empty()).ok_or_else(|| {
        Error::invalid("open", "path", "no folder is given")
            .with_hint("give a folder with `Memory::open`, `Builder::path` or MEMORY_DB_PATH")
    })?;
    let namespace = match &settings.namespace {
        Some(name) => Namespace::new(name)?,
        None => Namespace::default(),
    };
    // Blocking work (files, locks, recovery) stays off the runtime's workers.
    let blocking = {
        let (settings, namespace, clock) = (settings.clone(), namespace.clone(), clock.clone());
        tokio::task::spawn_blocking(move || open_tiers(&settings, create, &root, &namespace, clock))
    };
    let (tiers, slot) = blocking.await.map_err(|source| {
        Error::new(ErrorKind::Closed, "open", "the runtime is shutting down").with_source(source)
    })??;
    Memory::assemble_in(Some(slot), namespace, config, tiers, clock, ids).await
}

/// Loads the embedding model of a folder.
#[cfg(any(feature = "embed-sentence-transformer", feature = "embed-static"))]
pub(crate) async fn load_model(folder: &Path) -> Result<Arc<dyn Embedder>> {
    let folder = folder.to_owned();
    let loading = tokio::task::spawn_blocking(move || memory_embed::load(&folder));
    loading.await.map_err(|source| {
        Error::new(ErrorKind::Closed, "open", "the runtime is shutting down").with_source(source)
    })?
}

#[cfg(not(any(feature = "embed-sentence-transformer", feature = "embed-static")))]
pub(crate) async fn load_model(_folder: &Path) -> Result<Arc<dyn Embedder>> {
    let message = "an embedding model is configured, but local models are not compiled in";
    Err(Error::new(ErrorKind::Unsupported, "open", message).with_hint(
        "enable the feature `embed-sentence-transformer` or `embed-static` of agent-memory (`embed` of memory-cli)",
    ))
}

fn open_tiers(
    settings: &Settings,
    create: bool,
    root: &Path,
    namespace: &Namespace,
    clock: Arc<dyn Clock>,
) -> Result<(Tiers, Slot)> {
    // A URL that cannot be one fails before anything is created.
    let remote = settings.url.as_deref().map(|url| connect(url, settings)).transpose()?;
    if !create && remote.is_none() {
        find_memory(root)?;
    }
    create_folder(root)?;
    let instances = instances_folder(root, settings.url.as_deref(), namespace)?;
    let durable: Option<Arc<dyn Durable>> = remote;
    let mut held = Vec::new();
    let (slot, local) = loop {
        let slot = Slots::claim(&instances)?;
        match open_local_tier(settings, &slot, durable.is_some(), clock.clone()) {
            // The lock is free but a file is not: a memory that was dropped just now is still releasing it.
            Err(error) if error.kind() == ErrorKind::Conflict && held.len() < MAX_HELD => held.push(slot),
            opened => break (slot, opened?),
        }
    };
    let LocalTier { cache, outbox, mut warnings } = local;
    warnings.extend(settings.warning.clone());
    warnings.extend(network_warning(root));
    let tiers = match (durable, outbox) {
        (Some(durable), Some(outbox)) => {
            let orphans: Arc<dyn Orphans> = Arc::new(OrphanFolders::new(&instances, &slot));
            let contacts: Arc<dyn Contacts> = Arc::new(ContactFile::new(&instances));
            Tiers { durable, cache, outbox: Some((outbox, orphans)), contacts: Some(contacts), warnings }
        }
        _ => {
            let durable = Arc::new(LocalStore::open(&root.join(LOCAL_FILE), LocalOptions::new())?);
            Tiers { durable, cache, outbox: None, contacts: None, warnings }
        }
    };
    Ok((tiers, slot))
}

/// How many instance folders whose files are still held are passed over.
const MAX_HELD: usize = 16;

/// The files of one instance.
struct LocalTier {
    cache: Arc<RedbCache>,
    outbox: Option<Arc<dyn Outbox>>,
    warnings: Vec<String>,
}

fn open_local_tier(
    settings: &Settings,
    slot: &Slot,
    remote: bool,
    clock: Arc<dyn Clock>,
) -> Result<LocalTier> {
    let mut options = CacheOptions::default().clock(clock);
    if let Some(bytes) = settings.cache_bytes {
        options = options.limit_bytes(bytes);
    }
    let cache = Arc::new(RedbCache::open(slot.path().join("cache.redb"), options)?);
    let mut warnings: Vec<String> = warning("cache", &cache.opened()).into_iter().collect();
    if !remote {
        return Ok(LocalTier { cache, outbox: None, warnings });
    }
    let mut options = OutboxOptions::default();
    if let Some(rows) = settings.outbox_rows {
        options = options.limit_rows(rows);
    }
    if let Some(bytes) = settings.outbox_bytes {
        options = options.limit_bytes(bytes);
    }
    let outbox = RedbOutbox::open(slot.path().join("outbox.redb"), options)?;
    warnings.extend(warning("outbox", &outbox.opened()));
    Ok(LocalTier { cache, outbox: Some(Arc::new(outbox)), warnings })
}

/// Describes what opening a file of the local tier had to repair, if anything.
fn warning(name: &str, report: &OpenReport) -> Option<String> {
    let reason = report.rebuilt.as_ref()?;
    let kept = report.set_aside.as_ref().map(|path| format!("; the old file is kept as {}", path.display()));
    Some(format!("the {name} file was rebuilt: {reason}{}", kept.unwrap_or_default()))
}

#[cfg(feature = "remote")]
fn connect(url: &str, settings: &Settings) -> Result<Arc<dyn Durable>> {
    use memory_storage_turso::{RemoteOptions, RemoteStore};

    let mut options = RemoteOptions::new(url).deadlines(crate::config::deadlines(settings));
    if let Some(token) = &settings.token {
        options = options.token(token);
    }
    if let Some(connections) = settings.pool_size {
        options = options.pool_size(connections);
    }
    Ok(Arc::new(RemoteStore::connect(options)?))
}

#[cfg(not(feature = "remote"))]
fn connect(_url: &str, _settings: &Settings) -> Result<Arc<dyn Durable>> {
    Err(Error::new(
        ErrorKind::Unsupported,
        "open",
        "a remote database is configured, but remote mode is not compiled in",
    )
    .with_hint("enable the feature `remote` of agent-memory, or unset TURSO_DATABASE_URL"))
}
