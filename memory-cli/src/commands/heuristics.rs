//! `memory heuristics`: list what was learned as rules, explain one, and say what to do with it.

use std::cmp::Ordering;

use agent_memory::{Error, ErrorKind, Explanation, Heuristic, ItemId, Knowledge, Listed, Memory, Ruling};
use anstyle::Style;
use serde_json::json;

use super::learned::{self, Item, column};
use super::view;
use crate::cli::{Global, HeuristicsCommand};
use crate::failure::{Exit, Failure};
use crate::output::Output;
use crate::output::style::{self, paint};
use crate::session::Session;
use crate::table::{Cell, Column};
use crate::text;

pub(crate) async fn run(
    global: &Global,
    command: &HeuristicsCommand,
    output: &mut Output,
) -> Result<Exit, Failure> {
    let session = Session::open(global, output).await?;
    let (id, ruling, done) = match command {
        HeuristicsCommand::List { all, filter } => {
            learned::list::<Heuristic>(&session.memory, *all, filter, output).await?;
            session.close().await?;
            return Ok(Exit::Done);
        }
        HeuristicsCommand::Show { id } => {
            show(&session.memory, id, output).await?;
            session.close().await?;
            return Ok(Exit::Done);
        }
        HeuristicsCommand::Pin { id } => (id, Ruling::Pin, "Pinned: kept whatever its evidence"),
        HeuristicsCommand::Reject { id } => (id, Ruling::Reject, "Rejected: never recalled"),
        HeuristicsCommand::Unpin { id } | HeuristicsCommand::Restore { id } => {
            (id, Ruling::Release, "Released: its evidence decides")
        }
    };
    let heuristic = learned::find::<Heuristic>(&session.memory, id).await?.item;
    let applies = match command {
        HeuristicsCommand::Unpin { .. } => heuristic.pinned,
        HeuristicsCommand::Restore { .. } => heuristic.rejected,
        _ => true,
    };
    if !applies {
        let state = if ruling == Ruling::Release && heuristic.pinned { "pinned" } else { "not ruled on" };
        let state = if heuristic.rejected { "rejected" } else { state };
        let message = format!("heuristic {} is {state}", heuristic.id);
        return Err(Error::new(ErrorKind::Conflict, "rule", message)
            .with_hint("unpin undoes pin, restore undoes reject")
            .into());
    }
    let heuristic = session.memory.knowledge().rule(heuristic.id, ruling).await?;
    if output.is_json() {
        let left = session.drain(output).await?;
        output.object(&json!({"heuristic": heuristic, "waiting": left.rows}))?;
    } else {
        output.line(format!("{done}."))?;
        output.line(paint(style::FAINT, format!("  {}", heuristic.sentence())))?;
        session.drain(output).await?;
    }
    Ok(Exit::Done)
}

impl Item for Heuristic {
    const ONE: &'static str = "heuristic";
    const MANY: &'static str = "heuristics";
    const LIST: &'static str = "heuristics list --all";
    const HEADINGS: &'static [Column] = &[
        column("sure", true),
        column("for", true),
        column("against", true),
        column("state", false),
        column("domain", false),
    ];

    async fn all(knowledge: Knowledge<'_>) -> agent_memory::Result<Listed<Self>> {
        knowledge.heuristics().await
    }

    fn id(&self) -> ItemId {
        ItemId::Heuristic(self.id)
    }

    fn domain(&self) -> Option<&str> {
        self.domain.as_deref()
    }

    fn is_recalled(&self) -> bool {
        !self.rejected && (self.pinned || learned::stands(self.standing))
    }

    fn compare(&self, other: &Self) -> Ordering {
        other.confidence.total_cmp(&self.confidence)
    }

    fn cells(&self) -> Vec<Cell> {
        let mut cells = learned::figures(self.confidence, &self.tally);
        let (state, look) = state(self);
        cells.push(Cell::new(state, look));
        cells.push(learned::domain(self.domain.as_deref()));
        cells
    }

    fn sentence(&self) -> String {
        Heuristic::sentence(self)
    }
}

/// Returns how it stands, in a word, with its look.
fn state(heuristic: &Heuristic) -> (&'static str, Style) {
    match (heuristic.rejected, heuristic.pinned) {
        (true, _) => ("rejected", style::BAD),
        (_, true) => ("pinned", style::GOOD),
        _ => learned::standing(heuristic.standing),
    }
}

async fn show(memory: &Memory, id: &str, output: &mut Output) -> Result<(), Failure> {
    let id = learned::find::<Heuristic>(memory, id).await?.item.id;
    let explained = memory.knowledge().explain(id).await?;
    if output.is_json() {
        let Explanation { heuristic, supporting, contradicting, uses, freshness } = &explained;
        return Ok(output.object(&json!({
            "heuristic": heuristic,
            "supporting": supporting,
            "contradicting": contradicting,
            "uses": uses,
            "stale_ms": view::stale_ms(*freshness),
        }))?);
    }
    let Explanation { heuristic, supporting, contradicting, uses, freshness } = &explained;
    let (state, look) = state(heuristic);
    output.line(paint(style::TITLE, heuristic.sentence()))?;
    let mut lines = Vec::new();
    let columns = output.columns();
    let mut add = |name: &str, content: &str| view::field(&mut lines, "", name, content, columns, 4);
    add("id", &heuristic.id.to_string());
    if let Some(domain) = &heuristic.domain {
        add("domain", domain);
    }
    add("sure", &learned::sure(heuristic.confidence, &heuristic.tally));
    let odds = format!("the condition multiplies the odds of the tool by {:.2}", heuristic.weight.exp());
    add("weight", &odds);
    add("used", &learned::used(&heuristic.used));
    if !heuristic.generalises.is_empty() {
        let count = text::count(heuristic.generalises.len() as u64, "more special heuristic");
        add("stands", &format!("for {count}"));
    }
    add("updated", &view::ago(heuristic.updated_at));
    for line in lines {
        output.line(line)?;
    }
    output.line(learned::state_line(state, look))?;
    learned::tell_episodes("Episodes that support it", supporting, output)?;
    learned::tell_episodes("Episodes that contradict it", contradicting, output)?;
    learned::tell_uses(uses, output)?;
    view::tell_stale(*freshness, output)
}
