//! Opening a memory: folders, tiers, engine.

use std::collections::BTreeMap;
use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use memory_core::{
    Clock, Deadlines, Durable, Embedder, EngineConfig, Error, ErrorKind, IdSource, Kind, LearningConfig,
    Leftover, LimitViolation, MemoryConfig, Namespace, Orphans, Outbox, Redactor, Result, Tiers,
};
use memory_storage_redb::{
    CacheOptions, OpenReport, OrphanFolders, OutboxOptions, RedbCache, RedbOutbox, Slot, Slots,
};
use memory_storage_turso::{LocalOptions, LocalStore};

use crate::builder::Builder;
use crate::settings::{LearningSettings, Settings};

/// The most connections to a server, and the most rows of one batch.
const MAX_POOL_SIZE: usize = 1_024;
const MAX_BATCH_ROWS: usize = 4_096;

/// A memory with its tiers; cheap to clone, clones share everything. Its verbs are those of
/// [`memory_core::Memory`], to which it dereferences.
#[derive(Clone)]
pub struct Memory {
    core: memory_core::Memory,
    /// The identity of the embedding model.
    model: Option<Arc<str>>,
    /// The identity of the table of words.
    words: Option<Arc<str>>,
    /// Holds this instance's folder; freed with the last clone.
    _slot: Arc<Slot>,
}

impl Deref for Memory {
    type Target = memory_core::Memory;

    fn deref(&self) -> &memory_core::Memory {
        &self.core
    }
}

impl Memory {
    /// Opens a memory in a folder of this machine, with the defaults; creates it if it does not exist.
    ///
    /// # Errors
    /// As [`Builder::open`].
    ///
    /// # Panics
    /// Outside a tokio runtime.
    pub async fn open(path: impl Into<PathBuf>) -> Result<Self> {
        Self::builder().path(path).open().await
    }

    /// Returns a builder with the defaults.
    pub fn builder() -> Builder {
        Builder::default()
    }

    /// Returns the identity of the model that turns texts into vectors; `None` without one.
    pub fn embedding_model(&self) -> Option<&str> {
        self.model.as_deref()
    }

    /// Returns the identity of the table by which words are taken for others; `None` without one.
    pub fn word_table(&self) -> Option<&str> {
        self.words.as_deref()
    }

    /// Ends the memory: refuses further writes, sends what waits for at most `timeout`, and reports what is left
    /// for the next instance. The files are free once the last clone and episode handle are dropped.
    ///
    /// # Errors
    /// Whatever the durable tier reports on closing.
    pub async fn close(self, timeout: Duration) -> Result<Leftover> {
        self.core.close(timeout).await
    }
}

/// Opens the tiers and assembles them.
pub(crate) async fn open(
    settings: Settings,
    config: MemoryConfig,
    create: bool,
    clock: Arc<dyn Clock>,
    ids: Arc<dyn IdSource>,
) -> Result<Memory> {
    let root = settings.path.clone().ok_or_else(|| {
        Error::invalid("open", "path", "no folder is given")
            .with_hint("give a folder with `Memory::open`, `Builder::path` or MEMORY_DB_PATH")
    })?;
    let namespace = match &settings.namespace {
        Some(name) => Namespace::new(name)?,
        None => Namespace::default(),
    };
    // What blocks (files, locks, recovery) stays off the runtime's workers.
    let blocking = {
        let (settings, namespace, clock) = (settings.clone(), namespace.clone(), clock.clone());
        tokio::task::spawn_blocking(move || open_tiers(&settings, create, &root, &namespace, clock))
    };
    let (tiers, slot) = blocking.await.map_err(|source| {
        Error::new(ErrorKind::Closed, "open", "the runtime is shutting down").with_source(source)
    })??;
    let identity = |embedder: &Arc<dyn Embedder>| Arc::from(embedder.model());
    let (model, words) = (config.embedder.as_ref().map(identity), config.words.as_ref().map(identity));
    let core = memory_core::Memory::assemble(namespace, config, tiers, clock, ids).await?;
    Ok(Memory { core, model, words, _slot: Arc::new(slot) })
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

/// Returns the built-in table of words, unless it is not wanted.
#[cfg(feature = "words")]
pub(crate) fn word_table(wanted: Option<bool>) -> Result<Option<Arc<dyn Embedder>>> {
    match wanted {
        Some(false) => Ok(None),
        Some(true) | None => Ok(Some(Arc::new(memory_embed::WordTable::built_in()?))),
    }
}

#[cfg(not(feature = "words"))]
pub(crate) fn word_table(wanted: Option<bool>) -> Result<Option<Arc<dyn Embedder>>> {
    if wanted != Some(true) {
        return Ok(None);
    }
    let message = "the table of words is asked for, but it is not compiled in";
    Err(Error::new(ErrorKind::Unsupported, "open", message)
        .with_hint("enable the feature `words` of agent-memory or memory-cli, or leave `word_table` out"))
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
            // The lock is free but a file is not: a memory that was dropped a moment ago still lets go of it.
            Err(error) if error.kind() == ErrorKind::Conflict && held.len() < MAX_HELD => held.push(slot),
            opened => break (slot, opened?),
        }
    };
    let LocalTier { cache, outbox, warnings } = local;
    let tiers = match (durable, outbox) {
        (Some(durable), Some(outbox)) => {
            let orphans: Arc<dyn Orphans> = Arc::new(OrphanFolders::new(&instances, &slot));
            Tiers { durable, cache, outbox: Some((outbox, orphans)), warnings }
        }
        _ => {
            let durable = Arc::new(LocalStore::open(&root.join(LOCAL_FILE), LocalOptions::new())?);
            Tiers { durable, cache, outbox: None, warnings }
        }
    };
    Ok((tiers, slot))
}

