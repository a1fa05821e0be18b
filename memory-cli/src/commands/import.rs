//! `memory import`

use std::fs::File;
use std::io::{self, BufRead, BufReader, IsTerminal};
use std::path::Path;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde_json::json;

use crate::cli::{Global, ImportArgs};
use crate::failure::{Exit, Failure};
use crate::import::{BadPlace, Defaults, Import, Sink, Tally};
use crate::output::Output;
use crate::output::style::{self, paint};
use crate::session::Session;
use crate::text;

const BUFFER_BYTES: usize = 256 << 10;

pub(crate) async fn run(
    global: &Global,
    arguments: &ImportArgs,
    output: &mut Output,
) -> Result<Exit, Failure> {
    // Before anything is recorded: are all files there?
    let sources = arguments.files.iter().map(|file| Source::open(file)).collect::<Result<Vec<_>, _>>()?;
    let session = Session::open(global, output).await?;
    let start = Instant::now();
    let mut watcher = Watcher::new(sources.iter().map(|source| source.bytes).sum(), output);
    let defaults = Defaults {
        domain: arguments.domain.clone(),
        agent: arguments.agent.clone(),
        limits: session.memory.limits().clone(),
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
    watcher.bar.finish_and_clear();
    let taken = start.elapsed();
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
        output.object(&object)?;
    } else {
        tell(&tally, taken, output)?;
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

/// Writes a number with its noun and the verb that goes with it.
fn were(count: u64, noun: &str) -> String {
    format!("{} {}", text::count(count, noun), if count == 1 { "was" } else { "were" })
}
