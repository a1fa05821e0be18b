//! One request and its answer.

use std::time::Duration;

use memory_core::{Error, ErrorKind, Result, Retry};
use serde::{Deserialize, Serialize};
use ureq::Agent;

use crate::openai::config::OpenAiConfig;

const OPERATION: &str = "embed";
/// The most bytes of JSON a component takes, with room for servers that indent.
const COMPONENT_BYTES: u64 = 64;
/// The most of an answer that is no vector: names, usage, an error's text.
const ENVELOPE_BYTES: u64 = 1 << 20;
/// How much of a server's message goes into ours.
const MESSAGE_CHARACTERS: usize = 200;

#[derive(Serialize)]
struct Request<'a> {
    model: &'a str,
    input: &'a [&'a str],
    encoding_format: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    dimensions: Option<usize>,
}

#[derive(Deserialize)]
struct Response {
    data: Vec<Item>,
}

#[derive(Deserialize)]
struct Item {
    index: usize,
    embedding: Vec<f32>,
}

#[derive(Deserialize)]
struct Refusal {
    error: RefusalDetail,
}

/// OpenAI sends an object, some servers a text.
#[derive(Deserialize)]
#[serde(untagged)]
enum RefusalDetail {
    Object { message: String },
    Text(String),
}

/// The address with the connections to it.
pub(super) struct Endpoint {
    agent: Agent,
    url: String,
    authorization: Option<String>,
}

impl Endpoint {
    pub(super) fn new(config: &OpenAiConfig) -> Self {
        // A redirect would carry texts, and perhaps the key, to where nobody configured them to go.
        let agent = Agent::config_builder().http_status_as_error(false).max_redirects(0).build().new_agent();
        Self {
            agent,
            url: format!("{}/embeddings", config.base_url),
            authorization: config.api_key.as_ref().map(|key| format!("Bearer {key}")),
        }
    }

    /// Sends one request; returns the vectors in the order of the texts.
    pub(super) fn post(
        &self,
        config: &OpenAiConfig,
        texts: &[&str],
        timeout: Duration,
    ) -> Result<Vec<Vec<f32>>> {
        let request = Request {
            model: &config.model,
            input: texts,
            encoding_format: "float",
            dimensions: config.request_dimensions.then_some(config.dimensions),
        };
        let body = serde_json::to_vec(&request)
            .map_err(|error| Error::invalid(OPERATION, "texts", "they are no JSON").with_source(error))?;
        let mut post = self.agent.post(&self.url).content_type("application/json");
        if let Some(authorization) = &self.authorization {
            post = post.header("Authorization", authorization);
        }
        let mut response = post
            .config()
            .timeout_global(Some(timeout))
            .build()
            .send(&body[..])
            .map_err(|error| self.transport(error))?;
        let status = response.status().as_u16();
        let header = response.headers().get("retry-after").and_then(|value| value.to_str().ok());
        let retry_after = header.and_then(|seconds| seconds.trim().parse().ok()).map(Duration::from_secs);
        let limit = ENVELOPE_BYTES + texts.len() as u64 * config.dimensions as u64 * COMPONENT_BYTES;
        let body = response.body_mut().with_config().limit(limit).read_to_vec();
        if status != 200 {
            // What the server says is worth showing, and no reason to fail when it cannot be had.
            return Err(self.refused(config, status, retry_after, &body.unwrap_or_default()));
        }
        let body = body.map_err(|error| self.transport(error))?;
        let response: Response = serde_json::from_slice(&body).map_err(|error| {
            self.error(ErrorKind::Unavailable, "the answer is not the JSON expected")
                .with_retry(Retry::Permanent)
                .with_source(error)
        })?;
        self.arrange(config, texts.len(), response)
    }

    /// Puts the vectors into the order of the texts and checks that each is there once, and of the right length.
    fn arrange(&self, config: &OpenAiConfig, count: usize, response: Response) -> Result<Vec<Vec<f32>>> {
        let malformed =
            |problem: String| Err(self.error(ErrorKind::Unavailable, problem).with_retry(Retry::Permanent));
        if response.data.len() != count {
            return malformed(format!("the answer has {} vectors for {count} texts", response.data.len()));
        }
        let mut vectors: Vec<Vec<f32>> = vec![Vec::new(); count];
        for Item { index, embedding } in response.data {
            if embedding.len() != config.dimensions {
                let problem = format!("it is {}, but vectors have {}", config.dimensions, embedding.len());
                return Err(Error::invalid(OPERATION, "dimensions", problem)
                    .with_context("model", &config.model)
                    .with_hint("configure the dimensions that the model's vectors have"));
            }
            match vectors.get_mut(index) {
                Some(vector) if vector.is_empty() => *vector = embedding,
                _ => return malformed(format!("the answer has the index {index} twice or for no text")),
            }
        }
        Ok(vectors)
    }

    fn refused(&self, config: &OpenAiConfig, status: u16, wait: Option<Duration>, body: &[u8]) -> Error {
        let (kind, retry, hint) = match status {
            401 | 403 => (ErrorKind::Unauthorized, Retry::Permanent, Some("check the API key")),
            404 => (
                ErrorKind::InvalidInput,
                Retry::Permanent,
                Some("check the base URL (it ends in /v1 mostly) and the name of the model"),
            ),
            408 | 429 | 500..=599 => (ErrorKind::Unavailable, Retry::Transient, None),
            300..=399 => (
                ErrorKind::InvalidInput,
                Retry::Permanent,
                Some("redirects are not followed: configure the address that the server points to"),
            ),
            _ => (ErrorKind::InvalidInput, Retry::Permanent, None),
        };
        let mut problem = format!("the server answers with status {status}");
        // The text to a refused key holds parts of the key.
        if let (Ok(refusal), false) =
            (serde_json::from_slice::<Refusal>(body), kind == ErrorKind::Unauthorized)
        {
            let (RefusalDetail::Object { message: text } | RefusalDetail::Text(text)) = refusal.error;
            let text = match &config.api_key {
                Some(key) => text.replace(key, "[redacted]"),
                None => text,
            };
            problem.push_str(": ");
            problem.extend(text.chars().filter(|character| !character.is_control()).take(MESSAGE_CHARACTERS));
        }
        let mut error = self.error(kind, problem).with_retry(retry);
        if let Some(wait) = wait {
            error = error.with_retry_after(wait);
        }
        match hint {
            Some(hint) => error.with_hint(hint),
            None => error,
        }
    }

    /// Classifies what went wrong before there was an answer.
    fn transport(&self, error: ureq::Error) -> Error {
        let (kind, retry, problem) = match &error {
            ureq::Error::Timeout(_) => (ErrorKind::Unavailable, Retry::Transient, "no answer in time"),
            ureq::Error::BodyExceedsLimit(_) => {
                (ErrorKind::Unavailable, Retry::Permanent, "the answer is larger than such vectors are")
            }
            ureq::Error::BadUri(_) | ureq::Error::Http(_) => {
                (ErrorKind::InvalidInput, Retry::Permanent, "base_url: it is no address")
            }
            ureq::Error::Tls(_) | ureq::Error::Rustls(_) | ureq::Error::Pem(_) => {
                (ErrorKind::Unavailable, Retry::Permanent, "no trusted connection")
            }
            _ => (ErrorKind::Unavailable, Retry::Transient, "no connection, or it broke"),
        };
        self.error(kind, problem).with_retry(retry).with_source(error)
    }

    fn error(&self, kind: ErrorKind, problem: impl Into<String>) -> Error {
        Error::new(kind, OPERATION, problem).with_context("url", &self.url)
    }
}
