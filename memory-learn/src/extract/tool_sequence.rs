//! Tools that are called in the same order in many episodes.
//!
//! Frequent closed subsequences, found level by level as PrefixSpan grows prefixes (Pei et al., "PrefixSpan:
//! mining sequential patterns efficiently by prefix-projected pattern growth", ICDE 2001), with a bound on the
//! calls between two members of the sequence, and a beam instead of the full search.

use std::collections::{BTreeSet, HashMap};

use memory_core::PatternBody;

use crate::calls::MAX_CALLS;
use crate::extract::Found;
use crate::extract::cluster::{Cluster, Member};

/// The most tools in a sequence; the fewest are two.
const MAX_LENGTH: usize = 6;
/// Sequences returned.
const MAX_FOUND: usize = 3;
/// Tools of the episode that sequences are made of.
const MAX_TOOLS: usize = 16;
/// Sequences of one length that are grown further.
const BEAM: usize = 64;
/// Two tools follow each other if fewer than this many calls are between them.
const REACH: u32 = 3;

/// A set of places in a sequence of calls.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
struct Places([u64; MAX_CALLS / 64]);

impl Places {
    fn insert(&mut self, place: usize) {
        self.0[place / 64] |= 1 << (place % 64);
    }

    fn is_empty(&self) -> bool {
        self.0.iter().all(|word| *word == 0)
    }

    fn first(&self) -> usize {
        let word = self.0.iter().position(|word| *word != 0).unwrap_or(0);
        word * 64 + self.0[word].trailing_zeros() as usize
    }

    fn intersects(&self, other: &Self) -> bool {
        self.0.iter().zip(&other.0).any(|(a, b)| a & b != 0)
    }

    fn and(mut self, other: &Self) -> Self {
        self.0.iter_mut().zip(&other.0).for_each(|(a, b)| *a &= b);
        self
    }

    /// Returns the places up to `reach` after these.
    fn behind(&self, reach: u32) -> Self {
        let mut behind = Self::default();
        for shift in 1..=reach {
            let mut carry = 0;
            for (to, from) in behind.0.iter_mut().zip(&self.0) {
                *to |= from << shift | carry;
                carry = from >> (64 - shift);
            }
        }
        behind
    }
}

/// A sequence of tools and where it ends in each member.
#[derive(Debug, Clone)]
struct Grown {
    tools: Vec<usize>,
    ends: Vec<Places>,
    support: usize,
}

impl Grown {
    /// Orders by how much is explained: support and length, then by where it ends in the episode.
    fn rank(&self) -> (std::cmp::Reverse<usize>, usize, Vec<usize>) {
        (std::cmp::Reverse(self.support * (self.tools.len() - 1)), self.ends[0].first(), self.tools.clone())
    }

    /// Returns the pairs of tools that follow each other.
    fn neighbours(&self) -> BTreeSet<(usize, usize)> {
        self.tools.windows(2).map(|pair| (pair[0], pair[1])).collect()
    }

    /// Returns the pairs of tools of which one comes before the other.
    fn orders(&self) -> impl Iterator<Item = (usize, usize)> {
        let behind = move |at: usize| self.tools[at + 1..].iter().map(move |later| (self.tools[at], *later));
        (0..self.tools.len()).flat_map(behind)
    }

    /// Returns false for one tool called again and again, and for two that alternate.
    fn tells(&self) -> bool {
        let distinct = self.tools.iter().collect::<BTreeSet<_>>().len();
        distinct >= 2 && distinct * 2 > self.tools.len()
    }
}

pub(super) fn find(cluster: &Cluster<'_>) -> Vec<Found> {
    let mut tools = cluster.own().tools();
    tools.truncate(MAX_TOOLS);
    let ids: HashMap<&str, usize> = tools.iter().enumerate().map(|(id, tool)| (*tool, id)).collect();
    let places: Vec<Vec<Places>> = cluster.members.iter().map(|member| places(member, &ids)).collect();
    let alone = places.len() == 1;
    let needed = if alone { 1 } else { 2.max(places.len().div_ceil(2)) };
    // A single episode shows its own calls, not which others may come between.
    let reach = if alone { 1 } else { REACH };
    let mut level: Vec<Grown> = (0..tools.len())
        .map(|tool| Grown {
            tools: vec![tool],
            ends: places.iter().map(|places| places[tool]).collect(),
            support: 0,
        })
        .collect();
    let mut candidates = Vec::new();
    for _ in 2..=MAX_LENGTH {
        level = grow(&level, &places, needed, reach);
        candidates.extend(level.iter().filter(|grown| grown.tells()).cloned());
    }
    choose(candidates)
        .into_iter()
        .map(|grown| {
            let tools: Vec<String> = grown.tools.iter().map(|id| tools[*id].to_owned()).collect();
            Found { identity: tools.join(" "), body: PatternBody::ToolSequence { tools } }
        })
        .collect()
}

