//! One task from start to outcome.

use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;
use crate::id::{EpisodeId, RecallId};
use crate::model::evidence::ItemId;
use crate::model::feedback::{Feedback, Stated};
use crate::model::outcome::{Outcome, Verdict};
use crate::model::step::{Action, StepResult};
use crate::model::task::Task;

/// Whether an episode still takes steps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EpisodeStatus {
    /// Started, takes steps.
    Open,
    /// Has its outcome, takes no more steps.
    Completed,
}

/// How often an episode used one tool.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ToolUse {
    /// The tool.
    pub tool: String,
    /// Steps with this tool.
    pub calls: u32,
    /// Those of them that ended in an error or a timeout.
    pub failures: u32,
}

impl ToolUse {
    /// Counts an action with a tool and returns the tool's place; uses stay in order of first use.
    fn add(uses: &mut Vec<ToolUse>, action: &Action) -> usize {
        let failures = u32::from(action.result != StepResult::Success);
        let place = uses.iter().position(|used| used.tool == action.tool).unwrap_or_else(|| {
            uses.push(ToolUse { tool: action.tool.clone(), calls: 0, failures: 0 });
            uses.len() - 1
        });
        uses[place].calls += 1;
        uses[place].failures += failures;
        place
    }
}

/// Adds an action, if it uses a tool, to the uses and the course of an episode so far.
pub fn add_call(uses: &mut Vec<ToolUse>, course: &mut Vec<Attempt>, action: &Action) {
    if action.tool.is_empty() {
        return;
    }
    if let Ok(tool) = u16::try_from(ToolUse::add(uses, action)) {
        Attempt { tool, worked: action.result == StepResult::Success }.add_to(course);
    }
}

/// A call of a tool as the course of an episode has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attempt {
    /// The place of the tool in [`Episode::tools`].
    pub tool: u16,
    /// Whether it ended without an error and a timeout.
    pub worked: bool,
}

impl Attempt {
    /// The most attempts that an episode keeps.
    pub const MAX: usize = 64;

    /// Adds itself to the course so far.
    ///
    /// Until another tool works for the first time, the same tool with the same result is noted once:
    /// repetitions add no information.
    fn add_to(self, course: &mut Vec<Attempt>) {
        if course.len() >= Self::MAX {
            return;
        }
        let led_on = |at: &usize| course[*at].worked && !course[..*at].contains(&course[*at]);
        let since = (0..course.len()).rev().find(led_on).unwrap_or(0);
        if !course[since..].contains(&self) {
            course.push(self);
        }
    }
}

/// The recall for an episode, and which of its items were used.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct RecallUse {
    /// The recall.
    pub recall: Option<RecallId>,
    /// The items it answered with.
    pub shown: Vec<ItemId>,
    /// Those that the application reported as used.
    pub used: Vec<ItemId>,
    /// Whether the answer was withheld to measure the benefit of memory.
    pub withheld: bool,
}

impl RecallUse {
    /// Items noted as shown for one episode; further ones are left out.
    pub const MAX_ITEMS: usize = 200;
}

/// The confidence of an outcome that was stated.
fn certain() -> f64 {
    1.0
}

/// The head of an episode: its task, and once completed its outcome and totals. Steps are separate records.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Episode {
    /// The identifier.
    pub id: EpisodeId,
    /// The task.
    pub task: Task,
    /// Whether it still takes steps.
    pub status: EpisodeStatus,
    /// When it was started.
    pub started_at: Timestamp,
    /// When it was completed.
    pub completed_at: Option<Timestamp>,
    /// How it ended.
    pub outcome: Option<Outcome>,
    /// How sure the outcome is, in `0.0..=1.0`: 1 where it was stated, less where it was inferred. Learning weighs the
    /// episode by it.
    #[serde(default = "certain")]
    pub confidence: f64,
    /// The outcome before feedback corrected it; `None` if none did.
    #[serde(default)]
    pub stated: Option<Stated>,
    /// What became known after completion, oldest first.
    #[serde(default)]
    pub feedback: Vec<Feedback>,
    /// The number of steps; 0 until completed.
    pub steps: u32,
    /// The tools used, in order of first use; empty until completed.
    pub tools: Vec<ToolUse>,
    /// The calls in their order, without repeats, at most [`Attempt::MAX`]; empty until completed, and for
    /// episodes recorded before there were courses.
    #[serde(default)]
    pub course: Vec<Attempt>,
    /// The sum of the steps' durations in milliseconds; 0 until completed.
    pub step_duration_ms: u64,
    /// The sum of the steps' tokens; 0 until completed.
    pub tokens: u64,
    /// How many secrets were redacted from the task, the steps and the outcome.
    pub redactions: u32,
    /// The normalised identity of the task: equal for tasks that differ in figures, ids and word order alone.
    #[serde(default)]
    pub fingerprint: String,
    /// The reward; `None` until completed.
    #[serde(default)]
    pub reward: Option<f64>,
    /// Words of the steps that discriminate the episode (names, ids, dates); empty until completed.
    #[serde(default)]
    pub keywords: Vec<String>,
    /// Its recall; `None` if there was none.
    #[serde(default)]
    pub recall: Option<RecallUse>,
}

