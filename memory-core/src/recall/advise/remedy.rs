//! What to do about the last error, before anything else.

use super::explain::{REASONS, times};
use super::{Advised, Bench};
use crate::id::{EpisodeId, FailureId};
use crate::memory::ToolAdvice;
use crate::model::evidence::ItemId;

/// Episodes that must show that one tool is used only after another one.
const MIN_SHOWN: usize = 2;

/// Episodes in which another attempt must have worked after what is advised: one may have been an accident.
const MIN_REPEATED: u32 = 2;

/// What got over an error like the last one.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Remedy {
    /// The tool that failed.
    pub(crate) failed: String,
    /// The tools of the fix, in order; none if the tool was only ever called again in vain.
    pub(crate) tools: Vec<String>,
    /// The fix, as it is told.
    pub(crate) text: String,
    /// The tool that it is known of, if that is not the one that failed.
    pub(crate) known_of: Option<String>,
    /// In how many episodes it worked.
    pub(crate) worked: u32,
    /// Whether somebody pinned it: it stands whatever its evidence.
    pub(crate) pinned: bool,
    /// How sure it is, in `0.0..=1.0`.
    pub(crate) confidence: f64,
    /// The lesson that it is from.
    pub(crate) lesson: FailureId,
    /// The newest episodes that had the error.
    pub(crate) episodes: Vec<EpisodeId>,
}

