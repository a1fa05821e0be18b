//! Recording what files have, in batches: the next one is read while the one before is recorded.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::io::BufRead;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

use agent_memory::testing::{Clock, SystemClock};
use agent_memory::{
    EpisodeId, EpisodeQuery, Error, ErrorKind, Feedback, Memory, Outcome, Recorded, Recording, Timestamp,
    Verdict,
};
use memory_import::{Format, Trajectory};
use serde::Serialize;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::convert::{Converted, Defaults, recording};
use crate::failure::Failure;

/// Episodes of a batch at most.
const BATCH_EPISODES: usize = 64;
/// Their steps together, unless one alone has more: bounds the texts that are held.
const BATCH_STEPS: usize = 2_000;
/// What is read ahead of recording, in messages of the reader.
const READ_AHEAD: usize = 64;
/// Episodes without a time that share one millisecond: about as fast as they are recorded.
const EPISODES_A_MS: u64 = 8;
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
    /// Episodes and bad lines that were read.
    pub(crate) lines: u64,
    pub(crate) new: u64,
    pub(crate) known: u64,
    pub(crate) forgotten: u64,
    /// Of those known: their outcome was not known before, and the source shows it now.
    pub(crate) revised: u64,
    /// Left out, because hooks recorded the session while it ran.
    pub(crate) hooked: u64,
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
    /// Lines and records of other types, by type: they say nothing about a task, or this version does not know them.
    pub(crate) skipped: BTreeMap<String, u64>,
    /// The first of the bad lines.
    pub(crate) bad_lines: BTreeSet<BadPlace>,
}

impl Tally {
    /// Adds the result of another import.
    pub(crate) fn add(&mut self, other: Self) {
        self.lines += other.lines;
        self.new += other.new;
        self.known += other.known;
        self.forgotten += other.forgotten;
        self.revised += other.revised;
        self.hooked += other.hooked;
        self.bad += other.bad;
        self.steps += other.steps;
        self.unconfirmed += other.unconfirmed;
        self.truncated += other.truncated;
        self.bytes += other.bytes;
        self.stopped |= other.stopped;
        for (kind, count) in other.skipped {
            *self.skipped.entry(kind).or_default() += count;
        }
        self.bad_lines.extend(other.bad_lines);
    }
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
    strict: bool,
    /// Episodes from before that are left out.
    since: Option<Timestamp>,
    defaults: Defaults,
    sink: &'s mut dyn Sink,
    /// Read, but not recorded, and how many bytes that are.
    batch: Vec<Read>,
    steps: usize,
    /// The previous batch. One at a time, because the score of a line depends on those before it.
    recording: Option<JoinHandle<Vec<Done>>>,
    /// Sessions, and whether hooks recorded them.
    hooked: HashMap<String, bool>,
    /// When the import began.
    begun: Timestamp,
    pub(crate) tally: Tally,
}

/// An episode that was read.
struct Read {
    file: Arc<str>,
    line: u64,
    converted: Converted,
}

/// An episode that was recorded, or not.
struct Done {
    file: Arc<str>,
    line: u64,
    steps: usize,
    truncated: u64,
    result: Result<Recorded, Error>,
    confirmed: bool,
    revised: bool,
}

impl<'s> Import<'s> {
    /// Prepares an import.
    pub(crate) fn new(
        memory: Memory,
        strict: bool,
        since: Option<Timestamp>,
        defaults: Defaults,
        sink: &'s mut dyn Sink,
    ) -> Self {
        Self {
            memory,
            strict,
            since,
            defaults,
            sink,
            batch: Vec::new(),
            steps: 0,
            recording: None,
            hooked: HashMap::new(),
            begun: SystemClock::new().now(),
            tally: Tally::default(),
        }
    }

