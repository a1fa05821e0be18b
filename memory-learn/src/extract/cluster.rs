//! An episode among similar ones.

use std::collections::{HashMap, HashSet};

use memory_core::Timestamp;
use memory_recall::tokenize::{label_key, tokenize};

use crate::calls::{Call, calls};
use crate::errors::cut;
use crate::playbook::is_name;
use crate::shape::{Shape, pieces};
use crate::trace::Trace;

/// Similar episodes compared; the most similar ones count.
const MAX_SIMILAR: usize = 16;
/// Terms that an item gets from the tasks of its episodes.
const MAX_TERMS: usize = 12;
/// A longer description is read up to this many bytes at its start.
const MAX_DESCRIPTION_BYTES: usize = 2_000;

/// One episode of a cluster.
pub(crate) struct Member<'t> {
    pub(crate) trace: &'t Trace,
    pub(crate) calls: Vec<Call<'t>>,
    pub(crate) succeeded: bool,
}

impl<'t> Member<'t> {
    pub(crate) fn new(trace: &'t Trace) -> Self {
        Self { trace, calls: calls(trace), succeeded: trace.succeeded() }
    }

    /// Returns the tools in order of first use.
    pub(crate) fn tools(&self) -> Vec<&'t str> {
        let mut seen = HashSet::new();
        self.calls.iter().map(|call| call.tool).filter(|tool| seen.insert(*tool)).collect()
    }

    /// Returns true if it calls a tool at least once.
    pub(crate) fn uses(&self, tool: &str) -> bool {
        self.calls.iter().any(|call| call.tool == tool)
    }
}

/// An episode and similar ones; the episode itself comes first.
pub(crate) struct Cluster<'t> {
    pub(crate) members: Vec<Member<'t>>,
    /// The words that the tasks have in common.
    pub(crate) terms: Vec<String>,
}

impl<'t> Cluster<'t> {
    pub(crate) fn new(trace: &'t Trace, similar: &'t [Trace]) -> Self {
        let others = similar.iter().filter(|other| other.episode.id != trace.episode.id).take(MAX_SIMILAR);
        let members: Vec<Member<'t>> = [trace].into_iter().chain(others).map(Member::new).collect();
        let terms = shared_terms(&members);
        Self { members, terms }
    }

    pub(crate) fn own(&self) -> &Member<'t> {
        &self.members[0]
    }

    pub(crate) fn trace(&self) -> &'t Trace {
        self.members[0].trace
    }

    pub(crate) fn similar(&self) -> &[Member<'t>] {
        &self.members[1..]
    }

    /// Returns the members that succeeded.
    pub(crate) fn successes(&self) -> impl Iterator<Item = &Member<'t>> {
        self.members.iter().filter(|member| member.succeeded)
    }

    /// Returns domain and kind of task as identities have them.
    pub(crate) fn labels(&self) -> (String, String) {
        let task = &self.trace().episode.task;
        (label_key(task.domain.as_deref()), label_key(task.kind.as_deref()))
    }

    /// Returns when the episode ended.
    pub(crate) fn at(&self) -> Timestamp {
        let episode = &self.trace().episode;
        episode.completed_at.unwrap_or(episode.started_at)
    }
}

/// Returns the words that the task of the first member shares with at least half of the others, the most shared
/// first. Names among the arguments of its tools are excluded: they name the customer, not the subject.
fn shared_terms(members: &[Member<'_>]) -> Vec<String> {
    let mut own = words(members[0].trace);
    let of_names = words_of_names(&members[0].calls);
    own.retain(|word| !of_names.contains(word));
    let mut counts: HashMap<&str, usize> = own.iter().map(|word| (word.as_str(), 0)).collect();
    for member in &members[1..] {
        for word in words(member.trace) {
            if let Some(count) = counts.get_mut(word.as_str()) {
                *count += 1;
            }
        }
    }
    let needed = (members.len() - 1).div_ceil(2);
    let mut shared: Vec<(usize, &String)> =
        own.iter().map(|word| (counts[word.as_str()], word)).filter(|(count, _)| *count >= needed).collect();
    // A stable sort: words shared equally often stay in the order of the text.
    shared.sort_by_key(|(count, _)| std::cmp::Reverse(*count));
    shared.into_iter().take(MAX_TERMS).map(|(_, word)| word.clone()).collect()
}

/// Returns the words of a task in order, each once, without values.
fn words(trace: &Trace) -> Vec<String> {
    let mut words = Vec::new();
    let mut seen = HashSet::new();
    pieces(cut(&trace.episode.task.description, MAX_DESCRIPTION_BYTES), |piece| {
        if piece.shape == Shape::Word {
            tokenize(piece.text, |token| {
                let word = !token.joined && token.term.chars().count() > 1;
                if word && seen.insert(token.term.to_owned()) {
                    words.push(token.term.to_owned());
                }
            });
        }
    });
    words
}

/// Returns the words of the names that are arguments of calls.
fn words_of_names(calls: &[Call<'_>]) -> HashSet<String> {
    let mut words = HashSet::new();
    for call in calls {
        call.arguments(|_, value| {
            if let Some(name) = value.as_str().filter(|text| is_name(text)) {
                tokenize(name, |token| _ = words.insert(token.term.to_owned()));
            }
        });
    }
    words
}

#[cfg(test)]
mod tests {
    use memory_core::Action;
    use serde_json::json;

    use super::*;
    use crate::calls::tests::{success, tools, trace};

    #[test]
    fn terms_are_shared_words_without_values() {
        let mut other = tools(2, success(), "a");
        other.episode.task.description = "Cancel flight HAT1".into();
        let [one, two] = [tools(1, success(), "a"), tools(3, success(), "a")];
        let similar = [two, other];
        assert_eq!(Cluster::new(&one, &similar).terms, ["flight", "book"]);
        assert_eq!(Cluster::new(&one, &[]).terms, ["book", "flight"]);
    }

    #[test]
    fn who_it_was_for_is_no_term() {
        let action = Action::tool("find").arguments(json!({"name": "Ruth de Wit", "notes": "old flight"}));
        let mut one = trace(1, success(), vec![action]);
        one.episode.task.description = "Book a flight for Ruth de Wit".into();
        assert_eq!(Cluster::new(&one, std::slice::from_ref(&one)).terms, ["book", "flight"]);
    }
}
