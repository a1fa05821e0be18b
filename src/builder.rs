//! Building a memory.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use memory_core::{Ack, Clock, IdSource, Kind, Result, SystemClock, SystemIds};
use memory_learn::confidence::ConfidenceConfig;
use memory_learn::consolidate::ConsolidationConfig;
use memory_learn::reflect::Reflector;
use memory_learn::reward::RewardConfig;
use memory_recall::embedder::Embedder;

use crate::Memory;
use crate::config::memory_config;
use crate::limits::{Limits, Quotas};
use crate::open::{load_model, open};
use crate::rate::RateLimit;
use crate::redact::RedactionConfig;
use crate::settings::Settings;

/// Builds a [`Memory`].
///
/// A setting is taken from the first of these that has it: a method called here, the environment
/// ([`Builder::env`]), the settings file ([`Builder::config_file`]), the default.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Builder {
    set: Settings,
    environment: bool,
    file: Option<PathBuf>,
    create: bool,
    clock: Arc<dyn Clock>,
    ids: Arc<dyn IdSource>,
    reward: Option<RewardConfig>,
    confidence: Option<ConfidenceConfig>,
    consolidation: Option<ConsolidationConfig>,
    reflector: Option<Arc<dyn Reflector>>,
    embedder: Option<Arc<dyn Embedder>>,
}

impl Default for Builder {
    fn default() -> Self {
        Self {
            set: Settings::default(),
            environment: false,
            file: None,
            create: true,
            clock: Arc::new(SystemClock::new()),
            ids: Arc::new(SystemIds::default()),
            reward: None,
            confidence: None,
            consolidation: None,
            reflector: None,
            embedder: None,
        }
    }
}

impl Builder {
    /// Sets the folder for everything on this machine; required here, in the environment or in the file. It is
    /// created if it does not exist, readable for its owner only.
    #[must_use]
    pub fn path(mut self, path: impl Into<PathBuf>) -> Self {
        self.set.path = Some(path.into());
        self
    }

    /// Keeps the records in a Turso or sqld database at this URL (`libsql://`, `https://` or `http://`); writes
    /// pass through an outbox in the folder. Needs the feature `remote`. Default: a libsql file in the folder.
    #[must_use]
    pub fn remote(mut self, url: impl Into<String>) -> Self {
        self.set.url = Some(url.into());
        self
    }

    /// Sets the token for the database; none by default.
    #[must_use]
    pub fn token(mut self, token: impl Into<String>) -> Self {
        self.set.token = Some(token.into());
        self
    }

    /// Sets the namespace; `default` by default. One namespace never sees another's records.
    #[must_use]
    pub fn namespace(mut self, namespace: impl Into<String>) -> Self {
        self.set.namespace = Some(namespace.into());
        self
    }

    /// Sets when a write returns; `Ack::Local` by default.
    #[must_use]
    pub fn ack(mut self, ack: Ack) -> Self {
        self.set.ack = Some(ack);
        self
    }

    /// Sets the weight of decoded records kept in memory, in bytes; 64 MiB by default.
    #[must_use]
    pub fn hot_bytes(mut self, bytes: u64) -> Self {
        self.set.hot_bytes = Some(bytes);
        self
    }

    /// Sets the bound on the cache file, in bytes; 1 GiB by default.
    #[must_use]
    pub fn cache_bytes(mut self, bytes: u64) -> Self {
        self.set.cache_bytes = Some(bytes);
        self
    }

    /// Sets how long a cached record is served without asking the durable tier; 5 min by default.
    #[must_use]
    pub fn ttl(mut self, ttl: Duration) -> Self {
        self.set.ttl_ms = Some(millis(ttl));
        self
    }

    /// Sets how often changes by other processes are pulled; 100 ms by default in local mode, 1 s in remote mode.
    #[must_use]
    pub fn poll_interval(mut self, interval: Duration) -> Self {
        self.set.poll_interval_ms = Some(millis(interval));
        self
    }

    /// Sets the deadline of one read of the remote database; 5 s by default.
    #[must_use]
    pub fn read_deadline(mut self, deadline: Duration) -> Self {
        self.set.read_deadline_ms = Some(millis(deadline));
        self
    }

