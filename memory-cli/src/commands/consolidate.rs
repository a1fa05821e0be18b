//! `memory consolidate`: the dream cycle, on demand.

use std::time::Duration;

use serde_json::json;

use crate::cli::{ConsolidateArgs, Global};
use crate::failure::{Exit, Failure};
use crate::output::Output;
use crate::output::style::{self, paint};
use crate::session::Session;
use crate::text;

pub(crate) async fn run(
    global: &Global,
    arguments: &ConsolidateArgs,
    output: &mut Output,
) -> Result<Exit, Failure> {
    let session = Session::open(global, output).await?;
    let learned = session.memory.learn().await?;
    // Only this process knows the remaining work, so without a budget it continues to the end.
    let budget = arguments.budget_ms.map_or(Duration::MAX, |budget| Duration::from_millis(budget.into()));
    let cycle = session.memory.consolidate(Some(budget)).await?;
    if output.is_json() {
        let left = session.drain(output).await?;
        let mut object = json!(cycle);
        object["learned"] = learned.episodes.into();
        object["waiting"] = left.rows.into();
        output.object(&object)?;
        return Ok(Exit::Done);
    }
    if learned.episodes > 0 {
        let episodes = text::count(learned.episodes, "episode");
        output.line(format!("Learned from {episodes} first"))?;
    }
    let taken = text::duration(Duration::from_millis(cycle.duration_ms));
    let head = if cycle.interrupted { "Stopped before its end" } else { "Consolidated" };
    let look = if cycle.interrupted { style::UNSURE } else { style::GOOD };
    output.line(format!("{} in {taken}", paint(look.bold(), head)))?;
    let figures = [
        (cycle.merged, "merged into near-duplicates"),
        (cycle.decayed, "counted anew"),
        (cycle.generalised, "replaced by more general ones"),
        (cycle.pruned, "removed for lack of evidence"),
        (cycle.expired, "expired"),
    ];
    let done: Vec<_> = figures.into_iter().filter(|(count, _)| *count > 0).collect();
    if done.is_empty() {
        output.line(if cycle.interrupted { "  nothing changed so far" } else { "  nothing to do" })?;
    }
    for (count, what) in done {
        output.line(format!("  {} {what}", text::number(count.into())))?;
    }
    for note in &cycle.notes {
        output.line(paint(style::FAINT, format!("  {}", text::one_line(note))))?;
    }
    if cycle.interrupted {
        let remark = "its time was over; without --budget-ms it goes on to the end";
        output.note("note", style::NAME, remark)?;
    }
    session.drain(output).await?;
    Ok(Exit::Done)
}
