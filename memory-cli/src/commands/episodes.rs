//! `memory episodes`: list, show with the items learned from it, forget.

use agent_memory::{
    Artifact, Episode, EpisodeId, EpisodeQuery, Error, ErrorKind, Freshness, Memory, Role, Step, Verdict,
};
use serde_json::json;

use super::{at_hand, recalled, reflected, view};
use crate::cli::{EpisodesCommand, Global, ListArgs, OutcomeArg};
use crate::failure::{Exit, Failure};
use crate::output::Output;
use crate::output::style::{self, paint};
use crate::session::Session;
use crate::table::{Cell, Column, layout};
use crate::text;

/// From this width on a table has room for whole ids.
const WIDE: usize = 110;
/// The least characters that stand for an id.
const MIN_ID_END: usize = 6;
/// Episodes fetched at once where all are looked at.
const PAGE: usize = 500;

pub(crate) async fn run(
    global: &Global,
    command: &EpisodesCommand,
    output: &mut Output,
) -> Result<Exit, Failure> {
    // A cursor that cannot be one fails before anything is opened.
    let query = match command {
        EpisodesCommand::List(arguments) => query(arguments)?,
        _ => EpisodeQuery::default(),
    };
    let session = Session::open(global, output).await?;
    match command {
        EpisodesCommand::List(arguments) => {
            list(&session.memory, query, arguments.all, output).await?;
            session.close().await?;
        }
        EpisodesCommand::Show { id } => {
            show(&session.memory, id, output).await?;
            session.close().await?;
        }
        EpisodesCommand::Forget { id, yes: _ } => {
            let id = find(&session.memory, id).await?;
            if !session.memory.forget(id).await? {
                return Err(unknown(&id.to_string()));
            }
            if output.is_json() {
                let left = session.drain(output).await?;
                output.object(&json!({"forgotten": id, "waiting": left.rows}))?;
            } else {
                output.line(format!("Forgot episode {id} with its steps and artifacts."))?;
                session.drain(output).await?;
            }
        }
    }
    Ok(Exit::Done)
}

fn query(arguments: &ListArgs) -> Result<EpisodeQuery, Failure> {
    let mut query = EpisodeQuery::default();
    query.open = match (arguments.open, arguments.completed) {
        (true, _) => Some(true),
        (_, true) => Some(false),
        _ => None,
    };
    query.outcome = arguments.outcome.map(|outcome| match outcome {
        OutcomeArg::Success => Verdict::Success,
        OutcomeArg::Partial => Verdict::Partial,
        OutcomeArg::Failure => Verdict::Failure,
        OutcomeArg::Abstained => Verdict::Abstained,
        OutcomeArg::Unknown => Verdict::Unknown,
    });
    query.domain.clone_from(&arguments.domain);
    query.kind.clone_from(&arguments.kind);
    query.after = arguments.after.as_deref().map(parse).transpose()?.map(|id| id.to_string());
    query.limit = if arguments.all { PAGE } else { arguments.limit as usize };
    Ok(query)
}

async fn list(
    memory: &Memory,
    mut query: EpisodeQuery,
    all: bool,
    output: &mut Output,
) -> Result<(), Failure> {
    let mut page = memory.list(&query).await?;
    while all && let Some(next) = page.next.take() {
        query.after = Some(next);
        let more = memory.list(&query).await?;
        page.episodes.extend(more.episodes);
        page.next = more.next;
    }
    if output.is_json() {
        let object = json!({
            "episodes": page.episodes,
            "next": page.next,
            "stale_ms": view::stale_ms(page.freshness),
        });
        return Ok(output.object(&object)?);
    }
    if page.episodes.is_empty() {
        let fresh = page.freshness == Freshness::Fresh;
        output.line(if fresh { "No episodes." } else { "No episodes are known here." })?;
    } else {
        for line in table(&page.episodes, output) {
            output.line(line)?;
        }
    }
    if let Some(next) = &page.next {
        output.note("note", style::NAME, format!("there are more: --after {next}, or --all"))?;
    }
    view::tell_stale(page.freshness, output)
}

fn table(episodes: &[Episode], output: &Output) -> Vec<String> {
    let whole = !output.is_terminal() || output.columns() >= WIDE;
    let column = |heading, right, flexible| Column { heading, right, flexible };
    let headings = [
        column("id", false, false),
        column("started", false, false),
        column("outcome", false, false),
        column("steps", true, false),
        column("kind", false, false),
        column("task", false, true),
    ];
    let rows: Vec<Vec<Cell>> = episodes
        .iter()
        .map(|episode| {
            let (verdict, look) = view::verdict(episode);
            let id = episode.id.to_string();
            let id = if whole { id.as_str() } else { id.rsplit('-').next().unwrap_or(&id) };
            let kind = [&episode.task.kind, &episode.task.domain];
            let kind: Vec<&str> = kind.into_iter().flatten().map(String::as_str).collect();
            let steps = if episode.is_completed() { text::number(episode.steps.into()) } else { "-".into() };
            vec![
                Cell::new(id, style::FAINT),
                Cell::new(view::ago(episode.started_at), style::FAINT),
                Cell::new(verdict, look),
                Cell::new(steps, style::PLAIN),
                Cell::new(text::cut(&text::one_line(&kind.join("/")), 24), style::NAME),
                Cell::new(&episode.task.description, style::PLAIN),
            ]
        })
        .collect();
    layout(&headings, &rows, output.columns())
}

