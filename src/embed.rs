//! Provides the models that turn texts into vectors, for [`crate::Builder::embedder`]: recall by meaning.
//! Without a feature there is the trait alone.

pub use memory_recall::embedder::{Embedder, normalize};

#[cfg(feature = "embed-sentence-transformer")]
pub use memory_embed::SentenceTransformer;
#[cfg(feature = "embed-static")]
pub use memory_embed::StaticEmbedding;
#[cfg(any(feature = "embed-sentence-transformer", feature = "embed-static"))]
pub use memory_embed::load;
#[cfg(feature = "embed-openai")]
pub use memory_embed::{OpenAi, OpenAiConfig};
