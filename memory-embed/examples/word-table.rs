//! Makes the table of words that `memory-embed` has built in, from a model of static embeddings.
//!
//! ```console
//! $ cargo run --release -p memory-embed --example word-table --features static-embedding,words -- \
//!     target/models/wordllama memory-embed/data/words.bin \
//!     target/models/minilm/tokenizer.json /usr/share/dict/american-english-small
//! ```
//!
//! The lists of words come last. Of the words with one stem the shortest stands for all, of those as short the first. A
//! list is a text with a word a line, or the `tokenizer.json` of a model with a vocabulary of words.

use std::collections::BTreeMap;
use std::error::Error;
use std::path::{Path, PathBuf};

use frostem::{Algorithm, Stemmer};
use memory_core::{Embedder, normalize};
use memory_embed::StaticEmbedding;

/// What is kept of the model's dimensions: it was trained so that the first ones are a model of their own.
const DIMENSIONS: usize = 128;
/// Shorter words have no meaning of their own.
const SHORTEST: usize = 3;
/// Components of so many standard deviations are the largest that four bits tell apart.
const REACH: f32 = 2.5;
/// The largest number of a row.
const LARGEST: f32 = 7.0;
const BATCH: usize = 1_000;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args_os().skip(1).map(PathBuf::from);
    let usage = "usage: word-table MODEL OUT LIST…";
    let (model, out) = arguments.next().zip(arguments.next()).ok_or(usage)?;
    let stemmer = Stemmer::new(Algorithm::English);
    let mut spoken: BTreeMap<String, String> = BTreeMap::new();
    for list in arguments {
        for word in words(&list)? {
            let held = spoken.entry(stemmer.stem(&word).into_owned()).or_insert_with(|| word.clone());
            if word.len() < held.len() {
                *held = word;
            }
        }
    }
    if spoken.is_empty() {
        return Err(usage.into());
    }
    let model = StaticEmbedding::load(&model)?;
    let mut rows: Vec<u8> = Vec::with_capacity(spoken.len() * DIMENSIONS / 2);
    let texts: Vec<String> = spoken.values().cloned().collect();
    for texts in texts.chunks(BATCH) {
        for mut vector in model.embed(texts).await? {
            vector.truncate(DIMENSIONS);
            normalize(&mut vector);
            rows.extend(row(&vector));
        }
    }
    let stems: String = spoken.keys().flat_map(|stem| [stem, "\n"]).collect();
    let mut file = b"AMWORDS1".to_vec();
    file.extend(u32::try_from(stems.len())?.to_le_bytes());
    file.extend(u32::try_from(DIMENSIONS)?.to_le_bytes());
    file.extend(stems.as_bytes());
    file.extend(rows);
    std::fs::write(&out, &file)?;
    println!("{}: {} stems, {} bytes", out.display(), spoken.len(), file.len());
    Ok(())
}

/// Returns the words of a list that are English, as far as letters tell.
fn words(list: &Path) -> Result<Vec<String>, Box<dyn Error>> {
    let text = std::fs::read_to_string(list).map_err(|error| format!("{}: {error}", list.display()))?;
    let mut words: Vec<String> = if list.extension().is_some_and(|extension| extension == "json") {
        let tokenizer: serde_json::Value = serde_json::from_str(&text)?;
        let vocabulary = tokenizer["model"]["vocab"].as_object().ok_or("no vocabulary of words")?;
        let mut words: Vec<(u64, &String)> =
            vocabulary.iter().filter_map(|(word, place)| Some((place.as_u64()?, word))).collect();
        words.sort_unstable();
        words.into_iter().map(|(_, word)| word.clone()).collect()
    } else {
        text.lines().map(|line| line.trim().to_owned()).collect()
    };
    words.retain(|word| word.len() >= SHORTEST && word.bytes().all(|byte| byte.is_ascii_lowercase()));
    Ok(words)
}

/// Packs a vector of unit length, two components a byte.
fn row(vector: &[f32]) -> impl Iterator<Item = u8> {
    let scale = LARGEST * (vector.len() as f32).sqrt() / REACH;
    let half = move |component: f32| ((component * scale).round().clamp(-LARGEST, LARGEST) + 8.0) as u8;
    vector.chunks_exact(2).map(move |pair| half(pair[0]) | (half(pair[1]) << 4))
}
