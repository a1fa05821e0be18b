//! The hidden rules of a world, and what a drift changes of them.

use super::words::{MODES, REPAIRS, Words};
use crate::dice::Dice;

/// Tools that an agent has for one kind of work.
const TOOLBOX: usize = 6;
/// One in so many rules changes in a drift.
const DRIFT_EVERY: usize = 3;

/// What removes the cause of a block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fix {
    /// Call this tool, then repeat the call.
    Repair(&'static str),
    /// Repeat the call in this mode.
    Mode(&'static str),
}

impl Fix {
    /// Returns all that can be tried.
    pub(super) fn all() -> Vec<Self> {
        REPAIRS.into_iter().map(Self::Repair).chain(MODES.into_iter().map(Self::Mode)).collect()
    }
}

/// What a type of task needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct TypeRule {
    /// The tools, in order: two to four.
    pub(super) sequence: Vec<&'static str>,
    /// The place in the sequence where a call may be blocked, and the cause.
    pub(super) block: (usize, usize),
    /// Whether the drift changed it.
    pub(super) drifted: bool,
}

/// The rules of a world. Agents without memory know the toolboxes alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Rules {
    /// The tools at hand, by kind.
    pub(super) toolboxes: Vec<Vec<&'static str>>,
    /// What each type of task needs, three types a kind.
    pub(super) types: Vec<TypeRule>,
    /// What helps, by the cause of the block.
    pub(super) fixes: Vec<Fix>,
}

impl Rules {
    /// Makes the rules of a world from a seed.
    pub(super) fn new(words: &Words, seed: u64) -> Self {
        let dice = Dice::new(seed, &[0]);
        let toolboxes: Vec<Vec<&'static str>> = words
            .kinds
            .iter()
            .map(|_| {
                let mut tools = words.tools.to_vec();
                dice.shuffle(&mut tools);
                tools.truncate(TOOLBOX);
                tools
            })
            .collect();
        let mut types: Vec<TypeRule> = Vec::new();
        for (kind, toolbox) in words.kinds.iter().zip(&toolboxes) {
            for _ in &kind.types {
                let mut tools = toolbox.clone();
                dice.shuffle(&mut tools);
                tools.truncate(2 + dice.below(3));
                let block = (dice.below(tools.len()), dice.below(words.blocks.len()));
                types.push(TypeRule { sequence: tools, block, drifted: false });
            }
        }
        let mut fixes = Fix::all();
        dice.shuffle(&mut fixes);
        Self { toolboxes, types, fixes }
    }

    /// Returns the rules after a drift: of every third type half of the tools (rounded up) are others, and two causes
    /// of blocks have swapped what helps.
    pub(super) fn drifted(&self, seed: u64) -> Self {
        let dice = Dice::new(seed, &[1]);
        let mut rules = self.clone();
        for (index, rule) in rules.types.iter_mut().enumerate().filter(|(index, _)| index % DRIFT_EVERY == 0)
        {
            let toolbox = &self.toolboxes[index / DRIFT_EVERY];
            let old = rule.sequence.clone();
            let mut others: Vec<&'static str> =
                toolbox.iter().copied().filter(|tool| !old.contains(tool)).collect();
            dice.shuffle(&mut others);
            let mut places: Vec<usize> = (0..old.len()).collect();
            dice.shuffle(&mut places);
            places.truncate(old.len().div_ceil(2));
            for (place, tool) in places.into_iter().zip(others) {
                rule.sequence[place] = tool;
            }
            rule.drifted = true;
        }
        let first = dice.below(rules.fixes.len());
        let second = (first + 1 + dice.below(rules.fixes.len() - 1)) % rules.fixes.len();
        rules.fixes.swap(first, second);
        rules
    }
}

#[cfg(test)]
mod tests {
    use super::super::words::{SERVERS, SHOP};
    use super::*;

    #[test]
    fn a_drift_changes_a_third_of_the_rules_for_every_seed() {
        for (seed, words) in (0..50).flat_map(|seed| [(seed, &SHOP), (seed, &SERVERS)]) {
            let before = Rules::new(words, seed);
            let after = before.drifted(seed);
            let changed: Vec<usize> = (0..before.types.len())
                .filter(|index| before.types[*index].sequence != after.types[*index].sequence)
                .collect();
            assert_eq!(changed, [0, 3, 6, 9], "seed {seed}");
            let fixes = before.fixes.iter().zip(&after.fixes).filter(|(old, new)| old != new).count();
            assert_eq!(fixes, 2, "seed {seed}");
            for (index, rule) in after.types.iter().enumerate() {
                assert!((2..=4).contains(&rule.sequence.len()));
                assert!(rule.block.0 < rule.sequence.len());
                let mut tools = rule.sequence.clone();
                tools.sort_unstable();
                tools.dedup();
                assert_eq!(tools.len(), rule.sequence.len(), "a tool twice, seed {seed}");
                assert!(tools.iter().all(|tool| after.toolboxes[index / 3].contains(tool)));
            }
        }
    }
}
