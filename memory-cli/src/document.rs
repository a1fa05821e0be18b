//! The JSON documents that `memory episode` reads: a task, a step, an artifact, an outcome, or an episode as a whole.

use std::collections::BTreeMap;
use std::io::Read;

use agent_memory::{
    Action, Complexity, EpisodeId, NewArtifact, Outcome, Quality, Recording, Role, StepResult, Task,
    Timestamp,
};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::failure::{Exit, Failure};

/// The most that is read from standard input, in bytes: above the largest episode that a memory takes.
const MAX_INPUT_BYTES: u64 = 32 << 20;

/// Reads one document from standard input.
pub(crate) fn from_stdin<T: DeserializeOwned>(what: &'static str) -> Result<T, Failure> {
    let mut text = String::new();
    let failed = |message: String| Failure::Command {
        exit: Exit::Usage,
        kind: "invalid-input",
        message,
        hint: Some("docs/cli.md shows the documents".into()),
    };
    let read = std::io::stdin().lock().take(MAX_INPUT_BYTES + 1).read_to_string(&mut text);
    read.map_err(|error| failed(format!("cannot read standard input: {error}")))?;
    if text.len() as u64 > MAX_INPUT_BYTES {
        return Err(failed(format!("standard input is larger than {} MiB", MAX_INPUT_BYTES >> 20)));
    }
    parse(&text).map_err(|problem| failed(format!("not {what}: {problem}")))
}

/// Parses a document; the error names the field.
fn parse<T: DeserializeOwned>(text: &str) -> Result<T, String> {
    let mut input = serde_json::Deserializer::from_str(text);
    let document = serde_path_to_error::deserialize(&mut input).map_err(|error| {
        let path = error.path().to_string();
        let reason = error.inner().to_string();
        if path == "." { reason } else { format!("{path}: {reason}") }
    })?;
    input.end().map_err(|error| error.to_string())?;
    Ok(document)
}

/// A task: its description alone, or with labels.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct TaskDocument {
    pub(crate) description: String,
    pub(crate) kind: Option<String>,
    pub(crate) domain: Option<String>,
    pub(crate) language: Option<String>,
    pub(crate) framework: Option<String>,
    #[serde(default)]
    pub(crate) tags: Vec<String>,
    #[serde(default)]
    pub(crate) complexity: Complexity,
    pub(crate) agent: Option<String>,
    pub(crate) correlation_id: Option<String>,
    pub(crate) parent: Option<EpisodeId>,
    #[serde(default)]
    pub(crate) attributes: Value,
}

impl From<TaskDocument> for Task {
    fn from(document: TaskDocument) -> Self {
        let mut task = Task::new(document.description).complexity(document.complexity);
        task.kind = document.kind;
        task.domain = document.domain;
        task.language = document.language;
        task.framework = document.framework;
        task.tags = document.tags;
        task.agent = document.agent;
        task.correlation_id = document.correlation_id;
        task.parent = document.parent;
        task.attributes(document.attributes)
    }
}

/// A step: a call of a tool, a message (`role`), or a note.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct StepDocument {
    #[serde(default)]
    pub(crate) tool: String,
    #[serde(default)]
    pub(crate) description: String,
    #[serde(default)]
    pub(crate) arguments: Value,
    #[serde(default)]
    pub(crate) observation: String,
    pub(crate) role: Option<Role>,
    #[serde(default)]
    pub(crate) result: StepResult,
    pub(crate) duration_ms: Option<u64>,
    pub(crate) tokens: Option<u64>,
    #[serde(default)]
    pub(crate) attributes: Value,
}

impl From<StepDocument> for Action {
    fn from(document: StepDocument) -> Self {
        let mut action = Action::tool(document.tool)
            .description(document.description)
            .arguments(document.arguments)
            .observation(document.observation)
            .attributes(document.attributes);
        action.role = document.role;
        action.result = document.result;
        action.duration_ms = document.duration_ms;
        action.tokens = document.tokens;
        action
    }
}

/// Something that an episode produced.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ArtifactDocument {
    pub(crate) name: String,
    #[serde(default)]
    pub(crate) content: String,
    pub(crate) media_type: Option<String>,
    pub(crate) language: Option<String>,
    pub(crate) lines_added: Option<u32>,
    pub(crate) lines_removed: Option<u32>,
    #[serde(default)]
    pub(crate) quality: QualityDocument,
    #[serde(default)]
    pub(crate) attributes: Value,
}

/// How good an artifact is.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct QualityDocument {
    pub(crate) tests_passed: Option<u32>,
    pub(crate) tests_failed: Option<u32>,
    pub(crate) lint_findings: Option<u32>,
    pub(crate) review_score: Option<f64>,
    pub(crate) accepted: Option<bool>,
    #[serde(default)]
    pub(crate) measures: BTreeMap<String, f64>,
}

impl From<QualityDocument> for Quality {
    fn from(document: QualityDocument) -> Self {
        let mut quality = Self::default();
        quality.tests_passed = document.tests_passed;
        quality.tests_failed = document.tests_failed;
        quality.lint_findings = document.lint_findings;
        quality.review_score = document.review_score;
        quality.accepted = document.accepted;
        quality.measures = document.measures;
        quality
    }
}