    /// Records what a file has; call it for one file after the other until one stops the import. On return nothing is
    /// under way, whether or not it failed.
    pub(crate) async fn file(
        &mut self,
        name: &str,
        format: Format,
        reader: Box<dyn BufRead + Send>,
    ) -> Result<(), Failure> {
        let read = self.read(name, format, reader).await;
        // What was read before the failure is recorded nevertheless.
        let begun = self.begin().await;
        let recorded = self.wait().await;
        read.and(begun).and(recorded)
    }

    /// Ends the import and returns its result.
    pub(crate) fn into_tally(self) -> Tally {
        self.tally
    }

    async fn read(
        &mut self,
        name: &str,
        format: Format,
        mut reader: Box<dyn BufRead + Send>,
    ) -> Result<(), Failure> {
        let file: Arc<str> = name.into();
        let (send, mut receive) = mpsc::channel(READ_AHEAD);
        let reading = tokio::task::spawn_blocking(move || {
            memory_import::read(format, &mut reader, &mut Sending { to: send, bytes: 0 })
        });
        while let Some(message) = receive.recv().await {
            match message {
                Message::Trajectory(line, trajectory) => self.add(&file, line, *trajectory).await?,
                Message::Bad(line, reason) => {
                    self.tally.lines += 1;
                    self.bad(BadPlace { file: file.clone(), line, reason })?;
                }
                Message::Skipped(kind) => *self.tally.skipped.entry(kind).or_default() += 1,
                Message::Bytes(bytes) => {
                    self.tally.bytes += bytes;
                    self.sink.read(bytes);
                }
            }
            if self.tally.stopped {
                // The reader ends with its next message.
                receive.close();
                while receive.recv().await.is_some() {}
            }
        }
        let read = reading.await.map_err(|source| Failure::Memory(given_up().with_source(source)))?;
        read.map_err(|source| Failure::file(name, &source))
    }

    async fn add(&mut self, file: &Arc<str>, line: u64, trajectory: Trajectory) -> Result<(), Failure> {
        let mut converted = recording(trajectory, &self.defaults);
        if let (Some(since), Some(at)) = (self.since, converted.recording.at)
            && at < since
        {
            return Ok(());
        }
        self.tally.lines += 1;
        if self.is_hooked(&converted.recording).await? {
            self.tally.hooked += 1;
            return Ok(());
        }
        // Learning follows the order of the source, except within one millisecond. Nothing is from the future, however many
        // before it were known or bad.
        let at = Timestamp(self.begun.0 + self.tally.lines / EPISODES_A_MS).min(SystemClock::new().now());
        converted.recording.at.get_or_insert(at);
        let steps = converted.recording.actions.len();
        let is_full = self.batch.len() >= BATCH_EPISODES || self.steps + steps > BATCH_STEPS;
        if is_full && !self.batch.is_empty() {
            self.begin().await?;
        }
        self.batch.push(Read { file: file.clone(), line, converted });
        self.steps += steps;
        // What comes before a bad line is recorded and what comes after it is not, so episodes go one at a time.
        if self.strict {
            self.begin().await?;
            self.wait().await?;
        }
        Ok(())
    }

    /// Returns true for a session that hooks have recorded: its turns are there already, under other keys.
    async fn is_hooked(&mut self, recording: &Recording) -> Result<bool, Failure> {
        let task = &recording.task;
        let (Some(agent @ ("claude-code" | "codex")), Some(session)) =
            (task.agent.as_deref(), task.correlation_id.as_deref())
        else {
            return Ok(false);
        };
        if let Some(known) = self.hooked.get(session) {
            return Ok(*known);
        }
        let query = EpisodeQuery::default().correlation_id(format!("{agent}:{session}")).limit(1);
        let found = !self.memory.list(&query).await?.episodes.is_empty();
        self.hooked.insert(session.to_owned(), found);
        Ok(found)
    }

