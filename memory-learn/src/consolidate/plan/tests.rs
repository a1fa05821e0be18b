use memory_core::{Advice, Behaviour, Consequence, Decision, EpisodeId, PatternBody, Strategy};
use uuid::Uuid;

use super::*;
use crate::heuristics::fixtures::heuristic;

const DAY: u64 = 86_400_000;
const NOW: Timestamp = Timestamp(1_000 * DAY);

fn pattern(number: u128, tools: &str, evidence: &[Evidence]) -> Pattern {
    let id = PatternId(Uuid::from_u128(number));
    let own = evidence.iter().filter(|piece| piece.item == ItemId::Pattern(id));
    let tally = tallies(own, &ConfidenceConfig::default()).0;
    Pattern {
        id,
        strategy: Strategy::ToolSequence,
        domain: Some("web".into()),
        task_kind: None,
        body: PatternBody::ToolSequence { tools: tools.split_whitespace().map(str::to_owned).collect() },
        terms: Vec::new(),
        tally,
        confidence: tally.lower_bound(NOW, &ConfidenceConfig::default()),
        used: Tally::default(),
        standing: Standing::Active,
        ruling: None,
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

/// Runs a cycle to its end; returns the remaining patterns and evidence, and the sum of the changes.
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
    let (config, confidence) = (ConsolidationConfig::default(), ConfidenceConfig::default());
    let mut consolidator =
        Consolidator::new(patterns, heuristics, Vec::new(), Vec::new(), NOW, config, confidence);
    let mut sum = Changes::default();
    while let Some(piece) = consolidator.next_piece() {
        let needs = piece.needs();
        let evidence: Vec<Evidence> = store
            .values()
            .filter_map(Entity::as_evidence)
            .filter(|piece| needs.contains(&piece.item))
            .cloned()
            .collect();
        let changes = consolidator.run(piece, known(&evidence), &|_| baseline);
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

/// Evidence of which some may be out of reach.
fn known(evidence: &[Evidence]) -> Known<'_> {
    Known { evidence, complete: false }
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
    let (store, changes) = cycle(vec![pattern(1, "a b", &evidence)], Vec::new(), &evidence, Tally::default());
    assert_eq!((changes.pruned, store.len()), (1, 0), "{:?}", changes.notes);

    let anti = PatternBody::AntiPattern {
        behaviour: Behaviour::Calls { tool: "a".into() },
        consequence: Consequence::NotDone,
    };
    let anti = Pattern { body: anti, strategy: Strategy::AntiPattern, ..pattern(1, "a b", &evidence) };
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
        let (store, changes) = cycle(vec![whole.clone()], Vec::new(), &evidence[..reach], Tally::default());
        assert_eq!(changes.pruned, 0);
        assert_eq!(patterns_of(&store)[0].tally, whole.tally);
    }
}

#[test]
fn figures_follow_the_evidence_however_little_it_changes() {
    let evidence: Vec<Evidence> = (0..500).map(|n| seen(1, 10 + n, 1.0, 0, EvidenceRole::Observed)).collect();
    // As two processes leave it that learned at once and wrote over each other's count.
    let held = pattern(1, "a b", &evidence[..498]);
    let (store, changes) = cycle(vec![held], Vec::new(), &evidence, Tally::default());
    assert_eq!(patterns_of(&store)[0].tally.successes, 500);
    assert_eq!(changes.decayed, 0, "the confidence is the same to the eye");
}

#[test]
fn what_was_counted_twice_is_put_right_once_all_evidence_is_at_hand() {
    // From when the pattern was first seen on.
    let evidence: Vec<Evidence> =
        (0..4).map(|n| seen(1, 10 + n, 1.0, if n == 0 { 100 } else { 0 }, EvidenceRole::Observed)).collect();
    let twice: Vec<Evidence> = (0..8).map(|n| seen(1, 10 + n, 1.0, 0, EvidenceRole::Observed)).collect();
    let held = pattern(1, "a b", &twice);
    let check = |evidence: &[Evidence], complete, expected| {
        let (config, confidence) = (ConsolidationConfig::default(), ConfidenceConfig::default());
        let mut consolidator = Consolidator::new(
            vec![held.clone()],
            Vec::new(),
            Vec::new(),
            Vec::new(),
            NOW,
            config,
            confidence,
        );
        let mut counted = held.tally.successes;
        while let Some(piece) = consolidator.next_piece() {
            let changes = consolidator.run(piece, Known { evidence, complete }, &|_| Tally::default());
            let written = changes.write.iter().filter_map(|(_, entity)| entity.as_pattern());
            counted = written.map(|pattern| pattern.tally.successes).next().unwrap_or(counted);
        }
        assert_eq!(counted, expected);
    };
    check(&evidence, true, 4);
    check(&evidence, false, 8);
    // The first of it has expired, but its count stays.
    check(&evidence[1..], true, 8);
}

fn lesson(number: u128, error: &str, occurrences: u32, days_ago: u64) -> Failure {
    Failure {
        id: FailureId(Uuid::from_u128(number)),
        category: memory_core::ErrorCategory::NotFound,
        error: error.into(),
        example: format!("example {number}"),
        tool: "book".into(),
        root_cause: None,
        remedies: Vec::new(),
        domain: Some("web".into()),
        task_kind: None,
        occurrences,
        resolved: 0,
        episodes: vec![EpisodeId(Uuid::from_u128(number))],
        first_at: Timestamp(NOW.0 - 200 * DAY + number as u64),
        last_at: Timestamp(NOW.0 - days_ago * DAY),
        ruling: None,
    }
}

/// Runs a cycle over lessons; returns the remaining ones and the sum of merges and prunings.
fn lessons_after(lessons: &[Failure], evidence: &[Evidence], complete: bool) -> (Vec<Failure>, [u32; 2]) {
    let (config, confidence) = (ConsolidationConfig::default(), ConfidenceConfig::default());
    let (none, rules) = (Vec::new(), Vec::new());
    let mut consolidator =
        Consolidator::new(none, rules, Vec::new(), lessons.to_vec(), NOW, config, confidence);
    let mut held: BTreeMap<String, Failure> =
        lessons.iter().map(|lesson| (lesson.id.to_string(), lesson.clone())).collect();
    let (mut sum, mut evidence) = ([0, 0], evidence.to_vec());
    while let Some(piece) = consolidator.next_piece() {
        let changes = consolidator.run(piece, Known { evidence: &evidence, complete }, &|_| Tally::default());
        for (id, entity) in changes.write {
            match entity {
                Entity::Failure(lesson) => drop(held.insert(id, lesson)),
                Entity::Evidence(piece) => evidence.push(piece),
                other => panic!("{other:?}"),
            }
        }
        for (kind, id) in changes.remove {
            evidence.retain(|piece| kind != Kind::Evidence || piece.record_id() != id);
            held.remove(&id);
        }
        sum = [sum[0] + changes.merged, sum[1] + changes.pruned];
    }
    (held.into_values().collect(), sum)
}

#[test]
fn lessons_are_counted_anew_and_go_once_they_are_stale() {
    let observed = |episode: u128, days_ago: u64| Evidence {
        item: ItemId::Failure(FailureId(Uuid::from_u128(1))),
        ..seen(1, episode, 1.0, days_ago, EvidenceRole::Observed)
    };
    // Two processes that learned at once wrote over each other's counts.
    let evidence = [observed(10, 200), observed(11, 5), observed(12, 4)];
    let check = |held: u32, complete: bool, expected: u32| {
        let (left, _) = lessons_after(&[lesson(1, "no", held, 5)], &evidence, complete);
        assert_eq!(left[0].occurrences, expected, "{held} {complete}");
    };
    check(2, true, 3);
    check(2, false, 3);
    check(9, true, 3);
    // Some of the evidence is out of reach.
    check(9, false, 9);
    let (left, [_, pruned]) = lessons_after(&[lesson(1, "no", 1, 366), lesson(2, "gone", 1, 364)], &[], true);
    assert_eq!((pruned, left.len(), left[0].error.as_str()), (1, 1, "gone"));
}

#[test]
fn a_cycle_goes_on_where_the_last_one_stopped() {
    let texts = ["a b c", "d e f", "a b c", "g h i", "d e f"];
    let patterns: Vec<Pattern> = (1..).zip(texts).map(|(id, text)| pattern(id, text, &[])).collect();
    let recent = |rule: Heuristic| Heuristic { tally: Tally { as_of: NOW, ..rule.tally }, ..rule };
    let rules = [heuristic(&["z"], Advice::Use, "t", 9, 1), heuristic(&["z"], Advice::Avoid, "t", 4, 4)];
    let rules = rules.map(recent);
    let plan = |patterns: &[Pattern]| {
        let (config, confidence) = (ConsolidationConfig::default(), ConfidenceConfig::default());
        Consolidator::new(patterns.to_vec(), rules.to_vec(), Vec::new(), Vec::new(), NOW, config, confidence)
    };
    let nothing = Tally::default();
    let mut whole = plan(&patterns);
    let mut all = Changes::default();
    while let Some(piece) = whole.next_piece() {
        all.merged += whole.run(piece, known(&[]), &|_| nothing).merged;
    }
    assert_eq!(all.merged, 2);
    // One piece a cycle.
    let (mut held, mut left, mut merged, mut resolved) = (patterns, None::<Piece>, 0, 0);
    for _ in 0..40 {
        let mut cycle = plan(&held);
        if let Some(left) = &left {
            cycle.go_on_with(left);
            let is_rule = matches!(left, Piece::Recount(ItemId::Heuristic(_)));
            assert_eq!(
                cycle.losers.len(),
                usize::from(is_rule),
                "each cycle over heuristics knows who loses"
            );
            resolved += u32::from(is_rule);
        }
        let Some(piece) = cycle.next_piece() else { break };
        let changes = cycle.run(piece, known(&[]), &|_| nothing);
        merged += changes.merged;
        held.retain(|it| !changes.remove.contains(&(Kind::Pattern, it.id.to_string())));
        left = cycle.next_piece();
        if left.is_none() {
            break;
        }
    }
    assert_eq!((left, merged), (None, 2));
    assert!(resolved >= 1);
}

#[test]
fn what_others_changed_meanwhile_is_not_written_over() {
    let observed = EvidenceRole::Observed;
    let evidence =
        [seen(1, 10, 1.0, 900, observed), seen(1, 11, 1.0, 0, observed), seen(2, 12, 1.0, 0, observed)];
    let (one, two) = (pattern(1, "a b", &evidence[..1]), pattern(2, "c d", &evidence));
    let (config, confidence) = (ConsolidationConfig::default(), ConfidenceConfig::default());
    let held = vec![one.clone(), two.clone()];
    let mut consolidator =
        Consolidator::new(held, Vec::new(), Vec::new(), Vec::new(), NOW, config, confidence);
    // Forgotten, and learned again, while the cycle was running.
    consolidator.renew(ItemId::Pattern(two.id), None);
    let retold = Pattern { terms: vec!["new".into()], ..one.clone() };
    consolidator.renew(ItemId::Pattern(one.id), Some(retold.clone().into()));
    let mut written = Vec::new();
    while let Some(piece) = consolidator.next_piece() {
        written.extend(consolidator.run(piece, known(&evidence), &|_| Tally::default()).write);
    }
    let [(id, Entity::Pattern(pattern))] = &written[..] else { panic!("{written:?}") };
    assert_eq!((id, &pattern.terms, pattern.tally.successes), (&one.id.to_string(), &retold.terms, 2));
}

#[test]
fn confidence_decays_and_hurtful_items_are_withheld() {
    let mut evidence: Vec<Evidence> =
        (0..9).map(|episode| seen(1, episode, 1.0, 90, EvidenceRole::Observed)).collect();
    let fresh = pattern(1, "a b", &evidence);
    let fresh = Pattern {
        confidence: fresh.tally.lower_bound(fresh.tally.as_of, &ConfidenceConfig::default()),
        ..fresh
    };
    let (store, changes) = cycle(vec![fresh.clone()], Vec::new(), &evidence, Tally::default());
    assert_eq!(changes.decayed, 1);
    assert!(patterns_of(&store)[0].confidence < fresh.confidence - 0.05);

    evidence.extend((20..28).map(|episode| seen(1, episode, 0.0, 1, EvidenceRole::Used)));
    let others = Tally { successes: 80, failures: 20, success_weight: 26.0, failure_weight: 7.0, as_of: NOW };
    let (store, _) = cycle(vec![fresh], Vec::new(), &evidence, others);
    assert_eq!(patterns_of(&store)[0].standing, Standing::Withheld);
}

#[test]
fn what_is_pinned_stays_whatever_its_uses() {
    let rule = Heuristic { created_at: NOW, ..heuristic(&["a"], Advice::Use, "t", 1, 9) };
    let item = ItemId::Heuristic(rule.id);
    let bad = |episode| Evidence { item, ..seen(0, episode, 0.0, 0, EvidenceRole::Used) };
    let uses: Vec<Evidence> = (0..9).map(bad).collect();
    let others = Tally { successes: 80, failures: 20, success_weight: 26.0, failure_weight: 7.0, as_of: NOW };
    let check = |pinned: bool, expected: Standing| {
        let rule = Heuristic { ruling: pinned.then_some(Decision::Pinned), ..rule.clone() };
        let (store, _) = cycle(Vec::new(), vec![rule], &uses, others);
        let left = store.values().find_map(Entity::as_heuristic).map(|rule| rule.standing);
        assert_eq!(left, Some(expected), "pinned: {pinned}");
    };
    check(true, Standing::Active);
    check(false, Standing::Withheld);
}

#[test]
fn heuristics_are_resolved_and_generalised() {
    let recent =
        |rule: Heuristic| Heuristic { tally: Tally { as_of: NOW, ..rule.tally }, created_at: NOW, ..rule };
    let rule =
        |terms: &[&str], advice, for_it, against| recent(heuristic(terms, advice, "t", for_it, against));
    let rules = vec![
        rule(&["a"], Advice::Use, 60, 3),
        rule(&["a", "b"], Advice::Use, 8, 2),
        rule(&["a", "c"], Advice::Use, 9, 1),
        Heuristic { ruling: Some(Decision::Pinned), ..rule(&["a", "d"], Advice::Use, 7, 2) },
        rule(&["z"], Advice::Use, 20, 0),
        rule(&["z"], Advice::Avoid, 4, 4),
    ];
    let loser = rules[5].id;
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
