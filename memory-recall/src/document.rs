//! The searchable form of a record.

use std::collections::BTreeMap;

use memory_core::{
    Consequence, Decision, DecisionPlace, Entity, Episode, Failure, Heuristic, Outcome, Pattern, PatternBody,
    Playbook, Record, RemedyCall, Revision, Standing, Timestamp, Verdict,
};
use serde::{Deserialize, Serialize};

use crate::terms::TermCounts;
use crate::tokenize::tokenize;

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
    /// Messages of the user after the task, and ids that an episode's steps name; error texts of failure
    /// lessons.
    Keywords,
}

impl Field {
    /// Every field.
    pub(crate) const ALL: [Self; 5] = [Self::Task, Self::Labels, Self::Tools, Self::Outcome, Self::Keywords];

    /// Returns the name that reasons show.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Task => "task",
            Self::Labels => "labels",
            Self::Tools => "tools",
            Self::Outcome => "outcome",
            Self::Keywords => "keywords",
        }
    }
}

/// Whether and how an episode ended; whether a learned item may be shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DocumentState {
    /// For an episode: it has no outcome yet.
    Open,
    /// For an episode: the task was done.
    Success,
    /// For an episode: a part of the task was done.
    Partial,
    /// For an episode: the task was not done.
    Failure,
    /// For an episode: the agent declined or was stopped.
    Abstained,
    /// For a learned item.
    Active,
    /// For a learned item: never shown. For a ruling: that it rejects.
    Rejected,
    /// For a ruling: that it pins.
    Pinned,
    /// Of an episode: it ended, and nobody knows how. It is found, and counts for nothing.
    Unknown,
}

impl DocumentState {
    /// Every state; snapshots number them by their places.
    pub const ALL: [Self; 9] = [
        Self::Open,
        Self::Success,
        Self::Partial,
        Self::Failure,
        Self::Abstained,
        Self::Active,
        Self::Rejected,
        Self::Pinned,
        Self::Unknown,
    ];

    /// Returns true for an episode that has its outcome, and one that somebody knows.
    pub(crate) fn is_completed(self) -> bool {
        matches!(self, Self::Success | Self::Partial | Self::Failure | Self::Abstained)
    }

    /// Returns how much of the task was done, in `0.0..=1.0`; `None` if the attempt was not completed.
    pub(crate) fn success(self) -> Option<f64> {
        match self {
            Self::Success => Some(1.0),
            Self::Partial => Some(0.5),
            Self::Failure => Some(0.0),
            _ => None,
        }
    }
}

impl From<Verdict> for DocumentState {
    fn from(verdict: Verdict) -> Self {
        match verdict {
            Verdict::Success => Self::Success,
            Verdict::Partial => Self::Partial,
            Verdict::Failure => Self::Failure,
            Verdict::Abstained => Self::Abstained,
            Verdict::Unknown => Self::Unknown,
        }
    }
}

impl From<Decision> for DocumentState {
    fn from(decision: Decision) -> Self {
        match decision {
            Decision::Pinned => Self::Pinned,
            Decision::Rejected => Self::Rejected,
        }
    }
}

/// The searchable form of a record: its terms by field, and the data for ranking and filters.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SearchDocument {
    /// The version of the record it was made from.
    #[serde(skip)]
    pub revision: Revision,
    /// When the record expires.
    pub expires_at: Option<Timestamp>,
    /// The terms of each field with their counts; each field at most once, its terms sorted.
    pub terms: Vec<(Field, TermCounts)>,
    /// For an episode, whether and how it ended; for a learned item, whether it may be shown; for a ruling, its
    /// decision.
    pub state: DocumentState,
    /// The kind of task.
    pub task_kind: Option<String>,
    /// The task's domain.
    pub domain: Option<String>,
    /// The agent: for an episode, that of the task.
    pub agent: Option<String>,
    /// The task's tags.
    pub tags: Vec<String>,
    /// When the episode started, or the learned item was last updated.
    pub started_at: Timestamp,
    /// The reward of an episode, or the confidence of a learned item; 0 if there is none.
    pub score: f32,
    /// The tools used, in order of first use.
    pub tools: Vec<String>,
    /// Those of the tools of which a call ended in an error or a timeout.
    pub failed_tools: Vec<String>,
    /// The number of steps of an episode.
    pub steps: u32,
    /// The sum of the durations of an episode's steps, in milliseconds.
    pub duration_ms: u64,
    /// The fingerprint of an episode's task.
    pub fingerprint: String,
}

impl SearchDocument {
    /// Identifies the rules by which terms are made. Documents stored under another number must be rebuilt.
    pub const ANALYSIS: u16 = 11;

