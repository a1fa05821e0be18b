//! Which calls of two episodes are the same step.

use std::hash::{Hash, Hasher};

use crate::calls::{Call, WordHasher, value_text};
use crate::errors::cut;
use crate::shape::{pieces, wide_mask};

/// The value of any two calls of one tool as partners. Similarity adds less than half of it, so that one more
/// pair always outweighs more similar pairs.
const PAIR: u32 = 256;
/// The similarity from which two calls are partners although their episode calls the tool several times.
const ALIKE: u32 = 16;
/// A value or a description is compared up to this many bytes.
const COMPARED_BYTES: usize = 120;
/// Features compared of one call.
const MAX_FEATURES: usize = 32;
/// Words of 64 bits for the features of a call: enough that few features share a bit by chance.
const WORDS: usize = 8;

/// A call as alignment compares it.
pub(super) struct Compared<'t> {
    tool: &'t str,
    /// The tool is called more than once in the episode, so its name alone does not identify the step.
    repeated: bool,
    /// The features of its arguments and description, each a bit: two calls are compared in a few instructions.
    features: [u64; WORDS],
    /// How many bits are set.
    count: u32,
}

/// Returns the calls of an episode as alignment compares them.
pub(super) fn compared<'t>(calls: &[Call<'t>]) -> Vec<Compared<'t>> {
    calls
        .iter()
        .map(|call| {
            let features = features(call);
            Compared {
                tool: call.tool,
                repeated: calls.iter().filter(|other| other.tool == call.tool).take(2).count() > 1,
                features,
                count: features.iter().map(|word| word.count_ones()).sum(),
            }
        })
        .collect()
}

fn features(call: &Call<'_>) -> [u64; WORDS] {
    let mut features = [0; WORDS];
    let mut count = 0;
    let mut add = |of: &str, text: &str| {
        if count < MAX_FEATURES {
            let mut hasher = WordHasher::default();
            (of, text).hash(&mut hasher);
            // The upper bits are the better mixed ones.
            let bit = (hasher.finish() >> 32) as usize % (64 * WORDS);
            features[bit / 64] |= 1 << (bit % 64);
            count += 1;
        }
    };
    call.arguments(|name, value| {
        let text = value_text(value);
        let text = cut(&text, COMPARED_BYTES);
        // The whole, its form (ids of one kind share it), and its words.
        add(name, text);
        if text.bytes().any(|byte| byte.is_ascii_digit()) {
            add("form", &wide_mask(text));
        }
        pieces(text, |piece| add("word", piece.text));
    });
    pieces(cut(&call.action.description, COMPARED_BYTES), |piece| add("said", piece.text));
    features
}

impl Compared<'_> {
    /// Returns how much two calls have in common, in `0..=127` (Dice's coefficient of their features).
    fn likeness(&self, other: &Self) -> u32 {
        let both = self.features.iter().zip(&other.features).map(|(a, b)| (a & b).count_ones());
        (254 * both.sum::<u32>()).checked_div(self.count + other.count).unwrap_or(127)
    }

    /// Returns the value of the calls as partners; zero if they are none.
    fn worth(&self, other: &Self) -> u32 {
        if self.tool != other.tool {
            return 0;
        }
        let likeness = self.likeness(other);
        if (self.repeated || other.repeated) && likeness < ALIKE { 0 } else { PAIR + likeness }
    }
}

/// Aligns two sequences of calls: for each call of `base` the place of its partner. Of all ways to pair calls
/// of one tool in order it takes one with the greatest worth (Needleman and Wunsch's global alignment, gaps at
/// no cost).
pub(super) fn align(base: &[Compared<'_>], other: &[Compared<'_>]) -> Vec<Option<usize>> {
    let width = other.len() + 1;
    let mut best = vec![0_u32; (base.len() + 1) * width];
    let mut paired = vec![false; best.len()];
    for i in (0..base.len()).rev() {
        for j in (0..other.len()).rev() {
            let apart = best[(i + 1) * width + j].max(best[i * width + j + 1]);
            let worth = base[i].worth(&other[j]);
            let together = best[(i + 1) * width + j + 1] + worth;
            let pair = worth > 0 && together >= apart;
            paired[i * width + j] = pair;
            best[i * width + j] = if pair { together } else { apart };
        }
    }
    let mut partners = vec![None; base.len()];
    let (mut i, mut j) = (0, 0);
    while i < base.len() && j < other.len() {
        if paired[i * width + j] {
            partners[i] = Some(j);
            i += 1;
            j += 1;
        } else if best[(i + 1) * width + j] >= best[i * width + j + 1] {
            i += 1;
        } else {
            j += 1;
        }
    }
    partners
}

#[cfg(test)]
mod tests {
    use memory_core::Action;

    use super::*;
    use crate::calls::calls;
    use crate::calls::tests::{success, trace};

    #[test]
    fn calls_of_one_tool_find_their_like() {
        let check = |base: &[&str], other: &[&str], expected: &[Option<usize>]| {
            let of = |commands: &[&str]| {
                let action =
                    |line: &&str| Action::tool("sh").arguments(serde_json::json!({"command": *line}));
                trace(1, success(), commands.iter().map(action).collect())
            };
            let (base, other) = (of(base), of(other));
            assert_eq!(align(&compared(&calls(&base)), &compared(&calls(&other))), expected);
        };
        let release = ["cargo test", "cargo publish -p billing", "git tag v1.2.0"];
        check(&release, &release, &[Some(0), Some(1), Some(2)]);
        check(&release, &["cargo publish -p invoices", "git tag v2.0.0"], &[None, Some(0), Some(1)]);
        check(&release, &["cargo test", "git tag v2.0.0"], &[Some(0), None, Some(1)]);
        check(&["git tag v1.2.0"], &["cargo test", "cargo publish", "git tag v2.0.0"], &[Some(2)]);
        check(&["ls -l", "pwd"], &["cargo test", "cargo publish"], &[None, None]);
        check(&["get W1234567"], &["W7654321 x"], &[Some(0)]);
        check(&[], &release, &[]);
    }
}
