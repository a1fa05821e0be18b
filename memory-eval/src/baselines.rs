//! Plain baselines for advice on tools, on the same split as the memory.
//!
//! Texts become TF-IDF rows as scikit-learn's `TfidfVectorizer` makes them. The baselines are nearest neighbours, one-vs-rest
//! logistic regression, the most frequent set of tools, and a stacked mixture of them whose weights come from
//! cross-validation on the training tasks alone (Wolpert 1992).

mod logistic;
mod neighbours;
mod sparse;
mod stacked;
mod tfidf;

use std::collections::{BTreeMap, BTreeSet};

use crate::data::DataSet;
use crate::figures::f1;
use logistic::{Intercept, one_vs_rest};
use neighbours::{Neighbours, majority};
use tfidf::{Analyzer, Vectorizer};

/// The inverse strength of the L2 penalty of logistic regression on texts.
const C: f64 = 20.0;
/// Neighbours of the baselines.
const NEIGHBOURS: [(&str, usize); 3] = [("knn_1", 1), ("knn_5", 5), ("knn_10", 10)];
/// Probabilities from which logistic regression advises a tool.
const THRESHOLDS: [(&str, f64); 3] = [("logistic_0.5", 0.5), ("logistic_0.3", 0.3), ("logistic_0.15", 0.15)];

/// How a baseline did.
#[derive(Debug, Clone, PartialEq)]
pub struct Baseline {
    /// Its name: `most_frequent`, `knn_K`, `logistic_THRESHOLD` or `stacked`.
    pub name: &'static str,
    /// The F1 of the set of tools of each test task that is scored, in order.
    pub f1: Vec<f64>,
}

impl Baseline {
    /// Returns true for all but the stacked mixture.
    pub fn is_plain(&self) -> bool {
        self.name != "stacked"
    }

    /// Returns the mean F1; 0 of nothing.
    pub fn mean(&self) -> f64 {
        self.f1.iter().sum::<f64>() / self.f1.len().max(1) as f64
    }
}

/// The training side of a split: texts, and the tools of each by number.
pub(crate) struct Training<'a> {
    texts: Vec<&'a str>,
    /// For each tool whether each text wants it.
    wanted: Vec<Vec<bool>>,
}

impl Training<'_> {
    /// Returns some of the examples.
    fn some(&self, places: &[usize]) -> Training<'_> {
        let wanted = self.wanted.iter().map(|tool| places.iter().map(|place| tool[*place]).collect());
        Training { texts: places.iter().map(|place| self.texts[*place]).collect(), wanted: wanted.collect() }
    }
}

/// Learns each baseline from the training tasks and scores it on the test tasks. Nothing without a task that is scored.
pub fn baselines(data: &DataSet) -> Vec<Baseline> {
    let scored = data.scored();
    if scored.is_empty() {
        return Vec::new();
    }
    let tools: Vec<&str> = data.tools().into_iter().collect();
    let used: Vec<BTreeSet<&str>> =
        data.train.iter().map(|task| task.tools().into_iter().collect()).collect();
    let training = Training {
        texts: data.train.iter().map(|task| task.instruction.as_str()).collect(),
        wanted: tools.iter().map(|tool| used.iter().map(|used| used.contains(tool)).collect()).collect(),
    };
    let texts: Vec<&str> = scored.iter().map(|(task, _)| task.instruction.as_str()).collect();
    let report = |name, advised: Vec<Vec<usize>>| {
        let advised = advised.into_iter().map(|set| set.into_iter().map(|tool| tools[tool]).collect());
        let pairs = advised.zip(&scored);
        Baseline { name, f1: pairs.map(|(advised, (_, wanted))| f1(&advised, wanted)).collect() }
    };

    let mut done = vec![report("most_frequent", vec![most_frequent(&training); texts.len()])];
    let (words, rows) = Vectorizer::fit(Analyzer::Words, 1, &training.texts);
    let queries = words.transform(&texts);
    let neighbours = Neighbours::new(&rows, &training.wanted);
    for (name, k) in NEIGHBOURS {
        done.push(report(
            name,
            neighbours.shares(&queries, k).iter().map(|share| majority(share, 0.5)).collect(),
        ));
    }
    let lines = one_vs_rest(&rows, &training.wanted, C, Intercept::Free);
    let probabilities: Vec<Vec<f64>> = (0..texts.len())
        .map(|query| {
            let row = queries.row(query);
            let of = |(line, wanted): (&logistic::Line, &Vec<bool>)| {
                if wanted.iter().all(|wanted| *wanted) { 1.0 } else { line.probability(row) }
            };
            lines.iter().zip(&training.wanted).map(of).collect()
        })
        .collect();
    for (name, least) in THRESHOLDS {
        done.push(report(name, probabilities.iter().map(|row| majority(row, least)).collect()));
    }
    if let Some(advised) = stacked::advise(&training, &texts) {
        done.push(report("stacked", advised));
    }
    done
}

