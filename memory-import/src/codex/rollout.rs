//! The turns of a rollout.

use std::collections::HashMap;

use serde_json::Value;

use super::item::{Content, Item, Session, Source};
use super::output::Output;
use super::turn::{Entry, Finished, Turn};
use crate::outcome::Evidence;
use crate::trajectory::{Speaker, Step, StepKind, ToolResult, Trajectory};

/// The file has no session id.
pub(super) struct NoSession;

pub(super) struct Found {
    /// The finished trajectories with their last lines, in the order of these.
    pub(super) trajectories: Vec<(u64, Trajectory)>,
    /// How many turns belong to the session that this one was forked from.
    pub(super) copied: usize,
}

/// Returns what is in a rollout.
pub(super) fn trajectories(items: Vec<Item>) -> Result<Found, NoSession> {
    if items.is_empty() {
        return Ok(Found { trajectories: Vec::new(), copied: 0 });
    }
    let prompts_are_events =
        items.iter().any(|item| matches!(item.content, Content::User { source: Source::Event, .. }));
    let mut rollout = Rollout { prompts_are_events, ..Rollout::default() };
    for item in items {
        rollout.add(item);
    }
    rollout.finish()
}

#[derive(Default)]
struct Rollout {
    /// Whether prompts are written as events. Then the response items in the user's name only count in a turn
    /// that has no such event.
    prompts_are_events: bool,
    session: Option<Box<Session>>,
    turns: Vec<Turn>,
    /// The turns with an id say when they end.
    has_turn_ids: bool,
    model: Option<String>,
    cwd: Option<String>,
    total_tokens: u64,
    /// The calls without a result by their ids: their turn, their step and when they were made.
    waiting: HashMap<String, (usize, usize, Option<i64>)>,
    /// The calls by their ids: their turn and their step.
    calls: HashMap<String, (usize, usize)>,
}

impl Rollout {
    fn add(&mut self, item: Item) {
        let Item { line, at_ms, content } = item;
        match content {
            // A fork has the first line of its source among the lines that it copied.
            Content::Session(session) => {
                self.session.get_or_insert(session);
            }
            Content::Context { turn_id, model, cwd } => {
                self.model = model.or(self.model.take());
                self.cwd = cwd.or(self.cwd.take());
                if turn_id.is_some() {
                    self.started(turn_id, line, at_ms);
                }
                let (model, cwd) = (self.model.clone(), self.cwd.clone());
                if let Some(turn) = self.open() {
                    (turn.model, turn.cwd) = (model, cwd);
                }
            }
            Content::Started { turn_id } => self.started(turn_id, line, at_ms),
            Content::Completed => self.end(line, None),
            Content::Aborted { reason } => self.end(line, aborted(&reason)),
            Content::RolledBack { turns } => self.roll_back(turns, line),
            Content::User { source, text } => self.user(source, text, line, at_ms),
            Content::Agent { source, text } => {
                self.push(Step::message(Speaker::Agent, text), Some(source), line, at_ms);
            }
            Content::Other { author, text } => {
                self.push(Step::message(Speaker::Other(author), text), None, line, at_ms);
            }
            Content::Call { id, tool, arguments } => self.call(id, tool, arguments, line, at_ms),
            Content::Output { call_id, output } => self.output(&call_id, output, line, at_ms),
            Content::CallEnd { call_id, failed, duration_ms } => self.call_end(call_id, failed, duration_ms),
            Content::Tokens { last, total } => self.tokens(last, total),
            Content::ServiceError(message) => {
                if let Some(turn) = self.open() {
                    turn.service_error = Some(message);
                    turn.last_line = line;
                }
            }
        }
    }

    /// Returns the turn that has not ended.
    fn open(&mut self) -> Option<&mut Turn> {
        self.turns.last_mut().filter(|turn| !turn.is_ended)
    }

    fn new_turn(&mut self, id: Option<String>, line: u64, at_ms: Option<i64>) -> &mut Turn {
        let index = self.turns.len();
        self.turns.push(Turn {
            id,
            at_ms,
            last_line: line,
            model: self.model.clone(),
            cwd: self.cwd.clone(),
            ..Turn::default()
        });
        &mut self.turns[index]
    }

    fn started(&mut self, id: Option<String>, line: u64, at_ms: Option<i64>) {
        self.has_turn_ids |= id.is_some();
        match self.open() {
            Some(turn) if turn.id == id => {}
            // The prompt may be written before the turn starts.
            Some(turn) if turn.id.is_none() && turn.steps.iter().all(Entry::is_user) => turn.id = id,
            _ => {
                self.new_turn(id, line, at_ms);
            }
        }
    }

    fn end(&mut self, line: u64, ending: Option<Evidence>) {
        if let Some(turn) = self.open() {
            turn.is_ended = true;
            turn.ending = ending;
            turn.last_line = line;
        }
    }

    /// Marks the last turns of the user that still count.
    fn roll_back(&mut self, turns: u64, line: u64) {
        self.end(line, None);
        let live = self
            .turns
            .iter_mut()
            .rev()
            .filter(|turn| !turn.is_rewound && turn.steps.iter().any(Entry::is_user));
        for turn in live.take(usize::try_from(turns).unwrap_or(usize::MAX)) {
            turn.is_rewound = true;
        }
    }

