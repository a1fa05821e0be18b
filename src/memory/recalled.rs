//! The answer of a recall.

use std::fmt;

use memory_core::{
    Episode, EpisodeId, Failure, Freshness, Heuristic, ItemId, Pattern, Playbook, PlaybookStep, RecallId,
    Remedy, Tally, Timestamp,
};
use memory_recall::answer::{PromptItem, Section, fenced, to_prompt};
use memory_recall::rank::ScoreParts;
use serde::Serialize;

/// Remedies that never helped that a prompt names of each error.
const MAX_IN_VAIN: usize = 3;
/// Agents that a prompt names of each item.
const MAX_AGENTS: usize = 3;

/// An episode that may help, with why.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct RecalledEpisode {
    /// The identifier.
    pub id: EpisodeId,
    /// How well it fits, in `0.0..=1.0`.
    pub score: f64,
    /// The parts of the score.
    pub parts: ScoreParts,
    /// Why it was recalled.
    pub reasons: Vec<String>,
    /// The episode.
    pub episode: Episode,
}

/// The agents and times that an item comes from.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Origin {
    /// The agents of the episodes that it names and that are still there, in order of the alphabet; those that
    /// name no agent add none.
    pub agents: Vec<String>,
    /// When the newest of these episodes began; `None` if none is there any more.
    pub latest: Option<Timestamp>,
}

impl Origin {
    pub(crate) fn add(&mut self, agent: Option<&str>, at: Timestamp) {
        if let Some(agent) = agent
            && let Err(place) = self.agents.binary_search_by(|held| held.as_str().cmp(agent))
        {
            self.agents.insert(place, agent.to_owned());
        }
        self.latest = self.latest.max(Some(at));
    }
}

impl fmt::Display for Origin {
    /// Writes the agents and the day, as far as they are known: `ci, dev; 2026-11-21`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.agents.iter().take(MAX_AGENTS).map(String::as_str).collect::<Vec<_>>().join(", "))?;
        if self.agents.len() > MAX_AGENTS {
            write!(f, " and {} more", self.agents.len() - MAX_AGENTS)?;
        }
        let Some(latest) = self.latest else { return Ok(()) };
        let between = if self.agents.is_empty() { "" } else { "; " };
        write!(f, "{between}{}", latest.date())
    }
}

/// Something learned that may help, with why.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Recalled<T> {
    /// How well it fits and how sure it is, in `0.0..=1.0`.
    pub score: f64,
    /// Why it was recalled.
    pub reasons: Vec<String>,
    /// The agents and times of its episodes.
    pub origin: Origin,
    /// The learned item.
    pub item: T,
}

/// A tool that the learned items suggest.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct ToolAdvice {
    /// The tool.
    pub tool: String,
    /// The probability that the task needs it, by the evidence, in `0.0..=1.0`.
    pub confidence: f64,
    /// The part of the task that needs it, from 0 in order of the text.
    pub part: usize,
    /// The reasons for it.
    pub reasons: Vec<String>,
    /// The supporting items, the most discriminating first.
    pub items: Vec<ItemId>,
}

/// A problem of similar tasks.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Warning {
    /// The warning.
    pub text: String,
    /// The tools concerned.
    pub tools: Vec<String>,
    /// True if episodes failed without these tools, false if they failed with them.
    pub omitted: bool,
    /// How sure it is, in `0.0..=1.0`.
    pub score: f64,
    /// The item that it derives from.
    pub item: ItemId,
    /// Some of the episodes that show it.
    pub episodes: Vec<EpisodeId>,
    /// The agents and times of the episodes.
    pub origin: Origin,
}

/// A playbook, with placeholders filled from the task where possible.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct SuggestedPlaybook {
    /// How well it fits and how sure it is, in `0.0..=1.0`.
    pub score: f64,
    /// The part of the task that it is for, from 0 in order of the text; `None` if it is for the task as a whole.
    pub part: Option<usize>,
    /// The playbook.
    pub playbook: Playbook,
    /// The agents and times of its episodes.
    pub origin: Origin,
    /// Its steps with the values found in the task; those done already are left out.
    pub steps: Vec<PlaybookStep>,
    /// The placeholders whose values are not known.
    pub missing: Vec<String>,
}

