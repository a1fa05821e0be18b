//! What recall keeps of a record to search it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;
use crate::model::episode::Episode;
use crate::recall::tokenize::tokenize;
use crate::store::record::{Record, Revision};

/// A field of a search document, by which its terms are weighed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[repr(u8)]
pub enum Field {
    /// The task's description.
    Task,
    /// Tags, kind, domain, language, framework.
    Labels,
    /// Names of tools used.
    Tools,
    /// The outcome's text.
    Outcome,
}

impl Field {
    /// Every field.
    pub(crate) const ALL: [Self; 4] = [Self::Task, Self::Labels, Self::Tools, Self::Outcome];

    /// Returns the name that reasons show.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Task => "task",
            Self::Labels => "labels",
            Self::Tools => "tools",
            Self::Outcome => "outcome",
        }
    }
}

/// The searchable form of a record: its terms by field, and what ranking and filters need.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SearchDocument {
    /// The version of the record it was made from.
    pub revision: Revision,
    /// When the record expires.
    pub expires_at: Option<Timestamp>,
    /// The terms of each field with their counts; each field at most once, its terms sorted.
    pub terms: Vec<(Field, Vec<(String, u16)>)>,
    /// `open` or the outcome's verdict.
    pub state: String,
    /// The kind of task.
    pub task_kind: String,
    /// The task's domain.
    pub domain: Option<String>,
    /// The task's tags.
    pub tags: Vec<String>,
    /// When the episode started.
    pub started_at: Timestamp,
}

impl SearchDocument {
    /// Identifies the rules by which terms are made. Documents stored under another number must be made anew.
    pub const ANALYSIS: u16 = 1;

    /// The kind that tasks have unless they say otherwise; it tells nothing, so it is not a term.
    const DEFAULT_KIND: &'static str = "general";

    /// Makes the document of an episode.
    pub fn of_episode(episode: &Episode, revision: Revision, expires_at: Option<Timestamp>) -> Self {
        let task = &episode.task;
        let kind = (task.kind != Self::DEFAULT_KIND).then_some(&task.kind);
        let labels = kind.into_iter().chain(&task.domain).chain(&task.language).chain(&task.framework);
        let tools = episode.tools.iter().map(|tool| tool.tool.as_str());
        let outcome = episode.outcome.as_ref();
        let terms = [
            (Field::Task, count_terms([task.description.as_str()])),
            (Field::Labels, count_terms(labels.chain(&task.tags).map(String::as_str))),
            (Field::Tools, count_terms(tools)),
            (Field::Outcome, count_terms(outcome.map(|outcome| outcome.text()))),
        ];
        Self {
            revision,
            expires_at,
            terms: terms.into_iter().filter(|(_, terms)| !terms.is_empty()).collect(),
            state: outcome.map_or("open", |outcome| outcome.verdict()).to_owned(),
            task_kind: task.kind.clone(),
            domain: task.domain.clone(),
            tags: task.tags.clone(),
            started_at: episode.started_at,
        }
    }

    /// Makes the document of a record; `None` if recall does not search its kind, and for tombstones.
    pub fn of_record(record: &Record) -> Option<Self> {
        let episode = record.entity.as_ref()?.as_episode()?;
        Some(Self::of_episode(episode, record.revision, record.expires_at))
    }
}

fn count_terms<'t>(texts: impl IntoIterator<Item = &'t str>) -> Vec<(String, u16)> {
    let mut counts: BTreeMap<String, u16> = BTreeMap::new();
    for text in texts {
        tokenize(text, |token| match counts.get_mut(token.term) {
            Some(count) => *count = count.saturating_add(1),
            None => {
                counts.insert(token.term.to_owned(), 1);
            }
        });
    }
    counts.into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::EpisodeId;
    use crate::model::episode::ToolUse;
    use crate::model::outcome::Outcome;
    use crate::model::task::Task;

    #[test]
    fn fields_hold_sorted_counted_terms() {
        let task = Task::new("Refund the refund").domain("retail").tag("vip");
        let mut episode = Episode::open(EpisodeId(uuid::Uuid::nil()), task, Timestamp(7));
        let document = SearchDocument::of_episode(&episode, Revision::default(), None);
        let terms = |terms: &[(&str, u16)]| -> Vec<(String, u16)> {
            terms.iter().map(|(term, count)| ((*term).to_owned(), *count)).collect()
        };
        assert_eq!(
            document.terms,
            [(Field::Task, terms(&[("refund", 2)])), (Field::Labels, terms(&[("retail", 1), ("vip", 1)]))]
        );
        assert_eq!(document.state, "open");

        episode.outcome = Some(Outcome::failure("out of stock"));
        episode.tools = vec![ToolUse { tool: "cancel_order".into(), calls: 1, failures: 0 }];
        let document = SearchDocument::of_episode(&episode, Revision::default(), None);
        assert_eq!(document.state, "failure");
        assert_eq!(
            document.terms[2],
            (Field::Tools, terms(&[("cancel", 1), ("cancelorder", 1), ("order", 1)]))
        );
        assert_eq!(document.terms[3], (Field::Outcome, terms(&[("out", 1), ("stock", 1)])));
    }

    #[test]
    fn counts_saturate() {
        let document = SearchDocument::of_episode(
            &Episode::open(EpisodeId(uuid::Uuid::nil()), Task::new("refund ".repeat(70_000)), Timestamp(0)),
            Revision::default(),
            None,
        );
        assert_eq!(document.terms, [(Field::Task, vec![("refund".to_owned(), u16::MAX)])]);
    }
}
