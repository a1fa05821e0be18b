//! The reward of a completed episode, with all its factors.
//!
//! `total = outcome × efficiency × complexity × quality + learning bonus`. Each factor stays within its configured
//! bounds, so that the total does too.

use memory_core::{Complexity, EpisodeId, Error, Outcome, Quality, Result, Reward, Timestamp};
use serde::{Deserialize, Serialize};

/// The bounds of a factor.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FactorBounds {
    /// The least it can be; greater than 0.
    pub min: f64,
    /// The most it can be.
    pub max: f64,
}

impl FactorBounds {
    fn clamp(self, value: f64) -> f64 {
        value.clamp(self.min, self.max)
    }

    /// Returns the value at a share of the way from the least to the most.
    fn at(self, share: f64) -> f64 {
        self.clamp(self.min + (self.max - self.min) * share)
    }
}

/// Configures the reward of episodes.
///
/// With the defaults the total lies in `0.0..=1.9`; an ordinary success of moderate complexity scores about 1, the
/// worst success 0.32 and the best failure 0.1.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct RewardConfig {
    /// The value of a success; 1 by default. A partial one has its share of the way from `failure`.
    pub success: f64,
    /// The value of a failure or an abstention; 0 by default.
    pub failure: f64,
    /// The bounds of efficiency; 0.6 to 1.2 by default.
    pub efficiency: FactorBounds,
    /// The weight of steps in efficiency; 0.7 by default.
    pub steps_weight: f64,
    /// The weight of time in efficiency; 0.3 by default.
    pub time_weight: f64,
    /// The weight of the prior for the number of steps of a task, in episodes; 3 by default.
    pub prior_episodes: f64,
    /// The prior: steps that a simple task takes; 3 by default.
    pub simple_steps: f64,
    /// The prior: steps that a moderate task takes; 8 by default.
    pub moderate_steps: f64,
    /// The prior: steps that a complex task takes; 20 by default.
    pub complex_steps: f64,
    /// The factor of a simple task; 0.9 by default.
    pub simple_factor: f64,
    /// The factor of a moderate task; 1 by default.
    pub moderate_factor: f64,
    /// The factor of a complex task; 1.2 by default.
    pub complex_factor: f64,
    /// The bounds of quality; 0.6 to 1.25 by default. Without measures, quality is 1.
    pub quality: FactorBounds,
    /// The weight of the share of tests passed in quality; 0.35 by default.
    pub tests_weight: f64,
    /// The weight of lint findings in quality; 0.1 by default.
    pub lint_weight: f64,
    /// The weight of a review in quality; 0.2 by default.
    pub review_weight: f64,
    /// The weight of the user's acceptance in quality; 0.35 by default.
    pub acceptance_weight: f64,
    /// The share of quality that unrecovered errors can remove; 0.2 by default.
    pub unrecovered_penalty: f64,
    /// The most that the learning bonus can be; 0.1 by default.
    pub max_bonus: f64,
    /// The share of the bonus that a new kind of task gives; 0.7 by default.
    pub novelty_share: f64,
    /// The share of the bonus that recovering from errors gives; 0.3 by default.
    pub recovery_share: f64,
}

impl Default for RewardConfig {
    fn default() -> Self {
        Self {
            success: 1.0,
            failure: 0.0,
            efficiency: FactorBounds { min: 0.6, max: 1.2 },
            steps_weight: 0.7,
            time_weight: 0.3,
            prior_episodes: 3.0,
            simple_steps: 3.0,
            moderate_steps: 8.0,
            complex_steps: 20.0,
            simple_factor: 0.9,
            moderate_factor: 1.0,
            complex_factor: 1.2,
            quality: FactorBounds { min: 0.6, max: 1.25 },
            tests_weight: 0.35,
            lint_weight: 0.1,
            review_weight: 0.2,
            acceptance_weight: 0.35,
            unrecovered_penalty: 0.2,
            max_bonus: 0.1,
            novelty_share: 0.7,
            recovery_share: 0.3,
        }
    }
}

