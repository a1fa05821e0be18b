//! Behaviours of failing episodes of a cluster that succeeding ones lack.
//!
//! A behaviour is selected by Fisher's exact test (one-sided) over the cluster's episodes, failed or not, with
//! the behaviour or without. Many behaviours are tested on few episodes, so some findings are chance; the
//! evidence of later episodes refutes those.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use memory_core::{Behaviour, Consequence, PatternBody};
use serde_json::Value;

use crate::extract::Found;
use crate::extract::cluster::{Cluster, Member};
use crate::recovery::{constant, incidents};

/// Behaviours returned.
const MAX_FOUND: usize = 3;
/// Failing episodes that must show a behaviour.
const MIN_FAILURES: usize = 3;
/// The probability of a separation this clear by chance, above which a behaviour is not reported.
const SIGNIFICANCE: f64 = 0.05;
/// Identical calls that are a repetition.
const REPETITION: u32 = 3;
/// Values of arguments looked at in one episode.
const MAX_VALUES: usize = 512;
/// Longer values are no constants.
const MAX_VALUE_BYTES: usize = 40;
/// Tools contrasted; between more, contrast is noise.
const MAX_TOOLS: usize = 48;

pub(super) fn find(cluster: &Cluster<'_>) -> Vec<Found> {
    let failures = cluster.members.iter().filter(|member| !member.succeeded).count();
    let successes = cluster.members.len() - failures;
    if failures < MIN_FAILURES || successes == 0 {
        return Vec::new();
    }
    let vocabulary = vocabulary(cluster);
    let mut facts: Vec<Facts<'_>> =
        cluster.members.iter().map(|member| Facts::of(member, &vocabulary)).collect();
    mark_beyond(cluster, &vocabulary, &mut facts);
    let mut telling = Vec::new();
    contrast(&facts, &vocabulary, |by, behaviour| {
        let count = |succeeded: bool| {
            by.iter()
                .zip(&cluster.members)
                .filter(|(by, member)| **by && member.succeeded == succeeded)
                .count()
        };
        let (failing, succeeding) = (count(false), count(true));
        if failing < MIN_FAILURES {
            return;
        }
        let chance = fisher(failing, failures, succeeding, successes);
        if chance <= SIGNIFICANCE {
            telling.push((chance, behaviour(), by.to_vec()));
        }
    });
    telling.sort_by(|a, b| a.0.total_cmp(&b.0).then_with(|| a.1.cmp(&b.1)));
    let mut seen = BTreeSet::new();
    telling
        .into_iter()
        .filter(|(_, _, by)| seen.insert(by.clone()))
        .take(MAX_FOUND)
        .map(|(_, behaviour, by)| {
            let consequence = consequence(cluster, &by);
            Found {
                identity: behaviour.to_string(),
                body: PatternBody::AntiPattern { behaviour, consequence },
            }
        })
        .collect()
}

/// Returns the tools that at least two episodes call: only calling those, or not, is a behaviour.
fn vocabulary<'t>(cluster: &Cluster<'t>) -> Vec<&'t str> {
    let mut uses: BTreeMap<&str, usize> = BTreeMap::new();
    for tool in cluster.members.iter().flat_map(Member::tools) {
        *uses.entry(tool).or_default() += 1;
    }
    uses.into_iter().filter(|(_, uses)| *uses >= 2).map(|(tool, _)| tool).take(MAX_TOOLS).collect()
}

/// The behaviours of one episode.
struct Facts<'t> {
    /// Where each tool of the vocabulary is called first.
    first: Vec<Option<usize>>,
    repeats: BTreeSet<&'t str>,
    ends_failing: Option<&'t str>,
    /// Tool, argument and value.
    values: HashSet<(&'t str, &'t str, &'t Value)>,
    /// The tools of the vocabulary that it could not come to: it failed, and stopped at an error of a tool
    /// after which those that succeeded call them.
    beyond: Vec<bool>,
}

