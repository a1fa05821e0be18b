//! Draws sequences of operations, runs them, and shortens those after which something does not hold.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

use super::fleet::{Fleet, Violation};
use super::plan::{Op, Setup, draw, may_happen};
use super::time;

/// The most operations of a case.
const LONGEST: usize = 40;

/// How long a failing sequence is shortened.
const SHORTENING: Duration = Duration::from_secs(60);

/// Which cases are run, and for how long at most.
pub(crate) struct Budget {
    seed: u64,
    cases: u64,
    time: Duration,
    /// Lists all seeds that fail instead of shortening the first.
    survey: bool,
}

impl Budget {
    /// Reads `MEMORY_MODEL_SEED` (1 unless given), `MEMORY_MODEL_CASES` and `MEMORY_MODEL_SECONDS`: what is given alone
    /// bounds the run; without either it is short, for it runs beside other tests. With `MEMORY_MODEL_SURVEY` all
    /// failures are listed.
    pub(crate) fn from_env() -> Self {
        let number = |name: &str| std::env::var(name).ok().map(|text| text.parse::<u64>().unwrap());
        let (cases, seconds) = match (number("MEMORY_MODEL_CASES"), number("MEMORY_MODEL_SECONDS")) {
            (None, None) => (150, 30),
            (cases, seconds) => (cases.unwrap_or(u64::MAX), seconds.unwrap_or(7 * 86_400)),
        };
        Self {
            seed: number("MEMORY_MODEL_SEED").unwrap_or(1),
            cases,
            time: Duration::from_secs(seconds),
            survey: std::env::var_os("MEMORY_MODEL_SURVEY").is_some(),
        }
    }
}

/// Runs cases on all processors until the budget is used up or one fails; returns how many.
pub(crate) fn explore(budget: &Budget) -> Result<u64, String> {
    let (next, done, failure) = (AtomicU64::new(0), AtomicU64::new(0), Mutex::new(None));
    let deadline = Instant::now() + budget.time;
    let work = || {
        while Instant::now() < deadline && failure.lock().unwrap().is_none() {
            let case = next.fetch_add(1, Ordering::Relaxed);
            if case >= budget.cases {
                return;
            }
            let seed = budget.seed + case;
            let (setup, ops) = draw(&mut runner(seed), LONGEST);
            match check(&setup, &ops) {
                Ok(()) => {}
                Err(violation) if budget.survey => println!("seed {seed}: {violation}"),
                Err(violation) => {
                    let report = shorten(seed, &setup, violation, ops);
                    failure.lock().unwrap().get_or_insert(report);
                }
            }
            done.fetch_add(1, Ordering::Relaxed);
        }
    };
    let threads = std::thread::available_parallelism().map_or(2, usize::from).min(4);
    std::thread::scope(|scope| (0..threads).for_each(|_| drop(scope.spawn(work))));
    failure.into_inner().unwrap().map_or(Ok(done.into_inner()), Err)
}

fn runner(seed: u64) -> TestRunner {
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    TestRunner::new_with_rng(Config::default(), TestRng::from_seed(RngAlgorithm::ChaCha, &bytes))
}

/// Leaves out whatever can be left out, in ever smaller pieces (Zeller, Hildebrandt: "Simplifying and isolating
/// failure-inducing input", 2002), until nothing can, and says what is left.
fn shorten(seed: u64, setup: &Setup, mut violation: Violation, mut ops: Vec<Op>) -> String {
    let deadline = Instant::now() + SHORTENING;
    let mut piece = ops.len().div_ceil(2);
    while piece > 0 && Instant::now() < deadline {
        let (mut at, before) = (0, ops.len());
        while at < ops.len() {
            let mut fewer = ops.clone();
            fewer.drain(at..(at + piece).min(ops.len()));
            match may_happen(setup, &fewer).then(|| check(setup, &fewer)) {
                Some(Err(still)) => (violation, ops) = (still, fewer),
                _ => at += piece,
            }
        }
        if piece > 1 || ops.len() == before {
            piece /= 2;
        }
    }
    let lines: Vec<String> = ops.iter().map(|op| format!("    {op:?},")).collect();
    let (again, ops) = (format!("MEMORY_MODEL_SEED={seed} MEMORY_MODEL_CASES=1"), lines.join("\n"));
    format!("{violation}\n{again} runs it again; shortened:\n{setup:?}\n[\n{ops}\n]")
}

/// Runs one sequence and checks what must hold during it and once all is quiet.
pub(crate) fn check(setup: &Setup, ops: &[Op]) -> Result<(), Violation> {
    time::run(async {
        let mut fleet = Fleet::start(setup).await?;
        for (number, op) in ops.iter().enumerate() {
            let outcome = fleet.apply(op).await;
            outcome.map_err(|violation| format!("operation {number}, {op:?}: {violation}"))?;
        }
        fleet.check_when_quiet().await.map_err(|violation| format!("when quiet: {violation}"))
    })
}
