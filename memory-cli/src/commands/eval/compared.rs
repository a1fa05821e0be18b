//! `memory eval suite`, `memory eval controls`, and the curve and baselines of `memory eval tasks`.

use memory_eval::{Compared, DataSet, Means, Sampled, curve_svg, evaluate, find_data_sets, read_tasks};
use serde_json::json;

use super::drawing::Drawing;
use super::telling;
use crate::cli::{EvalControlsArgs, EvalSuiteArgs, EvalTasksArgs};
use crate::failure::Failure;
use crate::output::Output;
use crate::output::style;
use crate::table::{Cell, Column, layout};

/// Evaluates every data set of a folder.
pub(super) async fn suite(arguments: &EvalSuiteArgs, by: &Means, output: &mut Output) -> Result<(), Failure> {
    let mut rows = Vec::new();
    for pair in find_data_sets(&arguments.folder)? {
        rows.push(evaluate(&pair, !arguments.no_baselines, arguments.seed, by).await?);
    }
    if output.is_json() {
        return Ok(output.object(&json!({"data_sets": rows}))?);
    }
    let ms = |value: Option<f64>| value.map_or("-".into(), |value| format!("{value:.1}"));
    let names: Vec<&'static str> =
        rows.iter().flat_map(|row| &row.compared.baselines).map(|score| score.name).collect();
    let mut headings = vec!["data set", "train", "n", "ours"];
    for name in names {
        if !headings.contains(&name) {
            headings.push(name);
        }
    }
    let baselines = headings[4..].to_vec();
    headings.extend(["to best plain", "to stacked", "learn s", "recall ms"]);
    let lines = rows.iter().map(|row| {
        let compared = &row.compared;
        let mut line =
            vec![row.name.clone(), row.train.to_string(), row.tasks.to_string(), told(compared.ours)];
        line.extend(baselines.iter().map(|name| {
            let found = compared.baselines.iter().find(|score| score.name == *name);
            found.map_or("-".into(), |score| format!("{:.3}", score.f1.value))
        }));
        line.extend([signed(compared.to_best_plain), signed(compared.to_stacked)]);
        line.extend([format!("{:.2}", row.learn_seconds), ms(row.recall_p50_ms)]);
        line
    });
    table(&headings, lines, output)
}

/// Runs the controls on a data set.
pub(super) async fn controls(
    arguments: &EvalControlsArgs,
    by: &Means,
    output: &mut Output,
) -> Result<(), Failure> {
    let data = DataSet::read(&arguments.train, &arguments.test)?;
    let foreign = read_tasks(&arguments.foreign)?;
    let rows = memory_eval::controls(&data, &foreign, arguments.seed, by).await?;
    if output.is_json() {
        return Ok(output.object(&json!({"controls": rows}))?);
    }
    let lines = rows
        .iter()
        .map(|row| vec![row.control.name().to_owned(), told(row.advice_change), signed(row.f1_change)]);
    table(&["control", "advice change", "F1 change"], lines, output)
}

/// Draws the learning curve of a data set.
pub(super) async fn curve(
    arguments: &EvalTasksArgs,
    data: &DataSet,
    by: &Means,
    output: &mut Output,
) -> Result<(), Failure> {
    let drawing = arguments.svg.as_ref().map(|file| Drawing::create(file)).transpose()?;
    let points = memory_eval::curve(data, arguments.seed, by).await?;
    if let Some(drawing) = drawing {
        drawing.write(&curve_svg(&points))?;
    }
    if output.is_json() {
        return Ok(output.object(&json!({"curve": points}))?);
    }
    let micros = |value: Option<u64>| value.map_or("-".into(), |value| value.to_string());
    let lines = points.iter().map(|point| {
        let taken = [format!("{:.2}", point.learn_seconds), micros(point.recall_p50_us)];
        let figures = [point.episodes.to_string(), told(point.ours), signed(point.to_before)];
        figures.into_iter().chain(taken).collect()
    });
    table(&["episodes", "ours", "to before", "learn s", "recall µs"], lines, output)
}

/// Writes the memory's figures next to those of the baselines.
pub(super) fn tell(compared: &Compared, output: &mut Output) -> Result<(), Failure> {
    telling::title(output, "Mean F1 with 95 % intervals, over the same tasks")?;
    let scores = compared.baselines.iter().map(|score| (score.name, Some(score.f1)));
    let lines = [("ours", compared.ours)].into_iter().chain(scores);
    let lines = lines.map(|(name, score)| (name, told(score)));
    let best = compared.best_plain.map(|name| (name, signed(compared.to_best_plain)));
    let differences =
        best.into_iter().chain(compared.to_stacked.map(|_| ("stacked", signed(compared.to_stacked))));
    let differences = differences.map(|(name, difference)| (name, format!("ours less it: {difference}")));
    let lines = lines.chain(differences).map(|(name, told)| vec![name.to_owned(), told]);
    table(&["", "F1"], lines.collect::<Vec<_>>().into_iter(), output)
}

fn told(score: Option<Sampled>) -> String {
    score.map_or("-".into(), |score| format!("{:.3} [{:.3}, {:.3}]", score.value, score.low, score.high))
}

fn signed(score: Option<Sampled>) -> String {
    score.map_or("-".into(), |score| format!("{:+.3} [{:+.3}, {:+.3}]", score.value, score.low, score.high))
}

fn table(
    headings: &[&'static str],
    lines: impl Iterator<Item = Vec<String>>,
    output: &mut Output,
) -> Result<(), Failure> {
    let columns: Vec<Column> = headings
        .iter()
        .enumerate()
        .map(|(place, heading)| Column { heading, right: place > 0, flexible: false })
        .collect();
    let cell = |text: String| Cell::new(text, style::PLAIN);
    let rows: Vec<Vec<Cell>> = lines.map(|line| line.into_iter().map(cell).collect()).collect();
    for line in layout(&columns, &rows, output.columns()) {
        output.line(line)?;
    }
    Ok(())
}
