//! What a running episode shows of how it goes: what the reward is computed from.

use crate::learn::keywords::Keywords;
use crate::learn::reward::{RewardInput, Usual, score};
use crate::memory::Inner;
use crate::model::artifact::Quality;
use crate::model::entity::Entity;
use crate::model::episode::Episode;
use crate::model::kind::Kind;
use crate::model::reward::Reward;
use crate::model::step::{Action, StepResult};
use crate::store::record::{Key, Record};

/// Sums up actions and products as they are recorded.
#[derive(Debug, Clone, Default)]
pub(super) struct Observed {
    keywords: Keywords,
    /// Steps that failed.
    errors: u32,
    /// Tools whose last call failed.
    failing: Vec<String>,
    /// Failures after which the same tool worked, or after which the episode went on to use another with success.
    recovered: u32,
    qualities: Vec<Quality>,
}

impl Observed {
    pub(super) fn action(&mut self, action: &Action) {
        self.keywords.add(action);
        if action.result != StepResult::Success {
            self.errors += 1;
            self.failing.push(action.tool.clone());
        } else if !action.tool.is_empty() {
            let before = self.failing.len();
            self.failing.retain(|tool| *tool != action.tool);
            self.recovered += (before - self.failing.len()) as u32;
        }
    }

    pub(super) fn quality(&mut self, quality: &Quality) {
        self.qualities.push(quality.clone());
    }

    /// Scores a completed episode and notes the reward and the telling words in its head.
    pub(super) fn conclude(self, inner: &Inner, episode: &mut Episode) -> Reward {
        let (usual, novelty) = inner.usual(episode);
        let input = RewardInput {
            outcome: episode.outcome.clone(),
            steps: episode.steps,
            duration_ms: (episode.step_duration_ms > 0).then_some(episode.step_duration_ms),
            complexity: episode.task.complexity,
            qualities: self.qualities,
            errors: self.errors,
            recovered: self.recovered,
            novelty,
        };
        let at = episode.completed_at.unwrap_or(episode.started_at);
        let reward = score(&input, &usual, &inner.learning.reward, episode.id, at);
        episode.reward = Some(reward.total);
        episode.keywords = self.keywords.finish();
        reward
    }
}

impl Inner {
    /// Makes the next version of a reward.
    pub(super) fn version_of_reward(&self, reward: Reward) -> Record {
        let key = Key::new(self.engine.namespace(), Kind::Reward, reward.episode.to_string());
        self.engine.version(key, Some(Entity::Reward(reward)))
    }

    /// Returns what episodes like this one usually take, and how new it is, in `0.0..=1.0`.
    fn usual(&self, episode: &Episode) -> (Usual, f64) {
        let space = self.engine.namespace();
        self.engine.with_index(|index| {
            let Some(tasks) = index.tasks(space) else { return (Usual::default(), 1.0) };
            let same = tasks.of_fingerprint(&episode.fingerprint);
            let novelty = 1.0 / (1.0 + f64::from(same.episodes));
            let group = if same.episodes >= Self::ENOUGH { same } else { tasks.of_kind(&episode.task) };
            (
                Usual { episodes: group.episodes, steps: group.steps(), duration_ms: group.duration_ms() },
                novelty,
            )
        })
    }

    /// So many episodes of the very same task say more about what is usual than others of its kind.
    const ENOUGH: u32 = 3;
}
