//! Logistic regression with an L2 penalty, by Newton's method with preconditioned conjugate gradients (Lin, Weng and
//! Keerthi 2008) and a backtracking line search.

use super::sparse::{Row, Rows, dot};

/// Newton steps at most.
const STEPS: usize = 100;
/// Conjugate-gradient steps in a Newton step at most.
const INNER_STEPS: usize = 200;
/// The share of the first gradient's length at which the solution counts as found.
const TOLERANCE: f64 = 1e-5;

/// Whether the penalty is on the intercept, too.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Intercept {
    /// No penalty, as scikit-learn's solver `lbfgs`.
    Free,
    /// A penalty as on any weight, as its solver `liblinear`.
    Penalised,
}

/// A linear function of a row.
#[derive(Debug, Clone)]
pub(super) struct Line {
    pub(super) weights: Vec<f64>,
    pub(super) intercept: f64,
}

impl Line {
    /// A line that says the same of every row.
    pub(super) fn constant(intercept: f64, width: usize) -> Self {
        Self { weights: vec![0.0; width], intercept }
    }

    /// Returns the log-odds of a row.
    pub(super) fn logit(&self, row: Row<'_>) -> f64 {
        dot(row, &self.weights) + self.intercept
    }

    /// Returns the probability of a row.
    pub(super) fn probability(&self, row: Row<'_>) -> f64 {
        sigmoid(self.logit(row))
    }
}

pub(super) fn sigmoid(z: f64) -> f64 {
    if z >= 0.0 { 1.0 / (1.0 + (-z).exp()) } else { z.exp() / (1.0 + z.exp()) }
}

/// Fits a line a tool, on as many threads as there are cores, at most two. Where all rows want a tool, or none does, the
/// line is constant with log-odds of 6 or -6.
pub(super) fn one_vs_rest(rows: &Rows, wanted: &[Vec<bool>], c: f64, intercept: Intercept) -> Vec<Line> {
    let fit_all = |part: &[Vec<bool>]| -> Vec<Line> {
        part.iter()
            .map(|wanted| match wanted.iter().filter(|wanted| **wanted).count() {
                0 => Line::constant(-6.0, rows.width),
                all if all == wanted.len() => Line::constant(6.0, rows.width),
                _ => fit(rows, wanted, c, intercept),
            })
            .collect()
    };
    let (first, second) = wanted.split_at(wanted.len().div_ceil(2));
    if std::thread::available_parallelism().map_or(1, usize::from) < 2 {
        return fit_all(wanted);
    }
    std::thread::scope(|scope| {
        let other = scope.spawn(|| fit_all(second));
        let mut lines = fit_all(first);
        // A thread that is gone leaves its part to this one.
        lines.extend(other.join().unwrap_or_else(|_| fit_all(second)));
        lines
    })
}

/// Minimises `c · Σ ln(1 + exp(-y·z)) + ½‖w‖²`.
pub(super) fn fit(rows: &Rows, wanted: &[bool], c: f64, intercept: Intercept) -> Line {
    let problem =
        Problem { rows, wanted, c, on_intercept: f64::from(u8::from(intercept == Intercept::Penalised)) };
    let mut at = vec![0.0; rows.width + 1];
    let mut logits = problem.times(&at);
    let mut value = problem.value(&at, &logits);
    let mut first = None;
    for _ in 0..STEPS {
        let gradient = problem.gradient(&at, &logits);
        let length = product(&gradient, &gradient).sqrt();
        let first = *first.get_or_insert(length);
        if length <= TOLERANCE * first {
            break;
        }
        let curvature: Vec<f64> = logits.iter().map(|z| sigmoid(*z)).map(|p| c * p * (1.0 - p)).collect();
        let step = problem.newton_step(&gradient, &curvature, length);
        let slope = product(&gradient, &step);
        let along = problem.times(&step);
        let mut size = 1.0;
        // Armijo's rule; a step that no longer helps is the end of what the arithmetic can tell apart.
        let improved = loop {
            let next: Vec<f64> = at.iter().zip(&step).map(|(at, step)| at + size * step).collect();
            let next_logits: Vec<f64> = logits.iter().zip(&along).map(|(z, by)| z + size * by).collect();
            let next_value = problem.value(&next, &next_logits);
            if next_value <= value + 1e-4 * size * slope {
                (at, logits, value) = (next, next_logits, next_value);
                break true;
            }
            size /= 2.0;
            if size < 1e-10 {
                break false;
            }
        };
        if !improved {
            break;
        }
    }
    let intercept = at.pop().unwrap_or_default();
    Line { weights: at, intercept }
}

/// What is minimised. Vectors have the intercept last.
struct Problem<'a> {
    rows: &'a Rows,
    wanted: &'a [bool],
    c: f64,
    /// The weight of the penalty on the intercept.
    on_intercept: f64,
}

