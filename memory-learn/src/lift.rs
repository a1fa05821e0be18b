//! The benefit of memory: success with it against success without it.

use std::collections::BTreeMap;

use memory_core::Episode;
use memory_recall::tokenize::normalize_label;
use serde::Serialize;

/// The normal quantile of a two-sided 95 % interval.
const Z: f64 = 1.959_963_984_540_054;

/// Episodes of one arm of the comparison.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize)]
pub struct Share {
    /// How many there are.
    pub episodes: u32,
    /// How many succeeded; a partial success counts its fraction.
    pub successes: f64,
}

impl Share {
    /// Returns the mean success, in `0.0..=1.0`; `None` without episodes.
    pub fn rate(&self) -> Option<f64> {
        (self.episodes > 0).then(|| (self.successes / f64::from(self.episodes)).clamp(0.0, 1.0))
    }

    fn add(&mut self, success: f64) {
        self.episodes += 1;
        self.successes += success;
    }

    /// Returns Wilson's score interval (E. B. Wilson, 1927).
    fn interval(&self) -> (f64, f64) {
        let Some(rate) = self.rate() else { return (0.0, 1.0) };
        let (n, z2) = (f64::from(self.episodes), Z * Z);
        let center = rate + z2 / (2.0 * n);
        let margin = Z * (rate * (1.0 - rate) / n + z2 / (4.0 * n * n)).sqrt();
        let scale = 1.0 + z2 / n;
        (((center - margin) / scale).max(0.0), ((center + margin) / scale).min(1.0))
    }
}

/// The benefit of memory: the difference in success between episodes that were shown a recall and episodes
/// whose recall was withheld.
///
/// The interval is Newcombe's hybrid score interval (R. G. Newcombe, "Interval estimation for the difference
/// between independent proportions", Statistics in Medicine 17, 1998, method 10). A partial success enters with
/// its fraction; the variance of fractions is never above that of a rate with the same mean, so that the
/// interval is wide enough.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Lift {
    /// The domain; `None` over all episodes, those without a domain included.
    pub domain: Option<String>,
    /// Episodes that were shown something.
    pub with: Share,
    /// Episodes whose recall was withheld.
    pub without: Share,
    /// Mean success with memory less that without, in `-1.0..=1.0`; 0 while one of the two has no episodes.
    pub difference: f64,
    /// The lower end of the 95 % interval of the difference; −1 while nothing is known.
    pub low: f64,
    /// The upper end of the 95 % interval of the difference; 1 while nothing is known.
    pub high: f64,
}

impl Lift {
    fn new(domain: Option<String>, with: Share, without: Share) -> Self {
        let (difference, low, high) = match (with.rate(), without.rate()) {
            (Some(a), Some(b)) => {
                let ((a_low, a_high), (b_low, b_high)) = (with.interval(), without.interval());
                let difference = a - b;
                let low = difference - (a - a_low).hypot(b_high - b);
                let high = difference + (a_high - a).hypot(b - b_low);
                (difference, low.max(-1.0), high.min(1.0))
            }
            _ => (0.0, -1.0, 1.0),
        };
        Self { domain, with, without, difference, low, high }
    }
}

/// Measures the benefit of memory, over all episodes first and then by domain in order of the name, regardless
/// of spelling; the spelling that sorts first represents all.
///
/// Episodes without a recall, and those whose recall found nothing, count on neither side.
pub fn lift(episodes: &[Episode]) -> Vec<Lift> {
    let mut overall = [Share::default(); 2];
    let mut domains: BTreeMap<String, (&str, [Share; 2])> = BTreeMap::new();
    for episode in episodes {
        let (Some(recall), Some(success)) = (&episode.recall, episode.success_share()) else { continue };
        if !recall.withheld && recall.shown.is_empty() {
            continue;
        }
        let arm = usize::from(recall.withheld);
        overall[arm].add(success);
        if let Some(domain) = &episode.task.domain {
            let (spelled, shares) =
                domains.entry(normalize_label(domain)).or_insert((domain, <[Share; 2]>::default()));
            *spelled = (*spelled).min(domain);
            shares[arm].add(success);
        }
    }
    let [with, without] = overall;
    let by_domain = domains
        .into_values()
        .map(|(domain, [with, without])| Lift::new(Some(domain.to_owned()), with, without));
    std::iter::once(Lift::new(None, with, without)).chain(by_domain).collect()
}

