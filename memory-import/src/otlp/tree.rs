//! Tasks out of spans.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::ops::ControlFlow;

use serde_json::{Map, Value};

use super::messages::{self, Message, Part};
use super::spans::{Id, Span, Spans};
use crate::fields::attribute;
use crate::outcome::{Evidence, Outcome, Verdict, is_error_text};
use crate::trajectory::{Labels, Speaker, Step, StepKind, ToolResult, Trajectory};
use crate::{Sink, identity, stated, texts};

const AGENT: &str = "invoke_agent";
const TOOL: &str = "execute_tool";
/// The longest way up that is gone: a circle of spans has no top.
const MAX_DEPTH: usize = 10_000;

/// Gives the tasks to the sink.
pub(super) fn tasks(spans: Spans, sink: &mut dyn Sink) {
    let Spans { mut kept, above, last_line, .. } = spans;
    for span in &mut kept {
        span.line = last_line.get(&span.id.0).copied().unwrap_or(span.line);
    }
    // A span may be exported twice.
    let mut seen = HashSet::new();
    kept.retain(|span| seen.insert(span.id.clone()));
    kept.sort_by(|a, b| (a.start_nanos, &a.id).cmp(&(b.start_nanos, &b.id)));
    let kinds: HashMap<&Id, usize> = kept.iter().enumerate().map(|(index, span)| (&span.id, index)).collect();
    let nearest = |id: &Id, wanted: &dyn Fn(&Span) -> bool| {
        let mut id = id.clone();
        for _ in 0..MAX_DEPTH {
            id.1 = above.get(&id)?.clone();
            if let Some(index) = kinds.get(&id).filter(|index| wanted(&kept[**index])) {
                return Some(*index);
            }
        }
        None
    };
    let mut below: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    let mut agents: Vec<usize> = Vec::new();
    let mut depth: HashMap<usize, (usize, Option<usize>)> = HashMap::new();
    for (index, span) in kept.iter().enumerate() {
        let agent = nearest(&span.id, &|span| span.operation() == AGENT);
        if span.operation() == AGENT {
            agents.push(index);
            depth.insert(index, (0, agent));
        } else if let Some(agent) = agent {
            below.entry(agent).or_default().push(index);
        } else {
            sink.skipped("span outside invoke_agent");
        }
    }
    let up = |mut agent: usize| {
        let mut levels = 0;
        while let Some((_, Some(parent))) = depth.get(&agent).filter(|_| levels < MAX_DEPTH) {
            (agent, levels) = (*parent, levels + 1);
        }
        levels
    };
    // Clocks differ between services: a parent comes first whatever its time.
    agents.sort_by_key(|agent| (up(*agent), *agent));
    for agent in agents {
        let parent = depth.get(&agent).and_then(|(_, parent)| *parent).map(|parent| &kept[parent]);
        let tool = nearest(&kept[agent].id, &|span| matches!(span.operation(), AGENT | TOOL));
        let task = Task {
            span: &kept[agent],
            parent,
            tool: tool.map(|tool| &kept[tool]).filter(|tool| tool.operation() == TOOL),
            below: below.remove(&agent).unwrap_or_default().into_iter().map(|index| &kept[index]).collect(),
        };
        let flow = match task.trajectory() {
            Some(trajectory) => sink.trajectory(task.span.line, trajectory),
            None => {
                sink.skipped("invoke_agent without a prompt");
                ControlFlow::Continue(())
            }
        };
        if flow.is_break() {
            break;
        }
    }
}

/// A task: an `invoke_agent` span and the spans below it that no other agent is nearer to, in order of their
/// start.
struct Task<'s> {
    span: &'s Span,
    parent: Option<&'s Span>,
    /// The call that started it.
    tool: Option<&'s Span>,
    below: Vec<&'s Span>,
}

fn key(span: &Span) -> String {
    identity::key(&["otlp", &span.id.0, &span.id.1])
}

fn ms(nanos: u64) -> Option<i64> {
    i64::try_from(nanos / 1_000_000).ok().filter(|ms| *ms > 0)
}

