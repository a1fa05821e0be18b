//! Lessons from errors: what led to them and what got over them.

use crate::id::FailureId;
use crate::learn::calls::{Call, value_text};
use crate::learn::errors::{category, cut, normalise};
use crate::learn::extract::cluster::{Cluster, Member};
use crate::learn::identity::id_of;
use crate::learn::recovery::{Incident, constant};
use crate::model::failure::Failure;
use crate::model::outcome::Outcome;

/// Lessons that one episode gives.
const MAX_LESSONS: usize = 8;
/// Episodes that a lesson names.
const MAX_EPISODES: usize = 16;
/// Resolutions that a lesson keeps.
const MAX_RESOLUTIONS: usize = 5;
/// The longest example kept, in bytes.
const MAX_EXAMPLE_BYTES: usize = 1_000;
/// Calls of a tool that a failing one is contrasted with.
const MAX_CONTRASTED: usize = 64;

/// Returns the lessons of an episode: one for each kind of error it had, and one for failing as a whole.
pub(crate) fn lessons(cluster: &Cluster<'_>, incidents: &[Incident<'_>]) -> Vec<Failure> {
    let mut lessons: Vec<Failure> =
        incidents.iter().take(MAX_LESSONS).map(|incident| lesson(cluster, incident)).collect();
    if let Some(Outcome::Failure { error }) = &cluster.trace().episode.outcome
        && !error.trim().is_empty()
    {
        lessons.push(whole(cluster, error));
    }
    lessons
}

/// Adds what an episode shows to what is known of an error. The counts add up: merging the same episode twice counts it
/// twice, unless the caller sees to it.
pub(crate) fn merge(old: Option<Failure>, seen: Failure) -> Failure {
    let Some(old) = old else { return seen };
    let (newer, older) = if seen.last_at >= old.last_at { (seen, old) } else { (old, seen) };
    let mut resolutions = newer.resolutions;
    for resolution in older.resolutions {
        if !resolutions.contains(&resolution) {
            resolutions.push(resolution);
        }
    }
    resolutions.truncate(MAX_RESOLUTIONS);
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
        resolutions,
        domain: newer.domain,
        task_kind: newer.task_kind,
        occurrences: newer.occurrences.saturating_add(older.occurrences),
        resolved: newer.resolved.saturating_add(older.resolved),
        episodes,
        first_at: newer.first_at.min(older.first_at),
        last_at: newer.last_at,
    }
}

fn lesson(cluster: &Cluster<'_>, incident: &Incident<'_>) -> Failure {
    let tool = incident.failed.tool;
    let mut failure = blank(cluster, tool, &incident.error, incident.failed.raw_error());
    failure.root_cause = root_cause(cluster, incident);
    if let Some(recovery) = &incident.recovery {
        failure.resolved = 1;
        failure.resolutions = vec![recovery.fix().join(", then ")];
    }
    failure
}

/// Returns the lesson of an episode that failed as a whole.
fn whole(cluster: &Cluster<'_>, error: &str) -> Failure {
    let mut failure = blank(cluster, "", &normalise(error), error);
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
        category: category(example).to_owned(),
        error: error.to_owned(),
        example: cut(example.trim(), MAX_EXAMPLE_BYTES).to_owned(),
        tool: tool.to_owned(),
        root_cause: None,
        resolutions: Vec::new(),
        domain: episode.task.domain.clone(),
        task_kind: episode.task.kind.clone(),
        occurrences: 1,
        resolved: 0,
        episodes: vec![episode.id],
        first_at: cluster.at(),
        last_at: cluster.at(),
    }
}

/// Returns how the failing call differs from every call of the tool that worked, here and in similar episodes: in a tool
/// that they call before, in an argument's presence, or in a value that is a word.
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
    argument_cause(&failed, first, rest).or_else(|| preceding_cause(cluster, incident, &worked))
}

