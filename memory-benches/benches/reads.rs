//! Reads on this machine, against the bare libraries; and recall.

mod support;

use std::time::Duration;

use criterion::{Criterion, criterion_group, criterion_main};
use memory_benches::{CacheFileHit, HotRead, RecallBook, must};
use support::side_by_side;

fn reads(criterion: &mut Criterion) {
    side_by_side(criterion, "hot read", 1, &mut must(HotRead::new()));
    side_by_side(criterion, "cache file hit", 1, &mut must(CacheFileHit::new()));
}

fn recall(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("recall");
    group.sample_size(10).measurement_time(Duration::from_secs(3));
    let mut book = must(RecallBook::new());
    for episodes in [1_000, 10_000] {
        must(book.fill(episodes));
        group.bench_function(format!("{episodes} episodes"), |bencher| {
            bencher.iter_custom(|n| must(book.time(n)));
        });
    }
    group.finish();
}

criterion_group!(benches, reads, recall);
criterion_main!(benches);
