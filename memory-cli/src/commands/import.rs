//! `memory import`

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufRead, BufReader, IsTerminal};
use std::path::Path;
use std::time::{Duration, Instant};

use agent_memory::status::BreakerState;
use agent_memory::{Error, Kind, Memory};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde_json::{Value, json};

use crate::cli::{Global, ImportArgs};
use crate::failure::{Exit, Failure};
use crate::import::{BadPlace, Defaults, Import, Sink, Tally};
use crate::output::Output;
use crate::output::style::{self, paint};
use crate::session::{DRAIN, Session};
use crate::text;

const BUFFER_BYTES: usize = 256 << 10;

pub(crate) async fn run(
    global: &Global,
    arguments: &ImportArgs,
    output: &mut Output,
) -> Result<Exit, Failure> {
    if arguments.files.iter().filter(|file| file.as_os_str() == "-").count() > 1 {
        return Err(Failure::usage("standard input (-) is given twice", "it can be read once only"));
    }
    // Before anything is recorded: are all files there?
    let sources = arguments.files.iter().map(|file| Source::open(file)).collect::<Result<Vec<_>, _>>()?;
    let learn = !arguments.no_learn;
    // Learning waits until everything is recorded, so that it does not depend on which line was recorded first.
    let session = Session::open_with(global, output, |builder| builder.background_learning(false)).await?;
    let start = Instant::now();
    let mut watcher = Watcher::new(sources.iter().map(|source| source.bytes).sum(), output);
    let defaults = Defaults {
        domain: arguments.domain.clone(),
        agent: arguments.agent.clone(),
        limits: session.memory.limits().clone(),
        redactor: session.memory.redactor().clone(),
    };
    let mut import =
        Import::new(session.memory.clone(), arguments.format, arguments.strict, defaults, &mut watcher);
    let mut failed = None;
    for source in sources {
        if import.tally.stopped || failed.is_some() {
            break;
        }
        failed = import.file(&source.name, source.reader).await.err();
    }
    let tally = import.into_tally();
    let taken = start.elapsed();
    let learned = if learn && failed.is_none() {
        watcher.learns();
        match session.memory.learn().await {
            // Nothing was new, nor had an interrupted import left anything.
            Ok(learned) if tally.new == 0 && learned.episodes == 0 => None,
            Ok(_) => Some(known(&session.memory).await),
            Err(error) => Some(Err(error)),
        }
    } else {
        None
    };
    watcher.bar.finish_and_clear();
    if let Some(failure) = failed {
        let remark = match tally.new {
            0 => "nothing was recorded before that".to_owned(),
            new => format!("{} recorded before that, and will not be recorded twice", were(new, "episode")),
        };
        if !output.is_json() {
            output.note("note", style::UNSURE, remark)?;
        }
        session.close().await?;
        return Err(failure);
    }
    if output.is_json() {
        let left = session.drain(output).await?;
        let mut object = json!(tally);
        object["elapsed_ms"] = u64::try_from(taken.as_millis()).unwrap_or(u64::MAX).into();
        object["waiting"] = left.rows.into();
        object["learned"] =
            learned.and_then(Result::ok).flatten().map_or(Value::Null, |learned| json!(learned));
        output.object(&object)?;
    } else {
        tell(&tally, taken, output)?;
        match learned {
            Some(Ok(Some(learned))) => {
                output.line(format!("  the memory now knows: {}", knowledge(&learned)))?;
            }
            // The episode is recorded nevertheless, and stays due.
            Some(Err(error)) => {
                let remark = format!("nothing was learned yet, later commands catch up: {error}");
                output.note("note", style::UNSURE, text::one_line(&remark))?;
            }
            Some(Ok(None)) | None => {}
        }
        session.drain(output).await?;
    }
    Ok(if tally.bad > 0 { Exit::BadLines } else { Exit::Done })
}

/// A file to read.
struct Source {
    name: String,
    reader: Box<dyn BufRead>,
    /// Its size, as far as that is known.
    bytes: u64,
}

impl Source {
    fn open(path: &Path) -> Result<Self, Failure> {
        if path.as_os_str() == "-" {
            return Ok(Self {
                name: "standard input".into(),
                reader: Box::new(io::stdin().lock()),
                bytes: 0,
            });
        }
        let name = path.display().to_string();
        let opened = File::open(path).and_then(|file| {
            let metadata = file.metadata()?;
            if metadata.is_dir() {
                return Err(io::Error::new(io::ErrorKind::IsADirectory, "it is a folder"));
            }
            Ok((file, metadata.len()))
        });
        let (file, bytes) = opened.map_err(|source| Failure::file(&name, &source))?;
        Ok(Self { name, reader: Box::new(BufReader::with_capacity(BUFFER_BYTES, file)), bytes })
    }
}

/// Shows a progress bar on a terminal, and bad lines as they are found.
struct Watcher<'o> {
    bar: ProgressBar,
    output: &'o mut Output,
}

