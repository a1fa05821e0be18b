//! Mixes what the predictors say into probabilities, by how right they were.

use std::collections::VecDeque;

use super::params::Params;

/// What is known of one tool for one task: the margin for the whole, the best margin for a clause, and the log odds that
/// the tool is used at all.
pub(super) const PREDICTORS: usize = 3;
const WEIGHTS: usize = PREDICTORS + 1;
/// Newton's method converges in fewer steps or not at all.
const STEPS: usize = 25;

/// What predictors said about a tool, and what came of it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Verdict {
    pub(super) said: [f32; PREDICTORS],
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

/// A logistic regression over the predictors.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Mixture {
    /// By predictor; then the constant.
    pub(super) weights: [f64; WEIGHTS],
    pub(super) window: VecDeque<Record>,
    /// Records since it was fitted.
    pub(super) new: usize,
}

impl Default for Mixture {
    /// Before anything is known the margin for the whole counts alone, as in Platt scaling with a slope of 2.
    fn default() -> Self {
        Self { weights: [1.0, 1.0, 0.0, 0.0], window: VecDeque::new(), new: 0 }
    }
}

impl Mixture {
    /// Returns the probability that a tool is used.
    pub(super) fn probability(&self, said: &[f32; PREDICTORS]) -> f64 {
        logistic(self.log_odds(said))
    }

    fn log_odds(&self, said: &[f32; PREDICTORS]) -> f64 {
        let sum: f64 = said.iter().zip(&self.weights).map(|(said, weight)| f64::from(*said) * weight).sum();
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

    /// Fits the weights to the window by Newton's method, from where they are.
    pub(super) fn fit(&mut self, params: &Params) {
        self.new = 0;
        let verdicts = || self.window.iter().flat_map(|record| &record.verdicts);
        if !verdicts().any(|it| it.used) || verdicts().all(|it| it.used) {
            return;
        }
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
        let mut weights = self.weights;
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
            let Some(step) = solve(hessian, gradient) else { break };
            // Halved until it helps.
            let mut length = 1.0;
            let better = loop {
                let mut tried = weights;
                tried.iter_mut().zip(&step).for_each(|(weight, step)| *weight -= length * step);
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
        self.weights = weights;
    }
}

fn inputs(verdict: &Verdict) -> [f64; WEIGHTS] {
    let [whole, clause, prior] = verdict.said.map(f64::from);
    [whole, clause, prior, 1.0]
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

/// Solves a symmetric system of which the lower triangle is given, by Cholesky's decomposition.
fn solve(mut a: [[f64; WEIGHTS]; WEIGHTS], mut b: [f64; WEIGHTS]) -> Option<[f64; WEIGHTS]> {
    for i in 0..WEIGHTS {
        for j in 0..=i {
            let sum: f64 = a[i][j] - (0..j).map(|k| a[i][k] * a[j][k]).sum::<f64>();
            if i == j {
                if sum <= 0.0 {
                    return None;
                }
                a[i][i] = sum.sqrt();
            } else {
                a[i][j] = sum / a[j][j];
            }
        }
    }
    for i in 0..WEIGHTS {
        b[i] = (b[i] - (0..i).map(|k| a[i][k] * b[k]).sum::<f64>()) / a[i][i];
    }
    for i in (0..WEIGHTS).rev() {
        b[i] = (b[i] - (i + 1..WEIGHTS).map(|k| a[k][i] * b[k]).sum::<f64>()) / a[i][i];
    }
    Some(b)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_predictor_that_is_right_outweighs_one_that_is_not() {
        let params = Params::default();
        let mut mixture = Mixture::default();
        for id in 0..200_u32 {
            let used = id % 4 == 0;
            let noise = if id % 2 == 0 { 1.0 } else { -1.0 };
            let said = [noise, if used { 1.0 } else { -1.0 }, -1.0];
            mixture.record(
                Record { id: u128::from(id), verdicts: vec![Verdict { said, used, weight: 1.0 }] },
                &params,
            );
        }
        mixture.fit(&params);
        assert!(mixture.weights[1] > 2.0 * mixture.weights[0].abs(), "{:?}", mixture.weights);
        assert!(mixture.probability(&[0.0, 1.0, -1.0]) > 0.9);
        assert!(mixture.probability(&[0.0, -1.0, -1.0]) < 0.1);
    }

    #[test]
    fn a_system_is_solved() {
        let a = [[4.0, 0.0, 0.0, 0.0], [1.0, 3.0, 0.0, 0.0], [0.0, 1.0, 2.0, 0.0], [0.0, 0.0, 0.0, 1.0]];
        let x = solve(a, [6.0, 10.0, 8.0, 4.0]).unwrap();
        for (found, expected) in x.iter().zip([1.0, 2.0, 3.0, 4.0]) {
            assert!((found - expected).abs() < 1e-9, "{x:?}");
        }
    }
}