    /// Makes the document of an episode.
    pub fn of_episode(episode: &Episode, revision: Revision, expires_at: Option<Timestamp>) -> Self {
        let task = &episode.task;
        let labels = task.kind.iter().chain(&task.domain).chain(&task.language).chain(&task.framework);
        let tools = episode.tools.iter().map(|tool| tool.tool.as_str());
        let outcome = episode.outcome.as_ref();
        let terms = [
            (Field::Task, count_terms([task.description.as_str()])),
            (Field::Labels, count_terms(labels.chain(&task.tags).map(String::as_str))),
            (Field::Tools, count_terms(tools)),
            (Field::Outcome, count_terms(outcome.into_iter().flat_map(Outcome::texts))),
            (Field::Keywords, count_terms(episode.keywords.iter().map(String::as_str))),
        ];
        Self {
            revision,
            expires_at,
            terms: terms.into_iter().filter(|(_, terms)| !terms.is_empty()).collect(),
            state: outcome.map_or(DocumentState::Open, |outcome| outcome.verdict().into()),
            task_kind: task.kind.clone(),
            domain: task.domain.clone(),
            agent: task.agent.clone(),
            tags: task.tags.clone(),
            started_at: episode.started_at,
            score: episode.reward.unwrap_or(0.0) as f32,
            tools: episode.tools.iter().map(|used| used.tool.clone()).collect(),
            failed_tools: episode
                .tools
                .iter()
                .filter(|used| used.failures > 0)
                .map(|used| used.tool.clone())
                .collect(),
            steps: episode.steps,
            duration_ms: episode.step_duration_ms,
            fingerprint: episode.fingerprint.clone(),
        }
    }

    /// Makes the document of something learned.
    fn of_learned(record: &Record, learned: &Learned<'_>) -> Self {
        let labels = learned.domain.into_iter().chain(learned.task_kind);
        let terms = [
            (Field::Task, count_terms(learned.task.iter().copied())),
            (Field::Labels, count_terms(labels)),
            (Field::Tools, count_terms(learned.tools.iter().copied())),
            (Field::Keywords, count_terms(learned.keywords.iter().copied())),
        ];
        Self {
            revision: record.revision,
            expires_at: record.expires_at,
            terms: terms.into_iter().filter(|(_, terms)| !terms.is_empty()).collect(),
            state: if learned.rejected { DocumentState::Rejected } else { DocumentState::Active },
            task_kind: learned.task_kind.map(str::to_owned),
            domain: learned.domain.map(str::to_owned),
            agent: None,
            tags: Vec::new(),
            started_at: record.updated_at,
            score: learned.score as f32,
            tools: learned.tools.iter().map(|tool| (*tool).to_owned()).collect(),
            failed_tools: Vec::new(),
            steps: 0,
            duration_ms: 0,
            fingerprint: String::new(),
        }
    }

    /// Makes the document of a ruling: no words, only the decision.
    fn of_ruling(record: &Record, decision: Decision) -> Self {
        let nothing = Learned {
            task: Vec::new(),
            tools: Vec::new(),
            keywords: Vec::new(),
            domain: None,
            task_kind: None,
            score: 0.0,
            rejected: false,
        };
        Self { state: decision.into(), ..Self::of_learned(record, &nothing) }
    }

    /// Makes the document of a record; `None` if recall does not search its kind, and for tombstones.
    pub fn of_record(record: &Record) -> Option<Self> {
        Some(match record.entity.as_deref()? {
            Entity::Episode(episode) => Self::of_episode(episode, record.revision, record.expires_at),
            Entity::Pattern(pattern) => Self::of_learned(record, &Learned::of_pattern(pattern)),
            Entity::Heuristic(heuristic) => Self::of_learned(record, &Learned::of_heuristic(heuristic)),
            Entity::Playbook(playbook) => Self::of_learned(record, &Learned::of_playbook(playbook)),
            Entity::Failure(failure) => Self::of_learned(record, &Learned::of_failure(failure)),
            Entity::Ruling(ruling) => Self::of_ruling(record, ruling.decision),
            _ => return None,
        })
    }
}

/// The searched fields of a learned item.
struct Learned<'a> {
    task: Vec<&'a str>,
    tools: Vec<&'a str>,
    keywords: Vec<&'a str>,
    domain: Option<&'a str>,
    task_kind: Option<&'a str>,
    score: f64,
    rejected: bool,
}

