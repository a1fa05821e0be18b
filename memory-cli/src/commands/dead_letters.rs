//! `memory sync dead-letters` and `memory sync drop`

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;

use agent_memory::status::DeadLetter;
use serde_json::json;

use super::view;
use crate::cli::Global;
use crate::failure::{Exit, Failure};
use crate::output::Output;
use crate::session::Session;
use crate::text;

/// Dead letters read at a time.
const PAGE: usize = 500;

/// Lists the dead letters, or exports them all.
pub(super) async fn list(
    global: &Global,
    export: Option<&Path>,
    output: &mut Output,
) -> Result<Exit, Failure> {
    let session = Session::open(global, output).await?;
    if let Some(path) = export {
        let to_stdout = path.as_os_str() == "-";
        let exported = if to_stdout {
            let mut out = io::stdout().lock();
            write_all(&session, &[], &mut out, Path::new("standard output")).await?
        } else {
            write_file(&session, &[], path).await?
        };
        session.close().await?;
        if output.is_json() && !to_stdout {
            output.object(&json!({"exported": exported.len()}))?;
        } else if !to_stdout {
            let count = text::count(exported.len() as u64, "dead letter");
            output.line(format!("{count} written to {}.", path.display()))?;
        }
        return Ok(Exit::Done);
    }
    let mut after = 0;
    let mut objects = Vec::new();
    let mut count = 0_u64;
    loop {
        let page = session.memory.dead_letters(after, PAGE).await?;
        let Some(last) = page.last() else { break };
        after = last.seq;
        count += page.len() as u64;
        if output.is_json() {
            objects.extend(view::dead_letters_json(&page).as_array().cloned().unwrap_or_default());
        } else {
            for line in view::dead_letter_lines(&page, output.columns()) {
                output.line(line)?;
            }
        }
    }
    session.close().await?;
    if output.is_json() {
        output.object(&json!({"dead_letters": objects}))?;
    } else if count == 0 {
        output.line("There are no dead letters.")?;
    }
    Ok(Exit::Done)
}

/// Deletes dead letters, those with these numbers or all there are now.
pub(super) async fn drop_some(
    global: &Global,
    seqs: &[u64],
    export: Option<&Path>,
    yes: bool,
    output: &mut Output,
) -> Result<Exit, Failure> {
    if !yes {
        let message =
            "dead letters are acknowledged records that the server does not have; dropping is for good";
        return Err(Failure::usage(message, "add --yes to delete them"));
    }
    let session = Session::open(global, output).await?;
    let chosen = match export {
        // Only dead letters that were written to the file are dropped.
        Some(path) => write_file(&session, seqs, path).await?,
        None => write_all(&session, seqs, &mut io::sink(), Path::new("nowhere")).await?,
    };
    let dropped = session.memory.drop_dead_letters(chosen).await?;
    session.close().await?;
    if output.is_json() {
        output.object(&json!({"dropped": dropped}))?;
    } else {
        output.line(format!("{} dropped.", text::count(dropped, "dead letter")))?;
    }
    Ok(Exit::Done)
}

/// Writes dead letters to a new file, which is on disk when this returns; returns their numbers.
async fn write_file(session: &Session, seqs: &[u64], path: &Path) -> Result<Vec<u64>, Failure> {
    let fail = |source: io::Error| cannot_write(path, &source);
    let file = File::create_new(path).map_err(fail)?;
    let mut out = BufWriter::new(file);
    let written = write_all(session, seqs, &mut out, path).await?;
    let file = out.into_inner().map_err(|error| fail(error.into_error()))?;
    file.sync_all().map_err(fail)?;
    Ok(written)
}

/// Writes dead letters, one object a line: those with these numbers, or all if there are none. Returns their
/// numbers.
async fn write_all(
    session: &Session,
    seqs: &[u64],
    out: &mut impl Write,
    path: &Path,
) -> Result<Vec<u64>, Failure> {
    let (mut after, mut written) = (0, Vec::new());
    loop {
        let page = session.memory.dead_letters(after, PAGE).await?;
        let Some(last) = page.last() else { break };
        after = last.seq;
        let chosen = |letter: &&DeadLetter| seqs.is_empty() || seqs.contains(&letter.seq);
        for letter in page.iter().filter(chosen) {
            writeln!(out, "{}", letter.to_json()?).map_err(|source| cannot_write(path, &source))?;
            written.push(letter.seq);
        }
    }
    out.flush().map_err(|source| cannot_write(path, &source))?;
    Ok(written)
}

fn cannot_write(path: &Path, source: &io::Error) -> Failure {
    Failure::Command {
        exit: Exit::Failed,
        kind: "io",
        message: format!("cannot write {}: {source}", path.display()),
        hint: Some("--export takes the name of a file that does not exist yet".into()),
    }
}