#[cfg(test)]
mod tests {
    use memory_core::{EpisodeId, ItemId, Outcome, RecallUse, Task, Timestamp};
    use proptest::prelude::*;
    use uuid::Uuid;

    use super::*;

    #[test]
    fn intervals_are_those_published() {
        // Newcombe 1998, table II, method 10.
        let check = |with: (f64, u32), without: (f64, u32), low: f64, high: f64| {
            let share = |(successes, episodes)| Share { episodes, successes };
            let lift = Lift::new(None, share(with), share(without));
            assert!((lift.low - low).abs() < 5e-5 && (lift.high - high).abs() < 5e-5, "{lift:?}");
        };
        check((56.0, 70), (48.0, 80), 0.0524, 0.3339);
        check((9.0, 10), (3.0, 10), 0.1705, 0.8090);
        check((5.0, 56), (0.0, 29), -0.0381, 0.1926);
        check((10.0, 10), (0.0, 10), 0.6075, 1.0);
    }

    fn episode(domain: &str, outcome: Option<Outcome>, recall: Option<(bool, bool)>) -> Episode {
        let id = EpisodeId(Uuid::nil());
        let mut episode = Episode::open(id, Task::new("x").domain(domain), Timestamp(0));
        episode.outcome = outcome;
        episode.recall = recall.map(|(withheld, found)| RecallUse {
            shown: if found { vec![ItemId::Episode(id)] } else { Vec::new() },
            withheld,
            ..RecallUse::default()
        });
        episode
    }

    #[test]
    fn arms_are_what_was_shown_and_what_was_withheld() {
        let (success, failure) = (Some(Outcome::success("")), Some(Outcome::failure("")));
        let episodes = [
            episode("web", success.clone(), Some((false, true))),
            episode(
                "Web",
                Some(Outcome::Partial { fraction: 0.5, summary: String::new() }),
                Some((false, true)),
            ),
            episode("web", failure.clone(), Some((true, false))),
            episode("air", success.clone(), Some((false, true))),
            // No recall, an empty recall, and an open episode.
            episode("web", failure.clone(), None),
            episode("web", failure, Some((false, false))),
            episode("web", None, Some((false, true))),
        ];
        let lifts = lift(&episodes);
        let summary: Vec<_> = lifts
            .iter()
            .map(|lift| {
                (lift.domain.as_deref(), lift.with.successes, lift.with.episodes, lift.without.episodes)
            })
            .collect();
        assert_eq!(summary, [(None, 2.5, 3, 1), (Some("air"), 1.0, 1, 0), (Some("Web"), 1.5, 2, 1)]);
        assert!((lifts[2].difference - 0.75).abs() < 1e-12);
        assert_eq!((lifts[1].difference, lifts[1].low, lifts[1].high), (0.0, -1.0, 1.0));
    }

    proptest! {
        #[test]
        fn the_difference_lies_in_its_interval(
            a in 0.0..=1.0_f64, n in 1_u32..500, b in 0.0..=1.0_f64, m in 1_u32..500,
        ) {
            let share = |rate: f64, episodes: u32| Share { episodes, successes: rate * f64::from(episodes) };
            let lift = Lift::new(None, share(a, n), share(b, m));
            prop_assert!(-1.0 <= lift.low && lift.low <= lift.difference + 1e-12);
            prop_assert!(lift.difference <= lift.high + 1e-12 && lift.high <= 1.0);
            let reverse = Lift::new(None, lift.without, lift.with);
            prop_assert!((reverse.low + lift.high).abs() < 1e-9);
        }
    }
}
