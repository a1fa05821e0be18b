//! `memory recall`

use std::io::Read;

use agent_memory::{Error, Freshness, Recall, RecallQuery};
use serde_json::{Value, json};

use super::{advice, view};
use crate::cli::{Global, RecallArgs};
use crate::failure::{Exit, Failure};
use crate::output::{Output, style};
use crate::session::Session;
use crate::text;

/// The most that is read from standard input, in bytes; the limit on characters is checked by the memory.
const MAX_INPUT_BYTES: u64 = 1 << 20;

pub(crate) async fn run(
    global: &Global,
    arguments: &RecallArgs,
    output: &mut Output,
) -> Result<Exit, Failure> {
    let text = question(&arguments.text)?;
    let mut query = RecallQuery::new(text.trim()).limit(arguments.limit as usize);
    if let Some(domain) = &arguments.domain {
        query = query.domain(domain);
    }
    if let Some(kind) = &arguments.kind {
        query = query.kind(kind);
    }
    for tag in &arguments.tag {
        query = query.tag(tag);
    }
    for agent in &arguments.agent {
        query = query.agent(agent);
    }
    for agent in &arguments.not_agent {
        query = query.not_agent(agent);
    }
    query = query.done(&arguments.done);
    query = match (&arguments.failed, arguments.error.as_deref().map(str::trim)) {
        (Some(tool), Some(error)) => query.failed(tool, error),
        (None, Some(error)) => query.error(error),
        (_, None) => query,
    };
    let session = Session::open(global, output).await?;
    if let Err(error) = session.memory.complete_vectors().await
        && !output.is_json()
    {
        // The answer then matches words only, and its object gives the reason.
        output.note("note", style::UNSURE, text::one_line(error.message()))?;
    }
    let recall = session.memory.recall(query).await?;
    session.close().await?;
    let render = |tokens: usize| match arguments.fence {
        true => recall.to_fenced_prompt(tokens),
        false => recall.to_prompt(tokens),
    };
    let prompt = arguments.prompt.map(|tokens| render(tokens as usize));
    if output.is_json() {
        output.object(&object(&recall, prompt.as_deref()))?;
    } else if let Some(prompt) = prompt {
        if prompt.is_empty() {
            let tokens = arguments.prompt.unwrap_or_default() as usize;
            let remark = if recall.is_empty() { silence(&recall) } else { too_few(render, tokens) };
            output.note("note", style::UNSURE, remark)?;
        } else {
            output.line(text::harmless(prompt.trim_end()))?;
        }
        view::tell_stale(recall.freshness, output)?;
    } else {
        tell(&recall, output)?;
    }
    Ok(Exit::Done)
}

/// Returns the words of the question, from the arguments or from standard input.
fn question(words: &[String]) -> Result<String, Failure> {
    if words != ["-"] {
        return Ok(words.join(" "));
    }
    let mut bytes = Vec::new();
    std::io::stdin()
        .lock()
        .take(MAX_INPUT_BYTES)
        .read_to_end(&mut bytes)
        .map_err(|source| Failure::file("standard input", &source))?;
    String::from_utf8(bytes)
        .map_err(|_| Error::invalid("recall", "query.text", "standard input is not UTF-8").into())
}

/// Returns the answer as `--json` shows it.
pub(crate) fn object(recall: &Recall, prompt: Option<&str>) -> Value {
    let episodes: Vec<Value> = recall
        .episodes
        .iter()
        .map(|item| {
            json!({
                "id": item.id,
                "score": item.score,
                "parts": item.parts,
                "reasons": item.reasons,
                "episode": item.episode,
            })
        })
        .collect();
    let mut object = json!({
        "id": recall.id,
        "task_parts": recall.task_parts,
        "phase": recall.phase,
        "forecast": recall.forecast,
        "tools": recall.tools,
        "playbook": recall.playbook,
        "warnings": recall.warnings,
        "fixes": recall.fixes,
        "heuristics": recall.heuristics,
        "patterns": recall.patterns,
        "episodes": episodes,
        "withheld": recall.withheld,
        "degraded": recall.degraded,
        "searched": recall.searched,
        "out_of_reach": recall.out_of_reach,
        "stale_ms": view::stale_ms(recall.freshness),
    });
    if let Some(prompt) = prompt {
        object["prompt"] = prompt.into();
    }
    object
}

/// Returns the lines of an answer for people: learned items, then episodes.
pub(super) fn lines(recall: &Recall, columns: usize) -> Vec<String> {
    let mut lines = advice::lines(recall, columns);
    if !recall.episodes.is_empty() {
        if !lines.is_empty() {
            lines.push(String::new());
        }
        let found = text::count(recall.episodes.len() as u64, "episode");
        let searched = text::number(recall.searched as u64);
        lines.push(style::paint(style::TITLE, format!("{found} of {searched} are similar")));
        lines.push(String::new());
        lines.extend(view::recalled(recall, columns));
    }
    lines
}

fn tell(recall: &Recall, output: &mut Output) -> Result<(), Failure> {
    if recall.is_empty() {
        output.line(silence(recall))?;
    } else {
        for line in lines(recall, output.columns()) {
            output.line(line)?;
        }
    }
    if let Some(reason) = &recall.degraded {
        let remark = format!("by words alone, or not with all vectors: {reason}");
        output.note("note", style::UNSURE, text::one_line(&remark))?;
    }
    if recall.out_of_reach > 0 && !recall.is_empty() {
        let remark = format!("{} more cannot be shown: the durable tier is away", recall.out_of_reach);
        output.note("note", style::UNSURE, remark)?;
    }
    view::tell_stale(recall.freshness, output)
}

/// Reports that the answer does not fit into a prompt of this many tokens, and how many it needs.
fn too_few(render: impl Fn(usize) -> String, tokens: usize) -> String {
    /// More than any single item takes.
    const PLENTY: usize = 1 << 16;
    // A prompt that fits a budget fits any larger one.
    let (mut short, mut enough) = (tokens, PLENTY.max(tokens + 1));
    while short + 1 < enough {
        let middle = short.midpoint(enough);
        if render(middle).is_empty() { short = middle } else { enough = middle }
    }
    format!("What is known does not fit into {tokens} tokens; the least that shows any of it is {enough}.")
}

/// Explains why there is no answer.
pub(crate) fn silence(recall: &Recall) -> String {
    let searched = text::count(recall.searched as u64, "episode");
    if recall.withheld {
        return "The answer is held back, to measure what memory is worth.".into();
    }
    match (recall.out_of_reach, recall.searched) {
        (0, 0) if recall.freshness != Freshness::Fresh => {
            "Nothing is known here, and the server is not reached: what it holds is not known.".into()
        }
        (0, 0) => "Nothing is known yet: the memory has no episodes.".into(),
        (0, _) => format!("Nothing relevant is known: none of {searched} is close enough to this task."),
        (more, _) => {
            format!("{} may help, but the durable tier is away.", text::count(more as u64, "episode"))
        }
    }
}
