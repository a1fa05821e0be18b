//! The flags of `memory eval`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

#[derive(Debug, Subcommand)]
pub(crate) enum EvalCommand {
    /// Recommend the tools of tasks, learned from tasks that were solved
    ///
    /// Both files have a task with its actions a line, {"id", "instruction", "actions": [{"name", "kwargs"}]}, as
    /// `memory import` reads them. Tools that no task of the training file uses do not count, and a task without any
    /// other is left out.
    Tasks(EvalTasksArgs),
    /// Measure every data set of a folder beside plain baselines, as one table
    ///
    /// A data set is NAME/train.jsonl with NAME/dev.jsonl, or NAME_train.jsonl with NAME_dev.jsonl.
    Suite(EvalSuiteArgs),
    /// Measure how much advice changes under what must not matter to it: other names, another order, other texts beside
    Controls(EvalControlsArgs),
    /// Find the same task again, foretell outcomes and warn, for each episode with the rest learned
    ///
    /// The file has a conversation a line, {"task_id", "trial", "reward", "messages": [OpenAI chat format]}, as
    /// `memory import` reads them; lines with the same "task_id" are trials of one task. "reference_actions", [{"name",
    /// "kwargs"}], says which calls were right; the memory never sees them.
    Trajectories(EvalTrajectoriesArgs),
    /// Measure what memory is worth to a simulated agent, against none, stale and irrelevant memory and an oracle
    ///
    /// The agent works through tasks of a seeded environment with hidden rules, which change half-way. It needs
    /// no language model. The same seed gives the same report.
    Lift(EvalLiftArgs),
}

#[derive(Debug, Args)]
pub(crate) struct EvalTasksArgs {
    /// The tasks to learn from
    #[arg(long, value_name = "FILE")]
    pub(crate) train: PathBuf,
    /// The tasks to recommend tools for
    #[arg(long, visible_alias = "dev", value_name = "FILE", required_unless_present = "leave_one_out")]
    pub(crate) test: Option<PathBuf>,
    /// Recommend for each task of the training file with the others learned
    #[arg(long)]
    pub(crate) leave_one_out: bool,
    /// Skip the plain baselines on the same tasks
    #[arg(long)]
    pub(crate) no_baselines: bool,
    /// Show advice by the number of tasks learned: 100, 300, 1000, 3000 and so on
    #[arg(long, requires = "test", conflicts_with = "leave_one_out")]
    pub(crate) curve: bool,
    /// Also draw that curve into this file
    #[arg(long, value_name = "FILE", requires = "curve")]
    pub(crate) svg: Option<PathBuf>,
    /// The seed of all ids
    #[arg(long, value_name = "S", default_value_t = 1)]
    pub(crate) seed: u64,
}

#[derive(Debug, Args)]
pub(crate) struct EvalTrajectoriesArgs {
    /// The conversations
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,
}

#[derive(Debug, Args)]
pub(crate) struct EvalLiftArgs {
    /// How many tasks the agent works through
    #[arg(long, value_name = "N", default_value_t = 600, value_parser = clap::value_parser!(u32).range(4..=100_000))]
    pub(crate) tasks: u32,
    /// The seed of the environment and of all chance
    #[arg(long, value_name = "S", default_value_t = 1)]
    pub(crate) seed: u64,
    /// Also draw the learning curves into this file
    #[arg(long, value_name = "FILE")]
    pub(crate) svg: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct EvalSuiteArgs {
    /// The folder; folders in it are looked through, too
    #[arg(value_name = "DIR")]
    pub(crate) folder: PathBuf,
    /// Skip the plain baselines
    #[arg(long)]
    pub(crate) no_baselines: bool,
    /// The seed of all ids
    #[arg(long, value_name = "S", default_value_t = 1)]
    pub(crate) seed: u64,
}

#[derive(Debug, Args)]
pub(crate) struct EvalControlsArgs {
    /// The tasks to learn from
    #[arg(long, value_name = "FILE")]
    pub(crate) train: PathBuf,
    /// The tasks to recommend tools for
    #[arg(long, visible_alias = "dev", value_name = "FILE")]
    pub(crate) test: PathBuf,
    /// Tasks of another kind, which two of the controls add to training
    #[arg(long, value_name = "FILE")]
    pub(crate) foreign: PathBuf,
    /// The seed of all ids and orders
    #[arg(long, value_name = "S", default_value_t = 1)]
    pub(crate) seed: u64,
}
