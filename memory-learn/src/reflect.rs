//! Reflection on an episode, in sentences that refer to its steps.

mod contrast;
mod own;

use async_trait::async_trait;
use memory_core::{Insight, Reflection, Result};

use crate::extract::cluster::Cluster;
use crate::trace::Trace;

/// Reflects on an episode. Applications may supply their own (a language model, for example) in place of
/// [`ContrastReflector`].
#[async_trait]
pub trait Reflector: Send + Sync + std::fmt::Debug {
    /// Reflects on a completed episode with similar ones, the most similar first.
    ///
    /// It runs off the path of those who record episodes. Dropping the future is harmless: the episode is
    /// reflected on again later.
    ///
    /// # Errors
    /// Any error while reflecting; the episode stays due, and is tried again.
    async fn reflect(&self, trace: &Trace, similar: &[Trace]) -> Result<Reflection>;
}

/// Reflects by contrast: errors and recoveries, repeated calls, and differences to similar episodes with
/// another outcome: tools and their order, the success of a tool, common values. Every sentence names tools,
/// errors or figures of the episode; without findings the reflection is empty.
#[derive(Debug, Clone)]
pub struct ContrastReflector {
    /// The most insights in each of the three lists, the most informative first; 5 by default.
    pub max_insights: usize,
}

impl Default for ContrastReflector {
    fn default() -> Self {
        Self { max_insights: 5 }
    }
}

#[async_trait]
impl Reflector for ContrastReflector {
    async fn reflect(&self, trace: &Trace, similar: &[Trace]) -> Result<Reflection> {
        let cluster = Cluster::new(trace, similar);
        let mut notes = Notes::default();
        own::reflect(&cluster, &mut notes);
        contrast::reflect(&cluster, &mut notes);
        let most_telling = |mut notes: Vec<Note>| {
            // A stable sort: equally informative notes stay in their original order.
            notes.sort_by_key(|note| std::cmp::Reverse(note.weight));
            notes.into_iter().take(self.max_insights).map(|note| note.insight).collect()
        };
        Ok(Reflection {
            episode: trace.episode.id,
            at: cluster.at(),
            worked: most_telling(notes.worked),
            failed: most_telling(notes.failed),
            improve: most_telling(notes.improve),
        })
    }
}

/// A statement and its weight.
struct Note {
    weight: u32,
    insight: Insight,
}

/// The statements made so far.
#[derive(Default)]
struct Notes {
    worked: Vec<Note>,
    failed: Vec<Note>,
    improve: Vec<Note>,
}

/// Makes a statement; the steps are put in order.
fn note(weight: u32, text: String, steps: impl IntoIterator<Item = u32>) -> Note {
    let mut steps: Vec<u32> = steps.into_iter().collect();
    steps.sort_unstable();
    steps.dedup();
    Note { weight, insight: Insight { text, steps } }
}

/// Returns a count with its unit in the right number: `1 call`, `3 calls`.
fn counted(count: usize, unit: &str) -> String {
    if count == 1 { format!("1 {unit}") } else { format!("{count} {unit}s") }
}

#[cfg(test)]
mod tests {
    use memory_core::Action;
    use serde_json::json;

    use super::*;
    use crate::calls::tests::{failure, success, tools, trace};

    /// Returns the statements as `list: text [steps]`.
    fn lines(trace: &Trace, similar: &[Trace]) -> Vec<String> {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let reflection = runtime.block_on(ContrastReflector::default().reflect(trace, similar)).unwrap();
        assert_eq!(reflection.episode, trace.episode.id);
        let numbers = 1..=trace.steps.len() as u32;
        let mut lines = Vec::new();
        for (list, insights) in
            [("worked", reflection.worked), ("failed", reflection.failed), ("improve", reflection.improve)]
        {
            assert!(insights.len() <= 5);
            for insight in insights {
                assert!(!insight.steps.is_empty() && insight.steps.iter().all(|step| numbers.contains(step)));
                lines.push(format!("{list}: {} {:?}", insight.text, insight.steps));
            }
        }
        lines
    }

    #[test]
    fn nothing_to_say_is_said_with_nothing() {
        let check = |trace: &Trace| assert_eq!(lines(trace, &[]), [""; 0]);
        check(&tools(1, success(), ""));
        check(&tools(1, success(), "a"));
        check(&tools(1, failure(), ""));
        check(&tools(1, failure(), "a b"));
    }

