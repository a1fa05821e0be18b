//! The pieces of a cycle, one after the other; the caller may stop between any two.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use crate::clock::Timestamp;
use crate::id::{EpisodeId, HeuristicId, PatternId, PlaybookId};
use crate::learn::belief::{BeliefConfig, pattern_confidence};
use crate::learn::consolidate::ConsolidationConfig;
use crate::learn::consolidate::similar::Content;
use crate::learn::demotion::standing;
use crate::learn::heuristics::conflict::resolve;
use crate::learn::heuristics::generalise::{Generalised, generalise};
use crate::learn::heuristics::prune::{is_prunable, prune};
use crate::model::entity::Entity;
use crate::model::evidence::{Evidence, EvidenceRole, ItemId, Standing, Tally};
use crate::model::heuristic::Heuristic;
use crate::model::kind::Kind;
use crate::model::pattern::Pattern;
use crate::model::playbook::Playbook;

/// Newest episodes that a merged pattern names.
const NAMED_EPISODES: usize = 16;
/// A change of confidence below this is not worth a write.
const NOTABLE: f64 = 0.005;

/// One piece of work.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Piece {
    /// Look for an older pattern with the same content as this one.
    Match(PatternId),
    /// Merge the second pattern into the first.
    Merge(PatternId, PatternId),
    /// Compute an item anew from its evidence as of now, or remove it.
    Recount(ItemId),
    /// Find the heuristics that lose a conflict; computing them anew then demotes them.
    Resolve,
    /// Remove special heuristics that say no more than general ones.
    Generalise,
}

impl Piece {
    /// Returns the items whose evidence [`Consolidator::run`] needs.
    pub(crate) fn needs(&self) -> Vec<ItemId> {
        match self {
            Self::Match(_) | Self::Resolve | Self::Generalise => Vec::new(),
            Self::Merge(survivor, duplicate) => vec![ItemId::Pattern(*survivor), ItemId::Pattern(*duplicate)],
            Self::Recount(item) => vec![*item],
        }
    }
}

/// The evidence on the items that a piece needs.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Known<'a> {
    pub(crate) evidence: &'a [Evidence],
    /// Whether this is all there ever was: none of it is out of reach, and none has expired.
    pub(crate) complete: bool,
}

/// What a piece changes, to be committed as one.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct Changes {
    /// Records to write, by identifier.
    pub(crate) write: Vec<(String, Entity)>,
    /// Records to remove.
    pub(crate) remove: Vec<(Kind, String)>,
    /// Patterns merged into near-duplicates.
    pub(crate) merged: u32,
    /// Items whose confidence or standing was computed anew and has changed.
    pub(crate) decayed: u32,
    /// Items removed for lack of evidence.
    pub(crate) pruned: u32,
    /// Heuristics that went with more general ones.
    pub(crate) generalised: u32,
    /// What was done, in words.
    pub(crate) notes: Vec<String>,
}

/// A cycle over what was learned: first near-duplicates, then each item by itself, then heuristics among each other.
///
/// It holds the items as they will be once the changes it gave are committed. The caller takes [`Consolidator::next`],
/// reads the evidence it needs, calls [`Consolidator::run`], commits, and may stop at any time: each piece leaves the
/// whole consistent, and the next cycle finds what is left.
#[derive(Debug)]
pub(crate) struct Consolidator {
    now: Timestamp,
    config: ConsolidationConfig,
    belief: BeliefConfig,
    patterns: BTreeMap<PatternId, (Pattern, Content)>,
    /// The patterns that may be merged with each other, those looked at so far, oldest first.
    matched: BTreeMap<Group, Vec<PatternId>>,
    heuristics: BTreeMap<HeuristicId, Heuristic>,
    playbooks: BTreeMap<PlaybookId, Playbook>,
    /// The heuristics that lost a conflict.
    losers: BTreeSet<HeuristicId>,
    pieces: VecDeque<Piece>,
}

