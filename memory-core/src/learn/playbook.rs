//! Filling the placeholders of a playbook.

use std::collections::{BTreeMap, BTreeSet};

use crate::learn::shape::{mask, wide_mask};
use crate::model::playbook::{Playbook, PlaybookStep};

/// A playbook made for one task.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Instance {
    /// The steps, with values where they are known and `{name}` where they are not.
    pub steps: Vec<PlaybookStep>,
    /// The placeholders that have no value.
    pub missing: Vec<String>,
}

impl Playbook {
    /// Fills the placeholders with values by name; those without a value stay and are reported as missing.
    pub fn instantiate(&self, values: &BTreeMap<String, String>) -> Instance {
        let step = |step: &PlaybookStep| PlaybookStep {
            tool: step.tool.clone(),
            instruction: fill(&step.instruction, |name| {
                self.placeholders.iter().any(|known| known == name).then(|| values.get(name)).flatten()
            }),
        };
        Instance {
            steps: self.steps.iter().map(step).collect(),
            missing: self.placeholders.iter().filter(|name| !values.contains_key(*name)).cloned().collect(),
        }
    }

    /// Guesses values from the text of a task: words that have the shape that a placeholder's earlier values had
    /// (`#W6067464` where they were `#W1234567`). Where several fit, those are matched first whose placeholder's name
    /// stands before them in the text, then in order. Placeholders whose values had no telling shape in common get
    /// none.
    pub fn suggest_values(&self, text: &str) -> BTreeMap<String, String> {
        let words = candidates(text);
        let shaped = self.placeholders.iter().zip(&self.shapes).filter(|(_, shape)| !shape.is_empty());
        let mut fitting = Vec::new();
        for (name, shape) in shaped {
            for (at, word) in words.iter().enumerate() {
                if mask(word) == *shape || wide_mask(word) == *shape {
                    fitting.push((named(&words, at, name), name, *word));
                }
            }
        }
        // A stable sort: equally well named ones stay in the order of placeholders, then of the text.
        fitting.sort_by_key(|(named, _, _)| std::cmp::Reverse(*named));
        let mut taken = BTreeSet::new();
        let mut values = BTreeMap::new();
        for (_, name, word) in fitting {
            if !values.contains_key(name) && taken.insert(word) {
                values.insert(name.clone(), word.to_owned());
            }
        }
        values
    }
}

/// Returns the shape that values have in common, if it tells them from other words; empty if not.
pub(crate) fn common_shape(values: &[String]) -> String {
    let telling = |shape: &str| shape.contains(['9', 'X', '@']);
    for shape_of in [mask, wide_mask] {
        let shapes: BTreeSet<String> = values.iter().map(|value| shape_of(value)).collect();
        if let [shape] = &Vec::from_iter(&shapes)[..]
            && telling(shape)
            && shape.len() <= 64
        {
            return (*shape).clone();
        }
    }
    String::new()
}

/// Returns the words of a text as they may be values: without quotes, brackets and punctuation around them.
fn candidates(text: &str) -> Vec<&str> {
    text.split(|c: char| {
        c.is_whitespace()
            || matches!(c, ',' | ';' | '"' | '`' | '(' | ')' | '[' | ']' | '{' | '}' | '=' | '<' | '>')
    })
    .map(|word| {
        word.trim_matches(|c: char| matches!(c, '.' | ':' | '!' | '?' | '\'' | '“' | '”' | '‘' | '’'))
    })
    .filter(|word| !word.is_empty())
    .collect()
}

/// Returns how many parts of a placeholder's name (`order` of `order_id`) are among the three words before.
fn named(words: &[&str], at: usize, name: &str) -> usize {
    let before = &words[at.saturating_sub(3)..at];
    let parts = name.split('_').filter(|part| part.len() >= 3);
    parts.filter(|part| before.iter().any(|word| word.eq_ignore_ascii_case(part))).count()
}