impl Episode {
    /// Creates an open episode.
    pub fn open(id: EpisodeId, task: Task, started_at: Timestamp) -> Self {
        Self {
            id,
            task,
            status: EpisodeStatus::Open,
            started_at,
            completed_at: None,
            outcome: None,
            confidence: certain(),
            stated: None,
            feedback: Vec::new(),
            steps: 0,
            tools: Vec::new(),
            course: Vec::new(),
            step_duration_ms: 0,
            tokens: 0,
            redactions: 0,
            fingerprint: String::new(),
            reward: None,
            keywords: Vec::new(),
            recall: None,
        }
    }

    /// Returns roughly how many bytes it takes in memory.
    pub fn weight(&self) -> usize {
        let task = &self.task;
        let labels = [&task.domain, &task.language, &task.framework, &task.agent, &task.correlation_id];
        std::mem::size_of::<Self>()
            + task.description.len()
            + labels.iter().map(|label| label.as_ref().map_or(0, String::len)).sum::<usize>()
            + task.attributes.weight()
            + task.tags.iter().map(|tag| tag.len() + 24).sum::<usize>()
            + self.tools.iter().map(|tool| tool.tool.len() + 32).sum::<usize>()
            + std::mem::size_of_val(self.course.as_slice())
            + self.outcome.iter().flat_map(Outcome::texts).map(str::len).sum::<usize>()
            + self.feedback.iter().map(|held| held.key.len() + held.comment.len() + 256).sum::<usize>()
            + self.keywords.iter().map(|word| word.len() + 24).sum::<usize>()
            + self.recall.as_ref().map_or(0, |recall| (recall.shown.len() + recall.used.len()) * 32)
    }

    /// Takes feedback: replaces that with the same key, and corrects the outcome by the latest that has one.
    pub fn take_feedback(&mut self, feedback: Feedback) {
        self.feedback.retain(|held| held.key != feedback.key);
        self.feedback.push(feedback);
        let own = self.outcome.take().map(|outcome| Stated { outcome, confidence: self.confidence });
        let stated = self.stated.take().or(own);
        let corrected =
            self.feedback.iter().rev().find_map(|held| Some((held.outcome.clone()?, held.confidence)));
        match (corrected, stated) {
            (Some((outcome, confidence)), stated) => {
                (self.outcome, self.confidence, self.stated) = (Some(outcome), confidence, stated);
            }
            (None, Some(Stated { outcome, confidence })) => {
                (self.outcome, self.confidence) = (Some(outcome), confidence);
            }
            (None, None) => {}
        }
    }

    /// Returns how much of the task is expected to be done, in `0.0..=1.0`: what the outcome says with the weight of its
    /// confidence, and half with the rest. `None` without a known outcome.
    pub fn success_share(&self) -> Option<f64> {
        let outcome = self.outcome.as_ref().filter(|outcome| outcome.verdict() != Verdict::Unknown)?;
        let share = outcome.success_share();
        Some(share * self.confidence + 0.5 * (1.0 - self.confidence))
    }

    /// Returns true once the episode has its outcome.
    pub fn is_completed(&self) -> bool {
        self.status == EpisodeStatus::Completed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns the course of calls: `a+` works, `a-` fails, `.` is a step without a tool.
    fn course(calls: &str) -> String {
        let (mut uses, mut course) = (Vec::new(), Vec::new());
        for call in calls.split_whitespace() {
            let action = match (&call[..1], call.ends_with('-')) {
                (".", _) => Action::note("thought"),
                (tool, true) => Action::tool(tool).error("no"),
                (tool, false) => Action::tool(tool),
            };
            add_call(&mut uses, &mut course, &action);
        }
        let show = |attempt: &Attempt| {
            let sign = if attempt.worked { '+' } else { '-' };
            format!("{}{sign}", uses[usize::from(attempt.tool)].tool)
        };
        course.iter().map(show).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn a_course_is_the_calls_without_repeats() {
        let check = |calls, expected| assert_eq!(course(calls), expected, "{calls}");
        check("", "");
        check(". a+ . b+", "a+ b+");
        check("a- a- b- a- a+ a+ a+", "a- b- a+");
        // Once another tool has worked, a failed call may be tried again.
        check("a- b+ a- a- c+ a- b+ b+", "a- b+ a- c+ a- b+");
        check("a+ b- a+ b- b+ a+ b-", "a+ b- b+ a+ b-");
    }

    #[test]
    fn an_episode_recorded_before_there_were_courses_has_none() {
        let episode = Episode::open(EpisodeId(uuid::Uuid::nil()), Task::new("Bake"), Timestamp(1));
        let mut body = serde_json::to_value(&episode).unwrap();
        assert!(body.as_object_mut().unwrap().remove("course").is_some());
        assert_eq!(serde_json::from_value::<Episode>(body).unwrap(), episode);
    }

    #[test]
    fn a_course_is_bounded() {
        let calls: Vec<String> = (0..200_u8).map(|n| format!("{}-", char::from(b'A' + n % 50))).collect();
        assert_eq!(course(&calls.join(" ")).split(' ').count(), 50);
        let mut found = Vec::new();
        let mut uses = Vec::new();
        for n in 0..200 {
            let action = Action::tool(format!("tool{n}"));
            add_call(&mut uses, &mut found, &action);
        }
        assert_eq!(found.len(), Attempt::MAX);
        assert_eq!(found[63], Attempt { tool: 63, worked: true });
    }
}