impl Task<'_> {
    fn trajectory(&self) -> Option<Trajectory> {
        let (input, output) = messages::of(self.span);
        let inferences: Vec<_> = self
            .below
            .iter()
            .filter(|span| span.operation() != TOOL)
            .map(|span| (*span, messages::of(span)))
            .collect();
        let given = messages::prompt(&input);
        let prompt = given
            .as_ref()
            .map(|(_, prompt)| prompt.clone())
            .or_else(|| inferences.iter().find_map(|(_, (input, _))| Some(messages::prompt(input)?.1)))
            .or_else(|| self.task_of_tool())?;
        let mut building = Building::default();
        for span in &self.below {
            if span.operation() == TOOL {
                building.tool(span);
            }
        }
        for (span, (input, output)) in &inferences {
            building.responses(input);
            building.inference(span, output);
        }
        if inferences.iter().all(|(_, (input, output))| input.is_empty() && output.is_empty()) {
            // Only the agent's own span has messages: those behind the task are what it did.
            let behind = given.map_or(0, |(index, _)| index + 1);
            let done: Vec<Message> =
                input.into_iter().skip(behind).filter(|message| message.role == "assistant").collect();
            building.inference(self.span, &done);
        }
        building.responses(&messages::of(self.span).0);
        building.last(self.span, &output);
        let steps = building.into_steps();
        let outcome = self.outcome(&steps);
        Some(Trajectory {
            key: key(self.span),
            parent: self.parent.map(key),
            prompt: texts::clip(prompt),
            labels: Labels {
                agent: self.span.text("gen_ai.agent.name").map(str::to_owned),
                correlation_id: Some(
                    self.span.text("gen_ai.conversation.id").unwrap_or(&self.span.id.0).to_owned(),
                ),
                ..Labels::default()
            },
            at_ms: ms(self.span.start_nanos),
            steps,
            outcome,
            attributes: self.attributes(),
        })
    }

    /// Returns what the call that started it asked for.
    fn task_of_tool(&self) -> Option<String> {
        let arguments = texts::arguments(self.tool?.get("gen_ai.tool.call.arguments")?.clone());
        let text = match &arguments {
            Value::Object(fields) if fields.len() == 1 => {
                fields.values().next().map(texts::content).unwrap_or_default()
            }
            other => texts::content(other),
        };
        Some(text).filter(|text| !text.trim().is_empty())
    }

    fn outcome(&self, steps: &[Step]) -> Outcome {
        let mut evidence = Vec::new();
        let mut verdicts = Vec::new();
        for span in std::iter::once(&self.span).chain(&self.below) {
            let on_span = span.attributes.contains_key("gen_ai.evaluation.name").then_some(&span.attributes);
            let events = span.events.iter().filter(|(name, _)| name == "gen_ai.evaluation.result");
            for evaluation in on_span.into_iter().chain(events.map(|(_, attributes)| attributes)) {
                let (fact, verdict) = judged(evaluation);
                evidence.extend(fact);
                // How the agent's work was judged, not one answer of its model.
                verdicts.extend(verdict.filter(|_| span.id == self.span.id));
            }
        }
        if self.span.failed == Some(true) {
            let error = texts::clip(self.span.error.as_deref().unwrap_or("error").to_owned());
            evidence.insert(0, Evidence::ExitStatus(error.clone()));
            let mut outcome = stated::of(steps, Verdict::Failure, evidence);
            outcome.last_error = Some(error);
            return outcome;
        }
        match verdicts.split_first() {
            Some((first, rest)) if rest.iter().all(|other| other == first) => {
                stated::of(steps, *first, evidence)
            }
            _ => stated::inferred(steps, evidence),
        }
    }

    fn attributes(&self) -> Map<String, Value> {
        let mut attributes = Map::new();
        for name in [
            "gen_ai.request.model",
            "gen_ai.provider.name",
            "gen_ai.agent.id",
            "gen_ai.agent.version",
            "gen_ai.usage.input_tokens",
            "gen_ai.usage.output_tokens",
        ] {
            attribute(&mut attributes, name, self.span.get(name));
        }
        if !attributes.contains_key("gen_ai.provider.name") {
            attribute(&mut attributes, "gen_ai.provider.name", self.span.get("gen_ai.system"));
        }
        if !attributes.contains_key("gen_ai.request.model") {
            let model = self.below.iter().find_map(|span| span.get("gen_ai.request.model"));
            attribute(&mut attributes, "gen_ai.request.model", model);
        }
        if let Some(service) = &self.span.service {
            attributes.insert("service.name".to_owned(), Value::from(service.as_str()));
        }
        attributes
    }
}

/// Returns what an evaluation says: its score, where it is in 0 to 1, and the verdict in its label. A score
/// alone is no verdict: it may be of anything.
fn judged(evaluation: &Map<String, Value>) -> (Option<Evidence>, Option<Verdict>) {
    let name = evaluation.get("gen_ai.evaluation.name").and_then(Value::as_str).unwrap_or("evaluation");
    let label = evaluation.get("gen_ai.evaluation.score.label").and_then(Value::as_str);
    let passed = match label.map(str::to_lowercase).as_deref() {
        Some("pass" | "passed" | "correct" | "success") => Some(1.0),
        Some("fail" | "failed" | "incorrect" | "failure") => Some(0.0),
        _ => None,
    };
    let value = evaluation.get("gen_ai.evaluation.score.value").and_then(stated::number);
    let value = value.filter(|value| (0.0..=1.0).contains(value)).or(passed);
    (value.map(|value| Evidence::Score(name.to_owned(), value)), passed.and_then(stated::verdict))
}

