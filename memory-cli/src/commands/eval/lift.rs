//! `memory eval lift`: the benefit of memory for a simulated agent.

use memory_eval::{LiftReport, Means, blocks};
use serde_json::json;

use super::drawing::Drawing;
use super::telling;
use crate::cli::EvalLiftArgs;
use crate::commands::stats::Junk;
use crate::failure::Failure;
use crate::output::Output;
use crate::output::style::{self, paint};
use crate::table::{Cell, Column, layout};

pub(super) async fn run(arguments: &EvalLiftArgs, by: &Means, output: &mut Output) -> Result<(), Failure> {
    let drawing = arguments.svg.as_ref().map(|file| Drawing::create(file)).transpose()?;
    let (report, arena) = memory_eval::lift(arguments.seed, arguments.tasks as usize, by).await?;
    let junk = Junk::of(arena.memory()).await?;
    let provider = arena.provider();
    arena.close().await?;
    if let Some(drawing) = drawing {
        drawing.write(&report.svg())?;
    }
    if output.is_json() {
        let mut object = json!(report);
        object["junk"] = json!(junk);
        object["provider"] = provider.into();
        return Ok(output.object(&object)?);
    }
    tell(&report, output)?;
    telling::provider(output, &provider)?;
    telling::junk(output, &junk)
}

fn tell(report: &LiftReport, output: &mut Output) -> Result<(), Failure> {
    let head = format!(
        "{} tasks of a simulated agent, with a drift after {} (seed {})",
        report.tasks, report.drift_at, report.seed
    );
    telling::title(output, &head)?;
    let column = |heading, right| Column { heading, right, flexible: false };
    let headings = [
        column("arm", false),
        column("success", true),
        column("against none", true),
        column("calls", true),
        column("against none", true),
        column("changed rules", true),
    ];
    let rows: Vec<Vec<Cell>> = report
        .arms
        .iter()
        .map(|arm| {
            vec![
                Cell::new(arm.arm, style::NAME),
                Cell::new(telling::percent(arm.success), style::PLAIN),
                Cell::new(telling::percent(arm.success_difference), style::PLAIN),
                Cell::new(telling::plain(arm.steps), style::PLAIN),
                Cell::new(telling::plain(arm.steps_difference), style::PLAIN),
                Cell::new(telling::percent(arm.success_changed), style::PLAIN),
            ]
        })
        .collect();
    for line in layout(&headings, &rows, output.columns()) {
        output.line(line)?;
    }
    output.line("")?;
    telling::title(output, &format!("Success by {} tasks", report.window))?;
    for arm in &report.arms {
        let name = paint(style::NAME, format!("{:<10}", arm.arm));
        let (before, after) = arm.curve.split_at((report.drift_at / report.window).min(arm.curve.len()));
        output.line(format!("  {name}  {} {}", blocks(before), blocks(after)))?;
    }
    output.line("")?;
    let gap = |value: Option<f64>| value.map_or("-".into(), |value| format!("{:.1} %", value * 100.0));
    let closed = &report.gap_closed;
    telling::figure(
        output,
        "gap closed",
        &gap(closed.overall),
        "of the gap between none and oracle, over all tasks",
    )?;
    telling::figure(
        output,
        "  before drift",
        &gap(closed.before_drift),
        "second half of the tasks before it",
    )?;
    telling::figure(output, "  after drift", &gap(closed.after_drift), "second half of the tasks after it")?;
    let tasks = |tasks: Option<usize>| tasks.map_or("never".into(), |tasks| tasks.to_string());
    let meaning = format!("tasks until the last {} are within 5 points of the oracle again", report.window);
    telling::figure(output, "recovery", &tasks(report.recovery_tasks), &meaning)?;
    let meaning = format!(
        "tasks until they are, and stay so for {} more; stale memory: {}",
        report.window,
        tasks(report.stale_recovery_lasting_tasks)
    );
    telling::figure(output, "  for good", &tasks(report.recovery_lasting_tasks), &meaning)?;
    let cost = format!("{:.1}", report.irrelevant_cost_points);
    telling::figure(output, "irrelevant cost", &cost, "points of success against none")?;
    Ok(())
}
