//! What is known of the remedies for an error: what worked, what was in vain, and which to try first.

use std::cmp::Reverse;

use crate::clock::Timestamp;
use crate::learn::errors::generalised;
use crate::learn::recovery::{Incident, Remedy};
use crate::model::failure::{Resolution, THEN};

/// Resolutions kept that got over the error.
const MAX_WORKED: usize = 16;
/// Resolutions kept that never did.
const MAX_VAIN: usize = 16;

/// Returns what one episode shows of an error. What let it go on is no fix if the episode failed all the same; what was in
/// vain was so however it ended.
pub(crate) fn seen(incident: &Incident<'_>, succeeded: bool, at: Timestamp) -> Vec<Resolution> {
    let fix = |remedy: &Remedy<'_>| remedy.fix().join(THEN);
    let worked = incident.recovery.as_ref().filter(|_| succeeded).map(|remedy| Resolution {
        fix: fix(remedy),
        worked: 1,
        failed: 0,
        worked_at: Some(at),
        failed_at: None,
        ruling: None,
    });
    let in_vain = incident.vain.iter().map(|remedy| Resolution {
        fix: fix(remedy),
        worked: 0,
        failed: 1,
        worked_at: None,
        failed_at: Some(at),
        ruling: None,
    });
    let mut seen: Vec<Resolution> = Vec::new();
    for resolution in worked.into_iter().chain(in_vain) {
        let key = key(&resolution.fix);
        if !seen.iter().any(|held| begins_with(&self::key(&held.fix), &key)) {
            seen.push(resolution);
        }
    }
    seen
}

/// Puts together what was seen of remedies, best first. Texts that differ in values and names alone are one, told without
/// them; a remedy of which a call failed is that one that begins with its calls, if there is one. Counts add up, unless
/// one of the episodes is counted already (`known`). The order of the two does not matter, except for what was dropped
/// for being too many and for remedies that are known later than that a call of them failed.
pub(crate) fn merge(one: Vec<Resolution>, other: Vec<Resolution>, known: bool) -> Vec<Resolution> {
    let add = |a: u32, b: u32| if known { a.max(b) } else { a.saturating_add(b) };
    let mut merged: Vec<(String, Resolution)> = Vec::new();
    for resolution in one.into_iter().chain(other) {
        let key = key(&resolution.fix);
        let Some((_, held)) = merged.iter_mut().find(|(held, _)| *held == key) else {
            merged.push((key, resolution));
            continue;
        };
        if held.fix != resolution.fix {
            held.fix = general(&held.fix).min(general(&resolution.fix));
        }
        held.worked = add(held.worked, resolution.worked);
        held.failed = add(held.failed, resolution.failed);
        held.worked_at = held.worked_at.max(resolution.worked_at);
        held.failed_at = held.failed_at.max(resolution.failed_at);
        held.ruling = held.ruling.or(resolution.ruling);
    }
    let (worked, in_vain): (Vec<_>, Vec<_>) = merged.into_iter().partition(|(_, it)| it.worked > 0);
    let mut merged = worked;
    for (key, vain) in in_vain {
        let mut is_known = false;
        for (_, remedy) in merged.iter_mut().filter(|(held, it)| it.worked > 0 && begins_with(held, &key)) {
            is_known = true;
            remedy.failed = add(remedy.failed, vain.failed);
            remedy.failed_at = remedy.failed_at.max(vain.failed_at);
        }
        if !is_known {
            merged.push((key, vain));
        }
    }
    in_order(merged)
}

/// Returns true if the calls of a fix begin with those of another one.
fn begins_with(fix: &str, start: &str) -> bool {
    fix.strip_prefix(start).is_some_and(|rest| rest.is_empty() || rest.starts_with(THEN))
}

fn in_order(mut resolutions: Vec<(String, Resolution)>) -> Vec<Resolution> {
    let rank = |resolution: &Resolution| match resolution.worked {
        0 => 2,
        _ => u8::from(!resolution.works()),
    };
    // How often it worked of the times it was tried, drawn to even by one time each way; in parts of a million.
    let share = |it: &Resolution| {
        (u64::from(it.worked) + 1) * 1_000_000 / (u64::from(it.worked) + u64::from(it.failed) + 2)
    };
    resolutions.sort_by(|(a_key, a), (b_key, b)| {
        let order = |it: &Resolution| {
            let in_vain = it.failed_at.filter(|_| it.worked == 0);
            (rank(it), Reverse(in_vain), Reverse(share(it)), Reverse(it.worked_at))
        };
        order(a).cmp(&order(b)).then_with(|| a_key.cmp(b_key))
    });
    // What worked last is likeliest to work now.
    let works = resolutions.iter().take_while(|(_, it)| it.works());
    let last = works.enumerate().max_by_key(|(place, (_, it))| (it.worked_at, Reverse(*place)));
    if let Some((place, _)) = last {
        resolutions[..=place].rotate_right(1);
    }
    let (mut worked, mut in_vain) = (0, 0);
    resolutions.retain(|(_, it)| {
        let (count, most) = if it.worked > 0 { (&mut worked, MAX_WORKED) } else { (&mut in_vain, MAX_VAIN) };
        *count += 1;
        // What somebody ruled on stays, so that the ruling can be seen and taken back.
        *count <= most || it.ruling.is_some()
    });
    resolutions.into_iter().map(|(_, resolution)| resolution).collect()
}

