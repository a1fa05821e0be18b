//! Common parts of the commands on learned items: listing, finding by id, and rendering evidence.

use std::cmp::Ordering;

use agent_memory::learning::same_label;
use agent_memory::learning::{Decision, Evidence, EvidenceRole, Remedy, Standing, Tally};
use agent_memory::{Episode, EpisodeId, Error, ErrorKind, Freshness, ItemId, Knowledge, Listed, Memory};
use anstyle::Style;
use serde::Serialize;
use serde_json::{Value, json};

use super::view;
use crate::cli::{LearnedCommand, LearnedFilter, RuleCommand};
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

/// A kind of item that learning writes.
pub(super) trait Item: Serialize + Sized {
    /// The name of one, in messages and as a field of `--json`.
    const ONE: &'static str;
    /// The plural, which is also the name of the command.
    const MANY: &'static str;
    /// The command that lists all of them.
    const LIST: &'static str;
    /// The columns of a list between the id and the sentence.
    const HEADINGS: &'static [Column];

    /// Returns all that there are.
    async fn all(knowledge: Knowledge<'_>) -> agent_memory::Result<Listed<Self>>;

    fn id(&self) -> ItemId;

    fn domain(&self) -> Option<&str>;

    /// Returns whether recall may answer with it.
    fn is_recalled(&self) -> bool;

    /// Returns its ruling.
    fn ruling(&self) -> Option<Decision>;

    /// Returns its remedy with this rendered text.
    fn remedy(&self, _told: &str) -> Option<&Remedy> {
        None
    }

    /// Returns it as `--json` shows it.
    fn json(&self) -> Value {
        with_ruling(self, self.ruling())
    }

    /// Compares by what a list shows first.
    fn compare(&self, other: &Self) -> Ordering;

    /// Returns the cells of [`Item::HEADINGS`].
    fn cells(&self) -> Vec<Cell>;

    /// Returns its statement.
    fn sentence(&self) -> String;
}

/// A kind of item that is shown with its supporting episodes and uses.
pub(super) trait Shown: Item {
    /// The heading of the episodes.
    const EPISODES: &'static str;

    fn episodes(&self) -> &[EpisodeId];