impl<'t> Facts<'t> {
    fn of(member: &Member<'t>, vocabulary: &[&str]) -> Self {
        let mut first: HashMap<&str, usize> = HashMap::new();
        let mut calls: HashMap<u64, u32> = HashMap::new();
        let mut repeats = BTreeSet::new();
        let mut values = HashSet::new();
        for (place, call) in member.calls.iter().enumerate() {
            first.entry(call.tool).or_insert(place);
            let times = calls.entry(call.fingerprint()).or_default();
            *times += 1;
            if *times == REPETITION {
                repeats.insert(call.tool);
            }
            call.arguments(|name, value| {
                let short = value.as_str().is_some_and(|text| text.len() <= MAX_VALUE_BYTES);
                if (short || value.is_boolean()) && values.len() < MAX_VALUES {
                    values.insert((call.tool, name, value));
                }
            });
        }
        let first = vocabulary.iter().map(|tool| first.get(tool).copied()).collect();
        let last = member.calls.last().filter(|call| !call.worked());
        let beyond = vec![false; vocabulary.len()];
        Self { first, repeats, ends_failing: last.map(|call| call.tool), values, beyond }
    }

    /// Returns true if it calls a tool before another, or without it.
    fn early(&self, tool: usize, before: usize) -> bool {
        self.first[tool].is_some_and(|place| self.first[before].is_none_or(|other| other > place))
    }
}

/// Marks actions that failing episodes omitted because they had stopped before: this follows from failing, and
/// is no cause.
fn mark_beyond(cluster: &Cluster<'_>, vocabulary: &[&str], facts: &mut [Facts<'_>]) {
    let succeeding: Vec<usize> =
        (0..facts.len()).filter(|member| cluster.members[*member].succeeded).collect();
    for (member, own) in cluster.members.iter().enumerate().filter(|(_, own)| !own.succeeded) {
        let unresolved = incidents(&own.calls).into_iter().filter(|incident| incident.recovery.is_none());
        let stops: Vec<usize> = unresolved
            .filter_map(|incident| vocabulary.iter().position(|tool| *tool == incident.failed.tool))
            .collect();
        let is_beyond = |at: usize, stop: usize| {
            let both = succeeding.iter().filter_map(|other| {
                let first = &facts[*other].first;
                Some(first[at]? > first[stop]?)
            });
            let (later, all) = both.fold((0, 0), |(later, all), is| (later + usize::from(is), all + 1));
            all > 0 && 2 * later >= all
        };
        let beyond: Vec<bool> = (0..vocabulary.len())
            .map(|at| facts[member].first[at].is_none() && stops.iter().any(|stop| is_beyond(at, *stop)))
            .collect();
        facts[member].beyond = beyond;
    }
}

