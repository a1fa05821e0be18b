//! Which recalls are withheld, to measure the benefit of memory.

use memory_core::{RecallId, split_mix};

/// Returns true if a recall is to be held back; `share` in `0.0..=1.0` of them are.
///
/// The decision depends on seed and identifier only, so that it is independent of query and answer, and can be
/// checked later. Call this only for a recall with something to show: otherwise tasks without relevant memory
/// would count as tasks with withheld memory.
pub fn withhold(seed: u64, recall: RecallId, share: f64) -> bool {
    let id = recall.0.as_u128();
    let mut state = seed;
    for half in [(id >> 64) as u64, id as u64] {
        state = split_mix(&mut state) ^ half;
    }
    // The upper 53 bits, as a number in 0..1.
    let drawn = (split_mix(&mut state) >> 11) as f64 / (1_u64 << 53) as f64;
    drawn < share
}

#[cfg(test)]
mod tests {
    use memory_core::{IdSource, SeededIds, Timestamp};

    use super::*;

    fn withheld(seed: u64, share: f64) -> Vec<bool> {
        let ids = SeededIds::new(11);
        (0..20_000).map(|at| withhold(seed, RecallId(ids.next(Timestamp(at))), share)).collect()
    }

    #[test]
    fn the_share_withheld_is_the_share_asked_for() {
        let check = |share: f64, tolerance: f64| {
            let found = withheld(1, share).iter().filter(|held| **held).count() as f64 / 20_000.0;
            assert!((found - share).abs() <= tolerance, "{found} instead of {share}");
        };
        check(0.0, 0.0);
        // About four standard errors.
        check(0.1, 0.009);
        check(0.5, 0.015);
        check(1.0, 0.0);
    }

    #[test]
    fn seeds_decide_independently_and_repeat() {
        assert_eq!(withheld(1, 0.3), withheld(1, 0.3));
        let agreeing = withheld(1, 0.5).iter().zip(withheld(2, 0.5)).filter(|(a, b)| **a == *b).count();
        assert!((agreeing as f64 / 20_000.0 - 0.5).abs() < 0.015, "{agreeing}");
    }
}
