//! Remedies for an error.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;
use crate::model::ruling::Decision;

/// A response to an error, and its results. Responses that differ only in values and notes are one.
///
/// As text it is its calls with their results: `login, then deploy (3 times)`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Remedy {
    /// The calls, in order; the last is the one that failed before, or one that took its place. Where one of
    /// the calls failed itself, and so the remedy did, it is the last.
    pub calls: Vec<RemedyCall>,
    /// Successful episodes in which it recovered from the error.
    pub worked: u32,
    /// Episodes, however they ended, in which the error came again after it, or a call of it failed.
    pub failed: u32,
    /// When it last recovered from the error; `None` if it never did.
    pub worked_at: Option<Timestamp>,
    /// When it last failed.
    pub failed_at: Option<Timestamp>,
    /// The ruling on it. Not stored with it: the [`crate::Ruling`] is a separate record.
    #[serde(skip)]
    pub ruling: Option<Decision>,
}

/// One call of a remedy. As text: `pay with method changed from voucher to cash: pay the rest`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct RemedyCall {
    /// The tool, as it was recorded.
    pub tool: String,
    /// The differences of its arguments from the call that failed, or its arguments.
    pub arguments: Vec<ArgumentChange>,
    /// Its purpose, in the words of the episode; empty if none was stated.
    pub note: String,
}

/// A difference in one argument of a call. It has a value only if that is meaningful in other episodes.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ArgumentChange {
    /// It was not there before; the value varies.
    Added {
        /// The argument.
        name: String,
    },
    /// It was left out.
    Removed {
        /// The argument.
        name: String,
    },
    /// It was there before, and the values vary.
    Changed {
        /// The argument.
        name: String,
    },
    /// It became another word.
    Replaced {
        /// The argument.
        name: String,
        /// The word that it was.
        from: String,
        /// The word that it became.
        to: String,
    },
    /// It had this value, whatever it was before.
    Set {
        /// The argument.
        name: String,
        /// The new value.
        value: ArgumentValue,
    },
}

/// A value of an argument that means something in another episode.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ArgumentValue {
    /// A short word or a truth value.
    Word(String),
    /// A phrase, such as a command line, with placeholders for figures, ids and addresses.
    Phrase(String),
}

impl Remedy {
    /// Returns its tools, in order of their first call.
    pub fn tools(&self) -> Vec<&str> {
        let mut tools: Vec<&str> = Vec::new();
        for call in &self.calls {
            if !tools.contains(&call.tool.as_str()) {
                tools.push(&call.tool);
            }
        }
        tools
    }

    /// Renders its calls in words.
    pub fn text(&self) -> String {
        in_words(&self.calls)
    }

    /// Returns true if it worked at least once or is pinned, and is not rejected.
    pub(crate) fn helped(&self) -> bool {
        self.ruling != Some(Decision::Rejected) && (self.worked > 0 || self.is_pinned())
    }

    /// Returns true if a person pinned it: it is the remedy whatever its evidence.
    pub fn is_pinned(&self) -> bool {
        self.ruling == Some(Decision::Pinned)
    }

    /// Returns true if it worked and has not failed since.
    pub fn works(&self) -> bool {
        self.worked > 0 && self.worked_at >= self.failed_at
    }
}

impl RemedyCall {
    /// Creates a call of `tool` without differences and note.
    pub fn new(tool: impl Into<String>) -> Self {
        Self { tool: tool.into(), arguments: Vec::new(), note: String::new() }
    }

    /// Returns every text of it.
    pub fn texts(&self) -> impl Iterator<Item = &str> {
        let arguments = self.arguments.iter().flat_map(ArgumentChange::texts);
        [self.tool.as_str(), &self.note].into_iter().chain(arguments)
    }

    /// Returns every text of it, for changing in place (redaction).
    pub fn texts_mut(&mut self) -> impl Iterator<Item = &mut String> {
        let arguments = self.arguments.iter_mut().flat_map(ArgumentChange::texts_mut);
        [&mut self.tool, &mut self.note].into_iter().chain(arguments)
    }
}

impl ArgumentChange {
    /// Returns the name of the argument.
    pub fn name(&self) -> &str {
        match self {
            Self::Added { name }
            | Self::Removed { name }
            | Self::Changed { name }
            | Self::Replaced { name, .. }
            | Self::Set { name, .. } => name,
        }
    }

    fn texts(&self) -> Vec<&str> {
        match self {
            Self::Added { name } | Self::Removed { name } | Self::Changed { name } => vec![name],
            Self::Replaced { name, from, to } => vec![name, from, to],
            Self::Set { name, value: ArgumentValue::Word(text) | ArgumentValue::Phrase(text) } => {
                vec![name, text]
            }
        }
    }

    fn texts_mut(&mut self) -> Vec<&mut String> {
        match self {
            Self::Added { name } | Self::Removed { name } | Self::Changed { name } => vec![name],
            Self::Replaced { name, from, to } => vec![name, from, to],
            Self::Set { name, value: ArgumentValue::Word(text) | ArgumentValue::Phrase(text) } => {
                vec![name, text]
            }
        }
    }

    /// Returns its values, for changing in place.
    pub fn values_mut(&mut self) -> Vec<&mut String> {
        let mut texts = self.texts_mut();
        texts.remove(0);
        texts
    }
}

