//! Lessons from errors: their causes and the recoveries from them.

use std::collections::HashSet;

use memory_core::{EpisodeId, Failure, FailureId, Outcome};
use memory_recall::content_words::term;
use serde_json::Value;

use crate::calls::{Call, value_text};
use crate::errors::{category, cut, normalise, repeats, says_something};
use crate::extract::cluster::{Cluster, Member};
use crate::identity::id_of;
use crate::recovery::{Incident, constant};
use crate::remedies;

/// Lessons that one episode gives.
const MAX_LESSONS: usize = 8;
/// Episodes that a lesson names.
const MAX_EPISODES: usize = 16;
/// The longest example kept, in bytes.
const MAX_EXAMPLE_BYTES: usize = 1_000;
/// Episodes that must fail with a value, and none succeed, so that the value counts as the cause.
const MIN_SAME_VALUE: usize = 3;
/// The scope of the comparison: not all episodes.
const HERE: &str = "in this and similar episodes";
/// Similar episodes in which the tool worked that must all have called another one before, so that its lack
/// counts as the cause: a few may all happen to.
const MIN_PRECEDED: usize = 3;
/// Calls of a tool that a failing one is contrasted with.
const MAX_CONTRASTED: usize = 64;

/// Returns the lessons of an episode: one for each kind of error it had, and one for failing as a whole, unless
/// how it ended only repeats one of the errors.
pub(crate) fn lessons(cluster: &Cluster<'_>, incidents: &[Incident<'_>]) -> Vec<Failure> {
    let mut lessons: Vec<Failure> =
        incidents.iter().take(MAX_LESSONS).map(|incident| lesson(cluster, incident)).collect();
    if let Some(Outcome::Failure { error, last_error, .. }) = &cluster.trace().episode.outcome
        && let said = [Some(error), last_error.as_ref()].into_iter().flatten()
        && let Some(error) = said.into_iter().find(|said| says_something(said))
    {
        let normal = normalise(error);
        if !incidents.iter().any(|incident| repeats(&normal, &incident.error, incident.failed.tool)) {
            lessons.push(whole(cluster, &normal, error));
        }
    }
    lessons
}

/// Merges an episode's observation of an error into the known lesson. Counts add up: merging the same episode
/// twice counts it twice, unless the caller prevents that.
pub fn merge(old: Option<Failure>, seen: Failure) -> Failure {
    let Some(old) = old else { return seen };
    let (newer, older) = if seen.last_at >= old.last_at { (seen, old) } else { (old, seen) };
    let known = newer.episodes.iter().any(|episode| older.episodes.contains(episode));
    let remedies = remedies::merge(newer.remedies, older.remedies, known);
    let mut episodes = newer.episodes;
    for episode in older.episodes {
        if !episodes.contains(&episode) {
            episodes.push(episode);
        }
    }
    episodes.truncate(MAX_EPISODES);
    Failure {
        id: older.id,
        category: newer.category,
        error: newer.error,
        example: newer.example,
        tool: newer.tool,
        root_cause: newer.root_cause.or(older.root_cause),
        remedies,
        domain: newer.domain,
        task_kind: newer.task_kind,
        occurrences: newer.occurrences.saturating_add(older.occurrences),
        resolved: newer.resolved.saturating_add(older.resolved),
        episodes,
        first_at: newer.first_at.min(older.first_at),
        last_at: newer.last_at,
        ruling: newer.ruling.or(older.ruling),
    }
}

fn lesson(cluster: &Cluster<'_>, incident: &Incident<'_>) -> Failure {
    let tool = incident.failed.tool;
    let mut failure = blank(cluster, tool, &incident.error, incident.failed.raw_error());
    failure.root_cause = root_cause(cluster, incident);
    failure.remedies = remedies::seen(incident, cluster.own().succeeded, cluster.at());
    failure.resolved = failure.remedies.iter().map(|remedy| remedy.worked).sum();
    failure
}

/// Returns the lesson of an episode that failed as a whole.
fn whole(cluster: &Cluster<'_>, error: &str, example: &str) -> Failure {
    let mut failure = blank(cluster, "", error, example);
    failure.root_cause = cluster
        .own()
        .calls
        .last()
        .filter(|call| !call.worked())
        .map(|call| format!("it ended when {} failed: {}", call.tool, call.error()));
    failure
}

