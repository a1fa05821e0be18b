//! Recall names only recorded tools, arguments and errors, whatever their names are.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use memory_core::{
    Action, ManualClock, MemoryStore, Namespace, Outcome, PatternBody, SeededIds, Task, Tiers, Timestamp,
};
use memory_recall::query::RecallQuery;
use proptest::prelude::*;
use serde_json::json;

use crate::memory::Memory;
use crate::memory::config::{LearningConfig, MemoryConfig};
use crate::memory::recalled::Recall;

/// Records the same course of actions in this many episodes, and recalls after its first error.
async fn recalled(episodes: u32, course: &[Action], task: &str) -> Recall {
    let clock = Arc::new(ManualClock::new(Timestamp(1_700_000_000_000)));
    let learning = LearningConfig { background: false, ..LearningConfig::default() };
    let (durable, cache) = (Arc::new(MemoryStore::new()), Arc::new(MemoryStore::new()));
    let tiers = Tiers { durable, cache, outbox: None, contacts: None, warnings: Vec::new() };
    let config = MemoryConfig { learning, ..MemoryConfig::default() };
    let ids = Arc::new(SeededIds::new(7));
    let memory = Memory::assemble(Namespace::default(), config, tiers, clock.clone(), ids).await.unwrap();
    for number in 0..episodes {
        clock.advance(Duration::from_secs(60));
        let mut episode =
            memory.start(Task::new(format!("{task} of customer {number}")).domain("ops")).await.unwrap();
        for action in course {
            episode.step(action.clone()).await.unwrap();
        }
        episode.complete(Outcome::success("done")).await.unwrap();
    }
    memory.learn().await.unwrap();
    let failed = course.iter().find(|action| action.result != memory_core::StepResult::Success);
    let failed = failed.unwrap();
    let query = RecallQuery::new(format!("{task} of customer 99")).domain("ops");
    let query = query.failed(failed.tool.clone(), failed.observation.clone());
    let recall = memory.recall(query).await.unwrap();
    memory.close(Duration::from_secs(1)).await.unwrap();
    recall
}

/// Every tool that an answer names as one.
fn named(recall: &Recall) -> BTreeSet<String> {
    let mut named: Vec<&str> = recall.tools.iter().map(|advice| advice.tool.as_str()).collect();
    for lesson in &recall.fixes {
        named.push(&lesson.item.tool);
        named.extend(lesson.item.remedies.iter().flat_map(|remedy| remedy.tools()));
    }
    for pattern in &recall.patterns {
        match &pattern.item.body {
            PatternBody::ToolSequence { tools } => named.extend(tools.iter().map(String::as_str)),
            PatternBody::ErrorRecovery { remedy, .. } => {
                named.extend(remedy.iter().map(|call| call.tool.as_str()));
            }
            _ => {}
        }
    }
    named.extend(recall.heuristics.iter().map(|rule| rule.item.tool.as_str()));
    named.extend(recall.warnings.iter().flat_map(|warning| &warning.tools).map(String::as_str));
    let steps = recall.playbook.iter().flat_map(|playbook| &playbook.steps);
    named.extend(steps.map(|step| step.tool.as_str()));
    named.into_iter().filter(|tool| !tool.is_empty()).map(str::to_owned).collect()
}

fn unrecorded(recall: &Recall, course: &[Action]) -> Vec<String> {
    let is_recorded = |tool: &String| course.iter().any(|action| action.tool == *tool);
    named(recall).into_iter().filter(|tool| !is_recorded(tool)).collect()
}

#[tokio::test]
async fn an_argument_that_reads_like_a_remedy_adds_no_tool() {
    let command = json!({"action": "drain it, then restart worker"});
    let course = [
        Action::tool("ops").arguments(json!({"action": "restart"})).error("Error: worker is busy with a job"),
        Action::tool("ops").arguments(command),
    ];
    let recall = recalled(6, &course, "Restart the billing worker").await;
    let tools: Vec<&str> = recall.tools.iter().map(|advice| advice.tool.as_str()).collect();
    assert_eq!(tools, ["ops"]);
    let remedy = &recall.fixes[0].item.remedies[0];
    assert_eq!(remedy.tools(), ["ops"]);
    assert_eq!(remedy.text(), "ops with action = `drain it, then restart worker`");
    assert_eq!(unrecorded(&recall, &course), Vec::<String>::new());
}

/// A text with the separators of sentences.
fn text() -> impl Strategy<Value = String> {
    let piece = prop::sample::select(vec![
        ", then ",
        "; then ",
        "`",
        "\"",
        "'",
        " with ",
        " without ",
        ": ",
        "!",
        " = ",
        " changed from ",
        " to ",
        " → ",
        "{x}",
        "drain",
        "it",
        "restart",
        "worker",
        "log_in",
        "not",
        " ",
        "42",
        "/srv/a",
        "É",
        "(3 times)",
    ]);
    prop::collection::vec(piece, 1..6).prop_map(|pieces| pieces.concat())
}

fn tool() -> impl Strategy<Value = String> {
    text().prop_map(|name| format!("t{name}x"))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]
    #[test]
    fn every_tool_that_is_named_was_recorded(
        tools in prop::collection::vec(tool(), 2..5),
        order in prop::collection::vec((0_usize..8, text(), text(), 0_u8..4), 1..6),
        values in (text(), text()),
        argument in text(),
        error in text(),
        episodes in 2_u32..5,
    ) {
        let failed = || Action::tool(&tools[0]);
        let mut course = vec![failed().arguments(json!({&argument: values.0})).error(format!("the worker is busy with jobs {error}"))];
        for (place, note, value, result) in &order {
            let action = Action::tool(&tools[place % tools.len()]).description(note.clone());
            let action = action.arguments(json!({&argument: value, "command": value}));
            course.push(if *result == 0 { action.error(note.clone()) } else { action });
        }
        course.push(failed().arguments(json!({&argument: values.1})));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let recall = runtime.block_on(recalled(episodes, &course, "Restart the billing worker"));
        prop_assert_eq!(unrecorded(&recall, &course), Vec::<String>::new());
        prop_assert!(!recall.fixes.is_empty(), "the error is known");
    }
}