/// The progress of a task.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// Nothing is done.
    Start,
    /// Something is done, and something is left.
    UnderWay,
    /// The last step failed.
    Recovering,
    /// Everything that some similar episode needed to succeed is done, and there is no evidence for more.
    Finishing,
}

impl Phase {
    /// Returns the consequence of the phase for the next step; `None` if the rest of the answer states it.
    pub fn advice(self) -> Option<&'static str> {
        (self == Self::Finishing)
            .then_some("tasks like this succeeded with the tools used so far: check the result")
    }
}

/// How a task like this is likely to end.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Forecast {
    /// The expected success, in `0.0..=1.0`.
    pub success: f64,
    /// The weight of the evidence, in episodes.
    pub evidence: f64,
}

/// The answer to "what do we know that helps with this?".
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Recall {
    /// Identifies this recall; [`crate::memory::OpenEpisode::note_recall`] takes it.
    pub id: RecallId,
    /// The parts that the task was split into, in order.
    pub task_parts: Vec<String>,
    /// The progress of the task, by the tools used so far and the last error.
    pub phase: Phase,
    /// The episodes, best first; empty if nothing relevant is known.
    pub episodes: Vec<RecalledEpisode>,
    /// The tools that the task is likely to need, in the order of use.
    pub tools: Vec<ToolAdvice>,
    /// Patterns, best first.
    pub patterns: Vec<Recalled<Pattern>>,
    /// Heuristics that apply, the most discriminating first.
    pub heuristics: Vec<Recalled<Heuristic>>,
    /// Problems of similar tasks, the most certain first.
    pub warnings: Vec<Warning>,
    /// Lessons of errors like [`memory_recall::query::RecallQuery::last_error`], with successful and failed
    /// remedies: resolved errors before unresolved ones, and the most similar first.
    pub fixes: Vec<Recalled<Failure>>,
    /// A procedure to follow.
    pub playbook: Option<SuggestedPlaybook>,
    /// How a task like this is likely to end; `None` if nothing relevant is known.
    pub forecast: Option<Forecast>,
    /// Whether the answer was withheld on purpose, to measure the benefit of memory.
    pub withheld: bool,
    /// How many episodes were searched.
    pub searched: usize,
    /// How many relevant ones could not be shown because the durable tier is away.
    pub out_of_reach: usize,
    /// Why vectors took no part, although a model is configured.
    pub degraded: Option<String>,
    /// How current the index and the least current of them is.
    pub freshness: Freshness,
}

impl Recall {
    /// Returns true if nothing relevant is known, or nothing is shown.
    pub fn is_empty(&self) -> bool {
        self.episodes.is_empty()
            && self.tools.is_empty()
            && self.patterns.is_empty()
            && self.heuristics.is_empty()
            && self.warnings.is_empty()
            && self.fixes.is_empty()
            && self.playbook.is_none()
    }

    /// Returns every item of the answer, in the order shown.
    pub fn items(&self) -> Vec<ItemId> {
        let episodes = self.episodes.iter().map(|found| ItemId::Episode(found.id));
        let patterns = self.patterns.iter().map(|found| ItemId::Pattern(found.item.id));
        let heuristics = self.heuristics.iter().map(|found| ItemId::Heuristic(found.item.id));
        let fixes = self.fixes.iter().map(|found| ItemId::Failure(found.item.id));
        let playbook = self.playbook.iter().map(|found| ItemId::Playbook(found.playbook.id));
        let tools = self.tools.iter().flat_map(|advice| advice.items.iter().copied());
        let warnings = self.warnings.iter().map(|warning| warning.item);
        let mut items = Vec::new();
        for item in playbook
            .chain(tools)
            .chain(heuristics)
            .chain(fixes)
            .chain(warnings)
            .chain(patterns)
            .chain(episodes)
        {
            if !items.contains(&item) {
                items.push(item);
            }
        }
        items
    }

