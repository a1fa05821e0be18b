//! The error type of every crate in the workspace.

use std::error::Error as StdError;
use std::fmt;
use std::time::Duration;

/// Shorthand for results of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// The kind of an error, for callers to act on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// An argument breaks a rule or a limit; nothing was stored.
    InvalidInput,
    /// The named episode does not exist in this namespace.
    NotFound,
    /// The operation contradicts the stored state (completing an episode twice, for example).
    Conflict,
    /// A configured bound on rows or bytes is reached; nothing was stored.
    QuotaExceeded,
    /// The namespace's token bucket is empty; nothing was stored.
    RateLimitExceeded,
    /// The durable tier cannot be reached or does not answer in time.
    Unavailable,
    /// The durable tier is healthy but asks to come back (lock contention, expired stream).
    Busy,
    /// The durable tier refuses the credentials, the namespace or this client altogether.
    Unauthorized,
    /// The durable tier refuses these rows, and would refuse them again.
    Rejected,
    /// Stored bytes do not decode or fail their checksum.
    Corrupt,
    /// The data or the request needs a newer program or a feature that is not compiled in.
    Unsupported,
    /// The operating system refused a file operation (permission, disk full, …).
    Io,
    /// The memory has been closed.
    Closed,
}

impl ErrorKind {
    /// Returns the stable snake-case name, as `--json` output shows it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::InvalidInput => "invalid_input",
            Self::NotFound => "not_found",
            Self::Conflict => "conflict",
            Self::QuotaExceeded => "quota_exceeded",
            Self::RateLimitExceeded => "rate_limit_exceeded",
            Self::Unavailable => "unavailable",
            Self::Busy => "busy",
            Self::Unauthorized => "unauthorized",
            Self::Rejected => "rejected",
            Self::Corrupt => "corrupt",
            Self::Unsupported => "unsupported",
            Self::Io => "io",
            Self::Closed => "closed",
        }
    }
}

impl fmt::Display for ErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Whether the same call may succeed later without any change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Retry {
    /// Repeating the call later may succeed.
    Transient,
    /// Repeating the call is pointless until the input or the configuration changes.
    Permanent,
}

/// The field, the limit and the size found, of [`ErrorKind::InvalidInput`] and [`ErrorKind::QuotaExceeded`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LimitViolation {
    /// The offending field, as the API names it (`task.description`).
    pub field: String,
    /// The largest value allowed.
    pub limit: u64,
    /// The value found.
    pub found: u64,
    /// The unit of both (`characters`, `bytes`, `rows`).
    pub unit: &'static str,
}

/// An error with its kind, retry class, operation, context and source.
///
/// The fields are boxed so that `Result<T, Error>` stays small.
pub struct Error(Box<Inner>);

struct Inner {
    kind: ErrorKind,
    retry: Retry,
    operation: &'static str,
    message: String,
    context: Vec<(&'static str, String)>,
    hint: Option<String>,
    violation: Option<LimitViolation>,
    retry_after: Option<Duration>,
    source: Option<Box<dyn StdError + Send + Sync>>,
}

impl Error {
    /// Creates an error. The retry class follows from the kind: `Unavailable`, `Busy`,
    /// `RateLimitExceeded` are transient, all others permanent.
    pub fn new(kind: ErrorKind, operation: &'static str, message: impl Into<String>) -> Self {
        let retry = match kind {
            ErrorKind::Unavailable | ErrorKind::Busy | ErrorKind::RateLimitExceeded => Retry::Transient,
            _ => Retry::Permanent,
        };
        Self(Box::new(Inner {
            kind,
            retry,
            operation,
            message: message.into(),
            context: Vec::new(),
            hint: None,
            violation: None,
            retry_after: None,
            source: None,
        }))
    }

    /// Creates an [`ErrorKind::InvalidInput`] error for a field that breaks a rule.
    pub fn invalid(operation: &'static str, field: &str, problem: impl fmt::Display) -> Self {
        Self::new(ErrorKind::InvalidInput, operation, format!("{field}: {problem}"))
            .with_context("field", field.to_owned())
    }

    /// Refuses a setting outside its bounds, with [`ErrorKind::InvalidInput`] that has its name, the value
    /// found and `bounds`.
    pub fn check_setting(
        field: &str,
        found: impl fmt::Display,
        within: bool,
        bounds: impl fmt::Display,
    ) -> Result<()> {
        if within {
            return Ok(());
        }
        Err(Self::invalid("open", field, format!("{found}, the limits are {bounds}")))
    }