async fn show(memory: &Memory, id: &str, output: &mut Output) -> Result<(), Failure> {
    let id = find(memory, id).await?;
    let Some(found) = memory.get(id).await? else { return Err(unknown(&id.to_string())) };
    let steps = memory.steps(id).await?;
    let artifacts = memory.artifacts(id).await?;
    let mut freshness = found.freshness.or_staler(steps.freshness).or_staler(artifacts.freshness);
    let reward = at_hand(memory.knowledge().reward(id).await, &mut freshness)?;
    let reflection = at_hand(memory.knowledge().reflection(id).await, &mut freshness)?;
    if output.is_json() {
        let episode: &Episode = &found;
        let object = json!({
            "episode": episode,
            "steps": steps.items,
            "artifacts": artifacts.items,
            "reward": reward,
            "reflection": reflection,
            "stale_ms": view::stale_ms(freshness),
        });
        return Ok(output.object(&object)?);
    }
    for line in head(&found, output.columns()) {
        output.line(line)?;
    }
    for step in steps.iter() {
        for line in step_lines(step, output.columns()) {
            output.line(line)?;
        }
    }
    for artifact in artifacts.iter() {
        output.line(artifact_line(artifact))?;
    }
    if reward.is_some() || reflection.is_some() {
        output.line("")?;
        output.line(paint(style::TITLE, "What it was worth, and what it taught"))?;
        let columns = output.columns().saturating_sub(2);
        for line in reflected::lines(reward.as_ref(), reflection.as_ref(), columns) {
            output.line(format!("  {line}"))?;
        }
        if reward.as_ref().is_some_and(|reward| !reward.learned) {
            output.line(paint(style::FAINT, "  not learned from yet; `memory consolidate` does it now"))?;
        }
    }
    if !found.feedback.is_empty() {
        output.line("")?;
        output.line(paint(style::TITLE, "What became known later"))?;
        for line in later(&found) {
            output.line(format!("  {line}"))?;
        }
    }
    if let Some(recall) = &found.recall {
        output.line("")?;
        output.line(paint(style::TITLE, "What was recalled for it"))?;
        for line in recalled::lines(memory, recall, &mut freshness, output.columns()).await? {
            output.line(line)?;
        }
    }
    view::tell_stale(freshness, output)
}

fn head(episode: &Episode, columns: usize) -> Vec<String> {
    /// Lines that a text of the head may take.
    const LINES: usize = 12;
    let (verdict, look) = view::verdict(episode);
    let mut lines =
        vec![format!("{}  {}", paint(style::TITLE, episode.id.to_string()), paint(look.bold(), verdict))];
    let mut add = |name: &str, content: &str| view::field(&mut lines, "", name, content, columns, LINES);
    let task = &episode.task;
    add("task", &task.description);
    add("result", &episode.outcome.as_ref().map(ToString::to_string).unwrap_or_default());
    add("labels", &view::labels(episode));
    add("tags", &task.tags.join(", "));
    add("run", task.correlation_id.as_deref().unwrap_or_default());
    let end = episode.completed_at.map_or(String::new(), |end| format!(", completed {end}"));
    add("started", &format!("{} ({}){end}", episode.started_at, view::ago(episode.started_at)));
    add("tools", &view::tools(&episode.tools));
    if episode.tokens > 0 {
        add("tokens", &text::number(episode.tokens));
    }
    if episode.redactions > 0 {
        add("secrets", &format!("{} taken out before storage", episode.redactions));
    }
    lines.push(String::new());
    lines
}

