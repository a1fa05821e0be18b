//! Trajectories from the lines of a session.

use std::collections::{HashMap, HashSet};

use serde_json::{Map, Value};

use super::NAME;
use super::record::{Block, CallResult, Content, Message, Prompt, Record, Said};
use super::tree::{Tree, Turn};
use crate::bounds::key;
use crate::outcome::{Evidence, infer};
use crate::texts::clip;
use crate::trajectory::{Labels, Speaker, Step, StepKind, ToolResult, Trajectory};

/// Returns the finished trajectories with their last lines, in the order of these.
pub(super) fn trajectories(records: Vec<Record>) -> Vec<(u64, Trajectory)> {
    let tree = Tree::of(&records);
    let is_old = never_says_stops(&records);
    let mut session =
        Session { turns: tree.turns.iter().map(|_| Work::default()).collect(), waiting: HashMap::new() };
    for (record, turn) in records.into_iter().zip(&tree.turn_of) {
        session.add(record, *turn);
    }
    let works = session.turns;
    let keys: Vec<String> = works.iter().map(Work::key).collect();
    let prompts: Vec<String> = works.iter().map(Work::prompt).collect();
    let mut found: Vec<(u64, Trajectory)> = Vec::new();
    for ((work, turn), key) in works.into_iter().zip(&tree.turns).zip(&keys) {
        let is_finished = turn.is_followed || work.has_ended(is_old);
        if !is_finished || work.steps.is_empty() {
            continue;
        }
        let next = turn.next.map(|next| prompts[next].as_str());
        let parent = turn.started_by.map(|starter| keys[starter].clone());
        let line = work.last_line;
        found.extend(
            work.into_trajectory(key.clone(), parent, turn, next).map(|trajectory| (line, trajectory)),
        );
    }
    found.sort_by_key(|(line, _)| *line);
    found
}

/// Tells whether a session is of an old version that does not write why messages end; there a last text has
/// to do. Only a message that has ended shows that: one whose calls have results.
fn never_says_stops(records: &[Record]) -> bool {
    let says =
        |record: &Record| matches!(&record.content, Content::Agent(message) if message.stop_reason.is_some());
    let has_result =
        |record: &Record| matches!(&record.content, Content::User { results, .. } if !results.is_empty());
    records.iter().any(has_result) && !records.iter().any(says)
}

/// The tasks of a session as far as its lines have been read.
struct Session {
    turns: Vec<Work>,
    /// The calls without a result by their ids: their task, their step and when they were made.
    waiting: HashMap<String, (usize, usize, Option<i64>)>,
}

impl Session {
    fn add(&mut self, record: Record, turn: Option<usize>) {
        let Record { line, at_ms, content, .. } = record;
        match content {
            Content::User { said, results, .. } => {
                for result in results {
                    self.result(result, line, at_ms);
                }
                if let Some(turn) = turn {
                    self.turns[turn].said(said, line, at_ms);
                }
            }
            Content::Agent(message) => {
                if let Some(turn) = turn {
                    self.message(turn, message, line, at_ms);
                }
            }
            content => {
                if let Some(turn) = turn {
                    self.turns[turn].note(content, line, at_ms);
                }
            }
        }
    }

    fn result(&mut self, result: CallResult, line: u64, at_ms: Option<i64>) {
        let Some((turn, step, called_ms)) = self.waiting.remove(&result.call_id) else { return };
        let work = &mut self.turns[turn];
        work.last_line = work.last_line.max(line);
        let step = &mut work.steps[step];
        step.duration_ms = called_ms.zip(at_ms).and_then(|(from, to)| u64::try_from(to - from).ok());
        if let StepKind::Call { result: place, .. } = &mut step.kind {
            *place = Some(ToolResult { text: result.text, failed: result.failed });
        }
    }

    fn message(&mut self, turn: usize, message: Message, line: u64, at_ms: Option<i64>) {
        let Message { id, model, blocks, tokens, stop_reason } = message;
        let work = &mut self.turns[turn];
        work.model = model.or(work.model.take());
        work.stop_reason = stop_reason;
        work.ending = None;
        work.is_ended = false;
        work.counted = work.steps.len();
        for block in blocks {
            let work = &mut self.turns[turn];
            match block {
                Block::Text(text) => work.text(id.as_deref(), text, line, at_ms),
                Block::Call { id: call_id, tool, arguments } => {
                    if work.calls.contains(&call_id) {
                        continue;
                    }
                    let step = work.call(call_id.clone(), tool, arguments, line, at_ms);
                    self.waiting.insert(call_id, (turn, step, at_ms));
                }
                Block::Result(result) => self.result(result, line, at_ms),
            }
        }
        self.turns[turn].count(id, tokens);
    }
}

/// A task as far as its lines have been read.
#[derive(Default)]
struct Work {
    prompt: Option<Box<Prompt>>,
    at_ms: Option<i64>,
    steps: Vec<Step>,
    last_line: u64,
    model: Option<String>,
    /// The ids of its calls; a message that is written again repeats them.
    calls: HashSet<String>,
    /// The message of the last step, if that is a text.
    last_text: Option<String>,
    /// The first step of each message.
    messages: HashMap<String, Option<usize>>,
    /// The number of steps before the line that is being read.
    counted: usize,
    stop_reason: Option<String>,
    /// What ended it other than the agent.
    ending: Option<Evidence>,
    /// Claude Code says that the turn has ended.
    is_ended: bool,
    goal: Option<bool>,
    stated: Vec<Evidence>,
}

