//! Embedding providers of agent-memory: they turn texts into vectors for recall by meaning.
//!
//! Each is a feature, none is on by default, and all implement [`memory_recall::embedder::Embedder`]:
//!
//! - `sentence-transformer`: BERT-like models such as MiniLM, from a folder, computed in pure Rust.
//! - `static-embedding`: tables with a vector a token, from a folder: thousands of texts a second, and less apt.
//! - `openai`: any endpoint that speaks OpenAI's embeddings protocol.
//!
//! `load` looks at a folder and returns the local model in it:
//!
//! ```no_run
//! # #[cfg(any(feature = "sentence-transformer", feature = "static-embedding"))]
//! # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
//! use std::path::Path;
//!
//! let model = memory_embed::load(Path::new("models/minilm"))?;
//! let vectors = model.embed(&["reset a password".to_owned()]).await?;
//! assert_eq!(vectors[0].len(), model.dimensions());
//! # Ok::<(), memory_core::Error>(())
//! # }).unwrap();
//! ```

#[cfg(feature = "local")]
mod blocking;
#[cfg(feature = "local")]
mod folder;
#[cfg(feature = "local")]
mod layout;
#[cfg(feature = "openai")]
mod openai;
#[cfg(feature = "sentence-transformer")]
mod sentence;
#[cfg(feature = "static-embedding")]
mod table;
#[cfg(feature = "local")]
mod tensors;
#[cfg(feature = "local")]
mod tokens;

#[cfg(feature = "local")]
pub use layout::load;
#[cfg(feature = "openai")]
pub use openai::{OpenAi, OpenAiConfig};
#[cfg(feature = "sentence-transformer")]
pub use sentence::SentenceTransformer;
#[cfg(feature = "static-embedding")]
pub use table::StaticEmbedding;