impl RewardConfig {
    /// Checks that every setting makes sense: figures are finite and not negative, bounds in order, a success
    /// worth no less than a failure, and a harder task no less than an easier one, nor shorter by the prior.
    ///
    /// # Errors
    /// `InvalidInput` with the setting, the value found and its limits.
    pub fn validate(&self) -> Result<()> {
        let share = 0.0..=1.0;
        let not_negative = 0.0..=f64::MAX;
        let positive = f64::MIN_POSITIVE..=f64::MAX;
        let all = [
            ("reward.failure", self.failure, not_negative.clone()),
            ("reward.success", self.success, self.failure..=f64::MAX),
            ("reward.steps_weight", self.steps_weight, not_negative.clone()),
            ("reward.time_weight", self.time_weight, not_negative.clone()),
            ("reward.prior_episodes", self.prior_episodes, not_negative.clone()),
            ("reward.simple_steps", self.simple_steps, positive.clone()),
            ("reward.moderate_steps", self.moderate_steps, self.simple_steps..=f64::MAX),
            ("reward.complex_steps", self.complex_steps, self.moderate_steps..=f64::MAX),
            ("reward.simple_factor", self.simple_factor, positive.clone()),
            ("reward.moderate_factor", self.moderate_factor, self.simple_factor..=f64::MAX),
            ("reward.complex_factor", self.complex_factor, self.moderate_factor..=f64::MAX),
            ("reward.efficiency.min", self.efficiency.min, positive.clone()),
            ("reward.efficiency.max", self.efficiency.max, self.efficiency.min..=f64::MAX),
            ("reward.quality.min", self.quality.min, positive),
            ("reward.quality.max", self.quality.max, self.quality.min..=f64::MAX),
            ("reward.tests_weight", self.tests_weight, not_negative.clone()),
            ("reward.lint_weight", self.lint_weight, not_negative.clone()),
            ("reward.review_weight", self.review_weight, not_negative.clone()),
            ("reward.acceptance_weight", self.acceptance_weight, not_negative.clone()),
            ("reward.unrecovered_penalty", self.unrecovered_penalty, share.clone()),
            ("reward.max_bonus", self.max_bonus, not_negative),
            ("reward.novelty_share", self.novelty_share, share.clone()),
            ("reward.recovery_share", self.recovery_share, share),
        ];
        for (field, found, limits) in all {
            let (least, most) = (*limits.start(), *limits.end());
            let bounds = match (least == f64::MIN_POSITIVE, most == f64::MAX) {
                (true, _) => "above 0".to_owned(),
                (false, true) => format!("{least} and more"),
                (false, false) => format!("{least} to {most}"),
            };
            Error::check_setting(field, found, limits.contains(&found), bounds)?;
        }
        Ok(())
    }

    /// Returns the highest total that this configuration allows.
    pub fn max_total(&self) -> f64 {
        self.success * self.efficiency.max * self.complex_factor * self.quality.max + self.max_bonus
    }

    fn prior_steps(&self, complexity: Complexity) -> f64 {
        match complexity {
            Complexity::Simple => self.simple_steps,
            Complexity::Moderate => self.moderate_steps,
            Complexity::Complex => self.complex_steps,
        }
    }
}

/// The inputs of a reward.
#[derive(Debug, Clone, PartialEq)]
pub struct RewardInput {
    /// How the episode ended; `None` counts as a failure.
    pub outcome: Option<Outcome>,
    /// How likely the outcome is right, in `0.0..=1.0`.
    pub confidence: f64,
    /// The steps it took.
    pub steps: u32,
    /// The duration in milliseconds; `None` if it was not measured.
    pub duration_ms: Option<u64>,
    /// How hard the task is.
    pub complexity: Complexity,
    /// The measured quality of its artifacts.
    pub qualities: Vec<Quality>,
    /// Steps that failed.
    pub errors: u32,
    /// Those of them that it recovered from.
    pub recovered: u32,
    /// How new the task is, in `0.0..=1.0`.
    pub novelty: f64,
}

/// The usual effort of similar tasks in this memory.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Usual {
    /// The number of episodes for this.
    pub episodes: u32,
    /// Their mean number of steps.
    pub steps: f64,
    /// Their mean duration in milliseconds; `None` if it was not measured.
    pub duration_ms: Option<f64>,
}

