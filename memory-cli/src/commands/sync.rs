//! `memory sync` and `memory sync retry`

use std::time::{Duration, Instant};

use agent_memory::Mode;
use serde_json::json;

use super::status::SET_ASIDE_SHOWN;
use super::view;
use crate::cli::{Global, SyncArgs, SyncCommand};
use crate::failure::{Exit, Failure};
use crate::output::Output;
use crate::output::style::{self, paint};
use crate::session::Session;
use crate::text;

pub(crate) async fn run(global: &Global, arguments: &SyncArgs, output: &mut Output) -> Result<Exit, Failure> {
    let (seconds, retry) = match &arguments.command {
        None => (arguments.timeout, false),
        Some(SyncCommand::Retry { timeout }) => (*timeout, true),
    };
    let session = Session::open(global, output).await?;
    let retried = if retry { Some(session.memory.retry_set_aside().await?) } else { None };
    let waiting = session.memory.status().await.engine.outbox.map_or(0, |outbox| outbox.rows);
    let start = Instant::now();
    let failed = session.memory.sync(Duration::from_secs(seconds.into())).await.err();
    let taken = start.elapsed();
    let engine = session.memory.status().await.engine;
    let left = engine.outbox.map_or(0, |outbox| outbox.rows);
    let refused = engine.outbox.map_or(0, |outbox| outbox.set_aside);
    let set_aside = session.memory.set_aside(SET_ASIDE_SHOWN).await?;
    session.close().await?;
    // Opening in remote mode succeeds without an answer: here the answer is what is asked for.
    if let Some(error) = failed {
        return Err(error.into());
    }
    // Until the rows are gone they are counted, whether they were sent before or while this ran.
    let sent = waiting.saturating_sub(left);
    if output.is_json() {
        output.object(&json!({
            "mode": engine.mode,
            "sent": sent,
            "waiting": left,
            "retried": retried,
            "refused": refused,
            "position": engine.sync.position,
            "elapsed_ms": u64::try_from(taken.as_millis()).unwrap_or(u64::MAX),
            "set_aside": view::set_aside_json(&set_aside),
        }))?;
    } else {
        match (engine.mode, retried) {
            (Mode::Local, _) => output
                .line("Nothing to send: in local mode a write is in the durable tier when it returns.")?,
            (Mode::Remote, Some(0)) => output.line("No record is set aside.")?,
            (Mode::Remote, Some(rows)) => {
                output.line(format!("{} sent once more.", text::count(rows, "refused row")))?
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
        if refused > 0 {
            let told = format!("{} refused by the durable tier:", text::count(refused, "row"));
            output.line(paint(style::BAD, told))?;
            for line in view::set_aside_lines(&set_aside, output.columns()) {
                output.line(line)?;
            }
        }
    }
    Ok(if refused > 0 { Exit::Unavailable } else { Exit::Done })
}
