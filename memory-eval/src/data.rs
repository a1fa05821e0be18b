//! Data sets: solved tasks and judged conversations, one JSON object a line.

mod lines;
mod tasks;
mod trajectories;

pub use tasks::{Call, DataSet, SolvedTask, read_tasks};
pub use trajectories::{Judge, Trajectory, read_trajectories};
