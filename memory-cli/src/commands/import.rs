//! `memory import`

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufRead, BufReader, IsTerminal, Read};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

use agent_memory::status::BreakerState;
use agent_memory::{Error, Kind, Memory, Timestamp};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use memory_import::{Trajectory, Verdict};
use serde_json::{Value, json};

use crate::cli::{Format, Global, ImportArgs};
use crate::failure::{Exit, Failure};
use crate::import::{BadPlace, Defaults, Import, Sink, Tally, histories};
use crate::output::Output;
use crate::output::style::{self, paint};
use crate::repository;
use crate::session::{DRAIN, Session};
use crate::text;

const BUFFER_BYTES: usize = 256 << 10;
/// What is read of a file to recognise its format: session files begin with long lines.
const START_BYTES: u64 = 1 << 20;
/// Bad lines that a dry run names; all are counted.
const BAD_LINES: usize = 100;
/// How often `--watch` looks for what has been written.
const WATCH: Duration = Duration::from_secs(2);

pub(crate) async fn run(
    global: &Global,
    arguments: &ImportArgs,
    output: &mut Output,
) -> Result<Exit, Failure> {
    if arguments.files.iter().filter(|file| file.as_os_str() == "-").count() > 1 {
        return Err(Failure::usage("standard input (-) is given twice", "it can be read once only"));
    }
    if arguments.watch && arguments.files.iter().any(|file| file.as_os_str() == "-") {
        return Err(Failure::usage("--watch does not go with standard input (-)", "give a file"));
    }
    // Before anything is recorded: are all files there?
    let mut seen = Seen::default();
    let groups = groups(arguments, &mut seen)?;
    if arguments.dry_run {
        return dry_run(groups, arguments, output);
    }
    let exit = import(global, arguments, groups, output).await?;
    if !arguments.watch {
        return Ok(exit);
    }
    // One future for all turns: an interruption during an import ends it after that.
    let interrupted = tokio::signal::ctrl_c();
    tokio::pin!(interrupted);
    loop {
        tokio::select! {
            _ = &mut interrupted => return Ok(exit),
            () = tokio::time::sleep(WATCH) => {}
        }
        let groups = self::groups(arguments, &mut seen)?;
        if !groups.is_empty() {
            import(global, arguments, groups, output).await?;
        }
    }
}

/// Files that go into one namespace; `None` for the one of the flags.
struct Group {
    namespace: Option<String>,
    sources: Vec<Source>,
}

/// Files as they were when they were last read: `--watch` reads those that have changed.
#[derive(Default)]
struct Seen {
    files: BTreeMap<PathBuf, (u64, Option<SystemTime>)>,
}

impl Seen {
    /// Returns true for a file that was not seen as it is now.
    fn is_new(&mut self, file: &Path) -> bool {
        let Ok(metadata) = file.metadata() else { return true };
        let now = (metadata.len(), metadata.modified().ok());
        self.files.insert(file.to_owned(), now) != Some(now)
    }
}

/// Returns the files to read. The histories of an agent go into the namespaces of their repositories, where its hooks record.
fn groups(arguments: &ImportArgs, seen: &mut Seen) -> Result<Vec<Group>, Failure> {
    if !arguments.files.is_empty() {
        let files = arguments.files.iter().filter(|file| file.as_os_str() == "-" || seen.is_new(file));
        let sources = files.map(|file| Source::open(file)).collect::<Result<Vec<_>, _>>()?;
        return Ok(if sources.is_empty() { Vec::new() } else { vec![Group { namespace: None, sources }] });
    }
    let agent = arguments.agent.as_deref().unwrap_or_default();
    let known = clap::ValueEnum::from_str(agent, false).ok();
    let home = std::env::var_os("HOME").or_else(|| std::env::var_os("USERPROFILE")).map(PathBuf::from);
    let found = known.zip(home).and_then(|(agent, home)| histories(agent, &home));
    let Some(found) = found else {
        let message = format!("no file is given, and where {agent:?} keeps its histories is not known");
        return Err(Failure::usage(message, "give files, or --agent claude-code or codex"));
    };
    let mut groups: BTreeMap<Option<PathBuf>, Vec<Source>> = BTreeMap::new();
    for history in found.into_iter().filter(|history| seen.is_new(&history.file)) {
        groups.entry(history.folder).or_default().push(Source::later(&history.file));
    }
    // Several folders may be one repository.
    let mut spaces: BTreeMap<String, Vec<Source>> = BTreeMap::new();
    for (folder, sources) in groups {
        let space = repository::namespace(folder.as_deref());
        spaces.entry(space).or_default().extend(sources);
    }
    Ok(spaces.into_iter().map(|(space, sources)| Group { namespace: Some(space), sources }).collect())
}

