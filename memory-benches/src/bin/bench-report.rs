//! Prints what the memory takes for its work, beside what the bare libraries take for the same.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use memory_benches::{
    Away, CacheFileHit, Contest, Drain, Extraction, Figure, HotRead, Keeper, LocalWrite, OneShot, Outage,
    RecallBook, RecallProcess, RemoteWrite, Report, Result, Retrieval, Role, Run, Target, VectorSearch, Verb,
    ask_and_tell, child, fill_and_leave, median, open_and_tell, select_one,
};

const USAGE: &str = "\
Usage: bench-report [--json] [--quick] [--only TEXT]...
       bench-report --fill EPISODES FOLDER
       bench-report --ask QUESTIONS FOLDER

Measures the memory and, in turns, the bare libraries; prints medians of rounds and the targets.

  --json       One JSON object a line: metric, ours, baseline, ratio, target, unit, met.
  --quick      Fewer and smaller rounds, and 64 MB instead of 1 GB in the outbox: for a first look.
  --only TEXT  Only the groups whose name contains TEXT: local, remote 1, remote 64, drain, hot, cache file, reopen,
               outage, import, extract, recall, recall-process. May be given several times.
  --fill EPISODES FOLDER
               Only makes a memory like that of the recall groups, and leaves it there: for a profiler.
  --ask QUESTIONS FOLDER
               Only asks such a memory, and prints p50 and p99 in microseconds.

What is lost or duplicated over crashes is not a matter of speed: `cargo xtask crash` tells.

Environment: MEMORY_BIN names the `memory` command that the outage and recall-process groups run [default: the one beside this program];
SQLD_BIN names the sqld binary; TMPDIR the folder to measure in.
Exit codes: 0 measured (whether or not targets are met), 1 failed, 2 wrong usage.
";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let result = match arguments.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        // Processes that this program starts: one to kill it, one to see how long it takes to open.
        ["--child", role, bytes, folder] => match (Role::parse(role), bytes.parse()) {
            (Some(role), Ok(bytes)) => child(role, bytes, Path::new(folder)),
            _ => return usage(&format!("there is no child {role:?} of {bytes:?} bytes")),
        },
        ["--open", folder] => open_and_tell(Path::new(folder)),
        ["--select", folder] => select_one(Path::new(folder)),
        ["--fill", episodes, folder] => match episodes.parse() {
            Ok(episodes) => fill_and_leave(Path::new(folder), episodes),
            Err(_) => return usage(&format!("{episodes:?} is no number of episodes")),
        },
        ["--ask", questions, folder] => match questions.parse() {
            Ok(questions) => ask_and_tell(Path::new(folder), questions),
            Err(_) => return usage(&format!("{questions:?} is no number of questions")),
        },
        ["--help" | "-h"] => {
            print!("{USAGE}");
            return ExitCode::SUCCESS;
        }
        words => match Options::parse(words) {
            Ok(options) => run(&options),
            Err(message) => return usage(&message),
        },
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bench-report: {error}");
            ExitCode::FAILURE
        }
    }
}

fn usage(message: &str) -> ExitCode {
    eprintln!("bench-report: {message}\n\n{USAGE}");
    ExitCode::from(2)
}

#[derive(Debug, Default)]
struct Options {
    json: bool,
    quick: bool,
    only: Vec<String>,
}

impl Options {
    fn parse(words: &[&str]) -> std::result::Result<Self, String> {
        let mut options = Self::default();
        let mut words = words.iter();
        while let Some(word) = words.next() {
            match *word {
                "--json" => options.json = true,
                "--quick" => options.quick = true,
                "--only" => {
                    let text = words.next().ok_or("--only needs a text")?;
                    options.only.push(text.to_lowercase());
                }
                other => return Err(format!("unexpected argument {other:?}")),
            }
        }
        Ok(options)
    }

    fn wants(&self, group: &str) -> bool {
        self.only.is_empty() || self.only.iter().any(|text| group.contains(text.as_str()))
    }

    /// Picks the size of a measurement.
    fn size(&self, full: u64, quick: u64) -> u64 {
        if self.quick { quick } else { full }
    }
}

type Measure = fn(&Options, &mut Report) -> Result<()>;

const GROUPS: [(&str, Measure); 12] = [
    ("local", local),
    ("remote 1", |options, report| remote(options, report, 1)),
    ("remote 64", |options, report| remote(options, report, 64)),
    ("drain", drain),
    ("hot", hot),
    ("cache file", cache_file),
    ("reopen", reopen),
    ("outage", outage),
    ("import", import),
    ("extract", extract),
    ("recall", recall),
    ("recall-process", recall_process),
];

