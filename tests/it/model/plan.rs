//! What may happen to a fleet: from what is known of it, the next operation is drawn.

use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;

/// How the machines are connected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Setup {
    /// Whether the durable tier is a server; else it is a file that all processes share.
    pub(crate) remote: bool,
    /// The host of each machine. Processes of one host share its folder of instances.
    pub(crate) hosts: Vec<usize>,
    /// The bound on rows that wait in an outbox.
    pub(crate) outbox_rows: Option<u64>,
}

/// One operation. Machines and episodes go by number; an episode's number is that of its `Start`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Op {
    Start {
        on: usize,
    },
    Step {
        on: usize,
        episode: usize,
    },
    Complete {
        on: usize,
        episode: usize,
        success: bool,
    },
    Forget {
        on: usize,
        episode: usize,
    },
    Recall {
        on: usize,
        episode: usize,
    },
    /// Notes in an open episode what was recalled for it.
    Note {
        on: usize,
        episode: usize,
    },
    Learn {
        on: usize,
    },
    Consolidate {
        on: usize,
    },
    Flush {
        on: usize,
    },
    Pull {
        on: usize,
    },
    /// What upkeep does in its time: tail, orphans, purge.
    Upkeep {
        on: usize,
    },
    Close {
        on: usize,
    },
    Open {
        on: usize,
    },
    /// Kills the process.
    Kill {
        on: usize,
    },
    /// Kills the process after the rows of its next step reached the disk, before anybody hears of it.
    KillWriting {
        on: usize,
        episode: usize,
    },
    /// Lets time pass on all machines.
    Pass {
        ms: u64,
    },
    /// Sets one machine's clock.
    SetClock {
        on: usize,
        by_ms: i64,
    },
    /// Cuts a machine off from the server.
    Cut {
        on: usize,
    },
    Connect {
        on: usize,
    },
    /// The next writes arrive and their answers do not.
    LoseAnswers {
        on: usize,
        count: u32,
    },
    /// The next writes to the outbox fail.
    FillDisk {
        on: usize,
        writes: u32,
    },
    BackUp,
    /// The server comes back with its last backup.
    Restore,
}

/// What the choice of the next operation depends on.
#[derive(Debug, Clone)]
struct Fleet {
    remote: bool,
    runs: Vec<bool>,
    episodes: usize,
    backed_up: bool,
}

impl Fleet {
    fn new(setup: &Setup) -> Self {
        let runs = vec![true; setup.hosts.len()];
        Self { remote: setup.remote, runs, episodes: 0, backed_up: false }
    }

    fn allows(&self, op: &Op) -> bool {
        let runs = |on: usize| self.runs.get(on).copied().unwrap_or(false);
        let remote = self.remote;
        match *op {
            Op::Start { on }
            | Op::Learn { on }
            | Op::Consolidate { on }
            | Op::Flush { on }
            | Op::Pull { on }
            | Op::Upkeep { on } => runs(on),
            Op::Step { on, episode }
            | Op::Complete { on, episode, .. }
            | Op::Forget { on, episode }
            | Op::Recall { on, episode }
            | Op::Note { on, episode } => runs(on) && episode < self.episodes,
            Op::KillWriting { on, episode } => remote && runs(on) && episode < self.episodes,
            Op::Close { on } | Op::Kill { on } => runs(on),
            Op::Open { on } => !runs(on),
            Op::FillDisk { on, .. } => remote && runs(on),
            Op::Pass { .. } | Op::SetClock { .. } => true,
            Op::Cut { .. } | Op::Connect { .. } | Op::LoseAnswers { .. } | Op::BackUp => remote,
            Op::Restore => remote && self.backed_up,
        }
    }
}

const DAY_MS: i64 = 86_400_000;

/// Draws how machines are connected, and what happens to them.
pub(crate) fn draw(runner: &mut TestRunner, most: usize) -> (Setup, Vec<Op>) {
    let setup = drawn(&setups(), runner);
    let count = drawn(&(1..=most), runner);
    let mut fleet = Fleet::new(&setup);
    let ops = (0..count).map(|_| {
        let op = drawn(&fleet.operations(), runner);
        fleet.apply(&op);
        op
    });
    let ops = ops.collect();
    (setup, ops)
}

