//! Judged conversations: `{task_id, trial, reward, messages, reference_actions}`.

use std::path::Path;

use agent_memory::Recording;
use serde::Deserialize;
use serde_json::Value;

use super::lines;
use super::tasks::Call;
use crate::error::Result;

/// An episode of a file, with what only the judge may know.
#[derive(Debug)]
pub struct Trajectory {
    /// What the agent saw and did.
    pub recording: Recording,
    /// What it never saw.
    pub judge: Judge,
}

/// What a line says about its episode that the agent never saw.
#[derive(Debug, Default, Deserialize)]
pub struct Judge {
    /// Which task it is: lines of the same task are trials of it.
    #[serde(default)]
    pub task_id: Value,
    /// The calls that solve the task.
    #[serde(default)]
    pub reference_actions: Vec<Call>,
}

/// Reads the conversations of a file. `parse` turns a line into the episode that the agent lived through, as the
/// application's importer does; its errors say what is wrong with the line.
///
/// # Errors
/// The file cannot be read, a line is no judged conversation, or there is no line.
pub fn read_trajectories(
    path: &Path,
    parse: impl Fn(&[u8]) -> Result<Recording, String>,
) -> Result<Vec<Trajectory>> {
    lines::read(path, |bytes| {
        let recording = parse(bytes)?;
        let judge = serde_json::from_slice(bytes).map_err(|error| format!("not to be judged: {error}"))?;
        Ok(Trajectory { recording, judge })
    })
}
