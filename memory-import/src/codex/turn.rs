//! A turn and the trajectory that it becomes.

use serde_json::Map;
use uuid::Uuid;

use super::NAME;
use super::item::{Session, Source, WEB_SEARCH};
use crate::bounds::key;
use crate::outcome::{Evidence, infer};
use crate::trajectory::{Labels, Speaker, Step, StepKind, Trajectory};

/// A step and, for a message, where it comes from.
pub(super) struct Entry {
    pub(super) step: Step,
    pub(super) source: Option<Source>,
}

impl Entry {
    pub(super) fn is_user(&self) -> bool {
        matches!(self.step.kind, StepKind::Message { speaker: Speaker::User, .. })
    }

    fn is_agent(&self) -> bool {
        matches!(self.step.kind, StepKind::Message { speaker: Speaker::Agent, .. })
    }

    /// Tells whether it is a call whose output is to come.
    fn waits(&self) -> bool {
        match &self.step.kind {
            StepKind::Call { result: None, tool, .. } => tool != WEB_SEARCH,
            _ => false,
        }
    }

    /// An event with what the agent said; it stands beside the response, which counts.
    pub(super) fn is_copy_of_message(&self) -> bool {
        self.is_agent() && self.source == Some(Source::Event)
    }
}

/// A turn as far as its lines have been read.
#[derive(Default)]
pub(super) struct Turn {
    pub(super) id: Option<String>,
    pub(super) at_ms: Option<i64>,
    pub(super) steps: Vec<Entry>,
    pub(super) last_line: u64,
    pub(super) model: Option<String>,
    pub(super) cwd: Option<String>,
    /// The calls that an event says failed before their output came.
    pub(super) failed_calls: Vec<String>,
    /// The steps whose tokens are known.
    pub(super) counted: usize,
    pub(super) is_ended: bool,
    pub(super) is_rewound: bool,
    pub(super) ending: Option<Evidence>,
    pub(super) service_error: Option<String>,
}

/// A turn with one copy of each message.
pub(super) struct Finished {
    pub(super) id: Option<String>,
    /// It is over, something was done, and no other file has it.
    pub(super) is_wanted: bool,
    pub(super) prompt: String,
    pub(super) at_ms: Option<i64>,
    pub(super) steps: Vec<Step>,
    pub(super) last_line: u64,
    pub(super) model: Option<String>,
    pub(super) cwd: Option<String>,
    pub(super) is_rewound: bool,
    pub(super) stated: Vec<Evidence>,
}

impl Turn {
    /// Tells whether a turn of an old file has ended: the agent said something last and no call waits. It may
    /// still go on, then it is read again under the same key.
    pub(super) fn seems_ended(&self) -> bool {
        self.steps.last().is_some_and(Entry::is_agent) && !self.steps.iter().any(Entry::waits)
    }

    /// Tells whether a turn was made before its session: then it is a copy of one in the session's source,
    /// whose file has it too. The ids of turns are UUIDs of version 7, which have their time in them; copied
    /// lines may have a new one.
    pub(super) fn is_copied(&self, session: &Session) -> bool {
        let is_fork = session.forked_from.is_some() || session.parent_thread.is_some();
        let Some(started_ms) = session.started_ms.filter(|_| is_fork) else { return false };
        let by_id = self.id.as_deref().and_then(made_ms);
        by_id.or(self.at_ms).is_some_and(|made_ms| made_ms < started_ms)
    }

    /// Keeps one copy of each message and takes the prompt out; `None` without a prompt.
    pub(super) fn finish(self, is_wanted: bool) -> Option<Finished> {
        let from = |is_its: fn(&Entry) -> bool, source: Source| {
            self.steps.iter().any(|entry| is_its(entry) && entry.source == Some(source))
        };
        let of_user = if from(Entry::is_user, Source::Event) { Source::Event } else { Source::Response };
        let of_agent = if from(Entry::is_agent, Source::Response) { Source::Response } else { Source::Event };
        let mut steps: Vec<Step> = self
            .steps
            .into_iter()
            .filter(|entry| match entry.source {
                Some(source) if entry.is_user() => source == of_user,
                Some(source) if entry.is_agent() => source == of_agent,
                _ => true,
            })
            .map(|entry| entry.step)
            .collect();
        let is_prompt = |step: &Step| matches!(step.kind, StepKind::Message { speaker: Speaker::User, .. });
        let place = steps.iter().position(is_prompt)?;
        let StepKind::Message { text: prompt, .. } = steps.remove(place).kind else { return None };
        let ending = self.ending.or(self.service_error.map(Evidence::ServiceError));
        let rewound = self.is_rewound.then_some(Evidence::Rewound);
        Some(Finished {
            id: self.id,
            is_wanted: is_wanted && !steps.is_empty(),
            prompt,
            at_ms: self.at_ms,
            steps,
            last_line: self.last_line,
            model: self.model,
            cwd: self.cwd,
            is_rewound: self.is_rewound,
            stated: ending.into_iter().chain(rewound).collect(),
        })
    }
}

/// Returns when a UUID of version 7 was made.
fn made_ms(id: &str) -> Option<i64> {
    let (seconds, nanos) = Uuid::parse_str(id).ok()?.get_timestamp()?.to_unix();
    i64::try_from(seconds.checked_mul(1_000)? + u64::from(nanos) / 1_000_000).ok()
}

impl Finished {
    /// `ordinal` is its number among the turns with a prompt, from 1: it stands for the id in old files.
    pub(super) fn into_trajectory(self, session: &Session, ordinal: usize, next: Option<&str>) -> Trajectory {
        let id = self.id.unwrap_or_else(|| ordinal.to_string());
        let mut attributes = Map::new();
        let mut note = |name: &str, value: Option<&String>| {
            if let Some(value) = value {
                attributes.insert(name.into(), value.clone().into());
            }
        };
        note("gen_ai.conversation.id", Some(&session.id));
        note("gen_ai.request.model", self.model.as_ref());
        note("gen_ai.provider.name", session.provider.as_ref());
        note("gen_ai.agent.version", session.version.as_ref());
        note("vcs.ref.head.name", session.branch.as_ref());
        note("vcs.ref.head.revision", session.commit.as_ref());
        note("vcs.repository.url.full", session.repository.as_ref());
        note("codex.forked_from.id", session.forked_from.as_ref());
        note("codex.parent_thread.id", session.parent_thread.as_ref());
        Trajectory {
            key: key(NAME, &session.id, &id),
            // The lines name the session that started a sub-agent, but not its turn.
            parent: None,
            prompt: self.prompt,
            labels: Labels {
                agent: Some(NAME.into()),
                correlation_id: Some(session.id.clone()),
                project: self.cwd.or_else(|| session.cwd.clone()),
                ..Labels::default()
            },
            at_ms: self.at_ms,
            outcome: infer(&self.steps, next, self.stated),
            steps: self.steps,
            attributes,
        }
    }
}
