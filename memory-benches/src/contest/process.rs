//! Recall as hooks of agents call it: a whole process of the `memory` command, start to exit.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use libsql::Builder;
use tempfile::TempDir;

use crate::contest::filled::Filled;
use crate::{Result, Run, corpus};

/// Processes of each side that are run before the clock starts.
const WARM_UP: u64 = 3;

/// `memory recall` beside a process that opens the same SQLite file and selects one row.
pub struct RecallProcess {
    command: PathBuf,
    program: PathBuf,
    filled: Filled,
    episodes: u64,
    _folder: TempDir,
}

/// How long the processes of both sides took, start to exit.
#[derive(Debug, Default)]
pub struct Processes {
    /// `memory recall`
    pub ours: Run,
    /// The process that selects one row.
    pub baseline: Run,
}

impl RecallProcess {
    /// Makes an empty memory. `command` is the `memory` command, `program` the `bench-report` program.
    ///
    /// # Errors
    /// When a file cannot be made.
    pub fn new(command: impl Into<PathBuf>, program: impl Into<PathBuf>) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let filled = Filled::new(&folder.path().join("memory"))?;
        Ok(Self { command: command.into(), program: program.into(), filled, episodes: 0, _folder: folder })
    }

    /// Adds episodes with steps, all of one domain, until there are `total`, and learns from them.
    ///
    /// # Errors
    /// Whatever fails.
    pub fn fill(&mut self, total: u64) -> Result<()> {
        self.episodes = total;
        self.filled.fill(total)?;
        time(Command::new(&self.command).arg("--path").arg(self.filled.folder()).arg("consolidate"))?;
        Ok(())
    }

    /// Runs so many processes of each side, in turns, each recall with another question.
    ///
    /// # Errors
    /// When a process fails.
    pub fn run(&self, times: u64) -> Result<Processes> {
        let mut processes = Processes::default();
        for number in 0..WARM_UP + times {
            let question = corpus::question(number, self.episodes);
            let domain = question.domain.iter().flat_map(|domain| ["--domain", domain]);
            let mut recall = Command::new(&self.command);
            recall.arg("--json").arg("--path").arg(self.filled.folder()).arg("recall").args(domain);
            let ours = time(recall.arg(&question.text))?;
            let mut select = Command::new(&self.program);
            let baseline = time(select.arg("--select").arg(self.filled.folder()))?;
            if number >= WARM_UP {
                processes.ours.add(ours);
                processes.baseline.add(baseline);
            }
        }
        Ok(processes)
    }
}

/// Fills a folder as the recall contests do, for profiling.
///
/// # Errors
/// Whatever fails.
pub fn fill_and_leave(folder: &Path, episodes: u64) -> Result<()> {
    Filled::new(folder)?.fill(episodes)
}

/// Opens the SQLite file of a memory and selects one row.
///
/// # Errors
/// Whatever fails.
pub fn select_one(folder: &Path) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().build()?;
    runtime.block_on(async {
        let connection = Builder::new_local(folder.join("memory.db")).build().await?.connect()?;
        let mut rows = connection.query("SELECT * FROM records LIMIT 1", ()).await?;
        let row = rows.next().await?.ok_or("no row")?;
        std::hint::black_box(row);
        Ok(())
    })
}

/// Returns how long a process takes from its start to its exit.
fn time(command: &mut Command) -> Result<Duration> {
    let start = Instant::now();
    let status = command.stdin(Stdio::null()).stdout(Stdio::null()).status()?;
    let elapsed = start.elapsed();
    if !status.success() {
        return Err(format!("{command:?} ended with {status}").into());
    }
    Ok(elapsed)
}