fn blank(cluster: &Cluster<'_>, tool: &str, error: &str, example: &str) -> Failure {
    let episode = &cluster.trace().episode;
    let (domain, _) = cluster.labels();
    Failure {
        id: FailureId(id_of(&["failure", &domain, tool, error])),
        category: category(example),
        error: error.to_owned(),
        example: cut(example.trim(), MAX_EXAMPLE_BYTES).to_owned(),
        tool: tool.to_owned(),
        root_cause: None,
        remedies: Vec::new(),
        domain: episode.task.domain.clone(),
        task_kind: episode.task.kind.clone(),
        occurrences: 1,
        resolved: 0,
        episodes: vec![episode.id],
        first_at: cluster.at(),
        last_at: cluster.at(),
        ruling: None,
    }
}

/// Returns how the failing call differs from every call of the tool that worked, here and in similar episodes:
/// in a tool that they call before, in an argument's presence, or in a value that is a word and that several
/// episodes failed with.
fn root_cause(cluster: &Cluster<'_>, incident: &Incident<'_>) -> Option<String> {
    let failed = incident.failed;
    let mut worked: Vec<(&Member<'_>, usize)> = Vec::new();
    for member in &cluster.members {
        let of_tool =
            member.calls.iter().enumerate().filter(|(_, call)| call.tool == failed.tool && call.worked());
        worked.extend(
            of_tool.map(|(at, _)| (member, at)).take(MAX_CONTRASTED - worked.len().min(MAX_CONTRASTED)),
        );
    }
    let calls: Vec<&Call<'_>> = worked.iter().map(|(member, at)| &member.calls[*at]).collect();
    let (first, rest) = calls.split_first()?;
    argument_cause(cluster, &failed, first, rest).or_else(|| preceding_cause(cluster, incident, &worked))
}

fn argument_cause(
    cluster: &Cluster<'_>,
    failed: &Call<'_>,
    first: &Call<'_>,
    rest: &[&Call<'_>],
) -> Option<String> {
    let tool = failed.tool;
    let mut cause = None;
    first.arguments(|name, _| {
        let all = rest.iter().all(|call| call.argument(name).is_some());
        if cause.is_none() && all && failed.argument(name).is_none() {
            cause = Some(format!(
                "{tool} was called without {name}, which every call of it that worked {HERE} has"
            ));
        }
    });
    failed.arguments(|name, value| {
        if cause.is_some() {
            return;
        }
        let others: Vec<_> = [first].iter().chain(rest).map(|call| call.argument(name)).collect();
        if others.iter().all(Option::is_none) {
            cause =
                Some(format!("{tool} was called with {name}, which no call of it that worked {HERE} has"));
        } else if let Some(word) = constant(value)
            && others
                .iter()
                .all(|other| other.is_some_and(|other| other != value && constant(other).is_some()))
            && only_failing(cluster, failed, name, value)
        {
            let mut words: Vec<String> = others.into_iter().flatten().map(value_text).collect();
            words.sort();
            words.dedup();
            words.truncate(3);
            cause = Some(format!(
                "{tool} was called with {name} = {word}; calls of it that worked {HERE} have {}",
                words.join(", ")
            ));
        }
    });
    cause
}

/// Returns true if enough episodes failed with this value, and none that succeeded called the tool with it.
fn only_failing(cluster: &Cluster<'_>, failed: &Call<'_>, name: &str, value: &Value) -> bool {
    let with = |member: &Member<'_>, worked: bool| {
        member.calls.iter().any(|call| {
            call.tool == failed.tool && call.argument(name) == Some(value) && (worked || !call.worked())
        })
    };
    let failing = cluster.members.iter().filter(|member| with(member, false)).count();
    failing >= MIN_SAME_VALUE && !cluster.successes().any(|member| with(member, true))
}

fn preceding_cause(
    cluster: &Cluster<'_>,
    incident: &Incident<'_>,
    worked: &[(&Member<'_>, usize)],
) -> Option<String> {
    let tool = incident.failed.tool;
    let others = worked.iter().filter(|(member, _)| !std::ptr::eq(*member, cluster.own()));
    let episodes: HashSet<EpisodeId> = others.map(|(member, _)| member.trace.episode.id).collect();
    if episodes.len() < MIN_PRECEDED {
        return None;
    }
    let (member, at) = worked.first()?;
    let candidates = member.calls[..*at].iter().rev().filter(|call| call.worked() && call.tool != tool);
    let precedes = |member: &Member<'_>, at: usize, before: &str| {
        member.calls[..at].iter().any(|call| call.tool == before && call.worked())
    };
    let fails_so = |call: &Call<'_>| call.tool == tool && !call.worked() && call.error() == incident.error;
    let mut failing = Vec::new();
    for member in &cluster.members {
        failing.extend(member.calls.iter().position(fails_so).map(|at| (member, at)));
    }
    let mut seen = HashSet::new();
    let lacking =
        candidates.map(|call| call.tool).filter(|before| seen.insert(*before)).take(16).filter(|before| {
            !failing.iter().any(|(member, at)| precedes(member, *at, before))
                && worked.iter().all(|(member, at)| precedes(member, *at, before))
        });
    // The one that the error mentions is the most probable cause, then the nearest one before.
    let said = words_of(&incident.error);
    let own = words_of(tool);
    let spoken_of =
        |before: &str| words_of(before).iter().filter(|it| !own.contains(*it) && said.contains(*it)).count();
    let before = lacking
        .reduce(|nearest, other| if spoken_of(other) > spoken_of(nearest) { other } else { nearest })?;
    Some(format!(
        "{tool} was called without {before} before, which comes before every call of it that worked {HERE}"
    ))
}

/// Returns the stems of the words of an error, or of a tool's name.
fn words_of(text: &str) -> HashSet<String> {
    let words = text.split(|c: char| !c.is_alphanumeric());
    words.filter_map(term).collect()
}

#[cfg(test)]
mod tests {
    use memory_core::Action;
    use serde_json::json;

    use super::*;
    use crate::calls::tests::{failure, success, trace};
    use crate::recovery::incidents;
    use crate::trace::Trace;

    fn learned(own: &Trace, similar: &[Trace]) -> Vec<Failure> {
        let cluster = Cluster::new(own, similar);
        lessons(&cluster, &incidents(&cluster.own().calls))
    }

    fn told(failure: &Failure) -> Vec<String> {
        failure.remedies.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn contrast_tells_the_cause() {
        let check = |failing: Vec<Action>, working: Vec<Action>, expected: &str| {
            let own = trace(1, Outcome::abstained("no"), failing);
            let lessons = learned(&own, &[trace(2, success(), working)]);
            assert_eq!(lessons[0].root_cause.as_deref(), Some(expected));
        };
        let pay = |arguments| Action::tool("pay").arguments(arguments);
        check(
            vec![pay(json!({"id": "A12345"})).error("bad")],
            vec![pay(json!({"id": "B12345", "method": "cash"}))],
            "pay was called without method, which every call of it that worked in this and similar episodes has",
        );
        check(
            vec![pay(json!({"id": "A12345", "force": true})).error("bad")],
            vec![pay(json!({"id": "B12345"}))],
            "pay was called with force, which no call of it that worked in this and similar episodes has",
        );
    }

    #[test]
    fn a_missing_call_is_a_cause_only_if_all_of_several_have_it() {
        let pay = || Action::tool("pay").arguments(json!({"id": "B12345"}));
        let failing = |number, before: &[&str]| {
            let before = before.iter().copied().map(Action::tool);
            trace(number, Outcome::abstained("no"), before.chain([pay().error("bad")]).collect())
        };
        let working = |number| trace(number, success(), vec![Action::tool("login"), pay()]);
        let cause = |similar: &[Trace]| learned(&failing(1, &[]), similar)[0].root_cause.clone();
        let three = [working(2), working(3), working(4)];
        assert_eq!(
            cause(&three).as_deref(),
            Some(
                "pay was called without login before, which comes before every call of it that worked in this and similar episodes"
            )
        );
        assert_eq!(cause(&three[..2]), None, "two may both happen to");
        let careful = |number| {
            trace(
                number,
                success(),
                ["login", "check_limits", "log"].map(Action::tool).into_iter().chain([pay()]).collect(),
            )
        };
        let careful = [careful(2), careful(3), careful(4)];
        let failed = |error: &str| trace(1, Outcome::abstained("no"), vec![pay().error(error)]);
        let cause = |error: &str| learned(&failed(error), &careful)[0].root_cause.clone().unwrap();
        assert!(cause("declined").starts_with("pay was called without log before"), "the nearest");
        assert!(
            cause("the limits were not checked").starts_with("pay was called without check_limits before")
        );
        let cause = |similar: &[Trace]| learned(&failing(1, &[]), similar)[0].root_cause.clone();
        let [two, three, four] = three;
        let without = trace(5, success(), vec![pay()]);
        assert_eq!(cause(&[two.clone(), three.clone(), four.clone(), without]), None);
        assert_eq!(cause(&[two, three, four, failing(5, &["login"])]), None, "another failed so with it");
    }

    #[test]
    fn a_value_is_a_cause_only_if_several_fail_with_it() {
        let pay = |method: &str| Action::tool("pay").arguments(json!({"method": method}));
        let failing = |number| trace(number, failure(), vec![pay("voucher").error("bad")]);
        let working = trace(9, success(), vec![pay("cash"), pay("card")]);
        let cause = |similar: &[Trace]| learned(&failing(1), similar)[0].root_cause.clone();
        assert_eq!(cause(&[failing(2), working.clone()]), None, "two may coincide");
        assert_eq!(
            cause(&[failing(2), failing(3), working.clone()]).as_deref(),
            Some(
                "pay was called with method = voucher; calls of it that worked in this and similar episodes have card, cash"
            )
        );
        let got_over = trace(8, success(), vec![pay("voucher").error("bad"), pay("cash")]);
        assert_eq!(cause(&[failing(2), failing(3), working, got_over]), None, "a success called it so, too");
    }

    #[test]
    fn what_a_failed_episode_did_next_is_no_fix() {
        let actions = || {
            vec![
                Action::tool("bash").error("test auth::tests::roundtrip ... FAILED"),
                Action::tool("edit_file").description("delete the assertion"),
                Action::tool("bash"),
            ]
        };
        let failed = learned(&trace(1, failure(), actions()), &[]).remove(0);
        assert_eq!((failed.resolved, failed.remedies.len()), (0, 0));
        let partial = Outcome::Partial { fraction: 0.5, summary: "some".into() };
        let partly = learned(&trace(2, partial, actions()), &[]).remove(0);
        assert_eq!((partly.resolved, partly.remedies.len()), (1, 1));
    }

    #[test]
    fn one_error_is_one_lesson_whatever_the_names() {
        let of = |number: u64, test: &str, line: u32| {
            let error = format!(
                "running 3 tests\ntest {test} ... FAILED\n\n---- {test} stdout ----\n\
                 thread '{test}' panicked at src/cli/{line}.rs:{line}:5:\n\
                 snapshot assertion for '{test}_{line}' failed in line {line}\nerror: test failed, to rerun pass `--lib`"
            );
            learned(&trace(number, success(), vec![Action::tool("bash").error(error)]), &[]).remove(0)
        };
        let (one, other) = (of(1, "cli::tests::help", 12), of(2, "view::tests::colours", 7));
        assert_eq!(one.error, "snapshot assertion for <text> failed in line <n>");
        assert_eq!(one.id, other.id);
        let denied = trace(3, success(), vec![Action::tool("bash").error("cat: /etc/x: Permission denied")]);
        let refused =
            trace(4, success(), vec![Action::tool("bash").error("cat: /etc/x: Connection refused")]);
        assert_ne!(learned(&denied, &[])[0].id, learned(&refused, &[])[0].id);
    }

    #[test]
    fn an_outcome_that_repeats_an_error_is_no_lesson() {
        let count = |outcome: &str| {
            let actions = vec![Action::tool("pay").error("Error: payment method 7 not found")];
            learned(&trace(1, Outcome::failure(outcome), actions), &[]).len()
        };
        assert_eq!(count("pay failed: payment method 9 not found"), 1);
        assert_eq!(count("the customer left without a seat"), 2);
        let ended = |outcome: Outcome| {
            let actions = vec![Action::tool("pay").error("Error: payment method 7 not found")];
            learned(&trace(1, outcome, actions), &[])
                .into_iter()
                .skip(1)
                .map(|it| it.error)
                .collect::<Vec<_>>()
        };
        let nothing_said = || Outcome::failure("");
        assert!(ended(nothing_said()).is_empty());
        // The last words are no error.
        assert!(ended(nothing_said().last_message("you're welcome, safe travels!")).is_empty());
        let repeated = nothing_said().last_error("pay: Error: payment method 7 not found");
        assert!(ended(repeated.last_message("It is booked!")).is_empty());
        assert_eq!(ended(nothing_said().last_error("the till is closed")), ["the till is closed"]);
        assert_eq!(
            ended(Outcome::failure("no money left").last_error("the till is closed")),
            ["no money left"]
        );
        let long = format!("file is not valid: {}", "the line has too many words in it, ".repeat(9));
        let actions = vec![Action::tool("pay").error(long.clone())];
        let outcome = Outcome::failure("").last_error(long);
        assert_eq!(learned(&trace(1, outcome, actions), &[]).len(), 1);
    }

    #[test]
    fn fixes_are_told_once_and_what_worked_last_comes_first() {
        let fixed = |number: u64, what: &str| {
            let actions = vec![
                Action::tool("bash").error("no entry"),
                Action::tool("edit_file").description(what),
                Action::tool("bash"),
            ];
            learned(&trace(number, success(), actions), &[]).remove(0)
        };
        let seen = [
            fixed(1, "ask the author"),
            fixed(2, "add entry for 0.8.1"),
            fixed(3, "add entry for 0.8.1"),
            fixed(4, "add entry for 0.9.0"),
            fixed(5, "start again"),
        ];
        let merged = seen.into_iter().fold(None, |held, seen| Some(merge(held, seen))).unwrap();
        assert_eq!(
            told(&merged),
            [
                "edit_file: start again, then bash",
                "edit_file: add entry for <n>, then bash (3 times)",
                "edit_file: ask the author, then bash",
            ]
        );
        assert_eq!(merged.resolved, 5);
        let again = merge(Some(merged.clone()), fixed(4, "add entry for 0.9.0"));
        assert_eq!(again.remedies, merged.remedies, "an episode that is counted already");
        let late = merge(Some(merged.clone()), fixed(0, "ask the author"));
        assert_eq!(late.remedies[0], merged.remedies[0], "what is learned late did not work last");
        assert_eq!(told(&late)[2], "edit_file: ask the author, then bash (2 times)");
    }

    #[test]
    fn lessons_have_identity_class_and_resolution() {
        let actions = vec![
            Action::tool("pay").arguments(json!({"method": "voucher"})).error("Error: voucher 12 not found"),
            Action::tool("pay").arguments(json!({"method": "cash"})),
        ];
        let one = learned(&trace(1, success(), actions), &[]);
        assert_eq!(one.len(), 1);
        assert_eq!(
            (one[0].category.as_str(), one[0].error.as_str(), one[0].resolved),
            ("not_found", "voucher <n> not found", 1)
        );
        assert_eq!(told(&one[0]), ["pay with method changed from voucher to cash"]);
        let two = learned(&trace(2, failure(), vec![Action::tool("pay").error("voucher 99 not found")]), &[]);
        assert_eq!(two.len(), 2);
        assert_eq!(two[0].id, one[0].id);
        assert_eq!((two[1].tool.as_str(), two[1].error.as_str()), ("", "not done"));
        assert_eq!(two[1].root_cause.as_deref(), Some("it ended when pay failed: voucher <n> not found"));

        let merged = merge(Some(one[0].clone()), two[0].clone());
        assert_eq!((merged.occurrences, merged.resolved), (2, 1));
        assert_eq!(merged.remedies, one[0].remedies);
        assert_eq!(merged.example, "voucher 99 not found");
        assert_eq!((merged.first_at, merged.last_at), (one[0].first_at, two[0].last_at));
        assert_eq!(merged.episodes, [two[0].episodes[0], one[0].episodes[0]]);
        assert_eq!(merge(Some(two[0].clone()), one[0].clone()), merged, "in any order");
        assert_eq!(merge(None, merged.clone()), merged);
    }
}
