//! What the arms of the simulation came to.

use std::ops::Range;

use serde::Serialize;

use crate::chart::{Chart, Series};
use crate::figures::{Estimate, mean, share};

/// Tasks that a moving average and a point of the learning curve are over.
const WINDOW: usize = 25;
/// How near to the oracle counts as recovered, as a share of tasks.
const RECOVERED: f64 = 0.05;

/// How one task went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Run {
    pub(super) success: bool,
    pub(super) steps: usize,
    /// Whether the rule of the task is one that the drift changes.
    pub(super) changing: bool,
}

/// The runs of all arms over the same tasks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Runs {
    pub(super) none: Vec<Run>,
    pub(super) memory: Vec<Run>,
    pub(super) stale: Vec<Run>,
    pub(super) irrelevant: Vec<Run>,
    pub(super) oracle: Vec<Run>,
}

impl Runs {
    /// Returns the arms with their names, in the order of the report.
    fn arms(&self) -> [(&'static str, &[Run]); 5] {
        [
            ("none", &self.none),
            ("memory", &self.memory),
            ("stale", &self.stale),
            ("irrelevant", &self.irrelevant),
            ("oracle", &self.oracle),
        ]
    }
}

/// One arm.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Arm {
    /// Its name.
    pub arm: &'static str,
    /// The share of tasks done, with its Wilson interval.
    pub success: Option<Estimate>,
    /// Calls a task.
    pub steps: Option<Estimate>,
    /// Success after the drift, of the tasks whose rules it changed.
    pub success_changed: Option<Estimate>,
    /// Success less that of the arm without memory, over pairs of the same task.
    pub success_difference: Option<Estimate>,
    /// Calls less those of the arm without memory, over pairs of the same task.
    pub steps_difference: Option<Estimate>,
    /// Success by 25 tasks.
    pub curve: Vec<f64>,
}

/// The share of the gap between no memory and the oracle that memory closes.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct GapClosed {
    /// Over all tasks.
    pub overall: Option<f64>,
    /// In the second half of the tasks before the drift.
    pub before_drift: Option<f64>,
    /// In the second half of the tasks after the drift.
    pub after_drift: Option<f64>,
}

/// The report.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct LiftReport {
    /// The seed of the environment and of all chance.
    pub seed: u64,
    /// Tasks that each arm worked through.
    pub tasks: usize,
    /// The task that the rules change at.
    pub drift_at: usize,
    /// Tasks that a point of the curves is over.
    pub window: usize,
    /// The arms: none, memory, stale, irrelevant, oracle.
    pub arms: Vec<Arm>,
    /// How much of the gap between none and oracle memory closes.
    pub gap_closed: GapClosed,
    /// Tasks after the drift until the success of the last 25 of them is within 5 points of the oracle's;
    /// `None` if it never is. At least 25.
    pub recovery_tasks: Option<usize>,
    /// The same, and so it stays for 25 tasks more: a first window of tasks that are hardly changed is not enough.
    pub recovery_lasting_tasks: Option<usize>,
    /// The same of the stale memory, which learns nothing new: what chance and the agent's own tries achieve.
    pub stale_recovery_lasting_tasks: Option<usize>,
    /// What irrelevant memory costs against none, in points of success; negative if it helps.
    pub irrelevant_cost_points: f64,
}

impl LiftReport {
    /// Computes the report.
    pub(super) fn new(seed: u64, runs: &Runs) -> Self {
        let tasks = runs.none.len();
        let drift_at = tasks / 2;
        let arms = runs
            .arms()
            .into_iter()
            .map(|(arm, of_arm)| {
                let changed: Vec<Run> =
                    of_arm[drift_at..].iter().copied().filter(|run| run.changing).collect();
                let paired = |figure: fn(&Run) -> f64| {
                    let pairs = of_arm.iter().zip(&runs.none);
                    mean(&pairs.map(|(run, none)| figure(run) - figure(none)).collect::<Vec<_>>())
                };
                Arm {
                    arm,
                    success: share(successes(of_arm), tasks),
                    steps: mean(&of_arm.iter().map(steps).collect::<Vec<_>>()),
                    success_changed: share(successes(&changed), changed.len()),
                    success_difference: paired(success),
                    steps_difference: paired(steps),
                    curve: of_arm.chunks(WINDOW).map(rate).collect(),
                }
            })
            .collect();
        Self {
            seed,
            tasks,
            drift_at,
            window: WINDOW,
            arms,
            gap_closed: GapClosed {
                overall: gap_closed(runs, 0..tasks),
                before_drift: gap_closed(runs, drift_at / 2..drift_at),
                after_drift: gap_closed(runs, drift_at + (tasks - drift_at) / 2..tasks),
            },
            recovery_tasks: recovery(&runs.memory[drift_at..], &runs.oracle[drift_at..], 1),
            recovery_lasting_tasks: recovery(&runs.memory[drift_at..], &runs.oracle[drift_at..], WINDOW),
            stale_recovery_lasting_tasks: recovery(&runs.stale[drift_at..], &runs.oracle[drift_at..], WINDOW),
            irrelevant_cost_points: (rate(&runs.none) - rate(&runs.irrelevant)) * 100.0,
        }
    }
}

