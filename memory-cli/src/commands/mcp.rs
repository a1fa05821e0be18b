//! `memory mcp`

use crate::cli::Global;
use crate::failure::{Exit, Failure};
use crate::output::Output;
use crate::session::Session;

/// Serves one client over standard input and output. Nothing else may be written there.
pub(crate) async fn run(global: &Global, output: &mut Output) -> Result<Exit, Failure> {
    let session = Session::open_with(global, output, |builder| builder).await?;
    let served = memory_mcp::Server::new(session.memory.clone()).serve_stdio().await;
    session.drain(output).await?;
    served.map_err(|message| Failure::Command {
        exit: Exit::Failed,
        kind: "io",
        message,
        hint: Some("a client starts this command; standard input and output are the protocol's".into()),
    })?;
    Ok(Exit::Done)
}