fn drawn<T: std::fmt::Debug>(strategy: &impl Strategy<Value = T>, runner: &mut TestRunner) -> T {
    strategy.new_tree(runner).unwrap().current()
}

/// Returns true if a sequence, shortened perhaps, makes sense.
pub(crate) fn may_happen(setup: &Setup, ops: &[Op]) -> bool {
    let mut fleet = Fleet::new(setup);
    ops.iter().all(|op| {
        let allowed = fleet.allows(op);
        if allowed {
            fleet.apply(op);
        }
        allowed
    })
}

fn setups() -> impl Strategy<Value = Setup> {
    let hosts = prop_oneof![
        3 => Just(vec![0, 1]),
        1 => Just(vec![0, 0]),
        2 => Just(vec![0, 1, 2]),
        1 => Just(vec![0, 0, 1]),
        1 => Just(vec![0, 0, 1, 1]),
    ];
    let rows = prop_oneof![4 => Just(None), 1 => (40_u64..72).prop_map(Some)];
    (prop::bool::weighted(0.8), hosts, rows).prop_map(|(remote, mut hosts, rows)| {
        if !remote {
            // A file is on one machine.
            hosts.fill(0);
        }
        Setup { remote, hosts, outbox_rows: rows.filter(|_| remote) }
    })
}

impl Fleet {
    /// What may happen next.
    fn operations(&self) -> impl Strategy<Value = Op> {
        let on = 0..self.runs.len();
        // Newer episodes are the likelier ones to be gone on with.
        let episode = (0..self.episodes.max(1)).boxed();
        let both = (on.clone(), episode.clone());
        let years = prop_oneof![
            Just(60_000),
            Just(3_600_000),
            Just(DAY_MS),
            Just(40 * DAY_MS),
            Just(400 * DAY_MS),
            Just(20_000 * DAY_MS)
        ];
        let set = (on.clone(), years, any::<bool>())
            .prop_map(|(on, ms, back)| Op::SetClock { on, by_ms: if back { -ms } else { ms } });
        let pass = prop_oneof![Just(50_u64), Just(5_000), Just(300_000), Just(900_000), Just(8 * 86_400_000)];
        let fleet = self.clone();
        prop_oneof![
            12 => on.clone().prop_map(|on| Op::Start { on }),
            12 => both.clone().prop_map(|(on, episode)| Op::Step { on, episode }),
            10 => (both.clone(), any::<bool>())
                .prop_map(|((on, episode), success)| Op::Complete { on, episode, success }),
            5 => both.clone().prop_map(|(on, episode)| Op::Forget { on, episode }),
            4 => both.clone().prop_map(|(on, episode)| Op::Recall { on, episode }),
            2 => both.clone().prop_map(|(on, episode)| Op::Note { on, episode }),
            2 => on.clone().prop_map(|on| Op::Learn { on }),
            1 => on.clone().prop_map(|on| Op::Consolidate { on }),
            8 => on.clone().prop_map(|on| Op::Flush { on }),
            8 => on.clone().prop_map(|on| Op::Pull { on }),
            2 => on.clone().prop_map(|on| Op::Upkeep { on }),
            3 => on.clone().prop_map(|on| Op::Close { on }),
            8 => on.clone().prop_map(|on| Op::Open { on }),
            3 => on.clone().prop_map(|on| Op::Kill { on }),
            2 => both.prop_map(|(on, episode)| Op::KillWriting { on, episode }),
            3 => pass.prop_map(|ms| Op::Pass { ms }),
            2 => set,
            4 => on.clone().prop_map(|on| Op::Cut { on }),
            4 => on.clone().prop_map(|on| Op::Connect { on }),
            2 => (on.clone(), 1_u32..3).prop_map(|(on, count)| Op::LoseAnswers { on, count }),
            2 => (on, 1_u32..3).prop_map(|(on, writes)| Op::FillDisk { on, writes }),
            1 => Just(Op::BackUp),
            1 => Just(Op::Restore),
        ]
        .prop_filter("it cannot happen now", move |op| fleet.allows(op))
    }

    fn apply(&mut self, op: &Op) {
        match *op {
            Op::Start { .. } => self.episodes += 1,
            Op::Close { on } | Op::Kill { on } | Op::KillWriting { on, .. } => self.runs[on] = false,
            Op::Open { on } => self.runs[on] = true,
            Op::BackUp => self.backed_up = true,
            _ => {}
        }
    }
}
