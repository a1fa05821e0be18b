//! Settings by layer: set in code, found in the environment, read from a file.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use memory_core::{Ack, Error, ErrorKind, Result};
use serde::Deserialize;

use crate::limits::{Limits, Quotas};
#[cfg(feature = "config-file")]
use crate::place::readable_warning;
use crate::rate::RateLimit;
use crate::redact::RedactionConfig;

/// One layer of settings; `None` leaves the choice to the layer below.
#[derive(Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Settings {
    pub(crate) path: Option<PathBuf>,
    pub(crate) url: Option<String>,
    pub(crate) token: Option<String>,
    pub(crate) namespace: Option<String>,
    pub(crate) ack: Option<Ack>,
    pub(crate) hot_bytes: Option<u64>,
    pub(crate) cache_bytes: Option<u64>,
    pub(crate) ttl_ms: Option<u64>,
    pub(crate) poll_interval_ms: Option<u64>,
    pub(crate) read_deadline_ms: Option<u64>,
    pub(crate) write_deadline_ms: Option<u64>,
    pub(crate) first_pull_ms: Option<u64>,
    pub(crate) first_answer_ms: Option<u64>,
    pub(crate) pool_size: Option<usize>,
    pub(crate) batch_rows: Option<usize>,
    pub(crate) outbox_rows: Option<u64>,
    pub(crate) outbox_bytes: Option<u64>,
    /// Days by the kind's stored name; 0 keeps for ever.
    pub(crate) retention_days: Option<BTreeMap<String, u32>>,
    pub(crate) limits: Option<Limits>,
    pub(crate) quotas: Option<Quotas>,
    pub(crate) rate_limit: Option<RateLimit>,
    pub(crate) redaction: Option<RedactionConfig>,
    pub(crate) learning: Option<LearningSettings>,
    /// The folder of a local model.
    pub(crate) embedding_model: Option<PathBuf>,
    /// What is wrong with the file that the token is from.
    #[serde(skip)]
    pub(crate) warning: Option<String>,
}

/// Settings of learning in a file; what is left out is the default.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct LearningSettings {
    pub(crate) background: Option<bool>,
    pub(crate) hold_out: Option<f64>,
    pub(crate) hold_out_seed: Option<u64>,
    pub(crate) half_life_days: Option<u32>,
    pub(crate) consolidate_idle_s: Option<u64>,
    pub(crate) consolidate_interval_s: Option<u64>,
    pub(crate) consolidate_budget_ms: Option<u64>,
}

impl LearningSettings {
    /// Lays these settings over others.
    fn over(self, lower: Self) -> Self {
        Self {
            background: self.background.or(lower.background),
            hold_out: self.hold_out.or(lower.hold_out),
            hold_out_seed: self.hold_out_seed.or(lower.hold_out_seed),
            half_life_days: self.half_life_days.or(lower.half_life_days),
            consolidate_idle_s: self.consolidate_idle_s.or(lower.consolidate_idle_s),
            consolidate_interval_s: self.consolidate_interval_s.or(lower.consolidate_interval_s),
            consolidate_budget_ms: self.consolidate_budget_ms.or(lower.consolidate_budget_ms),
        }
    }
}

impl fmt::Debug for Settings {
    /// Leaves the token out, and the URL if it holds credentials.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Settings")
            .field("path", &self.path)
            .field("url", &self.url.as_ref().map(|url| if url.contains('@') { "…" } else { url }))
            .field("token", &self.token.as_ref().map(|_| "…"))
            .field("namespace", &self.namespace)
            .finish_non_exhaustive()
    }
}

macro_rules! over {
    ($upper:ident, $lower:ident, $($field:ident),+ $(,)?) => {
        Settings { $($field: $upper.$field.or($lower.$field)),+ }
    };
}

impl Settings {
    /// Lays these settings over others.
    pub(crate) fn over(self, lower: Settings) -> Settings {
        let mut upper = self;
        let mut lower = lower;
        upper.learning = match (upper.learning.take(), lower.learning.take()) {
            (Some(upper), Some(lower)) => Some(upper.over(lower)),
            (upper, lower) => upper.or(lower),
        };
        over!(
            upper,
            lower,
            path,
            url,
            token,
            namespace,
            ack,
            hot_bytes,
            cache_bytes,
            ttl_ms,
            poll_interval_ms,
            read_deadline_ms,
            write_deadline_ms,
            first_pull_ms,
            first_answer_ms,
            pool_size,
            batch_rows,
            outbox_rows,
            outbox_bytes,
            retention_days,
            limits,
            quotas,
            rate_limit,
            redaction,
            learning,
            embedding_model,
            warning,
        )
    }

