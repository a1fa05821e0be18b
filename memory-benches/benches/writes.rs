//! Acknowledged writes and the drain, against the bare libraries.

mod support;

use criterion::{Criterion, criterion_group, criterion_main};
use memory_benches::{Drain, LocalWrite, RemoteWrite, Verb, must};
use support::side_by_side;

fn local(criterion: &mut Criterion) {
    for verb in [Verb::Commit, Verb::Step] {
        let name = format!("write local {}", verb.name());
        side_by_side(criterion, &name, 1, &mut must(LocalWrite::new(verb)));
    }
}

fn remote(criterion: &mut Criterion) {
    for (clients, verb) in [(1, Verb::Commit), (1, Verb::Step), (64, Verb::Commit), (64, Verb::Step)] {
        let mut contest = must(RemoteWrite::new(verb, clients));
        let name = format!("write remote {clients} {}", verb.name());
        // Each client writes a few times an iteration, or starting them would be most of it.
        let operations = if clients == 1 { 1 } else { 8 * clients as u64 };
        side_by_side(criterion, &format!("{name} server up"), operations, &mut contest);
        contest.server_down();
        side_by_side(criterion, &format!("{name} server down"), operations, &mut contest);
    }
}

fn drain(criterion: &mut Criterion) {
    side_by_side(criterion, "drain", 2_560, &mut must(Drain::new()));
}

criterion_group!(benches, local, remote, drain);
criterion_main!(benches);
