//! A stacked mixture: logistic regression on the whole text and on its best clause, the share among ten neighbours and
//! the prior of each tool, weighted by logistic regression on predictions of held-out training examples. It advises as
//! many tools as promise the highest expected F1 (Lewis 1995).

use super::logistic::{Intercept, Line, fit, one_vs_rest, sigmoid};
use super::neighbours::Neighbours;
use super::sparse::Rows;
use super::tfidf::{Analyzer, Vectorizer};
use super::{C, Training};
use crate::dice::Dice;

/// The weight of character n-grams beside words.
const CHARS: f64 = 0.7;
const NEIGHBOURS: usize = 10;
/// The inverse strength of the penalty on the weights of the mixture.
const C_MIXTURE: f64 = 1.0;
/// Tools advised at most.
const MOST: usize = 15;
/// Evidence a tool: whole text, best clause, neighbours, prior, the better of the first two.
const EVIDENCE: usize = 5;

/// Returns the tools to advise for each text; `None` with too few examples to hold any out.
pub(super) fn advise(training: &Training<'_>, texts: &[&str]) -> Option<Vec<Vec<usize>>> {
    let examples = training.texts.len();
    let folds = if examples < 3_000 { 5.min(examples) } else { 3 };
    if folds < 2 {
        return None;
    }
    let mut order: Vec<usize> = (0..examples).collect();
    Dice::new(0, &[]).shuffle(&mut order);
    let mut evidence = Rows::new(EVIDENCE);
    let mut wanted = Vec::new();
    for fold in 0..folds {
        let (held, kept): (Vec<(usize, usize)>, _) =
            order.iter().copied().enumerate().partition(|(place, _)| place % folds == fold);
        let [held, kept] =
            [held, kept].map(|part| part.into_iter().map(|(_, example)| example).collect::<Vec<_>>());
        let held = training.some(&held);
        let kept = training.some(&kept);
        let model = Model::new(&kept);
        for (place, text) in held.texts.iter().enumerate() {
            for (tool, of_tool) in model.evidence(text).into_iter().enumerate() {
                evidence.push((0..).zip(of_tool));
                wanted.push(held.wanted[tool][place]);
            }
        }
    }
    let mixture = fit(&evidence, &wanted, C_MIXTURE, Intercept::Free);
    let model = Model::new(training);
    let advised = texts.iter().map(|text| {
        let evidence = model.evidence(text);
        let logit = |of_tool: [f64; EVIDENCE]| {
            of_tool.iter().zip(&mixture.weights).map(|(x, w)| x * w).sum::<f64>() + mixture.intercept
        };
        by_expected_f1(&evidence.into_iter().map(|of_tool| sigmoid(logit(of_tool))).collect::<Vec<_>>())
    });
    Some(advised.collect())
}

/// What is learned from examples.
struct Model<'a> {
    words: Vectorizer,
    chars: Vectorizer,
    lines: Vec<Line>,
    neighbours: Neighbours<'a>,
    priors: Vec<f64>,
}

impl<'a> Model<'a> {
    fn new(training: &'a Training<'_>) -> Self {
        let (words, rows) = Vectorizer::fit(Analyzer::Words, 1, &training.texts);
        let (chars, of_chars) = Vectorizer::fit(Analyzer::Chars, 2, &training.texts);
        let both = rows.beside(&of_chars, CHARS);
        let prior = |wanted: &Vec<bool>| {
            let share = wanted.iter().filter(|wanted| **wanted).count() as f64 / wanted.len().max(1) as f64;
            ((share + 1e-3) / (1.0 - share + 1e-3)).ln()
        };
        Self {
            lines: one_vs_rest(&both, &training.wanted, C, Intercept::Penalised),
            neighbours: Neighbours::new(&rows, &training.wanted),
            priors: training.wanted.iter().map(prior).collect(),
            words,
            chars,
        }
    }

