//! The pieces of a cycle, one after the other; the caller may stop between any two.

mod merge;
mod recount;

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use memory_core::{
    Entity, Evidence, EvidenceRole, Failure, FailureId, Heuristic, HeuristicId, ItemId, Kind, Pattern,
    PatternId, Playbook, PlaybookId, Standing, Tally, Timestamp,
};

use crate::confidence::Confidence;
use crate::confidence::ConfidenceConfig;
use crate::consolidate::ConsolidationConfig;
use crate::consolidate::similar::Content;
use crate::heuristics::conflict::resolve;
use crate::heuristics::generalise::{Generalised, generalise};

use merge::{Group, group_of};

/// One piece of work.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Piece {
    /// Look for an older pattern with the same content as this one.
    Match(PatternId),
    /// Merge the second pattern into the first.
    Merge(PatternId, PatternId),
    /// Recompute an item from its evidence as of now, or remove it.
    Recount(ItemId),
    /// Find the heuristics that lose a conflict; recomputing them then demotes them.
    Resolve,
    /// Remove special heuristics that general ones cover.
    Generalise,
}

impl Piece {
    /// Returns the items whose evidence [`Consolidator::run`] needs.
    pub fn needs(&self) -> Vec<ItemId> {
        match self {
            Self::Match(_) | Self::Resolve | Self::Generalise => Vec::new(),
            Self::Merge(survivor, duplicate) => vec![ItemId::Pattern(*survivor), ItemId::Pattern(*duplicate)],
            Self::Recount(item) => vec![*item],
        }
    }
}

/// The evidence on the items that a piece needs.
#[derive(Debug, Clone, Copy)]
pub struct Known<'a> {
    /// The evidence.
    pub evidence: &'a [Evidence],
    /// Whether this is all there ever was: none of it is out of reach, and none has expired.
    pub complete: bool,
}

/// The changes of a piece, to be committed as one.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Changes {
    /// Records to write, by identifier.
    pub write: Vec<(String, Entity)>,
    /// Records to remove.
    pub remove: Vec<(Kind, String)>,
    /// Patterns merged into near-duplicates.
    pub merged: u32,
    /// Items whose confidence or status changed when recomputed.
    pub decayed: u32,
    /// Items removed for lack of evidence.
    pub pruned: u32,
    /// Heuristics that more general ones replaced.
    pub generalised: u32,
    /// Descriptions of the changes.
    pub notes: Vec<String>,
}

/// A cycle over learned items: first near-duplicates, then each item alone, then heuristics among each other.
///
/// It holds the items as they will be once its changes are committed. The caller takes
/// [`Consolidator::next_piece`], reads the evidence that it needs, calls [`Consolidator::run`] and commits. It
/// may stop at any time: each piece leaves all items consistent, and the next cycle finds the rest.
#[derive(Debug)]
pub struct Consolidator {
    now: Timestamp,
    config: ConsolidationConfig,
    confidence: ConfidenceConfig,
    patterns: BTreeMap<PatternId, (Pattern, Content)>,
    failures: BTreeMap<FailureId, Failure>,
    /// The patterns that may be merged with each other, those looked at so far, oldest first.
    matched: BTreeMap<Group, Vec<PatternId>>,
    heuristics: BTreeMap<HeuristicId, Heuristic>,
    playbooks: BTreeMap<PlaybookId, Playbook>,
    /// The heuristics that lost a conflict.
    losers: BTreeSet<HeuristicId>,
    pieces: VecDeque<Piece>,
}

impl Consolidator {
    /// Plans a cycle.
    pub fn new(
        patterns: Vec<Pattern>,
        heuristics: Vec<Heuristic>,
        playbooks: Vec<Playbook>,
        failures: Vec<Failure>,
        now: Timestamp,
        config: ConsolidationConfig,
        confidence: ConfidenceConfig,
    ) -> Self {
        let mut by_age: Vec<&Pattern> = patterns.iter().collect();
        by_age.sort_by_key(|pattern| (pattern.created_at, pattern.id));
        let mut pieces: VecDeque<Piece> = by_age.iter().map(|pattern| Piece::Match(pattern.id)).collect();
        pieces.extend(by_age.iter().map(|pattern| Piece::Recount(ItemId::Pattern(pattern.id))));
        pieces.extend(failures.iter().map(|failure| Piece::Recount(ItemId::Failure(failure.id))));
        pieces.extend(playbooks.iter().map(|playbook| Piece::Recount(ItemId::Playbook(playbook.id))));
        if !heuristics.is_empty() {
            pieces.push_back(Piece::Resolve);
        }
        pieces.extend(heuristics.iter().map(|heuristic| Piece::Recount(ItemId::Heuristic(heuristic.id))));
        if !heuristics.is_empty() {
            pieces.push_back(Piece::Generalise);
        }
        let patterns = patterns.into_iter().map(|pattern| {
            let content = Content::of(&pattern);
            (pattern.id, (pattern, content))
        });
        Self {
            now,
            config,
            confidence,
            patterns: patterns.collect(),
            failures: failures.into_iter().map(|failure| (failure.id, failure)).collect(),
            matched: BTreeMap::new(),
            heuristics: heuristics.into_iter().map(|heuristic| (heuristic.id, heuristic)).collect(),
            playbooks: playbooks.into_iter().map(|playbook| (playbook.id, playbook)).collect(),
            losers: BTreeSet::new(),
            pieces,
        }
    }

