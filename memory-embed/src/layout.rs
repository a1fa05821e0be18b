//! Tells from the files of a folder what model it holds.

use std::path::Path;
use std::sync::Arc;

use memory_core::{ErrorKind, Result};
use memory_recall::embedder::Embedder;
use serde::Deserialize;

use crate::folder::Folder;

/// What the configurations of both layouts say about themselves.
#[derive(Deserialize)]
struct Config {
    model_type: Option<String>,
}

/// Loads the local model that a folder holds.
///
/// | layout | files | feature |
/// |---|---|---|
/// | sentence transformer | `config.json` (`model_type` `bert`), `tokenizer.json`, `model.safetensors`; optional `modules.json`, `sentence_bert_config.json`, `1_Pooling/config.json` | `sentence-transformer` |
/// | model2vec | `config.json` (`model_type` `model2vec` or none), `tokenizer.json`, `model.safetensors` | `static-embedding` |
/// | wordllama | `weights/*.safetensors`, `tokenizers/*_tokenizer_config.json` (one each), as in its Python package | `static-embedding` |
///
/// Reads and computes checksums of all files, up to some hundred megabytes: call it on a thread that may block.
///
/// # Errors
///
/// [`InvalidInput`](ErrorKind::InvalidInput) when the folder or a file is missing (the message names it),
/// [`Corrupt`](ErrorKind::Corrupt) when a file is damaged, [`Unsupported`](ErrorKind::Unsupported) for a model of
/// another architecture or one whose feature is not compiled in, [`Io`](ErrorKind::Io) when a file cannot be read.
pub fn load(path: &Path) -> Result<Arc<dyn Embedder>> {
    let mut folder = Folder::open(path)?;
    if folder.has("weights") {
        return table(path, &folder, "weights");
    }
    match folder.json::<Config>("config.json")?.model_type.as_deref() {
        Some("bert") => sentence(path, &folder),
        Some("model2vec") | None => table(path, &folder, "config.json"),
        Some(other) => Err(folder
            .error(ErrorKind::Unsupported, "config.json", format!("models of type {other:?} are not known"))
            .with_hint(
                "use a BERT-like sentence transformer (MiniLM, say) or static embeddings (model2vec)",
            )),
    }
}

#[cfg(feature = "sentence-transformer")]
fn sentence(path: &Path, _: &Folder) -> Result<Arc<dyn Embedder>> {
    Ok(Arc::new(crate::SentenceTransformer::load(path)?))
}

#[cfg(not(feature = "sentence-transformer"))]
fn sentence(_: &Path, folder: &Folder) -> Result<Arc<dyn Embedder>> {
    Err(not_compiled(folder, "config.json", "sentence-transformer"))
}

#[cfg(feature = "static-embedding")]
fn table(path: &Path, _: &Folder, _: &str) -> Result<Arc<dyn Embedder>> {
    Ok(Arc::new(crate::StaticEmbedding::load(path)?))
}

#[cfg(not(feature = "static-embedding"))]
fn table(_: &Path, folder: &Folder, sign: &str) -> Result<Arc<dyn Embedder>> {
    Err(not_compiled(folder, sign, "static-embedding"))
}

#[cfg(not(all(feature = "sentence-transformer", feature = "static-embedding")))]
fn not_compiled(folder: &Folder, sign: &str, feature: &str) -> memory_core::Error {
    folder
        .error(ErrorKind::Unsupported, sign, format!("this program is built without the feature {feature:?}"))
        .with_hint(format!("build it with the feature {feature:?} of memory-embed"))
}
