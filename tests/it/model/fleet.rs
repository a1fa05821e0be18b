//! A fleet of machines, on which operations are carried out and checked.

use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use agent_memory::Memory;
use agent_memory::OpenEpisode;
use memory_core::{Action, Error, ErrorKind, Outcome, Task, Timestamp};
use memory_recall::query::RecallQuery;
use tempfile::TempDir;

use super::clock::MachineClock;
use super::ledger::{Known, Ledger};
use super::machine::{Machine, Place, instances_of};
use super::plan::{Op, Setup};
use super::server::{Server, lay_out};
use super::time::within;

/// What does not hold, in words.
pub(crate) type Violation = String;

/// How long a call may take before time moves on: on a machine where all is well, and on one where it waits to try
/// again.
const HEALTHY: Duration = Duration::from_secs(2);
const AILING: Duration = Duration::from_millis(10);
const CLOSING: Duration = Duration::from_millis(50);

/// How long flushing and closing may take, in the time of the runtime.
const FLUSH: Duration = Duration::from_millis(400);

/// A number for each text, so that no two are the same.
#[derive(Debug, Default)]
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> u64 {
        self.0 += 1;
        self.0
    }
}

pub(crate) struct Fleet {
    pub(crate) machines: Vec<Machine>,
    pub(crate) server: Option<std::sync::Arc<Server>>,
    /// The file of local mode.
    pub(crate) file: PathBuf,
    pub(crate) ledger: Ledger,
    episodes: usize,
    numbers: Numbers,
    _folder: TempDir,
}

impl Fleet {
    /// Sets the machines up and starts their processes.
    pub(crate) async fn start(setup: &Setup) -> Result<Self, Violation> {
        let folder = folder();
        let file = folder.path().join("memory.db");
        lay_out(&file);
        let server = setup.remote.then(|| Server::start(folder.path().join("server.db")));
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
        let now = Timestamp(u64::try_from(now.as_millis()).unwrap());
        let machine = |(number, host): (usize, &usize)| {
            let place = server.as_ref().map_or(Place::File(file.clone()), |it| Place::Server(it.clone()));
            let seed = 1 + number as u64;
            let instances = instances_of(folder.path(), *host);
            Machine::new(instances, place, setup.outbox_rows, MachineClock::new(now), seed)
        };
        let machines: Vec<Machine> = setup.hosts.iter().enumerate().map(machine).collect();
        let (ledger, numbers) = (Ledger::default(), Numbers::default());
        let mut fleet = Self { machines, server, file, ledger, episodes: 0, numbers, _folder: folder };
        for on in 0..fleet.machines.len() {
            fleet.open(on).await?;
        }
        fleet.come_to_rest().await;
        Ok(fleet)
    }

    /// Carries out one operation, checks what must hold of its answer, and lets tasks and threads finish what it began.
    pub(crate) async fn apply(&mut self, op: &Op) -> Result<(), Violation> {
        let outcome = self.carry_out(op).await;
        self.come_to_rest().await;
        outcome
    }

    /// Waits until no task and no thread does anything any more: a case is to run the same way again.
    async fn come_to_rest(&self) {
        let activity = || self.machines.iter().map(Machine::activity).sum::<u64>();
        let (mut last, mut unchanged) = (activity(), 0);
        while unchanged < 3 {
            for _ in 0..16 {
                tokio::task::yield_now().await;
            }
            // On this thread: what the other threads do is to be waited for.
            std::thread::sleep(Duration::from_micros(100));
            let now = activity();
            unchanged = if now == last { unchanged + 1 } else { 0 };
            last = now;
        }
    }

