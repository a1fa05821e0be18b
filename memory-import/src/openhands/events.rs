//! Events as steps.

use serde_json::{Map, Value};

use crate::fields::{items, scalar, text};
use crate::outcome::Evidence;
use crate::trajectory::{Labels, Speaker, StepKind, Trajectory};
use crate::transcript::{Returned, Transcript};
use crate::{Sink, stated, texts, times};

/// Actions and observations of version 0 that say how OpenHands works, not what the agent did.
const INTERNAL: [&str; 9] = [
    "system",
    "recall",
    "change_agent_state",
    "agent_state_changed",
    "null",
    "think",
    "condensation",
    "condensation_request",
    "agent_condensation",
];

/// Arguments of version 0 that are settings of OpenHands, not what the agent gave to the tool.
const SETTINGS: [&str; 9] = [
    "thought",
    "hidden",
    "blocking",
    "confirmation_state",
    "is_confirmed",
    "security_risk",
    "is_static",
    "include_extra",
    "return_axtree",
];

/// The steps so far.
pub(super) struct Reading {
    prompt: Option<String>,
    at_ms: Option<i64>,
    /// Whether the event of the prompt is still to come.
    expected: bool,
    transcript: Transcript,
    evidence: Vec<Evidence>,
}

impl Reading {
    /// Begins with a task, or with none: then the user's first message is it.
    pub(super) fn new(prompt: Option<&str>) -> Self {
        Self {
            prompt: prompt.map(str::to_owned),
            at_ms: None,
            expected: true,
            transcript: Transcript::default(),
            evidence: Vec::new(),
        }
    }

    /// Returns what was read, without a key.
    pub(super) fn trajectory(self, mut evidence: Vec<Evidence>) -> Result<Trajectory, String> {
        let prompt = self.prompt.ok_or("not a task: no message of the user")?;
        evidence.extend(self.evidence);
        let steps = self.transcript.steps;
        Ok(Trajectory {
            key: String::new(),
            parent: None,
            prompt: texts::clip(prompt),
            labels: Labels::default(),
            at_ms: self.at_ms.or_else(|| steps.iter().find_map(|step| step.at_ms)),
            outcome: stated::outcome(&steps, evidence),
            steps,
            attributes: Map::new(),
        })
    }

    /// Adds an event, or a pair of them.
    pub(super) fn add(&mut self, event: &Value, sink: &mut dyn Sink) {
        let first = self.transcript.steps.len();
        match event {
            Value::Array(pair) => pair.iter().for_each(|event| self.add(event, sink)),
            _ if event.get("kind").is_some_and(Value::is_string) => self.event(event, sink),
            _ => self.old_event(event, sink),
        }
        let at_ms = times::of(event, "timestamp");
        for step in &mut self.transcript.steps[first..] {
            step.at_ms = step.at_ms.or(at_ms);
        }
    }

    /// Adds what somebody said. The user's first message is the task, or repeats it.
    fn message(&mut self, event: &Value, message: String) {
        if text(event, "source") != Some("user") {
            self.transcript.say(Speaker::Agent, message);
        } else if self.expected && !message.trim().is_empty() {
            self.expected = false;
            self.at_ms = times::of(event, "timestamp");
            self.prompt.get_or_insert(message);
        } else {
            self.transcript.say(Speaker::User, message);
        }
    }

    /// Adds an event of version 1.
    fn event(&mut self, event: &Value, sink: &mut dyn Sink) {
        let kind = text(event, "kind").unwrap_or("");
        let of = |name: &str| event.get(name).unwrap_or(&Value::Null);
        let content = |name: &str| texts::content(of(name));
        let answer = |text: String, failed: Option<bool>| Returned {
            id: self::text(event, "tool_call_id"),
            tool: self::text(event, "tool_name"),
            text,
            failed,
        };
        match kind {
            "MessageEvent" => {
                let message = of("llm_message").get("content").map(texts::content).unwrap_or_default();
                self.message(event, message);
            }
            "ActionEvent" => self.action(event),
            "ObservationEvent" => {
                let seen = of("observation");
                if matches!(text(event, "tool_name"), Some("finish" | "think")) {
                    return;
                }
                let said = ["content", "output"].into_iter().find_map(|name| seen.get(name));
                let failed = seen.get("is_error").and_then(Value::as_bool).filter(|failed| *failed);
                let failed = failed.or_else(|| exit_code(seen).map(|code| code != 0));
                self.transcript.result(answer(said.map(texts::content).unwrap_or_default(), failed));
            }
            "AgentErrorEvent" => {
                self.transcript.result(answer(content("error"), Some(true)));
            }
            "UserRejectObservation" => {
                self.transcript.result(answer(content("rejection_reason"), Some(true)));
            }
            "ConversationErrorEvent" => {
                let error = text(event, "detail").or_else(|| text(event, "code")).unwrap_or("error");
                self.evidence.push(Evidence::ServiceError(texts::clip(error.to_owned())));
            }
            other => sink.skipped(other),
        }
    }