/// The durable tier of a local memory in its folder.
const LOCAL_FILE: &str = "memory.db";

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

/// Says what opening a file of the local tier had to do, if that was not nothing.
fn warning(name: &str, report: &OpenReport) -> Option<String> {
    let reason = report.rebuilt.as_ref()?;
    let kept = report.set_aside.as_ref().map(|path| format!("; the old file is kept as {}", path.display()));
    Some(format!("the {name} file was rebuilt: {reason}{}", kept.unwrap_or_default()))
}

#[cfg(feature = "remote")]
fn connect(url: &str, settings: &Settings) -> Result<Arc<dyn Durable>> {
    use memory_storage_turso::{RemoteOptions, RemoteStore};

    let mut options = RemoteOptions::new(url).deadlines(deadlines(settings));
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

/// Refuses a folder without a local memory.
fn find_memory(root: &Path) -> Result<()> {
    // What cannot be looked at, or is no folder, has an error of its own on opening.
    if root.join(LOCAL_FILE).try_exists().unwrap_or(true) || root.is_file() {
        return Ok(());
    }
    let hint = if root.join(REMOTE_FOLDER).is_dir() {
        "the folder was used with a database: give its URL"
    } else {
        "check the folder's name; `memory import`, or an application that records, makes one"
    };
    let message = format!("there is no memory in {}", root.display());
    Err(Error::new(ErrorKind::NotFound, "open", message).with_hint(hint))
}

/// Creates the folder, for its owner only: episodes may hold what nobody else should read.
fn create_folder(root: &Path) -> Result<()> {
    let fail = |source: std::io::Error| {
        Error::new(ErrorKind::Io, "open", format!("cannot use the folder {}: {source}", root.display()))
            .with_hint("give a folder that you may create or write to")
            .with_source(source)
    };
    if root.exists() && !root.is_dir() {
        let message = format!("{} is a file, a folder is needed", root.display());
        return Err(Error::invalid("open", "path", message)
            .with_hint("the memory keeps several files; give the folder that holds (or shall hold) them"));
    }
    let mut folder = std::fs::DirBuilder::new();
    folder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut folder, 0o700);
    folder.create(root).map_err(fail)
}

/// What a memory with a database keeps in its folder.
const REMOTE_FOLDER: &str = "remote";

/// Returns where the instances of one database and namespace keep their caches and outboxes.
fn instances_folder(root: &Path, url: Option<&str>, namespace: &Namespace) -> Result<PathBuf> {
    // Escaped, because some file systems take `A` and `a` for the same name.
    let space = format!("ns-{}", folder_name(namespace.as_str()));
    let Some(url) = url else { return Ok(root.join("local").join(space)) };
    let name = folder_name(url.trim_end_matches('/'));
    if name.len() > 200 {
        let problem = format!("{} bytes as a folder name, the limit is 200", name.len());
        return Err(Error::invalid("open", "url", problem));
    }
    Ok(root.join(REMOTE_FOLDER).join(name).join(space))
}

/// Escapes a URL so that different URLs have different names that any file system takes.
fn folder_name(url: &str) -> String {
    url.bytes().fold(String::new(), |mut name, byte| {
        match byte {
            b'a'..=b'z' | b'0'..=b'9' | b'-' => name.push(char::from(byte)),
            b'.' if !name.is_empty() => name.push('.'),
            _ => name.push_str(&format!("_{byte:02x}")),
        }
        name
    })
}

fn deadlines(settings: &Settings) -> Deadlines {
    let default = Deadlines::default();
    let ms = |value: Option<u64>, default: Duration| value.map_or(default, Duration::from_millis);
    Deadlines {
        read: ms(settings.read_deadline_ms, default.read),
        write: ms(settings.write_deadline_ms, default.write),
    }
}

