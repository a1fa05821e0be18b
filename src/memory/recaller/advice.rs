//! The advised tools, and their supporting heuristics.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use memory_core::{ErrorKind, Heuristic, ItemId, Result, Timestamp};
use memory_learn::demotion::score_share;
use memory_recall::query::RecallQuery;

use crate::memory::advise::{DeadEnd, Neighbour, advise};
use crate::memory::advisors::asking;
use crate::memory::recalled::{Origin, Recall, Recalled, RecalledEpisode, ToolAdvice};
use crate::memory::recaller::Recaller;
use crate::memory::recaller::fixes::remedy;

/// Few items help, many distract.
const HEURISTICS: usize = 5;
/// Heuristics for one tool.
const OF_ONE_TOOL: usize = 2;
/// Nearest episodes that may show that nothing is left to do.
pub(super) const NEIGHBOURS: usize = 5;

impl Recaller {
    /// Adds the advised tools; returns the calls that failed at this point of similar tasks, and the tools that
    /// belong to other tasks.
    pub(super) async fn add_tools(
        &self,
        clauses: &[String],
        query: &RecallQuery,
        now: Timestamp,
        recall: &mut Recall,
    ) -> Result<(Vec<DeadEnd>, HashSet<String>)> {
        // A task without a domain is treated as one of the domain of the most similar episode.
        let nearest = recall.episodes.first().and_then(|found| found.episode.task.domain.clone());
        let domain = query.domain.clone().or(nearest);
        let domain = domain.as_deref();
        let advisor = match self.advisors.advisor(domain, query).await {
            Ok(advisor) => advisor,
            Err(error) if error.is_transient() || error.kind() == ErrorKind::Unauthorized => {
                return Ok(Default::default());
            }
            Err(error) => return Err(error),
        };
        let (mut heuristics, out_of_reach) = self.rules.stored_heuristics(domain).await?;
        recall.out_of_reach += out_of_reach;
        heuristics = self.with_rulings(heuristics, &self.rules.computed_heuristics(domain));
        if query.is_by_agent() {
            let own = self.rules.heuristics_of(domain, &advisor, now).await?;
            heuristics = Arc::new(of_those_asked(&heuristics, &own));
        }
        let remedy = remedy(query, recall);
        let advised = asking(&advisor, |model| advise(clauses, query, model, &heuristics, remedy.as_ref()));
        recall.tools = advised.tools;
        recall.heuristics = applied(&recall.tools, &heuristics);
        for found in &mut recall.heuristics {
            found.origin = self.origin(&found.item.supporting, query, now).unwrap_or_default();
        }
        Ok((advised.dead_ends, advised.for_others))
    }

    /// Adds to the stored heuristics those `computed` now that are not stored but have a ruling.
    fn with_rulings(&self, stored: Arc<Vec<Heuristic>>, computed: &[Heuristic]) -> Arc<Vec<Heuristic>> {
        let rulings = self.records.rulings();
        let ruled = |rule: &Heuristic| {
            let ruling = rulings.on(ItemId::Heuristic(rule.id))?;
            let is_new = stored.iter().all(|held| held.id != rule.id);
            is_new.then(|| Heuristic { ruling: Some(ruling), ..rule.clone() })
        };
        let new: Vec<Heuristic> =
            if rulings.is_empty() { vec![] } else { computed.iter().filter_map(ruled).collect() };
        if new.is_empty() { stored } else { Arc::new(stored.iter().cloned().chain(new).collect()) }
    }

    /// Advice may be as old as the last learned episode; episodes forgotten since then are not named.
    pub(super) fn leave_out_forgotten(&self, now: Timestamp, tools: &mut [ToolAdvice]) {
        for advice in tools {
            advice.items.retain(|item| match item {
                ItemId::Episode(id) => self.records.is_live(*id, now),
                _ => true,
            });
        }
    }
}

/// Returns the heuristics that the requested agents' episodes support (`shown`), with uses and rulings of the
/// `stored` ones; and all heuristics with a ruling.
fn of_those_asked(stored: &[Heuristic], shown: &[Heuristic]) -> Vec<Heuristic> {
    let mut stored: HashMap<_, &Heuristic> = stored.iter().map(|rule| (rule.id, rule)).collect();
    let own = shown.iter().map(|shown| match stored.remove(&shown.id) {
        Some(Heuristic { used, standing, ruling, .. }) => {
            Heuristic { used: *used, standing: *standing, ruling: *ruling, ..shown.clone() }
        }
        None => shown.clone(),
    });
    let mut asked: Vec<Heuristic> = own.collect();
    asked.extend(stored.into_values().filter(|rule| rule.ruling.is_some()).cloned());
    asked
}

pub(super) fn neighbour(found: &RecalledEpisode) -> Neighbour {
    let episode = &found.episode;
    let worked = episode.tools.iter().filter(|used| used.failures < used.calls);
    let success = episode.success_share().unwrap_or(0.0);
    (worked.map(|used| used.tool.clone()).collect(), found.parts.support, success)
}

/// Returns the heuristics that support the advice, the most discriminating first.
fn applied(tools: &[crate::memory::ToolAdvice], heuristics: &[Heuristic]) -> Vec<Recalled<Heuristic>> {
    let mut by_id: HashMap<_, _> =
        heuristics.iter().map(|heuristic| (ItemId::Heuristic(heuristic.id), heuristic)).collect();
    let mut applied: Vec<Recalled<Heuristic>> = Vec::new();
    for advice in tools {
        for item in &advice.items {
            if let Some(heuristic) = by_id.remove(item) {
                let score = heuristic.confidence * score_share(heuristic.standing);
                let reasons = vec![heuristic.sentence()];
                let origin = Origin::default();
                applied.push(Recalled { score, reasons, origin, item: heuristic.clone() });
            }
        }
    }
    applied.sort_by(|a, b| b.score.total_cmp(&a.score).then(a.item.id.cmp(&b.item.id)));
    // Many words may call for one tool; two are enough.
    let mut shown: HashMap<String, usize> = HashMap::new();
    applied.retain(|found| {
        let of_tool = shown.entry(found.item.tool.clone()).or_default();
        *of_tool += 1;
        *of_tool <= OF_ONE_TOOL
    });
    applied.truncate(HEURISTICS);
    applied
}