/// Calls `emit` with each behaviour of the first episode: the episodes that show it, and its elements.
fn contrast(facts: &[Facts<'_>], vocabulary: &[&str], mut emit: impl FnMut(&[bool], &dyn Fn() -> Behaviour)) {
    let mut by = vec![false; facts.len()];
    let mut test = |shows: &dyn Fn(&Facts<'_>) -> bool, behaviour: &dyn Fn() -> Behaviour| {
        if shows(&facts[0]) {
            by.iter_mut().zip(facts).for_each(|(by, facts)| *by = shows(facts));
            emit(&by, behaviour);
        }
    };
    for (at, tool) in vocabulary.iter().enumerate() {
        let name = |tool: &str| tool.to_owned();
        test(&|facts| facts.first[at].is_none() && !facts.beyond[at], &|| Behaviour::Without {
            tool: name(tool),
        });
        test(&|facts| facts.first[at].is_some(), &|| Behaviour::Calls { tool: name(tool) });
        for (other, before) in vocabulary.iter().enumerate().filter(|(other, _)| *other != at) {
            test(&|facts| facts.early(at, other), &|| Behaviour::Early {
                tool: name(tool),
                before: name(before),
            });
        }
    }
    for tool in &facts[0].repeats {
        test(&|facts| facts.repeats.contains(tool), &|| Behaviour::Repeats {
            tool: (*tool).to_owned(),
            times: REPETITION,
        });
    }
    if let Some(tool) = facts[0].ends_failing {
        test(&|facts| facts.ends_failing == Some(tool), &|| Behaviour::EndsFailing { tool: tool.to_owned() });
    }
    for key @ (tool, name, value) in &facts[0].values {
        if let Some(value) = constant(value) {
            test(&|facts| facts.values.contains(key), &|| Behaviour::Value {
                tool: (*tool).to_owned(),
                name: (*name).to_owned(),
                value: value.clone(),
            });
        }
    }
}

/// Returns how failing episodes with the behaviour end: the error that most of them share, or that they fail.
fn consequence(cluster: &Cluster<'_>, by: &[bool]) -> Consequence {
    let mut errors: BTreeMap<(String, String), usize> = BTreeMap::new();
    let mut failing = 0;
    for (member, _) in cluster.members.iter().zip(by).filter(|(member, by)| **by && !member.succeeded) {
        failing += 1;
        let mut own: BTreeSet<(String, String)> = BTreeSet::new();
        let failed = member.calls.iter().filter(|call| !call.worked()).take(16);
        own.extend(failed.map(|call| (call.tool.to_owned(), call.error().to_string())));
        own.into_iter().for_each(|error| *errors.entry(error).or_default() += 1);
    }
    let most = errors
        .into_iter()
        .filter(|(_, count)| 2 * count > failing)
        .max_by(|a, b| a.1.cmp(&b.1).then(b.0.cmp(&a.0)));
    most.map_or(Consequence::NotDone, |((tool, error), _)| Consequence::Fails { tool, error })
}

/// Returns the probability that at least `a` of `failures` and at most `c` of `successes` show a behaviour by
/// chance: the upper tail of the hypergeometric distribution (Fisher's exact test).
fn fisher(a: usize, failures: usize, c: usize, successes: usize) -> f64 {
    let shown = a + c;
    let all = choose(failures + successes, shown);
    let tail = (a..=shown.min(failures)).map(|k| choose(failures, k) * choose(successes, shown - k));
    tail.sum::<f64>() / all
}

/// Returns the binomial coefficient; a cluster is small, so that it is exact.
fn choose(n: usize, k: usize) -> f64 {
    if k > n {
        return 0.0;
    }
    (0..k).fold(1.0, |product, i| product * (n - i) as f64 / (i + 1) as f64)
}

#[cfg(test)]
mod tests {
    use memory_core::Action;
    use serde_json::json;

    use super::*;
    use crate::calls::tests::{failure, success, tools, trace};
    use crate::trace::Trace;

    fn found(own: &Trace, similar: &[Trace]) -> Vec<(String, String)> {
        let body = |found: Found| match found.body {
            PatternBody::AntiPattern { behaviour, consequence } => {
                (behaviour.to_string(), consequence.to_string())
            }
            other => panic!("{other:?}"),
        };
        find(&Cluster::new(own, similar)).into_iter().map(body).collect()
    }

    fn many(first: u64, count: u64, make: impl Fn(u64) -> Trace) -> Vec<Trace> {
        (first..first + count).map(make).collect()
    }

    #[test]
    fn fisher_is_exact() {
        let check = |table: [usize; 4], expected: f64| {
            let p = fisher(table[0], table[1], table[2], table[3]);
            assert!((p - expected).abs() < 1e-9, "{table:?}: {p}");
        };
        check([4, 4, 0, 4], 1.0 / 70.0);
        check([3, 3, 0, 3], 0.05);
        // R. A. Fisher's tea tasting.
        check([3, 4, 1, 4], 17.0 / 70.0);
        check([0, 3, 0, 3], 1.0);
    }

    #[test]
    fn what_failures_leave_undone() {
        let own = tools(0, failure(), "look pay");
        let mut similar = many(1, 3, |n| tools(n, failure(), "look pay"));
        similar.extend(many(10, 4, |n| tools(n, success(), "look verify pay")));
        let (behaviour, consequence) = found(&own, &similar).remove(0);
        assert_eq!(behaviour, "never calls verify");
        assert_eq!(consequence, "the task is not done");
    }

    #[test]
    fn what_comes_after_the_failure_is_no_cause() {
        let release = |n: u64, outcome, works: bool| {
            let publish = Action::tool("cargo_publish");
            let publish = if works { publish } else { publish.error("crate x is already uploaded") };
            let mut actions = vec![Action::tool("edit"), publish];
            if works {
                actions.push(Action::tool("git_tag"));
            }
            trace(n, outcome, actions)
        };
        let mut similar = many(1, 3, |n| release(n, failure(), false));
        similar.extend(many(10, 4, |n| release(n, success(), true)));
        let told: Vec<String> = found(&release(0, failure(), false), &similar)
            .into_iter()
            .map(|(behaviour, _)| behaviour)
            .collect();
        assert_eq!(told, ["stops after cargo_publish failed"]);
    }

    #[test]
    fn a_value_and_its_consequence() {
        let pay = |n: u64, outcome, method: &str| {
            let call = Action::tool("pay").arguments(json!({"method": method, "id": format!("A{n:05}")}));
            let call = if method == "voucher" { call.error(format!("voucher {n} expired")) } else { call };
            trace(n, outcome, vec![call])
        };
        let own = pay(0, failure(), "voucher");
        let mut similar = many(1, 3, |n| pay(n, failure(), "voucher"));
        similar.extend(many(10, 4, |n| pay(n, success(), "cash")));
        let expected = ("stops after pay failed".to_owned(), "pay fails: voucher <n> expired".to_owned());
        assert_eq!(found(&own, &similar), [expected]);
    }

    #[test]
    fn an_error_of_a_few_is_no_consequence() {
        let deploy = |n: u64, outcome, service: &str, region: &str| {
            let call = Action::tool("deploy").arguments(json!({"region": region}));
            let failed = outcome != success();
            let call = if failed { call.error(format!("{service} is locked")) } else { call };
            trace(n, outcome, vec![call, Action::tool("report")])
        };
        let services = ["ledger", "auth", "mail", "ledger"];
        let mut similar: Vec<Trace> =
            (1..).zip(services).map(|(n, service)| deploy(n, failure(), service, "north")).collect();
        similar.extend(many(10, 4, |n| deploy(n, success(), "ledger", "south")));
        let own = deploy(0, failure(), "search", "north");
        let expected = ("calls deploy with region = north".to_owned(), "the task is not done".to_owned());
        assert_eq!(found(&own, &similar), [expected]);
    }

    #[test]
    fn a_value_that_fails_later() {
        let pay = |n: u64, outcome, method: &str| {
            let call = Action::tool("pay").arguments(json!({"method": method, "id": format!("A{n:05}")}));
            trace(n, outcome, vec![call, Action::tool("close")])
        };
        let own = pay(0, failure(), "voucher");
        let mut similar = many(1, 3, |n| pay(n, failure(), "voucher"));
        similar.extend(many(10, 4, |n| pay(n, success(), "cash")));
        assert_eq!(found(&own, &similar)[0].0, "calls pay with method = voucher");
    }

    #[test]
    fn order_counts() {
        let own = tools(0, failure(), "pay verify");
        let mut similar = many(1, 3, |n| tools(n, failure(), "pay verify"));
        similar.extend(many(10, 4, |n| tools(n, success(), "verify pay")));
        assert_eq!(found(&own, &similar)[0].0, "calls pay without calling verify before");
    }

    #[test]
    fn one_example_is_none() {
        let own = tools(0, failure(), "pay");
        assert!(found(&own, &many(10, 8, |n| tools(n, success(), "verify pay"))).is_empty());
        assert!(
            found(&own, &many(1, 8, |n| tools(n, failure(), "pay"))).is_empty(),
            "nothing to contrast with"
        );
    }
}
