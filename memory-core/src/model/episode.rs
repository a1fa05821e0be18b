//! One task from start to outcome.

use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;
use crate::id::{EpisodeId, RecallId};
use crate::model::evidence::ItemId;
use crate::model::outcome::Outcome;
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
    /// Adds an action to the uses counted so far, which stay in order of first use.
    pub(crate) fn add(uses: &mut Vec<ToolUse>, action: &Action) {
        if action.tool.is_empty() {
            return;
        }
        let failures = u32::from(action.result != StepResult::Success);
        match uses.iter_mut().find(|used| used.tool == action.tool) {
            Some(used) => {
                used.calls += 1;
                used.failures += failures;
            }
            None => uses.push(ToolUse { tool: action.tool.clone(), calls: 1, failures }),
        }
    }
}

/// What was recalled for an episode, and what of it was used.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct RecallUse {
    /// The recall.
    pub recall: Option<RecallId>,
    /// The items it answered with.
    pub shown: Vec<ItemId>,
    /// Those that the application says were used.
    pub used: Vec<ItemId>,
    /// Whether the answer was held back to measure what memory is worth.
    pub withheld: bool,
}

impl RecallUse {
    /// Items noted as shown for one episode; further ones are left out.
    pub const MAX_ITEMS: usize = 200;
}

/// The head of an episode: its task, and once completed its outcome and totals. Steps are records of their
/// own.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Episode {
    /// The identifier.
    pub id: EpisodeId,
    /// What was asked.
    pub task: Task,
    /// Whether it still takes steps.
    pub status: EpisodeStatus,
    /// When it was started.
    pub started_at: Timestamp,
    /// When it was completed.
    pub completed_at: Option<Timestamp>,
    /// How it ended.
    pub outcome: Option<Outcome>,
    /// The number of steps; 0 until completed.
    pub steps: u32,
    /// The tools used, in order of first use; empty until completed.
    pub tools: Vec<ToolUse>,
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
    /// Words of the steps that tell the episode from others (names, ids, dates); empty until completed.
    #[serde(default)]
    pub keywords: Vec<String>,
    /// What was recalled for it; `None` if nobody asked.
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
            steps: 0,
            tools: Vec::new(),
            step_duration_ms: 0,
            tokens: 0,
            redactions: 0,
            fingerprint: String::new(),
            reward: None,
            keywords: Vec::new(),
            recall: None,
        }
    }

    /// Returns true once the episode has its outcome.
    pub fn is_completed(&self) -> bool {
        self.status == EpisodeStatus::Completed
    }
}
