//! Notices that the world has changed: what came before then says nothing about what comes after.

/// The likelihood ratio (G) from which the newer evidence cannot come from the same rate as the older: by chance one in a
/// thousand does.
const CHANGED_FROM: f64 = 10.8;
/// Pieces of older evidence that a change is looked for against.
const OLDER_FROM: usize = 4;

/// Returns the place from which on evidence counts: behind the last change of its rate, or 0 if there was none.
///
/// Evidence is given, the oldest first, as its weight and how far it supports. The newest 2, 3, 4, 6, 8, 12, … pieces are
/// compared with all before them, as in adaptive windowing (Bifet and Gavaldà, 2007) with the likelihood-ratio test.
pub(super) fn last_change(evidence: &[(f64, f64)]) -> usize {
    let mut start = 0;
    while let Some(change) = clearest_change(&evidence[start..]) {
        start += change;
    }
    start
}

/// Returns the split of which the two sides differ most, if that cannot be chance.
fn clearest_change(evidence: &[(f64, f64)]) -> Option<usize> {
    let (all, hits) = sums(evidence);
    let mut newer = (0.0, 0.0);
    let (mut counted, mut newest) = (0, 2);
    let mut clearest = (CHANGED_FROM, None);
    while newest + OLDER_FROM <= evidence.len() {
        let split = evidence.len() - newest;
        let (n, s) = sums(&evidence[split..evidence.len() - counted]);
        newer = (newer.0 + n, newer.1 + s);
        let ratio = likelihood_ratio((all - newer.0, hits - newer.1), newer);
        if ratio >= clearest.0 {
            clearest = (ratio, Some((split, evidence.len() - counted)));
        }
        counted = newest;
        newest += (newest / 2).max(1);
    }
    // Between that window, the one before and the one after, every place is looked at.
    let (mut ratio, (mut best, last)) = (clearest.0, clearest.1?);
    let first = evidence.len().saturating_sub((evidence.len() - best) * 3 / 2).max(OLDER_FROM);
    let mut older = sums(&evidence[..first]);
    let places = evidence.iter().enumerate().take(last.min(evidence.len() - 1)).skip(first);
    for (split, (weight, support)) in places {
        let found = likelihood_ratio(older, (all - older.0, hits - older.1));
        if found > ratio {
            (ratio, best) = (found, split);
        }
        older = (older.0 + weight, older.1 + weight * support);
    }
    Some(best)
}

/// Returns how much better two rates explain two samples than one does (G): twice the natural logarithm of the ratio of
/// the likelihoods. A sample is its weight and the weight of its successes.
pub(super) fn likelihood_ratio(a: (f64, f64), b: (f64, f64)) -> f64 {
    let own = |(n, hits): (f64, f64), rate: f64| part(hits, rate) + part(n - hits, 1.0 - rate);
    let rate = |(n, hits): (f64, f64)| if n > 0.0 { hits / n } else { 0.0 };
    let both = rate((a.0 + b.0, a.1 + b.1));
    2.0 * (own(a, rate(a)) + own(b, rate(b)) - own(a, both) - own(b, both))
}

fn part(count: f64, rate: f64) -> f64 {
    if count <= 1e-9 { 0.0 } else { count * rate.max(1e-12).ln() }
}

fn sums(evidence: &[(f64, f64)]) -> (f64, f64) {
    evidence.iter().fold((0.0, 0.0), |(n, hits), (weight, support)| (n + weight, hits + weight * support))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_is_noticed_and_chance_is_not() {
        let check = |text: &str, expected: usize| {
            let evidence: Vec<(f64, f64)> = text
                .chars()
                .map(|c| match c {
                    '1' => (1.0, 1.0),
                    'x' => (2.0, 0.0),
                    _ => (1.0, 0.0),
                })
                .collect();
            assert_eq!(last_change(&evidence), expected, "{text}");
        };
        check("", 0);
        check("11111111", 0);
        check("111111110", 0);
        check("11111111xx", 8);
        check("1111111100", 0);
        check("111111110000", 8);
        check("0000000011", 0);
        check("00000000111", 8);
        check("0101011010010110", 0);
        check("1111111111111111111100000000000000000000", 20);
        check("11111111000011111111000000", 20);
    }

    #[test]
    fn equal_rates_explain_nothing() {
        assert!(likelihood_ratio((10.0, 5.0), (20.0, 10.0)).abs() < 1e-9);
        assert!(likelihood_ratio((10.0, 10.0), (10.0, 0.0)) > 27.0);
        assert_eq!(likelihood_ratio((0.0, 0.0), (3.0, 3.0)), 0.0);
    }
}