fn later(episode: &Episode) -> Vec<String> {
    let mut lines = Vec::new();
    if let Some(stated) = &episode.stated {
        lines.push(format!("first taken for {}", stated.outcome.verdict()));
    }
    for feedback in &episode.feedback {
        let verdict = feedback.outcome.as_ref().map(|outcome| outcome.verdict().to_string());
        let quality = &feedback.quality;
        let accepted = quality.accepted.map(|accepted| if accepted { "accepted" } else { "not accepted" });
        let review = quality.review_score.map(|score| format!("review {score:.2}"));
        let tests = (quality.tests_passed.is_some() || quality.tests_failed.is_some()).then(|| {
            let of = |count: Option<u32>| count.unwrap_or_default();
            format!("{} tests passed, {} failed", of(quality.tests_passed), of(quality.tests_failed))
        });
        let measures = quality.measures.iter().map(|(name, value)| format!("{name} {value}"));
        let said: Vec<String> = verdict
            .into_iter()
            .chain(accepted.map(str::to_owned))
            .chain(review)
            .chain(tests)
            .chain(measures)
            .chain((!feedback.comment.is_empty()).then(|| feedback.comment.clone()))
            .collect();
        let key = paint(style::NAME, text::one_line(&feedback.key));
        lines.push(format!("{key}  {}", text::one_line(&said.join("; "))));
    }
    lines
}

fn step_lines(step: &Step, columns: usize) -> Vec<String> {
    /// Lines that a text of a step may take; `--json` has all of it.
    const LINES: usize = 4;
    let action = &step.action;
    let (mark, look) = view::mark(action.result);
    let tool = text::one_line(&action.tool);
    let said_by = action.role.map_or("", Role::as_str);
    let what = text::one_line(if action.description.is_empty() { said_by } else { &action.description });
    let separator = if tool.is_empty() || what.is_empty() { "" } else { "  " };
    let took = action.duration_ms.map_or(String::new(), |ms| {
        let took = text::duration(std::time::Duration::from_millis(ms));
        paint(style::FAINT, format!("  {took}"))
    });
    let number = paint(style::FAINT, format!("{:>3}", step.number));
    let mut lines =
        vec![format!("{number} {} {}{separator}{what}{took}", paint(look, mark), paint(style::NAME, tool))];
    let mut add =
        |name: &str, content: &str| view::field(&mut lines, "      ", name, content, columns, LINES);
    if !action.arguments.0.is_null() {
        add("called", &action.arguments.0.to_string());
    }
    let name = match action.result {
        agent_memory::StepResult::Error => "error",
        _ if action.tool.is_empty() => "said",
        _ => "got",
    };
    add(name, &action.observation);
    lines
}

fn artifact_line(artifact: &Artifact) -> String {
    let size = text::bytes(artifact.product.content.len() as u64);
    let name = paint(style::NAME, text::one_line(&artifact.product.name));
    let kind = text::one_line(&artifact.product.media_type);
    format!("artifact  {name}  {}", paint(style::FAINT, format!("{kind}, {size}")))
}

/// Finds an episode by its id or the end of it.
async fn find(memory: &Memory, id: &str) -> Result<EpisodeId, Failure> {
    let id = id.trim().to_ascii_lowercase();
    let is_end =
        (MIN_ID_END..36).contains(&id.len()) && id.bytes().all(|b| b.is_ascii_hexdigit() || b == b'-');
    if !is_end || id.len() == 32 {
        return parse(&id);
    }
    let mut found: Vec<EpisodeId> = Vec::new();
    let mut query = EpisodeQuery::default().limit(PAGE);
    loop {
        let page = memory.list(&query).await?;
        found.extend(
            page.episodes.iter().map(|episode| episode.id).filter(|known| known.to_string().ends_with(&id)),
        );
        query.after = page.next;
        if query.after.is_none() {
            break;
        }
    }
    match found.as_slice() {
        [one] => Ok(*one),
        [] => Err(unknown(&id)),
        several => {
            let message = format!("{} episodes end with {id}", several.len());
            Err(Error::invalid("find", "id", message).with_hint("give more of the id").into())
        }
    }
}

/// Reads a whole id.
fn parse(id: &str) -> Result<EpisodeId, Failure> {
    /// Columns of a wrong id that are repeated in the error.
    const TOLD: usize = 60;
    // The source repeats the complete input.
    id.parse::<EpisodeId>().map_err(|error| {
        let told = text::cut(&text::one_line(id), TOLD);
        Error::invalid("parse id", "id", format!("“{told}” is not an episode id"))
            .with_hint(error.hint().unwrap_or_default().to_owned())
            .into()
    })
}

fn unknown(id: &str) -> Failure {
    Error::new(ErrorKind::NotFound, "find", format!("there is no episode {id}"))
        .with_hint("`memory episodes list` shows the episodes of this namespace")
        .into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_flags_become_a_query() {
        let none = ListArgs {
            open: false,
            completed: false,
            outcome: None,
            domain: None,
            kind: None,
            limit: 20,
            after: None,
            all: false,
        };
        assert_eq!(query(&none).unwrap(), EpisodeQuery::default().limit(20));
        let open = ListArgs { open: true, all: true, domain: Some("web".into()), ..none };
        assert_eq!(query(&open).unwrap(), EpisodeQuery::open().domain("web").limit(PAGE));
    }
}