impl Bench<'_> {
    /// Puts what fixed the last error first. Where it goes round the tool that failed, as most successes with such an error
    /// did, or where nothing ever got over it, neither that tool is advised nor what is only used once it has worked; they are
    /// for others. Rulings outrank it.
    pub(super) fn begin_with(&self, remedy: &Remedy, advised: &mut Advised) {
        if remedy.tools.iter().any(|tool| self.is_out(tool)) {
            return;
        }
        let part = advised.tools.iter().find(|advice| advice.tool == remedy.failed).map_or(0, |it| it.part);
        if !remedy.tools.contains(&remedy.failed) {
            let is_given_up = remedy.tools.is_empty();
            if self.is_spared(&remedy.failed) || !is_given_up && !remedy.pinned && !self.goes_round(remedy) {
                return;
            }
            let is_lost = |tool: &String| {
                (*tool == remedy.failed || self.hangs_on(tool, &remedy.failed)) && !self.is_spared(tool)
            };
            let lost = advised.tools.extract_if(.., |advice| is_lost(&advice.tool)).map(|advice| advice.tool);
            advised.for_others.extend(lost);
            advised.for_others.insert(remedy.failed.clone());
        } else if remedy.worked < MIN_REPEATED && !remedy.pinned {
            return;
        }
        for tool in remedy.tools.iter().rev().filter(|tool| !self.done(tool)) {
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
            let reason = format!("got over an error like the last one{of} in {tasks}: {}", remedy.text);
            advice.reasons.insert(0, reason);
            advice.reasons.truncate(REASONS);
            advice.items.insert(0, ItemId::Failure(remedy.lesson));
            advised.for_others.remove(tool);
            advised.tools.insert(0, advice);
        }
    }

    fn goes_round(&self, remedy: &Remedy) -> bool {
        let first = remedy.tools.iter().find(|tool| !self.done(tool));
        let places =
            first.and_then(|first| self.associations.tool(&remedy.failed).zip(self.associations.tool(first)));
        places.is_some_and(|(failed, by)| self.associations.cases.goes_round(&remedy.episodes, failed, by))
    }

    /// Returns true if a tool is only used once another one has worked.
    pub(super) fn hangs_on(&self, tool: &str, other: &str) -> bool {
        let places = self.associations.tool(tool).zip(self.associations.tool(other));
        places.is_some_and(|(tool, other)| {
            // Most tools were never used behind the other one: no need to look through the episodes.
            self.associations.before.contains_key(&(other, tool))
                && self.associations.cases.follows_only(tool, other, MIN_SHOWN)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::learn::heuristics::associate::tests::{learn, lesson, went};
    use crate::learn::heuristics::associate::{Associations, Lesson};
    use crate::model::heuristic::{Advice, Heuristic, Premise};
    use crate::model::ruling::Decision;
    use crate::recall::advise::advise;
    use crate::recall::parts::parts;
    use crate::recall::query::RecallQuery;

    const TASK: &str = "Cancel the booking";

    /// Bookings that went like the courses, then thirty that were cancelled and refunded, among other tasks.
    fn travel(courses: &[(&str, f64)]) -> Associations {
        let usual = (70..100).map(|n| went(n, TASK, "find+ cancel+ refund+ mail+", 1.0));
        let others = (20..50).map(|n| lesson(n, "Add two bags", &["find", "add_bags", "mail"]));
        let own = (0..).zip(courses).map(|(n, (course, success))| went(n, TASK, course, *success));
        learn(&usual.chain(others).chain(own).collect::<Vec<Lesson>>())
    }

    fn remedy(tools: &[&str]) -> Remedy {
        Remedy {
            failed: "cancel".into(),
            tools: tools.iter().map(|tool| (*tool).to_owned()).collect(),
            text: tools.join(", then "),
            known_of: None,
            worked: 2,
            pinned: false,
            confidence: 0.6,
            lesson: FailureId(uuid::Uuid::nil()),
            episodes: (0..2).map(|n| EpisodeId(uuid::Uuid::from_u128(n))).collect(),
        }
    }

    fn advised(known: &Associations, remedy: Option<&Remedy>) -> Advised {
        let query = RecallQuery::new(TASK).after(["find", "cancel"]).last_error("not possible");
        advise(&parts(TASK), &query, known, &known.heuristics, &[], remedy)
    }

    fn tools(advised: &Advised) -> Vec<&str> {
        advised.tools.iter().map(|advice| advice.tool.as_str()).collect()
    }

    #[test]
    fn what_goes_round_takes_the_place_of_what_failed_and_of_what_hangs_on_it() {
        let known = travel(&[("find+ cancel- hand_over+ mail+", 1.0), ("find+ cancel- cancel-", 0.0)]);
        let usual = advised(&known, None);
        assert!(tools(&usual).starts_with(&["cancel", "refund"]), "{:?}", usual.tools);
        let round = advised(&known, Some(&remedy(&["hand_over"])));
        // A mail is written in any case.
        assert_eq!(tools(&round), ["hand_over", "mail"]);
        assert!(["cancel", "refund"].iter().all(|tool| round.for_others.contains(*tool)));
        let first = &round.tools[0];
        assert_eq!(first.reasons[0], "got over an error like the last one in 2 tasks: hand_over");
        assert_eq!(first.items[0], ItemId::Failure(remedy(&[]).lesson));
        assert!(first.confidence >= 0.6, "{first:?}");
    }

    #[test]
    fn what_was_only_called_again_in_vain_is_given_up() {
        let known = travel(&[("find+ cancel- cancel-", 0.0)]);
        let given_up = advised(&known, Some(&remedy(&[])));
        assert_eq!(tools(&given_up), ["mail"]);
        assert!(given_up.for_others.contains("cancel"));
    }

    #[test]
    fn rulings_outrank_a_remedy() {
        let known = travel(&[("find+ cancel- hand_over+ mail+", 1.0)]);
        let any = known.heuristics.iter().find(|rule| rule.tool == "cancel").unwrap();
        let ruled = |tool: &str, advice, pinned| {
            let condition = Premise { terms: vec!["booking".into()], task_kind: None, after_tool: None };
            let ruling = Some(if pinned { Decision::Pinned } else { Decision::Rejected });
            Heuristic { tool: tool.into(), advice, ruling, condition, ..any.clone() }
        };
        let query = RecallQuery::new(TASK).after(["find", "cancel"]).last_error("not possible");
        let first = |rule: Heuristic| {
            let stored = std::slice::from_ref(&rule);
            let found = advise(&parts(TASK), &query, &known, stored, &[], Some(&remedy(&["hand_over"])));
            found.tools[0].tool.clone()
        };
        assert_eq!(first(ruled("mail", Advice::Use, true)), "hand_over");
        assert_eq!(first(ruled("cancel", Advice::Use, true)), "cancel");
        assert_ne!(first(ruled("hand_over", Advice::Avoid, true)), "hand_over");
        assert_ne!(first(ruled("hand_over", Advice::Use, false)), "hand_over");
    }

    #[test]
    fn what_went_round_elsewhere_is_not_taken_here() {
        let known = travel(&[("find+ cancel- hand_over+ cancel+ refund+", 1.0)]);
        let (usual, round) = (advised(&known, None), advised(&known, Some(&remedy(&["hand_over"]))));
        assert_eq!(round, usual, "the tool worked later on");
        assert_eq!(advised(&known, Some(&remedy(&["unknown"]))), usual);
    }

    #[test]
    fn what_comes_before_another_attempt_comes_first() {
        let known = travel(&[]);
        assert_eq!(
            tools(&advised(&known, Some(&remedy(&["log_in", "cancel"]))))[..3],
            ["log_in", "cancel", "refund"]
        );
        let once = Remedy { worked: 1, ..remedy(&["log_in", "cancel"]) };
        assert_eq!(advised(&known, Some(&once)), advised(&known, None), "an accident");
        let pinned = Remedy { pinned: true, ..once };
        assert_eq!(tools(&advised(&known, Some(&pinned)))[..2], ["log_in", "cancel"]);
        // What is done already is not advised again.
        assert_eq!(tools(&advised(&known, Some(&remedy(&["find", "cancel"]))))[..2], ["cancel", "refund"]);
    }
}