/// What patterns must share to be merged: strategy, domain and kind of task.
type Group = (String, Option<String>, String);

fn group_of(pattern: &Pattern) -> Group {
    (pattern.strategy.clone(), pattern.domain.clone(), pattern.task_kind.clone())
}

impl Consolidator {
    /// Plans a cycle.
    pub(crate) fn new(
        patterns: Vec<Pattern>,
        heuristics: Vec<Heuristic>,
        playbooks: Vec<Playbook>,
        now: Timestamp,
        config: ConsolidationConfig,
        belief: BeliefConfig,
    ) -> Self {
        let mut by_age: Vec<&Pattern> = patterns.iter().collect();
        by_age.sort_by_key(|pattern| (pattern.created_at, pattern.id));
        let mut pieces: VecDeque<Piece> = by_age.iter().map(|pattern| Piece::Match(pattern.id)).collect();
        pieces.extend(by_age.iter().map(|pattern| Piece::Recount(ItemId::Pattern(pattern.id))));
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
            belief,
            patterns: patterns.collect(),
            matched: BTreeMap::new(),
            heuristics: heuristics.into_iter().map(|heuristic| (heuristic.id, heuristic)).collect(),
            playbooks: playbooks.into_iter().map(|playbook| (playbook.id, playbook)).collect(),
            losers: BTreeSet::new(),
            pieces,
        }
    }

    /// Goes on with a piece that an earlier cycle did not get to; if there is none such any more, from the start.
    pub(crate) fn go_on_with(&mut self, left: &Piece) {
        let left = match left {
            // Found by looking at the second one.
            Piece::Merge(_, duplicate) => &Piece::Match(*duplicate),
            other => other,
        };
        let Some(at) = self.pieces.iter().position(|piece| piece == left) else { return };
        let done: Vec<Piece> = self.pieces.drain(..at).collect();
        for piece in done {
            if let Piece::Match(id) = piece
                && let Some((pattern, _)) = self.patterns.get(&id)
            {
                self.matched.entry(group_of(pattern)).or_default().push(id);
            }
        }
        if let Piece::Recount(ItemId::Heuristic(_)) = left {
            // Which of them lose a conflict is found anew in each cycle.
            self.pieces.push_front(Piece::Resolve);
        }
    }

    /// Returns the next piece; `None` once the cycle is over.
    pub(crate) fn next(&mut self) -> Option<Piece> {
        self.pieces.pop_front()
    }

    /// Replaces an item by what is stored of it now; `None`: it is gone. Between two pieces others learn and forget, and
    /// no piece may write what they replaced or removed.
    pub(crate) fn renew(&mut self, item: ItemId, stored: Option<Entity>) {
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
            (ItemId::Pattern(id), _) => {
                self.patterns.remove(&id);
            }
            (ItemId::Playbook(id), _) => {
                self.playbooks.remove(&id);
            }
            (ItemId::Heuristic(id), _) => {
                self.heuristics.remove(&id);
            }
            (ItemId::Episode(_) | ItemId::Failure(_), _) => {}
        }
    }

    /// Does a piece. `known` is the evidence on the items the piece needs; `baseline` gives the tally of the episodes of
    /// a domain without the item.
    pub(crate) fn run(
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

    fn find_duplicate(&mut self, id: PatternId) -> Changes {
        let Some((pattern, content)) = self.patterns.get(&id) else { return Changes::default() };
        let older = self.matched.entry(group_of(pattern)).or_default();
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

    fn merge(&mut self, survivor: PatternId, duplicate: PatternId, known: Known<'_>) -> Changes {
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
            if let std::collections::btree_map::Entry::Vacant(free) = all.entry(moved.record_id()) {
                changes.write.push((moved.record_id(), moved.clone().into()));
                free.insert(moved);
            }
        }
        let all: Vec<Evidence> = all.into_values().collect();
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
        changes.remove.push((Kind::Pattern, duplicate.to_string()));
        changes.merged = 1;
        changes.notes.push(format!("merged pattern {duplicate} into {survivor} ({})", pattern.strategy));
        changes
    }

    fn recount(
        &mut self,
        item: ItemId,
        Known { evidence, complete }: Known<'_>,
        baseline: &dyn Fn(Option<&str>) -> Tally,
    ) -> Changes {
        let (now, belief) = (self.now, self.belief.clone());
        let (observed, used) = tallies(evidence.iter().filter(|piece| piece.item == item), &belief);
        let Some((known, known_used, created_at, domain)) = self.figures(item) else {
            return Changes::default();
        };
        // Evidence expired under other settings if what the item was first seen by is not there any more.
        let complete = complete && reaches(evidence, item, created_at);
        let of = |read: Tally, known: Tally| if complete { read } else { at_least(read, known) };
        let (observed, used) = (of(observed, known), of(used, known_used));
        let last_heard = used.as_of.max(created_at);
        let standing = standing(&used, &baseline(domain.as_deref()), now, &belief);
        match item {
            ItemId::Pattern(id) => {
                let Some((pattern, _)) = self.patterns.get_mut(&id) else { return Changes::default() };
                let confidence = pattern_confidence(&pattern.body, &observed, now, &belief);
                if is_prunable(&observed, confidence, last_heard, now, &self.config, &belief) {
                    let note =
                        format!("pruned pattern {id} ({}): {}", pattern.strategy, why(&observed, confidence));
                    self.patterns.remove(&id);
                    return removed(item, evidence, note);
                }
                let was = Figures::of(&[&pattern.tally, &pattern.used], pattern.confidence, pattern.standing);
                (pattern.tally, pattern.used, pattern.confidence) = (observed, used, confidence);
                pattern.standing = standing;
                pattern.updated_at = now;
                let is = Figures::of(&[&pattern.tally, &pattern.used], pattern.confidence, pattern.standing);
                changed(was, is, id.to_string(), || pattern.clone().into())
            }
            ItemId::Playbook(id) => {
                let Some(playbook) = self.playbooks.get_mut(&id) else { return Changes::default() };
                let confidence = observed.lower_bound(now, &belief);
                if is_prunable(&observed, confidence, last_heard, now, &self.config, &belief) {
                    let note =
                        format!("pruned playbook {:?}: {}", playbook.title, why(&observed, confidence));
                    self.playbooks.remove(&id);
                    return removed(item, evidence, note);
                }
                let was =
                    Figures::of(&[&playbook.tally, &playbook.used], playbook.confidence, playbook.standing);
                (playbook.tally, playbook.used, playbook.confidence) = (observed, used, confidence);
                playbook.standing = standing;
                playbook.updated_at = now;
                let is =
                    Figures::of(&[&playbook.tally, &playbook.used], playbook.confidence, playbook.standing);
                changed(was, is, id.to_string(), || playbook.clone().into())
            }
            ItemId::Heuristic(id) => {
                let Some(rule) = self.heuristics.get_mut(&id) else { return Changes::default() };
                let was = Figures::of(&[&rule.used], rule.confidence, rule.standing);
                // Its tally is that of the episodes, not of evidence records: only time goes on for it.
                rule.confidence = rule.tally.lower_bound(now, &belief);
                rule.used = used;
                if !prune(std::slice::from_ref(rule), now, &self.config, &belief).is_empty() {
                    let note =
                        format!("pruned heuristic {:?}: {}", rule.action, why(&rule.tally, rule.confidence));
                    self.heuristics.remove(&id);
                    return removed(item, evidence, note);
                }
                let floor = if self.losers.contains(&id) { Standing::Demoted } else { Standing::Active };
                rule.standing = if rule.pinned { Standing::Active } else { standing.max(floor) };
                rule.updated_at = now;
                let is = Figures::of(&[&rule.used], rule.confidence, rule.standing);
                changed(was, is, id.to_string(), || rule.clone().into())
            }
            // Neither has a confidence.
            ItemId::Episode(_) | ItemId::Failure(_) => Changes::default(),
        }
    }

    /// Returns the tallies known of an item, when it was created, and its domain.
    fn figures(&self, item: ItemId) -> Option<(Tally, Tally, Timestamp, Option<String>)> {
        match item {
            ItemId::Pattern(id) => {
                let (held, _) = self.patterns.get(&id)?;
                Some((held.tally, held.used, held.created_at, held.domain.clone()))
            }
            ItemId::Playbook(id) => {
                let held = self.playbooks.get(&id)?;
                Some((held.tally, held.used, held.created_at, held.domain.clone()))
            }
            ItemId::Heuristic(id) => {
                let held = self.heuristics.get(&id)?;
                Some((held.tally, held.used, held.created_at, held.domain.clone()))
            }
            ItemId::Episode(_) | ItemId::Failure(_) => None,
        }
    }

    fn resolve_conflicts(&mut self) -> Changes {
        let mut changes = Changes::default();
        let held: Vec<Heuristic> = self.heuristics.values().cloned().collect();
        for resolution in resolve(&held, self.now, &self.belief) {
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

/// Returns the tally of the evidence read, or the one known if that counts more: evidence out of reach is no reason to
/// forget what it said.
fn at_least(read: Tally, known: Tally) -> Tally {
    if read.count() < known.count() { known } else { read }
}

/// Returns what the evidence adds up to: where learning saw the item at work, and where it was used after a recall.
fn tallies<'a>(evidence: impl IntoIterator<Item = &'a Evidence>, config: &BeliefConfig) -> (Tally, Tally) {
    let mut pieces: Vec<&Evidence> = evidence.into_iter().collect();
    pieces.sort_by_key(|piece| (piece.at, piece.episode));
    let of = |role: EvidenceRole| {
        let chosen = pieces.iter().filter(move |piece| piece.role == role);
        Tally::from_evidence(chosen.map(|piece| (piece.success, piece.at)), config)
    };
    (of(EvidenceRole::Observed), of(EvidenceRole::Used))
}

fn why(tally: &Tally, confidence: f64) -> String {
    format!(
        "{} for, {} against, last on {}, confidence {confidence:.2}",
        tally.successes, tally.failures, tally.as_of
    )
}

/// Removes an item with the evidence on it.
fn removed(item: ItemId, evidence: &[Evidence], note: String) -> Changes {
    let mut remove = vec![(item.kind(), item.record_id())];
    let own = evidence.iter().filter(|piece| piece.item == item);
    remove.extend(own.map(|piece| (Kind::Evidence, piece.record_id())));
    Changes { remove, pruned: 1, notes: vec![note], ..Changes::default() }
}

/// What a recount may change of an item.
#[derive(Debug, Clone, PartialEq)]
struct Figures {
    /// Successes and failures of its tallies.
    counts: Vec<(u32, u32)>,
    confidence: f64,
    standing: Standing,
}

impl Figures {
    fn of(tallies: &[&Tally], confidence: f64, standing: Standing) -> Self {
        let counts = tallies.iter().map(|tally| (tally.successes, tally.failures)).collect();
        Self { counts, confidence, standing }
    }
}

/// Writes an item whose figures have changed. Two processes that learn at once write over each other's counts, which
/// are right again only once they are written as the evidence has them, however little that does to the confidence.
fn changed(was: Figures, is: Figures, id: String, entity: impl FnOnce() -> Entity) -> Changes {
    let notable = (was.confidence - is.confidence).abs() >= NOTABLE || was.standing != is.standing;
    if !notable && was.counts == is.counts {
        return Changes::default();
    }
    Changes { write: vec![(id, entity())], decayed: u32::from(notable), ..Changes::default() }
}

#[cfg(test)]
mod tests;