impl<'a> Learned<'a> {
    fn of_pattern(pattern: &'a Pattern) -> Self {
        let strs = |texts: &'a [String]| texts.iter().map(String::as_str).collect::<Vec<_>>();
        let (tools, keywords) = match &pattern.body {
            PatternBody::ToolSequence { tools } => (strs(tools), vec![]),
            PatternBody::DecisionPoint { place, tool, alternatives } => {
                let after = match place {
                    DecisionPlace::Start => None,
                    DecisionPlace::After { tool, .. } => Some(tool.as_str()),
                };
                let tools = std::iter::once(tool.as_str()).chain(strs(alternatives));
                (tools.collect(), after.into_iter().collect())
            }
            PatternBody::ErrorRecovery { error, remedy } => {
                let texts = remedy.iter().flat_map(RemedyCall::texts);
                (vec![], std::iter::once(error.as_str()).chain(texts).collect())
            }
            PatternBody::Context { features, tools } => {
                (vec![], strs(features).into_iter().chain(strs(tools)).collect())
            }
            PatternBody::AntiPattern { behaviour, consequence } => {
                let follows = match consequence {
                    Consequence::NotDone => Vec::new(),
                    Consequence::Fails { tool, error } => vec![tool.as_str(), error.as_str()],
                };
                (vec![], behaviour.texts().into_iter().chain(follows).collect())
            }
            PatternBody::WorkflowTemplate { steps, .. } => {
                let texts = steps.iter().flat_map(|step| [step.tool.as_str(), step.instruction.as_str()]);
                (vec![], texts.collect())
            }
            _ => (pattern.body.tools(), vec![]),
        };
        Self {
            task: strs(&pattern.terms),
            tools,
            keywords,
            domain: pattern.domain.as_deref(),
            task_kind: pattern.task_kind.as_deref(),
            score: pattern.confidence,
            rejected: pattern.standing == Standing::Withheld,
        }
    }

    fn of_heuristic(heuristic: &'a Heuristic) -> Self {
        Self {
            task: heuristic.condition.terms.iter().map(String::as_str).collect(),
            tools: vec![heuristic.tool.as_str()],
            keywords: Vec::new(),
            domain: heuristic.domain.as_deref(),
            task_kind: heuristic.condition.task_kind.as_deref(),
            score: heuristic.confidence,
            rejected: heuristic.standing == Standing::Withheld,
        }
    }

    fn of_playbook(playbook: &'a Playbook) -> Self {
        Self {
            task: playbook.terms.iter().map(String::as_str).chain([playbook.title.as_str()]).collect(),
            tools: playbook.steps.iter().map(|step| step.tool.as_str()).collect(),
            keywords: Vec::new(),
            domain: playbook.domain.as_deref(),
            task_kind: playbook.task_kind.as_deref(),
            score: playbook.confidence,
            rejected: playbook.standing == Standing::Withheld,
        }
    }

    fn of_failure(failure: &'a Failure) -> Self {
        Self {
            task: Vec::new(),
            tools: vec![failure.tool.as_str()],
            // Every line of the error finds it, not only the most informative one.
            keywords: vec![failure.error.as_str(), failure.category.as_str(), failure.example.as_str()],
            domain: failure.domain.as_deref(),
            task_kind: failure.task_kind.as_deref(),
            score: f64::from(failure.resolved) / f64::from(failure.occurrences.max(1)),
            rejected: false,
        }
    }
}

fn count_terms<'t>(texts: impl IntoIterator<Item = &'t str>) -> TermCounts {
    let mut counts: BTreeMap<String, u16> = BTreeMap::new();
    for text in texts {
        tokenize(text, |token| match counts.get_mut(token.term) {
            Some(count) => *count = count.saturating_add(1),
            None => {
                counts.insert(token.term.to_owned(), 1);
            }
        });
    }
    counts.iter().map(|(term, count)| (term.as_str(), *count)).collect()
}

#[cfg(test)]
mod tests {
    use memory_core::{EpisodeId, Task, ToolUse};

    use super::*;

    #[test]
    fn fields_hold_sorted_counted_terms() {
        let task = Task::new("Refund the refund").domain("retail").tag("vip");
        let mut episode = Episode::open(EpisodeId(uuid::Uuid::nil()), task, Timestamp(7));
        let document = SearchDocument::of_episode(&episode, Revision::default(), None);
        let terms = |terms: &[(&'static str, u16)]| -> TermCounts { terms.iter().copied().collect() };
        assert_eq!(
            document.terms,
            [(Field::Task, terms(&[("refund", 2)])), (Field::Labels, terms(&[("retail", 1), ("vip", 1)]))]
        );
        assert_eq!(document.state, DocumentState::Open);

        episode.outcome = Some(Outcome::failure("out of stock"));
        episode.tools = vec![ToolUse { tool: "cancel_order".into(), calls: 1, failures: 0 }];
        let document = SearchDocument::of_episode(&episode, Revision::default(), None);
        assert_eq!(document.state, DocumentState::Failure);
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
        assert_eq!(document.terms, [(Field::Task, [("refund", u16::MAX)].into_iter().collect())]);
    }
}
