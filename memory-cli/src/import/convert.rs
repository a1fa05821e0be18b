//! Normalised trajectories as recordings of a memory.

use std::io::Cursor;
use std::ops::ControlFlow;

use agent_memory::redaction::Redactor;
use agent_memory::{Action, Limits, Outcome, Recording, Role, Step, StepResult, Task, Timestamp};
use memory_import::{Evidence, Format, Sink, Speaker, StepKind, ToolResult, Trajectory, Verdict};
use serde_json::{Map, Value, json};

/// What a call observed whose result the source does not have.
const NO_RESULT: &str = "(the source has no result)";

/// What trajectories that do not say are.
#[derive(Debug, Clone, Default)]
pub(crate) struct Defaults {
    pub(crate) domain: Option<String>,
    pub(crate) agent: Option<String>,
    /// The sizes that texts are cut to.
    pub(crate) limits: Limits,
    /// Redacts texts before they are cut.
    pub(crate) redactor: Redactor,
}

/// An episode to record.
#[derive(Debug)]
pub(crate) struct Converted {
    pub(crate) recording: Recording,
    /// Texts that were too long and were cut.
    pub(crate) truncated: u64,
}

/// Makes a recording of a trajectory.
pub(crate) fn recording(trajectory: Trajectory, defaults: &Defaults) -> Converted {
    let mut cutter = Cutter { defaults, truncated: 0 };
    let limits = &defaults.limits;
    let (mut outcome, confidence) = outcome(&trajectory.outcome);
    for text in outcome.texts_mut() {
        *text = cutter.cut(std::mem::take(text), limits.outcome_chars);
    }
    let labels = trajectory.labels;
    let mut attributes = trajectory.attributes;
    if let Some(project) = labels.project {
        attributes.insert("code.workspace".into(), project.into());
    }
    // Where the verdict was inferred, what it rests on is kept with the task.
    let stated = matches!(trajectory.outcome.evidence[..], [] | [Evidence::Reward(_)]);
    if !stated {
        attributes.insert("memory.outcome.evidence".into(), json!(trajectory.outcome.evidence));
    }
    let mut task = Task::new(cutter.cut(trajectory.prompt, limits.description_chars));
    task.kind = labels.kind;
    task.domain = labels.domain.or_else(|| defaults.domain.clone());
    task.agent = labels.agent.or_else(|| defaults.agent.clone());
    task.tags = labels.tags;
    task.correlation_id = labels.correlation_id;
    if let Some(parent) = trajectory.parent {
        attributes.insert("memory.parent.source_key".into(), parent.into());
    }
    if !attributes.is_empty() {
        task = task.attributes(fitting(attributes));
    }
    // A trajectory may have more steps than an episode: the first ones are what later tasks are like.
    let steps = trajectory.steps.into_iter().take(limits.steps as usize);
    let actions = steps.map(|step| action(step, &mut cutter)).collect();
    let mut recording = Recording::new(trajectory.key, task, outcome).actions(actions).confidence(confidence);
    recording.at = trajectory.at_ms.and_then(|at| u64::try_from(at).ok()).map(Timestamp);
    Converted { recording, truncated: cutter.truncated }
}

/// Leaves out attributes that together are larger than a memory takes, the largest first.
fn fitting(mut attributes: Map<String, Value>) -> Value {
    const MOST: usize = 16 << 10;
    loop {
        let sizes: Vec<(usize, String)> =
            attributes.iter().map(|(name, value)| (value.to_string().len(), name.clone())).collect();
        let total: usize = sizes.iter().map(|(size, name)| size + name.len() + 8).sum();
        let Some((_, largest)) = sizes.into_iter().max().filter(|_| total > MOST) else {
            return Value::Object(attributes);
        };
        attributes.remove(&largest);
    }
}

