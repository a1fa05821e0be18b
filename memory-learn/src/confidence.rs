//! How sure evidence makes: a Beta posterior with fading memory.
//!
//! An item's success is a Bernoulli rate with a Beta prior, so that its posterior is
//! `Beta(prior_success + s, prior_failure + f)` with the weights `s` of the evidence for it and `f` of the
//! evidence against it (Gelman et al., "Bayesian Data Analysis", 3rd ed., section 2.4; with partial success
//! counted in fractions). Older evidence counts less, twice over: a half-life in time, and a factor for each
//! newer piece (the "beta reputation system" of Jøsang and Ismail, 2002, with its forgetting factor).
//! Confidence is a low quantile of that posterior, never the bare rate: one success out of one is worth less
//! than nineteen out of twenty.

use std::time::Duration;

use memory_core::{Error, PatternBody, Result, Tally, Timestamp};
use serde::{Deserialize, Serialize};
use special::Beta;

/// Settings of how evidence adds up.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct ConfidenceConfig {
    /// The weight of success that is assumed before there is evidence, in pieces of evidence; 1 by default (with
    /// `prior_failure` the uniform prior), from 0.01 to 100.
    pub prior_success: f64,
    /// The weight of failure that is assumed before there is evidence, in pieces of evidence; 1 by default,
    /// from 0.01 to 100.
    pub prior_failure: f64,
    /// The quantile of the posterior that counts as the lower bound; 0.10 by default, above 0 and below 0.5.
    ///
    /// At 0.10 three successes out of three are worth 0.56, just above even odds; at 0.05 it takes four, and
    /// few tasks recur that often.
    pub quantile: f64,
    /// The time after which evidence weighs half; 90 days by default, at least a second.
    pub half_life: Duration,
    /// The weight that older evidence keeps for each newer piece; 0.97 by default, from 0.5 to 0.999.
    ///
    /// At 0.97 the evidence never exceeds the weight of 33 pieces, and the last 23 uses have half of the
    /// weight, so that a change in the world shows after a few dozen uses, however much evidence came before.
    pub fading: f64,
}

impl Default for ConfidenceConfig {
    fn default() -> Self {
        Self {
            prior_success: 1.0,
            prior_failure: 1.0,
            quantile: 0.10,
            half_life: Duration::from_secs(90 * 86_400),
            fading: 0.97,
        }
    }
}

impl ConfidenceConfig {
    /// Checks the settings.
    ///
    /// # Errors
    /// `InvalidInput` that names the setting out of bounds.
    pub fn validate(&self) -> Result<()> {
        let Self { prior_success, prior_failure, quantile, half_life, fading } = self;
        let prior = 0.01..=100.0;
        Error::check_setting(
            "confidence.prior_success",
            *prior_success,
            prior.contains(prior_success),
            "0.01 to 100",
        )?;
        Error::check_setting(
            "confidence.prior_failure",
            *prior_failure,
            prior.contains(prior_failure),
            "0.01 to 100",
        )?;
        Error::check_setting(
            "confidence.quantile",
            *quantile,
            *quantile >= 1e-4 && *quantile < 0.5,
            "0.0001 to below 0.5",
        )?;
        Error::check_setting("confidence.fading", *fading, (0.5..=0.999).contains(fading), "0.5 to 0.999")?;
        let seconds = half_life.as_secs_f64();
        Error::check_setting("confidence.half_life", seconds, seconds >= 1.0, "1 second and more")
    }

    /// Returns the most that evidence can weigh, in pieces.
    fn ceiling(&self) -> f64 {
        1.0 / (1.0 - self.fading)
    }

    /// Returns the remaining part of a weight after `age`.
    fn left_after(&self, age: Duration) -> f64 {
        (-age.as_secs_f64() / self.half_life.as_secs_f64()).exp2()
    }
}

/// Computes the confidence of counted evidence.
pub trait Confidence: Sized {
    /// Adds one piece of evidence. `success` in `0.0..=1.0` is split between the two weights, and counts as a
    /// success from 0.5; a value that is not a number counts as 0.
    ///
    /// Newer evidence fades the existing weights; older evidence is discounted for its age instead. The result
    /// then depends slightly on the order of arrival; that of [`Tally::from_evidence`] does not.
    fn add(&mut self, success: f64, at: Timestamp, config: &ConfidenceConfig);

    /// Returns the sum of pieces of evidence, given as success and time in the order of `(time, id)`; the same
    /// evidence always gives the same counts.
    fn from_evidence(evidence: impl IntoIterator<Item = (f64, Timestamp)>, config: &ConfidenceConfig)
    -> Self;

