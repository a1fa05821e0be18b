//! What the application of the simulation records: exactly what the agent saw and did.

use agent_memory::{Action, ItemId, OpenEpisode, Outcome, Recall, Task};
use serde_json::json;

use super::task::{Answer, Call, WorldTask};
use crate::arena::Arena;
use crate::error::Error;

/// Records tasks as episodes and lets the memory learn from each.
#[derive(Default)]
pub(super) struct Experience {
    open: Option<Box<OpenEpisode>>,
    used: Vec<ItemId>,
    last_error: String,
}

impl Experience {
    /// Starts an episode.
    pub(super) async fn begin(
        &mut self,
        arena: &Arena,
        task: &WorldTask,
        domain: &str,
        recall: &Recall,
    ) -> Result<(), Error> {
        let described = Task::new(&task.description).kind(task.kind).domain(domain);
        let mut episode = arena.memory.start(described).await?;
        episode.note_recall(recall).await?;
        *self = Self { open: Some(Box::new(episode)), ..Self::default() };
        Ok(())
    }

    /// Logs a call with its answer, and remembers which items led to it.
    pub(super) async fn observe(
        &mut self,
        call: Call,
        answer: &Answer,
        items: &[ItemId],
    ) -> Result<(), Error> {
        let mut action = Action::tool(call.tool);
        if let Some(mode) = call.mode {
            action = action.description(format!("in mode {mode}")).arguments(json!({"mode": mode}));
        }
        action = match answer {
            Answer::Progress { text, .. } | Answer::Repaired(text) => action.observation(text),
            Answer::Refused(error) | Answer::Blocked(error) => {
                self.last_error = format!("{}: {error}", call.tool);
                action.error(error)
            }
        };
        self.used.extend(items);
        if let Some(episode) = &mut self.open {
            episode.step(action).await?;
        }
        Ok(())
    }

    /// Notes another recall for the episode.
    pub(super) async fn recalled(&mut self, recall: &Recall) -> Result<(), Error> {
        if let Some(episode) = &mut self.open {
            episode.note_recall(recall).await?;
        }
        Ok(())
    }

    /// Completes the episode and has it learned from.
    pub(super) async fn end(&mut self, arena: &Arena, success: bool) -> Result<(), Error> {
        let Some(mut episode) = self.open.take() else { return Ok(()) };
        if !self.used.is_empty() {
            episode.note_use(&self.used).await?;
        }
        let outcome = if success {
            Outcome::success("done")
        } else {
            Outcome::failure(format!("not done; the last error was {}", self.last_error))
        };
        episode.complete(outcome).await?;
        arena.memory.learn().await?;
        Ok(())
    }
}
