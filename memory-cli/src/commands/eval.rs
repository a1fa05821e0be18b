//! `memory eval`: measures recall and learning in a temporary memory.

mod compared;
mod drawing;
mod lift;
mod tasks;
mod telling;
mod trajectories;

use memory_eval::{Error, Means};

use crate::cli::{EvalCommand, Global};
use crate::endpoint::endpoint;
use crate::failure::{Exit, Failure};
use crate::output::Output;
use crate::session::refuse;

pub(crate) async fn run(
    global: &Global,
    command: &EvalCommand,
    output: &mut Output,
) -> Result<Exit, Failure> {
    let why = "an evaluation uses a temporary memory on this machine";
    refuse("--path", global.path.is_some(), why)?;
    refuse("--url", global.url.is_some(), why)?;
    refuse("--config", global.config.is_some(), why)?;
    refuse("--namespace", global.namespace.is_some(), why)?;
    refuse("--here", global.here, why)?;
    let endpoint = endpoint(global)?;
    if let Some(endpoint) = &endpoint {
        // Without it recall would match words only, and the report would name a provider that was not used.
        endpoint.embed(&["hello".to_owned()]).await?;
    }
    let by = Means { model: global.embedding_model.clone(), endpoint };
    let evaluation = async {
        match command {
            EvalCommand::Tasks(arguments) => tasks::run(arguments, &by, output).await,
            EvalCommand::Suite(arguments) => compared::suite(arguments, &by, output).await,
            EvalCommand::Controls(arguments) => compared::controls(arguments, &by, output).await,
            EvalCommand::Trajectories(arguments) => trajectories::run(arguments, &by, output).await,
            EvalCommand::Lift(arguments) => lift::run(arguments, &by, output).await,
        }
    };
    // Dropped when the user stops it, together with its temporary folder.
    tokio::select! {
        done = evaluation => done.map(|()| Exit::Done),
        () = stopped() => Err(Failure::Command {
            exit: Exit::Failed,
            kind: "interrupted",
            message: "stopped before its end; its memory is removed".into(),
            hint: None,
        }),
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        let message = error.to_string();
        let command =
            |exit, kind, hint: &str| Failure::Command { exit, kind, message, hint: Some(hint.into()) };
        match error {
            Error::Memory(error) => Failure::Memory(error),
            Error::Read { path, source } => Failure::file(&path.display().to_string(), &source),
            Error::Line { .. } | Error::Empty { .. } => {
                let hint = "an evaluation needs every line; `memory import --help` shows the two shapes";
                command(Exit::BadLines, "bad_line", hint)
            }
            Error::Folder(_) => command(Exit::Failed, "io", "set TMPDIR to a folder that you may write to"),
            Error::Write { .. } => {
                command(Exit::Failed, "io", "name a file in a folder that you may write to")
            }
            _ => command(Exit::Failed, "failed", "see the message"),
        }
    }
}

/// Waits until the process is asked to end.
async fn stopped() {
    let interrupted = async {
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
    };
    #[cfg(unix)]
    let terminated = async {
        match tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()) {
            Ok(mut signal) => drop(signal.recv().await),
            Err(_) => std::future::pending::<()>().await,
        }
    };
    #[cfg(not(unix))]
    let terminated = std::future::pending::<()>();
    tokio::select! {
        () = interrupted => {}
        () = terminated => {}
    }
}
