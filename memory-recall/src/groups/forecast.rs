//! How a task is likely to end.

use super::Ranked;

/// The most groups used.
const MAX_GROUPS: usize = 8;
/// How fast the weight of a group falls with decreasing similarity to the task. The similarity excludes domain
/// and kind: if these are the same for all episodes, they only make the weights more equal.
const POWER: i32 = 8;
/// The weight of an episode of another domain and kind relative to one of the same.
const OTHER_LABELS: f64 = 0.5;
/// The expectation without evidence: even. The share of successes says nothing about this task.
const PRIOR: f64 = 0.5;
/// The weight of an episode with another course than the task so far, relative to one with the same course.
const OTHER_WAY: f64 = 0.25;

/// Returns the expected success and the weight of the evidence in episodes: the success rates of the best
/// groups, each smoothed towards even by one episode, weighted by similarity to the task against one such
/// weight of no evidence. Once the task is under way, episodes weigh more the more of its course they share.
pub(super) fn forecast(ranked: &Ranked<'_>, groups: &[Vec<usize>]) -> Option<(f64, f64)> {
    let groups = &groups[..groups.len().min(MAX_GROUPS)];
    let parts = |group: &[usize]| ranked.candidates[group[0]].parts;
    let best = groups.iter().map(|group| parts(group).likeness()).fold(0.0, f64::max);
    let (mut sum, mut weights, mut evidence) = (PRIOR, 1.0, 0.0);
    for group in groups {
        let (mut count, mut succeeded) = (0.0, 0.0);
        for candidate in group.iter().map(|place| &ranked.candidates[*place]) {
            if let Some(success) = candidate.entry.state.success() {
                let share = candidate.parts.progress.map_or(1.0, |same| OTHER_WAY + (1.0 - OTHER_WAY) * same);
                count += share;
                succeeded += share * success;
            }
        }
        if count == 0.0 || best <= 0.0 {
            continue;
        }
        let parts = parts(group);
        let labels = OTHER_LABELS + (1.0 - OTHER_LABELS) * parts.labels();
        let weight = labels * (parts.likeness() / best).powi(POWER);
        sum += weight * (succeeded + PRIOR) / (count + 1.0);
        weights += weight;
        evidence += weight * count;
    }
    (evidence > 0.0).then(|| (sum / weights, evidence))
}
