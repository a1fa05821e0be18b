//! Static embeddings: a vector a token, and their mean for a text.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use memory_core::Result;
use memory_recall::embedder::Embedder;
use memory_recall::embedder::normalize;
use serde::Deserialize;

use crate::blocking;
use crate::folder::Folder;
use crate::tensors::Tensors;
use crate::tokens::Tokens;

/// The most tokens of a text that are looked at, as model2vec has it.
const MAX_TOKENS: usize = 512;

/// A static-embedding model: a table with a vector for each token.
///
/// A text's vector is the mean of its tokens', so word order is lost; in return it takes microseconds. Tulkens & van
/// Dongen, "Model2Vec" (2024); Miller, "WordLlama" (2024).
#[derive(Clone)]
pub struct StaticEmbedding {
    model: Arc<Table>,
}

struct Table {
    identity: String,
    tokens: Tokens,
    dimensions: usize,
    /// By row, `dimensions` each.
    rows: Vec<f32>,
    /// By token: its row, where tokens share rows.
    mapping: Option<Vec<u32>>,
    /// By token: its weight in the mean.
    weights: Option<Vec<f32>>,
    /// The token for what the vocabulary lacks, which says nothing.
    unknown: Option<u32>,
}

/// The names of a layout.
struct Layout {
    weights: String,
    tokenizer: String,
    tensor: &'static str,
    max_tokens: usize,
    skips_unknown: bool,
}

#[derive(Deserialize)]
struct Config {
    seq_length: Option<usize>,
}

impl StaticEmbedding {
    /// Loads a model in the layout of model2vec or wordllama, see [`crate::load`].
    ///
    /// # Errors
    ///
    /// As [`crate::load`].
    pub fn load(path: &Path) -> Result<Self> {
        let mut folder = Folder::open(path)?;
        let layout = if folder.has("weights") {
            Layout {
                weights: folder.only("weights", ".safetensors")?,
                tokenizer: folder.only("tokenizers", "_tokenizer_config.json")?,
                tensor: "embedding.weight",
                // WordLlama looks at whole texts.
                max_tokens: usize::MAX,
                skips_unknown: false,
            }
        } else {
            let config: Config = folder.json("config.json")?;
            let max_tokens = config.seq_length.filter(|length| (1..=MAX_TOKENS).contains(length));
            Layout {
                weights: "model.safetensors".to_owned(),
                tokenizer: "tokenizer.json".to_owned(),
                tensor: "embeddings",
                max_tokens: max_tokens.unwrap_or(MAX_TOKENS),
                skips_unknown: true,
            }
        };
        let tokens = Tokens::read(&mut folder, &layout.tokenizer, layout.max_tokens, false)?;
        let bytes = folder.read_weights(&layout.weights)?;
        let tensors = Tensors::open(&folder, &layout.weights, &bytes)?;
        let (count, dimensions, rows) = tensors.matrix(layout.tensor)?;
        let mapping =
            if tensors.has("mapping") {
                let rows = tensors.indices("mapping")?.into_iter();
                let rows = rows.map(|row| u32::try_from(row).ok().filter(|row| (*row as usize) < count));
                let rows: Option<Vec<u32>> = rows.collect();
                Some(rows.ok_or_else(|| {
                    folder.corrupt(&layout.weights, "its mapping names rows it does not have")
                })?)
            } else {
                None
            };
        let weights = if tensors.has("weights") { Some(tensors.tensor("weights")?.values) } else { None };
        let unknown =
            ["[UNK]", "<unk>"].iter().find_map(|token| tokens.id(token)).filter(|_| layout.skips_unknown);
        let identity = folder.identity("static-embedding", dimensions);
        Ok(Self { model: Arc::new(Table { identity, tokens, dimensions, rows, mapping, weights, unknown }) })
    }
}

impl Table {
    fn embed(&self, text: &str) -> Result<Vec<f32>> {
        let mut sum = vec![0.0_f32; self.dimensions];
        for token in self.tokens.encode(text)? {
            if self.unknown == Some(token) {
                continue;
            }
            let token = token as usize;
            let row = match &self.mapping {
                Some(mapping) => mapping.get(token).map(|row| *row as usize),
                None => Some(token),
            };
            // A token that was added to the tokenizer alone has no row.
            let Some(row) = row.and_then(|row| self.rows.chunks_exact(self.dimensions).nth(row)) else {
                continue;
            };
            let weight = match &self.weights {
                Some(weights) => weights.get(token).copied().unwrap_or(0.0),
                None => 1.0,
            };
            for (sum, component) in sum.iter_mut().zip(row) {
                *sum += weight * component;
            }
        }
        // The mean has the direction of the sum. Nothing known leaves zeros, and so does what is not finite.
        if !normalize(&mut sum) {
            sum.fill(0.0);
        }
        Ok(sum)
    }
}

impl fmt::Debug for StaticEmbedding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("StaticEmbedding").field(&self.model.identity).finish()
    }
}

#[async_trait]
impl Embedder for StaticEmbedding {
    fn model(&self) -> &str {
        &self.model.identity
    }

    fn dimensions(&self) -> usize {
        self.model.dimensions
    }

    async fn embed(&self, texts: &[String]) -> Result<Vec<Vec<f32>>> {
        let model = Arc::clone(&self.model);
        let texts = texts.to_vec();
        blocking::run(move || texts.iter().map(|text| model.embed(text)).collect()).await
    }
}
