//! Heuristics for using a tool, from the features that call for it.

use std::collections::{HashMap, HashSet};

use super::change::last_change;
use super::corpus::{Corpus, Entry, Feature, Says};
use super::explain::Pairs;
use super::{CONFIDENCE_FLOOR, MAX_USE_RULES, Rule};
use crate::clock::Timestamp;
use crate::id::HeuristicId;
use crate::learn::belief::BeliefConfig;
use crate::learn::heuristics::{NAMED_EPISODES, id_of};
use crate::model::evidence::{Standing, Tally};
use crate::model::heuristic::{Advice, Heuristic, Premise};
use crate::recall::parts::NEGATED;

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
    /// By term: the word that people read.
    pub(super) usual_words: HashMap<String, String>,
}

/// Evidence of one rule: entries in order of time, each with how far it supports the rule.
pub(super) type Evidence<'a> = Vec<(&'a Entry, f64)>;

impl Sheet<'_> {
    fn tally(&self, with: &Evidence<'_>) -> Tally {
        let until_now = |at: Timestamp| at.min(self.now);
        Tally::from_evidence(with.iter().map(|(entry, support)| (*support, until_now(entry.at))), self.config)
    }

    /// Makes a heuristic from the evidence where its condition held, and where it did not.
    pub(super) fn heuristic(
        &self,
        premise: &Premise,
        advice: Advice,
        tool: usize,
        with: &Evidence<'_>,
        without: (f64, f64),
    ) -> Heuristic {
        let condition = self.readable(premise);
        let tool = &self.corpus.tools[tool];
        let tally = self.tally(with);
        let named = |supports: bool| {
            let of = with.iter().rev().filter(|(_, support)| (*support >= 0.5) == supports);
            of.map(|(entry, _)| entry.id).take(NAMED_EPISODES).collect()
        };
        let hits: f64 = with.iter().map(|(_, support)| support).sum();
        let log_odds = |n: f64, hits: f64| ((hits + 0.5) / (n - hits + 0.5)).ln();
        // Where the condition always held there is nothing to compare with.
        let weight = if without.0 > 0.0 {
            log_odds(with.len() as f64, hits) - log_odds(without.0, without.1)
        } else {
            0.0
        };
        let oldest = with.first().map_or(self.now, |(entry, _)| entry.at);
        let newest = with.last().map_or(self.now, |(entry, _)| entry.at);
        let action = match advice {
            Advice::Use => format!("use {tool}"),
            Advice::Avoid => format!("do not use {tool}"),
        };
        Heuristic {
            id: id_of(self.domain, &condition, advice, tool),
            condition,
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
            ruling: None,
            created_at: oldest.min(newest),
            updated_at: self.now,
        }
    }
}

impl Sheet<'_> {
    /// Returns a condition with words as people write them.
    fn readable(&self, premise: &Premise) -> Premise {
        let mut terms: Vec<String> = premise.terms.iter().map(|term| self.usual_word(term)).collect();
        terms.sort();
        Premise { terms, ..premise.clone() }
    }

    fn usual_word(&self, term: &str) -> String {
        match term.strip_prefix(NEGATED) {
            Some(denied) => format!("{NEGATED}{}", self.usual_word(denied)),
            None => self.usual_words.get(term).map_or(term, String::as_str).to_owned(),
        }
    }
}

fn is_worth_keeping(tally: &Tally, confidence: f64) -> bool {
    tally.successes >= LEAST_SUPPORT && confidence >= CONFIDENCE_FLOOR
}

/// Keeps the best rules, and no more than `most`.
pub(super) fn keep_best(mut found: Vec<(Heuristic, Rule)>, most: usize) -> (Vec<Heuristic>, Vec<Rule>) {
    found.retain(|(heuristic, _)| is_worth_keeping(&heuristic.tally, heuristic.confidence));
    found.sort_by(|(a, x), (b, y)| {
        let worth = |heuristic: &Heuristic, rule: &Rule| heuristic.confidence * rule.strength;
        worth(b, y)
            .total_cmp(&worth(a, x))
            .then_with(|| (&a.condition, &a.tool).cmp(&(&b.condition, &b.tool)))
    });
    found.truncate(most);
    found.into_iter().unzip()
}

