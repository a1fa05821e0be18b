//! Keeps the stored heuristics in step with the episodes that they derive from.
//!
//! Heuristics are derived from the model of a domain ([`memory_learn::advise::Model::rules`]): which word
//! discriminates which tool depends on all of its episodes. Rulings and the results of uses survive every
//! computation.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

use memory_core::{
    Advice, Entity, EpisodeId, ErrorKind, Freshness, Heuristic, HeuristicId, ItemId, Key, Kind, Result,
    RuleCondition, Standing, Tally, Timestamp, lock,
};
use memory_learn::advise::{Condition, Rule};
use memory_learn::confidence::Confidence;
use memory_learn::confidence::ConfidenceConfig;
use memory_learn::heuristics::generalise::covers;
use memory_learn::heuristics::id_of;
use memory_learn::rulings::Rulings;
use memory_recall::tokenize::normalize_label;

use crate::memory::advisors::{Advisors, Domain, Shared, asking};
use crate::memory::backlog::Backlog;
use crate::memory::draft::Draft;
use crate::memory::records::Records;
use crate::memory::{LearningConfig, Listed};

/// New episodes, as a share of the known ones, from which heuristics are recomputed in the background.
const WORTHWHILE: f64 = 0.1;
/// The most heuristics for using a tool in one domain, and the most against using one; the best are kept.
const MOST: [usize; 2] = [200, 50];
/// A heuristic with a smaller lower bound says little more than that the tool exists.
const CONFIDENT_FROM: f64 = 0.3;
/// The episodes that support a heuristic, at least: one is chance.
const LEAST_SUPPORT: u32 = 2;
/// Newest episodes for and against that a heuristic names.
const NAMED_EPISODES: usize = 16;

/// Which heuristics are recomputed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refresh {
    /// Those of the domains where enough is new.
    Worthwhile,
    /// Those of the domains where anything is new.
    Changed,
}

/// The stored heuristics of a domain, with the stamps that the index had for them and for rulings then.
type Stored = ((u64, u64), Arc<Vec<Heuristic>>);

/// Computes the heuristics of each domain from its model, and keeps those that are stored in step.
pub(super) struct Rules {
    records: Arc<Records>,
    backlog: Arc<Backlog>,
    advisors: Arc<Advisors>,
    learning: Arc<LearningConfig>,
    /// The latest result, by domain.
    computed: Mutex<BTreeMap<Domain, Arc<Vec<Heuristic>>>>,
    /// Domains whose heuristics are out of step, with how many episodes are new.
    stale: Mutex<BTreeMap<Domain, usize>>,
    /// From how many episodes this process has last computed the heuristics to store of a domain.
    refreshed: Mutex<BTreeMap<Domain, usize>>,
    stored: Mutex<BTreeMap<Domain, Stored>>,
}

impl Rules {
    pub(super) fn new(
        records: Arc<Records>,
        backlog: Arc<Backlog>,
        advisors: Arc<Advisors>,
        learning: Arc<LearningConfig>,
    ) -> Self {
        Self {
            records,
            backlog,
            advisors,
            learning,
            computed: Mutex::default(),
            stale: Mutex::default(),
            refreshed: Mutex::default(),
            stored: Mutex::default(),
        }
    }

    /// Notes that an episode of a domain was added, changed or removed.
    pub(super) fn note(&self, domain: Option<&str>) {
        *lock(&self.stale).entry(domain.map(normalize_label)).or_default() += 1;
    }

    /// Recomputes and stores due heuristics; returns how many records were written.
    pub(super) async fn refresh_heuristics(&self, which: Refresh) -> Result<u64> {
        let stale: BTreeSet<Domain> = {
            let refreshed = lock(&self.refreshed);
            let worthwhile = |domain: &Domain, new: usize| {
                let known = refreshed.get(domain).copied().unwrap_or_default();
                which != Refresh::Worthwhile || new as f64 >= known as f64 * WORTHWHILE
            };
            let stale = lock(&self.stale);
            let changed = stale.iter().filter(|(domain, new)| worthwhile(domain, **new));
            changed.map(|(domain, _)| domain.clone()).collect()
        };
        let mut written = 0;
        for domain in stale {
            let new = lock(&self.stale).remove(&domain).unwrap_or_default();
            let stored = self.refresh_domain(&domain).await;
            if !matches!(stored, Ok(Some(_))) && new > 0 {
                *lock(&self.stale).entry(domain).or_default() += new;
            }
            written += stored?.unwrap_or_default();
        }
        Ok(written)
    }