/// Scores an episode again after feedback: outcome and quality anew, while what it took and how new it was stay as they
/// were scored at the time.
pub fn rescore(old: &Reward, input: &RewardInput, config: &RewardConfig) -> Reward {
    let share = input.success_share().clamp(0.0, 1.0);
    let outcome = config.failure + (config.success - config.failure) * share;
    let quality = quality(input, config);
    let total = outcome * old.efficiency * old.complexity * quality + old.learning_bonus;
    Reward { total, outcome, quality, learned: false, ..old.clone() }
}

impl RewardInput {
    /// Returns how much is expected to be done; half where nobody knows.
    fn success_share(&self) -> f64 {
        match &self.outcome {
            Some(Outcome::Unknown { .. }) => 0.5,
            Some(outcome) => {
                let share = outcome.success_share();
                share * self.confidence + 0.5 * (1.0 - self.confidence)
            }
            None => 0.0,
        }
    }
}

/// Scores a completed episode.
pub fn score(
    input: &RewardInput,
    usual: &Usual,
    config: &RewardConfig,
    episode: EpisodeId,
    at: Timestamp,
) -> Reward {
    let share = input.success_share().clamp(0.0, 1.0);
    let outcome = config.failure + (config.success - config.failure) * share;
    let efficiency = efficiency(input, usual, config);
    let complexity = match input.complexity {
        Complexity::Simple => config.simple_factor,
        Complexity::Moderate => config.moderate_factor,
        Complexity::Complex => config.complex_factor,
    };
    let quality = quality(input, config);
    let learning_bonus = learning_bonus(input, config);
    let total = outcome * efficiency * complexity * quality + learning_bonus;
    Reward { episode, at, total, outcome, efficiency, complexity, quality, learning_bonus, learned: false }
}

/// Returns the efficiency: the weighted geometric mean of usual over actual steps and time.
///
/// With `n` known episodes, the usual number of steps is shrunk towards the prior of the task's complexity as
/// if that were `prior_episodes` more. Time has no prior; its weight is `n / (n + prior_episodes)`.
fn efficiency(input: &RewardInput, usual: &Usual, config: &RewardConfig) -> f64 {
    let known = f64::from(usual.episodes);
    let prior = config.prior_episodes;
    let all = known + prior;
    let expected = if all > 0.0 {
        (known * usual.steps + prior * config.prior_steps(input.complexity)) / all
    } else {
        f64::from(input.steps)
    };
    let ratio = |usual: f64, actual: f64| (usual.max(1.0) / actual.max(1.0)).ln();
    let mut log = config.steps_weight * ratio(expected, f64::from(input.steps));
    let mut weight = config.steps_weight;
    if let (Some(usual), Some(actual), true) = (usual.duration_ms, input.duration_ms, all > 0.0) {
        log += config.time_weight * known / all * ratio(usual, actual as f64);
        weight += config.time_weight;
    }
    let mean = if weight > 0.0 { (log / weight).exp() } else { 1.0 };
    config.efficiency.clamp(mean)
}

/// Returns the combined measures of quality, less the penalty for unrecovered errors.
fn quality(input: &RewardInput, config: &RewardConfig) -> f64 {
    let mut sum = 0.0;
    let mut weight = 0.0;
    let mut measure = |of: f64, scores: Vec<f64>| {
        if !scores.is_empty() {
            sum += of * scores.iter().sum::<f64>() / scores.len() as f64;
            weight += of;
        }
    };
    let each = |score: &dyn Fn(&Quality) -> Option<f64>| -> Vec<f64> {
        input.qualities.iter().filter_map(score).collect()
    };
    let [passed, failed] = input.qualities.iter().fold([0.0, 0.0], |[passed, failed], quality| {
        let of = |count: Option<u32>| f64::from(count.unwrap_or(0));
        [passed + of(quality.tests_passed), failed + of(quality.tests_failed)]
    });
    if passed + failed > 0.0 {
        measure(config.tests_weight, vec![passed / (passed + failed)]);
    }
    // Five findings halve it.
    measure(
        config.lint_weight,
        each(&|quality| quality.lint_findings.map(|found| 1.0 / (1.0 + f64::from(found) / 5.0))),
    );
    measure(config.review_weight, each(&|quality| quality.review_score.map(|score| score.clamp(0.0, 1.0))));
    measure(
        config.acceptance_weight,
        each(&|quality| quality.accepted.map(|yes| if yes { 1.0 } else { 0.0 })),
    );
    let measured = if weight > 0.0 { config.quality.at(sum / weight) } else { config.quality.clamp(1.0) };
    let unrecovered = f64::from(input.errors.saturating_sub(input.recovered));
    let lost = config.unrecovered_penalty * (1.0 - 1.0 / (1.0 + unrecovered));
    config.quality.clamp(measured * (1.0 - lost))
}

