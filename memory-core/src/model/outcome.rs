//! How an episode ended.

use std::fmt;

use crate::error::{Error, Result};
use serde::{Deserialize, Serialize};

/// How an episode ended, without words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// The task was done.
    Success,
    /// A part of the task was done.
    Partial,
    /// The task was not done.
    Failure,
    /// The agent declined or was stopped.
    Abstained,
    /// Nobody knows: the source of a transcript does not say, and nothing in it shows. Nothing is learned from it.
    Unknown,
}

impl Verdict {
    /// Returns the stable name: `success`, `partial`, `failure`, `abstained` or `unknown`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Success => "success",
            Self::Partial => "partial",
            Self::Failure => "failure",
            Self::Abstained => "abstained",
            Self::Unknown => "unknown",
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// How an episode ended. As text it has all its details.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(into = "Flat", try_from = "Flat")]
#[non_exhaustive]
pub enum Outcome {
    /// The task was done.
    Success {
        /// The achievement.
        summary: String,
    },
    /// A part of the task was done.
    Partial {
        /// The share that was done, in `0.0..=1.0`.
        fraction: f64,
        /// The achieved and the missing parts.
        summary: String,
    },
    /// The task was not done.
    Failure {
        /// The reason; may be empty.
        error: String,
        /// The last error that the agent met.
        last_error: Option<String>,
        /// The agent's last message. It is no error, and may claim the opposite.
        last_message: Option<String>,
    },
    /// The agent declined or was stopped.
    Abstained {
        /// Why.
        reason: String,
    },
    /// Nobody knows. Nothing is learned from such an episode; recall shows what was done in it.
    Unknown {
        /// What the agent said last; may be empty.
        summary: String,
    },
}

impl Outcome {
    /// Creates a success.
    pub fn success(summary: impl Into<String>) -> Self {
        Self::Success { summary: summary.into() }
    }

    /// Creates a partial success; `fraction` is the share done, in `0.0..=1.0`.
    ///
    /// # Errors
    /// `InvalidInput` for a fraction that is not in that range.
    pub fn partial(fraction: f64, summary: impl Into<String>) -> Result<Self> {
        if !(0.0..=1.0).contains(&fraction) {
            let problem = format!("{fraction}, the limits are 0 and 1");
            return Err(Error::invalid("outcome", "outcome.fraction", problem));
        }
        Ok(Self::Partial { fraction, summary: summary.into() })
    }

    /// Creates a failure.
    pub fn failure(error: impl Into<String>) -> Self {
        Self::Failure { error: error.into(), last_error: None, last_message: None }
    }

    /// Creates an abstention.
    pub fn abstained(reason: impl Into<String>) -> Self {
        Self::Abstained { reason: reason.into() }
    }

    /// Creates an outcome that nobody knows.
    pub fn unknown(summary: impl Into<String>) -> Self {
        Self::Unknown { summary: summary.into() }
    }

    /// Sets the last error that the agent met, if this is a failure; other outcomes have none.
    #[must_use]
    pub fn last_error(mut self, text: impl Into<String>) -> Self {
        if let Self::Failure { last_error, .. } = &mut self {
            *last_error = Some(text.into());
        }
        self
    }

    /// Sets the agent's last message, if this is a failure; other outcomes have a summary or reason instead.
    #[must_use]
    pub fn last_message(mut self, text: impl Into<String>) -> Self {
        if let Self::Failure { last_message, .. } = &mut self {
            *last_message = Some(text.into());
        }
        self
    }

    /// Returns how it ended, without words.
    pub fn verdict(&self) -> Verdict {
        match self {
            Self::Success { .. } => Verdict::Success,
            Self::Partial { .. } => Verdict::Partial,
            Self::Failure { .. } => Verdict::Failure,
            Self::Abstained { .. } => Verdict::Abstained,
            Self::Unknown { .. } => Verdict::Unknown,
        }
    }

