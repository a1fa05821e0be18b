//! The flags of `memory episode`.

use std::path::PathBuf;

use agent_memory::{Complexity, EpisodeId, Role};
use clap::{Args, Subcommand, ValueEnum};
use serde_json::Value;

use crate::document::Verdict;

#[derive(Debug, Subcommand)]
pub(crate) enum EpisodeCommand {
    /// Start an episode and print its id
    Start(StartArgs),
    /// Log a step of an open episode: a call of a tool, a message or a note
    Step(StepArgs),
    /// Record something that an open episode produced
    Artifact(ArtifactArgs),
    /// Complete an open episode, and learn from it
    Complete(CompleteArgs),
    /// Say what became known of a completed episode: acceptance, a review, tests that ran later, a corrected outcome
    ///
    /// Its reward and what it taught are computed again. Feedback with the same key replaces the one before.
    Feedback(FeedbackArgs),
    /// Record a finished episode from one JSON document on standard input, and learn from it
    ///
    /// {"source_key", "task": {"description", "kind", …}, "steps": [{"tool", "arguments", "observation", "result", …}],
    /// "artifacts": [{"name", "content", "quality", …}], "outcome": {"verdict", "summary", …}, "at_ms"}. With a source key,
    /// recording it again changes nothing.
    Record {
        /// Do not learn from it: that is left to the next process that has the memory open
        #[arg(long)]
        no_learn: bool,
    },
}

