//! Rules for people, derived from the model: the effect of a word, a kind of task or the previous tool on a
//! tool.

use std::collections::BTreeMap;

use foldhash::fast::FixedState;
use hashbrown::HashMap;

use super::model::{Learned, Model};
use super::rows::Tool;

/// Words that speak most for a tool, and against it, which are looked at.
const WORDS: usize = 8;
/// A likelihood ratio that chance reaches one time in twenty: chi-square with one degree of freedom.
const SIGNIFICANT: f64 = 3.84;
/// A tool that this share of the episodes used is always used.
const ALWAYS: f64 = 0.8;
/// A tool that fails in this share of its episodes fails whatever the task.
const FAILS: f64 = 0.5;

/// When a rule applies.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Condition {
    /// Whatever the task.
    Always,
    /// The task has this word, in lower case.
    Word(String),
    /// The task is of this kind.
    Kind(String),
    /// This tool worked last.
    After(String),
}

/// The effect of a condition on a tool.
#[derive(Debug, Clone, PartialEq)]
pub struct Rule {
    /// When it applies.
    pub condition: Condition,
    /// The tool.
    pub tool: String,
    /// Whether the tool fails for those that called it; otherwise it is needed.
    pub against: bool,
    /// The episodes in which the condition held, each with whether it supports the rule, in no order.
    pub evidence: Vec<(u128, bool)>,
    /// Episodes in which the condition did not hold, and those of them that support the rule's claim.
    pub without: (usize, usize),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Key {
    Always,
    Named(u32),
    After(Tool),
}

/// By condition, tool and whether it is against it: the evidence.
type Found = BTreeMap<(Key, Tool, bool), Vec<(u128, bool)>>;

impl Model {
    /// Returns the significant effects of words, kinds and previous tools on tools.
    pub fn rules(&self) -> Vec<Rule> {
        let mut found = Found::new();
        let mut of_feature: HashMap<u32, Vec<(Tool, bool)>, FixedState> = HashMap::default();
        for (bucket, tool, against) in self.telling() {
            of_feature.entry(bucket).or_default().push((tool, against));
        }
        let failing = self.failing();
        // Over all episodes: those that are evidence on a tool's need and those that used it; those that called
        // it and those in which it failed.
        let mut totals: BTreeMap<(Tool, bool), (usize, usize)> = BTreeMap::new();
        let speaking = self.episodes.iter().filter(|it| !it.silent).count();
        for (tool, users) in (0..).zip(&self.users) {
            totals.insert((tool, false), (speaking, *users as usize));
            let failed = failing.get(&tool).copied().unwrap_or_default();
            totals.insert((tool, true), (*users as usize + failed, failed));
        }
        for it in &self.episodes {
            for feature in it.features.iter() {
                for (tool, against) in of_feature.get(&feature.bucket).into_iter().flatten() {
                    if let Some(supports) = supports(it, *tool, *against) {
                        found
                            .entry((Key::Named(feature.bucket), *tool, *against))
                            .or_default()
                            .push((it.id, supports));
                    }
                }
            }
        }
        let is_always = |(n, hits): (usize, usize), least: f64| n > 0 && hits as f64 >= least * n as f64;
        let always = totals
            .iter()
            .filter(|((_, against), total)| is_always(**total, if *against { FAILS } else { ALWAYS }));
        let always: Vec<(Tool, bool)> = always.map(|(key, _)| *key).collect();
        for (tool, against) in always {
            let of = self.episodes.iter().filter_map(|it| Some((it.id, supports(it, tool, against)?)));
            found.insert((Key::Always, tool, against), of.collect());
        }
        self.followers(&mut found);
        let rules = found.into_iter().filter_map(|((key, tool, against), evidence)| {
            let (n, hits) = totals.get(&(tool, against)).copied()?;
            let (own, supporting) = (evidence.len(), evidence.iter().filter(|(_, it)| *it).count());
            let without = (n.saturating_sub(own), hits.saturating_sub(supporting));
            let (condition, tells) = match key {
                Key::Always => (Condition::Always, true),
                Key::After(last) => (Condition::After(self.tools[usize::from(last)].clone()), true),
                Key::Named(bucket) => {
                    let named = self.names.get(&bucket)?;
                    let name = named.name.to_string();
                    let condition = if named.is_kind { Condition::Kind(name) } else { Condition::Word(name) };
                    (condition, likelihood_ratio((own, supporting), without) >= SIGNIFICANT)
                }
            };
            let tool = self.tools[usize::from(tool)].clone();
            tells.then_some(Rule { condition, tool, against, evidence, without })
        });
        rules.collect()
    }

