//! Opening after `kill -9` with 1 GB in the outbox, against a bare redb file with the same rows.

use std::time::Duration;

use criterion::{Criterion, criterion_group, criterion_main};
use memory_benches::{Keeper, must};

/// What the outbox holds, in bytes.
const KEPT: u64 = 1_000_000_000;

fn reopen(criterion: &mut Criterion) {
    let keeper = must(Keeper::fill(env!("CARGO_BIN_EXE_bench-report"), KEPT));
    let mut group = criterion.benchmark_group("reopen 1 GB");
    group.sample_size(10).warm_up_time(Duration::from_millis(100)).measurement_time(Duration::from_secs(5));
    group.bench_function("ours", |bencher| {
        bencher.iter_custom(|n| (0..n).map(|_| must(keeper.ours())).sum());
    });
    group.bench_function("baseline", |bencher| {
        bencher.iter_custom(|n| (0..n).map(|_| must(keeper.baseline())).sum());
    });
    group.finish();
}

criterion_group!(benches, reopen);
criterion_main!(benches);
