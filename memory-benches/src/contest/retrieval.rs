//! Recall among many episodes, beside SQLite's full-text search and a plain scan of the same texts.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use agent_memory::{Memory, RecallQuery};
use memory_core::Namespace;
use tempfile::TempDir;

use crate::baseline::{Fts, scan};
use crate::contest::filled::Filled;
use crate::corpus::{self, FUNCTION_WORDS, Question};
use crate::words::WordVectors;
use crate::{Result, Run, ours};

/// Questions that are asked before the clock starts.
const WARM_UP: u64 = 100;
/// How long a memory that was just opened is left alone, so that what it does on opening does not count.
const SETTLE: Duration = Duration::from_secs(1);
/// The most time that vectors of all episodes may take to be made and stored.
const VECTORS_WITHIN: Duration = Duration::from_secs(600);
/// Questions for FTS5 and for the plain scan, at most: both take long.
const FTS_QUESTIONS: usize = 100;
const SCANS: usize = 20;

/// Three ways to find the same tasks: a memory's recall, FTS5, a scan.
pub struct Retrieval {
    program: PathBuf,
    filled: Filled,
    _folder: TempDir,
    fts: Fts,
    texts: Vec<String>,
}

/// How long each way took for the same questions.
#[derive(Debug, Default)]
pub struct Asked {
    /// `Memory::recall`, reading the records of its hits included.
    pub ours: Run,
    /// FTS5 with bm25, reading the bodies of its hits included; of the first questions only.
    pub fts: Run,
    /// Counting shared words in every text; of the first questions only.
    pub scan: Run,
}

/// What it took a new process to open the memory.
#[derive(Debug, Clone, Copy)]
pub struct Opened {
    /// From the call to the first answered recall.
    pub ready: Duration,
    /// What the recall index says it holds, in bytes.
    pub index_bytes: u64,
    /// By how much the process's resident memory grew, in bytes: the index, the page caches of both tiers, and what
    /// the allocator keeps.
    pub resident_bytes: u64,
}

impl Retrieval {
    /// Makes an empty memory and an empty FTS5 table. `program` is the `bench-report` program.
    ///
    /// # Errors
    /// When a file cannot be made.
    pub fn new(program: impl Into<PathBuf>) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let fts = Fts::create(&folder.path().join("fts.db"))?;
        let filled = Filled::new(&folder.path().join("memory"))?;
        Ok(Self { program: program.into(), filled, _folder: folder, fts, texts: Vec::new() })
    }

    /// Adds tasks to all three until there are `total`.
    ///
    /// # Errors
    /// Whatever fails.
    pub fn fill(&mut self, total: u64) -> Result<()> {
        let (from, space) = (self.texts.len() as u64, Namespace::default());
        self.filled.fill(total)?;
        let rows = corpus::episodes(&space, from, total).zip(from..).map(|(records, number)| {
            let body = records.last().and_then(|(_, episode)| episode.to_json().ok());
            (number, corpus::task(number).text(), body.unwrap_or_default())
        });
        let texts = &mut self.texts;
        self.fts.add(rows.inspect(|(_, text, _)| texts.push(text.clone())))
    }

    /// Asks all three so many different questions, one after the other.
    ///
    /// # Errors
    /// Whatever fails.
    pub fn ask(&mut self, questions: u64) -> Result<Asked> {
        let total = self.texts.len() as u64;
        let questions: Vec<_> =
            (0..WARM_UP + questions).map(|number| corpus::question(number, total)).collect();
        let words: Vec<_> = questions.iter().map(words).collect();
        let warm = WARM_UP as usize;
        let ours = self.filled.runtime().block_on(async {
            let memory = Memory::open(self.filled.folder()).await?;
            tokio::time::sleep(SETTLE).await;
            let run = answers(&memory, questions).await?;
            memory.close(Duration::from_secs(60)).await?;
            Result::Ok(run)
        })?;
        let first = |most: usize| &words[warm..words.len().min(warm + most)];
        let fts = self.fts.search(first(FTS_QUESTIONS))?;
        let scan = scan(&self.texts, first(SCANS));
        let run = |latencies: Vec<Duration>| Run { elapsed: latencies.iter().sum(), latencies };
        Ok(Asked { ours, fts: run(fts), scan: run(scan) })
    }

    /// Asks a copy of the memory that has a vector of so many dimensions for each episode; the model that makes them takes
    /// next to no time. Returns how long the same questions took as in [`Retrieval::ask`].
    ///
    /// # Errors
    /// Whatever fails; when the vectors are not made in time.
    pub fn ask_with_vectors(&self, questions: u64, dimensions: usize) -> Result<Run> {
        let total = self.texts.len() as u64;
        let folder = tempfile::tempdir()?;
        let copy = folder.path().join("memory");
        copy_folder(self.filled.folder(), &copy)?;
        self.filled.runtime().block_on(async {
            let model = Arc::new(WordVectors::new(dimensions));
            let memory = Memory::builder().path(&copy).embedder(model).open().await?;
            let deadline = Instant::now() + VECTORS_WITHIN;
            while memory.recall(corpus::question(0, total).text).await?.degraded.is_some() {
                if Instant::now() > deadline {
                    return Err(format!("no vectors within {VECTORS_WITHIN:?}").into());
                }
                tokio::time::sleep(SETTLE).await;
            }
            let questions = (0..WARM_UP + questions).map(|number| corpus::question(number, total));
            let run = answers(&memory, questions).await?;
            memory.close(Duration::from_secs(60)).await?;
            Ok(run)
        })
    }

    /// Has a new process open the memory and recall once.
    ///
    /// # Errors
    /// When it fails.
    pub fn open(&self) -> Result<Opened> {
        let output = Command::new(&self.program).arg("--open").arg(self.filled.folder()).output()?;
        let said = String::from_utf8(output.stdout)?;
        let figures = said.split_whitespace().map(str::parse).collect::<std::result::Result<Vec<u64>, _>>();
        match figures.as_deref() {
            Ok(&[micros, index_bytes, resident_bytes]) => {
                Ok(Opened { ready: Duration::from_micros(micros), index_bytes, resident_bytes })
            }
            _ => Err(format!("{said:?} {}", String::from_utf8_lossy(&output.stderr)).into()),
        }
    }
}

