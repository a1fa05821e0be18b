//! Learning curves: advice by the number of episodes learned.

use serde::Serialize;

use crate::arena::Means;
use crate::chart::{Chart, Series};
use crate::data::DataSet;
use crate::dice::Dice;
use crate::error::Result;
use crate::statistics::{Sampled, bootstrap, paired};
use crate::tools::Learned;

/// A point of the curve.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct CurvePoint {
    /// Episodes learned.
    pub episodes: usize,
    /// The mean F1 of the set of tools, over the tasks that all training tasks together let score.
    pub ours: Option<Sampled>,
    /// That less the point before, over pairs of the same task.
    pub to_before: Option<Sampled>,
    /// The time of recording and learning, in seconds.
    pub learn_seconds: f64,
    /// Half of the recalls took no longer, in microseconds.
    pub recall_p50_us: Option<u64>,
}

/// Returns 100, 300, 1,000, 3,000 … up to a number, and the number itself.
fn sizes(all: usize) -> Vec<usize> {
    let decades = std::iter::successors(Some(100_usize), |size| size.checked_mul(10));
    let mut sizes: Vec<usize> =
        decades.flat_map(|size| [size, size.saturating_mul(3)]).take_while(|size| *size < all).collect();
    sizes.push(all);
    sizes
}

/// Learns from more and more of the training tasks, in a seeded order, each time in a fresh memory.
///
/// # Errors
/// The memory fails.
pub async fn curve(data: &DataSet, seed: u64, by: &Means) -> Result<Vec<CurvePoint>> {
    let mut train = data.train.clone();
    Dice::new(seed, &[]).shuffle(&mut train);
    let mut points = Vec::new();
    let mut before: Option<Vec<f64>> = None;
    for episodes in sizes(train.len()) {
        let learned = Learned::from_tasks(&train[..episodes], seed, by).await?;
        let advised = learned.advise_knowing(&data.test, &data.tools()).await?;
        points.push(CurvePoint {
            episodes,
            ours: bootstrap(&advised.f1),
            to_before: before.as_ref().and_then(|before| paired(&advised.f1, before)),
            learn_seconds: learned.taken.as_secs_f64(),
            recall_p50_us: advised.scores.recall_p50_us,
        });
        learned.arena.close().await?;
        before = Some(advised.f1);
    }
    Ok(points)
}

/// Draws a learning curve with its intervals as an SVG document.
pub fn curve_svg(points: &[CurvePoint]) -> String {
    let at = |point: &CurvePoint| point.episodes as f64;
    let known = || points.iter().filter_map(|point| Some((at(point), point.ours?)));
    let series = Series {
        name: "memory",
        points: known().map(|(at, ours)| (at, ours.value)).collect(),
        intervals: known().map(|(at, ours)| (at, ours.low, ours.high)).collect(),
    };
    let chart = Chart {
        caption: "episodes learned (mean F1 of the set of tools, 95 % interval)".into(),
        range: (points.first().map_or(1.0, at), points.last().map_or(1.0, at)),
        logarithmic: true,
        ticks: points.iter().map(|point| (at(point), point.episodes.to_string())).collect(),
        marks: Vec::new(),
        series: vec![series],
    };
    chart.svg()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_grow_by_about_three() {
        assert_eq!(sizes(3_813), [100, 300, 1_000, 3_000, 3_813]);
        assert_eq!(sizes(100), [100]);
        assert_eq!(sizes(7), [7]);
    }
}