impl Problem<'_> {
    fn times(&self, vector: &[f64]) -> Vec<f64> {
        (0..self.rows.len()).map(|row| dot(self.rows.row(row), vector) + vector[self.rows.width]).collect()
    }

    /// Adds up the rows with their factors.
    fn transposed(&self, factors: impl Iterator<Item = f64>) -> Vec<f64> {
        let mut sum = vec![0.0; self.rows.width + 1];
        for (row, factor) in factors.enumerate() {
            let (columns, values) = self.rows.row(row);
            for (column, value) in columns.iter().zip(values) {
                sum[*column as usize] += factor * value;
            }
            sum[self.rows.width] += factor;
        }
        sum
    }

    /// Adds the penalty's part of a gradient or of a product with the Hessian.
    fn penalised(&self, mut sum: Vec<f64>, vector: &[f64]) -> Vec<f64> {
        for (sum, value) in sum[..self.rows.width].iter_mut().zip(vector) {
            *sum += value;
        }
        sum[self.rows.width] += self.on_intercept * vector[self.rows.width];
        sum
    }

    fn value(&self, at: &[f64], logits: &[f64]) -> f64 {
        let loss = logits.iter().zip(self.wanted).map(|(z, wanted)| {
            let margin = if *wanted { *z } else { -z };
            (-margin.abs()).exp().ln_1p() + (-margin).max(0.0)
        });
        let (intercept, weights) = (at[self.rows.width], &at[..self.rows.width]);
        let penalty = product(weights, weights) + self.on_intercept * intercept * intercept;
        self.c * loss.sum::<f64>() + penalty / 2.0
    }

    fn gradient(&self, at: &[f64], logits: &[f64]) -> Vec<f64> {
        let factors = logits.iter().zip(self.wanted);
        let factors = factors.map(|(z, wanted)| self.c * (sigmoid(*z) - f64::from(u8::from(*wanted))));
        self.penalised(self.transposed(factors), at)
    }

    /// Solves the Newton equations as far as pays at this distance from the solution, with the diagonal as preconditioner.
    fn newton_step(&self, gradient: &[f64], curvature: &[f64], length: f64) -> Vec<f64> {
        let mut diagonal = vec![1.0; gradient.len()];
        diagonal[self.rows.width] = self.on_intercept + curvature.iter().sum::<f64>().max(1e-12);
        for (row, curvature) in curvature.iter().enumerate() {
            let (columns, values) = self.rows.row(row);
            for (column, value) in columns.iter().zip(values) {
                diagonal[*column as usize] += curvature * value * value;
            }
        }
        let mut step = vec![0.0; gradient.len()];
        let mut residual: Vec<f64> = gradient.iter().map(|slope| -slope).collect();
        let mut scaled: Vec<f64> = residual.iter().zip(&diagonal).map(|(r, d)| r / d).collect();
        let mut direction = scaled.clone();
        let mut before = product(&residual, &scaled);
        let enough = length * 0.1_f64.min(length.sqrt());
        for _ in 0..INNER_STEPS {
            let factors = self.times(&direction).into_iter().zip(curvature).map(|(z, by)| z * by);
            let image = self.penalised(self.transposed(factors), &direction);
            let size = before / product(&direction, &image).max(f64::MIN_POSITIVE);
            for place in 0..step.len() {
                step[place] += size * direction[place];
                residual[place] -= size * image[place];
                scaled[place] = residual[place] / diagonal[place];
            }
            if product(&residual, &residual).sqrt() <= enough {
                break;
            }
            let after = product(&residual, &scaled);
            for (direction, scaled) in direction.iter_mut().zip(&scaled) {
                *direction = scaled + after / before * *direction;
            }
            before = after;
        }
        step
    }
}

fn product(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_gradient_vanishes_at_the_solution() {
        let mut rows = Rows::new(2);
        for (x, y) in [(1.0, 0.0), (0.8, 0.6), (0.0, 1.0), (0.6, 0.8), (1.0, 0.2)] {
            rows.push([(0, x), (1, y)]);
        }
        let wanted = [true, true, false, false, false];
        for (intercept, on_intercept) in [(Intercept::Free, 0.0), (Intercept::Penalised, 1.0)] {
            let line = fit(&rows, &wanted, 20.0, intercept);
            let problem = Problem { rows: &rows, wanted: &wanted, c: 20.0, on_intercept };
            let at = [&line.weights[..], &[line.intercept]].concat();
            let gradient = problem.gradient(&at, &problem.times(&at));
            assert!(gradient.iter().all(|slope| slope.abs() < 1e-3), "{gradient:?}");
        }
    }
}
