//! Remedies for an error: which ones worked, which failed, and which to try first.

use std::cmp::Reverse;

use memory_core::content_hash;
use memory_core::{ArgumentChange, Remedy, RemedyCall, Timestamp};
use serde_json::json;

use crate::errors::generalised;
use crate::recovery::Incident;

/// The most successful remedies kept.
const MAX_WORKED: usize = 16;
/// Remedies kept that never did.
const MAX_VAIN: usize = 16;

/// Returns the remedies that one episode shows for an error. A remedy in a failed episode is no fix; a failed
/// attempt counts whatever the outcome.
pub(crate) fn seen(incident: &Incident<'_>, succeeded: bool, at: Timestamp) -> Vec<Remedy> {
    let worked = incident.recovery.as_ref().filter(|_| succeeded).map(|response| Remedy {
        calls: response.calls(),
        worked: 1,
        failed: 0,
        worked_at: Some(at),
        failed_at: None,
        ruling: None,
    });
    let in_vain = incident.vain.iter().map(|response| Remedy {
        calls: response.calls(),
        worked: 0,
        failed: 1,
        worked_at: None,
        failed_at: Some(at),
        ruling: None,
    });
    let mut seen: Vec<Remedy> = Vec::new();
    for remedy in worked.into_iter().chain(in_vain) {
        let key = key(&remedy.calls);
        if !seen.iter().any(|held| self::key(&held.calls).starts_with(&key)) {
            seen.push(remedy);
        }
    }
    seen
}

/// Merges remedies, best first. Those that differ only in values and names are one, without these values; a
/// remedy of which a call failed is the one that begins with its calls, if there is one. Counts add up, unless
/// one of the episodes is counted already (`known`). The order of the two does not matter, except for remedies
/// dropped for being too many and for remedies that become known after a call of them failed.
pub(crate) fn merge(one: Vec<Remedy>, other: Vec<Remedy>, known: bool) -> Vec<Remedy> {
    let add = |a: u32, b: u32| if known { a.max(b) } else { a.saturating_add(b) };
    let mut merged: Vec<(Vec<RemedyCall>, Remedy)> = Vec::new();
    for remedy in one.into_iter().chain(other) {
        let key = key(&remedy.calls);
        let Some((_, held)) = merged.iter_mut().find(|(held, _)| *held == key) else {
            merged.push((key, remedy));
            continue;
        };
        if held.calls != remedy.calls {
            held.calls = general(&held.calls).min(general(&remedy.calls));
        }
        held.worked = add(held.worked, remedy.worked);
        held.failed = add(held.failed, remedy.failed);
        held.worked_at = held.worked_at.max(remedy.worked_at);
        held.failed_at = held.failed_at.max(remedy.failed_at);
        held.ruling = held.ruling.or(remedy.ruling);
    }
    let (worked, in_vain): (Vec<_>, Vec<_>) = merged.into_iter().partition(|(_, it)| it.worked > 0);
    let mut merged = worked;
    for (key, vain) in in_vain {
        let mut is_known = false;
        for (_, held) in merged.iter_mut().filter(|(held, it)| it.worked > 0 && held.starts_with(&key)) {
            is_known = true;
            held.failed = add(held.failed, vain.failed);
            held.failed_at = held.failed_at.max(vain.failed_at);
        }
        if !is_known {
            merged.push((key, vain));
        }
    }
    in_order(merged)
}

fn in_order(mut remedies: Vec<(Vec<RemedyCall>, Remedy)>) -> Vec<Remedy> {
    let rank = |remedy: &Remedy| match remedy.worked {
        0 => 2,
        _ => u8::from(!remedy.works()),
    };
    // Its success rate, smoothed towards even by one success and one failure; in parts of a million.
    let share = |it: &Remedy| {
        (u64::from(it.worked) + 1) * 1_000_000 / (u64::from(it.worked) + u64::from(it.failed) + 2)
    };
    remedies.sort_by(|(a_key, a), (b_key, b)| {
        let order = |it: &Remedy| {
            let in_vain = it.failed_at.filter(|_| it.worked == 0);
            (rank(it), Reverse(in_vain), Reverse(share(it)), Reverse(it.worked_at))
        };
        order(a).cmp(&order(b)).then_with(|| a_key.cmp(b_key))
    });
    // The remedy that worked last most probably works now.
    let works = remedies.iter().take_while(|(_, it)| it.works());
    let last = works.enumerate().max_by_key(|(place, (_, it))| (it.worked_at, Reverse(*place)));
    if let Some((place, _)) = last {
        remedies[..=place].rotate_right(1);
    }
    let (mut worked, mut in_vain) = (0, 0);
    remedies.retain(|(_, it)| {
        let (count, most) = if it.worked > 0 { (&mut worked, MAX_WORKED) } else { (&mut in_vain, MAX_VAIN) };
        *count += 1;
        // A remedy with a ruling stays, so that people can see and withdraw the ruling.
        *count <= most || it.ruling.is_some()
    });
    remedies.into_iter().map(|(_, remedy)| remedy).collect()
}

