//! Recording the lines of files in batches: the next one is read while the one before is recorded.

use std::collections::BTreeSet;
use std::io::BufRead;
use std::sync::Arc;
use std::time::Duration;

use agent_memory::testing::{Clock, SystemClock};
use agent_memory::{Error, ErrorKind, Memory, Recorded, Recording, Timestamp};
use serde::Serialize;
use tokio::task::JoinHandle;

use super::format::parse;
use super::line::{BadLine, Defaults, Parsed};
use super::lines::{Line, Lines};
use crate::cli::Format;
use crate::failure::Failure;

/// Lines of a batch at most.
const BATCH_LINES: usize = 64;
/// Their bytes together, unless one alone has more.
const BATCH_BYTES: usize = 16 << 20;
/// The longest line, in bytes.
pub(crate) const MAX_LINE_BYTES: u64 = 32 << 20;
/// Lines without a time that share one millisecond: about as fast as they are recorded.
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

/// The result of an import.
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

/// Receives the progress of an import.
pub(crate) trait Sink {
    /// This many more bytes were read.
    fn read(&mut self, bytes: u64);
    /// A line was bad; the first hundred are reported.
    fn bad(&mut self, place: &BadPlace) -> std::io::Result<()>;
}

/// An import under way.
pub(crate) struct Import<'s> {
    memory: Memory,
    format: Format,
    strict: bool,
    defaults: Defaults,
    sink: &'s mut dyn Sink,
    /// Read, but not recorded, and how many bytes that are.
    batch: Vec<Read>,
    bytes: usize,
    /// The previous batch. One at a time, because the score of a line depends on those before it.
    recording: Option<JoinHandle<Vec<Done>>>,
    /// When the import began.
    begun: Timestamp,
    pub(crate) tally: Tally,
}

/// A line that was read.
struct Read {
    file: Arc<str>,
    line: u64,
    parsed: Parsed,
}

/// A line that was recorded, or not.
struct Done {
    file: Arc<str>,
    line: u64,
    steps: usize,
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
            batch: Vec::new(),
            bytes: 0,
            recording: None,
            begun: SystemClock::new().now(),
            tally: Tally::default(),
        }
    }

    /// Records the lines of a file; call it for one file after the other until one stops the import. On return
    /// nothing is under way, whether or not it failed.
    pub(crate) async fn file(&mut self, name: &str, reader: impl BufRead) -> Result<(), Failure> {
        let read = self.lines(name, reader).await;
        // Lines read before the failure are recorded nevertheless.
        let begun = self.begin().await;
        let settled = self.settle().await;
        read.and(begun).and(settled)
    }

    /// Ends the import and returns its result.
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
                Ok((parsed, bytes)) => self.add(&file, lines.number, parsed, bytes).await?,
                Err(BadLine(reason)) => {
                    self.bad(BadPlace { file: file.clone(), line: lines.number, reason })?
                }
            }
        }
        Ok(())
    }

    async fn add(
        &mut self,
        file: &Arc<str>,
        line: u64,
        mut parsed: Parsed,
        bytes: usize,
    ) -> Result<(), Failure> {
        // Learning follows the order of the lines, except within one millisecond. No line is from the future,
        // however many lines before it were known or bad.
        let at = Timestamp(self.begun.0 + self.tally.lines / LINES_A_MS).min(SystemClock::new().now());
        parsed.recording.at.get_or_insert(at);
        if self.batch.len() >= BATCH_LINES || !self.batch.is_empty() && self.bytes + bytes > BATCH_BYTES {
            self.begin().await?;
        }
        self.batch.push(Read { file: file.clone(), line, parsed });
        self.bytes += bytes;
        // Lines before a bad one are recorded and lines after it are not, so lines go one at a time.
        if self.strict {
            self.begin().await?;
            self.settle().await?;
        }
        Ok(())
    }

    /// Starts recording the lines read, once the previous batch is recorded.
    async fn begin(&mut self) -> Result<(), Failure> {
        let settled = self.settle().await;
        self.bytes = 0;
        let (memory, batch) = (self.memory.clone(), std::mem::take(&mut self.batch));
        self.recording = Some(tokio::spawn(record(memory, batch)));
        settled
    }

    /// Waits until no recording is in flight.
    async fn settle(&mut self) -> Result<(), Failure> {
        let mut failed = None;
        let Some(recording) = self.recording.take() else { return Ok(()) };
        let batch = recording.await.map_err(|source| {
            Failure::Memory(
                Error::new(ErrorKind::Closed, "import", "a batch of lines was given up on")
                    .with_source(source),
            )
        })?;
        for done in batch {
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

/// Records a batch.
async fn record(memory: Memory, batch: Vec<Read>) -> Vec<Done> {
    let recordings: Vec<&Recording> = batch.iter().map(|read| &read.parsed.recording).collect();
    let mut results = patiently(&memory, &recordings).await;
    // Stored here, but not on the server in time (`ack = "durable"`): the memory knows it on the next attempt.
    let is_kept = |result: &Result<Recorded, Error>| {
        result.as_ref().is_err_and(|error| error.kind() == ErrorKind::Unavailable)
    };
    let late: Vec<usize> = (0..batch.len()).filter(|place| is_kept(&results[*place])).collect();
    let again: Vec<&Recording> = late.iter().map(|place| recordings[*place]).collect();
    let mut confirmed = vec![true; batch.len()];
    for (place, again) in late.into_iter().zip(patiently(&memory, &again).await) {
        if let Ok(Recorded::Known(id)) = again {
            (results[place], confirmed[place]) = (Ok(Recorded::New(id)), false);
        }
    }
    let done = |((read, result), confirmed): ((Read, _), _)| {
        let Read { file, line, parsed: Parsed { recording, truncated } } = read;
        Done { file, line, steps: recording.actions.len(), truncated, result, confirmed }
    };
    batch.into_iter().zip(results).zip(confirmed).map(done).collect()
}

/// Records, and waits when the memory limits the rate.
async fn patiently(memory: &Memory, recordings: &[&Recording]) -> Vec<Result<Recorded, Error>> {
    let mut results: Vec<Result<Recorded, Error>> = Vec::with_capacity(recordings.len());
    // One at a time once the rate is reached.
    let mut together = recordings.len();
    while let Some(rest) = recordings.get(results.len()..).filter(|rest| !rest.is_empty()) {
        let recorded = memory.record_all(rest.iter().take(together).copied().cloned().collect()).await;
        let limited = |result: &Result<Recorded, Error>| {
            let error = result.as_ref().err()?;
            (error.kind() == ErrorKind::RateLimitExceeded)
                .then(|| error.retry_after().unwrap_or(Duration::from_millis(100)))
        };
        let wait = recorded.iter().find_map(limited);
        results.extend(recorded.into_iter().take_while(|result| limited(result).is_none()));
        if let Some(wait) = wait {
            together = 1;
            tokio::time::sleep(wait).await;
        }
    }
    results
}

/// Explains why the memory refuses an episode, and at which step.
fn refusal(error: &Error) -> String {
    let step = error.context().iter().find(|(name, _)| *name == "step");
    step.map_or_else(|| error.message().to_owned(), |(_, step)| format!("step {step}: {}", error.message()))
}
