//! Finding the same task again, foretelling how it ends, and warning of what goes wrong, for
//! each episode with the rest learned.

use std::collections::{BTreeMap, BTreeSet};

use agent_memory::{EpisodeId, RecallQuery, StepResult};
use serde::Serialize;

use crate::arena::{Arena, Means};
use crate::data::Trajectory;
use crate::error::Result;
use crate::figures::auc;

/// Episodes asked for: how far down the ranking MRR looks.
const DEPTH: usize = 10;
/// The seed of the ids; nothing else is left to chance.
const SEED: u64 = 1;

/// How well episodes, outcomes and failures were foreseen.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
pub struct TrajectoryScores {
    /// Episodes recalled for.
    pub episodes: usize,
    /// Episodes of a task that has another trial: those that ranks are over.
    pub repeated: usize,
    /// The share whose first recalled episode is of the same task.
    pub hit_at_1: Option<f64>,
    /// The mean share of the other trials (of three, if there are more) among the first three.
    pub recall_at_3: Option<f64>,
    /// The mean of one over the rank of the first episode of the same task, 0 beyond the tenth.
    pub mrr: Option<f64>,
    /// The area under the ROC curve of the forecast.
    pub outcome_auc: Option<f64>,
    /// The same of a forecast that is told which episodes are of the same task, over those with another trial: the share
    /// of successes of the others, which no query tells.
    pub known_task_auc: Option<f64>,
    /// Episodes with a forecast; the others count with the share of successes among the rest.
    pub forecast: usize,
    /// Episodes that failed.
    pub failing: usize,
    /// Failing episodes that got a warning.
    pub warned: usize,
    /// The share of those whose warnings name what went wrong.
    pub warning_precision: Option<f64>,
}

/// Recalls for each episode with the others learned. Also returns the memory, which learned from all of them.
///
/// # Errors
/// The memory fails.
pub async fn trajectories(rows: &[Trajectory], by: &Means) -> Result<(TrajectoryScores, Arena)> {
    let mut arena = Arena::open(SEED, by).await?;
    let mut ids = Vec::new();
    for row in rows {
        ids.push(arena.record(&row.recording).await?);
    }
    let mut rank = Vec::new();
    let mut forecasts = Vec::new();
    let mut scores = TrajectoryScores { episodes: rows.len(), ..TrajectoryScores::default() };
    let successes = rows.iter().filter(|row| succeeded(row)).count();
    for (index, row) in rows.iter().enumerate() {
        arena.memory.forget(ids[index]).await?;
        arena.memory.learn().await?;
        let task = &row.recording.task;
        let recall = arena.memory.recall(RecallQuery::for_task(task).limit(DEPTH)).await?;
        let found: Vec<EpisodeId> = recall.episodes.iter().map(|found| found.id).collect();
        rank.extend(Rank::of(rows, &ids, index, &found));
        scores.forecast += usize::from(recall.forecast.is_some());
        let won = successes - usize::from(succeeded(row));
        let base = won as f64 / rows.len().saturating_sub(1).max(1) as f64;
        forecasts.push((recall.forecast.map_or(base, |forecast| forecast.success), succeeded(row)));
        if !succeeded(row) {
            scores.failing += 1;
            if !recall.warnings.is_empty() {
                scores.warned += 1;
                let right = f64::from(u8::from(names_what_went_wrong(
                    recall.warnings.iter().map(|it| &it.tools),
                    row,
                )));
                *scores.warning_precision.get_or_insert(0.0) += right;
            }
        }
        ids[index] = arena.record(&row.recording).await?;
    }
    arena.memory.learn().await?;
    scores.warning_precision = scores.warning_precision.map(|right| right / scores.warned as f64);
    scores.outcome_auc = auc(&forecasts);
    scores.known_task_auc = auc(&known_task(rows));
    scores.repeated = rank.len();
    scores.hit_at_1 = average(&rank, |rank| f64::from(u8::from(rank.first == Some(1))));
    scores.recall_at_3 = average(&rank, |rank| rank.share_of_three);
    scores.mrr = average(&rank, |rank| rank.first.map_or(0.0, |first| 1.0 / first as f64));
    Ok((scores, arena))
}

fn succeeded(row: &Trajectory) -> bool {
    row.recording.outcome.success_share() >= 0.5
}

/// Returns the share of successes of the other trials of each episode's task, beside how it went; of those that have any.
fn known_task(rows: &[Trajectory]) -> Vec<(f64, bool)> {
    let mut trials: BTreeMap<String, Vec<bool>> = BTreeMap::new();
    for row in rows.iter().filter(|row| !row.judge.task_id.is_null()) {
        trials.entry(row.judge.task_id.to_string()).or_default().push(succeeded(row));
    }
    let mut forecasts = Vec::new();
    for trials in trials.values().filter(|trials| trials.len() > 1) {
        let successes = trials.iter().filter(|won| **won).count();
        for won in trials {
            let others = (successes - usize::from(*won)) as f64 / (trials.len() - 1) as f64;
            forecasts.push((others, *won));
        }
    }
    forecasts
}