    /// Returns the evidence for each tool.
    fn evidence(&self, text: &str) -> Vec<[f64; EVIDENCE]> {
        let words = self.words.transform(&[text]);
        let near = self.neighbours.shares(&words, NEIGHBOURS).pop().unwrap_or_default();
        let whole = words.beside(&self.chars.transform(&[text]), CHARS);
        let parts = clauses(text);
        let parts = self.words.transform(&parts).beside(&self.chars.transform(&parts), CHARS);
        let of_tool = |((line, near), prior): ((&Line, f64), &f64)| {
            let whole = line.logit(whole.row(0));
            let best =
                (0..parts.len()).map(|part| line.logit(parts.row(part))).fold(f64::NEG_INFINITY, f64::max);
            [whole, best, ((near + 0.02) / (1.02 - near)).ln(), *prior, whole.max(best)]
        };
        self.lines.iter().zip(near).zip(&self.priors).map(of_tool).collect()
    }
}

/// Returns the most probable tools, as many as have the highest expected F1 if the tools are independent.
fn by_expected_f1(probabilities: &[f64]) -> Vec<usize> {
    let mut order: Vec<usize> = (0..probabilities.len()).collect();
    order.sort_by(|a, b| probabilities[*b].total_cmp(&probabilities[*a]));
    let total = probabilities.iter().sum::<f64>().max(1e-9);
    let (mut sum, mut best, mut count) = (0.0, f64::NEG_INFINITY, 0);
    for (place, tool) in order.iter().take(MOST).enumerate() {
        sum += probabilities[*tool];
        let expected = 2.0 * sum / ((place + 1) as f64 + total);
        if expected > best {
            (best, count) = (expected, place + 1);
        }
    }
    order.truncate(count);
    order
}

/// Splits a text after sentences, before a conjunction behind a comma, at "and then" and "and also", and at line ends.
/// Clauses of one word are dropped; without any other the text is its own clause.
fn clauses(text: &str) -> Vec<&str> {
    let mut parts = Vec::new();
    let (mut start, mut at) = (0, 0);
    while at < text.len() {
        match boundary(text, at) {
            Some(end) => {
                parts.push(&text[start..at]);
                (start, at) = (end, end);
            }
            None => at += text[at..].chars().next().map_or(1, char::len_utf8),
        }
    }
    parts.push(&text[start..]);
    let parts: Vec<&str> =
        parts.into_iter().map(str::trim).filter(|part| part.split_whitespace().nth(1).is_some()).collect();
    if parts.is_empty() { vec![text] } else { parts }
}

/// Returns the end of the boundary that begins at a place.
fn boundary(text: &str, at: usize) -> Option<usize> {
    let rest = &text[at..];
    let spaced = rest.trim_start();
    let end = |rest: &str| text.len() - rest.len();
    let has_space = spaced.len() < rest.len();
    if has_space && text[..at].ends_with(['.', '!', '?', ';']) {
        return Some(end(spaced));
    }
    let word_then_space = |rest: &str, words: &[&str]| {
        words.iter().find_map(|word| {
            let behind = rest.strip_prefix(word)?;
            let next = behind.trim_start();
            (next.len() < behind.len()).then(|| end(next))
        })
    };
    if let Some(behind) = spaced.strip_prefix(',') {
        let found = word_then_space(behind.trim_start(), &["and", "then", "but", "also"]);
        if found.is_some() {
            return found;
        }
    }
    if has_space {
        let found = word_then_space(spaced, &["and"])
            .and_then(|next| word_then_space(&text[next..], &["then", "also"]));
        if found.is_some() {
            return found;
        }
    }
    rest.starts_with('\n').then_some(at + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_split_into_clauses() {
        let check = |text: &str, expected: &[&str]| assert_eq!(clauses(text), expected, "{text}");
        check("Find a train. Book it, and pay now", &["Find a train.", "Book it", "pay now"]);
        check("Call Ann and then write Bob\nSleep well ; done", &["Call Ann", "write Bob", "Sleep well ;"]);
        check("Milk, bread and butter", &["Milk, bread and butter"]);
        check("Stop", &["Stop"]);
    }

    #[test]
    fn as_many_are_advised_as_expected_f1_wants() {
        let check = |probabilities: &[f64], expected: &[usize]| {
            assert_eq!(by_expected_f1(probabilities), expected, "{probabilities:?}");
        };
        check(&[0.1, 0.9, 0.2], &[1]);
        check(&[0.8, 0.9, 0.1], &[1, 0]);
        check(&[0.05, 0.1], &[1]);
        check(&[], &[]);
    }
}