/// Opens a memory, recalls once, and prints what [`Opened`] tells: microseconds, index bytes, resident bytes.
///
/// # Errors
/// Whatever fails.
pub fn open_and_tell(folder: &Path) -> Result<()> {
    let before = resident_bytes()?;
    let runtime = ours::runtime()?;
    let start = Instant::now();
    runtime.block_on(async {
        let memory = Memory::open(folder).await?;
        std::hint::black_box(memory.recall(corpus::question(0, 1_000).text).await?);
        let ready = start.elapsed();
        let resident = resident_bytes()?.saturating_sub(before);
        println!("{} {} {resident}", ready.as_micros(), memory.status().await.engine.index_bytes);
        memory.close(Duration::from_secs(60)).await?;
        Ok(())
    })
}

/// Asks a memory as large as [`fill_and_leave`](crate::fill_and_leave) has made it so many questions, and prints the median
/// and the 99th percentile in microseconds: for a profiler.
///
/// # Errors
/// Whatever fails.
pub fn ask_and_tell(folder: &Path, questions: u64) -> Result<()> {
    ours::runtime()?.block_on(async {
        let memory = Memory::open(folder).await?;
        tokio::time::sleep(SETTLE).await;
        let episodes = memory.recall("anything").await?.searched as u64;
        let questions = (0..WARM_UP + questions).map(|number| corpus::question(number, episodes));
        let run = answers(&memory, questions).await?;
        memory.close(Duration::from_secs(60)).await?;
        println!("{} {}", run.percentile(0.5).as_micros(), run.percentile(0.99).as_micros());
        Ok(())
    })
}

/// Asks one question after the other; the first ones do not count.
async fn answers(memory: &Memory, questions: impl IntoIterator<Item = Question>) -> Result<Run> {
    let mut latencies = Vec::new();
    for question in questions {
        let query = RecallQuery::new(question.text);
        let query = question.domain.into_iter().fold(query, |query, domain| query.domain(domain));
        let before = Instant::now();
        std::hint::black_box(memory.recall(query).await?);
        latencies.push(before.elapsed());
    }
    latencies.drain(..WARM_UP as usize);
    Ok(Run { elapsed: latencies.iter().sum(), latencies })
}

fn copy_folder(from: &Path, to: &Path) -> Result<()> {
    std::fs::create_dir_all(to)?;
    for entry in std::fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy_folder(&entry.path(), &target)?;
        } else {
            std::fs::copy(entry.path(), target)?;
        }
    }
    Ok(())
}

/// Returns the words that a question is about, each once: what all three look for.
fn words(question: &Question) -> Vec<String> {
    let mut words: Vec<String> = question.text.split(' ').map(str::to_owned).collect();
    words.sort();
    words.dedup();
    words.retain(|word| !FUNCTION_WORDS.contains(&word.as_str()));
    words
}

/// Reads how much memory this process has in use, as Linux says.
fn resident_bytes() -> Result<u64> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).ok_or("no VmRSS")?;
    let kilobytes: u64 = line.trim().trim_end_matches("kB").trim().parse()?;
    Ok(kilobytes * 1_024)
}