/// Steps with the time that orders them.
#[derive(Default)]
struct Building {
    steps: Vec<(u64, Step)>,
    /// The step of each call that has an id.
    by_id: HashMap<String, usize>,
    /// Tools that were run in spans without ids of their calls, and how often a message has called them since.
    without_id: HashMap<String, usize>,
}

impl Building {
    /// Adds a call that a span shows.
    fn tool(&mut self, span: &Span) {
        let name = span.text("gen_ai.tool.name").unwrap_or("");
        let arguments = span.get("gen_ai.tool.call.arguments").cloned().map(texts::arguments);
        let mut step = Step::call(name, arguments.unwrap_or_default());
        step.at_ms = ms(span.start_nanos);
        step.duration_ms = span
            .end_nanos
            .checked_sub(span.start_nanos)
            .filter(|_| span.start_nanos > 0)
            .map(|nanos| nanos / 1_000_000);
        let text = span.get("gen_ai.tool.call.result").map(texts::content);
        let failed = span.failed.unwrap_or_else(|| text.as_deref().is_some_and(|it| is_error_text(it, None)));
        let text = text.or_else(|| span.error.clone().filter(|_| failed));
        if let StepKind::Call { result, .. } = &mut step.kind
            && (failed || text.is_some())
        {
            *result = Some(ToolResult { text: texts::clip(text.unwrap_or_default()), failed });
        }
        match span.text("gen_ai.tool.call.id") {
            Some(id) => {
                self.by_id.insert(id.trim().to_owned(), self.steps.len());
            }
            None => *self.without_id.entry(name.to_owned()).or_default() += 1,
        }
        self.steps.push((span.start_nanos, step));
    }

    /// Adds what a model said, and the calls it made that no span shows.
    fn inference(&mut self, span: &Span, output: &[Message]) {
        let mut tokens = span.tokens().filter(|_| span.operation() != AGENT);
        for part in output.iter().flat_map(|message| &message.parts) {
            let mut step = match part {
                Part::Text(text) if !text.trim().is_empty() => {
                    Step::message(Speaker::Agent, texts::clip(text.clone()))
                }
                Part::Call { id, tool, arguments } => {
                    if self.known(id.as_deref(), tool, arguments) {
                        continue;
                    }
                    if let Some(id) = id {
                        self.by_id.insert(id.clone(), self.steps.len());
                    }
                    Step::call(tool.as_str(), arguments.clone())
                }
                _ => continue,
            };
            // An inference is over before the tools that it calls begin.
            let at = if span.operation() == AGENT { span.start_nanos } else { span.end_nanos };
            step.at_ms = ms(at);
            step.tokens = tokens.take();
            self.steps.push((at, step));
        }
    }

    /// Tells whether a span shows a call, and gives it the arguments that the span may lack.
    fn known(&mut self, id: Option<&str>, tool: &str, given: &Value) -> bool {
        if let Some(index) = id.and_then(|id| self.by_id.get(id)) {
            if let StepKind::Call { arguments, .. } = &mut self.steps[*index].1.kind
                && arguments.is_null()
            {
                *arguments = given.clone();
            }
            return true;
        }
        match self.without_id.get_mut(tool).filter(|left| **left > 0) {
            Some(left) => {
                *left -= 1;
                true
            }
            None => false,
        }
    }

    /// Gives the results in messages to the calls that have none.
    fn responses(&mut self, input: &[Message]) {
        for part in input.iter().flat_map(|message| &message.parts) {
            let Part::Response { id: Some(id), text } = part else { continue };
            let Some(index) = self.by_id.get(id) else { continue };
            if let StepKind::Call { result: result @ None, .. } = &mut self.steps[*index].1.kind {
                let failed = is_error_text(text, None);
                *result = Some(ToolResult { text: texts::clip(text.clone()), failed });
            }
        }
    }

    /// Adds what the agent answered, unless a model's answer is the same.
    fn last(&mut self, span: &Span, output: &[Message]) {
        let Some(answer) = output.iter().rev().map(Message::text).find(|text| !text.trim().is_empty()) else {
            return;
        };
        let answer = texts::clip(answer);
        let said = |step: &Step| match &step.kind {
            StepKind::Message { text, .. } => text.trim() == answer.trim(),
            StepKind::Call { .. } => false,
        };
        if self.steps.iter().any(|(_, step)| said(step)) {
            return;
        }
        let mut step = Step::message(Speaker::Agent, answer);
        step.at_ms = ms(span.end_nanos);
        self.steps.push((u64::MAX, step));
    }

    fn into_steps(mut self) -> Vec<Step> {
        self.steps.sort_by_key(|(at, _)| *at);
        self.steps.into_iter().map(|(_, step)| step).collect()
    }
}
