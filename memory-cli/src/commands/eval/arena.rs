//! A fresh memory for one evaluation: its own folder, clock and ids, so that a seed gives the same answers again.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use agent_memory::{
    Embedder, EpisodeId, Error, ErrorKind, ManualClock, Memory, Recorded, Recording, SeededIds, Timestamp,
};
use tempfile::TempDir;

use crate::failure::{Exit, Failure};

/// When evaluations begin: 2026-01-01T00:00:00Z.
const BEGIN: Timestamp = Timestamp(1_767_225_600_000);
/// The time that a task takes, from one to the next.
const TASK: Duration = Duration::from_secs(600);

/// What recall goes by besides the words that episodes have.
#[derive(Clone, Copy)]
pub(super) struct Means<'a> {
    /// The folder of a model.
    pub(super) model: Option<&'a Path>,
    /// A model behind an endpoint.
    pub(super) endpoint: Option<&'a Arc<dyn Embedder>>,
    /// Whether the built-in table of words is used, if it is compiled in.
    pub(super) word_table: bool,
}

/// Makes a folder that nobody else may look into: it will have what the files say.
fn private_folder() -> std::io::Result<TempDir> {
    let mut builder = tempfile::Builder::new();
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o700));
    builder.prefix("memory-eval-").tempdir()
}

/// A memory that is gone when this is dropped.
pub(super) struct Arena {
    pub(super) memory: Memory,
    clock: Arc<ManualClock>,
    /// Records made, so that an episode that was forgotten can be recorded again as another.
    records: u64,
    /// Dropped after the memory.
    _folder: TempDir,
}

impl Arena {
    /// Opens a fresh memory that learns when it is told to.
    pub(super) async fn open(seed: u64, by: Means<'_>) -> Result<Self, Failure> {
        let folder = private_folder().map_err(|source| Failure::Command {
            exit: Exit::Failed,
            kind: "io",
            message: format!("cannot create a temporary folder: {source}"),
            hint: Some("set TMPDIR to a folder that you may write to".into()),
        })?;
        let clock = Arc::new(ManualClock::new(BEGIN));
        let mut builder = Memory::builder()
            .path(folder.path())
            .clock(clock.clone())
            .ids(Arc::new(SeededIds::new(seed)))
            .background_learning(false);
        if let Some(model) = by.model {
            builder = builder.embedding_model(model);
        }
        if let Some(endpoint) = by.endpoint {
            builder = builder.embedder(endpoint.clone());
        }
        if !by.word_table {
            builder = builder.word_table(false);
        }
        let memory = builder.open().await?;
        Ok(Self { memory, clock, records: 0, _folder: folder })
    }

    /// Returns what recall goes by: words, and the identities of the table of words and of the model if there are any.
    pub(super) fn provider(&self) -> String {
        let also = [self.memory.word_table(), self.memory.embedding_model()];
        ["words"].into_iter().chain(also.into_iter().flatten()).collect::<Vec<_>>().join(", ")
    }

    /// Lets the time of a task pass.
    pub(super) fn pass(&self) {
        self.clock.advance(TASK);
    }

    /// Records a finished episode as a new one, even if the same was recorded before.
    pub(super) async fn record(&mut self, recording: &Recording) -> Result<EpisodeId, Failure> {
        self.pass();
        self.records += 1;
        let source_key = format!("{}#{}", recording.source_key, self.records);
        match self.memory.record(Recording { source_key, ..recording.clone() }).await? {
            Recorded::New(id) => Ok(id),
            Recorded::Known(id) | Recorded::Forgotten(id) => {
                let message = format!("episode {id} is there already in a fresh memory");
                Err(Failure::Memory(Error::new(ErrorKind::Conflict, "eval", message)))
            }
        }
    }

    /// Ends the memory and removes its folder.
    pub(super) async fn close(self) -> Result<(), Failure> {
        self.memory.close(Duration::from_secs(5)).await?;
        Ok(())
    }
}
