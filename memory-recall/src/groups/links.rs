//! Which of a few episodes are nearly the same.

use crate::rank::{Candidate, Search};

/// The most episodes that one is linked with.
const MAX_LINKS: usize = 3;
/// The least cosine of nearly identical episodes: two trials of one task are above 0.20 in 99 of 100 cases,
/// trials of different tasks below 0.18 (customers' conversations, each a task tried four times).
const MIN_COSINE: f64 = 0.15;
/// The least cosine as a share of that of the nearest.
const NEAR_SHARE: f64 = 0.5;
/// Sums of weights are of integers, in this many parts to one: the order of terms, which depends on the history
/// of the index, must not show in the last digits.
const PARTS: f64 = 65_536.0;
/// Terms of fewer documents are rare: most terms are, and their weight is computed once.
const RARE: usize = 256;
/// Bits that a place among the candidates takes: there are at most 128.
const PLACE_BITS: u32 = 7;

/// The links among candidates.
pub(super) struct Links {
    /// By place: the places it is linked with, the nearest first.
    linked: Vec<Vec<u8>>,
    /// By place: one bit for each that it is linked with, in either direction.
    alike: Vec<u128>,
}

impl Links {
    /// Returns those that a candidate is linked with, at most three, the nearest first.
    pub(super) fn linked(&self, place: usize) -> &[u8] {
        &self.linked[place]
    }

    /// Returns those that a candidate is linked with or that are linked with it, one bit a place.
    pub(super) fn alike(&self, place: usize) -> u128 {
        self.alike[place]
    }

    fn choose(candidates: &[Candidate<'_>], cosine: impl Fn(usize, usize) -> f64) -> Self {
        let count = candidates.len();
        let (mut linked, mut alike) = (Vec::with_capacity(count), vec![0_u128; count]);
        for place in 0..count {
            let others = (0..count).filter(|other| *other != place);
            let mut near: Vec<(f64, usize)> = others
                .map(|other| (cosine(place, other), other))
                .filter(|(cosine, _)| *cosine >= MIN_COSINE)
                .collect();
            near.sort_unstable_by(|(a_cosine, a), (b_cosine, b)| {
                let newer = || candidates[*b].entry.id.cmp(&candidates[*a].entry.id);
                b_cosine.total_cmp(a_cosine).then_with(newer)
            });
            let least = near.first().map_or(0.0, |(nearest, _)| NEAR_SHARE * nearest);
            near.retain(|(cosine, _)| *cosine >= least);
            near.truncate(MAX_LINKS);
            for (_, other) in &near {
                alike[place] |= 1 << other;
                alike[*other] |= 1 << place;
            }
            linked.push(near.iter().map(|(_, other)| *other as u8).collect());
        }
        Self { linked, alike }
    }
}

/// Links each of at most 128 candidates with nearly identical ones: by the cosine of their words in task and
/// later messages, each word once, weighted by its rarity. Also returns the mass of each one's task: the sum of
/// its words' inverse document frequencies.
pub(super) fn find(search: &Search<'_>, candidates: &[Candidate<'_>]) -> (Links, Vec<f64>) {
    let count = candidates.len();
    debug_assert!(count <= 1 << PLACE_BITS);
    // Term, whether it is of the task, place; so that those who share a term are neighbours.
    let mut words: Vec<u64> = Vec::with_capacity(count * 128);
    for (place, candidate) in candidates.iter().enumerate() {
        for term in search.shard.terms(candidate.slot, candidate.entry).iter().filter(|term| term.is_told()) {
            let of_task = u64::from(term.is_of_task());
            words.push((u64::from(term.id()) << 1 | of_task) << PLACE_BITS | place as u64);
        }
    }
    words.sort_unstable();
    let place = |word: u64| (word & ((1 << PLACE_BITS) - 1)) as usize;
    let (mut masses, mut norms) = (vec![0_u64; count], vec![0_u64; count]);
    let mut products = vec![0_u64; count * count];
    let documents = search.shard.len() as f64;
    // A term's weight in the cosine, and in the mass, by how many documents have it.
    let weigh = |frequency: usize| {
        let weight = (1.0 + documents / frequency as f64).ln().powi(2);
        ((weight * PARTS) as u64, (f64::from(search.idf(frequency)) * PARTS) as u64)
    };
    let mut of_rare: [Option<(u64, u64)>; RARE] = [None; RARE];
    let id = |word: u64| word >> (PLACE_BITS + 1);
    let shared: Vec<&[u64]> = words.chunk_by(|a, b| id(*a) == id(*b)).collect();
    // In a separate loop, so that the processor waits for many terms at the same time.
    let frequencies: Vec<usize> =
        shared.iter().map(|sharing| search.shard.frequency(id(sharing[0]) as u32).max(1)).collect();
    for (sharing, frequency) in shared.into_iter().zip(frequencies) {
        let (weight, mass) = match of_rare.get_mut(frequency) {
            Some(rare) => *rare.get_or_insert_with(|| weigh(frequency)),
            None => weigh(frequency),
        };
        for (at, word) in sharing.iter().enumerate() {
            let own = place(*word);
            norms[own] += weight;
            masses[own] += if word >> PLACE_BITS & 1 == 1 { mass } else { 0 };
            for other in &sharing[at + 1..] {
                products[own * count + place(*other)] += weight;
            }
        }
    }
    let norms: Vec<f64> = norms.into_iter().map(|norm| (norm as f64).sqrt()).collect();
    let links = Links::choose(candidates, |a, b| {
        // The order of places within a term is that of the flag first, so a pair may be in either half.
        let product = products[a * count + b] + products[b * count + a];
        if product == 0 { 0.0 } else { product as f64 / (norms[a] * norms[b]) }
    });
    (links, masses.into_iter().map(|mass| mass as f64 / PARTS).collect())
}
