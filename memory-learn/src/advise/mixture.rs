//! Mixes the predictors' outputs into probabilities, by their past accuracy.
//!
//! A logistic regression over the predictors with weights that are not negative, except for one (stacking:
//! Wolpert, 1992; Breiman, "Stacked Regressions", 1996) gives a probability. It is the prior of the nearest
//! episodes' votes (Dirichlet smoothing: Zhai and Lafferty, "A Study of Smoothing Methods for Language Models",
//! 2001): the more similar they are, the more they count. The weight of the prior, and whether newer neighbours
//! count more, are the values that predicted best.

use std::collections::VecDeque;

use super::params::Params;

/// The predictors of one tool for one task: the margin for the whole, the best margin for a clause, and as log
/// odds the frequency of the tool after the tool that worked last, or its overall frequency if none did.
pub(super) const PREDICTORS: usize = 3;
/// At the start, the frequency of a tool may count against it: the margins of rare tools are too small (logit
/// adjustment: Menon et al., "Long-tail Learning via Logit Adjustment", 2021). With a non-negative weight F1 is
/// 0.684 in cross-validation on BFCL, and 0.702 with an unrestricted one.
const USUAL: usize = 2;
const WEIGHTS: usize = PREDICTORS + 1;
/// Newton's method converges in fewer steps or not at all.
const STEPS: usize = 25;
/// Sweeps of coordinate descent over a quadratic of [`WEIGHTS`] variables.
const SWEEPS: usize = 50;
/// Weights of the prior that are compared, in episodes quite like the task; the last is without neighbours.
const STRENGTHS: [f32; 8] = [0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0, f32::INFINITY];

/// The default is replaced only by a setting that is better by this much log likelihood: half the 5 % quantile
/// of chi-square with one degree of freedom (likelihood-ratio test).
const SIGNIFICANT: f64 = 1.92;

/// The inputs for one tool.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(super) struct Said {
    pub(super) by: [f32; PREDICTORS],
    /// By similarity only, and with the newest counting most: the weight of the neighbours in which it worked,
    /// and of all.
    pub(super) near: [(f32, f32); 2],
}

/// The inputs for one tool, and the outcome.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Verdict {
    pub(super) said: Said,
    pub(super) used: bool,
    /// How many it stands for.
    pub(super) weight: f32,
}

/// The verdicts on one episode's tools.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Record {
    pub(super) id: u128,
    pub(super) verdicts: Vec<Verdict>,
}

/// Computes probabilities from the inputs.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Mixture {
    /// By predictor; then the constant.
    pub(super) weights: [f64; WEIGHTS],
    /// The weight of the prior relative to the neighbours.
    pub(super) strength: f32,
    /// Whether newer neighbours count more.
    pub(super) recent: bool,
    /// The newest predictions of episodes that had not been learned from.
    pub(super) window: VecDeque<Record>,
    /// Records since it was fitted.
    pub(super) new: usize,
}

impl Default for Mixture {
    /// Before anything is known margins count twice, as in Platt scaling with a slope of 2, and the newest
    /// neighbours half.
    fn default() -> Self {
        let weights = [1.0, 1.0, 0.0, 0.0];
        Self { weights, strength: 0.5, recent: true, window: VecDeque::new(), new: 0 }
    }
}

impl Mixture {
    /// Returns the probability that a tool is needed.
    pub(super) fn probability(&self, said: &Said) -> f64 {
        smoothed(logistic(self.log_odds(said)), said.near[usize::from(self.recent)], self.strength)
    }

    /// Returns the share of the neighbours, as they are weighed, in which a tool worked; `None` without any.
    pub(super) fn neighbours(&self, said: &Said) -> Option<f64> {
        let (used, all) = said.near[usize::from(self.recent)];
        (self.strength.is_finite() && all > 0.0).then(|| f64::from(used / all))
    }

    fn log_odds(&self, said: &Said) -> f64 {
        let sum: f64 =
            said.by.iter().zip(&self.weights).map(|(said, weight)| f64::from(*said) * weight).sum();
        sum + self.weights[PREDICTORS]
    }

    pub(super) fn record(&mut self, record: Record, params: &Params) {
        while self.window.len() >= params.window {
            self.window.pop_front();
        }
        self.window.push_back(record);
        self.new += 1;
    }

