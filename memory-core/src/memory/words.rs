//! Which words mean nearly the same, by the vectors of single words.
//!
//! They come from a table of words, or else from the model. How near two words are that have nothing to do with each other
//! differs from one to the next. So each is asked once about words that are unrelated, and words are near if they are so
//! much nearer than those.

use std::sync::{Arc, Mutex};

use tokio::sync::OnceCell;

use crate::error::Result;
use crate::id::lock;
use crate::memory::embedding::no_vector;
use crate::recall::Table;
use crate::recall::embedder::Embedder;

/// Vectors of words that are kept; with more all are dropped.
const KEPT: usize = 4_096;
/// Words are near beyond the mean of unrelated ones by so many standard deviations.
const DEVIATIONS: f64 = 4.0;
/// A model whose cosines of unrelated words differ less does not tell words apart.
const LEAST_DEVIATION: f64 = 1e-3;
/// Words that have nothing to do with each other.
const UNRELATED: [&str; 40] = [
    "river", "table", "green", "window", "music", "doctor", "winter", "engine", "bread", "letter", "market",
    "stone", "dance", "paper", "garden", "horse", "silver", "school", "dream", "metal", "kitchen", "weather",
    "planet", "mirror", "blanket", "pencil", "mountain", "coffee", "bridge", "candle", "soldier", "pocket",
    "island", "thunder", "carpet", "ladder", "orange", "insect", "violin", "ticket",
];

/// What compares words, with the vectors of those that were asked for lately.
#[derive(Debug)]
pub(super) struct Words {
    embedder: Arc<dyn Embedder>,
    /// Whether it is on this machine, and may see what nobody else may.
    is_local: bool,
    vectors: Mutex<Table<String, Arc<[f32]>>>,
    /// The cosine beyond which words are near; `None` for what does not tell words apart.
    near_from: OnceCell<Option<f64>>,
}

impl Words {
    pub(super) fn new(embedder: Arc<dyn Embedder>, is_local: bool) -> Self {
        Self { embedder, is_local, vectors: Mutex::default(), near_from: OnceCell::new() }
    }

    pub(super) fn is_local(&self) -> bool {
        self.is_local
    }

    /// Returns for each word the place of the known word that is nearest to it in meaning; `None` if none is near.
    ///
    /// # Errors
    /// What the provider reports.
    pub(super) async fn nearest(&self, words: &[String], known: &[String]) -> Result<Vec<Option<usize>>> {
        let near_from = self.near_from.get_or_try_init(|| near_from(self.embedder.as_ref())).await?;
        let Some(near_from) = *near_from else { return Ok(vec![None; words.len()]) };
        let vectors = self.vectors(&[words, known].concat()).await?;
        let (words, known) = vectors.split_at(words.len());
        let nearest = |word: &Arc<[f32]>| {
            let mut best: Option<(f64, usize)> = None;
            for (place, other) in known.iter().enumerate() {
                let near = cosine(word, other);
                if near > near_from && best.is_none_or(|(nearest, _)| near > nearest) {
                    best = Some((near, place));
                }
            }
            best.map(|(_, place)| place)
        };
        Ok(words.iter().map(nearest).collect())
    }

    async fn vectors(&self, words: &[String]) -> Result<Vec<Arc<[f32]>>> {
        let mut found: Vec<Option<Arc<[f32]>>> = {
            let kept = lock(&self.vectors);
            words.iter().map(|word| kept.get(word).cloned()).collect()
        };
        let missing: Vec<usize> = (0..words.len()).filter(|place| found[*place].is_none()).collect();
        if !missing.is_empty() {
            let texts: Vec<String> = missing.iter().map(|place| words[*place].clone()).collect();
            let made = embed(self.embedder.as_ref(), &texts).await?;
            let mut kept = lock(&self.vectors);
            if kept.len() + made.len() > KEPT {
                kept.clear();
            }
            for (place, vector) in missing.into_iter().zip(made) {
                let vector: Arc<[f32]> = vector.into();
                kept.insert(words[place].clone(), Arc::clone(&vector));
                found[place] = Some(vector);
            }
        }
        found.into_iter().map(|vector| vector.ok_or_else(no_vector)).collect()
    }
}

async fn embed(embedder: &dyn Embedder, texts: &[String]) -> Result<Vec<Vec<f32>>> {
    let vectors = embedder.embed(texts).await?;
    let fits = |vector: &Vec<f32>| vector.len() == embedder.dimensions();
    if vectors.len() == texts.len() && vectors.iter().all(fits) { Ok(vectors) } else { Err(no_vector()) }
}

