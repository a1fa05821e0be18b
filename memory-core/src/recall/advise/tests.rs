use std::time::Instant;

use serde_json::Value;

use super::*;
use crate::clock::Timestamp;
use crate::learn::belief::BeliefConfig;
use crate::learn::heuristics::associate::tests::{learn, lesson};
use crate::learn::heuristics::associate::{Lesson, associate};
use crate::recall::parts::parts;

/// Reads tasks with the tools that solve them: lines of JSON with `instruction` and `actions`.
fn tasks(path: &str) -> Vec<Lesson> {
    let text = std::fs::read_to_string(path).unwrap();
    (0..)
        .zip(text.lines())
        .map(|(n, line)| {
            let task: Value = serde_json::from_str(line).unwrap();
            let mut tools: Vec<&str> = Vec::new();
            for action in task["actions"].as_array().unwrap() {
                let name = action["name"].as_str().unwrap();
                if !tools.contains(&name) {
                    tools.push(name);
                }
            }
            lesson(n, task["instruction"].as_str().unwrap(), &tools)
        })
        .collect()
}

/// Returns the ten most similar tasks by the words they share, the rarer the better.
fn neighbours(among: &[Lesson], text: &str) -> Vec<Neighbour> {
    use std::collections::{BTreeSet, HashMap};
    let terms =
        |text: &str| -> BTreeSet<String> { parts(text).into_iter().flat_map(|part| part.terms).collect() };
    let held: Vec<BTreeSet<String>> = among.iter().map(|lesson| terms(&lesson.text)).collect();
    let mut count: HashMap<&String, f64> = HashMap::new();
    held.iter().flatten().for_each(|term| *count.entry(term).or_insert(0.0) += 1.0);
    let idf = |term: &String| count.get(term).map_or(0.0, |n| (among.len() as f64 / n).ln());
    let asked = terms(text);
    let best: f64 = asked.iter().map(idf).sum();
    let mut found: Vec<(f64, usize)> = held
        .iter()
        .enumerate()
        .map(|(at, held)| (asked.intersection(held).map(idf).sum::<f64>() / best.max(1e-9), at))
        .collect();
    found.sort_by(|a, b| b.0.total_cmp(&a.0));
    found.into_iter().take(10).map(|(score, at)| (among[at].tools.clone(), score, 1.0)).collect()
}

fn f1(found: &[String], gold: &[String], known: &Associations) -> Option<f64> {
    let gold: Vec<&String> = gold.iter().filter(|tool| known.tool(tool).is_some()).collect();
    if gold.is_empty() {
        return None;
    }
    let hits = found.iter().filter(|tool| gold.contains(tool)).count();
    Some(2.0 * hits as f64 / (found.len() + gold.len()) as f64)
}

#[test]
#[ignore = "reads the files that ADVISE_TRAIN and ADVISE_TESTS (separated by commas) name"]
fn figures_on_files() {
    let train = tasks(&std::env::var("ADVISE_TRAIN").unwrap());
    let config = BeliefConfig::default();
    let now = Timestamp(u64::MAX / 4);
    let advised = |known: &Associations, among: &[Lesson], text: &str| -> Vec<String> {
        let found =
            advise(&parts(text), &RecallQuery::new(text), known, &known.heuristics, &neighbours(among, text));
        found.into_iter().map(|advice| advice.tool).collect()
    };
    let started = Instant::now();
    let known = associate(None, &train, train.last().unwrap().at, &config);
    println!("learned {} heuristics in {:?}", known.heuristics.len(), started.elapsed());
    for rule in known.heuristics.iter().take(40) {
        println!(
            "  {} -> {:?} {} {:.2} {:.2}",
            rule.condition, rule.advice, rule.tool, rule.confidence, rule.weight
        );
    }
    for tool in &known.tools {
        println!("{tool:?}");
    }
    for file in std::env::var("ADVISE_TESTS").unwrap().split(',') {
        let test = tasks(file);
        let mut scores = Vec::new();
        for task in &test {
            let found = advised(&known, &train, &task.text);
            let score = f1(&found, &task.tools, &known);
            if score.is_some_and(|score| score < 1.0) && std::env::var("ADVISE_SHOW").is_ok() {
                println!("{score:?} {found:?} not {:?}: {}", task.tools, task.text);
            }
            scores.extend(score);
        }
        println!("{file}: F1 {:.3} over {}", scores.iter().sum::<f64>() / scores.len() as f64, scores.len());
    }
    let mut scores = Vec::new();
    for at in (0..train.len()).step_by(5) {
        let mut rest = train.clone();
        let left_out = rest.remove(at);
        let known = associate(None, &rest, rest.last().unwrap().at, &config);
        scores.extend(f1(&advised(&known, &rest, &left_out.text), &left_out.tools, &known));
    }
    println!(
        "leave one out: F1 {:.3} over {}",
        scores.iter().sum::<f64>() / scores.len() as f64,
        scores.len()
    );
    let _ = (now, learn(&train));
}
