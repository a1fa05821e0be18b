//! The usual effort of tasks: figures by fingerprint, and by kind and domain.

use std::collections::BTreeMap;
use std::iter::Sum;
use std::sync::Arc;

use memory_core::{Episode, Task, Verdict};

use crate::Table;
use crate::document::{DocumentState, SearchDocument};
use crate::tokenize::label_key;

/// The longest duration that is counted, in milliseconds: no sum over a million episodes overflows.
const MAX_DURATION_MS: u64 = 10_000_000_000_000;

/// Sums over completed episodes; exact, so that any history of changes gives the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct TaskGroup {
    /// The episodes of the task.
    pub episodes: u32,
    /// Those of them that succeeded.
    pub successes: u32,
    steps: u64,
    /// Episodes whose duration was measured, and its sum.
    timed: u32,
    duration_ms: u64,
}

impl TaskGroup {
    /// Makes the figures of one episode.
    pub(crate) fn of_one(success: bool, steps: u32, duration_ms: u64) -> Self {
        Self {
            episodes: 1,
            successes: success.into(),
            steps: steps.into(),
            timed: u32::from(duration_ms > 0),
            duration_ms: duration_ms.min(MAX_DURATION_MS),
        }
    }

    fn add(&mut self, other: Self) {
        self.episodes += other.episodes;
        self.successes += other.successes;
        self.steps += other.steps;
        self.timed += other.timed;
        self.duration_ms += other.duration_ms;
    }

    fn subtract(&mut self, other: Self) {
        self.episodes -= other.episodes;
        self.successes -= other.successes;
        self.steps -= other.steps;
        self.timed -= other.timed;
        self.duration_ms -= other.duration_ms;
    }

    /// Returns the mean number of steps.
    pub fn steps(&self) -> f64 {
        if self.episodes == 0 { 0.0 } else { self.steps as f64 / f64::from(self.episodes) }
    }

    /// Returns the mean duration, in milliseconds; `None` if none was measured.
    pub fn duration_ms(&self) -> Option<f64> {
        (self.timed > 0).then(|| self.duration_ms as f64 / f64::from(self.timed))
    }
}

impl Sum for TaskGroup {
    fn sum<I: Iterator<Item = Self>>(groups: I) -> Self {
        groups.fold(Self::default(), |mut sum, group| {
            sum.add(group);
            sum
        })
    }
}

/// The values with which an episode is counted.
#[derive(Debug, Clone)]
pub(crate) struct Counting {
    fingerprint: Box<str>,
    kind: String,
    domain: String,
    group: TaskGroup,
}

impl Counting {
    /// Returns `None` for an episode that is not counted: an open one, or one of a task without a fingerprint.
    pub(crate) fn of(document: &SearchDocument) -> Option<Self> {
        let counted = document.state != DocumentState::Open && !document.fingerprint.is_empty();
        counted.then(|| Self {
            fingerprint: document.fingerprint.as_str().into(),
            kind: label_key(document.task_kind.as_deref()),
            domain: label_key(document.domain.as_deref()),
            group: TaskGroup::of_one(
                document.state == DocumentState::Success,
                document.steps,
                document.duration_ms,
            ),
        })
    }
}

/// The figures of one namespace.
#[derive(Debug, Default)]
pub struct TaskFigures {
    by_fingerprint: Table<Box<str>, TaskGroup>,
    by_kind: Table<Box<str>, TaskGroup>,
    /// By record id: the values with which the episode was counted.
    counted: Table<Box<str>, (Box<str>, Box<str>, TaskGroup)>,
}

impl TaskFigures {
    /// Replaces the values with which an episode is counted; without new values it is no longer counted.
    pub(crate) fn replace(&mut self, id: &str, counting: Option<&Counting>) {
        self.remove(id);
        if let Some(counting) = counting {
            self.count(id, &counting.fingerprint, &counting.kind, &counting.domain, counting.group);
        }
    }

    /// Counts a completed episode that is not counted.
    pub fn count_episode(&mut self, episode: &Episode) {
        let success = episode.outcome.as_ref().is_some_and(|outcome| outcome.verdict() == Verdict::Success);
        let group = TaskGroup::of_one(success, episode.steps, episode.step_duration_ms);
        let (kind, domain) =
            (label_key(episode.task.kind.as_deref()), label_key(episode.task.domain.as_deref()));
        self.count(&episode.id.to_string(), &episode.fingerprint, &kind, &domain, group);
    }

    /// Returns how many episodes are counted.
    pub fn episodes(&self) -> usize {
        self.counted.len()
    }

