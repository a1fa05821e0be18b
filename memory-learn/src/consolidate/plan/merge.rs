//! Merging of near-duplicates among patterns.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};

use memory_core::{EpisodeId, Evidence, ItemId, Kind, Pattern, PatternId, Strategy, Tally};

use super::{Changes, Consolidator, Known, Piece, reaches, tallies};
use crate::confidence::Confidence;
use crate::confidence::pattern_confidence;

/// Newest episodes that a merged pattern names.
const NAMED_EPISODES: usize = 16;

/// The properties that patterns must share to be merged: strategy, domain and kind of task.
pub(super) type Group = (Strategy, Option<String>, Option<String>);

/// Returns the patterns that one may be merged with.
pub(super) fn group_of(pattern: &Pattern) -> Group {
    (pattern.strategy, pattern.domain.clone(), pattern.task_kind.clone())
}

impl Consolidator {
    /// Plans the merging of a pattern with the older one most like it, if there is one.
    pub(super) fn find_duplicate(&mut self, id: PatternId) -> Changes {
        let Some((pattern, content)) = self.patterns.get(&id) else { return Changes::default() };
        let older = self.matched.entry(group_of(pattern)).or_default();
        // Evidence of an item with a ruling is not evidence of another item.
        if pattern.ruling.is_some() {
            older.push(id);
            return Changes::default();
        }
        let mut best: Option<(f64, PatternId)> = None;
        for candidate in older.iter() {
            let Some((_, other)) = self.patterns.get(candidate) else { continue };
            let least = best.map_or(self.config.merge_similarity, |(similarity, _)| similarity);
            if let Some(similarity) = content.similarity(other, least)
                && best.is_none_or(|(held, _)| similarity > held)
            {
                best = Some((similarity, *candidate));
            }
        }
        match best {
            Some((_, survivor)) => self.pieces.push_front(Piece::Merge(survivor, id)),
            None => older.push(id),
        }
        Changes::default()
    }

    /// Merges the second pattern into the first: its evidence moves, its figures are added up from that.
    pub(super) fn merge(&mut self, survivor: PatternId, duplicate: PatternId, known: Known<'_>) -> Changes {
        let Known { evidence, complete } = known;
        let mut changes = Changes::default();
        if survivor == duplicate || !self.patterns.contains_key(&survivor) {
            return changes;
        }
        let Some((gone, _)) = self.patterns.remove(&duplicate) else { return changes };
        let Some((pattern, _)) = self.patterns.get_mut(&survivor) else { return changes };
        let complete = complete
            && reaches(evidence, ItemId::Pattern(survivor), pattern.created_at)
            && reaches(evidence, ItemId::Pattern(duplicate), gone.created_at);

        let mut all: BTreeMap<String, Evidence> = BTreeMap::new();
        for piece in evidence.iter().filter(|piece| piece.item == ItemId::Pattern(survivor)) {
            all.insert(piece.record_id(), piece.clone());
        }
        for piece in evidence.iter().filter(|piece| piece.item == ItemId::Pattern(duplicate)) {
            let moved = Evidence { item: ItemId::Pattern(survivor), ..piece.clone() };
            changes.remove.push((Kind::Evidence, piece.record_id()));
            // An episode that shows both shows the one pattern once.
            if let Entry::Vacant(free) = all.entry(moved.record_id()) {
                changes.write.push((moved.record_id(), moved.clone().into()));
                free.insert(moved);
            }
        }
        let all: Vec<Evidence> = all.into_values().collect();
        let (observed, used) = tallies(&all, &self.confidence);
        let together = |read: Tally, own: Tally, other: &Tally| {
            let lacks = !complete && read.count() < own.count().max(other.count());
            if lacks { own.merge(other, &self.confidence) } else { read }
        };
        pattern.tally = together(observed, pattern.tally, &gone.tally);
        pattern.used = together(used, pattern.used, &gone.used);
        pattern.confidence = pattern_confidence(&pattern.body, &pattern.tally, self.now, &self.confidence);
        let episodes: BTreeSet<EpisodeId> = pattern.episodes.iter().chain(&gone.episodes).copied().collect();
        pattern.episodes = episodes.into_iter().rev().take(NAMED_EPISODES).collect();
        pattern.standing = pattern.standing.max(gone.standing);
        pattern.updated_at = self.now;
        changes.write.push((survivor.to_string(), pattern.clone().into()));
        changes.remove.push((Kind::Pattern, duplicate.to_string()));
        changes.merged = 1;
        changes.notes.push(format!("merged pattern {duplicate} into {survivor} ({})", pattern.strategy));
        changes
    }
}