    pub(super) fn forget(&mut self, id: u128) {
        let before = self.window.len();
        self.window.retain(|record| record.id != id);
        self.new += before - self.window.len();
    }

    /// Fits the weights to the window, starting from the current ones, then the weight of the neighbours.
    pub(super) fn fit(&mut self, is_start: bool, params: &Params) {
        self.new = 0;
        let verdicts = || self.window.iter().flat_map(|record| &record.verdicts);
        if !verdicts().any(|it| it.used) || verdicts().all(|it| it.used) {
            return;
        }
        self.weights = self.descend(is_start, params);
        self.weigh_neighbours();
    }

    /// Returns the weights with the least loss, by Newton's method from those that are held.
    fn descend(&self, is_start: bool, params: &Params) -> [f64; WEIGHTS] {
        let mut weights = self.weights;
        let verdicts = || self.window.iter().flat_map(|record| &record.verdicts);
        let loss = |weights: &[f64; WEIGHTS]| {
            let penalty: f64 = weights[..PREDICTORS].iter().map(|weight| weight * weight).sum();
            let sum: f64 = verdicts()
                .map(|verdict| {
                    let odds = dot(weights, &inputs(verdict));
                    let odds = if verdict.used { -odds } else { odds };
                    f64::from(verdict.weight) * softplus(odds)
                })
                .sum();
            sum + 0.5 * params.ridge * penalty
        };
        let mut held = loss(&weights);
        for _ in 0..STEPS {
            let mut gradient = [0.0; WEIGHTS];
            let mut hessian = [[0.0; WEIGHTS]; WEIGHTS];
            for verdict in verdicts() {
                let x = inputs(verdict);
                let p = logistic(dot(&weights, &x));
                let error = f64::from(verdict.weight) * (p - f64::from(u8::from(verdict.used)));
                let curve = f64::from(verdict.weight) * (p * (1.0 - p)).max(1e-9);
                for i in 0..WEIGHTS {
                    gradient[i] += error * x[i];
                    for j in 0..=i {
                        hessian[i][j] += curve * x[i] * x[j];
                    }
                }
            }
            for i in 0..PREDICTORS {
                gradient[i] += params.ridge * weights[i];
                hessian[i][i] += params.ridge;
            }
            let least = std::array::from_fn(|i| match i {
                PREDICTORS => f64::NEG_INFINITY,
                USUAL if is_start => f64::NEG_INFINITY,
                _ => -weights[i],
            });
            let step = step(&hessian, &gradient, &least);
            // Halved until it helps.
            let mut length = 1.0;
            let better = loop {
                let mut tried = weights;
                tried.iter_mut().zip(&step).for_each(|(weight, step)| *weight += length * step);
                let reached = loss(&tried);
                if reached < held {
                    break Some((tried, reached));
                }
                length *= 0.5;
                if length < 1e-3 {
                    break None;
                }
            };
            let Some((tried, reached)) = better else { break };
            let gain = held - reached;
            (weights, held) = (tried, reached);
            if gain < 1e-4 * held {
                break;
            }
        }
        weights
    }

    /// Chooses the weight of the prior, and which neighbours count, by the logarithmic loss over the window.
    fn weigh_neighbours(&mut self) {
        let mut losses = [[0.0; STRENGTHS.len()]; 2];
        for verdict in self.window.iter().flat_map(|record| &record.verdicts) {
            let prior = logistic(self.log_odds(&verdict.said));
            for (recent, losses) in losses.iter_mut().enumerate() {
                for (strength, loss) in STRENGTHS.iter().zip(losses) {
                    let p = smoothed(prior, verdict.said.near[recent], *strength).clamp(1e-6, 1.0 - 1e-6);
                    *loss -= f64::from(verdict.weight) * if verdict.used { p } else { 1.0 - p }.ln();
                }
            }
        }
        let usual = Self::default();
        (self.strength, self.recent) = (usual.strength, usual.recent);
        let place = STRENGTHS.iter().position(|it| *it == usual.strength).unwrap_or(0);
        let mut best = losses[usize::from(usual.recent)][place] - SIGNIFICANT;
        for (recent, losses) in losses.iter().enumerate() {
            for (strength, loss) in STRENGTHS.iter().zip(losses) {
                if *loss < best {
                    (best, self.strength, self.recent) = (*loss, *strength, recent == 1);
                }
            }
        }
    }
}

