//! Demotes items whose uses end worse than episodes without them.

use memory_core::{Standing, Tally, Timestamp};

use crate::confidence::{Confidence, ConfidenceConfig, quantile};

/// The uses, in pieces of evidence as of now, from which an item may be demoted: with fewer, chance alone
/// explains any result.
const DEMOTE_FROM: f64 = 2.5;
/// The uses, in pieces of evidence as of now, from which an item may be withheld.
const WITHHOLD_FROM: f64 = 4.5;
/// An item is demoted if its success rate is below the baseline with this probability.
///
/// The test is repeated after each use, so chance gets many attempts: of useless items, 5 % are demoted at a
/// time, and one in four at some time within 30 uses.
const DEMOTE_SURENESS: f64 = 0.95;
/// An item is withheld if the whole 95 % interval of its success rate is below that of the baseline.
const WITHHOLD_SURENESS: f64 = 0.975;
/// The share of its score that a demoted item keeps: below most that are as relevant, above those that hardly are.
const DEMOTED_SHARE: f64 = 0.5;

/// Judges an item by its uses after a recall against the episodes of the same domain without it; `all` has both.
///
/// Evidence of uses fades with time, so that an item that is withheld, and hence not used, gets another chance
/// once too little of it is left.
pub fn standing(used: &Tally, all: &Tally, now: Timestamp, config: &ConfidenceConfig) -> Standing {
    let uses = used.at(now, config).weight();
    if uses < DEMOTE_FROM {
        return Standing::Active;
    }
    let at_most = |sureness| quantile(used, sureness, now, config);
    let baseline = without(all, used);
    let usual = baseline.mean(now, config);
    let usual_at_least = quantile(&baseline, 1.0 - WITHHOLD_SURENESS, now, config);
    if uses >= WITHHOLD_FROM && at_most(WITHHOLD_SURENESS) < usual_at_least {
        Standing::Withheld
    } else if at_most(DEMOTE_SURENESS) < usual {
        Standing::Demoted
    } else {
        Standing::Active
    }
}

/// Removes the uses of an item from the counts of all episodes, in which each counts fully.
fn without(all: &Tally, used: &Tally) -> Tally {
    Tally {
        successes: all.successes.saturating_sub(used.successes),
        failures: all.failures.saturating_sub(used.failures),
        success_weight: (all.success_weight - f64::from(used.successes)).max(0.0),
        failure_weight: (all.failure_weight - f64::from(used.failures)).max(0.0),
        ..*all
    }
}

/// Returns the share of its score that an item keeps.
pub fn score_share(standing: Standing) -> f64 {
    match standing {
        Standing::Active => 1.0,
        Standing::Demoted => DEMOTED_SHARE,
        Standing::Withheld => 0.0,
    }
}

#[cfg(test)]
mod tests {
    use memory_core::split_mix;

    use super::*;

    fn tally(successes: usize, failures: usize) -> Tally {
        // Spread evenly, so that fading favours neither.
        let all = successes + failures;
        let piece = |i: usize| if (i + 1) * successes / all > i * successes / all { 1.0 } else { 0.0 };
        Tally::from_evidence((0..all).map(|i| (piece(i), Timestamp(0))), &ConfidenceConfig::default())
    }

    /// Returns the counts of the episodes without an item and those with it, each counting fully.
    fn both(others: &Tally, used: &Tally) -> Tally {
        Tally {
            successes: others.successes + used.successes,
            failures: others.failures + used.failures,
            success_weight: others.success_weight + f64::from(used.successes),
            failure_weight: others.failure_weight + f64::from(used.failures),
            ..*others
        }
    }

    #[test]
    fn items_that_hurt_are_demoted_and_then_withheld() {
        let check = |used: (usize, usize), baseline: (usize, usize), expected| {
            let (used, baseline) = (tally(used.0, used.1), tally(baseline.0, baseline.1));
            let found = standing(&used, &both(&baseline, &used), Timestamp(0), &ConfidenceConfig::default());
            assert_eq!(found, expected, "{used:?} against {baseline:?}");
        };
        check((0, 0), (80, 20), Standing::Active);
        check((0, 2), (80, 20), Standing::Active);
        check((0, 3), (80, 20), Standing::Demoted);
        check((0, 6), (80, 20), Standing::Withheld);
        check((16, 4), (80, 20), Standing::Active);
        check((20, 0), (10, 90), Standing::Active);
        // An item used in most episodes is no baseline for itself.
        check((0, 25), (6, 0), Standing::Withheld);
        // Where nearly everything fails, failing is no fault of the item.
        check((0, 6), (5, 95), Standing::Active);
        // Without a baseline, only an item that fails more often than not is demoted.
        check((0, 6), (0, 0), Standing::Demoted);
    }

    /// Returns the share of 500 items that are withheld at some time within 30 uses.
    fn withheld(item: f64, others: f64) -> f64 {
        let config = ConfidenceConfig::default();
        let mut seed = 42;
        let mut succeeds = |rate: f64| {
            let drawn = (split_mix(&mut seed) >> 11) as f64 / (1_u64 << 53) as f64;
            if drawn < rate { 1.0 } else { 0.0 }
        };
        let now = Timestamp(0);
        let mut is_withheld = || {
            let (mut used, mut baseline) = (Tally::default(), Tally::default());
            (0..60).for_each(|_| baseline.add(succeeds(others), now, &config));
            (0..30).any(|_| {
                used.add(succeeds(item), now, &config);
                baseline.add(succeeds(others), now, &config);
                standing(&used, &both(&baseline, &used), now, &config) == Standing::Withheld
            })
        };
        (0..500).filter(|_| is_withheld()).count() as f64 / 500.0
    }

    #[test]
    fn harmless_items_are_kept_and_harmful_ones_found() {
        for rate in [0.3, 0.5, 0.7, 0.9] {
            assert!(withheld(rate, rate) < 0.03, "{rate}");
        }
        assert!(withheld(0.3, 0.8) > 0.9);
        assert!(withheld(0.9, 0.5) < 0.002);
    }

    #[test]
    fn what_is_withheld_gets_another_chance() {
        let config = ConfidenceConfig::default();
        let (used, baseline) = (tally(0, 10), tally(80, 20));
        let after = |half_lives: u32| {
            let now = Timestamp(0).plus(config.half_life * half_lives);
            // Episodes without the item go on.
            standing(&used, &Tally { as_of: now, ..both(&baseline, &used) }, now, &config)
        };
        assert_eq!(after(0), Standing::Withheld);
        assert_eq!(after(3), Standing::Active);
    }

    #[test]
    fn lower_standing_scores_lower() {
        let shares = [Standing::Active, Standing::Demoted, Standing::Withheld].map(score_share);
        assert!(shares.is_sorted_by(|a, b| a > b), "{shares:?}");
    }
}
