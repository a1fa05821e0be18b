//! Means and paired differences over tasks, with bootstrap intervals.

use serde::Serialize;

use crate::dice::Dice;
use crate::figures::percentile_of;

/// Resamples of the bootstrap.
const RESAMPLES: usize = 2_000;
/// The seed of the bootstrap: the same values have the same interval.
const SEED: u64 = 1;

/// A mean over tasks with its 95 % interval by the percentile bootstrap (Efron 1979).
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Sampled {
    /// The number of tasks.
    pub n: usize,
    /// The mean.
    pub value: f64,
    /// The lower bound.
    pub low: f64,
    /// The upper bound.
    pub high: f64,
}

/// Returns the mean of some values with its interval, from 2,000 seeded resamples; `None` of nothing.
pub fn bootstrap(values: &[f64]) -> Option<Sampled> {
    if values.is_empty() {
        return None;
    }
    let n = values.len();
    let dice = Dice::new(SEED, &[n as u64]);
    let resample = |_| (0..n).map(|_| values[dice.below(n)]).sum::<f64>() / n as f64;
    let mut means: Vec<f64> = (0..RESAMPLES).map(resample).collect();
    means.sort_by(f64::total_cmp);
    let value = values.iter().sum::<f64>() / n as f64;
    Some(Sampled { n, value, low: percentile_of(&means, 0.025), high: percentile_of(&means, 0.975) })
}

/// Returns the mean of the differences `ours - theirs` over the same tasks, with its interval; `None` of nothing.
pub fn paired(ours: &[f64], theirs: &[f64]) -> Option<Sampled> {
    bootstrap(&ours.iter().zip(theirs).map(|(ours, theirs)| ours - theirs).collect::<Vec<_>>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn intervals_are_near_the_normal_ones_and_repeat() {
        let values: Vec<f64> = (0..400).map(|place| f64::from(place % 2)).collect();
        let found = bootstrap(&values).unwrap();
        assert_eq!((found.n, found.value), (400, 0.5));
        // The normal interval is 0.5 ± 0.049.
        assert!((found.low - 0.451).abs() < 0.01 && (found.high - 0.549).abs() < 0.01, "{found:?}");
        assert_eq!(bootstrap(&values), Some(found));
        assert_eq!(bootstrap(&[]), None);
    }

    #[test]
    fn pairs_take_out_what_both_have() {
        let ours: Vec<f64> = (0..50).map(f64::from).collect();
        let theirs: Vec<f64> = ours.iter().map(|value| value + 0.5).collect();
        let found = paired(&ours, &theirs).unwrap();
        assert_eq!((found.value, found.low, found.high), (-0.5, -0.5, -0.5));
    }
}
