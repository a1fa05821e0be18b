//! Steps while they are read: what was said, and calls that wait for their results.

use std::collections::VecDeque;

use serde_json::Value;

use crate::outcome::is_error_text;
use crate::texts::clip;
use crate::trajectory::{Speaker, Step, StepKind, ToolResult};

/// The description of a call that was made up for a result.
const NO_CALL: &str = "result without a call";

/// A call that waits for its result.
#[derive(Debug)]
struct Waiting {
    step: usize,
    id: Option<String>,
    tool: String,
}

/// What came back from a call.
#[derive(Debug, Default)]
pub(crate) struct Returned<'r> {
    pub(crate) id: Option<&'r str>,
    pub(crate) tool: Option<&'r str>,
    pub(crate) text: String,
    /// The source's mark; without one the text decides.
    pub(crate) failed: Option<bool>,
}

/// The steps so far.
#[derive(Debug, Default)]
pub(crate) struct Transcript {
    pub(crate) steps: Vec<Step>,
    waiting: VecDeque<Waiting>,
}

impl Transcript {
    /// Adds what somebody said; blank texts say nothing. Returns the step.
    pub(crate) fn say(&mut self, speaker: Speaker, text: String) -> Option<&mut Step> {
        if text.trim().is_empty() {
            return None;
        }
        self.steps.push(Step::message(speaker, clip(text)));
        self.steps.last_mut()
    }

    /// Adds a call that waits for its result, and returns the step.
    pub(crate) fn call(&mut self, id: Option<String>, tool: &str, arguments: Value) -> &mut Step {
        let step = self.steps.len();
        self.waiting.push_back(Waiting { step, id, tool: tool.to_owned() });
        self.steps.push(Step::call(tool, arguments));
        &mut self.steps[step]
    }

    /// Gives a result to the first call that waits for it: by id, else by name, else the next in order. Sources
    /// give several calls the same id, so an id alone does not identify one. Returns the step.
    pub(crate) fn result(&mut self, returned: Returned<'_>) -> &mut Step {
        let Returned { id, tool, text, failed } = returned;
        let by_id = id.and_then(|id| self.waiting.iter().position(|call| call.id.as_deref() == Some(id)));
        let by_name = || tool.and_then(|tool| self.waiting.iter().position(|call| call.tool == tool));
        let place = by_id.or_else(by_name).unwrap_or(0);
        let (index, made_up) = match self.waiting.remove(place) {
            Some(call) => (call.step, false),
            None => {
                self.steps.push(Step::call(tool.unwrap_or_default(), Value::Null));
                (self.steps.len() - 1, true)
            }
        };
        let failed = failed.unwrap_or_else(|| is_error_text(&text, None));
        let step = &mut self.steps[index];
        if let StepKind::Call { result, description, .. } = &mut step.kind {
            *result = Some(ToolResult { text: clip(text), failed });
            if made_up {
                *description = NO_CALL.to_owned();
            }
        }
        step
    }

    /// Tells whether a call waits for a result.
    pub(crate) fn waits(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// Lets no result find the calls so far: in this source a result stands with its call.
    pub(crate) fn settle(&mut self) {
        self.waiting.clear();
    }
}

/// Returns what the agent said last; may be empty.
pub(crate) fn last_words(steps: &[Step]) -> String {
    let words = steps.iter().rev().find_map(|step| match &step.kind {
        StepKind::Message { speaker: Speaker::Agent, text } => Some(text.clone()),
        _ => None,
    });
    words.unwrap_or_default()
}

/// Returns the last error that the agent met, after the tool's name.
pub(crate) fn last_error(steps: &[Step]) -> Option<String> {
    steps.iter().rev().find_map(|step| match &step.kind {
        StepKind::Call { tool, result: Some(result), .. } if result.failed => {
            Some(format!("{tool}: {}", result.text))
        }
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn returned<'r>(id: Option<&'r str>, tool: Option<&'r str>, text: &str) -> Returned<'r> {
        Returned { id, tool, text: text.to_owned(), failed: None }
    }

    #[test]
    fn results_find_their_calls_whatever_the_ids() {
        let mut transcript = Transcript::default();
        for (id, tool) in [("a", "one"), ("b", "two"), ("b", "two"), ("d", "lost")] {
            transcript.call(Some(id.to_owned()), tool, json!({}));
        }
        transcript.result(returned(Some("b"), None, "first b"));
        transcript.result(returned(Some("a"), None, "the a"));
        transcript.result(returned(None, Some("two"), "error: second b"));
        assert!(transcript.waits());
        transcript.settle();
        transcript.result(returned(Some("z"), None, "nobody asked"));
        let seen: Vec<_> = transcript
            .steps
            .iter()
            .map(|step| match &step.kind {
                StepKind::Call { tool, description, result, .. } => {
                    let result = result.as_ref().map(|result| (result.text.as_str(), result.failed));
                    (tool.as_str(), description.as_str(), result)
                }
                other => panic!("{other:?}"),
            })
            .collect();
        let expected = [
            ("one", "", Some(("the a", false))),
            ("two", "", Some(("first b", false))),
            ("two", "", Some(("error: second b", true))),
            ("lost", "", None),
            ("", NO_CALL, Some(("nobody asked", false))),
        ];
        assert_eq!(seen, expected);
        assert_eq!(last_error(&transcript.steps).as_deref(), Some("two: error: second b"));
    }

    #[test]
    fn the_source_s_mark_wins_over_the_text() {
        let mut transcript = Transcript::default();
        transcript.call(None, "grep", json!({}));
        transcript.result(Returned {
            text: "Error: in line 3".into(),
            failed: Some(false),
            ..Returned::default()
        });
        assert_eq!(last_error(&transcript.steps), None);
    }
}
