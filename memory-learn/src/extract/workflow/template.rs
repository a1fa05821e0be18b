//! The text of a procedure: fixed text, and placeholders for varying values.

use std::collections::{BTreeMap, BTreeSet};

use memory_core::PlaybookStep;
use memory_recall::content_words::term;
use serde_json::Value;

use super::segments::{Segment, alike, outside_braces, place_in, segments};
use super::task_text::{Stated, TaskText, is_key};
use super::{Column, Workflow, is_command};
use crate::calls::value_text;
use crate::errors::cut;
use crate::playbook::{common_shape, is_name, names_in};
use crate::recovery::constant;
use crate::shape::{Piece, Shape, pieces};

/// Placeholders of a procedure; an episode with more is no example of one.
const MAX_PLACEHOLDERS: usize = 32;
/// Values longer than this, in bytes, are rendered by name only.
const MAX_CONSTANT_BYTES: usize = 80;
/// Descriptions of steps and titles are cut to this many bytes.
const MAX_TEXT_BYTES: usize = 160;
/// Values shorter than this, in bytes, are too common in texts to be recognised by their look.
const MIN_VALUE_BYTES: usize = 3;
/// Others that must have a word that the task has, too, for it to stay: few may have it by chance.
const MIN_SEEN: usize = 3;
/// The placeholder of a value without a name.
const VARIES: &str = "…";

/// A procedure in the making: which values became placeholders.
pub(super) struct Template<'t> {
    task: &'t str,
    others: &'t [&'t str],
    /// The values that the task states, and those of the other tasks.
    stated: Vec<Stated>,
    stated_by_others: Vec<Stated>,
    /// The placeholder for each value of the base: by the value, and for short words also by the argument.
    names: BTreeMap<(String, String), usize>,
    placeholders: Vec<String>,
    /// The values seen for each placeholder.
    values: Vec<Vec<String>>,
    /// The values that texts may hold: those of placeholders and those that the task states, longer ones first.
    in_texts: Vec<String>,
}

/// The treatment of an argument.
enum Argument {
    Constant(String),
    Placeholder(usize),
    /// A text of several words, some of which may vary.
    Text,
    /// Most other episodes lack it.
    Odd,
}

