//! How a task is likely to end.

use super::Ranked;

/// Groups that say something.
const MAX_GROUPS: usize = 5;
/// How fast the weight of a group falls with its score.
const POWER: i32 = 4;
/// What is expected without evidence: even. Not the share of successes, which says nothing about this task.
const PRIOR: f64 = 0.5;

/// Returns the expected success and the weight of the evidence in episodes: the shares of success of the best groups,
/// each drawn to even by one episode, weighed by how well they fit against one such weight of no evidence.
pub(super) fn forecast(ranked: &Ranked<'_>, groups: &[Vec<usize>]) -> Option<(f64, f64)> {
    let best = ranked.candidates[*groups.first()?.first()?].score;
    let (mut sum, mut weights, mut evidence) = (PRIOR, 1.0, 0.0);
    for group in groups.iter().take(MAX_GROUPS) {
        let tried: Vec<f64> =
            group.iter().filter_map(|place| ranked.candidates[*place].entry.state.success()).collect();
        let score = group.first().map_or(0.0, |first| ranked.candidates[*first].score);
        if tried.is_empty() || score <= 0.0 {
            continue;
        }
        let (count, weight) = (tried.len() as f64, (score / best).powi(POWER));
        sum += weight * (tried.iter().sum::<f64>() + PRIOR) / (count + 1.0);
        weights += weight;
        evidence += weight * count;
    }
    (evidence > 0.0).then(|| (sum / weights, evidence))
}
