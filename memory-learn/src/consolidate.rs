//! Consolidation ("dream cycle"): merging near-duplicates, decay, pruning and generalising, in small pieces.

pub mod plan;
pub(crate) mod similar;

use std::time::Duration;

use memory_core::{Error, Result};
use serde::{Deserialize, Serialize};

/// Settings of consolidation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct ConsolidationConfig {
    /// How long there must be no work before a cycle starts; 30 seconds by default.
    pub idle_after: Duration,
    /// The time from one cycle to the next; 6 hours by default, at least a second: evidence decays over weeks,
    /// so that more often changes little.
    pub interval: Duration,
    /// The most time a cycle may take; 2 seconds by default, at least a millisecond. The next cycle continues
    /// with the rest.
    pub budget: Duration,
    /// The similarity of content from which two patterns are merged; 0.9 by default, from 0.5 to 1 (the same
    /// words and tools in the same order).
    ///
    /// At 0.9 two sequences of ten tools may differ in one, and two of nine or fewer in none.
    pub merge_similarity: f64,
    /// The confidence below which an item is pruned if there is enough evidence; 0.2 by default, from 0 to 0.5.
    /// An item without evidence has 0.1.
    pub prune_below: f64,
    /// The evidence that is enough, in pieces as of now; 5 by default, at least 1.
    pub prune_evidence: f64,
    /// The time without new evidence and use after which an item is pruned; 365 days by default, at least a
    /// day. By then its evidence weighs a sixteenth.
    pub stale_after: Duration,
}

impl Default for ConsolidationConfig {
    fn default() -> Self {
        Self {
            idle_after: Duration::from_secs(30),
            interval: Duration::from_secs(6 * 3_600),
            budget: Duration::from_secs(2),
            merge_similarity: 0.9,
            prune_below: 0.2,
            prune_evidence: 5.0,
            stale_after: Duration::from_secs(365 * 86_400),
        }
    }
}

impl ConsolidationConfig {
    /// Checks the settings.
    ///
    /// # Errors
    /// `InvalidInput` that names the setting out of bounds.
    pub fn validate(&self) -> Result<()> {
        let at_least = |field: &str, value: Duration, least: Duration, bounds: &str| {
            Error::check_setting(field, value.as_secs_f64(), value >= least, bounds)
        };
        let Self { interval, budget, merge_similarity, prune_below, prune_evidence, stale_after, .. } = self;
        at_least("consolidation.interval", *interval, Duration::from_secs(1), "1 second and more")?;
        at_least("consolidation.budget", *budget, Duration::from_millis(1), "0.001 seconds and more")?;
        at_least(
            "consolidation.stale_after",
            *stale_after,
            Duration::from_secs(86_400),
            "86400 seconds and more",
        )?;
        let within = (0.5..=1.0).contains(merge_similarity);
        Error::check_setting("consolidation.merge_similarity", *merge_similarity, within, "0.5 to 1")?;
        Error::check_setting(
            "consolidation.prune_below",
            *prune_below,
            (0.0..=0.5).contains(prune_below),
            "0 to 0.5",
        )?;
        Error::check_setting(
            "consolidation.prune_evidence",
            *prune_evidence,
            *prune_evidence >= 1.0,
            "1 and more",
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_have_bounds() {
        let check = |change: fn(&mut ConsolidationConfig), field: &str| {
            let mut config = ConsolidationConfig::default();
            change(&mut config);
            let error = config.validate().expect_err(field);
            assert!(error.message().starts_with(field), "{error}");
        };
        ConsolidationConfig::default().validate().unwrap();
        check(|config| config.interval = Duration::ZERO, "consolidation.interval");
        check(|config| config.budget = Duration::ZERO, "consolidation.budget");
        check(|config| config.stale_after = Duration::ZERO, "consolidation.stale_after");
        check(|config| config.merge_similarity = 0.4, "consolidation.merge_similarity");
        check(|config| config.prune_below = f64::NAN, "consolidation.prune_below");
        check(|config| config.prune_evidence = 0.0, "consolidation.prune_evidence");
    }
}