fn run(options: &Options) -> Result<()> {
    let groups: Vec<_> = GROUPS.iter().filter(|(name, _)| options.wants(name)).collect();
    if groups.is_empty() {
        return Err(format!("no group is named like {}", options.only.join(" or ")).into());
    }
    let mut report = Report::start(options.json);
    for (_, measure) in groups {
        measure(options, &mut report)?;
    }
    if !options.json {
        println!("\ntargets missed: {}", report.missed());
        println!("lost or duplicated: see `cargo xtask crash --rounds N --mode local|remote`");
    }
    Ok(())
}

const MICROS: f64 = 1e6;
const NANOS: f64 = 1e9;
const MILLIS: f64 = 1e3;

/// Runs both sides in turns and returns the median of each, in units of an operation's time.
fn medians(contest: &mut dyn Contest, rounds: u64, operations: u64, unit: f64) -> Result<(f64, f64)> {
    let each = |elapsed: Duration| elapsed.as_secs_f64() * unit / operations as f64;
    let (mut ours, mut baseline) = (Vec::new(), Vec::new());
    // The first round fills caches and files, and does not count.
    for round in 0..=rounds {
        // Whoever goes first in one round goes second in the next.
        let (mine, raw) = if round % 2 == 0 {
            let mine = contest.ours(operations)?;
            (mine, contest.baseline(operations)?)
        } else {
            let raw = contest.baseline(operations)?;
            (contest.ours(operations)?, raw)
        };
        if round > 0 {
            ours.push(each(mine));
            baseline.push(each(raw));
        }
    }
    Ok((median(ours), median(baseline)))
}

fn local(options: &Options, report: &mut Report) -> Result<()> {
    for verb in [Verb::Commit, Verb::Step] {
        let mut contest = LocalWrite::new(verb)?;
        let (ours, baseline) = medians(&mut contest, options.size(7, 3), options.size(1_000, 300), MICROS)?;
        report.add(&Figure {
            metric: format!("acknowledged write, local: {} / libsql FULL", verb.name()),
            ours,
            baseline: Some(baseline),
            target: Target::RatioAtMost(1.2),
            unit: "us",
        });
    }
    Ok(())
}

/// Rounds of one side, by what is asked of them.
#[derive(Default)]
struct Rounds(Vec<Run>);

impl Rounds {
    fn median(&self, figure: impl Fn(&Run) -> f64) -> f64 {
        median(self.0.iter().map(figure).collect())
    }
}

fn mean_us(run: &Run) -> f64 {
    MICROS / run.rate()
}

fn p99_us(run: &Run) -> f64 {
    run.percentile(0.99).as_secs_f64() * MICROS
}

fn remote(options: &Options, report: &mut Report, clients: usize) -> Result<()> {
    let writes = if clients == 1 { options.size(1_500, 500) } else { options.size(12_800, 6_400) };
    let rounds = options.size(5, 2);
    for verb in [Verb::Commit, Verb::Step] {
        let mut contest = RemoteWrite::new(verb, clients)?;
        let (mut up, mut down) = (Rounds::default(), Rounds::default());
        let (mut raw, mut raw_down) = (Rounds::default(), Rounds::default());
        for round in 0..=rounds {
            contest.server_up()?;
            let (mine, other) = (contest.run_ours(writes)?, contest.run_baseline(writes)?);
            contest.server_down();
            let (mine_down, other_down) = (contest.run_ours(writes)?, contest.run_baseline(writes)?);
            if round > 0 {
                up.0.push(mine);
                raw.0.push(other);
                down.0.push(mine_down);
                raw_down.0.push(other_down);
            }
        }
        let name = verb.name();
        let write =
            format!("acknowledged write, remote, {clients} client{}", if clients == 1 { "" } else { "s" });
        let figures: [(&str, &Rounds, &Rounds); 2] =
            [("server up", &up, &raw), ("server down", &down, &raw_down)];
        for (state, ours, baseline) in figures {
            report.add(&if clients == 1 {
                Figure {
                    metric: format!("{write}, {state}: {name} / redb commit"),
                    ours: ours.median(mean_us),
                    baseline: Some(baseline.median(mean_us)),
                    target: Target::RatioAtMost(1.3),
                    unit: "us",
                }
            } else {
                Figure {
                    metric: format!("{write}, {state}: {name} / redb group"),
                    ours: ours.median(Run::rate),
                    baseline: Some(baseline.median(Run::rate)),
                    target: Target::RatioAtLeast(0.8),
                    unit: "ack/s",
                }
            });
        }
        report.add(&Figure {
            metric: format!("{write}, p99: {name} server down / up"),
            ours: down.median(p99_us),
            baseline: Some(up.median(p99_us)),
            target: Target::RatioAtMost(1.1),
            unit: "us",
        });
    }
    Ok(())
}