    #[test]
    fn a_recovery_is_told() {
        let pay = |method: &str| Action::tool("pay").arguments(json!({"method": method}));
        let own = trace(
            1,
            success(),
            vec![pay("voucher").error("Error: voucher 7 expired"), Action::tool("ask"), pay("cash")],
        );
        assert_eq!(
            lines(&own, &[]),
            [
                "worked: pay failed with \"voucher <n> expired\"; ask, then pay with method changed from voucher to cash fixed it [1, 2, 3]",
                "improve: call ask before pay: pay failed with \"voucher <n> expired\" first and worked after it [1, 2, 3]",
            ]
        );
    }

    #[test]
    fn what_a_failed_episode_did_next_is_no_advice() {
        let own = trace(
            1,
            failure(),
            vec![
                Action::tool("bash").error("assertion failed: a"),
                Action::tool("edit").description("delete the assertion"),
                Action::tool("bash"),
            ],
        );
        assert_eq!(
            lines(&own, &[]),
            [
                "failed: bash failed with \"assertion failed: a\"; it went on with edit: delete the assertion, then bash, and the task failed all the same [1, 2, 3]"
            ]
        );
    }

    #[test]
    fn a_change_that_cannot_be_told_is_no_advice() {
        let bash = |command: &str| Action::tool("bash").arguments(json!({"command": command}));
        let advice = |command: &str| {
            let own = trace(1, success(), vec![bash("make 12").error("not done"), bash(command)]);
            lines(&own, &[]).into_iter().filter(|line| line.starts_with("improve")).collect::<Vec<_>>()
        };
        assert_eq!(advice(&"x y\n".repeat(30)), [""; 0]);
        assert_eq!(
            advice("make clean all -j 4"),
            [
                "improve: call bash with command = `make clean all -j <n>` from the start: it failed with \"not done\" before [1, 2]"
            ]
        );
    }

    #[test]
    fn an_error_that_stayed_is_told_with_the_fix_of_others() {
        let own = trace(
            1,
            failure(),
            vec![
                Action::tool("pay").error("voucher 7 expired"),
                Action::tool("pay").error("voucher 8 expired"),
            ],
        );
        let other = trace(
            2,
            success(),
            vec![Action::tool("pay").error("voucher 1 expired"), Action::tool("renew"), Action::tool("pay")],
        );
        let said = lines(&own, &[other]);
        assert_eq!(
            said[..2],
            [
                "failed: pay failed 2 times with \"voucher <n> expired\", and nothing fixed it [1, 2]",
                "failed: renew was never called; the similar success called it [2]",
            ],
            "{said:#?}"
        );
        assert!(said.contains(&"improve: when pay fails with \"voucher <n> expired\": renew, then pay; that fixed it in a similar episode [1, 2]".to_owned()), "{said:#?}");
    }

    #[test]
    fn what_was_done_instead_is_told() {
        let refused = || Action::tool("cancel").error("this fare cannot be cancelled");
        let own = trace(1, success(), vec![refused(), Action::tool("note"), Action::tool("hand_over")]);
        let usual = |number| tools(number, success(), "cancel note refund");
        let said = lines(&own, &[usual(2), usual(3)]);
        let failed = "cancel failed with \"this fare cannot be cancelled\"";
        assert_eq!(said[0], format!("worked: {failed}; note, then hand_over fixed it [1, 2, 3]"));
        let instead =
            format!("improve: call note, then hand_over instead of cancel, which {} [1, 2, 3]", &failed[7..]);
        assert!(said.contains(&instead), "{said:#?}");
        let lost = trace(4, failure(), vec![refused(), refused()]);
        let said = lines(&lost, &[own, usual(2), usual(3)]);
        let fix = "improve: when cancel fails with \"this fare cannot be cancelled\": note, then hand_over; that fixed it in a similar episode [1, 2]";
        assert!(said.contains(&fix.to_owned()), "{said:#?}");
    }

    #[test]
    fn successes_that_do_something_else_are_no_contrast() {
        let own = tools(1, failure(), "build ship");
        let other = |number| tools(number, success(), "fetch undo ship_back");
        assert_eq!(lines(&own, &[other(2), other(3)]), [""; 0]);
        let alike = |number| tools(number, success(), "build test ship");
        let said = lines(&own, &[other(2), alike(3)]);
        assert_eq!(said[0], "failed: test was never called; the similar success called it [2]");
    }