impl LiftReport {
    /// Returns the learning curves of all arms as an SVG document.
    pub fn svg(&self) -> String {
        let series = self.arms.iter().map(|arm| {
            let points = arm.curve.iter().enumerate().map(|(index, share)| {
                let from = index * self.window;
                ((from + (from + self.window).min(self.tasks)) as f64 / 2.0, *share)
            });
            Series { name: arm.arm, points: points.collect(), intervals: Vec::new() }
        });
        let chart = Chart {
            caption: format!("tasks (success by {} tasks, seed {})", self.window, self.seed),
            range: (0.0, self.tasks.max(1) as f64),
            logarithmic: false,
            ticks: Vec::new(),
            marks: vec![(self.drift_at as f64, "drift")],
            series: series.collect(),
        };
        chart.svg()
    }
}

fn success(run: &Run) -> f64 {
    f64::from(u8::from(run.success))
}

fn steps(run: &Run) -> f64 {
    run.steps as f64
}

fn successes(runs: &[Run]) -> usize {
    runs.iter().filter(|run| run.success).count()
}

fn rate(runs: &[Run]) -> f64 {
    successes(runs) as f64 / runs.len().max(1) as f64
}

fn gap_closed(runs: &Runs, range: Range<usize>) -> Option<f64> {
    let [none, memory, oracle] =
        [&runs.none, &runs.memory, &runs.oracle].map(|of_arm| rate(&of_arm[range.clone()]));
    (oracle > none).then(|| (memory - none) / (oracle - none))
}

/// Returns after how many tasks the moving average is near enough to the oracle's, and stays so for so many tasks (or to
/// the end).
fn recovery(memory: &[Run], oracle: &[Run], tasks: usize) -> Option<usize> {
    let windows = memory.windows(WINDOW).zip(oracle.windows(WINDOW));
    let near = |(memory, oracle): (&[Run], &[Run])| rate(memory) >= rate(oracle) - RECOVERED - f64::EPSILON;
    let near: Vec<bool> = windows.map(near).collect();
    let stays = |start: &usize| near[*start..].iter().take(tasks).all(|near| *near);
    (0..near.len()).find(stays).map(|start| start + WINDOW)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn runs(successes: impl IntoIterator<Item = bool>) -> Vec<Run> {
        successes
            .into_iter()
            .enumerate()
            .map(|(index, success)| Run {
                success,
                steps: if success { 2 } else { 6 },
                changing: index % 3 == 0,
            })
            .collect()
    }

    #[test]
    fn figures_come_from_pairs_of_the_same_task() {
        let arms = Runs {
            none: runs((0..200).map(|index| index % 2 == 0)),
            // The drift costs it every other of the first twenty tasks.
            memory: runs((0..200).map(|index| !(100..120).contains(&index) || index % 2 == 0)),
            stale: runs((0..200).map(|index| index < 100)),
            irrelevant: runs((0..200).map(|index| index % 2 == 0 && index != 0)),
            oracle: runs((0..200).map(|_| true)),
        };
        let report = LiftReport::new(1, &arms);
        assert_eq!((report.tasks, report.drift_at), (200, 100));
        assert!((report.gap_closed.overall.unwrap() - 0.9).abs() < 1e-9);
        assert_eq!((report.gap_closed.before_drift, report.gap_closed.after_drift), (Some(1.0), Some(1.0)));
        // Of the odd ones only the nineteenth may be left among the last 25.
        assert_eq!(report.recovery_tasks, Some(43));
        assert!((report.irrelevant_cost_points - 0.5).abs() < 1e-9);
        let memory = &report.arms[1];
        assert!((memory.success.unwrap().value - 0.95).abs() < 1e-9);
        assert!((memory.success_difference.unwrap().value - 0.45).abs() < 1e-9);
        assert!((memory.steps_difference.unwrap().value + 1.8).abs() < 1e-9);
        assert_eq!(memory.curve, [1.0, 1.0, 1.0, 1.0, 0.6, 1.0, 1.0, 1.0]);
        assert_eq!(report.arms[2].success_changed.unwrap().value, 0.0);
    }

    #[test]
    fn the_drawing_has_a_curve_an_arm() {
        let arm = vec![Run { success: true, steps: 2, changing: false }; 60];
        let [none, memory, stale, irrelevant, oracle] = [(); 5].map(|()| arm.clone());
        let drawn = LiftReport::new(4, &Runs { none, memory, stale, irrelevant, oracle }).svg();
        assert_eq!(drawn.matches("<polyline").count(), 5);
        assert!(drawn.contains("points=\"200.0,20.0 500.0,20.0 710.0,20.0\""), "{drawn}");
    }

    #[test]
    fn what_never_comes_back_has_not_recovered() {
        let arm = runs((0..100).map(|_| false));
        let oracle = runs((0..100).map(|_| true));
        assert_eq!(recovery(&arm, &oracle, 1), None);
        assert_eq!(recovery(&oracle, &oracle, 1), Some(WINDOW));
        assert_eq!(recovery(&oracle[..10], &oracle[..10], 1), None);
        // A relapse counts against what is to last.
        let relapse = runs((0..100).map(|index| !(30..40).contains(&index)));
        assert_eq!(recovery(&relapse, &oracle, 1), Some(WINDOW));
        assert_eq!(recovery(&relapse, &oracle, WINDOW), Some(64));
    }
}
