//! Opening after `kill -9` with a full outbox: child processes that are killed while they write.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use agent_memory::Memory;
use agent_memory::testing::MemoryConfig;
use memory_core::{Clock, Namespace, Outbox, SystemClock, SystemIds, Task};
use memory_storage_redb::codec::encode_row;
use memory_storage_redb::{OutboxOptions, RedbOutbox, Slots};
use tempfile::TempDir;

use crate::Result;
use crate::baseline::RedbFile;
use crate::ours;
use crate::payload::{self, Steps, Text};

/// Nobody listens there, and the kernel says so at once: the server is away.
const NO_SERVER: &str = "http://127.0.0.1:1";

/// Records of one commit while filling.
const FILL: usize = 1_000;

/// Every so many records is the head of an episode; the others are steps.
const HEAD_EVERY: usize = 11;

/// What a child process does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Fills the memory's outbox and goes on writing.
    Fill,
    /// Opens the memory, makes a write, says how long that took and goes on writing.
    Open,
    /// As [`Role::Fill`], on bare redb.
    FillRaw,
    /// As [`Role::Open`], on bare redb.
    OpenRaw,
}

impl Role {
    const ALL: [(Role, &str); 4] = [
        (Self::Fill, "fill"),
        (Self::Open, "open"),
        (Self::FillRaw, "fill-raw"),
        (Self::OpenRaw, "open-raw"),
    ];

    fn name(self) -> &'static str {
        Self::ALL.iter().find(|(role, _)| *role == self).map_or("", |(_, name)| name)
    }

    /// Reads a role's name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.iter().find(|(_, known)| *known == name).map(|(role, _)| *role)
    }
}

/// Two folders with an outbox of the same size each, ours and a raw redb file, whose writer was killed.
pub struct Keeper {
    program: std::path::PathBuf,
    folder: TempDir,
}

impl Keeper {
    /// Has both filled with so many bytes of rows by children, and kills these in mid-write. `program` is the
    /// `bench-report` program.
    ///
    /// # Errors
    /// When a child fails.
    pub fn fill(program: impl AsRef<Path>, bytes: u64) -> Result<Self> {
        let keeper = Self { program: program.as_ref().to_owned(), folder: tempfile::tempdir()? };
        keeper.round(Role::Fill, bytes)?;
        keeper.round(Role::FillRaw, bytes)?;
        Ok(keeper)
    }

    /// Returns how long a new process takes until its first write is accepted; then it is killed while it writes on.
    ///
    /// # Errors
    /// When the child fails.
    pub fn ours(&self) -> Result<Duration> {
        self.round(Role::Open, 0)
    }

    /// The same for a bare redb file with the same rows.
    ///
    /// # Errors
    /// When the child fails.
    pub fn baseline(&self) -> Result<Duration> {
        self.round(Role::OpenRaw, 0)
    }

    fn round(&self, role: Role, bytes: u64) -> Result<Duration> {
        let mut child = Command::new(&self.program)
            .args(["--child", role.name(), &bytes.to_string()])
            .arg(self.folder.path())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()?;
        let said = child.stdout.take().map(BufReader::new).ok_or("the child has no output").map(first_line);
        // Long enough to be in the middle of a write.
        std::thread::sleep(Duration::from_millis(20));
        end(&mut child)?;
        let said = said??;
        let micros = said.trim().parse::<u64>().map_err(|_| format!("the child said {said:?}"))?;
        Ok(Duration::from_micros(micros))
    }
}

fn first_line(mut output: BufReader<ChildStdout>) -> std::io::Result<String> {
    let mut line = String::new();
    output.read_line(&mut line)?;
    Ok(line)
}

/// Kills a child with SIGKILL.
fn end(child: &mut Child) -> Result<()> {
    child.kill()?;
    child.wait()?;
    Ok(())
}