    /// Creates an error of `kind` that names the field, the limit and the size found.
    pub fn limit(kind: ErrorKind, operation: &'static str, violation: LimitViolation) -> Self {
        let LimitViolation { field, limit, found, unit } = &violation;
        let message = format!("{field}: {found} {unit}, the limit is {limit} {unit}");
        let mut error = Self::new(kind, operation, message);
        error.0.violation = Some(violation);
        error
    }

    /// Adds a name and a value that help to find the cause.
    #[must_use]
    pub fn with_context(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.0.context.push((name, value.into()));
        self
    }

    /// Adds a hint about what a person can do.
    #[must_use]
    pub fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.0.hint = Some(hint.into());
        self
    }

    /// Sets how long to wait before the call can succeed.
    #[must_use]
    pub fn with_retry_after(mut self, wait: Duration) -> Self {
        self.0.retry_after = Some(wait);
        self
    }

    /// Attaches the underlying error.
    #[must_use]
    pub fn with_source(mut self, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        self.0.source = Some(source.into());
        self
    }

    /// Overrides the retry class.
    #[must_use]
    pub fn with_retry(mut self, retry: Retry) -> Self {
        self.0.retry = retry;
        self
    }

    /// Returns the kind of the error.
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// Returns whether repeating the call may help.
    pub fn retry(&self) -> Retry {
        self.0.retry
    }

    /// Returns true for [`Retry::Transient`].
    pub fn is_transient(&self) -> bool {
        self.0.retry == Retry::Transient
    }

    /// Returns the operation that failed.
    pub fn operation(&self) -> &'static str {
        self.0.operation
    }

    /// Returns the message without operation, context and hint.
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// Returns what a person can do about it, where that is known.
    pub fn hint(&self) -> Option<&str> {
        self.0.hint.as_deref()
    }

    /// Returns the context pairs in the order they were added.
    pub fn context(&self) -> &[(&'static str, String)] {
        &self.0.context
    }

    /// Returns the limit that was broken, if one was.
    pub fn violation(&self) -> Option<&LimitViolation> {
        self.0.violation.as_ref()
    }

    /// Returns how long to wait before the call can succeed, if that is known.
    pub fn retry_after(&self) -> Option<Duration> {
        self.0.retry_after
    }

    /// Returns a copy for another waiter of the same failed operation. The source is kept as text.
    pub fn duplicate(&self) -> Self {
        let inner = &self.0;
        Self(Box::new(Inner {
            kind: inner.kind,
            retry: inner.retry,
            operation: inner.operation,
            message: inner.message.clone(),
            context: inner.context.clone(),
            hint: inner.hint.clone(),
            violation: inner.violation.clone(),
            retry_after: inner.retry_after,
            source: inner.source.as_ref().map(|source| source.to_string().into()),
        }))
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.0.operation, self.0.message)?;
        let mut separator = " (";
        for (name, value) in &self.0.context {
            if *name == "field" {
                continue;
            }
            write!(f, "{separator}{name} {value}")?;
            separator = ", ";
        }
        if separator == ", " {
            f.write_str(")")?;
        }
        Ok(())
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Error")
            .field("kind", &self.0.kind)
            .field("retry", &self.0.retry)
            .field("operation", &self.0.operation)
            .field("message", &self.0.message)
            .field("context", &self.0.context)
            .field("hint", &self.0.hint)
            .field("source", &self.0.source)
            .finish()
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.0.source.as_deref().map(|source| source as &(dyn StdError + 'static))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_field_limit_and_size() {
        let violation =
            LimitViolation { field: "task.description".into(), limit: 10, found: 12, unit: "characters" };
        let error = Error::limit(ErrorKind::InvalidInput, "start", violation);
        assert_eq!(error.to_string(), "start: task.description: 12 characters, the limit is 10 characters");
        assert_eq!(error.retry(), Retry::Permanent);
    }

    #[test]
    fn shows_context_once() {
        let error = Error::new(ErrorKind::Unavailable, "drain", "refused").with_context("url", "http://x");
        assert_eq!(error.to_string(), "drain: refused (url http://x)");
        assert!(error.duplicate().is_transient());
    }
}
