//! The memory beside the baselines, over the same tasks.

use serde::Serialize;

use crate::baselines::Baseline;
use crate::statistics::{Sampled, bootstrap, paired};

/// Mean F1 of the set of tools of the memory and of the baselines.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Compared {
    /// The memory.
    pub ours: Option<Sampled>,
    /// The baselines.
    pub baselines: Vec<BaselineScore>,
    /// The best of the baselines but the stacked mixture.
    pub best_plain: Option<&'static str>,
    /// The memory less that baseline, over pairs of the same task.
    pub to_best_plain: Option<Sampled>,
    /// The memory less the stacked mixture, over pairs of the same task.
    pub to_stacked: Option<Sampled>,
}

/// The mean F1 of a baseline.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct BaselineScore {
    /// Its name.
    pub name: &'static str,
    /// The mean F1.
    pub f1: Sampled,
}

/// Compares the F1 of the memory on each scored task with that of the baselines.
pub fn compare(ours: &[f64], baselines: &[Baseline]) -> Compared {
    let score =
        |baseline: &Baseline| Some(BaselineScore { name: baseline.name, f1: bootstrap(&baseline.f1)? });
    let plain = baselines.iter().filter(|baseline| baseline.is_plain());
    let best = plain.max_by(|a, b| a.mean().total_cmp(&b.mean()));
    let stacked = baselines.iter().find(|baseline| !baseline.is_plain());
    Compared {
        ours: bootstrap(ours),
        baselines: baselines.iter().filter_map(score).collect(),
        best_plain: best.map(|best| best.name),
        to_best_plain: best.and_then(|best| paired(ours, &best.f1)),
        to_stacked: stacked.and_then(|stacked| paired(ours, &stacked.f1)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mixture_is_no_plain_baseline() {
        let baseline = |name, f1: &[f64]| Baseline { name, f1: f1.to_vec() };
        let all = [
            baseline("knn_1", &[0.0, 0.5]),
            baseline("knn_5", &[0.5, 0.5]),
            baseline("stacked", &[1.0, 1.0]),
        ];
        let compared = compare(&[1.0, 0.5], &all);
        assert_eq!(compared.best_plain, Some("knn_5"));
        assert_eq!(compared.to_best_plain.map(|difference| difference.value), Some(0.25));
        assert_eq!(compared.to_stacked.map(|difference| difference.value), Some(-0.25));
        assert_eq!(compare(&[], &[]).ours, None);
    }
}