pub(crate) fn memory_config(settings: &Settings) -> Result<MemoryConfig> {
    let mut engine = EngineConfig::default();
    let ms = |value: Option<u64>, default: Duration| value.map_or(default, Duration::from_millis);
    engine.ack = settings.ack.unwrap_or(engine.ack);
    engine.hot_bytes = settings.hot_bytes.unwrap_or(engine.hot_bytes);
    engine.ttl = ms(settings.ttl_ms, engine.ttl);
    engine.poll_interval = settings.poll_interval_ms.map(Duration::from_millis);
    engine.deadlines = deadlines(settings);
    engine.first_pull = ms(settings.first_pull_ms, engine.first_pull);
    engine.batch_rows = settings.batch_rows.unwrap_or(engine.batch_rows);
    for (name, value) in [("poll_interval_ms", settings.poll_interval_ms), ("ttl_ms", settings.ttl_ms)] {
        if value == Some(0) {
            return Err(Error::invalid("open", name, "0 ms, at least 1 is needed"));
        }
    }
    for (field, value, limit, unit) in [
        ("batch_rows", settings.batch_rows, MAX_BATCH_ROWS, "rows"),
        ("pool_size", settings.pool_size, MAX_POOL_SIZE, "connections"),
    ] {
        match value {
            Some(0) => return Err(Error::invalid("open", field, "0, at least 1 is needed")),
            Some(found) if found > limit => {
                let violation =
                    LimitViolation { field: field.into(), limit: limit as u64, found: found as u64, unit };
                return Err(Error::limit(ErrorKind::InvalidInput, "open", violation));
            }
            _ => {}
        }
    }
    engine.retention = retention(settings.retention_days.as_ref())?;
    Ok(MemoryConfig {
        engine,
        limits: settings.limits.clone().unwrap_or_default(),
        quotas: settings.quotas.clone().unwrap_or_default(),
        rate_limit: settings.rate_limit,
        redactor: match &settings.redaction {
            Some(config) => Redactor::new(config)?,
            None => Redactor::default(),
        },
        learning: learning(settings.learning.clone().unwrap_or_default()),
        embedder: None,
        words: None,
    })
}

fn learning(settings: LearningSettings) -> LearningConfig {
    let mut config = LearningConfig::default();
    let seconds = |value: Option<u64>, default: Duration| value.map_or(default, Duration::from_secs);
    config.background = settings.background.unwrap_or(config.background);
    config.hold_out = settings.hold_out.unwrap_or(config.hold_out);
    config.hold_out_seed = settings.hold_out_seed.unwrap_or(config.hold_out_seed);
    let half_life = settings.half_life_days.map(|days| u64::from(days) * 86_400);
    config.belief.half_life = seconds(half_life, config.belief.half_life);
    let consolidation = &mut config.consolidation;
    consolidation.idle_after = seconds(settings.consolidate_idle_s, consolidation.idle_after);
    consolidation.interval = seconds(settings.consolidate_interval_s, consolidation.interval);
    consolidation.budget = settings.consolidate_budget_ms.map_or(consolidation.budget, Duration::from_millis);
    config
}

fn retention(days: Option<&BTreeMap<String, u32>>) -> Result<BTreeMap<Kind, Option<Duration>>> {
    let Some(days) = days else { return Ok(BTreeMap::new()) };
    days.iter()
        .map(|(name, days)| {
            let kind = name.parse::<Kind>().map_err(|_| {
                let known: Vec<_> = Kind::ALL.iter().map(|kind| kind.name()).collect();
                let problem = format!("no kind is named {name:?}; kinds are {}", known.join(", "));
                Error::invalid("open", "retention_days", problem)
            })?;
            let kept = (*days > 0).then(|| Duration::from_secs(u64::from(*days) * 86_400));
            Ok((kind, kept))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_out_of_bounds_are_refused() {
        let check = |settings: Settings, expected: Option<&str>| {
            let refused = memory_config(&settings).err();
            let refused = refused.map(|error| {
                assert_eq!(error.kind(), ErrorKind::InvalidInput);
                error.message().to_owned()
            });
            assert_eq!(refused.as_deref(), expected);
        };
        let pool = |size| Settings { pool_size: Some(size), ..Settings::default() };
        let batch = |rows| Settings { batch_rows: Some(rows), ..Settings::default() };
        check(pool(0), Some("pool_size: 0, at least 1 is needed"));
        check(pool(1_024), None);
        check(pool(1_025), Some("pool_size: 1025 connections, the limit is 1024 connections"));
        check(batch(4_096), None);
        check(batch(4_097), Some("batch_rows: 4097 rows, the limit is 4096 rows"));
    }

    #[test]
    fn folder_names_are_distinct_and_harmless() {
        let check = |url: &str, expected: &str| assert_eq!(folder_name(url), expected);
        check("http://127.0.0.1:8080", "http_3a_2f_2f127.0.0.1_3a8080");
        check("..", "_2e.");
        assert_ne!(folder_name("http://a_b"), folder_name("http://a.b"));
        assert_ne!(folder_name("http://A"), folder_name("http://a"));
    }
}
