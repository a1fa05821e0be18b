//! Recurring patterns of an episode and similar ones: six strategies, each over the same cluster.
//!
//! A pattern is returned only if the episode itself shows it, whether it succeeded or not, so that the episode is
//! evidence on it. Identities follow from domain, kind of task and content: near-identical episodes show the same
//! patterns.

mod anti_pattern;
pub(super) mod cluster;
mod context;
mod decision_point;
mod error_recovery;
mod tool_sequence;
mod workflow;

use memory_core::{Failure, Pattern, PatternBody, PatternId, Playbook, PlaybookId, Standing, Tally};

use crate::extract::cluster::Cluster;
use crate::failure;
use crate::identity::id_of;
use crate::trace::Trace;
use crate::way_out::incidents_among;

/// The items learned from an episode.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Extracted {
    /// Recurring patterns, without counts and confidence.
    pub patterns: Vec<Pattern>,
    /// The errors it had.
    pub failures: Vec<Failure>,
    /// The procedure that it follows, if there is one.
    pub playbook: Option<Playbook>,
}

/// A pattern before it has an identity.
struct Found {
    body: PatternBody,
    /// The part that distinguishes it from other patterns of its strategy.
    identity: String,
}

/// Returns the items that an episode yields together with similar ones, the most similar first.
pub fn extract(trace: &Trace, similar: &[Trace]) -> Extracted {
    let cluster = Cluster::new(trace, similar);
    let incidents = incidents_among(&cluster, cluster.own());
    let workflow = workflow::find(&cluster);
    let mut found = tool_sequence::find(&cluster);
    found.extend(decision_point::find(&cluster));
    found.extend(error_recovery::find(&incidents));
    found.extend(context::find(&cluster));
    found.extend(anti_pattern::find(&cluster));
    found.extend(workflow.as_ref().and_then(workflow::Workflow::pattern));
    let patterns = found.into_iter().map(|found| pattern(&cluster, found)).collect();
    let playbook = workflow.map(|workflow| playbook(&cluster, workflow));
    Extracted { patterns, failures: failure::lessons(&cluster, &incidents), playbook }
}

/// Extracts, and returns how many items were found, for benchmarks.
#[cfg(feature = "testing")]
pub fn extracted(trace: &Trace, similar: &[Trace]) -> usize {
    let found = extract(trace, similar);
    found.patterns.len() + found.failures.len() + usize::from(found.playbook.is_some())
}

/// Extracts the procedure of an episode from others with the same course, whatever their tasks are: values that
/// vary among them are no part of it. Its identity, and the words by which it is found, stay.
pub fn tell_among(extracted: &mut Extracted, trace: &Trace, others: &[Trace]) {
    let cluster = Cluster::new(trace, others);
    let (Some(held), Some(workflow)) = (&mut extracted.playbook, workflow::find(&cluster)) else { return };
    let told = workflow.pattern().map(|found| pattern(&cluster, found));
    let playbook = playbook(&cluster, workflow);
    if playbook.id != held.id {
        return;
    }
    *held = Playbook { terms: std::mem::take(&mut held.terms), ..playbook };
    if let Some(told) = told
        && let Some(held) = extracted.patterns.iter_mut().find(|held| held.id == told.id)
    {
        held.body = told.body;
    }
}

fn pattern(cluster: &Cluster<'_>, found: Found) -> Pattern {
    let episode = &cluster.trace().episode;
    let strategy = found.body.strategy();
    let (domain, kind) = cluster.labels();
    let at = cluster.at();
    Pattern {
        id: PatternId(id_of(&["pattern", &domain, &kind, strategy.as_str(), &found.identity])),
        strategy,
        domain: episode.task.domain.clone(),
        task_kind: episode.task.kind.clone(),
        body: found.body,
        terms: cluster.terms.clone(),
        tally: Tally::default(),
        confidence: 0.0,
        used: Tally::default(),
        standing: Standing::default(),
        ruling: None,
        episodes: vec![episode.id],
        created_at: at,
        updated_at: at,
    }
}