    async fn carry_out(&mut self, op: &Op) -> Result<(), Violation> {
        // Time passes, if little: two writes are not of the same moment.
        self.machines.iter().for_each(|machine| machine.clock.pass(1));
        match *op {
            Op::Start { on } => self.start_episode(on).await,
            Op::Step { on, episode } => self.step(on, episode).await.map(drop),
            Op::Complete { on, episode, success } => self.complete(on, episode, success).await,
            Op::Forget { on, episode } => self.forget(on, episode).await,
            Op::Recall { on, episode } => self.recall(on, episode).await,
            Op::Learn { on } => {
                let memory = self.memory(on);
                let learned = self.call(on, "learn", memory.learn()).await?;
                self.expect_if_healthy(on, "learn", learned.err())
            }
            Op::Note { on, episode } => self.note(on, episode).await,
            Op::Consolidate { on } => {
                let memory = self.memory(on);
                let cycle = self.call(on, "consolidate", memory.consolidate(None)).await?;
                self.expect_if_healthy(on, "consolidate", cycle.err())
            }
            Op::Flush { on } => self.flush(on).await.map(drop),
            Op::Pull { on } => {
                let memory = self.memory(on);
                let pulled = self.call(on, "pull", memory.engine().pull()).await?;
                if pulled.is_ok() {
                    self.machines[on].network.trusted();
                }
                self.expect_if_healthy(on, "pull", pulled.err())
            }
            Op::Upkeep { on } => {
                let memory = self.memory(on);
                let kept = self.call(on, "upkeep", memory.engine().upkeep()).await?;
                self.expect_if_healthy(on, "upkeep", kept.err())
            }
            Op::Close { on } => {
                // A task may be lingering for company, which takes time.
                let closed = within(CLOSING, self.machines[on].close(FLUSH)).await;
                let closed = closed.ok_or_else(|| format!("close hangs on {on}"))?;
                closed.map_err(|error| format!("close fails on {on}: {error:?}"))
            }
            Op::Open { on } => self.open(on).await,
            Op::Kill { on } => {
                self.machines[on].kill();
                Ok(())
            }
            Op::KillWriting { on, episode } => self.kill_writing(on, episode).await,
            Op::Pass { ms } => {
                self.machines.iter().for_each(|machine| machine.clock.pass(ms));
                self.ledger.time_passed(ms);
                Ok(())
            }
            Op::SetClock { on, by_ms } => {
                self.machines[on].clock.set_by(by_ms);
                Ok(())
            }
            Op::Cut { on } => {
                self.machines[on].network.cut(true);
                Ok(())
            }
            Op::Connect { on } => {
                self.machines[on].network.cut(false);
                Ok(())
            }
            Op::LoseAnswers { on, count } => {
                self.machines[on].network.lose_answers(count);
                Ok(())
            }
            Op::FillDisk { on, writes } => {
                if let Some(journal) = self.process(on).and_then(|process| process.journal.as_ref()) {
                    journal.fill_disk(writes);
                }
                self.machines[on].ails = true;
                Ok(())
            }
            Op::BackUp => {
                self.server().back_up(&self.backup()).await;
                self.ledger.backed_up();
                Ok(())
            }
            Op::Restore => {
                self.server().restore(&self.backup()).await;
                self.ledger.restored();
                Ok(())
            }
        }
    }

    fn backup(&self) -> PathBuf {
        self.file.with_extension("backup")
    }

    fn server(&self) -> &std::sync::Arc<Server> {
        self.server.as_ref().expect("the plan has these with a server only")
    }

    fn process(&self, on: usize) -> Option<&super::machine::Process> {
        self.machines[on].process.as_ref()
    }

    pub(crate) fn memory(&self, on: usize) -> Memory {
        self.process(on).expect("the plan has only running machines at work").memory.clone()
    }

    fn patience(&self, on: usize) -> Duration {
        if self.machines[on].is_healthy() { HEALTHY } else { AILING }
    }

    /// Waits for a call, which must not hang.
    pub(crate) async fn call<T>(
        &self,
        on: usize,
        what: &str,
        call: impl Future<Output = T>,
    ) -> Result<T, Violation> {
        within(self.patience(on), call).await.ok_or_else(|| format!("{what} hangs on {on}"))
    }

    /// Fails on an error that nothing about the machine explains.
    fn expect_if_healthy(&self, on: usize, what: &str, error: Option<Error>) -> Result<(), Violation> {
        match error {
            Some(error) if self.machines[on].is_healthy() && error.kind() != ErrorKind::QuotaExceeded => {
                Err(format!("{what} fails on {on}: {error:?}"))
            }
            _ => Ok(()),
        }
    }

