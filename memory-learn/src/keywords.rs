//! Words that discriminate an episode besides its task: later messages of the user, and the ids in its steps.

use std::collections::HashMap;

use memory_core::{Action, Role};
use memory_recall::tokenize::tokenize;
use serde_json::Value;

use crate::errors::cut;
use crate::shape::{Piece, Shape, pieces};

/// The most words that [`Keywords::finish`] returns.
pub(crate) const MAX_KEYWORDS: usize = 128;
/// Ids, names and dates kept while collecting.
const MAX_TELLING: usize = 3_072;
/// Other words kept while collecting.
const MAX_WORDS: usize = 1_024;
/// A longer text is read up to this many bytes at its start.
const MAX_TEXT_BYTES: usize = 2_000;
/// Values read of one action's arguments.
const MAX_VALUES: usize = 256;
/// Words shorter or longer than this, in characters, are uninformative.
const WORD_CHARS: std::ops::RangeInclusive<usize> = 2..=40;
/// Ids longer than this, in bytes, are encoded data.
const MAX_ID_BYTES: usize = 64;

/// The information of a word, the most informative first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Class {
    Id,
    Name,
    Date,
    Word,
}

#[derive(Debug, Clone)]
struct Candidate {
    class: Class,
    surface: String,
    count: u32,
    /// Its place among all candidates, in order of first sight.
    order: usize,
}

/// Collects the informative words of actions, in bounded memory: words of notes and of the user's messages, and
/// ids among arguments. Observations of tools and the agent's own messages are excluded, because they are the
/// same in every episode.
#[derive(Debug, Clone, Default)]
pub struct Keywords {
    candidates: HashMap<String, Candidate>,
    words: usize,
}

/// The part of a text that is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reading {
    All,
    Ids,
}

impl Keywords {
    /// Reads an action.
    pub fn add(&mut self, action: &Action) {
        if action.tool.is_empty() {
            match action.role {
                Some(Role::User) => self.read(&action.observation, Reading::All),
                Some(Role::Assistant | Role::Other) => {}
                None => {
                    self.read(&action.description, Reading::All);
                    self.read(&action.observation, Reading::All);
                }
            }
        }
        let mut values = 0;
        let mut open = vec![&action.arguments.0];
        while let Some(value) = open.pop() {
            values += 1;
            if values > MAX_VALUES {
                break;
            }
            match value {
                Value::String(text) => self.read(text, Reading::Ids),
                Value::Number(number) => self.read(&number.to_string(), Reading::Ids),
                // The last is popped first: values are read in the order in which they are written.
                Value::Array(items) => open.extend(items.iter().rev()),
                Value::Object(fields) => open.extend(fields.values().rev()),
                Value::Null | Value::Bool(_) => {}
            }
        }
    }

    /// Returns the most informative words, at most 128, the most informative first.
    pub fn finish(self) -> Vec<String> {
        select(self.candidates.into_values().collect())
    }

    fn read(&mut self, text: &str, reading: Reading) {
        let text = cut(text, MAX_TEXT_BYTES);
        pieces(text, |piece| self.see(text, piece, reading));
    }

    fn see(&mut self, text: &str, piece: Piece<'_>, reading: Reading) {
        match piece.shape {
            Shape::Quoted => pieces(piece.text, |inner| {
                // Quotes inside quotes are read as words, so that this ends.
                if inner.shape != Shape::Quoted {
                    self.see(piece.text, inner, reading);
                }
            }),
            Shape::Id | Shape::Email | Shape::Path if piece.text.len() <= MAX_ID_BYTES => {
                self.count(piece.text, Class::Id);
            }
            Shape::Number if piece.text.bytes().filter(u8::is_ascii_digit).count() >= 3 => {
                self.count(piece.text, Class::Id);
            }
            Shape::Date if piece.text.len() >= 6 && reading == Reading::All => {
                self.count(piece.text, Class::Date);
            }
            Shape::Word if reading == Reading::All => self.see_word(text, piece),
            _ => {}
        }
    }

    fn see_word(&mut self, text: &str, piece: Piece<'_>) {
        let mut plain = false;
        // Stop words give no token.
        tokenize(piece.text, |token| plain |= !token.joined);
        if !plain {
            return;
        }
        let chars = piece.text.chars().count();
        let capital = piece.text.starts_with(char::is_uppercase);
        let code = chars >= 2 && piece.text.chars().all(char::is_uppercase);
        if code || (capital && chars >= 2 && !starts_sentence(&text[..piece.start])) {
            self.count(piece.text, Class::Name);
        } else if WORD_CHARS.contains(&chars) {
            self.count(piece.text, Class::Word);
        }
    }