    /// Renders the answer as Markdown for a prompt, at most about `max_tokens` tokens: warnings and fixes, then
    /// advice, then episodes. Empty if there is nothing to show.
    pub fn to_prompt(&self, max_tokens: usize) -> String {
        let items: Vec<PromptItem<'_>> = self
            .episodes
            .iter()
            .map(|item| PromptItem { episode: &item.episode, score: item.score, reasons: &item.reasons })
            .collect();
        to_prompt(&self.sections(), &items, max_tokens)
    }

    /// Renders the answer as [`Recall::to_prompt`] does, between two marks that its content cannot forge: the
    /// marks are removed from recorded text. The reader of the prompt can be instructed that everything between
    /// them is data.
    ///
    /// ```text
    /// <recalled-memory id="01936f3e-…">
    /// …
    /// </recalled-memory id="01936f3e-…">
    /// ```
    pub fn to_fenced_prompt(&self, max_tokens: usize) -> String {
        fenced(&self.id.to_string(), max_tokens, |left| self.to_prompt(left))
    }

    fn sections(&self) -> Vec<Section> {
        let warnings = self.warnings.iter().map(|it| format!("{}{}", it.text, told(&it.origin))).collect();
        let fixes = self.fixes.iter().map(|fix| {
            let failure = &fix.item;
            let unknown = if failure.resolved == 0 { "not resolved so far" } else { "resolved before" };
            let mut told = failure.helped().next().map_or_else(|| unknown.into(), ToString::to_string);
            let in_vain: Vec<String> = failure.in_vain().take(MAX_IN_VAIN).map(Remedy::text).collect();
            if !in_vain.is_empty() {
                told = format!("{told}; in vain: {}", in_vain.join("; "));
            }
            let tool = if failure.tool.is_empty() { String::new() } else { format!("{}: ", failure.tool) };
            format!("{tool}{} ({}): {told}{}", failure.error, failure.category, self::told(&fix.origin))
        });
        let tools = self
            .tools
            .iter()
            .map(|advice| format!("{} ({:.0} %)", advice.tool, 100.0 * advice.confidence))
            .collect::<Vec<_>>();
        let tools = if tools.is_empty() { vec![] } else { vec![tools.join(", then ")] };
        let progress = self.phase.advice().map(str::to_owned).into_iter().collect();
        let playbook = self.playbook.iter().flat_map(|playbook| {
            let part = playbook.part.and_then(|part| self.task_parts.get(part));
            let part = part.map(|part| format!("for a part of the task: {part}"));
            let steps = playbook
                .steps
                .iter()
                .enumerate()
                .map(|(i, step)| format!("{}. {}: {}", i + 1, step.tool, step.instruction));
            let missing = (!playbook.missing.is_empty())
                .then(|| format!("not stated in the task: {}", playbook.missing.join(", ")));
            let from = (playbook.origin.latest.is_some()).then(|| format!("from {}", playbook.origin));
            part.into_iter().chain(steps).chain(missing).chain(from).collect::<Vec<_>>()
        });
        let rules = self
            .heuristics
            .iter()
            .map(|rule| format!("{}{}", rule.item.sentence(), counted(&rule.item.tally, &rule.origin)));
        let patterns = self
            .patterns
            .iter()
            .map(|found| format!("{}{}", found.item.body, counted(&found.item.tally, &found.origin)));
        let section = |heading, lines, whole| Section { heading, lines, whole };
        [
            section("Watch out", warnings, false),
            section("Errors like the last one", fixes.collect(), false),
            section("Progress", progress, false),
            section("Tools this is likely to need", tools, false),
            section("A procedure that worked", playbook.collect(), true),
            section("Rules", rules.collect(), false),
            section("Patterns", patterns.collect(), false),
        ]
        .into_iter()
        .filter(|section| !section.lines.is_empty())
        .collect()
    }
}

/// Renders how many episodes support and contradict an item, of which agents, and from when.
fn counted(tally: &Tally, origin: &Origin) -> String {
    let from = if origin.latest.is_some() { format!("; {origin}") } else { String::new() };
    format!(" ({} for, {} against{from})", tally.successes, tally.failures)
}

/// Renders the agents and times of an item's episodes.
fn told(origin: &Origin) -> String {
    if origin.latest.is_some() { format!(" ({origin})") } else { String::new() }
}