/// Does what a role says, in a child process; it ends only by being killed, or with its parent.
///
/// # Errors
/// Whatever fails.
pub fn child(role: Role, bytes: u64, folder: &Path) -> Result<()> {
    match role {
        Role::Fill => fill(bytes, folder),
        Role::Open => open(folder),
        Role::FillRaw => fill_raw(bytes, folder),
        Role::OpenRaw => open_raw(folder),
    }
}

/// Makes records: an episode's head, ten steps, the next head.
struct Mix {
    space: Namespace,
    steps: Steps,
    text: Text,
}

impl Mix {
    fn new() -> Self {
        let space = Namespace::default();
        Self { steps: Steps::new(&space), text: Text::new(1), space }
    }

    fn records(&mut self, count: usize) -> Vec<memory_core::Record> {
        (0..count)
            .map(|index| match index % HEAD_EVERY {
                0 => {
                    self.steps = Steps::new(&self.space);
                    payload::head(&self.space, &mut self.text)
                }
                _ => self.steps.record(),
            })
            .collect()
    }
}

fn fill(bytes: u64, folder: &Path) -> Result<()> {
    let slot = Slots::claim(folder.join("instances"))?;
    let outbox = RedbOutbox::open(slot.path().join("outbox.redb"), OutboxOptions::default())?;
    let mut mix = Mix::new();
    while outbox.usage().bytes < bytes {
        outbox.append(&mix.records(FILL), SystemClock::new().now())?;
    }
    write_on(Duration::ZERO, || Ok(outbox.append(&mix.records(1), SystemClock::new().now()).map(drop)?))
}

fn open(folder: &Path) -> Result<()> {
    let runtime = ours::runtime()?;
    let start = Instant::now();
    let (memory, slot) = runtime.block_on(async {
        let (tiers, slot) = ours::tiers(folder, Some(NO_SERVER))?;
        let config = MemoryConfig::default();
        let (clock, ids) = (Arc::new(SystemClock::new()), Arc::new(SystemIds::default()));
        let memory = Memory::assemble(Namespace::default(), config, tiers, clock, ids).await?;
        memory.start(Task::new("the first write")).await?;
        Result::Ok((memory, slot))
    })?;
    let elapsed = start.elapsed();
    write_on(elapsed, || Ok(runtime.block_on(memory.start(Task::new("another write"))).map(drop)?))?;
    drop(slot);
    Ok(())
}

fn fill_raw(bytes: u64, folder: &Path) -> Result<()> {
    let mut file = RedbFile::open(&folder.join("raw.redb"))?;
    let (mut mix, mut written) = (Mix::new(), 0);
    while written < bytes {
        let rows = encode(&mix.records(FILL))?;
        written += rows.iter().map(|row| row.len() as u64).sum::<u64>();
        file.commit(rows.iter().map(Vec::as_slice))?;
    }
    write_raw_on(Duration::ZERO, file)
}

fn open_raw(folder: &Path) -> Result<()> {
    let rows = encode(&Mix::new().records(1))?;
    let start = Instant::now();
    let mut file = RedbFile::open(&folder.join("raw.redb"))?;
    file.commit(rows.iter().map(Vec::as_slice))?;
    write_raw_on(start.elapsed(), file)
}

fn write_raw_on(elapsed: Duration, mut file: RedbFile) -> Result<()> {
    let rows = encode(&Mix::new().records(1))?;
    write_on(elapsed, || file.commit(rows.iter().map(Vec::as_slice)))
}

fn encode(records: &[memory_core::Record]) -> Result<Vec<Vec<u8>>> {
    let now = SystemClock::new().now();
    Ok(records.iter().map(|record| encode_row(record, now)).collect::<memory_core::Result<_>>()?)
}

/// Says how long it took and writes until the process is killed, for ten seconds at most.
fn write_on(elapsed: Duration, mut write: impl FnMut() -> Result<()>) -> Result<()> {
    println!("{}", elapsed.as_micros());
    std::io::stdout().flush()?;
    let start = Instant::now();
    while start.elapsed() < Duration::from_secs(10) {
        write()?;
    }
    Ok(())
}
