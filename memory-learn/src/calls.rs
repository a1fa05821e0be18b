//! The tool calls of a trace, as contrast and extraction compare them.

use std::borrow::Cow;
use std::hash::{Hash, Hasher};

use memory_core::{Action, StepResult};
use serde_json::Value;

use crate::errors::{NAME, normalise};
use crate::trace::Trace;

/// Calls compared of one trace; of a longer one half of this many from each end.
pub(crate) const MAX_CALLS: usize = 256;
/// Values of arguments that are looked for in errors: shorter ones may be any word, longer ones are no names.
const MIN_PHRASE_BYTES: usize = 4;
const MAX_PHRASE_BYTES: usize = 64;

/// One call of a tool.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Call<'t> {
    /// The number of its step.
    pub(crate) number: u32,
    /// The tool.
    pub(crate) tool: &'t str,
    /// The action.
    pub(crate) action: &'t Action,
}

impl<'t> Call<'t> {
    /// Returns true unless it ended in an error or a timeout.
    pub(crate) fn worked(&self) -> bool {
        self.action.result == StepResult::Success
    }

    /// Returns the error as it came.
    pub(crate) fn raw_error(&self) -> &'t str {
        match self.action.observation.trim() {
            "" if self.action.result == StepResult::Timeout => "timed out",
            "" => "failed without a message",
            text => text,
        }
    }

    /// Returns the normalised error, without the arguments of the call.
    pub(crate) fn error(&self) -> String {
        normalise(&without_arguments(self.raw_error(), self.action))
    }

    /// Returns a hash of tool and arguments, for comparison within one run.
    pub(crate) fn fingerprint(&self) -> u64 {
        let mut hasher = WordHasher::default();
        self.tool.hash(&mut hasher);
        self.action.arguments.0.hash(&mut hasher);
        hasher.finish()
    }

    /// Calls `emit` with the name and the value of each argument.
    pub(crate) fn arguments(&self, mut emit: impl FnMut(&'t str, &'t Value)) {
        match &self.action.arguments.0 {
            Value::Null => {}
            Value::Object(fields) => fields.iter().for_each(|(name, value)| emit(name, value)),
            other => emit("input", other),
        }
    }

    /// Returns one argument.
    pub(crate) fn argument(&self, name: &str) -> Option<&'t Value> {
        match &self.action.arguments.0 {
            Value::Object(fields) => fields.get(name),
            Value::Null => None,
            other => (name == "input").then_some(other),
        }
    }
}

/// Replaces names among an action's arguments by `<name>` where its error contains them. Figures and
/// identifiers have their own placeholders; a lower-case word may be a mode, and the subject of the error.
fn without_arguments<'e>(error: &'e str, action: &Action) -> Cow<'e, str> {
    let Value::Object(fields) = &action.arguments.0 else { return Cow::Borrowed(error) };
    let is_phrase = |value: &&str| {
        (MIN_PHRASE_BYTES..=MAX_PHRASE_BYTES).contains(&value.len())
            && value.starts_with(char::is_uppercase)
            && value.chars().all(|c| c.is_alphabetic() || matches!(c, ' ' | '-' | '\''))
    };
    let mut phrases: Vec<&str> = fields.values().filter_map(Value::as_str).filter(is_phrase).collect();
    // A phrase comes before its parts, whatever the arguments are called.
    phrases.sort_by(|a, b| b.len().cmp(&a.len()).then(a.cmp(b)));
    let mut said = Cow::Borrowed(error);
    for value in phrases {
        let is_whole = |at: &usize| {
            let before = said[..*at].chars().next_back();
            let after = said[*at + value.len()..].chars().next();
            ![before, after].into_iter().flatten().any(|c| c.is_alphanumeric() || c == '_')
        };
        let places: Vec<usize> = said.match_indices(value).map(|(at, _)| at).filter(is_whole).collect();
        if places.is_empty() {
            continue;
        }
        let mut named = String::with_capacity(said.len());
        let mut end = 0;
        for at in places {
            named.push_str(&said[end..at]);
            named.push_str(NAME);
            end = at + value.len();
        }
        named.push_str(&said[end..]);
        said = Cow::Owned(named);
    }
    said
}

/// Hashes eight bytes at a time, as the Rust compiler's own tables do (FxHash): arguments can be long, and an
/// attacker gains nothing from two calls that look the same.
#[derive(Default)]
pub(crate) struct WordHasher(u64);

impl WordHasher {
    fn add(&mut self, word: u64) {
        self.0 = (self.0.rotate_left(5) ^ word).wrapping_mul(0x517c_c1b7_2722_0a95);
    }
}

