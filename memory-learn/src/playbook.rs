//! Filling the placeholders of a playbook.

mod proper_name;

use std::collections::{BTreeMap, BTreeSet, HashSet};

use memory_core::{Playbook, PlaybookStep};
use memory_recall::tokenize::tokenize;

use crate::shape::{Shape, mask, separates, shape_of, wide_mask};
pub(crate) use proper_name::{is_name, names_in};

/// The words that a title and a text must have in common, with nothing but values between them.
const MIN_FIXED: usize = 2;

/// A playbook made for one task.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct FilledPlaybook {
    /// The steps, with values where they are known and `{name}` where they are not.
    pub steps: Vec<PlaybookStep>,
    /// The placeholders that have no value.
    pub missing: Vec<String>,
}

impl FilledPlaybook {
    /// Leaves out the steps that are done, in order, and the skipped ones before the last of them, with
    /// everything that only these steps need. A use of a tool before a step that is still `needed` counts as a
    /// different use.
    pub fn after(mut self, done: &[String], needed: impl Fn(&str) -> bool) -> Self {
        let mut behind = 0;
        for tool in done {
            let open = &self.steps[behind..];
            let next = open.iter().position(|step| step.tool == *tool);
            if let Some(next) = next.filter(|next| !open[..*next].iter().any(|step| needed(&step.tool))) {
                behind += next + 1;
            }
        }
        self.steps.drain(..behind);
        let needed = |name: &String| {
            let written = format!("{{{name}}}");
            self.steps.iter().any(|step| step.instruction.contains(&written))
        };
        self.missing.retain(needed);
        self
    }
}

/// Fills the placeholders of a playbook.
pub trait Fill: Sized {
    /// Fills the placeholders with values by name; those without a value stay and are reported as missing.
    fn instantiate(&self, values: &BTreeMap<String, String>) -> FilledPlaybook;

    /// Guesses values from the text of a task; if two fit, neither is used.
    ///
    /// First by a text that matches the title word by word ("Deploy {service} to {region}"), then by the words
    /// around a placeholder there ("the {service} service"), then by words with the shape of the placeholder's
    /// earlier values (`#W6067464` where they were `#W1234567`): first those preceded by the placeholder's
    /// name, then any. The shape of a short figure is too unspecific. Placeholders that are neither in the
    /// title nor had values of a specific shape get none. Where earlier values were names of several words
    /// (`Aa Aa`), only such a name is accepted, after or before the adjacent word of the title.
    fn suggest_values(&self, text: &str) -> BTreeMap<String, String>;
}

impl Fill for Playbook {
    fn instantiate(&self, values: &BTreeMap<String, String>) -> FilledPlaybook {
        let step = |step: &PlaybookStep| PlaybookStep {
            tool: step.tool.clone(),
            instruction: fill(&step.instruction, |name| {
                self.placeholders.iter().any(|known| known == name).then(|| values.get(name)).flatten()
            }),
        };
        let missing = self.placeholders.iter().filter(|name| !values.contains_key(*name)).cloned().collect();
        FilledPlaybook { steps: self.steps.iter().map(step).collect(), missing }
    }

    fn suggest_values(&self, text: &str) -> BTreeMap<String, String> {
        let words = candidates(text);
        let title = Pattern::of(&self.title);
        let mut guesses = Guesses::default();
        let shape = |name: &str| {
            let at = self.placeholders.iter().position(|known| known == name);
            at.and_then(|at| self.shapes.get(at)).map_or("", String::as_str)
        };
        for (name, value) in title.values(&words, shape) {
            guesses.take(name, value);
        }
        for name in &self.placeholders {
            if shape(name) == proper_name::SHAPE {
                if let Some(value) = proper_name::value(&self.title, name, text) {
                    guesses.take(name, value);
                }
            } else if !guesses.values.contains_key(name)
                && let Some(value) = title.value(name, &words, shape(name))
            {
                guesses.take(name, value);
            }
        }
        let mut fitting: Vec<(usize, &String, &str)> = Vec::new();
        let mut seen = HashSet::new();
        for (name, shape) in self.placeholders.iter().zip(&self.shapes).filter(|(_, shape)| !shape.is_empty())
        {
            for (at, word) in words.iter().enumerate() {
                let named = named(&words, at, name);
                let short = shape.len() < 4 && shape.bytes().all(|figure| figure == b'9');
                if fits(word, shape) && (named > 0 || !short) && seen.insert((named, name, *word)) {
                    fitting.push((named, name, *word));
                }
            }
        }
        guesses.settle(fitting);
        guesses.values
    }
}

