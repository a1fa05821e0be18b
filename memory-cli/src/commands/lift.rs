//! `memory lift`: the benefit of memory, measured by the episodes whose recall was withheld.

use agent_memory::learning::{Lift, Share};
use serde_json::json;

use super::view;
use crate::cli::Global;
use crate::failure::{Exit, Failure};
use crate::output::Output;
use crate::output::style;
use crate::session::Session;
use crate::table::{Cell, Column, layout};

pub(crate) async fn run(global: &Global, output: &mut Output) -> Result<Exit, Failure> {
    let session = Session::open(global, output).await?;
    let lifts = session.memory.knowledge().lift().await?;
    session.close().await?;
    if output.is_json() {
        let stale = view::stale_ms(lifts.freshness);
        output.object(&json!({"lift": lifts.iter().map(object).collect::<Vec<_>>(), "stale_ms": stale}))?;
        return Ok(Exit::Done);
    }
    if lifts.iter().all(|lift| lift.with.episodes + lift.without.episodes == 0) {
        output.line("No episode has a recall noted yet.")?;
    } else {
        for line in table(&lifts, output.columns()) {
            output.line(line)?;
        }
    }
    if lifts.iter().all(|lift| lift.without.episodes == 0) {
        let remark =
            "nothing was withheld, so there is nothing to compare with: set hold_out in the settings";
        output.note("note", style::NAME, remark)?;
    }
    view::tell_stale(lifts.freshness, output)?;
    Ok(Exit::Done)
}

/// Returns a comparison as `--json` shows it: without a difference while one side has no episodes.
fn object(lift: &Lift) -> serde_json::Value {
    let known = is_known(lift);
    let side = |share: &Share| json!({"episodes": share.episodes, "success": share.rate()});
    json!({
        "domain": lift.domain,
        "with": side(&lift.with),
        "without": side(&lift.without),
        "difference": known.then_some(lift.difference),
        "low": known.then_some(lift.low),
        "high": known.then_some(lift.high),
    })
}

fn is_known(lift: &Lift) -> bool {
    lift.with.episodes > 0 && lift.without.episodes > 0
}

fn table(lifts: &[Lift], columns: usize) -> Vec<String> {
    let column = |heading, right, flexible| Column { heading, right, flexible };
    let headings = [
        column("domain", false, true),
        column("with memory", true, false),
        column("without", true, false),
        column("difference", true, false),
        column("95 % interval", true, false),
    ];
    let rows: Vec<Vec<Cell>> = lifts
        .iter()
        .map(|lift| {
            let side = |share: &Share| {
                let rate = share.rate().map_or("-".into(), |rate| format!("{:.1} %", rate * 100.0));
                Cell::new(format!("{rate} of {}", share.episodes), style::PLAIN)
            };
            let (difference, interval, look) = if is_known(lift) {
                let points = |share: f64| format!("{:+.1}", share * 100.0);
                let look = match () {
                    () if lift.low > 0.0 => style::GOOD,
                    () if lift.high < 0.0 => style::BAD,
                    () => style::UNSURE,
                };
                (points(lift.difference), format!("{} to {}", points(lift.low), points(lift.high)), look)
            } else {
                ("-".into(), "-".into(), style::FAINT)
            };
            vec![
                Cell::new(lift.domain.as_deref().unwrap_or("(all)"), style::NAME),
                side(&lift.with),
                side(&lift.without),
                Cell::new(difference, look),
                Cell::new(interval, look),
            ]
        })
        .collect();
    layout(&headings, &rows, columns)
}
