//! A model that knows words only: what recall with vectors takes beside what a model takes.

use std::hash::{DefaultHasher, Hash, Hasher};

use agent_memory::embed::Embedder;
use async_trait::async_trait;
use memory_recall::embedder::normalize;

/// Gives each word a fixed direction, and each text the sum of its words': texts with words in common are near each other.
#[derive(Debug)]
pub(crate) struct WordVectors {
    dimensions: usize,
}

impl WordVectors {
    pub(crate) fn new(dimensions: usize) -> Self {
        Self { dimensions }
    }

    fn vector(&self, text: &str) -> Vec<f32> {
        let mut vector = vec![0.0; self.dimensions];
        for word in text.split_whitespace() {
            let mut hasher = DefaultHasher::new();
            word.hash(&mut hasher);
            // xorshift64; the seed must not be 0.
            let mut bits = hasher.finish() | 1;
            for sum in &mut vector {
                bits ^= bits << 13;
                bits ^= bits >> 7;
                bits ^= bits << 17;
                *sum += if bits & 1 == 0 { 1.0 } else { -1.0 };
            }
        }
        normalize(&mut vector);
        vector
    }
}

#[async_trait]
impl Embedder for WordVectors {
    fn model(&self) -> &str {
        "bench:words"
    }

    fn dimensions(&self) -> usize {
        self.dimensions
    }

    async fn embed(&self, texts: &[String]) -> agent_memory::Result<Vec<Vec<f32>>> {
        Ok(texts.iter().map(|text| self.vector(text)).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_in_common_make_texts_near() {
        let model = WordVectors::new(384);
        let cosine = |a: &str, b: &str| -> f32 {
            model.vector(a).iter().zip(model.vector(b)).map(|(a, b)| a * b).sum()
        };
        assert!((cosine("fix the parser", "the parser fix") - 1.0).abs() < 1e-5);
        assert!(cosine("fix the parser", "fix the lexer") > 0.4);
        assert!(cosine("fix the parser", "paint a zebra").abs() < 0.3);
    }
}