fn action(step: memory_import::Step, cutter: &mut Cutter<'_>) -> Action {
    let limits = &cutter.defaults.limits;
    let mut action = match step.kind {
        StepKind::Message { speaker, text } => {
            let text = cutter.cut(text, limits.observation_chars);
            match speaker {
                Speaker::User => Action::message(Role::User, text),
                Speaker::Agent => Action::message(Role::Assistant, text),
                Speaker::Other(name) => Action::message(Role::Other, text).description(name),
            }
        }
        StepKind::Call { tool, description, arguments, result } => {
            let mut action =
                Action::tool(tool).description(cutter.cut(description, limits.description_chars));
            if !arguments.is_null() {
                action = action.arguments(arguments);
            }
            match result {
                None => action.observation(NO_RESULT).timeout(),
                Some(ToolResult { text, failed }) => {
                    let text = cutter.cut(text, limits.observation_chars);
                    if failed { action.error(text) } else { action.observation(text) }
                }
            }
        }
    };
    action.duration_ms = step.duration_ms;
    action.tokens = step.tokens;
    action
}

/// Returns the outcome of a trajectory, and how likely it is right. What nobody knows stays unknown.
pub(crate) fn outcome(found: &memory_import::Outcome) -> (Outcome, f64) {
    let summary = found.summary.clone();
    let outcome = match found.verdict {
        None => return (Outcome::unknown(summary), 1.0),
        Some(Verdict::Success) => Outcome::success(summary),
        Some(Verdict::Partial(fraction)) => Outcome::Partial { fraction: fraction.clamp(0.0, 1.0), summary },
        Some(Verdict::Abandoned) => Outcome::abstained(summary),
        Some(Verdict::Failure) => {
            // Nobody said why: the last error and the last words are all that the source has.
            let mut outcome = Outcome::failure("");
            if let Some(error) = &found.last_error {
                outcome = outcome.last_error(error);
            }
            if summary.is_empty() { outcome } else { outcome.last_message(summary) }
        }
    };
    (outcome, found.confidence.clamp(0.0, 1.0))
}

/// Returns steps of an episode as those of a trajectory, for what is inferred from them.
pub(crate) fn normalized(steps: &[Step]) -> Vec<memory_import::Step> {
    let mut normalized = Vec::with_capacity(steps.len());
    for step in steps {
        let action = &step.action;
        let kind = match action.role {
            Some(role) => {
                let speaker = match role {
                    Role::User => Speaker::User,
                    Role::Assistant => Speaker::Agent,
                    Role::Other => Speaker::Other(action.description.clone()),
                };
                StepKind::Message { speaker, text: action.observation.clone() }
            }
            None if action.tool.is_empty() => continue,
            None => {
                let failed = action.result != StepResult::Success;
                StepKind::Call {
                    tool: action.tool.clone(),
                    description: action.description.clone(),
                    arguments: action.arguments.0.clone(),
                    result: Some(ToolResult { text: action.observation.clone(), failed }),
                }
            }
        };
        let at_ms = i64::try_from(step.at.0).ok();
        let (duration_ms, tokens) = (action.duration_ms, action.tokens);
        normalized.push(memory_import::Step { kind, at_ms, duration_ms, tokens });
    }
    normalized
}

/// Reads the one conversation in a line of JSON Lines.
#[cfg_attr(not(feature = "eval"), expect(dead_code, reason = "evaluations read lines one by one"))]
pub(crate) fn parse(line: &[u8], defaults: &Defaults) -> Result<Converted, String> {
    let mut found = Found::default();
    memory_import::read(Format::Chat, &mut Cursor::new(line), &mut found)
        .map_err(|error| error.to_string())?;
    match (found.trajectories.pop(), found.bad.pop()) {
        (Some(trajectory), _) => Ok(recording(trajectory, defaults)),
        (None, Some((_, reason))) => Err(reason),
        (None, None) => Err("the line is empty".into()),
    }
}

/// Keeps all that is read.
#[derive(Debug, Default)]
pub(crate) struct Found {
    pub(crate) trajectories: Vec<Trajectory>,
    pub(crate) bad: Vec<(u64, String)>,
}

impl Sink for Found {
    fn trajectory(&mut self, _line: u64, trajectory: Trajectory) -> ControlFlow<()> {
        self.trajectories.push(trajectory);
        ControlFlow::Continue(())
    }

    fn bad(&mut self, line: u64, reason: String) -> ControlFlow<()> {
        self.bad.push((line, reason));
        ControlFlow::Continue(())
    }