    pub(crate) async fn open(&mut self, on: usize) -> Result<(), Violation> {
        let patience = self.patience(on);
        let opened = within(patience, self.machines[on].open()).await;
        let opened = opened.ok_or_else(|| format!("open hangs on {on}"))?;
        opened.map_err(|error| format!("open fails on {on}: {error:?}"))?;
        if self.machines[on].is_healthy() {
            // The puller asks at once; what comes next is not to depend on whether it was answered by then.
            let memory = self.memory(on);
            let pulled = self.call(on, "the first pull", memory.engine().pull()).await?;
            pulled.map_err(|error| format!("the first pull fails on {on}: {error:?}"))?;
        }
        Ok(())
    }

    async fn start_episode(&mut self, on: usize) -> Result<(), Violation> {
        let episode = self.episodes;
        self.episodes += 1;
        let word = format!("zq{episode}x{}", self.numbers.next());
        let memory = self.memory(on);
        let task = Task::new(format!("repair the valve {word}")).domain("plant");
        match self.call(on, "start", memory.start(task)).await? {
            Ok(handle) => {
                self.ledger.started(episode, handle.id(), word);
                self.handles(on).insert(episode, handle);
                Ok(())
            }
            Err(error) => self.expect_refusal(on, "start", &error),
        }
    }

    /// A write that needs nobody else is accepted, whatever is wrong with the server.
    fn expect_refusal(&self, on: usize, what: &str, error: &Error) -> Result<(), Violation> {
        let explained = match error.kind() {
            ErrorKind::QuotaExceeded => true,
            ErrorKind::Io => self.machines[on].ails,
            _ => false,
        };
        if explained { Ok(()) } else { Err(format!("{what} fails on {on}: {error:?}")) }
    }

    fn handles(&mut self, on: usize) -> &mut std::collections::HashMap<usize, OpenEpisode> {
        &mut self.machines[on].process.as_mut().expect("it runs").handles
    }

    /// Takes the handle of an episode, or resumes it. `None` if this machine cannot know it now.
    async fn handle(&mut self, on: usize, episode: usize) -> Result<Option<OpenEpisode>, Violation> {
        if let Some(handle) = self.handles(on).remove(&episode) {
            return Ok(Some(handle));
        }
        let Some(id) = self.ledger.get(episode).map(|fact| fact.id) else { return Ok(None) };
        let memory = self.memory(on);
        match self.call(on, "resume", memory.resume(id)).await? {
            Ok(handle) => Ok(Some(handle)),
            Err(error) => match error.kind() {
                ErrorKind::NotFound | ErrorKind::Conflict | ErrorKind::Unavailable => Ok(None),
                // A process may be killed by what it writes in the background, before it is asked.
                ErrorKind::Io | ErrorKind::Closed if self.machines[on].ails => Ok(None),
                _ => Err(format!("resume fails on {on}: {error:?}")),
            },
        }
    }

    /// Logs a step; returns whether one may have been written.
    async fn step(&mut self, on: usize, episode: usize) -> Result<bool, Violation> {
        let Some(mut handle) = self.handle(on, episode).await? else { return Ok(false) };
        let text = format!("turned {}", self.numbers.next());
        let logged =
            self.call(on, "step", handle.step(Action::tool("wrench").observation(text.clone()))).await?;
        let known = known(&logged);
        let fact = self.ledger.change(episode).expect("there is a handle");
        if let Some(known) = known {
            fact.note_step(text, known);
        }
        match logged {
            Ok(_) => {
                self.handles(on).insert(episode, handle);
                Ok(true)
            }
            Err(error) if matches!(error.kind(), ErrorKind::Conflict | ErrorKind::NotFound) => Ok(false),
            Err(error) => {
                self.handles(on).insert(episode, handle);
                self.expect_refusal(on, "step", &error).map(|()| true)
            }
        }
    }

