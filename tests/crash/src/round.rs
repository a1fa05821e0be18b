//! The parent process: starts, kills, checks.

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use memory_test_support::{Sqld, SqldOptions};

use crate::check::Checker;
use crate::tally::{Round, Tally, read_line};
use crate::{content, writer};

/// Where the durable tier is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    Local,
    Remote,
}

/// What to do.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) rounds: u64,
    pub(crate) mode: Mode,
    pub(crate) seed: u64,
    pub(crate) keep: Option<PathBuf>,
}

/// Rounds before folder and server are made anew: a server takes the longer to start the more it holds, and each world
/// is also checked as a whole at its end.
const ROUNDS_A_WORLD: u64 = 40;

/// Runs all rounds. Stops early when something was lost, so that the folder shows the state.
pub(crate) fn run(plan: &Plan) -> Result<Tally, String> {
    let temporary = tempfile::tempdir().map_err(|error| format!("no temporary folder: {error}"))?;
    let root = plan.keep.clone().unwrap_or_else(|| temporary.path().to_owned());
    let mut tally = Tally::default();
    let mut random = plan.seed;
    let started = Instant::now();
    while tally.rounds < plan.rounds && tally.is_clean() {
        let rounds = ROUNDS_A_WORLD.min(plan.rounds - tally.rounds);
        let folder = root.join(format!("from-round-{}", tally.rounds + 1));
        run_world(&folder, plan.mode, rounds, &mut random, &mut tally)?;
        if plan.keep.is_none() && tally.is_clean() {
            std::fs::remove_dir_all(&folder).map_err(|error| format!("cannot clean up: {error}"))?;
        }
        eprintln!("{:>6.1} s  {tally}", started.elapsed().as_secs_f64());
    }
    Ok(tally)
}

/// Runs some rounds on one folder and one server, then checks all of them together.
fn run_world(
    folder: &Path,
    mode: Mode,
    rounds: u64,
    random: &mut u64,
    tally: &mut Tally,
) -> Result<(), String> {
    let sqld = match mode {
        Mode::Local => None,
        Mode::Remote => Some(Sqld::start(SqldOptions::new())),
    };
    let mut checker = Checker::new(folder, sqld.as_ref())?;
    checker.begin()?;
    for _ in 0..rounds {
        let round = kill_once(folder, sqld.as_ref(), random)?;
        tally.rounds += 1;
        checker.check(round, tally)?;
        if !tally.is_clean() {
            return Ok(());
        }
    }
    checker.check_all(tally)
}

/// Lets a writer run for a while, kills it, and returns what it acknowledged.
fn kill_once(folder: &Path, sqld: Option<&Sqld>, random: &mut u64) -> Result<Round, String> {
    let seed = content::mix(random);
    let days = content::CLOCKS[(content::mix(random) % content::CLOCKS.len() as u64) as usize];
    let mut child = start_writer(folder, seed, days, sqld)?;
    let output = child.stdout.take().ok_or("the writer has no output")?;
    let (first, running) = std::sync::mpsc::channel();
    let reader = std::thread::spawn(move || {
        let mut round = Round::new();
        for line in BufReader::new(output).lines().map_while(Result::ok) {
            if read_line(&mut round, &line).is_some() && round.len() == 1 {
                // The parent may have stopped waiting.
                let _gone = first.send(());
            }
        }
        round
    });
    // Opening is not what is tested: the clock starts with the first acknowledgement, except that now and then
    // the writer is killed while it opens.
    if !content::mix(random).is_multiple_of(10) && running.recv_timeout(Duration::from_secs(30)).is_err() {
        let status = child.try_wait().ok().flatten();
        let _killed = child.kill();
        return Err(format!("the writer acknowledged nothing within 30 s ({status:?})"));
    }
    std::thread::sleep(Duration::from_millis(content::mix(random) % 300));
    if let Some(sqld) = sqld {
        break_server(sqld, &mut child, random)?;
    }
    child.kill().map_err(|error| format!("cannot kill the writer: {error}"))?;
    child.wait().map_err(|error| format!("cannot wait for the writer: {error}"))?;
    reader.join().map_err(|_| "the reader of acknowledgements panicked".to_owned())
}

/// Kills the server before the writer, after it, or not at all.
fn break_server(sqld: &Sqld, child: &mut Child, random: &mut u64) -> Result<(), String> {
    match content::mix(random) % 3 {
        0 => {
            sqld.kill();
            std::thread::sleep(Duration::from_millis(content::mix(random) % 100));
            child.kill().map_err(|error| format!("cannot kill the writer: {error}"))?;
            sqld.restart();
        }
        1 => {
            child.kill().map_err(|error| format!("cannot kill the writer: {error}"))?;
            sqld.kill();
            sqld.restart();
        }
        _ => {}
    }
    Ok(())
}

fn start_writer(folder: &Path, seed: u64, days: i64, sqld: Option<&Sqld>) -> Result<Child, String> {
    let program = std::env::current_exe().map_err(|error| format!("no path of this program: {error}"))?;
    let mut command = Command::new(program);
    command.arg(writer::COMMAND).arg(folder).args([seed.to_string(), days.to_string()]);
    if let Some(sqld) = sqld {
        command.arg(sqld.url());
    }
    command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .map_err(|error| format!("cannot start the writer: {error}"))
}
