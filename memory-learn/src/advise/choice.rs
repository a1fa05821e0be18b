//! How many tools to name.

use super::mixture::logistic;

/// The minimum distance of probabilities from 0 and 1 before odds are taken.
const LEAST: f64 = 1e-9;
/// Bisection is exact enough after this many steps.
const HALVINGS: usize = 40;

/// Returns how many of the most probable tools to name: the number with the greatest expected F1 measure, where
/// the expectation is approximated by that of numerator and denominator (Nan et al., "Optimizing F-measure",
/// 2012). `probabilities` are sorted, the greatest first; 0 only if there are none.
pub fn by_expected_f1(probabilities: &[f64]) -> usize {
    let total: f64 = probabilities.iter().sum();
    let (mut sum, mut best, mut count) = (0.0, -1.0, 0);
    for (place, probability) in probabilities.iter().enumerate() {
        sum += probability;
        let expected = 2.0 * sum / ((place + 1) as f64 + total);
        if expected > best {
            (best, count) = (expected, place + 1);
        }
    }
    count
}

/// Raises probabilities, all by the same log odds, so that they sum up to at least one: a task needs a tool.
/// For texts unlike all earlier ones all probabilities are small, but their order still names the most probable
/// tool.
pub(super) fn sum_to_one(probabilities: &mut [f64]) {
    let odds: Vec<f64> = probabilities
        .iter()
        .map(|it| it.clamp(LEAST, 1.0 - LEAST))
        .map(|it| (it / (1.0 - it)).ln())
        .collect();
    let raised = |by: f64| odds.iter().map(move |odds| logistic(odds + by));
    if odds.len() < 2 || raised(0.0).sum::<f64>() >= 1.0 {
        return;
    }
    let (mut low, mut high) = (0.0, -2.0 * (LEAST / (1.0 - LEAST)).ln());
    for _ in 0..HALVINGS {
        let middle = (low + high) / 2.0;
        if raised(middle).sum::<f64>() < 1.0 { low = middle } else { high = middle }
    }
    probabilities.iter_mut().zip(raised(high)).for_each(|(probability, raised)| *probability = raised);
}

/// Like [`by_expected_f1`], where no tool at all may be needed: none is named if that is likelier to be right
/// than the best number is expected to be, the F1 measure of two empty sets being 1.
pub(super) fn by_expected_f1_or_none(probabilities: &[f64]) -> usize {
    let count = by_expected_f1(probabilities);
    let total: f64 = probabilities.iter().sum();
    let expected = 2.0 * probabilities[..count].iter().sum::<f64>() / (count as f64 + total).max(1e-9);
    let none: f64 = probabilities.iter().map(|it| 1.0 - it).product();
    if none >= expected { 0 } else { count }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_many_are_named_as_are_worth_it() {
        let check = |probabilities: &[f64], expected| {
            assert_eq!(by_expected_f1(probabilities), expected, "{probabilities:?}");
        };
        check(&[], 0);
        check(&[0.01], 1);
        check(&[0.9, 0.05], 1);
        check(&[0.9, 0.8, 0.1], 2);
        check(&[0.4, 0.4, 0.4, 0.4], 4);
        check(&[0.3, 0.01, 0.01], 1);
        let mut raised = [0.04, 0.02, 0.0];
        sum_to_one(&mut raised);
        assert!((raised.iter().sum::<f64>() - 1.0).abs() < 1e-6 && raised[0] > raised[1], "{raised:?}");
        for held in [&mut [0.7, 0.4][..], &mut [0.2], &mut []] {
            let before = held.to_vec();
            sum_to_one(held);
            assert_eq!(held, before, "enough, or nothing to choose from");
        }
        assert_eq!(by_expected_f1_or_none(&[]), 0);
        assert_eq!(by_expected_f1_or_none(&[0.3, 0.1]), 0);
        assert_eq!(by_expected_f1_or_none(&[0.7, 0.1]), 1);
    }
}
