//! A memory in local mode with many finished episodes and their steps, as other processes find it.

use std::path::{Path, PathBuf};
use std::time::Duration;

use agent_memory::Memory;
use memory_core::Namespace;
use tokio::runtime::Runtime;

use crate::{Result, corpus, ours};

/// Episodes of one commit.
const FILL: u64 = 1_000;

/// A folder with a memory that no process has open, and how many episodes it has.
pub(crate) struct Filled {
    folder: PathBuf,
    episodes: u64,
    runtime: Runtime,
}

impl Filled {
    /// Makes the folder; the memory comes with the first episodes.
    pub(crate) fn new(folder: &Path) -> Result<Self> {
        std::fs::create_dir_all(folder)?;
        Ok(Self { folder: folder.to_owned(), episodes: 0, runtime: ours::runtime()? })
    }

    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    pub(crate) fn runtime(&self) -> &Runtime {
        &self.runtime
    }

    /// Adds the episodes of the corpus until there are `total`.
    pub(crate) fn fill(&mut self, total: u64) -> Result<()> {
        let (from, space) = (self.episodes, Namespace::default());
        self.episodes = self.episodes.max(total);
        self.runtime.block_on(async {
            let (engine, _slot) = ours::engine(&self.folder, None, &space).await?;
            for start in (from..total).step_by(FILL as usize) {
                let made = corpus::episodes(&space, start, total.min(start + FILL));
                let records = made.flatten().map(|(key, entity)| engine.version(key, Some(entity)));
                engine.commit(records.collect()).await?;
            }
            engine.close(Duration::from_secs(60)).await?;
            // A first opening sees what was committed and keeps its search documents for the next ones.
            Memory::open(&self.folder).await?.close(Duration::from_secs(60)).await?;
            Ok(())
        })
    }
}