/// Renders calls in words, in their order.
pub fn in_words(calls: &[RemedyCall]) -> String {
    calls.iter().map(ToString::to_string).collect::<Vec<_>>().join(", then ")
}

impl fmt::Display for ArgumentValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Word(word) => f.write_str(word),
            Self::Phrase(phrase) => write!(f, "`{phrase}`"),
        }
    }
}

impl fmt::Display for ArgumentChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Added { name } => write!(f, "with {name} added"),
            Self::Removed { name } => write!(f, "without {name}"),
            Self::Changed { name } => write!(f, "with {name} changed"),
            Self::Replaced { name, from, to } => write!(f, "with {name} changed from {from} to {to}"),
            Self::Set { name, value } => write!(f, "with {name} = {value}"),
        }
    }
}

impl fmt::Display for RemedyCall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.tool)?;
        for (place, argument) in self.arguments.iter().enumerate() {
            write!(f, "{}{argument}", if place == 0 { " " } else { ", " })?;
        }
        if self.note.is_empty() { Ok(()) } else { write!(f, ": {}", self.note) }
    }
}

impl fmt::Display for Remedy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let times = |count: u32| if count == 1 { "once".to_owned() } else { format!("{count} times") };
        let in_vain = match self.failed {
            1 if self.worked > 0 && !self.works() => "in vain the last time".to_owned(),
            failed if self.worked > 0 && !self.works() => {
                format!("in vain {failed} times, also the last time")
            }
            failed => format!("in vain {}", times(failed)),
        };
        f.write_str(&self.text())?;
        match (self.worked, self.failed) {
            (0, _) => write!(f, " ({in_vain})"),
            (1, 0) => Ok(()),
            (worked, 0) => write!(f, " ({worked} times)"),
            (worked, _) => write!(f, " (worked {}, {in_vain})", times(worked)),
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// Makes calls of tools without differences and notes.
    pub(crate) fn calls(tools: &[&str]) -> Vec<RemedyCall> {
        tools.iter().copied().map(RemedyCall::new).collect()
    }

    fn remedy(worked: u32, failed: u32, worked_at: Option<u64>, failed_at: Option<u64>) -> Remedy {
        let (worked_at, failed_at) = (worked_at.map(Timestamp), failed_at.map(Timestamp));
        Remedy { calls: calls(&["login", "deploy"]), worked, failed, worked_at, failed_at, ruling: None }
    }

    #[test]
    fn tells_what_came_of_it() {
        let check = |remedy: Remedy, text: &str, works: bool| {
            assert_eq!(remedy.to_string(), format!("login, then deploy{text}"));
            assert_eq!(remedy.works(), works, "{text}");
        };
        check(remedy(1, 0, Some(1), None), "", true);
        check(remedy(3, 0, Some(1), None), " (3 times)", true);
        check(remedy(3, 1, Some(2), Some(1)), " (worked 3 times, in vain once)", true);
        check(remedy(1, 2, Some(2), Some(3)), " (worked once, in vain 2 times, also the last time)", false);
        check(remedy(2, 1, Some(2), Some(3)), " (worked 2 times, in vain the last time)", false);
        check(remedy(0, 1, None, Some(3)), " (in vain once)", false);
    }

    #[test]
    fn arguments_and_notes_are_told_and_add_no_tool() {
        let name = || "method".to_owned();
        let word = |text: &str| ArgumentValue::Word(text.into());
        let phrase = |text: &str| ArgumentValue::Phrase(text.into());
        let check = |argument: ArgumentChange, note: &str, text: &str| {
            let call = RemedyCall { tool: "pay".into(), arguments: vec![argument], note: note.into() };
            let one = Remedy { calls: vec![call], ..remedy(1, 0, Some(1), None) };
            assert_eq!((one.text().as_str(), one.tools()), (text, vec!["pay"]));
        };
        check(ArgumentChange::Added { name: name() }, "", "pay with method added");
        check(ArgumentChange::Removed { name: name() }, "", "pay without method");
        check(ArgumentChange::Changed { name: name() }, "ask", "pay with method changed: ask");
        let (from, to) = ("voucher, then x".into(), "cash".into());
        let replaced = ArgumentChange::Replaced { name: name(), from, to };
        check(replaced, "", "pay with method changed from voucher, then x to cash");
        check(ArgumentChange::Set { name: name(), value: word("cash") }, "", "pay with method = cash");
        let value = phrase("drain it, then restart worker");
        let text = "pay with method = `drain it, then restart worker`";
        check(ArgumentChange::Set { name: name(), value }, "", text);
    }

    #[test]
    fn the_tools_of_a_remedy_are_named_once() {
        let calls = calls(&["bash", "edit, then run", "bash"]);
        assert_eq!(Remedy { calls, ..remedy(1, 0, None, None) }.tools(), ["bash", "edit, then run"]);
    }

    #[test]
    fn the_stored_form_is_read_back() {
        let mut whole = remedy(3, 1, Some(2), Some(1));
        whole.calls[1].arguments = vec![
            ArgumentChange::Removed { name: "force".into() },
            ArgumentChange::Set { name: "mode".into(), value: ArgumentValue::Word("batch".into()) },
        ];
        let stored = serde_json::to_string(&whole).unwrap();
        assert!(stored.contains(r#"{"set":{"name":"mode","value":{"word":"batch"}}}"#), "{stored}");
        assert_eq!(serde_json::from_str::<Remedy>(&stored).unwrap(), whole);
    }
}
