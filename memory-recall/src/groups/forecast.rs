//! How a task is likely to end.

use super::Ranked;

/// Groups that say something.
const MAX_GROUPS: usize = 8;
/// How fast the weight of a group falls with its likeness to the task. That leaves out what the score says of domain and
/// kind: where all episodes have the same, it only draws the weights together.
const POWER: i32 = 8;
/// What an episode of another domain and kind counts beside one of the same.
const OTHER_LABELS: f64 = 0.5;
/// What is expected without evidence: even. Not the share of successes, which says nothing about this task.
const PRIOR: f64 = 0.5;
/// What an episode counts that went another way than the task has gone so far, beside one that went the same.
const OTHER_WAY: f64 = 0.25;

/// Returns the expected success and the weight of the evidence in episodes: the shares of success of the best groups,
/// each drawn to even by one episode, weighed by how like the task they are against one such weight of no evidence. Once the task is
/// under way, episodes count the more the more went the same way.
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
