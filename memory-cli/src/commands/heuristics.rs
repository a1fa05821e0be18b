//! `memory heuristics`: list, explain, pin and reject learned rules.

use std::cmp::Ordering;

use agent_memory::learning::{Decision, Explanation, Heuristic};
use agent_memory::{ItemId, Knowledge, Listed, Memory};
use serde_json::json;

use super::learned::{self, Item, column};
use super::view;
use crate::cli::{Global, LearnedCommand};
use crate::failure::{Exit, Failure};
use crate::output::Output;
use crate::output::style::{self, paint};
use crate::session::Session;
use crate::table::{Cell, Column};
use crate::text;

pub(crate) async fn run(
    global: &Global,
    command: &LearnedCommand,
    output: &mut Output,
) -> Result<Exit, Failure> {
    let session = Session::open(global, output).await?;
    match command {
        LearnedCommand::List { all, filter } => {
            learned::list::<Heuristic>(&session.memory, *all, filter, output).await?;
        }
        LearnedCommand::Show { id } => show(&session.memory, id, output).await?,
        LearnedCommand::Rule(rule) => {
            return learned::rule::<Heuristic>(session, rule.into(), output).await;
        }
    }
    session.close().await?;
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

    fn ruling(&self) -> Option<Decision> {
        self.ruling
    }

    fn domain(&self) -> Option<&str> {
        self.domain.as_deref()
    }

    fn is_recalled(&self) -> bool {
        learned::stands(self.standing, self.ruling)
    }

    fn compare(&self, other: &Self) -> Ordering {
        other.confidence.total_cmp(&self.confidence)
    }

    fn cells(&self) -> Vec<Cell> {
        let mut cells = learned::figures(self.confidence, &self.tally);
        let (state, look) = learned::standing(self.standing, self.ruling);
        cells.push(Cell::new(state, look));
        cells.push(learned::domain(self.domain.as_deref()));
        cells
    }

    fn sentence(&self) -> String {
        Heuristic::sentence(self)
    }
}

async fn show(memory: &Memory, id: &str, output: &mut Output) -> Result<(), Failure> {
    let id = learned::find::<Heuristic>(memory, id).await?.item.id;
    let explained = memory.knowledge().explain(id).await?;
    if output.is_json() {
        let Explanation { heuristic, supporting, contradicting, uses, freshness, .. } = &explained;
        return Ok(output.object(&json!({
            "heuristic": heuristic.json(),
            "supporting": supporting,
            "contradicting": contradicting,
            "uses": uses,
            "stale_ms": view::stale_ms(*freshness),
        }))?);
    }
    let Explanation { heuristic, supporting, contradicting, uses, freshness, .. } = &explained;
    let (state, look) = learned::standing(heuristic.standing, heuristic.ruling);
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