impl<'t> Template<'t> {
    /// Begins a template from the task of its base and the tasks of the others.
    pub(super) fn new(task: &'t str, others: &'t [&'t str]) -> Self {
        let own = TaskText::new(task);
        let texts: Vec<TaskText<'_>> = others.iter().map(|other| TaskText::new(other)).collect();
        Self {
            task,
            others,
            stated: own.stated(&texts),
            stated_by_others: texts
                .iter()
                .flat_map(|other| other.stated(std::slice::from_ref(&own)))
                .collect(),
            names: BTreeMap::new(),
            placeholders: Vec::new(),
            values: Vec::new(),
            in_texts: Vec::new(),
        }
    }

    /// Returns the procedure, without identity; `None` if too much of it varies.
    pub(super) fn fill(mut self, columns: &[Column<'t>]) -> Option<Workflow> {
        // Arguments that are a value as a whole name it for every text.
        let arguments: Vec<Vec<Argument>> = columns.iter().map(|column| self.arguments(column)).collect();
        self.in_texts = self.values_of_texts();
        let steps: Vec<PlaybookStep> =
            columns.iter().zip(arguments).map(|(column, arguments)| self.step(column, arguments)).collect();
        if self.placeholders.len() > MAX_PLACEHOLDERS {
            return None;
        }
        self.keep_used(&steps);
        let shapes = self.values.iter().map(|values| self.shape(values)).collect();
        Some(Workflow {
            identity: String::new(),
            title: self.title(),
            steps,
            placeholders: self.placeholders,
            shapes,
        })
    }

    /// Returns the shape by which a task's value is recognised; none for figures that no task stated: a figure
    /// in a task is a different one.
    fn shape(&self, values: &[String]) -> String {
        let shape = common_shape(values);
        let mut tasks = std::iter::once(&self.task).chain(self.others);
        let is_stated = tasks.any(|task| values.iter().any(|value| place_in(task, value).is_some()));
        if is_stated || !shape.bytes().all(|byte| byte == b'9' || byte == b'.') {
            shape
        } else {
            String::new()
        }
    }

    /// Drops placeholders that no step uses: the procedure does not depend on them.
    fn keep_used(&mut self, steps: &[PlaybookStep]) {
        let is_used =
            |name: &String| steps.iter().any(|step| step.instruction.contains(&format!("{{{name}}}")));
        let used: Vec<bool> = self.placeholders.iter().map(is_used).collect();
        self.names.retain(|_, at| used[*at]);
        for at in self.names.values_mut() {
            *at = used[..*at].iter().filter(|used| **used).count();
        }
        let mut each = used.iter();
        self.placeholders.retain(|_| each.next() == Some(&true));
        let mut each = used.iter();
        self.values.retain(|_| each.next() == Some(&true));
    }

    fn arguments(&mut self, column: &Column<'t>) -> Vec<Argument> {
        let mut arguments = Vec::new();
        column.call.arguments(|name, value| {
            let others: Vec<&Value> = column.rows.iter().filter_map(|row| row.argument(name)).collect();
            let text = value_text(value);
            arguments.push(if 2 * others.len() < column.rows.len() {
                Argument::Odd
            } else if self.is_constant(value, &text, &others) {
                Argument::Constant(text)
            } else if self.is_text(name, value, &text, &others) {
                Argument::Text
            } else {
                Argument::Placeholder(self.placeholder(name, value, &text, &others))
            });
        });
        arguments
    }

    fn step(&mut self, column: &Column<'t>, arguments: Vec<Argument>) -> PlaybookStep {
        let mut parts = Vec::with_capacity(arguments.len());
        let mut replaced = Vec::new();
        let mut arguments = arguments.into_iter();
        column.call.arguments(|name, value| {
            let others: Vec<&Value> = column.rows.iter().filter_map(|row| row.argument(name)).collect();
            let text = value_text(value);
            let told = match arguments.next() {
                Some(Argument::Constant(text)) => text,
                Some(Argument::Text) => {
                    let rows: Vec<String> = others.iter().map(|other| value_text(other)).collect();
                    match self.text(&text, &rows, true) {
                        Some(told) => told,
                        None => {
                            let at = self.placeholder(name, value, &text, &others);
                            format!("{{{}}}", self.placeholders[at])
                        }
                    }
                }
                Some(Argument::Placeholder(at)) => {
                    replaced.push((text, at));
                    format!("{{{}}}", self.placeholders[at])
                }
                Some(Argument::Odd) | None => return,
            };
            parts.push(format!("{name}={told}"));
        });
        let said = |text: &'t str| cut(text.lines().next().unwrap_or("").trim(), MAX_TEXT_BYTES);
        let rows: Vec<String> =
            column.rows.iter().map(|row| said(&row.action.description).to_owned()).collect();
        let own = said(&column.call.action.description);
        let mut what = self.text(own, &rows, false).unwrap_or_default();
        // Longer values first: one may be a part of another.
        replaced.sort_by_key(|(text, _)| std::cmp::Reverse(text.len()));
        for (text, at) in replaced.iter().filter(|(text, _)| text.len() >= MIN_VALUE_BYTES) {
            what = outside_braces(&what, text, &format!("{{{}}}", self.placeholders[*at]));
        }
        let arguments = parts.join(", ");
        let instruction = match (what.is_empty(), arguments.is_empty()) {
            (true, _) => arguments,
            (false, true) => what,
            (false, false) => format!("{what} ({arguments})"),
        };
        PlaybookStep { tool: column.call.tool.to_owned(), instruction }
    }

    /// Returns the first line of the task in its original case, with placeholders for varying parts.
    fn title(&self) -> String {
        let line = self.task.lines().find(|line| !line.trim().is_empty()).unwrap_or("").trim();
        let values = self.names.keys().map(|(_, value)| value).filter(|value| value.contains(' '));
        // A name that most other tasks lack is specific to this one.
        let shared = |name: &str| self.others.iter().filter(|other| place_in(other, name).is_some()).count();
        let own = names_in(line).filter(|name| 2 * shared(name) < self.others.len()).map(str::to_owned);
        let mut phrases: Vec<String> = values.cloned().chain(own).collect();
        phrases.sort_by_key(|phrase| std::cmp::Reverse(phrase.len()));
        let mut title = String::new();
        for segment in segments(line, &phrases) {
            match segment {
                _ if title.ends_with(VARIES) && title.len() > MAX_TEXT_BYTES => break,
                Segment::Value(phrase) => match self.known(phrase) {
                    Some(name) => title.push_str(&format!("{{{name}}}")),
                    None => title.push_str(VARIES),
                },
                Segment::Stays(text) => self.add_to_title(text, &mut title),
            }
        }
        title
    }

    fn add_to_title(&self, text: &str, title: &mut String) {
        let mut at = 0;
        let mut whole = true;
        pieces(text, |piece| {
            if title.len() > MAX_TEXT_BYTES {
                whole = false;
                return;
            }
            title.push_str(&text[at..piece.start]);
            at = piece.end;
            let told = &text[piece.start..piece.end];
            let telling = || piece.text.len() >= MIN_VALUE_BYTES || self.is_own_figure(piece);
            let named = self.known(piece.text).filter(|_| telling());
            if let Some(name) = named {
                title.push_str(&format!("{{{name}}}"));
            } else if let Some(part) = self.known_within(piece.text) {
                title.push_str(&part);
            } else if self.stated.iter().any(|stated| stated.value == piece.text) {
                title.push_str(VARIES);
            } else {
                title.push_str(told);
            }
        });
        title.push_str(if whole { &text[at..] } else { VARIES });
    }

    /// Returns true for a short figure that the task has once, and that is the value of a placeholder whose
    /// other values are in other tasks: "3 bags" is, the 3 of "3 May" is chance.
    fn is_own_figure(&self, piece: Piece<'_>) -> bool {
        let Some(at) = self.names.iter().find(|((_, known), _)| known == piece.text).map(|(_, at)| *at)
        else {
            return false;
        };
        let mut times = 0;
        pieces(self.task, |other| times += usize::from(other.text == piece.text));
        let others: BTreeSet<&String> = self.values[at].iter().filter(|value| *value != piece.text).collect();
        let stated = |value: &&&String| self.others.iter().any(|other| place_in(other, value).is_some());
        piece.shape == Shape::Number
            && times == 1
            && !others.is_empty()
            && others.iter().filter(stated).count() == others.len()
    }

    /// Returns true for a value that belongs to the procedure: it is the same everywhere, not one of the task's
    /// own, and no id, address, date, long figure, or name of a person. A value seen once must be a word.
    fn is_constant(&self, value: &Value, text: &str, others: &[&Value]) -> bool {
        if text.len() > MAX_CONSTANT_BYTES || others.iter().any(|other| *other != value) {
            return false;
        }
        if self.follows_from_tasks(text, others.len()) || is_name(text) && place_in(self.task, text).is_some()
        {
            return false;
        }
        let of_task = if value.is_number() {
            place_in(self.task, text).is_some()
        } else {
            text.len() >= MIN_VALUE_BYTES && self.task.contains(text)
        };
        match constant(value) {
            // A value seen once must be a word: `u_0` may be different the next time.
            Some(_) if others.is_empty() => !of_task && !text.contains(|c: char| c.is_ascii_digit()),
            Some(_) => !of_task || others.len() >= MIN_SEEN,
            None => {
                !of_task && !others.is_empty() && !value.is_array() && !value.is_object() && !is_key(text)
            }
        }
    }

    /// Returns true for a text with something in it that the task states, and that as many other tasks have as
    /// there are other episodes with the text.
    fn follows_from_tasks(&self, text: &str, seen: usize) -> bool {
        let explains = |value: &str| {
            let in_others = self.others.iter().filter(|other| place_in(other, value).is_some()).count();
            place_in(text, value).is_some() && in_others >= seen
        };
        self.stated.iter().any(|stated| stated.value.len() >= MIN_VALUE_BYTES && explains(&stated.value))
    }

    /// Returns true for a text that may be split into parts: a command, or a text of which the task states a
    /// part and other examples exist.
    fn is_text(&self, name: &str, value: &Value, text: &str, others: &[&Value]) -> bool {
        let mut words = 0;
        pieces(text, |_| words += 1);
        let short = value.is_string() && !text.contains('\n') && text.len() <= MAX_TEXT_BYTES;
        let comparable = others.iter().all(|other| other.is_string());
        let stated = || {
            self.stated.iter().any(|stated| stated.value != text && place_in(text, &stated.value).is_some())
        };
        short && comparable && (is_command(name) && words > 1 || !others.is_empty() && stated())
    }

    /// Returns a text with placeholders for the values that the task states and those that are arguments
    /// elsewhere. For an argument (`exact`) it returns `None` if something else varies, too; a description gets
    /// an ellipsis there.
    fn text(&mut self, text: &str, rows: &[String], exact: bool) -> Option<String> {
        let mut own = Vec::new();
        pieces(text, |piece| own.push(piece));
        let rows: Vec<Vec<&str>> = rows
            .iter()
            .map(|row| {
                let mut found = Vec::new();
                pieces(row, |piece| found.push(piece.text));
                found
            })
            .collect();
        let mut told = String::with_capacity(text.len());
        let mut at = 0;
        let mut words = false;
        for piece in own {
            told.push_str(&text[at..piece.start]);
            at = piece.end;
            let stays = rows.iter().all(|row| row.contains(&piece.text));
            match self.part(piece, &rows, stays, exact) {
                Part::Stays => {
                    words |= piece.shape == Shape::Word;
                    told.push_str(&text[piece.start..piece.end]);
                }
                Part::Told(part) => {
                    let quotes = (text[piece.start..piece.end].find(piece.text)).unwrap_or(0);
                    told.push_str(&text[piece.start..piece.start + quotes]);
                    told.push_str(&part);
                    told.push_str(&text[piece.start + quotes + piece.text.len()..piece.end]);
                    words |= !part.starts_with('{') || !part.ends_with('}');
                }
                Part::Varies if exact => return None,
                Part::Varies => told.push_str(VARIES),
            }
        }
        told.push_str(&text[at..]);
        (!exact || words).then_some(told)
    }

    /// Returns the treatment of a piece of a text.
    fn part(&mut self, piece: Piece<'_>, rows: &[Vec<&str>], stays: bool, exact: bool) -> Part {
        let word = piece.shape == Shape::Word;
        let seen = !rows.is_empty();
        if stays && seen && !is_key(piece.text) && !self.follows_from_tasks(piece.text, rows.len()) {
            return Part::Stays;
        }
        if piece.text.len() >= MIN_VALUE_BYTES {
            if let Some(name) = self.name_of(piece.text) {
                return Part::Told(format!("{{{name}}}"));
            }
            let segments = segments(piece.text, &self.in_texts);
            if segments.len() > 1 && rows.iter().all(|row| row.iter().any(|other| alike(&segments, other))) {
                let name = |segment: &Segment<'_>| match segment {
                    Segment::Stays(text) => Some((*text).to_owned()),
                    Segment::Value(value) => self.name_of(value).map(|name| format!("{{{name}}}")),
                };
                if let Some(told) = segments.iter().map(name).collect() {
                    return Part::Told(told);
                }
            }
        }
        let of_own_task = || {
            place_in(self.task, piece.text).is_some()
                && self.others.iter().all(|other| place_in(other, piece.text).is_none())
        };
        let missing_everywhere = rows.iter().all(|row| !row.contains(&piece.text));
        let varies = match (word, seen, exact) {
            (true, true, true) => true,
            // Other words for the same are no value: that is one which only this task has. Function words are
            // none.
            (true, true, false) => missing_everywhere && term(piece.text).is_some() && of_own_task(),
            (true, false, _) => false,
            (false, true, _) => true,
            (false, false, _) => exact && piece.shape != Shape::Path || is_key(piece.text),
        };
        if varies { Part::Varies } else { Part::Stays }
    }

    /// Returns the values that texts may hold: those of placeholders and those that the task states, longer
    /// ones first.
    fn values_of_texts(&self) -> Vec<String> {
        let known = self.names.keys().map(|(_, value)| value);
        let mut values: Vec<String> = known
            .chain(self.stated.iter().map(|stated| &stated.value))
            .filter(|value| value.len() >= MIN_VALUE_BYTES)
            .cloned()
            .collect();
        values.sort_by(|a, b| b.len().cmp(&a.len()).then_with(|| a.cmp(b)));
        values.dedup();
        values
    }

    /// Returns a piece that holds values of placeholders and more, with the placeholders in it.
    fn known_within(&self, piece: &str) -> Option<String> {
        let values = self.in_texts.iter().filter(|value| self.known(value).is_some());
        let segments = segments(piece, values);
        let told = segments.iter().map(|segment| match segment {
            Segment::Stays(text) => (*text).to_owned(),
            Segment::Value(value) => format!("{{{}}}", self.known(value).unwrap_or_default()),
        });
        (segments.len() > 1).then(|| told.collect())
    }

    /// Returns the placeholder of a value.
    fn known(&self, value: &str) -> Option<&str> {
        let mut found = self.names.iter().filter(|((_, known), _)| known == value);
        found.next().map(|(_, at)| self.placeholders[*at].as_str())
    }

    /// Returns the placeholder of a value; one that the task states gets one.
    fn name_of(&mut self, value: &str) -> Option<String> {
        if let Some(name) = self.known(value) {
            return Some(name.to_owned());
        }
        let stated = self.stated.iter().find(|stated| stated.value == value)?.clone();
        let at = self.fresh(&stated.name);
        self.names.insert((String::new(), value.to_owned()), at);
        let others = self.stated_by_others.iter().filter(|other| other.name == stated.name);
        self.values[at] = [stated.value].into_iter().chain(others.map(|other| other.value.clone())).collect();
        Some(self.placeholders[at].clone())
    }

    fn placeholder(&mut self, name: &str, value: &Value, text: &str, others: &[&Value]) -> usize {
        // One id, or one person, under two names is one value; one word under two names is chance.
        let is_word = constant(value).is_some() && !is_name(text);
        let key = (if is_word { name.to_owned() } else { String::new() }, text.to_owned());
        let at = match self.names.get(&key) {
            Some(at) => *at,
            None => {
                let at = self.fresh(name);
                self.names.insert(key, at);
                at
            }
        };
        if !value.is_array() && !value.is_object() {
            self.values[at].push(text.to_owned());
            self.values[at].extend(others.iter().map(|other| value_text(other)));
        }
        at
    }

    /// Adds a placeholder with this name, or with the first free number after it.
    fn fresh(&mut self, name: &str) -> usize {
        let taken = |name: &str| self.placeholders.iter().any(|known| known == name);
        let numbered = (2..).map(|n| format!("{name}_{n}"));
        let name =
            [name.to_owned()].into_iter().chain(numbered).find(|name| !taken(name)).unwrap_or_default();
        self.placeholders.push(name);
        self.values.push(Vec::new());
        self.placeholders.len() - 1
    }
}

/// The treatment of a piece of a text.
enum Part {
    Stays,
    Told(String),
    Varies,
}