impl Work {
    fn key(&self) -> String {
        self.prompt.as_ref().map(|prompt| key(NAME, &prompt.session, &prompt.uuid)).unwrap_or_default()
    }

    fn prompt(&self) -> String {
        self.prompt.as_ref().map(|prompt| prompt.text.clone()).unwrap_or_default()
    }

    fn said(&mut self, said: Said, line: u64, at_ms: Option<i64>) {
        match said {
            Said::Nothing => {}
            Said::Prompt(prompt) if self.prompt.is_none() && self.steps.is_empty() => {
                self.prompt = Some(prompt);
                self.at_ms = at_ms;
                self.last_line = line;
            }
            // A command that Claude Code carried out itself.
            Said::Prompt(_) => {}
            Said::Answer(text) => {
                self.push(Step::message(Speaker::User, text), line, at_ms);
            }
            Said::Interruption => {
                self.ending = Some(Evidence::Interrupted);
                self.last_line = line;
            }
        }
    }

    fn note(&mut self, content: Content, line: u64, at_ms: Option<i64>) {
        match content {
            Content::ServiceError(text) => self.ending = Some(Evidence::ServiceError(text)),
            Content::Queued(text) => {
                self.push(Step::message(Speaker::User, text), line, at_ms);
            }
            Content::Goal(met) => self.goal = Some(met),
            Content::PullRequest(url) => {
                let evidence = Evidence::PullRequest(url);
                if !self.stated.contains(&evidence) {
                    self.stated.push(evidence);
                }
            }
            Content::TurnsUsedUp => self.ending = Some(Evidence::ExitStatus("max_turns_reached".into())),
            Content::TurnEnd => self.is_ended = true,
            Content::User { .. }
            | Content::Agent(_)
            | Content::AgentStarted { .. }
            | Content::CommandOutput
            | Content::Link(_) => {}
        }
    }

    fn text(&mut self, message: Option<&str>, text: String, line: u64, at_ms: Option<i64>) {
        if message.is_some()
            && self.last_text.as_deref() == message
            && let Some(Step { kind: StepKind::Message { text: before, .. }, .. }) = self.steps.last_mut()
        {
            before.push('\n');
            before.push_str(&text);
            *before = clip(std::mem::take(before));
            self.last_line = line;
            return;
        }
        self.push(Step::message(Speaker::Agent, text), line, at_ms);
        self.last_text = message.map(str::to_owned);
    }

    fn call(&mut self, id: String, tool: String, arguments: Value, line: u64, at_ms: Option<i64>) -> usize {
        self.calls.insert(id);
        let said = arguments.get("description").and_then(Value::as_str).unwrap_or("").to_owned();
        let mut step = Step::call(tool, arguments);
        if let StepKind::Call { description, .. } = &mut step.kind {
            *description = said;
        }
        self.push(step, line, at_ms)
    }

    fn push(&mut self, mut step: Step, line: u64, at_ms: Option<i64>) -> usize {
        step.at_ms = at_ms;
        self.steps.push(step);
        self.last_line = line;
        self.last_text = None;
        self.steps.len() - 1
    }

    /// Notes what a message cost on its first step. Each of its lines tells it, and the last one has all of it.
    fn count(&mut self, message: Option<String>, tokens: Option<u64>) {
        let first = (self.counted < self.steps.len()).then_some(self.counted);
        let (Some(message), Some(tokens)) = (message, tokens) else { return };
        let step = self.messages.entry(message).or_insert(None);
        *step = step.or(first);
        if let Some(step) = *step {
            self.steps[step].tokens = Some(tokens);
        }
    }

    /// Tells whether nothing more is to come, though no other prompt follows yet.
    fn has_ended(&self, is_old: bool) -> bool {
        if self.ending.is_some() {
            return true;
        }
        let is_answered =
            self.steps.iter().all(|step| !matches!(step.kind, StepKind::Call { result: None, .. }));
        let is_text = matches!(
            self.steps.last(),
            Some(Step { kind: StepKind::Message { speaker: Speaker::Agent, .. }, .. })
        );
        let has_stopped = match self.stop_reason.as_deref() {
            Some(reason) => !matches!(reason, "tool_use" | "pause_turn"),
            None => self.is_ended || is_old,
        };
        is_answered && is_text && has_stopped
    }

    fn into_trajectory(
        self,
        key: String,
        parent: Option<String>,
        turn: &Turn,
        next: Option<&str>,
    ) -> Option<Trajectory> {
        let prompt = *self.prompt?;
        let mut stated = self.stated;
        stated.extend(self.goal.map(Evidence::Goal));
        stated.extend(self.ending);
        if turn.is_rewound {
            stated.push(Evidence::Rewound);
        }
        let mut attributes = Map::new();
        let mut note = |name: &str, value: Option<String>| {
            if let Some(value) = value {
                attributes.insert(name.into(), value.into());
            }
        };
        note("gen_ai.conversation.id", Some(prompt.session.clone()));
        note("gen_ai.request.model", self.model);
        note("gen_ai.agent.id", turn.agent_id.clone());
        note("gen_ai.agent.version", prompt.version);
        note("vcs.ref.head.name", prompt.branch);
        // The same in the file of a sub-agent and in that of the session that started it.
        note("claude_code.prompt.id", prompt.prompt_id);
        Some(Trajectory {
            key,
            parent,
            labels: Labels {
                agent: Some(NAME.into()),
                correlation_id: Some(prompt.session),
                project: prompt.cwd,
                ..Labels::default()
            },
            prompt: prompt.text,
            at_ms: self.at_ms,
            outcome: infer(&self.steps, next, stated),
            steps: self.steps,
            attributes,
        })
    }
}
