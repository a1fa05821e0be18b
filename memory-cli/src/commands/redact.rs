//! `memory redact`: the current redaction rules applied to stored records.

use std::collections::BTreeMap;
use std::io::{self, IsTerminal};

use agent_memory::Memory;
use agent_memory::redaction::{RedactionPass, SecretsFound};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde_json::json;

use crate::cli::{Global, RedactArgs};
use crate::failure::{Exit, Failure};
use crate::output::Output;
use crate::output::style::{self, paint};
use crate::session::Session;
use crate::text;

/// Records that are shown to people.
const SHOWN: usize = 20;

pub(crate) async fn run(
    global: &Global,
    arguments: &RedactArgs,
    output: &mut Output,
) -> Result<Exit, Failure> {
    let session =
        Session::open_with(global, output, |builder| builder.create(false).background_learning(false))
            .await?;
    let pass = if arguments.apply { RedactionPass::Apply } else { RedactionPass::DryRun };
    let bar = bar(&session.memory, output).await;
    let mut sum = Sum::default();
    let mut from = arguments.from.clone();
    let failed = loop {
        match session.memory.redact_stored(pass, from.as_deref()).await {
            Ok(page) => {
                bar.inc(page.checked);
                sum.checked += page.checked;
                sum.found.extend(page.found);
                sum.unreadable.extend(page.unreadable);
                from = page.next;
                if from.is_none() {
                    break None;
                }
            }
            Err(error) => break Some(error),
        }
    };
    // Withdrawn items are learned again at once, because recall lacks them until then.
    let failed = match failed {
        None if arguments.apply && !sum.found.is_empty() => session.memory.learn().await.err(),
        failed => failed,
    };
    bar.finish_and_clear();
    if let Some(error) = failed {
        if let (false, Some(place)) = (output.is_json(), &from) {
            let remark = format!("what was gone over so far stays so; go on with --from {place}");
            output.note("note", style::NAME, remark)?;
        }
        session.close().await?;
        return Err(error.into());
    }
    if output.is_json() {
        let left = session.drain(output).await?;
        output.object(&json!({
            "applied": arguments.apply,
            "checked": sum.checked,
            "rules": sum.rules(),
            "records": sum.found,
            "unreadable": sum.unreadable,
            "waiting": left.rows,
        }))?;
        return Ok(Exit::Done);
    }
    tell(&sum, arguments.apply, output)?;
    session.drain(output).await?;
    Ok(Exit::Done)
}

/// The sums over all parts of a pass.
#[derive(Default)]
struct Sum {
    checked: u64,
    found: Vec<SecretsFound>,
    unreadable: Vec<String>,
}

impl Sum {
    /// Returns how many secrets each rule found.
    fn rules(&self) -> BTreeMap<&str, u64> {
        let mut rules = BTreeMap::new();
        for (rule, count) in self.found.iter().flat_map(|found| &found.rules) {
            *rules.entry(rule.as_str()).or_default() += count;
        }
        rules
    }
}

/// Makes a progress bar over all records; hidden unless a person watches.
async fn bar(memory: &Memory, output: &Output) -> ProgressBar {
    let records = memory.status().await.engine.records.unwrap_or_default();
    let bar = ProgressBar::new(records.values().sum());
    let watched = io::stderr().is_terminal() && !output.is_json();
    bar.set_draw_target(if watched {
        ProgressDrawTarget::stderr_with_hz(10)
    } else {
        ProgressDrawTarget::hidden()
    });
    // Without its own style the bar has a plain one.
    if let Ok(style) = ProgressStyle::with_template("redacting {wide_bar} {pos}/{len} records {eta}") {
        bar.set_style(style);
    }
    bar
}

fn tell(sum: &Sum, applied: bool, output: &mut Output) -> Result<(), Failure> {
    let records = text::count(sum.checked, "record");
    if sum.found.is_empty() {
        output.line(paint(style::GOOD, format!("No secret was found in {records}.")))?;
    } else {
        let rules = sum.rules();
        let secrets = text::count(rules.values().sum(), "secret");
        let held = text::count(sum.found.len() as u64, "record");
        let done = if applied { "replaced in" } else { "found in" };
        let look = if applied { style::GOOD } else { style::UNSURE };
        output.line(paint(look, format!("{secrets} {done} {held}, of {records} read.")))?;
        for (rule, count) in rules {
            output.line(format!("  {rule}: {}", text::number(count)))?;
        }
        for found in sum.found.iter().take(SHOWN) {
            let line = text::one_line(&format!("  {} {}", found.kind, found.id));
            output.line(paint(style::FAINT, line))?;
        }
        if let more @ 1.. = sum.found.len().saturating_sub(SHOWN) {
            output.line(paint(style::FAINT, format!("  and {} more: --json", text::number(more as u64))))?;
        }
        if !applied {
            output.note("note", style::NAME, "nothing was changed: --apply replaces them")?;
        }
    }
    if !sum.unreadable.is_empty() {
        let count = text::count(sum.unreadable.len() as u64, "record");
        let remark = format!("{count} cannot be read; `memory status` names them");
        output.note("warning", style::UNSURE, remark)?;
    }
    Ok(())
}