    /// Computes and stores the heuristics of domains that this process has not computed yet, in order, until
    /// `stop` returns true: another process may have ended before it did so.
    pub(super) async fn refresh_others(&self, stop: impl Fn() -> bool) -> Result<()> {
        let space = self.records.engine.namespace();
        for domain in self.records.index.with(|index| index.domains(space)) {
            if lock(&self.refreshed).contains_key(&domain) {
                continue;
            }
            if stop() {
                return Ok(());
            }
            let _gate = self.backlog.gate.lock().await;
            if self.refresh_domain(&domain).await?.is_none() {
                // It is not looked at as long as nothing can be stored.
                lock(&self.refreshed).remove(&domain);
                return Ok(());
            }
        }
        Ok(())
    }

    /// Computes the heuristics of a domain and stores them; returns how many were written, or `None` if they
    /// must wait.
    async fn refresh_domain(&self, domain: &Domain) -> Result<Option<u64>> {
        let (advisor, episodes) = self.advisors.learned_advisor(domain).await?;
        let heuristics = self.heuristics_of(domain.as_deref(), &advisor, self.records.engine.now()).await?;
        let heuristics = Arc::new(heuristics);
        // Computed is computed: while nothing can be stored it is not done again for each episode.
        lock(&self.refreshed).insert(domain.clone(), episodes);
        match episodes {
            // Queries may name any domain: nothing is kept for domains that do not exist.
            0 => drop(lock(&self.computed).remove(domain)),
            _ => drop(lock(&self.computed).insert(domain.clone(), heuristics.clone())),
        }
        self.store_heuristics(domain, &heuristics).await
    }

    /// Returns the heuristics of a domain that this process computed last.
    pub(super) fn computed_heuristics(&self, domain: Option<&str>) -> Arc<Vec<Heuristic>> {
        lock(&self.computed).get(&domain.map(normalize_label)).cloned().unwrap_or_default()
    }

    /// Returns the heuristics of a model, the most discriminating first.
    pub(super) async fn heuristics_of(
        &self,
        domain: Option<&str>,
        advisor: &Shared,
        now: Timestamp,
    ) -> Result<Vec<Heuristic>> {
        let advisor = advisor.clone();
        let rules = tokio::task::spawn_blocking(move || asking(&advisor, |model| model.rules()));
        let rules = rules.await.map_err(super::shutting_down)?;
        let space = self.records.engine.namespace();
        let mut at: BTreeMap<EpisodeId, Timestamp> = BTreeMap::new();
        self.records.index.with(|index| {
            for (id, _) in rules.iter().flat_map(|rule| &rule.evidence) {
                let id = EpisodeId(uuid::Uuid::from_u128(*id));
                at.entry(id).or_insert_with(|| {
                    index.origin(&Key::episode(space, id), now).map_or(Timestamp(0), |(_, at)| at)
                });
            }
        });
        // As of the newest episode, not of the wall clock: the same episodes give the same heuristics at any
        // time. An episode from the future must not make others look old.
        let as_of = at.values().max().copied().unwrap_or(Timestamp(0)).min(now);
        let sheet = Sheet { domain, at: &at, as_of, confidence: &self.learning.confidence };
        let mut heuristics: Vec<Heuristic> = rules.iter().map(|rule| sheet.heuristic(rule)).collect();
        heuristics.retain(|it| it.tally.successes >= LEAST_SUPPORT && it.confidence >= CONFIDENT_FROM);
        heuristics.sort_by(|a, b| {
            b.confidence
                .total_cmp(&a.confidence)
                .then_with(|| (&a.condition, &a.tool, a.advice).cmp(&(&b.condition, &b.tool, b.advice)))
        });
        let mut kept = [0; 2];
        heuristics.retain(|it| {
            let place = usize::from(it.advice == Advice::Avoid);
            kept[place] += 1;
            kept[place] <= MOST[place]
        });
        Ok(heuristics)
    }

