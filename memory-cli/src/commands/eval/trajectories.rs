//! `memory eval trajectories`: recall, forecast and warnings, for each episode with the rest learned.

use memory_eval::{Means, TrajectoryScores, read_trajectories};
use serde_json::json;

use super::telling;
use crate::cli::EvalTrajectoriesArgs;
use crate::commands::stats::Junk;
use crate::failure::Failure;
use crate::import::{Defaults, parse};
use crate::output::Output;
use crate::text;

pub(super) async fn run(
    arguments: &EvalTrajectoriesArgs,
    by: &Means,
    output: &mut Output,
) -> Result<(), Failure> {
    let rows = read_trajectories(&arguments.file, |line| {
        parse(line, &Defaults::default()).map(|converted| converted.recording)
    })?;
    let (scores, arena) = memory_eval::trajectories(&rows, by).await?;
    let junk = Junk::of(arena.memory()).await?;
    let provider = arena.provider();
    arena.close().await?;
    if output.is_json() {
        let mut object = json!(scores);
        object["junk"] = json!(junk);
        object["provider"] = provider.into();
        return Ok(output.object(&object)?);
    }
    tell(&scores, output)?;
    telling::provider(output, &provider)?;
    telling::junk(output, &junk)
}

fn tell(scores: &TrajectoryScores, output: &mut Output) -> Result<(), Failure> {
    let head = format!("{} in turn, with the rest learned", text::count(scores.episodes as u64, "episode"));
    telling::title(output, &head)?;
    let ranks =
        format!("first recalled is of the same task, over {} that have another trial", scores.repeated);
    let forecast = format!("forecast against outcome; {} had a forecast", scores.forecast);
    let warned = format!(
        "warnings that name what went wrong; {} of {} failing episodes got a warning",
        scores.warned, scores.failing
    );
    let figures = [
        ("hit_at_1", scores.hit_at_1, ranks.as_str()),
        ("recall_at_3", scores.recall_at_3, "other trials among the first three"),
        ("mrr", scores.mrr, "mean reciprocal rank of the first of the same task"),
        ("outcome_auc", scores.outcome_auc, forecast.as_str()),
        (
            "known_task_auc",
            scores.known_task_auc,
            "of the mean outcome of the other trials, which no query tells",
        ),
        ("warning_precision", scores.warning_precision, warned.as_str()),
    ];
    for (name, value, meaning) in figures {
        telling::figure(output, name, &telling::decimal(value), meaning)?;
    }
    Ok(())
}
