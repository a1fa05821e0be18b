//! TF-IDF as scikit-learn's `TfidfVectorizer(sublinear_tf=True)` computes it: lower case, 1 + ln(tf),
//! idf = ln((1 + n) / (1 + df)) + 1, rows of unit length.

use std::collections::{BTreeMap, HashMap};

#[cfg(test)]
use super::sparse::Row;
use super::sparse::Rows;

/// What the terms of a text are.
#[derive(Debug, Clone, Copy)]
pub(super) enum Analyzer {
    /// Words of two characters and more, alone and in pairs: `ngram_range=(1, 2)`.
    Words,
    /// Three and four characters within words and their edges: `analyzer="char_wb", ngram_range=(3, 4)`.
    Chars,
}

/// Turns texts into rows.
#[derive(Debug)]
pub(super) struct Vectorizer {
    analyzer: Analyzer,
    columns: HashMap<String, u32>,
    idf: Vec<f64>,
}

impl Vectorizer {
    /// Learns the terms that at least so many texts have; also returns the rows of the texts.
    pub(super) fn fit(analyzer: Analyzer, least_texts: usize, texts: &[&str]) -> (Self, Rows) {
        let mut texts_of: BTreeMap<String, usize> = BTreeMap::new();
        for text in texts {
            for term in counts(analyzer, text).into_keys() {
                *texts_of.entry(term).or_default() += 1;
            }
        }
        texts_of.retain(|_, texts| *texts >= least_texts);
        let idf = |of: &usize| ((1.0 + texts.len() as f64) / (1.0 + *of as f64)).ln() + 1.0;
        let idf = texts_of.values().map(idf).collect();
        let columns = texts_of.into_keys().zip(0..).collect();
        let vectorizer = Self { analyzer, columns, idf };
        let rows = vectorizer.transform(texts);
        (vectorizer, rows)
    }

    /// Returns the rows of some texts. Terms that were not learned are passed over.
    pub(super) fn transform(&self, texts: &[&str]) -> Rows {
        let mut rows = Rows::new(self.idf.len());
        for text in texts {
            let mut row: Vec<(u32, f64)> = counts(self.analyzer, text)
                .into_iter()
                .filter_map(|(term, count)| {
                    let column = *self.columns.get(&term)?;
                    Some((column, (1.0 + f64::from(count).ln()) * self.idf[column as usize]))
                })
                .collect();
            row.sort_unstable_by_key(|(column, _)| *column);
            let length = row.iter().map(|(_, value)| value * value).sum::<f64>().sqrt();
            rows.push(row.into_iter().map(|(column, value)| (column, value / length)));
        }
        rows
    }

    /// Returns a row with its terms.
    #[cfg(test)]
    pub(super) fn named(&self, (columns, values): Row<'_>) -> Vec<(String, f64)> {
        let names: HashMap<u32, &String> =
            self.columns.iter().map(|(term, column)| (*column, term)).collect();
        columns.iter().zip(values).map(|(column, value)| (names[column].clone(), *value)).collect()
    }
}

/// Counts the terms of a text.
fn counts(analyzer: Analyzer, text: &str) -> HashMap<String, u32> {
    let mut counts = HashMap::new();
    let mut add = |term: String| *counts.entry(term).or_default() += 1;
    let text = text.to_lowercase();
    match analyzer {
        Analyzer::Words => {
            let words: Vec<&str> = text
                .split(|c: char| !c.is_alphanumeric() && c != '_')
                .filter(|word| word.chars().nth(1).is_some())
                .collect();
            words.iter().for_each(|word| add((*word).to_owned()));
            words.windows(2).for_each(|pair| add(pair.join(" ")));
        }
        Analyzer::Chars => {
            for word in text.split_whitespace() {
                let padded: Vec<char> = format!(" {word} ").chars().collect();
                for n in [3, 4] {
                    if padded.len() <= n {
                        // A word that has no more than that counts once.
                        add(padded.iter().collect());
                        break;
                    }
                    padded.windows(n).for_each(|gram| add(gram.iter().collect()));
                }
            }
        }
    }
    counts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn terms_are_counted() {
        let check = |analyzer, text: &str, expected: &[(&str, u32)]| {
            let found: BTreeMap<String, u32> = counts(analyzer, text).into_iter().collect();
            let expected: BTreeMap<String, u32> =
                expected.iter().map(|(term, count)| ((*term).to_owned(), *count)).collect();
            assert_eq!(found, expected, "{text}");
        };
        check(Analyzer::Words, "A cat's Cat_1!", &[("cat", 1), ("cat_1", 1), ("cat cat_1", 1)]);
        check(Analyzer::Words, "go go", &[("go", 2), ("go go", 1)]);
        check(Analyzer::Chars, "A it", &[(" a ", 1), (" it", 1), ("it ", 1), (" it ", 1)]);
    }
}
