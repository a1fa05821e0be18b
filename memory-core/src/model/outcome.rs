//! How an episode ended.

use serde::{Deserialize, Serialize};

/// How an episode ended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(into = "Flat", try_from = "Flat")]
#[non_exhaustive]
pub enum Outcome {
    /// The task was done.
    Success {
        /// What was achieved.
        summary: String,
    },
    /// A part of the task was done.
    Partial {
        /// The share that was done, in `0.0..=1.0`.
        fraction: f64,
        /// What was achieved and what was not.
        summary: String,
    },
    /// The task was not done.
    Failure {
        /// Why not.
        error: String,
    },
    /// The agent declined or was told to stop.
    Abstained {
        /// Why.
        reason: String,
    },
}

impl Outcome {
    /// Creates a success.
    pub fn success(summary: impl Into<String>) -> Self {
        Self::Success { summary: summary.into() }
    }

    /// Creates a partial success; `fraction` is the share done, in `0.0..=1.0`.
    pub fn partial(fraction: f64, summary: impl Into<String>) -> Self {
        Self::Partial { fraction, summary: summary.into() }
    }

    /// Creates a failure.
    pub fn failure(error: impl Into<String>) -> Self {
        Self::Failure { error: error.into() }
    }

    /// Creates an abstention.
    pub fn abstained(reason: impl Into<String>) -> Self {
        Self::Abstained { reason: reason.into() }
    }

    /// Returns the stable name of the variant: `success`, `partial`, `failure` or `abstained`.
    pub fn verdict(&self) -> &'static str {
        match self {
            Self::Success { .. } => "success",
            Self::Partial { .. } => "partial",
            Self::Failure { .. } => "failure",
            Self::Abstained { .. } => "abstained",
        }
    }

    /// Returns how far the task was done, in `0.0..=1.0`: 1, the fraction, or 0.
    pub fn success_share(&self) -> f64 {
        match self {
            Self::Success { .. } => 1.0,
            Self::Partial { fraction, .. } => *fraction,
            Self::Failure { .. } | Self::Abstained { .. } => 0.0,
        }
    }

    /// Returns the summary, error or reason.
    pub fn text(&self) -> &str {
        match self {
            Self::Success { summary } | Self::Partial { summary, .. } => summary,
            Self::Failure { error } => error,
            Self::Abstained { reason } => reason,
        }
    }

    /// Returns the text for changing it in place (redaction).
    pub(crate) fn text_mut(&mut self) -> &mut String {
        match self {
            Self::Success { summary } | Self::Partial { summary, .. } => summary,
            Self::Failure { error } => error,
            Self::Abstained { reason } => reason,
        }
    }
}

/// The stored form: flat, so that SQL reads `$.outcome.verdict` and binary codecs need no self-description.
#[derive(Clone, Serialize, Deserialize)]
struct Flat {
    verdict: String,
    fraction: Option<f64>,
    text: String,
}

impl From<Outcome> for Flat {
    fn from(outcome: Outcome) -> Self {
        let fraction = match &outcome {
            Outcome::Partial { fraction, .. } => Some(*fraction),
            _ => None,
        };
        Self { verdict: outcome.verdict().into(), fraction, text: outcome.text().into() }
    }
}

impl TryFrom<Flat> for Outcome {
    type Error = String;

    fn try_from(flat: Flat) -> Result<Self, String> {
        Ok(match (flat.verdict.as_str(), flat.fraction) {
            ("success", _) => Self::success(flat.text),
            ("partial", Some(fraction)) => Self::partial(fraction, flat.text),
            ("failure", _) => Self::failure(flat.text),
            ("abstained", _) => Self::abstained(flat.text),
            (verdict, fraction) => return Err(format!("no outcome {verdict:?} with fraction {fraction:?}")),
        })
    }
}