/// Returns the common form of equal remedies: notes without their varying values, and case only in tools and
/// the names of arguments.
pub(crate) fn key(calls: &[RemedyCall]) -> Vec<RemedyCall> {
    let mut calls = general(calls);
    for call in &mut calls {
        let values = call.arguments.iter_mut().flat_map(ArgumentChange::values_mut);
        for text in values.chain([&mut call.note]) {
            *text = text.to_lowercase();
        }
    }
    calls
}

/// Identifies a remedy by its calls, which are not kept: they may quote an episode that is forgotten later.
/// Calls that differ in values and notes alone are one remedy.
pub fn id_of(calls: &[RemedyCall]) -> String {
    content_hash(&json!(key(calls)).to_string())
}

/// Returns calls with placeholders for the varying parts of their purposes.
fn general(calls: &[RemedyCall]) -> Vec<RemedyCall> {
    let without_values = |call: &RemedyCall| RemedyCall { note: generalised(&call.note), ..call.clone() };
    calls.iter().map(without_values).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Makes calls of `tool` or `tool: note`.
    fn calls(told: &[&str]) -> Vec<RemedyCall> {
        let call = |told: &&str| {
            let (tool, note) = told.split_once(": ").unwrap_or((told, ""));
            RemedyCall { note: note.into(), ..RemedyCall::new(tool) }
        };
        told.iter().map(call).collect()
    }

    fn worked(fix: &[&str], at: u64) -> Vec<Remedy> {
        let worked_at = Some(Timestamp(at));
        vec![Remedy { calls: calls(fix), worked: 1, failed: 0, worked_at, failed_at: None, ruling: None }]
    }

    fn failed(fix: &[&str], at: u64) -> Vec<Remedy> {
        let failed_at = Some(Timestamp(at));
        vec![Remedy { calls: calls(fix), worked: 0, failed: 1, worked_at: None, failed_at, ruling: None }]
    }

    fn all(seen: &[Vec<Remedy>]) -> Vec<Remedy> {
        seen.iter().fold(Vec::new(), |held, seen| merge(seen.clone(), held, false))
    }

    fn told(remedies: &[Remedy]) -> Vec<String> {
        remedies.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn what_was_in_vain_since_yields_to_what_works() {
        let seen = [
            worked(&["login", "pay"], 1),
            worked(&["login", "pay"], 2),
            worked(&["unlock", "pay"], 3),
            failed(&["login", "pay"], 4),
            failed(&["wait", "pay"], 5),
            failed(&["ask", "pay"], 6),
            worked(&["reset", "pay"], 7),
        ];
        let expected = [
            "reset, then pay",
            "unlock, then pay",
            "login, then pay (worked 2 times, in vain the last time)",
            "ask, then pay (in vain once)",
            "wait, then pay (in vain once)",
        ];
        assert_eq!(told(&all(&seen)), expected);
        let mut reversed = seen.to_vec();
        reversed.reverse();
        assert_eq!(told(&all(&reversed)), expected, "in any order of learning");
        let again = [&seen[..], &[worked(&["login", "pay"], 8)]].concat();
        assert_eq!(told(&all(&again))[0], "login, then pay (worked 3 times, in vain once)");
    }

    #[test]
    fn a_remedy_of_which_a_call_failed_was_in_vain() {
        let seen =
            [worked(&["get_key", "unlock", "pay"], 1), failed(&["get_key", "unlock"], 2), failed(&["un"], 3)];
        let told = told(&all(&seen));
        assert_eq!(
            told,
            ["get_key, then unlock, then pay (worked once, in vain the last time)", "un (in vain once)"]
        );
    }

    #[test]
    fn what_worked_last_comes_before_what_works_more_surely() {
        let seen = [
            worked(&["a"], 1),
            worked(&["a"], 2),
            worked(&["b"], 3),
            failed(&["b"], 4),
            worked(&["b"], 5),
            worked(&["c"], 6),
        ];
        assert_eq!(told(&all(&seen)), ["c", "a (2 times)", "b (worked 2 times, in vain once)"]);
    }

    #[test]
    fn an_episode_that_is_counted_already_adds_nothing() {
        let held = all(&[worked(&["edit: add 1", "run"], 1), worked(&["edit: add 2", "run"], 2)]);
        assert_eq!(told(&held), ["edit: add <n>, then run (2 times)"]);
        assert_eq!(merge(worked(&["edit: add 1", "run"], 1), held.clone(), true), held);
        let failed = merge(failed(&["edit: add 3", "run"], 3), held, true);
        assert_eq!(told(&failed), ["edit: add <n>, then run (worked 2 times, in vain the last time)"]);
    }

    #[test]
    fn the_newest_are_kept() {
        let seen: Vec<_> = (1..=20).map(|at| failed(&[&letter(at), "pay"], at)).collect();
        let held = told(&all(&seen));
        assert_eq!((held.len(), held[0].as_str()), (MAX_VAIN, "t, then pay (in vain once)"));
        let seen: Vec<_> = (1..=20).map(|at| worked(&[&letter(at), "pay"], at)).collect();
        let held = told(&all(&seen));
        assert_eq!((held.len(), held[0].as_str()), (MAX_WORKED, "t, then pay"));
    }

    fn letter(number: u64) -> String {
        char::from(b'a' + number as u8 - 1).to_string()
    }
}
