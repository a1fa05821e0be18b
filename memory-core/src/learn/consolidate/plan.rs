//! The pieces of a cycle, one after the other; the caller may stop between any two.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use crate::clock::Timestamp;
use crate::id::{EpisodeId, HeuristicId, PatternId, PlaybookId};
use crate::learn::belief::{BeliefConfig, pattern_confidence};
use crate::learn::consolidate::ConsolidationConfig;
use crate::learn::consolidate::similar::Content;
use crate::learn::demotion::standing;
use crate::learn::heuristics::conflict::resolve;
use crate::learn::heuristics::generalise::generalise;
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
    /// Replace special heuristics by general ones.
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
    /// Heuristics replaced by more general ones.
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
    matched: BTreeMap<(String, Option<String>, String), Vec<PatternId>>,
    heuristics: BTreeMap<HeuristicId, Heuristic>,
    playbooks: BTreeMap<PlaybookId, Playbook>,
    /// The heuristics that lost a conflict.
    losers: BTreeSet<HeuristicId>,
    pieces: VecDeque<Piece>,
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

    /// Returns the next piece; `None` once the cycle is over.
    pub(crate) fn next(&mut self) -> Option<Piece> {
        self.pieces.pop_front()
    }

    /// Does a piece. `evidence` is that on the items the piece needs; `baseline` gives the tally of the episodes of a
    /// domain without the item.
    pub(crate) fn run(
        &mut self,
        piece: Piece,
        evidence: &[Evidence],
        baseline: &dyn Fn(Option<&str>) -> Tally,
    ) -> Changes {
        match piece {
            Piece::Match(id) => self.find_duplicate(id),
            Piece::Merge(survivor, duplicate) => self.merge(survivor, duplicate, evidence),
            Piece::Recount(item) => self.recount(item, evidence, baseline),
            Piece::Resolve => self.resolve_conflicts(),
            Piece::Generalise => self.generalise(),
        }
    }

    fn find_duplicate(&mut self, id: PatternId) -> Changes {
        let Some((pattern, content)) = self.patterns.get(&id) else { return Changes::default() };
        let group = (pattern.strategy.clone(), pattern.domain.clone(), pattern.task_kind.clone());
        let older = self.matched.entry(group).or_default();
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

    fn merge(&mut self, survivor: PatternId, duplicate: PatternId, evidence: &[Evidence]) -> Changes {
        let mut changes = Changes::default();
        if survivor == duplicate || !self.patterns.contains_key(&survivor) {
            return changes;
        }
        let Some((gone, _)) = self.patterns.remove(&duplicate) else { return changes };
        let Some((pattern, _)) = self.patterns.get_mut(&survivor) else { return changes };

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
        // Evidence out of reach is no reason to forget what it said.
        let complete = |read: Tally, own: Tally, other: &Tally| {
            if read.count() < own.count().max(other.count()) { own.merge(other, &self.belief) } else { read }
        };
        pattern.tally = complete(observed, pattern.tally, &gone.tally);
        pattern.used = complete(used, pattern.used, &gone.used);
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
        evidence: &[Evidence],
        baseline: &dyn Fn(Option<&str>) -> Tally,
    ) -> Changes {
        let (now, belief) = (self.now, self.belief.clone());
        let (observed, used) = tallies(evidence.iter().filter(|piece| piece.item == item), &belief);
        let Some((known, known_used, created_at, domain)) = self.figures(item) else {
            return Changes::default();
        };
        let (observed, used) = (at_least(observed, known), at_least(used, known_used));
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
                let was = (pattern.confidence, pattern.standing);
                (pattern.tally, pattern.used, pattern.confidence) = (observed, used, confidence);
                pattern.standing = standing;
                pattern.updated_at = now;
                decayed(was, (pattern.confidence, pattern.standing), id.to_string(), || {
                    pattern.clone().into()
                })
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
                let was = (playbook.confidence, playbook.standing);
                (playbook.tally, playbook.used, playbook.confidence) = (observed, used, confidence);
                playbook.standing = standing;
                playbook.updated_at = now;
                decayed(was, (playbook.confidence, playbook.standing), id.to_string(), || {
                    playbook.clone().into()
                })
            }
            ItemId::Heuristic(id) => {
                let Some(rule) = self.heuristics.get_mut(&id) else { return Changes::default() };
                let was = (rule.confidence, rule.standing);
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
                decayed(was, (rule.confidence, rule.standing), id.to_string(), || rule.clone().into())
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
        for general in generalise(&held, self.now, &self.belief) {
            for special in &general.generalises {
                // What somebody pinned stays beside the general rule.
                if self.heuristics.get(special).is_some_and(|rule| !rule.pinned) {
                    self.heuristics.remove(special);
                    changes.remove.push((Kind::Heuristic, special.to_string()));
                    changes.generalised += 1;
                }
            }
            changes.notes.push(format!(
                "generalised {} heuristics on {} to: {}",
                general.generalises.len(),
                general.tool,
                general.condition
            ));
            changes.write.push((general.id.to_string(), general.clone().into()));
            self.heuristics.insert(general.id, general);
        }
        changes
    }
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

fn decayed(
    was: (f64, Standing),
    is: (f64, Standing),
    id: String,
    entity: impl FnOnce() -> Entity,
) -> Changes {
    if (was.0 - is.0).abs() < NOTABLE && was.1 == is.1 {
        return Changes::default();
    }
    Changes { write: vec![(id, entity())], decayed: 1, ..Changes::default() }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::learn::heuristics::tests::heuristic;
    use crate::model::heuristic::Advice;
    use crate::model::pattern::PatternBody;

    const DAY: u64 = 86_400_000;
    const NOW: Timestamp = Timestamp(1_000 * DAY);

    fn pattern(number: u128, tools: &str, evidence: &[Evidence]) -> Pattern {
        let id = PatternId(Uuid::from_u128(number));
        let own = evidence.iter().filter(|piece| piece.item == ItemId::Pattern(id));
        let tally = tallies(own, &BeliefConfig::default()).0;
        Pattern {
            id,
            strategy: "tool_sequence".into(),
            domain: Some("web".into()),
            task_kind: "general".into(),
            body: PatternBody::ToolSequence { tools: tools.split_whitespace().map(str::to_owned).collect() },
            terms: Vec::new(),
            tally,
            confidence: tally.lower_bound(NOW, &BeliefConfig::default()),
            used: Tally::default(),
            standing: Standing::Active,
            episodes: Vec::new(),
            created_at: Timestamp(NOW.0 - 100 * DAY + number as u64),
            updated_at: NOW,
        }
    }

    fn seen(item: u128, episode: u128, success: f64, days_ago: u64, role: EvidenceRole) -> Evidence {
        Evidence {
            item: ItemId::Pattern(PatternId(Uuid::from_u128(item))),
            episode: EpisodeId(Uuid::from_u128(episode)),
            role,
            at: Timestamp(NOW.0 - days_ago * DAY),
            success,
            reward: 0.0,
            duration_ms: None,
            context: String::new(),
        }
    }

    /// Runs a cycle to its end; returns what is left of patterns and evidence, and the sum of the changes.
    fn cycle(
        patterns: Vec<Pattern>,
        heuristics: Vec<Heuristic>,
        evidence: &[Evidence],
        baseline: Tally,
    ) -> (BTreeMap<(Kind, String), Entity>, Changes) {
        let mut store: BTreeMap<(Kind, String), Entity> = BTreeMap::new();
        store.extend(patterns.iter().map(|p| ((Kind::Pattern, p.id.to_string()), p.clone().into())));
        store.extend(heuristics.iter().map(|h| ((Kind::Heuristic, h.id.to_string()), h.clone().into())));
        store.extend(evidence.iter().map(|e| ((Kind::Evidence, e.record_id()), e.clone().into())));
        let (config, belief) = (ConsolidationConfig::default(), BeliefConfig::default());
        let mut consolidator = Consolidator::new(patterns, heuristics, Vec::new(), NOW, config, belief);
        let mut sum = Changes::default();
        while let Some(piece) = consolidator.next() {
            let needs = piece.needs();
            let evidence: Vec<Evidence> = store
                .values()
                .filter_map(Entity::as_evidence)
                .filter(|piece| needs.contains(&piece.item))
                .cloned()
                .collect();
            let changes = consolidator.run(piece, &evidence, &|_| baseline);
            for (id, entity) in changes.write {
                store.insert((entity.kind(), id), entity);
            }
            for key in changes.remove {
                assert!(store.remove(&key).is_some(), "{key:?} was not there");
            }
            sum.merged += changes.merged;
            sum.decayed += changes.decayed;
            sum.pruned += changes.pruned;
            sum.generalised += changes.generalised;
            sum.notes.extend(changes.notes);
        }
        (store, sum)
    }

    fn patterns_of(store: &BTreeMap<(Kind, String), Entity>) -> Vec<Pattern> {
        store.values().filter_map(Entity::as_pattern).cloned().collect()
    }

    #[test]
    fn near_duplicates_become_one_with_the_evidence_of_both() {
        let observed = EvidenceRole::Observed;
        let evidence = [
            seen(1, 10, 1.0, 3, observed),
            seen(1, 11, 1.0, 2, observed),
            seen(2, 11, 1.0, 2, observed),
            seen(2, 12, 0.0, 1, observed),
            seen(2, 13, 1.0, 0, EvidenceRole::Used),
        ];
        let patterns =
            vec![pattern(2, "a b c", &evidence), pattern(1, "a b c", &evidence), pattern(3, "c b a", &[])];
        let (store, changes) = cycle(patterns, Vec::new(), &evidence, Tally::default());
        assert_eq!(changes.merged, 1);
        let left = patterns_of(&store);
        assert_eq!(left.iter().map(|p| p.id.0.as_u128()).collect::<Vec<_>>(), [1, 3]);
        assert_eq!((left[0].tally.successes, left[0].tally.failures, left[0].used.successes), (2, 1, 1));
        let moved: Vec<&Evidence> = store.values().filter_map(Entity::as_evidence).collect();
        assert_eq!(moved.len(), 4);
        assert!(moved.iter().all(|piece| piece.item == ItemId::Pattern(left[0].id)));
        // Nothing is left to do.
        let again: Vec<Evidence> = moved.into_iter().cloned().collect();
        let (_, changes) = cycle(left, Vec::new(), &again, Tally::default());
        assert_eq!(changes, Changes::default());
    }

    #[test]
    fn refuted_patterns_go_with_their_evidence_and_anti_patterns_stay() {
        let evidence: Vec<Evidence> =
            (0..9).map(|episode| seen(1, episode, 0.0, 1, EvidenceRole::Observed)).collect();
        let (store, changes) =
            cycle(vec![pattern(1, "a b", &evidence)], Vec::new(), &evidence, Tally::default());
        assert_eq!((changes.pruned, store.len()), (1, 0), "{:?}", changes.notes);

        let anti = PatternBody::AntiPattern { behaviour: "a".into(), consequence: "b".into() };
        let anti = Pattern { body: anti, strategy: "anti_pattern".into(), ..pattern(1, "a b", &evidence) };
        let (store, changes) = cycle(vec![anti], Vec::new(), &evidence, Tally::default());
        assert_eq!(changes.pruned, 0);
        assert!(patterns_of(&store)[0].confidence > 0.7);
    }

    #[test]
    fn evidence_out_of_reach_changes_nothing_for_good() {
        let evidence: Vec<Evidence> =
            (0..9).map(|episode| seen(1, episode, 1.0, 1, EvidenceRole::Observed)).collect();
        let whole = pattern(1, "a b", &evidence);
        for reach in [0, 4] {
            let (store, changes) =
                cycle(vec![whole.clone()], Vec::new(), &evidence[..reach], Tally::default());
            assert_eq!(changes.pruned, 0);
            assert_eq!(patterns_of(&store)[0].tally, whole.tally);
        }
    }

    #[test]
    fn confidence_decays_and_hurtful_items_are_withheld() {
        let mut evidence: Vec<Evidence> =
            (0..9).map(|episode| seen(1, episode, 1.0, 90, EvidenceRole::Observed)).collect();
        let fresh = pattern(1, "a b", &evidence);
        let fresh = Pattern {
            confidence: fresh.tally.lower_bound(fresh.tally.as_of, &BeliefConfig::default()),
            ..fresh
        };
        let (store, changes) = cycle(vec![fresh.clone()], Vec::new(), &evidence, Tally::default());
        assert_eq!(changes.decayed, 1);
        assert!(patterns_of(&store)[0].confidence < fresh.confidence - 0.05);

        evidence.extend((20..28).map(|episode| seen(1, episode, 0.0, 1, EvidenceRole::Used)));
        let others =
            Tally { successes: 80, failures: 20, success_weight: 26.0, failure_weight: 7.0, as_of: NOW };
        let (store, _) = cycle(vec![fresh], Vec::new(), &evidence, others);
        assert_eq!(patterns_of(&store)[0].standing, Standing::Withheld);
    }

    #[test]
    fn what_is_pinned_stays_whatever_its_uses() {
        let rule = Heuristic { created_at: NOW, ..heuristic(&["a"], Advice::Use, "t", 1, 9) };
        let item = ItemId::Heuristic(rule.id);
        let bad = |episode| Evidence { item, ..seen(0, episode, 0.0, 0, EvidenceRole::Used) };
        let uses: Vec<Evidence> = (0..9).map(bad).collect();
        let others =
            Tally { successes: 80, failures: 20, success_weight: 26.0, failure_weight: 7.0, as_of: NOW };
        let check = |pinned: bool, expected: Standing| {
            let rule = Heuristic { pinned, ..rule.clone() };
            let (store, _) = cycle(Vec::new(), vec![rule], &uses, others);
            let left = store.values().find_map(Entity::as_heuristic).map(|rule| rule.standing);
            assert_eq!(left, Some(expected), "pinned: {pinned}");
        };
        check(true, Standing::Active);
        check(false, Standing::Withheld);
    }

    #[test]
    fn heuristics_are_resolved_and_generalised() {
        let recent = |rule: Heuristic| Heuristic {
            tally: Tally { as_of: NOW, ..rule.tally },
            created_at: NOW,
            ..rule
        };
        let rule =
            |terms: &[&str], advice, for_it, against| recent(heuristic(terms, advice, "t", for_it, against));
        let rules = vec![
            rule(&["a", "b"], Advice::Use, 8, 2),
            rule(&["a", "c"], Advice::Use, 9, 1),
            Heuristic { pinned: true, ..rule(&["a", "d"], Advice::Use, 7, 2) },
            rule(&["z"], Advice::Use, 20, 0),
            rule(&["z"], Advice::Avoid, 4, 4),
        ];
        let loser = rules[4].id;
        let (store, changes) = cycle(Vec::new(), rules, &[], Tally::default());
        assert_eq!(changes.notes.iter().filter(|note| note.starts_with("demoted")).count(), 1);
        assert_eq!((changes.generalised, changes.pruned), (2, 0), "{:?}", changes.notes);
        let left: Vec<&Heuristic> = store.values().filter_map(Entity::as_heuristic).collect();
        let terms: BTreeSet<String> = left.iter().map(|rule| rule.condition.terms.join(" ")).collect();
        assert_eq!(terms.into_iter().collect::<Vec<_>>(), ["a", "a d", "z"]);
        assert!(left.iter().any(|rule| rule.id == loser && rule.standing == Standing::Demoted));
        // Nothing is left to do.
        let left: Vec<Heuristic> = left.into_iter().cloned().collect();
        let (_, changes) = cycle(Vec::new(), left, &[], Tally::default());
        assert_eq!(changes, Changes::default());
    }
}
