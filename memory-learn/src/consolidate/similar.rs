//! How similar two patterns are.

use memory_core::{Pattern, PatternBody};

/// Words that turn a sentence into its opposite.
const NEGATIONS: [&str; 8] = ["not", "no", "never", "without", "avoid", "except", "unless", "don"];

/// A pattern's content, ready to be compared.
///
/// Each part is a sequence of words or tools. Two patterns are as similar as the least similar of their parts: the
/// longest common subsequence against the mean length (the Dice coefficient, order-aware).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Content {
    parts: Vec<Vec<String>>,
    negations: Vec<String>,
}

impl Content {
    /// Reads the content of a pattern. Placeholders are equal whatever their names.
    pub(crate) fn of(pattern: &Pattern) -> Self {
        let parts: Vec<Vec<String>> = match &pattern.body {
            PatternBody::ToolSequence { tools } => vec![tools.clone()],
            PatternBody::DecisionPoint { place, tool, alternatives } => {
                vec![words(&place.to_string()), words(tool), all_words(alternatives)]
            }
            PatternBody::ErrorRecovery { error, remedy } => vec![
                words(error),
                remedy.iter().map(|call| call.tool.clone()).collect(),
                remedy.iter().flat_map(|call| words(&call.to_string())).collect(),
            ],
            PatternBody::Context { features, tools } => vec![features.clone(), tools.clone()],
            PatternBody::AntiPattern { behaviour, consequence } => {
                vec![words(&behaviour.to_string()), words(&consequence.to_string())]
            }
            // By their tools first: common words mean nothing for steps with other tools.
            PatternBody::WorkflowTemplate { steps, placeholders: _ } => vec![
                steps.iter().map(|step| step.tool.clone()).collect(),
                steps.iter().flat_map(|step| words(&step.to_string())).collect(),
            ],
            other => vec![words(&other.to_string())],
        };
        let mut negations: Vec<String> =
            parts.iter().flatten().filter(|word| NEGATIONS.contains(&word.as_str())).cloned().collect();
        negations.sort();
        Self { parts, negations }
    }

    /// Returns the similarity, in `0.0..=1.0`, if it is at least `least`. Contents that differ in a negation
    /// are not similar, however many words they share.
    pub(crate) fn similarity(&self, other: &Self, least: f64) -> Option<f64> {
        if self.parts.len() != other.parts.len() || self.negations != other.negations {
            return None;
        }
        let parts = || self.parts.iter().zip(&other.parts);
        // Lengths alone bound the similarity from above, and cost nothing.
        let bound = |(a, b): (&Vec<String>, &Vec<String>)| dice(a.len().min(b.len()), a, b);
        if parts().map(bound).any(|bound| bound < least) {
            return None;
        }
        let similarity = parts().map(|(a, b)| dice(common(a, b), a, b)).fold(1.0, f64::min);
        (similarity >= least).then_some(similarity)
    }
}

fn dice(common: usize, a: &[String], b: &[String]) -> f64 {
    let total = a.len() + b.len();
    if total == 0 { 1.0 } else { 2.0 * common as f64 / total as f64 }
}

/// Returns the length of the longest common subsequence.
fn common(a: &[String], b: &[String]) -> usize {
    let mut lengths = vec![0_usize; b.len() + 1];
    for left in a {
        let mut diagonal = 0;
        for (at, right) in b.iter().enumerate() {
            let above = lengths[at + 1];
            lengths[at + 1] = if left == right { diagonal + 1 } else { above.max(lengths[at]) };
            diagonal = above;
        }
    }
    lengths[b.len()]
}

fn all_words(texts: &[String]) -> Vec<String> {
    texts.iter().flat_map(|text| words(text)).collect()
}

fn words(text: &str) -> Vec<String> {
    let mut words = Vec::new();
    // Every other piece is the name of a placeholder, as long as braces are in pairs.
    for (at, piece) in text.split(['{', '}']).enumerate() {
        if at % 2 == 1 {
            words.push("{}".to_owned());
        } else {
            let parts = piece.split(|c: char| !c.is_alphanumeric() && c != '_');
            words.extend(parts.filter(|word| !word.is_empty()).map(str::to_lowercase));
        }
    }
    words
}

#[cfg(test)]
mod tests {
    use memory_core::{
        Behaviour, Consequence, PatternId, PlaybookStep, RemedyCall, Standing, Tally, Timestamp,
    };
    use uuid::Uuid;

    use super::*;

    fn content(body: PatternBody) -> Content {
        Content::of(&Pattern {
            id: PatternId(Uuid::nil()),
            strategy: body.strategy(),
            domain: None,
            task_kind: None,
            body,
            terms: Vec::new(),
            tally: Tally::default(),
            confidence: 0.0,
            used: Tally::default(),
            standing: Standing::Active,
            ruling: None,
            episodes: Vec::new(),
            created_at: Timestamp(0),
            updated_at: Timestamp(0),
        })
    }

    fn check(a: PatternBody, b: PatternBody, expected: Option<f64>) {
        let (left, right) = (content(a.clone()), content(b));
        let found = left.similarity(&right, 0.5);
        assert_eq!(found, right.similarity(&left, 0.5));
        match (found, expected) {
            (Some(found), Some(expected)) => assert!((found - expected).abs() < 1e-9, "{a:?}: {found}"),
            _ => assert_eq!(found, expected, "{a:?}"),
        }
    }

    #[test]
    fn sequences_are_compared_in_order() {
        let tools = |tools: &str| PatternBody::ToolSequence {
            tools: tools.split_whitespace().map(str::to_owned).collect(),
        };
        check(tools("a b c"), tools("a b c"), Some(1.0));
        check(tools("a b c"), tools("a b d"), Some(2.0 / 3.0));
        check(tools("a b c d"), tools("d c b a"), None);
        check(tools("a b"), tools("a b c d e f g"), None);
        check(tools(""), tools(""), Some(1.0));
    }

    #[test]
    fn words_are_compared_without_case_and_punctuation_but_with_negation() {
        let anti =
            |behaviour: Behaviour| PatternBody::AntiPattern { behaviour, consequence: Consequence::NotDone };
        let calls = |tool: &str| anti(Behaviour::Calls { tool: tool.into() });
        check(calls("Deploy"), calls("deploy"), Some(1.0));
        check(calls("deploy"), anti(Behaviour::Without { tool: "deploy".into() }), None);
        let template = |tool: &str, instruction: &str| PatternBody::WorkflowTemplate {
            steps: vec![PlaybookStep { tool: tool.into(), instruction: instruction.into() }],
            placeholders: Vec::new(),
        };
        check(template("sh", "open {file}, and run"), template("sh", "Open {path} and run"), Some(1.0));
        check(template("a", ""), calls("a"), None);
        let exchange = "item_ids={item_ids}, new_item_ids={new}, order_id={order}, payment={payment}";
        check(template("exchange", exchange), template("modify", exchange), None);
    }

    #[test]
    fn the_least_similar_part_counts() {
        let recovery = |error: &str, tool: &str| PatternBody::ErrorRecovery {
            error: error.into(),
            remedy: vec![RemedyCall { note: "it".into(), ..RemedyCall::new(tool) }],
        };
        check(recovery("no such file", "create"), recovery("no such file", "delete"), None);
        check(recovery("no such file", "create"), recovery("no such path", "create"), Some(2.0 / 3.0));
    }
}
