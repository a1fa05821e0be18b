//! What learning takes out of long episodes.

use std::time::Instant;

use memory_core::{Action, Episode, EpisodeId, EpisodeStatus, Outcome, Step, Task, Timestamp};
use memory_learn::extract::extracted;
use memory_learn::trace::Trace;
use serde_json::json;

use crate::{Result, Run};

/// A long episode and the ten most like it, with tools, arguments that vary, observations and errors.
pub struct Extraction {
    own: Trace,
    similar: Vec<Trace>,
}

impl Extraction {
    /// Makes episodes of so many steps; the same ones each time.
    pub fn new(steps: u32) -> Self {
        Self { own: trace(2, steps), similar: (3..13).map(|seed| trace(seed, steps)).collect() }
    }

    /// Extracts so many times.
    ///
    /// # Errors
    /// When nothing is found: then nothing was measured.
    pub fn run(&self, times: u64) -> Result<Run> {
        let mut run = Run::default();
        let start = Instant::now();
        for _ in 0..times {
            let before = Instant::now();
            let items = extracted(&self.own, &self.similar);
            run.latencies.push(before.elapsed());
            if items == 0 {
                return Err("nothing was extracted".into());
            }
        }
        run.elapsed = start.elapsed();
        Ok(run)
    }
}

fn trace(seed: u64, steps: u32) -> Trace {
    let id = EpisodeId(uuid::Uuid::from_u128(u128::from(seed)));
    let at = Timestamp(1_000 + seed);
    let task =
        Task::new(format!("Work on ticket HAT{seed:03} for user_{seed:04}")).kind("ticket").domain("support");
    let mut episode = Episode::open(id, task, at);
    episode.status = EpisodeStatus::Completed;
    episode.completed_at = Some(at);
    let done = seed.is_multiple_of(2);
    episode.outcome = Some(if done { Outcome::success("done") } else { Outcome::failure("not done") });
    episode.steps = steps;
    let steps =
        (1..=steps).map(|number| Step::new(id, number, 0, at, action(seed, u64::from(number)))).collect();
    Trace { episode, steps, artifacts: Vec::new() }
}

fn action(seed: u64, number: u64) -> Action {
    let tool = (number.wrapping_mul(number + seed) ^ seed) % 30;
    let action = Action::tool(format!("tool_{tool}"))
        .description(format!("step {number} of the work on ticket T{number:05}"))
        .arguments(json!({
            "id": format!("K{:06}", number * seed),
            "mode": format!("mode{}", number % 3),
            "text": "x".repeat(200),
        }))
        .observation("y ".repeat(500));
    match number % 9 {
        0 => action.error(format!("Error: item {number} of list {tool} not found")),
        _ => action,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_episodes_yield_items() {
        let run = Extraction::new(60).run(2).unwrap();
        assert_eq!(run.latencies.len(), 2);
    }
}
