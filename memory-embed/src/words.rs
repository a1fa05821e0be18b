//! The built-in table of what English words mean.
//!
//! The file holds, after a header, the stems of some twenty thousand words in order, a line each, and for each a row of
//! as many signed numbers of four bits as it has dimensions, two a byte, the first in the low bits, with 8 added. A row
//! stands for a direction only. `memory-embed/data/README.md` says where it comes from; the example `word-table` makes it.

use std::fmt;
use std::sync::{Arc, LazyLock};

use async_trait::async_trait;
use frostem::{Algorithm, Stemmer};
use memory_core::{Embedder, Error, ErrorKind, Result, normalize};

/// Shows what is a word table, and of which form.
const MAGIC: &[u8; 8] = b"AMWORDS1";
/// After the magic: the bytes of the words and the dimensions, four bytes each, little end first.
const HEADER: usize = MAGIC.len() + 4 + 4;
/// Added to what four bits hold, so that it is never negative.
const OFFSET: i8 = 8;

static BUILT_IN: &[u8] = include_bytes!("../data/words.bin");

/// The built-in table, taken apart once.
static TABLE: LazyLock<Option<Table>> = LazyLock::new(|| Table::parse(BUILT_IN));

/// What single English words mean, by a table that is compiled in (1.5 MB): no model's folder, no network.
///
/// It is meant for words: a memory that has it takes a word that few episodes have for one that it learned. As a model of
/// whole texts it is weaker than any model of a folder: the vector of a text is the mean of its words'. Other languages,
/// names and most terms of a trade are not in it; a text without any word of it gets a vector of zeros. 128 dimensions.
#[derive(Clone)]
pub struct WordTable {
    table: &'static Table,
    stemmer: Stemmer,
    identity: Arc<str>,
}

struct Table {
    /// The stems, in order.
    stems: Vec<&'static str>,
    dimensions: usize,
    /// By stem, `dimensions / 2` bytes each.
    rows: &'static [u8],
}

impl Table {
    /// Takes a file apart; `None` if it is none.
    fn parse(file: &'static [u8]) -> Option<Self> {
        let number = |at: usize| -> Option<usize> {
            let bytes = file.get(at..at + 4)?;
            usize::try_from(u32::from_le_bytes(bytes.try_into().ok()?)).ok()
        };
        let (words, dimensions) = (number(MAGIC.len())?, number(MAGIC.len() + 4)?);
        let (words, rows) = file.strip_prefix(MAGIC)?.get(HEADER - MAGIC.len()..)?.split_at_checked(words)?;
        let stems: Vec<&str> = str::from_utf8(words).ok()?.lines().collect();
        let is_table = dimensions > 0
            && dimensions.is_multiple_of(2)
            && rows.len() == stems.len() * dimensions / 2
            && stems.is_sorted_by(|a, b| a < b);
        is_table.then_some(Self { stems, dimensions, rows })
    }

    /// Adds the direction of a stem, at unit length, to a sum; nothing if it is not there.
    fn add(&self, stem: &str, sum: &mut [f32]) {
        let Ok(place) = self.stems.binary_search(&stem) else { return };
        let bytes = self.dimensions / 2;
        let row = &self.rows[place * bytes..(place + 1) * bytes];
        let halves = row.iter().flat_map(|byte| [byte & 0x0f, byte >> 4]);
        let mut vector: Vec<f32> = halves.map(|half| f32::from(half as i8 - OFFSET)).collect();
        if normalize(&mut vector) {
            sum.iter_mut().zip(vector).for_each(|(sum, component)| *sum += component);
        }
    }
}

impl WordTable {
    /// Returns the built-in table. The first call in a process takes it apart.
    ///
    /// # Errors
    ///
    /// [`Corrupt`](ErrorKind::Corrupt) if the program was built with a damaged table.
    pub fn built_in() -> Result<Self> {
        let table = TABLE.as_ref().ok_or_else(|| {
            Error::new(ErrorKind::Corrupt, "load the word table", "the table that is compiled in is damaged")
                .with_hint("build the program again")
        })?;
        let identity = format!("word-table:wordllama-0.4.0.post1:{}", table.dimensions).into();
        Ok(Self { table, stemmer: Stemmer::new(Algorithm::English), identity })
    }