    /// Adds a call of version 1. What the agent says when it finishes is a message.
    fn action(&mut self, event: &Value) {
        let action = event.get("action").unwrap_or(&Value::Null);
        let thought = event.get("thought").map(texts::content).unwrap_or_default();
        self.transcript.say(Speaker::Agent, thought);
        let tool = text(event, "tool_name").unwrap_or("");
        match tool {
            "finish" => {
                let message = text(action, "message").unwrap_or("").to_owned();
                self.transcript.say(Speaker::Agent, message);
                return;
            }
            "think" => return,
            _ => {}
        }
        let call = event.get("tool_call").unwrap_or(&Value::Null);
        let given =
            [Some(call), call.get("function")].into_iter().flatten().find_map(|it| it.get("arguments"));
        // A call that could not be run has no action; one that could has the tool's own fields and its kind.
        let arguments = given.cloned().unwrap_or_else(|| without(action, &["kind"]));
        let id = text(event, "tool_call_id").map(str::to_owned);
        let step = self.transcript.call(id, tool, texts::arguments(arguments));
        if let (StepKind::Call { description, .. }, Some(summary)) = (&mut step.kind, text(event, "summary"))
        {
            summary.clone_into(description);
        }
    }

    /// Adds an event of version 0.
    fn old_event(&mut self, event: &Value, sink: &mut dyn Sink) {
        let args = event.get("args").unwrap_or(&Value::Null);
        let kind = text(event, "action").or_else(|| text(event, "observation")).unwrap_or("");
        if INTERNAL.contains(&kind) {
            sink.skipped(kind);
        } else if text(event, "observation").is_some() {
            self.observation(event);
        } else if kind == "message" {
            let content = text(args, "content").or_else(|| text(event, "message"));
            self.message(event, content.unwrap_or("").to_owned());
        } else if kind == "finish" {
            let said = ["final_thought", "thought"].into_iter().find_map(|name| text(args, name));
            self.transcript
                .say(Speaker::Agent, said.or_else(|| text(event, "message")).unwrap_or("").to_owned());
        } else if !kind.is_empty() {
            self.old_action(event, kind, args);
        } else {
            sink.skipped("event without action and observation");
        }
    }

    fn old_action(&mut self, event: &Value, kind: &str, args: &Value) {
        let thought = text(args, "thought").unwrap_or("");
        self.transcript.say(Speaker::Agent, thought.to_owned());
        let called = event.get("tool_call_metadata").unwrap_or(&Value::Null);
        let (tool, arguments) = match kind {
            // A tool of an MCP server.
            "mcp" | "call_tool_mcp" => {
                (text(args, "name").unwrap_or(kind), args.get("arguments").cloned().unwrap_or_default())
            }
            // What the model gave, where that is known: OpenHands turns calls into actions of its own.
            _ => (
                text(called, "function_name").unwrap_or(kind),
                given(called).unwrap_or_else(|| without(args, &SETTINGS)),
            ),
        };
        let id = event.get("id").and_then(scalar);
        self.transcript.call(id, tool, texts::arguments(arguments));
    }

    fn observation(&mut self, event: &Value) {
        let extras = event.get("extras").unwrap_or(&Value::Null);
        let failed = match text(event, "observation") {
            Some("error" | "user_rejected") => Some(true),
            _ => match exit_code(extras).or_else(|| exit_code(extras.get("metadata")?)) {
                Some(code) => Some(code != 0),
                None => {
                    event.get("success").and_then(Value::as_bool).filter(|success| !success).map(|_| true)
                }
            },
        };
        let cause = event.get("cause").and_then(scalar);
        let text = event.get("content").map(texts::content).unwrap_or_default();
        // An observation that an action caused which is no step here must not take another's place.
        if cause.is_none() && !self.transcript.waits() {
            self.transcript.say(Speaker::Other("environment".to_owned()), text);
            return;
        }
        self.transcript.result(Returned { id: cause.as_deref(), tool: None, text, failed });
    }
}

/// Returns the arguments of a call of version 0, in the model's answer that OpenHands keeps with the action.
fn given(called: &Value) -> Option<Value> {
    let id = text(called, "tool_call_id")?;
    let choice = called.get("model_response")?.get("choices")?.get(0)?;
    let calls = items(choice.get("message")?, "tool_calls");
    let call = calls.iter().find(|call| text(call, "id") == Some(id))?;
    call.get("function")?.get("arguments").cloned()
}

/// Returns a command's exit code. It is -1 while the command runs on, which is no failure.
fn exit_code(value: &Value) -> Option<i64> {
    value.get("exit_code").and_then(Value::as_i64).filter(|code| *code != -1)
}

/// Returns an object without some fields and without those that are null.
fn without(value: &Value, names: &[&str]) -> Value {
    let Value::Object(fields) = value else { return value.clone() };
    let kept = fields.iter().filter(|(name, value)| !value.is_null() && !names.contains(&name.as_str()));
    kept.map(|(name, value)| (name.clone(), value.clone())).collect::<Map<_, _>>().into()
}