    /// Continues with a piece that an earlier cycle did not reach; if it no longer exists, starts from the
    /// beginning.
    pub fn go_on_with(&mut self, left: &Piece) {
        let from = match left {
            // Found by looking at the second one.
            Piece::Merge(_, duplicate) => Piece::Match(*duplicate),
            other => other.clone(),
        };
        let Some(at) = self.pieces.iter().position(|piece| *piece == from) else { return };
        let done: Vec<Piece> = self.pieces.drain(..at).collect();
        for piece in done {
            if let Piece::Match(id) = piece
                && let Some((pattern, _)) = self.patterns.get(&id)
            {
                self.matched.entry(group_of(pattern)).or_default().push(id);
            }
        }
        // A cycle may do no more than one piece; preparing a piece does not count as one.
        if let Piece::Merge(_, duplicate) = left {
            self.pieces.pop_front();
            self.find_duplicate(*duplicate);
        }
        if let Piece::Recount(ItemId::Heuristic(_)) = left {
            // Each cycle recomputes which of them lose a conflict; the first one noted it.
            self.resolve_conflicts();
        }
    }

    /// Returns the next piece; `None` once the cycle is over.
    pub fn next_piece(&mut self) -> Option<Piece> {
        self.pieces.pop_front()
    }

    /// Replaces an item by its stored version; `None` if it was deleted. Between two pieces others learn and
    /// forget, and no piece may overwrite what they replaced or removed.
    pub fn renew(&mut self, item: ItemId, stored: Option<Entity>) {
        match (item, stored) {
            (ItemId::Pattern(id), Some(Entity::Pattern(pattern))) => {
                let content = Content::of(&pattern);
                self.patterns.insert(id, (pattern, content));
            }
            (ItemId::Playbook(id), Some(Entity::Playbook(playbook))) => {
                self.playbooks.insert(id, playbook);
            }
            (ItemId::Heuristic(id), Some(Entity::Heuristic(rule))) => {
                self.heuristics.insert(id, rule);
            }
            (ItemId::Failure(id), Some(Entity::Failure(failure))) => {
                self.failures.insert(id, failure);
            }
            (ItemId::Pattern(id), _) => {
                self.patterns.remove(&id);
            }
            (ItemId::Playbook(id), _) => {
                self.playbooks.remove(&id);
            }
            (ItemId::Heuristic(id), _) => {
                self.heuristics.remove(&id);
            }
            (ItemId::Failure(id), _) => {
                self.failures.remove(&id);
            }
            _ => {}
        }
    }

    /// Runs a piece. `known` is the evidence on the items that the piece needs; `baseline` gives the counts of
    /// the episodes of a domain without the item.
    pub fn run(
        &mut self,
        piece: Piece,
        known: Known<'_>,
        baseline: &dyn Fn(Option<&str>) -> Tally,
    ) -> Changes {
        match piece {
            Piece::Match(id) => self.find_duplicate(id),
            Piece::Merge(survivor, duplicate) => self.merge(survivor, duplicate, known),
            Piece::Recount(item) => self.recount(item, known, baseline),
            Piece::Resolve => self.resolve_conflicts(),
            Piece::Generalise => self.generalise(),
        }
    }

    fn resolve_conflicts(&mut self) -> Changes {
        let mut changes = Changes::default();
        let held: Vec<Heuristic> = self.heuristics.values().cloned().collect();
        for resolution in resolve(&held, self.now, &self.confidence) {
            let (Some(better), Some(rule)) =
                (self.heuristics.get(&resolution.stays), self.heuristics.get(&resolution.demoted))
            else {
                continue;
            };
            if rule.standing == Standing::Active && self.losers.insert(rule.id) {
                let note =
                    format!("demoted heuristic {:?}: {:?} has more evidence", rule.action, better.action);
                changes.notes.push(note);
            }
            self.losers.insert(resolution.demoted);
        }
        changes
    }

    fn generalise(&mut self) -> Changes {
        let mut changes = Changes::default();
        let held: Vec<Heuristic> = self.heuristics.values().cloned().collect();
        for Generalised { general, special } in generalise(&held) {
            for id in &special {
                self.heuristics.remove(id);
                changes.remove.push((Kind::Heuristic, id.to_string()));
                changes.generalised += 1;
            }
            let Some(rule) = self.heuristics.get_mut(&general) else { continue };
            let all: BTreeSet<HeuristicId> = rule.generalises.iter().chain(&special).copied().collect();
            rule.generalises = all.into_iter().collect();
            changes.notes.push(format!(
                "{} more special heuristics on {} say no more than: {}",
                special.len(),
                rule.tool,
                rule.condition
            ));
            changes.write.push((general.to_string(), rule.clone().into()));
        }
        changes
    }
}

/// Returns true if there is evidence on an item from when it was first seen.
fn reaches(evidence: &[Evidence], item: ItemId, first_at: Timestamp) -> bool {
    evidence.iter().any(|piece| piece.item == item && piece.at <= first_at)
}

/// Returns the sums of the evidence: observed while learning, and used after a recall.
fn tallies<'a>(
    evidence: impl IntoIterator<Item = &'a Evidence>,
    config: &ConfidenceConfig,
) -> (Tally, Tally) {
    let mut pieces: Vec<&Evidence> = evidence.into_iter().collect();
    pieces.sort_by_key(|piece| (piece.at, piece.episode));
    let of = |role: EvidenceRole| {
        let chosen = pieces.iter().filter(move |piece| piece.role == role);
        Tally::from_evidence(chosen.map(|piece| (piece.success, piece.at)), config)
    };
    (of(EvidenceRole::Observed), of(EvidenceRole::Used))
}

#[cfg(test)]
mod tests;