    /// Sets the deadline of one write to the remote database; 10 s by default.
    #[must_use]
    pub fn write_deadline(mut self, deadline: Duration) -> Self {
        self.set.write_deadline_ms = Some(millis(deadline));
        self
    }

    /// Sets how long the first recall or read waits for the first pull from a remote database that answers,
    /// from opening on; 3 s by default. Opening and recording do not wait.
    #[must_use]
    pub fn first_pull(mut self, wait: Duration) -> Self {
        self.set.first_pull_ms = Some(millis(wait));
        self
    }

    /// Sets how long the first recall or read waits, from opening on, for a remote database that does not
    /// answer at all; 1 s by default. A database that is known to be slower gets longer, up to
    /// [`Builder::first_pull`]; one that another process recently found to be away gets no wait.
    #[must_use]
    pub fn first_answer(mut self, wait: Duration) -> Self {
        self.set.first_answer_ms = Some(millis(wait));
        self
    }

    /// Sets the bound on connections to the remote database; 4 by default.
    #[must_use]
    pub fn pool_size(mut self, connections: usize) -> Self {
        self.set.pool_size = Some(connections);
        self
    }

    /// Sets the rows sent to the remote database at once; 128 by default.
    #[must_use]
    pub fn batch_rows(mut self, rows: usize) -> Self {
        self.set.batch_rows = Some(rows);
        self
    }

    /// Sets the most rows that the outbox holds; 1,000,000 by default.
    #[must_use]
    pub fn outbox_rows(mut self, rows: u64) -> Self {
        self.set.outbox_rows = Some(rows);
        self
    }

    /// Sets the most bytes that the outbox holds; 1 GiB by default.
    #[must_use]
    pub fn outbox_bytes(mut self, bytes: u64) -> Self {
        self.set.outbox_bytes = Some(bytes);
        self
    }

    /// Sets how long records of a kind are kept after their last change, in days; for ever by default, and with 0.
    #[must_use]
    pub fn retention_days(mut self, kind: Kind, days: u32) -> Self {
        self.set.retention_days.get_or_insert_default().insert(kind.name().to_owned(), days);
        self
    }

    /// Sets the sizes allowed.
    #[must_use]
    pub fn limits(mut self, limits: Limits) -> Self {
        self.set.limits = Some(limits);
        self
    }

    /// Sets the amounts allowed; none by default.
    #[must_use]
    pub fn quotas(mut self, quotas: Quotas) -> Self {
        self.set.quotas = Some(quotas);
        self
    }

    /// Sets how fast episodes may be started; unlimited by default.
    #[must_use]
    pub fn rate_limit(mut self, rate_limit: RateLimit) -> Self {
        self.set.rate_limit = Some(rate_limit);
        self
    }

    /// Sets what is redacted before storage; common secret shapes by default.
    #[must_use]
    pub fn redaction(mut self, redaction: RedactionConfig) -> Self {
        self.set.redaction = Some(redaction);
        self
    }

    /// Sets whether episodes are learned from, and consolidation runs, in the background; true by default.
    #[must_use]
    pub fn background_learning(mut self, background: bool) -> Self {
        self.set.learning.get_or_insert_default().background = Some(background);
        self
    }

    /// Withholds this share of recalls, in `0.0..=1.0`, so that the value of memory can be measured; 0 by default.
    #[must_use]
    pub fn hold_out(mut self, share: f64) -> Self {
        self.set.learning.get_or_insert_default().hold_out = Some(share);
        self
    }

    /// Sets the seed that decides which recalls are withheld; 0 by default.
    #[must_use]
    pub fn hold_out_seed(mut self, seed: u64) -> Self {
        self.set.learning.get_or_insert_default().hold_out_seed = Some(seed);
        self
    }

    /// Sets how episodes are scored; [`RewardConfig::default`] by default.
    #[must_use]
    pub fn reward(mut self, reward: RewardConfig) -> Self {
        self.reward = Some(reward);
        self
    }