/// Values guessed so far: each word for one placeholder, each placeholder with one word.
#[derive(Default)]
struct Guesses<'t> {
    values: BTreeMap<String, String>,
    taken: BTreeSet<&'t str>,
}

impl<'t> Guesses<'t> {
    fn take(&mut self, name: &str, word: &'t str) {
        if self.taken.insert(word) {
            self.values.insert(name.to_owned(), word.to_owned());
        }
    }

    /// Takes pairs of placeholders and words that fit, the best named first, as long as neither fits another as
    /// well.
    fn settle(&mut self, mut fitting: Vec<(usize, &String, &'t str)>) {
        loop {
            fitting.retain(|(_, name, word)| !self.values.contains_key(*name) && !self.taken.contains(word));
            let rival = |pair: &(usize, &String, &str), other: &(usize, &String, &str)| {
                pair != other && other.0 >= pair.0 && (other.1 == pair.1 || other.2 == pair.2)
            };
            let best = fitting.iter().filter(|pair| !fitting.iter().any(|other| rival(pair, other)));
            let Some((_, name, word)) = best.max_by_key(|pair| pair.0).copied() else { return };
            self.take(name, word);
        }
    }
}

/// A title with placeholders, word by word.
struct Pattern<'t> {
    words: Vec<Slot<'t>>,
}

/// A word of a title.
enum Slot<'t> {
    Word(&'t str),
    /// Placeholders and the text attached to them (`v{version}`, `{kind}/{name}`).
    Named {
        before: &'t str,
        /// Each with the text between it and the next one.
        names: Vec<(&'t str, &'t str)>,
    },
    /// Anything.
    Any,
}

impl<'t> Slot<'t> {
    fn of(word: &'t str) -> Self {
        if word.contains('…') {
            return Self::Any;
        }
        let mut pieces = word.split('{');
        let before = pieces.next().unwrap_or("");
        let names: Option<Vec<(&str, &str)>> = pieces.map(|piece| piece.split_once('}')).collect();
        match names {
            Some(names) if names.is_empty() => Self::Word(word),
            // Without text between two placeholders, the end of the first is unknown.
            Some(names) if names.iter().rev().skip(1).all(|(_, behind)| !behind.is_empty()) => {
                Self::Named { before, names }
            }
            _ => Self::Any,
        }
    }

    /// Returns the values that a word gives to the placeholders here, by name; `None` if it is not written so.
    fn values<'w>(&self, word: &'w str) -> Option<Vec<(&'t str, &'w str)>> {
        let Self::Named { before, names } = self else { return None };
        let mut rest = word.strip_prefix(before)?;
        let (last, others) = names.split_last()?;
        let mut values = Vec::with_capacity(names.len());
        for (name, behind) in others {
            let (value, after) = rest.split_once(behind)?;
            values.push((*name, value));
            rest = after;
        }
        values.push((last.0, rest.strip_suffix(last.1)?));
        values.iter().all(|(_, value)| value.contains(char::is_alphanumeric)).then_some(values)
    }
}

impl<'t> Pattern<'t> {
    fn of(title: &'t str) -> Self {
        Self { words: split(title, |c| ends_word(c) && !matches!(c, '{' | '}')).map(Slot::of).collect() }
    }