    fn count(&mut self, surface: &str, class: Class) {
        let key = surface.to_lowercase();
        if let Some(known) = self.candidates.get_mut(&key) {
            known.count = known.count.saturating_add(1);
            if class < known.class {
                self.words -= usize::from(known.class == Class::Word);
                known.class = class;
                known.surface = surface.to_owned();
            }
            return;
        }
        let telling = self.candidates.len() - self.words;
        let full = if class == Class::Word { self.words >= MAX_WORDS } else { telling >= MAX_TELLING };
        if !full {
            self.words += usize::from(class == Class::Word);
            let order = self.candidates.len();
            self.candidates.insert(key, Candidate { class, surface: surface.to_owned(), count: 1, order });
        }
    }
}

/// Chooses the most informative words: ids, names and dates by frequency, then other words, the rarer first.
fn select(mut candidates: Vec<Candidate>) -> Vec<String> {
    let rank = |candidate: &Candidate| match candidate.class {
        Class::Word => (Class::Word, candidate.count, usize::MAX - candidate.surface.len(), candidate.order),
        class => (class, u32::MAX - candidate.count, 0, candidate.order),
    };
    candidates.sort_unstable_by_key(rank);
    candidates.into_iter().take(MAX_KEYWORDS).map(|candidate| candidate.surface).collect()
}

/// Returns true if the next word after this text starts a sentence, where any word has a capital.
fn starts_sentence(before: &str) -> bool {
    let before = before.trim_end_matches([' ', '\t', '"', '\'', '(', '*', '-', '“', '‘']);
    before.is_empty() || before.ends_with(['.', '!', '?', ':', '\n', '\r', '•'])
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn keywords(actions: &[Action]) -> Vec<String> {
        let mut keywords = Keywords::default();
        actions.iter().for_each(|action| keywords.add(action));
        keywords.finish()
    }

    #[test]
    fn ids_names_and_dates_come_first() {
        let check = |actions: &[Action], expected: &[&str]| assert_eq!(keywords(actions), expected);
        check(&[], &[]);
        check(&[Action::note("Sure, my name is Mia Li.")], &["Mia", "Li", "Sure", "name"]);
        check(
            &[
                Action::note("Please cancel order #W6067464"),
                Action::tool("cancel")
                    .arguments(json!({"order_id": "#W6067464", "reason": "no longer needed"})),
            ],
            &["#W6067464", "cancel", "order"],
        );
        check(&[Action::tool("search").arguments(json!({"date": "2024-05-20", "from": "JFK", "n": 2}))], &[]);
        check(
            &[
                Action::message(Role::User, "The bags, then."),
                Action::message(Role::Assistant, "Certainly, two bags."),
            ],
            &["bags"],
        );
    }

    #[test]
    fn observations_of_tools_are_not_read() {
        assert!(keywords(&[Action::tool("ls").observation("Zanzibar X999")]).is_empty());
    }

    #[test]
    fn a_word_seen_as_a_name_is_one() {
        let actions = [Action::note("Boston is far. Fly to Boston.")];
        assert_eq!(keywords(&actions)[0], "Boston");
    }

    #[test]
    fn memory_is_bounded() {
        let mut keywords = Keywords::default();
        for n in 0..20_000 {
            let word: String =
                format!("{n:05}").bytes().map(|digit| char::from(digit - b'0' + b'k')).collect();
            keywords.add(&Action::note(format!("order K{n:06} for {word}")));
        }
        assert!(keywords.candidates.len() <= MAX_TELLING + MAX_WORDS);
        assert_eq!(keywords.words, MAX_WORDS);
        assert_eq!(keywords.finish().len(), MAX_KEYWORDS);
    }

    proptest! {
        #[test]
        fn repeats_for_the_same_actions(texts in proptest::collection::vec("\\PC{0,80}", 0..20)) {
            let actions: Vec<Action> = texts.iter().map(|text| Action::note(text.clone())).collect();
            let once = keywords(&actions);
            prop_assert!(once.len() <= MAX_KEYWORDS);
            prop_assert_eq!(once, keywords(&actions));
        }
    }
}
