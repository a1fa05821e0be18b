//! The signals of a running episode that the reward is computed from.

use std::collections::BTreeMap;

use memory_core::{Action, Episode, Outcome, Quality, Reward, StepResult};
use memory_learn::keywords::Keywords;
use memory_learn::recovery::{is_other_use, programs};
use memory_learn::reward::{RewardConfig, RewardInput, Usual, rescore, score};

/// Sums up actions and products as they are recorded.
#[derive(Debug, Clone, Default)]
pub(super) struct Observed {
    keywords: Keywords,
    /// Steps that failed.
    errors: u32,
    /// Failures of tools that did not work since.
    failing: Vec<Failing>,
    /// Failures after which the same tool worked.
    recovered: u32,
    qualities: Vec<Quality>,
}

/// A failure from which the tool itself has not recovered so far.
#[derive(Debug, Clone)]
struct Failing {
    tool: String,
    /// The programs that it ran.
    programs: BTreeMap<String, String>,
    /// Whether another tool worked since.
    got_round: bool,
}

impl Observed {
    pub(super) fn action(&mut self, action: &Action) {
        self.keywords.add(action);
        if action.result != StepResult::Success {
            self.errors += 1;
            let (tool, programs) = (action.tool.clone(), programs(action));
            self.failing.push(Failing { tool, programs, got_round: false });
        } else if !action.tool.is_empty() {
            let (before, now) = (self.failing.len(), programs(action));
            self.failing
                .retain(|failing| failing.tool != action.tool || is_other_use(&failing.programs, &now));
            self.recovered += (before - self.failing.len()) as u32;
            self.failing.iter_mut().for_each(|failing| failing.got_round |= failing.tool != action.tool);
        }
    }

    pub(super) fn quality(&mut self, quality: &Quality) {
        self.qualities.push(quality.clone());
    }

    /// Returns the failures that the episode recovered from: those after which the same tool worked, and in a
    /// success also those that it worked around with another tool.
    fn recovered(&self, outcome: Option<&Outcome>) -> u32 {
        let succeeded = outcome.is_some_and(|outcome| outcome.success_share() >= 1.0);
        let round = self.failing.iter().filter(|failing| succeeded && failing.got_round).count();
        self.recovered + round as u32
    }

    /// Scores an episode again by what is known now, and notes the reward in its head.
    pub(super) fn conclude_again(self, old: &Reward, config: &RewardConfig, episode: &mut Episode) -> Reward {
        // How new the task was stays as it was scored at the time.
        let reward = rescore(old, &self.input(0.0, episode), config);
        episode.reward = Some(reward.total);
        reward
    }

    /// Scores a completed episode by its task's usual effort and its novelty, in `0.0..=1.0`, and stores the
    /// reward and the discriminating words in its head.
    pub(super) fn conclude(
        mut self,
        usual: &Usual,
        novelty: f64,
        config: &RewardConfig,
        episode: &mut Episode,
    ) -> Reward {
        let keywords = std::mem::take(&mut self.keywords);
        let at = episode.completed_at.unwrap_or(episode.started_at);
        let reward = score(&self.input(novelty, episode), usual, config, episode.id, at);
        episode.reward = Some(reward.total);
        episode.keywords = keywords.finish();
        reward
    }

    fn input(self, novelty: f64, episode: &Episode) -> RewardInput {
        RewardInput {
            outcome: episode.outcome.clone(),
            confidence: episode.confidence,
            steps: episode.steps,
            duration_ms: (episode.step_duration_ms > 0).then_some(episode.step_duration_ms),
            complexity: episode.task.complexity,
            recovered: self.recovered(episode.outcome.as_ref()),
            qualities: self.qualities,
            errors: self.errors,
            novelty,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_are_got_over_by_the_tool_itself_or_round_it() {
        let check = |calls: &str, outcome: Outcome, expected: u32| {
            let mut observed = Observed::default();
            for call in calls.split(' ') {
                let failed = call.strip_suffix('-');
                observed.action(
                    &failed.map_or_else(|| Action::tool(call), |tool| Action::tool(tool).error("no")),
                );
            }
            assert_eq!(observed.recovered(Some(&outcome)), expected, "{calls}");
        };
        check("pay- pay", Outcome::failure("no"), 1);
        check("pay- cash", Outcome::success("paid"), 1);
        check("pay- cash", Outcome::failure("no"), 0);
        check("look pay-", Outcome::success("all the same"), 0);
        check("pay- pay- login pay cash-", Outcome::success("paid"), 2);
    }

    #[test]
    fn another_command_is_no_recovery() {
        let check = |now: &str, expected: u32| {
            let mut observed = Observed::default();
            let bash =
                |command: &str| Action::tool("bash").arguments(serde_json::json!({"command": command}));
            observed.action(&bash("cargo test").error("failed"));
            observed.action(&bash(now));
            assert_eq!(observed.recovered(Some(&Outcome::success("green"))), expected, "{now}");
        };
        check("cargo test --release", 1);
        check("ls", 0);
    }
}
