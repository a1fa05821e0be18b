//! Merging of near-duplicates among patterns and among failure lessons.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};

use super::{Changes, Consolidator, Known, Piece, reaches, tallies};
use crate::clock::Timestamp;
use crate::id::{EpisodeId, FailureId, PatternId};
use crate::learn::belief::pattern_confidence;
use crate::learn::consolidate::similar::Content;
use crate::learn::failure::merge;
use crate::model::evidence::{Evidence, ItemId, Tally};
use crate::model::failure::Failure;
use crate::model::kind::Kind;

/// Newest episodes that a merged pattern names.
const NAMED_EPISODES: usize = 16;

/// What must be the same for two items to be merged: of patterns strategy, domain and kind of task; of lessons tool, domain
/// and category.
pub(super) type Group = (Kind, String, Option<String>, String);

impl Consolidator {
    /// Returns what an item says, and which others it may be merged with.
    pub(super) fn content(&self, item: ItemId) -> Option<(Group, &Content)> {
        match item {
            ItemId::Pattern(id) => {
                let (held, content) = self.patterns.get(&id)?;
                let labels = (held.strategy.clone(), held.domain.clone(), held.task_kind.clone());
                Some(((Kind::Pattern, labels.0, labels.1, labels.2), content))
            }
            ItemId::Failure(id) => {
                let (held, content) = self.failures.get(&id)?;
                let labels = (held.tool.clone(), held.domain.clone(), held.category.clone());
                Some(((Kind::Failure, labels.0, labels.1, labels.2), content))
            }
            ItemId::Episode(_) | ItemId::Heuristic(_) | ItemId::Playbook(_) => None,
        }
    }

    /// Plans the merging of an item with the older one most like it, if there is one.
    pub(super) fn find_duplicate(&mut self, item: ItemId) -> Changes {
        let Some((group, content)) = self.content(item) else { return Changes::default() };
        let mut best: Option<(f64, ItemId)> = None;
        for candidate in self.matched.get(&group).into_iter().flatten() {
            let Some((_, other)) = self.content(*candidate) else { continue };
            let least = best.map_or(self.config.merge_similarity, |(similarity, _)| similarity);
            if let Some(similarity) = content.similarity(other, least)
                && best.is_none_or(|(held, _)| similarity > held)
            {
                best = Some((similarity, *candidate));
            }
        }
        match best {
            Some((_, survivor)) => self.pieces.push_front(Piece::Merge(survivor, item)),
            None => self.matched.entry(group).or_default().push(item),
        }
        Changes::default()
    }

    /// Merges the second item into the first: its evidence moves, its figures are added up from that.
    pub(super) fn merge(&mut self, survivor: ItemId, duplicate: ItemId, known: Known<'_>) -> Changes {
        match (survivor, duplicate) {
            _ if survivor == duplicate => Changes::default(),
            (ItemId::Pattern(survivor), ItemId::Pattern(duplicate)) => {
                self.merge_patterns(survivor, duplicate, known)
            }
            (ItemId::Failure(survivor), ItemId::Failure(duplicate)) => {
                self.merge_failures(survivor, duplicate, known)
            }
            _ => Changes::default(),
        }
    }

    fn merge_patterns(&mut self, survivor: PatternId, duplicate: PatternId, known: Known<'_>) -> Changes {
        if !self.patterns.contains_key(&survivor) {
            return Changes::default();
        }
        let Some((gone, _)) = self.patterns.remove(&duplicate) else { return Changes::default() };
        let Some((pattern, _)) = self.patterns.get_mut(&survivor) else { return Changes::default() };
        let items = [ItemId::Pattern(survivor), ItemId::Pattern(duplicate)];
        let (mut changes, all, complete) = moved(items, [pattern.created_at, gone.created_at], known);
        let (observed, used) = tallies(&all, &self.belief);
        let together = |read: Tally, own: Tally, other: &Tally| {
            let lacks = !complete && read.count() < own.count().max(other.count());
            if lacks { own.merge(other, &self.belief) } else { read }
        };
        pattern.tally = together(observed, pattern.tally, &gone.tally);
        pattern.used = together(used, pattern.used, &gone.used);
        pattern.confidence = pattern_confidence(&pattern.body, &pattern.tally, self.now, &self.belief);
        let episodes: BTreeSet<EpisodeId> = pattern.episodes.iter().chain(&gone.episodes).copied().collect();
        pattern.episodes = episodes.into_iter().rev().take(NAMED_EPISODES).collect();
        pattern.standing = pattern.standing.max(gone.standing);
        pattern.updated_at = self.now;
        changes.write.push((survivor.to_string(), pattern.clone().into()));
        changes.notes.push(format!("merged pattern {duplicate} into {survivor} ({})", pattern.strategy));
        changes
    }

    fn merge_failures(&mut self, survivor: FailureId, duplicate: FailureId, known: Known<'_>) -> Changes {
        if !self.failures.contains_key(&survivor) {
            return Changes::default();
        }
        let Some((gone, _)) = self.failures.remove(&duplicate) else { return Changes::default() };
        let Some((failure, _)) = self.failures.get_mut(&survivor) else { return Changes::default() };
        let items = [ItemId::Failure(survivor), ItemId::Failure(duplicate)];
        let (mut changes, all, complete) = moved(items, [failure.first_at, gone.first_at], known);
        let (observed, _) = tallies(&all, &self.belief);
        let lacks = !complete && observed.count() < failure.occurrences.max(gone.occurrences);
        let merged = merge(Some(failure.clone()), gone);
        let (occurrences, resolved) = if lacks {
            (merged.occurrences, merged.resolved)
        } else {
            (observed.count(), observed.successes)
        };
        // It stays what it is known by.
        let (id, error) = (survivor, failure.error.clone());
        *failure = Failure { id, error, occurrences, resolved, ..merged };
        changes.write.push((survivor.to_string(), failure.clone().into()));
        let tool = &failure.tool;
        changes.notes.push(format!("merged failure lesson {duplicate} into {survivor} ({tool})"));
        changes
    }
}

/// Moves the evidence on the second of two items to the first and removes the second. Returns all evidence on the first, and
/// whether that is all there ever was.
fn moved(
    [survivor, duplicate]: [ItemId; 2],
    first_at: [Timestamp; 2],
    Known { evidence, complete }: Known<'_>,
) -> (Changes, Vec<Evidence>, bool) {
    let complete =
        complete && reaches(evidence, survivor, first_at[0]) && reaches(evidence, duplicate, first_at[1]);
    let mut changes = Changes { merged: 1, ..Changes::default() };
    let mut all: BTreeMap<String, Evidence> = BTreeMap::new();
    for piece in evidence.iter().filter(|piece| piece.item == survivor) {
        all.insert(piece.record_id(), piece.clone());
    }
    for piece in evidence.iter().filter(|piece| piece.item == duplicate) {
        let moved = Evidence { item: survivor, ..piece.clone() };
        changes.remove.push((Kind::Evidence, piece.record_id()));
        // An episode that shows both shows the one item once.
        if let Entry::Vacant(free) = all.entry(moved.record_id()) {
            changes.write.push((moved.record_id(), moved.clone().into()));
            free.insert(moved);
        }
    }
    changes.remove.push((duplicate.kind(), duplicate.record_id()));
    (changes, all.into_values().collect(), complete)
}
