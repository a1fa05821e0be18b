//! Chance that repeats: the same seed gives the same throws.

use agent_memory::testing::{IdSource, SeededIds};

/// A seeded source of chance.
#[derive(Debug)]
pub(crate) struct Dice(SeededIds);

impl Dice {
    /// Makes dice from a seed and the names of what they are for, so that no two uses share their throws.
    pub(crate) fn new(seed: u64, uses: &[u64]) -> Self {
        let mixed = uses.iter().fold(seed, |state, part| {
            // The seed passes through the generator once a part: neighbouring parts must not give shifted sequences.
            SeededIds::new(state).random() ^ part.wrapping_mul(0xd134_2543_de82_ef95)
        });
        Self(SeededIds::new(mixed))
    }

    /// Returns a number in `0..end`; 0 if `end` is 0. The bias of the modulus is below `end / 2^64`.
    pub(crate) fn below(&self, end: usize) -> usize {
        (self.0.random() % end.max(1) as u64) as usize
    }

    /// Returns true with a probability.
    pub(crate) fn chance(&self, probability: f64) -> bool {
        let share = (self.0.random() >> 11) as f64 / (1_u64 << 53) as f64;
        share < probability
    }

    /// Returns any of some items, of which there must be one.
    pub(crate) fn pick<T: Copy>(&self, items: &[T]) -> T {
        items[self.below(items.len())]
    }

    /// Puts items into a random order (Fisher and Yates).
    pub(crate) fn shuffle<T>(&self, items: &mut [T]) {
        for end in (1..items.len()).rev() {
            items.swap(end, self.below(end + 1));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn throws_repeat_and_uses_differ() {
        let throws = |uses: &[u64]| {
            let dice = Dice::new(7, uses);
            (0..50).map(|_| dice.below(1_000)).collect::<Vec<_>>()
        };
        assert_eq!(throws(&[1, 2]), throws(&[1, 2]));
        assert_ne!(throws(&[1, 2]), throws(&[2, 1]));
        assert_ne!(throws(&[1, 2])[1..], throws(&[1, 3])[..49]);
    }

    #[test]
    fn every_face_comes_up() {
        let dice = Dice::new(1, &[]);
        let mut seen = [0; 6];
        (0..6_000).for_each(|_| seen[dice.below(6)] += 1);
        assert!(seen.iter().all(|count| (850..1_150).contains(count)), "{seen:?}");
        let mut items = [0, 1, 2, 3];
        dice.shuffle(&mut items);
        items.sort_unstable();
        assert_eq!(items, [0, 1, 2, 3]);
    }
}
