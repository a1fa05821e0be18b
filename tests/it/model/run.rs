//! Draws sequences of operations, runs them, and shrinks those after which something does not hold.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use proptest::test_runner::{Config, RngAlgorithm, TestCaseError, TestError, TestRng, TestRunner};
use proptest_state_machine::ReferenceStateMachine;

use super::fleet::{Fleet, Violation};
use super::plan::{self, Op, Plan, Setup};
use super::time;

/// How many cases of which seeds are run, and for how long at most.
pub(crate) struct Budget {
    pub(crate) seed: u64,
    pub(crate) cases: u64,
    pub(crate) time: Duration,
}

impl Budget {
    /// Reads `MEMORY_MODEL_SEED` (1 unless given), `MEMORY_MODEL_CASES` and `MEMORY_MODEL_SECONDS`: of the latter two what is
    /// given alone bounds the run.
    pub(crate) fn from_env() -> Self {
        let number = |name: &str| std::env::var(name).ok().map(|text| text.parse::<u64>().expect(name));
        let seed = number("MEMORY_MODEL_SEED").unwrap_or(1);
        let (cases, seconds) = match (number("MEMORY_MODEL_CASES"), number("MEMORY_MODEL_SECONDS")) {
            (None, None) => (2_000, 75),
            (cases, seconds) => (cases.unwrap_or(u64::MAX), seconds.unwrap_or(7 * 86_400)),
        };
        Self { seed, cases, time: Duration::from_secs(seconds) }
    }
}

/// Runs cases on all processors until the budget is used up, or one fails; returns how many were run.
pub(crate) fn explore(budget: &Budget) -> Result<u64, String> {
    let (next, failure) = (AtomicU64::new(0), Mutex::new(None));
    let deadline = Instant::now() + budget.time;
    let work = || {
        while Instant::now() < deadline && failure.lock().unwrap().is_none() {
            let case = next.fetch_add(1, Ordering::Relaxed);
            if case >= budget.cases {
                return;
            }
            let t0 = Instant::now();
            if let Err(report) = run_seed(budget.seed + case) {
                if std::env::var("SURVEY").is_ok() { println!("S {} {:?} {}", budget.seed + case, t0.elapsed(), report.lines().find(|l| !l.is_empty()).unwrap_or_default()); continue; }
                failure.lock().unwrap().get_or_insert(report);
            }
        }
    };
    let threads = std::thread::available_parallelism().map_or(2, usize::from).min(4);
    std::thread::scope(|scope| (0..threads).for_each(|_| drop(scope.spawn(work))));
    match failure.into_inner().unwrap() {
        Some(report) => Err(report),
        None => Ok(next.into_inner().min(budget.cases)),
    }
}

/// Runs the case of one seed; if it fails, returns the shortest sequence found that does.
fn run_seed(seed: u64) -> Result<(), String> {
    let config = Config { cases: 1, max_shrink_iters: if std::env::var("SURVEY").is_ok() { 2 } else { 400 }, failure_persistence: None, ..Config::default() };
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    let mut runner = TestRunner::new_with_rng(config, TestRng::from_seed(RngAlgorithm::ChaCha, &bytes));
    let outcome = runner.run(&Plan::sequential_strategy(1..40), |(fleet, ops, seen)| {
        let count = || {
            if let Some(seen) = &seen {
                seen.fetch_add(1, Ordering::SeqCst);
            }
        };
        check_counting(&fleet.setup, &ops, count).map_err(TestCaseError::fail)
    });
    match outcome {
        Ok(()) => Ok(()),
        Err(TestError::Fail(reason, (fleet, ops, _))) => {
            let (reason, ops) = if std::env::var("SURVEY").is_ok() { (reason.to_string(), ops) } else { shorten(&fleet.setup, reason.to_string(), ops) };
            Err(report(seed, &reason, &fleet.setup, &ops))
        }
        Err(TestError::Abort(reason)) => Err(format!("seed {seed}: no sequence was drawn: {reason}")),
    }
}

/// Leaves out whatever can be left out, in ever smaller pieces: the strategy tries each operation once, from the end.
fn shorten(setup: &Setup, mut reason: Violation, mut ops: Vec<Op>) -> (Violation, Vec<Op>) {
    let mut piece = ops.len().div_ceil(2);
    while piece > 0 {
        let mut at = 0;
        while at < ops.len() {
            let mut fewer = ops.clone();
            fewer.drain(at..(at + piece).min(ops.len()));
            match may_happen(setup, &fewer).then(|| check(setup, &fewer)) {
                Some(Err(violation)) => (reason, ops) = (violation, fewer),
                _ => at += piece,
            }
        }
        piece /= 2;
    }
    (reason, ops)
}

fn may_happen(setup: &Setup, ops: &[Op]) -> bool {
    let mut fleet = plan::Fleet::new(setup.clone());
    ops.iter().all(|op| {
        let allowed = Plan::preconditions(&fleet, op);
        fleet = Plan::apply(fleet.clone(), op);
        allowed
    })
}

fn report(seed: u64, reason: &str, setup: &Setup, ops: &[Op]) -> String {
    let lines: Vec<String> = ops.iter().map(|op| format!("    Op::{op:?},")).collect();
    let ops = lines.join("\n");
    format!("{reason}\nMEMORY_MODEL_SEED={seed} MEMORY_MODEL_CASES=1 runs it again; shortened:\n{setup:?}\n[\n{ops}\n]")
}

/// Runs one sequence and checks what must hold during it and once all is quiet.
pub(crate) fn check(setup: &Setup, ops: &[Op]) -> Result<(), Violation> {
    check_counting(setup, ops, || {})
}

fn check_counting(setup: &Setup, ops: &[Op], mut before: impl FnMut()) -> Result<(), Violation> {
    time::run(async {
        let mut fleet = Fleet::start(setup).await?;
        for (number, op) in ops.iter().enumerate() {
            before();
            let t0 = Instant::now();
            let r = fleet.apply(op).await;
            if t0.elapsed() > Duration::from_millis(100) { if std::env::var("SLOW").is_ok() { return Err(format!("slow {op:?} {:?}", t0.elapsed())); } eprintln!("SLOW {op:?} {:?}", t0.elapsed()); }
            r.map_err(|violation| format!("operation {number}, {op:?}: {violation}"))?;
        }
        let t0 = Instant::now();
        let r = fleet.check_when_quiet().await.map_err(|violation| format!("when quiet: {violation}"));
        if t0.elapsed() > Duration::from_millis(100) { eprintln!("SLOW quiet {:?}", t0.elapsed()); }
        r
    })
}