fn drain(options: &Options, report: &mut Report) -> Result<()> {
    let rows = options.size(12_800, 3_200);
    let (ours, baseline) = medians(&mut Drain::new()?, options.size(5, 2), rows, 1.0)?;
    report.add(&Figure {
        metric: "drain of the outbox into sqld / multi-row upserts".into(),
        ours: 1.0 / ours,
        baseline: Some(1.0 / baseline),
        target: Target::RatioAtLeast(0.9),
        unit: "rows/s",
    });
    Ok(())
}

fn hot(options: &Options, report: &mut Report) -> Result<()> {
    let (ours, baseline) =
        medians(&mut HotRead::new()?, options.size(15, 5), options.size(200_000, 100_000), NANOS)?;
    report.add(&Figure {
        metric: "hot read: engine read / moka hit".into(),
        ours,
        baseline: Some(baseline),
        target: Target::RatioAtMost(1.3),
        unit: "ns",
    });
    Ok(())
}

fn cache_file(options: &Options, report: &mut Report) -> Result<()> {
    let (ours, baseline) =
        medians(&mut CacheFileHit::new()?, options.size(15, 5), options.size(20_000, 10_000), NANOS)?;
    report.add(&Figure {
        metric: "cache file hit: lookup / redb get + decode".into(),
        ours,
        baseline: Some(baseline),
        target: Target::RatioAtMost(1.5),
        unit: "ns",
    });
    Ok(())
}

fn reopen(options: &Options, report: &mut Report) -> Result<()> {
    let bytes = options.size(1_000_000_000, 64_000_000);
    let keeper = Keeper::fill(std::env::current_exe()?, bytes)?;
    let (mut ours, mut baseline) = (Vec::new(), Vec::new());
    for _ in 0..options.size(5, 3) {
        ours.push(keeper.ours()?.as_secs_f64() * MILLIS);
        baseline.push(keeper.baseline()?.as_secs_f64() * MILLIS);
    }
    report.add(&Figure {
        metric: format!("reopen after kill -9, {} MB kept, to the first write / redb", bytes / 1_000_000),
        ours: median(ours),
        baseline: Some(median(baseline)),
        target: Target::AtMost(50.0),
        unit: "ms",
    });
    Ok(())
}

/// Returns where the `memory` command is.
fn memory_command() -> Result<PathBuf> {
    match std::env::var_os("MEMORY_BIN") {
        Some(path) => Ok(path.into()),
        None => Ok(std::env::current_exe()?.with_file_name("memory")),
    }
}

fn outage(options: &Options, report: &mut Report) -> Result<()> {
    let program = memory_command()?;
    for way in Away::ALL {
        let mut outage = Outage::begin(&program, way)?;
        for command in OneShot::ALL {
            // Each import makes the memory and its outbox larger.
            let times = if command == OneShot::Import { 20 } else { options.size(200, 20) };
            let turns = outage.run(command, times)?;
            report.add(&Figure {
                metric: format!("`{}`, p99: server {} / up", command.name(), way.name()),
                ours: turns.away.percentile(0.99).as_secs_f64() * MILLIS,
                baseline: Some(turns.up.percentile(0.99).as_secs_f64() * MILLIS),
                target: Target::AtMost(300.0),
                unit: "ms",
            });
        }
    }
    Ok(())
}

fn import(options: &Options, report: &mut Report) -> Result<()> {
    let mut book = RecallBook::new()?;
    let episodes = options.size(3_000, 1_000);
    let filled = book.fill(episodes)?;
    report.add(&Figure {
        metric: format!("import, one after the other, {episodes} episodes"),
        ours: filled.rate(),
        baseline: None,
        target: Target::None,
        unit: "ep/s",
    });
    Ok(())
}

fn extract(options: &Options, report: &mut Report) -> Result<()> {
    let run = Extraction::new(1_000).run(options.size(200, 50))?;
    report.add(&Figure {
        metric: "extraction from an episode of 1000 steps, p50".into(),
        ours: run.percentile(0.5).as_secs_f64() * MILLIS,
        baseline: None,
        target: Target::AtMost(10.0),
        unit: "ms",
    });
    Ok(())
}

