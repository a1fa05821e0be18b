//! In which order tools are used, and what comes next.

use std::collections::{BTreeMap, HashMap};

use super::change::last_change;
use super::corpus::{Corpus, Feature};
use super::rules::{Evidence, Sheet, keep_best};
use super::{CONFIDENCE_FLOOR, MAX_OTHER_RULES, Rule};
use crate::model::heuristic::{Advice, Heuristic, Premise};

/// A condition must make what comes next surer by so much, or it is left out.
const GAIN: f64 = 0.1;
/// What an older episode keeps of its say in the order of two tools, for each newer one.
const ORDER_FADING: f64 = 0.95;

/// Makes the heuristics of what comes next after a tool: whatever the task, and where a condition that calls for a tool
/// makes it surer.
pub(super) fn next(sheet: &Sheet<'_>, called: &[Rule]) -> (Vec<Heuristic>, Vec<Rule>) {
    let corpus = sheet.corpus;
    let mut following: BTreeMap<(usize, usize), f64> = BTreeMap::new();
    for entry in &corpus.entries {
        for pair in entry.tools.windows(2) {
            *following.entry((pair[0], pair[1])).or_insert(0.0) += entry.credit();
        }
    }
    let mut using: Vec<Vec<u32>> = vec![Vec::new(); corpus.tools.len()];
    for (at, entry) in (0_u32..).zip(&corpus.entries) {
        entry.tools.iter().for_each(|tool| using[*tool].push(at));
    }
    let mut found = Vec::new();
    for ((last, next), _) in following.into_iter().filter(|(_, hits)| *hits >= 1.5) {
        let after = Premise { after_tool: Some(corpus.tools[last].clone()), ..Premise::default() };
        let with = evidence(corpus, last, next, &using[last]);
        let hits: f64 = with.iter().map(|(_, support)| support).sum();
        let n = with.len() as f64;
        let general = sheet.heuristic(&after, Advice::Use, next, &with, (0.0, 0.0));
        let sure = general.confidence;
        for rule in called.iter().filter(|rule| rule.tool == next || rule.tool == last) {
            let Some(feature) = feature_of(corpus, &rule.premise) else { continue };
            let with = evidence(corpus, last, next, &corpus.holds[feature]);
            let own: f64 = with.iter().map(|(_, support)| support).sum();
            let premise = Premise { after_tool: after.after_tool.clone(), ..rule.premise.clone() };
            let without = ((n - with.len() as f64).max(0.0), (hits - own).max(0.0));
            let special = sheet.heuristic(&premise, Advice::Use, next, &with, without);
            if special.confidence >= sure.max(CONFIDENCE_FLOOR) + GAIN {
                found.push(pair_of(special, premise, next));
            }
        }
        found.push(pair_of(general, after, next));
    }
    keep_best(found, MAX_OTHER_RULES)
}

fn pair_of(heuristic: Heuristic, premise: Premise, tool: usize) -> (Heuristic, Rule) {
    let rule = Rule::new(premise, tool, heuristic.confidence, heuristic.id);
    (heuristic, rule)
}

fn feature_of(corpus: &Corpus, premise: &Premise) -> Option<usize> {
    let feature = match (premise.terms.first(), &premise.task_kind) {
        (Some(term), _) => Feature::Term(term.clone()),
        (None, Some(kind)) => Feature::Kind(kind.clone()),
        (None, None) => return None,
    };
    corpus.features.binary_search(&feature).ok()
}

/// Returns the episodes among these that used a tool, each with how far it supports that another comes next; since that
/// last changed.
fn evidence<'a>(corpus: &'a Corpus, last: usize, next: usize, among: &[u32]) -> Evidence<'a> {
    let mut evidence: Evidence<'a> = among
        .iter()
        .filter_map(|at| {
            let entry = &corpus.entries[*at as usize];
            let place = entry.tools.iter().position(|tool| *tool == last)?;
            let follows = entry.tools.get(place + 1) == Some(&next);
            Some((entry, if follows { entry.credit() } else { 0.0 }))
        })
        .collect();
    let plain: Vec<(f64, f64)> = evidence.iter().map(|(_, support)| (1.0, *support)).collect();
    evidence.split_off(last_change(&plain))
}

/// Returns how often one tool came before another, where both were used, with a prior of once each way; older
/// episodes count less.
pub(super) fn precedence(corpus: &Corpus) -> HashMap<(usize, usize), f64> {
    let mut counts: HashMap<(usize, usize), f64> = HashMap::new();
    for entry in &corpus.entries {
        for (place, first) in entry.tools.iter().enumerate() {
            for second in &entry.tools[place + 1..] {
                let (count, back) = ((*first, *second), (*second, *first));
                let count = counts.entry(count).or_insert(0.0);
                *count = *count * ORDER_FADING + 1.0;
                counts.entry(back).and_modify(|back| *back *= ORDER_FADING);
            }
        }
    }
    let back = |(first, second): (usize, usize)| counts.get(&(second, first)).copied().unwrap_or(0.0);
    counts.iter().map(|(pair, count)| (*pair, (count + 1.0) / (count + back(*pair) + 2.0))).collect()
}