/// Returns the bonus for novelty: the same for a success and a failure.
fn learning_bonus(input: &RewardInput, config: &RewardConfig) -> f64 {
    let novelty = if input.novelty.is_nan() { 0.0 } else { input.novelty.clamp(0.0, 1.0) };
    let recovery = if input.errors == 0 {
        0.0
    } else {
        f64::from(input.recovered.min(input.errors)) / f64::from(input.errors)
    };
    let share = config.novelty_share * novelty + config.recovery_share * recovery;
    config.max_bonus * share.clamp(0.0, 1.0)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use uuid::Uuid;

    use super::*;

    fn scored(config: &RewardConfig, input: &RewardInput, usual: &Usual) -> Reward {
        score(input, usual, config, EpisodeId(Uuid::nil()), Timestamp(1))
    }

    fn usual_success() -> RewardInput {
        RewardInput {
            outcome: Some(Outcome::success("done")),
            confidence: 1.0,
            steps: 8,
            duration_ms: None,
            complexity: Complexity::Moderate,
            qualities: Vec::new(),
            errors: 0,
            recovered: 0,
            novelty: 0.0,
        }
    }

    #[test]
    fn an_ordinary_success_scores_one() {
        let usual = Usual { episodes: 10, steps: 8.0, duration_ms: Some(500.0) };
        let mut input = usual_success();
        assert!((scored(&RewardConfig::default(), &input, &usual).total - 1.0).abs() < 1e-9);
        assert!(
            (scored(&RewardConfig::default(), &input, &Usual::default()).total - 1.0).abs() < 1e-9,
            "the prior says the same"
        );
        input.duration_ms = Some(250);
        assert!(scored(&RewardConfig::default(), &input, &usual).efficiency > 1.0);
        input.outcome = Some(Outcome::Partial { fraction: 0.5, summary: "half".into() });
        assert!((scored(&RewardConfig::default(), &input, &usual).outcome - 0.5).abs() < 1e-9);
        input.outcome = None;
        assert_eq!(scored(&RewardConfig::default(), &input, &usual).total, 0.0);
    }

    #[test]
    fn with_the_defaults_no_failure_scores_above_a_success() {
        let worst = RewardInput {
            steps: 100_000,
            complexity: Complexity::Simple,
            qualities: vec![Quality::default().tests(0, 9).accepted(false)],
            errors: 100,
            ..usual_success()
        };
        let best = RewardInput {
            outcome: Some(Outcome::failure("no")),
            confidence: 1.0,
            steps: 1,
            complexity: Complexity::Complex,
            errors: 1,
            recovered: 1,
            novelty: 1.0,
            ..usual_success()
        };
        let [worst, best] =
            [worst, best].map(|input| scored(&RewardConfig::default(), &input, &Usual::default()).total);
        assert!(worst > best, "{worst} {best}");
        assert!((best - 0.1).abs() < 1e-9);
    }

    #[test]
    fn settings_that_make_no_sense_are_refused() {
        let check = |change: &dyn Fn(&mut RewardConfig), message: &str| {
            let mut config = RewardConfig::default();
            config.validate().unwrap();
            change(&mut config);
            let error = config.validate().unwrap_err();
            assert_eq!(error.kind(), memory_core::ErrorKind::InvalidInput);
            assert_eq!(error.message(), message);
        };
        check(&|config| config.failure = -1.0, "reward.failure: -1, the limits are 0 and more");
        check(&|config| config.failure = 2.0, "reward.success: 1, the limits are 2 and more");
        check(&|config| config.max_bonus = f64::NAN, "reward.max_bonus: NaN, the limits are 0 and more");
        check(&|config| config.quality.min = 0.0, "reward.quality.min: 0, the limits are above 0");
        check(
            &|config| config.efficiency.max = 0.1,
            "reward.efficiency.max: 0.1, the limits are 0.6 and more",
        );
        check(&|config| config.simple_factor = 3.0, "reward.moderate_factor: 1, the limits are 3 and more");
        check(&|config| config.novelty_share = 1.5, "reward.novelty_share: 1.5, the limits are 0 to 1");
        check(&|config| config.simple_steps = 0.0, "reward.simple_steps: 0, the limits are above 0");
    }

    prop_compose! {
        fn quality_of_any_kind()(
            passed in proptest::option::of(0_u32..50),
            failed in proptest::option::of(0_u32..50),
            lint in proptest::option::of(0_u32..50),
            review in proptest::option::of(0.0..=1.0_f64),
            accepted in proptest::option::of(proptest::bool::ANY),
        ) -> Quality {
            let mut quality = Quality::default();
            (quality.tests_passed, quality.tests_failed) = (passed, failed);
            (quality.lint_findings, quality.review_score) = (lint, review);
            quality.accepted = accepted;
            quality
        }
    }

    prop_compose! {
        fn inputs()(
            share in 0.0..=1.0_f64,
            steps in 0_u32..2_000,
            duration_ms in proptest::option::of(0_u64..10_000_000),
            complexity in proptest::sample::select(vec![Complexity::Simple, Complexity::Moderate, Complexity::Complex]),
            qualities in proptest::collection::vec(quality_of_any_kind(), 0..3),
            errors in 0_u32..20,
            recovered in 0_u32..25,
            novelty in 0.0..=1.0_f64,
        ) -> RewardInput {
            let outcome = Some(Outcome::Partial { fraction: share, summary: String::new() });
            let recovered = recovered.min(errors);
            RewardInput { outcome, confidence: 1.0, steps, duration_ms, complexity, qualities, errors, recovered, novelty }
        }
    }

    prop_compose! {
        fn histories()(
            episodes in 0_u32..100,
            steps in 0.0..500.0_f64,
            duration_ms in proptest::option::of(0.0..1e7_f64),
        ) -> Usual {
            Usual { episodes, steps, duration_ms }
        }
    }

    prop_compose! {
        /// Any two values in order, from `least` on.
        fn ordered(least: f64)(low in 0.0..3.0_f64, more in 0.0..3.0_f64) -> (f64, f64) {
            (least + low, least + low + more)
        }
    }

    prop_compose! {
        fn configs()(
            (failure, success) in ordered(0.0),
            efficiency in ordered(0.01),
            quality in ordered(0.01),
            (steps_weight, time_weight) in (0.0..2.0_f64, 0.0..2.0_f64),
            prior_episodes in 0.0..10.0_f64,
            steps in (0.1..30.0_f64, 0.0..30.0_f64, 0.0..30.0_f64),
            factors in (0.1..2.0_f64, 0.0..2.0_f64, 0.0..2.0_f64),
            weights in (0.0..1.0_f64, 0.0..1.0_f64, 0.0..1.0_f64, 0.0..1.0_f64),
            unrecovered_penalty in 0.0..=1.0_f64,
            (max_bonus, novelty_share, recovery_share) in (0.0..1.0_f64, 0.0..=1.0_f64, 0.0..=1.0_f64),
        ) -> RewardConfig {
            let config = RewardConfig {
                success,
                failure,
                efficiency: FactorBounds { min: efficiency.0, max: efficiency.1 },
                steps_weight,
                time_weight,
                prior_episodes,
                simple_steps: steps.0,
                moderate_steps: steps.0 + steps.1,
                complex_steps: steps.0 + steps.1 + steps.2,
                simple_factor: factors.0,
                moderate_factor: factors.0 + factors.1,
                complex_factor: factors.0 + factors.1 + factors.2,
                quality: FactorBounds { min: quality.0, max: quality.1 },
                tests_weight: weights.0,
                lint_weight: weights.1,
                review_weight: weights.2,
                acceptance_weight: weights.3,
                unrecovered_penalty,
                max_bonus,
                novelty_share,
                recovery_share,
            };
            config.validate().unwrap();
            config
        }
    }

    proptest! {
        #[test]
        fn bounded(config in configs(), input in inputs(), usual in histories()) {
            let reward = scored(&config, &input, &usual);
            prop_assert!((0.0..=config.max_total()).contains(&reward.total));
            prop_assert!((config.efficiency.min..=config.efficiency.max).contains(&reward.efficiency));
            prop_assert!((config.quality.min..=config.quality.max).contains(&reward.quality));
            prop_assert!((0.0..=config.max_bonus).contains(&reward.learning_bonus));
            let product = reward.outcome * reward.efficiency * reward.complexity * reward.quality;
            prop_assert!((reward.total - product - reward.learning_bonus).abs() < 1e-12);
        }

        #[test]
        fn a_success_never_scores_below_an_otherwise_equal_failure(
            config in configs(),
            input in inputs(),
            usual in histories(),
        ) {
            let success = RewardInput { outcome: Some(Outcome::success("")), ..input.clone() };
            let failure = RewardInput { outcome: Some(Outcome::failure("")), ..input };
            prop_assert!(scored(&config, &success, &usual).total >= scored(&config, &failure, &usual).total);
        }

        #[test]
        fn monotone_in_each_factor(config in configs(), input in inputs(), usual in histories(), more in 1_u32..50, share in 0.0..=1.0_f64) {
            let base = scored(&config, &input, &usual).total;
            let with = |change: &dyn Fn(&mut RewardInput)| {
                let mut changed = input.clone();
                change(&mut changed);
                scored(&config, &changed, &usual).total
            };
            let done = input.outcome.as_ref().unwrap().success_share();
            let better = Outcome::Partial { fraction: done.max(share), summary: String::new() };
            let done_more = with(&|input| input.outcome = Some(better.clone()));
            prop_assert!(done_more >= base);
            prop_assert!(with(&|input| input.steps += more) <= base);
            prop_assert!(with(&|input| input.duration_ms = input.duration_ms.map(|ms| ms + u64::from(more))) <= base);
            prop_assert!(with(&|input| input.errors += more) <= base);
            prop_assert!(with(&|input| input.recovered += more) >= base);
            prop_assert!(with(&|input| input.novelty = input.novelty.max(share)) >= base);
            for at in 0..input.qualities.len() {
                let quality = |change: &dyn Fn(&mut Quality)| with(&|input| change(&mut input.qualities[at]));
                // The first test of an episode adds a measured quality, which is another factor.
                let tested = input.qualities.iter().any(|quality| quality.tests_passed > Some(0) || quality.tests_failed > Some(0));
                if tested {
                    prop_assert!(quality(&|quality| quality.tests_passed = quality.tests_passed.map(|n| n + more)) >= base - 1e-12);
                    prop_assert!(quality(&|quality| quality.tests_failed = quality.tests_failed.map(|n| n + more)) <= base + 1e-12);
                }
                prop_assert!(quality(&|quality| quality.lint_findings = quality.lint_findings.map(|n| n + more)) <= base + 1e-12);
                prop_assert!(quality(&|quality| quality.review_score = quality.review_score.map(|score| score.max(share))) >= base - 1e-12);
                prop_assert!(quality(&|quality| quality.accepted = quality.accepted.map(|_| true)) >= base - 1e-12);
            }
        }

        #[test]
        fn complexity_never_lowers_a_score(config in configs(), input in inputs(), usual in histories()) {
            let of = |complexity| scored(&config, &RewardInput { complexity, ..input.clone() }, &usual);
            let [simple, moderate, complex] = [Complexity::Simple, Complexity::Moderate, Complexity::Complex].map(of);
            prop_assert!(simple.complexity <= moderate.complexity && moderate.complexity <= complex.complexity);
            prop_assert!(simple.total <= moderate.total && moderate.total <= complex.total);
        }
    }
}
