//! Recording the lines of files, several at a time so that the commits of a group share an fsync.

use std::collections::{BTreeSet, HashSet};
use std::io::BufRead;
use std::sync::Arc;
use std::time::Duration;

use agent_memory::{Clock, Error, ErrorKind, Memory, Recorded, Recording, SystemClock, Timestamp};
use serde::Serialize;
use tokio::task::JoinSet;

use super::line::{BadLine, Defaults, Parsed, parse};
use super::lines::{Line, Lines};
use crate::cli::Format;
use crate::failure::Failure;

/// Lines that are recorded at a time.
const IN_FLIGHT: usize = 32;
/// Their steps and bytes together, unless one alone has more. Well below what may wait for the committer.
const IN_FLIGHT_STEPS: usize = 4_000;
const IN_FLIGHT_BYTES: usize = 16 << 20;
/// The longest line, in bytes.
pub(crate) const MAX_LINE_BYTES: u64 = 32 << 20;
/// Lines without a time of their own that are taken to be of the same millisecond: about as fast as they are recorded.
const LINES_A_MS: u64 = 8;
/// Bad lines that are remembered for the report; all are counted.
const MAX_TOLD: usize = 100;

/// Where a bad line is, and why it is bad.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub(crate) struct BadPlace {
    pub(crate) file: Arc<str>,
    pub(crate) line: u64,
    pub(crate) reason: String,
}

/// What an import did.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Tally {
    /// Lines read, without empty ones.
    pub(crate) lines: u64,
    pub(crate) new: u64,
    pub(crate) known: u64,
    pub(crate) forgotten: u64,
    pub(crate) bad: u64,
    /// Steps of the new episodes.
    pub(crate) steps: u64,
    /// New episodes that the durable tier has not confirmed in time; they are kept here and will be sent.
    pub(crate) unconfirmed: u64,
    /// Texts of the new episodes that were too long and were cut.
    pub(crate) truncated: u64,
    pub(crate) bytes: u64,
    /// Whether a bad line stopped it.
    pub(crate) stopped: bool,
    /// The first of the bad lines.
    pub(crate) bad_lines: BTreeSet<BadPlace>,
}

/// Who watches an import.
pub(crate) trait Sink {
    /// So many more bytes were read.
    fn read(&mut self, bytes: u64);
    /// A line was bad; the first hundred are told.
    fn bad(&mut self, place: &BadPlace) -> std::io::Result<()>;
}

/// An import under way.
pub(crate) struct Import<'s> {
    memory: Memory,
    format: Format,
    strict: bool,
    defaults: Defaults,
    sink: &'s mut dyn Sink,
    tasks: JoinSet<Done>,
    /// The source keys of what is being recorded: the same line twice must not be recorded twice at once.
    keys: HashSet<String>,
    steps: usize,
    bytes: usize,
    /// When the import began.
    begun: Timestamp,
    pub(crate) tally: Tally,
}

/// A line that was recorded, or not.
struct Done {
    file: Arc<str>,
    line: u64,
    key: String,
    steps: usize,
    bytes: usize,
    truncated: u64,
    result: Result<Recorded, Error>,
    confirmed: bool,
}

impl<'s> Import<'s> {
    /// Prepares an import.
    pub(crate) fn new(
        memory: Memory,
        format: Format,
        strict: bool,
        defaults: Defaults,
        sink: &'s mut dyn Sink,
    ) -> Self {
        Self {
            memory,
            format,
            strict,
            defaults,
            sink,
            tasks: JoinSet::new(),
            keys: HashSet::new(),
            steps: 0,
            bytes: 0,
            begun: SystemClock::new().now(),
            tally: Tally::default(),
        }
    }

    /// Records the lines of a file; call it for one file after the other until one stops the import. On return
    /// nothing is under way, whether or not it failed.
    pub(crate) async fn file(&mut self, name: &str, reader: impl BufRead) -> Result<(), Failure> {
        let read = self.lines(name, reader).await;
        let settled = self.settle(0, 0, 0).await;
        read.and(settled)
    }

    /// Ends the import and returns what it did.
    pub(crate) fn into_tally(self) -> Tally {
        self.tally
    }

    async fn lines(&mut self, name: &str, reader: impl BufRead) -> Result<(), Failure> {
        let file: Arc<str> = name.into();
        let mut lines = Lines::new(reader, MAX_LINE_BYTES);
        while !self.tally.stopped {
            let before = lines.position;
            let Some(line) = lines.next().map_err(|source| Failure::file(name, &source))? else { break };
            let read = lines.position - before;
            self.tally.bytes += read;
            self.sink.read(read);
            let parsed = match line {
                Line::Bytes(bytes) if bytes.trim_ascii().is_empty() => continue,
                Line::Bytes(bytes) => {
                    parse(&bytes, self.format, &self.defaults).map(|parsed| (parsed, bytes.len()))
                }
                Line::TooLong => Err(BadLine(format!("longer than {} MiB", MAX_LINE_BYTES >> 20))),
            };
            self.tally.lines += 1;
            match parsed {
                Ok((parsed, bytes)) => self.record(&file, lines.number, parsed, bytes).await?,
                Err(BadLine(reason)) => {
                    self.bad(BadPlace { file: file.clone(), line: lines.number, reason })?
                }
            }
        }
        Ok(())
    }