    /// Returns how it stands, in a word, with its look; `None` if it always stands.
    fn state(&self) -> Option<(&'static str, Style)>;

    /// Returns the named texts about it.
    fn fields(&self) -> Vec<(&'static str, String)>;

    /// Returns its steps in order, if it has any.
    fn steps(&self) -> Vec<String> {
        Vec::new()
    }
}

/// Lists or shows items of a kind.
pub(super) async fn run<T: Shown>(
    session: Session,
    command: &LearnedCommand,
    output: &mut Output,
) -> Result<Exit, Failure> {
    match command {
        LearnedCommand::List { all, filter } => list::<T>(&session.memory, *all, filter, output).await?,
        LearnedCommand::Show { id } => show::<T>(&session.memory, id, output).await?,
        LearnedCommand::Rule(command) => return rule::<T>(session, command.into(), output).await,
    }
    session.close().await?;
    Ok(Exit::Done)
}

/// A decision, and its item.
#[derive(Debug)]
pub(super) struct Verb<'a> {
    pub(super) id: &'a str,
    /// One of its remedies, as rendered.
    pub(super) remedy: Option<&'a str>,
    /// `None` releases.
    pub(super) decision: Option<Decision>,
    /// The decision that it withdraws, for a verb that does.
    pub(super) undoes: Option<Decision>,
}

impl<'a> Verb<'a> {
    pub(super) fn new(decision: Option<Decision>, undoes: Option<Decision>, id: &'a str) -> Self {
        Self { id, remedy: None, decision, undoes }
    }
}

impl<'a> From<&'a RuleCommand> for Verb<'a> {
    fn from(command: &'a RuleCommand) -> Self {
        match command {
            RuleCommand::Pin(rule) => Self::new(Some(Decision::Pinned), None, &rule.id),
            RuleCommand::Reject(rule) => Self::new(Some(Decision::Rejected), None, &rule.id),
            RuleCommand::Unpin(rule) => Self::new(None, Some(Decision::Pinned), &rule.id),
            RuleCommand::Restore(rule) => Self::new(None, Some(Decision::Rejected), &rule.id),
        }
    }
}

/// Pins, rejects or releases an item, or one of its remedies.
pub(super) async fn rule<T: Item>(
    session: Session,
    Verb { id, remedy: told, decision, undoes }: Verb<'_>,
    output: &mut Output,
) -> Result<Exit, Failure> {
    let held = find::<T>(&session.memory, id).await?.item;
    let remedy = match told {
        Some(told) => Some(held.remedy(told).ok_or_else(|| {
            Error::new(ErrorKind::NotFound, "rule", format!("{} has no remedy {told:?}", held.id()))
                .with_hint(format!("`memory {} show` tells its remedies", T::MANY))
        })?),
        None => None,
    };
    let ruling = remedy.map_or_else(|| held.ruling(), |remedy| remedy.ruling);
    if undoes.is_some() && ruling != undoes {
        let what = if remedy.is_some() { "this remedy of " } else { "" };
        let state = ruling.map_or("not ruled on", Decision::as_str);
        let message = format!("{what}{} {} is {state}", T::ONE, held.id().record_id());
        return Err(Error::new(ErrorKind::Conflict, "rule", message)
            .with_hint("unpin undoes pin, restore undoes reject")
            .into());
    }
    let knowledge = session.memory.knowledge();
    match (remedy, held.id()) {
        (Some(remedy), ItemId::Failure(failure)) => {
            knowledge.set_remedy_ruling(failure, &remedy.calls, decision).await?;
        }
        (_, item) => knowledge.set_ruling(item, decision).await?,
    }
    let item = find::<T>(&session.memory, &held.id().record_id()).await?.item;
    if output.is_json() {
        let left = session.drain(output).await?;
        let mut object = json!({"waiting": left.rows});
        object[T::ONE] = item.json();
        output.object(&object)?;
    } else {
        let done = match decision {
            Some(Decision::Pinned) => "Pinned: kept whatever its evidence.",
            Some(Decision::Rejected) => "Rejected: never recalled.",
            None => "Released: its evidence decides.",
        };
        output.line(done)?;
        let told = told.map_or_else(|| item.sentence(), str::to_owned);
        output.line(paint(style::FAINT, format!("  {}", text::one_line(&told))))?;
        session.drain(output).await?;
    }
    Ok(Exit::Done)
}

/// Returns an item as an object with its ruling.
pub(super) fn with_ruling(item: &impl Serialize, ruling: Option<Decision>) -> Value {
    let mut object = json!(item);
    object["ruling"] = json!(ruling);
    object
}

/// Makes a column of a list.
pub(super) const fn column(heading: &'static str, right: bool) -> Column {
    Column { heading, right, flexible: false }
}

/// Lists the items of a kind.
pub(super) async fn list<T: Item>(
    memory: &Memory,
    all: bool,
    filter: &LearnedFilter,
    output: &mut Output,
) -> Result<(), Failure> {
    let mut found = T::all(memory.knowledge()).await?;
    found.items.sort_by(|a, b| a.compare(b).then_with(|| a.id().cmp(&b.id())));
    tell_list(found, all, filter, output)
}

/// Lists items as they come.
pub(super) fn tell_list<T: Item>(
    Listed { mut items, freshness, .. }: Listed<T>,
    all: bool,
    filter: &LearnedFilter,
    output: &mut Output,
) -> Result<(), Failure> {
    if let Some(domain) = &filter.domain {
        items.retain(|item| item.domain().is_some_and(|own| same_label(own, domain)));
    }
    let known = items.len();
    items.retain(|item| all || item.is_recalled());
    let hidden = known - items.len();
    let more = filter.limit.map_or(0, |limit| items.len().saturating_sub(limit as usize));
    items.truncate(items.len() - more);
    if output.is_json() {
        let stale = view::stale_ms(freshness);
        let mut object = json!({"hidden": hidden, "more": more, "stale_ms": stale});
        object[T::MANY] = items.iter().map(Item::json).collect();
        return Ok(output.object(&object)?);
    }
    if items.is_empty() {
        let known_here = if freshness == Freshness::Fresh { "" } else { " are known here" };
        output.line(format!("No {}{known_here}.", T::MANY))?;
    } else {
        for line in table(&items, output) {
            output.line(line)?;
        }
    }
    if more > 0 {
        output.note("note", style::NAME, format!("{} more: without --limit", text::number(more as u64)))?;
    }
    if hidden > 0 {
        output.note("note", style::NAME, format!("{} never recalled: --all", are(hidden as u64)))?;
    }
    view::tell_stale(freshness, output)
}

fn are(count: u64) -> String {
    format!("{} more {}", text::number(count), if count == 1 { "is" } else { "are" })
}

fn table<T: Item>(items: &[T], output: &Output) -> Vec<String> {
    let whole = !output.is_terminal() || output.columns() >= WIDE;
    let mut headings = vec![column("id", false)];
    headings.extend(T::HEADINGS);
    headings.push(Column { heading: T::ONE, right: false, flexible: true });
    let rows: Vec<Vec<Cell>> = items
        .iter()
        .map(|item| {
            let id = item.id().record_id();
            let id = if whole { id.as_str() } else { id.rsplit('-').next().unwrap_or(&id) };
            let mut row = vec![Cell::new(id, style::FAINT)];
            row.extend(item.cells());
            row.push(Cell::new(item.sentence(), style::PLAIN));
            row
        })
        .collect();
    layout(&headings, &rows, output.columns())
}

/// Returns the cells of how sure something is, and how many episodes speak for and against it.
pub(super) fn figures(confidence: f64, tally: &Tally) -> Vec<Cell> {
    vec![
        Cell::new(format!("{confidence:.2}"), style::NAME),
        Cell::new(text::number(tally.successes.into()), style::PLAIN),
        Cell::new(text::number(tally.failures.into()), style::PLAIN),
    ]
}

/// Returns the cell of a domain.
pub(super) fn domain(domain: Option<&str>) -> Cell {
    Cell::new(domain.unwrap_or("-"), style::PLAIN)
}

/// Returns whether recall answers with items that stand so.
pub(super) fn stands(standing: Standing, ruling: Option<Decision>) -> bool {
    match ruling {
        Some(decision) => decision == Decision::Pinned,
        None => standing != Standing::Withheld,
    }
}

/// Returns how something stands, in a word, with its look.
pub(super) fn standing(standing: Standing, ruling: Option<Decision>) -> (&'static str, Style) {
    match (ruling, standing) {
        (Some(Decision::Rejected), _) => ("rejected", style::BAD),
        (Some(Decision::Pinned), _) => ("pinned", style::GOOD),
        (None, Standing::Withheld) => ("withheld", style::BAD),
        (None, Standing::Demoted) => ("demoted", style::UNSURE),
        (None, Standing::Active) => ("active", style::PLAIN),
    }
}

/// Renders the confidence in an item, and its evidence.
pub(super) fn sure(confidence: f64, tally: &Tally) -> String {
    format!(
        "{confidence:.2}, the lower bound of what {} for and {} against allow (weights {:.1} and {:.1} by age)",
        tally.successes, tally.failures, tally.success_weight, tally.failure_weight
    )
}

/// Renders the outcomes of the episodes that used an item.
pub(super) fn used(used: &Tally) -> String {
    format!(
        "in {} that succeeded and {} that did not",
        text::count(used.successes.into(), "episode"),
        text::number(used.failures.into())
    )
}

/// Shows an item with its supporting episodes and uses.
pub(super) async fn show<T: Shown>(memory: &Memory, id: &str, output: &mut Output) -> Result<(), Failure> {
    let Found { item, mut freshness } = find::<T>(memory, id).await?;
    let uses = memory.knowledge().evidence(item.id()).await?;
    freshness = freshness.or_staler(uses.freshness);
    let mut uses = uses.items;
    uses.retain(|evidence| evidence.role != EvidenceRole::Observed);
    let mut episodes = Vec::new();
    for id in item.episodes() {
        if let Some(found) = memory.get(*id).await? {
            freshness = freshness.or_staler(found.freshness);
            episodes.push(Episode::clone(&found));
        }
    }
    if output.is_json() {
        let mut object = json!({"episodes": episodes, "uses": uses, "stale_ms": view::stale_ms(freshness)});
        object[T::ONE] = item.json();
        return Ok(output.object(&object)?);
    }
    output.line(paint(style::TITLE, text::one_line(&item.sentence())))?;
    let mut lines = Vec::new();
    let columns = output.columns();
    view::field(&mut lines, "", "id", &item.id().record_id(), columns, 1);
    for (name, content) in item.fields() {
        view::field(&mut lines, "", name, &content, columns, 4);
    }
    lines.extend(item.state().map(|(state, look)| state_line(state, look)));
    let steps = item.steps();
    if !steps.is_empty() {
        lines.extend([String::new(), paint(style::TITLE, "Steps")]);
    }
    for (number, step) in (1_u32..).zip(steps) {
        let room = columns.saturating_sub(5).max(20);
        for (index, part) in text::wrap(&text::one_line(&step), room).into_iter().enumerate() {
            let number = if index == 0 { format!("{number}.") } else { String::new() };
            lines.push(format!("{} {part}", paint(style::NAME, format!("{number:>4}"))));
        }
    }
    for line in lines {
        output.line(line)?;
    }
    tell_episodes(T::EPISODES, &episodes, output)?;
    tell_uses(&uses, output)?;
    view::tell_stale(freshness, output)
}

/// Returns the line of how something stands.
pub(super) fn state_line(state: &str, look: Style) -> String {
    format!("{}{}", paint(style::FAINT, format!("{:<8}", "state")), paint(look, state))
}

/// Lists episodes under a heading, one a line.
pub(super) fn tell_episodes(title: &str, episodes: &[Episode], output: &mut Output) -> Result<(), Failure> {
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

/// Lists the outcomes of the episodes that were shown or used it, the newest first.
pub(super) fn tell_uses(uses: &[Evidence], output: &mut Output) -> Result<(), Failure> {
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

/// An item that was looked for.
pub(super) struct Found<T> {
    pub(super) item: T,
    freshness: Freshness,
}

/// Finds an item by its id or the end of it.
pub(super) async fn find<T: Item>(memory: &Memory, id: &str) -> Result<Found<T>, Failure> {
    let end = id.trim().to_ascii_lowercase();
    let end = end.strip_prefix(T::ONE).and_then(|id| id.strip_prefix(':')).unwrap_or(&end);
    let is_end = end.len() >= MIN_ID_END && end.bytes().all(|b| b.is_ascii_hexdigit() || b == b'-');
    if !is_end {
        let told = text::cut(&text::one_line(id), 60);
        let message = format!("“{told}” is not the id of a {}", T::ONE);
        return Err(Error::invalid("parse id", "id", message)
            .with_hint("give the id, or its end (at least 6 characters)")
            .into());
    }
    let Listed { items, freshness, .. } = T::all(memory.knowledge()).await?;
    let mut found: Vec<T> = items.into_iter().filter(|item| item.id().record_id().ends_with(end)).collect();
    if found.len() > 1 {
        let message = format!("{} {} end with {end}", found.len(), T::MANY);
        return Err(Error::invalid("find", "id", message).with_hint("give more of the id").into());
    }
    let item = found.pop().ok_or_else(|| {
        Error::new(ErrorKind::NotFound, "find", format!("there is no {} {end}", T::ONE))
            .with_hint(format!("`memory {}` shows those of this namespace", T::LIST))
    })?;
    Ok(Found { item, freshness })
}