async fn import(
    global: &Global,
    arguments: &ImportArgs,
    groups: Vec<Group>,
    output: &mut Output,
) -> Result<Exit, Failure> {
    let start = Instant::now();
    let mut total = Tally::default();
    let mut learned: Option<Result<Option<BTreeMap<&'static str, u64>>, Error>> = None;
    let mut waiting = 0;
    let several = groups.len() > 1;
    for Group { namespace, sources } in groups {
        // Learning waits until all is recorded: then it does not depend on which line was recorded first.
        let session = Session::open_with(global, output, |builder| {
            let builder = builder.background_learning(false);
            match namespace.as_deref().filter(|_| global.namespace.is_none()) {
                Some(namespace) => builder.namespace(namespace),
                None => builder,
            }
        })
        .await?;
        let mut watcher = Watcher::new(sources.iter().map(|source| source.bytes).sum(), output);
        let defaults = Defaults {
            domain: arguments.domain.clone(),
            agent: arguments.agent.clone(),
            limits: session.memory.limits().clone(),
            redactor: session.memory.redactor().clone(),
        };
        let since = arguments.since.map(|since| since.0);
        let mut import = Import::new(session.memory.clone(), arguments.strict, since, defaults, &mut watcher);
        let mut failed = None;
        for source in sources {
            if import.tally.stopped || failed.is_some() {
                break;
            }
            failed = match source.reader(arguments.format) {
                Ok((name, format, reader)) => import.file(&name, format, reader).await.err(),
                Err(failure) => Some(failure),
            };
        }
        let tally = import.into_tally();
        if !arguments.no_learn && failed.is_none() {
            watcher.learns();
            learned = match session.memory.learn().await {
                // Nothing was new, nor had an interrupted import left anything.
                Ok(learned) if tally.new == 0 && learned.episodes == 0 => None,
                Ok(_) => Some(known(&session.memory).await),
                Err(error) => Some(Err(error)),
            };
        }
        watcher.bar.finish_and_clear();
        let new = tally.new;
        let stopped = tally.stopped;
        total.add(tally);
        if let Some(failure) = failed {
            let remark = match new {
                0 => "nothing was recorded before that".to_owned(),
                new => {
                    format!("{} recorded before that, and will not be recorded twice", were(new, "episode"))
                }
            };
            if !output.is_json() {
                output.note("note", style::UNSURE, remark)?;
            }
            session.close().await?;
            return Err(failure);
        }
        waiting += session.drain(output).await?.rows;
        if stopped {
            break;
        }
    }
    report(&total, start.elapsed(), learned.filter(|_| !several), waiting, output)?;
    Ok(if total.bad > 0 { Exit::BadLines } else { Exit::Done })
}

/// Says what there is, by project and outcome, and records nothing.
fn dry_run(groups: Vec<Group>, arguments: &ImportArgs, output: &mut Output) -> Result<Exit, Failure> {
    let mut counts = Counts { since: arguments.since.map(|since| since.0), ..Counts::default() };
    for source in groups.into_iter().flat_map(|group| group.sources) {
        let (name, format, mut reader) = source.reader(arguments.format)?;
        counts.file.clone_from(&name);
        memory_import::read(format, &mut reader, &mut counts)
            .map_err(|source| Failure::file(&name, &source))?;
    }
    if output.is_json() {
        let projects: Vec<Value> = counts
            .projects
            .iter()
            .map(|(project, outcomes)| json!({"project": project, "outcomes": outcomes}))
            .collect();
        output.object(&json!({"projects": projects, "bad": counts.bad, "bad_lines": counts.bad_lines, "skipped": counts.skipped}))?;
        return Ok(if counts.bad > 0 { Exit::BadLines } else { Exit::Done });
    }
    for (project, outcomes) in &counts.projects {
        let project = project.as_deref().unwrap_or("(no project)");
        let total: u64 = outcomes.values().sum();
        let by_outcome: Vec<String> =
            outcomes.iter().map(|(verdict, count)| format!("{count} {verdict}")).collect();
        output.line(format!(
            "{}  {}: {}",
            paint(style::TITLE, project),
            text::count(total, "episode"),
            by_outcome.join(", ")
        ))?;
    }
    if counts.projects.is_empty() {
        output.line("Nothing would be recorded.")?;
    }
    for line in &counts.bad_lines {
        output.note("bad line", style::BAD, text::one_line(line))?;
    }
    if counts.bad > counts.bad_lines.len() as u64 {
        output.note("bad lines", style::BAD, text::count(counts.bad, "line"))?;
    }
    skipped(&counts.skipped, output)?;
    Ok(if counts.bad > 0 { Exit::BadLines } else { Exit::Done })
}

/// What a dry run counts.
#[derive(Default)]
struct Counts {
    since: Option<Timestamp>,
    projects: BTreeMap<Option<String>, BTreeMap<&'static str, u64>>,
    /// The file that is read.
    file: String,
    bad: u64,
    /// The first of the bad lines, with their places.
    bad_lines: Vec<String>,
    skipped: BTreeMap<String, u64>,
}