/// Returns the cosine beyond which words are near, by how near unrelated ones are to what compares them.
async fn near_from(embedder: &dyn Embedder) -> Result<Option<f64>> {
    let vectors = embed(embedder, &UNRELATED.map(str::to_owned)).await?;
    let pairs = vectors.iter().enumerate().flat_map(|(at, word)| {
        let others = &vectors[at + 1..];
        others.iter().map(move |other| cosine(word, other))
    });
    let cosines: Vec<f64> = pairs.collect();
    let count = cosines.len() as f64;
    let mean = cosines.iter().sum::<f64>() / count;
    let deviation = (cosines.iter().map(|near| (near - mean).powi(2)).sum::<f64>() / count).sqrt();
    Ok((deviation >= LEAST_DEVIATION).then_some(mean + DEVIATIONS * deviation))
}

/// Returns the cosine of vectors of unit length, or of zeros.
fn cosine(a: &[f32], b: &[f32]) -> f64 {
    const LANES: usize = 8;
    // Sums side by side, which the processor takes at once.
    let mut sums = [0.0_f32; LANES];
    let ((a, a_rest), (b, b_rest)) = (a.as_chunks::<LANES>(), b.as_chunks::<LANES>());
    for (a, b) in a.iter().zip(b) {
        for lane in 0..LANES {
            sums[lane] += a[lane] * b[lane];
        }
    }
    let rest: f32 = a_rest.iter().zip(b_rest).map(|(a, b)| a * b).sum();
    f64::from(sums.iter().sum::<f32>() + rest)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

    use async_trait::async_trait;

    use super::*;
    use crate::error::{Error, ErrorKind};

    /// Gives unrelated words a direction each that is a little near to all others, and some the same.
    #[derive(Debug, Default)]
    struct Thesaurus {
        asked: AtomicUsize,
        away: AtomicBool,
        /// Whether every word is the same to it.
        dull: bool,
    }

    #[async_trait]
    impl Embedder for Thesaurus {
        fn model(&self) -> &str {
            "thesaurus"
        }

        fn dimensions(&self) -> usize {
            64
        }

        async fn embed(&self, texts: &[String]) -> Result<Vec<Vec<f32>>> {
            if self.away.load(Ordering::Relaxed) {
                return Err(Error::new(ErrorKind::Unavailable, "embed", "away"));
            }
            self.asked.fetch_add(texts.len(), Ordering::Relaxed);
            let place = |word: &str| match word {
                "wash" | "rinse" => 41,
                "sell" => 42,
                // Somewhat near, as unrelated words may be.
                "ship" => 43,
                word => UNRELATED.iter().position(|one| *one == word).unwrap_or(44),
            };
            let vector = |text: &String| {
                let mut vector = vec![0.0; 64];
                vector[0] = 0.5;
                if !self.dull {
                    // Unrelated words are not all equally near.
                    vector[0] += (text.len() % 3) as f32 * 0.1;
                    vector[1 + place(text)] = 1.0;
                }
                crate::recall::embedder::normalize(&mut vector);
                vector
            };
            Ok(texts.iter().map(vector).collect())
        }
    }

    fn words(words: &[&str]) -> Vec<String> {
        words.iter().map(|word| (*word).to_owned()).collect()
    }

    fn kept(thesaurus: Thesaurus) -> (Arc<Thesaurus>, Words) {
        let thesaurus = Arc::new(thesaurus);
        (Arc::clone(&thesaurus), Words::new(thesaurus, true))
    }

    #[tokio::test]
    async fn words_are_near_beyond_what_unrelated_ones_are() {
        let (thesaurus, kept) = kept(Thesaurus::default());
        let (strange, known) = (words(&["rinse", "ship", "river"]), words(&["sell", "wash"]));
        let nearest = kept.nearest(&strange, &known).await.unwrap();
        assert_eq!(nearest, [Some(1), None, None]);
        let asked = thesaurus.asked.load(Ordering::Relaxed);
        assert_eq!(asked, UNRELATED.len() + 5);
        // What was asked for is kept, and the next question needs no provider.
        thesaurus.away.store(true, Ordering::Relaxed);
        assert_eq!(kept.nearest(&known, &strange).await.unwrap(), [None, Some(0)]);
    }

    #[tokio::test]
    async fn a_model_that_tells_no_words_apart_finds_none_near() {
        let (_, kept) = kept(Thesaurus { dull: true, ..Thesaurus::default() });
        assert_eq!(kept.nearest(&words(&["rinse"]), &words(&["wash"])).await.unwrap(), [None]);
    }

    #[tokio::test]
    async fn a_provider_that_fails_is_asked_again() {
        let (thesaurus, kept) = kept(Thesaurus::default());
        let (strange, known) = (words(&["rinse"]), words(&["wash"]));
        thesaurus.away.store(true, Ordering::Relaxed);
        let error = kept.nearest(&strange, &known).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unavailable);
        thesaurus.away.store(false, Ordering::Relaxed);
        assert_eq!(kept.nearest(&strange, &known).await.unwrap(), [Some(0)]);
    }
}
