//! Embeddings from an endpoint that speaks OpenAI's protocol.

mod config;
mod request;

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use memory_core::{Error, ErrorKind, Result, Retry};
use memory_recall::embedder::Embedder;
use memory_recall::embedder::normalize;

pub use crate::openai::config::OpenAiConfig;
use crate::openai::request::Endpoint;

/// Embeddings from `POST {base}/embeddings`: OpenAI itself, or a server such as vLLM, Ollama, LM Studio, llama.cpp.
///
/// Texts go out in batches, one after the other, within one deadline a call. Status 429, 5xx and failing connections
/// are tried again with exponential backoff, or after what the server asks for. The key is in no message and no log.
#[derive(Clone)]
pub struct OpenAi {
    client: Arc<Client>,
}

struct Client {
    config: OpenAiConfig,
    identity: String,
    endpoint: Endpoint,
}

impl OpenAi {
    /// Creates the provider; connects to nothing yet.
    ///
    /// # Errors
    ///
    /// [`InvalidInput`](ErrorKind::InvalidInput) when a setting is out of its bounds.
    pub fn new(config: OpenAiConfig) -> Result<Self> {
        config.check()?;
        // Where the vectors come from is part of what they are: the same name on two servers may be two models.
        let identity = format!("openai:{}:{}@{}", config.model, config.dimensions, config.base_url);
        let endpoint = Endpoint::new(&config);
        Ok(Self { client: Arc::new(Client { config, identity, endpoint }) })
    }
}

impl Client {
    fn embed(&self, texts: &[String]) -> Result<Vec<Vec<f32>>> {
        let deadline = Instant::now() + self.config.timeout;
        let mut vectors = vec![Vec::new(); texts.len()];
        // Servers refuse empty texts, and such a text says nothing anyway.
        let (blank, worded): (Vec<usize>, Vec<usize>) =
            (0..texts.len()).partition(|index| texts[*index].trim().is_empty());
        for index in blank {
            vectors[index] = vec![0.0; self.config.dimensions];
        }
        for batch in worded.chunks(self.config.batch) {
            let texts: Vec<&str> = batch.iter().map(|index| self.cut(&texts[*index])).collect();
            for (index, mut vector) in batch.iter().zip(self.batch(&texts, deadline)?) {
                if !normalize(&mut vector) {
                    vector.fill(0.0);
                }
                vectors[*index] = vector;
            }
        }
        Ok(vectors)
    }

    /// Cuts a text to what the model is configured to take.
    fn cut<'a>(&self, text: &'a str) -> &'a str {
        text.char_indices().nth(self.config.max_characters).map_or(text, |(end, _)| &text[..end])
    }

    /// Embeds one batch, with further attempts while there is time.
    fn batch(&self, texts: &[&str], deadline: Instant) -> Result<Vec<Vec<f32>>> {
        let mut wait = self.config.backoff;
        for attempt in 1.. {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            let error = match self.endpoint.post(&self.config, texts, left) {
                Ok(vectors) => return Ok(vectors),
                Err(error) => error,
            };
            let pause = error.retry_after().unwrap_or(wait).max(wait);
            let left = deadline.saturating_duration_since(Instant::now());
            if !error.is_transient() || attempt >= self.config.attempts || pause >= left {
                return Err(error.with_context("attempts", attempt.to_string()));
            }
            std::thread::sleep(pause);
            wait = (wait * 2).min(Duration::from_secs(10));
        }
        Err(Error::new(ErrorKind::Unavailable, "embed", "the deadline passed between batches")
            .with_context("timeout_ms", self.config.timeout.as_millis().to_string())
            .with_hint("allow more time, or embed fewer texts a call"))
    }
}

impl fmt::Debug for OpenAi {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("OpenAi").field(&self.client.config).finish()
    }
}

#[async_trait]
impl Embedder for OpenAi {
    fn model(&self) -> &str {
        &self.client.identity
    }

    fn dimensions(&self) -> usize {
        self.client.config.dimensions
    }

    /// Embeds texts; see [`Embedder::embed`]. When the call is dropped, a request under way ends by itself, at the
    /// latest at the deadline, and its answer is thrown away.
    async fn embed(&self, texts: &[String]) -> Result<Vec<Vec<f32>>> {
        let client = Arc::clone(&self.client);
        let texts = texts.to_vec();
        match tokio::task::spawn_blocking(move || client.embed(&texts)).await {
            Ok(result) => result,
            Err(error) => Err(Error::new(ErrorKind::Unavailable, "embed", "the request panicked")
                .with_retry(Retry::Permanent)
                .with_source(error)),
        }
    }
}