impl memory_import::Sink for Counts {
    fn trajectory(&mut self, _line: u64, trajectory: Trajectory) -> ControlFlow<()> {
        let at = trajectory.at_ms.and_then(|at| u64::try_from(at).ok());
        if let (Some(since), Some(at)) = (self.since, at)
            && at < since.0
        {
            return ControlFlow::Continue(());
        }
        let verdict = match trajectory.outcome.verdict {
            Some(Verdict::Success) => "success",
            Some(Verdict::Partial(_)) => "partial",
            Some(Verdict::Failure) => "failure",
            Some(Verdict::Abandoned) => "abstained",
            None => "unknown",
        };
        *self.projects.entry(trajectory.labels.project).or_default().entry(verdict).or_default() += 1;
        ControlFlow::Continue(())
    }

    fn bad(&mut self, line: u64, reason: String) -> ControlFlow<()> {
        self.bad += 1;
        if self.bad_lines.len() < BAD_LINES {
            self.bad_lines.push(format!("{}:{line}: {reason}", self.file));
        }
        ControlFlow::Continue(())
    }

    fn skipped(&mut self, kind: &str) {
        *self.skipped.entry(kind.to_owned()).or_default() += 1;
    }

    fn progress(&mut self, _bytes: u64) {}
}

fn report(
    tally: &Tally,
    taken: Duration,
    learned: Option<Result<Option<BTreeMap<&'static str, u64>>, Error>>,
    waiting: u64,
    output: &mut Output,
) -> Result<(), Failure> {
    if output.is_json() {
        let mut object = json!(tally);
        object["elapsed_ms"] = u64::try_from(taken.as_millis()).unwrap_or(u64::MAX).into();
        object["waiting"] = waiting.into();
        object["learned"] =
            learned.and_then(Result::ok).flatten().map_or(Value::Null, |learned| json!(learned));
        return Ok(output.object(&object)?);
    }
    tell(tally, taken, output)?;
    match learned {
        Some(Ok(Some(learned))) => {
            output.line(format!("  the memory now knows: {}", knowledge(&learned)))?;
        }
        // It is recorded all the same, and what is due stays due.
        Some(Err(error)) => {
            let remark = format!("nothing was learned yet, later commands catch up: {error}");
            output.note("note", style::UNSURE, text::one_line(&remark))?;
        }
        Some(Ok(None)) | None => {}
    }
    Ok(())
}

/// A file to read.
struct Source {
    name: String,
    /// Opened already; `None` for a file that is opened when it is its turn.
    reader: Option<Box<dyn BufRead + Send>>,
    path: PathBuf,
    /// Its size, as far as that is known.
    bytes: u64,
}

impl Source {
    fn open(path: &Path) -> Result<Self, Failure> {
        if path.as_os_str() == "-" {
            let reader = Box::new(BufReader::with_capacity(BUFFER_BYTES, io::stdin()));
            return Ok(Self {
                name: "standard input".into(),
                reader: Some(reader),
                path: path.into(),
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
        let reader = Box::new(BufReader::with_capacity(BUFFER_BYTES, file));
        Ok(Self { name, reader: Some(reader), path: path.into(), bytes })
    }

    /// A file that is there, one of many: not all can be open at once.
    fn later(path: &Path) -> Self {
        let bytes = path.metadata().map_or(0, |metadata| metadata.len());
        Self { name: path.display().to_string(), reader: None, path: path.into(), bytes }
    }

    /// Returns its name, its format and its content. What looks like no format is read as JSON Lines, whose errors say what is
    /// wrong with each line.
    fn reader(
        self,
        format: Format,
    ) -> Result<(String, memory_import::Format, Box<dyn BufRead + Send>), Failure> {
        let mut reader = match self.reader {
            Some(reader) => reader,
            None => Self::open(&self.path)?.reader.unwrap_or_else(|| Box::new(io::empty())),
        };
        let format = match format.named() {
            Some(format) => format,
            None => {
                // A pipe gives what there is: the start is read whole before it is judged.
                let mut start = Vec::new();
                let read = (&mut reader).take(START_BYTES).read_to_end(&mut start);
                read.map_err(|source| Failure::file(&self.name, &source))?;
                let found = memory_import::detect(&start);
                reader = Box::new(io::Cursor::new(start).chain(reader));
                found.unwrap_or(memory_import::Format::JsonLines)
            }
        };
        Ok((self.name, format, reader))
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
        (tally.revised, "known, and their outcome is known now, too", style::PLAIN),
        (tally.hooked, "of sessions that hooks recorded", style::PLAIN),
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
    skipped(&tally.skipped, output)?;
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

/// Names the records of other types.
fn skipped(skipped: &BTreeMap<String, u64>, output: &mut Output) -> Result<(), Failure> {
    if skipped.is_empty() {
        return Ok(());
    }
    let total: u64 = skipped.values().sum();
    let kinds: Vec<String> = skipped.iter().map(|(kind, count)| format!("{count} {kind}")).collect();
    let line =
        format!("  {} of other types: {}", text::count(total, "record"), text::one_line(&kinds.join(", ")));
    output.line(paint(style::FAINT, line))?;
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