    /// Starts recording the lines read, once the previous batch is recorded.
    async fn begin(&mut self) -> Result<(), Failure> {
        let recorded = self.wait().await;
        self.steps = 0;
        let (memory, batch) = (self.memory.clone(), std::mem::take(&mut self.batch));
        self.recording = Some(tokio::spawn(record(memory, batch)));
        recorded
    }

    /// Waits until no recording is in flight.
    async fn wait(&mut self) -> Result<(), Failure> {
        let mut failed = None;
        let Some(recording) = self.recording.take() else { return Ok(()) };
        let batch = recording.await.map_err(|source| Failure::Memory(given_up().with_source(source)))?;
        for done in batch {
            match done.result {
                Ok(Recorded::New(_)) => {
                    self.tally.new += 1;
                    self.tally.unconfirmed += u64::from(!done.confirmed);
                    self.tally.steps += done.steps as u64;
                    self.tally.truncated += done.truncated;
                }
                Ok(Recorded::Known(_)) => {
                    self.tally.known += 1;
                    self.tally.revised += u64::from(done.revised);
                }
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

fn given_up() -> Error {
    Error::new(ErrorKind::Closed, "import", "a batch of episodes was given up on")
}

/// What the reader of a file sends.
enum Message {
    Trajectory(u64, Box<Trajectory>),
    Bad(u64, String),
    Skipped(String),
    /// So many bytes more were read.
    Bytes(u64),
}

/// Sends what is read to the recorder; waits while that is behind.
struct Sending {
    to: mpsc::Sender<Message>,
    /// The bytes reported so far.
    bytes: u64,
}

impl Sending {
    /// Ends reading once nobody receives any more.
    fn send(&self, message: Message) -> ControlFlow<()> {
        self.to.blocking_send(message).map_or(ControlFlow::Break(()), ControlFlow::Continue)
    }
}

impl memory_import::Sink for Sending {
    fn trajectory(&mut self, line: u64, trajectory: Trajectory) -> ControlFlow<()> {
        self.send(Message::Trajectory(line, Box::new(trajectory)))
    }

    fn bad(&mut self, line: u64, reason: String) -> ControlFlow<()> {
        self.send(Message::Bad(line, reason))
    }

    fn skipped(&mut self, kind: &str) {
        let _ends_with_the_next = self.send(Message::Skipped(kind.to_owned()));
    }

    fn progress(&mut self, bytes: u64) {
        let more = bytes.saturating_sub(self.bytes);
        self.bytes = bytes;
        let _ends_with_the_next = self.send(Message::Bytes(more));
    }
}

/// Records a batch.
async fn record(memory: Memory, batch: Vec<Read>) -> Vec<Done> {
    let recordings: Vec<&Recording> = batch.iter().map(|read| &read.converted.recording).collect();
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
    let mut done = Vec::with_capacity(batch.len());
    for ((read, result), confirmed) in batch.into_iter().zip(results).zip(confirmed) {
        let Read { file, line, converted: Converted { recording, truncated } } = read;
        let steps = recording.actions.len();
        let revised = match &result {
            Ok(Recorded::Known(id)) => revise(&memory, *id, recording.outcome, recording.confidence).await,
            _ => false,
        };
        done.push(Done { file, line, steps, truncated, result, confirmed, revised });
    }
    done
}

/// Gives an episode the outcome that its source shows by now, if nobody knew it when it was recorded: what the user said to
/// it came later. Returns whether that changed it; what cannot be changed now stays as it is.
async fn revise(memory: &Memory, id: EpisodeId, outcome: Outcome, confidence: f64) -> bool {
    if outcome.verdict() == Verdict::Unknown {
        return false;
    }
    let Ok(Some(held)) = memory.get(id).await else { return false };
    let is_unknown = held.episode.outcome.as_ref().is_some_and(|held| held.verdict() == Verdict::Unknown);
    let feedback = Feedback::new("transcript").outcome(outcome).confidence(confidence);
    is_unknown && memory.feedback(id, feedback).await.is_ok()
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