    async fn note(&mut self, on: usize, episode: usize) -> Result<(), Violation> {
        let Some(mut handle) = self.handle(on, episode).await? else { return Ok(()) };
        let memory = self.memory(on);
        let recall = self.call(on, "recall", memory.recall("repair the valve")).await?;
        let noted = match recall {
            Ok(recall) => self.call(on, "recalled", handle.note_recall(&recall)).await?,
            Err(error) => Err(error),
        };
        match noted {
            Err(error) if matches!(error.kind(), ErrorKind::Conflict | ErrorKind::NotFound) => Ok(()),
            noted => {
                self.handles(on).insert(episode, handle);
                noted.or_else(|error| self.expect_refusal(on, "recalled", &error))
            }
        }
    }

    async fn complete(&mut self, on: usize, episode: usize, success: bool) -> Result<(), Violation> {
        let Some(handle) = self.handle(on, episode).await? else { return Ok(()) };
        let text = format!("sealed {}", self.numbers.next());
        let outcome = if success { Outcome::success(&*text) } else { Outcome::failure(&*text) };
        let completed = self.call(on, "complete", handle.complete(outcome)).await?;
        let known = known(&completed);
        let fact = self.ledger.change(episode).expect("there is a handle");
        if let Some(known) = known {
            fact.note_outcome(text, known);
        }
        match completed {
            Ok(_) => Ok(()),
            Err(error) if matches!(error.kind(), ErrorKind::Conflict | ErrorKind::NotFound) => Ok(()),
            Err(error) => self.expect_refusal(on, "complete", &error),
        }
    }

    async fn forget(&mut self, on: usize, episode: usize) -> Result<(), Violation> {
        let Some(id) = self.ledger.get(episode).map(|fact| fact.id) else { return Ok(()) };
        let memory = self.memory(on);
        let forgotten = self.call(on, "forget", memory.forget(id)).await?;
        let known = known(&forgotten).filter(|_| !matches!(forgotten, Ok(false)));
        let fact = self.ledger.change(episode).expect("it was looked up");
        fact.forgotten = fact.forgotten.max(known);
        self.expect_if_healthy(on, "forget", forgotten.err())
    }

    async fn recall(&mut self, on: usize, episode: usize) -> Result<(), Violation> {
        let Some(fact) = self.ledger.get(episode) else { return Ok(()) };
        let memory = self.memory(on);
        let query = RecallQuery::new(format!("repair the valve {}", fact.word)).domain("plant");
        let recalled = self.call(on, "recall", memory.recall(query)).await?;
        match recalled {
            Ok(_) => Ok(()),
            Err(_) if self.machines[on].ails => Ok(()),
            Err(error) => Err(format!("recall fails on {on}: {error:?}")),
        }
    }

    /// Flushes; returns whether all has arrived.
    pub(crate) async fn flush(&mut self, on: usize) -> Result<bool, Violation> {
        let memory = self.memory(on);
        let flushed = self.call(on, "flush", memory.flush(FLUSH)).await?;
        Ok(flushed.is_ok())
    }

    async fn kill_writing(&mut self, on: usize, episode: usize) -> Result<(), Violation> {
        let journal = self.process(on).and_then(|process| process.journal.clone());
        let journal = journal.expect("the plan has it with a server only");
        journal.kill_behind_next_append(true);
        self.machines[on].ails = true;
        let outcome = self.step(on, episode).await;
        self.machines[on].kill();
        self.machines[on].ails = false;
        outcome.map(drop)
    }
}

/// Returns what a caller knows of a write; `None` if it knows that nothing is stored.
fn known<T>(answer: &memory_core::Result<T>) -> Option<Known> {
    match answer {
        Ok(_) => Some(Known::Acknowledged),
        Err(error) => match error.kind() {
            ErrorKind::Conflict
            | ErrorKind::NotFound
            | ErrorKind::QuotaExceeded
            | ErrorKind::InvalidInput => None,
            _ => Some(Known::Unknown),
        },
    }
}

/// Makes a folder in memory where the system has such: nothing here is about power loss, and syncing to a disk would
/// take most of the time.
fn folder() -> TempDir {
    let memory = std::path::Path::new("/dev/shm");
    let folder = if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() };
    folder.unwrap()
}
