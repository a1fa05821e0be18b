//! `memory eval`: measures the memory in a fresh one of its own, which is gone afterwards.

mod arena;
mod dice;
mod figures;
mod lift;
mod source;
mod tasks;
mod telling;
mod trajectories;

use arena::Means;

use crate::cli::{EvalCommand, Global};
use crate::failure::{Exit, Failure};
use crate::output::Output;
use crate::session::refuse;

pub(crate) async fn run(
    global: &Global,
    command: &EvalCommand,
    output: &mut Output,
) -> Result<Exit, Failure> {
    let why = "an evaluation has a fresh memory of its own on this machine, which is gone afterwards";
    refuse("--path", global.path.is_some(), why)?;
    refuse("--url", global.url.is_some(), why)?;
    refuse("--config", global.config.is_some(), why)?;
    refuse("--namespace", global.namespace.is_some(), why)?;
    let by = Means { model: global.embedding_model.as_deref(), word_table: !global.no_word_table };
    match command {
        EvalCommand::Tasks(arguments) => tasks::run(arguments, by, output).await?,
        EvalCommand::Trajectories(arguments) => trajectories::run(arguments, by, output).await?,
        EvalCommand::Lift(arguments) => lift::run(arguments, by, output).await?,
    }
    Ok(Exit::Done)
}
