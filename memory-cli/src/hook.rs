//! `memory hook`: what a coding agent says while it works is recorded, and it is answered with what is known that helps.
//!
//! The agent must never notice a fault of ours: the process always ends with exit code 0, within its deadline, and says
//! nothing rather than something wrong. Why it said nothing is a line in a log.

mod answer;
mod event;
mod journal;
mod turn;

use std::io::{Read, Write};
use std::panic::AssertUnwindSafe;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::cli::{AgentArg, Global, HookArgs};
use crate::failure::{Exit, Failure};
use crate::output::Output;
use crate::{repository, session};
use event::{Event, What};
use journal::{Journal, Line};

/// The most that is read of an event, in bytes. Agents send whole results of tools; of a larger event nothing is known.
const MAX_EVENT_BYTES: u64 = 64 << 20;

/// What became of an event.
#[derive(Debug)]
pub(crate) struct Said {
    /// The text for the agent; `None` to say nothing.
    pub(crate) text: Option<String>,
    /// Why it said that, or nothing.
    pub(crate) why: String,
}

impl Said {
    pub(crate) fn nothing(why: impl Into<String>) -> Self {
        Self { text: None, why: why.into() }
    }
}

/// Runs the hook, or shows its log. Except for `--why` it does not return: threads that still work end with the process.
pub(crate) fn run(global: &Global, arguments: &HookArgs, output: &mut Output) -> Result<Exit, Failure> {
    if arguments.why {
        return why(global, output);
    }
    let begun = Instant::now();
    let journal = session::folder(global, None).ok().map(|folder| Journal::new(&folder));
    let (send, receive) = mpsc::channel();
    std::thread::scope(|scope| {
        let _worker = std::thread::Builder::new().spawn_scoped(scope, || {
            let work = AssertUnwindSafe(|| work(global, arguments, &send));
            if std::panic::catch_unwind(work).is_err() {
                let _main_is_gone =
                    send.send(Message::Done(Said::nothing("a fault of the command: it panicked")));
            }
        });
        let deadline = Duration::from_millis(arguments.deadline_ms);
        let mut line = Line::new(arguments.agent.map(AgentArg::name));
        // The agent may be slow to write: the deadline is that of reading, and then that of the work.
        let mut from = Instant::now();
        let said = loop {
            match receive.recv_timeout(deadline.saturating_sub(from.elapsed())) {
                Ok(Message::Read { agent, event, answers }) => {
                    from = Instant::now();
                    line.agent = agent.to_owned();
                    line.event = event;
                    line.answers = answers;
                }
                Ok(Message::Done(said)) => break said,
                Err(mpsc::RecvTimeoutError::Timeout) => {
                    break Said::nothing(format!("not done within {} ms", arguments.deadline_ms));
                }
                Err(mpsc::RecvTimeoutError::Disconnected) => {
                    break Said::nothing("the system refuses threads");
                }
            }
        };
        if let Some(text) = &said.text
            && let Some(answer) = line.answer(text)
        {
            let mut stdout = std::io::stdout().lock();
            let _nobody_listens = writeln!(stdout, "{answer}").and_then(|()| stdout.flush());
        }
        if let Some(journal) = journal {
            journal.note(&line, &said, begun.elapsed());
        }
        std::process::exit(0)
    })
}

/// What the worker reports.
enum Message {
    /// The event was understood.
    Read {
        agent: &'static str,
        event: String,
        answers: Option<answer::Shape>,
    },
    Done(Said),
}

fn work(global: &Global, arguments: &HookArgs, send: &mpsc::Sender<Message>) {
    let said = match read(arguments) {
        Err(why) => Said::nothing(why),
        Ok(event) => {
            let answers = answer::Shape::of(&event);
            let read = Message::Read { agent: event.agent.name(), event: event.name.clone(), answers };
            let _main_is_gone = send.send(read);
            handle(global, arguments, &event)
        }
    };
    let _main_is_gone = send.send(Message::Done(said));
}

fn read(arguments: &HookArgs) -> Result<Event, String> {
    let mut bytes = Vec::new();
    let input = std::io::stdin().lock().take(MAX_EVENT_BYTES + 1).read_to_end(&mut bytes);
    input.map_err(|error| format!("cannot read standard input: {error}"))?;
    if bytes.len() as u64 > MAX_EVENT_BYTES {
        return Err(format!("the event is larger than {} MiB", MAX_EVENT_BYTES >> 20));
    }
    let value: Value =
        serde_json::from_slice(&bytes).map_err(|error| format!("the event is not JSON: {error}"))?;
    Event::read(&value, arguments.agent, arguments.event.as_deref())
}

fn handle(global: &Global, arguments: &HookArgs, event: &Event) -> Said {
    if let What::Other = event.what {
        return Said::nothing("nothing is to be done at this event");
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let runtime = match runtime {
        Ok(runtime) => runtime,
        Err(error) => return Said::nothing(format!("cannot start: {error}")),
    };
    let namespace =
        global.namespace.clone().unwrap_or_else(|| repository::namespace(event.folder.as_deref()));
    runtime.block_on(async {
        match turn::handle(global, arguments, event, &namespace).await {
            Ok(said) => said,
            Err(failure) => Said::nothing(
                failure
                    .report()
                    .map_or_else(|| "the answer cannot be written".into(), |report| report.message),
            ),
        }
    })
}

fn why(global: &Global, output: &mut Output) -> Result<Exit, Failure> {
    let journal = Journal::new(&session::folder(global, None)?);
    let lines = journal.last();
    if output.is_json() {
        output.object(&serde_json::json!({"log": journal.path().display().to_string(), "lines": lines}))?;
        return Ok(Exit::Done);
    }
    if lines.is_empty() {
        output.line(format!("No hook has run: {} is not there.", journal.path().display()))?;
    }
    for line in &lines {
        output.line(crate::text::one_line(&journal::shown(line)))?;
    }
    Ok(Exit::Done)
}