/// Returns what is the same of fixes that are one.
pub(crate) fn key(fix: &str) -> String {
    general(fix).to_lowercase()
}

/// Returns a fix with placeholders for what varies in what its calls are for.
fn general(fix: &str) -> String {
    let calls = fix.split(THEN).map(|call| match call.split_once(": ") {
        Some((tool, what)) => format!("{tool}: {}", generalised(what)),
        None => call.to_owned(),
    });
    calls.collect::<Vec<_>>().join(THEN)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn worked(fix: &str, at: u64) -> Vec<Resolution> {
        let worked_at = Some(Timestamp(at));
        vec![Resolution { fix: fix.into(), worked: 1, failed: 0, worked_at, failed_at: None, ruling: None }]
    }

    fn failed(fix: &str, at: u64) -> Vec<Resolution> {
        let failed_at = Some(Timestamp(at));
        vec![Resolution { fix: fix.into(), worked: 0, failed: 1, worked_at: None, failed_at, ruling: None }]
    }

    fn all(seen: &[Vec<Resolution>]) -> Vec<Resolution> {
        seen.iter().fold(Vec::new(), |held, seen| merge(seen.clone(), held, false))
    }

    fn told(resolutions: &[Resolution]) -> Vec<String> {
        resolutions.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn what_was_in_vain_since_yields_to_what_works() {
        let seen = [
            worked("login, then pay", 1),
            worked("login, then pay", 2),
            worked("unlock, then pay", 3),
            failed("login, then pay", 4),
            failed("wait, then pay", 5),
            failed("ask, then pay", 6),
            worked("reset, then pay", 7),
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
        let again = [&seen[..], &[worked("login, then pay", 8)]].concat();
        assert_eq!(told(&all(&again))[0], "login, then pay (worked 3 times, in vain once)");
    }

    #[test]
    fn a_remedy_of_which_a_call_failed_was_in_vain() {
        let seen =
            [worked("get_key, then unlock, then pay", 1), failed("get_key, then unlock", 2), failed("un", 3)];
        let told = told(&all(&seen));
        assert_eq!(
            told,
            ["get_key, then unlock, then pay (worked once, in vain the last time)", "un (in vain once)"]
        );
    }

    #[test]
    fn what_worked_last_comes_before_what_works_more_surely() {
        let seen =
            [worked("a", 1), worked("a", 2), worked("b", 3), failed("b", 4), worked("b", 5), worked("c", 6)];
        assert_eq!(told(&all(&seen)), ["c", "a (2 times)", "b (worked 2 times, in vain once)"]);
    }

    #[test]
    fn an_episode_that_is_counted_already_adds_nothing() {
        let held = all(&[worked("edit: add 1, then run", 1), worked("edit: add 2, then run", 2)]);
        assert_eq!(told(&held), ["edit: add <n>, then run (2 times)"]);
        assert_eq!(merge(worked("edit: add 1, then run", 1), held.clone(), true), held);
        let failed = merge(failed("edit: add 3, then run", 3), held, true);
        assert_eq!(told(&failed), ["edit: add <n>, then run (worked 2 times, in vain the last time)"]);
    }

    #[test]
    fn the_newest_are_kept() {
        let seen: Vec<_> = (1..=20).map(|at| failed(&format!("{}, then pay", letter(at)), at)).collect();
        let held = told(&all(&seen));
        assert_eq!((held.len(), held[0].as_str()), (MAX_VAIN, "t, then pay (in vain once)"));
        let seen: Vec<_> = (1..=20).map(|at| worked(&format!("{}, then pay", letter(at)), at)).collect();
        let held = told(&all(&seen));
        assert_eq!((held.len(), held[0].as_str()), (MAX_WORKED, "t, then pay"));
    }

    fn letter(number: u64) -> char {
        char::from(b'a' + number as u8 - 1)
    }
}
