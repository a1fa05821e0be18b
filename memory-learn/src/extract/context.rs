//! Common tools of successful episodes of one context.

use std::collections::{BTreeMap, BTreeSet};

use memory_core::PatternBody;
use memory_recall::tokenize::normalize_label;

use crate::extract::Found;
use crate::extract::cluster::Cluster;

/// Successful episodes that must agree.
const MIN_SUCCESSES: usize = 3;
/// The share of them that must use a tool, so that it belongs to the context.
const SHARE: f64 = 0.8;
/// Tools recommended; a longer list is uninformative.
const MAX_TOOLS: usize = 8;
/// Terms among the features.
const MAX_TERMS: usize = 6;

pub(super) fn find(cluster: &Cluster<'_>) -> Option<Found> {
    let successes = cluster.successes().count();
    if successes < MIN_SUCCESSES {
        return None;
    }
    // Each tool with the successes that use it and the sum of its places in them.
    let mut uses: BTreeMap<&str, (usize, usize)> = BTreeMap::new();
    for member in cluster.successes() {
        for (place, tool) in member.tools().into_iter().enumerate() {
            let (count, places) = uses.entry(tool).or_default();
            *count += 1;
            *places += place;
        }
    }
    let needed = (SHARE * successes as f64).ceil() as usize;
    let mut tools: Vec<(f64, &str)> = uses
        .into_iter()
        .filter(|(_, (count, _))| *count >= needed)
        .map(|(tool, (count, places))| (places as f64 / count as f64, tool))
        .collect();
    if !(2..=MAX_TOOLS).contains(&tools.len()) || !tools.iter().all(|(_, tool)| cluster.own().uses(tool)) {
        return None;
    }
    let sorted: Vec<&str> = tools.iter().map(|(_, tool)| *tool).collect();
    let features = features(cluster);
    let identity = format!("{}: {}", sorted.join(" "), labels(cluster).join(" "));
    tools.sort_by(|a, b| a.0.total_cmp(&b.0));
    let tools = tools.into_iter().map(|(_, tool)| tool.to_owned()).collect();
    Some(Found { identity, body: PatternBody::Context { features, tools } })
}

fn features(cluster: &Cluster<'_>) -> Vec<String> {
    let task = &cluster.trace().episode.task;
    let mut features = Vec::from_iter(task.kind.clone());
    features.extend(task.domain.clone());
    features.extend(labels(cluster));
    features.extend(cluster.terms.iter().take(MAX_TERMS).cloned());
    // Domain, tags and words of the tasks often coincide.
    let mut seen = BTreeSet::new();
    features.retain(|feature| seen.insert(normalize_label(feature)));
    features
}

/// Returns language, framework and tags that all episodes of the cluster have.
fn labels(cluster: &Cluster<'_>) -> Vec<String> {
    let task = &cluster.trace().episode.task;
    let all = |has: &dyn Fn(&memory_core::Task) -> bool| {
        cluster.members.iter().all(|member| has(&member.trace.episode.task))
    };
    let mut labels = Vec::new();
    if let Some(language) = task.language.as_ref().filter(|_| all(&|other| other.language == task.language)) {
        labels.push(language.clone());
    }
    if let Some(framework) =
        task.framework.as_ref().filter(|_| all(&|other| other.framework == task.framework))
    {
        labels.push(framework.clone());
    }
    let mut tags: Vec<String> =
        task.tags.iter().filter(|tag| all(&|other| other.tags.contains(tag))).cloned().collect();
    tags.sort();
    labels.extend(tags);
    labels
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::calls::tests::{failure, success, tools};

    #[test]
    fn a_feature_is_told_once() {
        let tagged = |number| {
            let mut trace = tools(number, success(), "look pay");
            trace.episode.task.tags = ["Airline", "book", "seats"].map(String::from).to_vec();
            trace
        };
        let body = find(&Cluster::new(&tagged(0), &[tagged(1), tagged(2)])).unwrap().body;
        let PatternBody::Context { features, .. } = body else { panic!("{body:?}") };
        assert_eq!(features, ["booking", "airline", "book", "seats", "flight"]);
    }

    #[test]
    fn successes_of_a_context_agree() {
        let own = tools(0, success(), "look check pay");
        let similar = [
            tools(1, success(), "look pay"),
            tools(2, success(), "look extra pay"),
            tools(3, failure(), "pay"),
        ];
        let body = find(&Cluster::new(&own, &similar)).unwrap().body;
        let expected = PatternBody::Context {
            features: ["booking", "airline", "book", "flight"].map(String::from).to_vec(),
            tools: ["look", "pay"].map(String::from).to_vec(),
        };
        assert_eq!(body, expected);
        assert!(find(&Cluster::new(&own, &similar[..1])).is_none(), "two are too few");
        assert!(
            find(&Cluster::new(&similar[2], &[own.clone(), similar[0].clone(), similar[1].clone()]))
                .is_none()
        );
    }
}
