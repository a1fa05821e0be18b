//! Places where episodes of a cluster go different ways, and the way that ends better.

use std::collections::{BTreeMap, BTreeSet};

use crate::learn::extract::Found;
use crate::learn::extract::cluster::{Cluster, Member};
use crate::model::pattern::PatternBody;

/// Decisions returned.
const MAX_FOUND: usize = 3;
/// Episodes that must have chosen so.
const MIN_SUPPORT: usize = 2;
/// By how much the mean success of episodes that chose so must exceed that of the others.
const MIN_GAIN: f64 = 0.25;

/// Where a decision is made: at the start, or after a call that worked or failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Place<'t> {
    Start,
    After { tool: &'t str, worked: bool },
}

impl Place<'_> {
    fn text(self) -> String {
        match self {
            Self::Start => "at the start".into(),
            Self::After { tool, worked: true } => format!("after {tool}"),
            Self::After { tool, worked: false } => format!("after {tool} failed"),
        }
    }
}

pub(super) fn find(cluster: &Cluster<'_>) -> Vec<Found> {
    let choices: Vec<BTreeMap<Place<'_>, &str>> = cluster.members.iter().map(choices).collect();
    let mut found = Vec::new();
    for (place, action) in &choices[0] {
        let mut with = Mean::default();
        let mut without = Mean::default();
        let mut alternatives = BTreeSet::new();
        for (member, choices) in cluster.members.iter().zip(&choices) {
            let success = member.trace.success();
            match choices.get(place) {
                Some(other) if other == action => with.add(success),
                Some(other) => {
                    without.add(success);
                    alternatives.insert((*other).to_owned());
                }
                None => {}
            }
        }
        let gain = with.value() - without.value();
        if with.count >= MIN_SUPPORT && without.count > 0 && gain >= MIN_GAIN {
            let condition = place.text();
            let identity = format!("{condition}: {action}");
            let action = (*action).to_owned();
            let alternatives = alternatives.into_iter().collect();
            found.push((
                gain,
                with.count,
                Found { identity, body: PatternBody::DecisionPoint { condition, action, alternatives } },
            ));
        }
    }
    // A stable sort: equally telling decisions stay in the order of their places.
    found.sort_by(|a, b| b.0.total_cmp(&a.0).then(b.1.cmp(&a.1)));
    found.into_iter().take(MAX_FOUND).map(|(_, _, found)| found).collect()
}

/// Returns what an episode chose when it first came to each place.
fn choices<'t>(member: &Member<'t>) -> BTreeMap<Place<'t>, &'t str> {
    let mut choices = BTreeMap::new();
    let mut place = Place::Start;
    for call in &member.calls {
        // Calling the same tool again after it worked is going on, not deciding.
        if place != (Place::After { tool: call.tool, worked: true }) {
            choices.entry(place).or_insert(call.tool);
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
    use super::*;
    use crate::learn::calls::tests::{failure, success, tools};

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
            condition: "after look".into(),
            action: "refund".into(),
            alternatives: vec!["cancel".into(), "escalate".into()],
        };
        assert_eq!(bodies, [expected]);
    }

    #[test]
    fn no_alternative_or_no_gain_is_no_decision() {
        let own = tools(0, success(), "a b");
        let check =
            |similar: &[crate::learn::trace::Trace]| assert!(find(&Cluster::new(&own, similar)).is_empty());
        check(&[]);
        check(&[tools(1, success(), "a b")]);
        check(&[tools(1, success(), "a b"), tools(2, success(), "a c")]);
        check(&[tools(1, failure(), "a c")]);
    }
}