/// Returns the posterior mean of a probability by neighbours, of which some are evidence for it.
fn smoothed(prior: f64, (used, all): (f32, f32), strength: f32) -> f64 {
    if strength.is_infinite() {
        return prior;
    }
    let (used, all, strength) = (f64::from(used), f64::from(all), f64::from(strength));
    (used + strength * prior) / (all + strength)
}

fn inputs(verdict: &Verdict) -> [f64; WEIGHTS] {
    std::array::from_fn(|at| verdict.said.by.get(at).map_or(1.0, |said| f64::from(*said)))
}

fn dot(a: &[f64; WEIGHTS], b: &[f64; WEIGHTS]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

pub(super) fn logistic(odds: f64) -> f64 {
    1.0 / (1.0 + (-odds).exp())
}

fn softplus(odds: f64) -> f64 {
    if odds > 30.0 { odds } else { odds.exp().ln_1p() }
}

/// Returns the step to the minimum of a quadratic of which the lower triangle of the Hessian is given, each
/// coordinate at its least or above, by coordinate descent.
fn step(
    hessian: &[[f64; WEIGHTS]; WEIGHTS],
    gradient: &[f64; WEIGHTS],
    least: &[f64; WEIGHTS],
) -> [f64; WEIGHTS] {
    let mut step = [0.0; WEIGHTS];
    for _ in 0..SWEEPS {
        for i in 0..WEIGHTS {
            let curve = |j: usize| if j <= i { hessian[i][j] } else { hessian[j][i] };
            let slope = gradient[i] + (0..WEIGHTS).map(|j| curve(j) * step[j]).sum::<f64>();
            step[i] = (step[i] - slope / hessian[i][i].max(1e-9)).max(least[i]);
        }
    }
    step
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(whole: f32, clause: f32, near: [(f32, f32); 2]) -> Said {
        Said { by: [whole, clause, 0.0], near }
    }

    fn fitted(verdicts: impl Iterator<Item = Verdict>) -> Mixture {
        let params = Params::default();
        let mut mixture = Mixture::default();
        for (id, verdict) in (0..).zip(verdicts) {
            mixture.record(Record { id, verdicts: vec![verdict] }, &params);
        }
        mixture.fit(true, &params);
        mixture
    }

    #[test]
    fn a_predictor_that_is_right_outweighs_one_that_is_not() {
        let mixture = fitted((0..200).map(|at| {
            let used = at % 4 == 0;
            let noise = if at % 2 == 0 { 1.0 } else { -1.0 };
            let said = said(noise, if used { 1.0 } else { -1.0 }, [(0.0, 0.0); 2]);
            Verdict { said, used, weight: 1.0 }
        }));
        assert!(mixture.weights[1] > 2.0 * mixture.weights[0], "{:?}", mixture.weights);
        assert!(mixture.probability(&said(0.0, 1.0, [(0.0, 0.0); 2])) > 0.9);
        assert!(mixture.probability(&said(0.0, -1.0, [(0.0, 0.0); 2])) < 0.1);
    }

    #[test]
    fn a_predictor_that_is_always_wrong_is_not_believed_the_other_way_round() {
        let mixture = fitted((0..200).map(|at| {
            let used = at % 2 == 0;
            let said = said(if used { -1.0 } else { 1.0 }, 0.0, [(0.0, 0.0); 2]);
            Verdict { said, used, weight: 1.0 }
        }));
        assert_eq!(mixture.weights[0], 0.0);
    }

    #[test]
    fn neighbours_count_as_far_as_they_are_right() {
        let check = |all: f32, recent: f32| {
            fitted((0..200).map(|at| {
                let used = at % 2 == 0;
                let near = [all, recent].map(|right| (if used { right } else { 1.0 - right }, 1.0));
                Verdict { said: said(0.0, 0.0, near), used, weight: 1.0 }
            }))
        };
        let mixture = check(1.0, 0.5);
        assert_eq!((mixture.strength, mixture.recent), (STRENGTHS[0], false));
        assert!(check(0.5, 1.0).recent);
        assert!(check(0.2, 0.2).strength.is_infinite());
        let said = said(0.0, 0.0, [(1.0, 1.0); 2]);
        assert!(mixture.probability(&said) > 0.8);
        assert_eq!(mixture.neighbours(&said), Some(1.0));
    }
}