/// Replaces `{name}` where there is a value. Values are not looked at again.
fn fill<'v>(text: &str, value: impl Fn(&str) -> Option<&'v String>) -> String {
    let mut filled = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, behind)) = rest.split_once('{') {
        filled.push_str(before);
        match behind.split_once('}').and_then(|(name, behind)| Some((value(name)?, behind))) {
            Some((value, behind)) => {
                filled.push_str(value);
                rest = behind;
            }
            None => {
                filled.push('{');
                rest = behind;
            }
        }
    }
    filled.push_str(rest);
    filled
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::clock::Timestamp;
    use crate::id::PlaybookId;
    use crate::model::evidence::{Standing, Tally};

    fn playbook(placeholders: &[(&str, &str)], instructions: &[&str]) -> Playbook {
        let step = |text: &&str| PlaybookStep { tool: "t".into(), instruction: (*text).into() };
        Playbook {
            id: PlaybookId(Uuid::nil()),
            title: String::new(),
            domain: None,
            steps: instructions.iter().map(step).collect(),
            placeholders: placeholders.iter().map(|(name, _)| (*name).into()).collect(),
            shapes: placeholders.iter().map(|(_, shape)| (*shape).into()).collect(),
            task_kind: "general".into(),
            terms: Vec::new(),
            sources: Vec::new(),
            tally: Tally::default(),
            confidence: 0.0,
            used: Tally::default(),
            standing: Standing::default(),
            created_at: Timestamp(0),
            updated_at: Timestamp(0),
        }
    }

    fn map(values: &[(&str, &str)]) -> BTreeMap<String, String> {
        values.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn placeholders_are_filled_once() {
        let check = |text: &str, values: &[(&str, &str)], expected: &str, missing: &[&str]| {
            let instance = playbook(&[("a", ""), ("b", "")], &[text]).instantiate(&map(values));
            assert_eq!(instance.steps[0].instruction, expected);
            assert_eq!(instance.missing, missing);
        };
        check("x={a}, y={b}", &[("a", "1"), ("b", "2")], "x=1, y=2", &[]);
        check("x={a}{a}", &[("a", "{b}"), ("b", "2")], "x={b}{b}", &[]);
        check("x={a}, y={b}", &[("b", "2")], "x={a}, y=2", &["a"]);
        check("{c} {{a}} {", &[("a", "1"), ("b", ""), ("c", "3")], "{c} {1} {", &[]);
    }

    #[test]
    fn values_are_guessed_by_shape() {
        let check = |placeholders: &[(&str, &str)], text: &str, expected: &[(&str, &str)]| {
            assert_eq!(playbook(placeholders, &[]).suggest_values(text), map(expected), "{text:?}");
        };
        let order = ("order_id", "#A9999999");
        check(&[order], "Return #W6067464, please.", &[("order_id", "#W6067464")]);
        check(&[order], "Return it", &[]);
        check(
            &[order, ("user_id", "a_a_9999"), ("reason", "")],
            "I am mia_li_3668 (order #W1234567)",
            &[("order_id", "#W1234567"), ("user_id", "mia_li_3668")],
        );
        check(
            &[("old", "XXXXXX"), ("new", "XXXXXX")],
            "move JG7FMM to 4WQ150",
            &[("old", "JG7FMM"), ("new", "4WQ150")],
        );
        check(
            &[("from_zip", "99999"), ("home_zip", "99999")],
            "home zip 12345, go from 54321",
            &[("from_zip", "54321"), ("home_zip", "12345")],
        );
    }

    #[test]
    fn shapes_in_common() {
        let check = |values: &[&str], expected: &str| {
            let values: Vec<String> = values.iter().map(|value| (*value).to_owned()).collect();
            assert_eq!(common_shape(&values), expected, "{values:?}");
        };
        check(&[], "");
        check(&["#W6067464", "#W1234567"], "#A9999999");
        check(&["JG7FMM", "4WQ150"], "XXXXXX");
        check(&["economy", "business"], "");
        check(&["#W6067464", "mia_li_3668"], "");
    }
}
