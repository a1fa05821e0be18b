//! What one measurement yields.

use std::fmt::Display;
use std::time::Duration;

/// The latencies of some operations, and how long all of them took together.
#[derive(Debug, Clone, Default)]
pub struct Run {
    /// From the start of the first operation to the end of the last.
    pub elapsed: Duration,
    /// How long each operation took, in no particular order.
    pub latencies: Vec<Duration>,
}

impl Run {
    /// Adds an operation that ran by itself.
    pub(crate) fn add(&mut self, latency: Duration) {
        self.elapsed += latency;
        self.latencies.push(latency);
    }

    /// Returns operations a second.
    pub fn rate(&self) -> f64 {
        self.latencies.len() as f64 / self.elapsed.as_secs_f64()
    }

    /// Returns the latency that `share` (in `0.0..=1.0`) of the operations do not exceed; zero without operations.
    pub fn percentile(&self, share: f64) -> Duration {
        let mut sorted = self.latencies.clone();
        sorted.sort_unstable();
        let index = (sorted.len() as f64 * share).ceil() as usize;
        sorted.get(index.clamp(1, sorted.len().max(1)) - 1).copied().unwrap_or_default()
    }
}

/// Returns the median; NaN for no values.
pub fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    match values.len() {
        0 => f64::NAN,
        odd if odd % 2 == 1 => values[middle],
        _ => (values[middle - 1] + values[middle]) / 2.0,
    }
}

/// Unwraps the result of a benchmark's step.
///
/// # Panics
/// On an error: what failed cannot be measured.
pub fn must<T>(result: std::result::Result<T, impl Display>) -> T {
    result.unwrap_or_else(|error| panic!("the benchmark cannot go on: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_those_of_the_nearest_rank() {
        let run = Run {
            elapsed: Duration::from_secs(2),
            latencies: (1..=100).rev().map(Duration::from_millis).collect(),
        };
        let check = |share, ms| assert_eq!(run.percentile(share), Duration::from_millis(ms), "{share}");
        check(0.0, 1);
        check(0.5, 50);
        check(0.99, 99);
        check(1.0, 100);
        assert_eq!(run.rate(), 50.0);
        assert_eq!(Run::default().percentile(0.99), Duration::ZERO);
    }

    #[test]
    fn medians() {
        assert_eq!(median(vec![3.0, 1.0, 2.0]), 2.0);
        assert_eq!(median(vec![4.0, 1.0, 2.0, 3.0]), 2.5);
        assert!(median(Vec::new()).is_nan());
    }
}
