//! A model-based test of the whole engine: random operations of two to four machines over real redb and libsql files,
//! with networks that are cut, processes that are killed, clocks that are set, disks that are full and a server that
//! is restored, checked against what the callers were told.
//!
//! - Acknowledged is kept: every acknowledged write is there for everyone once all is quiet.
//! - Forgotten is gone, for everyone and for good.
//! - Machines converge: each reads each record as the durable tier has it, and its recall index has exactly what is
//!   there to search.
//! - No call hangs, and none fails that nothing explains.
//!
//! `plan` draws what may happen next, `ledger` holds what callers know, `quiet` says what must hold. Cases are seeded, and
//! those that fail are shortened; `CONTRIBUTING.md` says how to run it for long.

#![expect(clippy::expect_used, reason = "a sequence that makes no sense is a fault of the test")]

mod clock;
mod fleet;
mod journal;
mod ledger;
mod link;
mod machine;
mod plan;
mod quiet;
mod regressions;
mod run;
mod server;
mod time;

#[test]
fn random_operations_keep_the_promises() {
    match run::explore(&run::Budget::from_env()) {
        Ok(cases) => println!("{cases} cases"),
        Err(report) => panic!("{report}"),
    }
}
