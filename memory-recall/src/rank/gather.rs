//! Adds up BM25F scores without visiting documents that cannot be relevant.
//!
//! The rarest words come first. Once all the words that are left could not lift a document with none of the
//! earlier ones over the floor, and few documents are in reach of it, only documents that have scored are
//! looked up in their long lists, and of these only those that can still be relevant and among the best. Each
//! score that counts is the same sum in the same order as if every list had been added up whole.

use std::collections::BTreeMap;

use super::plan::{CEILING, K1, Plan, QueryTerm};
use crate::lexical::shard::{Posting, Shard};

/// BM25's normalisation by length (from where [`K1`] is).
const B: f32 = 0.75;
/// By how much a bound exceeds the sum it bounds, so that rounding (below 1e-7 a term) cannot make it too low.
const SLACK: f64 = 1.001;
/// With more documents than this that can still be relevant, adding up one more list whole is faster than
/// looking at each of them.
const FEW: usize = 1_024;
/// A list with fewer postings than this many a candidate is added up whole: that is faster than looking up
/// each.
const POSTINGS_A_LOOKUP: usize = 16;
/// For a search of the newest documents: how many of a query's words find them, how many documents each finds,
/// how many postings of each are examined for that, and how many documents for each requested one are scored in
/// full.
const TELLING_WORDS: usize = 8;
const CHAMPIONS: usize = 128;
const LOOKED_AT: usize = 2 * CHAMPIONS;
const CANDIDATES: usize = 8;

/// A document whose score may count.
pub(super) struct Scored {
    pub(super) slot: u32,
    /// The BM25 score.
    pub(super) raw: f32,
}

/// The admissible results, as far as gathering needs to know.
pub(super) struct Wanted<A, S> {
    /// The number of requested documents, at least 1.
    pub(super) limit: usize,
    /// The BM25 score below which a document is not relevant.
    pub(super) floor: f64,
    /// Returns whether the query admits a document.
    pub(super) admits: A,
    /// Returns the final score of a document with a given BM25 score; must not fall when that rises.
    pub(super) score: S,
}

/// Returns, in order of slots, every document that the query admits, that reaches the floor and that can be
/// among the best; some that cannot be may be there too. All of `sums`, one a slot, must be zero, and are again
/// afterwards.
pub(super) fn gather(
    shard: &Shard,
    plan: &Plan<'_>,
    sums: &mut [f32],
    wanted: &Wanted<impl Fn(u32) -> bool, impl Fn(&Scored, f64) -> f64>,
) -> Vec<Scored> {
    let weigh = Weigh::of(shard);
    let mut left: f64 = plan.terms.iter().map(bound).sum();
    let mut terms = plan.terms.iter();
    while (left * SLACK >= wanted.floor || reaching(sums, wanted.floor, left) > FEW)
        && let Some(term) = terms.next()
    {
        weigh.add(term, sums);
        left -= bound(term);
    }
    let mut scored: Vec<Scored> = Vec::new();
    for (slot, &raw) in (0..).zip(sums.iter()) {
        if raw > 0.0 && (f64::from(raw) + left) * SLACK >= wanted.floor && (wanted.admits)(slot) {
            scored.push(Scored { slot, raw });
        }
    }
    if !terms.as_slice().is_empty() {
        keep_best(&mut scored, left, wanted);
    }
    for term in terms {
        if term.postings.len() < POSTINGS_A_LOOKUP * scored.len() {
            weigh.add(term, sums);
        } else {
            weigh.look_up(term, &mut scored, |document, more| sums[document.slot as usize] += more);
        }
    }
    for document in &mut scored {
        document.raw = sums[document.slot as usize];
    }
    sums.fill(0.0);
    scored
}