    /// Returns the heuristics of a domain as stored, those that are ruled out included, and how many are out of
    /// reach.
    pub(super) async fn stored_heuristics(
        &self,
        domain: Option<&str>,
    ) -> Result<(Arc<Vec<Heuristic>>, usize)> {
        let space = self.records.engine.namespace();
        let domain = &domain.map(normalize_label);
        let stamp = self
            .records
            .index
            .with(|index| (index.stamp(space, Kind::Heuristic), index.stamp(space, Kind::Ruling)));
        if let Some((then, held)) = lock(&self.stored).get(domain)
            && *then == stamp
        {
            return Ok((held.clone(), 0));
        }
        let keys = self.records.index.with(|index| {
            let keys = index.learned_of(space, Kind::Heuristic, domain.as_deref()).into_iter();
            keys.map(|key| (index.revision(&key), key)).collect::<Vec<(_, Key)>>()
        });
        let mut heuristics = Vec::with_capacity(keys.len());
        let (mut out_of_reach, mut current) = (0, true);
        let (revisions, keys): (Vec<_>, Vec<Key>) = keys.into_iter().unzip();
        for (known, read) in revisions.into_iter().zip(self.records.engine.read_each(&keys).await?) {
            match read {
                Ok(read) => {
                    // The index gets a change before the layers below it do.
                    current &= read.record.as_ref().map(|record| record.revision) >= known;
                    let entity =
                        read.record.and_then(|record| record.entity).map(|entity| self.records.noted(entity));
                    heuristics.extend(entity.as_deref().and_then(Entity::as_heuristic).cloned());
                }
                Err(error) if error.is_transient() || error.kind() == ErrorKind::Unauthorized => {
                    out_of_reach += 1;
                }
                Err(error) => return Err(error),
            }
        }
        let heuristics = Arc::new(heuristics);
        if current && out_of_reach == 0 && !heuristics.is_empty() {
            lock(&self.stored).insert(domain.clone(), (stamp, heuristics.clone()));
        }
        Ok((heuristics, out_of_reach))
    }

    /// Writes the heuristics that changed, and removes those without support. Returns how many, or `None` if
    /// the stored state is unknown: a ruling that this machine does not know must not be overwritten.
    async fn store_heuristics(&self, domain: &Domain, heuristics: &[Heuristic]) -> Result<Option<u64>> {
        let Listed { items: held, freshness } =
            self.records.all(Kind::Heuristic, Entity::as_heuristic).await?;
        // The index may be one pull late; rulings made just now must stay.
        let rulings = self.records.all(Kind::Ruling, Entity::as_ruling).await?;
        if freshness.or_staler(rulings.freshness) != Freshness::Fresh {
            return Ok(None);
        }
        let rulings: Rulings = rulings.items.iter().collect();
        let mut held: BTreeMap<_, Heuristic> = held
            .into_iter()
            .filter(|heuristic| heuristic.domain.as_deref().map(normalize_label) == *domain)
            .map(|heuristic| {
                let ruling = rulings.on(ItemId::Heuristic(heuristic.id));
                (heuristic.id, Heuristic { ruling, ..heuristic })
            })
            .collect();
        let computed: BTreeMap<_, &Heuristic> =
            heuristics.iter().map(|heuristic| (heuristic.id, heuristic)).collect();
        // A special rule stays out as long as a general rule covers it.
        let is_special = |id: &HeuristicId, of: &Heuristic| {
            let covered = |special: &&Heuristic| computed.get(&of.id).is_some_and(|it| covers(it, special));
            computed.get(id).is_none_or(covered)
        };
        let replaced: BTreeSet<_> = held
            .values()
            .flat_map(|of| of.generalises.iter().filter(|id| is_special(id, of)).copied())
            .collect();
        let mut draft = Draft::new(&self.records);
        for computed in heuristics {
            let mut heuristic = computed.clone();
            match held.remove(&heuristic.id) {
                Some(old) => {
                    heuristic.used = old.used;
                    heuristic.standing = if old.is_pinned() { Standing::Active } else { old.standing };
                    heuristic.ruling = old.ruling;
                    heuristic.generalises =
                        old.generalises.iter().filter(|id| is_special(id, &old)).copied().collect();
                    heuristic.created_at = old.created_at;
                    if heuristic == old {
                        continue;
                    }
                }
                None if replaced.contains(&heuristic.id) => continue,
                None => {}
            }
            draft.put(heuristic.id.to_string(), heuristic);
        }
        for (id, old) in held {
            if old.ruling.is_none() {
                draft.remove(Kind::Heuristic, id.to_string());
                continue;
            }
            // A ruling keeps its condition, but nothing of the episodes that showed it.
            let ruled = Heuristic {
                tally: Tally::default(),
                confidence: Tally::default().lower_bound(Timestamp(0), &self.learning.confidence),
                weight: 0.0,
                supporting: Vec::new(),
                contradicting: Vec::new(),
                generalises: Vec::new(),
                ..old.clone()
            };
            if ruled != old {
                draft.put(id.to_string(), ruled);
            }
        }
        let records = draft.into_records();
        let written = records.len() as u64;
        self.records.engine.commit(records).await?;
        Ok(Some(written))
    }
}

