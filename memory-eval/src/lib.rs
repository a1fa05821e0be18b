//! Measures a memory: data sets, baselines, controls and statistics.
//!
//! Everything here speaks to the memory through the public API of `agent-memory`, as an application would. Each
//! evaluation has a fresh memory of its own ([`Arena`]), whose folder, clock and ids are its own, and which is gone
//! afterwards. `docs/evaluation.md` says what the figures mean.

mod arena;
mod baselines;
mod chart;
mod compare;
mod controls;
mod curve;
mod data;
mod dice;
mod error;
mod figures;
mod lift;
mod statistics;
mod suite;
mod tools;
mod trajectories;

pub use arena::{Arena, Means};
pub use baselines::{Baseline, baselines};
pub use chart::blocks;
pub use compare::{BaselineScore, Compared, compare};
pub use controls::{Control, ControlRow, Transformed, controls};
pub use curve::{CurvePoint, curve, curve_svg};
pub use data::{Call, DataSet, Judge, SolvedTask, Trajectory, read_tasks, read_trajectories};
pub use error::{Error, Result};
pub use figures::Estimate;
pub use lift::{Arm, GapClosed, LiftReport, lift};
pub use statistics::{Sampled, bootstrap, paired};
pub use suite::{Pair, SuiteRow, evaluate, find_data_sets};
pub use tools::{Advised, Learned, ToolScores};
pub use trajectories::{TrajectoryScores, trajectories};
