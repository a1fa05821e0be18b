//! The remedy for the last error, which precedes all other advice.

use memory_core::{FailureId, ItemId};
use memory_recall::query::RecallQuery;

use super::rulings::Rulings;
use super::{Advised, times};
use crate::memory::ToolAdvice;

/// Episodes in which another attempt must have worked after the advised calls: a single one may be an accident.
const REPEATED: u32 = 2;

/// A remedy for an error like the last one.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Remedy {
    /// The tool that failed.
    pub(crate) failed: String,
    /// The tools of the fix, in order; none if repeating the tool always failed.
    pub(crate) tools: Vec<String>,
    /// The fix, as rendered.
    pub(crate) text: String,
    /// The tool that it is known of, if that is not the one that failed.
    pub(crate) known_of: Option<String>,
    /// In how many episodes it worked.
    pub(crate) worked: u32,
    /// Whether a person pinned it: then it is valid whatever its evidence.
    pub(crate) pinned: bool,
    /// How sure it is, in `0.0..=1.0`.
    pub(crate) confidence: f64,
    /// The lesson that it is from.
    pub(crate) lesson: FailureId,
}

/// Puts the remedy of the last error first. A call that only ever failed again is not advised; the workaround
/// takes its place, if a person pinned it or the model agrees. Rulings outrank a remedy.
pub(super) fn begin_with(remedy: &Remedy, query: &RecallQuery, rulings: &Rulings<'_>, advised: &mut Advised) {
    if remedy.tools.iter().any(|tool| rulings.is_out(tool)) {
        return;
    }
    let is_advised = |tool: &String| advised.tools.iter().any(|advice| advice.tool == *tool);
    if remedy.tools.contains(&remedy.failed) {
        if remedy.worked < REPEATED && !remedy.pinned {
            return;
        }
    } else {
        let is_given_up = remedy.tools.is_empty();
        if rulings.is_spared(&remedy.failed)
            || !is_given_up && !remedy.pinned && !remedy.tools.iter().any(is_advised)
        {
            return;
        }
        advised.tools.retain(|advice| advice.tool != remedy.failed);
        advised.for_others.insert(remedy.failed.clone());
    }
    let part = advised.tools.iter().find(|advice| advice.tool == remedy.failed).map_or(0, |it| it.part);
    for tool in remedy.tools.iter().rev().filter(|tool| !query.done.contains(tool)) {
        let held = advised.tools.iter().position(|advice| advice.tool == *tool);
        let mut advice = held.map_or_else(
            || {
                let (reasons, items) = (Vec::new(), Vec::new());
                ToolAdvice { tool: tool.clone(), confidence: 0.0, part, reasons, items }
            },
            |held| advised.tools.remove(held),
        );
        advice.confidence = advice.confidence.max(remedy.confidence);
        let tasks = times(remedy.worked);
        let of = remedy.known_of.as_ref().map_or_else(String::new, |tool| format!(", of {tool},"));
        advice
            .reasons
            .insert(0, format!("got over an error like the last one{of} in {tasks}: {}", remedy.text));
        advice.items.insert(0, ItemId::Failure(remedy.lesson));
        advised.for_others.remove(tool);
        advised.tools.insert(0, advice);
    }
}