    /// Returns the sum of two counts of different evidence, as of the later of both.
    ///
    /// The order in time of the pieces of both is not known any more, so neither fades the other; the weights
    /// stay within the bound of fading.
    #[must_use]
    fn merge(&self, other: &Self, config: &ConfidenceConfig) -> Self;

    /// Returns the counts with their weights as of `now`; unchanged if `now` is earlier.
    #[must_use]
    fn at(&self, now: Timestamp, config: &ConfidenceConfig) -> Self;

    /// Returns the success expected of the next use, in `0.0..=1.0`: the mean of the posterior.
    fn mean(&self, now: Timestamp, config: &ConfidenceConfig) -> f64;

    /// Returns the success that the item has at least, in `0.0..=1.0`, with a probability of one less
    /// [`ConfidenceConfig::quantile`].
    fn lower_bound(&self, now: Timestamp, config: &ConfidenceConfig) -> f64;

    /// Returns the lower and the upper bound of the success, each missed with a probability of
    /// [`ConfidenceConfig::quantile`].
    fn interval(&self, now: Timestamp, config: &ConfidenceConfig) -> (f64, f64);
}

impl Confidence for Tally {
    fn add(&mut self, success: f64, at: Timestamp, config: &ConfidenceConfig) {
        let success = if success.is_nan() { 0.0 } else { success.clamp(0.0, 1.0) };
        let (kept, own) = if self.is_empty() {
            (0.0, 1.0)
        } else if at >= self.as_of {
            (config.left_after(at.since(self.as_of)) * config.fading, 1.0)
        } else {
            (1.0, config.left_after(self.as_of.since(at)) * config.fading)
        };
        self.success_weight = self.success_weight * kept + success * own;
        self.failure_weight = self.failure_weight * kept + (1.0 - success) * own;
        let count = if success >= 0.5 { &mut self.successes } else { &mut self.failures };
        *count = count.saturating_add(1);
        self.as_of = self.as_of.max(at);
        bound(self, config);
    }

    fn from_evidence(
        evidence: impl IntoIterator<Item = (f64, Timestamp)>,
        config: &ConfidenceConfig,
    ) -> Self {
        let mut tally = Self::default();
        for (success, at) in evidence {
            tally.add(success, at, config);
        }
        tally
    }

    fn merge(&self, other: &Self, config: &ConfidenceConfig) -> Self {
        let as_of = self.as_of.max(other.as_of);
        let (a, b) = (self.at(as_of, config), other.at(as_of, config));
        let mut merged = Self {
            successes: a.successes.saturating_add(b.successes),
            failures: a.failures.saturating_add(b.failures),
            success_weight: a.success_weight + b.success_weight,
            failure_weight: a.failure_weight + b.failure_weight,
            as_of,
        };
        bound(&mut merged, config);
        merged
    }

    fn at(&self, now: Timestamp, config: &ConfidenceConfig) -> Self {
        let left = config.left_after(now.since(self.as_of));
        Self {
            success_weight: self.success_weight * left,
            failure_weight: self.failure_weight * left,
            as_of: self.as_of.max(now),
            ..*self
        }
    }

    fn mean(&self, now: Timestamp, config: &ConfidenceConfig) -> f64 {
        let (a, b) = posterior(self, now, config);
        a / (a + b)
    }

    fn lower_bound(&self, now: Timestamp, config: &ConfidenceConfig) -> f64 {
        quantile(self, config.quantile, now, config)
    }

    fn interval(&self, now: Timestamp, config: &ConfidenceConfig) -> (f64, f64) {
        (self.lower_bound(now, config), quantile(self, 1.0 - config.quantile, now, config))
    }
}

/// Returns a quantile of the posterior.
pub(crate) fn quantile(tally: &Tally, probability: f64, now: Timestamp, config: &ConfidenceConfig) -> f64 {
    let (a, b) = posterior(tally, now, config);
    beta_quantile(probability, a, b)
}

fn posterior(tally: &Tally, now: Timestamp, config: &ConfidenceConfig) -> (f64, f64) {
    let left = config.left_after(now.since(tally.as_of));
    let bounded = |weight: f64| weight.clamp(0.0, config.ceiling());
    (
        config.prior_success + bounded(tally.success_weight) * left,
        config.prior_failure + bounded(tally.failure_weight) * left,
    )
}

/// Keeps the weights within the bound of fading.
fn bound(tally: &mut Tally, config: &ConfidenceConfig) {
    let excess = tally.weight() / config.ceiling();
    if excess > 1.0 {
        tally.success_weight /= excess;
        tally.failure_weight /= excess;
    }
}