    /// Returns the values of a text that matches the title word by word, at exactly one place.
    fn values<'w>(&self, words: &[&'w str], shape: impl Fn(&str) -> &'t str) -> Vec<(&'t str, &'w str)> {
        let mut found: Vec<Vec<(&'t str, &'w str)>> = Vec::new();
        let is_open = |slot: &Slot<'t>| match slot {
            Slot::Any => true,
            Slot::Named { names, .. } => names.iter().any(|(name, _)| shape(name) == proper_name::SHAPE),
            Slot::Word(_) => false,
        };
        for run in self.words.split(is_open) {
            let fixed = |slot: &&Slot<'t>| matches!(slot, Slot::Word(_));
            let says = |slot: &Slot<'t>| matches!(slot, Slot::Word(word) if telling(word));
            if run.iter().filter(fixed).count() < MIN_FIXED || !run.iter().any(says) {
                continue;
            }
            let mut of_run = words.windows(run.len()).filter_map(|window| {
                let mut values = Vec::new();
                for (slot, word) in run.iter().zip(window) {
                    match slot {
                        Slot::Word(own) if own.to_lowercase() == word.to_lowercase() => {}
                        slot => {
                            for (name, value) in slot.values(word)? {
                                let shape = shape(name);
                                let typical = shape.is_empty() && telling(value) || fits(value, shape);
                                let kind = !shape.is_empty() && shape_of(shape) == shape_of(value);
                                (typical || kind).then(|| values.push((name, value)))?;
                            }
                        }
                    }
                }
                Some(values)
            });
            if let (Some(values), None) = (of_run.next(), of_run.next()) {
                found.push(values);
            }
        }
        found.concat()
    }

    /// Returns the word of a text that stands where the placeholder stands here, if there is only one.
    fn value<'w>(&self, name: &str, words: &[&'w str], shape: &str) -> Option<&'w str> {
        let mut best: Vec<&'w str> = Vec::new();
        let mut most = 0;
        for (place, slot) in self.words.iter().enumerate() {
            for (at, word) in words.iter().enumerate() {
                let given = slot.values(word).into_iter().flatten().find(|(found, _)| *found == name);
                let Some((_, value)) = given else { continue };
                let alike = self.alike(place, words, at, value, shape);
                if alike > most {
                    (best, most) = (Vec::new(), alike);
                }
                if alike > 0 && alike == most && !best.contains(&value) {
                    best.push(value);
                }
            }
        }
        match best[..] {
            [value] => Some(value),
            _ => None,
        }
    }

    /// Returns how many of the words around a place of the title are around a word, too; zero if they are too
    /// few. A value with the shape of earlier ones needs one side, any other word both.
    fn alike(&self, place: usize, words: &[&str], at: usize, value: &str, shape: &str) -> usize {
        let side = |offset: isize| {
            let own = place.checked_add_signed(offset).and_then(|place| self.words.get(place));
            let word = at.checked_add_signed(offset).and_then(|at| words.get(at));
            match (own, word) {
                (Some(Slot::Word(own)), Some(word)) if own.to_lowercase() == word.to_lowercase() => {
                    Some(if telling(own) { 2 } else { 1 })
                }
                (Some(Slot::Any | Slot::Named { .. }), _) | (None, None) => Some(0),
                _ => None,
            }
        };
        let further = |near: Option<usize>, offset| near.map(|_| side(offset).unwrap_or(0));
        let (left, right) = (side(-1), side(1));
        let all = [left, right, further(left, -2), further(right, 2)].into_iter().flatten().sum();
        let whole = left.is_some() && right.is_some() && telling(value);
        let kind = shape_of(value);
        let typical =
            fits(value, shape) || kind != Shape::Word && !shape.is_empty() && shape_of(shape) == kind;
        if all >= 2 && (typical || whole && shape.is_empty()) { all } else { 0 }
    }
}

/// Returns false for words such as "the" and "of".
pub(crate) fn telling(word: &str) -> bool {
    let mut telling = false;
    tokenize(word, |_| telling = true);
    telling
}

fn fits(word: &str, shape: &str) -> bool {
    mask(word) == shape || wide_mask(word) == shape
}

