//! Vector search against a plain scan.

use std::time::Instant;

use memory_core::{Key, Kind, Namespace};
use memory_recall::embedder::normalize;
use memory_recall::vector::VectorIndex;

use crate::{Result, Run};

/// An index of vectors in clusters, as texts about a few subjects make them, and the same vectors as plain `f32`.
pub struct VectorSearch {
    index: VectorIndex,
    keys: Vec<Key>,
    plain: Vec<f32>,
    queries: Vec<Vec<f32>>,
}

impl VectorSearch {
    /// Makes an index of so many vectors; the same ones each time.
    ///
    /// # Errors
    /// When the dimensions are refused.
    pub fn new(vectors: usize, dimensions: usize, queries: usize) -> Result<Self> {
        const CLUSTER: usize = 50;
        let mut noise = Noise(7);
        let mut noise = |scale: f32| {
            let components = (0..dimensions).map(|_| scale * noise.next());
            components.collect::<Vec<f32>>()
        };
        let centers: Vec<Vec<f32>> = (0..vectors.div_ceil(CLUSTER)).map(|_| noise(1.0)).collect();
        let mut near = |number: usize| {
            let center = &centers[number % centers.len()];
            let mut vector: Vec<f32> =
                center.iter().zip(noise(0.5)).map(|(one, other)| one + other).collect();
            normalize(&mut vector);
            vector
        };
        let mut index = VectorIndex::new(dimensions)?;
        let mut keys = Vec::with_capacity(vectors);
        let mut plain = Vec::with_capacity(vectors * dimensions);
        for number in 0..vectors {
            let vector = near(number);
            let key = Key::new(&Namespace::default(), Kind::Episode, format!("{number:08}"));
            index.upsert(&key, &vector)?;
            keys.push(key);
            plain.extend(vector);
        }
        Ok(Self { index, keys, plain, queries: (0..queries).map(near).collect() })
    }

    /// Returns the bytes that the index holds.
    pub fn bytes(&self) -> usize {
        self.index.bytes()
    }

    /// Finds the best ten of each query through the index.
    ///
    /// # Errors
    /// When a query is refused.
    pub fn ours(&self) -> Result<(Run, Vec<Vec<Key>>)> {
        self.run(|query| {
            let found = self.index.search(query, 10, |_| true)?;
            Ok(found.into_iter().map(|(key, _)| key).collect())
        })
    }

    /// Finds them by computing every inner product in `f32`.
    ///
    /// # Errors
    /// None; the signature is that of [`VectorSearch::ours`].
    pub fn plain_scan(&self) -> Result<(Run, Vec<Vec<Key>>)> {
        self.run(|query| {
            let rows = self.plain.chunks_exact(query.len()).map(|row| dot(row, query));
            let mut scores: Vec<(f32, usize)> = rows.zip(0..).collect();
            let order = |one: &(f32, usize), other: &(f32, usize)| {
                other.0.total_cmp(&one.0).then_with(|| one.1.cmp(&other.1))
            };
            if scores.len() > 10 {
                scores.select_nth_unstable_by(9, order);
                scores.truncate(10);
            }
            scores.sort_unstable_by(order);
            Ok(scores.into_iter().map(|(_, row)| self.keys[row].clone()).collect())
        })
    }

    /// Returns the share of the answers of `truth` that `found` has, too: recall@10.
    pub fn recall(found: &[Vec<Key>], truth: &[Vec<Key>]) -> f64 {
        let hits = found
            .iter()
            .zip(truth)
            .map(|(found, truth)| truth.iter().filter(|key| found.contains(key)).count());
        hits.sum::<usize>() as f64 / truth.iter().map(Vec::len).sum::<usize>().max(1) as f64
    }

    fn run(&self, search: impl Fn(&[f32]) -> Result<Vec<Key>>) -> Result<(Run, Vec<Vec<Key>>)> {
        let mut run = Run::default();
        let mut answers = Vec::with_capacity(self.queries.len());
        let start = Instant::now();
        for query in &self.queries {
            let before = Instant::now();
            answers.push(search(query)?);
            run.latencies.push(before.elapsed());
        }
        run.elapsed = start.elapsed();
        Ok((run, answers))
    }
}

/// The inner product in lanes that the compiler can keep side by side.
fn dot(one: &[f32], other: &[f32]) -> f32 {
    const LANES: usize = 16;
    let (one, other) = (one.chunks_exact(LANES), other.chunks_exact(LANES));
    let rest: f32 = one.remainder().iter().zip(other.remainder()).map(|(one, other)| one * other).sum();
    let mut sums = [0.0_f32; LANES];
    for (one, other) in one.zip(other) {
        for ((sum, one), other) in sums.iter_mut().zip(one).zip(other) {
            *sum += one * other;
        }
    }
    sums.iter().sum::<f32>() + rest
}

/// Numbers within ±1 that look random and are the same in every run (xorshift64*).
struct Noise(u64);

impl Noise {
    fn next(&mut self) -> f32 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 40) as f32 / (1_u64 << 23) as f32 - 1.0
    }
}