    /// Returns the named features that speak most for each tool, and those that episodes had in which it failed.
    fn telling(&self) -> Vec<(u32, Tool, bool)> {
        let mut by_tool: Vec<Vec<(f32, u32)>> = vec![Vec::new(); self.tools.len()];
        for bucket in self.names.keys() {
            let Some(place) = self.linear.rows.place(*bucket) else { continue };
            // By its total contribution over all episodes that have it.
            let told = self.linear.information(*bucket) * self.linear.rows.episodes(place) as f32;
            self.linear.rows.each_weight(place, |tool, weight| {
                if weight > 0.0 {
                    by_tool[usize::from(tool)].push((weight * told, *bucket));
                }
            });
        }
        let mut telling = Vec::new();
        for (tool, mut words) in (0..).zip(by_tool) {
            words.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
            telling.extend(words.into_iter().take(WORDS).map(|(_, bucket)| (bucket, tool, false)));
        }
        let mut failed: BTreeMap<(Tool, u32), usize> = BTreeMap::new();
        for it in &self.episodes {
            for feature in it.features.iter().filter(|it| self.names.contains_key(&it.bucket)) {
                it.against.iter().for_each(|tool| *failed.entry((*tool, feature.bucket)).or_default() += 1);
            }
        }
        let mut failed: Vec<(Tool, usize, u32)> =
            failed.into_iter().map(|((tool, bucket), count)| (tool, count, bucket)).collect();
        failed.retain(|(_, count, _)| *count > 1);
        failed.sort_by(|a, b| a.0.cmp(&b.0).then(b.1.cmp(&a.1)).then(a.2.cmp(&b.2)));
        for words in failed.chunk_by(|a, b| a.0 == b.0) {
            telling.extend(words.iter().take(4 * WORDS).map(|(tool, _, bucket)| (*bucket, *tool, true)));
        }
        telling
    }

    /// Returns by tool in how many episodes it failed.
    fn failing(&self) -> BTreeMap<Tool, usize> {
        let mut failing: BTreeMap<Tool, usize> = BTreeMap::new();
        for tool in self.episodes.iter().flat_map(|it| &it.against) {
            *failing.entry(*tool).or_default() += 1;
        }
        failing
    }

    /// Adds the tools that followed each tool at least twice.
    fn followers(&self, found: &mut Found) {
        let mut pairs: BTreeMap<Tool, BTreeMap<Tool, Vec<u128>>> = BTreeMap::new();
        let mut all: BTreeMap<Tool, Vec<u128>> = BTreeMap::new();
        for it in self.episodes.iter().filter(|it| !it.silent) {
            for pair in it.used.windows(2) {
                pairs.entry(pair[0]).or_default().entry(pair[1]).or_default().push(it.id);
            }
            it.used.iter().for_each(|tool| all.entry(*tool).or_default().push(it.id));
        }
        for (last, next) in pairs {
            for (tool, followed) in next.into_iter().filter(|(_, followed)| followed.len() > 1) {
                // In the same order, both.
                let mut followed = followed.into_iter().peekable();
                let evidence = all[&last].iter().map(|id| (*id, followed.next_if_eq(id).is_some()));
                found.insert((Key::After(last), tool, false), evidence.collect());
            }
        }
    }
}

/// Returns whether an episode supports that a tool is needed, or that it fails; `None` if it is no evidence.
fn supports(it: &Learned, tool: Tool, against: bool) -> Option<bool> {
    let (used, failed) = (it.used.contains(&tool), it.against.binary_search(&tool).is_ok());
    match against {
        true => (used || failed).then_some(failed),
        false => (used || failed || !it.silent).then_some(used),
    }
}

/// Returns twice the log of the likelihood ratio (G) of two proportions over one, if the first is the greater;
/// otherwise 0.
fn likelihood_ratio((n, hits): (usize, usize), (m, others): (usize, usize)) -> f64 {
    let (n, hits, m, others) = (n as f64, hits as f64, m as f64, others as f64);
    if n == 0.0 || m == 0.0 || hits / n <= others / m {
        return 0.0;
    }
    let entropy = |hits: f64, n: f64| {
        let term = |x: f64| if x > 0.0 { x * (x / n).ln() } else { 0.0 };
        term(hits) + term(n - hits)
    };
    2.0 * (entropy(hits, n) + entropy(others, m) - entropy(hits + others, n + m))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::advise::{Example, Params};

    #[test]
    fn rules_say_what_tells_tools_apart() {
        let mut model = Model::new(Params::default());
        for id in 0..60_u128 {
            let example = match id % 3 {
                0 => Example::new(id, &format!("Ship parcel {id}")).used(["look", "courier"]),
                1 => Example::new(id, &format!("Refund lamp {id}")).used(["look", "bank"]),
                _ => Example::new(id, &format!("Refund chair {id}"))
                    .kind(Some("Furniture"))
                    .used(["look"])
                    .against(["bank"]),
            };
            model.learn(example);
        }
        let rules = model.rules();
        let has = |condition: Condition, tool: &str, against: bool| {
            let mut found = rules
                .iter()
                .filter(|it| it.condition == condition && it.tool == tool && it.against == against);
            found.next().map(|it| (it.evidence.len(), it.evidence.iter().filter(|(_, it)| *it).count()))
        };
        assert_eq!(has(Condition::Always, "look", false), Some((60, 60)));
        assert_eq!(has(Condition::Always, "bank", false), None);
        assert_eq!(has(Condition::Word("ship".into()), "courier", false), Some((20, 20)));
        assert_eq!(has(Condition::Word("lamp".into()), "bank", false), Some((20, 20)));
        assert_eq!(has(Condition::Word("lamp".into()), "look", false), None, "it is used anyway");
        assert_eq!(has(Condition::Kind("Furniture".into()), "bank", true), Some((20, 20)));
        assert_eq!(has(Condition::After("look".into()), "courier", false), Some((60, 20)));
        assert!(rules.iter().all(|it| it.evidence.len() > 1));
    }

    #[test]
    fn only_what_is_no_chance_tells() {
        assert!(likelihood_ratio((20, 20), (40, 2)) > SIGNIFICANT);
        assert!(likelihood_ratio((4, 3), (40, 20)) < SIGNIFICANT);
        assert_eq!(likelihood_ratio((40, 2), (20, 20)), 0.0);
        assert_eq!(likelihood_ratio((0, 0), (20, 20)), 0.0);
    }
}
