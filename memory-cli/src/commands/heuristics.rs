//! `memory heuristics`: list what was learned as rules, explain one, and say what to do with it.

use agent_memory::{
    Advice, Episode, Error, ErrorKind, Evidence, Explanation, Freshness, Heuristic, HeuristicId, Memory,
    Premise, Ruling, Standing,
};
use anstyle::Style;
use serde_json::json;

use super::view;
use crate::cli::{Global, HeuristicsCommand};
use crate::failure::{Exit, Failure};
use crate::output::Output;
use crate::output::style::{self, paint};
use crate::session::Session;
use crate::table::{Cell, Column, layout};
use crate::text;

/// The least characters that stand for an id.
const MIN_ID_END: usize = 6;
/// From this width on a table has room for whole ids.
const WIDE: usize = 130;
/// Uses that are shown to people.
const USES_SHOWN: usize = 10;

pub(crate) async fn run(
    global: &Global,
    command: &HeuristicsCommand,
    output: &mut Output,
) -> Result<Exit, Failure> {
    let session = Session::open(global, output).await?;
    let (id, ruling, done) = match command {
        HeuristicsCommand::List { all } => {
            list(&session.memory, *all, output).await?;
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
    let heuristic = find(&session.memory, id).await?;
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
        output.line(paint(style::FAINT, format!("  {}", sentence(&heuristic))))?;
        session.drain(output).await?;
    }
    Ok(Exit::Done)
}

async fn list(memory: &Memory, all: bool, output: &mut Output) -> Result<(), Failure> {
    let mut listed = memory.knowledge().heuristics().await?;
    let known = listed.items.len();
    listed.items.retain(|heuristic| all || is_recalled(heuristic));
    let hidden = known - listed.items.len();
    listed.items.sort_by(|a, b| b.confidence.total_cmp(&a.confidence).then_with(|| a.id.cmp(&b.id)));
    if output.is_json() {
        let stale = view::stale_ms(listed.freshness);
        return Ok(output.object(&json!({"heuristics": listed.items, "hidden": hidden, "stale_ms": stale}))?);
    }
    if listed.items.is_empty() {
        let fresh = listed.freshness == Freshness::Fresh;
        output.line(if fresh { "No heuristics." } else { "No heuristics are known here." })?;
    } else {
        for line in table(&listed.items, output) {
            output.line(line)?;
        }
    }
    if hidden > 0 {
        let told = format!("{} never recalled: --all", were(hidden as u64));
        output.note("note", style::NAME, told)?;
    }
    if let Some(remark) = view::stale_remark(listed.freshness) {
        output.note("note", style::UNSURE, remark)?;
    }
    Ok(())
}

fn were(count: u64) -> String {
    format!("{} more {}", text::number(count), if count == 1 { "is" } else { "are" })
}

fn table(heuristics: &[Heuristic], output: &Output) -> Vec<String> {
    let whole = !output.is_terminal() || output.columns() >= WIDE;
    let column = |heading, right, flexible| Column { heading, right, flexible };
    let headings = [
        column("id", false, false),
        column("sure", true, false),
        column("for", true, false),
        column("against", true, false),
        column("state", false, false),
        column("domain", false, false),
        column("heuristic", false, true),
    ];
    let rows: Vec<Vec<Cell>> = heuristics
        .iter()
        .map(|heuristic| {
            let id = heuristic.id.to_string();
            let id = if whole { id.as_str() } else { id.rsplit('-').next().unwrap_or(&id) };
            let (state, look) = state(heuristic);
            vec![
                Cell::new(id, style::FAINT),
                Cell::new(format!("{:.2}", heuristic.confidence), style::NAME),
                Cell::new(text::number(heuristic.tally.successes.into()), style::PLAIN),
                Cell::new(text::number(heuristic.tally.failures.into()), style::PLAIN),
                Cell::new(state, look),
                Cell::new(heuristic.domain.as_deref().unwrap_or("-"), style::PLAIN),
                Cell::new(sentence(heuristic), style::PLAIN),
            ]
        })
        .collect();
    layout(&headings, &rows, output.columns())
}

/// Returns whether recall may answer with it.
pub(super) fn is_recalled(heuristic: &Heuristic) -> bool {
    !heuristic.rejected && (heuristic.pinned || heuristic.standing != Standing::Withheld)
}

/// Returns how it stands, in a word, with its look.
fn state(heuristic: &Heuristic) -> (&'static str, Style) {
    match (heuristic.rejected, heuristic.pinned, heuristic.standing) {
        (true, _, _) => ("rejected", style::BAD),
        (_, true, _) => ("pinned", style::GOOD),
        (_, _, Standing::Withheld) => ("withheld", style::BAD),
        (_, _, Standing::Demoted) => ("demoted", style::UNSURE),
        (_, _, Standing::Active) => ("active", style::PLAIN),
    }
}

/// Returns a heuristic in words.
pub(super) fn sentence(heuristic: &Heuristic) -> String {
    let advice = match heuristic.advice {
        Advice::Use => "use",
        Advice::Avoid => "avoid",
    };
    if heuristic.condition == Premise::default() {
        return format!("always: {advice} {}", heuristic.tool);
    }
    format!("if {}: {advice} {}", heuristic.condition, heuristic.tool)
}

async fn show(memory: &Memory, id: &str, output: &mut Output) -> Result<(), Failure> {
    let id = find(memory, id).await?.id;
    let explained = memory.knowledge().explain(id).await?;
    if output.is_json() {
        return Ok(output.object(&json!(explained))?);
    }
    let Explanation { heuristic, supporting, contradicting, uses } = &explained;
    let (state, look) = state(heuristic);
    output.line(paint(style::TITLE, sentence(heuristic)))?;
    let mut lines = Vec::new();
    let columns = output.columns();
    let mut add = |name: &str, content: &str| view::field(&mut lines, "", name, content, columns, 4);
    if !heuristic.action.is_empty() {
        add("action", &heuristic.action);
    }
    add("id", &heuristic.id.to_string());
    if let Some(domain) = &heuristic.domain {
        add("domain", domain);
    }
    let tally = &heuristic.tally;
    let sure = format!(
        "{:.2}, the lower bound of what {} for and {} against allow (weights {:.1} and {:.1} by age)",
        heuristic.confidence, tally.successes, tally.failures, tally.success_weight, tally.failure_weight
    );
    add("sure", &sure);
    let odds = format!("the condition multiplies the odds of the tool by {:.2}", heuristic.weight.exp());
    add("weight", &odds);
    let used = format!(
        "in {} that succeeded and {} that did not",
        text::count(heuristic.used.successes.into(), "episode"),
        text::number(heuristic.used.failures.into())
    );
    add("used", &used);
    if !heuristic.generalises.is_empty() {
        let count = text::count(heuristic.generalises.len() as u64, "more special heuristic");
        add("replaces", &count);
    }
    add("updated", &view::ago(heuristic.updated_at));
    for line in lines {
        output.line(line)?;
    }
    output.line(format!("{}{}", paint(style::FAINT, format!("{:<8}", "state")), paint(look, state)))?;
    tell_episodes("Episodes that support it", supporting, output)?;
    tell_episodes("Episodes that contradict it", contradicting, output)?;
    tell_uses(uses, output)
}

fn tell_episodes(title: &str, episodes: &[Episode], output: &mut Output) -> Result<(), Failure> {
    if episodes.is_empty() {
        return Ok(());
    }
    output.line("")?;
    output.line(paint(style::TITLE, title))?;
    for episode in episodes {
        let (verdict, look) = view::verdict(episode);
        let room = output.columns().saturating_sub(text::width(&verdict) + 42);
        let told = text::cut(&text::one_line(&episode.task.description), room);
        output.line(format!(
            "  {} {}  {told}",
            paint(style::FAINT, episode.id.to_string()),
            paint(look, verdict)
        ))?;
    }
    Ok(())
}

/// Tells how the episodes went that were shown or used it, the newest first.
fn tell_uses(uses: &[Evidence], output: &mut Output) -> Result<(), Failure> {
    if uses.is_empty() {
        return Ok(());
    }
    output.line("")?;
    output.line(paint(style::TITLE, "Where it was recalled"))?;
    for evidence in uses.iter().rev().take(USES_SHOWN) {
        let look = if evidence.success >= 0.5 { style::GOOD } else { style::BAD };
        let success = paint(look, format!("{:>4.0}%", evidence.success * 100.0));
        let told = format!("{:<8} {}  {}", evidence.role.as_str(), view::ago(evidence.at), evidence.context);
        output.line(format!(
            "  {} {success}  {}",
            paint(style::FAINT, evidence.episode.to_string()),
            text::one_line(&told)
        ))?;
    }
    if uses.len() > USES_SHOWN {
        output.line(paint(style::FAINT, format!("  {} more; --json has all", uses.len() - USES_SHOWN)))?;
    }
    Ok(())
}

/// Finds a heuristic by its id or the end of it.
async fn find(memory: &Memory, id: &str) -> Result<Heuristic, Failure> {
    let end = id.trim().to_ascii_lowercase();
    let end = end.strip_prefix("heuristic:").unwrap_or(&end);
    let is_end = end.len() >= MIN_ID_END && end.bytes().all(|b| b.is_ascii_hexdigit() || b == b'-');
    if !is_end && end.parse::<HeuristicId>().is_err() {
        let told = text::cut(&text::one_line(id), 60);
        return Err(Error::invalid("parse id", "id", format!("“{told}” is not a heuristic id"))
            .with_hint("give the id, or its end (at least 6 characters)")
            .into());
    }
    let mut found = memory.knowledge().heuristics().await?.items;
    found.retain(|heuristic| heuristic.id.to_string().ends_with(end));
    if found.len() > 1 {
        let message = format!("{} heuristics end with {end}", found.len());
        return Err(Error::invalid("find", "id", message).with_hint("give more of the id").into());
    }
    found.pop().ok_or_else(|| {
        Error::new(ErrorKind::NotFound, "find", format!("there is no heuristic {end}"))
            .with_hint("`memory heuristics list --all` shows those of this namespace")
            .into()
    })
}