impl Hasher for WordHasher {
    fn write(&mut self, bytes: &[u8]) {
        let (words, rest) = bytes.as_chunks::<8>();
        words.iter().for_each(|word| self.add(u64::from_le_bytes(*word)));
        rest.iter().for_each(|byte| self.add(u64::from(*byte)));
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

/// Returns the calls of a trace in order, without steps that use no tool.
pub(crate) fn calls(trace: &Trace) -> Vec<Call<'_>> {
    let tools = || {
        trace.steps.iter().filter(|step| !step.action.tool.is_empty()).map(|step| Call {
            number: step.number,
            tool: &step.action.tool,
            action: &step.action,
        })
    };
    let total = tools().count();
    if total <= MAX_CALLS {
        return tools().collect();
    }
    tools().take(MAX_CALLS / 2).chain(tools().skip(total - MAX_CALLS / 2)).collect()
}

/// Returns an argument's value in its usual form: text without quotes, anything else as JSON.
pub(crate) fn value_text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// Renders tools as `a → b → c`.
pub(crate) fn path<'t>(tools: impl IntoIterator<Item = &'t str>) -> String {
    tools.into_iter().collect::<Vec<_>>().join(" → ")
}

#[cfg(test)]
pub(crate) mod tests {
    use memory_core::{Episode, EpisodeId, EpisodeStatus, Outcome, Step, Task, Timestamp};
    use uuid::Uuid;

    use super::*;

    /// Makes a completed trace with this number, a task about booking a flight and these actions.
    pub(crate) fn trace(number: u64, outcome: Outcome, actions: Vec<Action>) -> Trace {
        let id = EpisodeId(Uuid::from_u128(u128::from(number)));
        let at = Timestamp(1_000 + number);
        let task = Task::new(format!("Book flight HAT{number:03} for user_{number:04}"))
            .kind("booking")
            .domain("airline");
        let mut episode = Episode::open(id, task, at);
        episode.status = EpisodeStatus::Completed;
        episode.completed_at = Some(at);
        episode.outcome = Some(outcome);
        let steps = (1..)
            .zip(actions)
            .map(|(number, action)| Step::new(id, number, 0, at, action))
            .collect::<Vec<_>>();
        episode.steps = steps.len() as u32;
        Trace { episode, steps, artifacts: Vec::new() }
    }

    /// Makes a trace of successful calls of these tools.
    pub(crate) fn tools(number: u64, outcome: Outcome, tools: &str) -> Trace {
        trace(number, outcome, tools.split_whitespace().map(Action::tool).collect())
    }

    #[test]
    fn what_it_was_called_with_is_no_part_of_an_error() {
        let check = |arguments: Value, error: &str, expected: &str| {
            let action = Action::tool("book").arguments(arguments).error(error);
            let call = Call { number: 1, tool: "book", action: &action };
            assert_eq!(call.error(), expected, "{error}");
        };
        let guide =
            serde_json::json!({"language": "Polish", "what": "Oil portrait", "time": "10:00", "of": "at"});
        check(guide.clone(), "no Polish guide at 10:00", "no <name> guide at <n>");
        check(guide.clone(), "the Oil portrait is away", "the <name> is away");
        check(guide, "Polishing is not allowed", "polishing is not allowed");
        let cities = serde_json::json!({"city": "York", "full": "New York"});
        check(cities, "the New York branch is shut", "the <name> branch is shut");
        check(serde_json::json!({"method": "voucher"}), "voucher 123 expired", "voucher <n> expired");
        check(serde_json::json!(["Polish"]), "no Polish guide", "no polish guide");
    }

    pub(crate) fn success() -> Outcome {
        Outcome::success("done")
    }

    pub(crate) fn failure() -> Outcome {
        Outcome::failure("not done")
    }

    #[test]
    fn long_traces_keep_both_ends() {
        let actions = (0..1_000).map(|n| Action::tool(format!("t{n}"))).collect();
        let trace = trace(1, success(), actions);
        let calls = calls(&trace);
        assert_eq!(calls.len(), MAX_CALLS);
        assert_eq!((calls[0].number, calls[MAX_CALLS - 1].number), (1, 1_000));
        assert!(calls.is_sorted_by_key(|call| call.number));
    }

    #[test]
    fn steps_without_a_tool_are_no_calls() {
        assert!(calls(&trace(1, success(), vec![Action::note("hello")])).is_empty());
    }

    #[test]
    fn fingerprints_tell_calls_apart() {
        let of = |tool: &str, arguments: Value| {
            let trace = trace(1, success(), vec![Action::tool(tool).arguments(arguments)]);
            calls(&trace)[0].fingerprint()
        };
        let long = |end: &str| serde_json::json!({"text": "x".repeat(100) + end, "n": 1});
        assert_eq!(of("a", long("y")), of("a", long("y")));
        for other in [of("b", long("y")), of("a", long("z")), of("a", long("")), of("a", Value::Null)] {
            assert_ne!(of("a", long("y")), other);
        }
    }
}
