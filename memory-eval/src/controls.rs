//! Controls: what must not matter to advice (metamorphic relations, Chen et al. 2018). Each changes a data set in a way that
//! leaves the right answer as it was, and is scored by how much the advice changes.

mod transform;

use std::collections::BTreeSet;

use serde::Serialize;

use crate::arena::Means;
use crate::data::{DataSet, SolvedTask};
use crate::error::Result;
use crate::figures::f1;
use crate::statistics::{Sampled, bootstrap, paired};
use crate::tools::Learned;
pub use transform::{Control, Transformed};

/// How much advice changed under a control.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct ControlRow {
    /// The control.
    pub control: Control,
    /// The mean of 1 − Jaccard similarity of the advised sets before and after, tool names mapped back.
    pub advice_change: Option<Sampled>,
    /// The mean F1 after less that before, over pairs of the same task.
    pub f1_change: Option<Sampled>,
}

/// Runs a memory on a data set and on its transformations. Tasks without a domain get one, so that a foreign domain can be
/// told from theirs.
///
/// # Errors
/// The memory fails.
pub async fn controls(
    data: &DataSet,
    foreign: &[SolvedTask],
    seed: u64,
    by: &Means,
) -> Result<Vec<ControlRow>> {
    let mut data = data.clone();
    for task in data.train.iter_mut().chain(&mut data.test) {
        task.domain.get_or_insert_with(|| "own".to_owned());
    }
    let wanted: Vec<BTreeSet<&str>> = data.scored().into_iter().map(|(_, wanted)| wanted).collect();
    let test: Vec<SolvedTask> = data.scored().into_iter().map(|(task, _)| task.clone()).collect();
    let scored = DataSet { train: data.train.clone(), test };
    let before = advised(&scored, seed, by).await?;
    let score = |advised: &[BTreeSet<String>]| -> Vec<f64> {
        let sets = advised.iter().map(|set| set.iter().map(String::as_str).collect::<BTreeSet<&str>>());
        sets.zip(&wanted).map(|(set, wanted)| f1(&set, wanted)).collect()
    };
    let f1_before = score(&before);
    let mut rows = Vec::new();
    for control in Control::ALL {
        let transformed = control.apply(&scored, foreign, seed);
        let mut after = advised(&transformed.data, seed, by).await?;
        for set in &mut after {
            *set = set.iter().map(|tool| transformed.original(tool).to_owned()).collect();
        }
        let changes: Vec<f64> =
            before.iter().zip(&after).map(|(before, after)| change(before, after)).collect();
        rows.push(ControlRow {
            control,
            advice_change: bootstrap(&changes),
            f1_change: paired(&score(&after), &f1_before),
        });
    }
    Ok(rows)
}

async fn advised(data: &DataSet, seed: u64, by: &Means) -> Result<Vec<BTreeSet<String>>> {
    let learned = Learned::from_tasks(&data.train, seed, by).await?;
    let advised = learned.advise(&data.test).await?;
    learned.arena.close().await?;
    Ok(advised.tools.into_iter().map(|tools| tools.into_iter().collect()).collect())
}

/// Returns 1 − the Jaccard similarity of two sets; 0 for two empty ones.
fn change(before: &BTreeSet<String>, after: &BTreeSet<String>) -> f64 {
    let all = before.union(after).count();
    if all == 0 { 0.0 } else { 1.0 - before.intersection(after).count() as f64 / all as f64 }
}
