//! Heuristics for using a tool, from the features that call for it.

use super::change::last_change;
use super::corpus::{Corpus, Entry, Feature, Says};
use super::explain::Pairs;
use super::{CONFIDENCE_FLOOR, MAX_USE_RULES, Rule};
use crate::clock::Timestamp;
use crate::learn::belief::BeliefConfig;
use crate::learn::heuristics::{NAMED_EPISODES, id_of};
use crate::model::evidence::{Standing, Tally};
use crate::model::heuristic::{Advice, Heuristic, Premise};

/// The least strength of a rule: what is weaker is explained by other rules.
const LEAST_STRENGTH: f64 = 0.05;
/// The episodes in which a rule's tool worked, at least: one is chance.
pub(super) const LEAST_SUPPORT: u32 = 2;
/// A tool that so many of all episodes used at least is always used.
const ALWAYS_FROM: f64 = 0.8;

/// What every heuristic of one domain is made with.
#[derive(Debug)]
pub(super) struct Sheet<'a> {
    pub(super) domain: Option<&'a str>,
    pub(super) now: Timestamp,
    pub(super) config: &'a BeliefConfig,
    pub(super) corpus: &'a Corpus,
}

/// Evidence of one rule: entries in order of time, each with how far it supports the rule.
pub(super) type Evidence<'a> = Vec<(&'a Entry, f64)>;

impl Sheet<'_> {
    /// Makes a heuristic from the evidence where its condition held, and where it did not.
    pub(super) fn heuristic(
        &self,
        premise: &Premise,
        advice: Advice,
        tool: usize,
        with: &Evidence<'_>,
        without: (f64, f64),
    ) -> Heuristic {
        let tool = &self.corpus.tools[tool];
        let tally =
            Tally::from_evidence(with.iter().map(|(entry, support)| (*support, entry.at)), self.config);
        let named = |supports: bool| {
            let of = with.iter().rev().filter(|(_, support)| (*support >= 0.5) == supports);
            of.map(|(entry, _)| entry.id).take(NAMED_EPISODES).collect()
        };
        let hits: f64 = with.iter().map(|(_, support)| support).sum();
        let log_odds = |n: f64, hits: f64| ((hits + 0.5) / (n - hits + 0.5)).ln();
        let weight = log_odds(with.len() as f64, hits) - log_odds(without.0, without.1);
        let oldest = with.first().map_or(self.now, |(entry, _)| entry.at);
        let newest = with.last().map_or(self.now, |(entry, _)| entry.at);
        let action = match advice {
            Advice::Use => format!("use {tool}"),
            Advice::Avoid => format!("do not use {tool}"),
        };
        Heuristic {
            id: id_of(self.domain, premise, advice, tool),
            condition: premise.clone(),
            advice,
            tool: tool.clone(),
            action,
            domain: self.domain.map(str::to_owned),
            tally,
            confidence: tally.lower_bound(self.now, self.config),
            used: Tally::default(),
            standing: Standing::Active,
            weight,
            supporting: named(true),
            contradicting: named(false),
            generalises: Vec::new(),
            pinned: false,
            rejected: false,
            created_at: oldest.min(newest),
            updated_at: self.now,
        }
    }
}

/// Keeps the best rules, and no more than `most`.
pub(super) fn keep_best(mut found: Vec<(Heuristic, Rule)>, most: usize) -> (Vec<Heuristic>, Vec<Rule>) {
    found.retain(|(heuristic, _)| {
        heuristic.confidence >= CONFIDENCE_FLOOR && heuristic.tally.successes >= LEAST_SUPPORT
    });
    found.sort_by(|(a, x), (b, y)| {
        let worth = |heuristic: &Heuristic, rule: &Rule| heuristic.confidence * rule.strength;
        worth(b, y)
            .total_cmp(&worth(a, x))
            .then_with(|| (&a.condition, &a.tool).cmp(&(&b.condition, &b.tool)))
    });
    found.truncate(most);
    found.into_iter().unzip()
}

/// Makes the heuristics for using a tool.
pub(super) fn calls(sheet: &Sheet<'_>, pairs: &Pairs) -> (Vec<Heuristic>, Vec<Rule>) {
    let corpus = sheet.corpus;
    let totals: Vec<(f64, f64)> = (0..corpus.tools.len()).map(|tool| total(corpus, tool)).collect();
    let mut found = Vec::new();
    for pair in pairs.pairs.iter().filter(|pair| pair.strength >= LEAST_STRENGTH) {
        let premise = match &corpus.features[pair.feature as usize] {
            Feature::Term(term) => Premise { terms: vec![term.clone()], ..Premise::default() },
            Feature::Kind(kind) => Premise { task_kind: Some(kind.clone()), ..Premise::default() },
        };
        let holds = corpus.holds[pair.feature as usize].iter().filter(|at| **at >= pair.from);
        let with: Evidence<'_> = holds
            .filter_map(|at| {
                let entry = &corpus.entries[*at as usize];
                Some((entry, support(entry, pair.tool)?))
            })
            .collect();
        let hits: f64 = with.iter().map(|(_, support)| support).sum();
        let (all, used) = totals[pair.tool];
        let without = ((all - with.len() as f64).max(0.0), (used - hits).max(0.0));
        let heuristic = sheet.heuristic(&premise, Advice::Use, pair.tool, &with, without);
        let rule = Rule { premise, tool: pair.tool, strength: pair.strength, id: heuristic.id };
        found.push((heuristic, rule));
    }
    for tool in 0..corpus.tools.len() {
        let mut with: Evidence<'_> =
            corpus.entries.iter().filter_map(|entry| Some((entry, support(entry, tool)?))).collect();
        let plain: Vec<(f64, f64)> = with.iter().map(|(_, support)| (1.0, *support)).collect();
        let with = with.split_off(last_change(&plain));
        let used: f64 = with.iter().map(|(_, support)| support).sum();
        if used < ALWAYS_FROM * with.len() as f64 {
            continue;
        }
        let premise = Premise::default();
        let heuristic = sheet.heuristic(&premise, Advice::Use, tool, &with, (0.0, 0.0));
        let rule = Rule { premise, tool, strength: heuristic.confidence, id: heuristic.id };
        if heuristic.confidence >= ALWAYS_FROM / 2.0 {
            found.push((heuristic, rule));
        }
    }
    keep_best(found, MAX_USE_RULES)
}

/// Returns how far an episode supports that its task needs a tool; `None` if it does not tell.
pub(super) fn support(entry: &Entry, tool: usize) -> Option<f64> {
    Some(match entry.says(tool)? {
        Says::Used(success) => success,
        Says::Unused | Says::Failed => 0.0,
    })
}

fn total(corpus: &Corpus, tool: usize) -> (f64, f64) {
    let all = corpus.entries.iter().filter_map(|entry| support(entry, tool));
    all.fold((0.0, 0.0), |(n, hits), support| (n + 1.0, hits + support))
}
