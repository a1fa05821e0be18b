//! The figures of the reports: shares and means with their intervals, rank figures, F1.

use std::collections::BTreeSet;

use serde::Serialize;

/// The quantile of the standard normal distribution that bounds 95 % on both sides.
const Z95: f64 = 1.959_963_984_540_054;

/// An estimate with its 95 % interval.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Estimate {
    /// The estimate.
    pub value: f64,
    /// The lower bound.
    pub low: f64,
    /// The upper bound.
    pub high: f64,
}

/// Returns a share with its Wilson score interval (Wilson 1927); `None` of nothing.
pub(crate) fn share(hits: usize, of: usize) -> Option<Estimate> {
    if of == 0 {
        return None;
    }
    let (n, value) = (of as f64, hits as f64 / of as f64);
    let z2 = Z95 * Z95;
    let centre = (value + z2 / (2.0 * n)) / (1.0 + z2 / n);
    let half = Z95 / (1.0 + z2 / n) * (value * (1.0 - value) / n + z2 / (4.0 * n * n)).sqrt();
    // At the ends the bound is the value itself, which rounding may miss.
    let low = (centre - half).max(0.0).min(value);
    let high = (centre + half).min(1.0).max(value);
    Some(Estimate { value, low, high })
}

/// Returns a mean with its normal interval; `None` of nothing.
pub(crate) fn mean(values: &[f64]) -> Option<Estimate> {
    if values.is_empty() {
        return None;
    }
    let n = values.len() as f64;
    let value = values.iter().sum::<f64>() / n;
    let squares: f64 = values.iter().map(|x| (x - value).powi(2)).sum();
    let half = if values.len() > 1 { Z95 * (squares / (n - 1.0) / n).sqrt() } else { 0.0 };
    Some(Estimate { value, low: value - half, high: value + half })
}

/// Returns the harmonic mean of precision and recall of a set of names; 0 if they have none in common.
pub(crate) fn f1(found: &BTreeSet<&str>, wanted: &BTreeSet<&str>) -> f64 {
    let common = found.intersection(wanted).count();
    if common == 0 { 0.0 } else { 2.0 * common as f64 / (found.len() + wanted.len()) as f64 }
}

/// Returns Kendall's tau over the pairs of names that both orders have; `None` with fewer than two such names.
pub(crate) fn kendall(found: &[&str], wanted: &[&str]) -> Option<f64> {
    let places: Vec<usize> =
        found.iter().filter_map(|name| wanted.iter().position(|other| other == name)).collect();
    let (mut agree, mut pairs) = (0_i64, 0_i64);
    for (index, earlier) in places.iter().enumerate() {
        for later in &places[index + 1..] {
            pairs += 1;
            agree += if earlier < later { 1 } else { -1 };
        }
    }
    (pairs > 0).then(|| agree as f64 / pairs as f64)
}

/// Returns the area under the ROC curve: the probability that a random hit has a higher score than a random miss, ties
/// counting half (Mann and Whitney 1947); `None` without both.
pub(crate) fn auc(scored: &[(f64, bool)]) -> Option<f64> {
    let scores = |wanted: bool| scored.iter().filter(move |(_, hit)| *hit == wanted).map(|(score, _)| *score);
    let pairs = scores(true).count() * scores(false).count();
    let mut won = 0.0;
    for hit in scores(true) {
        for miss in scores(false) {
            won += if hit > miss {
                1.0
            } else if hit == miss {
                0.5
            } else {
                0.0
            };
        }
    }
    (pairs > 0).then(|| won / pairs as f64)
}

/// Returns the value that a share of the values does not exceed (nearest rank); `None` of nothing.
pub(crate) fn percentile(values: &mut [u64], share: f64) -> Option<u64> {
    values.sort_unstable();
    let rank = (share * values.len() as f64).ceil() as usize;
    values.get(rank.saturating_sub(1)).copied()
}

/// Returns the value that a share of sorted values does not exceed (nearest rank); 0 of nothing.
pub(crate) fn percentile_of(sorted: &[f64], share: f64) -> f64 {
    let rank = (share * sorted.len() as f64).ceil() as usize;
    sorted.get(rank.saturating_sub(1)).copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn close(found: f64, expected: f64) {
        assert!((found - expected).abs() < 1e-3, "{found} is not {expected}");
    }

    #[test]
    fn intervals_are_those_of_the_textbooks() {
        let check = |hits, of, low, high| {
            let found = share(hits, of).unwrap();
            close(found.low, low);
            close(found.high, high);
        };
        check(8, 10, 0.490, 0.943);
        check(0, 10, 0.0, 0.278);
        check(10, 10, 0.722, 1.0);
        assert_eq!(share(0, 0), None);
        let found = mean(&[1.0, 2.0, 3.0, 4.0]).unwrap();
        close(found.value, 2.5);
        close(found.high - found.value, 1.265);
        assert_eq!(mean(&[7.0]), Some(Estimate { value: 7.0, low: 7.0, high: 7.0 }));
        assert_eq!(mean(&[]), None);
    }

    #[test]
    fn sets_and_orders_are_compared() {
        let set = |names: &[&'static str]| names.iter().copied().collect::<BTreeSet<_>>();
        close(f1(&set(&["a", "b"]), &set(&["a"])), 2.0 / 3.0);
        close(f1(&set(&["a"]), &set(&["b"])), 0.0);
        close(f1(&set(&[]), &set(&["b"])), 0.0);
        assert_eq!(kendall(&["a", "b", "c"], &["a", "b", "c"]), Some(1.0));
        assert_eq!(kendall(&["c", "x", "a"], &["a", "b", "c"]), Some(-1.0));
        close(kendall(&["a", "c", "b"], &["a", "b", "c"]).unwrap(), 1.0 / 3.0);
        assert_eq!(kendall(&["a", "x"], &["a", "b"]), None);
    }

    #[test]
    fn ranks_are_counted_with_ties() {
        assert_eq!(auc(&[(0.9, true), (0.1, false)]), Some(1.0));
        assert_eq!(auc(&[(0.5, true), (0.5, false)]), Some(0.5));
        assert_eq!(auc(&[(0.2, true), (0.9, true), (0.5, false)]), Some(0.5));
        assert_eq!(auc(&[(0.2, true)]), None);
        let mut values = [5, 1, 4, 2, 3];
        assert_eq!(percentile(&mut values, 0.5), Some(3));
        assert_eq!(percentile(&mut values, 0.99), Some(5));
        assert_eq!(percentile(&mut [], 0.5), None);
    }
}
