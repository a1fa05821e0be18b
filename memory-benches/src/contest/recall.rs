//! Recall and import, which have no raw comparator.

use std::time::{Duration, Instant};

use agent_memory::{Memory, RecallQuery};
use tempfile::TempDir;
use tokio::runtime::Runtime;

use crate::ours;
use crate::payload::{self, Text};
use crate::{Result, Run};

/// A memory in local mode that is filled with finished episodes and then asked.
pub struct RecallBook {
    memory: Memory,
    runtime: Runtime,
    recorded: u64,
    asked: u64,
    _folder: TempDir,
}

impl RecallBook {
    /// Opens an empty memory.
    ///
    /// # Errors
    /// When a file cannot be made.
    pub fn new() -> Result<Self> {
        let (folder, runtime) = (tempfile::tempdir()?, ours::runtime()?);
        let memory = runtime.block_on(Memory::open(folder.path()))?;
        Ok(Self { memory, runtime, recorded: 0, asked: 0, _folder: folder })
    }

    /// Records episodes (of three steps each) one after the other until there are `total`.
    ///
    /// # Errors
    /// Whatever fails.
    pub fn fill(&mut self, total: u64) -> Result<Run> {
        let recordings: Vec<_> = (self.recorded..total).map(payload::recording).collect();
        self.recorded = self.recorded.max(total);
        self.runtime.block_on(async {
            let mut run = Run::default();
            let start = Instant::now();
            for recording in recordings {
                let before = Instant::now();
                self.memory.record(recording).await?;
                run.latencies.push(before.elapsed());
            }
            run.elapsed = start.elapsed();
            Ok(run)
        })
    }

    /// Asks so many different questions.
    ///
    /// # Errors
    /// Whatever fails.
    pub fn ask(&mut self, questions: u64) -> Result<Run> {
        let from = self.asked;
        self.asked += questions;
        let questions: Vec<_> =
            (from..self.asked).map(|seed| RecallQuery::new(Text::new(!seed).sentence(8))).collect();
        self.runtime.block_on(async {
            let mut run = Run::default();
            let start = Instant::now();
            for question in questions {
                let before = Instant::now();
                std::hint::black_box(self.memory.recall(question).await?);
                run.latencies.push(before.elapsed());
            }
            run.elapsed = start.elapsed();
            Ok(run)
        })
    }
}

impl RecallBook {
    /// Returns how long so many questions take.
    ///
    /// # Errors
    /// Whatever fails.
    pub fn time(&mut self, questions: u64) -> Result<Duration> {
        Ok(self.ask(questions)?.elapsed)
    }
}