    /// Returns how far the task was done, in `0.0..=1.0`: 1, the fraction, or 0, which it is for an unknown outcome, too.
    pub fn success_share(&self) -> f64 {
        match self {
            Self::Success { .. } => 1.0,
            Self::Partial { fraction, .. } => *fraction,
            Self::Failure { .. } | Self::Abstained { .. } | Self::Unknown { .. } => 0.0,
        }
    }

    /// Returns the summary, error or reason.
    pub fn text(&self) -> &str {
        match self {
            Self::Success { summary } | Self::Partial { summary, .. } | Self::Unknown { summary } => summary,
            Self::Failure { error, .. } => error,
            Self::Abstained { reason } => reason,
        }
    }

    /// Returns all its texts: the result of [`Outcome::text`], the last error and the last message.
    pub fn texts(&self) -> impl Iterator<Item = &str> {
        let (error, message) = match self {
            Self::Failure { last_error, last_message, .. } => {
                (last_error.as_deref(), last_message.as_deref())
            }
            _ => (None, None),
        };
        std::iter::once(self.text()).chain(error).chain(message)
    }

    /// Returns every text for changing it in place (redaction).
    pub fn texts_mut(&mut self) -> impl Iterator<Item = &mut String> {
        let (text, last_error, last_message) = match self {
            Self::Success { summary } | Self::Partial { summary, .. } | Self::Unknown { summary } => {
                (summary, None, None)
            }
            Self::Failure { error, last_error, last_message } => {
                (error, last_error.as_mut(), last_message.as_mut())
            }
            Self::Abstained { reason } => (reason, None, None),
        };
        std::iter::once(text).chain(last_error).chain(last_message)
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut said = vec![self.text().to_owned()];
        if let Self::Failure { last_error, last_message, .. } = self {
            said.extend(last_error.as_ref().map(|text| format!("last error: {text}")));
            said.extend(last_message.as_ref().map(|text| format!("last message: {text}")));
        }
        said.retain(|text| !text.is_empty());
        f.write_str(&said.join("; "))
    }
}

/// The stored form: flat, so that SQL reads `$.outcome.verdict` and binary codecs need no self-description.
#[derive(Clone, Serialize, Deserialize)]
struct Flat {
    verdict: Verdict,
    fraction: Option<f64>,
    text: String,
    last_error: Option<String>,
    last_message: Option<String>,
}

impl From<Outcome> for Flat {
    fn from(outcome: Outcome) -> Self {
        let verdict = outcome.verdict();
        let flat = |text| Self { verdict, fraction: None, text, last_error: None, last_message: None };
        match outcome {
            Outcome::Success { summary } => flat(summary),
            Outcome::Partial { fraction, summary } => Self { fraction: Some(fraction), ..flat(summary) },
            Outcome::Failure { error, last_error, last_message } => {
                Self { last_error, last_message, ..flat(error) }
            }
            Outcome::Abstained { reason } => flat(reason),
            Outcome::Unknown { summary } => flat(summary),
        }
    }
}

impl TryFrom<Flat> for Outcome {
    type Error = String;

    fn try_from(flat: Flat) -> Result<Self, String> {
        Ok(match (flat.verdict, flat.fraction) {
            (Verdict::Success, _) => Self::success(flat.text),
            (Verdict::Partial, Some(fraction)) => Self::Partial { fraction, summary: flat.text },
            (Verdict::Partial, None) => return Err("a partial outcome has no fraction".into()),
            (Verdict::Failure, _) => Self::Failure {
                error: flat.text,
                last_error: flat.last_error,
                last_message: flat.last_message,
            },
            (Verdict::Abstained, _) => Self::abstained(flat.text),
            (Verdict::Unknown, _) => Self::unknown(flat.text),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fraction_is_checked_when_it_is_given() {
        assert!(Outcome::partial(0.0, "").is_ok() && Outcome::partial(1.0, "").is_ok());
        for fraction in [-0.1, 1.1, f64::NAN, f64::INFINITY] {
            let error = Outcome::partial(fraction, "").unwrap_err().to_string();
            assert!(error.contains("outcome.fraction"), "{error}");
        }
    }
}
