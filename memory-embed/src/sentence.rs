//! Sentence transformers: a BERT encoder, its tokens pooled into one vector a text.

mod bert;

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use memory_core::{ErrorKind, Result};
use memory_recall::embedder::Embedder;
use memory_recall::embedder::normalize;
use serde::Deserialize;

use crate::blocking;
use crate::folder::Folder;
use crate::sentence::bert::{Bert, BertConfig};
use crate::tensors::Tensors;
use crate::tokens::Tokens;

const WEIGHTS: &str = "model.safetensors";
/// Texts are computed together until they have this many tokens: enough for large multiplications, and about 15 MB.
const BATCH_TOKENS: usize = 1_024;

/// A sentence-transformer model of the BERT architecture, such as all-MiniLM-L6-v2, on one thread of the CPU.
///
/// Devlin et al., "BERT" (NAACL 2019); Reimers & Gurevych, "Sentence-BERT" (EMNLP 2019).
#[derive(Clone)]
pub struct SentenceTransformer {
    model: Arc<Model>,
}

struct Model {
    identity: String,
    tokens: Tokens,
    encoder: Bert,
    pooling: Pooling,
}

/// How the vectors of a text's tokens become one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Pooling {
    Mean,
    First,
}

/// `sentence_bert_config.json`.
#[derive(Deserialize)]
struct SentenceConfig {
    max_seq_length: Option<usize>,
}

/// One line of `modules.json`.
#[derive(Deserialize)]
struct Module {
    #[serde(rename = "type")]
    class: String,
}

/// `1_Pooling/config.json`.
#[derive(Deserialize)]
struct PoolingConfig {
    #[serde(default)]
    pooling_mode_cls_token: bool,
    #[serde(default)]
    pooling_mode_mean_tokens: bool,
}

impl SentenceTransformer {
    /// Loads a model from a folder in the layout that `sentence-transformers` saves, see [`crate::load`].
    ///
    /// # Errors
    ///
    /// As [`crate::load`].
    pub fn load(path: &Path) -> Result<Self> {
        let mut folder = Folder::open(path)?;
        let config: BertConfig = folder.json("config.json")?;
        config.check(&folder)?;
        let pooling = pooling(&mut folder)?;
        let sentence: Option<SentenceConfig> = folder.optional_json("sentence_bert_config.json")?;
        let asked = sentence.and_then(|config| config.max_seq_length).unwrap_or(usize::MAX);
        let max_tokens = asked.min(config.max_position_embeddings);
        if max_tokens < 3 {
            let problem = format!("max_seq_length is {max_tokens}: no word fits beside the special tokens");
            return Err(folder.corrupt("sentence_bert_config.json", problem));
        }
        let tokens = Tokens::read(&mut folder, "tokenizer.json", max_tokens, true)?;
        let bytes = folder.read_weights(WEIGHTS)?;
        let encoder = Bert::new(&config, &Tensors::open(&folder, WEIGHTS, &bytes)?)?;
        let identity = folder.identity("sentence-transformer", encoder.hidden());
        Ok(Self { model: Arc::new(Model { identity, tokens, encoder, pooling }) })
    }
}

/// Finds out how to pool, and that nothing follows but scaling to unit length.
fn pooling(folder: &mut Folder) -> Result<Pooling> {
    const MODULES: &str = "modules.json";
    const POOLING: &str = "1_Pooling/config.json";
    let modules: Vec<Module> = folder.optional_json(MODULES)?.unwrap_or_default();
    for Module { class } in &modules {
        if !["Transformer", "Pooling", "Normalize"].iter().any(|known| class.ends_with(known)) {
            let problem = format!("the module {class:?} is not known");
            return Err(folder.error(ErrorKind::Unsupported, MODULES, problem));
        }
    }
    match folder.optional_json::<PoolingConfig>(POOLING)? {
        None => Ok(Pooling::Mean),
        Some(config) => match (config.pooling_mode_mean_tokens, config.pooling_mode_cls_token) {
            (true, false) => Ok(Pooling::Mean),
            (false, true) => Ok(Pooling::First),
            _ => Err(folder.error(
                ErrorKind::Unsupported,
                POOLING,
                "only pooling by the mean or by the first token is known",
            )),
        },
    }
}

impl Model {
    fn embed(&self, texts: &[String]) -> Result<Vec<Vec<f32>>> {
        let mut vectors = Vec::with_capacity(texts.len());
        let mut batch: Vec<Vec<u32>> = Vec::new();
        let mut batch_tokens = 0;
        for text in texts {
            let tokens = self.tokens.encode(text)?;
            if batch_tokens + tokens.len() > BATCH_TOKENS {
                self.compute(&std::mem::take(&mut batch), &mut vectors)?;
                batch_tokens = 0;
            }
            batch_tokens += tokens.len();
            batch.push(tokens);
        }
        self.compute(&batch, &mut vectors)?;
        Ok(vectors)
    }

    fn compute(&self, batch: &[Vec<u32>], vectors: &mut Vec<Vec<f32>>) -> Result<()> {
        let states = self.encoder.encode(batch)?;
        let mut start = 0;
        for tokens in batch {
            let count = match self.pooling {
                Pooling::Mean => tokens.len(),
                Pooling::First => 1,
            };
            let mut vector = vec![0.0; self.encoder.hidden()];
            for state in states.rows().into_iter().skip(start).take(count.min(tokens.len())) {
                vector.iter_mut().zip(state).for_each(|(sum, component)| *sum += component);
            }
            // The mean has the direction of the sum. What is not finite says nothing.
            if !normalize(&mut vector) {
                vector.fill(0.0);
            }
            vectors.push(vector);
            start += tokens.len();
        }
        Ok(())
    }
}

impl fmt::Debug for SentenceTransformer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("SentenceTransformer").field(&self.model.identity).finish()
    }
}

#[async_trait]
impl Embedder for SentenceTransformer {
    fn model(&self) -> &str {
        &self.model.identity
    }

    fn dimensions(&self) -> usize {
        self.model.encoder.hidden()
    }

    async fn embed(&self, texts: &[String]) -> Result<Vec<Vec<f32>>> {
        let model = Arc::clone(&self.model);
        let texts = texts.to_vec();
        blocking::run(move || model.embed(&texts)).await
    }
}
