//! A fresh memory for one evaluation: its own folder, clock and ids, so that a seed gives the same answers again.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use agent_memory::embed::Embedder;
use agent_memory::testing::{ManualClock, SeededIds};
use agent_memory::{EpisodeId, Error as MemoryError, ErrorKind, Memory, Recorded, Recording, Timestamp};
use tempfile::TempDir;

use crate::error::{Error, Result};

/// When evaluations begin: 2026-01-01T00:00:00Z.
const BEGIN: Timestamp = Timestamp(1_767_225_600_000);
/// The time that a task takes, from one to the next.
const TASK: Duration = Duration::from_secs(600);
/// Episodes recorded at a time.
const BATCH: usize = 64;

/// What recall goes by besides the words that episodes have.
#[derive(Clone, Default)]
pub struct Means {
    /// The folder of an embedding model.
    pub model: Option<PathBuf>,
    /// A model behind an endpoint.
    pub endpoint: Option<Arc<dyn Embedder>>,
}

/// Makes a folder that nobody else may look into: it will have what the files say.
fn private_folder() -> std::io::Result<TempDir> {
    let mut builder = tempfile::Builder::new();
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o700));
    builder.prefix("memory-eval-").tempdir()
}

/// A memory of one evaluation. Its folder is removed when this is dropped.
pub struct Arena {
    pub(crate) memory: Memory,
    clock: Arc<ManualClock>,
    /// Records made, so that an episode that was forgotten can be recorded again as another.
    records: u64,
    /// Dropped after the memory.
    folder: TempDir,
}

impl Arena {
    /// Opens a fresh memory that learns when it is told to.
    ///
    /// # Errors
    /// The folder cannot be made, or the memory does not open.
    pub async fn open(seed: u64, by: &Means) -> Result<Self> {
        let folder = private_folder().map_err(Error::Folder)?;
        let clock = Arc::new(ManualClock::new(BEGIN));
        let mut builder = Memory::builder()
            .path(folder.path())
            .clock(clock.clone())
            .ids(Arc::new(SeededIds::new(seed)))
            .background_learning(false);
        if let Some(model) = &by.model {
            builder = builder.embedding_model(model);
        }
        if let Some(endpoint) = &by.endpoint {
            builder = builder.embedder(endpoint.clone());
        }
        let memory = builder.open().await?;
        Ok(Self { memory, clock, records: 0, folder })
    }

    /// Returns the memory.
    pub fn memory(&self) -> &Memory {
        &self.memory
    }

    /// Returns the folder of the memory.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Returns what recall goes by: words, and the identity of the model if there is one.
    pub fn provider(&self) -> String {
        ["words"].into_iter().chain(self.memory.embedding_model()).collect::<Vec<_>>().join(", ")
    }

    /// Lets the time of a task pass.
    pub(crate) fn pass(&self) {
        self.clock.advance(TASK);
    }

    /// Records a finished episode as a new one, even if the same was recorded before.
    pub(crate) async fn record(&mut self, recording: &Recording) -> Result<EpisodeId> {
        let mut ids = self.record_all(std::slice::from_ref(recording)).await?;
        ids.pop().ok_or_else(|| not_new("the episode was not recorded"))
    }

    /// Records finished episodes in order, ten minutes apart, as new ones.
    pub(crate) async fn record_all(&mut self, recordings: &[Recording]) -> Result<Vec<EpisodeId>> {
        let mut ids = Vec::with_capacity(recordings.len());
        for batch in recordings.chunks(BATCH) {
            let batch = batch.iter().map(|recording| self.anew(recording)).collect();
            for recorded in self.memory.record_all(batch).await {
                match recorded? {
                    Recorded::New(id) => ids.push(id),
                    Recorded::Known(id) | Recorded::Forgotten(id) => {
                        return Err(not_new(&format!("episode {id} is there already in a fresh memory")));
                    }
                }
            }
        }
        Ok(ids)
    }

    fn anew(&mut self, recording: &Recording) -> Recording {
        self.pass();
        self.records += 1;
        let source_key = format!("{}#{}", recording.source_key, self.records);
        let at = recording.at.or_else(|| Some(agent_memory::testing::Clock::now(&*self.clock)));
        let mut again = recording.clone();
        (again.source_key, again.at) = (source_key, at);
        again
    }

    /// Ends the memory and removes its folder.
    ///
    /// # Errors
    /// The memory does not close.
    pub async fn close(self) -> Result<()> {
        self.memory.close(Duration::from_secs(5)).await?;
        Ok(())
    }
}

fn not_new(message: &str) -> Error {
    Error::Memory(MemoryError::new(ErrorKind::Conflict, "eval", message.to_owned()))
}
