//! Places where episodes of a cluster go different ways, and the way that ends better.

use std::collections::{BTreeMap, BTreeSet};

use memory_core::{DecisionPlace, PatternBody};

use crate::extract::Found;
use crate::extract::cluster::{Cluster, Member};

/// Decisions returned.
const MAX_FOUND: usize = 3;
/// Episodes that must have chosen so.
const MIN_SUPPORT: usize = 2;
/// By how much the mean success of episodes that chose so must exceed that of the others.
const MIN_GAIN: f64 = 0.25;

/// A [`DecisionPlace`] of borrowed names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Place<'t> {
    Start,
    After { tool: &'t str, worked: bool },
}

impl Place<'_> {
    fn owned(self) -> DecisionPlace {
        match self {
            Self::Start => DecisionPlace::Start,
            Self::After { tool, worked } => DecisionPlace::After { tool: tool.to_owned(), worked },
        }
    }
}

pub(super) fn find(cluster: &Cluster<'_>) -> Vec<Found> {
    let choices: Vec<BTreeMap<Place<'_>, Choice<'_>>> = cluster.members.iter().map(choices).collect();
    let mut found = Vec::new();
    for (place, Choice { tool: action, .. }) in choices[0].iter().filter(|(_, choice)| choice.worked) {
        let mut with = Mean::default();
        let mut without = Mean::default();
        let mut alternatives = BTreeSet::new();
        for (member, choices) in cluster.members.iter().zip(&choices) {
            let Some(choice) = choices.get(place) else { continue };
            // A failed call was no good choice, even if the episode recovered from it.
            let success = if choice.worked { member.trace.success() } else { 0.0 };
            if choice.tool == *action {
                with.add(success);
            } else {
                without.add(success);
                alternatives.insert(choice.tool.to_owned());
            }
        }
        let gain = with.value() - without.value();
        if with.count >= MIN_SUPPORT && without.count > 0 && gain >= MIN_GAIN {
            let place = place.owned();
            let identity = format!("{place}: {action}");
            let tool = (*action).to_owned();
            let alternatives = alternatives.into_iter().collect();
            found.push((
                gain,
                with.count,
                Found { identity, body: PatternBody::DecisionPoint { place, tool, alternatives } },
            ));
        }
    }
    // A stable sort: equally discriminating decisions stay in the order of their places.
    found.sort_by(|a, b| b.0.total_cmp(&a.0).then(b.1.cmp(&a.1)));
    found.into_iter().take(MAX_FOUND).map(|(_, _, found)| found).collect()
}

/// The call of an episode at a place.
struct Choice<'t> {
    tool: &'t str,
    worked: bool,
}

/// Returns an episode's choice on first reaching each place.
fn choices<'t>(member: &Member<'t>) -> BTreeMap<Place<'t>, Choice<'t>> {
    let mut choices = BTreeMap::new();
    let mut place = Place::Start;
    for call in &member.calls {
        // Calling the same tool again after it worked is going on, not deciding.
        if place != (Place::After { tool: call.tool, worked: true }) {
            choices.entry(place).or_insert(Choice { tool: call.tool, worked: call.worked() });
        }
        place = Place::After { tool: call.tool, worked: call.worked() };
    }
    choices
}

#[derive(Default)]
struct Mean {
    count: usize,
    sum: f64,
}

impl Mean {
    fn add(&mut self, value: f64) {
        self.count += 1;
        self.sum += value;
    }

    fn value(&self) -> f64 {
        if self.count == 0 { 0.0 } else { self.sum / self.count as f64 }
    }
}

#[cfg(test)]
mod tests {
    use memory_core::Action;

    use super::*;
    use crate::calls::tests::{failure, success, tools, trace};

    #[test]
    fn tells_the_way_that_ends_better() {
        let own = tools(0, success(), "look refund close");
        let similar = [
            tools(1, success(), "look refund close"),
            tools(2, failure(), "look cancel close"),
            tools(3, failure(), "look escalate"),
        ];
        let found = find(&Cluster::new(&own, &similar));
        let bodies: Vec<PatternBody> = found.into_iter().map(|found| found.body).collect();
        let expected = PatternBody::DecisionPoint {
            place: DecisionPlace::After { tool: "look".into(), worked: true },
            tool: "refund".into(),
            alternatives: vec!["cancel".into(), "escalate".into()],
        };
        assert_eq!(bodies, [expected]);
    }

    #[test]
    fn what_failed_is_no_good_choice() {
        let refund = |number: u64| {
            let refused = Action::tool("refund").error("no order was looked up");
            trace(number, success(), vec![refused, Action::tool("look"), Action::tool("refund")])
        };
        let own = refund(0);
        let similar = [refund(1), refund(2), tools(3, failure(), "look escalate")];
        for found in find(&Cluster::new(&own, &similar)) {
            let PatternBody::DecisionPoint { place, .. } = &found.body else { unreachable!() };
            assert_ne!(*place, DecisionPlace::Start, "{:?}", found.body);
        }
        // The one that looked first made the better choice, whatever happened to the others later.
        let own = tools(4, success(), "look refund");
        let similar = [tools(5, success(), "look refund"), refund(1)];
        let found = find(&Cluster::new(&own, &similar));
        assert!(found.iter().any(|found| found.identity == "at the start: look"));
    }

    #[test]
    fn no_alternative_or_no_gain_is_no_decision() {
        let own = tools(0, success(), "a b");
        let check = |similar: &[crate::trace::Trace]| assert!(find(&Cluster::new(&own, similar)).is_empty());
        check(&[]);
        check(&[tools(1, success(), "a b")]);
        check(&[tools(1, success(), "a b"), tools(2, success(), "a c")]);
        check(&[tools(1, failure(), "a c")]);
    }
}