    fn user(&mut self, source: Source, text: String, line: u64, at_ms: Option<i64>) {
        let is_within = self.open().is_some_and(|turn| turn.id.is_some());
        if !is_within {
            if source == Source::Response && self.prompts_are_events {
                return;
            }
            self.new_turn(None, line, at_ms);
        }
        self.push(Step::message(Speaker::User, text), Some(source), line, at_ms);
    }

    fn push(
        &mut self,
        mut step: Step,
        source: Option<Source>,
        line: u64,
        at_ms: Option<i64>,
    ) -> Option<(usize, usize)> {
        step.at_ms = at_ms;
        let index = self.turns.len().checked_sub(1)?;
        // What follows the end of a turn belongs to it: the copy of its last message.
        let turn = &mut self.turns[index];
        turn.steps.push(Entry { step, source });
        turn.last_line = line;
        turn.service_error = None;
        Some((index, turn.steps.len() - 1))
    }

    fn call(&mut self, id: Option<String>, tool: String, arguments: Value, line: u64, at_ms: Option<i64>) {
        let is_known = id.as_ref().is_some_and(|id| self.calls.contains_key(id));
        if is_known {
            return;
        }
        let mut step = Step::call(tool, arguments);
        if let StepKind::Call { description, arguments, .. } = &mut step.kind {
            let words =
                ["description", "justification"].iter().find_map(|name| arguments.get(*name)?.as_str());
            *description = words.unwrap_or("").to_owned();
        }
        let place = self.push(step, None, line, at_ms);
        if let (Some(id), Some((turn, step))) = (id, place) {
            self.calls.insert(id.clone(), (turn, step));
            self.waiting.insert(id, (turn, step, at_ms));
        }
    }

    fn output(&mut self, call_id: &str, output: Output, line: u64, at_ms: Option<i64>) {
        let Some((turn, step, called_ms)) = self.waiting.remove(call_id) else { return };
        let turn = &mut self.turns[turn];
        turn.last_line = turn.last_line.max(line);
        let waited = called_ms.zip(at_ms).and_then(|(from, to)| u64::try_from(to - from).ok());
        let step = &mut turn.steps[step].step;
        step.duration_ms = step.duration_ms.or(output.duration_ms).or(waited);
        let is_marked = turn.failed_calls.iter().any(|failed| failed == call_id);
        if let StepKind::Call { result, .. } = &mut step.kind {
            *result = Some(ToolResult { text: output.text, failed: output.failed || is_marked });
        }
    }

    /// Notes what an event says about a call; it stands before the call's output or after it.
    fn call_end(&mut self, call_id: String, failed: bool, duration_ms: Option<u64>) {
        let Some((turn, step)) = self.calls.get(&call_id).copied() else { return };
        let turn = &mut self.turns[turn];
        let step = &mut turn.steps[step].step;
        step.duration_ms = duration_ms.or(step.duration_ms);
        if let StepKind::Call { result: Some(result), .. } = &mut step.kind {
            result.failed |= failed;
        } else if failed {
            turn.failed_calls.push(call_id);
        }
    }

    /// Notes what a response of the model cost on its first step. The same count may be written twice.
    fn tokens(&mut self, last: u64, total: u64) {
        if std::mem::replace(&mut self.total_tokens, total) == total {
            return;
        }
        let Some(turn) = self.turns.last_mut() else { return };
        let first = turn.steps[turn.counted..]
            .iter_mut()
            .find(|entry| !entry.is_user() && !entry.is_copy_of_message());
        if let Some(entry) = first {
            entry.step.tokens = Some(last);
        }
        turn.counted = turn.steps.len();
    }

    fn finish(self) -> Result<Found, NoSession> {
        let session = self.session.ok_or(NoSession)?;
        let count = self.turns.len();
        let mut copied = 0;
        let mut finished: Vec<Finished> = Vec::new();
        for (index, turn) in self.turns.into_iter().enumerate() {
            let is_over = turn.is_ended || index + 1 < count || !self.has_turn_ids && turn.seems_ended();
            let is_copy = turn.is_copied(&session);
            copied += usize::from(is_copy);
            finished.extend(turn.finish(is_over && !is_copy));
        }
        let prompts: Vec<String> = finished.iter().map(|turn| turn.prompt.clone()).collect();
        let mut trajectories = Vec::new();
        for (index, turn) in finished.into_iter().enumerate() {
            if !turn.is_wanted {
                continue;
            }
            // After a rollback the user says something else in place of the turn, not about it.
            let next = prompts.get(index + 1).filter(|_| !turn.is_rewound).map(String::as_str);
            trajectories.push((turn.last_line, turn.into_trajectory(&session, index + 1, next)));
        }
        trajectories.sort_by_key(|(line, _)| *line);
        Ok(Found { trajectories, copied })
    }
}

/// Returns what the end of a turn before its time says.
fn aborted(reason: &str) -> Option<Evidence> {
    match reason {
        "review_ended" => None,
        "interrupted" | "replaced" | "" => Some(Evidence::Interrupted),
        other => Some(Evidence::ExitStatus(format!("aborted: {other}"))),
    }
}
