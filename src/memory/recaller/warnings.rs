//! The warnings of a recall.

use memory_core::{EpisodeId, ItemId, Key, Pattern, PatternBody, Timestamp};
use memory_recall::groups::Contrast;
use memory_recall::query::RecallQuery;

use crate::memory::advise::DeadEnd;
use crate::memory::recalled::{Origin, Recall, Warning};
use crate::memory::recaller::Recaller;

/// Contrasts among similar episodes that are rendered.
const CONTRASTS: usize = 2;
/// Contrasts and anti-patterns that are rendered together.
const WARNINGS: usize = 3;
/// Tools that one warning names.
const DEAD_ENDS: usize = 5;

impl Recaller {
    pub(super) fn add_warnings(
        &self,
        contrasts: Vec<Contrast>,
        query: &RecallQuery,
        now: Timestamp,
        recall: &mut Recall,
    ) {
        for contrast in contrasts.into_iter().take(CONTRASTS) {
            let ids = |keys: &[Key]| -> Vec<EpisodeId> {
                keys.iter().filter_map(|key| key.id.parse().ok()).collect()
            };
            let (failing, succeeding) = (ids(&contrast.failing), ids(&contrast.succeeding));
            let Some(first) = failing.first() else { continue };
            let (tool, failed) = (&contrast.tool, failing.len());
            let (text, others) = if contrast.omitted {
                (format!("{failed} similar episodes failed without {tool}"), "with")
            } else {
                (format!("{failed} similar episodes failed after {tool}"), "without")
            };
            let text = match succeeding.len() {
                0 => text,
                count => format!("{text}; {count} succeeded {others} it"),
            };
            recall.warnings.push(Warning {
                text,
                tools: vec![contrast.tool],
                omitted: contrast.omitted,
                score: contrast.probability,
                item: ItemId::Episode(*first),
                origin: self.origin(&failing, query, now).unwrap_or_default(),
                episodes: failing,
            });
        }
    }

    pub(super) fn warn_of_dead_ends(
        &self,
        dead_ends: Vec<DeadEnd>,
        query: &RecallQuery,
        now: Timestamp,
    ) -> Option<Warning> {
        let shown = dead_ends.into_iter().filter_map(|mut end| {
            end.episodes.retain(|id| self.records.is_live(*id, now));
            (!end.episodes.is_empty()).then_some(end)
        });
        let shown: Vec<DeadEnd> = shown.take(DEAD_ENDS).collect();
        let mut episodes: Vec<EpisodeId> = Vec::new();
        for id in shown.iter().flat_map(|end| &end.episodes) {
            if !episodes.contains(id) {
                episodes.push(*id);
            }
        }
        let named: Vec<String> = shown.iter().map(|end| format!("{} ({})", end.tool, end.times())).collect();
        let at = query.done.last().map_or_else(
            || "before anything else had worked".to_owned(),
            |last| format!("once {last} had worked"),
        );
        Some(Warning {
            text: format!("in tasks like this one this failed {at}: {}", named.join(", ")),
            tools: shown.iter().map(|end| end.tool.clone()).collect(),
            omitted: false,
            score: shown.first()?.probability,
            item: ItemId::Episode(*episodes.first()?),
            origin: self.origin(&episodes, query, now).unwrap_or_default(),
            episodes,
        })
    }
}

pub(super) fn warn_of(pattern: &Pattern, score: f64, origin: Origin, warnings: &mut Vec<Warning>) {
    let PatternBody::AntiPattern { behaviour, consequence } = &pattern.body else { return };
    if score <= 0.0 || warnings.len() >= WARNINGS {
        return;
    }
    warnings.push(Warning {
        text: format!("{behaviour}: {consequence}"),
        tools: behaviour.tools().into_iter().map(str::to_owned).collect(),
        omitted: behaviour.is_omission(),
        score,
        item: ItemId::Pattern(pattern.id),
        episodes: pattern.episodes.clone(),
        origin,
    });
}
