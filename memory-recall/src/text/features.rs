//! Turns a text into hashed features: its words, and the character 3- and 4-grams of its words.
//!
//! Character n-grams within words relate forms of one word in any language without a stemmer, as in
//! scikit-learn's `char_wb` analyser. Features are hashed into a fixed number of buckets (Weinberger et al.,
//! "Feature Hashing for Large Scale Multitask Learning", 2009), which bounds a model's memory.

use super::words::words;

/// Buckets that features are hashed into.
pub const BUCKETS: u32 = 1 << 18;

/// Characters of the n-grams.
const GRAMS: std::ops::RangeInclusive<usize> = 3..=4;

/// The weight of a word relative to one of its n-grams. Each word has about ten of these, so they dominate at
/// 1; the sweep (docs/evaluation.md): 1, 2 and 3 give F1 0.693, 0.702 and 0.697 in cross-validation on BFCL,
/// 0.820 each on MetaTool, and 0.705, 0.708 and 0.706 on nine other pairs of files.
const WORD: f32 = 2.0;

/// The unit of weights, so that they fit into few bits; the least weight is 1. In cross-validation on BFCL F1
/// is 0.702 without rounding and 0.701 with it.
pub const PRECISION: f32 = 1.0 / 16.0;

/// A feature of a text.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Feature {
    /// The bucket, below [`BUCKETS`].
    pub bucket: u32,
    /// Its term frequency, `1 + ln(count)`, times two if it is a word or a label; a multiple of [`PRECISION`].
    pub weight: f32,
}

/// Returns the features of a text, each bucket once, sorted by bucket. Case is folded.
pub fn features(text: &str) -> Vec<Feature> {
    let (mut whole, mut grams) = (Vec::new(), Vec::new());
    let mut padded: Vec<char> = Vec::new();
    for word in words(text) {
        padded.clear();
        padded.push(' ');
        padded.extend(word.chars().flat_map(char::to_lowercase));
        whole.push(bucket(0, &padded[1..]));
        padded.push(' ');
        for n in GRAMS {
            grams.extend(padded.windows(n).map(|gram| bucket(1, gram)));
        }
    }
    let mut features = counted(whole, WORD);
    features.extend(counted(grams, 1.0));
    features.sort_by_key(|it| it.bucket);
    features.dedup_by(|other, one| {
        let same = other.bucket == one.bucket;
        one.weight += if same { other.weight } else { 0.0 };
        same
    });
    features
}

/// Returns the feature of a label that is no word of the text, such as a task's kind.
pub fn label(name: &str) -> Feature {
    let name: Vec<char> = name.chars().flat_map(char::to_lowercase).collect();
    Feature { bucket: bucket(2, &name), weight: WORD }
}

/// Returns the feature of a single word as [`features`] has it.
pub fn word(word: &str) -> Feature {
    let word: Vec<char> = word.chars().flat_map(char::to_lowercase).collect();
    Feature { bucket: bucket(0, &word), weight: WORD }
}

/// Returns the words of a text in lower case, each once with its bucket, sorted by bucket. Case is folded as in
/// [`features`]; if words share a bucket, the first represents all.
pub fn vocabulary(text: &str) -> Vec<(u32, String)> {
    let mut found: Vec<(u32, String)> =
        words(text).map(|it| (word(it).bucket, it.chars().flat_map(char::to_lowercase).collect())).collect();
    found.sort_by_key(|(bucket, _)| *bucket);
    found.dedup_by_key(|(bucket, _)| *bucket);
    found
}

fn counted(mut buckets: Vec<u32>, weight: f32) -> Vec<Feature> {
    buckets.sort_unstable();
    let runs = buckets.chunk_by(|a, b| a == b);
    let counted = |run: &[u32]| weight * (1.0 + (run.len() as f32).ln());
    let rounded = |weight: f32| (weight / PRECISION).round() * PRECISION;
    runs.map(|run| Feature { bucket: run[0], weight: rounded(counted(run)) }).collect()
}

/// FNV-1a over the characters, folded to the number of buckets. Stored models hold buckets: it must not change.
fn bucket(class: u8, chars: &[char]) -> u32 {
    const BASIS: u64 = 0xcbf2_9ce4_8422_2325;
    const PRIME: u64 = 0x0000_0100_0000_01b3;
    let mut hash = (BASIS ^ u64::from(class)).wrapping_mul(PRIME);
    let mut utf8 = [0; 4];
    for c in chars {
        for byte in c.encode_utf8(&mut utf8).bytes() {
            hash = (hash ^ u64::from(byte)).wrapping_mul(PRIME);
        }
    }
    ((hash ^ (hash >> 32)) as u32) % BUCKETS
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn features_are_words_and_the_grams_of_each() {
        // One word, " ab " has two 3-grams and one 4-gram.
        assert_eq!(features("ab").len(), 4);
        assert_eq!(features("AB"), features("ab"));
        assert_eq!(features(""), []);
        let twice = features("ab ab");
        let expected = |feature: &Feature| if feature.bucket == word("ab").bucket { WORD } else { 1.0 };
        assert!(
            twice.iter().all(|it| (it.weight - expected(it) * (1.0 + 2_f32.ln())).abs() <= PRECISION / 2.0)
        );
        assert_eq!(
            twice.iter().map(|it| it.bucket).collect::<Vec<_>>(),
            features("ab").iter().map(|it| it.bucket).collect::<Vec<_>>()
        );
    }

    #[test]
    fn a_word_is_among_the_features_of_its_text() {
        for text in ["Deploy it", "déployer", "x"] {
            let first = super::words(text).next().unwrap();
            assert!(features(text).contains(&word(first)), "{text}");
        }
    }

    #[test]
    fn a_label_is_no_word() {
        assert!(features("incident").iter().all(|feature| feature.bucket != label("incident").bucket));
        assert_eq!(label("Incident"), label("incident"));
    }

    #[test]
    fn buckets_stay_the_same_from_version_to_version() {
        assert_eq!(label("incident").bucket, bucket(2, &['i', 'n', 'c', 'i', 'd', 'e', 'n', 't']));
        assert!(features("rollback the database").iter().all(|feature| feature.bucket < BUCKETS));
    }
}
