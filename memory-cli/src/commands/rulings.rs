//! `memory rulings`: the pinned and rejected items.

use agent_memory::learning::Ruling;
use serde_json::json;

use super::learned::column;
use super::view;
use crate::cli::Global;
use crate::failure::{Exit, Failure};
use crate::output::{Output, style};
use crate::session::Session;
use crate::table::{Cell, layout};

pub(crate) async fn run(global: &Global, output: &mut Output) -> Result<Exit, Failure> {
    let session = Session::open(global, output).await?;
    let rulings = session.memory.knowledge().rulings().await?;
    session.close().await?;
    if output.is_json() {
        let stale = view::stale_ms(rulings.freshness);
        output.object(&json!({"rulings": rulings.items, "stale_ms": stale}))?;
        return Ok(Exit::Done);
    }
    if rulings.is_empty() {
        output.line("Nothing is pinned or rejected.")?;
    } else {
        let headings = [column("decision", false), column("since", false), column("item", false)];
        let row = |ruling: &Ruling| {
            let whole = if ruling.remedy.is_some() { " (one fix)" } else { "" };
            vec![
                Cell::new(ruling.decision.as_str(), style::NAME),
                Cell::new(view::ago(ruling.at), style::PLAIN),
                Cell::new(format!("{}{whole}", ruling.item), style::PLAIN),
            ]
        };
        let rows: Vec<Vec<Cell>> = rulings.items.iter().map(row).collect();
        for line in layout(&headings, &rows, output.columns()) {
            output.line(line)?;
        }
    }
    view::tell_stale(rulings.freshness, output)?;
    Ok(Exit::Done)
}
