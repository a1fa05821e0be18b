//! The endpoint that turns texts into vectors, if the command has one.

use std::sync::Arc;

use agent_memory::embed::Embedder;

use crate::cli::Global;
use crate::failure::Failure;

/// Returns the endpoint that the flags name; `None` without them.
///
/// # Errors
/// A flag that is missing or does not go with the others, a setting that cannot be, a build without the provider.
pub(crate) fn endpoint(global: &Global) -> Result<Option<Arc<dyn Embedder>>, Failure> {
    let flags = (&global.embedding_url, &global.embedding_name, global.embedding_dimensions);
    match flags {
        (None, None, None) => Ok(None),
        (Some(_), _, _) if global.embedding_model.is_some() => Err(Failure::usage(
            "--embedding-url does not go with --embedding-model",
            "recall goes by one model: a folder's or an endpoint's",
        )),
        (Some(url), Some(name), Some(dimensions)) => provider(url, name, dimensions).map(Some),
        _ => Err(Failure::usage(
            "--embedding-url, --embedding-name and --embedding-dimensions go together",
            "say all three: where the endpoint is, which model it is to use, how long its vectors are",
        )),
    }
}

#[cfg(feature = "embed")]
fn provider(url: &str, name: &str, dimensions: usize) -> Result<Arc<dyn Embedder>, Failure> {
    use agent_memory::embed::OpenAi;
    use agent_memory::embed::OpenAiConfig;

    let mut config = OpenAiConfig::new(url, name, dimensions);
    // Not an argument: other users see those.
    if let Some(key) = std::env::var("MEMORY_EMBEDDING_KEY").ok().filter(|key| !key.is_empty()) {
        config = config.api_key(key);
    }
    Ok(Arc::new(OpenAi::new(config)?))
}

#[cfg(not(feature = "embed"))]
fn provider(_url: &str, _name: &str, _dimensions: usize) -> Result<Arc<dyn Embedder>, Failure> {
    use agent_memory::{Error, ErrorKind};

    let message = "an embedding endpoint is named, but no provider is compiled in";
    Err(Error::new(ErrorKind::Unsupported, "open", message)
        .with_hint("build the command with `--features embed`")
        .into())
}