fn playbook(cluster: &Cluster<'_>, workflow: workflow::Workflow) -> Playbook {
    let episode = &cluster.trace().episode;
    let (domain, kind) = cluster.labels();
    let at = cluster.at();
    Playbook {
        id: PlaybookId(id_of(&["playbook", &domain, &kind, workflow.identity()])),
        title: workflow.title,
        domain: episode.task.domain.clone(),
        steps: workflow.steps,
        placeholders: workflow.placeholders,
        shapes: workflow.shapes,
        task_kind: episode.task.kind.clone(),
        terms: cluster.terms.clone(),
        sources: vec![episode.id],
        tally: Tally::default(),
        confidence: 0.0,
        used: Tally::default(),
        standing: Standing::default(),
        ruling: None,
        created_at: at,
        updated_at: at,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use memory_core::{Action, Outcome};
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::calls::tests::{failure, success, trace};
    use crate::playbook::Fill;

    /// Makes an episode of one kind; figures, ids and now and then a step differ.
    fn refund(n: u64) -> Trace {
        let order = json!({"order_id": format!("#W{n:07}"), "method": "original"});
        let mut actions = vec![
            Action::tool("get_user").arguments(json!({"user_id": format!("user_{n:04}")})),
            Action::tool("refund").arguments(order.clone()).error(format!("order {n} is not verified")),
            Action::tool("verify").arguments(json!({"order_id": format!("#W{n:07}")})),
            Action::tool("refund").arguments(order),
        ];
        if n % 7 == 3 {
            actions.insert(1, Action::note("one moment, please"));
        }
        trace(n, success(), actions)
    }

    #[test]
    fn near_identical_episodes_show_the_same_patterns() {
        let episodes: Vec<Trace> = (0..50).map(refund).collect();
        let mut seen: BTreeMap<PatternId, (String, u32)> = BTreeMap::new();
        let mut playbooks = BTreeSet::new();
        let mut failures = BTreeSet::new();
        for (n, trace) in episodes.iter().enumerate() {
            let similar: Vec<Trace> = episodes[n.saturating_sub(8)..n].iter().rev().cloned().collect();
            let extracted = extract(trace, &similar);
            for pattern in extracted.patterns {
                seen.entry(pattern.id).or_insert((pattern.strategy.to_string(), 0)).1 += 1;
            }
            playbooks.insert(extracted.playbook.unwrap().id);
            failures.extend(extracted.failures.into_iter().map(|failure| failure.id));
        }
        let mut counts: Vec<(String, u32)> = seen.into_values().collect();
        counts.sort();
        let expected =
            [("context", 48), ("error_recovery", 50), ("tool_sequence", 50), ("workflow_template", 50)];
        assert_eq!(counts, expected.map(|(strategy, count)| (strategy.to_owned(), count)));
        assert_eq!((playbooks.len(), failures.len()), (1, 1));
    }

    #[test]
    fn the_playbook_can_be_followed() {
        let playbook = extract(&refund(9), &[refund(1), refund(2)]).playbook.unwrap();
        assert_eq!(playbook.title, "Book flight … for {user_id}");
        let values = playbook.suggest_values("user_1234 wants a refund of #W7654321.");
        let instance = playbook.instantiate(&values);
        let told: Vec<&str> = instance.steps.iter().map(|step| step.instruction.as_str()).collect();
        assert_eq!(told, ["user_id=user_1234", "order_id=#W7654321", "method=original, order_id=#W7654321"]);
        assert_eq!(instance.missing, [""; 0]);
    }

    #[test]
    fn domain_and_kind_tell_patterns_apart() {
        let ids = |trace: &Trace| -> BTreeSet<PatternId> {
            extract(trace, &[]).patterns.iter().map(|pattern| pattern.id).collect()
        };
        let base = refund(1);
        let mut other = base.clone();
        other.episode.task.domain = Some("Air-Line".into());
        assert_eq!(ids(&base), ids(&other), "labels compare without case and punctuation");
        other.episode.task.domain = Some("retail".into());
        assert!(ids(&base).is_disjoint(&ids(&other)));
    }

    #[test]
    fn nothing_is_learned_from_nothing() {
        for outcome in [success(), failure(), Outcome::abstained("no")] {
            let extracted = extract(&trace(1, outcome, vec![Action::note("hello")]), &[]);
            assert!(extracted.patterns.is_empty() && extracted.playbook.is_none());
        }
    }

    fn any_trace() -> impl Strategy<Value = Trace> {
        let action = (0_u8..5, 0_u8..4, proptest::bool::weighted(0.2)).prop_map(|(tool, value, failed)| {
            let action =
                Action::tool(format!("t{tool}")).arguments(json!({"v": format!("w{value}"), "n": value}));
            if failed { action.error(format!("bad {value}")) } else { action }
        });
        (1_u64..1_000, proptest::bool::ANY, proptest::collection::vec(action, 0..24))
            .prop_map(|(n, done, actions)| trace(n, if done { success() } else { failure() }, actions))
    }

    proptest! {
        #[test]
        fn few_distinct_and_repeatable(own in any_trace(), similar in proptest::collection::vec(any_trace(), 0..8)) {
            let extracted = extract(&own, &similar);
            prop_assert_eq!(&extracted, &extract(&own, &similar));
            let ids: BTreeSet<PatternId> = extracted.patterns.iter().map(|pattern| pattern.id).collect();
            prop_assert_eq!(ids.len(), extracted.patterns.len());
            prop_assert!(extracted.patterns.len() <= 15);
            let failures: BTreeSet<_> = extracted.failures.iter().map(|failure| failure.id).collect();
            prop_assert_eq!(failures.len(), extracted.failures.len());
            for pattern in &extracted.patterns {
                prop_assert_eq!(pattern.strategy, pattern.body.strategy());
                if let PatternBody::ToolSequence { tools } = &pattern.body {
                    prop_assert!((2..=6).contains(&tools.len()));
                }
            }
            if let Some(playbook) = extracted.playbook {
                prop_assert_eq!(playbook.placeholders.len(), playbook.shapes.len());
            }
        }
    }
}
