//! `memory sync` and `memory sync retry`

use std::time::{Duration, Instant};

use agent_memory::status::Mode;
use serde_json::json;

use super::status::DEAD_LETTERS_SHOWN;
use super::{dead_letters, view};
use crate::cli::{Global, SyncArgs, SyncCommand};
use crate::failure::{Exit, Failure};
use crate::output::Output;
use crate::output::style::{self, paint};
use crate::session::Session;
use crate::text;

/// The dead letters to send again before everything else.
enum Retry<'a> {
    Nothing,
    All,
    These(&'a [u64]),
}

pub(crate) async fn run(global: &Global, arguments: &SyncArgs, output: &mut Output) -> Result<Exit, Failure> {
    match &arguments.command {
        None => sync(global, arguments.timeout, Retry::Nothing, output).await,
        Some(SyncCommand::Retry { seqs, timeout }) if seqs.is_empty() => {
            sync(global, *timeout, Retry::All, output).await
        }
        Some(SyncCommand::Retry { seqs, timeout }) => {
            sync(global, *timeout, Retry::These(seqs), output).await
        }
        Some(SyncCommand::DeadLetters { export }) => {
            dead_letters::list(global, export.as_deref(), output).await
        }
        Some(SyncCommand::Drop { seqs, export, no_export: _, yes }) => {
            dead_letters::drop_some(global, seqs, export.as_deref(), *yes, output).await
        }
    }
}

async fn sync(global: &Global, seconds: u32, retry: Retry<'_>, output: &mut Output) -> Result<Exit, Failure> {
    let session = Session::open(global, output).await?;
    let retried = match retry {
        Retry::Nothing => None,
        Retry::All => Some(session.memory.retry_dead_letters(None).await?),
        Retry::These(seqs) => Some(session.memory.retry_dead_letters(Some(seqs.to_vec())).await?),
    };
    let waiting = session.memory.status().await.engine.outbox.map_or(0, |outbox| outbox.rows);
    let start = Instant::now();
    let failed = session.memory.sync(Duration::from_secs(seconds.into())).await.err();
    let taken = start.elapsed();
    let engine = session.memory.status().await.engine;
    let left = engine.outbox.map_or(0, |outbox| outbox.rows);
    let dead = engine.outbox.map_or(0, |outbox| outbox.dead_letters);
    let dead_letters = session.memory.dead_letters(0, DEAD_LETTERS_SHOWN).await?;
    session.close().await?;
    // Opening in remote mode succeeds without the server, but this command needs its answer.
    if let Some(error) = failed {
        return Err(error.into());
    }
    // Rows are counted until they are gone, whether they were sent before or while this ran.
    let sent = waiting.saturating_sub(left);
    if output.is_json() {
        output.object(&json!({
            "mode": engine.mode,
            "sent": sent,
            "waiting": left,
            "retried": retried,
            "refused": dead,
            "position": engine.sync.position,
            "elapsed_ms": u64::try_from(taken.as_millis()).unwrap_or(u64::MAX),
            "dead_letters": view::dead_letters_json(&dead_letters),
        }))?;
    } else {
        match (engine.mode, retried) {
            (Mode::Local, _) => output
                .line("Nothing to send: in local mode a write is in the durable tier when it returns.")?,
            (Mode::Remote, Some(0)) => output.line("No dead letter can be sent again.")?,
            (Mode::Remote, Some(rows)) => {
                output.line(format!("{} sent once more.", text::count(rows, "dead letter")))?
            }
            (Mode::Remote, None) if sent == 0 => output.line("Nothing was waiting.")?,
            (Mode::Remote, None) => {
                output.line(format!("{} sent in {}.", text::count(sent, "row"), text::duration(taken)))?
            }
        }
        if engine.mode == Mode::Remote {
            output.line(paint(
                style::FAINT,
                format!("What others wrote is here up to commit {}.", engine.sync.position),
            ))?;
        }
        if dead > 0 {
            let told = format!("{} refused, not on the server:", text::count(dead, "row"));
            output.line(paint(style::BAD, told))?;
            for line in view::dead_letter_lines(&dead_letters, output.columns()) {
                output.line(line)?;
            }
        }
    }
    Ok(if dead > 0 { Exit::Unavailable } else { Exit::Done })
}
