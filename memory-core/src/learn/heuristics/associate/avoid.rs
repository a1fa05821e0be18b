//! Heuristics against a tool, from episodes in which it failed.

use std::collections::HashSet;

use super::change::{last_change, likelihood_ratio};
use super::corpus::{Corpus, Feature};
use super::rules::{Evidence, Sheet, keep_best};
use super::{MAX_OTHER_RULES, Rule};
use crate::id::EpisodeId;
use crate::model::heuristic::{Advice, Heuristic, Premise};

/// The likelihood ratio from which a tool fails more under a condition than it does otherwise: by chance one in a
/// hundred does.
const TELLS_FROM: f64 = 6.6;
/// A tool that fails so often under any condition does so under none in particular.
const FAILS_ANYWAY: f64 = 0.5;
/// The most conditions under which one tool is advised against.
const CONDITIONS: usize = 3;

/// Makes the heuristics against tools: where a tool failed significantly more than elsewhere.
///
/// Conditions that only say again of which episodes better ones warn are left out.
pub(super) fn avoid(sheet: &Sheet<'_>) -> (Vec<Heuristic>, Vec<Rule>) {
    let corpus = sheet.corpus;
    let mut failing: Vec<usize> = corpus.entries.iter().flat_map(|entry| entry.failed.clone()).collect();
    failing.sort_unstable();
    failing.dedup();
    let found = failing.into_iter().flat_map(|tool| conditions(sheet, tool)).collect();
    keep_best(found, MAX_OTHER_RULES)
}

fn conditions(sheet: &Sheet<'_>, tool: usize) -> Vec<(Heuristic, Rule)> {
    let corpus = sheet.corpus;
    let everywhere: Vec<u32> = (0..).take(corpus.entries.len()).collect();
    let all = calls_of(corpus, tool, &everywhere);
    let failures: f64 = all.iter().map(|(_, failed)| failed).sum();
    let n = all.len() as f64;
    let lately = since_change(all.clone());
    let failed_lately: f64 = lately.iter().map(|(_, failed)| failed).sum();
    let fails_anyway = failed_lately >= FAILS_ANYWAY * lately.len() as f64;
    let mut features: Vec<u32> = all
        .iter()
        .filter(|(_, failed)| *failed > 0.0)
        .flat_map(|(entry, _)| entry.features.iter().copied())
        .collect();
    features.sort_unstable();
    features.dedup();
    let mut found: Vec<(bool, Heuristic, Rule)> = Vec::new();
    for feature in features {
        let with = calls_of(corpus, tool, &corpus.holds[feature as usize]);
        let (own, own_failures) = (with.len() as f64, with.iter().map(|(_, failed)| failed).sum::<f64>());
        let without = ((n - own).max(0.0), (failures - own_failures).max(0.0));
        let tells = own_failures * without.0 > without.1 * own
            && likelihood_ratio((own, own_failures), without) >= TELLS_FROM;
        let with = since_change(with);
        let hits: f64 = with.iter().map(|(_, failed)| failed).sum();
        if hits < 2.0 || !(tells || fails_anyway) {
            continue;
        }
        let premise = match &corpus.features[feature as usize] {
            Feature::Term(term) => Premise { terms: vec![term.clone()], ..Premise::default() },
            Feature::Kind(kind) => Premise { task_kind: Some(kind.clone()), ..Premise::default() },
        };
        let heuristic = sheet.heuristic(&premise, Advice::Avoid, tool, &with, without);
        let rule = Rule::new(premise, tool, heuristic.confidence, heuristic.id);
        found.push((tells, heuristic, rule));
    }
    found.sort_by(|(x, a, _), (y, b, _)| {
        y.cmp(x).then(b.confidence.total_cmp(&a.confidence)).then_with(|| a.condition.cmp(&b.condition))
    });
    let mut warned_of: HashSet<EpisodeId> = HashSet::new();
    let mut kept = Vec::new();
    for (_, heuristic, rule) in found {
        let new = heuristic.supporting.iter().filter(|episode| !warned_of.contains(episode)).count();
        if kept.len() < CONDITIONS && 2 * new > heuristic.supporting.len() {
            warned_of.extend(&heuristic.supporting);
            kept.push((heuristic, rule));
        }
    }
    kept
}

/// Returns the episodes among these that used a tool, each with 1 if it failed.
fn calls_of<'a>(corpus: &'a Corpus, tool: usize, among: &[u32]) -> Evidence<'a> {
    among
        .iter()
        .map(|at| &corpus.entries[*at as usize])
        .filter_map(|entry| {
            if entry.failed.binary_search(&tool).is_ok() {
                return Some((entry, 1.0));
            }
            entry.tools.contains(&tool).then_some((entry, 1.0 - entry.credit()))
        })
        .collect()
}

fn since_change(mut evidence: Evidence<'_>) -> Evidence<'_> {
    let plain: Vec<(f64, f64)> = evidence.iter().map(|(_, support)| (1.0, *support)).collect();
    evidence.split_off(last_change(&plain))
}