/// Returns the confidence in a pattern, in `0.0..=1.0`: for an anti-pattern, that it leads to failure; for
/// every other, that it leads to success.
pub fn pattern_confidence(
    body: &PatternBody,
    tally: &Tally,
    now: Timestamp,
    config: &ConfidenceConfig,
) -> f64 {
    match body {
        PatternBody::AntiPattern { .. } => tally.opposite().lower_bound(now, config),
        _ => tally.lower_bound(now, config),
    }
}

/// Returns the `x` with `I_x(a, b) = probability`, the quantile of `Beta(a, b)`.
///
/// Newton's method on the regularised incomplete beta function (Algorithm AS 63), within a bracket that every step
/// narrows: a step that would leave it is replaced by bisection, so that the search ends for all parameters.
fn beta_quantile(probability: f64, a: f64, b: f64) -> f64 {
    const STEPS: usize = 64;
    const PRECISION: f64 = 1e-12;
    let ln_beta = a.ln_beta(b);
    let (mut low, mut high) = (0.0_f64, 1.0_f64);
    let mut x = a / (a + b);
    for _ in 0..STEPS {
        let excess = x.inc_beta(a, b, ln_beta) - probability;
        if excess > 0.0 {
            high = x;
        } else {
            low = x;
        }
        let density = ((a - 1.0) * x.ln() + (b - 1.0) * (1.0 - x).ln() - ln_beta).exp();
        let newton = x - excess / density;
        let next = if newton > low && newton < high { newton } else { f64::midpoint(low, high) };
        if (next - x).abs() < PRECISION {
            return next;
        }
        x = next;
    }
    x
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const DAY: u64 = 86_400_000;

    fn tally(evidence: &[(f64, u64)]) -> Tally {
        let pieces = evidence.iter().map(|(success, day)| (*success, Timestamp(day * DAY)));
        Tally::from_evidence(pieces, &ConfidenceConfig::default())
    }

    #[test]
    fn quantiles_are_those_of_the_closed_forms() {
        let check = |p: f64, a: f64, b: f64, expected: f64| {
            let found = beta_quantile(p, a, b);
            assert!((found - expected).abs() < 1e-9, "{p} of Beta({a}, {b}): {found}, not {expected}");
        };
        check(0.1, 1.0, 1.0, 0.1);
        check(0.05, 4.0, 1.0, 0.05_f64.powf(0.25));
        check(0.9, 1.0, 3.0, 1.0 - 0.1_f64.powf(1.0 / 3.0));
        check(0.5, 7.0, 7.0, 0.5);
        // The arcsine distribution.
        check(0.1, 0.5, 0.5, (std::f64::consts::PI * 0.05).sin().powi(2));
        check(0.1, 0.01, 1.0, 0.1_f64.powf(100.0));
    }

    #[test]
    fn bounds_grow_with_evidence_and_stay_below_the_rate() {
        let check = |successes: usize, failures: usize, expected: f64| {
            let evidence = [vec![(1.0, 0); successes], vec![(0.0, 0); failures]].concat();
            let config = ConfidenceConfig { fading: 0.999, ..ConfidenceConfig::default() };
            let at = Timestamp(0);
            let found = Tally::from_evidence(evidence.iter().map(|(s, _)| (*s, at)), &config)
                .lower_bound(at, &config);
            assert!((found - expected).abs() < 0.005, "{successes}:{failures} gives {found}, not {expected}");
        };
        check(0, 0, 0.10);
        check(1, 0, 0.316);
        check(3, 0, 0.562);
        check(10, 0, 0.811);
        check(0, 1, 0.051);
        check(19, 1, 0.829);
    }

    #[test]
    fn drift_shows_after_a_few_dozen_uses() {
        let config = ConfidenceConfig::default();
        let mut tally = tally(&[(1.0, 0); 500]);
        assert!(tally.lower_bound(Timestamp(0), &config) > 0.9);
        let needed = (1..).find(|_| {
            tally.add(0.0, Timestamp(0), &config);
            tally.mean(Timestamp(0), &config) < 0.5
        });
        assert!(needed.is_some_and(|needed| (15..=30).contains(&needed)), "{needed:?}");
    }

    #[test]
    fn late_evidence_is_discounted_and_moves_nothing_back() {
        let config = ConfidenceConfig::default();
        let mut late = tally(&[(1.0, 90)]);
        late.add(0.0, Timestamp(0), &config);
        assert_eq!(late.as_of, Timestamp(90 * DAY));
        assert!((late.failure_weight - 0.5 * config.fading).abs() < 1e-9);
        let exact = tally(&[(0.0, 0), (1.0, 90)]);
        assert!((late.weight() - exact.weight()).abs() < 1e-9);
    }

    #[test]
    fn success_beyond_its_bounds_is_brought_within() {
        let check = |success: f64, expected: f64| assert_eq!(tally(&[(success, 0)]), tally(&[(expected, 0)]));
        check(7.0, 1.0);
        check(-1.0, 0.0);
        check(f64::INFINITY, 1.0);
        check(f64::NAN, 0.0);
    }

    #[test]
    fn settings_have_bounds() {
        let check = |change: fn(&mut ConfidenceConfig), field: &str| {
            let mut config = ConfidenceConfig::default();
            change(&mut config);
            let error = config.validate().expect_err(field);
            assert!(error.message().starts_with(field), "{error}");
        };
        ConfidenceConfig::default().validate().unwrap();
        check(|config| config.prior_success = 0.0, "confidence.prior_success");
        check(|config| config.prior_failure = f64::NAN, "confidence.prior_failure");
        check(|config| config.quantile = 0.5, "confidence.quantile");
        check(|config| config.fading = 1.0, "confidence.fading");
        check(|config| config.half_life = Duration::ZERO, "confidence.half_life");
    }

    fn evidence() -> impl Strategy<Value = Vec<(f64, u64)>> {
        prop::collection::vec((0.0..=1.0_f64, 0_u64..400), 0..60).prop_map(|mut evidence| {
            evidence.sort_by_key(|(_, day)| *day);
            evidence
        })
    }

    proptest! {
        #[test]
        fn bounds_are_probabilities_in_order(evidence in evidence(), later in 0_u64..1_000) {
            let config = ConfidenceConfig::default();
            let tally = tally(&evidence);
            let now = Timestamp((400 + later) * DAY);
            let (low, high) = tally.interval(now, &config);
            let mean = tally.mean(now, &config);
            prop_assert!(0.0 <= low && low < mean && mean < high && high <= 1.0, "{low} {mean} {high}");
            prop_assert!(tally.weight() <= config.ceiling() + 1e-9);
        }

        #[test]
        fn a_better_piece_never_lowers_the_bound(
            evidence in evidence().prop_filter("some", |all| !all.is_empty()),
            at in any::<prop::sample::Index>(),
            better in 0.0..=1.0_f64,
        ) {
            let config = ConfidenceConfig::default();
            let now = Timestamp(400 * DAY);
            let mut improved = evidence.clone();
            let piece = &mut improved[at.index(evidence.len())].0;
            *piece = piece.max(better);
            let bound = |evidence: &[(f64, u64)]| tally(evidence).lower_bound(now, &config);
            prop_assert!(bound(&improved) >= bound(&evidence) - 1e-9);
        }

        #[test]
        fn one_more_success_raises_the_bound_and_one_more_failure_lowers_it(
            successes in 0.0..30.0_f64, failures in 0.0..30.0_f64, more in 0.1..3.0_f64,
        ) {
            let config = ConfidenceConfig::default();
            let bound = |success_weight, failure_weight| {
                let tally = Tally { successes: 1, failures: 1, success_weight, failure_weight, as_of: Timestamp(0) };
                tally.lower_bound(Timestamp(0), &config)
            };
            prop_assert!(bound(successes + more, failures) > bound(successes, failures));
            prop_assert!(bound(successes, failures + more) < bound(successes, failures));
        }

        #[test]
        fn time_leads_back_to_the_prior(evidence in evidence()) {
            let config = ConfidenceConfig::default();
            let tally = tally(&evidence);
            let prior = Tally::default().mean(Timestamp(0), &config);
            let distance = |days: u64| (tally.mean(Timestamp(days * DAY), &config) - prior).abs();
            prop_assert!(distance(500) <= distance(400) + 1e-12);
            prop_assert!(distance(400_000) < 1e-6);
        }

        #[test]
        fn merging_is_symmetric_and_loses_no_count(a in evidence(), b in evidence()) {
            let config = ConfidenceConfig::default();
            let (a, b) = (tally(&a), tally(&b));
            let (ab, ba) = (a.merge(&b, &config), b.merge(&a, &config));
            prop_assert_eq!(ab, ba);
            prop_assert_eq!(ab.count(), a.count() + b.count());
            prop_assert!(ab.weight() <= config.ceiling() + 1e-9);
        }

        #[test]
        fn quantiles_invert_the_distribution(
            p in 0.001..0.999_f64, a in 0.01..1_000.0_f64, b in 0.01..1_000.0_f64,
        ) {
            let x = beta_quantile(p, a, b);
            prop_assert!((0.0..=1.0).contains(&x));
            // Where the quantile lies within a rounding error of 0 or 1 there is nothing to compare.
            if x > 1e-9 && x < 1.0 - 1e-9 {
                prop_assert!((x.inc_beta(a, b, a.ln_beta(b)) - p).abs() < 1e-6, "{x}");
            }
        }
    }
}