    async fn record(
        &mut self,
        file: &Arc<str>,
        line: u64,
        parsed: Parsed,
        bytes: usize,
    ) -> Result<(), Failure> {
        let Parsed { mut recording, truncated } = parsed;
        // Lines are recorded several at a time; what is learned follows their order but for those of one millisecond, whichever
        // of them is done first. None is from the future, however many lines before it were known or bad.
        let at = Timestamp(self.begun.0 + self.tally.lines / LINES_A_MS).min(SystemClock::new().now());
        recording.at.get_or_insert(at);
        let (key, steps) = (recording.source_key.clone(), recording.actions.len());
        let room = if self.keys.contains(&key) {
            (0, 0, 0)
        } else {
            (IN_FLIGHT - 1, IN_FLIGHT_STEPS.saturating_sub(steps), IN_FLIGHT_BYTES.saturating_sub(bytes))
        };
        self.settle(room.0, room.1, room.2).await?;
        self.keys.insert(key.clone());
        self.steps += steps;
        self.bytes += bytes;
        let (memory, file) = (self.memory.clone(), file.clone());
        self.tasks.spawn(async move {
            let mut result = patiently(&memory, &recording).await;
            let mut confirmed = true;
            // Kept here, but not there in time (`ack = "durable"`): the memory knows it when asked again.
            if result.as_ref().is_err_and(|error| error.kind() == ErrorKind::Unavailable)
                && let Ok(Recorded::Known(id)) = patiently(&memory, &recording).await
            {
                (result, confirmed) = (Ok(Recorded::New(id)), false);
            }
            Done { file, line, key, steps, bytes, truncated, result, confirmed }
        });
        // What came before a bad line is recorded and what comes after is not: one at a time.
        if self.strict { self.settle(0, 0, 0).await } else { Ok(()) }
    }

    /// Waits until at most so many lines, steps and bytes are under way.
    async fn settle(&mut self, lines: usize, steps: usize, bytes: usize) -> Result<(), Failure> {
        let mut failed = None;
        while self.tasks.len() > lines || !self.tasks.is_empty() && (self.steps > steps || self.bytes > bytes)
        {
            let Some(done) = self.tasks.join_next().await else { break };
            let done = done.map_err(|source| {
                Failure::Memory(
                    Error::new(ErrorKind::Closed, "import", "a line was given up on").with_source(source),
                )
            })?;
            self.keys.remove(&done.key);
            self.steps -= done.steps;
            self.bytes -= done.bytes;
            match done.result {
                Ok(Recorded::New(_)) => {
                    self.tally.new += 1;
                    self.tally.unconfirmed += u64::from(!done.confirmed);
                    self.tally.steps += done.steps as u64;
                    self.tally.truncated += done.truncated;
                }
                Ok(Recorded::Known(_)) => self.tally.known += 1,
                Ok(Recorded::Forgotten(_)) => self.tally.forgotten += 1,
                Err(error) if error.kind() == ErrorKind::InvalidInput => {
                    let reason = refusal(&error);
                    self.bad(BadPlace { file: done.file, line: done.line, reason })?;
                }
                Err(error) => {
                    failed.get_or_insert(Failure::Memory(
                        error.with_context("line", format!("{}:{}", done.file, done.line)),
                    ));
                }
            }
        }
        failed.map_or(Ok(()), Err)
    }

    fn bad(&mut self, place: BadPlace) -> Result<(), Failure> {
        self.tally.bad += 1;
        self.tally.stopped |= self.strict;
        if self.tally.bad_lines.len() < MAX_TOLD {
            self.sink.bad(&place)?;
            self.tally.bad_lines.insert(place);
        }
        Ok(())
    }
}

/// Records, and waits where the memory limits the rate.
async fn patiently(memory: &Memory, recording: &Recording) -> Result<Recorded, Error> {
    loop {
        match memory.record(recording.clone()).await {
            Err(error) if error.kind() == ErrorKind::RateLimitExceeded => {
                tokio::time::sleep(error.retry_after().unwrap_or(Duration::from_millis(100))).await;
            }
            result => return result,
        }
    }
}

/// Tells why the memory refuses an episode, and at which step.
fn refusal(error: &Error) -> String {
    let step = error.context().iter().find(|(name, _)| *name == "step");
    step.map_or_else(|| error.message().to_owned(), |(_, step)| format!("step {step}: {}", error.message()))
}