/// Returns the shape that at least three quarters of the values share, if it distinguishes them from other
/// words; otherwise empty.
pub(crate) fn common_shape(values: &[String]) -> String {
    let telling = |shape: &str| shape.contains(['9', 'X', '@']);
    if 4 * values.iter().filter(|value| is_name(value)).count() >= 3 * values.len().max(1) {
        return proper_name::SHAPE.to_owned();
    }
    for shape_of in [mask, wide_mask] {
        let mut counts: BTreeMap<String, usize> = BTreeMap::new();
        for value in values {
            *counts.entry(shape_of(value)).or_default() += 1;
        }
        let common = counts.into_iter().find(|(_, count)| 4 * count >= 3 * values.len());
        if let Some((shape, _)) = common.filter(|(shape, _)| telling(shape) && shape.len() <= 64) {
            return shape;
        }
    }
    String::new()
}

/// Returns the words of a text as they may be values: without quotes, brackets and punctuation around them.
fn candidates(text: &str) -> Vec<&str> {
    split(text, ends_word).collect()
}

/// In a title an ellipsis is a word: it stands for those that vary.
fn ends_word(c: char) -> bool {
    separates(c) && c != '…'
}

fn split(text: &str, ends: impl Fn(char) -> bool) -> impl Iterator<Item = &str> {
    text.split(ends)
        .map(|word| {
            let around = |c: char| matches!(c, '.' | ':' | '!' | '?' | '\'' | '‘' | '’');
            let word = word.trim_matches(around);
            // The possessor counts as the word.
            ["'s", "’s"].iter().find_map(|ending| word.strip_suffix(ending)).unwrap_or(word)
        })
        .filter(|word| !word.is_empty())
}

