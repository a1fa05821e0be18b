//! The settings of an endpoint.

use std::fmt;
use std::time::Duration;

use memory_core::{Error, Result};

/// Says where the endpoint is, which model to ask for and how patiently.
#[derive(Clone)]
pub struct OpenAiConfig {
    pub(super) base_url: String,
    pub(super) model: String,
    pub(super) dimensions: usize,
    pub(super) api_key: Option<String>,
    pub(super) request_dimensions: bool,
    pub(super) batch: usize,
    pub(super) max_characters: usize,
    pub(super) timeout: Duration,
    pub(super) attempts: u32,
    pub(super) backoff: Duration,
}

impl OpenAiConfig {
    /// Sets what has no default: the base URL (`https://api.openai.com/v1`), the model (`text-embedding-3-small`) and
    /// the dimensions of its vectors (1,536).
    pub fn new(base_url: impl Into<String>, model: impl Into<String>, dimensions: usize) -> Self {
        Self {
            base_url: base_url.into().trim_end_matches('/').to_owned(),
            model: model.into(),
            dimensions,
            api_key: None,
            request_dimensions: false,
            batch: 128,
            max_characters: 8_000,
            timeout: Duration::from_secs(30),
            attempts: 4,
            backoff: Duration::from_millis(200),
        }
    }

    /// Sets the key that is sent as bearer token. Default: none. It is never shown.
    #[must_use]
    pub fn api_key(mut self, key: impl Into<String>) -> Self {
        self.api_key = Some(key.into());
        self
    }

    /// Sets whether the model is asked for vectors of the configured dimensions, which some models can shorten theirs
    /// to. Default: false, as servers that do not know the field may refuse it.
    #[must_use]
    pub fn request_dimensions(mut self, request: bool) -> Self {
        self.request_dimensions = request;
        self
    }

    /// Sets the most texts a request, 1 to 2,048. Default: 128.
    #[must_use]
    pub fn batch(mut self, texts: usize) -> Self {
        self.batch = texts;
        self
    }

    /// Sets after how many characters a text is cut, so that the model does not refuse it. Default: 8,000.
    #[must_use]
    pub fn max_characters(mut self, characters: usize) -> Self {
        self.max_characters = characters;
        self
    }

    /// Sets the time for one call of `embed` with all its batches and attempts. Default: 30 s.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Sets how often a request is sent in all, 1 to 100. Default: 4.
    #[must_use]
    pub fn attempts(mut self, attempts: u32) -> Self {
        self.attempts = attempts;
        self
    }

    /// Sets the wait before the second attempt, which doubles with each further one up to 10 s. Default: 200 ms.
    #[must_use]
    pub fn backoff(mut self, wait: Duration) -> Self {
        self.backoff = wait;
        self
    }

    pub(super) fn check(&self) -> Result<()> {
        let invalid =
            |field: &str, problem: String| Err(Error::invalid("configure embeddings", field, problem));
        if !self.base_url.starts_with("https://") && !self.base_url.starts_with("http://") {
            return invalid("base_url", "it starts with neither https:// nor http://".to_owned());
        }
        if self.base_url.contains('@') || self.base_url.contains('?') {
            let problem = "it holds credentials or a query; the key is a setting of its own";
            return invalid("base_url", problem.to_owned());
        }
        if self.model.is_empty() {
            return invalid("model", "it is empty".to_owned());
        }
        let key = self.api_key.as_ref();
        if key.is_some_and(|key| key.is_empty() || !key.bytes().all(|byte| byte.is_ascii_graphic())) {
            return invalid("api_key", "it is empty or holds what no header can".to_owned());
        }
        let counts = [
            ("dimensions", self.dimensions, 8_192),
            ("batch", self.batch, 2_048),
            ("max_characters", self.max_characters, 1_000_000),
            ("attempts", self.attempts as usize, 100),
        ];
        for (field, found, most) in counts {
            if !(1..=most).contains(&found) {
                return invalid(field, format!("{found}, the limits are 1 to {most}"));
            }
        }
        let (least, longest) = (Duration::from_millis(1), Duration::from_secs(3_600));
        if !(least..=longest).contains(&self.timeout) {
            return invalid("timeout", format!("{:?}, the limits are 1 ms to 1 h", self.timeout));
        }
        if self.backoff > Duration::from_secs(10) {
            return invalid("backoff", format!("{:?}, the limits are 0 to 10 s", self.backoff));
        }
        Ok(())
    }
}

impl fmt::Debug for OpenAiConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OpenAiConfig")
            .field("base_url", &self.base_url)
            .field("model", &self.model)
            .field("dimensions", &self.dimensions)
            .field("api_key", &self.api_key.as_ref().map(|_| "[redacted]"))
            .field("batch", &self.batch)
            .field("timeout", &self.timeout)
            .field("attempts", &self.attempts)
            .finish_non_exhaustive()
    }
}