fn average(ranks: &[Rank], figure: impl Fn(&Rank) -> f64) -> Option<f64> {
    (!ranks.is_empty()).then(|| ranks.iter().map(figure).sum::<f64>() / ranks.len() as f64)
}

/// Where the other trials of an episode's task were found.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Rank {
    /// The place of the first, from 1.
    first: Option<usize>,
    share_of_three: f64,
}

impl Rank {
    /// Ranks what was found for an episode; `None` if its task has no other trial.
    fn of(rows: &[Trajectory], ids: &[EpisodeId], index: usize, found: &[EpisodeId]) -> Option<Self> {
        let task = &rows[index].judge.task_id;
        let others: BTreeMap<EpisodeId, usize> =
            ids.iter().copied().zip(0..).filter(|(_, other)| *other != index).collect();
        let relevant = |other: usize| !task.is_null() && rows[other].judge.task_id == *task;
        let trials = others.values().filter(|other| relevant(**other)).count();
        let hits: Vec<bool> =
            found.iter().map(|id| others.get(id).is_some_and(|other| relevant(*other))).collect();
        let of_three = hits.iter().take(3).filter(|hit| **hit).count();
        (trials > 0).then(|| Self {
            first: hits.iter().position(|hit| *hit).map(|place| place + 1),
            share_of_three: of_three as f64 / trials.min(3) as f64,
        })
    }
}

/// Returns true if a warning names a tool of a failing step, or of a reference action that was not done so.
fn names_what_went_wrong<'w>(warned: impl IntoIterator<Item = &'w Vec<String>>, row: &Trajectory) -> bool {
    let actions = &row.recording.actions;
    let failing = actions.iter().filter(|action| action.result != StepResult::Success);
    let mut wrong: BTreeSet<&str> = failing.map(|action| action.tool.as_str()).collect();
    for reference in &row.judge.reference_actions {
        let done = |action: &agent_memory::Action| {
            action.tool == reference.name && action.arguments.0 == reference.kwargs
        };
        if !actions.iter().any(done) {
            wrong.insert(&reference.name);
        }
    }
    warned.into_iter().flatten().any(|tool| wrong.contains(tool.as_str()))
}

#[cfg(test)]
mod tests {
    use agent_memory::{Action, Outcome, Recording};
    use serde_json::{Value, json};

    use super::*;
    use crate::data::{Call, Judge};

    fn row(task_id: u64, actions: Vec<Action>, reference: &[(&str, Value)]) -> Trajectory {
        let reference_actions =
            reference.iter().map(|(name, kwargs)| Call { name: (*name).into(), kwargs: kwargs.clone() });
        Trajectory {
            recording: Recording::new(String::new(), "x", Outcome::failure("")).actions(actions),
            judge: Judge { task_id: task_id.into(), reference_actions: reference_actions.collect() },
        }
    }

    fn id(number: u64) -> EpisodeId {
        format!("00000000-0000-7000-8000-{number:012}").parse().unwrap()
    }

    #[test]
    fn ranks_are_those_of_other_trials() {
        let rows: Vec<Trajectory> = [1, 1, 1, 1, 1, 2, 3].map(|task| row(task, Vec::new(), &[])).into();
        let ids: Vec<EpisodeId> = (0..7).map(id).collect();
        let check = |index: usize, found: &[u64], expected: Option<(Option<usize>, f64)>| {
            let found: Vec<EpisodeId> = found.iter().copied().map(id).collect();
            let rank = Rank::of(&rows, &ids, index, &found);
            assert_eq!(rank.map(|rank| (rank.first, rank.share_of_three)), expected);
        };
        check(0, &[1, 2, 3], Some((Some(1), 1.0)));
        check(0, &[5, 2, 6, 1], Some((Some(2), 1.0 / 3.0)));
        // An episode is no other trial of itself.
        check(0, &[0, 5], Some((None, 0.0)));
        check(5, &[1], None);
    }

    #[test]
    fn the_known_task_foretells_by_its_other_trials() {
        let mut rows: Vec<Trajectory> = [1, 1, 1, 2].map(|task| row(task, Vec::new(), &[])).into();
        rows[0].recording.outcome = Outcome::success("");
        assert_eq!(known_task(&rows), [(0.0, true), (0.5, false), (0.5, false)]);
    }

    #[test]
    fn warnings_must_name_a_failing_step_or_a_missing_action() {
        let reference = [("book", json!({"seat": 1})), ("pay", json!({}))];
        let actions = vec![
            Action::tool("book").arguments(json!({"seat": 2})),
            Action::tool("pay").arguments(json!({})),
            Action::tool("search").error("Error: nothing"),
        ];
        let row = row(1, actions, &reference);
        let check = |tools: &[&str], expected| {
            let warned: Vec<String> = tools.iter().map(|tool| (*tool).to_owned()).collect();
            assert_eq!(names_what_went_wrong([&warned], &row), expected, "{tools:?}");
        };
        check(&["book"], true);
        check(&["pay"], false);
        check(&["search"], true);
        check(&["other", "search"], true);
        check(&[], false);
    }
}