#[derive(Debug, Args)]
pub(crate) struct StartArgs {
    /// What was asked, in words; `-` reads one JSON document from standard input in place of all flags:
    /// {"description", "kind", "domain", "language", "framework", "tags", "complexity", "agent", "correlation_id", "parent",
    /// "attributes"}
    #[arg(required = true, value_name = "TEXT")]
    pub(crate) text: Vec<String>,
    /// The kind of work
    #[arg(long, value_name = "K")]
    pub(crate) kind: Option<String>,
    /// The subject area
    #[arg(long, value_name = "D")]
    pub(crate) domain: Option<String>,
    /// The programming or natural language
    #[arg(long, value_name = "L")]
    pub(crate) language: Option<String>,
    /// The framework or product
    #[arg(long, value_name = "F")]
    pub(crate) framework: Option<String>,
    /// A label; may be given several times
    #[arg(long, value_name = "T")]
    pub(crate) tag: Vec<String>,
    /// How much work it is
    #[arg(long, default_value = "moderate")]
    pub(crate) complexity: ComplexityArg,
    /// Which agent does it
    #[arg(long, value_name = "A")]
    pub(crate) agent: Option<String>,
    /// Your own key for this run (a trace, a ticket)
    #[arg(long, value_name = "KEY")]
    pub(crate) correlation_id: Option<String>,
    /// The episode that started this one
    #[arg(long, value_name = "ID")]
    pub(crate) parent: Option<EpisodeId>,
    /// Facts without a flag, as a JSON object
    #[arg(long, value_name = "JSON", value_parser = json)]
    pub(crate) attributes: Option<Value>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum ComplexityArg {
    Simple,
    Moderate,
    Complex,
}

impl From<ComplexityArg> for Complexity {
    fn from(complexity: ComplexityArg) -> Self {
        match complexity {
            ComplexityArg::Simple => Self::Simple,
            ComplexityArg::Moderate => Self::Moderate,
            ComplexityArg::Complex => Self::Complex,
        }
    }
}

#[derive(Debug, Args)]
pub(crate) struct StepArgs {
    /// The episode
    #[arg(value_name = "ID")]
    pub(crate) id: EpisodeId,
    /// Read one JSON document from standard input in place of the flags: {"tool", "description", "arguments",
    /// "observation", "role", "result": "success|error|timeout", "duration_ms", "tokens", "attributes"}
    #[arg(long, conflicts_with_all = ["tool", "description", "arguments", "observation", "error", "timeout", "role", "duration_ms", "tokens"])]
    pub(crate) stdin: bool,
    /// The tool called
    #[arg(long, value_name = "T")]
    pub(crate) tool: Option<String>,
    /// What was done, in words
    #[arg(long, value_name = "TEXT", allow_hyphen_values = true)]
    pub(crate) description: Option<String>,
    /// The arguments of the call, as JSON
    #[arg(long, value_name = "JSON", value_parser = json)]
    pub(crate) arguments: Option<Value>,
    /// What came back, or what was said
    #[arg(long, value_name = "TEXT", allow_hyphen_values = true, conflicts_with = "error")]
    pub(crate) observation: Option<String>,
    /// The error: the step failed
    #[arg(long, value_name = "TEXT", allow_hyphen_values = true)]
    pub(crate) error: Option<String>,
    /// The step was given up on
    #[arg(long, conflicts_with = "error")]
    pub(crate) timeout: bool,
    /// Who says the message that --observation is
    #[arg(long, value_name = "WHO", requires = "observation")]
    pub(crate) role: Option<RoleArg>,
    /// How long it took, in milliseconds
    #[arg(long, value_name = "MS")]
    pub(crate) duration_ms: Option<u64>,
    /// Model tokens it cost
    #[arg(long, value_name = "N")]
    pub(crate) tokens: Option<u64>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum RoleArg {
    User,
    Assistant,
    Other,
}

impl From<RoleArg> for Role {
    fn from(role: RoleArg) -> Self {
        match role {
            RoleArg::User => Self::User,
            RoleArg::Assistant => Self::Assistant,
            RoleArg::Other => Self::Other,
        }
    }
}

#[derive(Debug, Args)]
pub(crate) struct ArtifactArgs {
    /// The episode
    #[arg(value_name = "ID")]
    pub(crate) id: EpisodeId,
    /// Read one JSON document from standard input in place of the flags: {"name", "content", "media_type", "language",
    /// "lines_added", "lines_removed", "quality": {"tests_passed", "tests_failed", "lint_findings", "review_score",
    /// "accepted", "measures": {NAME: NUMBER}}, "attributes"}
    #[arg(long, conflicts_with_all = ["name", "file", "media_type", "language", "lines_added", "lines_removed", "MeasureArgs"])]
    pub(crate) stdin: bool,
    /// Its name: a path, a title
    #[arg(long, value_name = "NAME", required_unless_present = "stdin")]
    pub(crate) name: Option<String>,
    /// The file that has its content [default: no content, the measures alone]
    #[arg(long, value_name = "FILE")]
    pub(crate) file: Option<PathBuf>,
    /// Its media type [default: text/plain]
    #[arg(long, value_name = "TYPE")]
    pub(crate) media_type: Option<String>,
    /// The programming or natural language
    #[arg(long, value_name = "L")]
    pub(crate) language: Option<String>,
    /// Lines that it adds
    #[arg(long, value_name = "N")]
    pub(crate) lines_added: Option<u32>,
    /// Lines that it removes
    #[arg(long, value_name = "N")]
    pub(crate) lines_removed: Option<u32>,
    #[command(flatten)]
    pub(crate) measures: MeasureArgs,
}

#[derive(Debug, Args)]
pub(crate) struct CompleteArgs {
    /// The episode
    #[arg(value_name = "ID")]
    pub(crate) id: EpisodeId,
    /// Read one JSON document from standard input in place of the flags: {"verdict", "summary", "fraction", "last_error",
    /// "last_message", "confidence"}
    #[arg(long, conflicts_with_all = ["outcome", "summary", "fraction", "last_error", "confidence"])]
    pub(crate) stdin: bool,
    /// How it ended
    #[arg(long, value_name = "VERDICT", required_unless_present = "stdin")]
    pub(crate) outcome: Option<Verdict>,
    /// What was achieved, or why it failed
    #[arg(long, value_name = "TEXT", allow_hyphen_values = true)]
    pub(crate) summary: Option<String>,
    /// Of a partial outcome: the share that was done, in 0 to 1
    #[arg(long, value_name = "F")]
    pub(crate) fraction: Option<f64>,
    /// Of a failure: the last error that the agent met
    #[arg(long, value_name = "TEXT", allow_hyphen_values = true)]
    pub(crate) last_error: Option<String>,
    /// How sure the outcome is, in 0 to 1; less than 1 if it was inferred [default: 1]
    #[arg(long, value_name = "C")]
    pub(crate) confidence: Option<f64>,
    /// Do not learn from it: that is left to the next process that has the memory open
    #[arg(long)]
    pub(crate) no_learn: bool,
}

#[derive(Debug, Args)]
pub(crate) struct FeedbackArgs {
    /// The episode
    #[arg(value_name = "ID")]
    pub(crate) id: EpisodeId,
    /// Who or what says so (user, ci, review); feedback with the same key replaces the one before
    #[arg(long, value_name = "KEY", default_value = "user")]
    pub(crate) key: String,
    /// How it really ended
    #[arg(long, value_name = "VERDICT")]
    pub(crate) outcome: Option<Verdict>,
    /// Of a corrected outcome: what was achieved, or why it failed
    #[arg(long, value_name = "TEXT", allow_hyphen_values = true, requires = "outcome")]
    pub(crate) summary: Option<String>,
    /// Of a partial outcome: the share that was done, in 0 to 1
    #[arg(long, value_name = "F", requires = "outcome")]
    pub(crate) fraction: Option<f64>,
    /// How sure the corrected outcome is, in 0 to 1 [default: 1]
    #[arg(long, value_name = "C", requires = "outcome")]
    pub(crate) confidence: Option<f64>,
    /// In words
    #[arg(long, value_name = "TEXT", allow_hyphen_values = true)]
    pub(crate) comment: Option<String>,
    #[command(flatten)]
    pub(crate) measures: MeasureArgs,
    /// Do not learn from it: that is left to the next process that has the memory open
    #[arg(long)]
    pub(crate) no_learn: bool,
}

/// How good a product is.
#[derive(Debug, Args)]
pub(crate) struct MeasureArgs {
    /// Tests that passed
    #[arg(long, value_name = "N")]
    pub(crate) tests_passed: Option<u32>,
    /// Tests that failed
    #[arg(long, value_name = "N")]
    pub(crate) tests_failed: Option<u32>,
    /// Findings of linters and compilers
    #[arg(long, value_name = "N")]
    pub(crate) lint_findings: Option<u32>,
    /// A reviewer's score, in 0 to 1
    #[arg(long, value_name = "S")]
    pub(crate) review_score: Option<f64>,
    /// Whether the user accepted it
    #[arg(long, value_name = "BOOL")]
    pub(crate) accepted: Option<bool>,
    /// Another measure by name (coverage=0.83); may be given several times
    #[arg(long, value_name = "NAME=NUMBER", value_parser = measure)]
    pub(crate) measure: Vec<(String, f64)>,
}

fn json(text: &str) -> Result<Value, String> {
    serde_json::from_str(text).map_err(|error| format!("not JSON: {error}"))
}

fn measure(text: &str) -> Result<(String, f64), String> {
    let (name, value) = text.split_once('=').ok_or("NAME=NUMBER is needed")?;
    let value = value.parse().map_err(|_| format!("{value:?} is not a number"))?;
    Ok((name.to_owned(), value))
}