impl<'o> Watcher<'o> {
    fn new(bytes: u64, output: &'o mut Output) -> Self {
        let wanted = io::stderr().is_terminal() && !output.is_json();
        let target =
            if wanted { ProgressDrawTarget::stderr_with_hz(10) } else { ProgressDrawTarget::hidden() };
        let bar = if bytes > 0 { ProgressBar::new(bytes) } else { ProgressBar::no_length() };
        let template = if bytes > 0 {
            "importing {wide_bar} {bytes}/{total_bytes} {bytes_per_sec} {eta}"
        } else {
            "importing {spinner} {bytes} {bytes_per_sec}"
        };
        bar.set_draw_target(target);
        // Without its own style the bar has a plain one.
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style);
        }
        Self { bar, output }
    }
}

impl Watcher<'_> {
    /// Switches from reading to learning.
    fn learns(&self) {
        if let Ok(style) = ProgressStyle::with_template("{spinner} learning {elapsed}") {
            self.bar.set_style(style);
        }
        self.bar.enable_steady_tick(Duration::from_millis(100));
    }
}

impl Sink for Watcher<'_> {
    fn read(&mut self, bytes: u64) {
        self.bar.inc(bytes);
    }

    fn bad(&mut self, place: &BadPlace) -> io::Result<()> {
        if self.output.is_json() {
            return Ok(());
        }
        let told = format!("{}:{}: {}", place.file, place.line, place.reason);
        self.bar.suspend(|| self.output.note("bad line", style::BAD, told))
    }
}

fn tell(tally: &Tally, taken: Duration, output: &mut Output) -> Result<(), Failure> {
    let told = tally.bad_lines.len() as u64;
    if tally.bad > told {
        let remark = format!("{} more", text::number(tally.bad - told));
        output.note("bad lines", style::BAD, remark)?;
    }
    let read = format!("{} in {}", text::bytes(tally.bytes), text::duration(taken));
    if tally.new > 0 {
        let rate = tally.new as f64 / taken.as_secs_f64().max(1e-6);
        let head = format!("{} recorded", were(tally.new, "episode"));
        output.line(format!(
            "{}, with {}: {read}, {} episodes/s",
            paint(style::GOOD.bold(), head),
            text::count(tally.steps, "step"),
            text::number(rate as u64),
        ))?;
    } else {
        output.line(format!("{}: {read}", paint(style::TITLE, "Nothing new was recorded")))?;
    }
    let others = [
        (tally.known, "known already", style::PLAIN),
        (tally.forgotten, "forgotten before and left so", style::PLAIN),
        (
            tally.bad,
            if tally.stopped {
                "bad: stopped there (--strict); what came before stays recorded"
            } else {
                "bad and skipped"
            },
            style::BAD,
        ),
    ];
    for (count, what, look) in others {
        if count > 0 {
            output.line(paint(look, format!("  {} {what}", text::count(count, "line"))))?;
        }
    }
    if tally.unconfirmed > 0 {
        let remark = format!(
            "{} not confirmed by the durable tier in time; kept here, to be sent when it answers",
            were(tally.unconfirmed, "episode")
        );
        output.note("note", style::UNSURE, remark)?;
    }
    if tally.truncated > 0 {
        let told = format!("  {} too long and cut, with a mark", were(tally.truncated, "text"));
        output.line(paint(style::UNSURE, told))?;
    }
    Ok(())
}

/// Returns how many records of each kind of knowledge there are; `None` while not all has arrived at the
/// durable tier, which counts them.
pub(super) async fn known(memory: &Memory) -> Result<Option<BTreeMap<&'static str, u64>>, Error> {
    // One that does not answer is not waited for.
    let breaker = memory.status().await.engine.breaker;
    let answers = breaker.is_none_or(|breaker| breaker.state == BreakerState::Closed);
    if !answers || memory.flush(DRAIN).await.is_err() {
        return Ok(None);
    }
    let Some(records) = memory.status().await.engine.records else { return Ok(None) };
    let learned = [Kind::Heuristic, Kind::Pattern, Kind::Playbook, Kind::Failure].map(Kind::name);
    Ok(Some(learned.into_iter().filter_map(|kind| Some((kind, *records.get(kind)?))).collect()))
}

/// Returns how much is known, in words.
pub(super) fn knowledge(learned: &BTreeMap<&'static str, u64>) -> String {
    let counted: Vec<String> = learned
        .iter()
        .filter(|(_, count)| **count > 0)
        .map(|(kind, count)| text::count(*count, kind))
        .collect();
    if counted.is_empty() { "nothing that holds so far".into() } else { counted.join(", ") }
}

/// Writes a number with its noun and the matching verb.
fn were(count: u64, noun: &str) -> String {
    format!("{} {}", text::count(count, noun), if count == 1 { "was" } else { "were" })
}