    /// Reads `TURSO_DATABASE_URL`, `TURSO_AUTH_TOKEN`, `MEMORY_DB_PATH` and `MEMORY_EMBEDDING_MODEL` through `get`; empty
    /// means unset.
    pub(crate) fn from_env(get: impl Fn(&str) -> Option<std::ffi::OsString>) -> Result<Settings> {
        let text = |name: &'static str| match get(name).filter(|value| !value.is_empty()) {
            None => Ok(None),
            Some(value) => value
                .into_string()
                .map(Some)
                .map_err(|_| Error::invalid("read the environment", name, "the value is not UTF-8")),
        };
        let folder = |name| get(name).filter(|value| !value.is_empty()).map(PathBuf::from);
        Ok(Settings {
            path: folder("MEMORY_DB_PATH"),
            embedding_model: folder("MEMORY_EMBEDDING_MODEL"),
            url: text("TURSO_DATABASE_URL")?,
            token: text("TURSO_AUTH_TOKEN")?,
            ..Settings::default()
        })
    }

    /// Reads a TOML file.
    #[cfg(not(feature = "config-file"))]
    pub(crate) fn from_file(path: &Path) -> Result<Settings> {
        let message = format!("{} cannot be read: settings files are not compiled in", path.display());
        Err(Error::new(ErrorKind::Unsupported, "read settings", message)
            .with_hint("enable the feature `config-file` of agent-memory"))
    }

    /// Reads a TOML file.
    #[cfg(feature = "config-file")]
    pub(crate) fn from_file(path: &Path) -> Result<Settings> {
        let text = std::fs::read_to_string(path).map_err(|source| {
            Error::new(ErrorKind::Io, "read settings", format!("cannot read {}: {source}", path.display()))
                .with_hint("check the path and its permissions; the file is TOML in UTF-8")
                .with_source(source)
        })?;
        // Only the place and the reason: a line of the file may hold the token.
        let refused = |field: &str, reason: &str, source: &toml::de::Error| {
            let line = source.span().map(|span| text[..span.start.min(text.len())].matches('\n').count() + 1);
            let place = line.map_or_else(String::new, |line| format!(" line {line}"));
            let message = format!("{}{place}: {field}{reason}", path.display());
            Error::new(ErrorKind::InvalidInput, "read settings", message)
                .with_hint("docs/configuration.md has a table of all settings")
        };
        let parsed =
            toml::Deserializer::parse(&text).map_err(|source| refused("", source.message(), &source))?;
        let read: Result<Settings> = serde_path_to_error::deserialize(parsed).map_err(|error| {
            match error.path().to_string().as_str() {
                "token" => refused("token: ", "it is no string", error.inner()),
                "." => refused("", error.inner().message(), error.inner()),
                field => refused(&format!("{field}: "), error.inner().message(), error.inner()),
            }
        });
        let mut settings = read?;
        settings.warning = settings.token.as_ref().and_then(|_| readable_warning(path));
        Ok(settings)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(name: &str) -> Settings {
        Settings { path: Some(name.into()), ..Settings::default() }
    }

    #[test]
    fn the_upper_layer_wins_field_by_field() {
        let lower = Settings { url: Some("http://a".into()), ..path("lower") };
        let merged = path("upper").over(lower);
        assert_eq!(merged.path.as_deref(), Some(Path::new("upper")));
        assert_eq!(merged.url.as_deref(), Some("http://a"));
    }

    #[test]
    fn learning_is_laid_over_field_by_field_too() {
        let layer = |background, half_life_days| Settings {
            learning: Some(LearningSettings { background, half_life_days, ..LearningSettings::default() }),
            ..Settings::default()
        };
        let merged = layer(Some(false), None).over(layer(Some(true), Some(7)));
        assert_eq!(merged.learning, layer(Some(false), Some(7)).learning);
        assert_eq!(Settings::default().over(layer(None, Some(7))).learning, layer(None, Some(7)).learning);
    }

    #[test]
    fn the_environment_is_read_and_empty_is_unset() {
        let get = |name: &str| match name {
            "TURSO_DATABASE_URL" => Some("libsql://x".into()),
            "TURSO_AUTH_TOKEN" => Some("".into()),
            _ => None,
        };
        let settings = Settings::from_env(get).unwrap();
        assert_eq!(
            (settings.url.as_deref(), settings.token, settings.path),
            (Some("libsql://x"), None, None)
        );
    }

    #[test]
    fn errors_of_a_file_name_the_line_and_never_show_the_token() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("memory.toml");
        let check = |text: &str, expected: &str| {
            std::fs::write(&file, text).unwrap();
            let error = Settings::from_file(&file).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
            assert!(!error.contains("s3cret"), "{error}");
        };
        check("ack = 'local'\nttl_s = 5\n", "line 2: ttl_s: unknown field `ttl_s`");
        check("[learning]\nhold_out = 'x'\n", "line 2: learning.hold_out: invalid type: string \"x\"");
        check("cache_bytes = -4\n", "line 1: cache_bytes: invalid value: integer `-4`");
        check("\ntoken = 5\n", "line 2: token: it is no string");
        check("token = s3cret\n", "line 1");
        check("ack = 'never'\n", "unknown variant `never`");
        check("[limits]\nsteps = 10\nnonsense = 1\n", "unknown field `nonsense`");
        std::fs::write(&file, [0xff, 0xfe]).unwrap();
        assert_eq!(Settings::from_file(&file).unwrap_err().kind(), ErrorKind::Io);
    }

    #[test]
    fn debug_hides_the_token() {
        let url = Some("https://me:s3cret@db.example".into());
        let settings = Settings { token: Some("s3cret".into()), url, ..Settings::default() };
        assert!(!format!("{settings:?}").contains("s3cret"));
        let url = Some("https://db.example".into());
        assert!(format!("{:?}", Settings { url, ..settings }).contains("db.example"));
    }
}