/// Returns how near the parts of a placeholder's name (`order` of `order_id`) are among the three words before.
fn named(words: &[&str], at: usize, name: &str) -> usize {
    let near = |part: &str| {
        let before = words[..at].iter().rev().take(3).position(|word| word.eq_ignore_ascii_case(part));
        before.map_or(0, |distance| 3 - distance)
    };
    name.split('_').filter(|part| part.len() >= 3).map(near).sum()
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
    use memory_core::{PlaybookId, Standing, Tally, Timestamp};
    use uuid::Uuid;

    use super::*;

    fn playbook(placeholders: &[(&str, &str)], instructions: &[&str]) -> Playbook {
        let step = |text: &&str| PlaybookStep { tool: "t".into(), instruction: (*text).into() };
        Playbook {
            id: PlaybookId(Uuid::nil()),
            title: String::new(),
            domain: None,
            steps: instructions.iter().map(step).collect(),
            placeholders: placeholders.iter().map(|(name, _)| (*name).into()).collect(),
            shapes: placeholders.iter().map(|(_, shape)| (*shape).into()).collect(),
            task_kind: None,
            terms: Vec::new(),
            sources: Vec::new(),
            tally: Tally::default(),
            confidence: 0.0,
            used: Tally::default(),
            standing: Standing::default(),
            ruling: None,
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
        check(&[order], "What of #W6067464's kettle?", &[("order_id", "#W6067464")]);
        check(&[order], "swap #W6067464 for #W6067465", &[]);
        check(&[order], "swap #W6067464, order #W6067465 and #W6067466", &[("order_id", "#W6067465")]);
        check(&[("old", "XXXXXX"), ("new", "XXXXXX")], "move JG7FMM to 4WQ150", &[]);
        check(&[("quantity", "9")], "order 3 lamps", &[]);
        check(&[("quantity", "9")], "order, quantity 3", &[("quantity", "3")]);
        check(
            &[("from_zip", "99999"), ("home_zip", "99999")],
            "home zip 12345, go from 54321",
            &[("from_zip", "54321"), ("home_zip", "12345")],
        );
    }

    #[test]
    fn values_are_guessed_by_what_is_around_them() {
        let check = |title: &str, placeholders: &[(&str, &str)], text: &str, expected: &[(&str, &str)]| {
            let playbook = Playbook { title: title.into(), ..playbook(placeholders, &[]) };
            assert_eq!(playbook.suggest_values(text), map(expected), "{text:?}");
        };
        let release = "Release version {version} of the {service} service";
        let values = &[("service", ""), ("version", "9.9.9")];
        let both = &[("service", "invoices"), ("version", "3.12.1")];
        check(release, values, "release version 3.12.1 of the invoices service", both);
        check(release, values, "Please release version 3.12.1 of the invoices service today.", both);
        check(
            release,
            values,
            "Release version 3.12.1 of the new invoices service",
            &[("version", "3.12.1")],
        );
        check(release, values, "Of the invoices service, of the mail service", &[]);
        check(release, values, "Water the plants", &[]);
        check("Ship v{version}", &[("version", "9.9.9")], "ship v1.2.3", &[("version", "1.2.3")]);
        check("Deploy {name}", &[("name", "")], "Deploy billing", &[("name", "billing")]);
        check("Deploy {name}", &[("name", "")], "Deploy billing to staging", &[]);
        check("Deploy {name} …", &[("name", "")], "Deploy billing to staging", &[("name", "billing")]);
        let deploy = "Deploy {service} {version} to {region}";
        let values = &[("service", ""), ("version", "9.9.9"), ("region", "")];
        let all = &[("service", "ledger"), ("version", "2.2.2"), ("region", "rome")];
        check(deploy, values, "Deploy ledger 2.2.2 to rome", all);
        check(deploy, values, "Please deploy ledger 2.2.2 to rome, and tell me.", all);
        check(deploy, values, "Deploy a new one to rome", &[]);
        check(
            "Move {old} to {new}",
            &[("old", "XXXXXX"), ("new", "XXXXXX")],
            "move JG7FMM to 4WQ150",
            &[("old", "JG7FMM"), ("new", "4WQ150")],
        );
        let (push, values) = ("Push the branch {kind}/v{name}.", &[("kind", ""), ("name", "a-99")]);
        let both = &[("kind", "feat"), ("name", "cache-78")];
        check(push, values, "Push the branch feat/vcache-78, please", both);
        check(push, values, "Push the branch cache-78, please", &[("name", "cache-78")]);
        check(push, values, "Push the branch /v, please", &[]);
        check("Push the branch {a}{b}", &[("a", ""), ("b", "")], "Push the branch feat", &[]);
    }

    #[test]
    fn what_is_done_is_left_out_with_what_only_it_needs() {
        let check_where = |needed: &str, done: &[&str], tools: &[&str], missing: &[&str]| {
            let steps = [("get", "id={a}"), ("sh", "make"), ("sh", "test {b}"), ("end", "")];
            let step =
                |(tool, text): (&str, &str)| PlaybookStep { tool: tool.into(), instruction: text.into() };
            let whole =
                FilledPlaybook { steps: steps.map(step).into(), missing: vec!["a".into(), "b".into()] };
            let done: Vec<String> = done.iter().map(|tool| (*tool).to_owned()).collect();
            let rest = whole.after(&done, |tool| tool == needed);
            let left: Vec<String> = rest.steps.iter().map(PlaybookStep::to_string).collect();
            assert_eq!(left, tools, "{done:?}");
            assert_eq!(rest.missing, missing, "{done:?}");
        };
        let check = |done: &[&str], tools: &[&str], missing: &[&str]| check_where("", done, tools, missing);
        check(&[], &["get: id={a}", "sh: make", "sh: test {b}", "end"], &["a", "b"]);
        check(&["sh"], &["sh: test {b}", "end"], &["b"]);
        // While a step before it is needed, the tool was used for something else.
        check_where("get", &["sh"], &["get: id={a}", "sh: make", "sh: test {b}", "end"], &["a", "b"]);
        check_where("sh", &["get", "end"], &["sh: make", "sh: test {b}", "end"], &["b"]);
        check(&["get", "look", "sh"], &["sh: test {b}", "end"], &["b"]);
        check(&["get", "sh", "sh", "sh"], &["end"], &[]);
        check(&["get", "sh", "sh", "end"], &[], &[]);
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
