//! Puts a contest before criterion.

use std::time::Duration;

use criterion::{Criterion, Throughput};
use memory_benches::{Contest, must};

/// Measures both sides of a contest as one group; an iteration is `operations` operations.
pub(crate) fn side_by_side(
    criterion: &mut Criterion,
    name: &str,
    operations: u64,
    contest: &mut dyn Contest,
) {
    let mut group = criterion.benchmark_group(name);
    group.throughput(Throughput::Elements(operations)).sample_size(10);
    group.warm_up_time(Duration::from_millis(500)).measurement_time(Duration::from_secs(3));
    group.bench_function("ours", |bencher| bencher.iter_custom(|n| must(contest.ours(n * operations))));
    group.bench_function("baseline", |bencher| {
        bencher.iter_custom(|n| must(contest.baseline(n * operations)))
    });
    group.finish();
}