/// Returns where each tool is called, with calls of one tool in a row as one.
fn places(member: &Member<'_>, ids: &HashMap<&str, usize>) -> Vec<Places> {
    let mut places = vec![Places::default(); ids.len()];
    let mut place = 0;
    let mut previous = "";
    for call in &member.calls {
        if call.tool == previous {
            continue;
        }
        previous = call.tool;
        if let Some(id) = ids.get(call.tool) {
            places[*id].insert(place);
        }
        place += 1;
    }
    places
}

/// Makes every frequent sequence one tool longer than those given, and keeps the best.
fn grow(level: &[Grown], places: &[Vec<Places>], needed: usize, reach: u32) -> Vec<Grown> {
    let mut next = Vec::new();
    for prefix in level {
        let behind: Vec<Places> = prefix.ends.iter().map(|ends| ends.behind(reach)).collect();
        for tool in 0..places[0].len() {
            if !behind[0].intersects(&places[0][tool]) || prefix.tools.last() == Some(&tool) {
                continue;
            }
            let support =
                behind.iter().zip(places).filter(|(behind, places)| behind.intersects(&places[tool])).count();
            if support >= needed {
                let ends =
                    behind.iter().zip(places).map(|(behind, places)| behind.and(&places[tool])).collect();
                next.push(Grown { tools: [&prefix.tools[..], &[tool]].concat(), ends, support });
            }
        }
    }
    next.sort_by_cached_key(Grown::rank);
    next.truncate(BEAM);
    next
}

/// Chooses distinct sequences: a part of a chosen one adds nothing.
fn choose(mut candidates: Vec<Grown>) -> Vec<Grown> {
    candidates.sort_by_cached_key(Grown::rank);
    let mut chosen: Vec<Grown> = Vec::new();
    let mut covered = BTreeSet::new();
    for candidate in candidates {
        let pairs = candidate.neighbours();
        let new = pairs.difference(&covered).count();
        if chosen.len() < MAX_FOUND && new * 2 > pairs.len() && !candidate.ends[0].is_empty() {
            covered.extend(candidate.orders());
            chosen.push(candidate);
        }
    }
    chosen
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::calls::tests::{failure, success, tools};
    use crate::trace::Trace;

    fn found(own: &str, similar: &[&str]) -> Vec<String> {
        let own = tools(0, success(), own);
        let similar: Vec<Trace> = (1..).zip(similar).map(|(n, text)| tools(n, failure(), text)).collect();
        find(&Cluster::new(&own, &similar)).into_iter().map(|found| found.identity).collect()
    }

    #[test]
    fn finds_the_longest_common_order() {
        let check = |own: &str, similar: &[&str], expected: &[&str]| {
            assert_eq!(found(own, similar), expected, "{own}")
        };
        check("", &[], &[]);
        check("a", &[], &[]);
        check("a a a", &["a a"], &[]);
        check("a b a b a b", &[], &["a b a"]);
        check("a b c", &[], &["a b c"]);
        check("a b c", &["a b c", "a x b c"], &["a b c"]);
        check("a x b c", &["a b c", "a b b c"], &["a b c"]);
        check("a b c", &["c b a", "b c"], &["b c"]);
        check("a b", &["c d", "d c"], &[]);
        check("a b c d e f g h", &[], &["a b c d e f", "e f g h"]);
    }

    #[test]
    fn what_is_too_far_apart_is_no_sequence() {
        assert_eq!(found("a b", &["a 1 2 b"]), ["a b"]);
        assert!(found("a b", &["a 1 2 3 b"]).is_empty());
    }

    #[test]
    fn places_cross_words() {
        let mut places = Places::default();
        [0, 63, 64, 127, 255].into_iter().for_each(|place| places.insert(place));
        let behind = places.behind(2);
        let expected = [1, 2, 64, 65, 66, 128, 129];
        let found: Vec<usize> =
            (0..256).filter(|place| behind.0[place / 64] >> (place % 64) & 1 == 1).collect();
        assert_eq!(found, expected);
    }
}
