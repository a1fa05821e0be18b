//! How many tools to name.

/// Returns how many of the most probable tools to name: the number with the greatest expected F1 measure, where the
/// expectation is approximated by that of numerator and denominator (Nan et al., "Optimizing F-measure", 2012).
/// `probabilities` are sorted, the greatest first; 0 only if there are none.
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
    }
}
