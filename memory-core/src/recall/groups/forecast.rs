//! How a task is likely to end.

use super::Ranked;

/// Groups that say something.
const MAX_GROUPS: usize = 5;
/// How fast the weight of a group falls with its score.
const POWER: i32 = 4;
/// What is expected without evidence: even. Not the share of successes, which says nothing about this task.
const PRIOR: f64 = 0.5;

/// What an episode counts that went another way than the task has gone so far, beside one that went the same.
const OTHER_WAY: f64 = 0.25;

/// Returns the expected success and the weight of the evidence in episodes: the shares of success of the best groups,
/// each drawn to even by one episode, weighed by how well they fit against one such weight of no evidence. Once the task is
/// under way, episodes count the more the more went the same way.
pub(super) fn forecast(ranked: &Ranked<'_>, groups: &[Vec<usize>]) -> Option<(f64, f64)> {
    let best = ranked.candidates[*groups.first()?.first()?].score;
    let (mut sum, mut weights, mut evidence) = (PRIOR, 1.0, 0.0);
    for group in groups.iter().take(MAX_GROUPS) {
        let (mut count, mut succeeded) = (0.0, 0.0);
        for candidate in group.iter().map(|place| &ranked.candidates[*place]) {
            if let Some(success) = candidate.entry.state.success() {
                let share = candidate.parts.progress.map_or(1.0, |same| OTHER_WAY + (1.0 - OTHER_WAY) * same);
                count += share;
                succeeded += share * success;
            }
        }
        let score = group.first().map_or(0.0, |first| ranked.candidates[*first].score);
        if count == 0.0 || score <= 0.0 {
            continue;
        }
        let weight = (score / best).powi(POWER);
        sum += weight * (succeeded + PRIOR) / (count + 1.0);
        weights += weight;
        evidence += weight * count;
    }
    (evidence > 0.0).then(|| (sum / weights, evidence))
}