    fn skipped(&mut self, _kind: &str) {}

    fn progress(&mut self, _bytes: u64) {}
}

/// Texts cut to the limits, with a mark that says so.
struct Cutter<'d> {
    defaults: &'d Defaults,
    truncated: u64,
}

impl Cutter<'_> {
    fn cut(&mut self, text: String, limit: usize) -> String {
        if text.len() <= limit || text.chars().count() <= limit {
            return text;
        }
        let mut redacted = text;
        self.defaults.redactor.redact_text(&mut redacted);
        if redacted.chars().count() > limit {
            self.truncated += 1;
        }
        cut_redacted(redacted, 0, limit)
    }
}

/// Cuts a text to so many characters, after redaction: no rule knows the first half of a secret.
pub(crate) fn cut(text: &str, limit: usize, redactor: &Redactor) -> String {
    if text.len() <= limit || text.chars().count() <= limit {
        return text.to_owned();
    }
    // Of a text of megabytes only the start can be kept; a secret across this edge is cut away with it below.
    const READ: usize = 4;
    let mut start: String = text.chars().take(limit.saturating_mul(READ)).collect();
    let left_out = text.chars().count() - start.chars().count();
    redactor.redact_text(&mut start);
    cut_redacted(start, left_out, limit)
}

/// Cuts a text of which `left_out` characters are cut already.
fn cut_redacted(text: String, left_out: usize, limit: usize) -> String {
    let found = text.chars().count() + left_out;
    if found <= limit {
        return text;
    }
    // The mark is at most as long as it is for the largest number it could show.
    let room = limit.saturating_sub(mark(found).chars().count());
    let end = text.char_indices().nth(room).map_or(text.len(), |(at, _)| at);
    let end = before_redaction(&text, end);
    let mut kept = text[..end].to_owned();
    kept.push_str(&mark(text[end..].chars().count() + left_out));
    kept
}

/// Moves a cut that falls into a redaction's mark to its start: half a mark is no mark to later passes.
fn before_redaction(text: &str, end: usize) -> usize {
    // A mark starts at most its own length before its end: the prefix, a name of 64 bytes and a bracket.
    const START: &str = "[REDACTED:";
    let mut from = end.saturating_sub(START.len() + 65);
    while !text.is_char_boundary(from) {
        from += 1;
    }
    let mut after = (end + START.len() - 1).min(text.len());
    while !text.is_char_boundary(after) {
        after -= 1;
    }
    let Some(start) = text[from..after].rfind(START).map(|at| from + at) else { return end };
    let closed = text[start..end].contains(']');
    if closed { end } else { start }
}

fn mark(characters: usize) -> String {
    format!("… [truncated {characters} characters]")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_texts_are_cut_to_the_limit_with_a_mark() {
        let defaults = Defaults::default();
        let mut cutter = Cutter { defaults: &defaults, truncated: 0 };
        assert_eq!(cutter.cut("ä".repeat(10_000), 10_000).chars().count(), 10_000);
        assert_eq!(cutter.truncated, 0);
        let cut = cutter.cut("ä".repeat(12_345), 10_000);
        assert!(cut.chars().count() <= 10_000);
        let kept = cut.chars().filter(|c| *c == 'ä').count();
        assert!(cut.ends_with(&format!("… [truncated {} characters]", 12_345 - kept)));
        assert_eq!(cutter.truncated, 1);
    }

    #[test]
    fn a_secret_across_the_cut_is_redacted_before_the_cut() {
        let token = format!("ghp_{}", "aB3dE5fG7h".repeat(4)).chars().take(40).collect::<String>();
        for room in 9_900..10_000 {
            let text = format!("{} {token} {}", "x".repeat(room - 1), "y ".repeat(200));
            let cut = cut(&text, 10_000, &Redactor::default());
            assert!(!cut.contains("ghp_"), "the token starts at {room}");
            let open = cut.matches("[REDACTED").count();
            let whole = cut.matches("[REDACTED:github-token]").count();
            assert_eq!(open, whole, "a mark was cut: {:?}", &cut[cut.len() - 80..]);
            assert!(cut.chars().count() <= 10_000);
        }
    }
}
