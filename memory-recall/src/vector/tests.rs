use std::collections::BTreeMap;

use memory_core::{ErrorKind, Kind, Namespace};
use proptest::prelude::*;

use super::*;

/// Numbers that look random and are the same in every run (xorshift64*).
struct Noise(u64);

impl Noise {
    fn next(&mut self) -> f32 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 40) as f32 / (1_u64 << 23) as f32 - 1.0
    }

    fn vector(&mut self, dimensions: usize) -> Vec<f32> {
        (0..dimensions).map(|_| self.next()).collect()
    }

    /// Returns vectors in clusters, as texts about a few subjects make them.
    fn clustered(&mut self, count: usize, dimensions: usize) -> Vec<Vec<f32>> {
        let centers: Vec<Vec<f32>> = (0..count.div_ceil(50)).map(|_| self.vector(dimensions)).collect();
        (0..count)
            .map(|index| {
                let center = &centers[index % centers.len()];
                center.iter().map(|component| component + 0.3 * self.next()).collect()
            })
            .collect()
    }
}

fn key(number: usize) -> Key {
    Key::new(&Namespace::default(), Kind::Episode, format!("{number:06}"))
}

fn index(vectors: &[Vec<f32>]) -> VectorIndex {
    let mut index = VectorIndex::new(vectors[0].len()).unwrap();
    for (number, vector) in vectors.iter().enumerate() {
        index.upsert(&key(number), vector).unwrap();
    }
    index
}

fn cosine(one: &[f32], other: &[f32]) -> f64 {
    let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum::<f64>();
    dot(one, other) / (dot(one, one) * dot(other, other)).sqrt()
}

/// Checks an answer against a full scan in `f64`: no key left out may be better than one returned.
fn check(index: &VectorIndex, kept: &BTreeMap<Key, Vec<f32>>, query: &[f32], limit: usize) {
    const TOLERANCE: f64 = 2e-5;
    let found = index.search(query, limit, |_| true).unwrap();
    assert_eq!(found.len(), limit.min(kept.len()));
    let mut exact: Vec<f64> = kept.values().map(|vector| cosine(query, vector)).collect();
    exact.sort_by(|one, other| other.total_cmp(one));
    for (rank, (key, similarity)) in found.iter().enumerate() {
        let truth = cosine(query, &kept[key]);
        assert!((truth - f64::from(*similarity)).abs() < TOLERANCE, "{key}: {truth} {similarity}");
        assert!(
            (truth - exact[rank]).abs() < TOLERANCE,
            "rank {rank}: {truth}, a full scan has {}",
            exact[rank]
        );
        assert_eq!(index.similarity(query, key).unwrap(), Some(*similarity));
    }
    let ordered =
        |pair: &[(Key, f32)]| pair[0].1 > pair[1].1 || (pair[0].1 == pair[1].1 && pair[0].0 < pair[1].0);
    assert!(found.windows(2).all(ordered));
}

#[test]
fn answers_as_a_full_scan_does() {
    for dimensions in [1, 31, 64, 384, MAX_DIMENSIONS] {
        let count = if dimensions == MAX_DIMENSIONS { 60 } else { 1_500 };
        let mut noise = Noise(7);
        let vectors = noise.clustered(count, dimensions);
        let index = index(&vectors);
        let kept =
            vectors.iter().cloned().enumerate().map(|(number, vector)| (key(number), vector)).collect();
        for number in 0..10 {
            check(&index, &kept, &noise.vector(dimensions), 10);
            check(&index, &kept, &vectors[number * 5], 10);
        }
    }
}

#[test]
fn bounds_hold_for_every_row() {
    let mut noise = Noise(3);
    let mut vectors = noise.clustered(500, 100);
    // One component far above the rest leaves the others few bits; alternating full scale is the largest sum.
    vectors.push((0..100).map(|place| if place == 0 { 1.0 } else { 0.003 }).collect());
    vectors.push((0..100).map(|place| if place % 2 == 0 { 1.0 } else { -1.0 }).collect());
    let index = index(&vectors);
    let mut estimates = vec![0; index.len()];
    for query in &vectors {
        let query = index.rows.query(&index.direction("test", query).unwrap().unwrap());
        index.rows.estimate(&query, 0, &mut estimates);
        for (row, estimate) in estimates.iter().enumerate() {
            let (middle, slack) = index.rows.bounds(&query, row, *estimate);
            let exact = index.rows.exact(&query, row);
            assert!((exact - middle).abs() <= slack, "row {row}: {exact} is not within {middle} ± {slack}");
        }
    }
}