    /// Sets how evidence adds up: priors, the quantile that counts as sure, how fast it fades;
    /// [`ConfidenceConfig::default`] by default, with `half_life_days` of the settings file.
    #[must_use]
    pub fn confidence(mut self, confidence: ConfidenceConfig) -> Self {
        self.confidence = Some(confidence);
        self
    }

    /// Sets when consolidation runs, for how long, and what it merges and prunes;
    /// [`ConsolidationConfig::default`] by default, with the `consolidate_…` settings of the file.
    #[must_use]
    pub fn consolidation(mut self, consolidation: ConsolidationConfig) -> Self {
        self.consolidation = Some(consolidation);
        self
    }

    /// Sets who reflects on episodes, a language model for example;
    /// [`memory_learn::reflect::ContrastReflector`] by default.
    #[must_use]
    pub fn reflector(mut self, reflector: Arc<dyn Reflector>) -> Self {
        self.reflector = Some(reflector);
        self
    }

    /// Sets the model that turns texts into vectors, for recall by meaning; none by default.
    #[must_use]
    pub fn embedder(mut self, embedder: Arc<dyn Embedder>) -> Self {
        self.embedder = Some(embedder);
        self
    }

    /// Sets the folder of a local model that turns texts into vectors; it is loaded on opening, unless
    /// [`Builder::embedder`] sets a model. None by default. Needs the feature `embed-sentence-transformer` or
    /// `embed-static`.
    #[must_use]
    pub fn embedding_model(mut self, folder: impl Into<PathBuf>) -> Self {
        self.set.embedding_model = Some(folder.into());
        self
    }

    /// Also takes settings from `TURSO_DATABASE_URL`, `TURSO_AUTH_TOKEN`, `MEMORY_DB_PATH` and
    /// `MEMORY_EMBEDDING_MODEL`.
    #[must_use]
    pub fn env(mut self) -> Self {
        self.environment = true;
        self
    }

    /// Also takes settings from a TOML file.
    #[must_use]
    pub fn config_file(mut self, path: impl Into<PathBuf>) -> Self {
        self.file = Some(path.into());
        self
    }

    /// Sets whether opening makes a memory that is not there; true by default. With false a folder without one is
    /// `NotFound`, and nothing is created. In remote mode the records are in the database, and the folder is made
    /// either way.
    #[must_use]
    pub fn create(mut self, create: bool) -> Self {
        self.create = create;
        self
    }

    /// Sets the source of time; the machine's by default.
    #[must_use]
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    /// Sets the source of ids; the operating system's by default.
    #[must_use]
    pub fn ids(mut self, ids: Arc<dyn IdSource>) -> Self {
        self.ids = ids;
        self
    }

    /// Opens the memory on the current tokio runtime, which must have its timer and I/O drivers enabled.
    ///
    /// In remote mode it opens whether or not the database answers.
    ///
    /// # Errors
    /// `InvalidInput` for settings that are missing, malformed or out of bounds; `NotFound` for a folder
    /// without a memory if none is to be made; `Io` for a folder that cannot be used; `Unsupported` for a file
    /// of a newer program or a setting whose feature is not compiled in; `Corrupt` for a file that is no
    /// database, or no model.
    ///
    /// # Panics
    /// Outside a tokio runtime.
    pub async fn open(self) -> Result<Memory> {
        let mut settings = self.set;
        if self.environment {
            settings = settings.over(Settings::from_env(|name| std::env::var_os(name))?);
        }
        if let Some(file) = &self.file {
            settings = settings.over(Settings::from_file(file)?);
        }
        let mut config = memory_config(&settings)?;
        config.embedder = match (self.embedder, &settings.embedding_model) {
            (Some(embedder), _) => Some(embedder),
            (None, Some(folder)) => Some(load_model(folder).await?),
            (None, None) => None,
        };
        let learning = &mut config.learning;
        learning.reward = self.reward.unwrap_or(std::mem::take(&mut learning.reward));
        learning.confidence = self.confidence.unwrap_or(std::mem::take(&mut learning.confidence));
        learning.consolidation = self.consolidation.unwrap_or(std::mem::take(&mut learning.consolidation));
        if let Some(reflector) = self.reflector {
            learning.reflector = reflector;
        }
        open(settings, config, self.create, self.clock, self.ids).await
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
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
}