fn recall(options: &Options, report: &mut Report) -> Result<()> {
    let mut retrieval = Retrieval::new(std::env::current_exe()?)?;
    // Episodes, and the targets for the median and the 99th percentile in microseconds.
    let sizes: &[(u64, f64, Option<f64>)] = match options.quick {
        true => &[(10_000, 1_000.0, Some(5_000.0))],
        false => &[(10_000, 1_000.0, Some(5_000.0)), (100_000, 5_000.0, Some(25_000.0))],
    };
    let mut medians = Vec::new();
    for &(episodes, p50, p99) in sizes {
        retrieval.fill(episodes)?;
        let asked = retrieval.ask(options.size(3_000, 1_000))?;
        let micros = |run: &Run, share| run.percentile(share).as_secs_f64() * MICROS;
        let mut add = |name: &str, share, baseline: &Run, target| {
            report.add(&Figure {
                metric: format!("recall among {episodes}, {name}"),
                ours: micros(&asked.ours, share),
                baseline: Some(micros(baseline, share)),
                target,
                unit: "us",
            });
        };
        add("p50 / FTS5 bm25", 0.5, &asked.fts, Target::AtMost(p50));
        add("p99 / FTS5 bm25", 0.99, &asked.fts, p99.map_or(Target::None, Target::AtMost));
        add("p50 / plain scan", 0.5, &asked.scan, Target::None);
        let with_vectors = retrieval.ask_with_vectors(options.size(1_000, 300), 384)?;
        report.add(&Figure {
            metric: format!("recall with vectors among {episodes}, p50 / by words"),
            ours: micros(&with_vectors, 0.5),
            baseline: Some(micros(&asked.ours, 0.5)),
            target: Target::AtMost(2.0 * p50),
            unit: "us",
        });
        medians.push((micros(&asked.ours, 0.5), micros(&asked.fts, 0.5)));
        let vectors = VectorSearch::new(usize::try_from(episodes)?, 384, 100)?;
        let ((ours, _), (plain, _)) = (vectors.ours()?, vectors.plain_scan()?);
        report.add(&Figure {
            metric: format!("exact search among {episodes} vectors, p50 / plain scan"),
            ours: micros(&ours, 0.5),
            baseline: Some(micros(&plain, 0.5)),
            target: Target::None,
            unit: "us",
        });
    }
    if let [(small, small_fts), (large, large_fts)] = medians[..] {
        report.add(&Figure {
            metric: "recall p50, growth from 10000 to 100000 / FTS5".into(),
            ours: large / small,
            baseline: Some(large_fts / small_fts),
            target: Target::None,
            unit: "times",
        });
    }
    let (episodes, mut opened) = (sizes[sizes.len() - 1].0, Vec::new());
    for _ in 0..3 {
        opened.push(retrieval.open()?);
    }
    let figures: [(&str, Vec<f64>, Target, &'static str); 3] = [
        (
            "open to the first recall",
            opened.iter().map(|it| it.ready.as_secs_f64() * MILLIS).collect(),
            Target::AtMost(2_000.0),
            "ms",
        ),
        (
            "bytes of the recall index",
            opened.iter().map(|it| it.index_bytes as f64 / 1e6).collect(),
            Target::AtMost(400.0),
            "MB",
        ),
        (
            "resident memory of opening",
            opened.iter().map(|it| it.resident_bytes as f64 / 1e6).collect(),
            Target::AtMost(400.0),
            "MB",
        ),
    ];
    for (name, values, target, unit) in figures {
        report.add(&Figure {
            metric: format!("{name}, {episodes} episodes"),
            ours: median(values),
            baseline: None,
            target,
            unit,
        });
    }
    Ok(())
}

fn recall_process(options: &Options, report: &mut Report) -> Result<()> {
    let mut contest = RecallProcess::new(memory_command()?, std::env::current_exe()?)?;
    // Episodes, and the target for the median in milliseconds.
    let sizes: &[(u64, f64)] =
        if options.quick { &[(10_000, 50.0)] } else { &[(10_000, 50.0), (100_000, 150.0)] };
    for &(episodes, p50) in sizes {
        contest.fill(episodes)?;
        let processes = contest.run(options.size(100, 20))?;
        for (name, share, target) in [("p50", 0.5, Target::AtMost(p50)), ("p95", 0.95, Target::None)] {
            let millis = |run: &Run| run.percentile(share).as_secs_f64() * MILLIS;
            report.add(&Figure {
                metric: format!("`memory recall` among {episodes}, {name} / select one row"),
                ours: millis(&processes.ours),
                baseline: Some(millis(&processes.baseline)),
                target,
                unit: "ms",
            });
        }
    }
    Ok(())
}
