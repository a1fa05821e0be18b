use std::sync::Arc;
use std::thread::ThreadId;

use memory_core::{
    Action, Kind, ManualClock, MemoryStore, Namespace, NewArtifact, Outcome, Scan, SeededIds, Task, Tiers,
    Timestamp,
};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::INLINE_BYTES;
use crate::memory::config::{LearningConfig, MemoryConfig};
use crate::memory::{Memory, Recording};

const SECRET: &str = "ghp_aB3dE5fG7haB3dE5fG7haB3dE5fG7haB3dE5";

async fn memory() -> Memory {
    let learning = LearningConfig { background: false, ..LearningConfig::default() };
    let tiers = Tiers {
        durable: Arc::new(MemoryStore::new()),
        cache: Arc::new(MemoryStore::new()),
        outbox: None,
        contacts: None,
        warnings: Vec::new(),
    };
    let config = MemoryConfig { learning, ..MemoryConfig::default() };
    let clock = Arc::new(ManualClock::new(Timestamp(1_700_000_000_000)));
    Memory::assemble(Namespace::default(), config, tiers, clock, Arc::new(SeededIds::new(7))).await.unwrap()
}

/// Returns the JSON of everything stored, and the words that recall knows.
async fn stored(memory: &Memory) -> String {
    let mut all = String::new();
    for spec in Kind::ALL {
        let scan = Scan::new(memory.inner.records.engine.namespace(), spec).limit(500);
        for record in memory.inner.records.engine.scan_fresh(&scan).await.unwrap().0.records {
            all.push_str(&record.key.to_string());
            all.push_str(&record.entity.unwrap().to_json().unwrap());
        }
    }
    all
}

/// Puts the secret into one string or name after the other; texts with a fixed format fail to decode and are
/// left out.
fn with_secret_everywhere<T: Serialize + DeserializeOwned>(full: &T) -> Vec<(String, T)> {
    fn places(value: &Value, at: &str, found: &mut Vec<String>) {
        match value {
            Value::String(_) => found.push(at.to_owned()),
            Value::Array(items) => {
                items.iter().enumerate().for_each(|(i, item)| places(item, &format!("{at}/{i}"), found));
            }
            Value::Object(fields) => {
                fields.iter().for_each(|(name, item)| places(item, &format!("{at}/{name}"), found));
            }
            _ => {}
        }
    }
    let full = serde_json::to_value(full).unwrap();
    let mut found = Vec::new();
    places(&full, "", &mut found);
    let variant = |place: String| {
        let mut changed = full.clone();
        *changed.pointer_mut(&place).unwrap() = json!(format!("see {SECRET} there"));
        Some((place, serde_json::from_value(changed).ok()?))
    };
    found.into_iter().filter_map(variant).collect()
}

#[tokio::test]
async fn a_secret_in_any_field_is_stored_nowhere() {
    let task = Task::new("Deploy").kind("ops").domain("shop").language("rust").framework("axum");
    let task = task.agent("a1").correlation_id("c-1").tag("t");
    let tasks = with_secret_everywhere(&task);
    assert_eq!(tasks.len(), 8, "{:?}", tasks.iter().map(|(place, _)| place).collect::<Vec<_>>());
    let action = Action::tool("bash").description("run").observation("fine");
    let mut actions = with_secret_everywhere(&action.clone().arguments(json!({"deep": [{"x": "y"}]})));
    let named = action.arguments(json!({ SECRET: 1, "in": { format!("{SECRET} b"): [] } }));
    actions.push(("name of an argument".into(), named));
    assert_eq!(actions.len(), 5, "{:?}", actions.iter().map(|(place, _)| place).collect::<Vec<_>>());
    let products = with_secret_everywhere(&NewArtifact::new("report", "text"));
    assert_eq!(products.len(), 3, "{:?}", products.iter().map(|(place, _)| place).collect::<Vec<_>>());

    let memory = memory().await;
    for (number, (_, task)) in tasks.iter().enumerate() {
        let mut episode = memory.start(task.clone()).await.unwrap();
        for (_, action) in &actions {
            episode.step(action.clone()).await.unwrap();
            episode.step(action.clone().error(format!("denied: {SECRET}"))).await.unwrap();
        }
        for (_, product) in &products {
            episode.artifact(product.clone()).await.unwrap();
        }
        let told = format!("used {SECRET}");
        let outcomes = [
            Outcome::success(&told),
            Outcome::failure(&told),
            Outcome::Partial { fraction: 0.5, summary: told.clone() },
        ];
        let outcome = outcomes[number % 3].clone();
        let done = episode.complete(outcome.clone()).await.unwrap();
        assert!(done.redactions > 0);
        let actions = actions.iter().map(|(_, action)| action.clone()).collect();
        let source_key = format!("{number}");
        let recording = Recording::new(source_key, task.clone(), outcome).actions(actions);
        memory.record(recording).await.unwrap();
    }
    memory.learn().await.unwrap();
    let stored = stored(&memory).await;
    assert!(stored.contains("[REDACTED:"));
    assert!(!stored.to_lowercase().contains(&SECRET[4..].to_lowercase()), "{stored}");
}

#[tokio::test]
async fn large_texts_are_redacted_off_the_async_workers() {
    let memory = memory().await;
    let here = std::thread::current().id();
    let ran_on = async |bytes: usize| {
        let note = |_: &crate::redact::Redactor, thread: &mut Option<ThreadId>| {
            *thread = Some(std::thread::current().id());
            7
        };
        memory.inner.recorder.redactor.run("step", bytes, None, note).await.unwrap()
    };
    assert_eq!(ran_on(INLINE_BYTES).await, (Some(here), 7));
    let (thread, count) = ran_on(INLINE_BYTES + 1).await;
    assert_ne!(thread.unwrap(), here);
    assert_eq!(count, 7);
}

#[tokio::test]
async fn large_texts_are_redacted_as_small_ones_are() {
    let memory = memory().await;
    let padding = "word ".repeat(INLINE_BYTES / 5 + 1);
    let mut episode = memory.start("large").await.unwrap();
    episode.artifact(NewArtifact::new("log", format!("{padding}{SECRET} {padding}"))).await.unwrap();
    let arguments = json!({"command": format!("{padding}{SECRET}")});
    let action = Action::tool("bash").arguments(arguments);
    episode.step(action.clone()).await.unwrap();
    assert_eq!(episode.complete(Outcome::success("done")).await.unwrap().redactions, 2);
    let outcome = Outcome::success("done");
    let recording = Recording::new("1", "again", outcome).actions(vec![action]);
    memory.record(recording).await.unwrap();
    let stored = stored(&memory).await;
    assert_eq!(stored.matches("[REDACTED:").count(), 3);
    assert!(!stored.contains(SECRET));
}