fn argument_cause(failed: &Call<'_>, first: &Call<'_>, rest: &[&Call<'_>]) -> Option<String> {
    let tool = failed.tool;
    let mut cause = None;
    first.arguments(|name, _| {
        let all = rest.iter().all(|call| call.argument(name).is_some());
        if cause.is_none() && all && failed.argument(name).is_none() {
            cause = Some(format!("{tool} was called without {name}, which every call that worked has"));
        }
    });
    failed.arguments(|name, value| {
        if cause.is_some() {
            return;
        }
        let others: Vec<_> = [first].iter().chain(rest).map(|call| call.argument(name)).collect();
        if others.iter().all(Option::is_none) {
            cause = Some(format!("{tool} was called with {name}, which no call that worked has"));
        } else if let Some(word) = constant(value)
            && others
                .iter()
                .all(|other| other.is_some_and(|other| other != value && constant(other).is_some()))
        {
            let mut words: Vec<String> = others.into_iter().flatten().map(value_text).collect();
            words.sort();
            words.dedup();
            words.truncate(3);
            cause = Some(format!(
                "{tool} was called with {name} = {word}; calls that worked have {}",
                words.join(", ")
            ));
        }
    });
    cause
}

fn preceding_cause(
    cluster: &Cluster<'_>,
    incident: &Incident<'_>,
    worked: &[(&Member<'_>, usize)],
) -> Option<String> {
    let tool = incident.failed.tool;
    let (member, at) = worked.first()?;
    // The nearest one before is the likeliest to matter.
    let candidates = member.calls[..*at].iter().rev().filter(|call| call.worked() && call.tool != tool);
    let precedes = |member: &Member<'_>, at: usize, before: &str| {
        member.calls[..at].iter().any(|call| call.tool == before && call.worked())
    };
    let mut seen = std::collections::HashSet::new();
    let before =
        candidates.map(|call| call.tool).filter(|before| seen.insert(*before)).take(16).find(|before| {
            !precedes(cluster.own(), incident.at, before)
                && worked.iter().all(|(member, at)| precedes(member, *at, before))
        })?;
    Some(format!("{tool} was called without {before} before, which comes before every call that worked"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::learn::calls::tests::{failure, success, trace};
    use crate::learn::recovery::incidents;
    use crate::learn::trace::Trace;
    use crate::model::step::Action;

    fn learned(own: &Trace, similar: &[Trace]) -> Vec<Failure> {
        let cluster = Cluster::new(own, similar);
        lessons(&cluster, &incidents(&cluster.own().calls))
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
            "pay was called without method, which every call that worked has",
        );
        check(
            vec![pay(json!({"id": "A12345", "force": true})).error("bad")],
            vec![pay(json!({"id": "B12345"}))],
            "pay was called with force, which no call that worked has",
        );
        check(
            vec![pay(json!({"method": "voucher"})).error("bad")],
            vec![pay(json!({"method": "cash"})), pay(json!({"method": "card"}))],
            "pay was called with method = voucher; calls that worked have card, cash",
        );
        check(
            vec![pay(json!({"id": "A12345"})).error("bad")],
            vec![Action::tool("login"), pay(json!({"id": "B12345"}))],
            "pay was called without login before, which comes before every call that worked",
        );
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
        assert_eq!(one[0].resolutions, ["pay with method changed from voucher to cash"]);
        let two = learned(&trace(2, failure(), vec![Action::tool("pay").error("voucher 99 not found")]), &[]);
        assert_eq!(two.len(), 2);
        assert_eq!(two[0].id, one[0].id);
        assert_eq!((two[1].tool.as_str(), two[1].error.as_str()), ("", "not done"));
        assert_eq!(two[1].root_cause.as_deref(), Some("it ended when pay failed: voucher <n> not found"));

        let merged = merge(Some(one[0].clone()), two[0].clone());
        assert_eq!((merged.occurrences, merged.resolved), (2, 1));
        assert_eq!(merged.resolutions, one[0].resolutions);
        assert_eq!(merged.example, "voucher 99 not found");
        assert_eq!((merged.first_at, merged.last_at), (one[0].first_at, two[0].last_at));
        assert_eq!(merged.episodes, [two[0].episodes[0], one[0].episodes[0]]);
        assert_eq!(merge(Some(two[0].clone()), one[0].clone()), merged, "in any order");
        assert_eq!(merge(None, merged.clone()), merged);
    }
}