#[test]
fn sums_of_the_largest_rows_do_not_overflow() {
    let ones = vec![1.0; MAX_DIMENSIONS];
    let mut index = VectorIndex::new(MAX_DIMENSIONS).unwrap();
    index.upsert(&key(1), &ones).unwrap();
    let found = index.search(&ones, 1, |_| true).unwrap();
    assert!((found[0].1 - 1.0).abs() < 1e-5, "{found:?}");
}

#[test]
fn equal_vectors_come_by_key() {
    let vectors = vec![vec![1.0, 2.0, 3.0]; 40];
    let mut index = index(&vectors);
    index.remove(&key(3));
    index.upsert(&key(3), &[2.0, 4.0, 6.0]).unwrap();
    let found = index.search(&[1.0, 2.0, 3.0], 5, |_| true).unwrap();
    assert_eq!(
        found.into_iter().map(|(key, _)| key).collect::<Vec<_>>(),
        (0..5).map(key).collect::<Vec<_>>()
    );
}

#[test]
fn a_filter_does_not_cost_answers() {
    let mut noise = Noise(11);
    let vectors = noise.clustered(2_000, 32);
    let index = index(&vectors);
    let only = key(1_234);
    let found = index.search(&vectors[0], 3, |key| *key == only).unwrap();
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].0, only);
    assert!(index.search(&vectors[0], 3, |_| false).unwrap().is_empty());
    assert!(index.search(&vectors[0], 0, |_| true).unwrap().is_empty());
}

#[test]
fn refuses_what_is_no_vector_of_the_index() {
    let mut index = VectorIndex::new(2).unwrap();
    index.upsert(&key(1), &[1.0, 0.0]).unwrap();
    for vector in [&[f32::NAN, 1.0][..], &[f32::INFINITY, 1.0], &[1.0], &[1.0, 1.0, 1.0]] {
        assert_eq!(index.upsert(&key(1), vector).unwrap_err().kind(), ErrorKind::InvalidInput);
        assert_eq!(index.search(vector, 1, |_| true).unwrap_err().kind(), ErrorKind::InvalidInput);
    }
    assert_eq!(index.search(&[5.0, 0.0], 1, |_| true).unwrap()[0].1, 1.0);
    assert_eq!(VectorIndex::new(0).unwrap_err().kind(), ErrorKind::InvalidInput);
    assert_eq!(VectorIndex::new(MAX_DIMENSIONS + 1).unwrap_err().kind(), ErrorKind::InvalidInput);
}

#[test]
fn zeros_are_like_nothing() {
    let mut index = VectorIndex::new(2).unwrap();
    assert!(index.upsert(&key(1), &[1.0, 0.0]).unwrap());
    assert!(index.search(&[0.0, 0.0], 1, |_| true).unwrap().is_empty());
    assert_eq!(index.similarity(&[0.0, 0.0], &key(1)).unwrap(), None);
    assert!(!index.upsert(&key(1), &[0.0, 0.0]).unwrap());
    assert!(!index.contains(&key(1)) && index.is_empty());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_history_answers_as_a_full_scan_does(
        changes in prop::collection::vec((0_usize..40, prop::option::weighted(0.7, prop::collection::vec(-1.0_f32..1.0, 3))), 1..120),
        query in prop::collection::vec(0.01_f32..1.0, 3),
        limit in 1_usize..50,
    ) {
        let mut index = VectorIndex::new(3).unwrap();
        let mut kept = BTreeMap::new();
        for (number, vector) in changes {
            match vector {
                Some(vector) => {
                    if index.upsert(&key(number), &vector).unwrap() {
                        kept.insert(key(number), vector);
                    } else {
                        kept.remove(&key(number));
                    }
                }
                None => prop_assert_eq!(index.remove(&key(number)), kept.remove(&key(number)).is_some()),
            }
        }
        prop_assert_eq!(index.len(), kept.len());
        prop_assert!(kept.keys().all(|key| index.contains(key)));
        check(&index, &kept, &query, limit);
    }
}