impl From<ArtifactDocument> for NewArtifact {
    fn from(document: ArtifactDocument) -> Self {
        let mut artifact = NewArtifact::new(document.name, document.content)
            .quality(document.quality.into())
            .attributes(document.attributes);
        if let Some(media_type) = document.media_type {
            artifact = artifact.media_type(media_type);
        }
        artifact.language = document.language;
        artifact.lines_added = document.lines_added;
        artifact.lines_removed = document.lines_removed;
        artifact
    }
}

/// How an episode ended. `confidence` is below 1 where that was inferred.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct OutcomeDocument {
    pub(crate) verdict: Verdict,
    #[serde(default)]
    pub(crate) summary: String,
    pub(crate) fraction: Option<f64>,
    pub(crate) last_error: Option<String>,
    pub(crate) last_message: Option<String>,
    pub(crate) confidence: Option<f64>,
}

/// The verdicts, as the command line and documents name them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Verdict {
    /// The task was done
    Success,
    /// A part of it was done (--fraction)
    Partial,
    /// It was not done
    Failure,
    /// The agent declined or was told to stop
    Abstained,
    /// Nobody knows; nothing is learned from it
    Unknown,
}

impl OutcomeDocument {
    /// Returns the outcome, and how likely it is right.
    pub(crate) fn outcome(self) -> Result<(Outcome, f64), Failure> {
        let mut outcome = match (self.verdict, self.fraction) {
            (Verdict::Partial, Some(fraction)) => Outcome::partial(fraction, self.summary)?,
            (Verdict::Partial, None) => {
                let hint = "say which share was done, in 0 to 1";
                return Err(Failure::usage("outcome.fraction: missing for a partial outcome", hint));
            }
            (_, Some(fraction)) => {
                let message = format!("outcome.fraction: {fraction}, but the outcome is not partial");
                return Err(Failure::usage(message, "leave it out, or say that the outcome is partial"));
            }
            (Verdict::Success, None) => Outcome::success(self.summary),
            (Verdict::Failure, None) => Outcome::failure(self.summary),
            (Verdict::Abstained, None) => Outcome::abstained(self.summary),
            (Verdict::Unknown, None) => Outcome::unknown(self.summary),
        };
        if let Some(error) = self.last_error {
            outcome = outcome.last_error(error);
        }
        if let Some(message) = self.last_message {
            outcome = outcome.last_message(message);
        }
        Ok((outcome, self.confidence.unwrap_or(1.0)))
    }
}

/// A finished episode.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct EpisodeDocument {
    /// Identifies it: recording it again changes nothing. Without one each recording is another episode.
    source_key: Option<String>,
    task: TaskDocument,
    #[serde(default)]
    steps: Vec<StepDocument>,
    #[serde(default)]
    artifacts: Vec<ArtifactDocument>,
    outcome: OutcomeDocument,
    /// When it was done, in milliseconds since 1970.
    at_ms: Option<u64>,
}

impl EpisodeDocument {
    pub(crate) fn recording(self) -> Result<Recording, Failure> {
        let (outcome, confidence) = self.outcome.outcome()?;
        let source_key = self.source_key.unwrap_or_else(|| format!("episode:{}", uuid::Uuid::new_v4()));
        let recording = Recording::new(source_key, self.task, outcome)
            .actions(self.steps.into_iter().map(Into::into).collect())
            .artifacts(self.artifacts.into_iter().map(Into::into).collect())
            .confidence(confidence);
        Ok(match self.at_ms {
            Some(at) => recording.at(Timestamp(at)),
            None => recording,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn documents_are_read_strictly() {
        let check = |text: &str, expected: &str| {
            let error = parse::<EpisodeDocument>(text).unwrap_err();
            assert!(error.contains(expected), "{error} does not say {expected:?}");
        };
        check(
            r#"{"task": {"description": "x", "kidn": "y"}, "outcome": {"verdict": "success"}}"#,
            "task.kidn",
        );
        check(r#"{"task": {"description": "x"}, "outcome": {"verdict": "good"}}"#, "outcome.verdict");
        check(
            r#"{"task": {"description": "x"}, "steps": [{"tokens": -1}], "outcome": {"verdict": "success"}}"#,
            "steps[0].tokens",
        );
        check(r#"{"task": {"description": "x"}, "outcome": {"verdict": "success"}} more"#, "trailing");
    }

    #[test]
    fn a_fraction_belongs_to_a_partial_outcome() {
        let outcome = |text: &str| parse::<OutcomeDocument>(text).unwrap().outcome();
        assert!(outcome(r#"{"verdict": "partial"}"#).is_err());
        assert!(outcome(r#"{"verdict": "success", "fraction": 0.5}"#).is_err());
        let (partial, confidence) =
            outcome(r#"{"verdict": "partial", "fraction": 0.5, "confidence": 0.6}"#).unwrap();
        assert_eq!((partial.success_share(), confidence), (0.5, 0.6));
    }
}