/// Merges rules for the same tool with the same evidence: words that always come together are one reason, not several. Each
/// keeps its say; they share the heuristic of the most telling one.
fn merge_equal(found: &mut Vec<(Heuristic, Rule)>, mut evidence: Vec<Vec<u32>>) -> Vec<Rule> {
    let mut order: Vec<usize> = (0..found.len()).collect();
    order.sort_by(|a, b| {
        let (x, y) = (&found[*a].1, &found[*b].1);
        y.strength.total_cmp(&x.strength).then_with(|| x.premise.cmp(&y.premise))
    });
    let mut first: HashMap<(usize, Vec<u32>), HeuristicId> = HashMap::new();
    stand_for_kinds(found, &order, &evidence);
    let mut merged = Vec::new();
    let mut kept = vec![true; found.len()];
    for place in order {
        let rule = &found[place].1;
        let id = *first.entry((rule.tool, std::mem::take(&mut evidence[place]))).or_insert(rule.id);
        if id != rule.id {
            kept[place] = false;
            merged.push(Rule { id, ..rule.clone() });
        }
    }
    let mut kept = kept.into_iter();
    found.retain(|_| kept.next().unwrap_or(true));
    merged
}

/// Has the strongest word that always comes with a kind of task say what the kind says, too, where nobody names one.
fn stand_for_kinds(found: &mut [(Heuristic, Rule)], order: &[usize], evidence: &[Vec<u32>]) {
    let mut kinds: HashMap<(usize, &Vec<u32>), f64> = HashMap::new();
    for (at, (_, rule)) in found.iter().enumerate().filter(|(_, (_, rule))| rule.premise.task_kind.is_some())
    {
        kinds.insert((rule.tool, &evidence[at]), rule.strength);
    }
    for place in order {
        let rule = &mut found[*place].1;
        if !rule.premise.terms.is_empty()
            && let Some(kind) = kinds.remove(&(rule.tool, &evidence[*place]))
        {
            rule.unlabelled = 1.0 - (1.0 - rule.strength) * (1.0 - kind);
        }
    }
}

/// Makes the heuristics for using a tool.
pub(super) fn calls(sheet: &Sheet<'_>, pairs: &Pairs) -> (Vec<Heuristic>, Vec<Rule>) {
    let corpus = sheet.corpus;
    let totals: Vec<(f64, f64)> = (0..corpus.tools.len()).map(|tool| total(corpus, tool)).collect();
    let (mut found, mut evidence) = (Vec::new(), Vec::new());
    for pair in pairs.pairs.iter().filter(|pair| pair.strength >= LEAST_STRENGTH) {
        let holds = corpus.holds[pair.feature as usize].iter().copied().filter(|at| *at >= pair.from);
        let with: Evidence<'_> = holds
            .clone()
            .filter_map(|at| {
                let entry = &corpus.entries[at as usize];
                Some((entry, support(entry, pair.tool)?))
            })
            .collect();
        // Most pairs say too little to be kept; those with the same evidence say the same.
        let tally = sheet.tally(&with);
        if !is_worth_keeping(&tally, tally.lower_bound(sheet.now, sheet.config)) {
            continue;
        }
        let premise = match &corpus.features[pair.feature as usize] {
            Feature::Term(term) => Premise { terms: vec![term.clone()], ..Premise::default() },
            Feature::Kind(kind) => Premise { task_kind: Some(kind.clone()), ..Premise::default() },
        };
        let hits: f64 = with.iter().map(|(_, support)| support).sum();
        let (all, used) = totals[pair.tool];
        let without = ((all - with.len() as f64).max(0.0), (used - hits).max(0.0));
        let heuristic = sheet.heuristic(&premise, Advice::Use, pair.tool, &with, without);
        let rule = Rule::new(premise, pair.tool, pair.strength, heuristic.id);
        found.push((heuristic, rule));
        evidence.push(holds.collect());
    }
    let merged = merge_equal(&mut found, evidence);
    for tool in 0..corpus.tools.len() {
        let mut with: Evidence<'_> =
            corpus.entries.iter().filter_map(|entry| Some((entry, support(entry, tool)?))).collect();
        let is_always = |with: &Evidence<'_>| {
            with.iter().map(|(_, support)| support).sum::<f64>() >= ALWAYS_FROM * with.len() as f64
        };
        // Of the whole time, too: another sort of task for a while is no change of what is always done.
        let always = is_always(&with);
        let plain: Vec<(f64, f64)> = with.iter().map(|(_, support)| (1.0, *support)).collect();
        let with = with.split_off(last_change(&plain));
        if !always || !is_always(&with) {
            continue;
        }
        let premise = Premise::default();
        let heuristic = sheet.heuristic(&premise, Advice::Use, tool, &with, (0.0, 0.0));
        let rule = Rule::new(premise, tool, heuristic.confidence, heuristic.id);
        if heuristic.confidence >= ALWAYS_FROM / 2.0 {
            found.push((heuristic, rule));
        }
    }
    let (heuristics, mut rules) = keep_best(found, MAX_USE_RULES);
    let kept: HashSet<HeuristicId> = heuristics.iter().map(|heuristic| heuristic.id).collect();
    rules.extend(merged.into_iter().filter(|rule| kept.contains(&rule.id)));
    (heuristics, rules)
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