/// The common inputs for the heuristics of one domain.
struct Sheet<'s> {
    domain: Option<&'s str>,
    /// When episodes began.
    at: &'s BTreeMap<EpisodeId, Timestamp>,
    as_of: Timestamp,
    confidence: &'s ConfidenceConfig,
}

impl Sheet<'_> {
    fn heuristic(&self, rule: &Rule) -> Heuristic {
        let condition = match &rule.condition {
            Condition::Always => RuleCondition::default(),
            Condition::Word(word) => RuleCondition { terms: vec![word.clone()], ..RuleCondition::default() },
            Condition::Kind(kind) => {
                RuleCondition { task_kind: Some(kind.clone()), ..RuleCondition::default() }
            }
            Condition::After(tool) => {
                RuleCondition { after_tool: Some(tool.clone()), ..RuleCondition::default() }
            }
        };
        let tool = &rule.tool;
        let (advice, action) = match rule.against {
            true => (Advice::Avoid, format!("do not use {tool}")),
            false => (Advice::Use, format!("use {tool}")),
        };
        let mut evidence: Vec<(Timestamp, EpisodeId, bool)> = rule
            .evidence
            .iter()
            .map(|(id, supports)| {
                let id = EpisodeId(uuid::Uuid::from_u128(*id));
                (self.at.get(&id).copied().unwrap_or(Timestamp(0)).min(self.as_of), id, *supports)
            })
            .collect();
        evidence.sort_unstable();
        let pieces = evidence.iter().map(|(at, _, supports)| (f64::from(u8::from(*supports)), *at));
        let tally = Tally::from_evidence(pieces, self.confidence);
        let named = |wanted: bool| {
            let of = evidence.iter().rev().filter(|(.., supports)| *supports == wanted);
            of.map(|(_, id, _)| *id).take(NAMED_EPISODES).collect()
        };
        let log_odds = |n: usize, hits: usize| ((hits as f64 + 0.5) / ((n - hits) as f64 + 0.5)).ln();
        let hits = evidence.iter().filter(|(.., supports)| *supports).count();
        let (n, others) = rule.without;
        // Where the condition always held there is nothing to compare with.
        let weight = if n > 0 { log_odds(evidence.len(), hits) - log_odds(n, others.min(n)) } else { 0.0 };
        Heuristic {
            id: id_of(self.domain, &condition, advice, tool),
            condition,
            advice,
            tool: tool.clone(),
            action,
            domain: self.domain.map(str::to_owned),
            tally,
            confidence: tally.lower_bound(self.as_of, self.confidence),
            used: Tally::default(),
            standing: Standing::Active,
            weight,
            supporting: named(true),
            contradicting: named(false),
            generalises: Vec::new(),
            ruling: None,
            created_at: evidence.first().map_or(self.as_of, |(at, ..)| *at),
            updated_at: self.as_of,
        }
    }
}
