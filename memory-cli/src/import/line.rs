//! Common parts of all formats of lines.

use agent_memory::redaction::Redactor;
use agent_memory::{Limits, Recording, Task};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

/// Why a line is bad.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct BadLine(pub(crate) String);

/// Defaults for fields that a line lacks.
#[derive(Debug, Clone, Default)]
pub(crate) struct Defaults {
    pub(crate) domain: Option<String>,
    pub(crate) agent: Option<String>,
    /// The sizes that texts are cut to.
    pub(crate) limits: Limits,
    /// Redacts texts before they are cut.
    pub(crate) redactor: Redactor,
}

/// An episode read from a line.
#[derive(Debug)]
pub(crate) struct Parsed {
    pub(crate) recording: Recording,
    /// Texts that were too long and were cut.
    pub(crate) truncated: u64,
}

/// Labels that a line of either shape may have.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Labels {
    kind: Option<String>,
    domain: Option<String>,
    agent: Option<String>,
    #[serde(default)]
    tags: Vec<String>,
}

impl Labels {
    pub(super) fn apply(self, mut task: Task, kind: &str, defaults: &Defaults) -> Task {
        task = task.kind(self.kind.as_deref().unwrap_or(kind));
        if let Some(domain) = self.domain.or_else(|| defaults.domain.clone()) {
            task = task.domain(domain);
        }
        if let Some(agent) = self.agent.or_else(|| defaults.agent.clone()) {
            task = task.agent(agent);
        }
        self.tags.into_iter().fold(task, Task::tag)
    }
}

/// Returns the reason without "at line 1", which is not the line of the file.
pub(super) fn reason(error: &serde_json::Error) -> String {
    error.to_string().replace(" at line 1 column ", " at column ")
}

/// Reads the fields of a line, and its labels; an error names the field.
pub(super) fn read_fields<T: DeserializeOwned>(line: Value, what: &str) -> Result<(T, Labels), BadLine> {
    let bad = |error: serde_path_to_error::Error<serde_json::Error>| {
        let (field, reason) = (error.path().to_string(), reason(error.inner()));
        // The types are not those of this program but of JSON.
        let reason = reason
            .replace("expected f64", "expected a number")
            .replace("expected a sequence", "expected a list");
        let field = if field == "." { String::new() } else { format!("{field}: ") };
        BadLine(format!("{what}: {field}{reason}"))
    };
    let labels = serde_path_to_error::deserialize(&line).map_err(bad)?;
    Ok((serde_path_to_error::deserialize(line).map_err(bad)?, labels))
}

/// Texts cut to the limits, with a mark.
///
/// A text is redacted before it is cut: no rule knows the first half of a secret.
#[derive(Debug, Default)]
pub(super) struct Cutter {
    limits: Limits,
    redactor: Redactor,
    pub(super) truncated: u64,
}

impl Cutter {
    pub(super) fn new(defaults: &Defaults) -> Self {
        Self { limits: defaults.limits.clone(), redactor: defaults.redactor.clone(), truncated: 0 }
    }

    /// Cuts the observation of a step.
    pub(super) fn observation(&mut self, text: String) -> String {
        self.cut(text, self.limits.observation_chars)
    }

    /// Cuts a description.
    pub(super) fn description(&mut self, text: String) -> String {
        self.cut(text, self.limits.description_chars)
    }

    /// Cuts the text of an outcome.
    pub(super) fn outcome(&mut self, text: String) -> String {
        self.cut(text, self.limits.outcome_chars)
    }

    fn cut(&mut self, mut text: String, limit: usize) -> String {
        if text.len() <= limit || text.chars().count() <= limit {
            return text;
        }
        self.redactor.redact_text(&mut text);
        let found = text.chars().count();
        if found <= limit {
            return text;
        }
        self.truncated += 1;
        // The mark is at most as long as it is for the largest number it could show.
        let room = limit.saturating_sub(mark(found).chars().count());
        let end = text.char_indices().nth(room).map_or(text.len(), |(at, _)| at);
        let end = before_redaction(&text, end);
        let mut kept = text[..end].to_owned();
        kept.push_str(&mark(text[end..].chars().count()));
        kept
    }
}

/// Moves a cut that falls into a redaction's mark to its start: half a mark is no mark to later passes.
fn before_redaction(text: &str, end: usize) -> usize {
    // A mark starts at most its own length before its end: the prefix, a name of 64 bytes and a bracket.
    const START: &str = "[REDACTED:";
    let mut from = end.saturating_sub(START.len() + 65);
    while !text.is_char_boundary(from) {
        from += 1;
    }
    let mut behind = (end + START.len() - 1).min(text.len());
    while !text.is_char_boundary(behind) {
        behind -= 1;
    }
    let Some(start) = text[from..behind].rfind(START).map(|at| from + at) else { return end };
    let closed = text[start..end].contains(']');
    if closed { end } else { start }
}

fn mark(characters: usize) -> String {
    format!("… [truncated {characters} characters]")
}

/// Returns a scalar as text: ids are numbers in one source and strings in another.
pub(super) fn scalar(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()).filter(|text| !text.is_empty()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_texts_are_cut_to_the_limit_with_a_mark() {
        let mut cutter = Cutter::default();
        assert_eq!(cutter.observation("ä".repeat(10_000)).chars().count(), 10_000);
        assert_eq!(cutter.truncated, 0);
        let cut = cutter.observation("ä".repeat(12_345));
        assert!(cut.chars().count() <= 10_000);
        let kept = cut.chars().filter(|c| *c == 'ä').count();
        assert!(cut.ends_with(&format!("… [truncated {} characters]", 12_345 - kept)));
        assert_eq!(cutter.truncated, 1);
    }

    #[test]
    fn a_secret_across_the_cut_is_redacted_before_the_cut() {
        let token = format!("ghp_{}", "aB3dE5fG7h".repeat(4)).chars().take(40).collect::<String>();
        for room in 9_900..10_000 {
            let mut cutter = Cutter::default();
            let text = format!("{} {token} {}", "x".repeat(room - 1), "y ".repeat(200));
            let cut = cutter.observation(text);
            assert!(!cut.contains("ghp_"), "the token starts at {room}");
            let open = cut.matches("[REDACTED").count();
            let whole = cut.matches("[REDACTED:github-token]").count();
            assert_eq!(open, whole, "a mark was cut: {:?}", &cut[cut.len() - 80..]);
            assert!(cut.chars().count() <= 10_000);
        }
    }
}