/// Returns, in order of slots, those of the newest documents with the query's rarest words that may be among
/// the best: the cost does not depend on the number of documents. Champion lists by age (Manning, Raghavan,
/// Schütze: "Introduction to Information Retrieval", 7.1.3); a slot represents the age of its document.
pub(super) fn gather_newest(
    shard: &Shard,
    plan: &Plan<'_>,
    wanted: &Wanted<impl Fn(u32) -> bool, impl Fn(&Scored, f64) -> f64>,
) -> Vec<Scored> {
    let weigh = Weigh::of(shard);
    let mut sums: BTreeMap<u32, f32> = BTreeMap::new();
    for term in plan.terms.iter().take(TELLING_WORDS) {
        let newest = term.postings.iter().rev().take(LOOKED_AT).filter(|it| (wanted.admits)(it.slot));
        for posting in newest.take(CHAMPIONS) {
            *sums.entry(posting.slot).or_default() += weigh.contribution(term, posting);
        }
    }
    let mut champions: Vec<(u32, f32)> = sums.into_iter().collect();
    let most = CANDIDATES * wanted.limit;
    if champions.len() > most {
        champions.select_nth_unstable_by(most, |a, b| b.1.total_cmp(&a.1).then(b.0.cmp(&a.0)));
        champions.truncate(most);
        champions.sort_unstable_by_key(|(slot, _)| *slot);
    }
    let mut scored: Vec<Scored> = champions.into_iter().map(|(slot, _)| Scored { slot, raw: 0.0 }).collect();
    for term in &plan.terms {
        weigh.look_up(term, &mut scored, |document, more| document.raw += more);
    }
    scored.retain(|it| f64::from(it.raw) >= wanted.floor);
    scored
}

/// Counts the sums that can still reach the floor with the remaining terms.
fn reaching(sums: &[f32], floor: f64, left: f64) -> usize {
    let least = (floor / SLACK - left) as f32;
    sums.iter().filter(|sum| **sum >= least).count()
}

/// The most that a term can contribute.
fn bound(term: &QueryTerm<'_>) -> f64 {
    f64::from(term.weight * CEILING)
}

/// Drops the documents that cannot be among the best even if the words left gave them all they can.
fn keep_best(
    scored: &mut Vec<Scored>,
    left: f64,
    wanted: &Wanted<impl Fn(u32) -> bool, impl Fn(&Scored, f64) -> f64>,
) {
    // Only documents that are certain to reach the floor can push others out.
    let certain = scored.iter().filter(|it| f64::from(it.raw) >= wanted.floor * SLACK);
    let mut least: Vec<f64> = certain.map(|it| (wanted.score)(it, f64::from(it.raw) / SLACK)).collect();
    if least.len() < wanted.limit {
        return;
    }
    let (_, bar, _) = least.select_nth_unstable_by(wanted.limit - 1, |a, b| b.total_cmp(a));
    let bar = *bar;
    scored.retain(|it| (wanted.score)(it, (f64::from(it.raw) + left) * SLACK) >= bar);
}

/// BM25's constants for the index as it is.
struct Weigh<'s> {
    lengths: &'s [u32],
    per_length: f32,
}

impl<'s> Weigh<'s> {
    fn of(shard: &'s Shard) -> Self {
        let average = shard.total_length as f32 / shard.len() as f32;
        Self { lengths: &shard.lengths, per_length: K1 * B * Shard::UNITS / average.max(1.0) }
    }

    fn contribution(&self, term: &QueryTerm<'_>, posting: &Posting) -> f32 {
        let frequency = f32::from(posting.frequency);
        // Frequency and length are in units; scaling the constant instead of both keeps the ratio.
        let length = self.lengths[posting.slot as usize] as f32;
        let saturation = K1 * (1.0 - B) * Shard::UNITS + self.per_length * length;
        term.weight * (K1 + 1.0) * frequency / (frequency + saturation)
    }

    /// Adds a term to the sums of all documents that have it.
    fn add(&self, term: &QueryTerm<'_>, sums: &mut [f32]) {
        for posting in term.postings {
            sums[posting.slot as usize] += self.contribution(term, posting);
        }
    }

    /// Adds a term to these documents, which are in order of slots.
    fn look_up(&self, term: &QueryTerm<'_>, documents: &mut [Scored], mut add: impl FnMut(&mut Scored, f32)) {
        let mut postings = term.postings;
        for document in documents {
            let at = postings.partition_point(|posting| posting.slot < document.slot);
            postings = &postings[at..];
            match postings.first() {
                None => return,
                Some(posting) if posting.slot == document.slot => {
                    add(document, self.contribution(term, posting));
                }
                Some(_) => {}
            }
        }
    }
}