    #[test]
    fn repetition_is_told() {
        let look = || Action::tool("look").arguments(json!({"page": 1}));
        let own = trace(1, failure(), vec![look(), look(), look(), Action::tool("close")]);
        assert_eq!(lines(&own, &[])[0], "failed: look was called 3 times with the same arguments [1, 2, 3]");
    }

    #[test]
    fn a_failure_is_contrasted_with_successes() {
        let own = tools(1, failure(), "look pay check mail");
        let similar = [tools(2, success(), "look check pay"), tools(3, success(), "look check pay")];
        assert_eq!(
            lines(&own, &similar),
            [
                "failed: pay came before check; in all 2 similar successes check came first [2, 3]",
                "failed: 1 call of mail that none of the 2 similar successes made [4]",
                "improve: call check before pay, as all 2 similar successes did [2, 3]",
                "improve: leave out mail: none of the 2 similar successes called it [4]",
            ]
        );
    }

    #[test]
    fn a_failure_without_calls_is_contrasted() {
        let silent = trace(1, failure(), vec![Action::note("nothing to be done")]);
        let similar = [tools(2, success(), "look pay"), tools(3, success(), "look ask pay")];
        assert_eq!(
            lines(&silent, &similar),
            [
                "failed: no tool was called; all 2 similar successes called look → pay [1]",
                "improve: call look → pay, as all 2 similar successes did [1]",
            ]
        );
        assert_eq!(lines(&silent, &[tools(4, failure(), "look")]), [""; 0]);
    }

    #[test]
    fn a_value_on_which_successes_agree_is_told() {
        let pay = |number, outcome, method: &str| {
            trace(
                number,
                outcome,
                vec![Action::tool("pay").arguments(json!({"method": method, "user": "u_17"}))],
            )
        };
        let similar = [pay(2, success(), "card"), pay(3, success(), "card")];
        assert_eq!(
            lines(&pay(1, failure(), "voucher"), &similar),
            [
                "failed: pay was called with method = voucher; all 2 similar successes had method = card [1]",
                "improve: call pay with method = card, as all 2 similar successes did [1]",
            ]
        );
        let disagreeing = [pay(2, success(), "card"), pay(3, success(), "cash")];
        assert_eq!(lines(&pay(1, failure(), "voucher"), &disagreeing), [""; 0]);
        assert_eq!(lines(&pay(1, failure(), "voucher"), &similar[..1]), [""; 0]);
        let mut asked = pay(1, failure(), "voucher");
        asked.episode.task.description += " with my Voucher";
        assert_eq!(lines(&asked, &similar), [""; 0], "it is what the task says");
    }

    #[test]
    fn counts_beyond_those_of_successes_are_told() {
        let similar =
            [tools(2, success(), "look cancel cancel"), tools(3, success(), "look cancel cancel cancel")];
        assert_eq!(
            lines(&tools(1, failure(), "look cancel"), &similar),
            ["failed: cancel worked 1 time; in the 2 similar successes 2 to 3 times [2]"]
        );
        assert_eq!(lines(&tools(1, failure(), "look cancel cancel"), &similar), [""; 0]);
    }

    #[test]
    fn the_way_of_failures_is_told() {
        let similar = [tools(2, failure(), "look look pay"), tools(3, failure(), "look pay")];
        let own = tools(1, failure(), "look pay pay");
        assert_eq!(
            lines(&own, &similar),
            ["failed: look → pay was the way of 2 similar failures, too, and of no success [1, 2, 3]"]
        );
        assert_eq!(lines(&own, &similar[..1]), [""; 0]);
    }

    #[test]
    fn a_success_is_contrasted_with_failures_and_successes() {
        let own = tools(1, success(), "look check pay");
        let similar = [
            tools(2, failure(), "look pay"),
            tools(3, failure(), "look pay"),
            tools(4, success(), "look look wait check wait pay"),
        ];
        assert_eq!(
            lines(&own, &similar),
            [
                "worked: check was called; 2 of 2 similar failures did not call it, 1 of 1 similar successes did [2]",
                "worked: look → check → pay took 3 calls; the shortest similar success took 6 [1, 2, 3]",
            ]
        );
    }
}