/// Returns the set of tools that most examples want; the first in order of the tools among equals.
fn most_frequent(training: &Training<'_>) -> Vec<usize> {
    let mut counts: BTreeMap<Vec<usize>, usize> = BTreeMap::new();
    for place in 0..training.texts.len() {
        let set = (0..training.wanted.len()).filter(|tool| training.wanted[*tool][place]).collect();
        *counts.entry(set).or_default() += 1;
    }
    counts.remove(&Vec::new());
    let best = counts.iter().max_by(|a, b| a.1.cmp(b.1).then_with(|| b.0.cmp(a.0)));
    best.map(|(set, _)| set.clone()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use serde_json::Value;

    use super::*;

    fn folder() -> std::path::PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("data")
    }

    fn data() -> DataSet {
        DataSet::read(&folder().join("errands_train.jsonl"), &folder().join("errands_dev.jsonl")).unwrap()
    }

    /// What `data/expected.py` computed with scikit-learn.
    fn expected() -> Value {
        serde_json::from_str(&std::fs::read_to_string(folder().join("expected.json")).unwrap()).unwrap()
    }

    #[test]
    fn figures_are_those_of_scikit_learn() {
        let (found, expected) = (baselines(&data()), expected());
        assert_eq!(found.len(), expected["f1"].as_object().unwrap().len());
        for baseline in found {
            let figure = expected["f1"][baseline.name].as_f64().unwrap();
            // Folds are shuffled by another generator.
            let tolerance = if baseline.is_plain() { 1e-9 } else { 0.03 };
            assert!((baseline.mean() - figure).abs() < tolerance, "{}: {}", baseline.name, baseline.mean());
        }
    }

    #[test]
    fn rows_are_those_of_scikit_learn() {
        let (data, expected) = (data(), expected());
        let texts: Vec<&str> = data.train.iter().map(|task| task.instruction.as_str()).collect();
        let queries: Vec<&str> = data.test.iter().map(|task| task.instruction.as_str()).collect();
        for (name, analyzer, least) in [("words", Analyzer::Words, 1), ("chars", Analyzer::Chars, 2)] {
            let (vectorizer, rows) = Vectorizer::fit(analyzer, least, &texts);
            for (side, row) in [("train", rows.row(0)), ("test", vectorizer.transform(&queries).row(0))] {
                let wanted = expected["rows"][name][side].as_object().unwrap();
                let found = vectorizer.named(row);
                assert_eq!(found.len(), wanted.len(), "{name} {side}");
                for (term, weight) in found {
                    let wanted = wanted[&term].as_f64().unwrap();
                    assert!((weight - wanted).abs() < 1e-9, "{name} {side} {term}: {weight} {wanted}");
                }
            }
        }
    }

    #[test]
    fn probabilities_are_those_of_scikit_learn() {
        let (data, expected) = (data(), expected());
        let texts: Vec<&str> = data.train.iter().map(|task| task.instruction.as_str()).collect();
        let queries: Vec<&str> = data.test.iter().map(|task| task.instruction.as_str()).collect();
        let tool = expected["probabilities"]["tool"].as_str().unwrap();
        let wanted = vec![data.train.iter().map(|task| task.tools().contains(&tool)).collect::<Vec<bool>>()];
        let (words, rows) = Vectorizer::fit(Analyzer::Words, 1, &texts);
        let queries = words.transform(&queries);
        for (name, intercept) in [("lbfgs", Intercept::Free), ("liblinear", Intercept::Penalised)] {
            let lines = one_vs_rest(&rows, &wanted, C, intercept);
            for (place, wanted) in expected["probabilities"][name].as_array().unwrap().iter().enumerate() {
                let (found, wanted) = (lines[0].probability(queries.row(place)), wanted.as_f64().unwrap());
                assert!((found - wanted).abs() < 1e-3, "{name} {place}: {found} {wanted}");
            }
        }
    }
}