    /// Counts an episode that is not counted, by fingerprint and by kind and domain as they are normalised.
    pub(crate) fn count(&mut self, id: &str, fingerprint: &str, kind: &str, domain: &str, group: TaskGroup) {
        let kind: Box<str> = kind_key(kind, domain).into();
        let fingerprint: Box<str> = fingerprint.into();
        self.by_fingerprint.entry(fingerprint.clone()).or_default().add(group);
        self.by_kind.entry(kind.clone()).or_default().add(group);
        self.counted.insert(id.into(), (fingerprint, kind, group));
    }

    /// Returns the values with which an episode is counted: fingerprint, steps and duration in milliseconds.
    pub(crate) fn counted(&self, id: &str) -> Option<(&str, u64, u64)> {
        let (fingerprint, _, group) = self.counted.get(id)?;
        Some((fingerprint, group.steps, group.duration_ms))
    }

    /// Stops counting an episode.
    pub(crate) fn remove(&mut self, id: &str) {
        let Some((fingerprint, kind, group)) = self.counted.remove(id) else { return };
        for (groups, key) in [(&mut self.by_fingerprint, fingerprint), (&mut self.by_kind, kind)] {
            if let Some(held) = groups.get_mut(&key) {
                held.subtract(group);
                if held.episodes == 0 {
                    groups.remove(&key);
                }
            }
        }
    }

    /// Returns the figures of one very task.
    pub fn of_fingerprint(&self, fingerprint: &str) -> TaskGroup {
        self.by_fingerprint.get(fingerprint).copied().unwrap_or_default()
    }

    /// Returns episodes and successes by domain, as [`label_key`] writes it.
    pub fn by_domain(&self) -> BTreeMap<Arc<str>, (u32, u32)> {
        let mut domains: BTreeMap<Arc<str>, (u32, u32)> = BTreeMap::new();
        for (key, group) in &self.by_kind {
            let domain = key.split_once('\0').map_or("", |(_, domain)| domain);
            let (episodes, successes) = domains.entry(domain.into()).or_default();
            *episodes += group.episodes;
            *successes += group.successes;
        }
        domains
    }

    /// Returns the figures of a kind of task in its domain.
    pub fn of_kind(&self, task: &Task) -> TaskGroup {
        let key = kind_key(&label_key(task.kind.as_deref()), &label_key(task.domain.as_deref()));
        self.by_kind.get(key.as_str()).copied().unwrap_or_default()
    }
}

fn kind_key(kind: &str, domain: &str) -> String {
    format!("{kind}\0{domain}")
}

#[cfg(test)]
mod tests {
    use memory_core::{EpisodeId, Outcome, Revision, Timestamp};

    use super::*;

    fn document(
        kind: &str,
        fingerprint: &str,
        steps: u32,
        duration_ms: u64,
        success: bool,
    ) -> SearchDocument {
        let mut episode =
            Episode::open(EpisodeId(uuid::Uuid::nil()), Task::new("x").kind(kind), Timestamp(0));
        episode.outcome = Some(if success { Outcome::success("") } else { Outcome::failure("no") });
        episode.steps = steps;
        episode.step_duration_ms = duration_ms;
        episode.fingerprint = fingerprint.into();
        SearchDocument::of_episode(&episode, Revision::default(), None)
    }

    fn upsert(figures: &mut TaskFigures, id: &str, document: &SearchDocument) {
        figures.replace(id, Counting::of(document).as_ref());
    }

    #[test]
    fn figures_follow_changes_and_removals() {
        let mut figures = TaskFigures::default();
        upsert(&mut figures, "a", &document("k", "f", 4, 100, true));
        upsert(&mut figures, "b", &document("k", "f", 2, 0, false));
        upsert(&mut figures, "c", &document("K", "g", 9, 50, true));
        let same = figures.of_fingerprint("f");
        assert_eq!(
            (same.episodes, same.successes, same.steps(), same.duration_ms()),
            (2, 1, 3.0, Some(100.0))
        );
        assert_eq!(figures.of_kind(&Task::new("y").kind("k")).episodes, 3);
        upsert(&mut figures, "a", &document("k", "g", 1, 0, true));
        assert_eq!(figures.of_fingerprint("f").steps(), 2.0);
        for id in ["a", "b", "c"] {
            figures.remove(id);
        }
        assert_eq!(figures.of_kind(&Task::new("y").kind("k")), TaskGroup::default());
        assert!(
            figures.by_kind.is_empty() && figures.by_fingerprint.is_empty() && figures.counted.is_empty()
        );
    }
}
