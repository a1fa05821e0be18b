//! Findings from an episode alone and from errors that similar ones share.

use std::collections::{BTreeMap, HashMap};

use memory_core::{RemedyCall, in_words};

use crate::errors::similarity;
use crate::extract::cluster::Cluster;
use crate::recovery::{Change, Incident, Response};
use crate::reflect::{Note, Notes, note};
use crate::way_out::incidents_among;

/// Identical calls from which on they are worth a word.
const REPETITION: usize = 3;
/// Steps that a statement points at.
const MAX_STEPS: usize = 8;
/// The similarity of two normalised errors that count as one.
const SAME_ERROR: f64 = 0.7;

pub(super) fn reflect(cluster: &Cluster<'_>, notes: &mut Notes) {
    let own = incidents_among(cluster, cluster.own());
    for incident in &own {
        match &incident.recovery {
            Some(recovery) if cluster.own().succeeded => recovered(incident, recovery, notes),
            Some(recovery) => went_on(incident, recovery, notes),
            None => unrecovered(cluster, incident, notes),
        }
    }
    repetitions(cluster, notes);
}

fn recovered(incident: &Incident<'_>, recovery: &Response<'_>, notes: &mut Notes) {
    let (tool, error) = (incident.failed.tool, &incident.error);
    let between: Vec<u32> = recovery.between.iter().map(|call| call.number).collect();
    let steps = || {
        incident.steps.iter().take(MAX_STEPS).copied().chain(between.clone()).chain([recovery.last.number])
    };
    let fix = in_words(&recovery.calls());
    let again = recovery.between.is_empty() && recovery.changes.is_empty() && recovery.last.tool == tool;
    let fix = if again { "calling it again".to_owned() } else { fix };
    notes.worked.push(note(50, format!("{tool} failed with {error:?}; {fix} fixed it"), steps()));
    if recovery.last.tool != tool {
        let text = format!("{fix} instead of {tool}, which failed with {error:?}");
        notes.improve.push(note(40, format!("call {text}"), steps()));
    } else if let Some(before) = recovery.between.last() {
        let before = recovery.named(before);
        let text =
            format!("call {before} before {tool}: {tool} failed with {error:?} first and worked after it");
        notes.improve.push(note(45, text, steps()));
    } else if !recovery.changes.is_empty() {
        let changes: Vec<String> = recovery.changes.iter().filter_map(Change::advice).collect();
        // Changed values without a meaning are no advice.
        if !changes.is_empty() {
            let text =
                format!("call {tool} {} from the start: it failed with {error:?} before", changes.join(", "));
            notes.improve.push(note(40, text, steps()));
        }
    }
}

/// Notes how a failed episode continued after an error: this is not recommended.
fn went_on(incident: &Incident<'_>, recovery: &Response<'_>, notes: &mut Notes) {
    let (tool, error) = (incident.failed.tool, &incident.error);
    let between = recovery.between.iter().map(|call| call.number);
    let steps: Vec<u32> = incident.steps.iter().take(MAX_STEPS).copied().chain(between).collect();
    let text = format!(
        "{tool} failed with {error:?}; it went on with {}, and the task failed all the same",
        in_words(&recovery.calls())
    );
    notes.failed.push(note(55, text, steps.into_iter().chain([recovery.last.number])));
}

fn unrecovered(cluster: &Cluster<'_>, incident: &Incident<'_>, notes: &mut Notes) {
    let (tool, error) = (incident.failed.tool, &incident.error);
    let times = match incident.steps.len() {
        1 => String::new(),
        times => format!("{times} times "),
    };
    let steps = || incident.steps.iter().take(MAX_STEPS).copied();
    notes.failed.push(note(
        60,
        format!("{tool} failed {times}with {error:?}, and nothing fixed it"),
        steps(),
    ));
    // The recoveries of similar episodes.
    let fixes = cluster.similar().iter().filter(|member| member.succeeded).flat_map(|member| {
        let incidents = incidents_among(cluster, member).into_iter();
        let same = incidents
            .filter(|other| other.failed.tool == tool && similarity(&other.error, error) >= SAME_ERROR);
        same.filter_map(|other| {
            other.recovery.map(|recovery| (recovery.identity(), in_words(&recovery.calls())))
        })
    });
    let mut counts: BTreeMap<Vec<RemedyCall>, (usize, String)> = BTreeMap::new();
    for (identity, fix) in fixes {
        counts.entry(identity).or_insert((0, fix)).0 += 1;
    }
    // Among equally frequent fixes the first in order of identity, so that the choice is repeatable.
    let best = counts.into_values().rev().max_by_key(|(count, _)| *count);
    if let Some((count, fix)) = best {
        let in_others =
            if count == 1 { "a similar episode".to_owned() } else { format!("{count} similar episodes") };
        let text = format!("when {tool} fails with {error:?}: {fix}; that fixed it in {in_others}");
        notes.improve.push(note(60, text, steps()));
    }
}

/// Notes repeated calls.
fn repetitions(cluster: &Cluster<'_>, notes: &mut Notes) {
    let mut calls: HashMap<u64, Vec<usize>> = HashMap::new();
    let own = &cluster.own().calls;
    for (at, call) in own.iter().enumerate() {
        calls.entry(call.fingerprint()).or_default().push(at);
    }
    let mut repeated: Vec<Vec<usize>> =
        calls.into_values().filter(|places| places.len() >= REPETITION).collect();
    repeated.sort();
    for places in repeated {
        let tool = own[places[0]].tool;
        // A tool without arguments is often called to look again.
        let bare = own[places[0]].action.arguments.0.is_null();
        if bare && places.iter().all(|at| own[*at].worked()) {
            continue;
        }
        let text = format!("{tool} was called {} times with the same arguments", places.len());
        let steps = places.iter().take(MAX_STEPS).map(|at| own[*at].number);
        let said: Note = note(30, text, steps);
        if cluster.own().succeeded { notes.improve.push(said) } else { notes.failed.push(said) }
    }
}