    fn vector(&self, text: &str) -> Vec<f32> {
        let mut sum = vec![0.0; self.table.dimensions];
        // A word with other letters is not English: what is left of it without them would be another word.
        let is_english = |word: &&str| word.bytes().all(|byte| byte.is_ascii_alphabetic());
        for word in text.split(|c: char| !c.is_alphanumeric()).filter(is_english) {
            self.table.add(&self.stemmer.stem(&word.to_ascii_lowercase()), &mut sum);
        }
        if !normalize(&mut sum) {
            sum.fill(0.0);
        }
        sum
    }
}

impl fmt::Debug for WordTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("WordTable").field(&self.identity).finish()
    }
}

#[async_trait]
impl Embedder for WordTable {
    fn model(&self) -> &str {
        &self.identity
    }

    fn dimensions(&self) -> usize {
        self.table.dimensions
    }

    async fn embed(&self, texts: &[String]) -> Result<Vec<Vec<f32>>> {
        Ok(texts.iter().map(|text| self.vector(text)).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn embed(texts: &[&str]) -> Vec<Vec<f32>> {
        let texts: Vec<String> = texts.iter().map(|text| (*text).to_owned()).collect();
        WordTable::built_in().unwrap().embed(&texts).await.unwrap()
    }

    fn cosine(one: &[f32], other: &[f32]) -> f32 {
        one.iter().zip(other).map(|(one, other)| one * other).sum()
    }

    #[tokio::test]
    async fn words_of_like_meaning_are_near() {
        let check = async |word: &str, near: &str, far: &str| {
            let vectors = embed(&[word, near, far]).await;
            let (near, far) = (cosine(&vectors[0], &vectors[1]), cosine(&vectors[0], &vectors[2]));
            // A memory takes words for others from 0.39 on: the mean of unrelated ones and four standard deviations.
            assert!(near > 0.40 && far < 0.25, "{word}: {near}, {far}");
        };
        check("refund", "return", "exchange").await;
        check("swap", "exchange", "return").await;
        check("alter", "modify", "cancel").await;
        check("query", "search", "deploy").await;
    }

    #[tokio::test]
    async fn forms_of_a_word_are_the_same_and_a_text_is_the_mean_of_its_words() {
        let vectors = embed(&["Refunded!", "refunds", "return", "refund return"]).await;
        assert_eq!(vectors[0], vectors[1]);
        let (one, other) = (cosine(&vectors[3], &vectors[0]), cosine(&vectors[3], &vectors[2]));
        assert!((one - other).abs() < 1e-5, "{one}, {other}");
        let norm = cosine(&vectors[3], &vectors[3]);
        assert!((norm - 1.0).abs() < 1e-5, "{norm}");
    }

    #[tokio::test]
    async fn what_it_does_not_have_is_like_nothing() {
        let vectors = embed(&["", "xqzzv", "#W6067464", "возврат", "réserver", "détail", "2return"]).await;
        assert!(vectors.iter().flatten().all(|component| *component == 0.0), "{vectors:?}");
    }

    #[test]
    fn a_damaged_table_is_none() {
        let file = |words: &str, dimensions: u32, rows: usize| -> &'static [u8] {
            let mut file = MAGIC.to_vec();
            file.extend(u32::try_from(words.len()).unwrap().to_le_bytes());
            file.extend(dimensions.to_le_bytes());
            file.extend(words.as_bytes());
            file.extend(vec![0x19; rows]);
            file.leak()
        };
        assert!(Table::parse(file("one\ntwo\n", 4, 4)).is_some());
        for (what, file) in [
            ("a row is missing", file("one\ntwo\n", 4, 2)),
            ("no order", file("two\none\n", 4, 4)),
            ("no dimensions", file("one\ntwo\n", 0, 0)),
            ("half a byte", file("one\ntwo\n", 3, 3)),
            ("cut", &file("one\ntwo\n", 4, 4)[..HEADER - 1]),
            ("words are cut", &file("one\ntwo\n", 4, 4)[..HEADER + 2]),
            ("another form", b"AMWORDS2\0\0\0\0\0\0\0\0"),
        ] {
            assert!(Table::parse(file).is_none(), "{what}");
        }
        assert_eq!(Table::parse(BUILT_IN).unwrap().dimensions, 128);
    }
}
